//! The log: one line for each event, to the host's standard error. Time and level of detail are the host's.

use vestibule::config::Fault;
use vestibule::decision::{Event, Level};

use crate::bindings::wasi::cli::stderr::get_stderr;

/// The most that one call may write (`blocking-write-and-flush`).
const CHUNK_BYTES: usize = 4096;

/// Writes one event.
pub(crate) fn log(event: &Event) {
    let level = match event.level {
        Level::Debug => return,
        Level::Info => "INFO",
        Level::Warn => "WARN",
        Level::Error => "ERROR",
    };
    let rule = event.rule.map(|rule| rule.to_string());
    // What others write is quoted, so that it cannot look like something else of this line.
    let quoted = |text: &Option<String>| text.as_ref().map(|text| format!("{text:?}"));
    let (subject, request_id) = (quoted(&event.subject), quoted(&event.request_id));
    let details = [
        ("reference", &event.reference),
        ("provider", &event.provider),
        ("subject", &subject),
        ("rule", &rule),
        ("request_id", &request_id),
    ];
    let details: String = details.iter().filter_map(|(name, value)| Some(format!(" {name}={}", value.as_ref()?))).collect();
    line(&format!("{level} {}: {}{details}", event.code, event.message));
}

/// Writes what is wrong with the configuration, a line for each fault.
pub(crate) fn faults(faults: &[Fault]) {
    for fault in faults {
        let level = if fault.fatal { "ERROR" } else { "WARN" };
        line(&format!("{level} configuration.fault: {}", fault.without_severity()));
    }
}

/// Writes one line.
pub(crate) fn line(text: &str) {
    let stderr = get_stderr();
    let bytes = format!("vestibule {}\n", text.replace(char::is_control, "\u{fffd}")).into_bytes();
    for chunk in bytes.chunks(CHUNK_BYTES) {
        // There is nobody to tell that the log cannot be written.
        if stderr.blocking_write_and_flush(chunk).is_err() {
            return;
        }
    }
}
