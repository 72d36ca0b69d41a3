#!/usr/bin/env bash
# Makes target/servers/bin/redis-server, for the tests of the store (hosts/edge/tests/store): the system's own, or Debian's, unpacked.
# Nothing outside of target/ changes: Debian's package would start a server on port 6379.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

folder=$PWD/target/servers
server=$folder/bin/redis-server

main() {
  mkdir -p "$folder/bin"
  works || find_redis
  echo "      $("$server" --version | sed -n 's/^Redis server v=\([^ ]*\).*/redis \1/p')"
}

works() {
  [ -x "$server" ] && "$server" --version >/dev/null 2>&1
}

find_redis() {
  local own
  if own=$(command -v redis-server); then
    ln -sf "$own" "$server"
    return
  fi
  if ! command -v apt-get >/dev/null; then
    echo "error: the tests of the store need Redis 6 or later: install redis-server, then run this again" >&2
    exit 1
  fi
  echo "      unpacking Debian's Redis into target/servers"
  local package
  # The program is in redis-tools; it looks at the name that it is started by.
  for package in redis-tools liblzf1 libjemalloc2 libatomic1; do unpack_package "$package" "$folder"; done
  cat >"$server" <<'SCRIPT'
#!/usr/bin/env bash
servers=$(cd "$(dirname "$0")/.." && pwd)
libraries=$(echo "$servers"/{liblzf1,libjemalloc2,libatomic1}/usr/lib/*-linux-gnu | tr ' ' ':')
export LD_LIBRARY_PATH=$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
exec -a redis-server "$servers/redis-tools/usr/bin/redis-check-rdb" "$@"
SCRIPT
  chmod +x "$server"
  works || install_packages "Redis" redis-server
}

main
