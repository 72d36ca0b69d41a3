//! What a setting is. Each part of the configuration has a table of its own, beside the code that reads it, and
//! [`super::tables`] gathers them. The parser reads by the tables: a key that is in none of them cannot be read.

use toml::de::DeTable;

/// What the parser knows of a key. No text for people is in it, so that the component carries none.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    pub name: &'static str,
    pub form: Form,
}

/// What a value is.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    /// A string.
    Text,
    /// A string that holds a URL.
    Url,
    /// A list of strings, or one string.
    List,
    /// `true` or `false`.
    Boolean,
    /// A whole number from 0 to this.
    Number(u32),
    /// A string such as `"15m"`: at least one second, at most 400 days.
    Duration,
    /// A string that is one of these words.
    Choice(&'static [&'static str]),
    /// A list of some of these words, or one of them.
    Choices(&'static [&'static str]),
    /// A table of single values. Those with these names have a meaning here.
    Entries(&'static [Key]),
    /// A table of values, or lists of them.
    ValueLists,
    /// A table of keys.
    Table(Shape),
    /// A list of tables. A function, so that a table can hold tables like itself.
    Tables(fn() -> &'static [Key]),
}

/// The keys of a table.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub keys: &'static [Key],
    /// What tables hold whose names the operator chooses, if there are such.
    pub named: Option<&'static [Key]>,
}

/// A key, and what people learn of it.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    pub key: Key,
    pub absent: Absent,
    /// Markdown: a sentence, and the constraints.
    pub says: &'static str,
    /// A value, as TOML; of a secret, the name of an environment variable.
    pub example: &'static str,
    /// Whether it is a secret: the example is for `<key>_env`.
    pub is_secret: bool,
    /// A regular expression (ECMA-262) that every value matches.
    pub pattern: Option<&'static str>,
}

/// What it means that a key is absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    Nothing,
    /// The configuration is unusable.
    Required,
    /// This value, as TOML.
    Is(&'static str),
    /// What Markdown says.
    Said(&'static str),
}

/// The settings of one table of the file.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// As its header is written: `vestibule.provider.<name>`.
    pub path: &'static str,
    pub settings: &'static [Setting],
}

impl Form {
    /// Whether the value can be in an environment variable or in a file: `<key>_env`, `<key>_file`.
    pub fn is_outside(self) -> bool {
        !matches!(self, Self::Entries(_) | Self::ValueLists | Self::Table(_) | Self::Tables(_))
    }
}

impl Shape {
    pub const fn of(keys: &'static [Key]) -> Self {
        Self { keys, named: None }
    }
}

impl Key {
    pub const fn table(name: &'static str, keys: &'static [Self]) -> Self {
        Self { name, form: Form::Table(Shape::of(keys)) }
    }

    /// Of `keys`, the one with this name.
    pub fn find(keys: &'static [Self], name: &str) -> Option<&'static Self> {
        keys.iter().find(|key| key.name == name)
    }

    /// Of `keys`, the one that a name with `_env` or `_file` at its end gives a value to.
    pub fn find_outside(keys: &'static [Self], name: &str) -> Option<&'static Self> {
        let stem = name.strip_suffix(ENV).or_else(|| name.strip_suffix(FILE))?;
        Self::find(keys, stem).filter(|key| key.form.is_outside())
    }
}

/// The ends of keys that name a variable of the environment, and a file.
pub(super) const ENV: &str = "_env";
pub(super) const FILE: &str = "_file";

impl Setting {
    pub const fn new(name: &'static str, form: Form, says: &'static str, example: &'static str) -> Self {
        Self { key: Key { name, form }, absent: Absent::Nothing, says, example, is_secret: false, pattern: None }
    }

    pub const fn secret(name: &'static str, form: Form, says: &'static str, variable: &'static str) -> Self {
        Self { is_secret: true, ..Self::new(name, form, says, variable) }
    }

    pub const fn required(self) -> Self {
        Self { absent: Absent::Required, ..self }
    }

    pub const fn or(self, toml: &'static str) -> Self {
        Self { absent: Absent::Is(toml), ..self }
    }

    pub const fn or_said(self, markdown: &'static str) -> Self {
        Self { absent: Absent::Said(markdown), ..self }
    }

    pub const fn pattern(self, pattern: &'static str) -> Self {
        Self { pattern: Some(pattern), ..self }
    }
}

/// The keys of settings, for the parser.
pub const fn keys<const N: usize>(settings: &[Setting; N]) -> [Key; N] {
    let mut keys = [Key { name: "", form: Form::Text }; N];
    let mut index = 0;
    while index < N {
        keys[index] = settings[index].key;
        index += 1;
    }
    keys
}

/// The words of a choice.
pub const fn words<T: Copy, const N: usize>(choices: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut index = 0;
    while index < N {
        words[index] = choices[index].0;
        index += 1;
    }
    words
}

/// Every table of a document that these keys describe, with its own.
pub(super) fn walk<'a>(table: &'a DeTable<'a>, shape: Shape, visit: &mut impl FnMut(&'a DeTable<'a>, &'static [Key])) {
    visit(table, shape.keys);
    for (name, value) in table {
        let form = Key::find(shape.keys, name.get_ref()).map(|key| key.form);
        let (inner, of_inner) = match (form, shape.named) {
            (Some(Form::Table(shape)), _) => (value.get_ref().as_table(), shape),
            (None, Some(keys)) => (value.get_ref().as_table(), Shape::of(keys)),
            (Some(Form::Tables(keys)), _) => {
                let items = value.get_ref().as_array().into_iter().flat_map(|items| items.iter());
                items.filter_map(|item| item.get_ref().as_table()).for_each(|item| walk(item, Shape::of(keys()), visit));
                continue;
            }
            _ => continue,
        };
        if let Some(inner) = inner {
            walk(inner, of_inner, visit);
        }
    }
}
