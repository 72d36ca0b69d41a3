//! The shell for `vestibule:filter`: converts types, reads the clock, draws randomness, sends requests. Decides nothing.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use vestibule_preview1 as _;

use crate::audit::{AuditDestination, AuditEvent, AuditSettings, Audited, Person};
use crate::config::{Authorization, Config, Fault, Reference, Source, Summary, references};
use crate::decision::{Afterwards, Decision, Event, Forward, Level, Outcome};
use crate::entropy::Entropy;
use crate::error::Error;
use crate::filter::{AwaitsRecord, Filter, Step, Surroundings, Waiting};
use crate::limit::{Counted, Limit};
use crate::oidc::cache::ProviderCache;
use crate::secret::Secret;
use crate::session::{Claim, Claimed, Ended, EndedName, EndedWhat, StoreRequest};
use crate::time::UnixTime;
use crate::web::http::{Given, OutboundError, OutboundRequest, OutboundResponse, RequestHead, Response};
use bindings::exports::vestibule::filter::request_filter::{Guest, Progress};
use bindings::vestibule::filter::types;
use bindings::vestibule::filter::{outbound_http, sessions};
use bindings::wasi::{clocks::wall_clock, random::random};

#[expect(unsafe_code, reason = "generated: the canonical ABI")]
mod bindings {
    wit_bindgen::generate!({ path: "wit", world: "filter", generate_all });
    use super::Component;
    export!(Component);
}

struct Component;

/// What an instance keeps between calls. Only a cache of the configuration and of what providers said.
struct Loaded {
    filter: Filter,
    cache: RefCell<ProviderCache>,
}

thread_local! {
    static LOADED: RefCell<Option<Rc<Loaded>>> = const { RefCell::new(None) };
    static PENDING: RefCell<Pending> = const { RefCell::new(Pending { begun: BTreeMap::new(), next: 0 }) };
}

impl Guest for Component {
    fn references(toml: String) -> Vec<types::Reference> {
        references(&toml).into_iter().map(types::Reference::from).collect()
    }

    fn load(configuration: types::Configuration) -> Result<types::Summary, Vec<types::Fault>> {
        let source = Source {
            file_name: configuration.file_name,
            toml: configuration.toml,
            resolved: configuration.resolved.into_iter().map(|item| (item.reference.into(), item.value.map(Secret::new))).collect(),
            port: configuration.port,
            was_checked: configuration.was_checked,
        };
        let loaded = Config::parse(&source).map(|config| {
            let summary = config.summary().into();
            let loaded = Loaded { filter: Filter::new(config), cache: RefCell::default() };
            LOADED.set(Some(Rc::new(loaded)));
            summary
        });
        loaded.map_err(|faults| {
            LOADED.set(None);
            faults.into_iter().map(types::Fault::from).collect()
        })
    }

    fn decide(request: types::RequestHead, body: Option<Vec<u8>>) -> Progress {
        let Some(loaded) = LOADED.with_borrow(Clone::clone) else { return Progress::Decided(failed(&Error::NotLoaded)) };
        let given = Given {
            authority: request.given.contains(types::Given::AUTHORITY),
            application_server: request.given.contains(types::Given::APPLICATION_SERVER),
            was_forwarded: request.given.contains(types::Given::WAS_FORWARDED),
        };
        let head = match RequestHead::from_parts(request.parts, request.ends, given) {
            Ok(head) => head,
            Err(malformed) => return Progress::Decided(failed(&malformed.into())),
        };
        let step = loaded.filter.begin(
            head,
            body.as_deref(),
            &mut Surroundings { cache: &mut loaded.cache.borrow_mut(), now: now(), entropy: &mut HostEntropy, ended: &HostSessions },
        );
        match step {
            Step::Done(decision) => Progress::Decided(told(decision, &loaded)),
            Step::Fetch(request, waiting) => pending(loaded, Awaited::Provider(request, waiting)),
            Step::Look(request, waiting) => pending(loaded, Awaited::Store(request, waiting)),
        }
    }

    async fn finish(pending: u32) -> types::Decision {
        let begun = PENDING.with_borrow_mut(|all| all.begun.remove(&pending));
        let (loaded, mut awaited) = match begun {
            Some(Begun::Decision { loaded, awaited }) => (loaded, awaited),
            Some(Begun::Afterwards { loaded, afterwards }) => return finish_afterwards(&loaded, *afterwards).await,
            None => return failed(&Error::NotPending),
        };
        loop {
            match awaited.go_on(&loaded).await {
                Step::Done(decision) => return told(decision, &loaded),
                Step::Fetch(request, waiting) => awaited = Awaited::Provider(request, waiting),
                Step::Look(request, waiting) => awaited = Awaited::Store(request, waiting),
            }
        }
    }
}

/// What has begun ends under the configuration that it began with.
enum Begun {
    Decision { loaded: Rc<Loaded>, awaited: Awaited },
    Afterwards { loaded: Rc<Loaded>, afterwards: Box<Afterwards> },
}

/// What a decision waits for.
enum Awaited {
    Provider(OutboundRequest, Waiting),
    Store(StoreRequest, AwaitsRecord),
}

impl Awaited {
    /// Asks, and goes on with the answer.
    async fn go_on(self, loaded: &Loaded) -> Step {
        enum Answer {
            Provider(Result<OutboundResponse, OutboundError>, Waiting),
            Store(Claimed, AwaitsRecord),
        }
        let answer = match self {
            Self::Provider(request, waiting) => Answer::Provider(send(request).await, waiting),
            Self::Store(StoreRequest::Claim(claim), waiting) => Answer::Store(claimed(claim).await, waiting),
        };
        let mut surroundings =
            Surroundings { cache: &mut loaded.cache.borrow_mut(), now: now(), entropy: &mut HostEntropy, ended: &HostSessions };
        match answer {
            Answer::Provider(answer, waiting) => waiting.resume(answer, &loaded.filter, &mut surroundings),
            Answer::Store(claimed, waiting) => waiting.resume(claimed, &loaded.filter, &mut surroundings),
        }
    }
}

fn pending(loaded: Rc<Loaded>, awaited: Awaited) -> Progress {
    Progress::Pending(PENDING.with_borrow_mut(|pending| pending.keep(Begun::Decision { loaded, awaited })))
}

/// What has begun, by the number that the host knows it by: no number is given twice, whatever is loaded.
struct Pending {
    begun: BTreeMap<u32, Begun>,
    next: u32,
}

/// So many may be under way that nobody waits for, those included that the host has not begun to finish: they must not keep decisions
/// from an instance.
const MAX_AFTERWARDS: usize = 16;

thread_local! {
    static AFTERWARDS: Cell<usize> = const { Cell::new(0) };
}

/// The decision for the host, with a number for what comes afterwards.
fn told(mut decision: Decision, loaded: &Rc<Loaded>) -> types::Decision {
    let afterwards = decision.afterwards.take().and_then(|afterwards| {
        if AFTERWARDS.get() >= MAX_AFTERWARDS {
            decision.events.push(afterwards.dropped());
            return None;
        }
        AFTERWARDS.set(AFTERWARDS.get() + 1);
        let begun = Begun::Afterwards { loaded: Rc::clone(loaded), afterwards };
        Some(PENDING.with_borrow_mut(|pending| pending.keep(begun)))
    });
    types::Decision { afterwards, ..decision.into() }
}

/// Does what nobody waits for. What comes of it is events.
async fn finish_afterwards(loaded: &Loaded, afterwards: Afterwards) -> types::Decision {
    let (mut events, mut next) = (vec![], Some(afterwards));
    while let Some(Afterwards { request, revocation }) = next {
        let answer = send(request).await;
        let mut surroundings =
            Surroundings { cache: &mut loaded.cache.borrow_mut(), now: now(), entropy: &mut HostEntropy, ended: &HostSessions };
        let (said, more) = loaded.filter.go_on(revocation, answer, &mut surroundings);
        events.extend(said);
        next = more;
    }
    AFTERWARDS.set(AFTERWARDS.get().saturating_sub(1));
    let nothing = Outcome::Respond(Response { status: 204, ..Response::default() });
    Decision { outcome: nothing, events, rule: None, ended_sessions: vec![], audited: None, afterwards: None }.into()
}

impl Pending {
    fn keep(&mut self, begun: Begun) -> u32 {
        let number = self.next;
        self.next = self.next.wrapping_add(1);
        self.begun.insert(number, begun);
        number
    }
}

/// Randomness from the host.
struct HostEntropy;

impl Entropy for HostEntropy {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.copy_from_slice(&random::get_random_bytes(bytes.len() as u64));
    }
}

/// What the host knows of sessions.
struct HostSessions;

impl Ended for HostSessions {
    fn ended(&self, names: &[u8], began_at: UnixTime) -> bool {
        sessions::ended(names, began_at.as_secs())
    }

    fn remembers(&self) -> bool {
        sessions::remembers()
    }
}

fn now() -> UnixTime {
    UnixTime::from_secs(wall_clock::now().seconds)
}

async fn claimed(Claim { name, until }: Claim) -> Claimed {
    match sessions::claim(name.to_vec(), until.as_secs()).await {
        sessions::Claimed::Granted => Claimed::Granted,
        sessions::Claimed::Taken => Claimed::Taken,
        sessions::Claimed::Unavailable => Claimed::Unavailable,
    }
}

async fn send(request: OutboundRequest) -> Result<OutboundResponse, OutboundError> {
    let request = outbound_http::Request {
        method: request.method.to_owned(),
        url: request.url.into(),
        headers: request.headers,
        body: request.body,
        max_response_bytes: request.max_response_bytes,
        timeout_ms: request.timeout_ms,
        shared_for_ms: request.shared_for_ms,
    };
    match outbound_http::send(request).await {
        Ok(response) => Ok(OutboundResponse { status: response.status, headers: response.headers, body: response.body }),
        Err(outbound_http::Error::NotAllowed) => Err(OutboundError::NotAllowed),
        Err(outbound_http::Error::Unreachable(why)) => Err(OutboundError::Unreachable(why)),
        Err(outbound_http::Error::TimedOut) => Err(OutboundError::TimedOut),
        Err(outbound_http::Error::TooLarge) => Err(OutboundError::TooLarge),
        Err(outbound_http::Error::Protocol(why)) => Err(OutboundError::Protocol(why)),
    }
}

/// What cannot even begin.
fn failed(error: &Error) -> types::Decision {
    let response = crate::pages::problem(error, None, crate::pages::LogKeys::default());
    let level = if error.is_operators() { Level::Error } else { Level::Info };
    let event = Event::new(level, error.code(), error.to_string());
    Decision {
        outcome: Outcome::Respond(response),
        events: vec![event],
        rule: None,
        ended_sessions: vec![],
        audited: None,
        afterwards: None,
    }
    .into()
}

impl From<Decision> for types::Decision {
    fn from(decision: Decision) -> Self {
        let outcome = match decision.outcome {
            Outcome::Forward(forward) => types::Outcome::Forward(forward.into()),
            Outcome::Respond(Response { status, headers, body, counts_as }) => {
                types::Outcome::Respond(types::Response { status, headers, body, counts_as: counts_as.map(types::Counted::from) })
            }
            Outcome::NeedBody(limit) => types::Outcome::NeedBody(limit),
        };
        let events = decision.events.into_iter().map(types::Event::from).collect();
        let ended_sessions = decision.ended_sessions.into_iter().map(types::EndedName::from).collect();
        let audited = decision.audited.and_then(audited);
        types::Decision { outcome, events, rule: decision.rule, ended_sessions, audited, afterwards: None }
    }
}

impl From<EndedName> for types::EndedName {
    fn from(ended: EndedName) -> Self {
        let EndedName { name, what, at, until } = ended;
        let what = match what {
            EndedWhat::Session => types::EndedWhat::Session,
            EndedWhat::Account => types::EndedWhat::Account,
            EndedWhat::ProviderSession => types::EndedWhat::ProviderSession,
            EndedWhat::LogoutToken => types::EndedWhat::LogoutToken,
        };
        Self { name, what, at: at.as_secs(), until: until.as_secs() }
    }
}

impl From<Forward> for types::Forward {
    fn from(forward: Forward) -> Self {
        let Forward { remove_headers, set_headers, response_headers, expires_at, session } = forward;
        let added = set_headers.len() as u32;
        let (mut edits, _, mut ends) = set_headers.into_parts();
        for name in remove_headers {
            edits.extend_from_slice(name.as_bytes());
            ends.push(edits.len() as u32);
        }
        Self { edits, ends, added, response_headers, expires_at: expires_at.map(UnixTime::as_secs), session }
    }
}

impl From<Summary> for types::Summary {
    fn from(summary: Summary) -> Self {
        Self {
            metadata_urls: summary.metadata_urls,
            internal_hosts: summary.internal_hosts,
            public_origin: summary.public_origin,
            base_path: summary.base_path,
            upstream: summary.upstream,
            listen: summary.listen,
            application_probe: summary.application_probe,
            warnings: summary.warnings.into_iter().map(types::Fault::from).collect(),
            limits: summary.limits.into_iter().map(types::Limit::from).collect(),
            trusted_proxies: summary.trusted_proxies,
            authorization: summary.authorization.map(types::Authorization::from),
            streamlit: summary.streamlit,
            audit: summary.audit.map(types::Audit::from),
        }
    }
}

impl From<AuditSettings> for types::Audit {
    fn from(audit: AuditSettings) -> Self {
        let AuditSettings { destination, requests } = audit;
        let destination = match destination {
            AuditDestination::Log => types::AuditDestination::Log,
            AuditDestination::File(path) => types::AuditDestination::File(path),
            AuditDestination::Journald => types::AuditDestination::Journald,
        };
        Self { destination, requests }
    }
}

/// `None` of an event of the host's own, which no decision is about.
fn audited(audited: Audited) -> Option<types::Audited> {
    let Audited { event, method, path, person, code, rule } = audited;
    let Person { provider, subject, email, session } = person;
    let event = match event {
        AuditEvent::Login => types::AuditEvent::Login,
        AuditEvent::LoginFailed => types::AuditEvent::LoginFailed,
        AuditEvent::Logout => types::AuditEvent::Logout,
        AuditEvent::Refused => types::AuditEvent::Refused,
        AuditEvent::Forwarded => types::AuditEvent::Forwarded,
        AuditEvent::SessionEnded
        | AuditEvent::Started
        | AuditEvent::Stopped
        | AuditEvent::ConfigurationLoaded
        | AuditEvent::ConfigurationRefused
        | AuditEvent::LinesLost => return None,
    };
    let code = code.map(|code| code.as_str().to_owned());
    Some(types::Audited { event, method, path, provider, subject, email, session, code, rule })
}

impl From<Authorization> for types::Authorization {
    fn from(authorization: Authorization) -> Self {
        let Authorization { identity_headers, removed_headers, session_cookies } = authorization;
        Self { identity_headers, removed_headers, session_cookies }
    }
}

impl From<Counted> for types::Counted {
    fn from(counted: Counted) -> Self {
        match counted {
            Counted::LoginStart => Self::LoginStart,
            Counted::BadCallback => Self::BadCallback,
            Counted::BadLogoutToken => Self::BadLogoutToken,
        }
    }
}

impl From<Limit> for types::Limit {
    fn from(limit: Limit) -> Self {
        let Limit { counted, per_minute, path } = limit;
        Self { counted: counted.into(), per_minute, path }
    }
}

impl From<Event> for types::Event {
    fn from(event: Event) -> Self {
        let level = match event.level {
            Level::Debug => types::Level::Debug,
            Level::Info => types::Level::Info,
            Level::Warn => types::Level::Warn,
            Level::Error => types::Level::Error,
        };
        let Event { code, message, reference, provider, subject, rule, request_id, .. } = event;
        Self { level, code: code.as_str().to_owned(), message, reference, provider, subject, rule, request_id }
    }
}

impl From<Fault> for types::Fault {
    fn from(fault: Fault) -> Self {
        let Fault { file, line, key, problem, remedy, fatal } = fault;
        Self { file, line, key, problem, remedy, fatal }
    }
}

impl From<Reference> for types::Reference {
    fn from(reference: Reference) -> Self {
        match reference {
            Reference::Environment(name) => Self::Environment(name),
            Reference::File(path) => Self::File(path),
        }
    }
}

impl From<types::Reference> for Reference {
    fn from(reference: types::Reference) -> Self {
        match reference {
            types::Reference::Environment(name) => Self::Environment(name),
            types::Reference::File(path) => Self::File(path),
        }
    }
}
