//! The pages that people read: README.md is short and leads to every page, every link leads somewhere, and configurations to copy
//! are in order.

#![allow(clippy::expect_used, reason = "a page that cannot be read ends its test")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use vestibule::config::{Config, Reference, Source, references};
use vestibule::secret::Secret;

/// Longest README.md, in lines: whoever has it open should see where to go on.
const README_LINES: usize = 200;

/// Longest SECURITY.md, in words: promises, exclusions and risks. Countermeasures and their tests are in docs/explain/attacks.md.
const SECURITY_WORDS: usize = 2400;

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

#[test]
fn the_page_about_security_is_short() {
    let words = read(&root().join("SECURITY.md")).split_whitespace().count();
    assert!(words <= SECURITY_WORDS, "SECURITY.md has {words} words: move countermeasures to docs/explain/attacks.md");
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

/// What the pages with configurations to copy have, and how many. Those of docs/providers are with the tests of providers.
#[test]
fn configurations_to_copy_are_valid_and_produce_no_warning() {
    let all = |folder: &str| pages(&root().join("docs").join(folder), true);
    let mut checked = BTreeSet::new();
    for page in [all("applications"), all("guides"), all("hosts"), all("operate"), all("explain")].concat() {
        for block in configurations(&read(&page)) {
            is_valid(&page, block);
            checked.insert(page.clone());
        }
    }
    assert!(checked.len() > 25, "{checked:#?}");
    for (page, count) in [("docs/from-oauth2-proxy.md", 2), ("docs/from-streamlit.md", 2)] {
        let page = root().join(page);
        let blocks = configurations(&read(&page));
        assert_eq!(blocks.len(), count, "{}: {blocks:#?}", page.display());
        blocks.into_iter().for_each(|block| is_valid(&page, block));
    }
}

fn is_valid(page: &Path, block: String) {
    let page = page.display().to_string();
    let text = match () {
        () if block.contains("[auth") => block,
        // For https only.
        () if block.contains("[vestibule.embedding]") => {
            format!("{}[vestibule]\ntrusted_proxies = []\n{block}", AUTH.replace("http://localhost:8501", "https://app.example.com"))
        }
        () => format!("{AUTH}\n{block}"),
    };
    let mut source = Source::new(&page, &text);
    let secret = |reference: &Reference| match reference {
        Reference::Environment(name) if name == "COOKIE_SECRET" => "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5",
        Reference::File(name) if name == "previous-cookie-secrets" => "5e2c9b7a1f4d8063e5a7c1b9d3f2806a4c7e9b1d5f3a8260",
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

/// What follows `<!-- from FILE -->`: the next block of code, without its indentation.
fn excerpts(page: &str) -> Vec<(&str, String)> {
    let marked = page.split("<!-- from ").skip(1).map(|rest| rest.split_once(" -->").expect("an end of the mark"));
    let block = |text: &str| {
        let text = text.trim_start_matches('\n');
        match text.split_once('\n') {
            Some((fence, code)) if fence.starts_with("```") => code.split_once("\n```").expect("an end of the block").0.to_owned(),
            _ => text.lines().take_while(|line| line.starts_with("    ")).collect::<Vec<_>>().join("\n"),
        }
    };
    marked.map(|(file, text)| (file, flat(&block(text)))).collect()
}

/// Without indentation.
fn flat(text: &str) -> String {
    text.lines().map(str::trim).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_a_page_shows_of_a_file_is_in_the_file() {
    let mut count = 0;
    for page in pages(&root().join("docs"), true) {
        for (file, code) in excerpts(&read(&page)) {
            assert!(!code.is_empty(), "{}: nothing is shown of {file}", page.display());
            let there = flat(&read(&root().join(file))).contains(&code);
            assert!(there, "{}: {file} does not have\n{code}", page.display());
            count += 1;
        }
    }
    assert!(count >= 15, "{count}");
}

/// The guide for troubleshooting names codes that there are; tests of the log compare docs/log.md with the program.
#[test]
fn codes_in_the_guide_for_troubleshooting_are_codes_of_the_log() {
    let (guide, log) = (read(&root().join("docs/guides/troubleshoot.md")), read(&root().join("docs/log.md")));
    let rows = guide.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 3);
    let mut codes = BTreeSet::new();
    for row in rows {
        let cell = row.split(" | ").nth(1).expect("the column of codes");
        codes.extend(cell.split('`').skip(1).step_by(2).filter(|word| word.contains('.')));
    }
    assert!(codes.len() > 45, "{codes:?}");
    for code in codes {
        assert!(log.contains(&format!("`{code}`")), "docs/log.md has no code {code}");
    }
}

/// An alert that the page does not show, or shows otherwise.
#[test]
fn every_alert_is_on_the_page_about_metrics() {
    let (alerts, page) = (read(&root().join("examples/prometheus/alerts.yml")), read(&root().join("docs/metrics.md")));
    let (names, expressions): (Vec<_>, Vec<_>) = (of(&alerts, "- alert: "), of(&alerts, "expr: "));
    assert!(names.len() > 3 && names.len() == expressions.len());
    for (name, expression) in names.into_iter().zip(expressions) {
        assert!(page.contains(&format!("| `{name}` |")) && page.contains(&format!("    expr: {expression}\n")), "{name}: {expression}");
    }
}

fn of<'a>(text: &'a str, key: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.trim().strip_prefix(key)).collect()
}
