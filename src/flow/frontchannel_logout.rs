//! A logout that a provider has this browser carry out, by a frame in its own page (OpenID Connect Front-Channel Logout 1.0).
//!
//! It ends the session that the browser brings, and every session of the same login at the provider, if `iss` and `sid` are those of
//! this session: nothing proves that a provider has written the address, so that it ends nothing for whoever has learnt a `sid`.
//! Without the cookie nothing happens, and browsers bring it into frames of the same site only: with `[vestibule.embedding]`, such a
//! frame has cookies of its own.

use super::{Context, Progress, Visit, looked_at, only_get, only_visited};
use crate::audit::AuditEvent;
use crate::code::Code;
use crate::decision::{Level, Outcome};
use crate::error::Error;
use crate::web::http::{Request, Response};

/// `GET /.vestibule/frontchannel-logout` with `iss` and `sid` (section 2).
pub(crate) fn begin(request: &Request<'_>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    only_get(request)?;
    only_visited(request)?;
    if visit.only_looks {
        return Ok(looked_at());
    }
    let one = |name: &str| {
        let mut values = request.query_pairs().filter(|(known, _)| known == name).map(|(_, value)| value.into_owned());
        values.next().filter(|value| !value.is_empty() && values.next().is_none())
    };
    let (iss, sid) = (one("iss"), one("sid"));
    let sealed = context.sealed(visit);
    let session = context.session(sealed.as_ref()).filter(|session| {
        let is = |claim: &str, value: &Option<String>| value.as_deref().is_some_and(|value| session.claims().text(claim) == Some(value));
        is("iss", &iss) && is("sid", &sid)
    });
    if let Some(session) = session {
        let mut cookies = visit.jar.writer();
        cookies.delete_session_and_tokens();
        visit.set_cookies = cookies.into_headers();
        visit.ended_sessions.push(session.end(context.now));
        visit.ended_sessions.extend(session.end_provider_session(context.now, &context.config.sessions.lifetime));
        visit.provider = Some(session.provider().to_owned());
        context.name(visit, session.claims());
        context.record_session(visit, &session);
        visit.audited_as = Some(AuditEvent::Logout);
        visit.note(Level::Info, Code::LogoutByProvider, format!("provider `{}` has logged out this browser", session.provider()));
    }
    let of_provider = |iss: &String| context.config.providers.iter().any(|provider| provider.expected_issuer.admits_metadata(iss));
    let origin = iss.filter(of_provider).and_then(|iss| url::Url::parse(&iss).ok()).map(|iss| iss.origin().ascii_serialization());
    // An empty page: what shows it is the provider's, and nobody else may.
    let policy = format!("default-src 'none'; frame-ancestors {}", origin.as_deref().unwrap_or("'none'"));
    let page = Response { status: 200, ..Response::default() }.with("content-type", "text/html; charset=utf-8");
    // Section 2.
    let page = page.with("cache-control", "no-store").with("content-security-policy", &policy).with("referrer-policy", "no-referrer");
    Ok(Progress::Done(Outcome::Respond(page)))
}
