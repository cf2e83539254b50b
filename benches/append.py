#!/usr/bin/env python3
"""Compares an edit with the embedded engine in two executables, in one run: benches/append.py EARLIER LATER

Each edit adds a text to a draft and is in the journal, in SQLite, before it is answered; one client waits for each answer. The
executables take turns, so that both meet the same machine. Prints the medians of each round and the ratio of the medians of
all, later to earlier; exits with 1 if it is above the bound. Use executables of the profile `dist`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

# Edits of a draft before the next one is made.
EDITS = 100


class Server:
    """An executable as a server of MCP over pipes, with a folder of its own."""

    def __init__(self, executable):
        self.home = tempfile.TemporaryDirectory()
        environment = dict(os.environ, HOME=self.home.name, CAPCUT_MCP_DATA_DIR=self.home.name, CAPCUT_MCP_LOG="off")
        environment.pop("CAPCUT_MCP_STORE", None)
        self.process = subprocess.Popen(
            [executable, "serve", "--backend", "embedded"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
        )
        # Where the system places both otherwise decides more than the executables do.
        os.sched_setaffinity(self.process.pid, {max(os.sched_getaffinity(0))})
        self.number = 0
        client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "append", "version": "1"}}
        self.ask("initialize", client)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})

    def send(self, message):
        self.process.stdin.write(json.dumps(message).encode() + b"\n")
        self.process.stdin.flush()

    def ask(self, method, parameters):
        self.number += 1
        self.send({"jsonrpc": "2.0", "id": self.number, "method": method, "params": parameters})
        while True:
            answer = json.loads(self.process.stdout.readline())
            if answer.get("id") == self.number:
                return answer["result"]

    def call(self, tool, arguments):
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        assert not result.get("isError"), result
        return result["structuredContent"]

    def edit(self):
        """The seconds of each edit of a new draft."""
        draft = self.call("create_draft", {})["draft_id"]
        taken = []
        for number in range(EDITS):
            arguments = {"draft_id": draft, "text": f"text {number}", "start": number, "end": number + 1}
            begun = time.perf_counter()
            self.call("add_text", arguments)
            taken.append(time.perf_counter() - begun)
        return taken

    def end(self):
        self.process.stdin.close()
        self.process.wait(timeout=10)
        self.home.cleanup()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("earlier")
    parser.add_argument("later")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--drafts", type=int, default=20, help="of each executable, in a round")
    parser.add_argument("--bound", type=float, default=1.1)
    given = parser.parse_args()
    processors = os.sched_getaffinity(0)
    servers = {"earlier": Server(given.earlier), "later": Server(given.later)}
    os.sched_setaffinity(0, {min(processors)})
    for server in servers.values():
        server.edit()
    all_taken = {name: [] for name in servers}
    for number in range(given.rounds):
        taken = {name: [] for name in servers}
        for draft in range(given.drafts):
            for name in sorted(servers, reverse=draft % 2 == 1):
                taken[name] += servers[name].edit()
        medians = {name: statistics.median(own) * 1e6 for name, own in taken.items()}
        print(f"round {number + 1}: {medians['earlier']:.0f} µs and {medians['later']:.0f} µs", flush=True)
        for name, own in taken.items():
            all_taken[name] += own
    for server in servers.values():
        server.end()
    earlier, later = (statistics.median(all_taken[name]) * 1e6 for name in ("earlier", "later"))
    ratio = later / earlier
    verdict = "ok" if ratio <= given.bound else "MISSED"
    print(f"{verdict}: an edit takes {later:.0f} µs, {ratio:.2f} times the {earlier:.0f} µs of the earlier executable (<= {given.bound})")
    sys.exit(ratio > given.bound)


if __name__ == "__main__":
    main()
