#!/bin/sh
# Builds the server and measures whole videos against an API with a known latency (Linux; the build takes some minutes).
# PROFILE=release builds faster than the profile of releases (dist). Exits with 1 when a bound is missed.
set -eu
here=$(cd "$(dirname "$0")/.." && pwd)
cd "$here"
profile=${PROFILE:-dist}
cargo build --quiet --profile "$profile"
cargo build --quiet --release --manifest-path benches/baseline/Cargo.toml --target-dir target/baseline
exec target/baseline/release/compose "${CARGO_TARGET_DIR:-target}/$profile/capcut-mcp"
