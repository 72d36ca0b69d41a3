//! `mode` and `[vestibule.authz]`: the service that other proxies ask.

use super::section::Section;
use crate::authz::{Authz, Proxy, TrustedProxies};

/// What `vestibule.mode` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Proxy,
    Authz,
}

const PROXIES: [(&str, Proxy); 4] =
    [("envoy", Proxy::Envoy), ("traefik", Proxy::Traefik), ("caddy", Proxy::Caddy), ("nginx", Proxy::Nginx)];

pub(super) fn read(vestibule: &Section<'_>, has_upstream: bool) -> Option<Authz> {
    let mode = vestibule.choice("mode", &[("proxy", Mode::Proxy), ("authz", Mode::Authz)]);
    let section = vestibule.section("authz");
    let proxy = section.choice("proxy", &PROXIES);
    let trusted_proxies = read_trusted(&section);
    section.finish_strict();
    let findings = vestibule.findings;
    if mode != Some(Mode::Authz) {
        if section.exists() {
            let key = vestibule.key("authz");
            findings.fatal(section.at(), &key, "has no effect without mode = \"authz\"", "write mode = \"authz\" under [vestibule]");
        }
        return None;
    }
    if has_upstream {
        let problem = "has no effect with mode = \"authz\": the proxy that asks sends requests on";
        findings.fatal(vestibule.at(), &vestibule.key("upstream"), problem, "remove it here, and name the application in the proxy");
    }
    if vestibule.has("app") {
        let problem = "cannot be had with mode = \"authz\": its WebSocket needs changes that no answer to a proxy carries";
        findings.fatal(vestibule.at(), &vestibule.key("app"), problem, "remove it, or write mode = \"proxy\"");
    }
    if !section.has("proxy") {
        let remedy = "write [vestibule.authz] with proxy = \"envoy\", \"traefik\", \"caddy\" or \"nginx\"";
        findings.fatal(section.at().or(vestibule.at()), &section.key("proxy"), "is missing", remedy);
    }
    Some(Authz { proxy: proxy?, trusted_proxies: trusted_proxies? })
}

/// `None` for a fault, which is told.
fn read_trusted(section: &Section<'_>) -> Option<TrustedProxies> {
    if !section.has("trusted_proxies") {
        return Some(TrustedProxies::default());
    }
    let listed = section.strings("trusted_proxies")?;
    for item in &listed {
        if let Err(error) = TrustedProxies::parse([item.value.as_str()]) {
            let problem = format!("`{}` {error}", item.value);
            section.findings.fatal(item.at, &item.key, problem, "write \"192.0.2.7\" or \"10.0.0.0/8\" for example");
        }
    }
    if listed.is_empty() {
        let remedy = "name the proxy's address, or remove the key: then it is this machine";
        section.findings.fatal(section.at(), &section.key("trusted_proxies"), "nobody may ask", remedy);
    }
    TrustedProxies::parse(listed.iter().map(|item| item.value.as_str())).ok()
}
