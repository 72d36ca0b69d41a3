//! Reading a TOML table key by key, so that every fault is found in one go and knows its line.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::findings::Findings;

/// A table of the file. Keys that nobody asked for are known at the end, which is how misspelt ones are found.
pub(super) struct Section<'a> {
    pub(super) findings: &'a Findings<'a>,
    path: String,
    table: Option<&'a DeTable<'a>>,
    at: Option<usize>,
    asked: RefCell<BTreeSet<&'static str>>,
}

/// A value together with its place, for later complaints.
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) at: Option<usize>,
    pub(super) key: String,
}

/// A key and what is written behind it, a list in any case.
pub(super) type NamedValues = (String, Vec<Value>);

/// Whether somebody else's section has tables that say who may pass.
fn looks_like_rules(value: &DeValue<'_>) -> bool {
    let has = |table: &DeTable<'_>, key: &str| table.contains_key(key);
    let is_rule = |table: &DeTable<'_>| has(table, "require") || (has(table, "access") && (has(table, "path") || has(table, "host")));
    value.as_array().is_some_and(|items| items.iter().filter_map(|item| item.get_ref().as_table()).any(is_rule))
}

impl<'a> Section<'a> {
    pub(super) fn root(findings: &'a Findings<'a>, table: &'a DeTable<'a>) -> Self {
        Self { findings, path: String::new(), table: Some(table), at: None, asked: RefCell::default() }
    }

    pub(super) fn exists(&self) -> bool {
        self.table.is_some()
    }

    /// Whether a key is there, whatever it holds.
    pub(super) fn has(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name))
    }

    /// Where the table itself stands.
    pub(super) fn at(&self) -> Option<usize> {
        self.at
    }

    /// The line of that, from 1; 0 where it stands nowhere.
    pub(super) fn line(&self) -> u32 {
        self.findings.line(self.at)
    }

    /// Dotted path of the table itself.
    pub(super) fn path(&self) -> String {
        self.path.clone()
    }

    /// Whether something fatal was found in it already.
    pub(super) fn is_faulty(&self) -> bool {
        self.findings.has_fatal_at(&self.path)
    }

    /// Whether something fatal was found at a key of it, so that a default stands for its value.
    pub(super) fn is_key_faulty(&self, name: &str) -> bool {
        self.findings.has_fatal_at(&self.key(name))
    }

    pub(super) fn key(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// A sub-table, empty when it is absent.
    pub(super) fn section(&self, name: &'static str) -> Section<'a> {
        self.asked.borrow_mut().insert(name);
        self.named_section(name)
    }

    /// Sub-tables by whatever names the user gave them, apart from those in `except`, in the order of the file.
    pub(super) fn sections(&self, except: &[&str]) -> Vec<(String, Section<'a>)> {
        let Some(table) = self.table else { return vec![] };
        let mut found: Vec<_> = table
            .iter()
            .filter(|(name, value)| value.get_ref().is_table() && !except.contains(&name.get_ref().as_ref()))
            .map(|(name, _)| (name.span().start, name.get_ref().to_string()))
            .collect();
        found.sort();
        found.into_iter().map(|(_, name)| (name.clone(), self.named_section(&name))).collect()
    }

    /// The tables of a list, `[[name]]` or `name = [{ … }]`, in order; the first has the path `name[1]`.
    pub(super) fn tables(&self, name: &'static str) -> Vec<Section<'a>> {
        let Some((span, value)) = self.take(name) else { return vec![] };
        let items = value.as_array().filter(|items| items.iter().all(|item| item.get_ref().is_table()));
        let Some(items) = items else {
            let wanted = format!("[[{}]]", self.key(name));
            return self.wrong_type(name, &span, value, &format!("a list of tables, {wanted} or [{{ … }}]")).unwrap_or_default();
        };
        let section = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| Section {
            findings: self.findings,
            path: format!("{}[{}]", self.key(name), index + 1),
            table: item.get_ref().as_table(),
            at: Some(item.span().start),
            asked: RefCell::default(),
        };
        items.iter().enumerate().map(section).collect()
    }

    /// The entries of a table whose values are scalars or lists of them, as JSON; a scalar is a list of one.
    pub(super) fn value_lists(&self, name: &'static str) -> Option<Vec<Placed<NamedValues>>> {
        let (span, value) = self.take(name)?;
        let Some(table) = value.as_table() else {
            return self.wrong_type(name, &span, value, "a table, { name = \"value\" }");
        };
        let is_scalar = |json: &Value| !json.is_array() && !json.is_object();
        let mut entries = vec![];
        for (entry, item) in table {
            let key = format!("{}.{}", self.key(name), entry.get_ref());
            let at = Some(entry.span().start);
            let values = match Value::deserialize(toml::de::ValueDeserializer::from(item.clone())).ok() {
                Some(Value::Array(items)) if items.iter().all(is_scalar) => items,
                Some(single) if is_scalar(&single) => vec![single],
                _ => {
                    self.findings.fatal(at, &key, "must be a value or a list of values", "write a string, a number, true/false, or a list");
                    continue;
                }
            };
            entries.push(Placed { value: (entry.get_ref().to_string(), values), at, key });
        }
        Some(entries)
    }

    pub(super) fn string(&self, name: &'static str) -> Option<Placed<String>> {
        let (span, value) = self.take(name)?;
        match value.as_str() {
            Some(text) => Some(Placed { value: text.to_owned(), at: Some(span.start), key: self.key(name) }),
            None => self.wrong_type(name, &span, value, "a string in quotes"),
        }
    }

    pub(super) fn boolean(&self, name: &'static str) -> Option<bool> {
        let (span, value) = self.take(name)?;
        value.as_bool().or_else(|| self.wrong_type(name, &span, value, "true or false"))
    }

    /// A whole number from 0 to `max`.
    pub(super) fn number(&self, name: &'static str, max: u32) -> Option<u32> {
        let (span, value) = self.take(name)?;
        let Some(number) = value.as_integer() else { return self.wrong_type(name, &span, value, "a whole number") };
        let parsed = u32::from_str_radix(number.as_str(), number.radix()).ok().filter(|number| *number <= max);
        if parsed.is_none() {
            let problem = format!("`{number}` is not a whole number from 0 to {max}");
            self.findings.fatal(Some(span.start), &self.key(name), problem, "write 60 for example");
        }
        parsed
    }

    /// `"30d"`, `"8h"`, `"15m"`: whole seconds, at least one, at most 400 days (the longest a browser keeps a cookie,
    /// RFC 6265bis section 5.5).
    pub(super) fn duration(&self, name: &'static str) -> Option<Duration> {
        let text = self.string(name)?;
        let parsed = humantime::parse_duration(&text.value).ok();
        let in_range = parsed.filter(|d| (1..=400 * 24 * 60 * 60).contains(&d.as_secs()));
        if in_range.is_none() {
            let problem = format!("`{}` is not a duration between one second and 400 days", text.value);
            self.findings.fatal(text.at, &text.key, problem, "write \"30d\", \"8h\" or \"15m\" for example");
        }
        in_range
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let text = self.string(name)?;
        let chosen = choices.iter().find(|(word, _)| *word == text.value).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
            let problem = format!("`{}` is none of the possible values", text.value);
            self.findings.fatal(text.at, &text.key, problem, format!("write {}", words.join(" or ")));
        }
        chosen
    }

    /// A string, or a list of strings.
    pub(super) fn strings(&self, name: &'static str) -> Option<Vec<Placed<String>>> {
        let (span, value) = self.take(name)?;
        let placed = |text: &str, at: usize| Placed { value: text.to_owned(), at: Some(at), key: self.key(name) };
        if let Some(text) = value.as_str() {
            return Some(vec![placed(text, span.start)]);
        }
        let items: Option<Vec<_>> = value
            .as_array()
            .and_then(|array| array.iter().map(|item| item.get_ref().as_str().map(|text| placed(text, item.span().start))).collect());
        items.or_else(|| self.wrong_type(name, &span, value, "a list of strings"))
    }

    /// The entries of a table with scalar values, as JSON, in the order of the file.
    pub(super) fn entries(&self, name: &'static str) -> Option<Vec<Placed<(String, Value)>>> {
        let (span, value) = self.take(name)?;
        let Some(table) = value.as_table() else {
            return self.wrong_type(name, &span, value, "a table, { name = \"value\" }");
        };
        let mut entries: Vec<_> = table
            .iter()
            .filter_map(|(entry, item)| {
                let key = format!("{}.{}", self.key(name), entry.get_ref());
                let at = Some(entry.span().start);
                let json = Value::deserialize(toml::de::ValueDeserializer::from(item.clone())).ok();
                match json.filter(|json| !json.is_array() && !json.is_object()) {
                    Some(json) => Some(Placed { value: (entry.get_ref().to_string(), json), at, key }),
                    None => {
                        self.findings.fatal(at, &key, "must be a single value", "write a string, a number or true/false");
                        None
                    }
                }
            })
            .collect();
        entries.sort_by_key(|entry| entry.at);
        Some(entries)
    }

    /// Complains about the keys that nobody asked for, naming the nearest right one.
    pub(super) fn finish_strict(&self) {
        let asked = self.asked.borrow();
        for (name, at) in self.unasked() {
            let nearest = asked
                .iter()
                .map(|known| (strsim::damerau_levenshtein(&name, known), known))
                .min()
                .filter(|(distance, _)| *distance <= name.len().div_ceil(2))
                .map(|(_, known)| format!("did you mean `{known}`?"));
            let known = asked.iter().copied().collect::<Vec<_>>().join(", ");
            let remedy = nearest.unwrap_or_else(|| format!("remove it; known here: {known}"));
            self.findings.fatal(Some(at), &self.key(&name), "unknown key", remedy);
        }
    }

    /// Warns of scalar keys that nobody asked for: Streamlit ignores them, so the file must stay usable. `elsewhere`: the
    /// table that a key of that name has a meaning in.
    pub(super) fn finish_lenient(&self, elsewhere: impl Fn(&str) -> Option<String>) {
        for (name, at) in self.unasked() {
            let is_table = self.table.and_then(|table| table.get(name.as_str())).is_some_and(|value| value.get_ref().is_table());
            if is_table {
                continue;
            }
            let moved = elsewhere(&name).map(|table| format!("move it to [{table}]"));
            let remedy = moved.unwrap_or_else(|| "remove it, or check its spelling".to_owned());
            self.findings.warning(Some(at), &self.key(&name), "unknown key, ignored", remedy);
        }
    }

    /// Whether a key of that name was asked for, in what has been read so far.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.asked.borrow().contains(name)
    }

    /// Warns of texts that look like a reference to an environment variable, here and in every table below.
    pub(super) fn warn_of_variables(&self) {
        let mut tables: Vec<(String, &DeTable<'_>)> = self.table.map(|table| (self.path.clone(), table)).into_iter().collect();
        while let Some((path, table)) = tables.pop() {
            for (name, value) in table {
                let key = format!("{path}.{}", name.get_ref());
                match value.get_ref() {
                    DeValue::Table(inner) => tables.push((key, inner)),
                    DeValue::String(text) if is_variable(text) => {
                        let problem = "is taken as it is written: no variable is put in its place";
                        let remedy = format!("write the value, or {}_env = \"NAME\" where the setting has that form", name.get_ref());
                        self.findings.warning(Some(name.span().start), &key, problem, remedy);
                    }
                    _ => {}
                }
            }
        }
    }

    /// Complains of tables that look like a misspelt one of ours. Others are somebody else's: `secrets.toml` is shared.
    pub(super) fn finish_foreign(&self) {
        let asked = self.asked.borrow();
        for (name, at) in self.unasked() {
            if self.table.and_then(|table| table.get(name.as_str())).is_some_and(|value| looks_like_rules(value.get_ref())) {
                self.findings.fatal(Some(at), &self.key(&name), "is not read: nobody is kept out by it", "write [[vestibule.rule]]");
                continue;
            }
            let meant = asked.iter().find(|known| strsim::damerau_levenshtein(&name.to_ascii_lowercase(), known) <= 2);
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

    /// Keys whose values are not tables, with their places.
    pub(super) fn scalars(&self) -> Vec<(String, usize)> {
        let table = self.table.into_iter().flat_map(|table| table.iter());
        table.filter(|(_, value)| !value.get_ref().is_table()).map(|(name, _)| (name.get_ref().to_string(), name.span().start)).collect()
    }

    fn unasked(&self) -> Vec<(String, usize)> {
        let asked = self.asked.borrow();
        let Some(table) = self.table else { return vec![] };
        table
            .keys()
            .filter(|name| !asked.contains(name.get_ref().as_ref()))
            .map(|name| (name.get_ref().to_string(), name.span().start))
            .collect()
    }

    fn named_section(&self, name: &str) -> Section<'a> {
        let entry = self.table.and_then(|table| table.get_key_value(name));
        if let Some((key, value)) = entry.filter(|(_, value)| !value.get_ref().is_table()) {
            self.findings.fatal(Some(key.span().start), &self.key(name), "must be a table", format!("write [{}]", self.key(name)));
            let _ = value;
        }
        Section {
            findings: self.findings,
            path: self.key(name),
            table: entry.and_then(|(_, value)| value.get_ref().as_table()),
            at: entry.map(|(key, _)| key.span().start),
            asked: RefCell::default(),
        }
    }

    fn take(&self, name: &'static str) -> Option<(Range<usize>, &'a DeValue<'a>)> {
        self.asked.borrow_mut().insert(name);
        let value: &'a Spanned<DeValue<'a>> = self.table?.get(name)?;
        Some((value.span(), value.get_ref()))
    }

    fn wrong_type<T>(&self, name: &str, span: &Range<usize>, value: &DeValue<'_>, wanted: &str) -> Option<T> {
        let problem = format!("is of type {}, not {wanted}", value.type_str());
        self.findings.fatal(Some(span.start), &self.key(name), problem, format!("write {wanted}"));
        None
    }
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
