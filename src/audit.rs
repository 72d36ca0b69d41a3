//! The audit: who has logged in, out and past the rules, one line for each. The core says what a decision is about; the host
//! knows the time, the client and the name of the request, adds events of its own, and writes the line (`docs/audit.md`).

use crate::code::Code;

/// Longest path in the audit, in characters.
pub const MAX_PATH: usize = 1024;

/// Longest method in the audit, in characters: longer than any that is registered.
pub const MAX_METHOD: usize = 32;

macro_rules! events {
    ($($(#[doc = $meaning:literal])+ $event:ident = $text:literal,)+) => {
        /// What a line of the audit is about. The set is closed, and the names are stable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum AuditEvent {
            $($(#[doc = $meaning])+ $event,)+
        }

        impl AuditEvent {
            /// All of them, in the order of the documentation.
            pub const ALL: &[Self] = &[$(Self::$event,)+];

            /// As it stands in the audit.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$event => $text,)+
                }
            }

            /// For the documentation.
            pub const fn meaning(self) -> &'static str {
                match self {
                    $(Self::$event => concat!($($meaning),+).trim_ascii(),)+
                }
            }
        }
    };
}

events! {
    /// A user has logged in.
    Login = "login",
    /// A login failed; `code` has the reason.
    LoginFailed = "login_failed",
    /// A user has logged out.
    Logout = "logout",
    /// A request was rejected with 403, or an open connection was closed by a new configuration; `code` has the reason.
    Refused = "refused",
    /// A request of a logged-in user was forwarded, or another proxy was told to forward it.
    Forwarded = "forwarded",
    /// Sessions were ended before their time, or an open connection was closed because its session ended; `code` has the reason.
    SessionEnded = "session_ended",
    /// The program accepts connections.
    Started = "started",
    /// The program has stopped.
    Stopped = "stopped",
    /// A new configuration is in use.
    ConfigurationLoaded = "configuration_loaded",
    /// A new configuration is invalid; the old one stays in use.
    ConfigurationRefused = "configuration_refused",
    /// Lines of the audit could not be written; `lost` is their number.
    LinesLost = "lines_lost",
}

/// Where the host writes the audit, and what of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditSettings {
    pub destination: AuditDestination,
    /// Whether each forwarded request of a logged-in user is an event.
    pub requests: bool,
}

/// Where the host writes the audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditDestination {
    /// Between the lines of the log.
    Log,
    /// To the end of this file, by its absolute path.
    File(String),
    /// To systemd's journal, each line an entry.
    Journald,
}

/// The person that a decision is about, as far as it is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// The provider's name in the configuration.
    pub provider: Option<String>,
    /// `sub`; only where the configuration wants people named.
    pub subject: Option<String>,
    /// The verified e-mail address; only where the configuration wants people named.
    pub email: Option<String>,
    /// The session's handle, which opens nothing.
    pub session: Option<String>,
}

/// What the audit says of a decision. Every text is one line of bounded length.
#[derive(Debug, PartialEq, Eq)]
pub struct Audited {
    pub event: AuditEvent,
    /// Of the request that was decided on: with `mode = "authz"`, the one that the proxy asked about.
    pub method: String,
    /// Its path, without the query.
    pub path: String,
    pub person: Person,
    /// Why it failed, or was refused.
    pub code: Option<Code>,
    /// Number of the rule that refused, from 1.
    pub rule: Option<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ_and_are_plain() {
        for (index, event) in AuditEvent::ALL.iter().enumerate() {
            assert!(event.as_str().bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{event:?}");
            assert!(!event.meaning().is_empty() && AuditEvent::ALL[..index].iter().all(|other| other.as_str() != event.as_str()));
        }
    }
}
