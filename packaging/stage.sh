#!/usr/bin/env bash
# stage.sh PROGRAM FOLDER: makes FOLDER anew, with everything that the archive, the package and the image have in common, of a program
# that scripts/link-static.sh made. All times are SOURCE_DATE_EPOCH, and no mode depends on the umask.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/release-target.sh

program=$1 folder=$2
rm -rf "$folder"
mkdir -p "$folder"/{man,completions,systemd}
install -m 755 "$program" "$folder/vestibule"
vestibule() { "${runner[@]}" "$folder/vestibule" "$@"; }
# A page names those of its commands. Each of these has one word more than the command of the page, and a word can have `-`.
write_pages() {
  local page=vestibule name
  [ $# -eq 0 ] || page=vestibule-$(IFS=-; echo "$*")
  vestibule man "$@" >"$folder/man/$page.1"
  for name in $(sed -n 's/\\-/-/g; s/^\(vestibule-[a-z-]*\)(1)$/\1/p' "$folder/man/$page.1"); do write_pages "$@" "${name#"$page"-}"; done
}
write_pages
vestibule completions bash >"$folder/completions/vestibule.bash"
vestibule completions zsh >"$folder/completions/_vestibule"
vestibule completions fish >"$folder/completions/vestibule.fish"
cp packaging/vestibule.toml LICENSE CHANGELOG.md "$folder"
cp packaging/systemd/vestibule.{service,socket} "$folder/systemd"
read -r target glibc <"$program.target"
packaging/sbom.py "$folder/sbom.cdx.json" "$folder/third-party-licences.txt" "$target" $glibc
chmod -R u=rwX,go=rX "$folder"
find "$folder" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
