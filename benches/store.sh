#!/bin/bash
# The store in PostgreSQL on a server of its own, with fsync, in a temporary folder: benches/store.sh
# Needs Debian's package `postgresql`. Exits with 1 when a bound is missed.
set -euo pipefail
cd "$(dirname "$0")/.."
binaries=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -1)
folder=$(mktemp -d)
as=()
if [ "$(id -u)" = 0 ]; then
    # PostgreSQL refuses to run as root.
    chown postgres: "$folder"
    as=(setpriv --reuid=postgres --regid=postgres --clear-groups)
fi
control() { (cd / && "${as[@]}" "$binaries/pg_ctl" -D "$folder/data" "$@" > "$folder.log"); }
trap 'control -m immediate stop || true; rm -rf "$folder" "$folder.log"' EXIT
(cd / && "${as[@]}" "$binaries/initdb" -D "$folder/data" -U owner -A trust -E UTF8 --locale=C > /dev/null)
printf "listen_addresses = ''\nunix_socket_directories = '%s'\nmax_connections = 200\n" "$folder" >> "$folder/data/postgresql.conf"
control -l "$folder/log" -w start
cargo bench --bench store -- "postgres://owner@${folder//\//%2F}/postgres"
