//! `[vestibule.identity]`: what the application learns of a user.

use std::collections::BTreeMap;

use super::groups;
use super::section::Section;
use super::setting::{Form, Key, Setting, keys};
use crate::identity::headers::IdentityHeaders;
use crate::policy::Policy;

pub(super) const SETTINGS: [Setting; 4] = [
    groups::CLAIM,
    groups::SHAPE,
    Setting::new("headers", Form::Entries(&[]), "Claims, and the headers that carry them.", "{ department = \"X-Department\" }")
        .pattern("^[A-Za-z0-9-]+$"),
    Setting::new(
        "pass",
        Form::List,
        "Headers that Vestibule forwards although clients must not send them: see [Headers that clients must not send](identity.md#headers-that-clients-must-not-send).",
        "\"Remote-User\"",
    )
    .pattern("^[A-Za-z0-9._-]+$"),
];

pub(super) static KEYS: [Key; 4] = keys(&SETTINGS);

pub(super) const NO_CLAIM: &str = "is neither a claim's name nor a JSON pointer";

pub(super) fn read(section: &Section<'_>, refused: Vec<String>) -> IdentityHeaders {
    let groups = groups::read(section);
    let mut from_claims = vec![];
    let mut seen = BTreeMap::new();
    for entry in section.entries("headers").unwrap_or_default() {
        let (claim, header) = &entry.value;
        let name = header.as_str().unwrap_or_default();
        let valid = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
        if !crate::claims::is_name_or_pointer(claim) {
            section.findings.fatal(entry.at, &entry.key, NO_CLAIM, "write department or \"/address/country\" for example");
        } else if !valid {
            let remedy = "write a header name of letters, digits and hyphens: { department = \"X-Department\" }";
            section.findings.fatal(entry.at, &entry.key, "is not the name of a header", remedy);
        } else if crate::identity::headers::is_reserved(name) {
            let remedy = "use a name of your own, beginning with X- for example";
            section.findings.fatal(entry.at, &entry.key, format!("`{name}` has a meaning of its own in HTTP"), remedy);
        } else if let Some(other) = seen.insert(name.to_ascii_lowercase(), claim.clone()) {
            let problem = format!("the claim `{other}` already goes into `{name}`");
            section.findings.fatal(entry.at, &entry.key, problem, "give every claim a header of its own");
        } else if groups::contradicts(&groups, claim, name) {
            let problem = format!("fills `{name}` with the claim as it is, and groups_shape reads it in another shape");
            section.findings.fatal(entry.at, &entry.key, problem, "remove the entry: groups_claim fills X-Forwarded-Groups");
        } else {
            from_claims.push((claim.clone(), name.to_owned()));
        }
    }
    let passed = read_passed(section, &from_claims, &refused);
    section.finish_strict();
    IdentityHeaders { groups, from_claims, refused, passed }
}

/// The claims that decisions ask for: headers are made of them, and rules look at them.
pub(super) fn near_claims(identity: &IdentityHeaders, policy: Option<&Policy>) -> Vec<String> {
    let of_headers = identity.from_claims.iter().map(|(claim, _)| claim.as_str()).chain([identity.groups.near_name()]);
    let of_rules = policy.into_iter().flat_map(Policy::claims);
    let mut names: Vec<String> = of_headers.chain(of_rules).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

/// Headers of [`crate::web::proxy_headers`] that a client's own proxy writes, and that the application is to get.
fn read_passed(section: &Section<'_>, from_claims: &[(String, String)], refused: &[String]) -> Vec<String> {
    let mut passed = vec![];
    for name in section.strings("pass").unwrap_or_default() {
        let ours = from_claims.iter().map(|(_, header)| header).chain(refused).map(String::as_str);
        let is_name = name.value.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        let problem = if !is_name {
            "is not the name of a header: each name is written in full"
        } else if crate::identity::headers::is_own(&name.value, ours) {
            "names the user: clients must not send it"
        } else if !crate::web::proxy_headers::is_listed(&name.value) {
            "is not a header that Vestibule removes"
        } else {
            passed.push(name.value);
            continue;
        };
        let remedy = "name a header of the list in docs/identity.md under \"Headers that clients must not send\", or remove it";
        section.findings.fatal(name.at, &name.key, format!("`{}` {problem}", name.value), remedy);
    }
    passed
}
