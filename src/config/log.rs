//! `[vestibule.log]`: what events say.

use super::section::Section;
use super::setting::{Form, Key, Setting, keys};

pub(super) const SETTINGS: [Setting; 1] = [Setting::new(
    "subject",
    Form::Boolean,
    "`true` adds the user's `sub` to the log, at logins, logouts and denials: see [Read the log](log.md).",
    "true",
)
.or("false")];

pub(super) static KEYS: [Key; 1] = keys(&SETTINGS);

/// Whether events say who they are about.
pub(super) fn read(section: &Section<'_>) -> bool {
    let subjects = section.boolean("subject").unwrap_or(false);
    section.finish_strict();
    subjects
}
