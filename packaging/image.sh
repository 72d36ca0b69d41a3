#!/usr/bin/env bash
# image.sh STAGE VERSION ARCHIVE: makes a container image of what packaging/stage.sh made, without a daemon: an archive in the OCI
# image layout, which `podman load`, `docker load` (25 and newer) and `skopeo copy oci-archive:` read. The same stage gives the same
# bytes. ARCH chooses the processor (scripts/release-target.sh). In the image are the program, the certificates of this system's
# authorities, and licences; no shell and no other program.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/release-target.sh

stage=$1 version=$2 archive=$3
user=65532
authorities=/etc/ssl/certs/ca-certificates.crt
command -v umoci >/dev/null || install_packages "the image" umoci
[ -s "$authorities" ] || install_packages "the image" ca-certificates

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
root=$folder/root
mkdir -p "$root"
install -D -m 755 "$stage/vestibule" "$root/usr/bin/vestibule"
install -D -m 644 "$authorities" "$root/etc/ssl/certs/ca-certificates.crt"
for file in LICENSE third-party-licences.txt sbom.cdx.json; do install -D -m 644 "$stage/$file" "$root/usr/share/doc/vestibule/$file"; done
echo "vestibule:x:$user:$user::/:/" >"$root/etc/passwd"
echo "vestibule:x:$user:" >"$root/etc/group"
mkdir "$root/etc/vestibule"
chmod -R u=rwX,go=rX "$root"
chmod 755 "$root/usr/bin/vestibule"
# Packed here: umoci 0.4.7, which is Debian's, leaves out the two empty blocks at the end of a layer that `umoci insert` makes.
layer=$folder/layer.tar
tar --create --directory "$root" --sort=name --owner=0 --group=0 --numeric-owner --mtime "@$SOURCE_DATE_EPOCH" --format=gnu etc usr >"$layer"

layout=$folder/layout
made=$(date --utc --date "@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
history=(--history.author Vestibule --history.created "$made" --history.comment "" --history.created_by packaging/image.sh)
# Its name where an archive is loaded.
image=$layout:vestibule:$version
umoci init --layout "$layout"
umoci new --image "$image"
umoci raw add-layer --image "$image" "${history[@]}" "$layer"
settings=(
  --architecture "$architecture"
  --author Vestibule
  --created "$made"
  --config.user "$user:$user"
  --config.entrypoint /usr/bin/vestibule
  --config.exposedports 8501/tcp
  --config.stopsignal SIGTERM
  --config.workingdir /
)
for argument in serve --config /etc/vestibule/vestibule.toml --listen 0.0.0.0:8501 --log json; do settings+=(--config.cmd "$argument"); done
title="The login at the edge: OpenID Connect in front of any application"
for entry in title=Vestibule "description=$title" "version=$version" licenses=Apache-2.0 "created=$made" "revision=$(git rev-parse HEAD 2>/dev/null || true)"; do
  settings+=(--config.label "org.opencontainers.image.$entry" --manifest.annotation "org.opencontainers.image.$entry")
done
umoci config --image "$image" "${history[@]}" "${settings[@]}"
umoci gc --layout "$layout"
tar --create --directory "$layout" --sort=name --owner=0 --group=0 --numeric-owner --mtime "@$SOURCE_DATE_EPOCH" --format=gnu \
  blobs index.json oci-layout >"$archive"
