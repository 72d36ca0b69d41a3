//! Reading a TOML table key by key, so that every fault is found in one go and knows its line.

use std::ops::Range;
use std::time::Duration;

use serde::Deserialize as _;
use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Reference;
use super::findings::Findings;
use super::outside::Outside;
use super::setting::{ENV, FILE, Form, Key, Shape};

/// A table of the file, and the settings that it can have. Only those can be read.
pub(super) struct Section<'a> {
    pub(super) findings: &'a Findings<'a>,
    outside: &'a Outside<'a>,
    path: String,
    pub(super) table: Option<&'a DeTable<'a>>,
    at: Option<usize>,
    pub(super) shape: Shape,
    /// Whether some key may name a value outside: most tables have none.
    refers: bool,
}

/// A value, where it comes from.
enum Given<'a> {
    Written(Range<usize>, &'a DeValue<'a>),
    Outside(Placed<String>),
}

/// A value together with its place, for later complaints.
pub(super) struct Placed<T> {
    pub(super) value: T,
    pub(super) at: Option<usize>,
    pub(super) key: String,
}

/// A key and what is written behind it, a list in any case.
pub(super) type NamedValues = (String, Vec<Value>);

impl<'a> Section<'a> {
    pub(super) fn root(findings: &'a Findings<'a>, outside: &'a Outside<'a>, table: &'a DeTable<'a>, shape: Shape) -> Self {
        Self::new(findings, outside, String::new(), Some(table), None, shape)
    }

    fn new(
        findings: &'a Findings<'a>,
        outside: &'a Outside<'a>,
        path: String,
        table: Option<&'a DeTable<'a>>,
        at: Option<usize>,
        shape: Shape,
    ) -> Self {
        let refers = table.is_some_and(|table| table.keys().any(|key| key.get_ref().ends_with(ENV) || key.get_ref().ends_with(FILE)));
        Self { findings, outside, path, table, at, shape, refers }
    }

    pub(super) fn exists(&self) -> bool {
        self.table.is_some()
    }

    /// Whether a key is there, or names a value outside, whatever it holds.
    pub(super) fn has(&self, name: &str) -> bool {
        let is_there = |name: &str| self.table.is_some_and(|table| table.contains_key(name));
        is_there(name) || (self.refers && [ENV, FILE].iter().any(|end| is_there(&format!("{name}{end}"))))
    }

    /// Whether a key is there, or names a variable with its value.
    pub(super) fn is_written(&self, name: &str) -> bool {
        self.table.is_some_and(|table| table.contains_key(name) || table.contains_key(format!("{name}{ENV}").as_str()))
    }

    /// Whether a key names a file with its value.
    pub(super) fn has_file(&self, name: &str) -> bool {
        self.refers && self.table.is_some_and(|table| table.contains_key(format!("{name}{FILE}").as_str()))
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
        let shape = match self.form(name) {
            Some(Form::Table(shape)) => shape,
            _ => self.not_described(name).unwrap_or(Shape::of(&[])),
        };
        self.named_section(name, shape)
    }

    /// Sub-tables by whatever names the user gave them, apart from those in `except`, in the order of the file.
    pub(super) fn sections(&self, except: &[&str]) -> Vec<(String, Section<'a>)> {
        let (Some(table), Some(keys)) = (self.table, self.shape.named) else { return vec![] };
        let is_named = |name: &str| !except.contains(&name) && Key::find(self.shape.keys, name).is_none();
        let mut found: Vec<_> = table
            .iter()
            .filter(|(name, value)| value.get_ref().is_table() && is_named(name.get_ref()))
            .map(|(name, _)| (name.span().start, name.get_ref().to_string()))
            .collect();
        found.sort();
        found.into_iter().map(|(_, name)| (name.clone(), self.named_section(&name, Shape::of(keys)))).collect()
    }

    /// The tables of a list, `[[name]]` or `name = [{ … }]`, in order; the first has the path `name[1]`.
    pub(super) fn tables(&self, name: &'static str) -> Vec<Section<'a>> {
        let Some(Form::Tables(keys)) = self.form(name) else { return self.not_described(name).unwrap_or_default() };
        let Some((span, value)) = self.written(name) else { return vec![] };
        let items = value.as_array().filter(|items| items.iter().all(|item| item.get_ref().is_table()));
        let Some(items) = items else {
            let wanted = format!("[[{}]]", self.key(name));
            return self.wrong_type(name, &span, value, &format!("a list of tables, {wanted} or [{{ … }}]")).unwrap_or_default();
        };
        let section = |(index, item): (usize, &'a Spanned<DeValue<'a>>)| {
            let path = format!("{}[{}]", self.key(name), index + 1);
            Self::new(self.findings, self.outside, path, item.get_ref().as_table(), Some(item.span().start), Shape::of(keys()))
        };
        items.iter().enumerate().map(section).collect()
    }

    /// The entries of a table whose values are scalars or lists of them, as JSON; a scalar is a list of one.
    pub(super) fn value_lists(&self, name: &'static str) -> Option<Vec<Placed<NamedValues>>> {
        let Some(Form::ValueLists) = self.form(name) else { return self.not_described(name) };
        let (span, value) = self.written(name)?;
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
        match self.form(name) {
            Some(Form::Text | Form::Url) => self.text(name),
            _ => self.not_described(name),
        }
    }

    pub(super) fn boolean(&self, name: &'static str) -> Option<bool> {
        let Some(Form::Boolean) = self.form(name) else { return self.not_described(name) };
        match self.given(name)? {
            Given::Written(span, value) => value.as_bool().or_else(|| self.wrong_type(name, &span, value, "true or false")),
            Given::Outside(text) => text.value.parse().ok().or_else(|| {
                self.findings.fatal(text.at, &text.key, format!("`{}` is neither true nor false", text.value), "write true or false");
                None
            }),
        }
    }

    /// A whole number.
    pub(super) fn number(&self, name: &'static str) -> Option<u32> {
        let Some(Form::Number(max)) = self.form(name) else { return self.not_described(name) };
        let (at, key, text, parsed) = match self.given(name)? {
            Given::Written(span, value) => {
                let Some(number) = value.as_integer() else { return self.wrong_type(name, &span, value, "a whole number") };
                let parsed = u32::from_str_radix(number.as_str(), number.radix());
                (Some(span.start), self.key(name), number.to_string(), parsed)
            }
            Given::Outside(text) => (text.at, text.key, text.value.clone(), text.value.parse()),
        };
        let parsed = parsed.ok().filter(|number| *number <= max);
        if parsed.is_none() {
            let problem = format!("`{text}` is not a whole number from 0 to {max}");
            self.findings.fatal(at, &key, problem, "write 60 for example");
        }
        parsed
    }

    /// `"30d"`, `"8h"`, `"15m"`: whole seconds, at least one, at most 400 days (the longest a browser keeps a cookie,
    /// RFC 6265bis section 5.5).
    pub(super) fn duration(&self, name: &'static str) -> Option<Duration> {
        self.duration_of(name, 1)
    }

    /// The same, and `"0s"`.
    pub(super) fn duration_or_none(&self, name: &'static str) -> Option<Duration> {
        self.duration_of(name, 0)
    }

    fn duration_of(&self, name: &'static str, least: u64) -> Option<Duration> {
        let Some(Form::Duration) = self.form(name) else { return self.not_described(name) };
        let text = self.text(name)?;
        let parsed = humantime::parse_duration(&text.value).ok();
        let in_range = parsed.filter(|d| d.is_zero() && least == 0 || (1..=400 * 24 * 60 * 60).contains(&d.as_secs()));
        if in_range.is_none() {
            let problem = format!("`{}` is not a duration between one second and 400 days", text.value);
            self.findings.fatal(text.at, &text.key, problem, "write \"30d\", \"8h\" or \"15m\" for example");
        }
        in_range
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, name: &'static str, choices: &[(&str, T)]) -> Option<T> {
        let Some(Form::Choice(words)) = self.form(name) else { return self.not_described(name) };
        let text = self.text(name)?;
        let word = words.iter().find(|word| **word == text.value);
        let chosen = word.and_then(|word| choices.iter().find(|(known, _)| known == word)).map(|(_, choice)| *choice);
        if chosen.is_none() {
            let words: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
            let problem = format!("`{}` is none of the possible values", text.value);
            self.findings.fatal(text.at, &text.key, problem, format!("write {}", words.join(" or ")));
        }
        chosen
    }

    /// A string, or a list of strings. From outside, one a line; empty lines are none.
    pub(super) fn strings(&self, name: &'static str) -> Option<Vec<Placed<String>>> {
        let Some(Form::List | Form::Choices(_)) = self.form(name) else { return self.not_described(name) };
        let (span, value) = match self.given(name)? {
            Given::Written(span, value) => (span, value),
            Given::Outside(text) => {
                let lines = text.value.lines().filter(|line| !line.trim().is_empty());
                let lines = lines.map(|line| Placed { value: line.to_owned(), at: text.at, key: text.key.clone() });
                return Some(lines.inspect(|line| self.findings.hide(&line.key, &line.value)).collect());
            }
        };
        let placed = |text: &str, at: usize| Placed { value: text.to_owned(), at: Some(at), key: self.key(name) };
        if let Some(text) = value.as_str() {
            return Some(vec![placed(text, span.start)]);
        }
        let items: Option<Vec<_>> = value
            .as_array()
            .and_then(|array| array.iter().map(|item| item.get_ref().as_str().map(|text| placed(text, item.span().start))).collect());
        items.or_else(|| self.wrong_type(name, &span, value, "a list of strings"))
    }

    /// Where a key names a file: the file's name, and its text. `None` for a fault, which is told.
    pub(super) fn file(&self, name: &'static str) -> Option<(Placed<String>, &'a str)> {
        let (path, value) = self.referred(name, FILE)?;
        Some((path, value?))
    }

    /// The entries of a table with scalar values, as JSON, in the order of the file.
    pub(super) fn entries(&self, name: &'static str) -> Option<Vec<Placed<(String, Value)>>> {
        let Some(Form::Entries(_)) = self.form(name) else { return self.not_described(name) };
        let (span, value) = self.written(name)?;
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

    /// Whether there is a setting of that name.
    pub(super) fn knows(&self, name: &str) -> bool {
        Key::find(self.shape.keys, name).is_some()
    }

    /// Keys whose values are not tables, with their places.
    pub(super) fn scalars(&self) -> Vec<(String, usize)> {
        let table = self.table.into_iter().flat_map(|table| table.iter());
        table.filter(|(_, value)| !value.get_ref().is_table()).map(|(name, _)| (name.get_ref().to_string(), name.span().start)).collect()
    }

    fn named_section(&self, name: &str, shape: Shape) -> Section<'a> {
        let entry = self.table.and_then(|table| table.get_key_value(name));
        if let Some((key, _)) = entry.filter(|(_, value)| !value.get_ref().is_table()) {
            self.findings.fatal(Some(key.span().start), &self.key(name), "must be a table", format!("write [{}]", self.key(name)));
        }
        let table = entry.and_then(|(_, value)| value.get_ref().as_table());
        Self::new(self.findings, self.outside, self.key(name), table, entry.map(|(key, _)| key.span().start), shape)
    }

    fn form(&self, name: &str) -> Option<Form> {
        Key::find(self.shape.keys, name).map(|key| key.form)
    }

    /// The code reads what no table of settings describes, or reads it as something else: no configuration is usable then.
    fn not_described<T>(&self, name: &str) -> Option<T> {
        self.findings.fatal(self.at, &self.key(name), "is read in another form than it has", "report this fault of Vestibule");
        None
    }

    fn written(&self, name: &str) -> Option<(Range<usize>, &'a DeValue<'a>)> {
        let value: &'a Spanned<DeValue<'a>> = self.table?.get(name)?;
        Some((value.span(), value.get_ref()))
    }

    /// A value, written as it is or named. `None` where there is none, and for a fault, which is told.
    fn given(&self, name: &'static str) -> Option<Given<'a>> {
        let written = self.written(name);
        let mut outside = [ENV, FILE].into_iter().filter_map(|end| self.referred(name, end));
        let Some((reference, value)) = outside.next() else {
            return written.map(|(span, value)| Given::Written(span, value));
        };
        if let Some(other) = written.map(|_| name.to_owned()).or_else(|| outside.next().map(|_| format!("{name}{FILE}"))) {
            self.findings.fatal(reference.at, &reference.key, format!("stands beside `{other}`"), "keep one of them");
            return None;
        }
        self.findings.hide(&reference.key, value?);
        Some(Given::Outside(Placed { value: value?.to_owned(), ..reference }))
    }

    /// What a key with `_env` or `_file` at its end names: the name, and the value unless there is none, which is told.
    fn referred(&self, name: &str, end: &str) -> Option<(Placed<String>, Option<&'a str>)> {
        if !self.refers {
            return None;
        }
        let name = format!("{name}{end}");
        let (span, value) = self.written(&name)?;
        let Some(text) = value.as_str() else { return self.wrong_type(&name, &span, value, "a string in quotes") };
        let (reference, key) = (Reference::of(end, text), self.key(&name));
        let found = self.outside.found(&reference).map(|value| value.expose());
        if found.is_none() {
            let (problem, remedy) = reference.missing();
            self.findings.fatal(Some(span.start), &key, problem, remedy);
        }
        Some((Placed { value: text.to_owned(), at: Some(span.start), key }, found))
    }

    fn text(&self, name: &'static str) -> Option<Placed<String>> {
        match self.given(name)? {
            Given::Written(span, value) => match value.as_str() {
                Some(text) => Some(Placed { value: text.to_owned(), at: Some(span.start), key: self.key(name) }),
                None => self.wrong_type(name, &span, value, "a string in quotes"),
            },
            Given::Outside(text) => Some(text),
        }
    }

    fn wrong_type<T>(&self, name: &str, span: &Range<usize>, value: &DeValue<'_>, wanted: &str) -> Option<T> {
        let problem = format!("is of type {}, not {wanted}", value.type_str());
        self.findings.fatal(Some(span.start), &self.key(name), problem, format!("write {wanted}"));
        None
    }
}
