#!/usr/bin/env python3
"""check_image.py LAYOUT: checks an unpacked OCI image layout by its bytes, as strict programs read it: each blob has its digest and
its size, and each layer is a whole tar file with the digest that the configuration names."""

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

# POSIX.1-2017, pax, "ustar Interchange Format": two blocks of zeros end an archive.
BLOCK = 512
END = bytes(2 * BLOCK)


def blob(layout, descriptor):
    algorithm, digest = descriptor["digest"].split(":")
    content = (layout / "blobs" / algorithm / digest).read_bytes()
    if hashlib.new(algorithm, content).hexdigest() != digest:
        sys.exit(f"error: {digest} has another digest")
    if len(content) != descriptor["size"]:
        sys.exit(f"error: {digest} has {len(content)} bytes, and its descriptor says {descriptor['size']}")
    return content


def check_layer(digest, packed, diff_id):
    layer = gzip.decompress(packed)
    if diff_id != f"sha256:{hashlib.sha256(layer).hexdigest()}":
        sys.exit(f"error: layer {digest} is not the one that the configuration names")
    if len(layer) % BLOCK or not layer.endswith(END):
        sys.exit(f"error: layer {digest} ends in the middle of a tar file")
    with tarfile.open(fileobj=io.BytesIO(layer), mode="r:") as archive:
        members = archive.getnames()
    told = subprocess.run(["tar", "--list"], input=layer, capture_output=True, check=False)
    if told.returncode or told.stderr:
        sys.exit(f"error: tar does not accept layer {digest}: {told.stderr.decode(errors='replace')}")
    # `tar` ends the name of a folder with a slash.
    if [name.rstrip("/") for name in told.stdout.decode().splitlines()] != members or not members:
        sys.exit(f"error: layer {digest} is read in different ways")


def main(layout):
    index = json.loads((layout / "index.json").read_text())
    if not index["manifests"]:
        sys.exit("error: the layout has no image")
    for descriptor in index["manifests"]:
        manifest = json.loads(blob(layout, descriptor))
        diff_ids = json.loads(blob(layout, manifest["config"]))["rootfs"]["diff_ids"]
        if len(diff_ids) != len(manifest["layers"]) or not diff_ids:
            sys.exit("error: the configuration names other layers than the manifest")
        for layer, diff_id in zip(manifest["layers"], diff_ids):
            check_layer(layer["digest"], blob(layout, layer), diff_id)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
