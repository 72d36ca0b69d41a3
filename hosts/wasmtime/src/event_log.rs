//! Events of decisions as log records.

use std::borrow::Cow;

use crate::decision::{Event, Level};

/// Emits one `tracing` event, target `vestibule`, with the fields `code` and, where the event has
/// them, `reference`, `provider`, `subject`, `rule` and `request_id`. Whether and when to log is up to the embedder:
/// this crate calls it only for what is done after an answer, such as the revocation of tokens, whose events no decision has.
pub fn log(event: &Event) {
    let Event { level, code, message, reference, provider, subject, rule, request_id } = event;
    let message = one_line(message);
    // The level of a tracing event is part of its call site, hence four of them.
    macro_rules! emit {
        ($level:ident) => {
            tracing::$level!(target: "vestibule", code, reference, provider, subject, rule, request_id, "{message}")
        };
    }
    match level {
        Level::Debug => emit!(debug),
        Level::Info => emit!(info),
        Level::Warn => emit!(warn),
        Level::Error => emit!(error),
    }
}

/// What a message quotes may come from anywhere: no line of the log begins within it.
fn one_line(message: &str) -> Cow<'_, str> {
    if message.contains(char::is_control) { Cow::Owned(message.replace(char::is_control, "\u{FFFD}")) } else { Cow::Borrowed(message) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(one_line("zo\u{eb}: \"a\""), "zo\u{eb}: \"a\"");
        assert_eq!(one_line("a\nINFO b\r\u{1b}[31m"), "a\u{FFFD}INFO b\u{FFFD}\u{FFFD}[31m");
    }
}
