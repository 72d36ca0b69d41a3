//! The configurations of docs/providers: each is valid as it stands there, and warns where the page says so.

use vestibule::config::{Config, Reference, Source, references};
use vestibule::secret::Secret;

/// Indented blocks with a `[` at their beginning, in order.
fn configurations(page: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in page.lines() {
        match (line.strip_prefix("    "), line.is_empty()) {
            (Some(line), _) => blocks.last_mut().unwrap().push_str(&format!("{line}\n")),
            (None, true) => blocks.last_mut().unwrap().push('\n'),
            (None, false) => blocks.push(String::new()),
        }
    }
    blocks.into_iter().filter(|block| block.trim_start().starts_with('[')).collect()
}

#[test]
fn every_configuration_of_the_pages_is_valid() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/providers");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let page = std::fs::read_to_string(&path).unwrap();
        let blocks = configurations(&page);
        assert_eq!(blocks.len(), page.matches("\n    [auth]\n").count(), "{}", path.display());
        count += blocks.len();
        for block in blocks {
            is_valid(&path.to_string_lossy(), &block);
        }
    }
    assert!(count >= 14, "{count}");
}

fn is_valid(page: &str, block: &str) {
    let mut source = Source::new(page, block);
    source.resolved = references(block)
        .into_iter()
        .map(|reference| {
            let value = match &reference {
                Reference::Environment(name) if name == "COOKIE_SECRET" => "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5",
                _ => "Kc7vQm2Xz9Wb4Nl1Tj6Hg3Fd8Sa5Po0I",
            };
            (reference, Some(Secret::new(value)))
        })
        .collect();
    let config = Config::parse(&source).unwrap_or_else(|faults| panic!("{page}: {block}{faults:#?}"));
    let keys: Vec<_> = config.warnings.iter().map(|fault| fault.key.as_str()).collect();
    let expected: &[_] = if block.contains("insecure_http_hosts") { &["vestibule.insecure_http_hosts"] } else { &[] };
    assert_eq!(keys, expected, "{page}: {block}{:#?}", config.warnings);
}
