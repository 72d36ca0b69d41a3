#!/usr/bin/env bash
# check-install.sh [PART...]: installs what scripts/release.sh made where nothing else is, by the steps of docs/install.md, and logs in at each:
#
#   archive   in an empty root
#   package   in a Debian without anything optional, by dpkg; then with a newer version, and removed again
#   image     unpacked, as its user, with a read-only root
#   booted    the package in a Debian that systemd has booted, in namespaces: service, audit, reload, crash, store, socket unit (booted.sh); only if named
#
# and checks the systemd unit, its filter of system calls included. The provider and the application are those of the demo, outside
# of the roots. Needs Linux and root. What is downloaded is kept in target/install. With ARCH, what was made for the other processor
# runs in an emulator, and package and unit are left out: dpkg does not install another architecture's package here.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/release-target.sh
. scripts/steps.sh
. scripts/booted.sh

release=$PWD/dist/release
demo=$PWD/target/release/vestibule-demo
kept=$PWD/target/install
# The ones that docs/install.md and the packaged configuration have.
listen=127.0.0.1:8501
# A unit that is less protected than this, of 100, fails.
most_exposure=15
running=''

main() {
  if [ "$(id -u)" -ne 0 ] || [ "$(uname)" != Linux ]; then
    echo "error: the tests of the installation need root and Linux" >&2
    exit 1
  fi
  ls "$release"/SHA256SUMS "$demo" >/dev/null
  folder=$(mktemp -d)
  chmod 755 "$folder"
  trap clean EXIT
  install_tools
  start_demo

  local part parts=("$@")
  if [ $# -eq 0 ]; then
    parts=(sums parts archive image package unit)
    if [ -n "$tools" ]; then parts=(sums parts archive image); fi
  fi
  steps ${#parts[@]}
  for part in "${parts[@]}"; do
    case $part in
      sums) step "verifying the sums, and packing once more" ;;
      parts) step "the list of parts" ;;
      archive) step "the archive, in an empty root" ;;
      image) step "the image, as its user with a read-only root" ;;
      package) step "the Debian package, in a Debian without anything optional" ;;
      unit) step "the systemd unit" ;;
      booted) step "the Debian package, under systemd" ;;
      *) fail "there is no part '$part'" ;;
    esac
    "check_$part"
  done
  step_ended
  echo "What is published for $machine was installed, and logged in with: ${parts[*]}."
  [ -z "$tools" ] || echo "NOT run: the Debian package and the systemd unit, which need a system for $machine, and a processor of that kind."
}

clean() {
  stop
  power_off
  [ -z "${demo_id:-}" ] || kill "$demo_id" 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf --one-file-system "$folder"
}

fail() {
  [ ! -s "$folder/log" ] || cat "$folder/log" >&2
  echo "error: $1" >&2
  exit 1
}

install_tools() {
  local packages=()
  command -v curl >/dev/null || packages+=(curl)
  command -v debootstrap >/dev/null || packages+=(debootstrap)
  command -v umoci >/dev/null || packages+=(umoci)
  command -v strace >/dev/null || packages+=(strace)
  command -v ps >/dev/null || packages+=(procps)
  command -v systemd-analyze >/dev/null || packages+=(systemd)
  if [ ${#packages[@]} -gt 0 ]; then install_packages "the tests of the installation" "${packages[@]}"; fi
}

# A provider on a port of its own, and an application behind nothing but a port.
start_demo() {
  "$demo" --listen 127.0.0.1:0 >"$folder/demo" 2>"$folder/demo.log" &
  demo_id=$!
  for _ in $(seq 100); do
    grep -q '^Open ' "$folder/demo" && break
    sleep 0.1
  done
  provider=$(sed -n 's/^Provider: //p' "$folder/demo")
  application=$(sed -n 's/^Application.*: //p' "$folder/demo")
  [ -n "$application" ] || { cat "$folder/demo.log" >&2; fail "the demo does not start"; }
}

# configure FILE: fills in the packaged configuration, as its comments say.
configure() {
  sed -i -e "s,https://APP.EXAMPLE.COM,http://$listen," -e "s,CLIENT-ID,vestibule-demo," \
    -e "s,https://PROVIDER.EXAMPLE.COM/,${provider%/}/," -e "s,http://127.0.0.1:8080,$application," -e "s,EXAMPLE.COM,example.com," "$1"
}

# start COMMAND...: runs it, and waits until it answers.
start() {
  # A group of its own, to be stopped as one.
  set -m
  "$@" >"$folder/log" 2>&1 &
  running=$!
  set +m
  for _ in $(seq 100); do
    if curl --silent --output /dev/null "http://$listen/"; then return; fi
    kill -0 "$running" 2>/dev/null || fail "the program ends at once; its log is above"
    sleep 0.1
  done
  fail "the program does not answer; its log is above"
}

stop() {
  [ -z "$running" ] || kill -- "-$running" 2>/dev/null || true
  wait "$running" 2>/dev/null || true
  running=''
}

# As a person would: open the application, choose an account, arrive.
log_in() {
  local jar=$folder/cookies page form
  rm -f "$jar"
  fetch() { curl --silent --show-error --fail --location --max-time 20 --cookie "$jar" --cookie-jar "$jar" --header 'Accept: text/html' "$@"; }
  page=$(fetch "http://$listen/") || fail "the login cannot be started; the log is above"
  form=$(sed -n 's/.*<form method="post" action="\([^"]*\)".*/\1/p' <<<"$page" | sed 's/&#38;/\&/g; s/&amp;/\&/g')
  [ -n "$form" ] || fail "the provider shows no choice of accounts: $page"
  page=$(fetch --data person=alice "${provider%/}$form") || fail "the login fails; the log is above"
  grep -q 'alice@example.com' <<<"$page" || fail "the application does not get the user: $page"
  for _ in $(seq 20); do
    read_journal
    if grep -q '"code":"login.succeeded"' "$folder/log"; then return; fi
    sleep 0.1
  done
  fail "the log has no login; it is above"
}

# in_root ROOT: sets `emulator` to the words before a program for $machine in this root, where the emulator is then the only addition.
in_root() {
  emulator=()
  [ -n "$tools" ] || return 0
  cp "${runner[0]}" "$1/emulator"
  emulator=(/emulator)
}

# confined ROOT VARIABLES OPTION... ROOT COMMAND...: chroot with these options and this environment, and nothing can be written.
# Of /dev there is what every container has and the program needs.
confined() {
  local root=$1 variables=$2
  shift 2
  unshare --mount bash -euc 'root=$1 variables=$2; shift 2
    mount --make-rprivate /
    mount --bind "$root" "$root"
    mkdir -p "$root/dev"
    for device in null random urandom; do
      [ -e "$root/dev/$device" ] || touch "$root/dev/$device"
      mount --bind "/dev/$device" "$root/dev/$device"
    done
    mount -o remount,bind,ro "$root"
    exec env -i $variables "$(command -v chroot)" "$@"' confined "$root" "$variables" "$@"
}

# Packed once more, of the same stage, everything is the same.
check_sums() {
  (cd "$release" && sha256sum --check --quiet SHA256SUMS)
  local stage=$made/stage version file again=$folder/again
  mkdir "$again"
  version=$("${runner[@]}" "$stage/vestibule" --version | cut -d ' ' -f 2)
  SOURCE_DATE_EPOCH=$(stat --format %Y "$stage/vestibule")
  export SOURCE_DATE_EPOCH
  packaging/tarball.sh "$stage" "$again/vestibule-$version-$machine-linux.tar.gz"
  packaging/deb.sh "$stage" "$version-1" "$again/vestibule_${version}-1_$architecture.deb"
  packaging/image.sh "$stage" "$version" "$again/vestibule-$version-$machine-linux-oci.tar"
  packaging/manifest.py "$release" "$version" "$(sed -n 's/^ "revision": "\(.*\)",$/\1/p' "$release/manifest.json")" |
    cmp - "$release/manifest.json" || fail "the manifest is not that of the files"
  for file in "$again"/*; do cmp "$file" "$release/$(basename "$file")" || fail "$(basename "$file") is not the same when it is packed again"; done
  rm -r "$again"
}

check_parts() {
  if [ ! -d "$kept/python/cyclonedx" ]; then
    python3 -m pip --version >/dev/null 2>&1 || install_packages "the tests of the installation" python3-pip
    python3 -m pip install --quiet --no-warn-conflicts --disable-pip-version-check --root-user-action ignore \
      --target "$kept/python" 'cyclonedx-python-lib[json-validation]==11.5.0' >"$folder/log" 2>&1 || fail "the schema of CycloneDX cannot be installed"
  fi
  PYTHONPATH=$kept/python packaging/check_sbom.py "$(echo "$release"/vestibule-*-"$machine"-linux.cdx.json)" || fail "the list of parts is not valid"
}

check_archive() {
  local archive root=$folder/empty program emulator
  archive=$(echo "$release"/vestibule-*-"$machine"-linux.tar.gz)
  mkdir "$root"
  tar --extract --gzip --file "$archive" --directory "$root" --strip-components 1
  program=("${runner[@]}" "$root/vestibule")
  in_root "$root"
  "${program[@]}" carry dist/vestibule-wide.wasm || fail "the program carries another component"
  for page in vestibule vestibule-serve vestibule-check vestibule-cookie-secret vestibule-sessions vestibule-sessions-end; do [ -s "$root/man/$page.1" ] || fail "$page.1 is not in the archive"; done
  bash -n "$root/completions/vestibule.bash" || fail "the completions are no bash"
  configure "$root/vestibule.toml"
  (umask 077 && "${program[@]}" cookie-secret >"$root/cookie-secret" && printf vestibule-demo-secret >"$root/client-secret")
  chgrp 65534 "$root"/*-secret && chmod 640 "$root"/*-secret "$root/vestibule.toml" && chgrp 65534 "$root/vestibule.toml"
  confined "$root" "" --userspec 65534:65534 "$root" "${emulator[@]}" /vestibule check --config /vestibule.toml --online --strict >"$folder/log" 2>&1 ||
    fail "the configuration is not accepted; the reasons are above"
  start confined "$root" "" --userspec 65534:65534 "$root" "${emulator[@]}" /vestibule serve --config /vestibule.toml --log json
  log_in
  stop
}

check_image() {
  local layout=$folder/layout bundle=$folder/bundle root user emulator
  mkdir "$layout"
  tar --extract --file "$(echo "$release"/vestibule-*-"$machine"-linux-oci.tar)" --directory "$layout"
  packaging/check_image.py "$layout" || fail "the image is not in order"
  umoci unpack --image "$layout:$(umoci list --layout "$layout")" "$bundle"
  root=$bundle/rootfs
  read_config() { python3 -c 'import json, sys
process = json.load(open(sys.argv[1]))["process"]
print(process["user"]["uid"]); print(*process["args"], sep="\n")' "$bundle/config.json"; }
  mapfile -t process < <(read_config)
  user=${process[0]}
  [ "$user" -ne 0 ] || fail "the image runs as root"
  [ "$(find "$root" -perm /6000 | wc -l)" -eq 0 ] || fail "the image has programs with more rights"
  # What an operator mounts.
  cp packaging/vestibule.toml "$root/etc/vestibule/"
  configure "$root/etc/vestibule/vestibule.toml"
  dist/vestibule cookie-secret >"$root/etc/vestibule/cookie-secret"
  printf vestibule-demo-secret >"$root/etc/vestibule/client-secret"
  chgrp "$user" "$root"/etc/vestibule/* && chmod 640 "$root"/etc/vestibule/*
  in_root "$root"
  start confined "$root" "" --userspec "$user:$user" "$root" "${emulator[@]}" "${process[@]:1}"
  log_in
  stop
}

# The smallest one that there is, from where this system has its own packages.
make_debian() {
  local suite mirror
  # shellcheck disable=SC1091
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  if [ ! -s "$kept/$suite.tar" ]; then
    mkdir -p "$kept"
    mirror=$(apt-get indextargets --format '$(REPO_URI) $(RELEASE)' 'Created-By: Packages' | awk -v suite="$suite" '$2 == suite { print $1; exit }')
    eval "$(apt-config shell http_proxy Acquire::http::Proxy)"
    export http_proxy
    debootstrap --variant=minbase "$suite" "$kept/unfinished" "$mirror" >"$kept/log" 2>&1 || { tail -n 5 "$kept/log" >&2; fail "there is no Debian; see $kept/log"; }
    rm -rf "$kept"/unfinished/var/cache/apt/archives/*.deb
    tar --create --file "$kept/$suite.tar.new" --directory "$kept/unfinished" .
    rm -rf "$kept/unfinished"
    mv "$kept/$suite.tar.new" "$kept/$suite.tar"
  fi
  debian=$folder/debian
  mkdir "$debian"
  tar --extract --file "$kept/$suite.tar" --directory "$debian"
  ! chroot "$debian" sh -c 'command -v cargo rustc' >/dev/null || fail "this Debian has Rust"
}

check_package() {
  make_debian
  local package secret credentials=$debian/run/credentials/vestibule.service user=61184 group
  package=$(echo "$release"/vestibule_*_"$architecture".deb)
  cp "$package" "$debian/vestibule.deb"
  in_debian() { chroot "$debian" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@" >"$folder/log" 2>&1; }
  in_debian dpkg --install /vestibule.deb || fail "the package cannot be installed"
  [ "$(stat --format '%a %U %G' "$debian/etc/vestibule/cookie-secret")" = "600 root root" ] || fail "others can read the cookie secret"
  group=$(sed -n 's/^_vestibule:[^:]*:\([0-9]*\):$/\1/p' "$debian/etc/group")
  [ "$(stat --format '%a %u %g' "$debian/etc/vestibule/vestibule.toml")" = "640 0 $group" ] || fail "the configuration has other permissions"
  secret=$(cat "$debian/etc/vestibule/cookie-secret")

  configure "$debian/etc/vestibule/vestibule.toml"
  (umask 077 && printf vestibule-demo-secret >"$debian/etc/vestibule/client-secret")
  in_debian vestibule check --config /etc/vestibule/vestibule.toml --online --strict || fail "the configuration is not accepted"

  # As the unit says: its command, its dynamic user and group, its credentials.
  mkdir -p "$credentials"
  cp "$debian"/etc/vestibule/*-secret "$credentials"
  chown -R "$user" "$credentials" && chmod 500 "$credentials" && chmod 400 "$credentials"/*
  read -ra command < <(sed -n 's/^ExecStart=//p' "$debian/usr/lib/systemd/system/vestibule.service")
  start confined "$debian" CREDENTIALS_DIRECTORY=/run/credentials/vestibule.service --userspec "$user:$user" --groups "$group" \
    "$debian" "${command[@]}"
  log_in
  stop

  # What the operator has written stays.
  in_debian dpkg --install /vestibule.deb || fail "the package cannot be installed again"
  grep -q vestibule-demo "$debian/etc/vestibule/vestibule.toml" || fail "the configuration was replaced"
  [ "$(cat "$debian/etc/vestibule/cookie-secret")" = "$secret" ] || fail "the cookie secret was replaced"
  # As systemd leaves an audit and a store, with a dynamic user and without.
  for folder_of_service in var/log/private var/lib; do
    mkdir -p "$debian/$folder_of_service/vestibule/kept"
    echo kept >"$debian/$folder_of_service/vestibule/kept/file"
  done
  ln -s private/vestibule "$debian/var/log/vestibule"
  in_debian dpkg --remove vestibule || fail "the package cannot be removed"
  [ -e "$debian/etc/vestibule/vestibule.toml" ] || fail "the configuration was removed"
  [ -e "$debian/var/log/vestibule/kept/file" ] && [ -e "$debian/var/lib/vestibule/kept/file" ] || fail "the audit or the store was removed"
  in_debian dpkg --purge vestibule || fail "the package cannot be purged"
  [ -d "$debian/var/log/private" ] || fail "more was purged than the package's"
  [ -z "$(find "$debian/etc" "$debian/usr" "$debian/var" -name '*vestibule*')" ] && ! grep -q vestibule "$debian/etc/group" || fail "the package leaves something behind"
}

check_unit() {
  local unit=$folder/units/vestibule.service denied
  mkdir "$folder/units"
  # Verified where its program is.
  local program=$made/stage/vestibule
  cp packaging/vestibule.toml "$folder/units/"
  configure "$folder/units/vestibule.toml"
  (umask 077 && "$program" cookie-secret >"$folder/units/cookie-secret" && printf vestibule-demo-secret >"$folder/units/client-secret")
  sed "s,/usr/bin/vestibule,$program," packaging/systemd/vestibule.service >"$unit"
  cp packaging/systemd/vestibule.socket "$folder/units"
  systemd-analyze verify --man=no "$unit" "$folder/units/vestibule.socket" 2>&1 | tee "$folder/log"
  [ ! -s "$folder/log" ] || fail "systemd does not accept the units"
  systemd-analyze security --offline=true --threshold="$most_exposure" "$unit" >"$folder/log" || fail "the unit is less protected than it was"
  tail -n 1 "$folder/log"

  # The filter of system calls, against those that a login takes.
  start strace --follow-forks --quiet=all --summary-only --summary-columns=name --output "$folder/calls" \
    "$program" serve --config "$folder/units/vestibule.toml" --log json
  log_in
  stop
  # strace tells of a thread that ends within a call as well, in a line of its own: `2702  ???( <detached ...>`.
  sed -n -e 's/^ *//' -e '/^name$/d' -e '/^total$/d' -e '/^syscall$/d' -e '/^[a-z0-9_]*[a-z][a-z0-9_]*$/p' "$folder/calls" | sort -u >"$folder/made"
  [ "$(wc -l <"$folder/made")" -gt 30 ] || fail "strace has counted too little"
  permitted "$unit" | sort -u >"$folder/permitted"
  denied=$(comm -23 "$folder/made" "$folder/permitted")
  [ -z "$denied" ] || fail "the filter of the unit denies: $(tr '\n' ' ' <<<"$denied")"
  echo "      a login takes $(wc -l <"$folder/made") system calls of the $(wc -l <"$folder/permitted") that the unit permits"
}

# The system calls that a unit permits, of its lines SystemCallFilter= in their order.
permitted() {
  local -A calls=()
  local entry call
  while read -r entry; do
    if [ "${entry#\~}" = "$entry" ]; then
      for call in $(members $entry); do calls[$call]=1; done
    else
      for call in $(members ${entry#\~}); do unset "calls[$call]"; done
    fi
  done < <(sed -n 's/^SystemCallFilter=//p' "$1")
  printf '%s\n' "${!calls[@]}"
}

members() {
  local name
  for name in "$@"; do
    if [ "${name#@}" = "$name" ]; then
      echo "$name"
    else
      # shellcheck disable=SC2046
      members $(systemd-analyze syscall-filter "$name" | sed -e 1d -e 's/#.*//')
    fi
  done
}

main "$@"
