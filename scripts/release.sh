#!/usr/bin/env bash
# Makes what is published of a release, in dist/release: the archive, the Debian package, the container image, the components, a
# manifest, and a file of their SHA-256 sums. Needs Linux, and what scripts/build.sh made. With ARCH, the other processor's name, it
# adds the archive, the package and the image for that one to a release of the same commit (scripts/release-target.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/steps.sh

if [ "$(uname)" != Linux ]; then
  echo "error: a release is made on Linux" >&2
  exit 1
fi
# Of the toolchain that the manifest names. It would be missed at the end.
if [ ! -s target/wasm/way ]; then
  echo "error: the components were not built here; run 'make build' first" >&2
  exit 1
fi
. scripts/release-target.sh
version=$(sed -n '/^\[workspace.package\]/,/^$/s/^version = "\(.*\)"$/\1/p' Cargo.toml)
program=$made/vestibule
stage=$made/stage
release=$PWD/dist/release
steps 6
step "linking the program statically, for $machine"
scripts/link-static.sh "$program"

# What is made of one commit has its time, whenever and wherever it is made. Not before: cargo would compile C libraries once more.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || stat --format=%Y Cargo.lock)}
export SOURCE_DATE_EPOCH

step "writing manual pages, completions, licences and the list of parts"
command -v python3 >/dev/null || install_packages "the release" python3
packaging/stage.sh "$program" "$stage"
revision=$(git rev-parse HEAD 2>/dev/null || true)
if [ -n "$tools" ] && grep -qsF "\"$revision\"" "$release/manifest.json"; then
  rm -f "$release"/*"$machine"* "$release"/*"$architecture"*
else
  rm -rf "$release"
fi
mkdir -p "$release"

step "packing the archive"
packaging/tarball.sh "$stage" "$release/vestibule-$version-$machine-linux.tar.gz"

step "packing the Debian package"
if command -v dpkg-deb >/dev/null; then
  packaging/deb.sh "$stage" "$version-1" "$release/vestibule_${version}-1_$architecture.deb"
else
  echo "      NOT made: there is no dpkg-deb here"
fi

step "packing the image"
packaging/image.sh "$stage" "$version" "$release/vestibule-$version-$machine-linux-oci.tar"

step "adding the components, the manifest and the sums"
for component in vestibule vestibule-wide vestibule-middleware vestibule-proxy; do cp "dist/$component.wasm" "$release"; done
cp "$stage/sbom.cdx.json" "$release/vestibule-$version-$machine-linux.cdx.json"
packaging/manifest.py "$release" "$version" "$revision" >"$release/manifest.json"
# Signed or published beside the files; `sha256sum --check SHA256SUMS` verifies them.
(cd "$release" && sha256sum -- * >SHA256SUMS)
step_ended
du --apparent-size --block-size=1K "$release"/* | awk '{ sub(/.*\//, "", $2); printf "      %-50s %8d KiB\n", $2, $1 }'
