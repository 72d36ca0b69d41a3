//! A request for the application: forwarded as whoever is logged in, or sent to the login.

use super::refresh::{self, Look};
use super::{Flow, Visit, is_in_foreign_frame, login};
use crate::code::Code;
use crate::config::Config;
use crate::decision::{Forward, Level, Outcome};
use crate::error::Error;
use crate::flow::{Context, Progress};
use crate::identity::headers::{self, Edits};
use crate::identity::streamlit::upgrade::{self, User};
use crate::identity::streamlit::{self, CookieForm, StreamlitApp};
use crate::language::Language;
use crate::pages::{self, LogKeys};
use crate::policy::{Access, Ruling, Verdict};
use crate::session::{ExposeTokens, Session, Tokens};
use crate::web::cors::Preflight;
use crate::web::http::{Request, Response, Upgrade};
use crate::web::return_to::{self, ReturnTo};

pub(crate) fn begin(request: &Request<'_>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let ruling = context.config.admission.ruling(request)?;
    visit.rule = ruling.rule.and_then(|rule| u32::try_from(rule.number).ok());
    let sealed = match ruling.access {
        Access::Public => None,
        _ => context.sealed(visit),
    };
    let mut session = context.session(sealed.as_ref());
    if let Some(found) = &session {
        match refresh::look(request, found, visit, context)? {
            Look::GoOn => {}
            Look::NotInForce => session = None,
            Look::Unvalidated => {
                refresh::tell_of_no_token(found, visit, context);
                session = None;
            }
            Look::Ask(asked) => {
                let (question, asking) = *asked;
                drop(session);
                // There is a session, so that it was sealed.
                let Some(sealed) = sealed else { return Err(Error::LoginRequired) };
                return Ok(Progress::Fetch(question, Flow::Refresh(Box::new(refresh::Expect::before(sealed, asking)))));
            }
        }
    }
    decide(request, &ruling, session, None, visit, context)
}

/// The same after a refresh. `fresh`: the tokens that it has brought.
pub(super) fn go_on(
    request: &Request<'_>,
    session: Option<Session<'_>>,
    fresh: Option<Tokens>,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<Progress, Error> {
    let ruling = context.config.admission.ruling(request)?;
    decide(request, &ruling, session, fresh, visit, context)
}

fn decide(
    request: &Request<'_>,
    ruling: &Ruling<'_>,
    session: Option<Session<'_>>,
    fresh: Option<Tokens>,
    visit: &mut Visit,
    context: &mut Context<'_>,
) -> Result<Progress, Error> {
    let config = context.config;
    if let Some(session) = &session {
        context.record_session(visit, session);
    }
    let account = session.as_ref().and_then(|session| session.account(&config.providers));
    match ruling.verdict(account.as_ref()) {
        Verdict::Pass => {}
        Verdict::LoginRequired if Preflight::of(request).is_some() => return preflight(request, visit, context),
        Verdict::LoginRequired => return not_logged_in(request, visit, context),
        Verdict::Denied => {
            // So that who changes to another account comes back here.
            let is_page = request.method == "GET" || request.method == "HEAD";
            visit.return_to = ReturnTo::parse(&request.path_with_query(), config.public.redirect_uri()).ok().filter(|_| is_page);
            if let Some(account) = &account {
                context.name(visit, account.claims);
            }
            return Err(Error::Denied(ruling.denied(account.as_ref())));
        }
    }
    if session.is_some() && (is_foreign_upgrade(request, config) || is_foreign_write(request, config)) {
        return Err(Error::ForeignOrigin);
    }
    let mut edits = headers::edits(request, &visit.jar, account.as_ref(), &config.identity);
    if request.upgrade() == Upgrade::Other {
        edits.remove.push("upgrade".into());
    }
    if let Some(session) = &session
        && exposed_now(session, context).access
    {
        let token = match &fresh {
            Some(tokens) => tokens.access_token.clone(),
            None => context.tokens(visit, session, ExposeTokens::ACCESS).and_then(|tokens| tokens.access_token),
        };
        edits.set.extend(token.as_ref().and_then(headers::access_token));
    }
    if let Some(app) = &config.streamlit {
        upgrade::forbid_resumption(request, &mut edits);
        if let Some(session) = session.as_ref().filter(|_| upgrade::is_stream(request, &config.public)) {
            log_in_to_streamlit(request, session, fresh.as_ref(), app, visit, context, &mut edits)?;
        }
    }
    let Edits { remove, set } = edits;
    let mut forward = Forward { remove_headers: remove, set_headers: set, ..Forward::default() };
    if let Some(mut session) = session {
        if !visit.only_looks
            && visit.set_cookies.is_empty()
            && may_renew(request)
            && session.touched(&config.sessions.lifetime, context.now)
        {
            let mut cookies = visit.jar.writer();
            // A session that does not fit any more stays as it is until it ends.
            if session.write(&mut cookies, &config.sessions, context.now, context.entropy).is_ok() {
                forward.response_headers = cookies.into_headers();
            }
        }
        forward.expires_at = Some(session.ends_at(&config.sessions));
        forward.session = Some(session.handle());
    }
    // Of a refresh, also of one that has ended the session.
    forward.response_headers.append(&mut visit.set_cookies);
    Ok(Progress::Done(Outcome::Forward(forward)))
}

/// A preflight where a login is asked for, which it can never show: browsers send no cookie with it.
fn preflight(request: &Request<'_>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let cors = &context.config.cors;
    if let Some(answer) = Preflight::of(request).and_then(|preflight| cors.answer(&preflight)) {
        return Ok(Progress::Done(Outcome::Respond(answer)));
    }
    if !cors.forwards_preflights {
        return not_logged_in(request, visit, context);
    }
    // As nobody's, and with nothing in it by which the application could take it for somebody's.
    let Edits { mut remove, set } = headers::edits(request, &visit.jar, None, &context.config.identity);
    for name in ["cookie", "authorization"] {
        if request.header(name).next().is_some() && !remove.iter().any(|removed| removed.eq_ignore_ascii_case(name)) {
            remove.push(name.into());
        }
    }
    let set = set.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("cookie")).collect();
    Ok(Progress::Done(Outcome::Forward(Forward { remove_headers: remove, set_headers: set, ..Forward::default() })))
}

/// Whether a page of another origin asks for the connection: a browser sends cookies along with an upgrade that a page
/// of a sibling host asks for, and the application may not look at `Origin` (RFC 6455 section 10.2).
fn is_foreign_upgrade(request: &Request<'_>, config: &Config) -> bool {
    let is_foreign = |given: &[u8]| given != config.public.origin().as_bytes();
    is_upgrade(request) && request.header("origin").any(is_foreign)
}

/// Whether a page that may not sends something with the session, where browsers send it along from other sites.
fn is_foreign_write(request: &Request<'_>, config: &Config) -> bool {
    let is_known = |origin: &[u8]| {
        let named = || config.cors.origins.iter().any(|named| origin == named.as_bytes());
        origin == config.public.origin().as_bytes() || named()
    };
    // One without an `Origin` is of a page that does not read what comes.
    let is_sent_blindly = || ["GET", "HEAD"].contains(&request.method) && request.header("origin").next().is_none();
    config.embedding.guards(request) && (is_sent_blindly() || !request.header("origin").all(is_known))
}

fn is_upgrade(request: &Request<'_>) -> bool {
    request.upgrade() != Upgrade::None
}

fn log_in_to_streamlit(
    request: &Request<'_>,
    session: &Session<'_>,
    fresh: Option<&Tokens>,
    app: &StreamlitApp,
    visit: &mut Visit,
    context: &Context<'_>,
    edits: &mut Edits,
) -> Result<(), Error> {
    let config = context.config;
    let told = request.application_server.and_then(CookieForm::of_server);
    let form = app.cookie_form.or(told).unwrap_or_else(|| {
        let server =
            request.application_server.map_or("has not said which server it is".to_owned(), |server| format!("calls itself {server:?}"));
        let message = format!("the application {server}: it is taken for Streamlit 1.57 or later; set vestibule.streamlit.cookies");
        visit.note(Level::Warn, Code::StreamlitServerUnknown, message);
        CookieForm::Itsdangerous
    });
    let exposed = exposed_now(session, context);
    let kept = if fresh.is_none() && (exposed.id || exposed.access) { context.tokens(visit, session, exposed) } else { None };
    let user = User { session, tokens: fresh.or(kept.as_ref()), exposed, form, cookie_secret: &config.cookie_secret };
    let left_out = upgrade::log_in(request, &visit.jar, &user, app, &config.public, context.now, edits)?;
    for header in left_out.headers {
        visit.note(Level::Warn, Code::StreamlitHeaderLeftOut, format!("the application does not get {header}: there is no room for it"));
    }
    for claim in left_out.claims {
        visit.note(Level::Warn, Code::StreamlitClaimLeftOut, format!("st.user lacks the claim `{claim}`: there is no room for it"));
    }
    Ok(())
}

/// What the application receives: not an access token that is known to be over.
fn exposed_now(session: &Session<'_>, context: &Context<'_>) -> ExposeTokens {
    let ExposeTokens { id, access } = context.config.sessions.expose_tokens;
    ExposeTokens { id, access: access && !session.is_access_token_over(&context.config.sessions, context.now) }
}

/// Not on what a page is made of: such answers are what caches keep longest.
pub(super) fn may_renew(request: &Request<'_>) -> bool {
    request.header("sec-fetch-dest").all(|dest| matches!(dest, b"document" | b"iframe" | b"empty"))
}

fn not_logged_in(request: &Request<'_>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let config = context.config;
    // A page that is too long to be remembered is not worth failing a login for.
    let page = request.path_with_query();
    visit.return_to = ReturnTo::parse(&page, config.public.redirect_uri()).ok();
    visit.has_lost_its_page = page.len() > return_to::MAX_LENGTH && visit.return_to.is_none();
    if !visit.is_navigation {
        let login = pages::login_url(config, None, None);
        // Not an event of its own: pages poll, and the log would be full of it.
        let is_of_streamlit = config.streamlit.is_some() && streamlit::is_asked_before_connecting(request.path, &config.public);
        let (response, varies) = if is_of_streamlit {
            let language = Language::preferred(request.headers);
            (pages::session_ended(language), "accept, accept-language, sec-fetch-mode, cookie, origin")
        } else {
            (
                pages::problem(&Error::LoginRequired, Some(&login), LogKeys::of_request(visit.request_id.as_deref())),
                "accept, sec-fetch-mode, cookie, origin",
            )
        };
        let response = response.with("www-authenticate", &pages::challenge(config)).with("vary", varies);
        return Ok(Progress::Done(Outcome::Respond(config.cors.open(request, response))));
    }
    if request.method != "GET" && request.method != "HEAD" {
        // A form cannot be sent to the provider and back, so nothing pretends that it was. Its page can be filled in again.
        visit.return_to = login::page_before(request, config);
        return Err(Error::LoginRequired);
    }
    if is_in_foreign_frame(request, config) {
        return Err(Error::NotVisited);
    }
    // The login's cookies belong to the public origin: start there, or the callback will not find them. The answer to a
    // proxy's question waits for nobody, and `HEAD` starts nothing.
    if config.authz.is_some() || visit.only_looks || !config.public.has_authority(request.authority) {
        let here = pages::login_url(config, None, visit.return_to.as_ref());
        let location = format!("{}{here}", config.public.origin());
        return Ok(Progress::Done(Outcome::Respond(Response::redirect(&location, request.method))));
    }
    login::choose_or_start(visit, context)
}
