#!/usr/bin/env bash
# Builds the server as it is released and measures MCP over HTTP against a minimal rmcp server, in one run (Linux; the
# build takes some minutes). PROFILE=release builds faster. Exits with 1 when a bound is missed.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
profile=${PROFILE:-dist}
cargo build --quiet --profile "$profile"
cargo build --quiet --release --manifest-path benches/baseline/Cargo.toml --target-dir target/baseline
# Ten thousand connections need as many open files.
ulimit -n 32768 2>/dev/null || ulimit -n "$(ulimit -H -n)"
exec target/baseline/release/http measure "${CARGO_TARGET_DIR:-target}/$profile/capcut-mcp"
