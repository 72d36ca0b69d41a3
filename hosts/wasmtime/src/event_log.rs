//! Events of decisions as log records.

use crate::bindings::{Event, Level};

/// Emits one `tracing` event, target `vestibule`, with the fields `code` and, when the user was shown one,
/// `reference`. Whether and when to log is up to the embedder: nothing in this crate calls it.
pub fn log(event: &Event) {
    let Event { level, code, message, reference } = event;
    // The level of a tracing event is part of its call site, hence four of them.
    macro_rules! emit {
        ($level:ident) => {
            tracing::$level!(target: "vestibule", code, reference, "{message}")
        };
    }
    match level {
        Level::Debug => emit!(debug),
        Level::Info => emit!(info),
        Level::Warn => emit!(warn),
        Level::Error => emit!(error),
    }
}
