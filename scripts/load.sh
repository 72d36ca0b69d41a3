#!/usr/bin/env bash
# load.sh [SECONDS]: anonymous, authenticated and hostile visitors at the same time, while the configuration is replaced
# every few seconds. Fails when anybody gets an answer that is not theirs, when memory grows, or when something is left
# over at the end. Needs what scripts/build.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

seconds=${1:-300}
command -v wrk >/dev/null || install_packages "the load run" wrk
folder=$(mktemp -d)
demo='' edge='' swapping=''
stop() {
  kill $swapping $edge $demo 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$folder"
}
trap stop EXIT

fail() {
  echo "error: $1" >&2
  exit 1
}

# wait_for FILE PATTERN: the first match, when it is there.
wait_for() {
  for _ in $(seq 1 300); do
    if grep -om1 "$2" "$1" 2>/dev/null; then return; fi
    sleep 0.2
  done
  cat "$1" >&2
  fail "no $2 within a minute in what the program writes, which is above"
}

# The demo's provider and application, before an edge of our own: so that the memory is the edge's alone.
target/release/vestibule-demo --listen 127.0.0.1:0 >"$folder/demo" 2>&1 &
demo=$!
provider=$(wait_for "$folder/demo" '^Provider: .*')
provider=${provider#Provider: }
application=$(wait_for "$folder/demo" 'http://[0-9.:]*$')
secret=$(dist/vestibule cookie-secret)
configure() {
  cat >"$folder/next.toml" <<TOML
[auth]
redirect_uri = "http://127.0.0.1:{port}/oauth2callback"
cookie_secret = "$secret"
client_id = "vestibule-demo"
client_secret = "vestibule-demo-secret"
server_metadata_url = "${provider%/}/.well-known/openid-configuration"
# $1
TOML
  mv "$folder/next.toml" "$folder/secrets.toml"
}
configure first
VESTIBULE_LOG=error,vestibule_edge::cli::serve=info dist/vestibule serve --config "$folder/secrets.toml" --upstream "$application" \
  --listen 127.0.0.1:0 >"$folder/edge" 2>&1 &
edge=$!
url=$(wait_for "$folder/edge" 'http://127[0-9.:]*')

# A login, as a browser does it.
jar=$folder/jar
consent=$(curl -s -o /dev/null -w '%{redirect_url}' -c "$jar" -H 'Accept: text/html' "$url/")
callback=$(curl -s -o /dev/null -w '%{redirect_url}' -d person=alice "${consent/\/authorize/\/consent}")
curl -s -o /dev/null -b "$jar" -c "$jar" "$callback"
cookie=$(awk '/vestibule_session/ {print $6 "=" $7}' "$jar")
[ -n "$cookie" ] || fail "the login before the load gave no session"

memory() { awk '/^VmRSS/ {print int($2 / 1024)}' "/proc/$edge/status"; }
mappings() { wc -l <"/proc/$edge/maps"; }
connections() { find "/proc/$edge/fd" -lname 'socket:*' | wc -l; }

before=$(connections)
echo "      $seconds seconds, three kinds of visitors, 8 connections each; memory at the start: $(memory) MiB"
for kind in anonymous authenticated hostile; do
  wrk -t1 -c8 "-d${seconds}s" --timeout 30s -s benches/load/visitors.lua "$url" -- "$kind" "$cookie" >"$folder/$kind" 2>&1 &
done
(
  number=0
  while sleep 3; do
    number=$((number + 1))
    configure "$number"
    kill -HUP "$edge"
    echo "$number" >"$folder/swaps"
  done
) &
swapping=$!

# Memory is flat when no later reading exceeds those of the first third.
first=0 later=0 first_mappings=0 later_mappings=0 started=$SECONDS
while [ $((SECONDS - started)) -lt "$seconds" ]; do
  sleep 2
  kill -0 "$edge" 2>/dev/null || { tail -5 "$folder/edge" >&2; fail "the edge has ended"; }
  now=$(memory) maps=$(mappings)
  if [ $((SECONDS - started)) -lt $((seconds / 3)) ]; then
    first=$((now > first ? now : first)) first_mappings=$((maps > first_mappings ? maps : first_mappings))
  else
    later=$((now > later ? now : later)) later_mappings=$((maps > later_mappings ? maps : later_mappings))
  fi
done
kill "$swapping" 2>/dev/null || true
for _ in $(seq 1 30); do pgrep -x wrk -P $$ >/dev/null || break; sleep 1; done

# check KIND STATUS…: every answer was one of these, and there were some.
check() {
  local kind=$1 line
  shift
  line=$(grep '^answers:' "$folder/$kind") || { cat "$folder/$kind" >&2; fail "wrk has counted nothing"; }
  echo "      $kind: $(grep '^Requests/sec' "$folder/$kind" | tr -s ' ') $(grep -o 'failed:.*' "$folder/$kind") $line"
  for word in ${line#answers:}; do
    case " $* " in
      *" ${word%%=*} "*) ;;
      *) fail "$kind visitors got the status ${word%%=*}; only $* are theirs" ;;
    esac
  done
  [ "$line" != "answers: " ] || fail "$kind visitors got no answer"
}
check anonymous 200 302 303 401 429
check authenticated 200
check hostile 302 303 400 401 404 405 414 429 431 501
grep -q 'failed: connect=0 read=0 write=0 timeout=0' "$folder/authenticated" || fail "connections of people who are logged in have failed"
if grep -q ERROR "$folder/edge"; then
  grep -m5 ERROR "$folder/edge" >&2
  fail "the edge has logged errors; the first ones are above"
fi
for _ in $(seq 1 100); do [ "$(connections)" -le $((before + 2)) ] && break; sleep 1; done
after=$(connections)
echo "      configurations: $(cat "$folder/swaps"); memory: $first MiB, later at most $later MiB; mappings: $first_mappings, later $later_mappings; sockets: $before, at the end $after"
[ "$later" -le $((first + first / 5 + 16)) ] || fail "memory grows: at most $first MiB in the first third, $later MiB later"
[ "$later_mappings" -le $((first_mappings + first_mappings / 5 + 64)) ] || fail "mappings grow: instances are not given back"
[ "$after" -le $((before + 2)) ] || fail "$after sockets are open after the load, $before before it"
code=$(curl -s -o /dev/null -w '%{http_code}' -H "Cookie: $cookie" "$url/")
[ "$code" = 200 ] || fail "after the load, who is logged in gets $code"
