//! The tables of the documentation that the code knows: between two marks, and made by `UPDATE=1 cargo test --test settings`.

use std::fmt::Write as _;

use vestibule::code::Code;
use vestibule::config::setting::{Absent, Form, Setting};
use vestibule::config::tables;
use vestibule::web::proxy_headers::{FAMILIES, IDENTITY, STEERING};

use crate::files::{is_current, read};

/// The pages, and the tables of settings that they have.
const PAGES: [(&str, &[&str]); 4] = [
    ("docs/auth.md", &["auth", "auth.<name>", "auth.client_kwargs"]),
    (
        "docs/settings.md",
        &[
            "vestibule",
            "vestibule.authz",
            "vestibule.limits",
            "vestibule.log",
            "vestibule.cors",
            "vestibule.embedding",
            "vestibule.session",
            "vestibule.identity",
            "vestibule.streamlit",
            "vestibule.provider.<name>",
        ],
    ),
    ("docs/pages.md", &["vestibule.pages"]),
    ("docs/rules.md", &["vestibule.rule", "vestibule.rule.require"]),
];

#[test]
fn every_table_of_settings_is_in_the_documentation() {
    let documented: Vec<_> = PAGES.iter().flat_map(|(_, paths)| *paths).collect();
    for table in tables::ALL {
        assert!(documented.contains(&&table.path), "{} is on no page", table.path);
    }
    for (page, paths) in PAGES {
        let mut text = read(page);
        for path in paths {
            text = replaced(page, &text, &format!("settings: {path};"), "settings: end", &settings(path));
        }
        is_current(page, &text);
    }
}

#[test]
fn every_code_of_decisions_is_in_the_documentation() {
    let mut table = "| code | meaning |\n|---|---|\n".to_owned();
    for code in Code::ALL {
        writeln!(table, "| `{code}` | {} |", code.meaning()).unwrap();
    }
    let page = "docs/log.md";
    is_current(page, &replaced(page, &read(page), "codes of decisions;", "codes of decisions: end", &table));
}

#[test]
fn every_header_that_clients_must_not_send_is_in_the_documentation() {
    let listed = |names: &[&str], end: &str| names.iter().map(|name| format!("`{name}{end}`")).collect::<Vec<_>>().join(", ");
    let lists = format!(
        "\n- **Path, method, host, client, protocol:** {}.\n- **Identity:** {}.\n- **And what begins with:** {}.\n\n",
        listed(&STEERING, ""),
        listed(&IDENTITY, ""),
        listed(&FAMILIES, "…")
    );
    let page = "docs/identity.md";
    is_current(page, &replaced(page, &read(page), "removed headers;", "removed headers: end", &lists));
}

/// The text with `content` between its marks.
fn replaced(page: &str, text: &str, begin: &str, end: &str, content: &str) -> String {
    let (begin, end) = (format!("<!-- {begin}"), format!("<!-- {end} -->"));
    let (before, rest) = text.split_once(&begin).unwrap_or_else(|| panic!("{page} has no `{begin}`"));
    let (mark, rest) = rest.split_once('\n').unwrap();
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("{page} has no `{end}`"));
    format!("{before}{begin}{mark}\n\n{}\n\n{end}{after}", content.trim())
}

fn settings(path: &str) -> String {
    let of = |path: &str| tables::ALL.iter().find(|table| table.path == path).unwrap().settings;
    let mut table = "| key | type | default | meaning | example |\n|---|---|---|---|---|\n".to_owned();
    for setting in of(path) {
        let name = setting.key.name;
        // `[auth]` can have the keys of one provider, which have a table of their own.
        if path == "auth" && of("auth.<name>").iter().any(|other| other.key.name == name) {
            continue;
        }
        writeln!(table, "| `{name}` | {} | {} | {} | `{}` |", form(setting), default(setting), setting.says, example(setting)).unwrap();
    }
    table
}

fn form(setting: &Setting) -> String {
    let words = |words: &[&str]| words.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", ");
    match setting.key.form {
        Form::Text => "string".into(),
        Form::Url => "URL".into(),
        Form::List => "list".into(),
        Form::Boolean => "boolean".into(),
        Form::Number(u32::MAX) => "number".into(),
        Form::Number(max) => format!("number, at most {max}"),
        Form::Duration => "duration".into(),
        Form::Choice(choices) => words(choices),
        Form::Choices(choices) => format!("list of {}", words(choices)),
        Form::Entries(_) | Form::ValueLists | Form::Table(_) => "table".into(),
        Form::Tables(_) => "list of tables".into(),
    }
}

fn default(setting: &Setting) -> String {
    match setting.absent {
        Absent::Nothing => "none".into(),
        Absent::Required => "required".into(),
        Absent::Is(toml) => format!("`{toml}`"),
        Absent::Said(markdown) => markdown.into(),
    }
}

fn example(setting: &Setting) -> String {
    let end = if setting.is_secret { "_env" } else { "" };
    format!("{}{end} = {}", setting.key.name, setting.example)
}
