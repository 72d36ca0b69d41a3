#!/usr/bin/env python3
"""sbom.py SBOM NOTICES TARGET [GLIBC]: lists what the program contains, as CycloneDX 1.5 in JSON, and writes the licences of it as text.

TARGET is Rust's name of what the program was compiled for, GLIBC the version of glibc in it; without it, musl is in it. Reads
`cargo metadata` of the folder that it runs in. What is only for tests and for the build is left out. Exits with an error if a
package names no licence.
"""

import json
import os
import subprocess
import sys
import uuid
from datetime import datetime, timezone
from pathlib import Path

PROGRAM = "vestibule-edge"
MUSL_LICENCE = Path(__file__).with_name("musl-licence.txt")
LICENCE_FILES = ("licen", "copying", "notice", "unlicense")


def main(sbom_path, notices_path, target, glibc=None):
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--filter-platform", target]
    metadata = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    packages = {package["id"]: package for package in metadata["packages"]}
    root, edges = contained(metadata)
    unlicensed = [packages[identity]["name"] for identity in edges if not packages[identity]["license"]]
    if unlicensed:
        sys.exit(f"error: no licence is named by {', '.join(unlicensed)}")
    Path(sbom_path).write_text(json.dumps(sbom(root, edges, packages, glibc), indent=1, sort_keys=True) + "\n")
    Path(notices_path).write_text(notices(edges, packages, metadata["workspace_members"], glibc))


def contained(metadata):
    """The program's package, and every package that is linked into the program with what it depends on."""
    nodes = {node["id"]: node for node in metadata["resolve"]["nodes"]}
    names = {package["id"]: package["name"] for package in metadata["packages"]}
    macros = {
        package["id"] for package in metadata["packages"] if any("proc-macro" in target["kind"] for target in package["targets"])
    }
    root = next(identity for identity in metadata["workspace_members"] if names[identity] == PROGRAM)
    edges, waiting = {}, [root]
    while waiting:
        identity = waiting.pop()
        if identity in edges:
            continue
        linked = [
            dependency["pkg"]
            for dependency in nodes[identity]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"]) and dependency["pkg"] not in macros
        ]
        edges[identity] = sorted(linked)
        waiting += linked
    return root, dict(sorted(edges.items(), key=lambda edge: (names[edge[0]], edge[0])))


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package, kind):
    described = {
        "type": kind,
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "purl": reference(package),
        # The older spelling of OR.
        "licenses": [{"expression": " ".join(package["license"].replace("/", " OR ").split())}],
    }
    if package["description"]:
        described["description"] = " ".join(package["description"].split())
    return described


def sbom(root, edges, packages, glibc):
    described = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "timestamp": datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), timezone.utc).isoformat().replace("+00:00", "Z"),
            "component": component(packages[root], "application"),
        },
        "components": [component(packages[identity], "library") for identity in edges if identity != root] + [c_library(glibc)],
        "dependencies": [
            {"ref": reference(packages[identity]), "dependsOn": sorted({reference(packages[linked]) for linked in edges[identity]})}
            for identity in edges
        ],
    }
    # The same for the same content, so that it can be made again byte for byte.
    described["serialNumber"] = f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(described, sort_keys=True))}"
    return described


def c_library(glibc):
    if glibc is None:
        return {"type": "library", "bom-ref": "musl", "name": "musl", "licenses": [{"license": {"id": "MIT"}}]}
    return {
        "type": "library",
        "bom-ref": "glibc",
        "name": "glibc",
        "version": glibc,
        "licenses": [{"license": {"id": "LGPL-2.1-or-later"}}],
    }


def notices(edges, packages, members, glibc):
    texts = {}
    for identity in edges:
        package = packages[identity]
        if identity in members:
            continue
        folder = Path(package["manifest_path"]).parent
        files = sorted(path for path in folder.iterdir() if path.is_file() and path.name.lower().startswith(LICENCE_FILES))
        for path in files:
            texts.setdefault(path.read_text(errors="replace").strip(), []).append(f"{package['name']} {package['version']}")
    parts = ["What the program `vestibule` contains of other projects, and their licences.\n"]
    if glibc is None:
        texts[MUSL_LICENCE.read_text().strip()] = ["musl"]
    else:
        parts.append(
            "The program is linked with the GNU C Library, under the GNU Lesser General Public License 2.1 or later. Its source is\n"
            "Debian's package glibc. scripts/link-static.sh of Vestibule's source links the program with another version.\n"
        )
    for text, users in texts.items():
        parts.append(f"{'-' * 80}\n{', '.join(dict.fromkeys(users))}\n\n{text}\n")
    return "\n".join(parts)


if __name__ == "__main__":
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    main(*sys.argv[1:])
