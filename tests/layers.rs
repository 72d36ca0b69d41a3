//! The order of the core's modules: no module imports one that stands above it (ARCHITECTURE.md, "Code map").

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Lowest first. A module may import what stands before it, and its own parts.
const ORDER: [&str; 20] = [
    "secret",
    "time",
    "entropy",
    "limit",
    "code",
    "web",
    "oidc",
    "account",
    "policy",
    "error",
    "session",
    "decision",
    "identity",
    "authz",
    "config",
    "pages",
    "flow",
    "filter",
    "component",
    "lib",
];

#[test]
fn no_module_imports_one_above_it() {
    let (mut against, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for file in sources(Path::new("src")) {
        let own = module(&file);
        let place = ORDER.iter().position(|name| *name == own).unwrap_or_else(|| panic!("{own} has no place in the order"));
        seen.insert(own.clone());
        for imported in imports(&std::fs::read_to_string(&file).unwrap()) {
            let target = ORDER.iter().position(|name| *name == imported).unwrap_or_else(|| panic!("{imported} has no place in the order"));
            if target > place {
                against.insert(format!("{} imports {imported}", file.display()));
            }
        }
    }
    assert_eq!(seen.len(), ORDER.len(), "each module of the order exists");
    assert!(against.is_empty(), "{against:#?}");
}

#[test]
fn imports_are_found_wherever_they_stand() {
    let text = "//! [`crate::filter`]\nuse crate::web::http;\n/// crate::flow\nfn f() { crate::oidc::x() } // crate::pages\nuse crate::{secret, time::T};\n\
                #[cfg(test)]\nmod tests { use crate::config::Config; }\n";
    assert_eq!(imports(text).into_iter().collect::<Vec<_>>(), ["oidc", "secret", "time", "web"]);
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") && path.file_name().is_some_and(|name| name != "tests.rs") {
            found.push(path);
        }
    }
    found
}

/// The top-level module that a file belongs to.
fn module(file: &Path) -> String {
    let first = file.strip_prefix("src").unwrap().components().next().unwrap();
    first.as_os_str().to_str().unwrap().trim_end_matches(".rs").to_owned()
}

/// Top-level modules that a file names, outside of comments and of its tests.
fn imports(text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: Vec<_> = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let mut found = BTreeSet::new();
    for rest in code.join("\n").split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            // `crate::{secret, time::UnixTime}`
            Some(list) => found.extend(list.split('}').next().unwrap_or_default().split(',').map(name)),
            None => drop(found.insert(name(rest))),
        }
    }
    found
}

fn name(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}
