//! Lines about sessions that have ended before their time, on the node where they were ended.
//!
//! 1. The line `logout` says that the session in it has ended; there is no second line of that session.
//! 2. Sessions are in cookies: of an account, or of a provider's session, there is one line with its extent, for all of them.
//! 3. What another node has ended has its line there. Here, each connection that it closes has one.

use std::net::IpAddr;
use std::time::SystemTime;

use vestibule::audit::AuditEvent;
use vestibule::code::Code;
use vestibule_wasmtime::{EndedName, EndedWhat, Event};

use crate::audit::line::Line;
use crate::audit::{Audit, Record, bounded, event_of};
use crate::client::request_id::RequestId;

/// Longest name of a session, in characters. A filter's own have 22.
const MAX_SESSION: usize = 500;
/// Longest `sub`, in characters, as elsewhere in the audit.
const MAX_SUBJECT: usize = 500;

/// Codes of decisions that end sessions.
const CODES: [Code; 4] = [Code::LogoutEverywhere, Code::LogoutByProvider, Code::Logout, Code::SessionDisowned];

/// What `vestibule sessions end` has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Commanded {
    /// One session, by its name.
    Session(String),
    /// Every session of a user.
    Account {
        /// `sub` of the ID token.
        subject: String,
    },
    /// Every session.
    All,
}

impl Audit {
    /// Writes that sessions were ended by a command.
    pub fn commanded(&self, ended: &Commanded, code: &str) {
        let line = Line { code: Some(code), ..Line::of(AuditEvent::SessionEnded, SystemTime::now()) };
        match ended {
            Commanded::Session(name) => self.write(&Line { session: Some(&bounded(name, MAX_SESSION)), ..line }),
            Commanded::Account { subject } => {
                let subject = self.subjects.then(|| bounded(subject, MAX_SUBJECT));
                self.write(&Line { subject: subject.as_deref(), extent: Some("account"), ..line });
            }
            Commanded::All => self.write(&Line { extent: Some("all"), ..line }),
        }
    }

    /// Writes which sessions a decision has ended, beside that of the line `logout`. `record` is what the audit says of the decision.
    pub fn ended(&self, ended: &[EndedName], events: &[Event], record: Option<&Record>, request_id: &RequestId, client: Option<IpAddr>) {
        let of = |what| ended.iter().find(move |ended| ended.what == what);
        let event = record.map(|record| event_of(record.audited.event));
        let reason = || events.iter().find(|event| CODES.iter().any(|code| code.as_str() == event.code));
        let line = Line { request_id: Some(request_id.as_str()), client, ..Line::of(AuditEvent::SessionEnded, SystemTime::now()) };
        let line = match record {
            Some(Record { audited, .. }) => Line { method: Some(&audited.method), path: Some(&audited.path), ..line },
            None => line,
        };
        if let Some(session) = of(EndedWhat::Session)
            && event != Some(AuditEvent::Logout)
        {
            // The login's own line has another user, perhaps; the other lines with this session name its user.
            let code = match event {
                Some(AuditEvent::Login) => Some(Code::LoginSucceeded.as_str()),
                _ => reason().map(|event| &*event.code),
            };
            self.write(&Line { session: Some(&bounded(&session.name, MAX_SESSION)), code, ..line.clone() });
        }
        let of_provider = of(EndedWhat::ProviderSession).map(|_| "provider_session");
        let Some(extent) = of_provider.or_else(|| of(EndedWhat::Account).map(|_| "account")) else { return };
        let person = record.map(|record| &record.audited);
        self.write(&Line {
            provider: person.and_then(|person| person.provider.as_deref()),
            subject: person.and_then(|person| person.subject.as_deref()),
            email: person.and_then(|person| person.email.as_deref()),
            code: reason().map(|event| &*event.code),
            extent: Some(extent),
            ..line
        });
    }
}
