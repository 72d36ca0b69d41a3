#!/usr/bin/env python3
"""check_crates.py FOLDER CRATE...: compares the packages in FOLDER, as `cargo package` makes them, with what they must have."""

import json
import subprocess
import sys
import tarfile

EVERY_FILE = ["Cargo.toml", "LICENSE", "README.md", "src/lib.rs"]
# Beside the sources, what a package is built of.
FILES = {
    "vestibule-preview1": ["wit/deps/clocks/wall-clock.wit"],
    "vestibule-wasmtime": ["wit/filter.wit", "wit/deps/random/random.wit", "examples/axum.rs"],
    "vestibule": ["wit/filter.wit", "wit/deps/random/random.wit", "templates/page.html"],
    "vestibule-edge": ["build.rs", "src/main.rs"],
}
KEYS = ["description", "license", "readme", "keywords", "categories", "rust_version"]
# They need what is around the package.
FOLDERS_LEFT_OUT = ("tests/", "benches/", "target/")


def main(folder, crates):
    command = ["cargo", "metadata", "--quiet", "--no-deps", "--format-version", "1"]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    known = {package["name"]: package for package in metadata["packages"]}
    published = {name for name, package in known.items() if package["publish"] != []}
    faults = [f"{name} is published, and scripts/check-packages.sh does not pack it" for name in sorted(published - set(crates))]
    for name in crates:
        faults += [f"{name}: {fault}" for fault in [*in_manifest(known[name]), *in_package(folder, known[name])]]
    if faults:
        sys.exit("\n".join(["error: the packages are not complete", *faults]))


def in_manifest(package):
    yield from (f"Cargo.toml has no {key}" for key in KEYS if not package[key])
    for dependency in package["dependencies"]:
        # Cargo leaves those for tests out of the package.
        if dependency["kind"] != "dev" and dependency["req"] == "*":
            yield f"{dependency['name']} has no version"


def in_package(folder, package):
    root = f"{package['name']}-{package['version']}"
    with tarfile.open(f"{folder}/{root}.crate") as crate:
        files = {member.name.removeprefix(f"{root}/") for member in crate}
    yield from (f"the package lacks {file}" for file in [*EVERY_FILE, *FILES.get(package["name"], [])] if file not in files)
    yield from (f"the package has {file}" for file in sorted(files) if file.startswith(FOLDERS_LEFT_OUT))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
