//! What the filter comes to: the outcome for the host to carry out, and what there is to say about it.

use std::borrow::Cow;

use crate::audit::Audited;
use crate::code::Code;
use crate::oidc::revocation::Revocation;
use crate::session::EndedName;
use crate::time::UnixTime;
use crate::web::field_lines::FieldLines;
use crate::web::http::{Header, OutboundRequest, Response};

/// A request goes on to the application.
#[derive(Debug, Default)]
pub struct Forward {
    /// Names of request headers to remove, every line of them, in any case, before `set_headers`.
    pub remove_headers: Vec<Cow<'static, str>>,
    pub set_headers: FieldLines,
    /// To add to the application's response.
    pub response_headers: Vec<Header>,
    /// When the session ends; `None` for an anonymous request.
    pub expires_at: Option<UnixTime>,
    /// The session's handle; `None` for an anonymous request.
    pub session: Option<String>,
}

/// What the host shall do.
#[derive(Debug)]
pub enum Outcome {
    Forward(Forward),
    Respond(Response),
    /// Ask again with the request's body, of at most this many bytes.
    NeedBody(u32),
}

/// How much an operator should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

/// For the log. No secret, token, cookie or code is ever in one.
#[derive(Debug)]
pub struct Event {
    pub level: Level,
    /// Stable, for alerts and searches.
    pub code: Code,
    pub message: String,
    /// What the user's page shows.
    pub reference: Option<String>,
    /// The provider that the login or logout is with, by its name in the configuration.
    pub provider: Option<String>,
    /// Who it is about, by `sub`; only where the configuration wants people named.
    pub subject: Option<String>,
    /// Number of the rule that refused, from 1.
    pub rule: Option<u32>,
    /// `X-Request-Id` of the request.
    pub request_id: Option<String>,
}

impl Event {
    pub fn new(level: Level, code: Code, message: String) -> Self {
        Self { level, code, message, reference: None, provider: None, subject: None, rule: None, request_id: None }
    }
}

/// What is still to be done when the host has sent the answer: nobody waits for it.
#[derive(Debug)]
pub struct Afterwards {
    /// To be sent.
    pub request: OutboundRequest,
    /// For [`Filter::go_on`](crate::filter::Filter::go_on), with the answer.
    pub revocation: Revocation,
}

impl Afterwards {
    /// What a host says that has no room for it.
    pub fn dropped(&self) -> Event {
        let message = "the tokens of a session that was logged out are not revoked: too many revocations are under way";
        let Revocation { provider, subject, .. } = &self.revocation;
        let event = Event::new(Level::Warn, Code::LogoutNotRevoked, message.to_owned());
        Event { provider: Some(provider.clone()), subject: subject.clone(), ..event }
    }
}

/// An outcome, and what there is to say about it.
#[derive(Debug)]
pub struct Decision {
    pub outcome: Outcome,
    pub events: Vec<Event>,
    /// Number of the rule that decided, from 1; `None` where none did.
    pub rule: Option<u32>,
    /// What is over with this decision: the host remembers it, and ends the upgraded connections and open responses of these sessions.
    pub ended_sessions: Vec<EndedName>,
    /// What the audit says of it; `None` where there is no audit, or nothing to say.
    pub audited: Option<Audited>,
    /// A request to a provider that nobody waits for. A host that drops it loses what it is for, and nothing else.
    pub afterwards: Option<Box<Afterwards>>,
}
