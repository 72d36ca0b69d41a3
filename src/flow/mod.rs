//! What *we* do with the protocol: one file for each way in.

pub(crate) mod application;
pub(crate) mod backchannel_logout;
pub(crate) mod callback;
pub(crate) mod frontchannel_logout;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod refresh;
pub(crate) mod revocation;
pub(crate) mod user;

use crate::audit::{AuditEvent, Person};
use crate::claims::Claims;
use crate::code::Code;
use crate::config::Config;
use crate::decision::{Afterwards, Event, Level, Outcome};
use crate::entropy::Entropy;
use crate::error::Error;
use crate::language::Language;
use crate::limit::Counted;
use crate::oidc::cache::ProviderCache;
use crate::oidc::provider::Provider;
use crate::session::{Claimed, CookieJar, Ended, EndedName, ExposeTokens, Sealed, Session, StoreRequest, Tokens};
use crate::time::UnixTime;
use crate::web::field_lines::FieldLines;
use crate::web::http::OutboundRequest;
use crate::web::http::{Header, OutboundError, OutboundResponse, Request, RequestHead, Response};
use crate::web::request_id;
use crate::web::return_to::ReturnTo;

/// What is around a decision: what the host remembers for it, the time, and randomness.
pub struct Surroundings<'a> {
    pub cache: &'a mut ProviderCache,
    pub now: UnixTime,
    pub entropy: &'a mut dyn Entropy,
    /// What the host knows of sessions.
    pub ended: &'a dyn Ended,
}

/// What a step may use beside its own state.
pub(crate) struct Context<'a> {
    pub(crate) config: &'a Config,
    pub(crate) cache: &'a mut ProviderCache,
    pub(crate) now: UnixTime,
    pub(crate) entropy: &'a mut dyn Entropy,
    pub(crate) ended: &'a dyn Ended,
}

/// What a flow comes to.
pub(crate) enum Progress {
    Done(Outcome),
    Fetch(OutboundRequest, Flow),
    Look(StoreRequest, Claiming),
}

/// What of a request outlives its first step.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) is_navigation: bool,
    /// Of a tab or window, as the browser says itself ([`Request::is_document_navigation`]).
    pub(crate) is_document_navigation: bool,
    /// Of pages.
    pub(crate) language: Language,
    pub(crate) is_head: bool,
    /// Nothing may come of it ([`Request::only_looks`]).
    pub(crate) only_looks: bool,
    /// See [`RequestHead::was_forwarded`].
    pub(crate) was_forwarded: bool,
    /// See [`request_id::of`].
    pub(crate) request_id: Option<String>,
    /// For redirects, of which there are two kinds: `GET`, `HEAD`, or `POST` for any other.
    pub(crate) method: &'static str,
    /// The methods of this route, for a refusal of any other.
    pub(crate) allow: &'static str,
    pub(crate) jar: CookieJar,
    /// Whether the same request makes sense a second time.
    pub(crate) may_repeat: bool,
    /// Where the user wants to be, for links on error pages.
    pub(crate) return_to: Option<ReturnTo>,
    /// The same, where it may be one of several.
    pub(crate) ways_back: Vec<ReturnTo>,
    /// Whether the fragment of this address may be that of the page: the one of a callback is the provider's, and the one of
    /// a login that does not name its page is no page's.
    pub(crate) keeps_fragment: bool,
    /// The user wants to choose an account, whatever the configuration says about it.
    pub(crate) select_account: bool,
    /// Who the person may be, for the provider's page.
    pub(crate) login_hint: Option<String>,
    /// The provider has refused `prompt=select_account` in this login.
    pub(crate) leave_prompt: bool,
    /// Id of the login attempt that this visit has spent: the response deletes it.
    pub(crate) spent: Option<String>,
    /// When that one was started.
    pub(crate) attempted_at: Option<UnixTime>,
    /// The page that the person was on their way to was too long to be kept.
    pub(crate) has_lost_its_page: bool,
    /// This login is started in place of one whose attempt was pushed out of the browser.
    pub(crate) is_second: bool,
    /// What a refusal of this visit counts as.
    pub(crate) refusal_counts_as: Option<Counted>,
    pub(crate) events: Vec<Event>,
    /// Number of the rule that decides, from 1.
    pub(crate) rule: Option<u32>,
    /// The provider that the events are about, by its name in the configuration.
    pub(crate) provider: Option<String>,
    /// Who the events are about; only where the configuration wants people named.
    pub(crate) subject: Option<String>,
    /// Who the audit says that it is about; only where there is an audit.
    pub(crate) person: Person,
    /// What the audit takes a response for that is no failure.
    pub(crate) audited_as: Option<AuditEvent>,
    /// Go out with the response, whatever it is.
    pub(crate) set_cookies: Vec<Header>,
    /// What is over with this decision.
    pub(crate) ended_sessions: Vec<EndedName>,
    /// What is to be sent when the answer is out.
    pub(crate) afterwards: Option<Afterwards>,
}

impl Visit {
    pub(crate) fn new(request: &Request<'_>, config: &Config) -> Self {
        let is_navigation = request.is_navigation();
        Self {
            is_navigation,
            is_document_navigation: request.is_document_navigation(),
            // Only pages have one, and most requests are for none.
            language: if is_navigation { Language::preferred(request.headers) } else { Language::English },
            is_head: request.method == "HEAD",
            only_looks: request.only_looks(),
            was_forwarded: false,
            request_id: request_id::of(request.headers).map(str::to_owned),
            method: ["GET", "HEAD"].into_iter().find(|method| *method == request.method).unwrap_or("POST"),
            allow: "GET, HEAD",
            jar: CookieJar::read(request, &config.sessions.cookie_names),
            may_repeat: true,
            return_to: None,
            ways_back: vec![],
            select_account: false,
            login_hint: None,
            leave_prompt: false,
            spent: None,
            attempted_at: None,
            keeps_fragment: true,
            has_lost_its_page: false,
            is_second: false,
            refusal_counts_as: None,
            events: vec![],
            rule: None,
            provider: None,
            subject: None,
            person: Person::default(),
            audited_as: None,
            set_cookies: vec![],
            ended_sessions: vec![],
            afterwards: None,
        }
    }

    /// For a request that is refused unread: no cookie of it is looked at.
    pub(crate) fn unreadable(head: &RequestHead, config: &Config) -> Self {
        let first = |name: &'static str| head.headers.values(name).take(1).map(move |value| (name, value));
        let headers: FieldLines = first("accept").chain(first("accept-language")).collect();
        let accept_only = Request { method: "GET", path: "/", query: None, authority: "", headers: &headers, application_server: None };
        let is_head = head.method == "HEAD";
        let request_id = request_id::of(&head.headers).map(str::to_owned);
        Self { is_head, only_looks: is_head, request_id, ..Self::new(&accept_only, config) }
    }

    /// Whoever comes here comes to see a page, whatever their browser says about it.
    pub(crate) fn shows_a_page(&mut self, request: &Request<'_>) {
        self.is_navigation = true;
        self.language = Language::preferred(request.headers);
    }

    pub(crate) fn note(&mut self, level: Level, code: Code, message: impl Into<String>) {
        self.events.push(Event::new(level, code, message.into()));
    }
}

impl<'a> Context<'a> {
    pub(crate) fn new(config: &'a Config, surroundings: &'a mut Surroundings<'_>) -> Self {
        Self { config, cache: surroundings.cache, now: surroundings.now, entropy: surroundings.entropy, ended: surroundings.ended }
    }

    /// What the cookies of this visit hold, for [`Context::session`].
    pub(crate) fn sealed(&self, visit: &Visit) -> Option<Sealed> {
        Sealed::open(&visit.jar, &self.config.sessions)
    }

    /// The session, when there is one in force.
    pub(crate) fn session<'s>(&self, sealed: Option<&'s Sealed>) -> Option<Session<'s>> {
        sealed?.confirm(&self.config.sessions, &self.config.providers, self.now, self.ended)
    }

    /// Who the events of this visit are about, where people are to be named.
    pub(crate) fn name(&self, visit: &mut Visit, claims: &Claims<'_>) {
        if self.config.log_subjects {
            visit.subject = claims.text("sub").map(str::to_owned);
        }
    }

    /// For the audit: the decision is about a login at this provider.
    pub(crate) fn record_provider(&self, visit: &mut Visit, provider: &Provider) {
        if self.config.audit.is_some() {
            visit.person = Person { provider: Some(provider.name.clone()), ..Person::default() };
        }
    }

    /// For the audit: the decision is about this session.
    pub(crate) fn record_session(&self, visit: &mut Visit, session: &Session<'_>) {
        if self.config.audit.is_none() {
            return;
        }
        let claims = Some(session.claims()).filter(|_| self.config.log_subjects);
        let email = |claims| self.config.provider(session.provider())?.verified_email(claims);
        visit.person = Person {
            provider: Some(session.provider().to_owned()),
            subject: claims.and_then(|claims| claims.text("sub")).map(str::to_owned),
            email: claims.and_then(email).map(str::to_owned),
            session: Some(session.handle()),
        };
    }

    /// The tokens of a session of this visit, those that are wanted.
    pub(crate) fn tokens(&self, visit: &Visit, session: &Session<'_>, wanted: ExposeTokens) -> Option<Tokens> {
        Tokens::open(&visit.jar, session, wanted, &self.config.sessions)
    }
}

/// A flow that waits for an answer, and what it knows until then.
#[derive(Debug)]
pub(crate) enum Flow {
    Login(login::ExpectMetadata),
    Tokens(Box<callback::ExpectTokens>),
    Keys(Box<callback::ExpectKeys>),
    Userinfo(Box<callback::userinfo::ExpectUserinfo>),
    UserinfoKeys(Box<callback::userinfo::ExpectUserinfoKeys>),
    Renewal(Box<callback::ExpectMetadata>),
    Logout(Box<logout::ExpectMetadata>),
    LogoutMetadata(Box<backchannel_logout::ExpectMetadata>),
    LogoutKeys(Box<backchannel_logout::ExpectKeys>),
    Refresh(Box<refresh::Expect>),
}

impl Flow {
    pub(crate) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        head: &RequestHead,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        match self {
            Flow::Login(state) => state.resume(answer, visit, context),
            Flow::Tokens(state) => callback::unless_logged_in(state.resume(answer, visit, context), visit, context),
            Flow::Keys(state) => callback::unless_logged_in(state.resume(answer, visit, context), visit, context),
            Flow::Userinfo(state) => callback::unless_logged_in(state.resume(answer, visit, context), visit, context),
            Flow::UserinfoKeys(state) => callback::unless_logged_in(state.resume(answer, visit, context), visit, context),
            Flow::Renewal(state) => callback::unless_logged_in(state.resume(answer, visit, context), visit, context),
            Flow::Logout(state) => state.resume(answer, visit, context),
            Flow::LogoutMetadata(state) => state.resume(answer, visit, context),
            Flow::LogoutKeys(state) => state.resume(answer, visit, context),
            Flow::Refresh(state) => state.resume(answer, &Request::parse(head)?, visit, context),
        }
    }
}

/// A flow that waits for the answer of a store, and what it knows until then.
#[derive(Debug)]
pub(crate) enum Claiming {
    Callback(Box<callback::ExpectClaim>),
}

impl Claiming {
    pub(crate) fn resume(self, claimed: Claimed, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
        match self {
            Claiming::Callback(state) => state.resume(claimed, visit, context),
        }
    }
}

/// Pages of ours are visited, not written to.
fn only_get(request: &Request<'_>) -> Result<(), Error> {
    if request.method == "GET" || request.method == "HEAD" { Ok(()) } else { Err(Error::MethodNotAllowed) }
}

/// What changes a login is done by a visit: not by an image, a script or a page that is fetched ahead (Fetch Metadata,
/// W3C). Clients that do not say what they do are taken to visit.
fn only_visited(request: &Request<'_>) -> Result<(), Error> {
    let visited = request.header("sec-fetch-mode").all(|mode| mode == b"navigate");
    if visited && !request.is_prefetch() { Ok(()) } else { Err(Error::NotVisited) }
}

/// Whether a page of another site has the request in a frame, where cookies that are `SameSite=Lax` do not go (RFC 6265bis section
/// 5.2): nobody can log in there, and whoever makes such a page makes its visitors' browsers send as many as it likes.
fn is_in_foreign_frame(request: &Request<'_>, config: &Config) -> bool {
    let is = |name: &'static str, values: &[&[u8]]| request.header(name).any(|value| values.contains(&value));
    !config.embedding.is_on()
        && is("sec-fetch-dest", &[b"iframe", b"frame", b"embed", b"object", b"fencedframe"])
        && is("sec-fetch-site", &[b"cross-site"])
}

/// Whether a page of the public origin sends a `POST`: browsers name the origin of a page with every one (Fetch, "append a request
/// `Origin` header"), and say how it relates to this one (Fetch Metadata).
fn is_of_own_page(request: &Request<'_>, config: &Config) -> bool {
    let mut origins = request.header("origin");
    let is_ours = origins.next().is_some_and(|origin| origin == config.public.origin().as_bytes()) && origins.next().is_none();
    is_ours && request.header("sec-fetch-site").all(|site| site == b"same-origin")
}

/// The answer to `HEAD` where a visit would change something: there is such a page, and nothing has happened.
fn looked_at() -> Progress {
    Progress::Done(Outcome::Respond(Response { status: 200, ..Response::default() }.with("cache-control", "no-store")))
}
