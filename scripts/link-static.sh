#!/usr/bin/env bash
# link-static.sh ARTEFACT: makes the program once more, without shared libraries, and copies it to ARTEFACT. Writes Rust's name of its
# target and the version of glibc in it, if it has any, to ARTEFACT.target. Linux only; needs what scripts/build.sh made.
#
# ARCH chooses the processor, x86_64 or aarch64; the default is this system's. For the other one, everything is compiled with Debian's
# cross compiler. The program compiles the component that it carries itself: for the other processor, in Debian's qemu-user.
#
# LIBC chooses the C library:
#
#   musl    everything is compiled for Rust's target *-linux-musl (about 15 minutes on 2 cores, and nothing when nothing has changed)
#   glibc   for this system's processor, only the last step is repeated, with what the tests are linked with
#
# The default is musl where Rust has the target or rustup can add it, else glibc.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/release-target.sh

artefact=$1
target_dir=${CARGO_TARGET_DIR:-$PWD/target}
# A mirror that does not answer must not hold up the other way.
rustup_seconds=60

main() {
  local libc
  libc=$(choose)
  case $libc in
    musl)
      target=$machine-unknown-linux-musl
      echo "      with musl, by $(rustc --version)"
      ;;
    glibc)
      target=$machine-unknown-linux-gnu
      [ -z "$tools" ] || install_cross_compiler
      [ -e "$("$compiler" -print-file-name=libc.a)" ] || install_packages "the static program" libc6-dev
      glibc=$("$compiler" -E -dM -include features.h -x c /dev/null |
        awk '{ defined[$2] = $3 } END { print defined["__GLIBC__"] "." defined["__GLIBC_MINOR__"] }')
      echo "      with glibc $glibc, by $(rustc --version)"
      ;;
    *)
      echo "error: LIBC is '$libc'; write glibc or musl, or leave it unset" >&2
      exit 1
      ;;
  esac
  if [ "$libc" = glibc ] && [ -z "$tools" ]; then repeat_last_step -C target-feature=+crt-static; else compile; fi

  if "${tools}readelf" --program-headers --dynamic "$built" | grep -qE 'INTERP|NEEDED'; then
    echo "error: $built needs shared libraries" >&2
    exit 1
  fi
  "${runner[@]}" "$built" carry dist/vestibule-wide.wasm
  mkdir -p "$(dirname "$artefact")"
  "${tools}strip" --strip-all -o "$artefact.stripped" "$built"
  scripts/install-artefact.sh "$artefact.stripped" "$artefact"
  rm "$artefact.stripped"
  echo "$target ${glibc:-}" >"$artefact.target"
}

# Prints the C library; says on stderr why.
choose() {
  if [ -n "${LIBC:-}" ]; then
    case $LIBC in musl) require musl ;; glibc) [ -z "$tools" ] || require gnu ;; esac || exit 1
    echo "$LIBC"
  elif has_target musl; then
    echo musl
  elif [ -z "$tools" ]; then
    echo "      glibc: Rust has no target $machine-unknown-linux-musl here, and rustup cannot add it" >&2
    echo glibc
  else
    require gnu || exit 1
    echo glibc
  fi
}

require() {
  has_target "$1" && return
  local name=$machine-unknown-linux-$1
  echo "error: Rust has no $name here; run 'rustup target add $name', or choose otherwise with LIBC or ARCH" >&2
  return 1
}

# has_target LIBRARY: Rust has the target with it, or rustup has added it.
has_target() {
  local name=$machine-unknown-linux-$1 folder
  folder=$(rustc --print sysroot)/lib/rustlib/$name/lib
  [ ! -d "$folder" ] || return 0
  command -v rustup >/dev/null || return 1
  echo "      asking rustup for the target $name (at most $rustup_seconds s)" >&2
  timeout "$rustup_seconds" rustup --quiet target add "$name" >/dev/null 2>&1 && [ -d "$folder" ]
}

# repeat_last_step FLAG...: has cargo link the program, as scripts/build.sh does, and runs the same command with FLAGS once more. (`cargo
# rustc` would take the flags, but it builds one package by itself: dependencies then have other features than in the workspace, and are
# compiled once more. As RUSTFLAGS or by a RUSTC_WRAPPER, the flags would change what everything is compiled with.)
repeat_last_step() {
  local folder=$made/linked last log=$made/cargo.log
  mkdir -p "$folder"
  rm -f "$folder"/vestibule-*
  touch hosts/edge/src/main.rs
  cargo build -vv --release --workspace --bins 2>"$log" || { tail -n 20 "$log" >&2; exit 1; }
  last=$(sed -n 's/^ *Running `\(.* --crate-name vestibule .* --crate-type bin .*\)`$/\1/p' "$log" |
    sed -e "s, --out-dir [^ ]*, --out-dir $folder," -e 's/ --error-format=json//' -e 's/ --json=[^ ]*//')
  [ -n "$last" ] || { echo "error: cargo has not linked the program; $log has what it did" >&2; exit 1; }
  eval "$last $*"
  built=$(find "$folder" -name 'vestibule-*' -type f -perm -100)
}

# Everything for the target, in its own folder of cargo's.
compile() {
  local upper=${target^^} build=(cargo build --quiet --release --target "$target" --package vestibule-edge --bin vestibule)
  upper=${upper//-/_}
  built=$target_dir/$target/release/vestibule
  [ "$libc" = glibc ] || choose_musl_compiler
  if [ -n "$tools" ]; then export "CARGO_TARGET_${upper}_LINKER=$compiler"; fi
  # Rust's targets for musl are static by themselves.
  if [ "$libc" = glibc ]; then export "CARGO_TARGET_${upper}_RUSTFLAGS=-C target-feature=+crt-static"; fi
  # Systems for this processor have pages of 4, 16 or 64 KiB, and jemalloc works where they are not larger than it was built for.
  if [ "$machine" = aarch64 ]; then export "${upper}_JEMALLOC_SYS_WITH_LG_PAGE=16"; fi
  VESTIBULE_CARRY=later "${build[@]}"
  # Compiled by the program that runs it: the seal has the settings of both.
  "${runner[@]}" "$built" carry dist/vestibule-wide.wasm "$(dirname "$built")/carried"
  "${build[@]}"
}

install_cross_compiler() {
  command -v "$compiler" >/dev/null || install_packages "the program for $machine" "gcc-${machine//_/-}-linux-gnu" "libc6-dev-$architecture-cross"
}

# Where C is compiled for musl: jemalloc, ring, zlib-ng and zstd. Rust brings musl itself, and no headers of it.
choose_musl_compiler() {
  local variable=CC_${target//-/_} folder=$made/musl
  [ -z "${!variable:-}" ] || return 0
  if [ -z "$tools" ]; then
    command -v musl-gcc >/dev/null || install_packages "the static program" musl-tools
    export "$variable=musl-gcc"
    return
  fi
  install_cross_compiler
  if [ ! -x "$folder/gcc" ]; then
    unpack_foreign_package musl-dev "$architecture" "$folder"
    sed "s,/usr/,$folder/musl-dev/usr/,g" "$folder/musl-dev/usr/lib/$machine-linux-musl/musl-gcc.specs" >"$folder/gcc.specs"
    # Without what GCC calls of its own library to choose instructions: that library asks glibc.
    local options=''
    [ "$machine" != aarch64 ] || options=-mno-outline-atomics
    printf '#!/bin/sh\nexec %s "$@" %s -specs "%s"\n' "$compiler" "$options" "$folder/gcc.specs" >"$folder/gcc.new"
    chmod +x "$folder/gcc.new"
    mv "$folder/gcc.new" "$folder/gcc"
  fi
  export "$variable=$folder/gcc" "AR_${target//-/_}=${tools}ar"
}

main
