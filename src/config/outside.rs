//! Values that the file names instead of holding them: `<key>_env` names an environment variable, `<key>_file` a file.
//!
//! 1. Every value that is a string, a number, `true` or `false`, or a list of strings can be outside; a table cannot.
//! 2. A key has one of the three forms. Two of them are a fault.
//! 3. A variable that is not set, and a file that is not there, are faults.
//! 4. No message shows a value from outside: it may be a secret that the wrong key names.

use toml::de::DeTable;

use super::setting::{ENV, FILE, Key};
use super::tables;
use super::{Reference, setting};
use crate::secret::Secret;

/// What the references of the file stand for.
pub(super) struct Outside<'a> {
    resolved: &'a [(Reference, Option<Secret>)],
}

impl<'a> Outside<'a> {
    pub(super) fn new(resolved: &'a [(Reference, Option<Secret>)]) -> Self {
        Self { resolved }
    }

    pub(super) fn found(&self, reference: &Reference) -> Option<&'a Secret> {
        self.resolved.iter().find(|(known, _)| known == reference).and_then(|(_, value)| value.as_ref())
    }
}

/// Every environment variable and file that the text names, each once, in the order of the file. A text that cannot be parsed
/// names none.
pub fn references(toml: &str) -> Vec<Reference> {
    let Ok(document) = DeTable::parse(toml) else { return vec![] };
    let mut found = vec![];
    setting::walk(document.get_ref(), tables::ROOT, &mut |table, keys| {
        for (key, value) in table {
            let (name, Some(text)) = (key.get_ref().as_ref(), value.get_ref().as_str()) else { continue };
            if Key::find(keys, name).is_none() && Key::find_outside(keys, name).is_some() {
                let end = if name.ends_with(ENV) { ENV } else { FILE };
                found.push((key.span().start, Reference::of(end, text)));
            }
        }
    });
    found.sort_by_key(|(at, _)| *at);
    let mut references: Vec<Reference> = vec![];
    for (_, reference) in found {
        // What is named several times is read once.
        if !references.contains(&reference) {
            references.push(reference);
        }
    }
    references
}

impl Reference {
    /// As `<key>_env` or `<key>_file` names it.
    pub(super) fn of(suffix: &str, name: &str) -> Self {
        if suffix == FILE { Self::File(name.to_owned()) } else { Self::Environment(name.to_owned()) }
    }

    /// What is wrong when there is no such thing, and what to do.
    pub(super) fn missing(&self) -> (String, String) {
        match self {
            Self::Environment(name) => {
                (format!("the environment variable `{name}` is not set"), format!("set `{name}` for the process that reads this file"))
            }
            Self::File(path) => {
                (format!("the file `{path}` cannot be read"), "write a path that exists, absolute or relative to this file".to_owned())
            }
        }
    }
}
