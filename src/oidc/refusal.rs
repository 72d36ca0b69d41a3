//! What an endpoint says of a request that it refuses, for the log.
//!
//! An answer may repeat what it was asked, in some spelling: our secrets are taken out of it, and where a piece of one may be left,
//! nothing of it is told. An answer that is no error may hold a token, and is not told either.

mod secrets;

use serde::Deserialize;
use serde_json::Value;

use super::error::{ReportedError, shown};
use super::outbound;
use super::provider::Provider;
use super::token::is_failure;
use crate::secret::Secret;
use crate::web::http::OutboundResponse;
use secrets::Secrets;

/// RFC 6749 section 5.2.
#[derive(Deserialize)]
pub(super) struct Failure {
    pub(super) error: String,
    #[serde(default)]
    error_description: Value,
    #[serde(default)]
    error_uri: Value,
}

const CHECK_CREDENTIALS: &str = "check client_id and client_secret, and how they are sent (token_endpoint_auth_method)";

/// What the token or the revocation endpoint says, and what to do. `asked_with`: what of the request no log may show, beside the client's secret.
pub(super) fn refusal(answer: &OutboundResponse, provider: &Provider, asked_with: &[&Secret]) -> String {
    if answer.status < 400 && !is_failure(answer) {
        return String::new();
    }
    let secrets = Secrets::new(provider, asked_with);
    let text = |value: &Value| value.as_str().map(|text| secrets.taken_out_of(text));
    let (told, has_advice) = match outbound::object::<Failure>(&answer.body) {
        Ok(failure) if !failure.error.is_empty() => {
            let (description, uri) = (text(&failure.error_description), text(&failure.error_uri));
            let reported = ReportedError::new(&secrets.taken_out_of(&failure.error), description.as_deref(), uri.as_deref());
            // Keycloak says `unauthorized_client` of a wrong secret.
            let has_advice = reported.has_advice() && reported.error != "unauthorized_client";
            (format!(" and {reported}"), has_advice)
        }
        _ => (body_of(answer, &secrets), false),
    };
    // 401 is about the client's credentials (RFC 6749 section 5.2); of another refusal without a code they are the likeliest cause.
    let may_be_credentials = answer.status == 401 || (matches!(answer.status, 400 | 403) && !is_failure(answer));
    if may_be_credentials && !has_advice { format!("{told}: {CHECK_CREDENTIALS}") } else { told }
}

/// What an endpoint says that takes an access token: in `WWW-Authenticate` (RFC 6750 section 3), else in its body.
pub(super) fn refusal_of_token(answer: &OutboundResponse, provider: &Provider, access_token: &Secret) -> String {
    if answer.status < 400 {
        return String::new();
    }
    let secrets = Secrets::new(provider, &[access_token]);
    let mut challenges = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
    match challenges.next() {
        Some((_, challenge)) => format!(" and \"{}\"", shown(&secrets.taken_out_of(&String::from_utf8_lossy(challenge)))),
        None => body_of(answer, &secrets),
    }
}

fn body_of(answer: &OutboundResponse, secrets: &Secrets) -> String {
    if answer.body.trim_ascii().is_empty() {
        return " and nothing else".to_owned();
    }
    if let Some(coding) = outbound::coding(answer) {
        return format!(" and a compressed body ({coding}), though it was asked for as it is (`accept-encoding: identity`)");
    }
    format!(" and \"{}\"", shown(&secrets.taken_out_of(&String::from_utf8_lossy(&answer.body))))
}
