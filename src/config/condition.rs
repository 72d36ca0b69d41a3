//! `require` of a rule: the conditions for a user.

use super::section::{Placed, Section};
use super::setting::{Form, Key, Setting, keys};
use crate::claims::{self, GroupsClaim};
use crate::policy::Condition;
use crate::web::origin::PublicOrigin;

/// `all` and `any` within each other: deeper than anybody follows when reading.
pub(super) const MAX_DEPTH: usize = 4;

/// What stands in `require`, and in each table of `all` and `any`.
pub(super) const REQUIRE: [Setting; 8] = [
    Setting::new(
        "groups",
        Form::List,
        "One of these is among the user's groups: see [`groups_claim` and `groups_shape`](settings.md#vestibuleidentity).",
        "[\"admins\", \"staff\"]",
    ),
    Setting::new("roles", Form::List, "One of these is in the claim `roles`.", "\"auditor\""),
    Setting::new(
        "email",
        Form::List,
        "The verified e-mail address is one of these. A file, `email_file`, has one address a line.",
        "\"alice@example.com\"",
    )
    .pattern("^[^@\\s]+@[^@\\s]+$"),
    Setting::new("email_domain", Form::List, "The verified e-mail address is of exactly one of these domains.", "\"example.com\"")
        .pattern("^[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)+$"),
    Setting::new(
        "claim",
        Form::ValueLists,
        "Each of these claims (by name or JSON pointer) is or contains the value, or one of a list of values.",
        "{ department = [\"sales\", \"board\"] }",
    ),
    Setting::new("provider", Form::List, "The login was with one of these providers.", "\"default\""),
    Setting::new(
        "all",
        Form::Tables(require_keys),
        "All of these tables of conditions are met. At most four levels of `all` and `any`.",
        "[{ groups = \"staff\" }, { email_domain = \"example.com\" }]",
    ),
    Setting::new(
        "any",
        Form::Tables(require_keys),
        "One of these tables of conditions is met.",
        "[{ groups = \"admins\" }, { email = \"alice@example.com\" }]",
    ),
];

pub(super) static REQUIRE_KEYS: [Key; 8] = keys(&REQUIRE);

fn require_keys() -> &'static [Key] {
    &REQUIRE_KEYS
}

/// What rules refer to.
pub(super) struct Names<'a> {
    pub(super) groups: &'a GroupsClaim,
    /// Its host is the only one that requests with a session can have.
    pub(super) public: Option<&'a PublicOrigin>,
    /// Also of those of which something is wrong.
    pub(super) providers: &'a [String],
}

/// Every condition of a table, all of which must be met.
pub(super) fn read_all_of(section: &Section<'_>, names: &Names<'_>, depth: usize) -> Condition {
    let mut conditions = vec![];
    for (key, kind) in [("all", Condition::All as fn(Vec<Condition>) -> Condition), ("any", Condition::Any)] {
        if !section.has(key) {
            continue;
        }
        let nested = section.tables(key);
        if nested.is_empty() && !section.is_faulty() {
            section.findings.fatal(section.at(), &section.key(key), "holds no condition", "write [{ groups = \"admins\" }, …]");
        } else if depth == MAX_DEPTH {
            let problem = format!("is nested more than {MAX_DEPTH} deep");
            section.findings.fatal(section.at(), &section.key(key), problem, "write a rule of its own for some of it");
        } else {
            conditions.push(kind(nested.iter().map(|table| read_all_of(table, names, depth + 1)).collect()));
        }
    }
    let texts = |key: &'static str| Some(list(section, key, "\"…\", or a list")).filter(|items| !items.is_empty());
    let emails = || texts("email").map(|items| Condition::Email(read_emails(section, items)));
    let values = |items: Vec<Placed<String>>| {
        items.iter().for_each(|item| refuse_wildcard(section, item.at, &item.key, &item.value));
        items.into_iter().map(|item| item.value.into()).collect()
    };
    conditions.extend(texts("groups").map(|items| Condition::Groups { claim: names.groups.clone(), values: values(items) }));
    conditions.extend(texts("roles").map(|items| Condition::Claim { name: "roles".to_owned(), values: values(items) }));
    conditions.extend(if section.has_file("email") { read_email_file(section) } else { emails() });
    conditions.extend(texts("email_domain").map(|items| Condition::EmailDomain(read_domains(section, items))));
    conditions.extend(texts("provider").map(|items| Condition::Provider(read_providers(section, items, names.providers))));
    conditions.extend(read_claims(section));
    section.finish_strict();
    if conditions.is_empty() && !section.is_faulty() {
        let remedy = "write groups = \"admins\" for example, or remove it where any login will do";
        section.findings.fatal(section.at(), &section.path(), "asks for nothing", remedy);
    }
    match conditions.len() {
        1 => conditions.remove(0),
        _ => Condition::All(conditions),
    }
}

/// Values are compared whole. A `*` stands for itself, and hardly for a group of that name.
fn refuse_wildcard(section: &Section<'_>, at: Option<usize>, key: &str, value: &str) {
    if value == "*" {
        let remedy = "write the values that admit a user; where any login will do, remove `require`";
        section.findings.fatal(at, key, "`*` is not a wildcard here", remedy);
    } else if value.contains('*') {
        let problem = format!("`{value}` is compared whole: `*` is not a wildcard here");
        section.findings.warning(at, key, problem, "write the values in full");
    } else if let Some(mark) = mark_of_a_pattern(value) {
        let problem = format!("`{value}` is compared whole: `{mark}` is not a wildcard here");
        section.findings.warning(at, key, problem, "write each value in full; a list admits any of its values");
    }
}

/// What of a value shells and others take for a pattern beside `*`: `?`, `[ab]` and `[a-z]`, `{a,b}`. Names of groups have brackets
/// of their own: `[HR] Managers`.
fn mark_of_a_pattern(value: &str) -> Option<&'static str> {
    let within = |open: char, close: char| Some(value.split_once(open)?.1.split_once(close)?.0).filter(|inner| !inner.is_empty());
    let is_class = |inner: &str| {
        inner.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-!^".contains(&b)) || inner.as_bytes().get(1) == Some(&b'-')
    };
    if value.contains('?') {
        Some("?")
    } else if within('[', ']').is_some_and(is_class) {
        Some("[]")
    } else if within('{', '}').is_some_and(|inner| inner.contains(',') && !inner.contains(['"', ':'])) {
        Some("{}")
    } else {
        None
    }
}

fn read_emails(section: &Section<'_>, items: Vec<Placed<String>>) -> Vec<String> {
    for item in items.iter().filter(|item| !is_address(&item.value)) {
        let problem = format!("`{}` is not an e-mail address", item.value);
        section.findings.fatal(item.at, &item.key, problem, ADDRESS_EXAMPLE);
    }
    items.into_iter().map(|item| item.value).collect()
}

const ADDRESS_EXAMPLE: &str = "write \"alice@example.com\"; for a whole domain, email_domain = \"example.com\"";

/// One `@` with something on either side of it, and nothing that separates addresses, is not seen or looks like a wildcard.
fn is_address(text: &str) -> bool {
    let is_one = !text.contains(|c: char| c.is_whitespace() || c.is_control() || ",;<>*".contains(c));
    is_one && text.split_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'))
}

/// `email_file = "people.txt"`: addresses, one a line, and lines and ends of lines that a `#` makes a comment.
fn read_email_file(section: &Section<'_>) -> Option<Condition> {
    let (path, text) = section.file("email")?;
    if section.is_written("email") {
        let remedy = "put all addresses into the file, or write any = [{ email = \"…\" }, { email_file = \"…\" }]";
        section.findings.fatal(path.at, &path.key, "stands beside `email`: an address would have to be in both", remedy);
    }
    let lines = text.trim_start_matches('\u{feff}').lines().zip(1..);
    let lines = lines.map(|(line, number)| (without_comment(line), number)).filter(|(address, _)| !address.is_empty());
    let (addresses, wrong): (Vec<_>, Vec<_>) = lines.partition(|(address, _)| is_address(address));
    for (_, number) in wrong.iter().take(MAX_LINES_TOLD) {
        // What it is instead is not shown: it may be a file of secrets.
        section.findings.fatal_in(&path.value, *number, &path.key, "is not an e-mail address", "write one a line, alice@example.com");
    }
    if addresses.is_empty() && wrong.is_empty() {
        let problem = format!("the file `{}` holds no address, so that no user is admitted", path.value);
        section.findings.fatal(path.at, &path.key, problem, "write addresses into it, one a line, or access = \"deny\"");
    }
    Some(Condition::Email(addresses.into_iter().map(|(address, _)| address.to_owned()).collect()))
}

/// Of a file that is something else, all lines are wrong.
const MAX_LINES_TOLD: usize = 10;

/// A `#` begins a comment at the beginning and after a space: it may be part of an address.
fn without_comment(line: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| *at == 0 || line[..*at].ends_with(char::is_whitespace);
    let end = line.match_indices('#').find(begins).map_or(line.len(), |(at, _)| at);
    line[..end].trim()
}

fn read_domains(section: &Section<'_>, items: Vec<Placed<String>>) -> Vec<String> {
    let is_domain = |text: &str| {
        text.contains('.')
            && text.split('.').all(|label| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    for item in items.iter().filter(|item| !is_domain(&item.value)) {
        let problem = format!("`{}` is not a domain", item.value);
        let remedy = match url::Host::parse(&item.value) {
            Ok(url::Host::Domain(ascii)) if is_domain(&ascii) && !item.value.is_ascii() => match section.findings.is_hidden(&item.key) {
                true => "write its ASCII form, which begins with xn--".to_owned(),
                false => format!("write its ASCII form: \"{ascii}\""),
            },
            _ => "write \"example.com\", without @ and *; each sub-domain by itself".to_owned(),
        };
        section.findings.fatal(item.at, &item.key, problem, remedy);
    }
    items.into_iter().map(|item| item.value).collect()
}

fn read_providers(section: &Section<'_>, items: Vec<Placed<String>>, providers: &[String]) -> Vec<String> {
    for item in items.iter().filter(|item| !providers.contains(&item.value)) {
        let problem = format!("there is no provider `{}` in [auth]", item.value);
        section.findings.fatal(item.at, &item.key, problem, format!("name one of: {}", providers.join(", ")));
    }
    items.into_iter().map(|item| item.value).collect()
}

/// `claim = { department = "sales", "/address/country" = ["DE", "AT"] }`.
fn read_claims(section: &Section<'_>) -> Vec<Condition> {
    let mut conditions = vec![];
    for entry in section.value_lists("claim").unwrap_or_default() {
        let (name, values) = entry.value;
        let refuse = |problem: &str, remedy: &str| section.findings.fatal(entry.at, &entry.key, problem, remedy);
        if claims::is_email(&name) {
            refuse("is a claim that users can choose if the provider does not verify it", "write email or email_domain");
        } else if !claims::is_name_or_pointer(&name) {
            refuse("is neither a claim's name nor a JSON pointer", "write department or \"/address/country\" for example");
        } else if values.is_empty() {
            refuse("holds no value, so that no user can meet it", "write a value, or a list of them");
        } else {
            values.iter().filter_map(|value| value.as_str()).for_each(|text| refuse_wildcard(section, entry.at, &entry.key, text));
            conditions.push(Condition::Claim { name, values });
        }
    }
    conditions
}

/// A string or a list of them. One that is empty would mean everything or nothing, which is not what it looks like.
pub(super) fn list(section: &Section<'_>, name: &'static str, example: &str) -> Vec<Placed<String>> {
    let items = section.strings(name);
    if items.as_ref().is_some_and(|items| items.is_empty() || items.iter().any(|item| item.value.is_empty())) {
        section.findings.fatal(section.at(), &section.key(name), "is empty", format!("write {example}, or remove it"));
        return vec![];
    }
    items.unwrap_or_default()
}
