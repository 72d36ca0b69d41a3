#!/usr/bin/env bash
# Makes what the Streamlit tests need: a Python environment for each release of e2e/streamlit/requirements, in
# target/streamlit/<release>. One that is there and made from the same list is left as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh
. scripts/python.sh

environments=target/streamlit

for list in e2e/streamlit/requirements/*.txt; do
  release=$(basename "$list" .txt)
  if ! is_made "$environments/$release" "$list"; then
    echo "      installing Streamlit $release in $environments/$release: 400 MB, up to a minute"
    make_environment "Streamlit $release" "$environments/$release" "$list"
  fi
done
echo "      $("$environments/${release}/bin/python" --version), Streamlit $(cd e2e/streamlit/requirements && echo *.txt | sed 's/\.txt//g')"
