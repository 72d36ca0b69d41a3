//! The configuration of this instance, and what providers' documents have said.

use std::cell::RefCell;
use std::rc::Rc;

use vestibule::audit::AuditDestination;
use vestibule::config::{self, Config, Reference, Source, references};
use vestibule::filter::{Filter, Surroundings};
use vestibule::limit;
use vestibule::oidc::cache::ProviderCache;
use vestibule::secret::Secret;
use vestibule_enforcement::outbound::documents::MetadataDocuments;
use vestibule_enforcement::outbound::urls::configured_url;

use crate::host::{self, HostEntropy, HostSessions};
use crate::messages::{self, Answer, Audit, Counted, Fault, Limit, Load, Summary};

/// What an instance keeps between requests. Only a cache of the configuration and of what providers said.
pub(crate) struct Loaded {
    pub(crate) filter: Filter,
    pub(crate) documents: MetadataDocuments,
    cache: RefCell<ProviderCache>,
}

thread_local! {
    static LOADED: RefCell<Option<Rc<Loaded>>> = const { RefCell::new(None) };
}

/// The configuration in force; `None` before the first that could be loaded.
pub(crate) fn loaded() -> Option<Rc<Loaded>> {
    LOADED.with_borrow(Clone::clone)
}

impl Loaded {
    /// Takes a step of the core's with what is around it.
    pub(crate) fn step<T>(&self, step: impl FnOnce(&Filter, &mut Surroundings<'_>) -> T) -> T {
        let mut cache = self.cache.borrow_mut();
        let now = host::now();
        step(&self.filter, &mut Surroundings { cache: &mut cache, now, entropy: &mut HostEntropy, ended: &HostSessions })
    }
}

/// Reads a configuration. One that cannot be used leaves none in force.
pub(crate) fn load(message: Load) -> Answer {
    LOADED.set(None);
    let Load { file_name, toml, resolved, port, was_checked, remembers_ended } = message;
    let resolved: Vec<_> = resolved.into_iter().map(|item| (Reference::from(item.reference), item.value.map(Secret::new))).collect();
    let mut unresolved = references(&toml);
    unresolved.retain(|reference| !resolved.iter().any(|(known, _)| known == reference));
    if !unresolved.is_empty() {
        return Answer::Unresolved(unresolved.into_iter().map(messages::Reference::from).collect());
    }
    let mut config = match Config::parse(&Source { file_name: file_name.clone(), toml, resolved, port, was_checked }) {
        Ok(config) => config,
        Err(faults) => return Answer::Faults(faults.into_iter().map(Fault::from).collect()),
    };
    if config.authz.is_some() {
        return Answer::Faults(vec![authorization_service(file_name).into()]);
    }
    if config.store.is_some() && !was_checked {
        config.warnings.push(no_store(file_name));
    }
    let urls = config.providers.iter().filter_map(|provider| configured_url(provider.metadata_url.as_str())).collect::<Vec<_>>();
    let documents = MetadataDocuments::new(urls.into_iter(), config.internal_hosts.iter().cloned());
    let summary = config.summary().into();
    host::set_remembers(remembers_ended);
    LOADED.set(Some(Rc::new(Loaded { filter: Filter::new(config), documents, cache: RefCell::default() })));
    Answer::Loaded(summary)
}

/// Whoever asks has to be told from a proxy that may ask, which the module cannot.
fn authorization_service(file: String) -> config::Fault {
    config::Fault {
        file,
        line: 0,
        key: "vestibule.mode".to_owned(),
        problem: "`authz` cannot be served here".to_owned(),
        remedy: "run `vestibule serve` for it".to_owned(),
        fatal: true,
    }
}

fn no_store(file: String) -> config::Fault {
    config::Fault {
        file,
        line: 0,
        key: "vestibule.session.store".to_owned(),
        problem: "is not used here: a logout is known to the process that served it, and to the browser's cookies".to_owned(),
        remedy: "remove it, or run `vestibule serve` in front of the application".to_owned(),
        fatal: false,
    }
}

impl From<messages::Reference> for Reference {
    fn from(reference: messages::Reference) -> Self {
        match reference {
            messages::Reference::Environment(name) => Self::Environment(name),
            messages::Reference::File(path) => Self::File(path),
        }
    }
}

impl From<Reference> for messages::Reference {
    fn from(reference: Reference) -> Self {
        match reference {
            Reference::Environment(name) => Self::Environment(name),
            Reference::File(path) => Self::File(path),
        }
    }
}

impl From<config::Fault> for Fault {
    fn from(fault: config::Fault) -> Self {
        let config::Fault { file, line, key, problem, remedy, fatal } = fault;
        Self { file, line, key, problem, remedy, fatal }
    }
}

impl From<config::Summary> for Summary {
    fn from(summary: config::Summary) -> Self {
        Self {
            public_origin: summary.public_origin,
            base_path: summary.base_path,
            upstream: summary.upstream,
            listen: summary.listen,
            metadata_urls: summary.metadata_urls,
            limits: summary.limits.into_iter().map(Limit::from).collect(),
            trusted_proxies: summary.trusted_proxies,
            streamlit: summary.streamlit,
            audit: summary.audit.map(|audit| Audit {
                file: match audit.destination {
                    // A host that has a journal finds the lines in what it logs.
                    AuditDestination::Log | AuditDestination::Journald => None,
                    AuditDestination::File(path) => Some(path),
                },
                requests: audit.requests,
            }),
            warnings: summary.warnings.into_iter().map(Fault::from).collect(),
        }
    }
}

impl From<limit::Limit> for Limit {
    fn from(limit: limit::Limit) -> Self {
        let limit::Limit { counted, per_minute, path } = limit;
        Self { counted: counted.into(), per_minute, path }
    }
}

impl From<limit::Counted> for Counted {
    fn from(counted: limit::Counted) -> Self {
        match counted {
            limit::Counted::LoginStart => Self::LoginStart,
            limit::Counted::BadCallback => Self::BadCallback,
            limit::Counted::BadLogoutToken => Self::BadLogoutToken,
        }
    }
}
