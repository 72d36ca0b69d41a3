//! Before a request goes to the application: fresh tokens for its session, and a fresh answer about its account, when either is due.
//!
//! 1. **When.** An access token that the application receives is refreshed when less than a tenth of its life is left, by requests
//!    whose answers browsers keep cookies of; by every request when it is over. The account is validated at the interval of
//!    `revalidate`, by every request. Requests that only look, and those that are judged again, ask nobody.
//! 2. **One exchange.** Equal requests are equal bytes, and the host answers them with one exchange
//!    ([`crate::oidc::refresh`]). So each of many requests refreshes for itself, and all come to the same tokens.
//! 3. **What is proven.** An ID token of a refresh is verified, and belongs to the session's login; else the session is over. The
//!    session is confirmed again afterwards: what has ended it meanwhile counts.
//! 4. **What the provider disowns** (`invalid_grant`) is over where accounts are validated, and where the access token is over. Until
//!    then it goes on: another node may have used the refresh token, and the browser may have the new one already.
//! 5. **What fails otherwise** is tried again after a pause. Until the access token is over nothing changes; then `on_outage` decides.
//!    An access token that is over is not forwarded.
//! 6. A session that has no refresh token cannot be validated. It is not in force when it would have to be, and the log has that.

mod asker;
pub(crate) mod by_script;
mod renewal;

use super::{Context, Flow, Progress, Visit, application};
use crate::claims::root;
use crate::code::Code;
use crate::decision::{Event, Level};
use crate::error::Error;
use crate::oidc::cache::Lookup;
use crate::oidc::end_session::MAX_HINT_BYTES;
use crate::oidc::error::{self as oidc, Endpoint};
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::Provider;
use crate::oidc::refresh::{self, RefreshResponse, with_the_profile};
use crate::secret::Secret;
use crate::session::{Due, ExposeTokens, FreshTokens, RefreshToken, Sealed, Session, Tokens};
use crate::time::UnixTime;
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse, Request};
use asker::{Asker, Awaited, Course, End, Learned, Next};

/// What a request for the application comes to before it goes on.
pub(super) enum Look {
    /// The session is as fresh as it has to be, or can be.
    GoOn,
    /// It may not be used without the provider's answer, and this request asks nobody.
    NotInForce,
    /// The same, and no other request can ask either: the session has no refresh token.
    Unvalidated,
    /// The provider is asked.
    Ask(Box<(OutboundRequest, Asking)>),
}

/// What a refresh is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Purpose {
    /// A request goes on to the application afterwards.
    Application,
    /// A script asks for it ([`by_script`]).
    Script,
}

/// What is asked, beside the session that it is about.
#[derive(Debug)]
pub(super) struct Asking {
    provider: String,
    token: RefreshToken,
    course: Course,
    awaited: Awaited,
}

/// Waits for the provider, with a request for the application.
#[derive(Debug)]
pub(crate) struct Expect {
    sealed: Sealed,
    asking: Asking,
    purpose: Purpose,
}

/// Whether the provider is asked before this request goes on.
///
/// # Errors
/// [`Error::Unrefreshed`] where `on_outage` refuses the request and the provider is not asked just now.
pub(super) fn look(request: &Request<'_>, session: &Session<'_>, visit: &Visit, context: &mut Context<'_>) -> Result<Look, Error> {
    let config = context.config;
    if visit.was_forwarded {
        return Ok(Look::GoOn);
    }
    let due = session.due(&config.sessions, context.now);
    match due {
        Due::No => return unless_refused(session, context),
        Due::Soon if visit.only_looks || !keeps_cookies(request) => return Ok(Look::GoOn),
        Due::AccessToken if visit.only_looks => return unless_refused(session, context),
        Due::Validation if visit.only_looks => return Ok(Look::NotInForce),
        Due::Soon | Due::AccessToken | Due::Validation => {}
    }
    let (Some(provider), Some(token)) = (config.provider(session.provider()), RefreshToken::open(&visit.jar, session, &config.sessions))
    else {
        return Ok(if due == Due::Validation { Look::Unvalidated } else { Look::GoOn });
    };
    Ok(match ask(provider, token, context) {
        Ok(asked) => Look::Ask(Box::new(asked)),
        Err(_) => return unless_refused(session, context),
    })
}

/// The first question of a refresh.
///
/// # Errors
/// [`Error::Unrefreshed`] where the provider is not asked just now, because it failed a moment ago.
fn ask(provider: &Provider, token: RefreshToken, context: &mut Context<'_>) -> Result<(OutboundRequest, Asking), Error> {
    if context.cache.is_refresh_paused(&provider.name, context.now) {
        return Err(failed_a_moment_ago(&provider.name));
    }
    let credentials = context.cache.habits(&provider.name).credentials;
    let course = Course::new(credentials);
    let asking = |token, awaited| Asking { provider: provider.name.clone(), token, course, awaited };
    match context.cache.metadata(&provider.name, context.now) {
        Lookup::Fresh(metadata) | Lookup::Paused(Some(metadata)) => {
            let request = refresh::request(&token.0, &metadata, provider, credentials);
            Ok((request, asking(token, Awaited::Tokens(metadata))))
        }
        Lookup::Paused(None) => Err(failed_a_moment_ago(&provider.name)),
        Lookup::Fetch => {
            let question = context.cache.ask_for_metadata(&provider.name, context.now);
            Ok((ProviderMetadata::request(provider), asking(token, Awaited::Metadata(question))))
        }
    }
}

/// Tells of a session that [`Look::Unvalidated`] is about.
pub(super) fn tell_of_no_token(session: &Session<'_>, visit: &mut Visit, context: &Context<'_>) {
    let name = session.provider();
    context.name(visit, session.claims());
    visit.provider = Some(name.to_owned());
    let message =
        format!("the session must be validated at provider `{name}`, and has no refresh token for it: the user must log in again");
    visit.note(Level::Info, Code::SessionUnvalidated, message);
}

fn unless_refused(session: &Session<'_>, context: &Context<'_>) -> Result<Look, Error> {
    if !session.is_refused(&context.config.sessions, context.now) {
        return Ok(Look::GoOn);
    }
    Err(failed_a_moment_ago(session.provider()))
}

fn failed_a_moment_ago(provider: &str) -> Error {
    let error = OutboundError::Unreachable("it failed a moment ago".into());
    Error::Unrefreshed(oidc::Error::Unreachable { provider: provider.to_owned(), what: Endpoint::Token, error })
}

/// Not what a page is made of: such answers are what caches keep longest. A WebSocket's handshake is an answer like any other.
fn keeps_cookies(request: &Request<'_>) -> bool {
    request.header("sec-fetch-dest").all(|dest| matches!(dest, b"document" | b"iframe" | b"frame" | b"empty" | b"websocket"))
}

impl Expect {
    /// With a request for the application.
    pub(super) fn before(sealed: Sealed, asking: Asking) -> Self {
        Self::new(sealed, asking, Purpose::Application)
    }

    fn new(sealed: Sealed, asking: Asking, purpose: Purpose) -> Self {
        Self { sealed, asking, purpose }
    }

    pub(super) fn resume(
        self,
        answer: Result<OutboundResponse, OutboundError>,
        request: &Request<'_>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let Self { sealed, asking: Asking { provider: name, token, mut course, awaited }, purpose } = self;
        let Some(provider) = context.config.provider(&name) else { return purpose.without_session(request, visit, context) };
        visit.provider = Some(name);
        // Somebody may have ended it meanwhile.
        let Some(session) = context.session(Some(&sealed)) else { return purpose.without_session(request, visit, context) };
        let mut asker = Asker { provider, session: &session, token: &token, course: &mut course };
        let next = asker.next(awaited, answer, visit, context);
        match next {
            Next::Over(end) => purpose.over(end, session, provider, request, visit, context),
            Next::Ask(question, awaited) => {
                let asking = Asking { provider: provider.name.clone(), token, course, awaited: *awaited };
                drop(session);
                Ok(Progress::Fetch(question, Flow::Refresh(Box::new(Self { sealed, asking, purpose }))))
            }
        }
    }
}

impl Purpose {
    /// The refresh is over.
    fn over(
        self,
        end: End,
        session: Session<'_>,
        provider: &Provider,
        request: &Request<'_>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        let config = context.config;
        context.name(visit, session.claims());
        // An image is refreshed for as well, and prolongs nothing.
        let session = if application::may_renew(request) && !visit.only_looks { session.seen(context.now) } else { session };
        match end {
            End::Refreshed(tokens, learned) => {
                let (session, tokens, unknown) = keep(tokens, learned, session, provider, visit, context)?;
                match (self, unknown) {
                    (Self::Application, _) => application::go_on(request, Some(session), tokens, visit, context),
                    (Self::Script, None) => Ok(by_script::told(&session)),
                    // The tokens are new, and what the script wants to know is not.
                    (Self::Script, Some(error)) => Err(Error::Unrefreshed(error)),
                }
            }
            End::Disowned => {
                let validates = config.sessions.refresh.is_some_and(|refresh| refresh.revalidate.is_some());
                if validates || session.is_access_token_over(&config.sessions, context.now) {
                    let message = format!("provider `{}` does not accept the session's refresh token any more", provider.name);
                    visit.note(Level::Info, Code::SessionDisowned, message);
                    return self.end_session(&session, request, visit, context);
                }
                if self == Self::Script {
                    // The browser may have newer cookies already, which an answer must not replace.
                    return Err(Error::RefreshRefused);
                }
                let message = format!(
                    "provider `{}` does not accept the refresh token: it has expired, was revoked, or another node has used it; the \
                     session goes on until its access token is over",
                    provider.name
                );
                visit.note(Level::Warn, Code::SessionRefreshFailed, message);
                go_on_as_before(session, request, visit, context)
            }
            End::Rejected(rejection) => {
                let error = oidc::Error::IdToken { provider: provider.name.clone(), rejection };
                visit.note(Level::Error, error.code(), error.to_string());
                visit.note(Level::Info, Code::SessionDisowned, "a refresh has brought an ID token that is not of the session's login");
                self.end_session(&session, request, visit, context)
            }
            End::Failed(error) if self == Self::Script || session.is_refused(&config.sessions, context.now) => {
                Err(Error::Unrefreshed(error))
            }
            End::Failed(error) => {
                visit.note(Level::Warn, Code::SessionRefreshFailed, format!("{error}; the session is not refreshed, and goes on"));
                go_on_as_before(session, request, visit, context)
            }
        }
    }

    fn end_session(
        self,
        session: &Session<'_>,
        request: &Request<'_>,
        visit: &mut Visit,
        context: &mut Context<'_>,
    ) -> Result<Progress, Error> {
        visit.ended_sessions.push(session.end(context.now));
        // Another answer may be late, and the browser may have logged in meanwhile: only a page's own answer deletes.
        if visit.is_navigation {
            let mut cookies = visit.jar.writer();
            cookies.delete_session_and_tokens();
            visit.set_cookies = cookies.into_headers();
        }
        self.without_session(request, visit, context)
    }

    fn without_session(self, request: &Request<'_>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
        match self {
            Self::Application => application::go_on(request, None, None, visit, context),
            Self::Script => Ok(by_script::nobody(visit, context)),
        }
    }
}

/// Without news, and with a pause before the next attempt.
fn go_on_as_before(session: Session<'_>, request: &Request<'_>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    // Its tokens are opened with its claims, which stay as they are.
    let session = session.postponed(context.now);
    let mut cookies = visit.jar.writer();
    // A session that does not fit any more stays as it is until it ends.
    if session.write(&mut cookies, &context.config.sessions, context.now, context.entropy).is_ok() {
        visit.set_cookies = cookies.into_headers();
    }
    application::go_on(request, Some(session), None, visit, context)
}

/// Seals what a refresh has brought into cookies. Returns the session from now on, the tokens for the application, and why nothing
/// could be learned of the account.
fn keep<'s>(
    response: RefreshResponse,
    learned: Learned,
    session: Session<'s>,
    provider: &Provider,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<(Session<'s>, Option<Tokens>, Option<oidc::Error>), Error> {
    let config = context.config;
    let RefreshResponse { id_token, access_token, refresh_token, lifetime, age } = response;
    let issued_at = UnixTime::from_secs(context.now.as_secs().saturating_sub(age.as_secs()));
    let fresh = FreshTokens { lifetime, issued_at };
    // Before the claims change, which they are opened with.
    let known_id_token = context.tokens(visit, &session, ExposeTokens::ID).and_then(|tokens| tokens.id_token);
    let mut unknown = None;
    let session = match learned {
        Learned::NothingElse => session.refreshed(None, fresh),
        Learned::Claims(identity) => {
            let is_judged = |name: &str| {
                let mut judged = config.admission.policy.iter().flat_map(|policy| policy.claims());
                judged.any(|claim| root(claim) == name)
            };
            let claims = with_the_profile(identity.into_claims().into_whole(), session.claims().whole(), is_judged);
            session.refreshed(Some(claims), fresh)
        }
        Learned::Unknown(error) => {
            visit.note(
                Level::Warn,
                Code::SessionRefreshFailed,
                format!("{error}; the session has fresh tokens, and the claims that it had"),
            );
            unknown = Some(error);
            session.with_tokens_only(fresh, context.now)
        }
    };
    let mut cookies = visit.jar.writer();
    session.write(&mut cookies, &config.sessions, context.now, context.entropy)?;

    let exposed = config.sessions.expose_tokens;
    let is_kept = |token: &Secret| exposed.id || token.expose().len() <= MAX_HINT_BYTES;
    // Where none is known, none is needed.
    let id_token = match known_id_token {
        Some(known) => Some(id_token.filter(is_kept).unwrap_or(known)),
        None => id_token.filter(|_| exposed.id),
    };
    let access_token = exposed.access.then_some(access_token);
    let tokens = (id_token.is_some() || access_token.is_some()).then_some(Tokens { id_token, access_token });
    if let Some(tokens) = &tokens {
        match tokens.write(&session, &mut cookies, &config.sessions, context.now, context.entropy) {
            Err(error) if exposed.id || exposed.access => return Err(error),
            Err(error) => visit.events.push(Event::new(Level::Warn, Code::SessionNoLogoutHint, error.to_string())),
            Ok(()) => {}
        }
    }
    if let Some(refresh_token) = refresh_token {
        let written = RefreshToken(refresh_token).write(&session, &mut cookies, &config.sessions, context.now, context.entropy);
        if let Err(error) = written {
            visit.events.push(Event::new(Level::Warn, Code::SessionNoRefreshToken, error.to_string()));
        }
    }
    visit.set_cookies = cookies.into_headers();
    visit.note(Level::Debug, Code::SessionRefreshed, format!("the session has fresh tokens of provider `{}`", provider.name));
    Ok((session, tokens, unknown))
}
