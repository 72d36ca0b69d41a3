//! The second half of a login whose cookies do not fit into one answer.
//!
//! Servers give the head of an answer little room, nginx 4 KiB. A session and its tokens fit, a refresh token beside them often does
//! not. Then the answer sets the session, and is a page which leads, by itself, to the callback again with the refresh token. It
//! is sealed for the session, so that neither the address nor a copy of it is worth anything without the session's cookies.
//!
//! 1. A request without the session that it is for changes nothing, and neither does one that comes later than the login.
//! 2. A session that has a refresh token keeps it: an address of the history must not bring a token back that was used since
//!    (RFC 9700 section 4.14.2).

use crate::config::Config;
use crate::decision::Outcome;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::flow::{Context, Progress, Visit, login};
use crate::oidc::error as oidc;
use crate::pages;
use crate::session::{CookieJar, RefreshToken, Session};
use crate::web::http::{Request, Response};
use crate::web::return_to::ReturnTo;

/// The parameter of the callback. No provider has one of this name.
const PARAMETER: &str = "vestibule_onward";

/// Longest address that the browser is sent to, in bytes: servers take 8 KiB for a request line.
const MAX_ADDRESS_BYTES: usize = 6 * 1024;

/// What a request brings, if that is all it does.
pub(super) fn sealed(request: &Request<'_>) -> Option<String> {
    let mut pairs = request.query_pairs();
    let (_, value) = pairs.next().filter(|(name, _)| name == PARAMETER)?;
    pairs.next().is_none().then(|| value.into_owned())
}

/// Leads there; `None` where the address would be too long. The cookies of `visit` lose the refresh token.
pub(super) fn lead(
    token: &RefreshToken,
    page: Option<ReturnTo>,
    session: &Session<'_>,
    visit: &mut Visit,
    config: &Config,
    entropy: &mut dyn Entropy,
) -> Option<Response> {
    let page = login::destination(page, config);
    let page = Some(page.as_str()).filter(|_| !visit.has_lost_its_page);
    let sealed = token.seal_onward(page, session, &config.sessions, entropy);
    // Envelopes are of characters that a query has as they are.
    let address = format!("{}?{PARAMETER}={sealed}", config.public.redirect_uri().path());
    if address.len() > MAX_ADDRESS_BYTES {
        return None;
    }
    visit.set_cookies = visit.jar.without_refresh_token(std::mem::take(&mut visit.set_cookies));
    Some(pages::by_itself(&address, visit.language, &config.embedding))
}

/// Takes the token into its cookie, and goes to the page.
pub(super) fn begin(sealed: &str, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    let config = context.config;
    let opened = context.sealed(visit);
    let session = context.session(opened.as_ref()).filter(|_| config.sessions.refresh.is_some());
    let brought = session.as_ref().and_then(|session| {
        let (token, page) = RefreshToken::open_onward(sealed, session, &config.sessions, context.now)?;
        Some((session, token, page))
    });
    let Some((session, token, page)) = brought else {
        return Err(oidc::Error::AuthorizationResponse("it is the second half of a login that this browser has not begun").into());
    };
    if RefreshToken::open(&visit.jar, session, &config.sessions).is_none() {
        let mut cookies = visit.jar.writer();
        token.write(session, &mut cookies, &config.sessions, context.now, context.entropy)?;
        visit.set_cookies = CookieJar::joined(std::mem::take(&mut visit.set_cookies), cookies.into_headers());
    }
    visit.has_lost_its_page = page.is_none();
    let page = page.and_then(|page| ReturnTo::parse(&page, config.public.redirect_uri()).ok());
    Ok(Progress::Done(Outcome::Respond(super::way_on(page, visit, config))))
}
