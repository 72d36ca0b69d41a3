# Sourced by scripts/check-install.sh: the Debian package in a Debian that systemd has booted, in namespaces of its own. The unit runs as
# it does on a machine: Type=notify, DynamicUser=, LoadCredential=, the confinement, and the socket unit.

# What systemd needs of a container manager (systemd.io/CONTAINER_INTERFACE), in namespaces for mounts, processes, names, IPC and control
# groups. $1: the root.
# shellcheck disable=SC2016
boot_in_namespaces='
  mount --make-rprivate /
  mount --bind "$1" "$1"
  cd "$1"
  mkdir -p .host
  mount -t proc proc proc
  mount --bind proc/sys proc/sys
  mount -o remount,bind,ro proc/sys
  mount -t sysfs -o ro sysfs sys
  for folder in run dev tmp; do mount -t tmpfs -o mode=755 tmpfs "$folder"; done
  chmod 1777 tmp
  for device in null zero full random urandom tty; do cp -a "/dev/$device" dev; done
  mkdir dev/pts dev/shm
  mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
  ln -s pts/ptmx dev/ptmx
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
    mount -t cgroup2 cgroup2 sys/fs/cgroup
  else
    mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
    mkdir sys/fs/cgroup/unified sys/fs/cgroup/systemd
    mount -t cgroup2 cgroup2 sys/fs/cgroup/unified
    mount -t cgroup -o none,name=systemd cgroup sys/fs/cgroup/systemd
  fi
  pivot_root . .host
  umount -l .host
  # systemd has credentials appear in other mount namespaces by it.
  mount --make-rshared /
  exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=vestibule-test /lib/systemd/systemd --unit=multi-user.target'

# Where this machine lists control groups of its own.
control_groups() {
  if [ -e /sys/fs/cgroup/cgroup.controllers ]; then echo /sys/fs/cgroup/vestibule-booted; else echo /sys/fs/cgroup/{systemd,unified}/vestibule-booted; fi
}

# Boots $debian, and sets `init` to its first process.
boot() {
  local groups=() group
  read -ra groups < <(control_groups)
  # systemd is to see these as the first ones.
  for group in "${groups[@]}"; do mkdir -p "$group"; done
  bash -euc 'for group in "${@:3}"; do echo $$ >"$group/cgroup.procs"; done
    exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup bash -euc "$2" boot "$1"' \
    boot "$debian" "$boot_in_namespaces" "${groups[@]}" >"$folder/boot.log" 2>&1 &
  unshared=$!
  for _ in $(seq 300); do
    # `ps` fails while there is no such process.
    init=$( (ps -o pid=,comm= --ppid "$unshared" || true) | awk '$2 == "systemd" { print $1 }')
    case $([ -z "$init" ] || booted systemctl is-system-running 2>/dev/null) in running | degraded) return ;; esac
    kill -0 "$unshared" 2>/dev/null || { cat "$folder/boot.log" >&2; fail "systemd does not start in namespaces"; }
    sleep 0.2
  done
  fail "systemd is not up after a minute"
}

# booted COMMAND...: runs it in there.
booted() {
  nsenter --target "$init" --mount --pid --uts --ipc --cgroup --root --wd env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin "$@"
}

# As when the machine loses its power.
power_off() {
  [ -n "${init:-}" ] || return 0
  kill -KILL "$init" 2>/dev/null || true
  wait "$unshared" 2>/dev/null || true
  init=''
  local group
  for group in $(control_groups); do find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true; done
}

# property NAME: of the service.
property() {
  booted systemctl show --value --property "$1" vestibule.service
}

# expect WHAT FOUND WANTED
expect() {
  [ "$2" = "$3" ] || journal_and_fail "$1 is '$2', not '$3'"
}

journal_and_fail() {
  read_journal
  fail "$1"
}

# Makes the log of the service, if it runs under systemd, the one that is looked at.
read_journal() {
  [ -z "${init:-}" ] || booted journalctl --no-pager --unit vestibule.service --output cat >"$folder/log" 2>&1 || true
}

# expect_page STATUS COOKIES WHOSE: what the application's page answers with these cookies.
expect_page() {
  expect "the status of a page with $3" "$(curl --silent --output /dev/null --write-out '%{http_code}' --cookie "$2" "http://$listen/")" "$1"
}

# audited EVENT: the lines of the audit in the journal about it, which the journal knows to be of the unit.
audited() {
  booted journalctl --no-pager --quiet --unit vestibule.service SYSLOG_IDENTIFIER=vestibule "VESTIBULE_EVENT=$1" --output cat 2>/dev/null || true
}

check_booted() {
  [ -n "${debian:-}" ] || make_debian
  add_systemd
  boot
  cp "$(echo "$release"/vestibule_*_"$architecture".deb)" "$debian/vestibule.deb"
  booted env DEBIAN_FRONTEND=noninteractive dpkg --install /vestibule.deb >"$folder/log" 2>&1 || fail "the package cannot be installed"
  local settings=$debian/etc/vestibule/vestibule.toml main user
  configure "$settings"
  printf '\n[vestibule.session]\nstore = "file:/var/lib/vestibule/ended"\n\n[vestibule.log]\naudit = "journald"\n' >>"$settings"
  (umask 077 && printf vestibule-demo-secret >"$debian/etc/vestibule/client-secret")

  # Type=notify: the start ends when requests are answered.
  booted systemctl start vestibule.service || journal_and_fail "the service does not start"
  expect "the state after the start" "$(property ActiveState)/$(property SubState)" active/running
  main=$(property MainPID)
  user=$(booted awk '/^Uid:/ { print $2 }' "/proc/$main/status")
  { [ "$user" -ge 61184 ] && [ "$user" -le 65519 ]; } || journal_and_fail "the service runs as the user $user, which is no dynamic one"
  expect "the confinement" "$(booted awk '/^(NoNewPrivs|Seccomp|CapEff|CapBnd):/ { printf "%s ", $2 }' "/proc/$main/status")" \
    "0000000000000000 0000000000000000 1 2 "
  log_in
  cp "$folder/cookies" "$folder/of-session"
  for _ in $(seq 20); do [ -n "$(audited login)" ] && break || sleep 0.1; done
  expect "the audit of the login" "$(audited login | sed -n '1s/.*"event":"\([a-z]*\)".*/\1/p')" login

  # A reload tells what has become of it, and the session stays.
  sed -i 's/^# Without a rule.*/# A comment./' "$settings"
  booted systemctl reload vestibule.service || journal_and_fail "the reload fails"
  expect "the state after a reload" "$(property StatusText)" "the new configuration is in use"
  sed -i 's/^listen/listening/' "$settings"
  booted systemctl reload vestibule.service || true
  expect "the state after a reload with a fault" "$(property StatusText)" "the new configuration is broken; the old one stays in use"
  sed -i 's/^listening/listen/' "$settings"
  booted systemctl reload vestibule.service
  expect_page 200 "$folder/of-session" "a session, after a reload"

  # It is started again after a crash. What has ended by then stays so.
  booted kill -KILL "$main"
  for _ in $(seq 50); do [ "$(property SubState)" = running ] && [ "$(property MainPID)" != "$main" ] && break || sleep 0.2; done
  expect "the state after a crash" "$(property SubState)" running
  expect_page 200 "$folder/of-session" "a session, after a crash"
  cp "$folder/of-session" "$folder/cookies"
  curl --silent --output /dev/null --cookie "$folder/cookies" --header 'Sec-Fetch-Mode: navigate' "http://$listen/.vestibule/logout"
  booted systemctl restart vestibule.service || journal_and_fail "the service does not start again"
  expect_page 401 "$folder/of-session" "a session that has ended, after a restart"

  # The socket unit listens, and the first connection starts the service.
  booted systemctl stop vestibule.service
  booted systemctl start vestibule.socket || journal_and_fail "the socket unit does not start"
  expect "the state before a connection" "$(property ActiveState)" inactive
  log_in
  expect "the state after a connection" "$(property ActiveState)" active
  booted systemctl stop vestibule.service
  expect_page 401 /dev/null "no session, at a service that a connection starts again"

  booted dpkg --purge vestibule >"$folder/log" 2>&1 || fail "the package cannot be purged while it runs"
  ! curl --silent --output /dev/null "http://$listen/" || fail "it answers after it was purged"
  power_off
}

# Debian's systemd in $debian. What it takes is kept, like the Debian itself.
add_systemd() {
  local suite
  # shellcheck disable=SC1091
  suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
  if [ ! -s "$kept/$suite-systemd.tar" ]; then
    mount --bind /proc "$debian/proc"
    cp /etc/resolv.conf "$debian/etc"
    { chroot "$debian" apt-get update && chroot "$debian" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y --no-install-recommends systemd systemd-sysv procps; } >"$folder/log" 2>&1 || { umount "$debian/proc"; fail "there is no systemd"; }
    umount "$debian/proc"
    rm -rf "$debian"/var/cache/apt/archives/*.deb "$debian/etc/machine-id"
    tar --create --file "$kept/$suite-systemd.tar.new" --directory "$debian" .
    mv "$kept/$suite-systemd.tar.new" "$kept/$suite-systemd.tar"
  else
    tar --extract --file "$kept/$suite-systemd.tar" --directory "$debian"
  fi
  touch "$debian/etc/machine-id"
  # They would change this machine, or look for hardware.
  local unit
  for unit in systemd-sysctl systemd-modules-load systemd-remount-fs systemd-udevd; do ln -sf /dev/null "$debian/etc/systemd/system/$unit.service"; done
}
