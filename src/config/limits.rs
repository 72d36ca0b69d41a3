//! `[vestibule.limits]`: what each client may do in a minute.

use super::section::Section;
use super::setting::{Form, Key, Setting, keys};
use crate::limit::PerMinute;

/// A thousand in a second: a limit beyond that limits nobody.
const MAX_PER_MINUTE: u32 = 60_000;

pub(super) const SETTINGS: [Setting; 2] = [
    Setting::new("logins_per_minute", Form::Number(MAX_PER_MINUTE), "Logins that start: at once, and in each minute.", "60").or("120"),
    Setting::new(
        "bad_callbacks_per_minute",
        Form::Number(MAX_PER_MINUTE),
        "Callbacks that Vestibule rejects, and likewise logout tokens: at once, and in each minute.",
        "10",
    )
    .or("20"),
];

pub(super) static KEYS: [Key; 2] = keys(&SETTINGS);

pub(super) fn read(section: &Section<'_>) -> PerMinute {
    let default = PerMinute::default();
    let logins = section.number("logins_per_minute").unwrap_or(default.logins);
    let bad_callbacks = section.number("bad_callbacks_per_minute").unwrap_or(default.bad_callbacks);
    section.finish_strict();
    PerMinute { logins, bad_callbacks }
}
