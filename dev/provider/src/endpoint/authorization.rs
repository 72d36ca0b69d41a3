//! `/authorize` and `/consent`: who is this, and may the client know?

use std::sync::Arc;

use axum::extract::{RawForm, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};

use crate::authorization::{AuthorizationError, AuthorizationRequest, Interaction, Refusal};
use crate::clock::unix_time;
use crate::grant::CodeGrant;
use crate::pages::{self, Choice, Consent};
use crate::parameters::Parameters;
use crate::provider::Provider;
use crate::sign_on::SignOn;

/// The authorization request, by GET or POST (OpenID Connect Core section 3.1.2.1).
pub(crate) async fn request(State(provider): State<Arc<Provider>>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    let (parameters, request) = match parse(&provider, &form) {
        Ok(parsed) => parsed,
        Err(refusal) => return refuse(&provider, refusal),
    };
    let now = unix_time();
    let interaction = {
        let sign_ons = provider.sign_ons();
        // Somebody the provider no longer knows, or not the one that is wanted, has to be asked for.
        let current = sign_ons.current(&headers);
        let person = current.and_then(|sign_on| provider.person(&sign_on.sub));
        let hinted = person.is_some_and(|person| request.login_hint.as_ref().is_none_or(|hint| person.is_hinted_by(hint)));
        request.interaction(current, hinted, now)
    };
    match interaction {
        Interaction::Continue(sign_on) => respond(&provider, &request, sign_on, now),
        Interaction::Forbidden => refuse(&provider, Refusal::Redirect(Box::new(request.return_address), AuthorizationError::LoginRequired)),
        Interaction::Ask => ask(&provider, &request, &parameters),
    }
}

/// What the person chose. The query is the authorization request, checked again from the start.
pub(crate) async fn consent(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
    RawForm(form): RawForm,
) -> Response {
    let request = match parse(&provider, query.unwrap_or_default().as_bytes()) {
        Ok((_, request)) => request,
        Err(refusal) => return refuse(&provider, refusal),
    };
    let choice = match Parameters::parse(&form) {
        Ok(choice) => choice,
        Err(repeated) => return pages::refused(&repeated),
    };
    if choice.value("deny").is_some() {
        return refuse(&provider, Refusal::Redirect(Box::new(request.return_address), AuthorizationError::AccessDenied));
    }
    let Some(person) = choice.value("person").and_then(|sub| provider.person(sub)) else {
        return pages::refused(&"Nobody here has that name. Go back and choose one of the people, or Deny.");
    };
    let now = unix_time();
    let sign_on = SignOn { sub: person.sub.clone(), authenticated_at: now };
    let cookie = provider.sign_ons().begin(&headers, sign_on.clone());
    ([(header::SET_COOKIE, cookie)], respond(&provider, &request, sign_on, now)).into_response()
}

fn parse(provider: &Provider, form: &[u8]) -> Result<(Parameters, AuthorizationRequest), Refusal> {
    let parameters = Parameters::parse(form).map_err(|repeated| Refusal::Page(repeated.into()))?;
    let request = AuthorizationRequest::parse(&parameters, &provider.clients)?;
    Ok((parameters, request))
}

fn ask(provider: &Provider, request: &AuthorizationRequest, parameters: &Parameters) -> Response {
    let hinted = |hint: &String| provider.people.iter().position(|person| person.is_hinted_by(hint));
    let hinted = request.login_hint.as_ref().and_then(hinted);
    let choices = provider.people.iter().enumerate();
    let consent = Consent {
        client_id: &request.client_id,
        scope: &request.scope,
        choices: choices.map(|(index, person)| Choice { person, hinted: Some(index) == hinted }).collect(),
        query: parameters.to_query(),
    };
    pages::page(StatusCode::OK, &consent)
}

fn respond(provider: &Provider, request: &AuthorizationRequest, sign_on: SignOn, now: u64) -> Response {
    let grant = CodeGrant {
        client_id: request.client_id.clone(),
        redirect_uri: request.return_address.redirect_uri.clone(),
        code_challenge: request.code_challenge.clone(),
        scope: request.scope.clone(),
        nonce: request.nonce.clone(),
        sign_on,
    };
    let code = provider.grants().issue_code(grant, now);
    redirect(request.return_address.with_code(&code, provider.response_issuer().as_deref()).as_str())
}

fn refuse(provider: &Provider, refusal: Refusal) -> Response {
    match refusal {
        Refusal::Page(error) => pages::refused(&error),
        Refusal::Redirect(address, error) => redirect(address.with_error(&error, provider.response_issuer().as_deref()).as_str()),
    }
}

/// 303, so that a form is not posted again to the client (RFC 9700 section 4.12).
fn redirect(location: &str) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Redirect::to(location)).into_response()
}
