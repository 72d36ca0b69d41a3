//! `[vestibule.session]`: how long a login is in force, and what opens its cookies.

use std::time::Duration;

use super::section::{Placed, Section};
use super::setting::{Form, Key, Setting, keys, words};
use super::store;
use crate::session::{Lifetime, OnOutage, RefreshSettings};

/// Streamlit's lifetime of a login.
const DEFAULT_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

const REFRESHES: [(&str, bool); 2] = [("auto", true), ("off", false)];
const OUTAGES: [(&str, OnOutage); 2] = [("continue", OnOutage::Continue), ("refuse", OnOutage::Refuse)];

pub(super) const SETTINGS: [Setting; 8] = [
    Setting::new("max_age", Form::Duration, "Lifetime of a session from the login on.", "\"12h\"").or("\"30d\""),
    Setting::new(
        "idle_timeout",
        Form::Duration,
        "Lifetime of a session from the last request on. It must not be longer than `max_age`.",
        "\"1h\"",
    ),
    Setting::secret("previous_cookie_secrets", Form::List, "Older secrets that still open cookies.", "\"OLD_COOKIE_SECRETS\""),
    Setting::new(
        "refresh",
        Form::Choice(&words(&REFRESHES)),
        "With `\"auto\"`, Vestibule requests a refresh token at the login, and refreshes an exposed access token before it expires. It needs `revalidate` or `expose_tokens`: see [Keep sessions fresh](refresh.md).",
        "\"auto\"",
    )
    .or("\"off\""),
    Setting::new(
        "revalidate",
        Form::Duration,
        "The interval at which Vestibule asks the provider about the account. It needs `refresh = \"auto\"`, must not be shorter than 10 seconds, and has no effect unless it is shorter than `max_age`.",
        "\"5m\"",
    ),
    Setting::new(
        "on_outage",
        Form::Choice(&words(&OUTAGES)),
        "What Vestibule does if the provider does not answer and an exposed access token has expired, or the account is unconfirmed for twice `revalidate`: `\"continue\"` forwards requests, without an expired access token; `\"refuse\"` answers 503. It needs `revalidate` or `expose_tokens`.",
        "\"refuse\"",
    )
    .or("\"continue\""),
    store::STORE,
    store::PATIENCE,
];

pub(super) static KEYS: [Key; 8] = keys(&SETTINGS);

/// Providers are asked no more often than this about one account.
const MIN_REVALIDATE: Duration = Duration::from_secs(10);

/// What `[vestibule.session]` says.
pub(super) struct Sessions {
    pub(super) lifetime: Lifetime,
    pub(super) refresh: Option<RefreshSettings>,
    /// The older secrets.
    pub(super) previous: Vec<Placed<String>>,
    pub(super) store: Option<store::Written>,
}

/// Faults are told.
pub(super) fn read(section: &Section<'_>) -> Sessions {
    let lifetime =
        Lifetime { max_age: section.duration("max_age").unwrap_or(DEFAULT_MAX_AGE), idle_timeout: section.duration("idle_timeout") };
    let previous = section.strings("previous_cookie_secrets").unwrap_or_default();
    let is_max_age_known = !section.is_key_faulty("max_age");
    if lifetime.idle_timeout.is_some_and(|idle| is_max_age_known && idle > lifetime.max_age) {
        // Not the value itself, which may be outside the file.
        let problem = "is longer than the session lasts";
        section.findings.fatal(section.at(), &section.key("idle_timeout"), problem, "make it shorter than max_age, or remove it");
    }
    let refresh = read_refresh(section);
    let store = store::read(section, is_max_age_known.then_some(lifetime.max_age));
    section.finish_strict();
    Sessions { lifetime, refresh, previous, store }
}

fn read_refresh(section: &Section<'_>) -> Option<RefreshSettings> {
    let is_on = section.choice("refresh", &REFRESHES);
    let revalidate = section.duration("revalidate");
    let on_outage = section.choice("on_outage", &OUTAGES);
    let fatal = |name: &str, problem: &str, remedy: &str| section.findings.fatal(section.at(), &section.key(name), problem, remedy);
    if revalidate.is_some_and(|interval| interval < MIN_REVALIDATE) {
        fatal("revalidate", "is shorter than 10 seconds: the provider would be asked all the time", "write \"5m\" for example");
    }
    if is_on != Some(true) && !section.is_key_faulty("refresh") {
        for name in ["revalidate", "on_outage"].into_iter().filter(|name| section.has(name)) {
            fatal(name, "has no effect without refresh = \"auto\"", "write refresh = \"auto\" beside it, or remove it");
        }
    }
    (is_on == Some(true)).then_some(RefreshSettings { revalidate, on_outage: on_outage.unwrap_or(OnOutage::Continue) })
}
