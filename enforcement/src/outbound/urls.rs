//! Which URLs a provider may be asked at.
//!
//! https only, or http on a loopback host; no user name or password.

use url::{Host, Url};

/// None for a URL that is never asked, whoever names it.
pub fn permitted_url(url: &str) -> Option<Url> {
    let url = Url::parse(url).ok()?;
    let scheme_permitted = match url.scheme() {
        "https" => url.host().is_some(),
        "http" => is_loopback(&url),
        _ => false,
    };
    let anonymous = url.username().is_empty() && url.password().is_none();
    (scheme_permitted && anonymous).then_some(url)
}

/// Whether a name, in lower case, stands for this machine (RFC 6761 section 6.3).
pub fn is_loopback_name(name: &str) -> bool {
    name == "localhost" || name.ends_with(".localhost")
}

fn is_loopback(url: &Url) -> bool {
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
            assert!(permitted_url(url).is_some(), "{url}");
        }
        for url in refused {
            assert!(permitted_url(url).is_none(), "{url}");
        }
    }
}
