#!/usr/bin/env python3
"""check_sbom.py SBOM: compares a list of parts with the schema of CycloneDX, and with itself.

Needs the package cyclonedx-python-lib with its extra `json-validation`.
"""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator


def main(path):
    text = Path(path).read_text()
    sbom = json.loads(text)
    faults = [str(fault) for fault in JsonStrictValidator(SchemaVersion.from_version(sbom["specVersion"])).validate_str(text, all_errors=True) or []]
    parts = [*sbom["components"], sbom["metadata"]["component"]]
    listed = {part["bom-ref"] for part in parts}
    named = {reference for entry in sbom["dependencies"] for reference in [entry["ref"], *entry["dependsOn"]]}
    faults += [f"{reference} is named, and not listed" for reference in sorted(named - listed)]
    # Whatever else changes: the program has these, and no test of it.
    names = {part["name"] for part in parts}
    faults += [f"{name} is missing" for name in ("wasmtime", "rustls", "pingora", "vestibule") if name not in names]
    faults += [f"{name} is not in the program" for name in ("proptest", "rcgen", "vestibule-dev-provider") if name in names]
    if faults:
        sys.exit("\n".join(["error: the list of parts has faults", *faults[:20]]))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
