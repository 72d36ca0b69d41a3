//! The configuration, read by the core as it is in this program: for what is no decision.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use toml_edit::DocumentMut;
use vestibule::config::{self, Config, Fault, StoreSettings};
use vestibule::pages::Look;
use vestibule::secret::Secret;
use vestibule::session::EntryKey;
use vestibule_wasmtime::{Accept, Configuration, ConfigurationError, ConfigurationFile, Reference, Resolved};

use crate::metrics::Countable;
use crate::random;
use crate::store::{self, Keys, Location};

/// Reads a configuration file and what it names, without a component.
///
/// # Errors
/// Something cannot be read: see [`ConfigurationFile::read`].
pub async fn read(path: &Path, port: u16) -> Result<Configuration, ConfigurationError> {
    ConfigurationFile::read_with(path, Some(port), references).await
}

/// The same for what decides nothing with secrets: those that the text names, and that cannot be read, are replaced by others. Also
/// returns what was replaced, and why.
///
/// # Errors
/// As [`read`], of everything that is no secret.
pub async fn read_without_secrets(path: &Path, port: u16) -> Result<(Configuration, Vec<String>), ConfigurationError> {
    let toml = ConfigurationFile::text(path, Accept::Anything).await?;
    let secrets: Vec<_> = config::secret_references(&toml).into_iter().map(|(reference, setting)| (to_host(reference), setting)).collect();
    let is_needed = |reference: &Reference| !secrets.iter().any(|(secret, _)| secret == reference);
    let needed = |toml: &str| references(toml).into_iter().filter(is_needed).collect();
    let mut configuration = ConfigurationFile::complete_with(path, toml, Some(port), needed).await?;
    let mut replaced = Vec::new();
    for (reference, setting) in secrets {
        let value = match ConfigurationFile::value(path, &reference, Accept::Files).await {
            Ok(Some(value)) => value,
            found => {
                let reason = match (found, &reference) {
                    (Err(error), _) => error.to_string(),
                    (_, Reference::Environment(name)) => format!("the environment variable `{name}` is not set"),
                    (_, Reference::File(name)) => format!("there is no file {}", ConfigurationFile::named(path, name).display()),
                };
                replaced.push(format!("{setting} ({reason})"));
                config::stand_in(setting, random::cookie_secret())
            }
        };
        configuration.resolved.push(Resolved { reference, value: Some(value) });
    }
    Ok((configuration, replaced))
}

/// The same of a text that is not written to `path` yet.
///
/// # Errors
/// What it names cannot be read: see [`ConfigurationFile::complete_with`].
pub async fn complete(path: &Path, toml: String, port: u16) -> Result<Configuration, ConfigurationError> {
    ConfigurationFile::complete_with(path, toml, Some(port), references).await
}

fn references(toml: &str) -> Vec<Reference> {
    config::references(toml).into_iter().map(to_host).collect()
}

/// The configuration, read by the core itself.
///
/// # Errors
/// Every fault, one per line.
pub fn parse(file: Configuration) -> anyhow::Result<Config> {
    judge(file).map_err(|faults| {
        let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the configuration has faults\n{}", lines.join("\n"))
    })
}

/// The same, with the faults as they are.
///
/// # Errors
/// Every fault, and the warnings among them.
pub fn judge(file: Configuration) -> Result<Config, Vec<Fault>> {
    Config::parse(&source(file.clone(), false)).map_err(|mut faults| {
        for fault in &mut faults {
            if let Some(reason) = file.reason(&fault.key, &fault.problem) {
                (fault.problem, fault.remedy) = reason;
            }
        }
        faults
    })
}

/// The same, of a configuration that the component has loaded; `None` if the component is of another release, and what it accepts
/// is a fault here.
pub fn loaded(file: Configuration) -> Option<Config> {
    Config::parse(&source(file, true)).ok()
}

/// What this host needs of a configuration that the component has loaded, and that no decision tells it. All of it is empty if the
/// component is of another release, and what it accepts is a fault here.
#[derive(Default)]
pub struct Known {
    /// What our own pages show.
    pub look: Look,
    /// What is counted apart.
    pub countable: Countable,
    /// The path of `redirect_uri`, where logins end.
    pub callback: Option<Arc<str>>,
    /// How long a session lasts at most.
    pub max_age: Duration,
    /// Whether log and audit name people.
    pub subjects: bool,
}

/// See [`Known`].
pub fn known(file: Configuration) -> Known {
    let known = |config: Config| Known {
        look: Look::of(&config),
        countable: countable(&config),
        callback: Some(config.public.redirect_uri().path().into()),
        max_age: config.sessions.lifetime.max_age,
        subjects: config.log_subjects,
    };
    loaded(file).map(known).unwrap_or_default()
}

/// Where a configuration that the component has loaded wants the list of ended sessions to be kept.
///
/// # Errors
/// The component is of another release, and what it accepts is a fault here: what the file says of a store cannot be carried out.
pub fn store(file: Configuration) -> anyhow::Result<Option<store::Settings>> {
    let toml = file.toml.clone();
    let Some(config) = loaded(file) else {
        let names_store = toml.parse::<DocumentMut>().is_ok_and(|document| {
            let session = document.get("vestibule").and_then(|table| table.get("session")).and_then(|table| table.as_table_like());
            session.is_some_and(|session| session.iter().any(|(key, _)| key.starts_with("store")))
        });
        ensure!(
            !names_store,
            "the component is of another release, and this program cannot read [vestibule.session] store: use those of one release"
        );
        return Ok(None);
    };
    let Some(StoreSettings { place, patience, retention, list, keys, .. }) = config.store else { return Ok(None) };
    let location = Location::from(place);
    let mut keys = keys.iter().map(EntryKey::expose);
    let keys = Keys::new(keys.next().context("a configuration without a secret")?, keys);
    Ok(Some(store::Settings { location, list, keys, patience, retention }))
}

fn countable(config: &Config) -> Countable {
    let providers = config.providers.iter().map(|provider| (provider.name.clone(), provider.metadata_url.to_string()));
    Countable { providers: providers.collect(), rules: config.admission.rules(), answers_proxies: config.authz.is_some() }
}

fn source(file: Configuration, was_checked: bool) -> config::Source {
    let resolved = file.resolved.into_iter().map(|item| (to_core(item.reference), item.value.map(Secret::new)));
    config::Source { file_name: file.file_name, toml: file.toml, resolved: resolved.collect(), port: file.port, was_checked }
}

fn to_core(reference: Reference) -> config::Reference {
    match reference {
        Reference::Environment(name) => config::Reference::Environment(name),
        Reference::File(path) => config::Reference::File(path),
    }
}

fn to_host(reference: config::Reference) -> Reference {
    match reference {
        config::Reference::Environment(name) => Reference::Environment(name),
        config::Reference::File(path) => Reference::File(path),
    }
}
