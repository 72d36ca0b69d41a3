//! The pages that people read: README.md is short and leads to every page, and every link leads somewhere.

#![allow(clippy::expect_used, reason = "a page that cannot be read ends its test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

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
