#!/usr/bin/env bash
# check-confined.sh: runs dist/vestibule as a service manager confines it, and prints what it took: as the user nobody, with a
# read-only root, in a control group of 64 MiB, under MemoryDenyWriteExecute. Needs root, Linux, and what scripts/build.sh made.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${1:-$PWD/dist/vestibule}
listen=127.0.0.1:8599
limit=$((64 << 20))

if [ "$(id -u)" -ne 0 ] || [ "$(uname)" != Linux ]; then
  echo "error: this needs root and Linux" >&2
  exit 1
fi

folder=$(mktemp -d)
group=''
stop() {
  [ -z "${running:-}" ] || kill "$running" 2>/dev/null || true
  wait 2>/dev/null || true
  [ -z "$group" ] || rmdir "$group" 2>/dev/null || true
  rm -rf "$folder"
}
trap stop EXIT
chmod 755 "$folder"
# Root's, and nobody's to read: of what others can change, nothing is served.
install -m 755 "$program" "$folder/vestibule"
cat >"$folder/secrets.toml" <<TOML
[auth]
redirect_uri = "http://$listen/oauth2callback"
cookie_secret = "$("$program" cookie-secret)"
client_id = "confined"
client_secret = "$("$program" cookie-secret)"
server_metadata_url = "http://127.0.0.1:9/.well-known/openid-configuration"
TOML
chown root:nogroup "$folder/secrets.toml"
chmod 640 "$folder/secrets.toml"

# Either form of control groups.
if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
  group=/sys/fs/cgroup/vestibule-confined
  mkdir -p "$group"
  echo "$limit" >"$group/memory.max"
  peak=$group/memory.peak
else
  group=/sys/fs/cgroup/memory/vestibule-confined
  mkdir -p "$group"
  echo "$limit" >"$group/memory.limit_in_bytes"
  peak=$group/memory.max_usage_in_bytes
fi

confined='
  echo $$ >"$1/cgroup.procs"
  mount --make-rprivate /
  mount -o remount,bind,ro /
  cd /
  exec setpriv --reuid nobody --regid nogroup --clear-groups --no-new-privs perl -e "
    syscall(\$ARGV[0], 65, 1, 0, 0, 0) == 0 or die qq(PR_SET_MDWE: \$!\n);
    shift; exec @ARGV" "$4" "$2/vestibule" serve --config "$2/secrets.toml" --listen "$3" --upstream http://127.0.0.1:9'
# Perl has no name for prctl.
case $(uname -m) in x86_64) prctl=157 ;; *) prctl=167 ;; esac
unshare --mount bash -euc "$confined" confined "$group" "$folder" "$listen" "$prctl" >"$folder/log" 2>&1 &
running=$!

for _ in $(seq 100); do
  if status=$(curl --silent --output /dev/null --write-out '%{http_code}' "http://$listen/"); then break; fi
  sleep 0.1
done
if [ "${status:-}" != 401 ]; then
  cat "$folder/log" >&2
  echo "error: the answer is '${status:-}', not 401; the log is above" >&2
  exit 1
fi
# What is said at the end is looked at here, and not taken from the commands above.
fail() {
  cat "$folder/log" >&2
  echo "error: $1; the log is above" >&2
  exit 1
}
grep -q "^Uid:\s*$(id -u nobody)\s" "/proc/$running/status" || fail "it does not run as nobody"
grep -q vestibule-confined "/proc/$running/cgroup" || fail "it is not in the control group"
awk '$5 == "/" { options = $6 } END { exit options !~ /(^|,)ro(,|$)/ }' "/proc/$running/mountinfo" || fail "its root is not read-only"
[ "$(cat "$peak")" -gt 0 ] || fail "the control group has counted nothing"
grep -E '^(Uid|VmHWM|VmRSS|RssAnon|RssFile)' "/proc/$running/status"
echo "control group, at most: $(($(cat "$peak") >> 10)) kB of $((limit >> 10)) kB"
if grep -q component "$folder/log"; then fail "a component was compiled"; fi
echo "It serves as nobody, with a read-only root, in 64 MiB, under MemoryDenyWriteExecute."
