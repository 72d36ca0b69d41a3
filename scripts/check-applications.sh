#!/usr/bin/env bash
# Makes what the tests of applications need: Chromium, Python environments with the packages of e2e/applications/requirements, in
# target/applications, and the packages of e2e/applications/package.json. What is there and made from the same list stays.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
. scripts/python.sh

environments=target/applications
folder=e2e/applications

scripts/check-browser.sh
for list in "$folder"/requirements/*.txt; do
  name=$(basename "$list" .txt)
  if ! is_made "$environments/$name" "$list"; then
    echo "      installing the applications of $list in $environments/$name: up to 1 GB, some minutes"
    make_environment "the applications of $list" "$environments/$name" "$list"
  fi
done

# npm ci empties the folder first; the copy of the lock says for which lock it was filled.
if ! cmp -s "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"; then
  npm ci --prefix "$folder" --prefer-offline --no-audit --no-fund --loglevel error
  cp "$folder/package-lock.json" "$folder/node_modules/.installed-lock.json"
fi
if ! command -v prometheus >/dev/null; then
  echo "      prometheus is not on PATH (Debian: apt-get install prometheus): its test is skipped"
fi
