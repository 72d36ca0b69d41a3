//! The configuration: found, resolved, parsed. Kept as long as the instance lives, and tried again for each request as
//! long as it is not usable: a file may still be mounted.

use std::cell::RefCell;
use std::rc::Rc;

use vestibule::config::{self, Config, Fault, Reference, Source, references};
use vestibule::filter::Filter;
use vestibule::oidc::cache::ProviderCache;
use vestibule::secret::Secret;
use vestibule_enforcement::outbound::documents::MetadataDocuments;
use vestibule_enforcement::outbound::urls::configured_url;

use crate::bindings::wasi::cli::environment::get_environment;
use crate::place::{self, Found, Host};
use crate::{filesystem, log};

/// What an instance keeps between requests. Only a cache of the configuration and of what providers said.
pub(crate) struct Loaded {
    pub(crate) filter: Filter,
    pub(crate) cache: RefCell<ProviderCache>,
    pub(crate) documents: MetadataDocuments,
}

thread_local! {
    static LOADED: RefCell<Option<Rc<Loaded>>> = const { RefCell::new(None) };
}

/// The configuration of this instance; `None` when there is no usable one, and the log says why.
pub(crate) fn loaded(needs_upstream: bool) -> Option<Rc<Loaded>> {
    if let Some(loaded) = LOADED.with_borrow(Clone::clone) {
        return Some(loaded);
    }
    let loaded = Rc::new(load(needs_upstream)?);
    LOADED.set(Some(Rc::clone(&loaded)));
    Some(loaded)
}

fn load(needs_upstream: bool) -> Option<Loaded> {
    let host = WasiHost { variables: get_environment() };
    let found = match place::find(&host, config::MAX_LENGTH) {
        Ok(found) => found,
        Err(unfound) => {
            log::line(&format!("ERROR configuration.missing: {unfound}"));
            return None;
        }
    };
    let source = source(&host, found);
    let config = match Config::parse(&source) {
        Ok(config) => config,
        Err(faults) => {
            log::faults(&faults);
            return None;
        }
    };
    log::faults(&config.warnings);
    let file = source.file_name;
    let unfit = match () {
        () if config.authz.is_some() => Some(authorization_service(file)),
        () if needs_upstream && config.upstream.is_none() => Some(no_upstream(file)),
        () => None,
    };
    if let Some(fault) = unfit {
        log::faults(&[fault]);
        return None;
    }
    let urls = config.providers.iter().filter_map(|provider| configured_url(provider.metadata_url.as_str())).collect::<Vec<_>>();
    let documents = MetadataDocuments::new(urls.into_iter(), config.internal_hosts.iter().cloned());
    Some(Loaded { filter: Filter::new(config), cache: RefCell::default(), documents })
}

/// `wasi:http` does not tell who asks, so that no proxy could be told from a client that pretends to be one.
fn authorization_service(file: String) -> Fault {
    Fault {
        file,
        line: 0,
        key: "vestibule.mode".to_owned(),
        problem: "`authz` cannot be served here: this host does not tell who asks".to_owned(),
        remedy: "run `vestibule serve` for it".to_owned(),
        fatal: true,
    }
}

fn no_upstream(file: String) -> Fault {
    Fault {
        file,
        line: 0,
        key: "vestibule.upstream".to_owned(),
        problem: "is missing".to_owned(),
        remedy: "write the application's address under [vestibule]: upstream = \"http://127.0.0.1:8080\"".to_owned(),
        fatal: true,
    }
}

/// What cannot be resolved is left out: the core then names the line that asks for it.
fn source(host: &WasiHost, found: Found) -> Source {
    let resolved = references(&found.toml).into_iter().map(|reference| {
        let value = match &reference {
            Reference::Environment(name) => place::variable(host, name),
            Reference::File(path) => place::referred_file(host, &found.origin, path),
        };
        let value = value.unwrap_or_else(|reason| {
            log::line(&format!("ERROR configuration.unresolved: {reference:?} cannot be read: {reason}"));
            None
        });
        (reference, value.map(Secret::new))
    });
    let resolved = resolved.collect();
    Source { file_name: found.origin.name().to_owned(), toml: found.toml, resolved, port: None, was_checked: false }
}

struct WasiHost {
    variables: Vec<(String, String)>,
}

impl Host for WasiHost {
    #[cfg(feature = "wasi-config")]
    fn stored(&self, key: &str) -> Result<Option<String>, String> {
        use crate::bindings::config::wasi::config::store;
        store::get(key).map_err(|error| match error {
            store::Error::Upstream(reason) | store::Error::Io(reason) => reason,
        })
    }

    #[cfg(not(feature = "wasi-config"))]
    fn stored(&self, _key: &str) -> Result<Option<String>, String> {
        Ok(None)
    }

    fn variable(&self, name: &str) -> Option<String> {
        self.variables.iter().find(|(given, _)| given == name).map(|(_, value)| value.clone())
    }

    fn file(&self, path: &str, max_bytes: usize) -> Result<Option<String>, String> {
        filesystem::read_text(path, max_bytes)
    }
}
