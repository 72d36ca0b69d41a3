//! A request for the application: forwarded as whoever is logged in, or sent to the login.

use super::{Visit, login};
use crate::config::{Config, Login};
use crate::error::Error;
use crate::filter::{Context, Forward, Outcome, Progress};
use crate::http::{Request, Response};
use crate::identity::{self, Edits};
use crate::pages;
use crate::return_to::ReturnTo;
use crate::session::{Session, Tokens};

pub(crate) fn begin(request: &Request<'_>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let config = context.config;
    let session = Session::open(&visit.jar, config, context.now);
    if session.is_none() && config.login == Login::Required {
        return not_logged_in(request, visit, context);
    }
    if session.is_some() && is_foreign_upgrade(request, config) {
        return Err(Error::ForeignOrigin);
    }
    let Edits { remove, set } = identity::edits(request, &visit.jar, session.as_ref(), config);
    let mut forward = Forward { remove_headers: remove, set_headers: set, ..Forward::default() };
    if let Some(mut session) = session {
        if may_renew(request) && session.touched(config, context.now) {
            let mut cookies = visit.jar.writer();
            // A session that does not fit any more stays as it is until it ends.
            if session.write(&mut cookies, config, context.now, context.entropy).is_ok() {
                forward.response_headers = cookies.into_headers();
            }
        }
        if config.expose_tokens.access
            && let Some(token) = Tokens::open(&visit.jar, &session, config).and_then(|tokens| tokens.access_token)
        {
            forward.set_headers.extend(identity::access_token(&token));
        }
        forward.expires_at = Some(session.ends_at(config));
    }
    Ok(Progress::Done(Outcome::Forward(forward)))
}

/// Whether a page of another origin asks for the connection: a browser sends cookies along with an upgrade that a page
/// of a sibling host asks for, and the application may not look at `Origin` (RFC 6455 section 10.2).
fn is_foreign_upgrade(request: &Request<'_>, config: &Config) -> bool {
    let is_foreign = |given: &[u8]| given != config.public.origin().as_bytes();
    request.header("upgrade").next().is_some() && request.header("origin").any(is_foreign)
}

/// Not on what a page is made of: such answers are what caches keep longest.
fn may_renew(request: &Request<'_>) -> bool {
    request.header("sec-fetch-dest").all(|dest| matches!(dest, b"document" | b"iframe" | b"empty"))
}

fn not_logged_in(request: &Request<'_>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let config = context.config;
    // A page that is too long to be remembered is not worth failing a login for.
    visit.return_to = ReturnTo::parse(&request.path_with_query(), config.public.redirect_uri()).ok();
    if !visit.is_navigation {
        let login = pages::login_url(config, None, None);
        // Not an event of its own: pages poll, and the log would be full of it.
        let response = pages::problem(&Error::LoginRequired, Some(&login), None);
        return Ok(Progress::Done(Outcome::Respond(
            response.with("www-authenticate", &pages::challenge(config)).with("vary", "accept, sec-fetch-mode, cookie"),
        )));
    }
    if request.method != "GET" && request.method != "HEAD" {
        // A form cannot be sent to the provider and back, so nothing pretends that it was.
        return Err(Error::LoginRequired);
    }
    if !config.public.has_authority(request.authority) {
        // The login's cookies belong to the public origin: start there, or the callback will not find them.
        let here = pages::login_url(config, None, visit.return_to.as_ref());
        let location = format!("{}{here}", config.public.origin());
        return Ok(Progress::Done(Outcome::Respond(Response::redirect(&location, request.method))));
    }
    login::choose_or_start(visit, context)
}
