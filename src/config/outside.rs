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

/// The settings that decide nothing about a request: secrets, and the URL of a store, which can hold a password.
const SECRETS: [&str; 4] = ["client_secret", "cookie_secret", "previous_cookie_secrets", "store"];

/// Of the references of the text, those that only such settings have, each with the name of one. A host that explains decisions does not
/// need them, and can give other values in their place ([`stand_in`]).
pub fn secret_references(toml: &str) -> Vec<(Reference, &'static str)> {
    let Ok(document) = DeTable::parse(toml) else { return vec![] };
    let (mut secrets, mut others) = (vec![], vec![]);
    setting::walk(document.get_ref(), tables::ROOT, &mut |table, keys| {
        for (key, value) in table {
            let (name, Some(text)) = (key.get_ref().as_ref(), value.get_ref().as_str()) else { continue };
            let Some(found) = Key::find_outside(keys, name).filter(|_| Key::find(keys, name).is_none()) else { continue };
            let reference = Reference::of(if name.ends_with(ENV) { ENV } else { FILE }, text);
            match SECRETS.iter().find(|secret| **secret == found.name) {
                Some(secret) if !secrets.iter().any(|(known, _)| *known == reference) => secrets.push((reference, *secret)),
                Some(_) => {}
                None => others.push(reference),
            }
        }
    });
    secrets.retain(|(reference, _)| !others.contains(reference));
    secrets
}

/// A value with which a configuration is usable, for the setting of this name. `secret` is a good cookie secret.
pub fn stand_in(setting: &str, secret: String) -> String {
    if setting == "store" { "file:/not/read".to_owned() } else { secret }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_secret_can_be_left_out() {
        let settings = tables::ALL.iter().flat_map(|table| table.settings);
        let secrets: Vec<_> = settings.filter(|setting| setting.is_secret).map(|setting| setting.key.name).collect();
        assert!(secrets.len() >= 3 && secrets.iter().all(|secret| SECRETS.contains(secret)), "{secrets:?}");
    }

    #[test]
    fn a_reference_is_secret_if_nothing_else_has_it() {
        let toml = "[auth]\ncookie_secret_env = \"A\"\nclient_secret_file = \"b\"\nclient_id_env = \"C\"\n[auth.other]\nclient_secret_env = \"C\"\n\
                    [vestibule.session]\nstore_file = \"d\"\nprevious_cookie_secrets_env = \"A\"\n[elsewhere]\ncookie_secret_env = \"E\"\n";
        let mut found = secret_references(toml);
        found.sort_by_key(|(_, setting)| *setting);
        let named = |name: &str| Reference::Environment(name.to_owned());
        let file = |name: &str| Reference::File(name.to_owned());
        assert_eq!(found, [(file("b"), "client_secret"), (named("A"), "cookie_secret"), (file("d"), "store")]);
        assert_eq!(secret_references("[auth"), []);
    }
}
