//! Sessions that need no memory: everything is in cookies that only we can open.
//!
//! ```text
//!  cookie_secret ──HKDF──► one key per purpose ──XChaCha20-Poly1305──► envelope ──► one cookie, or several chunks
//! ```
//!
//! A sealed value opens only under the purpose it was sealed for, with one of the configured secrets, for the same
//! `redirect_uri`. There is one answer to everything else: no session.

mod attempt;
mod ended;
mod ended_store;
mod envelope;
mod freshness;
mod jar;
mod kept_token;
mod login_session;
mod new_attempt;
mod older_session;
mod pending;
mod refresh_token;
mod slot;
mod store_request;
mod tokens;
mod way_back;

use std::sync::Arc;
use std::time::Duration;

/// How long a session lives.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    /// From the login, whatever happens after it.
    pub max_age: Duration,
    /// From the last request; `None` for no such limit.
    pub idle_timeout: Option<Duration>,
}

/// Which tokens the application may see.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExposeTokens {
    pub id: bool,
    pub access: bool,
}

impl ExposeTokens {
    pub(crate) const ID: Self = Self { id: true, access: false };
    pub(crate) const ACCESS: Self = Self { id: false, access: true };
}

/// What sessions and login attempts go by.
#[derive(Debug)]
pub struct SessionSettings {
    pub lifetime: Lifetime,
    pub expose_tokens: ExposeTokens,
    /// `None`: no token is refreshed, and no account validated.
    pub refresh: Option<RefreshSettings>,
    /// Names of claims and JSON pointers that decisions ask for, beside those of the login flow.
    pub near_claims: Vec<String>,
    pub(crate) keys: KeyRing,
    pub(crate) cookie_names: Arc<CookieNames>,
}

/// How far the clocks of two nodes may be apart.
pub(crate) const CLOCK_DIFFERENCE: Duration = Duration::from_secs(120);

pub use attempt::LoginAttempt;
pub(crate) use ended::is_spent;
pub use ended::{Ended, EndedName, EndedWhat, NothingEnded, account_name};
pub use ended_store::EntryKey;
pub(crate) use ended_store::list_name;
pub use envelope::{KeyRing, Opened, Purpose, Version};
pub use freshness::{Due, FreshTokens, OnOutage, RefreshSettings};
pub use jar::{CookieJar, CookieNames, CookieWriter, MAX_ATTEMPT_BYTES, MAX_REFRESH_TOKEN_BYTES, MAX_SESSION_BYTES, MAX_TOKENS_BYTES};
pub(crate) use jar::{cookie_pairs, is_joined_by_commas};
pub use login_session::{Sealed, Session};
pub use new_attempt::{NewAttempt, Place, Wanted};
pub use pending::{MAX_PENDING_BYTES, PendingAttempts};
pub use refresh_token::RefreshToken;
pub use store_request::{Claim, Claimed, StoreRequest};
pub use tokens::Tokens;
pub use way_back::WayBack;
