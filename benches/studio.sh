#!/usr/bin/env bash
# Measures the studio in Chromium: the first byte of its page, how soon an edit of an agent appears, and the longest task while
# 1,000 clips scroll. Needs Node.js 20 and a `chromium`; PROFILE=dev measures a build without optimisation. Exits with 1 when a
# bound is missed.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${PROFILE:-dist}
cargo build --quiet --profile "$profile"
folder=$profile
[ "$profile" != dev ] || folder=debug
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# The versions that the checks use.
mapfile -t packages < <(grep -oE '(playwright-core|axe-core|@modelcontextprotocol/sdk)@[0-9.]+' .ci/run)
(cd "$work" && npm install --no-audit --no-fund --silent --prefix . "${packages[@]}")
cp tests/external/studio.mjs "$work/"
STUDIO_BOUNDS=1 node "$work/studio.mjs" "${CARGO_TARGET_DIR:-target}/$folder/capcut-mcp" examples "$(command -v chromium)"
