//! The filter: one request in, one decision out, with a question to the network or to a store in between when it cannot be helped.

use crate::audit::{AuditEvent, Audited, MAX_METHOD, MAX_PATH, Person};
use crate::authz::{Answer, Asked, Authz, Unsaid};
use crate::config::Config;
use crate::decision::{Afterwards, Decision, Event, Level, Outcome};
use crate::entropy;
use crate::error::Error;
pub use crate::flow::Surroundings;
use crate::flow::{self, Claiming, Context, Flow, Progress, Visit};
use crate::language::Language;
use crate::oidc::revocation::Revocation;
use crate::pages::{self, LogKeys, WaysBack};
use crate::session::{Claimed, StoreRequest};
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse, Request, RequestHead, Response};
use crate::web::route::{self, Route};

/// Where a decision stands.
#[derive(Debug)]
pub enum Step {
    Done(Decision),
    /// Send this, then [`Waiting::resume`] with the answer.
    Fetch(OutboundRequest, Waiting),
    /// Ask the store, or what the host has in its place, then [`AwaitsRecord::resume`] with the answer.
    Look(StoreRequest, AwaitsRecord),
}

/// A decision that waits for the network. Consumed by its answer.
#[derive(Debug)]
pub struct Waiting {
    held: Held,
    flow: Flow,
}

/// A decision that waits for a store. Consumed by its answer.
#[derive(Debug)]
pub struct AwaitsRecord {
    held: Held,
    claiming: Claiming,
}

/// What of a request outlives a wait.
#[derive(Debug)]
struct Held {
    head: RequestHead,
    visit: Visit,
    recipient: Recipient,
}

/// Who gets a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Recipient {
    /// The browser, or the application: the request came from there.
    Browser,
    /// Another proxy, which asks about the request.
    Proxy,
    /// The browser by way of nginx, which knows that the request is refused.
    Refused,
}

/// A loaded configuration, ready to decide.
#[derive(Debug)]
pub struct Filter {
    config: Config,
}

impl Filter {
    pub fn new(config: Config) -> Self {
        Self { config }
    }

    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Begins to decide on a request. `body` is given after [`Outcome::NeedBody`] only.
    pub fn begin(&self, head: RequestHead, body: Option<&[u8]>, surroundings: &mut Surroundings<'_>) -> Step {
        let mut context = Context::new(&self.config, surroundings);
        match &self.config.authz {
            None => self.decide(head, body, &mut context),
            Some(authz) => self.serve_proxy(authz, &head, body, &mut context),
        }
    }

    /// Goes on with the answer to [`Afterwards::request`]: with what there is to say, and what is to be sent next.
    pub fn go_on(
        &self,
        revocation: Revocation,
        answer: Result<OutboundResponse, OutboundError>,
        surroundings: &mut Surroundings<'_>,
    ) -> (Vec<Event>, Option<Afterwards>) {
        let (mut events, next) = flow::revocation::go_on(revocation, answer, &mut Context::new(&self.config, surroundings));
        for event in &mut events {
            event.message = one_line(&event.message, MAX_MESSAGE);
            event.subject = event.subject.as_deref().map(|subject| one_line(subject, MAX_MESSAGE));
        }
        (events, next)
    }

    /// Another proxy asks, or sends a request for a route of ours ([`crate::authz`]).
    fn serve_proxy(&self, authz: &Authz, head: &RequestHead, body: Option<&[u8]>, context: &mut Context<'_>) -> Step {
        match authz.read(head, &self.config.public) {
            Ok(Asked::Directly(request)) => match Route::of(request.path(), &self.config.public) {
                Route::Application => Step::Done(self.refuse(Error::NotARoute, &request, context)),
                _ => self.decide(request, body, context),
            },
            Ok(Asked::About(original)) => self.answer_proxy(authz, original, Recipient::Proxy, context),
            Ok(Asked::ForTheRefusal(original)) => self.answer_proxy(authz, original, Recipient::Refused, context),
            // nginx makes 500 of a refusal in another form than its own. The event stays: a second question may be as malformed.
            Err(error) if head.path() == self.config.public.route(route::CHECK) => {
                let mut refusal = self.refuse(error, head, context);
                let events = std::mem::take(&mut refusal.events);
                Step::Done(Decision { events, ..authz.refuse(refusal) })
            }
            Err(error) => Step::Done(self.refuse(error, head, context)),
        }
    }

    /// Decides about a request that a proxy keeps.
    fn answer_proxy(&self, authz: &Authz, original: RequestHead, recipient: Recipient, context: &mut Context<'_>) -> Step {
        let refusal = match Route::of(original.path(), &self.config.public) {
            _ if route::is_of_questions(original.path(), &self.config.public) => Some(Error::NotARoute),
            Route::Application => None,
            Route::Reserved => Some(Error::ReservedPath),
            Route::Login | Route::Callback | Route::Logout | Route::LoggedOut | Route::User | Route::Refresh => Some(Error::RouteAsked),
            Route::BackchannelLogout | Route::FrontchannelLogout => Some(Error::RouteAsked),
        };
        if let Some(error) = refusal {
            let refusal = self.refuse(error, &original, context);
            return Step::Done(if recipient == Recipient::Proxy { authz.refuse(refusal) } else { refusal });
        }
        match self.decide(original.clone(), None, context) {
            Step::Done(decision) => Step::Done(self.hand_on(decision, &original, recipient, context)),
            waits => waits.for_recipient(recipient),
        }
    }

    /// The decision about a request that a proxy keeps, as the recipient can use it.
    fn hand_on(&self, decision: Decision, original: &RequestHead, recipient: Recipient, context: &mut Context<'_>) -> Decision {
        let Some(authz) = self.config.authz.as_ref().filter(|_| recipient != Recipient::Browser) else { return decision };
        let refuse = |refusal| if recipient == Recipient::Proxy { authz.refuse(refusal) } else { refusal };
        let for_the_browser = match &decision.outcome {
            Outcome::Forward(forward) if recipient == Recipient::Refused => forward.response_headers.clone(),
            _ => vec![],
        };
        match authz.answer(decision, original, &self.config.identity) {
            Ok(Answer::Pass(decision)) if recipient == Recipient::Proxy => decision,
            Ok(Answer::Refusal(decision)) => refuse(decision),
            // Meanwhile it would pass; and this is for the browser, which must not see what the application is told.
            Ok(Answer::Pass(Decision { events, ended_sessions, .. })) => {
                let before = Unsaid { events, ended_sessions, for_the_browser };
                before.with(self.refuse(Error::NotARoute, original, context))
            }
            Err(instead) => {
                let (error, unsaid) = *instead;
                refuse(unsaid.with(self.refuse(error, original, context)))
            }
        }
    }

    fn refuse(&self, error: Error, head: &RequestHead, context: &mut Context<'_>) -> Decision {
        respond(Err(error), head, Visit::unreadable(head, &self.config), context)
    }

    fn decide(&self, head: RequestHead, body: Option<&[u8]>, context: &mut Context<'_>) -> Step {
        let request = match Request::parse(&head) {
            Ok(request) => request,
            Err(malformed) => return Step::Done(self.refuse(malformed.into(), &head, context)),
        };
        let mut visit = Visit { was_forwarded: head.was_forwarded, ..Visit::new(&request, &self.config) };
        let progress = match Route::of(request.path, &self.config.public) {
            Route::Login => flow::login::begin(&request, body, &mut visit, context),
            Route::Callback => flow::callback::begin(&request, body, &mut visit, context),
            Route::Logout => flow::logout::begin(&request, &mut visit, context),
            Route::LoggedOut => flow::logout::land(&request, &mut visit, context),
            Route::BackchannelLogout => flow::backchannel_logout::begin(&request, body, &mut visit, context),
            Route::FrontchannelLogout => flow::frontchannel_logout::begin(&request, &mut visit, context),
            Route::User => flow::user::answer(&request, &visit, context),
            Route::Refresh => flow::refresh::by_script::begin(&request, &mut visit, context),
            Route::Reserved => Err(Error::ReservedPath),
            Route::Application => flow::application::begin(&request, &mut visit, context),
        };
        conclude(progress, head, visit, context)
    }
}

impl Waiting {
    /// Goes on with the answer to the request that was asked for.
    pub fn resume(self, answer: Result<OutboundResponse, OutboundError>, filter: &Filter, surroundings: &mut Surroundings<'_>) -> Step {
        let Self { mut held, flow } = self;
        let mut context = Context::new(&filter.config, surroundings);
        let progress = flow.resume(answer, &held.head, &mut held.visit, &mut context);
        held.go_on(progress, filter, &mut context)
    }
}

impl AwaitsRecord {
    /// Goes on with the answer of the store.
    pub fn resume(self, claimed: Claimed, filter: &Filter, surroundings: &mut Surroundings<'_>) -> Step {
        let Self { mut held, claiming } = self;
        let mut context = Context::new(&filter.config, surroundings);
        let progress = claiming.resume(claimed, &mut held.visit, &mut context);
        held.go_on(progress, filter, &mut context)
    }
}

impl Held {
    fn new(head: RequestHead, visit: Visit) -> Self {
        Self { head, visit, recipient: Recipient::Browser }
    }

    fn go_on(self, progress: Result<Progress, Error>, filter: &Filter, context: &mut Context<'_>) -> Step {
        let Self { head, visit, recipient } = self;
        let original = (recipient != Recipient::Browser).then(|| head.clone());
        match (conclude(progress, head, visit, context), original) {
            (Step::Done(decision), Some(original)) => Step::Done(filter.hand_on(decision, &original, recipient, context)),
            (step, _) => step.for_recipient(recipient),
        }
    }
}

impl Step {
    /// What waits is for this recipient.
    fn for_recipient(self, recipient: Recipient) -> Self {
        match self {
            Self::Done(decision) => Self::Done(decision),
            Self::Fetch(request, waiting) => Self::Fetch(request, Waiting { held: Held { recipient, ..waiting.held }, ..waiting }),
            Self::Look(request, waiting) => Self::Look(request, AwaitsRecord { held: Held { recipient, ..waiting.held }, ..waiting }),
        }
    }
}

/// A flow's next step, or its end.
fn conclude(progress: Result<Progress, Error>, head: RequestHead, visit: Visit, context: &mut Context<'_>) -> Step {
    match progress {
        // No flow does that; were one to, nobody is asked.
        Ok(Progress::Fetch(..) | Progress::Look(..)) if visit.only_looks => {
            Step::Done(respond(Err(Error::NotVisited), &head, visit, context))
        }
        Ok(Progress::Fetch(request, flow)) => Step::Fetch(request, Waiting { held: Held::new(head, visit), flow }),
        Ok(Progress::Look(request, claiming)) => Step::Look(request, AwaitsRecord { held: Held::new(head, visit), claiming }),
        Ok(Progress::Done(outcome)) => Step::Done(respond(Ok(outcome), &head, visit, context)),
        Err(error) => Step::Done(respond(Err(error), &head, visit, context)),
    }
}

/// The one place where a flow's end becomes a decision, and an error becomes what the browser sees.
fn respond(outcome: Result<Outcome, Error>, head: &RequestHead, mut visit: Visit, context: &mut Context<'_>) -> Decision {
    let audited = context.config.audit.as_ref().and_then(|_| audited(outcome.as_ref(), head, &visit));
    let mut outcome = outcome.unwrap_or_else(|error| Outcome::Respond(respond_to_error(&error, &mut visit, context)));
    if visit.only_looks {
        // What a flow may have left: no cookie goes out, no session is over.
        visit.set_cookies.clear();
        visit.ended_sessions.clear();
        visit.afterwards = None;
        if let Outcome::Forward(forward) = &mut outcome {
            forward.response_headers.clear();
        }
    }
    if let Outcome::Respond(response) = &mut outcome {
        response.headers.append(&mut visit.set_cookies);
        if visit.is_head {
            response.body.clear();
        }
    }
    for event in &mut visit.events {
        event.message = one_line(&event.message, MAX_MESSAGE);
        event.request_id.clone_from(&visit.request_id);
        event.subject = visit.subject.as_deref().map(|subject| one_line(subject, MAX_MESSAGE));
        event.provider.clone_from(&visit.provider);
    }
    let Visit { events, rule, ended_sessions, afterwards, .. } = visit;
    Decision { outcome, events, rule, ended_sessions, audited, afterwards: afterwards.map(Box::new) }
}

/// What the audit says of a flow's end.
fn audited(outcome: Result<&Outcome, &Error>, head: &RequestHead, visit: &Visit) -> Option<Audited> {
    let event = match outcome {
        Ok(Outcome::Forward(_)) => visit.person.session.as_ref().map(|_| AuditEvent::Forwarded),
        Ok(Outcome::Respond(_)) => visit.audited_as,
        Ok(Outcome::NeedBody(_)) => None,
        Err(error) => error.audit_event(),
    }?;
    let one_line = |text: &Option<String>| text.as_deref().map(|text| one_line(text, MAX_MESSAGE));
    let Person { provider, subject, email, session } = &visit.person;
    Some(Audited {
        event,
        method: self::one_line(&head.method, MAX_METHOD),
        path: self::one_line(head.path(), MAX_PATH),
        person: Person { provider: one_line(provider), subject: one_line(subject), email: one_line(email), session: one_line(session) },
        code: outcome.err().map(Error::code),
        rule: outcome.err().and_then(Error::rule),
    })
}

/// Longest message for the log, in characters.
const MAX_MESSAGE: usize = 500;

/// Providers have a part in some messages: no line of theirs begins in the log, and none goes on for ever.
fn one_line(message: &str, longest: usize) -> String {
    let ends_or_turns = |c: char| matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let printable = |c: char| if c.is_control() || ends_or_turns(c) { '\u{fffd}' } else { c };
    message.chars().take(longest).map(printable).collect()
}

fn respond_to_error(error: &Error, visit: &mut Visit, context: &mut Context<'_>) -> Response {
    let reference = entropy::reference(context.entropy);
    let level = match error {
        error if error.is_operators() => Level::Error,
        error if error.is_suspicious() => Level::Warn,
        _ => Level::Info,
    };
    let event = Event { reference: Some(reference.clone()), rule: error.rule(), ..Event::new(level, error.code(), error.to_string()) };
    visit.events.push(event);
    let config = context.config;
    let log_keys = LogKeys { reference: Some(&reference), request_id: visit.request_id.as_deref() };
    let response = if visit.is_navigation {
        let ways_back: Vec<_> = visit.return_to.iter().chain(&visit.ways_back).collect();
        let ways_back = WaysBack { pages: &ways_back, keep_fragment: visit.keeps_fragment, has_lost_one: visit.has_lost_its_page };
        pages::error(error, config, visit.language, ways_back, log_keys, context.entropy)
    } else {
        let login = pages::login_url(config, None, None);
        pages::problem(error, error.explanation(Language::English.texts()).offer_login.then_some(login.as_str()), log_keys)
    };
    let response = Response { counts_as: visit.refusal_counts_as, ..response };
    match error.status() {
        _ if let Error::RefreshTooSoon { retry_after } = error => response.with("retry-after", &retry_after.to_string()),
        // A callback is not to be repeated: its login attempt is spent.
        503 if visit.may_repeat => response.with("retry-after", "5"),
        401 => response.with("www-authenticate", &pages::challenge(config)),
        405 => response.with("allow", visit.allow),
        _ => response,
    }
}
