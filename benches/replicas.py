#!/usr/bin/env python3
"""Edits a second of one replica and of three, each held to a part of a core: benches/replicas.py EXECUTABLE

Clients edit separate drafts through nginx with the store in PostgreSQL, of one machine. Needs what deploy/local.py needs, and
`cpulimit` (Debian). Prints the rates of each round and the ratio of their medians. Use an executable of the profile `dist`.
"""

import argparse
import multiprocessing
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "deploy"), str(ROOT / "tests/external")]
import local  # noqa: E402
import replicas  # noqa: E402

# Edits of a draft before a client makes the next one.
EDITS = 100
CLIENTS = 6


class Place:
    """Where clients connect to; a Topology cannot be sent to another process."""

    def __init__(self, topology):
        self.port, self.token = topology.port, topology.token
        self.certificate = topology.work / "certificate.pem"

    @property
    def tls(self):
        return local.ssl.create_default_context(cafile=self.certificate)


def edit(place, begin, end, counts):
    """Edits drafts of its own; counts those that are acknowledged between two times."""
    client = replicas.Api(place)
    count = number = 0
    draft = None
    while time.time() < end:
        if number % EDITS == 0:
            draft = client.call("create_draft", {})["draft_id"]
        at = number % EDITS
        client.call("add_text", {"draft_id": draft, "text": f"text {number}", "start": at, "end": at + 1})
        number += 1
        count += begin <= time.time() < end
    counts.put(count)


def rate(executable, replica_count, percent, seconds):
    options = {"store": "postgres", "workers": 0, "settings": replicas.SETTINGS}
    with local.running(executable, replicas=replica_count, **options) as topology:
        limits = [
            local.Program(f"limit of {replica.name}", [
                local.program("cpulimit"), f"--pid={replica.process.pid}", f"--limit={percent}", "--lazy",
            ], topology.logs / f"limit-{replica.name}")
            for replica in topology.replicas
        ]
        for limit in limits:
            limit.start()
        try:
            begin = time.time() + 3
            counts = multiprocessing.Queue()
            arguments = (Place(topology), begin, begin + seconds, counts)
            clients = [multiprocessing.Process(target=edit, args=arguments) for _ in range(CLIENTS)]
            for client in clients:
                client.start()
            total = sum(counts.get(timeout=seconds + 60) for _ in clients)
            for client in clients:
                client.join()
        finally:
            for limit in limits:
                limit.end()
            # A replica must not stay suspended.
            for replica in topology.replicas:
                replica.signal(local.signal.SIGCONT)
    return total / seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("executable")
    parser.add_argument("--percent", type=int, default=15, help="of one core, for each replica")
    parser.add_argument("--seconds", type=int, default=15)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    rates = {1: [], 3: []}
    for number in range(given.rounds):
        for count, known in rates.items():
            known.append(rate(given.executable, count, given.percent, given.seconds))
            print(f"round {number + 1}: {count} with {given.percent} % of a core each: {known[-1]:.0f} edits/s", flush=True)
    one, three = (statistics.median(known) for known in rates.values())
    print(f"three replicas carry {three / one:.2f} times the edits of one ({three:.0f}/s and {one:.0f}/s)")


if __name__ == "__main__":
    main()
