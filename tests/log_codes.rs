//! `docs/log.md` against the codes of the program; the table of the core's codes is made by `tests/settings`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use vestibule::audit::AuditEvent;
use vestibule::code::Code;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn document() -> String {
    std::fs::read_to_string(root().join("docs/log.md")).unwrap()
}

#[test]
fn the_documentation_lists_every_event_of_the_audit_with_a_line_for_each() {
    let document = std::fs::read_to_string(root().join("docs/audit.md")).unwrap();
    let mut table = String::new();
    for event in AuditEvent::ALL {
        writeln!(table, "| `{}` | {} |", event.as_str(), event.meaning()).unwrap();
        let shown = format!("\",\"event\":\"{}\"", event.as_str());
        assert!(
            document.lines().any(|line| line.starts_with("    {\"time\":\"") && line.contains(&shown)),
            "no line with {}",
            event.as_str()
        );
    }
    assert!(document.contains(&table), "replace the first table of docs/audit.md by\n{table}");
}

#[test]
fn no_two_codes_are_the_same() {
    let codes: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(codes.len(), Code::ALL.len());
}

#[test]
fn the_documentation_lists_every_code_of_the_program() {
    let document = document();
    let (_, table) = document.split_once("## Codes of the program").unwrap();
    let listed: BTreeSet<_> = table.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).map(str::to_owned).collect();
    let mut used = BTreeSet::new();
    for folder in ["hosts/edge/src", "hosts/wasmtime/src", "hosts/demo/src"] {
        collect(&root().join(folder), &mut used);
    }
    assert!(used.len() > 30, "codes are found: {used:?}");
    assert_eq!(listed, used);
}

/// Codes in calls of `tracing`: `code = "…"`.
fn collect(folder: &Path, codes: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, codes);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let after = text.split("code = \"").skip(1).filter_map(|rest| rest.split('"').next());
            codes.extend(after.filter(|code| !code.is_empty()).map(str::to_owned));
        }
    }
}
