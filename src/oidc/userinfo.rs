//! The userinfo request and response (OIDC Core section 5.3). A client that is registered with
//! `userinfo_signed_response_alg` gets the response as a signed JWT (section 5.3.2): the type of its content says so.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use url::Url;

use super::error::{Endpoint, Error, Rejected, Rejection, shown};
use super::id_token::{Identity, VerifiedIdToken};
use super::issuer::{is_issuer_of_token, may_sign_for};
use super::jwks::KeySet;
use super::jws::{PLAIN, SignedJwt, apart, date, key_of_another, other_issuer, quoted};
use super::metadata::ProviderMetadata;
use super::outbound;
use super::refusal::refusal_of_token;
use crate::oidc::provider::Provider;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};

const MAX_BYTES: u32 = 256 * 1024;

pub fn request(endpoint: &Url, access_token: &Secret) -> OutboundRequest {
    let mut request = outbound::get_json(endpoint.clone(), MAX_BYTES);
    for (name, value) in &mut request.headers {
        if name == "accept" {
            *value = b"application/json, application/jwt".to_vec();
        }
    }
    let bearer = format!("Bearer {}", access_token.expose());
    request.headers.push(("authorization".to_owned(), bearer.into_bytes()));
    request
}

/// What answers a [`request`].
#[derive(Debug)]
pub enum Response {
    /// Members of an object, which the connection vouches for.
    Told(Told),
    Signed(SignedUserinfo),
}

/// A signed response, of which nothing is proven yet. It is somebody's data: it is not shown.
#[derive(Debug)]
pub struct SignedUserinfo(Secret);

/// Parses the answer to [`request`] with that access token: what is told of the person of this ID token.
///
/// # Errors
/// When there is no answer, and when its `sub` is not the ID token's (section 5.3.2: then none of it may be used).
pub fn parse(
    answer: Result<OutboundResponse, OutboundError>,
    access_token: &Secret,
    token: &VerifiedIdToken,
    provider: &Provider,
) -> Result<Response, Error> {
    if let Ok(answer) = &answer
        && answer.status != 200
    {
        let detail = refusal_of_token(answer, provider, access_token);
        return Err(Error::Status { provider: provider.name.clone(), what: Endpoint::Userinfo, status: answer.status, detail });
    }
    let is_said_to_be_signed = answer.as_ref().is_ok_and(is_jwt);
    let body = outbound::success(answer, MAX_BYTES, &provider.name, Endpoint::Userinfo)?;
    let fault = |text: &str| outbound::unacceptable(&provider.name, Endpoint::Userinfo, text);
    // Some providers send a JWT under another type. What is no object cannot be taken for one.
    if is_said_to_be_signed || (!outbound::is_object(&body) && body.contains(&b'.')) {
        let jwt = String::from_utf8(body).map_err(|_| fault("it is not a signed JWT"))?;
        return Ok(Response::Signed(SignedUserinfo(Secret::new(jwt.trim()))));
    }
    let claims = outbound::members(&body).map_err(|_| fault(&format!("not a userinfo response: {}", outbound::form_of(&body))))?;
    told(claims, token).map(Response::Told).map_err(fault)
}

/// Whether the type of an answer is that of a JWT (section 5.3.2).
fn is_jwt(answer: &OutboundResponse) -> bool {
    let types = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    let texts = types.filter_map(|(_, value)| std::str::from_utf8(value).ok());
    texts.filter_map(|value| value.split(';').next()).any(|kind| kind.trim().eq_ignore_ascii_case("application/jwt"))
}

/// The rule for both: `sub` is there, and the ID token's.
fn told(claims: Map<String, Value>, token: &VerifiedIdToken) -> Result<Told, &'static str> {
    match claims.get("sub") {
        None => Err("it has no `sub`"),
        Some(Value::String(sub)) if sub == token.subject() => Ok(Told(claims)),
        // Who it is stays out of the log.
        Some(Value::String(_)) => Err("its `sub` is not the ID token's"),
        Some(_) => Err("its `sub` is not a text"),
    }
}

/// What a signed response is compared with.
pub struct UserinfoVerifier<'a> {
    pub provider: &'a Provider,
    /// That this login was started with.
    pub metadata: &'a ProviderMetadata,
    pub keys: &'a KeySet,
    pub token: &'a VerifiedIdToken,
}

impl UserinfoVerifier<'_> {
    /// Verifies a signed response (section 5.3.4) by the keys and the algorithms of ID tokens, and matches what section 5.3.2
    /// wants in it.
    ///
    /// # Errors
    /// [`Rejection`], with the step that failed. [`Rejected::UnknownKey`] and [`Rejected::Signature`] may be cured by fresher
    /// keys.
    pub fn verify(&self, response: &SignedUserinfo, now: UnixTime) -> Result<Told, Rejection> {
        let response = SignedJwt::parse(response.0.expose(), "userinfo responses", &PLAIN)?;
        let listed = self.metadata.userinfo_algorithms.as_deref();
        let algorithm = response.algorithm(listed, "userinfo_signing_alg_values_supported")?;
        let claims = response.claims()?;
        let key_issuers = response.verify(algorithm, self.keys)?;
        // "If signed, the UserInfo Response MUST contain the Claims iss (issuer) and aud (audience) as members."
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let iss = text("iss").ok_or_else(|| match claims.get("iss") {
            None => Rejected::Issuer.because("it has no `iss`"),
            Some(other) => Rejected::Issuer.because(format!("its `iss` is {}, which is not a text", quoted(other))),
        })?;
        // Where a provider has an issuer for each tenant, it is that of the ID token's tenant: what a response says of its own
        // could be another one's.
        let tid = self.token.claims().get("tid").and_then(Value::as_str);
        if !is_issuer_of_token(&self.metadata.issuer, iss, tid) {
            return Err(Rejected::Issuer.because(other_issuer(iss, tid, &self.metadata.issuer)));
        }
        if !key_issuers.iter().any(|issuer| issuer.is_none_or(|issuer| may_sign_for(issuer, iss, tid))) {
            return Err(Rejected::Issuer.because(key_of_another(&key_issuers, iss)));
        }
        // "The aud value MUST be or include the RP's Client ID value."
        let client_id = self.provider.client_id.as_str();
        let aud = claims.get("aud");
        let is_for_us = match aud {
            Some(Value::Array(audiences)) => audiences.iter().any(|audience| audience == client_id),
            Some(one) => one == client_id,
            None => false,
        };
        if !is_for_us {
            let found = aud.map_or_else(|| "it has no `aud`".to_owned(), |aud| format!("it is for the audience {}", quoted(aud)));
            return Err(Rejected::Audience.because(format!("{found}, and client_id is `{}`", shown(client_id))));
        }
        // Neither date must be there; one that is there counts (RFC 7519 sections 4.1.4 and 4.1.5).
        let skew = self.provider.clock_skew;
        if let Some(expires_at) = date(&claims, "exp", Rejected::Expired)?.filter(|expires_at| now >= expires_at.after(skew)) {
            return Err(Rejected::Expired.because(apart("exp", expires_at, now, skew)));
        }
        if let Some(not_before) = date(&claims, "nbf", Rejected::NotBefore)?.filter(|not_before| *not_before > now.after(skew)) {
            return Err(Rejected::NotBefore.because(apart("nbf", not_before, now, skew)));
        }
        told(claims, self.token).map_err(|fault| Rejected::Subject.because(fault))
    }
}

/// A signed response that is not accepted, as an error of this endpoint.
pub fn rejected(rejection: &Rejection, provider: &Provider) -> Error {
    outbound::unacceptable(&provider.name, Endpoint::Userinfo, format!("the signed response is rejected: {rejection}"))
}

/// What the userinfo endpoint says of the subject of an ID token. Made by [`parse`] and
/// [`UserinfoVerifier::verify`] only.
#[derive(Debug)]
pub struct Told(Map<String, Value>);

/// The claims of the ID token, completed by those of the userinfo endpoint:
///
/// 1. What the ID token says stands: it is signed.
/// 2. How, when, with whom and for whom somebody logged in is the ID token's to say; from here it is not taken.
/// 3. A verdict (`email_verified`, any other `…_verified`) counts for the value that it came with. The two are taken from
///    one of the sources: the ID token when it has the value; else from here. When both have the very same value and only
///    this one has verdicts on it, these count.
pub fn complete(token: VerifiedIdToken, told: Told) -> Identity {
    let mut identity = token.into_identity();
    identity.claims = joined(identity.claims.whole(), told.0).into();
    identity
}

/// Claims about the login rather than the person. Some decide who is admitted ([`Provider::admits`]).
const OF_THE_LOGIN: [&str; 17] = [
    "acr",
    "amr",
    "at_hash",
    "aud",
    "auth_time",
    "azp",
    "c_hash",
    "exp",
    "hd",
    "iat",
    "iss",
    "jti",
    "nbf",
    "nonce",
    "s_hash",
    "sid",
    "tid",
];

fn joined(signed: &Map<String, Value>, told: Map<String, Value>) -> Map<String, Value> {
    let judged_by_token: BTreeSet<&str> = signed.keys().filter_map(|name| judged(name)).collect();
    // Whether a verdict of one source is about the value that the claims will have.
    let stands = |name: &str| judged(name).is_none_or(|subject| signed.contains_key(subject) || !told.contains_key(subject));
    let completes = |name: &str| match judged(name) {
        Some(subject) => match (signed.get(subject), told.get(subject)) {
            (None, _) => true,
            (Some(value), same) => same == Some(value) && !judged_by_token.contains(subject),
        },
        None => !OF_THE_LOGIN.contains(&name),
    };
    let of_token = signed.iter().filter(|(name, _)| stands(name)).map(|(name, value)| (name.clone(), value.clone()));
    let mut joined: Map<String, Value> = of_token.collect();
    for (name, value) in &told {
        if completes(name) && !joined.contains_key(name) {
            joined.insert(name.clone(), value.clone());
        }
    }
    joined
}

/// The claim that a claim of this name is a verdict on.
fn judged(name: &str) -> Option<&str> {
    match name {
        // Entra's, and Google's older one.
        "xms_edov" | "verified_email" => Some("email"),
        _ => name.strip_suffix("_verified").filter(|subject| !subject.is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::select;
    use serde_json::json;

    use super::*;

    const VERDICTS: [&str; 3] = ["email_verified", "xms_edov", "verified_email"];

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    #[test]
    fn a_verdict_counts_for_the_value_that_it_came_with() {
        let (mine, other) = ("a@x.example", "b@x.example");
        for (signed, told, expected) in [
            // The address is here, its verdict there.
            (
                json!({"email_verified": true}),
                json!({"email": other, "email_verified": false}),
                json!({"email": other, "email_verified": false}),
            ),
            (json!({"email_verified": true}), json!({"email": other}), json!({"email": other})),
            (json!({"xms_edov": true}), json!({"email": other}), json!({"email": other})),
            (json!({"email": mine}), json!({"email_verified": true}), json!({"email": mine})),
            (json!({"email": mine}), json!({"email": other, "email_verified": true}), json!({"email": mine})),
            (json!({"email": mine}), json!({"email": other, "email_verified": false}), json!({"email": mine})),
            (json!({"email": mine}), json!({"email": "A@x.example", "xms_edov": 1}), json!({"email": mine})),
            (json!({"email": mine}), json!({"email": "a@x.example ", "email_verified": true}), json!({"email": mine})),
            (json!({"email": mine}), json!({"email": [mine], "email_verified": true}), json!({"email": mine})),
            (json!({"email": null}), json!({"email": mine, "email_verified": true}), json!({"email": null})),
            (
                json!({"email": mine, "email_verified": false}),
                json!({"email": mine, "email_verified": true}),
                json!({"email": mine, "email_verified": false}),
            ),
            (
                json!({"email": mine, "email_verified": false}),
                json!({"email": mine, "xms_edov": true}),
                json!({"email": mine, "email_verified": false}),
            ),
            // One source says both.
            (
                json!({"email_verified": false}),
                json!({"email": mine, "email_verified": true}),
                json!({"email": mine, "email_verified": true}),
            ),
            (json!({"email": mine}), json!({"email": mine, "email_verified": true}), json!({"email": mine, "email_verified": true})),
            (json!({"email": mine}), json!({"email": mine, "email_verified": false}), json!({"email": mine, "email_verified": false})),
            (
                json!({"email": mine, "email_verified": true}),
                json!({"email": other, "email_verified": false}),
                json!({"email": mine, "email_verified": true}),
            ),
            // The same of everything that is verified.
            (json!({"phone_number_verified": true}), json!({"phone_number": "+1"}), json!({"phone_number": "+1"})),
            (json!({"phone_number": "+1"}), json!({"phone_number": "+2", "phone_number_verified": true}), json!({"phone_number": "+1"})),
            (json!({"a": 1}), json!({"a": 2, "a_verified": true}), json!({"a": 1})),
            // A claim that only looks like a verdict.
            (json!({}), json!({"age_verified": true, "_verified": 1}), json!({"age_verified": true, "_verified": 1})),
            (json!({"age_verified": false}), json!({"age_verified": true}), json!({"age_verified": false})),
        ] {
            assert_eq!(Value::Object(joined(&claims(signed.clone()), claims(told.clone()))), expected, "{signed} {told}");
        }
    }

    #[test]
    fn what_is_the_tokens_to_say_is_not_taken_from_userinfo() {
        for name in OF_THE_LOGIN {
            let told = claims(json!({ name: "told", "locale": "de" }));
            assert_eq!(Value::Object(joined(&Map::new(), told.clone())), json!({"locale": "de"}), "{name}");
            assert_eq!(joined(&claims(json!({ name: "signed" })), told)[name], "signed");
        }
    }

    fn source() -> impl Strategy<Value = Map<String, Value>> {
        let address = select(vec![
            None,
            Some(json!("a@x")),
            Some(json!("A@x")),
            Some(json!(" a@x")),
            Some(json!("b@x")),
            Some(json!(["a@x"])),
            Some(json!(null)),
            Some(json!(1)),
        ]);
        let verdict =
            || select(vec![None, None, Some(json!(true)), Some(json!(false)), Some(json!("true")), Some(json!(null)), Some(json!([true]))]);
        (address, verdict(), verdict(), verdict()).prop_map(|(address, one, two, three)| {
            let pairs = [("email", address), (VERDICTS[0], one), (VERDICTS[1], two), (VERDICTS[2], three)];
            pairs.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        })
    }

    proptest! {
        #[test]
        fn address_and_verdicts_are_all_of_one_source(signed in source(), told in source()) {
            let joined = joined(&signed, told.clone());
            if let Some(email) = joined.get("email") {
                let verdicts = |claims: &Map<String, Value>| VERDICTS.map(|name| claims.get(name).cloned());
                let said = |source: &Map<String, Value>| source.get("email") == Some(email) && verdicts(source) == verdicts(&joined);
                prop_assert!(said(&signed) || said(&told), "{joined:?}");
            }
            if let Some(email) = signed.get("email") {
                prop_assert_eq!(joined.get("email"), Some(email));
            }
        }
    }
}
