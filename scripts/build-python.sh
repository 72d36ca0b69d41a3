#!/usr/bin/env bash
# Builds the Python package: dist/vestibule-VERSION-py3-none-any.whl, with dist/vestibule-steps.wasm, which scripts/build-component.sh
# makes.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
. scripts/python.sh

environment=target/python
list=packages/python/requirements.txt
module=dist/vestibule-steps.wasm

if ! [ -f "$module" ]; then
  echo "error: $module is missing: run scripts/build-component.sh --steps, then this again" >&2
  exit 1
fi
if ! is_made "$environment" "$list"; then
  echo "      installing the tools of the Python package in $environment: 90 MB, up to a minute"
  make_environment "the tools of the Python package" "$environment" "$list"
fi
# Without its right to be executed, which is of no use in a wheel.
install -m 644 "$module" packages/python/src/vestibule/vestibule-steps.wasm
rm -f dist/vestibule-*.whl
# The time of the files in the archive: the same sources give the same wheel.
(cd packages/python && SOURCE_DATE_EPOCH=1580601600 "../../$environment/bin/python" -m hatchling build --target wheel --directory ../../dist) >/dev/null
wheel=$(echo dist/vestibule-*.whl)
echo "      $wheel, $(du -h "$wheel" | cut -f1)"
