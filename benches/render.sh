#!/usr/bin/env bash
# Measures frames and preview videos: time, and the memory of all processes together (Linux; needs FFmpeg and Python 3).
#   benches/render.sh [PROGRAM]     default: target/dist/capcut-mcp, which it builds
# With npm, the `render` command of capcut-cli 0.23.0 (MIT) is measured on the same draft, in the same size.
# Exits with 1 when a bound is missed.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ $# -gt 0 ]; then
    program=$(realpath "$1")
else
    cargo build --quiet --profile dist
    program=$PWD/${CARGO_TARGET_DIR:-target}/dist/capcut-mcp
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CAPCUT_MCP_DATA_DIR="$work/data"

video() {
    ffmpeg -v error -y -f lavfi -i "$1:d=12" "${@:3}" -c:v libx264 -preset veryfast -c:a aac "$work/$2"
}
video testsrc2=s=1280x720:r=30 wide.mp4 -f lavfi -i sine=440:d=12
video testsrc=s=1080x1920:r=25 high.mp4 -f lavfi -i sine=880:d=12
video testsrc2=s=1920x1080:r=30 hd.mp4 -g 30
ffmpeg -v error -y -f lavfi -i color=red:s=400x400 -frames:v 1 "$work/red.png"
if command -v npm >/dev/null; then
    npm install --silent --no-audit --no-fund --prefix "$work/npm" capcut-cli@0.23.0 >"$work/npm.log" 2>&1 || cat "$work/npm.log"
fi

python3 - "$work" "$program" <<'END'
import json, os, subprocess, sys, time

work, program = sys.argv[1:]
missed = False


def bound(name, value, unit, most):
    global missed
    missed |= value > most
    print(f"{'ok' if value <= most else 'MISSED':6} {name:48} {value:8.2f} {unit} (<= {most})")


def tree(pid):
    found = [pid]
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in open(f"/proc/{pid}/task/{task}/children").read().split():
                found += tree(int(child))
    except OSError:
        pass
    return found


def memory(pid):
    """The memory of a process, with its part of what it shares, in KB."""
    try:
        for line in open(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def decoders(pids):
    """How many processes read a video, of those that ffmpeg and ffprobe run in."""
    count = 0
    for pid in pids:
        try:
            words = open(f"/proc/{pid}/cmdline").read().split("\0")
        except OSError:
            continue
        count += "rawvideo" in words and "pipe:1" in words
    return count


def measured(*command):
    """Seconds, most MB and most decoders of a command."""
    most, running, started = 0, 0, time.time()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        pids = tree(process.pid)
        most, running = max(most, sum(map(memory, pids))), max(running, decoders(pids))
        time.sleep(0.02)
    if process.returncode != 0:
        raise SystemExit(f"{command}: exit code {process.returncode}")
    return time.time() - started, most / 1024, running


def draft(name, visuals):
    plan = {"name": name, "width": 1280, "height": 720, "visuals": visuals, "save": {"draft_folder": f"{work}/drafts"}}
    json.dump(plan, open(f"{work}/{name}.json", "w"))
    os.makedirs(f"{work}/drafts", exist_ok=True)
    compose = [program, "--backend", "embedded", "compose", f"{work}/{name}.json"]
    subprocess.run(compose, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return f"{work}/drafts/{name}"


wide = {"video_url": f"{work}/wide.mp4", "start": 0, "end": 10, "at": 0, "track_name": "a"}
high = {"video_url": f"{work}/high.mp4", "start": 0, "end": 10, "at": 0, "track_name": "b",
        "scale_x": 0.4, "scale_y": 0.4, "transform_x": -0.5}
red = {"image_url": f"{work}/red.png", "at": 0, "duration": 10, "track_name": "c",
       "scale_x": 0.3, "scale_y": 0.3, "transform_x": 0.5}
three = draft("three", [wide, high, red])
sixty = draft("sixty", [
    {"video_url": f"{work}/hd.mp4", "start": i % 10, "end": i % 10 + 0.5, "at": i / 2} for i in range(60)])
one = draft("one", [wide])

seconds, most, _ = measured(program, "render", three, "-o", f"{work}/three.mp4")
bound("10 s of 720p with 3 layers: part of its length", seconds / 10, "x", 0.7)
bound("10 s of 720p with 3 layers: memory", most, "MB", 300)
seconds, most, running = measured(program, "render", sixty, "-o", f"{work}/sixty.mp4")
print(f"       30 s of 720p from 60 clips                       {seconds:8.2f} s")
bound("60 clips: memory", most, "MB", 400)
bound("60 clips: decoders at the same time", running, "", 4)
bound("frame of 3 layers, cold", measured(program, "call", "preview_frame", f"draft={three}", "at=4")[0], "s", 0.8)

# The same frame again from a server that has shown it.
server = subprocess.Popen([program, "serve", "--backend", "embedded", "--log", "warn"], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)


def ask(number, method, params):
    server.stdin.write(json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


ask(0, "initialize", {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}})
server.stdin.write('{"jsonrpc": "2.0", "method": "notifications/initialized"}\n')
times = []
for number in range(1, 12):
    started = time.time()
    answer = ask(number, "tools/call", {"name": "preview_frame", "arguments": {"draft": three, "at": 4}})
    times.append(time.time() - started)
    assert not answer["result"].get("isError"), answer
server.stdin.close()
server.wait()
bound("frame of 3 layers, again", 1000 * sorted(times[1:])[5], "ms", 20)

other = f"{work}/npm/node_modules/.bin/capcut"
if os.path.exists(other):
    # In turns, so that both meet the same machine; the smaller times count.
    ours, theirs = [], []
    for turn in range(3):
        ours.append(measured(program, "render", one, "-o", f"{work}/one.mp4", "--size", "640", "--overwrite")[0])
        theirs.append(measured(other, "render", one, "--out", f"{work}/other.mp4")[0])
    print(f"       10 s of one video in 640 x 360: {min(ours):.2f} s with sound, capcut-cli {min(theirs):.2f} s without")
    bound("against capcut-cli", min(ours) / min(theirs), "x", 1)
sys.exit(missed)
END
