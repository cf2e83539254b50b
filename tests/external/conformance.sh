#!/usr/bin/env bash
# MCP's conformance suite against `serve --http`: conformance.sh EXECUTABLE SUITE, where SUITE is the suite's index.js.
# What does not apply to this server is in conformance.yml, with the reasons.
set -euo pipefail
executable=$(realpath "$1")
suite=$(realpath "$2")
expected=$(realpath "$(dirname "$0")/conformance.yml")
work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT
cd "$work"

"$executable" serve --http 127.0.0.1:0 --backend embedded --data-dir "$work/data" 2>"$work/log" &
server=$!
address() {
    sed -n 's/.*MCP clients connect to \(http:[^ ]*\).*/\1/p' "$work/log"
}
waited=0
until [ -n "$(address)" ]; do
    kill -0 "$server" && [ $((waited += 1)) -lt 300 ] || { cat "$work/log"; exit 1; }
    sleep 0.1
done
for version in 2025-11-25 2026-07-28; do
    if ! node "$suite" server --url "$(address)" --suite all --spec-version "$version" \
        --expected-failures "$expected" >"$work/$version.txt" 2>&1; then
        tail -n 80 "$work/$version.txt"
        echo "error: not everything passes that applies to this server (protocol $version)"
        exit 1
    fi
    echo "protocol $version: $(grep '^Total:' "$work/$version.txt"), the failed ones as listed in conformance.yml"
done
