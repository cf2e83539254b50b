#!/usr/bin/env bash
# Measures runs that make voices and pictures with a service that takes 0.5 s for a voice and 1 s for a picture (Python 3).
#   benches/generate.sh [PROGRAM]     default: the shipped or the release build if there is one, else $CAPCUT_MCP
# A run makes 6 voices and 10 pictures of 1080 x 1920 and saves the draft; the time is that of the whole command, the median
# of three. "One request at a time" is the same run with `voices = 1` and `pictures = 1`, against the same service answering
# one request after another, so that the branches are not side by side either. The last measurement is one server with 15
# such runs at once, each with words and descriptions of its own. Exits with 1 when a bound is missed.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
program=${1:-}
for built in "$target/dist/capcut-mcp" "$target/release/capcut-mcp" "${CAPCUT_MCP:-}"; do
    if [ -z "$program" ] && [ -x "$built" ]; then
        program=$built
    fi
done
if [ -z "$program" ]; then
    echo "build the executable (cargo build --profile dist), or name one in CAPCUT_MCP" >&2
    exit 2
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

python3 - "$work" "$(realpath "$program")" <<'END'
import base64, contextlib, http.server, json, os, statistics, struct, subprocess, sys, threading, time, zlib

work, program = sys.argv[1:]
missed = False
VOICES, PICTURES, RUNS = 6, 10, 15


def bound(name, value, unit, most):
    global missed
    missed |= value > most
    print(f"{'ok' if value <= most else 'MISSED':6} {name:52} {value:8.2f} {unit} (<= {most})", flush=True)


def chunk(kind, data):
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


rows = zlib.compress((b"\0" + b"\x30\x60\x90" * 1080) * 1920)
header = struct.pack(">IIBBBBB", 1080, 1920, 8, 2, 0, 0, 0)
png = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
picture = json.dumps({"data": [{"b64_json": base64.b64encode(png).decode()}]}).encode()
samples = bytes(32_000)
voice = b"RIFF" + struct.pack("<I", 36 + len(samples)) + b"WAVEfmt " + struct.pack(
    "<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16) + b"data" + struct.pack("<I", len(samples)) + samples


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    turn = contextlib.nullcontext()
    asked = 0

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        Service.asked += 1
        is_voice = self.path.endswith("/speech")
        with Service.turn:
            time.sleep(0.5 if is_voice else 1.0)
        body = voice if is_voice else picture
        self.send_response(200)
        self.send_header("Content-Type", "audio/wav" if is_voice else "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


server = Server(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()


def home(name, generate=""):
    """The environment of a run with its own data folder."""
    folder = f"{work}/{name}"
    os.makedirs(folder)
    base = f"http://127.0.0.1:{server.server_port}/v1"
    provider = "[providers.{}]\nkind = \"openai\"\nmakes = \"{}\"\nbase_url = \"{}\"\nmodel = \"m\"\nvoice = \"v\"\nprice = 0.0\n"
    with open(f"{folder}/tools.toml", "w") as file:
        file.write(f"[generate]\n{generate}\n" + provider.format("speak", "speech", base) + provider.format("draw", "picture", base))
    return dict(os.environ, CAPCUT_MCP_DATA_DIR=f"{folder}/data", CAPCUT_MCP_CONFIG=f"{folder}/tools.toml")


def plan(name, folder):
    return {
        "name": name, "width": 1080, "height": 1920,
        "audio": [{"say": f"Sentence {n} of {name}."} for n in range(VOICES)],
        "visuals": [{"imagine": f"picture {n} of {name}", "duration": 1} for n in range(PICTURES)],
        "save": {"draft_folder": f"{work}/{folder}/drafts"},
    }


def run(name, generate=""):
    """Seconds of one run."""
    environment = home(name, generate)
    file = f"{work}/{name}/plan.json"
    json.dump(plan(name, name), open(file, "w"))
    before, started = Service.asked, time.time()
    ran = subprocess.run([program, "--backend", "embedded", "compose", file], env=environment, capture_output=True, text=True)
    seconds = time.time() - started
    if ran.returncode != 0 or Service.asked - before != VOICES + PICTURES:
        raise SystemExit(f"{ran}\n{Service.asked - before} requests")
    return seconds


together = statistics.median(run(f"together-{n}") for n in range(3))
bound("6 voices and 10 pictures", together, "s", 2.3)
Service.turn = threading.Lock()
alone = run("alone", "voices = 1\npictures = 1")
Service.turn = contextlib.nullcontext()
print(f"       one request at a time {'':30} {alone:8.2f} s")
bound("part of the time with one request at a time", together / alone, "x", 0.7)

process = subprocess.Popen([program, "serve", "--backend", "embedded", "--log", "warn"], text=True, env=home("many"),
                           stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def send(message):
    process.stdin.write(json.dumps({"jsonrpc": "2.0"} | message) + "\n")
    process.stdin.flush()


client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
send({"id": 0, "method": "initialize", "params": client})
json.loads(process.stdout.readline())
send({"method": "notifications/initialized"})
before, started = Service.asked, time.time()
for number in range(1, RUNS + 1):
    arguments = {"plan": plan(f"run {number}", "many"), "wait_s": 120}
    send({"id": number, "method": "tools/call", "params": {"name": "compose_draft", "arguments": arguments}})
complete, left = 0, RUNS
while left:
    answer = json.loads(process.stdout.readline())
    if "id" in answer and "method" not in answer:
        left -= 1
        status = (answer.get("result", {}).get("structuredContent") or {}).get("status")
        complete += status == "complete"
        if status != "complete":
            print(json.dumps(answer)[:2000], file=sys.stderr)
seconds = time.time() - started
process.stdin.close()
process.wait()
bound("15 such runs at once", seconds, "s", 25)
bound("15 such runs at once: errors", RUNS - complete, "", 0)
bound("15 such runs at once: requests", Service.asked - before, "", RUNS * (VOICES + PICTURES))
sys.exit(missed)
END
