//! `[vestibule.cors]`: pages of other origins.

use url::{Origin, Url};

use super::section::{Placed, Section};
use super::setting::{Form, Key, Setting, keys, words};
use crate::web::cors::Cors;

const ORIGINS: &str = "origins";

const PREFLIGHT: [(&str, bool); 2] = [("refuse", false), ("forward", true)];

pub(super) const SETTINGS: [Setting; 2] = [
    Setting::new(
        "preflight",
        Form::Choice(&words(&PREFLIGHT)),
        "`\"forward\"` forwards preflights to the application, also if a login is required.",
        "\"forward\"",
    )
    .or("\"refuse\""),
    Setting::new(
        ORIGINS,
        Form::List,
        "Origins whose preflights Vestibule answers, and whose scripts can read its 401.",
        "[\"https://portal.example.com\"]",
    )
    .pattern(ORIGIN),
];

/// An origin as a browser writes it.
pub(super) const ORIGIN: &str = "^https?://[^/*]+$";

pub(super) static KEYS: [Key; 2] = keys(&SETTINGS);

/// Faults are told. `answers_proxies`: `mode = "authz"`.
pub(super) fn read(section: &Section<'_>, answers_proxies: bool) -> Cors {
    let forwards_preflights = section.choice("preflight", &PREFLIGHT).unwrap_or(false);
    let listed = section.strings(ORIGINS).unwrap_or_default();
    section.finish_strict();
    if let Some(first) = listed.first().filter(|_| answers_proxies) {
        let problem = "has no effect with mode = \"authz\": the proxy that asks answers its clients";
        section.findings.fatal(first.at, &first.key, problem, "write preflight = \"forward\", and have the application answer");
    }
    if let Some(first) = listed.first().filter(|_| forwards_preflights) {
        let problem = "stands beside preflight = \"forward\": either Vestibule answers preflights, or the application does";
        section.findings.fatal(first.at, &first.key, problem, "keep one of them");
    }
    Cors { forwards_preflights, origins: listed.iter().filter_map(|item| read_origin(section, item)).collect() }
}

/// As a browser writes it: scheme and host, and the port unless it is the scheme's own.
pub(super) fn read_origin(section: &Section<'_>, item: &Placed<String>) -> Option<String> {
    let origin = Url::parse(&item.value).ok().map(|url| url.origin());
    let is_web = |origin: &Origin| matches!(origin, Origin::Tuple(scheme, ..) if scheme == "https" || scheme == "http");
    let written = origin.filter(is_web).map(|origin| origin.ascii_serialization());
    if written.as_ref().is_none_or(|written| *written != item.value || written.contains('*')) {
        let remedy = match written.filter(|written| !written.contains('*')) {
            Some(_) if section.findings.is_hidden(&item.key) => {
                "write it as browsers do: in small letters, without a path and without the port that the scheme has anyway".to_owned()
            }
            Some(written) => format!("write \"{written}\""),
            None => "write scheme and host, without a path and wildcards: \"https://portal.example.com\"".to_owned(),
        };
        section.findings.fatal(item.at, &item.key, format!("`{}` is not an origin", item.value), remedy);
        return None;
    }
    written
}
