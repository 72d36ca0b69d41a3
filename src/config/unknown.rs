//! What is in a file and has no effect: keys that no table of settings has, and texts that look like variables.

use toml::de::{DeTable, DeValue};

use super::section::Section;
use super::setting::{ENV, FILE, Key};
use super::tables;

impl Section<'_> {
    /// Complains about the keys that are in no table of settings, naming the nearest one that is.
    pub(super) fn finish_strict(&self) {
        for (name, at) in self.unknown() {
            let candidates = self.shape.keys.iter().flat_map(|key| {
                let outside = if key.form.is_outside() { [ENV, FILE].as_slice() } else { &[] };
                std::iter::once("").chain(outside.iter().copied()).map(|end| format!("{}{end}", key.name))
            });
            let nearest = candidates
                .map(|known| (strsim::damerau_levenshtein(&name, &known), known.len().abs_diff(name.len()), known))
                .min()
                .filter(|(distance, ..)| *distance <= name.len().div_ceil(2))
                .map(|(.., known)| format!("did you mean `{known}`?"));
            let mut known: Vec<_> = self.shape.keys.iter().map(|key| key.name).collect();
            known.sort_unstable();
            let remedy = nearest.unwrap_or_else(|| format!("remove it; known here: {}", known.join(", ")));
            self.findings.fatal(Some(at), &self.key(&name), "unknown key", remedy);
        }
    }

    /// Warns of keys that are in no table of settings: Streamlit ignores them, so the file must stay usable. `provider`: the name of
    /// the provider of this section. Rules that stand here are no rules, and a fault.
    pub(super) fn finish_lenient(&self, provider: &str) {
        for (name, at) in self.unknown() {
            let value = self.table.and_then(|table| table.get(name.as_str()));
            let place = tables::place_of(&name, provider);
            if value.is_some_and(|value| looks_like_rules(value.get_ref())) {
                self.findings.fatal(Some(at), &self.key(&name), "is not read, and restricts nothing", "write [[vestibule.rule]]");
                continue;
            }
            let is_table = value.is_some_and(|value| value.get_ref().is_table());
            let remedy = match place {
                Some(place) if is_table || place.starts_with("[[") => format!("write {place}"),
                Some(place) => format!("move it to {place}"),
                // A section of a provider, or somebody else's.
                None if is_table => continue,
                None => "remove it, or check its spelling".to_owned(),
            };
            self.findings.warning(Some(at), &self.key(&name), "unknown key, ignored", remedy);
        }
    }

    /// Complains of tables that look like a misspelt one of ours. Others are somebody else's: `secrets.toml` is shared.
    pub(super) fn finish_foreign(&self) {
        for (name, at) in self.unknown() {
            if self.table.and_then(|table| table.get(name.as_str())).is_some_and(|value| looks_like_rules(value.get_ref())) {
                self.findings.fatal(Some(at), &self.key(&name), "is not read, and restricts nothing", "write [[vestibule.rule]]");
                continue;
            }
            let known = self.shape.keys.iter().map(|key| key.name);
            let meant = known.into_iter().find(|known| strsim::damerau_levenshtein(&name.to_ascii_lowercase(), known) <= 2);
            let is_table = self.table.and_then(|table| table.get(name.as_str())).is_some_and(|value| value.get_ref().is_table());
            if let Some(meant) = meant.filter(|_| is_table) {
                self.findings.fatal(
                    Some(at),
                    &self.key(&name),
                    "is not known, and nothing in it has an effect",
                    format!("write [{meant}]"),
                );
            }
        }
    }

    /// Warns of texts that look like a reference to an environment variable, and of patterns where none are read, here and in every
    /// table and list below.
    pub(super) fn warn_of_variables(&self) {
        for Text { key, name, at, text } in self.texts() {
            if is_variable(text) {
                let problem = "is used literally: Vestibule replaces no variables";
                let remedy = format!("write the value, or {name}_env = \"NAME\" where the setting has that form");
                self.findings.warning(Some(at), &key, problem, remedy);
            }
            let is_told = || self.findings.has_any_at(&key, self.findings.line(Some(at)));
            if text.contains('*') && !MAY_HAVE_A_STAR.contains(&name.as_str()) && !is_told() {
                let problem = "is compared whole: `*` is not a wildcard here";
                self.findings.warning(Some(at), &key, problem, "write the value in full");
            }
        }
    }

    /// Every text in this table and below it.
    fn texts(&self) -> Vec<Text<'_>> {
        let mut found = vec![];
        let mut tables: Vec<(String, &DeTable<'_>)> = self.table.map(|table| (self.path(), table)).into_iter().collect();
        while let Some((path, table)) = tables.pop() {
            for (name, value) in table {
                let (key, name, at) = (format!("{path}.{}", name.get_ref()), name.get_ref(), name.span().start);
                // Tables stay in their order.
                let mut values = vec![(key, at, value.get_ref())];
                while let Some((key, at, value)) = values.pop() {
                    match value {
                        DeValue::Table(inner) => tables.push((key, inner)),
                        DeValue::Array(items) => values.extend(items.iter().enumerate().map(|(index, item)| {
                            let key = if item.get_ref().is_table() { format!("{key}[{}]", index + 1) } else { key.clone() };
                            (key, item.span().start, item.get_ref())
                        })),
                        DeValue::String(text) => found.push(Text { key, name: name.to_string(), at, text: text.as_ref() }),
                        _ => {}
                    }
                }
            }
        }
        found
    }

    /// Keys that are in no table of settings, and name no value of one that is.
    fn unknown(&self) -> Vec<(String, usize)> {
        let Some(table) = self.table else { return vec![] };
        let is_known = |name: &str| self.knows(name) || Key::find_outside(self.shape.keys, name).is_some();
        let unknown = table.keys().filter(|name| !is_known(name.get_ref()));
        unknown.map(|name| (name.get_ref().to_string(), name.span().start)).collect()
    }
}

/// A text of the file.
struct Text<'a> {
    /// Dotted path of its key; texts of a list have that of the list.
    key: String,
    /// The end of that.
    name: String,
    at: usize,
    text: &'a str,
}

/// Keys whose values are patterns, give a `*` a meaning of their own, are random, or are words for people or for others.
const MAY_HAVE_A_STAR: [&str; 15] = [
    "path",
    "hd",
    "scope",
    "client_secret",
    "cookie_secret",
    "previous_cookie_secrets",
    "store",
    "logout_url",
    "title",
    "name",
    "support",
    "logo",
    "prompt",
    "login_hint",
    "claims",
];

/// Whether somebody else's section has tables that say who may pass.
fn looks_like_rules(value: &DeValue<'_>) -> bool {
    let has = |table: &DeTable<'_>, key: &str| table.contains_key(key);
    let is_rule = |table: &DeTable<'_>| has(table, "require") || (has(table, "access") && (has(table, "path") || has(table, "host")));
    value.as_array().is_some_and(|items| items.iter().filter_map(|item| item.get_ref().as_table()).any(is_rule))
}

/// `${NAME}`, anywhere in a text and also with a default as shells have it (`${NAME:-x}`), or `$NAME` as the whole of it.
fn is_variable(text: &str) -> bool {
    let is_name = |name: &str, may_be_small: bool| {
        let is_of_name = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_' || (may_be_small && b.is_ascii_lowercase());
        !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) && name.bytes().all(is_of_name)
    };
    let in_braces = text.split("${").skip(1).any(|rest| {
        let name = rest.split_once('}').map(|(inner, _)| inner.split_once([':', '-']).map_or(inner, |(name, _)| name));
        name.is_some_and(|name| is_name(name, true))
    });
    in_braces || text.strip_prefix('$').is_some_and(|name| is_name(name, false))
}
