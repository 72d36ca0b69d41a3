//! Whether browsers can reach the listener at the address of `redirect_uri`.
//!
//! Something in front, such as a proxy or the port of a container, can have another scheme and port. So a difference is told only
//! where nothing of the kind is likely: nobody has named a proxy in `trusted_proxies`, and
//!
//! 1. both addresses are of this machine, and the ports differ. A container's listener is on every interface;
//! 2. both are of this machine, `redirect_uri` is http, and the listener speaks TLS;
//! 3. `redirect_uri` is https, and the listener speaks no TLS. An empty list says that TLS ends at something that is no proxy.

use std::net::{IpAddr, SocketAddr};

use url::{Host, Url};
use vestibule::config::Config;

/// Where `vestibule serve` listens.
#[derive(Clone, Copy, Debug)]
pub struct Listening {
    pub is_loopback: bool,
    pub port: u16,
    /// `None`: not known. A certificate is named on the command line of `serve`.
    pub has_tls: Option<bool>,
}

impl Listening {
    /// A listener that there is.
    pub fn on(address: SocketAddr, has_tls: bool) -> Self {
        Self { is_loopback: is_loopback(address.ip()), port: address.port(), has_tls: Some(has_tls) }
    }

    /// As `listen` of a configuration says it; `None` of what is no address.
    pub fn written(listen: &str, has_tls: Option<bool>) -> Option<Self> {
        if let Ok(address) = listen.parse::<SocketAddr>() {
            return Some(Self { is_loopback: is_loopback(address.ip()), port: address.port(), has_tls });
        }
        let (name, port) = listen.rsplit_once(':')?;
        Some(Self { is_loopback: name == "localhost", port: port.parse().ok()?, has_tls })
    }
}

/// What is wrong, key first, and what to do; `None` where nothing is.
pub fn warning(config: &Config, listening: Listening) -> Option<String> {
    if config.authz.is_some() || config.has_trusted_proxies() {
        return None;
    }
    let public = config.public.redirect_uri();
    let (origin, is_secure) = (config.public.origin(), config.public.is_secure());
    let remedy = "name the proxy in front in vestibule.trusted_proxies, if there is one";
    let is_here = listening.is_loopback && names_this_machine(public);
    match listening.has_tls {
        Some(true) if !is_secure && is_here => {
            Some(format!("auth.redirect_uri: is http ({origin}), and the listener speaks TLS; write https://, or {remedy}"))
        }
        Some(false) if is_secure => {
            let is_told = config.warnings.iter().any(|warning| warning.key == "vestibule.trusted_proxies");
            (!is_told && !config.names_trusted_proxies).then(|| {
                format!(
                    "auth.redirect_uri: is https ({origin}), and the listener speaks no TLS; give --tls-cert and --tls-key, or {remedy}"
                )
            })
        }
        // Something else has to end TLS, and has a port of its own.
        None if is_secure => None,
        _ => (is_here && public.port_or_known_default() != Some(listening.port)).then(|| {
            let port = listening.port;
            format!(
                "auth.redirect_uri: leads to {origin}, and Vestibule listens on port {port} of this machine; write port {port} here and at \
                 the provider, listen on the other one, or {remedy}"
            )
        }),
    }
}

/// Whether only browsers on this machine reach the host of the URL.
pub fn names_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => is_loopback(address.into()),
        Some(Host::Ipv6(address)) => is_loopback(address.into()),
        None => false,
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use vestibule::config::Source;

    use super::*;

    fn told(redirect_uri: &str, more: &str, listen: &str, has_tls: Option<bool>) -> Option<String> {
        let toml = format!(
            "[auth]\nredirect_uri = \"{redirect_uri}/oauth2callback\"\ncookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\n\
             client_id = \"a\"\nclient_secret = \"b\"\nserver_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n{more}"
        );
        let config = Config::parse(&Source::new("secrets.toml", &toml)).unwrap_or_else(|faults| panic!("{faults:?}"));
        warning(&config, Listening::written(listen, has_tls).expect("an address"))
    }

    #[test]
    fn an_address_that_nothing_leads_to_is_told() {
        for (redirect_uri, listen, has_tls, problem) in [
            ("http://localhost:9000", "127.0.0.1:8501", None, "leads to http://localhost:9000, and Vestibule listens on port 8501"),
            ("http://localhost:9000", "127.0.0.1:8501", Some(false), "leads to http://localhost:9000, "),
            ("http://localhost", "localhost:8501", None, "leads to http://localhost, "),
            ("http://127.0.0.1:8501", "[::1]:8502", Some(false), "leads to http://127.0.0.1:8501, "),
            ("http://app.localhost:8501", "127.0.0.1:8502", Some(false), "leads to http://app.localhost:8501, "),
            ("https://localhost:9000", "127.0.0.1:8501", Some(true), "leads to https://localhost:9000, "),
            ("http://localhost:8501", "127.0.0.1:8501", Some(true), "is http (http://localhost:8501), and the listener speaks TLS"),
            ("https://app.example", "0.0.0.0:8501", Some(false), "is https (https://app.example), and the listener speaks no TLS"),
            ("https://localhost:8501", "127.0.0.1:8501", Some(false), "is https (https://localhost:8501), "),
        ] {
            let warning = told(redirect_uri, "", listen, has_tls).unwrap_or_else(|| panic!("{redirect_uri} {listen} {has_tls:?}"));
            assert!(warning.starts_with(&format!("auth.redirect_uri: {problem}")), "{warning}");
        }
    }

    #[test]
    fn what_can_be_met_or_can_have_something_in_front_is_not_told() {
        let proxy = "[vestibule]\ntrusted_proxies = \"127.0.0.1\"\n";
        let none = "[vestibule]\ntrusted_proxies = []\n";
        let asked = "[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"nginx\"\n";
        let near = "[vestibule]\nlisten = \"127.0.0.1:8501\"\n";
        for (redirect_uri, more, listen, has_tls) in [
            ("http://localhost:8501", "", "127.0.0.1:8501", None),
            ("http://localhost:8501", "", "127.0.0.1:8501", Some(false)),
            ("http://localhost", "", "127.0.0.1:80", Some(false)),
            ("https://localhost", "", "127.0.0.1:443", Some(true)),
            ("https://app.example", "", "0.0.0.0:443", Some(true)),
            // A container's port, or a forwarded one.
            ("http://localhost:9000", "", "0.0.0.0:8501", Some(false)),
            ("https://app.example", "", "0.0.0.0:8443", Some(true)),
            ("https://app.example", "", "127.0.0.1:8501", None),
            ("http://localhost:9000", proxy, "127.0.0.1:8501", Some(false)),
            ("https://app.example", proxy, "127.0.0.1:8501", Some(false)),
            ("https://app.example", none, "0.0.0.0:8501", Some(false)),
            ("http://127.0.0.1:8501", asked, "127.0.0.1:8502", Some(false)),
            // The core tells of a list that is missing.
            ("https://app.example", near, "127.0.0.1:8501", Some(false)),
        ] {
            assert_eq!(told(redirect_uri, more, listen, has_tls), None, "{redirect_uri} {more} {listen} {has_tls:?}");
        }
    }

    #[test]
    fn no_shipped_example_has_another_address_than_it_listens_on() {
        // Those of other hosts listen where these say.
        const OTHER_HOSTS: [&str; 3] = ["wasmtime-serve", "jco", "spin"];
        let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples")];
        let mut count = 0;
        while let Some(folder) = folders.pop() {
            if folder.file_name().is_some_and(|name| OTHER_HOSTS.iter().any(|host| name == *host)) {
                continue;
            }
            for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
                if entry.is_dir() {
                    folders.push(entry);
                    continue;
                }
                if entry.file_name().is_none_or(|name| name != "secrets.toml") {
                    continue;
                }
                let text = std::fs::read_to_string(&entry).expect("text");
                let secret = "cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"";
                let text = text.replace("cookie_secret = \"xxx\"", secret).replace("\"xxx\"", "\"value\"");
                let text = text.replace("{tenant}", "common").replace("{subdomain}", "acme").replace("{account}.{region}", "acme.eu");
                let parsed = Config::parse(&Source::new("secrets.toml", &text));
                let config = parsed.unwrap_or_else(|faults| panic!("{entry:?}: {faults:?}"));
                let listen = config.listen.clone().unwrap_or_else(|| "127.0.0.1:8501".to_owned());
                assert_eq!(warning(&config, Listening::written(&listen, None).expect("an address")), None, "{entry:?}");
                count += 1;
            }
        }
        assert!(count > 0, "no example was read");
    }
}
