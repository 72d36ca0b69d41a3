//! Misbehaviour on request: what a broken or hostile provider does.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

/// Changes a JSON object before it is signed or sent.
pub type Edit = Box<dyn Fn(&mut Map<String, Value>) + Send + Sync>;

/// What the provider does wrong; all of it off by default.
#[derive(Default)]
pub struct Script {
    /// Every request is answered 503.
    pub offline: bool,
    /// Every answer comes this much later.
    pub latency: Duration,

    /// Discovery states this issuer instead of the true one.
    pub discovery_issuer: Option<String>,
    /// Changes the provider metadata; runs after `discovery_issuer`.
    pub edit_metadata: Option<Edit>,
    /// Changes the JWK Set.
    pub edit_jwks: Option<Edit>,

    /// What becomes of the `iss` parameter of authorization responses (RFC 9207).
    pub response_issuer: ResponseIssuer,

    /// The token endpoint answers this HTTP status, with the error `temporarily_unavailable`. The code is not spent.
    pub token_status: Option<u16>,
    /// Clients that do not authenticate with `client_secret_basic` are refused.
    pub basic_only: bool,
    /// Changes the token response.
    pub edit_token_response: Option<Edit>,

    /// The `at_hash` is that of another access token.
    pub wrong_at_hash: bool,
    /// Changes the claims of the ID token before it is signed, `at_hash` included.
    pub edit_id_token: Option<Edit>,
    /// The header of the ID token has no `kid`.
    pub omit_kid: bool,
    /// The `typ` in the header of the ID token instead of `JWT`.
    pub id_token_type: Option<String>,
    /// One bit of the signature is flipped.
    pub break_signature: bool,
    /// Replaces the finished ID token: for `alg` none and whatever else a signer would not do.
    pub replace_id_token: Option<Box<dyn Fn(String) -> String + Send + Sync>>,

    /// Changes the answer of the userinfo endpoint.
    pub edit_userinfo: Option<Edit>,
}

/// The `iss` parameter of an authorization response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum ResponseIssuer {
    #[default]
    True,
    Omitted,
    Replaced(String),
}

/// The shared, mutable script of one provider. Clones write the same script.
#[derive(Clone, Default)]
pub struct Faults(Arc<Mutex<Script>>);

impl Faults {
    /// Changes the script, from the next request on: `faults.script(|it| it.omit_kid = true)`.
    pub fn script(&self, change: impl FnOnce(&mut Script)) {
        self.with(change);
    }

    /// Good behaviour from here on.
    pub fn clear(&self) {
        self.with(|script| *script = Script::default());
    }

    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut Script) -> T) -> T {
        // A panic in a test's closure says nothing about the script itself.
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faults")
    }
}
