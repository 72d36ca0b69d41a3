//! Where the configuration is. The first of these places that has one counts, and what is wrong there is not made up
//! for by another:
//!
//! 1. `wasi:config`, key `vestibule_config`: the text of the file. Only in the artefacts that import the interface.
//! 2. The environment variable `VESTIBULE_CONFIG`: the text of the file.
//! 3. The file that the environment variable `VESTIBULE_CONFIG_FILE` names.
//! 4. `secrets.toml` in a mounted folder.
//!
//! Variables that the configuration refers to (`client_secret_env = "…"`) come from `wasi:config`, where the artefact
//! imports it and it has the key, else from the environment; files (`client_secret_file = "…"`) from the mounted
//! folders, relative to the folder of the configuration file, or to the first folder there is when it is no file.

/// Key in `wasi:config`: letters, digits and underscores, as hosts want it.
pub const CONFIG_KEY: &str = "vestibule_config";

/// The environment variable that holds the text.
pub const TEXT_VARIABLE: &str = "VESTIBULE_CONFIG";

/// The environment variable that names the file.
pub const FILE_VARIABLE: &str = "VESTIBULE_CONFIG_FILE";

/// The file, when no variable names another.
pub const DEFAULT_FILE: &str = "secrets.toml";

/// Longest file that the configuration refers to, in bytes: room for any secret and any key file, not for a device or a
/// log by mistake.
pub const MAX_REFERENCE_BYTES: usize = 64 << 10;

/// A configuration as it was found.
#[derive(Clone, PartialEq, Eq)]
pub struct Found {
    /// For messages, and for files that the text refers to.
    pub origin: Origin,
    /// The text of the file.
    pub toml: String,
}

/// Where a configuration was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The key of `wasi:config`.
    Store,
    /// The environment variable.
    Environment,
    /// A file, by its path.
    File(String),
}

impl Origin {
    /// What messages call it.
    pub fn name(&self) -> &str {
        match self {
            Origin::Store => CONFIG_KEY,
            Origin::Environment => TEXT_VARIABLE,
            Origin::File(path) => path.rsplit('/').next().unwrap_or(path),
        }
    }

    /// The path of a file that the configuration refers to.
    pub fn beside(&self, path: &str) -> String {
        match self {
            Origin::File(own) if !path.starts_with('/') => match own.rsplit_once('/') {
                Some((folder, _)) => format!("{folder}/{path}"),
                None => path.to_owned(),
            },
            _ => path.to_owned(),
        }
    }
}

/// Why there is no configuration. Shows no secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unfound {
    /// No place has one.
    Nowhere,
    /// The file or the store has one and does not give it: its name, and the host's reason.
    Unreadable(String, String),
}

impl std::fmt::Display for Unfound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Unfound::Nowhere => write!(
                f,
                "there is no configuration: set {TEXT_VARIABLE} to the text of a {DEFAULT_FILE}, or mount a folder with {DEFAULT_FILE}, and name the file in {FILE_VARIABLE} when it is called otherwise"
            ),
            Unfound::Unreadable(name, reason) => {
                write!(f, "{name} cannot be read: {reason}; mount its folder, readable, or name another file in {FILE_VARIABLE}")
            }
        }
    }
}

/// What a host has to offer.
pub trait Host {
    /// A value of `wasi:config`; always `None` where it is not imported.
    ///
    /// # Errors
    /// The host's reason why a value that may be there cannot be had.
    fn stored(&self, key: &str) -> Result<Option<String>, String>;

    /// An environment variable.
    fn variable(&self, name: &str) -> Option<String>;

    /// The text of a file of at most this many bytes; `None` when no mounted folder has it.
    ///
    /// # Errors
    /// The reason why a file that is there cannot be read.
    fn file(&self, path: &str, max_bytes: usize) -> Result<Option<String>, String>;
}

/// Looks for the configuration, in the order of this module.
///
/// # Errors
/// When there is none, or it cannot be read.
pub fn find(host: &impl Host, max_bytes: usize) -> Result<Found, Unfound> {
    let stored = host.stored(CONFIG_KEY).map_err(|reason| Unfound::Unreadable(format!("the key {CONFIG_KEY} of wasi:config"), reason))?;
    if let Some(toml) = stored {
        return Ok(Found { origin: Origin::Store, toml });
    }
    if let Some(toml) = host.variable(TEXT_VARIABLE) {
        return Ok(Found { origin: Origin::Environment, toml });
    }
    let named = host.variable(FILE_VARIABLE);
    let path = named.as_deref().unwrap_or(DEFAULT_FILE);
    match host.file(path, max_bytes) {
        Ok(Some(toml)) => Ok(Found { origin: Origin::File(path.to_owned()), toml }),
        Ok(None) if named.is_none() => Err(Unfound::Nowhere),
        Ok(None) => Err(Unfound::Unreadable(path.to_owned(), "no mounted folder has it".to_owned())),
        Err(reason) => Err(Unfound::Unreadable(path.to_owned(), reason)),
    }
}

/// The value of a variable that the configuration refers to.
///
/// # Errors
/// The host's reason why a value that may be there cannot be had.
pub fn variable(host: &impl Host, name: &str) -> Result<Option<String>, String> {
    Ok(host.stored(name)?.or_else(|| host.variable(name)))
}

/// The text of a file that the configuration refers to, without line ends behind it.
///
/// # Errors
/// The reason why a file that is there cannot be read.
pub fn referred_file(host: &impl Host, origin: &Origin, path: &str) -> Result<Option<String>, String> {
    let text = host.file(&origin.beside(path), MAX_REFERENCE_BYTES)?;
    Ok(text.map(|text| text.trim_end_matches(['\r', '\n']).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values by place: `config:`, `env:` or `file:`, and the name.
    struct Offers(&'static [(&'static str, &'static str)]);

    impl Offers {
        fn get(&self, place: &str, name: &str) -> Option<String> {
            let found = self.0.iter().find(|(key, _)| key.strip_prefix(place) == Some(name))?;
            Some(found.1.to_owned())
        }
    }

    impl Host for Offers {
        fn stored(&self, key: &str) -> Result<Option<String>, String> {
            match self.get("config:", key).as_deref() {
                Some("broken") => Err("the store is down".into()),
                value => Ok(value.map(str::to_owned)),
            }
        }

        fn variable(&self, name: &str) -> Option<String> {
            self.get("env:", name)
        }

        fn file(&self, path: &str, _max_bytes: usize) -> Result<Option<String>, String> {
            match self.get("file:", path).as_deref() {
                Some("broken") => Err("not permitted".into()),
                value => Ok(value.map(str::to_owned)),
            }
        }
    }

    const STORE: (&str, &str) = ("config:vestibule_config", "of the store");
    const TEXT: (&str, &str) = ("env:VESTIBULE_CONFIG", "of the environment");
    const NAMED: (&str, &str) = ("env:VESTIBULE_CONFIG_FILE", "/conf/login.toml");
    const NAMED_FILE: (&str, &str) = ("file:/conf/login.toml", "of the named file");
    const FILE: (&str, &str) = ("file:secrets.toml", "of the file");

    fn check(offers: &'static [(&'static str, &'static str)], name: &str, toml: &str) {
        let found = find(&Offers(offers), 100).unwrap_or_else(|unfound| panic!("{unfound}"));
        assert_eq!((found.origin.name(), found.toml.as_str()), (name, toml));
    }

    #[test]
    fn the_first_place_that_has_a_configuration_counts() {
        check(&[FILE, NAMED_FILE, NAMED, TEXT, STORE], "vestibule_config", "of the store");
        check(&[FILE, NAMED_FILE, NAMED, TEXT], "VESTIBULE_CONFIG", "of the environment");
        check(&[FILE, NAMED_FILE, NAMED], "login.toml", "of the named file");
        check(&[FILE, NAMED_FILE], "secrets.toml", "of the file");
    }

    #[test]
    fn what_is_broken_is_not_made_up_for_by_another_place() {
        let refused = |offers| find(&Offers(offers), 100).map(|found| found.toml).unwrap_err().to_string();
        let broken_store = refused(&[("config:vestibule_config", "broken"), TEXT]);
        assert!(broken_store.starts_with("the key vestibule_config of wasi:config cannot be read: the store is down; "), "{broken_store}");
        let absent = refused(&[NAMED, FILE]);
        assert!(absent.starts_with("/conf/login.toml cannot be read: no mounted folder has it; "), "{absent}");
        let broken_file = refused(&[("file:secrets.toml", "broken")]);
        assert!(broken_file.starts_with("secrets.toml cannot be read: not permitted; "), "{broken_file}");
        assert_eq!(find(&Offers(&[]), 100).map(|found| found.toml), Err(Unfound::Nowhere));
        // Empty, but there: the core then says what it lacks.
        check(&[("env:VESTIBULE_CONFIG", ""), FILE], "VESTIBULE_CONFIG", "");
    }

    #[test]
    fn references_are_resolved_by_the_same_means() {
        let host = Offers(&[
            ("config:client_secret", "stored"),
            ("env:client_secret", "set"),
            ("env:OTHER", "set"),
            ("file:/conf/secret", "from a file\r\n\n"),
            ("file:secret", "elsewhere"),
        ]);
        assert_eq!(variable(&host, "client_secret"), Ok(Some("stored".into())));
        assert_eq!(variable(&host, "OTHER"), Ok(Some("set".into())));
        assert_eq!(variable(&host, "NONE"), Ok(None));
        let file = |origin: Origin, path: &str| referred_file(&host, &origin, path).unwrap();
        assert_eq!(file(Origin::File("/conf/login.toml".into()), "secret").as_deref(), Some("from a file"));
        assert_eq!(file(Origin::File("login.toml".into()), "/conf/secret").as_deref(), Some("from a file"));
        assert_eq!(file(Origin::File("login.toml".into()), "secret").as_deref(), Some("elsewhere"));
        assert_eq!(file(Origin::Environment, "secret").as_deref(), Some("elsewhere"));
        assert_eq!(file(Origin::Environment, "none"), None);
    }
}
