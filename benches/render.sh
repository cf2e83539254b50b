#!/bin/bash
# Measures frames and preview videos: time, and the memory of all processes together.
#   benches/render.sh [PROGRAM]     default: target/release/capcut-mcp
# Needs FFmpeg, Linux (memory is read from /proc) and python3. `capcut-cli` of npm is measured on the same draft if it is installed.
set -euo pipefail
cd "$(dirname "$0")/.."
program=$(realpath "${1:-target/release/capcut-mcp}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export CAPCUT_MCP_DATA_DIR="$work/data"

ffmpeg -v error -y -f lavfi -i testsrc2=s=1280x720:r=30:d=12 -f lavfi -i sine=440:d=12 -c:v libx264 -preset veryfast -c:a aac "$work/wide.mp4"
ffmpeg -v error -y -f lavfi -i testsrc=s=1080x1920:r=25:d=12 -f lavfi -i sine=880:d=12 -c:v libx264 -preset veryfast -c:a aac "$work/high.mp4"
ffmpeg -v error -y -f lavfi -i testsrc2=s=1920x1080:r=30:d=12 -c:v libx264 -g 30 -preset veryfast "$work/hd.mp4"
ffmpeg -v error -y -f lavfi -i color=red:s=400x400 -frames:v 1 "$work/red.png"

python3 - "$work" <<'PYTHON'
import json, sys
work = sys.argv[1]
three = {"name": "three", "width": 1280, "height": 720, "visuals": [
    {"video_url": f"{work}/wide.mp4", "start": 0, "end": 10, "at": 0, "track_name": "a"},
    {"video_url": f"{work}/high.mp4", "start": 0, "end": 10, "at": 0, "track_name": "b", "scale_x": 0.4, "scale_y": 0.4, "transform_x": -0.5},
    {"image_url": f"{work}/red.png", "at": 0, "duration": 10, "track_name": "c", "scale_x": 0.3, "scale_y": 0.3, "transform_x": 0.5},
]}
sixty = {"name": "sixty", "width": 1280, "height": 720, "visuals": [
    {"video_url": f"{work}/hd.mp4", "start": i % 10, "end": i % 10 + 0.5, "at": i / 2} for i in range(60)
]}
for plan in (three, sixty):
    plan["save"] = {"draft_folder": f"{work}/drafts"}
    json.dump(plan, open(f"{work}/{plan['name']}.json", "w"))
PYTHON
mkdir "$work/drafts"

# Runs a command; prints its time and the largest sum of the memory of its processes.
measure() {
    python3 - "$@" <<'PYTHON'
import os, subprocess, sys, time

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
    try:
        for line in open(f"/proc/{pid}/smaps_rollup"):
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0

started, most = time.time(), 0
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
while process.poll() is None:
    most = max(most, sum(map(memory, tree(process.pid))))
    time.sleep(0.03)
print(f"{time.time() - started:.2f} s, {most // 1024} MB, exit code {process.returncode}")
PYTHON
}

for name in three sixty; do
    "$program" --backend embedded compose "$work/$name.json" >/dev/null
    folder="$work/drafts/$name"
    echo "$name, video of 720p: $(measure "$program" render "$folder" -o "$work/$name.mp4" --overwrite)"
done
echo "frame of 3 layers: $(measure "$program" call preview_frame draft="$work/drafts/three" at=4)"
if command -v capcut-cli >/dev/null; then
    echo "npm capcut-cli: $(measure capcut-cli render "$work/drafts/three" --out "$work/other.mp4")"
fi
