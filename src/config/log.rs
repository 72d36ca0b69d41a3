//! `[vestibule.log]`: whether people are named, and the audit.

use super::section::Section;
use super::setting::{Form, Key, Setting, keys};
use crate::audit::{AuditDestination, AuditSettings};

/// Longest path that systems take, in bytes (`PATH_MAX` of Linux).
const MAX_PATH: usize = 4096;

const REMEDY: &str = "write \"log\", \"journald\", \"off\", or a file by its absolute path: \"file:/var/log/vestibule/audit.jsonl\"";

pub(super) const SETTINGS: [Setting; 3] = [
    Setting::new(
        "subject",
        Form::Boolean,
        "`true` names users: `sub` in the log, at logins, logouts and denials, and `sub` and the verified e-mail address in the audit.",
        "true",
    )
    .or("false"),
    Setting::new(
        "audit",
        Form::Text,
        "The place of the audit: `\"log\"`, `\"journald\"`, `\"off\"`, or `\"file:\"` with an absolute path. See [Keep an audit](audit.md).",
        "\"file:/var/log/vestibule/audit.jsonl\"",
    )
    .or("\"off\"")
    .pattern("^(log|journald|off|file:/.*[^/])$"),
    Setting::new("requests", Form::Boolean, "`true` adds each forwarded request of a logged-in user to the audit.", "true").or("false"),
];

pub(super) static KEYS: [Key; 3] = keys(&SETTINGS);

/// What is written of decisions.
pub(super) struct Log {
    /// Whether events say who they are about.
    pub(super) subjects: bool,
    pub(super) audit: Option<AuditSettings>,
}

/// Faults are told.
pub(super) fn read(section: &Section<'_>) -> Log {
    let subjects = section.boolean("subject").unwrap_or(false);
    let destination = section.string("audit");
    let requests = section.boolean("requests");
    section.finish_strict();
    let is_off = destination.as_ref().is_none_or(|text| text.value == "off");
    if requests == Some(true) && is_off && !section.is_key_faulty("audit") {
        section.findings.warning(section.at(), &section.key("requests"), "has no effect without `audit`", REMEDY);
    }
    let destination = destination.filter(|_| !is_off).and_then(|text| {
        let found = match text.value.as_str() {
            "log" => Some(AuditDestination::Log),
            "journald" => Some(AuditDestination::Journald),
            other => other.strip_prefix("file:").filter(|path| is_file(path)).map(|path| AuditDestination::File(path.to_owned())),
        };
        if found.is_none() {
            section.findings.fatal(text.at, &text.key, format!("`{}` is not a place for the audit", text.value), REMEDY);
        }
        found
    });
    Log { subjects, audit: destination.map(|destination| AuditSettings { destination, requests: requests.unwrap_or(false) }) }
}

/// Relative to which folder would be anybody's guess.
fn is_file(path: &str) -> bool {
    path.len() <= MAX_PATH && path.starts_with('/') && !path.ends_with('/') && !path.contains(char::is_control)
}
