"""The files of examples/service, and a real nginx with the block that docs/http.md shows.

Arguments: the executable. Needs systemd-analyze for the units and nginx for the proxy; says what was skipped without.
"""

import http.client
import json
import pathlib
import plistlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree

executable = pathlib.Path(sys.argv[1]).resolve()
root = pathlib.Path(__file__).resolve().parents[2]
services = root / "examples/service"
NAME = "capcut.example.com"


def units(work):
    if not shutil.which("systemd-analyze"):
        return "SKIPPED units: there is no systemd-analyze"
    for unit in sorted(services.glob("*.service")):
        text = unit.read_text()
        assert "/usr/local/bin/capcut-mcp " in text, unit
        copy = work / unit.name
        copy.write_text(text.replace("/usr/local/bin/capcut-mcp", str(executable)))
        ran = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True)
        # Problems of the machine's own units are printed, too.
        said = [line for line in ran.stderr.splitlines() if unit.name in line]
        assert ran.returncode == 0 and not said, (unit.name, ran.stderr)
        # What a service may do, from 0 to 10; 2.0 at most.
        rated = ["systemd-analyze", "security", "--offline=true", "--threshold=20", copy]
        ran = subprocess.run(rated, capture_output=True, text=True)
        assert ran.returncode == 0, (unit.name, ran.stdout[-500:])
    return "the units: ok"


def other_systems():
    with open(services / "capcut-mcp.plist", "rb") as file:
        job = plistlib.load(file)
    assert job["ProgramArguments"][1] == "serve" and job["KeepAlive"] == {"SuccessfulExit": False}, job
    task = xml.etree.ElementTree.parse(services / "capcut-mcp-task.xml").getroot()
    space = {"t": "http://schemas.microsoft.com/windows/2004/02/mit/task"}
    assert task.find("t:Actions/t:Exec/t:Arguments", space).text.startswith("serve --http "), task
    return "plist and task: ok"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def until(what, done):
    end = time.monotonic() + 30
    while not done():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


class Client:
    """Asks through the proxy, each request over its own connection."""

    def __init__(self, port, token):
        self.port = port
        self.headers = {"Host": NAME, "Accept": "application/json, text/event-stream"}
        if token:
            self.headers["Authorization"] = f"Bearer {token}"

    def open(self, method, path, message=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        body = message and json.dumps(message)
        headers = self.headers | ({"Content-Type": "application/json"} if body else {})
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def ask(self, method, params):
        answer = self.open("POST", "/mcp", {"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        assert answer.status == 200, (answer.status, answer.read())
        self.headers["Mcp-Session-Id"] = answer.headers.get("Mcp-Session-Id") or self.headers["Mcp-Session-Id"]
        text = answer.read().decode()
        lines = [line[5:] for line in text.splitlines() if line.startswith("data:")]
        return json.loads(lines[0] if lines else text)["result"]


def token_of(data):
    """A token for the proxy's clients."""
    ran = subprocess.run(
        [executable, "token", "add", "nginx", "--data-dir", data], capture_output=True, text=True, check=True
    )
    return re.search(r"\S{32,}", ran.stdout).group()


def proxy(work):
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not nginx:
        return "SKIPPED the proxy: there is no nginx"
    block = re.search(r"```nginx\n(.*?)```", (root / "docs/http.md").read_text(), re.S).group(1)
    port, behind = free_port(), free_port()
    block, changed = re.subn(r"listen 443 ssl;", f"listen 127.0.0.1:{port};", block)
    assert changed == 1, block
    block = re.sub(r" *ssl_\w+ .*\n", "", block)
    block, changed = re.subn(r"127\.0\.0\.1:8080", f"127.0.0.1:{behind}", block)
    assert changed == 1 and f"server_name {NAME};" in block, block
    (work / "nginx.conf").write_text(
        f"daemon off; pid {work}/nginx.pid; error_log {work}/error.log;\n"
        f"events {{}}\nhttp {{ access_log off; client_body_temp_path {work}/body; proxy_temp_path {work}/proxy;\n"
        f"fastcgi_temp_path {work}/f; uwsgi_temp_path {work}/u; scgi_temp_path {work}/s;\n{block}\n}}\n"
    )
    data = work / "data"
    token = token_of(data)
    line = [executable, "serve", "--http", f"127.0.0.1:{behind}", "--backend", "embedded", "--data-dir", data]
    line += ["--public-host", NAME, "--behind-proxy", "--log", "warn"]
    children = []
    try:
        children.append(subprocess.Popen(line, stdin=subprocess.DEVNULL))
        until("the server answers", lambda: answers(behind))
        children.append(subprocess.Popen([nginx, "-p", work, "-c", work / "nginx.conf"], stdin=subprocess.DEVNULL))
        until("nginx answers", lambda: answers(port))
        assert Client(port, None).open("GET", "/metrics").status == 401, "served without a token"
        client = Client(port, token)
        client.ask(
            "initialize",
            {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "tests", "version": "1"}},
        )
        client.headers["MCP-Protocol-Version"] = "2025-06-18"
        client.open("POST", "/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"}).read()
        # Its head arrives while the stream is open; with buffering it would arrive at the end.
        stream = client.open("GET", "/mcp")
        assert stream.headers["Content-Type"].startswith("text/event-stream"), stream.headers
        made = client.ask("tools/call", {"name": "create_draft", "arguments": {}})
        draft = made["structuredContent"]["draft_id"]
        long = "a word " * 200_000
        said = client.ask(
            "tools/call",
            {"name": "add_subtitle", "arguments": {"draft_id": draft, "srt": f"1\n00:00:00,000 --> 00:00:01,000\n{long}\n"}},
        )
        assert said["content"][0]["text"], said
        health = client.open("GET", "/health")
        assert health.status == 200 and health.headers["X-Content-Type-Options"] == "nosniff", health.headers
        stream.close()
    finally:
        for child in children:
            child.terminate()
            child.wait()
    return "nginx in front of the server: ok"


with tempfile.TemporaryDirectory() as folder:
    work = pathlib.Path(folder)
    # nginx' workers are another user if root starts it.
    work.chmod(0o711)
    print(units(work))
    print(other_systems())
    print(proxy(work))
