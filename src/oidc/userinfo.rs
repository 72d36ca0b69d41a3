//! The userinfo request and response (OIDC Core section 5.3).

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use url::Url;

use super::error::{Endpoint, Error};
use super::id_token::{Identity, VerifiedIdToken};
use super::outbound;
use crate::oidc::provider::Provider;
use crate::secret::Secret;
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};

const MAX_BYTES: u32 = 256 * 1024;

pub fn request(endpoint: &Url, access_token: &Secret) -> OutboundRequest {
    let mut request = outbound::get_json(endpoint.clone(), MAX_BYTES);
    let bearer = format!("Bearer {}", access_token.expose());
    request.headers.push(("authorization".to_owned(), bearer.into_bytes()));
    request
}

/// Parses the answer to [`request`]: what is told of the person of this ID token.
///
/// # Errors
/// When there is no answer, and when its `sub` is not the ID token's (section 5.3.2: then none of it may be used).
pub fn parse(answer: Result<OutboundResponse, OutboundError>, token: &VerifiedIdToken, provider: &Provider) -> Result<Told, Error> {
    let body = outbound::success(answer, MAX_BYTES, &provider.name, Endpoint::Userinfo)?;
    let fault = |text: String| outbound::unacceptable(&provider.name, Endpoint::Userinfo, text);
    let claims = outbound::members(&body).map_err(|_| fault("not a JSON object, or one with a member twice".into()))?;
    match claims.get("sub").and_then(Value::as_str) {
        None => Err(fault("it has no `sub`".into())),
        Some(sub) if sub == token.subject() => Ok(Told(claims)),
        // Who it is stays out of the log.
        Some(_) => Err(fault("its `sub` is not the ID token's".into())),
    }
}

/// What the userinfo endpoint says of the subject of an ID token. Made by [`parse`] only.
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
