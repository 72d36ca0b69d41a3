#!/usr/bin/env bash
# Makes what the Streamlit tests need: a Python environment for each release of e2e/streamlit/requirements, in
# target/streamlit/<release>. One that is there and made from the same list is left as it is.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

# Of the numpy that the lists name.
need=3.11
environments=target/streamlit

# usable PYTHON : whether PYTHON is new enough and can make environments, which Debian's is without python3-venv.
usable() {
  "$1" -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (${need/./, }))" 2>/dev/null
}

# make_environment RELEASE : fills the environment of RELEASE.
make_environment() {
  local environment=$environments/$1
  echo "      installing Streamlit $1 in $environment: 400 MB, up to a minute"
  rm -rf "$environment"
  "$python" -m venv --without-pip "$environment"
  # The lists are complete. What is imported is compiled at its first import, the rest never.
  if ! "$environments/pip/bin/python" -m pip --python "$environment/bin/python" install \
    --no-deps --no-compile --only-binary :all: --quiet --disable-pip-version-check --requirement "$(list "$1")"; then
    echo "error: pip could not install Streamlit $1; the lines above say why. It needs PyPI, or an index that" >&2
    echo "       PIP_INDEX_URL names; to begin afresh, remove $environments, then run this again" >&2
    return 1
  fi
  cp "$(list "$1")" "$environment/installed.txt"
}

list() {
  echo "e2e/streamlit/requirements/$1.txt"
}

missing=()
for file in e2e/streamlit/requirements/*.txt; do
  release=$(basename "$file" .txt)
  if ! cmp -s "$file" "$environments/$release/installed.txt" || ! [ -x "$environments/$release/bin/python" ]; then
    missing+=("$release")
  fi
done

if [ ${#missing[@]} -gt 0 ]; then
  python=${PYTHON:-python3}
  if ! usable "$python"; then
    if [ -n "${PYTHON:-}" ]; then
      echo "error: PYTHON is $PYTHON, which is no Python $need or newer with venv; set it to one, or unset it" >&2
      exit 1
    fi
    install_packages "the Streamlit tests" python3 python3-venv
    python=/usr/bin/python3
    if ! usable "$python"; then
      echo "error: the system's $("$python" --version) is older than $need; set PYTHON to a newer one, then run this again" >&2
      exit 1
    fi
  fi
  if ! [ -x "$environments/pip/bin/pip" ] || ! [ -x "$environments/pip/bin/python" ]; then
    mkdir -p "$environments"
    "$python" -m venv --clear "$environments/pip"
  fi
  for release in "${missing[@]}"; do
    make_environment "$release"
  done
fi
echo "      $("$environments/${release}/bin/python" --version), Streamlit $(cd e2e/streamlit/requirements && echo *.txt | sed 's/\.txt//g')"
