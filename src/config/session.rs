//! `[vestibule.session]`: how long a login is in force, and what opens its cookies.

use std::time::Duration;

use super::section::{Placed, Section};
use super::setting::{Form, Key, Setting, keys};
use super::store;
use crate::session::Lifetime;

/// Streamlit's lifetime of a login.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

pub(super) const SETTINGS: [Setting; 5] = [
    Setting::new("max_age", Form::Duration, "Lifetime of a session from the login on.", "\"12h\"").or("\"30d\""),
    Setting::new(
        "idle_timeout",
        Form::Duration,
        "Lifetime of a session from the last request on. It must not be longer than `max_age`.",
        "\"1h\"",
    ),
    Setting::secret("previous_cookie_secrets", Form::List, "Older secrets that still open cookies.", "\"OLD_COOKIE_SECRETS\""),
    store::STORE,
    store::PATIENCE,
];

pub(super) static KEYS: [Key; 5] = keys(&SETTINGS);

/// The lifetime, the older secrets, and the store. Faults are told.
pub(super) fn read(section: &Section<'_>) -> (Lifetime, Vec<Placed<String>>, Option<store::Written>) {
    let lifetime =
        Lifetime { max_age: section.duration("max_age").unwrap_or(DEFAULT_MAX_AGE), idle_timeout: section.duration("idle_timeout") };
    let previous = section.strings("previous_cookie_secrets").unwrap_or_default();
    let is_max_age_known = !section.is_key_faulty("max_age");
    if let Some(idle_timeout) = lifetime.idle_timeout.filter(|idle| is_max_age_known && *idle > lifetime.max_age) {
        let problem = format!("`{}` is longer than the session lasts", humantime::format_duration(idle_timeout));
        section.findings.fatal(section.at(), &section.key("idle_timeout"), problem, "make it shorter than max_age, or remove it");
    }
    let store = store::read(section);
    section.finish_strict();
    (lifetime, previous, store)
}
