//! A login that a provider or a portal starts by a form (OIDC Core section 4): `POST /.vestibule/login` with `iss`,
//! `target_link_uri` and `login_hint`.
//!
//! 1. It comes from another site, so that no `SameSite=Lax` cookie comes with it. It starts nothing itself: the browser is
//!    sent to the same login by `GET`, with its cookies.
//! 2. The form is bounded, and each of the three stands in it at most once. `iss` must be there, and one of ours.
//! 3. `target_link_uri` is a page of the public origin, or is dropped: the section has it verified, against open redirects.

use super::{ISS, TARGET_LINK_URI, is_login_hint, move_to_public_origin, page_asked_for, page_before, provider_of};
use crate::config::Config;
use crate::decision::Outcome;
use crate::error::Error;
use crate::flow::{Progress, Visit};
use crate::web::http::Request;
use crate::web::route;

/// More than the longest page to return to and the longest hint take, percent-encoded.
const MAX_FORM_BYTES: u32 = 16 * 1024;

pub(super) fn begin(request: &Request<'_>, body: Option<&[u8]>, visit: &mut Visit, config: &Config) -> Result<Progress, Error> {
    if !request.is_form() {
        return Err(Error::LoginInitiation("what was posted is not application/x-www-form-urlencoded"));
    }
    let Some(form) = body else { return Ok(Progress::Done(Outcome::NeedBody(MAX_FORM_BYTES))) };
    let (mut iss, mut target, mut hint) = (None, None, None);
    for (name, value) in url::form_urlencoded::parse(form) {
        let place = match &*name {
            ISS => &mut iss,
            TARGET_LINK_URI => &mut target,
            route::LOGIN_HINT => &mut hint,
            _ => continue,
        };
        if place.replace(value.into_owned()).is_some() {
            return Err(Error::LoginInitiation("a parameter comes twice"));
        }
    }
    let iss = iss.ok_or(Error::LoginInitiation("there is no `iss`"))?;
    let provider = provider_of(&iss, config)?;
    visit.login_hint = hint.filter(|hint| is_login_hint(hint));
    visit.return_to = match target {
        Some(target) => page_asked_for(&target, request, visit, config),
        None => page_before(request, config),
    };
    Ok(move_to_public_origin(Some(&provider.name), visit, config))
}
