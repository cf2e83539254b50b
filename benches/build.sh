#!/bin/sh
# Measures cold builds in an empty target directory: the first command of the README until its draft is made (at most
# 100 s on two cores), and the release build (at most 240 s). Dependencies are fetched before. Exits with 1 when a bound
# is missed.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cargo fetch --quiet --locked
missed=0

# run NAME BOUND COMMAND...: prints the seconds of a command.
run() {
    name=$1 bound=$2
    shift 2
    start=$(date +%s)
    "$@" >"$work/output" 2>&1 || { cat "$work/output"; exit 1; }
    seconds=$(($(date +%s) - start))
    verdict=ok
    if [ "$seconds" -gt "$bound" ]; then
        verdict=MISSED
        missed=1
    fi
    printf '%-6s %-40s %4d s (<= %d)\n' "$verdict" "$name" "$seconds" "$bound"
}

export CARGO_TARGET_DIR="$work/target" CAPCUT_MCP_DATA_DIR="$work/data"
run 'debug build to the first draft' 100 cargo run --quiet -- compose examples/first-draft.yaml --draft-folder "$work/drafts"
run 'release build' 240 cargo build --quiet --release
exit "$missed"
