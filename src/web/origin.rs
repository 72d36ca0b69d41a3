//! Where the world sees the application: all of it follows from `redirect_uri`.

use url::Url;

use super::return_to::ReturnTo;
use super::route;
use super::route_prefix::RoutePrefix;

/// The public origin and the paths of our own routes.
#[derive(Clone, Debug)]
pub struct PublicOrigin {
    redirect_uri: Url,
    base_path: String,
    prefix: RoutePrefix,
}

impl PublicOrigin {
    /// Of a URL whose path is `base_path` and the callback's. `config::origin` sees to that.
    pub(crate) fn new(redirect_uri: Url, base_path: String, prefix: RoutePrefix) -> Self {
        Self { redirect_uri, base_path, prefix }
    }

    /// Sent to the provider in this form, compared there byte by byte (OIDC Core section 3.1.2.1).
    pub fn redirect_uri(&self) -> &Url {
        &self.redirect_uri
    }

    /// Prefix of every route of ours: empty, or `/base` without a slash at the end.
    pub fn base_path(&self) -> &str {
        &self.base_path
    }

    /// Where our routes lie under the base path.
    pub fn prefix(&self) -> &RoutePrefix {
        &self.prefix
    }

    /// Path of a route of ours, `/login` for example, under the base path and the prefix.
    pub fn route(&self, route: &str) -> String {
        format!("{}{}{route}", self.base_path, self.prefix.as_str())
    }

    /// Paths of the routes that browsers and providers ask for: what a proxy beside us sends here, and asks nothing about.
    pub fn routes(&self) -> [String; 8] {
        let [login, logout, logged_out, backchannel, frontchannel, user, refresh] = route::BEHIND_PREFIX.map(|path| self.route(path));
        [login, logout, logged_out, backchannel, frontchannel, user, refresh, self.redirect_uri.path().to_owned()]
    }

    /// What of a path is behind the base path and the prefix.
    pub(crate) fn behind_prefix<'a>(&self, path: &'a str) -> Option<&'a str> {
        self.below_base(path)?.strip_prefix(self.prefix.as_str())
    }

    /// What of a path is behind the base path.
    pub(crate) fn below_base<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(self.base_path.as_str())
    }

    /// Path of a page of the application, under the base path.
    pub fn page(&self, path: &str) -> String {
        format!("{}{path}", self.base_path)
    }

    /// The application's first page.
    pub fn home(&self) -> String {
        self.page("/")
    }

    /// The same as a place to return to.
    pub fn home_page(&self) -> ReturnTo {
        ReturnTo::home(&self.redirect_uri)
    }

    /// `https://app.example.com:8443`.
    pub fn origin(&self) -> String {
        self.redirect_uri.origin().ascii_serialization()
    }

    /// The only host that is served, as rules name it: without a port, and without a dot at its end.
    pub fn host(&self) -> &str {
        let host = self.redirect_uri.host_str().unwrap_or_default();
        host.strip_suffix('.').unwrap_or(host)
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
pub fn is_confidential(url: &Url) -> bool {
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback(url))
}
