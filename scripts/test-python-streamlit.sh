#!/usr/bin/env bash
# Tests the Python package in Streamlit itself: its newest release of those that e2e/streamlit tests. Needs dist/vestibule-steps.wasm.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
. scripts/python.sh

environment=target/python-streamlit
list=target/python-streamlit.txt
scripts/build-python.sh
releases=(e2e/streamlit/requirements/*.txt)
# Each package once, Streamlit's list first: what the tests need besides.
awk -F== '!seen[tolower($1)]++' "${releases[-1]}" packages/python/requirements.txt >"$list"
if ! is_made "$environment" "$list"; then
  echo "      installing Streamlit and the tools of the Python package in $environment: 500 MB, up to two minutes"
  make_environment "Streamlit" "$environment" "$list"
fi
"$pip_environment/bin/python" -m pip --python "$environment/bin/python" --quiet --disable-pip-version-check \
  install --no-deps --no-index --force-reinstall dist/vestibule-*.whl
cd packages/python/streamlit
"../../../$environment/bin/python" -m pytest -q -p no:cacheprovider "$@" .
