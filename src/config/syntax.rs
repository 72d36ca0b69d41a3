//! What is wrong with a text that is no TOML, or has a key twice.
//!
//! The parser goes on after an error. What it finds behind a bracket or quotation mark that is never closed is no fault of the file's,
//! so that only the first error is told then.

use std::borrow::Cow;
use std::ops::Range;

use toml::de::{DeTable, DeValue, Error};

use super::findings::Findings;

/// So many errors are told, and of so many keys the first place is looked for: that takes another reading of the file each.
const MAX_TOLD: usize = 20;

/// The parser's message for a key that is there already.
const DUPLICATE: &str = "duplicate key";

/// A key that no file has.
const PROBE: &str = "vestibule-duplicate-key-7f3a";

/// Tells of the errors of a text, of which there is at least one.
pub(super) fn tell(findings: &Findings<'_>, toml: &str, errors: &[Error]) {
    let mut errors: Vec<_> = errors.iter().collect();
    errors.sort_by_key(|error| error.span().map(|span| span.start));
    let is_unclosed = errors.iter().any(|error| error.message().starts_with("unclosed"));
    for error in errors.into_iter().take(if is_unclosed { 1 } else { MAX_TOLD }) {
        let span = error.span();
        let at = span.as_ref().map(|span| span.start);
        let duplicate = span.filter(|_| error.message() == DUPLICATE).and_then(|span| Some((toml.get(span.clone())?, span)));
        match duplicate {
            Some((key, span)) => tell_of_duplicate(findings, toml, key, span),
            // The parser's message quotes no value, only what it expected.
            None => findings.fatal(at, "(syntax)", error.message(), "write valid TOML (https://toml.io)"),
        }
    }
}

fn tell_of_duplicate(findings: &Findings<'_>, toml: &str, key: &str, span: Range<usize>) {
    let at = Some(span.start);
    match first_place(toml, key, &span) {
        Some((path, first)) => {
            let problem = format!("is given twice, first in line {}", findings.line(Some(first)));
            findings.fatal(at, &path, problem, "keep one of the two");
        }
        None => findings.fatal(at, key, "is given twice", "keep one of the two"),
    }
}

/// The dotted path of a key that stands a second time at `span`, and where it stands first: with another name in its place, the
/// parser says which table it is in.
fn first_place(toml: &str, key: &str, span: &Range<usize>) -> Option<(String, usize)> {
    let name = unquoted(key)?;
    let text = format!("{}{PROBE}{}", toml.get(..span.start)?, toml.get(span.end..)?);
    let (document, _) = DeTable::parse_recoverable(&text);
    let mut tables = vec![(String::new(), document.get_ref())];
    while let Some((path, table)) = tables.pop() {
        if table.contains_key(PROBE) {
            let (first, _) = table.get_key_value(name.as_ref())?;
            // What stands behind the other name has moved.
            let first = first.span().start;
            return (first < span.start).then(|| (format!("{path}{name}"), first));
        }
        for (name, value) in table {
            below(&format!("{path}{}", name.get_ref()), value.get_ref(), &mut tables);
        }
    }
    None
}

/// The tables in a value, with the beginnings of their keys' paths: `auth.`, `vestibule.rule[1].`.
fn below<'a>(path: &str, value: &'a DeValue<'a>, tables: &mut Vec<(String, &'a DeTable<'a>)>) {
    match value {
        DeValue::Table(table) => tables.push((format!("{path}."), table)),
        DeValue::Array(items) => {
            let places = items.iter().enumerate();
            places.for_each(|(index, item)| {
                if let Some(table) = item.get_ref().as_table() {
                    tables.push((format!("{path}[{}].", index + 1), table));
                }
            });
        }
        _ => {}
    }
}

/// A key as it is meant, written with or without quotation marks.
fn unquoted(key: &str) -> Option<Cow<'_, str>> {
    let text = format!("{key} = 0");
    let document = DeTable::parse(&text).ok()?;
    let (name, _) = document.get_ref().iter().next()?;
    Some(Cow::Owned(name.get_ref().to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::{Config, Source};

    fn told(toml: &str) -> Vec<(u32, String, String)> {
        let faults = Config::parse(&Source::new("secrets.toml", toml)).unwrap_err();
        faults.into_iter().map(|fault| (fault.line, fault.key, fault.problem)).collect()
    }

    #[test]
    fn a_key_that_is_given_twice_is_told_with_its_table_and_its_first_line() {
        for (toml, line, key, first) in [
            ("[auth]\nclient_id = 1\n\nclient_id = 2\n", 4, "auth.client_id", 2),
            ("[auth]\n\"client_id\" = 1\nclient_id = 2\n", 3, "auth.client_id", 2),
            ("[auth]\nclient_id = 1\n'client_id' = 2\n", 3, "auth.client_id", 2),
            ("[auth.a]\nclient_id = 1\n[auth.b]\nclient_id = 2\n[auth.c]\nclient_id = 3\nclient_id = 4\n", 7, "auth.c.client_id", 6),
            ("[auth]\nprompt = 1\nclient_kwargs = { prompt = 2 }\nprompt = 3\n", 4, "auth.prompt", 2),
            ("[auth]\nclient_kwargs = { prompt = 2, prompt = 3 }\n", 2, "auth.client_kwargs.prompt", 2),
            ("[auth]\nx.a = 1\nx.a = 2\n", 3, "auth.x.a", 2),
            ("[auth]\nk = 1\n[vestibule]\n[auth]\n", 4, "auth", 1),
            ("[auth.google]\nk = 1\n[auth.google]\n", 3, "auth.google", 1),
            ("a = 1\na = 2\n", 2, "a", 1),
            ("[[vestibule.rule]]\npath = 1\n[[vestibule.rule]]\npath = 2\naccess = 3\npath = 4\n", 6, "vestibule.rule[2].path", 4),
        ] {
            assert_eq!(told(toml), [(line, key.to_owned(), format!("is given twice, first in line {first}"))], "{toml}");
        }
    }

    #[test]
    fn each_of_several_is_told_and_not_more_than_some() {
        assert_eq!(told("[auth]\na = 1\na = 2\nb = 1\nc = yes\n").len(), 2);
        let many = format!("[auth]\n{}", "a = 1\n".repeat(100));
        let told = told(&many);
        assert_eq!(told.len(), super::MAX_TOLD);
        assert!(told.iter().all(|(_, key, problem)| key == "auth.a" && problem.ends_with("first in line 2")), "{told:?}");
    }

    #[test]
    fn what_follows_from_an_unclosed_bracket_is_not_told() {
        for toml in ["[auth]\nk = [1, 2\nb = 3\nc = 4\n[x]\nd = 1\n", "[auth]\nk = { a = 1\nb = 2\n", "[auth]\na = \"x\nb = 2\n"] {
            assert_eq!(told(toml).len(), 1, "{toml}: {:?}", told(toml));
        }
        assert_eq!(told("[auth]\na = yes\nb = no\n").len(), 2, "each for itself");
    }
}
