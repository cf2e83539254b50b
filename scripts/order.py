#!/usr/bin/env python3
"""Makes build/order.txt: the names of the functions that servers execute, most executed first.

    python3 scripts/order.py        (takes some minutes; needs Linux on x86-64 and valgrind)

Builds the executable as it is released, but with symbols, and counts the instructions of each function in three
scenarios: forwarding to an API, the embedded engine, and the engine over HTTP. build.rs makes the linker place these
functions next to each other.
"""

import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / "build/order.txt"
# A folder of its own: an executable with symbols must not be mistaken for a release.
TARGET = ROOT / "target/order"
EXECUTABLE = TARGET / "dist/capcut-mcp"
DRAFT = "dfd_cat_1700000000_0123abcd"
IN_FLIGHT = 64


def main():
    build = ["cargo", "rustc", "--quiet", "--profile", "dist", "--bin", "capcut-mcp", "--target-dir", TARGET]
    subprocess.run(build + ["--", "-C", "strip=none"], cwd=ROOT, check=True)
    symbols = subprocess.run(["nm", EXECUTABLE], capture_output=True, text=True, check=True).stdout.split("\n")
    known = {fields[2] for fields in map(str.split, symbols) if len(fields) == 3 and fields[1] in "tTwW"}
    names = []
    with tempfile.TemporaryDirectory() as work:
        for scenario in [forwarding, embedded, engine]:
            counts = pathlib.Path(work, scenario.__name__)
            valgrind = ["valgrind", "--quiet", "--tool=callgrind", "--demangle=no", f"--callgrind-out-file={counts}"]
            scenario(valgrind + [EXECUTABLE], pathlib.Path(work, scenario.__name__ + "-home"))
            executed = costs(counts)
            ranked = sorted(executed, key=lambda name: (-executed[name], name))
            names += [name for name in ranked if name in known and name not in names]
            print(f"{scenario.__name__}: {len(executed)} functions, {len(names)} in the list")
    LIST.write_text("".join(name + "\n" for name in names))


def costs(path):
    """The instructions of each function, without those of its callees, by name."""
    names, found, current, called = {}, {}, None, False
    for line in path.read_text().split("\n"):
        function = re.match(r"fn=\((\d+)\)(?: (.*))?", line)
        if function:
            number, name = function.groups()
            if name:
                # A number at the end marks a level of recursion.
                names[number] = re.sub(r"'\d+$", "", name)
            current = names.get(number)
        elif other := re.match(r"cfn=\((\d+)\) (.*)", line):
            names[other[1]] = re.sub(r"'\d+$", "", other[2])
        elif line.startswith("calls="):
            called = True
        elif re.match(r"[+*-]?\d*\*? ", line) or re.match(r"[+-]?\d+ \d+$", line):
            if not called and current:
                found[current] = found.get(current, 0) + int(line.split()[-1])
            called = False
    return found


class Client:
    """A client of a server over stdin and stdout."""

    def __init__(self, command, home, *arguments, **environment):
        home.mkdir()
        environment = {**os.environ, "HOME": str(home), "CAPCUT_MCP_DATA_DIR": str(home / "data"), **environment}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([*command, *arguments], env=environment, **pipes)
        self.last = 0
        client = {"name": "order", "version": "1"}
        self.ask("initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": client})
        self.write({"method": "notifications/initialized"})
        self.ask("tools/list", {})

    def write(self, message):
        self.process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
        self.process.stdin.flush()

    def send(self, method, params):
        self.last += 1
        self.write({"id": self.last, "method": method, "params": params})

    def ask(self, method, params):
        self.send(method, params)
        return json.loads(self.process.stdout.readline())["result"]

    def call(self, tool, **arguments):
        result = self.ask("tools/call", {"name": tool, "arguments": arguments})
        if result.get("isError"):
            raise SystemExit(f"{tool}: {result}")
        return result["structuredContent"]

    def end(self):
        self.process.stdin.close()
        self.process.wait()


class Api(http.server.BaseHTTPRequestHandler):
    """A CapCut API that answers every call with success."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/query_draft_status":
            output = {"completed_files": 1, "draft_url": "", "message": "", "progress": 1, "status": "processing",
                      "task_id": DRAFT, "total_files": 2}
        else:
            output = {"draft_id": DRAFT, "draft_url": "https://example.org"}
        self.answer({"error": "", "output": output, "success": True})

    def do_GET(self):
        self.answer({"error": "", "output": [{"name": "a"}], "success": True})

    def answer(self, value):
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def forwarding(command, home):
    api = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=api.serve_forever, daemon=True).start()
    client = Client(command, home, CAPCUT_API_URL=f"http://127.0.0.1:{api.server_port}")
    draft = client.call("create_draft")["draft_id"]
    for _ in range(20):
        client.call("query_draft_status", task_id=draft)
    status = {"name": "query_draft_status", "arguments": {"task_id": draft}}
    for _ in range(IN_FLIGHT):
        client.send("tools/call", status)
    for _ in range(IN_FLIGHT):
        client.process.stdout.readline()
    for start in range(20):
        client.call("add_text", draft_id=draft, text="a", start=start, end=start + 1)
    client.end()
    api.shutdown()


def embedded(command, home):
    client = Client(command, home, "serve", "--backend", "embedded")
    draft = client.call("create_draft")["draft_id"]
    for start in range(50):
        client.call("add_text", draft_id=draft, text="a", start=start, end=start + 1)
    client.call("query_script", draft_id=draft)
    picture = {"image_url": str(ROOT / "examples/media/picture.jpg"), "duration": 2}
    texts = [{"text": "a", "start": start, "end": start + 1} for start in range(20)]
    client.call("compose_draft", plan={"visuals": [picture] * 10, "texts": texts, "save": False})
    client.end()


def engine(command, home):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [*command, "engine", "--port", str(port), "--data-dir", home], stderr=subprocess.DEVNULL)

    def post(tool, **arguments):
        url, body = f"http://127.0.0.1:{port}/{tool}", json.dumps(arguments).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request) as answer:
            return json.load(answer)["output"]

    while True:
        try:
            draft = post("create_draft")["draft_id"]
            break
        except urllib.error.URLError:
            time.sleep(0.1)
    for start in range(50):
        post("add_text", draft_id=draft, text="a", start=start, end=start + 1)
    post("query_script", draft_id=draft)
    process.terminate()
    process.wait()


if __name__ == "__main__":
    main()
