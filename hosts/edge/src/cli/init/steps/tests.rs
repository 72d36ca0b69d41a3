#![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

use std::fmt::Write as _;
use std::path::Path;

use clap::ValueEnum as _;

use super::*;

const PAGE: &str = "../../docs/providers.md";
const BEGIN: &str = "<!-- steps; made by `UPDATE=1 cargo test -p vestibule-edge --lib steps` -->\n";
const END: &str = "<!-- steps: end -->";

#[test]
fn the_documentation_has_the_steps_of_every_provider() {
    let mut expected = String::new();
    for kind in Kind::value_variants() {
        let title = if *kind == Kind::Other { "Any other provider" } else { kind.title() };
        writeln!(expected, "\n**{title}**\n").unwrap();
        for (step, number) in steps(*kind).iter().zip(1..) {
            writeln!(expected, "{number}. {}", step.replace("{redirect_uri}", "`redirect_uri`")).unwrap();
        }
    }
    expected.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGE);
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (found, after) = rest.split_once(END).unwrap();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
    } else {
        assert!(found == expected, "docs/providers.md is stale: run `UPDATE=1 cargo test -p vestibule-edge --lib steps`");
    }
}

#[test]
fn every_provider_is_told_the_redirect_uri_once() {
    for kind in Kind::value_variants() {
        assert_eq!(steps(*kind).iter().filter(|step| step.contains("{redirect_uri}")).count(), 1, "{kind:?}");
    }
}
