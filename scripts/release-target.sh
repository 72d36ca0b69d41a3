# Sourced, in the root of the repository. What a release is made for:
#
#   machine        the processor: ARCH (x86_64 or aarch64), else this system's
#   architecture   Debian's and OCI's name of it
#   compiler       the C compiler for it
#   tools          what the names of binutils' programs for it begin with; empty for this system's processor
#   runner         the words of a command line before a program for it: an emulator, or nothing
#   made           the folder below target/ that has its program, and the stage that is packed
. scripts/packages.sh

machine=${ARCH:-$(uname -m)}
case $machine in
  x86_64) architecture=amd64 ;;
  aarch64) architecture=arm64 ;;
  *)
    echo "error: a release is made for x86_64 or aarch64, not for '$machine'; correct ARCH, or unset it for this system's processor" >&2
    exit 1
    ;;
esac
compiler=cc tools='' runner=() made=$PWD/target/release-$machine

if [ "$machine" != "$(uname -m)" ]; then
  tools=$machine-linux-gnu-
  compiler=${tools}gcc
  runner=("qemu-$machine-static")
  command -v "${runner[0]}" >/dev/null || install_packages "programs for $machine" qemu-user-static
  # By its path, since it is also copied where a program runs in a root of its own.
  runner=("$(command -v "${runner[0]}")")
  # Debian's emulator takes a minute and gigabytes to keep account of the pool for instances, 512 GiB of address space. Where there is
  # less, Vestibule does without the pool.
  ulimit -v $((64 << 20))
fi
