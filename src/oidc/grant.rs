//! What a callback comes to once it has been matched with the login that it belongs to.

use super::authorization::AuthorizationCode;
use super::metadata::ProviderMetadata;
use crate::secret::Secret;
use crate::time::UnixTime;

/// What makes the token request possible: a code that came back to the login it belongs to.
#[derive(Debug)]
pub struct AuthorizationGrant {
    pub code: AuthorizationCode,
    pub code_verifier: Secret,
    pub nonce: Secret,
    pub metadata: ProviderMetadata,
    pub provider: String,
    /// When the authorization request was made.
    pub started_at: UnixTime,
    /// Parsed again on use, because the public origin may have changed.
    pub return_to: String,
}

impl AuthorizationGrant {
    /// What is sent for it, and shown to nobody.
    pub fn secrets(&self) -> [&Secret; 2] {
        [&self.code.0, &self.code_verifier]
    }
}
