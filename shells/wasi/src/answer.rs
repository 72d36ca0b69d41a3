//! From a request's head to what the shell shall do with it.

use std::cell::Cell;
use std::rc::Rc;

use vestibule::code::Code;
use vestibule::config::Config;
use vestibule::decision::{Afterwards, Event, Forward, Level, Outcome};
use vestibule::entropy;
use vestibule::filter::{Step, Surroundings};
use vestibule::language::Language;
use vestibule::pages::{self, HostFailure, LogKeys, Look};
use vestibule::session::{Claimed, NothingEnded};
use vestibule::web::http::{RequestHead, Response};
use vestibule::web::request_id;
use vestibule_enforcement::edits;
use vestibule_enforcement::forwarded::{Arrival, Told};
use vestibule_enforcement::headers::{Field, Fields as _, NotAField};

use crate::configuration::{Loaded, loaded};
use crate::log::{line, log};
use crate::providers::{self, ProviderClient};
use crate::spin;
use crate::system::{HostEntropy, now};

/// What the user sees when there is no usable configuration; the log has the reason.
const UNCONFIGURED: &str = "The login in front of this application is not configured. Its operator finds the reason in the log.\n";

/// What to do with a request.
pub enum Instruction {
    /// Send this to the application.
    Forward(Onward),
    /// Send this to the peer.
    Respond(Response),
}

/// A request on its way to the application.
pub struct Onward {
    /// All of its fields, in place of those that it came with.
    pub fields: Vec<Field>,
    /// The configured address of the application, for a shell that sends requests there.
    pub upstream: Option<String>,
    /// The body, where it was read for the decision.
    pub body: Option<Vec<u8>>,
    response_headers: Vec<Field>,
    /// What it was decided by.
    loaded: Rc<Loaded>,
    /// Who gets an answer in its place.
    asker: Asker,
}

/// A request's body, unread.
#[expect(async_fn_in_trait, reason = "guests have one thread: no future need be Send")]
pub trait Body {
    /// Reads all of it.
    ///
    /// # Errors
    /// When it has more than this many bytes, or ends early.
    async fn read(&mut self, max_bytes: usize) -> Result<Vec<u8>, Unread>;
}

/// Why there is no body.
pub enum Unread {
    /// It is longer than asked for.
    TooLarge,
    /// The peer is gone: nobody sees an answer.
    Broken,
}

/// Decides about one request, whose header fields are `fields` and not in `head`. `tls`: whether the host says that it came
/// by https.
pub async fn answer<C: ProviderClient>(
    client: &C,
    mut head: RequestHead,
    mut fields: Vec<Field>,
    tls: bool,
    body: &mut impl Body,
) -> Instruction {
    let Some(loaded) = loaded(C::NEEDS_UPSTREAM) else { return Instruction::Respond(unconfigured(&head)) };
    // Before the decision: what `Connection` names is not for the application, and not for the filter.
    end_request_hop(&mut fields);
    let of_spin = spin::take(&mut fields);
    head.headers.extend(fields.iter().map(|(name, value)| (name, value)));
    name_host(&mut head, loaded.filter.config());
    let mut read = None;
    let outcome = match decide(&loaded, client, &head, None).await {
        Outcome::NeedBody(limit) => match body.read(usize::try_from(limit).unwrap_or(usize::MAX)).await {
            Ok(bytes) => {
                let outcome = decide(&loaded, client, &head, Some(&bytes)).await;
                read = Some(bytes);
                outcome
            }
            Err(Unread::TooLarge) => {
                Outcome::Respond(fail(&loaded, HostFailure::BodyTooLarge, &Asker::of(&head), "the body is longer than the filter takes"))
            }
            Err(Unread::Broken) => Outcome::Respond(fail(&loaded, HostFailure::Filter, &Asker::of(&head), "the body ends early")),
        },
        outcome => outcome,
    };
    match outcome {
        Outcome::Forward(forward) => match onward(&loaded, &head, fields, tls, forward, read) {
            // Over the network, the application has a Spin of its own, or none.
            Ok(onward) if C::NEEDS_UPSTREAM => Instruction::Forward(onward),
            Ok(mut onward) => {
                onward.fields.extend(of_spin);
                Instruction::Forward(onward)
            }
            Err(refused) => {
                Instruction::Respond(complete(fail(&loaded, HostFailure::Filter, &Asker::of(&head), &refused.to_string()), &head))
            }
        },
        Outcome::Respond(response) => Instruction::Respond(complete(response, &head)),
        Outcome::NeedBody(_) => {
            let twice = fail(&loaded, HostFailure::Filter, &Asker::of(&head), "the filter asks for the body that it has");
            Instruction::Respond(complete(twice, &head))
        }
    }
}

impl Onward {
    /// Whether the application's response passes as it is: then a shell need not touch it.
    pub fn leaves_response_alone(&self) -> bool {
        self.response_headers.is_empty()
    }

    /// The application's response fields as the peer gets them.
    ///
    /// # Errors
    /// When the filter sets what cannot be sent: the response must not go on without it.
    pub fn edit_response(&self, fields: &mut Vec<Field>) -> Result<(), NotAField> {
        end_response_hop(fields);
        edits::edit_response(fields, &self.response_headers)
    }

    /// The answer in place of the application's, complete. A session that was renewed on the way is not lost with it.
    pub fn failure(&self, failure: HostFailure, reason: &str, is_head: bool) -> Response {
        let mut response = fail(&self.loaded, failure, &self.asker, reason);
        if edits::edit_response(&mut response.headers, &self.response_headers).is_err() {
            response.headers.clear();
        }
        sendable(response, is_head)
    }
}

/// As on every host. A client's word that it takes trailers goes on (RFC 9110 section 10.1.4): there are servers that send
/// none otherwise. Its own do not (`wit/filter.wit`): some servers take them for headers, and nobody has decided on them.
fn end_request_hop(fields: &mut Vec<Field>) {
    let wanted = fields.values("te").iter().any(|line| line.split(|&byte| byte == b',').any(|one| one.trim_ascii() == b"trailers"));
    edits::end_hop(fields);
    fields.extend(wanted.then(|| ("te".to_owned(), b"trailers".to_vec())));
}

/// As on every host, but the application's trailers pass, and their announcement goes with them (RFC 9110 section 6.6.2).
fn end_response_hop(fields: &mut Vec<Field>) {
    let announced = fields.values("trailer");
    edits::end_hop(fields);
    fields.extend(announced.into_iter().map(|names| ("trailer".to_owned(), names)));
}

/// Wasmtime (48) tells a component of 0.3 neither `Host` nor an authority. Then the public host is taken for the one that
/// was asked for: no application behind this one can tell it from another either. But not where rules tell hosts apart:
/// such a request stays without one, and is refused.
fn name_host(head: &mut RequestHead, config: &Config) {
    if head.authority.is_some() || head.headers.values("host").next().is_some() {
        return;
    }
    if config.admission.policy.as_ref().is_some_and(|policy| policy.rules().iter().any(|rule| !rule.hosts.is_empty())) {
        line("ERROR request.host_unknown: rules name a `host`, and this server does not tell which was asked for: take `host` out of them");
        return;
    }
    head.authority = Some(config.public.redirect_uri().authority().to_owned());
}

/// The loop around the core: its steps, and the requests between them.
async fn decide(loaded: &Rc<Loaded>, client: &impl ProviderClient, head: &RequestHead, body: Option<&[u8]>) -> Outcome {
    let mut step = loaded.filter.begin(
        head.clone(),
        body,
        &mut Surroundings { cache: &mut loaded.cache.borrow_mut(), now: now(), entropy: &mut HostEntropy, ended: &NothingEnded },
    );
    loop {
        match step {
            Step::Done(decision) => {
                decision.events.iter().for_each(log);
                if let Some(afterwards) = decision.afterwards {
                    later(loaded, client, *afterwards);
                }
                return decision.outcome;
            }
            Step::Fetch(request, waiting) => {
                let answer = providers::send(loaded, client, request).await;
                step = waiting.resume(
                    answer,
                    &loaded.filter,
                    &mut Surroundings {
                        cache: &mut loaded.cache.borrow_mut(),
                        now: now(),
                        entropy: &mut HostEntropy,
                        ended: &NothingEnded,
                    },
                );
            }
            // There is no memory beyond the request that others share: single use rests on the cookie and the provider.
            Step::Look(_, waiting) => {
                step = waiting.resume(
                    Claimed::Granted,
                    &loaded.filter,
                    &mut Surroundings {
                        cache: &mut loaded.cache.borrow_mut(),
                        now: now(),
                        entropy: &mut HostEntropy,
                        ended: &NothingEnded,
                    },
                );
            }
        }
    }
}

/// So many may be under way in an instance that nobody waits for.
const MAX_AFTERWARDS: usize = 16;

thread_local! {
    static AFTERWARDS: Cell<usize> = const { Cell::new(0) };
}

/// A place among these, given back whatever happens.
struct Place;

impl Place {
    fn take() -> Option<Place> {
        let taken = AFTERWARDS.get();
        (taken < MAX_AFTERWARDS).then(|| {
            AFTERWARDS.set(taken + 1);
            Place
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        AFTERWARDS.set(AFTERWARDS.get().saturating_sub(1));
    }
}

/// Does what nobody waits for, once the response is on its way.
fn later(loaded: &Rc<Loaded>, client: &impl ProviderClient, afterwards: Afterwards) {
    let Some(place) = Place::take() else { return log(&afterwards.dropped()) };
    let (loaded, client_of_task) = (Rc::clone(loaded), client.clone());
    client.run_later(async move {
        let _place = place;
        let mut next = Some(afterwards);
        while let Some(Afterwards { request, revocation }) = next {
            let answer = providers::send(&loaded, &client_of_task, request).await;
            let mut surroundings =
                Surroundings { cache: &mut loaded.cache.borrow_mut(), now: now(), entropy: &mut HostEntropy, ended: &NothingEnded };
            let (events, more) = loaded.filter.go_on(revocation, answer, &mut surroundings);
            events.iter().for_each(log);
            next = more;
        }
    });
}

fn onward(
    loaded: &Rc<Loaded>,
    head: &RequestHead,
    mut fields: Vec<Field>,
    tls: bool,
    forward: Forward,
    body: Option<Vec<u8>>,
) -> Result<Onward, NotAField> {
    let Forward { remove_headers, set_headers, response_headers, .. } = forward;
    let config = loaded.filter.config();
    let host = head.authority.as_deref().or_else(|| std::str::from_utf8(head.headers.values("host").next()?).ok());
    let arrival = Arrival { route: &[], told: Told::default(), tls, host, public_origin: &config.public.origin() };
    let remove: Vec<&str> = remove_headers.iter().map(AsRef::as_ref).collect();
    edits::edit_request(&mut fields, &remove, &set_headers.iter().collect::<Vec<_>>(), arrival)?;
    let (upstream, asker) = (config.upstream.clone(), Asker::of(head));
    Ok(Onward { fields, upstream, body, response_headers, loaded: loaded.clone(), asker })
}

fn unconfigured(head: &RequestHead) -> Response {
    let response = Response { status: 500, body: UNCONFIGURED.as_bytes().to_vec(), ..Response::default() };
    complete(response.with("content-type", "text/plain; charset=utf-8").with("cache-control", "no-store"), head)
}

/// Who looks at an answer of ours, and what their request is called.
struct Asker {
    reader: Option<Language>,
    request_id: Option<String>,
}

impl Asker {
    fn of(head: &RequestHead) -> Self {
        Self { reader: pages::reader(head), request_id: request_id::of(&head.headers).map(str::to_owned) }
    }
}

/// A page of ours about what is not the filter's to decide, and its line in the log.
fn fail(loaded: &Loaded, failure: HostFailure, asker: &Asker, reason: &str) -> Response {
    let reference = entropy::reference(&mut HostEntropy);
    let log_keys = LogKeys { reference: Some(&reference), request_id: asker.request_id.as_deref() };
    let page =
        pages::host_failure(failure, asker.reader, &Look::of(loaded.filter.config()), log_keys, &entropy::token::<16>(&mut HostEntropy));
    let event = Event::new(Level::Warn, Code::HostFailure, reason.to_owned());
    log(&Event { request_id: asker.request_id.clone(), reference: Some(reference), ..event });
    page
}

fn complete(response: Response, head: &RequestHead) -> Response {
    sendable(response, head.method == "HEAD")
}

fn sendable(mut response: Response, is_head: bool) -> Response {
    response.headers = edits::own_response(response.status, &response.headers, response.body.len(), is_head);
    if is_head {
        response.body.clear();
    }
    response
}
