#!/usr/bin/env bash
# link-static.sh ARTEFACT: links the program that scripts/build.sh made once more, without shared libraries, and copies it to
# ARTEFACT. Linux only; for the processor that this runs on, since the program carries compiled code.
#
# LIBC chooses the C library:
#
#   glibc   the default: only the last step is repeated, with what the tests are linked with, jemalloc included
#   musl    everything is compiled for Rust's target *-linux-musl, which rustup must have, in target/static (about 20 minutes on
#           2 cores); without jemalloc, which gives memory back on glibc only
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

artefact=$1
libc=${LIBC:-glibc}
target_dir=${CARGO_TARGET_DIR:-$PWD/target}

link_with_glibc() {
  [ -e "$(cc -print-file-name=libc.a)" ] || install_packages "the static program" libc6-dev
  echo "      with glibc $(getconf GNU_LIBC_VERSION | cut -d ' ' -f 2)"
  repeat_last_step -C target-feature=+crt-static
}

# repeat_last_step FLAG...: has cargo link the program, as scripts/build.sh does, and runs the same command with FLAGS once more. (`cargo
# rustc` would take the flags, but it builds one package by itself: dependencies then have other features than in the workspace, and are
# compiled once more. As RUSTFLAGS or by a RUSTC_WRAPPER, the flags would change what everything is compiled with.)
repeat_last_step() {
  local folder=$target_dir/release-program last log=$target_dir/release-program.log
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

link_with_musl() {
  local target
  target=$(uname -m)-unknown-linux-musl
  if [ ! -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]; then
    echo "error: Rust has no $target here; run 'rustup target add $target', or unset LIBC" >&2
    exit 1
  fi
  command -v musl-gcc >/dev/null || install_packages "the static program" musl-tools
  echo "      with musl, by $(rustc --version)"
  export CARGO_TARGET_DIR=$target_dir/static
  local build=(cargo rustc --quiet --release --target "$target" --package vestibule-edge --bin vestibule)
  built=$CARGO_TARGET_DIR/$target/release/vestibule
  "${build[@]}"
  # Compiled by the program that runs it: the seal has the settings of both.
  "$built" carry dist/vestibule-wide.wasm "$CARGO_TARGET_DIR/$target/release/carried"
  "${build[@]}"
}

needs_libraries() {
  readelf --program-headers --dynamic "$built" | grep -qE 'INTERP|NEEDED'
}

case $libc in
  glibc) link_with_glibc ;;
  musl) link_with_musl ;;
  *)
    echo "error: LIBC is '$libc'; write glibc or musl, or leave it unset" >&2
    exit 1
    ;;
esac

if needs_libraries; then
  echo "error: $built needs shared libraries" >&2
  exit 1
fi
"$built" carry dist/vestibule-wide.wasm
mkdir -p "$(dirname "$artefact")"
strip --strip-all -o "$artefact.stripped" "$built"
scripts/install-artefact.sh "$artefact.stripped" "$artefact"
rm "$artefact.stripped"
