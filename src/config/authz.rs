//! `mode` and `[vestibule.authz]`: the service that other proxies ask.

use super::section::Section;
use super::setting::{Form, Key, Setting, keys, words};
use super::trusted_proxies;
use crate::authz::{Authz, Proxy};
use crate::web::trusted_proxies::TrustedProxies;

/// What `vestibule.mode` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Proxy,
    Authz,
}

const PROXIES: [(&str, Proxy); 4] =
    [("envoy", Proxy::Envoy), ("traefik", Proxy::Traefik), ("caddy", Proxy::Caddy), ("nginx", Proxy::Nginx)];

pub(super) const MODES: [&str; 2] = words(&CHOICES);
const CHOICES: [(&str, Mode); 2] = [("proxy", Mode::Proxy), ("authz", Mode::Authz)];

pub(super) const SETTINGS: [Setting; 2] = [
    Setting::new("proxy", Form::Choice(&words(&PROXIES)), "The proxy that asks.", "\"caddy\"").required(),
    Setting::new(
        trusted_proxies::KEY,
        Form::List,
        "IP addresses and networks that can ask. Vestibule rejects any other peer with 403.",
        "\"10.0.0.0/8\"",
    )
    .or_said("the machine itself"),
];

pub(super) static KEYS: [Key; 2] = keys(&SETTINGS);

/// The settings, and who may ask.
pub(super) fn read(vestibule: &Section<'_>, has_upstream: bool) -> Option<(Authz, TrustedProxies)> {
    let mode = vestibule.choice("mode", &CHOICES);
    let section = vestibule.section("authz");
    let proxy = section.choice("proxy", &PROXIES);
    let who_may_ask = read_who_may_ask(&section);
    section.finish_strict();
    let findings = vestibule.findings;
    if mode != Some(Mode::Authz) {
        if section.exists() && !vestibule.is_key_faulty("mode") {
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
        let problem = "does not work with mode = \"authz\": its WebSocket needs changes that no answer to a proxy carries";
        findings.fatal(vestibule.at(), &vestibule.key("app"), problem, "remove it, or write mode = \"proxy\"");
    }
    if vestibule.has(trusted_proxies::KEY) {
        let key = vestibule.key(trusted_proxies::KEY);
        let problem = "has no effect with mode = \"authz\": the proxies that may ask are the trusted ones";
        findings.fatal(vestibule.at(), &key, problem, "write it under [vestibule.authz]");
    }
    if !section.has("proxy") && !section.is_faulty() {
        let remedy = "write [vestibule.authz] with proxy = \"envoy\", \"traefik\", \"caddy\" or \"nginx\"";
        findings.fatal(section.at().or(vestibule.at()), &section.key("proxy"), "is missing", remedy);
    }
    Some((Authz { proxy: proxy? }, who_may_ask?))
}

/// `None` for a fault, which is told.
fn read_who_may_ask(section: &Section<'_>) -> Option<TrustedProxies> {
    if !section.has(trusted_proxies::KEY) {
        return Some(TrustedProxies::loopback());
    }
    let listed = trusted_proxies::read(section)?;
    if listed == TrustedProxies::default() {
        let remedy = "name the proxy's address, or remove the key: then it is this machine";
        section.findings.fatal(section.at(), &section.key(trusted_proxies::KEY), "no proxy may ask", remedy);
    }
    Some(listed)
}
