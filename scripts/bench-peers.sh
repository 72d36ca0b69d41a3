#!/usr/bin/env bash
# Compares what the login costs in other proxies: mod_auth_openidc, Envoy's oauth2 and jwt_authn, nginx with auth_request, and
# `vestibule serve`. Needs what scripts/build.sh made. Apache is unpacked into target/servers, and never runs as a service.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

folder=$PWD/target/servers
# Debian's, with the libraries that a system without Apache lacks.
apache=(apache2-bin libapache2-mod-auth-openidc libapr1 libaprutil1 libcjose0 libhiredis0.14)

main() {
  scripts/check-servers.sh
  [ -x "$folder/apache/usr/sbin/apache2" ] || unpack_apache
  libraries_of_apache
  cargo bench --workspace --bench serving --quiet -- --peers
}

unpack_apache() {
  if ! command -v apt-get >/dev/null; then
    echo "error: the comparison needs Debian's packages ${apache[*]}; this system has no apt-get to download them with" >&2
    exit 1
  fi
  echo "      unpacking Debian's Apache and mod_auth_openidc into target/servers"
  rm -rf "$folder/apache" "$folder/download/apache"
  mkdir -p "$folder/download/apache"
  (cd "$folder/download/apache" && { apt-get download -qq "${apache[@]}" 2>/dev/null || { apt-get update -qq && apt-get download -qq "${apache[@]}"; }; })
  local package
  for package in "$folder"/download/apache/*.deb; do dpkg-deb -x "$package" "$folder/apache"; done
}

# What else the two are linked with is in most systems.
libraries_of_apache() {
  local libraries
  libraries=$folder/apache/usr/lib/$(uname -m)-linux-gnu
  local programs=("$folder/apache/usr/sbin/apache2" "$folder/apache/usr/lib/apache2/modules/mod_auth_openidc.so")
  if LD_LIBRARY_PATH=$libraries ldd "${programs[@]}" | grep -q 'not found'; then
    install_packages "Apache" libcurl4 libjansson4 libpcre2-8-0 libssl3
  fi
}

main
