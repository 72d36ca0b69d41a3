//! Where the world sees the application: all of it follows from `redirect_uri`.

use url::Url;

use super::section::Section;
use crate::return_to::ReturnTo;

/// The last segment that Streamlit's `redirect_uri` must have.
const CALLBACK: &str = "/oauth2callback";

/// The public origin and the paths of our own routes.
#[derive(Clone, Debug)]
pub struct PublicOrigin {
    redirect_uri: Url,
    base_path: String,
}

impl PublicOrigin {
    /// Sent to the provider in this form, compared there byte by byte (OIDC Core section 3.1.2.1).
    pub fn redirect_uri(&self) -> &Url {
        &self.redirect_uri
    }

    /// Prefix of every route of ours: empty, or `/base` without a slash at the end.
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// Path of a route of ours, `/auth/login` for example, under the base path.
    pub fn route(&self, path: &str) -> String {
        format!("{}{path}", self.base_path)
    }

    /// The application's first page.
    pub fn home(&self) -> String {
        self.route("/")
    }

    /// The same as a place to return to.
    pub fn home_page(&self) -> ReturnTo {
        ReturnTo::home(&self.redirect_uri)
    }

    /// `https://app.example.com:8443`.
    pub fn origin(&self) -> String {
        self.redirect_uri.origin().ascii_serialization()
    }

    /// Whether cookies can be `Secure`: everywhere but with http on a loopback host.
    pub fn is_secure(&self) -> bool {
        self.redirect_uri.scheme() == "https"
    }

    /// Whether a request's authority is the public one, a default port written or not.
    pub fn has_authority(&self, authority: &str) -> bool {
        let given = Url::parse(&format!("{}://{authority}/", self.redirect_uri.scheme()));
        given.is_ok_and(|given| given.origin() == self.redirect_uri.origin())
    }
}

/// Whether traffic to this host stays on the machine, so that plain http is no risk (RFC 8252 section 8.3).
pub(crate) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// Whether a secret may travel to this URL: https, or http that stays on the machine.
pub(crate) fn is_confidential(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}

pub(super) fn read(auth: &Section<'_>, port: Option<u16>) -> Option<PublicOrigin> {
    let Some(text) = auth.string("redirect_uri") else {
        let remedy = format!("write the application's public address with {CALLBACK}: \"http://localhost:8501{CALLBACK}\"");
        auth.findings.fatal(auth.at(), &auth.key("redirect_uri"), "is missing", remedy);
        return None;
    };
    let fatal = |problem: &str, remedy: String| auth.findings.fatal(text.at, &text.key, problem, remedy);
    let mut written = text.value.clone();
    if written.contains("{port}") {
        let Some(port) = port else {
            fatal("holds {port}, and this host does not know its port", "write the port itself".into());
            return None;
        };
        written = written.replace("{port}", &port.to_string());
    }
    let example = format!("write \"https://app.example.com{CALLBACK}\" for example");
    let Ok(url) = Url::parse(&written) else {
        fatal("is not a URL", example);
        return None;
    };
    if !["http", "https"].contains(&url.scheme()) || !url.has_host() || !url.username().is_empty() || url.password().is_some() {
        fatal("is not the address of a web application", example);
        return None;
    }
    if !is_confidential(&url) {
        fatal("is plain http on a host that is not this machine: everybody on the way could read the login", "write https://".into());
        return None;
    }
    let base_path = match url.path().strip_suffix(CALLBACK) {
        Some(base) if url.query().is_none() && url.fragment().is_none() => base.to_owned(),
        _ => {
            fatal(&format!("does not end in {CALLBACK}"), example);
            return None;
        }
    };
    if base_path.contains("//") || base_path.contains('%') {
        fatal("has a path that servers may read in more than one way", "use plain path segments".into());
        return None;
    }
    if !text.value.contains("{port}") && url.as_str() != written {
        let remedy = format!("write {url} here, and see that the provider has the same");
        auth.findings.warning(text.at, &text.key, format!("is sent to the provider as {url}"), remedy);
    }
    Some(PublicOrigin { redirect_uri: url, base_path })
}
