//! The configuration, read by the core as it is in this program: for what is no decision.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use toml_edit::DocumentMut;
use vestibule::config::{self, Config, StoreSettings};
use vestibule::pages::Look;
use vestibule::secret::Secret;
use vestibule::session::EntryKey;
use vestibule_wasmtime::{Configuration, ConfigurationError, ConfigurationFile, Reference};

/// Reads a configuration file and what it names, without a component.
///
/// # Errors
/// Something cannot be read: see [`ConfigurationFile::read`].
pub async fn read(path: &Path, port: u16) -> Result<Configuration, ConfigurationError> {
    let references = |toml: &str| config::references(toml).into_iter().map(to_host).collect();
    ConfigurationFile::read_with(path, Some(port), references).await
}

use crate::metrics::Countable;
use crate::store::{self, Keys, Location};

/// The configuration, read by the core itself.
///
/// # Errors
/// Every fault, one per line.
pub fn parse(file: Configuration) -> anyhow::Result<Config> {
    Config::parse(&source(file, false)).map_err(|faults| {
        let lines: Vec<_> = faults.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("the configuration has faults\n{}", lines.join("\n"))
    })
}

/// The same, of a configuration that the component has loaded; `None` if the component is of another release, and what it accepts
/// is a fault here.
pub fn loaded(file: Configuration) -> Option<Config> {
    Config::parse(&source(file, true)).ok()
}

/// What our own pages show of a configuration that the component has loaded, what of it is counted apart, and how long sessions last
/// by it. The pages are plain, nothing is counted apart and the lifetime is 0 if the component is of another release, and what it
/// accepts is a fault here.
pub fn look(file: Configuration) -> (Look, Countable, Duration) {
    let read = |config: Config| (Look::of(&config), countable(&config), config.sessions.lifetime.max_age);
    loaded(file).map(read).unwrap_or_default()
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
    let Some(StoreSettings { url, patience, retention, list, keys }) = config.store else { return Ok(None) };
    let location = Location::parse(url.expose())?;
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
