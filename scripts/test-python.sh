#!/usr/bin/env bash
# test-python.sh [ARGUMENT...] : builds the Python package, installs the wheel into an environment without it, and tests it there in
# uvicorn and hypercorn. The arguments are pytest's.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
. scripts/python.sh

environment=target/python
scripts/build-python.sh
pip=("$pip_environment/bin/python" -m pip --python "$environment/bin/python" --quiet --disable-pip-version-check)
"${pip[@]}" install --no-deps --no-index --force-reinstall dist/vestibule-*.whl
# What it depends on is said in it, and is there.
"${pip[@]}" check
"$environment/bin/python" -m mypy --strict packages/python/src/vestibule
# From a folder where only the wheel can be imported.
cd packages/python/tests
"../../../$environment/bin/python" -m pytest -q -p no:cacheprovider "$@" .
