//! `[vestibule.embedding]`: pages of other sites that may show the application in a frame.

use super::cors::{ORIGIN, read_origin};
use super::section::Section;
use super::setting::{Form, Key, Setting, keys};
use crate::web::embedding::Embedding;
use crate::web::origin::PublicOrigin;

/// More than anybody names: each is in every answer of ours.
const MAX_ORIGINS: usize = 32;

pub(super) const SETTINGS: [Setting; 1] = [Setting::new(
    "origins",
    Form::List,
    "Origins whose pages can show the application in a frame, at most 32.",
    "[\"https://portal.example.com\"]",
)
.pattern(ORIGIN)];

pub(super) static KEYS: [Key; 1] = keys(&SETTINGS);

/// Faults are told.
pub(super) fn read(section: &Section<'_>) -> Embedding {
    let listed = section.strings("origins").unwrap_or_default();
    section.finish_strict();
    if section.exists() && listed.is_empty() && !section.is_faulty() {
        let remedy = "write origins = [\"https://portal.example.com\"], or remove the section";
        section.findings.fatal(section.at(), &section.key("origins"), "names no site that may embed the application", remedy);
    }
    if let Some(beyond) = listed.get(MAX_ORIGINS) {
        section.findings.fatal(
            beyond.at,
            &beyond.key,
            format!("names more than {MAX_ORIGINS} origins"),
            "keep those that embed the application",
        );
    }
    let origins = listed.iter().filter_map(|item| {
        let origin = read_origin(section, item)?;
        // What is more than a source has another meaning in the policy (CSP Level 3, section 2.3.1).
        if !origin.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.:/".contains(&byte)) {
            let problem = format!("`{origin}` cannot be written in a content security policy");
            section.findings.fatal(item.at, &item.key, problem, "give the embedding site a host name of letters, digits and hyphens");
            return None;
        }
        if origin.starts_with("http://") && !is_loopback(&origin) {
            let problem = format!("`{origin}` is plain http, so that anyone on the network path can change its pages");
            section.findings.fatal(item.at, &item.key, problem, "serve the embedding site with https");
            return None;
        }
        Some(origin)
    });
    Embedding { origins: origins.collect() }
}

fn is_loopback(origin: &str) -> bool {
    url::Url::parse(origin).is_ok_and(|url| crate::web::origin::is_confidential(&url))
}

/// Browsers accept such cookies with `Secure` only.
pub(super) fn check(embedding: &Embedding, section: &Section<'_>, public: &PublicOrigin) {
    if embedding.is_on() && !public.is_secure() {
        let problem = "needs cookies that browsers accept over https only, and redirect_uri is http";
        section.findings.fatal(section.at(), &section.path(), problem, "write an https redirect_uri, or remove the section");
    }
}
