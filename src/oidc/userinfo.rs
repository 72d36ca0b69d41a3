//! The userinfo request and response (OIDC Core section 5.3).

use serde_json::{Map, Value};
use url::Url;

use super::id_token::VerifiedIdToken;
use super::outbound;
use crate::config::Provider;
use crate::error::{Endpoint, Error};
use crate::http::{OutboundError, OutboundRequest, OutboundResponse};
use crate::secret::Secret;

const MAX_BYTES: u32 = 256 * 1024;

pub fn request(endpoint: &Url, access_token: &Secret) -> OutboundRequest {
    let mut request = outbound::get_json(endpoint.clone(), MAX_BYTES);
    let bearer = format!("Bearer {}", access_token.expose());
    request.headers.push(("authorization".to_owned(), bearer.into_bytes()));
    request
}

/// The claims of the ID token, completed by those of the userinfo endpoint. What the ID token says stands: it is signed.
///
/// # Errors
/// When there is no answer, and when its `sub` is not the ID token's (section 5.3.2: then none of it may be used).
pub fn complete(
    token: &VerifiedIdToken,
    answer: Result<OutboundResponse, OutboundError>,
    provider: &Provider,
) -> Result<Map<String, Value>, Error> {
    let body = outbound::success(answer, MAX_BYTES, &provider.name, Endpoint::Userinfo)?;
    let fault = |text: &str| outbound::unacceptable(&provider.name, Endpoint::Userinfo, text);
    let claims: Map<String, Value> = serde_json::from_slice(&body).map_err(|_| fault("not a JSON object"))?;
    if claims.get("sub").and_then(Value::as_str) != Some(token.subject()) {
        return Err(fault("its sub is not the ID token's"));
    }
    let mut completed = claims;
    if token.claims().contains_key("email") {
        // The two belong together: this one may be about another address.
        completed.remove("email_verified");
    }
    completed.extend(token.claims().clone());
    Ok(completed)
}
