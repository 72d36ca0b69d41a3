# Sourced, after packages.sh. Python environments, each made from a complete list of packages.

# Of the numpy and the django-allauth that the lists name.
need=3.11
pip_environment=target/pip

# is_made ENVIRONMENT LIST : whether ENVIRONMENT is there and made from LIST as it is now.
is_made() {
  cmp -s "$2" "$1/installed.txt" && [ -x "$1/bin/python" ]
}

# make_environment WHAT ENVIRONMENT LIST : fills ENVIRONMENT with the packages of LIST; WHAT says in messages what they are.
make_environment() {
  local what=$1 environment=$2 list=$3
  local python
  find_python "$what"
  if ! [ -x "$pip_environment/bin/pip" ] || ! [ -x "$pip_environment/bin/python" ]; then
    mkdir -p "$(dirname "$pip_environment")"
    "$python" -m venv --clear "$pip_environment"
  fi
  rm -rf "$environment"
  mkdir -p "$(dirname "$environment")"
  "$python" -m venv --without-pip "$environment"
  # The lists are complete. What is imported is compiled at its first import, the rest never.
  if ! "$pip_environment/bin/python" -m pip --python "$environment/bin/python" install \
    --no-deps --no-compile --only-binary :all: --quiet --disable-pip-version-check --requirement "$list"; then
    echo "error: pip could not install $what; the lines above say why. It needs PyPI, or an index that" >&2
    echo "       PIP_INDEX_URL names; to begin afresh, remove $environment and $pip_environment, then run this again" >&2
    return 1
  fi
  cp "$list" "$environment/installed.txt"
}

# find_python WHAT : sets `python` to one that can make environments, and installs the system's if need be.
find_python() {
  python=${PYTHON:-python3}
  if usable "$python"; then
    return
  fi
  if [ -n "${PYTHON:-}" ]; then
    echo "error: PYTHON is $PYTHON, which is no Python $need or newer with venv; set it to one, or unset it" >&2
    return 1
  fi
  install_packages "$1" python3 python3-venv
  python=/usr/bin/python3
  if ! usable "$python"; then
    echo "error: the system's $("$python" --version) is older than $need; set PYTHON to a newer one, then run this again" >&2
    return 1
  fi
}

# usable PYTHON : whether PYTHON is new enough and can make environments, which Debian's is without python3-venv.
usable() {
  "$1" -c "import sys, venv, ensurepip; sys.exit(sys.version_info < (${need/./, }))" 2>/dev/null
}
