//! `internal_hosts` under `[vestibule]`: where providers may have endpoints that are not on the internet.

use url::Host;

use super::section::{Placed, Section};
use super::setting::{Form, Setting};

const KEY: &str = "internal_hosts";

pub(super) const SETTING: Setting =
    Setting::new(KEY, Form::List, "Hosts on your own network where a provider can have endpoints.", "[\"login.corp.example\"]")
        .pattern(HOST);

/// A whole name or an address, without scheme, port and wildcard.
pub(super) const HOST: &str = "^[^/*@?\\s]+$";

/// Each in the spelling of URLs. Faults are told.
pub(super) fn read(section: &Section<'_>) -> Vec<String> {
    read_hosts(section, KEY).into_iter().map(|host| host.value).collect()
}

/// A list of hosts, each in the spelling of URLs. Faults are told.
pub(super) fn read_hosts(section: &Section<'_>, key: &'static str) -> Vec<Placed<String>> {
    let listed = section.strings(key).unwrap_or_default();
    let hosts = listed.into_iter().filter_map(|item| {
        let host = parse(&item.value);
        if host.is_none() {
            let problem = format!("`{}` is not a host", item.value);
            let remedy = "write a whole name or an IP address, without scheme, port and wildcard: \"login.corp.example\"";
            section.findings.fatal(item.at, &item.key, problem, remedy);
        }
        Some(Placed { value: host?, ..item })
    });
    hosts.collect()
}

/// IPv6 addresses with or without their brackets.
fn parse(text: &str) -> Option<String> {
    let address = text.parse().map(Host::Ipv6);
    let host = address.or_else(|_| Host::parse(text)).ok()?;
    match &host {
        Host::Domain(name) if name.split('.').any(str::is_empty) || name.contains('*') => None,
        _ => Some(host.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_spelt_as_in_urls() {
        for (written, host) in [
            ("login.corp.example", "login.corp.example"),
            ("LOGIN.Corp.example", "login.corp.example"),
            ("anmeldung.bücher.example", "anmeldung.xn--bcher-kva.example"),
            ("10.0.0.7", "10.0.0.7"),
            ("fd00:0::7", "[fd00::7]"),
            ("[fd00::7]", "[fd00::7]"),
            ("login", "login"),
        ] {
            assert_eq!(parse(written).as_deref(), Some(host), "{written}");
        }
        for written in [
            "",
            ".",
            "login.",
            ".corp.example",
            "a..b",
            "*",
            "*.corp.example",
            "https://login.corp.example",
            "login:443",
            "a/b",
            "a b",
            "user@login",
            "10.0.0.0/8",
            "[::1",
            "login?",
        ] {
            assert_eq!(parse(written), None, "{written}");
        }
    }
}
