#!/usr/bin/env bash
# deb.sh STAGE VERSION PACKAGE: with VERSION as Debian has it, 1.2.3-1 for example, makes a Debian package of what packaging/stage.sh made,
# for the processor that ARCH chooses (scripts/release-target.sh). The same stage gives the same bytes.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/release-target.sh

stage=$1 version=$2 package=$3
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
chmod 755 "$root"

put() { # put MODE FILE PLACE
  install -D -m "$1" "$2" "$root/$3"
}

put 755 "$stage/vestibule" usr/bin/vestibule
put 640 "$stage/vestibule.toml" etc/vestibule/vestibule.toml
for unit in "$stage"/systemd/*; do put 644 "$unit" "usr/lib/systemd/system/$(basename "$unit")"; done
for page in "$stage"/man/*.1; do
  put 644 "$page" "usr/share/man/man1/$(basename "$page")"
done
gzip --best --no-name "$root"/usr/share/man/man1/*.1
put 644 "$stage/completions/vestibule.bash" usr/share/bash-completion/completions/vestibule
put 644 "$stage/completions/_vestibule" usr/share/zsh/vendor-completions/_vestibule
put 644 "$stage/completions/vestibule.fish" usr/share/fish/vendor_completions.d/vestibule.fish
doc=usr/share/doc/vestibule
put 644 packaging/debian/copyright "$doc/copyright"
put 644 packaging/debian/lintian-overrides usr/share/lintian/overrides/vestibule
put 644 "$stage/CHANGELOG.md" "$doc/changelog"
maintainer=$(sed -n 's/^Maintainer: //p' packaging/debian/control)
cat >"$root/$doc/changelog.Debian" <<CHANGELOG
vestibule ($version) unstable; urgency=medium

  * Release ${version%-*}. changelog.gz has its changes.

 -- $maintainer  $(date --utc --rfc-email --date "@$SOURCE_DATE_EPOCH")
CHANGELOG
chmod 644 "$root/$doc/changelog.Debian"
put 644 "$stage/third-party-licences.txt" "$doc/third-party-licences.txt"
gzip --best --no-name "$root/$doc"/changelog* "$root/$doc/third-party-licences.txt"
put 644 "$stage/sbom.cdx.json" "$doc/sbom.cdx.json"

# In KiB, as the policy of Debian has it.
size=$(du --summarize --apparent-size --block-size=1024 "$root" | cut -f 1)
mkdir "$root/DEBIAN"
sed "s/@VERSION@/$version/; s/@ARCHITECTURE@/$architecture/; s/@SIZE@/$size/" packaging/debian/control >"$root/DEBIAN/control"
install -m 644 packaging/debian/conffiles "$root/DEBIAN/conffiles"
install -m 755 packaging/debian/{postinst,prerm,postrm} "$root/DEBIAN"
(cd "$root" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) >"$root/DEBIAN/md5sums"
find "$root" -type d -exec chmod 755 {} +
find "$root" -exec touch --no-dereference --date "@$SOURCE_DATE_EPOCH" {} +
dpkg-deb --build --root-owner-group -Zxz -z2 "$root" "$package" >/dev/null
