#!/bin/sh
# Builds the executable in its release profile and measures saving and linting drafts (the build takes some minutes).
# Exits with 1 when a bound is missed.
set -eu
cd "$(dirname "$0")/.."
exec cargo bench --quiet --bench save
