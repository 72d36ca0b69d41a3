#!/usr/bin/env python3
"""manifest.py FOLDER VERSION REVISION: prints what is to be FOLDER/manifest.json: what the files of a release were made of, their sizes
and their SHA-256 digests.

The components can be made again byte for byte of the same revision with the same compiler (scripts/check-reproducible.sh). `compilers` has
what made them and the program: `debian` is Debian's, `rustup` is the one that `rustc` is.
"""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

# They are made of the others.
NOT_LISTED = ("manifest.json", "SHA256SUMS")


def main(folder, version, revision):
    files = sorted(path for path in Path(folder).iterdir() if path.name not in NOT_LISTED)
    if not any(path.suffix == ".wasm" for path in files):
        sys.exit(f"error: {folder} has no component")
    manifest = {
        "name": "vestibule",
        "version": version,
        "revision": revision or None,
        "compilers": {"components": components_compiler(), "program": compiler("rustc")},
        "files": [described(path) for path in files],
    }
    print(json.dumps(manifest, indent=1))


def components_compiler():
    way = Path("target/wasm/way").read_text().strip()
    return compiler("/usr/bin/rustc" if way == "debian" else "rustc")


def compiler(command):
    return subprocess.run([command, "--version"], check=True, capture_output=True, text=True).stdout.strip()


def described(path):
    content = path.read_bytes()
    return {"name": path.name, "bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
