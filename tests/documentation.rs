//! The pages that people read: README.md is short and leads to every page, every link leads somewhere, and configurations to copy
//! are in order.

#![allow(clippy::expect_used, reason = "a page that cannot be read ends its test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vestibule::config::{Config, Reference, Source, references};
use vestibule::secret::Secret;

/// Longest README.md, in lines: whoever has it open should see where to go on.
const README_LINES: usize = 200;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Markdown files of a folder, and of the folders below it where `deep`.
fn pages(folder: &Path, deep: bool) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let mut found = vec![];
    for path in entries {
        if path.is_dir() && deep && path.file_name().is_some_and(|name| name != "node_modules") {
            found.extend(pages(&path, deep));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

/// The targets of links, `](target)`, outside of code.
fn links(text: &str) -> Vec<String> {
    let mut in_fence = false;
    let prose = text.lines().filter(|line| {
        let is_fence = line.trim_start().starts_with("```");
        in_fence ^= is_fence;
        !in_fence && !is_fence && !line.starts_with("    ")
    });
    let prose = prose.collect::<Vec<_>>().join("\n");
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

/// The anchors of a page's headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().chars().filter(|&c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_')).collect::<String>();
        kept.replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn the_readme_is_short_and_leads_to_every_page() {
    let readme = read(&root().join("README.md"));
    assert!(
        readme.lines().count() <= README_LINES,
        "README.md has {} lines: move what is not a first step to docs/",
        readme.lines().count()
    );
    let targets = links(&readme);
    for page in pages(&root().join("docs"), false) {
        let target = format!("docs/{}", page.file_name().expect("a name").to_string_lossy());
        assert!(targets.contains(&target), "README.md has no link to {target}");
    }
    let reached = reached_from(&root().join("README.md"));
    for page in pages(&root().join("docs"), true) {
        assert!(reached.contains(&page), "no links lead from README.md to {}", page.display());
    }
}

/// The pages of docs/ that links lead to, by way of other pages of docs/.
fn reached_from(first: &Path) -> BTreeSet<PathBuf> {
    let docs = root().join("docs");
    let (mut reached, mut unread) = (BTreeSet::new(), vec![first.to_owned()]);
    while let Some(page) = unread.pop() {
        for target in links(&read(&page)) {
            let file = target.split_once('#').map_or(&*target, |(file, _)| file);
            let Ok(path) = page.parent().expect("a folder").join(file).canonicalize() else { continue };
            let is_page = path.starts_with(&docs) && path.extension().is_some_and(|extension| extension == "md");
            if is_page && reached.insert(path.clone()) {
                unread.push(path);
            }
        }
    }
    reached
}

#[test]
fn links_lead_somewhere() {
    let mut all = pages(root(), false);
    for folder in ["docs", "examples", "fuzz", "hosts"] {
        all.extend(pages(&root().join(folder), true));
    }
    assert!(all.len() > 20);
    for page in all {
        let text = read(&page);
        for target in links(&text).iter().filter(|target| !target.contains("://") && !target.starts_with("mailto:")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = if file.is_empty() { page.clone() } else { page.parent().expect("a folder").join(file) };
            assert!(path.exists(), "{}: the link {target} leads nowhere", page.display());
            if !anchor.is_empty() {
                assert!(anchors(&read(&path)).contains(anchor), "{}: {target} has no such heading", page.display());
            }
        }
    }
}

/// What a configuration that begins below `[auth]` follows.
const AUTH: &str = r#"[auth]
redirect_uri = "http://localhost:8501/oauth2callback"
cookie_secret_env = "COOKIE_SECRET"
client_id = "shop"
client_secret_env = "CLIENT_SECRET"
server_metadata_url = "https://login.example.com/realms/acme/.well-known/openid-configuration"
"#;

/// Indented blocks with a `[` at their beginning, in order.
fn configurations(page: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in page.lines() {
        let block = blocks.last_mut().expect("at least one");
        match line.strip_prefix("    ") {
            Some(code) => block.extend([code, "\n"]),
            None if line.is_empty() => block.push('\n'),
            None => blocks.push(String::new()),
        }
    }
    blocks.into_iter().filter(|block| block.trim_start().starts_with('[')).collect()
}

/// Of docs/providers.md, the tests of providers check them.
#[test]
fn configurations_to_copy_are_valid_and_produce_no_warning() {
    for (page, count) in [("docs/applications.md", 2), ("docs/from-oauth2-proxy.md", 2), ("docs/from-streamlit.md", 2)] {
        let blocks = configurations(&read(&root().join(page)));
        assert_eq!(blocks.len(), count, "{page}: {blocks:#?}");
        for block in blocks {
            let text = if block.contains("[auth]") { block } else { format!("{AUTH}\n{block}") };
            let mut source = Source::new(page, &text);
            let secret = |reference: &Reference| match reference {
                Reference::Environment(name) if name == "COOKIE_SECRET" => "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5",
                _ => "Kc7vQm2Xz9Wb4Nl1Tj6Hg3Fd8Sa5Po0I",
            };
            let resolved = references(&text).into_iter().map(|reference| {
                let value = Some(Secret::new(secret(&reference)));
                (reference, value)
            });
            source.resolved = resolved.collect();
            let config = Config::parse(&source).unwrap_or_else(|faults| panic!("{page}: {text}{faults:#?}"));
            assert!(config.warnings.is_empty(), "{page}: {text}{:#?}", config.warnings);
        }
    }
}
