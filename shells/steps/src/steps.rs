//! One step at a time: a request comes to a decision, or to something that a provider has to be asked first.

use std::net::IpAddr;
use std::rc::Rc;

use vestibule::code::Code;
use vestibule::decision::Afterwards;
use vestibule::filter::Step;
use vestibule::language::Language;
use vestibule::pages::{self, HostFailure};
use vestibule::session::Claimed;
use vestibule::web::field_lines::FieldLines;
use vestibule::web::http::{OutboundError, OutboundRequest, OutboundResponse, RequestHead};
use vestibule::web::request_id;
use vestibule_enforcement::edits;
use vestibule_enforcement::headers::{Field, Fields as _};
use vestibule_enforcement::outbound::networks::Network;

pub(crate) use crate::configuration::load;
use crate::configuration::{Loaded, loaded};
use crate::messages::{Answer, Begin, Event, Failure, FetchResponse, FetchResult, Header, Resume};
use crate::waiting::{self, Purpose};
use crate::{outbound, outcome};

/// What has come of a request to a provider.
pub(crate) type Answered = Result<OutboundResponse, OutboundError>;

/// A request, as far as it is needed when the decision is made.
pub(crate) struct Arrived {
    pub(crate) loaded: Rc<Loaded>,
    /// Without those of the connection.
    pub(crate) fields: Vec<Field>,
    pub(crate) host: Option<String>,
    pub(crate) tls: bool,
    pub(crate) client: Option<IpAddr>,
    pub(crate) is_head: bool,
    /// The person who looks at the answer, if one does.
    pub(crate) reader: Option<Language>,
    pub(crate) request_id: Option<String>,
}

pub(crate) fn begin(message: Begin) -> Answer {
    let Begin { method, target, authority, headers, body, websocket, tls, client, application_server, was_forwarded, failure } = message;
    let Some(loaded) = loaded() else { return outcome::stands_alone(Code::FilterNotLoaded, "no configuration has been loaded") };
    let fields = end_hop(fields(headers), websocket);
    let lines: FieldLines = fields.iter().map(|(name, value)| (name, value)).collect();
    let is_head = method == "HEAD";
    let host = authority.clone().or_else(|| String::from_utf8(fields.values("host").into_iter().next()?).ok());
    let head = RequestHead { method, path_with_query: target, authority, headers: lines, application_server, was_forwarded };
    let reader = pages::reader(&head);
    let request_id = request_id::of(&head.headers).map(str::to_owned);
    let arrived = Rc::new(Arrived { loaded, fields, host, tls, client, is_head, reader, request_id });
    if let Some(failure) = failure {
        return outcome::failed(failure.into(), &arrived, "the host answers in place of the application");
    }
    let body = body.as_ref().map(|body| body.0.as_slice());
    let step = arrived.loaded.step(|filter, surroundings| filter.begin(head, body, surroundings));
    next(step, arrived)
}

pub(crate) fn resume(message: Resume) -> Answer {
    let Resume { id, result } = message;
    let network = match &result {
        FetchResult::Response(response) => response.address.map(Network::of),
        _ => None,
    };
    let Some(waiting) = waiting::take(id) else {
        return outcome::stands_alone(
            Code::FilterNotPending,
            "a request was to go on that does not wait: its number is unknown, or was used",
        );
    };
    outbound::answered(waiting, result.into(), network)
}

pub(crate) fn forget(id: u32) {
    drop(waiting::take(id));
}

/// Goes on with an answer, for whatever it was asked.
pub(crate) fn go_on(purpose: Purpose, answer: Answered) -> Answer {
    match purpose {
        Purpose::Decision { arrived, waiting } => {
            let step = arrived.loaded.step(|filter, surroundings| waiting.resume(answer, filter, surroundings));
            next(step, arrived)
        }
        Purpose::Afterwards { loaded, revocation, mut said } => {
            let (events, next) = loaded.step(|filter, surroundings| filter.go_on(revocation, answer, surroundings));
            said.extend(events.into_iter().map(Event::from));
            match next {
                Some(next) => afterwards(loaded, next, said),
                None => Answer::Finished { events: said },
            }
        }
    }
}

/// There is no room in this instance for what waits for this request.
pub(crate) fn give_up(request: OutboundRequest, purpose: Purpose) -> Answer {
    match purpose {
        Purpose::Decision { arrived, .. } => {
            outcome::failed(HostFailure::Overloaded, &arrived, "too many requests wait for providers in one instance")
        }
        Purpose::Afterwards { revocation, mut said, .. } => {
            said.push(Afterwards { request, revocation }.dropped().into());
            Answer::Finished { events: said }
        }
    }
}

/// The one place where a step of the core's becomes an answer.
fn next(step: Step, arrived: Rc<Arrived>) -> Answer {
    match step {
        Step::Done(decision) => outcome::decided(decision, &arrived),
        Step::Fetch(request, waiting) => outbound::ask(request, Purpose::Decision { arrived, waiting }),
        // There is no store here.
        Step::Look(_, waiting) => {
            let step = arrived.loaded.step(|filter, surroundings| waiting.resume(Claimed::Granted, filter, surroundings));
            next(step, arrived)
        }
    }
}

/// What nobody waits for: the next request of it, or what there is to say.
pub(crate) fn afterwards(loaded: Rc<Loaded>, afterwards: Afterwards, said: Vec<Event>) -> Answer {
    let Afterwards { request, revocation } = afterwards;
    outbound::ask(request, Purpose::Afterwards { loaded, revocation, said })
}

/// Before the decision: what `Connection` names is not for the application, and not for the filter. The server says whether it
/// is a WebSocket; with HTTP/2, no field does.
fn end_hop(mut fields: Vec<Field>, websocket: bool) -> Vec<Field> {
    edits::end_hop(&mut fields);
    fields.extend(websocket.then(|| ("upgrade".to_owned(), b"websocket".to_vec())));
    fields
}

fn fields(headers: Vec<Header>) -> Vec<Field> {
    headers.into_iter().map(|(name, value)| (name, value.0)).collect()
}

impl From<FetchResult> for Answered {
    fn from(result: FetchResult) -> Self {
        match result {
            FetchResult::Response(FetchResponse { status, headers, body, .. }) => {
                Ok(OutboundResponse { status, headers: fields(headers), body: body.0 })
            }
            FetchResult::NotAllowed => Err(OutboundError::NotAllowed),
            FetchResult::Unreachable(why) => Err(OutboundError::Unreachable(why)),
            FetchResult::TimedOut => Err(OutboundError::TimedOut),
            FetchResult::TooLarge => Err(OutboundError::TooLarge),
            FetchResult::Protocol(why) => Err(OutboundError::Protocol(why)),
        }
    }
}

impl From<Failure> for HostFailure {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Filter => Self::Filter,
            Failure::Overloaded => Self::Overloaded,
            Failure::ApplicationUnreachable => Self::UpstreamUnreachable,
            Failure::ApplicationTimedOut => Self::UpstreamTimedOut,
            Failure::BodyTooLarge => Self::BodyTooLarge,
            Failure::BodyTooSlow => Self::BodyTooSlow,
            Failure::TooManyRequests => Self::TooManyRequests,
            Failure::TooManyLogins { retry_after } => Self::TooManyLogins { retry_after },
        }
    }
}
