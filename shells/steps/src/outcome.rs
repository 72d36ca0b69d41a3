//! A decision of the core's as the host carries it out: header fields complete, pages whole.

use std::rc::Rc;

use vestibule::audit::{self, Person};
use vestibule::code::Code;
use vestibule::decision::{self, Decision, Level};
use vestibule::entropy;
use vestibule::pages::{self, HostFailure, LogKeys, Look};
use vestibule::session;
use vestibule::web::http::Response;
use vestibule_enforcement::edits::{self, CACHE_DIRECTIVES, NOT_FOR_CACHES};
use vestibule_enforcement::forwarded::{Arrival, Told};
use vestibule_enforcement::headers::{Field, NotAField};

use crate::host::HostEntropy;
use crate::messages::{self, Answer, Audited, Ended, EndedWhat, Event, Forward, Header, Latin1, Outcome, Respond, ResponseEdits};
use crate::steps::{self, Arrived};

/// A decision about a request.
pub(crate) fn decided(decision: Decision, arrived: &Rc<Arrived>) -> Answer {
    let Decision { outcome, events, rule, ended_sessions, audited, afterwards } = decision;
    let mut events: Vec<Event> = events.into_iter().map(Event::from).collect();
    let outcome = match outcome {
        decision::Outcome::Forward(forward) => match self::forward(forward, arrived) {
            Ok(forward) => Outcome::Forward(forward),
            Err(refused) => {
                let (page, event) = failure(HostFailure::Filter, arrived, &refused.to_string());
                events.push(event.into());
                respond(page, arrived.is_head)
            }
        },
        decision::Outcome::Respond(response) => respond(response, arrived.is_head),
        decision::Outcome::NeedBody(limit) => Outcome::NeedBody(limit),
    };
    let afterwards = match afterwards.map(|afterwards| steps::afterwards(Rc::clone(&arrived.loaded), *afterwards, vec![])) {
        Some(Answer::Fetch(fetch)) => Some(fetch),
        Some(Answer::Finished { events: said }) => {
            events.extend(said);
            None
        }
        _ => None,
    };
    let ended = ended_sessions.into_iter().map(Ended::from).collect();
    Answer::Decided(messages::Decision { outcome, events, rule, ended, audited: audited.map(Audited::from), afterwards })
}

/// A page of the host's own in place of a decision, and its line in the log.
pub(crate) fn failed(kind: HostFailure, arrived: &Arrived, reason: &str) -> Answer {
    let (page, event) = failure(kind, arrived, reason);
    said(respond(page, arrived.is_head), event)
}

/// The answer where nothing is known of the request.
pub(crate) fn stands_alone(code: Code, reason: &str) -> Answer {
    let (reference, nonce) = (entropy::reference(&mut HostEntropy), entropy::token::<16>(&mut HostEntropy));
    let page =
        pages::host_failure(HostFailure::Filter, None, &Look::default(), LogKeys { reference: Some(&reference), request_id: None }, &nonce);
    let event = decision::Event::new(Level::Error, code, reason.to_owned());
    said(respond(page, false), decision::Event { reference: Some(reference), ..event })
}

fn said(outcome: Outcome, event: decision::Event) -> Answer {
    let events = vec![event.into()];
    Answer::Decided(messages::Decision { outcome, events, rule: None, ended: vec![], audited: None, afterwards: None })
}

fn failure(kind: HostFailure, arrived: &Arrived, reason: &str) -> (Response, decision::Event) {
    let (reference, nonce) = (entropy::reference(&mut HostEntropy), entropy::token::<16>(&mut HostEntropy));
    let log_keys = LogKeys { reference: Some(&reference), request_id: arrived.request_id.as_deref() };
    let page = pages::host_failure(kind, arrived.reader, &Look::of(arrived.loaded.filter.config()), log_keys, &nonce);
    let level = if matches!(kind, HostFailure::TooManyRequests | HostFailure::TooManyLogins { .. }) { Level::Info } else { Level::Warn };
    let event = decision::Event::new(level, Code::HostFailure, format!("{}: {reason}", kind.code()));
    (page, decision::Event { request_id: arrived.request_id.clone(), reference: Some(reference), ..event })
}

/// What the application receives, all of it.
fn forward(forward: decision::Forward, arrived: &Arrived) -> Result<Forward, NotAField> {
    let decision::Forward { remove_headers, set_headers, response_headers, expires_at, session } = forward;
    let Arrived { loaded, fields, host, tls, client, .. } = arrived;
    let mut fields = fields.clone();
    let (public_origin, route) = (loaded.filter.config().public.origin(), client.as_slice());
    let arrival = Arrival { route, told: Told::default(), tls: *tls, host: host.as_deref(), public_origin: &public_origin };
    let remove: Vec<&str> = remove_headers.iter().map(AsRef::as_ref).collect();
    edits::edit_request(&mut fields, &remove, &set_headers.iter().collect::<Vec<_>>(), arrival)?;
    let response = response_edits(response_headers)?;
    Ok(Forward { headers: headers(fields), response, expires_at: expires_at.map(|at| at.as_secs()), session })
}

/// To be done to the application's response: removed first, then added.
fn response_edits(add: Vec<Field>) -> Result<ResponseEdits, NotAField> {
    let mut added = vec![];
    edits::edit_response(&mut added, &add)?;
    let is_not_for_caches = added.iter().any(|(name, value)| name == "cache-control" && value.as_slice() == NOT_FOR_CACHES.as_bytes());
    let remove = if is_not_for_caches { CACHE_DIRECTIVES.into_iter().chain(["cache-control"]).collect() } else { vec![] };
    Ok(ResponseEdits { remove, add: headers(added) })
}

fn respond(response: Response, is_head: bool) -> Outcome {
    let Response { status, headers: fields, mut body, counts_as } = response;
    let fields = edits::own_response(status, &fields, body.len(), is_head);
    if is_head {
        body.clear();
    }
    Outcome::Respond(Respond { status, headers: headers(fields), body: messages::Base64(body), counts_as: counts_as.map(Into::into) })
}

fn headers(fields: Vec<Field>) -> Vec<Header> {
    fields.into_iter().map(|(name, value)| (name, Latin1(value))).collect()
}

impl From<decision::Event> for Event {
    fn from(event: decision::Event) -> Self {
        let level = match event.level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let decision::Event { code, message, reference, provider, subject, rule, request_id, .. } = event;
        Self { level, code: code.as_str(), message, reference, provider, subject, rule, request_id }
    }
}

impl From<session::EndedName> for Ended {
    fn from(ended: session::EndedName) -> Self {
        let session::EndedName { name, what, at, until } = ended;
        let what = match what {
            session::EndedWhat::Session => EndedWhat::Session,
            session::EndedWhat::Account => EndedWhat::Account,
            session::EndedWhat::ProviderSession => EndedWhat::ProviderSession,
            session::EndedWhat::LogoutToken => EndedWhat::LogoutToken,
        };
        Self { name, what, at: at.as_secs(), until: until.as_secs() }
    }
}

impl From<audit::Audited> for Audited {
    fn from(audited: audit::Audited) -> Self {
        let audit::Audited { event, method, path, person, code, rule } = audited;
        let Person { provider, subject, email, session } = person;
        let code = code.map(|code| code.as_str());
        Self { event: event.as_str(), method, path, provider, subject, email, session, code, rule }
    }
}
