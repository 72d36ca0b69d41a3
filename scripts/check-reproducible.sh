#!/usr/bin/env bash
# Builds the components of dist/ once more, of a copy of this checkout in a folder of another name and with another folder for cargo's
# downloads, and fails where a byte differs. Needs what scripts/build.sh made; takes about 6 minutes on 2 cores, and so is no part of
# .ci/run.
set -euo pipefail
cd "$(dirname "$0")/.."

folder=$(mktemp -d "${TMPDIR:-/tmp}/another-folder-than-the-first.XXXXXX")
trap 'rm -rf "$folder"' EXIT
copy=$folder/source home=$folder/cargo from=${CARGO_HOME:-$HOME/.cargo}
mkdir -p "$copy" "$home/registry"

# What is not committed is part of dist/ as well.
git ls-files -z --cached --others --exclude-standard --deduplicate |
  tar --create --null --files-from - --ignore-failed-read | tar --extract --directory "$copy"
# What is downloaded already, and where from. Cargo unpacks the sources itself.
for part in cache index; do [ ! -d "$from/registry/$part" ] || cp -r "$from/registry/$part" "$home/registry"; done
for settings in config.toml config; do [ ! -f "$from/$settings" ] || cp "$from/$settings" "$home"; done

# By the same compiler as those of dist/.
way=$(cat target/wasm/way)
(cd "$copy" && CARGO_HOME=$home WASM_TOOLCHAIN=$way scripts/build-component.sh)

different=0
for again in "$copy"/dist/*.wasm; do
  component=dist/$(basename "$again")
  if cmp "$component" "$again"; then
    sha256sum "$component"
  else
    different=1
  fi
done
if [ "$different" -ne 0 ]; then
  echo "error: the components depend on where they are built; see rust_flags in scripts/build-component.sh" >&2
  exit 1
fi
echo "Another folder gives the same components, byte for byte."
