//! What a decision says: the component's answer, checked, in types of this library.

use crate::bindings::vestibule::filter::types;

/// One header field: name and value, one entry for each field line.
pub type Header = (String, Vec<u8>);

/// What to do with a request, and what there is to say about it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Decision {
    /// What to do with the request.
    pub outcome: Outcome,
    /// To be logged, in this order; see [`crate::log`].
    pub events: Vec<Event>,
    /// Number of the rule that decided, from 1; `None` where none did: the configuration has none, none fits, or the path is
    /// one of the filter's own.
    pub rule: Option<u32>,
    /// What is over: a host that remembers it ([`crate::Ended`]) does so before it sends the response. Once the response has been
    /// sent, the host ends the upgraded connections of these sessions and the responses whose end is not in sight.
    pub ended_sessions: Vec<EndedName>,
    /// What the audit says of it; only where [`crate::Summary::audit`] is given, and there is something to say.
    pub audited: Option<Audited>,
}

/// What an [`EndedName`] is the name of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndedWhat {
    /// One session, by the name that [`Forward::session`] gave it.
    Session,
    /// An account: every session of it that began at [`EndedName::at`] or before.
    Account,
    /// A session at the provider: every session that began in it at [`EndedName::at`] or before.
    ProviderSession,
    /// A logout token, which is accepted once.
    LogoutToken,
}

/// Something that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedName {
    /// 16 bytes in base64url, 22 characters, in the decision of a component. No secret.
    pub name: String,
    /// What it is the name of.
    pub what: EndedWhat,
    /// When it ended, in seconds since the Unix epoch. Of two with the same name the later counts.
    pub at: u64,
    /// When it may be forgotten, in seconds since the Unix epoch: nothing that it ends is in force any more.
    pub until: u64,
}

impl EndedName {
    /// With every part of it. For what another node tells, and for tests of an embedder.
    pub fn new(name: impl Into<String>, what: EndedWhat, at: u64, until: u64) -> EndedName {
        EndedName { name: name.into(), what, at, until }
    }
}

/// What to do with a request. There is no fourth way out that an embedder could overlook: one would be a breaking change.
#[derive(Debug)]
pub enum Outcome {
    /// It goes on to the application, edited.
    Forward(Forward),
    /// This is the answer; the application never sees the request.
    Respond(Response),
    /// Decide again with the request's body, if it has at most this many bytes; answer a longer one with status 413.
    NeedBody(u32),
}

/// How a request goes on to the application.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Forward {
    edits: Vec<u8>,
    ends: Vec<u32>,
    added: usize,
    /// To add to the application's response; see [`crate::http_types::edit_response`].
    pub response_headers: Vec<Header>,
    /// When the session ends that this rests on, in seconds since the Unix epoch: upgraded connections and responses without
    /// a length end no later. `None` for an anonymous request.
    pub expires_at: Option<u64>,
    /// The session that this rests on: a name that is no secret. `None` for an anonymous request.
    pub session: Option<String>,
}

/// The filter's own answer.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Response {
    /// Status code.
    pub status: u16,
    /// Complete, apart from `Content-Length` and hop-by-hop fields, which are the host's.
    pub headers: Vec<Header>,
    /// Empty for a `HEAD` request.
    pub body: Vec<u8>,
    /// What a host with limits counts it as.
    pub counts_as: Option<Counted>,
}

/// What is counted, so that nobody can have a host ask a provider, or send people there, without end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Counted {
    /// A login that starts.
    LoginStart,
    /// A callback that was refused.
    BadCallback,
    /// A logout token without the signature of its provider.
    BadLogoutToken,
}

/// How much an operator should care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// Something has happened.
    Info,
    /// Something to look into.
    Warn,
    /// Something to act on.
    Error,
}

/// Something an operator wants to know. Never holds a secret, a token, a cookie or a code.
#[derive(Debug)]
#[non_exhaustive]
pub struct Event {
    /// How much an operator should care.
    pub level: Level,
    /// Stable, for alerts and searches.
    pub code: String,
    /// One sentence for a person: one line of at most 500 characters.
    pub message: String,
    /// The reference number that the user's error page shows.
    pub reference: Option<String>,
    /// Name of the provider in the configuration that the login or logout is with.
    pub provider: Option<String>,
    /// Who it is about; only where the configuration wants people named.
    pub subject: Option<String>,
    /// Number of the rule that refused, from 1.
    pub rule: Option<u32>,
    /// `X-Request-Id` of the request, by the word of whoever sent it.
    pub request_id: Option<String>,
}

/// What a decision is to the audit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AuditEvent {
    /// A user has logged in.
    Login,
    /// A login failed.
    LoginFailed,
    /// A user has logged out.
    Logout,
    /// A request is answered 403.
    Refused,
    /// A request of a logged-in user goes on to the application.
    Forwarded,
}

/// What the audit says of a decision. Each text is one line, of at most 500 characters where nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Audited {
    /// What it is about.
    pub event: AuditEvent,
    /// Of the request that was decided on; at most 32 characters.
    pub method: String,
    /// Its path, without the query; at most 1,024 characters.
    pub path: String,
    /// The name of the provider in the configuration.
    pub provider: Option<String>,
    /// Who it is (`sub`); only where the configuration wants people named.
    pub subject: Option<String>,
    /// The verified e-mail address; only where the configuration wants people named.
    pub email: Option<String>,
    /// The session, by the name that [`Forward::session`] gives it.
    pub session: Option<String>,
    /// Why it failed or is refused: the [`Event::code`] of an event.
    pub code: Option<String>,
    /// Number of the rule that refused, from 1.
    pub rule: Option<u32>,
}

/// The component's answer is not in the form of its interface: there is no decision.
#[derive(Debug, thiserror::Error)]
#[error("the component's edits are not in the form of its interface; take host and component from the same release")]
pub(crate) struct NotADecision;

impl Decision {
    /// A decision without events. For tests of an embedder.
    pub fn new(outcome: Outcome) -> Decision {
        Decision { outcome, events: Vec::new(), rule: None, ended_sessions: Vec::new(), audited: None }
    }
}

impl Forward {
    /// A forward with these edits: names to remove, then fields to add. For tests of an embedder.
    pub fn new(remove: &[&str], set: &[(&str, &[u8])]) -> Forward {
        let mut forward = Forward { added: set.len(), ..Forward::default() };
        let fields = set.iter().flat_map(|(name, value)| [name.as_bytes(), value]);
        for part in fields.chain(remove.iter().map(|name| name.as_bytes())) {
            forward.edits.extend_from_slice(part);
            forward.ends.push(u32::try_from(forward.edits.len()).unwrap_or(u32::MAX));
        }
        forward
    }

    /// Names of request header fields to remove, every line of them, in any case; done before anything is added.
    pub fn remove_headers(&self) -> impl Iterator<Item = &str> {
        (2 * self.added..self.ends.len()).map(|index| self.text(index))
    }

    /// Request header fields to add. A name given twice means two lines.
    pub fn set_headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        (0..self.added).map(|index| (self.text(2 * index), self.part(2 * index + 1)))
    }

    fn part(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |&end| end as usize);
        let end = self.ends.get(index).map_or(start, |&end| end as usize);
        self.edits.get(start..end).unwrap_or_default()
    }

    /// Of a part that was found to be text.
    fn text(&self, index: usize) -> &str {
        std::str::from_utf8(self.part(index)).unwrap_or_default()
    }

    /// Whether every end is a place in the edits behind the one before, and every name is text.
    fn is_whole(&self) -> bool {
        let last = self.ends.iter().try_fold(0, |last, &end| Some(end).filter(|end| *end >= last));
        let is_text = |index: usize| std::str::from_utf8(self.part(index)).is_ok_and(|name| !name.is_empty());
        last.is_some_and(|last| last as usize <= self.edits.len())
            && self.added.checked_mul(2).is_some_and(|added| added <= self.ends.len())
            && (0..self.added).all(|index| is_text(2 * index))
            && (2 * self.added..self.ends.len()).all(is_text)
    }
}

impl Response {
    /// A response without header fields. For tests of an embedder.
    pub fn new(status: u16, body: Vec<u8>) -> Response {
        Response { status, body, ..Response::default() }
    }
}

impl Decision {
    /// The component's answer, checked.
    pub(crate) fn read(decision: types::Decision) -> Result<Self, NotADecision> {
        let types::Decision { outcome, events, rule, ended_sessions, audited, afterwards: _ } = decision;
        let outcome = match outcome {
            types::Outcome::Forward(forward) => Outcome::Forward(Forward::read(forward)?),
            types::Outcome::Respond(types::Response { status, headers, body, counts_as }) => {
                Outcome::Respond(Response { status, headers, body, counts_as: counts_as.map(Counted::from) })
            }
            types::Outcome::NeedBody(limit) => Outcome::NeedBody(limit),
        };
        let events = events.into_iter().map(Event::from).collect();
        let ended_sessions = ended_sessions.into_iter().map(EndedName::from).collect();
        Ok(Decision { outcome, events, rule, ended_sessions, audited: audited.map(Audited::from) })
    }
}

impl Forward {
    fn read(forward: types::Forward) -> Result<Self, NotADecision> {
        let types::Forward { edits, ends, added, response_headers, expires_at, session } = forward;
        let added = usize::try_from(added).map_err(|_| NotADecision)?;
        let forward = Forward { edits, ends, added, response_headers, expires_at, session };
        if forward.is_whole() { Ok(forward) } else { Err(NotADecision) }
    }
}

impl From<types::Event> for Event {
    fn from(event: types::Event) -> Self {
        let types::Event { level, code, message, reference, provider, subject, rule, request_id } = event;
        let level = match level {
            types::Level::Debug => Level::Debug,
            types::Level::Info => Level::Info,
            types::Level::Warn => Level::Warn,
            types::Level::Error => Level::Error,
        };
        Event { level, code, message, reference, provider, subject, rule, request_id }
    }
}

impl From<types::EndedName> for EndedName {
    fn from(ended: types::EndedName) -> Self {
        let types::EndedName { name, what, at, until } = ended;
        let what = match what {
            types::EndedWhat::Session => EndedWhat::Session,
            types::EndedWhat::Account => EndedWhat::Account,
            types::EndedWhat::ProviderSession => EndedWhat::ProviderSession,
            types::EndedWhat::LogoutToken => EndedWhat::LogoutToken,
        };
        EndedName { name, what, at, until }
    }
}

impl From<types::Audited> for Audited {
    fn from(audited: types::Audited) -> Self {
        let types::Audited { event, method, path, provider, subject, email, session, code, rule } = audited;
        let event = match event {
            types::AuditEvent::Login => AuditEvent::Login,
            types::AuditEvent::LoginFailed => AuditEvent::LoginFailed,
            types::AuditEvent::Logout => AuditEvent::Logout,
            types::AuditEvent::Refused => AuditEvent::Refused,
            types::AuditEvent::Forwarded => AuditEvent::Forwarded,
        };
        Audited { event, method, path, provider, subject, email, session, code, rule }
    }
}

impl From<types::Counted> for Counted {
    fn from(counted: types::Counted) -> Self {
        match counted {
            types::Counted::LoginStart => Counted::LoginStart,
            types::Counted::BadCallback => Counted::BadCallback,
            types::Counted::BadLogoutToken => Counted::BadLogoutToken,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forward(edits: &[u8], ends: &[u32], added: u32) -> Result<Forward, NotADecision> {
        let (edits, ends) = (edits.to_vec(), ends.to_vec());
        Forward::read(types::Forward { edits, ends, added, response_headers: vec![], expires_at: None, session: None })
    }

    #[test]
    fn edits_are_read_as_they_were_written() {
        let forward = Forward::new(&["cookie", "X-User"], &[("X-User", b"alice"), ("X-Empty", b"")]);
        assert_eq!(forward.remove_headers().collect::<Vec<_>>(), ["cookie", "X-User"]);
        assert_eq!(forward.set_headers().collect::<Vec<_>>(), [("X-User", &b"alice"[..]), ("X-Empty", b"")]);
        let Forward { edits, ends, added, .. } = forward.clone();
        let crossed = self::forward(&edits, &ends, u32::try_from(added).unwrap()).unwrap();
        assert!(crossed.set_headers().eq(forward.set_headers()) && crossed.remove_headers().eq(forward.remove_headers()));
        assert!(self::forward(b"", &[], 0).is_ok());
    }

    #[test]
    fn what_is_not_in_the_form_is_no_decision() {
        for (edits, ends, added) in [
            (&b"ab"[..], &[3_u32][..], 0),
            (b"ab", &[2, 1], 0),
            (b"ab", &[1], 1),
            (b"ab", &[1, 2], 2),
            (b"ab", &[1, 2], u32::MAX),
            (b"\xffb", &[1, 2], 1),
            (b"a\xff", &[1, 2], 0),
            (b"ab", &[0, 2], 1),
            (b"ab", &[0], 0),
        ] {
            assert!(forward(edits, ends, added).is_err(), "{edits:?} {ends:?} {added}");
        }
        assert!(forward(b"a\xff", &[1, 2], 1).is_ok(), "a value need be no text");
    }
}
