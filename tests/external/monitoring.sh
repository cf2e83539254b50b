#!/usr/bin/env bash
# The monitoring examples and the metrics of a running server, checked by Prometheus' own promtool:
#   tests/external/monitoring.sh EXECUTABLE
# Needs curl, Python 3 and promtool (Debian: the package `prometheus`). Without promtool it prints SKIPPED and passes.
set -euo pipefail
executable=$(realpath "$1")
cd "$(dirname "$0")/../../examples/monitoring"
if ! command -v promtool >/dev/null; then
    echo "SKIPPED: no promtool"
    exit 0
fi
work=$(mktemp -d)
server=
finish() {
    [ -z "$server" ] || kill "$server" 2>/dev/null || true
    rm -rf "$work"
}
trap finish EXIT

promtool check config prometheus.yml
promtool check rules alerts.yml alerts-of-guides.yml
promtool test rules alerts.test.yml

# The dashboard's queries as rules, with the variables replaced.
python3 - dashboard.json >"$work/dashboard.yml" <<'END'
import json, sys
board = json.load(open(sys.argv[1]))
queries = [target["expr"] for panel in board["panels"] for target in panel["targets"]]
assert len(queries) >= 10, queries
for variable, value in {"$__rate_interval": "5m", "$__range": "1h", "$job": ".*", "$instance": ".*"}.items():
    queries = [query.replace(variable, value) for query in queries]
assert not any("$" in query for query in queries), queries
rules = [{"record": f"panel:query:{number}", "expr": query} for number, query in enumerate(queries)]
json.dump({"groups": [{"name": "dashboard", "rules": rules}]}, sys.stdout)
END
promtool check rules "$work/dashboard.yml"

"$executable" engine --port 0 --metrics 127.0.0.1:0 --data-dir "$work/data" 2>"$work/log" &
server=$!
address() {
    sed -n "s/.*$1 http:\/\/\(127[0-9.:]*\).*/\1/p" "$work/log"
}
waited=0
until [ -n "$(address 'metrics are served at')" ] && [ -n "$(address 'engine answers at')" ]; do
    kill -0 "$server" && [ $((waited += 1)) -lt 300 ] || { cat "$work/log"; exit 1; }
    sleep 0.1
done
post() {
    curl -sf -H 'Content-Type: application/json' -d "$2" "http://$(address 'engine answers at')/$1" >>"$work/answers"
}
post create_draft '{}'
post query_script '{"draft_id": "dfd_cat_1_00000000"}'
curl -sf "http://$(address 'metrics are served at')/metrics" >"$work/metrics"
grep -q '^mcp_bridge_requests_total{.*tool="create_draft"} 1$' "$work/metrics"
grep -q '^mcp_bridge_errors_total{.*tool="query_script"} 1$' "$work/metrics"
promtool check metrics <"$work/metrics"
echo "metrics, rules, dashboard and configuration: accepted by promtool"
