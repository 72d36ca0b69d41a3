//! `trusted_proxies`, under `[vestibule]` and under `[vestibule.authz]`.

use std::net::SocketAddr;

use super::section::Section;
use super::setting::{Form, Setting};
use crate::web::origin::PublicOrigin;
use crate::web::trusted_proxies::{TrustedProxies, is_near_address};

pub(super) const KEY: &str = "trusted_proxies";

pub(super) const SETTING: Setting = Setting::new(
    KEY,
    Form::List,
    "IP addresses and networks of proxies in front: see [Run Vestibule behind another proxy](behind-a-proxy.md).",
    "[\"192.0.2.7\", \"10.0.0.0/8\"]",
);

/// `None` where the key is absent, and for a fault, which is told.
pub(super) fn read(section: &Section<'_>) -> Option<TrustedProxies> {
    let listed = section.strings(KEY)?;
    for item in &listed {
        if let Err(error) = TrustedProxies::parse([item.value.as_str()]) {
            let problem = format!("`{}` {error}", item.value);
            section.findings.fatal(item.at, &item.key, problem, "write \"192.0.2.7\" or \"10.0.0.0/8\" for example");
        }
    }
    let trusted = TrustedProxies::parse(listed.iter().map(|item| item.value.as_str())).ok()?;
    if trusted.has_everybody() {
        let at = listed.first().and_then(|item| item.at);
        section.findings.warning(
            at,
            &section.key(KEY),
            "contains every address, so that every client is trusted as a proxy",
            "name the proxies only",
        );
        return Some(trusted);
    }
    let is_wide = |network: &str| TrustedProxies::parse([network]).is_ok_and(|network| network.has_wide_network());
    let wide: Vec<_> = listed.iter().filter(|item| is_wide(&item.value)).collect();
    for item in &wide {
        let problem = format!("`{}` is larger than a private network: every client in it is trusted as a proxy", item.value);
        section.findings.warning(item.at, &item.key, problem, "name the proxies only");
    }
    if let Some(first) = listed.first().filter(|_| wide.is_empty() && trusted.is_wide()) {
        let problem = "contains more addresses than a private network, all networks together: every client in them is trusted as a proxy";
        section.findings.warning(first.at, &first.key, problem, "name the proxies only");
    }
    Some(trusted)
}

/// Warns where something else seems to end TLS, and nobody has said what: https to the world, and peers that can only be
/// from this machine or network. An empty list says that there is nothing in front.
pub(super) fn warn_of_silence(vestibule: &Section<'_>, listen: Option<&str>, public: &PublicOrigin) {
    let is_near = listen.is_some_and(|listen| match listen.parse::<SocketAddr>() {
        Ok(listen) => is_near_address(listen.ip()),
        Err(_) => listen.starts_with("localhost:"),
    });
    if vestibule.has(KEY) || !public.is_secure() || !is_near {
        return;
    }
    let problem = "is missing, and `listen` is an address of this machine or network while redirect_uri is https: \
                   if a proxy in front ends TLS, it is taken for the client";
    let remedy = "name the proxy, \"127.0.0.1\" or \"10.0.0.0/8\" for example; write [] when there is none";
    vestibule.findings.warning(vestibule.at(), &vestibule.key(KEY), problem, remedy);
}
