#!/bin/sh
# Builds the server as it is released and the baseline, and measures both in one run (Linux; the build takes some minutes).
# Exits with 1 when a bound is missed.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
cargo build --quiet --profile dist
cargo build --quiet --release --manifest-path benches/baseline/Cargo.toml --target-dir target/baseline
exec target/baseline/release/measure "${CARGO_TARGET_DIR:-target}/dist/capcut-mcp" target/baseline/release/baseline
