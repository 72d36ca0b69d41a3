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

# unpack_foreign_package NAME ARCHITECTURE FOLDER: the same of another architecture, with an index of its own: this system's is left alone.
unpack_foreign_package() {
  local index=$3/index options
  command -v apt-get >/dev/null || {
    echo "error: Debian's package $1:$2 is needed, and this system has no apt-get" >&2
    return 1
  }
  mkdir -p "$3/download" "$index/lists/partial" "$index/cache/archives/partial"
  options=(-qq -o "APT::Architecture=$2" -o "APT::Architectures=$2" -o "Dir::State::Lists=$index/lists" -o "Dir::Cache=$index/cache"
    -o Dir::State::status=/dev/null -o APT::Sandbox::User=root)
  apt-get "${options[@]}" update
  (cd "$3/download" && rm -f "$1"_*.deb && apt-get "${options[@]}" download "$1")
  dpkg-deb -x "$3/download/$1"_*.deb "$3/$1"
  rm -rf "$index"
}
