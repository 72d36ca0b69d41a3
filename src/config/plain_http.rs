//! `insecure_http_hosts` under `[vestibule]`: hosts at which providers may be asked by plain http, though they are not this
//! machine.
//!
//! It is about requests of Vestibule to the host of `server_metadata_url`. Where the browser goes, and what the metadata names
//! on another host, must be https all the same.

use url::Url;

use super::internal_hosts;
use super::section::{Placed, Section};
use super::setting::{Form, Setting};
use crate::oidc::provider::Provider;
use crate::web::origin::{is_confidential, is_loopback};

pub(super) const KEY: &str = "insecure_http_hosts";

pub(super) const SETTING: Setting =
    Setting::new(KEY, Form::List, "Hosts where Vestibule sends requests to a provider by plain http.", "[\"keycloak.auth.svc\"]")
        .pattern(internal_hosts::HOST);

/// Each in the spelling of URLs. Faults are told.
pub(super) fn read(section: &Section<'_>) -> Vec<Placed<String>> {
    let hosts = internal_hosts::read_hosts(section, KEY);
    let is_this_machine = |host: &str| Url::parse(&format!("http://{host}/")).is_ok_and(|url| is_loopback(&url));
    for host in hosts.iter().filter(|host| is_this_machine(&host.value)) {
        let problem = format!("`{}` is this machine, for which plain http is always accepted", host.value);
        section.findings.fatal(host.at, &host.key, problem, "remove it");
    }
    hosts
}

/// Whether a provider may be asked at this URL: a secret may travel to it, or the operator bears the risk.
pub(super) fn may_be_asked(url: &Url, hosts: &[Placed<String>]) -> bool {
    is_confidential(url) || (url.scheme() == "http" && url.host_str().is_some_and(|host| hosts.iter().any(|named| named.value == host)))
}

/// Says what each host risks, or that it is of no use.
pub(super) fn warn(section: &Section<'_>, hosts: &[Placed<String>], providers: &[Provider]) {
    if section.findings.has_fatal() {
        return;
    }
    for host in hosts {
        let is_asked = |provider: &&Provider| {
            let url = &provider.metadata_url;
            url.scheme() == "http" && url.host_str() == Some(host.value.as_str())
        };
        match providers.iter().find(is_asked) {
            Some(provider) => {
                let problem = format!(
                    "sends requests to provider `{}` at `{}` by plain http: anyone who reads or changes traffic on that network learns the client secret and the tokens, and can log in as any user",
                    provider.name, host.value
                );
                section.findings.warning(
                    host.at,
                    &host.key,
                    problem,
                    "serve the provider by https, or keep all other machines out of that network",
                );
            }
            None => {
                let problem = format!("no server_metadata_url with http:// has the host `{}`", host.value);
                section.findings.fatal(host.at, &host.key, problem, "remove it, or name the host of such a server_metadata_url");
            }
        }
    }
}
