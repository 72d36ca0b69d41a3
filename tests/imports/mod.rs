//! The order of a crate's top-level modules, held against the imports that its files have.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Asserts that each module under `folder` has a place in `order`, lowest first, and imports only what stands before it,
/// and its own parts.
pub(crate) fn assert_order(folder: &Path, order: &[&str]) {
    let place = |name: &str| order.iter().position(|known| *known == name).unwrap_or_else(|| panic!("{name} has no place in the order"));
    let (mut against, mut seen) = (BTreeSet::new(), BTreeSet::new());
    for file in sources(folder) {
        let way: Vec<_> = file.strip_prefix(folder).unwrap().components().map(|part| part.as_os_str().to_str().unwrap()).collect();
        let own = way[0].trim_end_matches(".rs");
        seen.insert(own.to_owned());
        let depth = if file.ends_with("mod.rs") || own == "lib" { way.len() - 1 } else { way.len() };
        for imported in imports(&std::fs::read_to_string(&file).unwrap(), depth) {
            if place(&imported) > place(own) {
                against.insert(format!("{} imports {imported}", file.display()));
            }
        }
    }
    let absent: Vec<_> = order.iter().filter(|name| !seen.contains(**name)).collect();
    assert!(absent.is_empty(), "modules of the order do not exist: {absent:?}");
    assert!(against.is_empty(), "{against:#?}");
}

/// Top-level modules that a file names, outside of comments and of its tests. The file's module is `depth` below the crate.
pub(crate) fn imports(text: &str, depth: usize) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: Vec<_> = code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect();
    let code = code.join("\n").replace(&"super::".repeat(depth.max(1)), if depth == 0 { "super::" } else { "crate::" });
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            // `crate::{secret, time::UnixTime}`
            Some(list) => found.extend(list.split('}').next().unwrap_or_default().split(',').map(name)),
            None => drop(found.insert(name(rest))),
        }
    }
    // What `super` names in a module within a file may be an item of the file.
    found.retain(|name| !name.starts_with(char::is_uppercase));
    found
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

fn name(text: &str) -> String {
    text.trim().chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect()
}
