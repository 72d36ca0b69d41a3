//! A refresh that a script of the application asks for, although none is due: after the user has bought something at the provider, or
//! has a new role.
//!
//! 1. **Who.** A page of the public origin with a session: a `POST`, which browsers say the origin of.
//! 2. **How often.** A minute after the provider's last answer at the earliest. Requests with the same refresh token get one answer
//!    ([`crate::oidc::refresh`]), so that two tabs at once both get it.
//! 3. **What comes of it.** What `/.vestibule/user` answers, with the provider's new claims. A refusal says by its code whether another
//!    attempt makes sense. What ends the session here ends it for requests of the application as well.

use super::{Expect, Purpose, ask};
use crate::decision::Outcome;
use crate::error::Error;
use crate::flow::{Context, Flow, Progress, Visit, is_of_own_page, user};
use crate::pages::{self, LogKeys};
use crate::session::{RefreshToken, Session};
use crate::web::http::Request;

/// `POST /.vestibule/refresh`.
///
/// # Errors
/// [`Error::RefreshOff`] and [`Error::NoRefreshToken`] where there is nothing to refresh, [`Error::RefreshTooSoon`] within a minute,
/// [`Error::Unrefreshed`] where the provider failed a moment ago.
pub(crate) fn begin(request: &Request<'_>, visit: &mut Visit, context: &mut Context<'_>) -> Result<Progress, Error> {
    // A script reads the answer, whatever the request accepts.
    visit.is_navigation = false;
    visit.allow = "POST";
    if request.method != "POST" {
        return Err(Error::MethodNotAllowed);
    }
    if visit.only_looks {
        return Err(Error::NotVisited);
    }
    let config = context.config;
    if !is_of_own_page(request, config) {
        return Err(Error::ForeignOrigin);
    }
    if config.sessions.refresh.is_none() {
        return Err(Error::RefreshOff);
    }
    let Some(sealed) = context.sealed(visit) else { return Ok(nobody(visit, context)) };
    let Some(session) = context.session(Some(&sealed)) else { return Ok(nobody(visit, context)) };
    let (Some(provider), Some(token)) = (config.provider(session.provider()), RefreshToken::open(&visit.jar, &session, &config.sessions))
    else {
        return Err(Error::NoRefreshToken);
    };
    if let Some(wait) = session.pause_before_refresh(context.now) {
        return Err(Error::RefreshTooSoon { retry_after: wait.as_secs() });
    }
    visit.provider = Some(provider.name.clone());
    context.name(visit, session.claims());
    let (question, asking) = ask(provider, token, context)?;
    drop(session);
    Ok(Progress::Fetch(question, Flow::Refresh(Box::new(Expect::new(sealed, asking, Purpose::Script)))))
}

/// Nobody is logged in, or not any more.
pub(super) fn nobody(visit: &Visit, context: &Context<'_>) -> Progress {
    let login = pages::login_url(context.config, None, None);
    // Not an event of its own: scripts ask again and again.
    let response = pages::problem(&Error::LoginRequired, Some(&login), LogKeys::of_request(visit.request_id.as_deref()));
    Progress::Done(Outcome::Respond(response.with("www-authenticate", &pages::challenge(context.config)).with("vary", "cookie")))
}

/// The user, by the provider's new word.
pub(super) fn told(session: &Session<'_>) -> Progress {
    Progress::Done(Outcome::Respond(user::told(Some(session))))
}
