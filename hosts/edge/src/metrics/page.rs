//! docs/metrics.md has exactly the metrics of this registry.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::*;

/// One of everything, so that each label is there.
fn text() -> String {
    let metrics = Metrics::new(Some(0));
    let providers = vec![("google".to_owned(), "https://op.example/.well-known/openid-configuration".to_owned())];
    metrics.counts(&Countable { providers, rules: 1, answers_proxies: false });
    metrics.text(None).expect("a text")
}

/// A row for each metric: name, type, labels, meaning. In the order of the text.
fn table(text: &str) -> Vec<String> {
    let mut rows = Vec::new();
    let families = text.split("# HELP ").skip(1);
    for family in families {
        let (name, rest) = family.split_once(' ').expect("a name");
        let (help, rest) = rest.split_once('\n').expect("a line");
        let kind = rest.split_whitespace().nth(3).expect("a type");
        let shown = match kind {
            "counter" => format!("{name}_total"),
            "info" => format!("{name}_info"),
            _ => name.to_owned(),
        };
        let samples = rest.lines().filter(|line| !line.starts_with('#'));
        let labels: BTreeSet<&str> =
            samples.filter_map(|line| line.split_once('{')?.1.rsplit_once('}')).flat_map(|(labels, _)| names(labels)).collect();
        let labels: Vec<_> = labels.into_iter().filter(|label| *label != "le").map(|label| format!("`{label}`")).collect();
        let labels = if labels.is_empty() { "–".to_owned() } else { labels.join(", ") };
        rows.push(format!("| `{shown}` | {kind} | {labels} | {help} |"));
    }
    rows
}

fn names(labels: &str) -> impl Iterator<Item = &str> {
    labels.split("\",").filter_map(|label| label.split_once("=\"")).map(|(name, _)| name)
}

/// Elsewhere the process does not tell its memory.
#[cfg(target_os = "linux")]
#[test]
fn the_page_has_every_metric() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/metrics.md");
    let page = fs::read_to_string(&path).expect("the page");
    let is_row = |line: &&str| line.starts_with("| `vestibule_") || line.starts_with("| `process_");
    let written: Vec<_> = page.lines().filter(is_row).map(str::to_owned).collect();
    let expected = table(&text());
    assert!(expected.len() > 20, "{expected:#?}");
    assert_eq!(written, expected, "the table of docs/metrics.md is another; it is to be:\n{}\n", expected.join("\n"));
}

#[test]
fn names_and_units_are_those_of_prometheus_practice() {
    for row in table(&text()) {
        let name = row.split('`').nth(1).expect("a name");
        assert!(name.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'_')), "{name}");
        let is_counter = row.contains("| counter |");
        assert_eq!(name.ends_with("_total"), is_counter, "{name}");
        assert!(name.contains("duration") <= name.ends_with("_seconds") && name.contains("memory") <= name.ends_with("_bytes"), "{name}");
        assert!(name.contains("timestamp") <= name.ends_with("_timestamp_seconds"), "{name}");
    }
}
