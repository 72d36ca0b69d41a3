#!/usr/bin/env bash
# Checks what the end-to-end tests need, and installs what it may: Node.js, the packages of e2e/, and Chromium.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

if ! command -v npm >/dev/null; then
  echo "error: npm is not on PATH; install Node.js 20 or newer (https://nodejs.org), then run this again" >&2
  exit 1
fi
major=$(node --print 'process.versions.node.split(".")[0]')
if [ "$major" -lt 20 ]; then
  echo "error: Node.js is version $major, the end-to-end tests need 20 or newer (https://nodejs.org)" >&2
  exit 1
fi

# npm ci empties the folder first; the copy of the lock says for which lock it was filled.
if ! cmp -s e2e/package-lock.json e2e/node_modules/.installed-lock.json; then
  npm ci --prefix e2e --prefer-offline --no-audit --no-fund --loglevel error
  cp e2e/package-lock.json e2e/node_modules/.installed-lock.json
fi

chromium=${CHROMIUM:-/usr/bin/chromium}
if [ ! -x "$chromium" ]; then
  if [ -n "${CHROMIUM:-}" ]; then
    echo "error: CHROMIUM is $CHROMIUM, which is no program; set it to Chromium's path, or unset it" >&2
    exit 1
  fi
  install_packages "the browser test" chromium fonts-dejavu-core
fi
echo "      node $(node --version), $("$chromium" --version 2>/dev/null | tail -n 1)"
