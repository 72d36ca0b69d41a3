# Sourced. Debian packages: installed when root, named with the command otherwise.

# install_packages WHAT PACKAGE... : makes PACKAGES present; WHAT says in the messages what they are for.
install_packages() {
  local what=$1
  shift
  local command="apt-get install -y --no-install-recommends $*"
  if ! command -v apt-get >/dev/null; then
    echo "error: $what needs the packages $* (Debian's names); this system has no apt-get: install them, then run this again" >&2
    return 1
  fi
  if [ "$(id -u)" -ne 0 ]; then
    echo "error: $what needs packages that are not installed; run: sudo apt-get update && sudo $command" >&2
    return 1
  fi
  echo "      installing for $what: $*"
  local log
  log=$(mktemp)
  # A first try without update: an index that is already there saves the download.
  if DEBIAN_FRONTEND=noninteractive $command >"$log" 2>&1 ||
    { apt-get update >>"$log" 2>&1 && DEBIAN_FRONTEND=noninteractive $command >>"$log" 2>&1; }; then
    rm -f "$log"
  else
    tail -n 20 "$log" >&2
    echo "error: apt-get could not install $*; the lines above say why (whole log: $log)" >&2
    return 1
  fi
}

# unpack_package NAME FOLDER: Debian's package below FOLDER/NAME, without installing it.
unpack_package() {
  mkdir -p "$2/download"
  (cd "$2/download" && rm -f "$1"_*.deb && { apt-get download -qq "$1" 2>/dev/null || { apt-get update -qq && apt-get download -qq "$1"; }; })
  dpkg-deb -x "$2/download/$1"_*.deb "$2/$1"
}
