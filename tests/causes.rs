//! Each cause of an error is printed once: a type whose message has its cause does not give it as its source as well, and the programs
//! print errors with their causes in one way.

#![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn no_error_has_its_source_in_its_message() {
    let mut seen = 0;
    for (path, text) in sources() {
        for (message, variant) in errors(&text) {
            seen += 1;
            assert!(!repeats(message, variant), "{}: #[error({message})]: remove the source, or its text", path.display());
        }
    }
    assert!(seen > 150, "{seen} messages are too few");
}

#[test]
fn what_repeats_its_source_is_noticed() {
    for (text, repeats_it) in [
        ("#[error(\"x: {0}\")]\nA(#[from] io::Error),", true),
        ("#[error(\"x: {}\", .0)]\nA(#[source] io::Error),", true),
        ("#[error(\"x {}: {source}\", path.display())]\nA {\n    path: PathBuf,\n    source: io::Error,\n},", true),
        ("#[error(\"x {}: {}\", path.display(), source)]\nA { path: PathBuf, source: io::Error },", true),
        ("#[error(\"x: {0}\")]\nA(io::Error),\n#[error(transparent)]\nB(#[from] io::Error),", false),
        ("#[error(\"x\")]\nA(#[from] io::Error),\n#[error(\"y {0}\")]\nB(String),", false),
        ("#[error(\"x {reason}\")]\nA { reason: io::Error },", false),
    ] {
        let found = errors(text).iter().any(|(message, variant)| repeats(message, variant));
        assert_eq!(found, repeats_it, "{text}");
    }
}

#[test]
fn the_programs_print_causes_in_one_way() {
    let programs = ["hosts/edge/src", "hosts/demo/src"].map(|folder| Path::new(env!("CARGO_MANIFEST_DIR")).join(folder));
    for (path, text) in sources().into_iter().filter(|(path, _)| programs.iter().any(|folder| path.starts_with(folder))) {
        assert!(!text.contains(":#}"), "{}: an error is printed with its causes by causes::told", path.display());
    }
}

/// Messages with what follows: the variant, or the fields of the type.
fn errors(text: &str) -> Vec<(&str, &str)> {
    let parts = text.split("#[error(").skip(1);
    parts.filter_map(|part| part.split_once(")]")).map(|(message, rest)| (message, rest.split("\n}").next().unwrap_or(rest))).collect()
}

fn repeats(message: &str, variant: &str) -> bool {
    let is_field = variant.contains("source:");
    let is_first = variant.contains("#[from]") || variant.contains("#[source]");
    let names = |name: &str| message.contains(&format!("{{{name}")) || message.contains(&format!(", {name}"));
    (is_field && (names("source") || message.contains(".source"))) || (is_first && (names("0") || message.contains(".0")))
}

/// All of this repository's Rust, without tests and benches.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<_> = ["src", "enforcement", "hosts", "shells", "dev"].iter().map(|folder| root.join(folder)).collect();
    let mut found = vec![];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with("target") {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                let program = text.split("#[cfg(test)]\nmod ").next().unwrap_or(&text);
                found.push((path, program.to_owned()));
            }
        }
    }
    found
}
