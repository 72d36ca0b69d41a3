//! What is in a file and has no effect: keys that no table of settings has, and texts that look like variables.

use toml::de::{DeTable, DeValue};

use super::section::Section;
use super::setting::{ENV, FILE, Key};

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

    /// Warns of scalar keys that are in no table of settings: Streamlit ignores them, so the file must stay usable.
    /// `elsewhere`: the table that a key of that name has a meaning in.
    pub(super) fn finish_lenient(&self, elsewhere: impl Fn(&str) -> Option<String>) {
        for (name, at) in self.unknown() {
            let is_table = self.table.and_then(|table| table.get(name.as_str())).is_some_and(|value| value.get_ref().is_table());
            if is_table {
                continue;
            }
            let moved = elsewhere(&name).map(|table| format!("move it to [{table}]"));
            let remedy = moved.unwrap_or_else(|| "remove it, or check its spelling".to_owned());
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

    /// Warns of texts that look like a reference to an environment variable, here and in every table below.
    pub(super) fn warn_of_variables(&self) {
        let mut tables: Vec<(String, &DeTable<'_>)> = self.table.map(|table| (self.path(), table)).into_iter().collect();
        while let Some((path, table)) = tables.pop() {
            for (name, value) in table {
                let key = format!("{path}.{}", name.get_ref());
                match value.get_ref() {
                    DeValue::Table(inner) => tables.push((key, inner)),
                    DeValue::String(text) if is_variable(text.as_ref()) => {
                        let problem = "is used literally: Vestibule replaces no variables";
                        let remedy = format!("write the value, or {}_env = \"NAME\" where the setting has that form", name.get_ref());
                        self.findings.warning(Some(name.span().start), &key, problem, remedy);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Keys that are in no table of settings, and name no value of one that is.
    fn unknown(&self) -> Vec<(String, usize)> {
        let Some(table) = self.table else { return vec![] };
        let is_known = |name: &str| self.knows(name) || Key::find_outside(self.shape.keys, name).is_some();
        let unknown = table.keys().filter(|name| !is_known(name.get_ref()));
        unknown.map(|name| (name.get_ref().to_string(), name.span().start)).collect()
    }
}

/// Whether somebody else's section has tables that say who may pass.
fn looks_like_rules(value: &DeValue<'_>) -> bool {
    let has = |table: &DeTable<'_>, key: &str| table.contains_key(key);
    let is_rule = |table: &DeTable<'_>| has(table, "require") || (has(table, "access") && (has(table, "path") || has(table, "host")));
    value.as_array().is_some_and(|items| items.iter().filter_map(|item| item.get_ref().as_table()).any(is_rule))
}

/// `${NAME}`, anywhere in a text, or `$NAME` as the whole of it.
fn is_variable(text: &str) -> bool {
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|c: char| c.is_ascii_digit())
            && name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
    };
    let in_braces = text.split("${").skip(1).any(|rest| rest.split_once('}').is_some_and(|(name, _)| is_name(name)));
    in_braces || text.strip_prefix('$').is_some_and(is_name)
}
