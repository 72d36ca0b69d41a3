#!/usr/bin/env bash
# test-npm.sh [ARGUMENT...] : packs the npm package, dist/vestibule-VERSION.tgz, installs it into an empty folder, and tests it there. The
# arguments are those of `node --test`. Needs dist/vestibule-steps.wasm, which scripts/build-component.sh makes.
set -euo pipefail
cd "$(dirname "$0")/.."

module=dist/vestibule-steps.wasm
folder=target/npm
if ! [ -f "$module" ]; then
  echo "error: $module is missing: run scripts/build-component.sh --steps, then this again" >&2
  exit 1
fi
install -m 644 "$module" packages/npm/src/vestibule-steps.wasm
rm -f dist/vestibule-*.tgz
npm pack --silent --pack-destination dist ./packages/npm >/dev/null
package=$(echo dist/vestibule-*.tgz)
echo "      $package, $(du -h "$package" | cut -f1)"
rm -rf "$folder"
mkdir -p "$folder"
cp packages/npm/test/*.js "$folder"
cd "$folder"
echo '{"private": true, "type": "module"}' >package.json
# It depends on nothing.
npm install --silent --offline --no-audit --no-fund "../../$package"
node --test --test-timeout=120000 "$@" http.test.js
