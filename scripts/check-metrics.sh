#!/usr/bin/env bash
# check-metrics.sh [PROGRAM]: has a real Prometheus scrape dist/vestibule with the files of examples/prometheus, and compares what it
# has stored with what was requested. Debian's Prometheus is unpacked into target/servers where it is not installed: its package would
# start a service. Needs what scripts/build.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

program=${1:-$PWD/dist/vestibule}
servers=$PWD/target/servers
example=$PWD/examples/prometheus
patience=30

main() {
  find_prometheus
  command -v openssl >/dev/null || install_packages "the check of metrics" openssl
  promtool check rules "$example/alerts.yml" >/dev/null
  (cd "$example" && promtool check config prometheus.yml >/dev/null && promtool test rules alerts_test.yml >/dev/null)

  folder=$(mktemp -d)
  trap stop EXIT
  check_page
  start_vestibule
  make_requests
  start_prometheus
  compare
  echo "      $("$prometheus" --version 2>&1 | sed -n 's/^prometheus, version \([^ ]*\).*/Prometheus \1/p') has scraped what was requested; its alerts are in order"
}

stop() {
  local running
  for running in $(jobs -p); do kill "$running" 2>/dev/null || true; done
  wait 2>/dev/null || true
  rm -rf "$folder"
}

fail() {
  cat "$folder"/*.log >&2
  echo "error: $1; the logs are above" >&2
  exit 1
}

find_prometheus() {
  if command -v promtool >/dev/null && prometheus=$(command -v prometheus); then return; fi
  prometheus=$servers/prometheus/usr/bin/prometheus
  PATH=$PATH:${prometheus%/*}
  [ -x "$prometheus" ] && return
  if ! command -v apt-get >/dev/null; then
    echo "error: this check needs Prometheus with promtool: install both, then run this again" >&2
    exit 1
  fi
  echo "      unpacking Debian's Prometheus into target/servers"
  unpack_package prometheus "$servers"
}

# The alerts and the queries that docs/metrics.md shows.
check_page() {
  local file query number=0
  sed -n '/^```yaml$/,/^```$/{/^```/d;p}' docs/metrics.md >"$folder/page.yml"
  {
    printf 'groups:\n  - name: queries\n    rules:\n'
    sed -n '/^## Useful queries$/,$s/^    \([^#].*\)/\1/p' docs/metrics.md |
      while IFS= read -r query; do
        printf "      - record: page:query\n        expr: '%s'\n        labels: { query: \"%s\" }\n" "$query" "$((++number))"
      done
  } >"$folder/queries.yml"
  for file in page queries; do
    grep -q 'expr: ' "$folder/$file.yml" || fail "docs/metrics.md has no $file"
    promtool check rules "$folder/$file.yml" >"$folder/promtool.log" 2>&1 || fail "docs/metrics.md: promtool refuses $file"
  done
}

# until_true COMMAND...: tries again until it succeeds, or until patience is at its end.
until_true() {
  local end=$((SECONDS + patience))
  until "$@"; do
    [ "$SECONDS" -lt "$end" ] || return 1
    sleep 0.2
  done
}

# address_of CODE: the address in the line of Vestibule's log with this code.
address_of() {
  sed -n "s/.*\"code\":\"$1\".*\"address\":\"\([^\"]*\)\".*/\1/p" "$folder/vestibule.log" | head -n 1
}

start_vestibule() {
  cat >"$folder/secrets.toml" <<TOML
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "$("$program" cookie-secret)"
client_id = "metrics-client"
client_secret = "$("$program" cookie-secret)"
server_metadata_url = "http://127.0.0.1:9/.well-known/openid-configuration"
[vestibule]
upstream = "http://127.0.0.1:9"
[[vestibule.rule]]
path = "/open"
access = "public"
[[vestibule.rule]]
path = "/**"
TOML
  chmod 600 "$folder/secrets.toml"
  # A certificate for 2 days, so that the alert for it fires.
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost \
    -keyout "$folder/key.pem" -out "$folder/cert.pem" 2>/dev/null
  chmod 600 "$folder/key.pem"
  "$program" serve --config "$folder/secrets.toml" --listen 127.0.0.1:0 --admin 127.0.0.1:0 --log json \
    --tls-cert "$folder/cert.pem" --tls-key "$folder/key.pem" >"$folder/vestibule.log" 2>&1 &
  until_true grep -q listener.listening "$folder/vestibule.log" || fail "vestibule does not listen"
  listen=$(address_of listener.listening) admin=$(address_of admin.listening)
  "$program" health --admin "$admin" >/dev/null || fail "vestibule health fails"
}

# ask PATH STATUS: requests it, and fails if the answer is another.
ask() {
  local status
  status=$(curl --silent --insecure --noproxy '*' --output /dev/null --write-out '%{http_code}' "https://$listen$1")
  [ "$status" = "$2" ] || fail "$1 is answered $status, not $2"
}

make_requests() {
  local i
  # There is no application.
  for i in 1 2 3; do ask /open 502; done
  for i in 1 2; do ask /private 401; done
  ask /.vestibule/login 503
}

start_prometheus() {
  sed "s/127.0.0.1:9180/$admin/; s/15s/1s/" "$example/prometheus.yml" >"$folder/prometheus.yml"
  cp "$example/alerts.yml" "$folder/"
  "$prometheus" --config.file="$folder/prometheus.yml" --storage.tsdb.path="$folder/data" --web.listen-address=127.0.0.1:0 \
    --log.level=info >"$folder/prometheus.log" 2>&1 &
  until_true grep -q 'msg="Listening on"' "$folder/prometheus.log" || fail "Prometheus does not listen"
  api=http://$(sed -n 's/.*msg="Listening on" address=\([^ ]*\).*/\1/p' "$folder/prometheus.log" | head -n 1)/api/v1
}

# value QUERY: the values that Prometheus answers, one a line.
value() {
  curl --silent --noproxy '*' --get "$api/query" --data-urlencode "query=$1" |
    python3 -c 'import json, sys; print(*(one["value"][1] for one in json.load(sys.stdin)["data"]["result"]), sep="\n")'
}

# is QUERY VALUE
is() {
  [ "$(value "$1" 2>/dev/null)" = "$2" ]
}

compare() {
  until_true is 'up{job="vestibule"}' 1 || fail "Prometheus cannot scrape: $(curl --silent --noproxy '*' "$api/targets")"
  local query expected
  while IFS='|' read -r query expected; do
    until_true is "$query" "$expected" || fail "$query is '$(value "$query")', not '$expected'"
  done <<'QUERIES'
vestibule_http_requests_total{outcome="failed",status="5xx"}|3
vestibule_http_requests_total{outcome="answered",status="4xx"}|2
vestibule_http_requests_total{outcome="answered",status="5xx"}|1
vestibule_rule_decisions_total{rule="1",outcome="admitted"}|3
vestibule_rule_decisions_total{rule="2",outcome="answered"}|2
vestibule_events_total{code="provider.unreachable",provider="default"}|1
vestibule_provider_request_errors_total{provider="default",kind="metadata",reason="unreachable"}|1
vestibule_connections_accepted_total|6
vestibule_configuration_last_reload_successful|1
count(vestibule_build_info)|1
count({__name__=~"vestibule_.+"}) < bool 2000|1
ALERTS{alertname="VestibuleCertificateExpires"}|1
QUERIES
  local rules
  rules=$(curl --silent --noproxy '*' "$api/rules" | grep -o '"health":"[a-z]*"' | sort | uniq -c | tr -s ' ')
  [ "$rules" = ' 5 "health":"ok"' ] || fail "Prometheus cannot evaluate all alerts: $rules"
}

main
