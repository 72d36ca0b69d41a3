//! What a host learns of a configuration: which addresses to serve and to ask, which limits to keep. No secret is in it.

use super::{Config, Fault};
use crate::audit::AuditSettings;
use crate::limit::Limit;

/// For the host. Made here, so that every shell tells its host the same.
#[derive(Debug)]
pub struct Summary {
    /// Of every provider: what may be asked, and where to learn what else may be.
    pub metadata_urls: Vec<String>,
    pub internal_hosts: Vec<String>,
    pub public_origin: String,
    pub base_path: String,
    pub upstream: Option<String>,
    pub listen: Option<String>,
    /// See [`Config::application_probe`].
    pub application_probe: Option<String>,
    pub warnings: Vec<Fault>,
    pub limits: Vec<Limit>,
    /// Each in CIDR notation.
    pub trusted_proxies: Vec<String>,
    /// For `mode = "authz"`.
    pub authorization: Option<Authorization>,
    /// Whether the application is one of Streamlit's.
    pub streamlit: bool,
    /// Where the host writes the audit; `None` for nowhere.
    pub audit: Option<AuditSettings>,
}

/// What the configuration of a proxy that asks has to name.
#[derive(Debug)]
pub struct Authorization {
    /// Headers that the application is told, to be copied from answers.
    pub identity_headers: Vec<String>,
    /// Headers that clients must not send, to be removed.
    pub removed_headers: Vec<String>,
    /// Cookies of a session, and of its tokens where it is refreshed, to be copied to the browser.
    pub session_cookies: Vec<String>,
}

impl Config {
    pub fn summary(&self) -> Summary {
        Summary {
            metadata_urls: self.providers.iter().map(|provider| provider.metadata_url.to_string()).collect(),
            internal_hosts: self.internal_hosts.clone(),
            public_origin: self.public.origin(),
            base_path: self.public.base_path().to_owned(),
            upstream: self.upstream.clone(),
            listen: self.listen.clone(),
            application_probe: self.application_probe(),
            warnings: self.warnings.clone(),
            limits: self.limits(),
            trusted_proxies: self.trusted_proxies.iter().collect(),
            authorization: self.authz.as_ref().map(|_| Authorization {
                identity_headers: self.identity.names().into_iter().map(str::to_owned).collect(),
                removed_headers: self.identity.removed_names().map(str::to_owned).collect(),
                session_cookies: {
                    let names = &self.sessions.cookie_names;
                    // An answer to a proxy changes tokens only where they are refreshed.
                    let of_tokens = self.sessions.refresh.iter().flat_map(|_| names.of_tokens());
                    names.of_session().chain(of_tokens).collect()
                },
            }),
            streamlit: self.streamlit.is_some(),
            audit: self.audit.clone(),
        }
    }
}
