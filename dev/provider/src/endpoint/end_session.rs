//! `/end_session`: logging out at the provider (OpenID Connect RP-Initiated Logout 1.0).

use std::sync::Arc;

use axum::extract::{RawForm, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use url::Url;

use crate::pages::{self, Message, SignOut};
use crate::parameters::{Parameters, Repeated};
use crate::provider::Provider;
use crate::signing_key::Hint;

/// The logout request, by GET or POST.
pub(crate) async fn request(State(provider): State<Arc<Provider>>, headers: HeaderMap, RawForm(form): RawForm) -> Response {
    let (parameters, logout) = match parse(&provider, &form) {
        Ok(parsed) => parsed,
        Err(error) => return pages::refused(&error),
    };
    if logout.is_proven(&provider, &headers) {
        sign_out(&provider, &headers, &logout)
    } else {
        pages::page(StatusCode::OK, &SignOut { query: parameters.to_query() })
    }
}

/// The person has confirmed. The query is the logout request, checked again from the start.
pub(crate) async fn confirmed(State(provider): State<Arc<Provider>>, headers: HeaderMap, RawQuery(query): RawQuery) -> Response {
    match parse(&provider, query.unwrap_or_default().as_bytes()) {
        Ok((_, logout)) => sign_out(&provider, &headers, &logout),
        Err(error) => pages::refused(&error),
    }
}

/// A logout request whose address, if it has one, is registered.
struct Logout {
    hint: Option<Hint>,
    return_to: Option<Url>,
}

#[derive(Debug, thiserror::Error)]
enum LogoutError {
    #[error(transparent)]
    Repeated(#[from] Repeated),
    #[error("The client_id is not the one that the id_token_hint was issued to. The application has to send its own.")]
    OtherClient,
    #[error(
        "A post_logout_redirect_uri needs an id_token_hint that was issued here or a client_id that is registered here, \
         else nobody knows whose it is."
    )]
    WhoseAddress,
    #[error(
        "The post_logout_redirect_uri {0:?} is not registered for this client. It has to be the same, character for \
         character, in the configuration of the application and here."
    )]
    UnregisteredAddress(String),
}

fn parse(provider: &Provider, form: &[u8]) -> Result<(Parameters, Logout), LogoutError> {
    let parameters = Parameters::parse(form)?;
    let hint = parameters.value("id_token_hint").and_then(|token| provider.keys().hint(token));
    let client_id = match (parameters.value("client_id"), &hint) {
        // Section 2: both together must agree.
        (Some(client_id), Some(hint)) if !hint.audience.iter().any(|audience| audience == client_id) => {
            return Err(LogoutError::OtherClient);
        }
        (Some(client_id), _) => Some(client_id),
        (None, hint) => hint.as_ref().and_then(|hint| hint.audience.first()).map(String::as_str),
    };
    let return_to = match parameters.value("post_logout_redirect_uri") {
        Some(uri) => Some(return_address(provider, client_id, uri, parameters.value("state"))?),
        None => None,
    };
    Ok((parameters, Logout { hint, return_to }))
}

fn return_address(provider: &Provider, client_id: Option<&str>, uri: &str, state: Option<&str>) -> Result<Url, LogoutError> {
    let client = client_id.and_then(|id| provider.clients.iter().find(|client| client.client_id == id));
    let registered = &client.ok_or(LogoutError::WhoseAddress)?.post_logout_redirect_uris;
    let mut url = registered.matching(uri).ok_or_else(|| LogoutError::UnregisteredAddress(uri.to_owned()))?;
    if let Some(state) = state {
        url.query_pairs_mut().append_pair("state", state);
    }
    Ok(url)
}

impl Logout {
    /// Whether the application proved that this person wants out: else anybody's link could log people out. A hint about
    /// somebody else than is signed on here proves nothing about the one who is.
    fn is_proven(&self, provider: &Provider, headers: &HeaderMap) -> bool {
        let sign_ons = provider.sign_ons();
        self.hint.as_ref().is_some_and(|hint| sign_ons.current(headers).is_none_or(|sign_on| sign_on.sub == hint.subject))
    }
}

fn sign_out(provider: &Provider, headers: &HeaderMap, logout: &Logout) -> Response {
    let cookie = provider.sign_ons().end(headers);
    let answer = match &logout.return_to {
        Some(url) => Redirect::to(url.as_str()).into_response(),
        None => pages::page(
            StatusCode::OK,
            &Message { heading: "You are signed out", text: "The next login will ask who you are. You can close this page.".to_owned() },
        ),
    };
    ([(header::SET_COOKIE, cookie), (header::CACHE_CONTROL, HeaderValue::from_static("no-store"))], answer).into_response()
}
