//! Which URLs a provider may be asked at.
//!
//! https only, or http on a loopback host or where the configuration names the host so; no user name or password.

use url::{Host, Url};

/// None for a URL that is never asked, whoever names it but the configuration.
pub fn permitted_url(url: &str) -> Option<Url> {
    configured_url(url).filter(|url| url.scheme() == "https" || is_loopback(url))
}

/// The same for a URL that the configuration names: it may be plain http to any host, for the operator has accepted that
/// (`insecure_http_hosts`, without which the component refuses the configuration).
pub fn configured_url(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let is_http = matches!(url.scheme(), "https" | "http") && url.host().is_some();
    let anonymous = url.username().is_empty() && url.password().is_none();
    (is_http && anonymous).then_some(url)
}

/// Whether a name, in lower case, stands for this machine (RFC 6761 section 6.3).
pub fn is_loopback_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

/// Whether a URL's host is this machine, so that plain http stays on it.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => is_loopback_name(name),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_http_on_loopback_are_permitted() {
        let permitted = [
            "https://provider.example/x",
            "https://127.0.0.1/",
            "http://localhost:9000/",
            "http://idp.LOCALHOST:9000/",
            "http://127.0.0.1/",
            "http://127.1.2.3:80/",
            "http://[::1]:8080/",
        ];
        let refused = [
            "http://provider.example/",
            "http://localhost.example/",
            "http://notlocalhost/",
            "http://10.0.0.1/",
            "http://[::2]/",
            "http://0.0.0.0/",
            "https://user@provider.example/",
            "https://user:password@provider.example/",
            "https://:password@provider.example/",
            "ftp://localhost/",
            "file:///etc/passwd",
            "data:,x",
            "/relative",
            "",
        ];
        for url in permitted {
            assert!(permitted_url(url).is_some() && configured_url(url).is_some(), "{url}");
        }
        for url in refused {
            assert!(permitted_url(url).is_none(), "{url}");
            assert_eq!(configured_url(url).is_some(), url.starts_with("http://"), "{url}");
        }
    }
}
