#!/usr/bin/env bash
# Builds the components for wasm32-wasip2, dist/vestibule.wasm, dist/vestibule-wide.wasm, dist/vestibule-middleware.wasm and
# dist/vestibule-proxy.wasm, and the module for wasm32-wasip1, dist/vestibule-steps.wasm. With --wasi-config it builds
# vestibule-middleware-config.wasm and vestibule-proxy-config.wasm instead, for hosts that have wasi:config. With --wide it builds
# dist/vestibule-wide.wasm alone. With --steps it builds dist/vestibule-steps.wasm alone. Ways to a toolchain that can, in this order:
#
#   rustup   the target is installed, or rustup can add it
#   debian   Debian's rustc-web, which compiles the standard library for the target from its own sources
#
# vestibule-wide.wasm is vestibule.wasm with WebAssembly's wide arithmetic, for hosts that turn it on; rustc warns that it is
# not stable.
#
# The way that was taken is kept in target/wasm/way, so that a build does not try for a download again each time;
# WASM_TOOLCHAIN=rustup or =debian chooses one, `make clean` forgets.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

variant=${1:-}
profile=component
if [ "$variant" = --steps ]; then target=wasm32-wasip1; else target=wasm32-wasip2; fi
# Its own folder: two toolchains in one would compile everything anew at each change of hands.
target_dir=$PWD/target/wasm
# Of each target one: where rustup has the one, it may be unable to add the other.
way_taken=$target_dir/way
if [ "$variant" = --steps ]; then way_taken=$way_taken-$target; fi
cargo_home=${CARGO_HOME:-$HOME/.cargo}
# A mirror that does not answer must not hold up the other way.
rustup_seconds=120
debian_packages=(rustc-web cargo-web rust-web-src rust-web-llvm wasi-libc)

main() {
  local way
  way=$(choose)
  # Before `rust_flags` looks where the sources are.
  cargo fetch --quiet --target "$target"
  case $way in
    rustup) build_with_rustup ;;
    debian) build_with_debian ;;
    *)
      echo "error: WASM_TOOLCHAIN is '$way'; write rustup or debian, or leave it unset" >&2
      exit 1
      ;;
  esac
  mkdir -p "$target_dir"
  echo "$way" >"$way_taken"
  if [ -z "$variant" ]; then
    # For another target, which may have to be added.
    exec scripts/build-component.sh --steps
  fi
}

# The packages that become components. Each is linked by itself: the link arguments are not for what it depends on.
build_all() {
  if [ "$variant" = --wasi-config ]; then
    build_guest vestibule-middleware -config --features wasi-config
    build_guest vestibule-proxy -config --features wasi-config
    return
  fi
  if [ "$variant" = --wide ]; then
    build_wide
    return
  fi
  if [ "$variant" = --steps ]; then
    build_guest vestibule-steps ""
    return
  fi
  build_guest vestibule "" --features component
  build_wide
  build_guest vestibule-middleware ""
  build_guest vestibule-proxy ""
  build_guest vestibule-relay ""
  build_guest vestibule-plain-proxy ""
}

build_wide() {
  profile=component-wide more_features=,+wide-arithmetic build_guest vestibule -wide --features component
}

# build_guest PACKAGE SUFFIX ARGUMENT...: compiles it and copies the component to dist/.
build_guest() {
  local package=$1 suffix=$2 built
  shift 2
  in_toolchain cargo rustc --profile "$profile" --package "$package" "$@" "${cargo_arguments[@]}" -- "${link_arguments[@]}"
  built=$target_dir/$target/$profile/${package//-/_}.wasm
  if grep --quiet --text --fixed-strings -e "$(pwd -P)/target/" -e "$cargo_home/registry/" "$built"; then
    echo "error: $built has paths of this machine, and so is another one elsewhere; see rust_flags in scripts/build-component.sh" >&2
    exit 1
  fi
  scripts/install-artefact.sh "$built" "dist/$package$suffix.wasm"
}

# Prints the way; says on stderr why.
choose() {
  if [ -n "${WASM_TOOLCHAIN:-}" ]; then
    echo "$WASM_TOOLCHAIN"
  elif rustup_has_target; then
    echo rustup
  elif [ "$(cat "$way_taken" 2>/dev/null)" = debian ] && debian_is_installed; then
    echo debian
  elif rustup_adds_target; then
    echo "      rustup has added the target $target" >&2
    echo rustup
  elif debian_is_installed; then
    echo debian
  elif command -v apt-get >/dev/null; then
    install_packages "the component (Rust for $target)" "${debian_packages[@]}" lld >&2 || exit 1
    echo debian
  else
    echo "error: no Rust toolchain for $target: run 'rustup target add $target', or on Debian install ${debian_packages[*]}" >&2
    exit 1
  fi
}

rustup_has_target() {
  [ -d "$(rustc --print sysroot)/lib/rustlib/$target/lib" ]
}

rustup_adds_target() {
  command -v rustup >/dev/null || return 1
  echo "      asking rustup for the target $target (at most $rustup_seconds s)" >&2
  timeout "$rustup_seconds" rustup --quiet target add "$target" >/dev/null 2>&1 && rustup_has_target
}

debian_is_installed() {
  dpkg-query --show --showformat='${db:Status-Status}\n' "${debian_packages[@]}" 2>/dev/null | grep -cx installed | grep -qx "${#debian_packages[@]}"
}

build_with_rustup() {
  echo "      by rustup's toolchain, $(rustc --version)$(first_time 3)"
  in_toolchain() {
    CARGO_ENCODED_RUSTFLAGS=$(rust_flags) "$@"
  }
  build_all
}

build_with_debian() {
  debian_is_installed || install_packages "the component (Rust for $target)" "${debian_packages[@]}" lld
  echo "      by Debian's toolchain, $(/usr/bin/rustc --version), with its standard library from source$(first_time 6)"
  # -Zbuild-std is what RUSTC_BOOTSTRAP is for: Debian has no compiled standard library for the target.
  cargo_arguments+=(-Zbuild-std=std,panic_abort)
  in_toolchain() {
    PATH=$(linker_folders):/usr/bin:$PATH RUSTC_BOOTSTRAP=1 RUSTC=/usr/bin/rustc CARGO_ENCODED_RUSTFLAGS=$(rust_flags -L /usr/lib/wasm32-wasi) "$@"
  }
  build_all
}

first_time() {
  [ -e dist/vestibule-proxy.wasm ] || echo "; the first time about $1 minutes on 2 cores"
}

# Where wasm-ld is: with rustup's toolchain, else Debian's lld. wasm-component-ld comes with rustc-web.
linker_folders() {
  local sysroot host folder
  sysroot=$(rustc --print sysroot)
  host=$(rustc -vV | sed -n 's/^host: //p')
  for folder in "$sysroot/lib/rustlib/$host/bin/gcc-ld" /usr/lib/llvm-*/bin /usr/bin; do
    if [ -x "$folder/wasm-ld" ]; then
      echo "$sysroot/lib/rustlib/$host/bin:$folder"
      return
    fi
  done
  echo "error: no wasm-ld; install Debian's package lld" >&2
  return 1
}

# rust_flags FLAG...: those that the dependencies are compiled with too, as cargo separates them. Every host has SIMD on by default.
# Panics name files of source: the paths of this machine are left out, so that every checkout gives the same bytes.
rust_flags() {
  local sources flags=("$@" -C "target-feature=+simd128${more_features:-}")
  flags+=("--remap-path-prefix=$(pwd -P)=." "--remap-path-prefix=$cargo_home=cargo")
  # A folder for each registry or mirror, with a name of its own.
  for sources in "$cargo_home"/registry/src/*/; do
    [ ! -d "$sources" ] || flags+=("--remap-path-prefix=${sources%/}=cargo")
  done
  (IFS=$'\x1f' && echo "${flags[*]}")
}

cargo_arguments=(--lib --crate-type cdylib --target "$target" --target-dir "$target_dir")

if [ "$variant" = --steps ]; then
  # A module has no adapter: what it would import of preview 1, shells/steps defines itself; a test reads the result's imports.
  link_arguments=()
else
  # Without an adapter for preview 1, a call to the system that shells/preview1 does not answer fails the link.
  # The stand-ins answer what wasi-libc imports directly; a test reads the result's imports. Cargo hashes these arguments into
  # the names of symbols: they have no path of this machine.
  link_arguments=(-C link-arg=--wasi-adapter=none)
  # rustup's wasi-libc imports these, Debian's none of them; a stand-in that nobody imports is left out.
  for interface in cli/environment cli/exit cli/{stdin,stdout,stderr} cli/terminal-{input,output,stdin,stdout,stderr} \
    clocks/monotonic-clock io/{error,poll,streams}; do
    link_arguments+=(-C "link-arg=--adapt=wasi:$interface@0.2.0=scripts/guest/no_system.wat")
  done
fi

main
