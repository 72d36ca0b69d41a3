//! The way back from the provider: the login attempt, the tokens, the keys, the session.

mod groups;
mod onward;
mod prompt;
pub(crate) mod userinfo;

use std::collections::BTreeSet;

use super::{Claiming, Flow, Visit, is_in_foreign_frame, looked_at, only_visited};
use crate::account::Account;
use crate::audit::AuditEvent;
use crate::code::Code;
use crate::config::Config;
use crate::decision::{Event, Level, Outcome};
use crate::error::Error;
use crate::flow::{Context, Progress};
use crate::identity::headers;
use crate::limit::Counted;
use crate::oidc::authorization::{AuthorizationResponse, Callback, handed_on, state_of};
use crate::oidc::cache::{Lookup, Question};
use crate::oidc::end_session::MAX_HINT_BYTES;
use crate::oidc::error::{self as oidc, Endpoint, Failure, Rejected, Rejection, ReportedError};
use crate::oidc::grant::AuthorizationGrant;
use crate::oidc::id_token::{IdTokenVerifier, Identity, Occasion, VerifiedIdToken};
use crate::oidc::jwks::KeySet;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::Provider;
use crate::oidc::token::{self, CredentialForm, TokenResponse};
use crate::pages;
use crate::policy::Login;
use crate::secret::Secret;
use crate::session::{
    Claimed, CookieJar, CookieWriter, LoginAttempt, PendingAttempts, RefreshToken, Session, StoreRequest, Tokens, WayBack,
};
use crate::time::UnixTime;
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse, Request, Response};
use crate::web::return_to::ReturnTo;

/// What a provider posts with `response_mode=form_post`: a code and a state.
const MAX_FORM_BYTES: u32 = 32 * 1024;

/// `GET` (or `POST`, with `response_mode=form_post`) on `redirect_uri`.
pub(crate) fn begin(request: &Request<'_>, body: Option<&[u8]>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    visit.allow = "GET, HEAD, POST";
    only_visited(request)?;
    visit.shows_a_page(request);
    visit.keeps_fragment = false;
    let config = context.config;
    // Without a login attempt it costs next to nothing, and says nothing of the browser's user.
    let is_of_a_visitor = !is_in_foreign_frame(request, config) || visit.jar.attempts().next().is_some();
    visit.refusal_counts_as = Some(Counted::BadCallback).filter(|_| is_of_a_visitor && ["GET", "POST"].contains(&request.method));
    match (request.method, body) {
        ("GET", _) => {}
        // Looked at, not visited: the code is kept for the visit.
        ("HEAD", _) => return Ok(looked_at()),
        ("POST", _) if !request.is_form() => {
            keep_page(request.query_pairs(), visit, context);
            return Err(oidc::Error::AuthorizationResponse("what was posted is not application/x-www-form-urlencoded").into());
        }
        ("POST", None) => return Ok(Progress::Done(Outcome::NeedBody(MAX_FORM_BYTES))),
        // A cross-site POST brings no `SameSite=Lax` cookie along, a cross-site GET does: hand the form on as one.
        ("POST", Some(form)) => {
            let handed_on = form_as_query(form, visit.jar.is_logging_out(), config);
            return match handed_on {
                Ok(response) => Ok(Progress::Done(Outcome::Respond(response))),
                Err(error) => {
                    keep_page(url::form_urlencoded::parse(form), visit, context);
                    Err(error)
                }
            };
        }
        _ => return Err(Error::MethodNotAllowed),
    }
    if let Some(sealed) = onward::sealed(request) {
        return onward::begin(&sealed, visit, context);
    }
    let response = match Callback::parse(request.query_pairs(), visit.jar.is_logging_out()) {
        Ok(Callback::Response(response)) => response,
        Ok(Callback::ErrorWithoutState(reported, iss)) => return stateless(reported, iss.as_deref(), visit, context),
        Ok(Callback::Landing) => return Ok(Progress::Done(Outcome::Respond(landing(visit, context)))),
        Err(error) => {
            keep_page(request.query_pairs(), visit, context);
            return Err(error.into());
        }
    };
    let attempt = match LoginAttempt::find(&visit.jar, response.state(), &config.sessions, &config.providers, context.now) {
        Ok(attempt) => attempt,
        Err(error) => return astray(error, &response, visit, context),
    };
    visit.return_to = ReturnTo::parse(attempt.return_to(), config.public.redirect_uri()).ok();
    // Spent from here on, whatever comes of it.
    visit.may_repeat = false;
    let mut cookies = visit.jar.writer();
    cookies.delete_attempt(attempt.slot());
    visit.set_cookies = cookies.into_headers();
    visit.spent = Some(attempt.id().to_owned());
    visit.has_lost_its_page = attempt.has_lost_its_page();
    visit.attempted_at = Some(attempt.started_at());

    let provider = config.provider(attempt.provider()).ok_or(Error::UnknownProvider)?;
    context.record_provider(visit, provider);
    visit.provider = Some(provider.name.clone());
    if let Some(way_back) = WayBack::of_state(response.state(), &config.sessions, context.now) {
        (visit.is_second, visit.login_hint) = (way_back.is_second(), way_back.login_hint().map(str::to_owned));
    }
    let (has_optional_prompt, started_at) = (attempt.has_optional_prompt(), attempt.started_at());
    let (sent_prompt, claim) = (prompt::sent(&attempt, provider), attempt.claim());
    let grant = match attempt.redeem(response) {
        // A login page that was left open has nothing more to ask for.
        Err(error @ oidc::Error::ProviderReported(_)) if has_logged_in_since(started_at, visit, context) => {
            visit.note(Level::Info, Code::CallbackAlreadyLoggedIn, format!("{error}; the user has logged in meanwhile"));
            return Ok(Progress::Done(Outcome::Respond(way_on(visit.return_to.take(), visit, config))));
        }
        Err(oidc::Error::ProviderReported(reported)) if has_optional_prompt && reported.may_be_about_prompt() => {
            return prompt::start_without(provider, &reported, visit, context);
        }
        Err(oidc::Error::ProviderReported(reported)) => {
            return Err(oidc::Error::ProviderReported(reported.answering(sent_prompt)).into());
        }
        redeemed => redeemed?,
    };
    Ok(Progress::Look(StoreRequest::Claim(claim), Claiming::Callback(Box::new(ExpectClaim { grant }))))
}

/// Waits for the claim of the login attempt: of several responses to it, with copies of its cookie, one goes on.
#[derive(Debug)]
pub(crate) struct ExpectClaim {
    grant: AuthorizationGrant,
}

impl ExpectClaim {
    pub(super) fn resume(self, claimed: Claimed, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
        let Self { grant } = self;
        match claimed {
            // A store that is out of reach keeps nobody out: the provider takes a code once.
            Claimed::Granted | Claimed::Unavailable => {}
            Claimed::Taken if has_logged_in_since(grant.started_at, visit, context) => {
                visit.note(Level::Info, Code::CallbackAlreadyLoggedIn, "a used callback was visited by a logged-in user");
                return Ok(Progress::Done(Outcome::Respond(way_on(visit.return_to.take(), visit, context.config))));
            }
            Claimed::Taken => return Err(Error::AttemptUsed),
        }
        let provider = context.config.provider(&grant.provider).ok_or(Error::UnknownProvider)?;
        let course = Course { credentials: context.cache.habits(&provider.name).credentials, ..Course::default() };
        Ok(redeem(grant, course, provider, context.config))
    }
}

/// A response without a login attempt. It may be a used one, one that came too late, or one whose cookie has made room for those
/// of other tabs: nobody loses their way.
fn astray(error: Error, response: &AuthorizationResponse, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let config = context.config;
    let way_back = WayBack::of_state(response.state(), &config.sessions, context.now);
    let again = way_back.as_ref().and_then(|way_back| way_back.asks_again(&config.providers, context.now));
    visit.has_lost_its_page = way_back.as_ref().is_some_and(|way_back| !way_back.has_page());
    let page = way_back
        .clone()
        .filter(WayBack::has_page)
        .map(WayBack::into_page)
        .or_else(|| LoginAttempt::expired_way_back(&visit.jar, response.state(), &config.sessions, &config.providers, context.now));
    visit.return_to = page.and_then(|page| ReturnTo::parse(&page, config.public.redirect_uri()).ok());
    visit.has_lost_its_page &= visit.return_to.is_none();
    if context.session(context.sealed(visit).as_ref()).is_some() {
        // The Back button onto a callback that has done its work, or another tab has logged in: take them in.
        visit.note(Level::Info, Code::CallbackAlreadyLoggedIn, "a used or foreign callback was visited by a logged-in user");
        return Ok(Progress::Done(Outcome::Respond(way_on(visit.return_to.take(), visit, config))));
    }
    // Where there is no newer one, the browser takes no cookies, or this one was used, or it is somebody else's callback.
    let pending = PendingAttempts::of(&visit.jar, &config.sessions, &config.providers, context.now);
    let lost = way_back.filter(|way_back| response.has_code() && pending.may_have_pushed_out(way_back));
    match (again, lost) {
        (Some(provider), Some(way_back)) => {
            (visit.is_second, visit.select_account) = (true, way_back.selects_account());
            visit.login_hint = way_back.login_hint().map(str::to_owned);
            let message = "the login attempt has made room for those of other tabs: it is started once more";
            visit.note(Level::Info, Code::LoginStartedAgain, message);
            super::login::start(provider, visit, context)
        }
        _ => Err(error),
    }
}

/// Of a callback that is of no use: the page that its `state` leads to. The attempt stays as it is.
fn keep_page(pairs: url::form_urlencoded::Parse<'_>, visit: &mut Visit, context: &Context<'_>) {
    let config = context.config;
    let Some(state) = state_of(pairs) else { return };
    let attempt = LoginAttempt::find(&visit.jar, &state, &config.sessions, &config.providers, context.now);
    let page = attempt.ok().map(|attempt| attempt.return_to().to_owned()).filter(|page| !page.is_empty());
    // A form from another site comes without cookies.
    let way_back = || WayBack::of_state(&state, &config.sessions, context.now).filter(WayBack::has_page).map(WayBack::into_page);
    visit.return_to = page.or_else(way_back).and_then(|page| ReturnTo::parse(&page, config.public.redirect_uri()).ok());
}

/// Whether another tab has logged in while this login was on its way.
fn has_logged_in_since(started_at: UnixTime, visit: &Visit, context: &Context<'_>) -> bool {
    let sealed = context.sealed(visit);
    context.session(sealed.as_ref()).is_some_and(|session| session.started_at() >= started_at)
}

/// A login that has failed for want of an answer, where another tab has logged in meanwhile: a page that was left open has nothing
/// more to ask for. Not of an answer that may be forged: that one is told.
pub(super) fn unless_logged_in(progress: Result<Progress, Error>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let error = match progress {
        Err(Error::Oidc(
            error @ (oidc::Error::ProviderReported(_)
            | oidc::Error::Unreachable { .. }
            | oidc::Error::Status { .. }
            | oidc::Error::Answer { what: Endpoint::Token, .. }),
        )) => error,
        other => return other,
    };
    let sealed = context.sealed(visit);
    let is_of_provider = context.session(sealed.as_ref()).is_some_and(|session| visit.provider.as_deref() == Some(session.provider()));
    if !is_of_provider || !visit.attempted_at.is_some_and(|at| has_logged_in_since(at, visit, context)) {
        return Err(error.into());
    }
    visit.note(Level::Warn, error.code(), error.to_string());
    visit.note(Level::Info, Code::CallbackAlreadyLoggedIn, "a login has failed, and a user has logged in with the same provider meanwhile");
    Ok(Progress::Done(Outcome::Respond(way_on(visit.return_to.take(), visit, context.config))))
}

/// An error that does not say which login it is about: with one on its way it is that one, which stays as it is, for anybody
/// can send a browser here.
fn stateless(reported: ReportedError, iss: Option<&str>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let config = context.config;
    let pending = PendingAttempts::of(&visit.jar, &config.sessions, &config.providers, context.now);
    let mut pending = pending.open(&config.sessions, &config.providers, context.now);
    if let Some(iss) = iss {
        let mismatch = pending.first().and_then(|attempt| attempt.check_issuer(Some(iss)).err());
        let page = pending.first().and_then(|attempt| ReturnTo::parse(attempt.return_to(), config.public.redirect_uri()).ok());
        pending.retain(|attempt| attempt.check_issuer(Some(iss)).is_ok());
        if let Some(mismatch) = mismatch.filter(|_| pending.is_empty()) {
            visit.return_to = page;
            return Err(mismatch.into());
        }
    }
    let newest = pending.first().and_then(|attempt| Some((attempt, config.provider(attempt.provider())?)));
    let reported = match newest {
        Some((attempt, provider)) if attempt.has_optional_prompt() && reported.may_be_about_prompt() => {
            visit.return_to = ReturnTo::parse(attempt.return_to(), config.public.redirect_uri()).ok();
            visit.has_lost_its_page = attempt.has_lost_its_page();
            return prompt::start_without(provider, &reported, visit, context);
        }
        Some((attempt, provider)) => reported.answering(prompt::sent(attempt, provider)),
        None => reported,
    };
    visit.ways_back =
        pending.iter().filter_map(|attempt| ReturnTo::parse(attempt.return_to(), config.public.redirect_uri()).ok()).collect();
    let mut seen = BTreeSet::new();
    visit.ways_back.retain(|page| seen.insert(page.as_str().to_owned()));
    visit.has_lost_its_page = pending.iter().any(LoginAttempt::has_lost_its_page);
    if visit.ways_back.len() == 1 {
        visit.return_to = visit.ways_back.pop();
    }
    visit.may_repeat = false;
    Err(oidc::Error::ProviderReported(reported).into())
}

/// What has been tried in this login beside its usual course: each is tried once.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    credentials: CredentialForm,
    has_changed_credentials: bool,
    has_renewed_metadata: bool,
    keys: Keys,
    /// The keys are older ones, since those of now cannot be had from where they were.
    keys_are_gone: bool,
    /// Whose answer the keys are, where they were asked for in this login and not yet compared with what is known.
    answered: Option<Question>,
}

impl Course {
    /// From when the keys are asked for in this login.
    fn asking_for_keys(self) -> Self {
        Self { keys: if self.keys == Keys::Cached { Keys::Fetched } else { Keys::Settled }, ..self }
    }
}

/// How the keys were come by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Keys {
    /// They were known, and may be older than the token.
    #[default]
    Cached,
    /// They were asked for in this login.
    Fetched,
    /// They are not asked for any more.
    Settled,
}

fn redeem(grant: AuthorizationGrant, course: Course, provider: &Provider, config: &Config) -> Progress {
    let request = token::request(&grant, provider, config.public.redirect_uri(), course.credentials);
    Progress::Fetch(request, Flow::Tokens(Box::new(ExpectTokens { grant, course })))
}

/// Waits for the token response.
#[derive(Debug)]
pub(crate) struct ExpectTokens {
    grant: AuthorizationGrant,
    course: Course,
}

impl ExpectTokens {
    pub(super) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let provider = context.config.provider(&self.grant.provider).ok_or(Error::UnknownProvider)?;
        let Self { grant, mut course } = self;
        if token::is_invalid_client(&answer)
            && !course.has_changed_credentials
            && let Some(credentials) = course.credentials.other(grant.metadata.client_authentication, provider)
        {
            course = Course { credentials, has_changed_credentials: true, ..course };
            return Ok(redeem(grant, course, provider, context.config));
        }
        let tokens = match TokenResponse::parse(answer, provider, &grant.secrets()) {
            Ok(tokens) => tokens,
            Err(error) => return renew(Renewal { grant, course, then: Then::Redeem, cause: error }, visit, context),
        };
        if course.has_changed_credentials {
            context.cache.habits_mut(&provider.name).credentials = course.credentials;
            let message = format!("provider `{}` reads client credentials in HTTP Basic {}", provider.name, course.credentials);
            visit.note(Level::Info, Code::TokenCredentialForm, message);
        }
        with_keys(grant, course, tokens, visit, context)
    }
}

/// Takes the keys that are known, or asks for them.
fn with_keys(
    grant: AuthorizationGrant,
    mut course: Course,
    tokens: TokenResponse,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<Progress, Error> {
    match known_keys(&grant, &mut course, visit, context) {
        Ok(Some(keys)) => verify(grant, course, tokens, &keys, visit, context),
        Ok(None) => Ok(fetch_keys(grant, course, tokens, context)),
        Err(cause) => {
            let is_asked_for = context.cache.is_asking_for_metadata(&grant.provider, context.now);
            let renewal = Renewal { grant, course, then: Then::Keys(tokens), cause };
            // It may be the old address that has failed for another login.
            if is_asked_for || renewal.newer_metadata(context).is_some() {
                return renew(renewal, visit, context);
            }
            Err(renewal.cause.into())
        }
    }
}

/// The keys that are known; `None` when they have to be asked for.
fn known_keys(
    grant: &AuthorizationGrant,
    course: &mut Course,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<Option<KeySet>, oidc::Error> {
    let metadata = &grant.metadata;
    course.answered = None;
    match context.cache.keys(&metadata.issuer, &metadata.jwks_uri, context.now) {
        Lookup::Fresh(keys) => Ok(Some(keys)),
        Lookup::Paused(Some(keys)) => {
            note_stale_keys(visit);
            (course.keys, course.keys_are_gone) = (Keys::Settled, true);
            Ok(Some(keys))
        }
        Lookup::Paused(None) => Err(oidc::Error::Unreachable {
            provider: grant.provider.clone(),
            what: Endpoint::Keys,
            error: OutboundError::Unreachable("it failed a moment ago".into()),
        }),
        Lookup::Fetch => Ok(None),
    }
}

/// Takes the answer to a request for keys into the cache, or the keys that the cache has when there is none.
fn received_keys(
    question: Question,
    answer: Result<OutboundResponse, OutboundError>,
    grant: &AuthorizationGrant,
    course: &mut Course,
    provider: &Provider,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<KeySet, oidc::Error> {
    let metadata = &grant.metadata;
    match KeySet::parse(answer, provider) {
        Ok(keys) => {
            course.answered = Some(question);
            context.cache.store_keys(&metadata.issuer, &metadata.jwks_uri, question, keys.clone(), context.now);
            Ok(keys)
        }
        Err(error) => {
            let (failure, is_gone) = (error.failure(), error.is_gone());
            let stale = context.cache.keys_failed(&metadata.issuer, &metadata.jwks_uri, question, failure, context.now).ok_or(error)?;
            note_stale_keys(visit);
            (course.keys, course.keys_are_gone) = (Keys::Settled, is_gone);
            Ok(stale)
        }
    }
}

/// Waits for the provider's keys.
#[derive(Debug)]
pub(crate) struct ExpectKeys {
    grant: AuthorizationGrant,
    course: Course,
    tokens: TokenResponse,
    question: Question,
}

impl ExpectKeys {
    pub(super) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let provider = context.config.provider(&self.grant.provider).ok_or(Error::UnknownProvider)?;
        let Self { grant, mut course, tokens, question } = self;
        match received_keys(question, answer, &grant, &mut course, provider, visit, context) {
            Ok(keys) => verify(grant, course, tokens, &keys, visit, context),
            Err(error) => renew(Renewal { grant, course, then: Then::Keys(tokens), cause: error }, visit, context),
        }
    }
}

/// What goes on with newer metadata, where an endpoint has gone that the login was to use.
#[derive(Debug)]
struct Renewal {
    grant: AuthorizationGrant,
    course: Course,
    then: Then,
    cause: oidc::Error,
}

#[derive(Debug)]
enum Then {
    Redeem,
    Keys(TokenResponse),
    Userinfo(TokenResponse, VerifiedIdToken),
}

/// Asks for the metadata again, where the endpoint may have moved; else the error stands.
fn renew(mut renewal: Renewal, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let provider = context.config.provider(&renewal.grant.provider).ok_or(Error::UnknownProvider)?;
    let may_have_moved = renewal.cause.is_gone() || renewal.course.keys_are_gone;
    if !may_have_moved || renewal.course.has_renewed_metadata {
        return Err(renewal.cause.into());
    }
    renewal.course.has_renewed_metadata = true;
    // Another login has asked already.
    if let Some(metadata) = renewal.newer_metadata(context) {
        return renewal.go_on(metadata, provider, visit, context);
    }
    if context.cache.may_refetch_metadata(&provider.name, context.now) {
        visit.note(Level::Warn, Code::MetadataRefetch, format!("{}; asking for the metadata again", renewal.cause));
        let question = context.cache.ask_for_metadata(&provider.name, context.now);
        let expect = ExpectMetadata { renewal, question };
        return Ok(Progress::Fetch(ProviderMetadata::request(provider), Flow::Renewal(Box::new(expect))));
    }
    Err(renewal.cause.into())
}

/// Waits for newer metadata.
#[derive(Debug)]
pub(crate) struct ExpectMetadata {
    renewal: Renewal,
    question: Question,
}

impl ExpectMetadata {
    pub(super) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let Self { renewal, question } = self;
        let provider = context.config.provider(&renewal.grant.provider).ok_or(Error::UnknownProvider)?;
        match ProviderMetadata::parse(answer, provider) {
            Ok(metadata) => {
                context.cache.store_metadata(&provider.name, question, metadata.clone(), context.now);
                renewal.go_on(metadata, provider, visit, context)
            }
            Err(error) => {
                context.cache.metadata_failed(&provider.name, question, error.failure(), context.now);
                // What the provider says of itself now is the news; that it says nothing is none.
                Err(if error.failure() == Failure::Unacceptable { error } else { renewal.cause }.into())
            }
        }
    }
}

impl Renewal {
    /// The metadata that another login has got since this one began, where it names another endpoint than the one that has gone.
    /// What was known before that may be older than this login's: then the endpoint is one that was given up.
    fn newer_metadata(&self, context: &Context<'_>) -> Option<ProviderMetadata> {
        let metadata = context.cache.metadata_since(&self.grant.provider, self.grant.started_at, context.now)?;
        self.has_moved(&metadata).then_some(metadata)
    }

    /// A code that has been sent to an endpoint is not sent there again.
    fn has_moved(&self, metadata: &ProviderMetadata) -> bool {
        let known = &self.grant.metadata;
        match self.then {
            Then::Redeem => metadata.token_endpoint != known.token_endpoint,
            Then::Keys(_) => metadata.jwks_uri != known.jwks_uri,
            Then::Userinfo(..) => metadata.userinfo_endpoint != known.userinfo_endpoint,
        }
    }

    fn go_on(
        mut self,
        metadata: ProviderMetadata,
        provider: &Provider,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let known = &self.grant.metadata;
        // The code is for the issuer that was asked.
        if metadata.issuer != known.issuer {
            let fault = format!("its issuer was `{}`, and is now `{}`", oidc::shown(&known.issuer), oidc::shown(&metadata.issuer));
            return Err(oidc::Error::Answer { provider: provider.name.clone(), what: Endpoint::Metadata, fault }.into());
        }
        if !self.has_moved(&metadata) {
            return Err(self.cause.into());
        }
        self.grant.metadata = metadata;
        let Self { grant, course, then, .. } = self;
        match then {
            Then::Redeem => Ok(redeem(grant, course, provider, context.config)),
            Then::Keys(tokens) => with_keys(grant, course, tokens, visit, context),
            Then::Userinfo(tokens, proof) => userinfo::fetch(grant, course, tokens, proof, provider),
        }
    }
}

fn note_stale_keys(visit: &mut Visit) {
    visit.note(Level::Warn, Code::KeysStale, "the key set cannot be fetched; using the one known before");
}

fn fetch_keys(grant: AuthorizationGrant, course: Course, tokens: TokenResponse, context: &mut Context<'_>) -> Progress {
    let course = course.asking_for_keys();
    let (request, question) = ask_for_keys(&grant, context);
    Progress::Fetch(request, Flow::Keys(Box::new(ExpectKeys { grant, course, tokens, question })))
}

fn ask_for_keys(grant: &AuthorizationGrant, context: &mut Context<'_>) -> (OutboundRequest, Question) {
    let metadata = &grant.metadata;
    let question = context.cache.ask_for_keys(&metadata.issuer, &metadata.jwks_uri, context.now);
    (KeySet::request(&metadata.jwks_uri), question)
}

fn verify(
    grant: AuthorizationGrant,
    mut course: Course,
    tokens: TokenResponse,
    keys: &KeySet,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<Progress, Error> {
    let provider = context.config.provider(&grant.provider).ok_or(Error::UnknownProvider)?;
    let metadata = &grant.metadata;
    let verifier = IdTokenVerifier {
        provider,
        issuer: &metadata.issuer,
        algorithms: metadata.signing_algorithms.as_deref(),
        requested_at: grant.started_at,
        keys,
        occasion: Occasion::Login { nonce: &grant.nonce },
        access_token: &tokens.access_token,
    };
    let proof = match verifier.verify(&tokens.id_token, context.now) {
        Ok(proof) => proof,
        Err(rejection) if let Some(keys) = later_keys(rejection.reason, &mut course, metadata, context) => {
            return verify(grant, course, tokens, &keys, visit, context);
        }
        Err(rejection) if may_refetch(&rejection, course.keys, metadata, context) => {
            visit.note(Level::Info, Code::KeysRefetch, format!("the ID token does not fit the keys that are known: {rejection}"));
            return Ok(fetch_keys(grant, course, tokens, context));
        }
        Err(rejection) => {
            let may_have_moved = course.keys_are_gone && matches!(rejection.reason, Rejected::UnknownKey | Rejected::Signature);
            let cause = oidc::Error::IdToken { provider: provider.name.clone(), rejection };
            if may_have_moved {
                return renew(Renewal { grant, course, then: Then::Keys(tokens), cause }, visit, context);
            }
            return Err(cause.into());
        }
    };
    if !provider.userinfo {
        return establish(&grant, tokens, proof.into_identity(), provider, visit, context);
    }
    userinfo::fetch(grant, course, tokens, proof, provider)
}

/// The answer to a later question than this login's, where another login has got it meanwhile: what was asked for before the keys
/// changed is then no reason to ask again.
fn later_keys(reason: Rejected, course: &mut Course, metadata: &ProviderMetadata, context: &Context<'_>) -> Option<KeySet> {
    let question = course.answered.take().filter(|_| matches!(reason, Rejected::UnknownKey | Rejected::Signature))?;
    context.cache.later_keys(&metadata.issuer, &metadata.jwks_uri, question, context.now)
}

/// Whether keys that were not known when the token was rejected are worth asking for. Keys that are known may have been
/// replaced, under a new name or under the same one; those that were fetched just now may lag behind.
fn may_refetch(rejection: &Rejection, keys: Keys, metadata: &ProviderMetadata, context: &mut Context<'_>) -> bool {
    match keys {
        Keys::Cached if matches!(rejection.reason, Rejected::UnknownKey | Rejected::Signature) => {
            context.cache.may_refetch_keys(&metadata.issuer, &metadata.jwks_uri, context.now)
        }
        Keys::Fetched if rejection.may_be_of_newer_key() => {
            context.cache.may_refetch_keys_twice(&metadata.issuer, &metadata.jwks_uri, context.now)
        }
        _ => false,
    }
}

fn establish(
    grant: &AuthorizationGrant,
    tokens: TokenResponse,
    identity: Identity,
    provider: &Provider,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<Progress, Error> {
    let config = context.config;
    let session = Session::establish(identity, provider, &config.sessions, context.now, context.entropy);
    let session = session.with_fresh_tokens(tokens.lifetime, &config.sessions, context.now);
    if session.has_ended(context.ended) {
        // No session would be in force, and the application would send the browser here again.
        context.name(visit, session.claims());
        return Err(Error::LoginEnded);
    }
    let earlier = context.sealed(visit);
    // Two tabs log in at the same time: what the first of them has opened goes on. Not where a refresh token goes by the session's name:
    // each login has one of its own.
    let (session, replaced) = match context.session(earlier.as_ref()) {
        Some(earlier) if config.sessions.refresh.is_none() && earlier.is_of_login_beside(&session) => (session.continuing(&earlier), None),
        Some(earlier) => (session, Some(earlier.end(context.now))),
        None => (session, None),
    };
    let mut cookies = visit.jar.writer();
    // A logout that was left at the provider is over: what comes next without a response is none of its.
    cookies.delete_logging_out();
    let pending = PendingAttempts::of(&visit.jar, &config.sessions, &config.providers, context.now);
    let of_no_use = pending.without(visit.spent.as_deref()).of_no_use();
    session.write(&mut cookies, &config.sessions, context.now, context.entropy)?;

    let refresh_token = tokens.refresh_token.clone();
    keep_refresh_token(tokens.refresh_token, &session, provider, &mut cookies, &mut visit.events, context);
    let mut hint_lost = None;
    let exposed = config.sessions.expose_tokens;
    let wants_hint = match &provider.logout_url {
        Some(url) => url.takes_id_token(),
        None => grant.metadata.end_session_endpoint.is_some(),
    };
    let id_token = (exposed.id || wants_hint).then_some(tokens.id_token).filter(|token| {
        let bytes = token.expose().len();
        let is_kept = exposed.id || bytes <= MAX_HINT_BYTES;
        if !is_kept {
            hint_lost = Some(format!("the ID token is {bytes} bytes long, over the limit of {MAX_HINT_BYTES} for a hint of the logout"));
        }
        is_kept
    });
    let access_token = exposed.access.then_some(tokens.access_token);
    if id_token.is_some() || access_token.is_some() {
        let tokens = Tokens { id_token, access_token };
        match tokens.write(&session, &mut cookies, &config.sessions, context.now, context.entropy) {
            Err(error) if exposed.id || exposed.access => return Err(error),
            // Only the hint for the logout is lost; the provider will ask instead.
            Err(error) => hint_lost = Some(error.to_string()),
            Ok(()) => {}
        }
    } else {
        cookies.delete_tokens();
    }
    if config.providers.len() > 1 {
        cookies.set_last(&provider.name);
    }
    let cookies = cookies.into_headers();
    visit.set_cookies = CookieJar::joined(std::mem::take(&mut visit.set_cookies), cookies);
    visit.ended_sessions.extend(replaced);
    if let Some(message) = hint_lost {
        visit.note(Level::Warn, Code::SessionNoLogoutHint, message);
    }
    context.name(visit, session.claims());
    context.record_session(visit, &session);
    visit.audited_as = Some(AuditEvent::Login);
    let account = Account { provider, claims: session.claims() };
    for header in headers::left_out(&account, &config.identity) {
        visit.note(Level::Warn, Code::IdentityHeaderTooLong, format!("the application does not get {header}: its value is too long"));
    }
    groups::tell(&account, visit, context);
    visit.note(Level::Info, Code::LoginSucceeded, format!("login with provider `{}` succeeded", provider.name));

    let return_to = ReturnTo::parse(&grant.return_to, config.public.redirect_uri()).ok();
    let response = way_on(return_to.clone(), visit, config);
    let token =
        refresh_token.map(RefreshToken).filter(|_| config.sessions.refresh.is_some() && !pages::fits(&response, &visit.set_cookies));
    let onward = token.and_then(|token| onward::lead(&token, return_to, &session, visit, config, context.entropy));
    let response = onward.unwrap_or(response);
    delete_while_there_is_room(&of_no_use, &response, visit);
    Ok(Progress::Done(Outcome::Respond(response)))
}

/// Deletes login attempts that are of no use. What does not fit into the head of this answer is deleted by another one, or expires.
fn delete_while_there_is_room(attempts: &[String], response: &Response, visit: &mut Visit) {
    for attempt in attempts {
        let mut cookies = visit.jar.writer();
        cookies.delete_attempt(attempt);
        let before = visit.set_cookies.len();
        visit.set_cookies.append(&mut cookies.into_headers());
        if !pages::fits(response, &visit.set_cookies) {
            visit.set_cookies.truncate(before);
            return;
        }
    }
}

/// To the page that the login was started for. Where that was too long to be kept, the person is told.
fn way_on(return_to: Option<ReturnTo>, visit: &Visit, config: &Config) -> Response {
    if visit.has_lost_its_page {
        return pages::lost_its_page(config, visit.language);
    }
    let page = super::login::destination(return_to, config);
    pages::onward(&page, visit.method, &visit.set_cookies, visit.language, &config.embedding)
}

/// Where sessions are refreshed. A login without a refresh token is one, but cannot go on being it for ever.
fn keep_refresh_token(
    token: Option<Secret>,
    session: &Session<'_>,
    provider: &Provider,
    cookies: &mut CookieWriter<'_>,
    events: &mut Vec<Event>,
    context: &mut Context<'_>,
) {
    let config = context.config;
    let token = token.filter(|_| config.sessions.refresh.is_some());
    // Of an earlier session, otherwise.
    if token.is_none() {
        cookies.delete_refresh_token();
    }
    let problem = match token {
        _ if config.sessions.refresh.is_none() => return,
        None => Some(format!("provider `{}` has issued no refresh token: see docs/refresh.md", provider.name)),
        Some(token) => {
            let written = RefreshToken(token).write(session, cookies, &config.sessions, context.now, context.entropy);
            written.err().map(|error| error.to_string())
        }
    };
    events.extend(problem.map(|problem| Event::new(Level::Warn, Code::SessionNoRefreshToken, problem)));
}

/// Where providers send the browser after a logout.
pub(super) fn landing(visit: &mut Visit, context: &mut Context<'_>) -> Response {
    let config = context.config;
    let mut cookies = visit.jar.writer();
    cookies.delete_logging_out();
    visit.set_cookies.append(&mut cookies.into_headers());
    let is_logged_in = context.session(context.sealed(visit).as_ref()).is_some();
    if is_logged_in { Response::redirect(&config.public.home(), visit.method) } else { after_logout(visit, context) }
}

/// Where a logout ends: the configured page; else the first page of an application that can be seen without a login;
/// else a page of ours, for the first page of any other application would start the next login.
pub(super) fn after_logout(visit: &Visit, context: &mut Context<'_>) -> Response {
    let config = context.config;
    match (&config.after_logout, config.admission.login) {
        (Some(page), _) => Response::redirect(page.as_str(), visit.method),
        (None, Login::Optional) => Response::redirect(&config.public.home(), visit.method),
        (None, Login::Required) => pages::signed_out(config, visit.language, context.entropy),
    }
}

fn form_as_query(form: &[u8], is_logging_out: bool, config: &Config) -> Result<Response, Error> {
    // A form that is no response is not handed on, and one that is too long does not become a long address.
    Callback::parse(url::form_urlencoded::parse(form), is_logging_out)?;
    let mut url = config.public.redirect_uri().clone();
    url.query_pairs_mut().extend_pairs(handed_on(form));
    Ok(Response::redirect(&url[url::Position::BeforePath..], "POST"))
}
