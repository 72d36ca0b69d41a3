//! The configuration, read by the core as it is in this program: for what is no decision.

use std::path::Path;
use std::time::Duration;

use vestibule::config::{self, Config};
use vestibule::pages::Look;
use vestibule::secret::Secret;
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
