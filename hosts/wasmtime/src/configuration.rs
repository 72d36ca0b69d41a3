//! What goes into the component when it loads a configuration, and what it says of it, in types of this library.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::bindings::vestibule::filter::types;
use crate::decision::Counted;

/// A configuration, and what it refers to outside itself.
#[derive(Clone)]
#[non_exhaustive]
pub struct Configuration {
    /// For messages only, `secrets.toml` for example.
    pub file_name: String,
    /// The text of the file, at most 1 MiB.
    pub toml: String,
    /// An answer for each of the file's references.
    pub resolved: Vec<Resolved>,
    /// Why there is no answer, of what is there and cannot be used. [`crate::Filter::load`] tells it where the file names it.
    pub unread: Vec<Unread>,
    /// The port the host listens on; replaces `{port}` in `redirect_uri`.
    pub port: Option<u16>,
}

/// Something outside the file that the configuration names, for the host to resolve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// An environment variable's name.
    Environment(String),
    /// A path, absolute or relative to the folder of the configuration file.
    File(String),
}

/// A reference's value.
#[derive(Clone)]
pub struct Resolved {
    /// What the configuration names.
    pub reference: Reference,
    /// `None` when the host has none. Of a file: its text without line ends behind it.
    pub value: Option<String>,
}

/// Something that the configuration names, that is there, and that cannot be used: a folder, or a file that others can change.
#[derive(Clone, Debug)]
pub struct Unread {
    /// What the configuration names.
    pub reference: Reference,
    /// What is wrong with it, and what to do: a [`ConfigurationError`](crate::ConfigurationError).
    pub reason: Arc<dyn std::error::Error + Send + Sync>,
}

/// A fault in the configuration: where it is, what is wrong, and what to write instead. Displayed as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The configuration's `file_name`, or the path of a file that it refers to.
    pub file: String,
    /// From 1; 0 when the fault is the absence of something in the file as a whole.
    pub line: u32,
    /// Dotted path, `auth.google.client_id` for example.
    pub key: String,
    /// What is wrong. Shows no secret.
    pub problem: String,
    /// What to write instead.
    pub remedy: String,
    /// Not set: a warning, the configuration works. Set: it does not load.
    pub fatal: bool,
}

/// What a host may want to know of a configuration that was loaded. Each is described in `wit/filter.wit`.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Summary {
    /// URLs of the providers' metadata documents.
    pub metadata_urls: Vec<String>,
    /// Hosts that may be on any network where a metadata document names one.
    pub internal_hosts: Vec<String>,
    /// Origin of `redirect_uri`.
    pub public_origin: String,
    /// Path prefix of the filter's own routes; empty at the root.
    pub base_path: String,
    /// `vestibule.upstream`.
    pub upstream: Option<String>,
    /// `vestibule.listen`, address and port.
    pub listen: Option<String>,
    /// A path to ask the application for when it has not said which server it is.
    pub application_probe: Option<String>,
    /// Faults that are not fatal.
    pub warnings: Vec<Fault>,
    /// For each client; empty when there are none.
    pub limits: Vec<Limit>,
    /// IP addresses and networks in CIDR notation: the peers whose word is believed.
    pub trusted_proxies: Vec<String>,
    /// When the configuration is for answering other proxies.
    pub authorization: Option<Authorization>,
    /// The application is Streamlit.
    pub streamlit: bool,
    /// When the configuration wants an audit.
    pub audit: Option<Audit>,
}

/// What the configuration says of the audit: one line for each [`crate::Decision::audited`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audit {
    /// Where it is to be written.
    pub destination: AuditDestination,
    /// Whether [`crate::AuditEvent::Forwarded`] is written.
    pub requests: bool,
}

/// Where the audit is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditDestination {
    /// Between the lines of the log.
    Log,
    /// To the end of this file, an absolute path.
    File(PathBuf),
    /// To systemd's journal, each line an entry.
    Journald,
}

/// How often one client may have an answer that is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What is counted.
    pub counted: Counted,
    /// As many at once, and as many in every minute. Not zero.
    pub per_minute: u32,
    /// Path of the filter's route that has these answers, compared byte for byte.
    pub path: String,
}

/// Of a configuration that answers other proxies (`mode = "authz"`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Authorization {
    /// Names of the request headers that the proxy takes over from an answer, beside `Cookie`.
    pub identity_headers: Vec<String>,
    /// Names of the request headers that the proxy removes from every request.
    pub removed_headers: Vec<String>,
    /// Names of the cookies that an answer may set.
    pub session_cookies: Vec<String>,
}

impl Configuration {
    /// A configuration that refers to nothing outside itself.
    pub fn new(file_name: impl Into<String>, toml: impl Into<String>) -> Configuration {
        Configuration { file_name: file_name.into(), toml: toml.into(), resolved: Vec::new(), unread: Vec::new(), port: None }
    }

    /// Of a fault with this key and this problem that takes for absent what is in [`Self::unread`]: what is wrong instead, and the
    /// remedy.
    pub fn reason(&self, key: &str, problem: &str) -> Option<(String, String)> {
        self.unread.iter().find(|unread| unread.reference.is_named(key, problem)).map(Unread::told)
    }
}

impl Unread {
    /// What is wrong, and the remedy.
    pub(crate) fn told(&self) -> (String, String) {
        let reason = self.reason.to_string();
        let (problem, remedy) = reason.split_once("; ").unwrap_or((&reason, ""));
        (problem.to_owned(), remedy.to_owned())
    }
}

impl Reference {
    /// Whether a fault is about the absence of this one: the component quotes its name.
    fn is_named(&self, key: &str, problem: &str) -> bool {
        let (end, name) = match self {
            Self::Environment(name) => ("_env", name),
            Self::File(path) => ("_file", path),
        };
        key.ends_with(end) && problem.contains(&format!("`{name}`"))
    }
}

/// The text holds secrets.
impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Configuration").field("file_name", &self.file_name).field("port", &self.port).finish_non_exhaustive()
    }
}

/// The value is a secret.
impl fmt::Debug for Resolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolved").field("reference", &self.reference).finish_non_exhaustive()
    }
}

impl From<Configuration> for types::Configuration {
    fn from(configuration: Configuration) -> Self {
        let Configuration { file_name, toml, resolved, port, .. } = configuration;
        let resolved = resolved.into_iter().map(|item| types::Resolved { reference: item.reference.into(), value: item.value }).collect();
        Self { file_name, toml, resolved, port, was_checked: false }
    }
}

impl From<Reference> for types::Reference {
    fn from(reference: Reference) -> Self {
        match reference {
            Reference::Environment(name) => Self::Environment(name),
            Reference::File(path) => Self::File(path),
        }
    }
}

impl From<types::Reference> for Reference {
    fn from(reference: types::Reference) -> Self {
        match reference {
            types::Reference::Environment(name) => Self::Environment(name),
            types::Reference::File(path) => Self::File(path),
        }
    }
}

impl From<types::Fault> for Fault {
    fn from(fault: types::Fault) -> Self {
        let types::Fault { file, line, key, problem, remedy, fatal } = fault;
        Self { file, line, key, problem, remedy, fatal }
    }
}

impl From<types::Summary> for Summary {
    fn from(summary: types::Summary) -> Self {
        Self {
            metadata_urls: summary.metadata_urls,
            internal_hosts: summary.internal_hosts,
            public_origin: summary.public_origin,
            base_path: summary.base_path,
            upstream: summary.upstream,
            listen: summary.listen,
            application_probe: summary.application_probe,
            warnings: summary.warnings.into_iter().map(Fault::from).collect(),
            limits: summary.limits.into_iter().map(Limit::from).collect(),
            trusted_proxies: summary.trusted_proxies,
            authorization: summary.authorization.map(Authorization::from),
            streamlit: summary.streamlit,
            audit: summary.audit.map(Audit::from),
        }
    }
}

impl From<types::Audit> for Audit {
    fn from(audit: types::Audit) -> Self {
        let types::Audit { destination, requests } = audit;
        let destination = match destination {
            types::AuditDestination::Log => AuditDestination::Log,
            types::AuditDestination::File(path) => AuditDestination::File(path.into()),
            types::AuditDestination::Journald => AuditDestination::Journald,
        };
        Self { destination, requests }
    }
}

impl From<types::Limit> for Limit {
    fn from(limit: types::Limit) -> Self {
        let types::Limit { counted, per_minute, path } = limit;
        Self { counted: counted.into(), per_minute, path }
    }
}

impl From<types::Authorization> for Authorization {
    fn from(authorization: types::Authorization) -> Self {
        let types::Authorization { identity_headers, removed_headers, session_cookies } = authorization;
        Self { identity_headers, removed_headers, session_cookies }
    }
}
