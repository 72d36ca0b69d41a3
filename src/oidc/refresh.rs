//! The refresh request and response (RFC 6749 section 6, OIDC Core section 12).
//!
//! **The request** is the same, byte for byte, for the same refresh token: a host can answer equal ones with one exchange, so that
//! no provider sees a token twice that it issues for one use (RFC 9700 section 4.14.2).
//!
//! **The ID token** of a response is verified as that of a login is (`id_token.rs`), and belongs to that login by section 12.2:
//!
//! 1. `iss`, `sub`, `aud` and `azp` are those of the login's ID token; `azp` is absent where it was.
//! 2. `auth_time` and `nonce`, where they are there, are those of the login's ID token.
//! 3. `iat` is the time at which it was issued.
//!
//! A response without an ID token says nothing of the account.

use std::time::Duration;

use serde_json::{Map, Value};
use url::form_urlencoded;

use super::error::{Error, Rejected, Rejection};
use super::jws::quoted;
use super::metadata::ProviderMetadata;
use super::token::{self, CredentialForm, Issued};
use crate::oidc::provider::Provider;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::web::http::{OutboundError, OutboundRequest, OutboundResponse};

/// How long equal requests get the same answer: longer than the requests of one page, and those that a browser repeats after
/// it has dropped an answer, are apart.
pub const SHARED_FOR: Duration = Duration::from_secs(60);

pub fn request(refresh_token: &Secret, metadata: &ProviderMetadata, provider: &Provider, credentials: CredentialForm) -> OutboundRequest {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "refresh_token").append_pair("refresh_token", refresh_token.expose());
    let request = token::authenticated(form, metadata, provider, credentials);
    OutboundRequest { shared_for_ms: u32::try_from(SHARED_FOR.as_millis()).ok(), ..request }
}

/// A successful response. Nothing in it is verified yet.
#[derive(Debug)]
pub struct RefreshResponse {
    pub id_token: Option<Secret>,
    pub access_token: Secret,
    /// `None`: the one that was sent stays in use (RFC 6749 section 6).
    pub refresh_token: Option<Secret>,
    /// Of the access token, from its issue on; `None` where it is not stated.
    pub lifetime: Option<Duration>,
    /// How long ago it was made: an answer that is shared may be older than its request. At most [`SHARED_FOR`].
    pub age: Duration,
}

/// Why there is no response to use.
#[derive(Debug)]
pub enum Refused {
    /// `invalid_grant`: the provider does not accept the refresh token any more (RFC 6749 section 5.2).
    Disowned,
    /// Anything else. It says nothing of the account.
    Failed(Error),
}

impl RefreshResponse {
    /// Parses the answer to [`request`].
    ///
    /// # Errors
    /// [`Refused`].
    pub fn parse(answer: Result<OutboundResponse, OutboundError>, provider: &Provider, refresh_token: &Secret) -> Result<Self, Refused> {
        if token::error_code(&answer).is_some_and(|code| code == "invalid_grant") {
            return Err(Refused::Disowned);
        }
        let age = answer.as_ref().map_or(Duration::ZERO, age);
        let issued = token::issued(answer, provider, &[refresh_token]).map_err(Refused::Failed)?;
        let Issued { id_token, access_token, refresh_token, lifetime } = issued;
        Ok(Self { id_token, access_token, refresh_token, lifetime, age })
    }
}

/// What `Age` says (RFC 9111 section 5.1).
fn age(answer: &OutboundResponse) -> Duration {
    let ages = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("age"));
    let seconds = ages.filter_map(|(_, value)| std::str::from_utf8(value).ok()?.trim().parse().ok());
    Duration::from_secs(seconds.max().unwrap_or(0)).min(SHARED_FOR)
}

/// Matches the claims of a refreshed ID token with those of the login's (section 12.2).
pub(super) fn match_login(refreshed: &Map<String, Value>, login: &Map<String, Value>) -> Result<(), Rejection> {
    // Who it is stays out of the log.
    let told = |claims: &Map<String, Value>, name: &str| match claims.get(name) {
        None => "absent".to_owned(),
        Some(_) if name == "sub" => "another one".to_owned(),
        Some(value) => quoted(value),
    };
    let other = |reason: Rejected, name: &str| {
        let (now, then) = (told(refreshed, name), told(login, name));
        let then = if name == "sub" { String::new() } else { format!(", and was {then}") };
        Err(reason.because(format!("its `{name}` is not that of the login's ID token: it is {now}{then}")))
    };
    for (name, reason) in [("iss", Rejected::Issuer), ("sub", Rejected::Subject), ("azp", Rejected::AuthorizedParty)] {
        if refreshed.get(name) != login.get(name) {
            return other(reason, name);
        }
    }
    if audiences(refreshed) != audiences(login) {
        return other(Rejected::Audience, "aud");
    }
    let auth_time = |claims: &Map<String, Value>| claims.get("auth_time").map(UnixTime::from_numeric_date);
    if let (Some(refreshed), Some(login)) = (auth_time(refreshed), auth_time(login))
        && (refreshed.is_none() || refreshed != login)
    {
        return other(Rejected::AuthenticationTime, "auth_time");
    }
    match refreshed.get("nonce") {
        Some(nonce) if login.get("nonce") != Some(nonce) => Err(Rejected::Nonce.because("its `nonce` is not that of the login's ID token")),
        _ => Ok(()),
    }
}

/// One text, or the texts of a list in any order.
fn audiences(claims: &Map<String, Value>) -> Vec<&str> {
    let mut audiences: Vec<_> = match claims.get("aud") {
        Some(Value::Array(audiences)) => audiences.iter().filter_map(Value::as_str).collect(),
        one => one.and_then(Value::as_str).into_iter().collect(),
    };
    audiences.sort_unstable();
    audiences.dedup();
    audiences
}

/// Claims about the login and its ID token rather than the account: a session keeps those of its login. So the claims of a
/// session change when the account does, and not with every token.
const OF_THE_LOGIN: [&str; 16] =
    ["acr", "aio", "amr", "at_hash", "aud", "auth_time", "azp", "c_hash", "exp", "iat", "jti", "nbf", "nonce", "rh", "s_hash", "uti"];

/// The claims of a refreshed ID token, with those of the login where it is the login that they are about.
pub(super) fn with_those_of_the_login(mut refreshed: Map<String, Value>, login: &Map<String, Value>) -> Map<String, Value> {
    for name in OF_THE_LOGIN {
        match login.get(name) {
            Some(value) => drop(refreshed.insert(name.to_owned(), value.clone())),
            None => drop(refreshed.remove(name)),
        }
    }
    // By this a provider ends its session: a refresh that does not repeat it must not take the session out of its reach.
    if let Some(sid) = login.get("sid").filter(|_| !refreshed.contains_key("sid")) {
        refreshed.insert("sid".to_owned(), sid.clone());
    }
    refreshed
}

/// What a person is called and looks like (OIDC Core section 5.1). Some providers say it at the login only.
const OF_THE_PROFILE: [&str; 12] = [
    "birthdate",
    "family_name",
    "gender",
    "given_name",
    "locale",
    "middle_name",
    "name",
    "nickname",
    "picture",
    "profile",
    "website",
    "zoneinfo",
];

/// What a session knows of a person, where the provider does not repeat it. `is_judged`: whether a rule asks for the claim of that
/// name; then it is absent when the provider does not say it.
pub fn with_the_profile(
    mut refreshed: Map<String, Value>,
    known: &Map<String, Value>,
    is_judged: impl Fn(&str) -> bool,
) -> Map<String, Value> {
    for name in OF_THE_PROFILE.into_iter().filter(|name| !is_judged(name)) {
        if let Some(value) = known.get(name).filter(|_| !refreshed.contains_key(name)) {
            refreshed.insert(name.to_owned(), value.clone());
        }
    }
    refreshed
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Map<String, Value> {
        value.as_object().cloned().unwrap_or_default()
    }

    fn changed(name: &str, value: Value) -> Map<String, Value> {
        let mut changed = login();
        match value {
            Value::Null => drop(changed.remove(name)),
            value => drop(changed.insert(name.to_owned(), value)),
        }
        changed
    }

    fn login() -> Map<String, Value> {
        claims(json!({
            "iss": "https://op.example", "sub": "alice", "aud": ["client-1", "api"], "azp": "client-1", "auth_time": 1_700_000_000,
            "nonce": "n", "iat": 1_700_000_001, "groups": ["a"],
        }))
    }

    #[test]
    fn an_id_token_of_a_refresh_belongs_to_its_login() {
        for (name, value, expected) in [
            ("iss", json!("https://op.example/"), Some(Rejected::Issuer)),
            ("iss", json!(null), Some(Rejected::Issuer)),
            ("sub", json!("Alice"), Some(Rejected::Subject)),
            ("sub", json!(null), Some(Rejected::Subject)),
            ("aud", json!(["api", "client-1"]), None),
            ("aud", json!(["api", "client-1", "client-1"]), None),
            ("aud", json!("client-1"), Some(Rejected::Audience)),
            ("aud", json!(["api", "client-1", "other"]), Some(Rejected::Audience)),
            ("azp", json!(null), Some(Rejected::AuthorizedParty)),
            ("azp", json!("api"), Some(Rejected::AuthorizedParty)),
            ("auth_time", json!(1_700_000_001), Some(Rejected::AuthenticationTime)),
            ("auth_time", json!(1_700_000_000.0), None),
            ("auth_time", json!("1700000000"), Some(Rejected::AuthenticationTime)),
            ("auth_time", json!(null), None),
            ("nonce", json!("m"), Some(Rejected::Nonce)),
            ("nonce", json!(null), None),
            ("iat", json!(1_700_003_600), None),
            ("groups", json!([]), None),
        ] {
            let matched = match_login(&changed(name, value.clone()), &login());
            assert_eq!(matched.err().map(|rejection| rejection.reason), expected, "{name} {value}");
        }
        let without_azp = changed("azp", json!(null));
        assert_eq!(match_login(&login(), &without_azp).unwrap_err().reason, Rejected::AuthorizedParty);
        let (one, list) = (changed("aud", json!("api")), changed("aud", json!(["api"])));
        assert_eq!(match_login(&one, &list), Ok(()));
    }

    #[test]
    fn a_session_changes_when_the_account_does_and_not_with_every_token() {
        let mut refreshed = changed("iat", json!(1_700_003_600));
        refreshed.remove("nonce");
        refreshed.remove("auth_time");
        refreshed.insert("at_hash".into(), json!("x"));
        refreshed.insert("acr".into(), json!("mfa"));
        assert_eq!(with_those_of_the_login(refreshed.clone(), &login()), login());
        refreshed.insert("groups".into(), json!([]));
        assert_eq!(with_those_of_the_login(refreshed.clone(), &login())["groups"], json!([]));
        let (mut with_sid, refreshed_sid) = (login(), changed("sid", json!("s-2")));
        with_sid.insert("sid".into(), json!("s-1"));
        assert_eq!(with_those_of_the_login(refreshed.clone(), &with_sid)["sid"], "s-1", "a provider can end it by its name still");
        assert_eq!(with_those_of_the_login(refreshed_sid, &with_sid)["sid"], "s-2");
        refreshed.remove("groups");
        assert!(!with_those_of_the_login(refreshed, &login()).contains_key("groups"));
    }

    #[test]
    fn the_profile_stays_unless_a_rule_asks_for_it() {
        let known = claims(json!({"name": "Alice", "locale": "de", "picture": "p", "groups": ["a"], "email": "a@x.example"}));
        let told = claims(json!({"sub": "alice", "picture": "q"}));
        let joined = with_the_profile(told, &known, |name| name == "locale");
        assert_eq!(Value::Object(joined), json!({"sub": "alice", "picture": "q", "name": "Alice"}));
    }
}
