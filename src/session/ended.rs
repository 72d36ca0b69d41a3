//! Sessions that end before their time: what a host is asked about them, and what a decision tells it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use super::attempt::LIFETIME;
use super::{CLOCK_DIFFERENCE, Lifetime};
use crate::time::UnixTime;

/// As unlikely to meet by chance as the id of a session.
pub(super) const NAME_BYTES: usize = 16;

/// By so much the clocks of the nodes, and the clock of a provider that is allowed no more, may differ when an account or a
/// session of a provider ends. A login that is requested in this time after the end counts as older than it.
pub(crate) const END_ALLOWANCE: Duration = Duration::from_secs(5);

pub(super) type Name = [u8; NAME_BYTES];

/// What is known of sessions beyond their cookies: which have ended before their time.
pub trait Ended {
    /// Whether the first of `names`, 16 bytes each, has ended at any time, or one of the others at or after `began_at`. Asked
    /// for every request that brings a session which is in force otherwise.
    fn ended(&self, names: &[u8], began_at: UnixTime) -> bool;

    /// Whether what a decision tells in `ended_sessions` is remembered. Where it is not, only cookies end sessions.
    fn remembers(&self) -> bool;
}

/// For hosts that remember nothing: a session ends by its cookies.
#[derive(Clone, Copy, Debug)]
pub struct NothingEnded;

impl Ended for NothingEnded {
    fn ended(&self, _: &[u8], _: UnixTime) -> bool {
        false
    }

    fn remembers(&self) -> bool {
        false
    }
}

/// What a name is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedWhat {
    /// One session; no other ever has its name.
    Session,
    /// Issuer and `sub`: every session of the account that began before.
    Account,
    /// Issuer and `sid` (OpenID Connect Back-Channel Logout 1.0 section 2.1): every session that began before.
    ProviderSession,
    /// A logout token, which is spent.
    LogoutToken,
}

/// Something that has ended, for the host to remember.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndedName {
    /// 16 bytes in base64url: 22 characters. A digest or random, and no secret.
    pub name: String,
    pub what: EndedWhat,
    /// When it ended.
    pub at: UnixTime,
    /// From when nothing depends on it any more: every session that it ends is over by itself, and a logout token has expired.
    pub until: UnixTime,
}

impl EndedName {
    /// A session that would be in force until `expires_at`.
    pub(super) fn session(name: &Name, at: UnixTime, expires_at: UnixTime) -> Self {
        Self { name: text(name), what: EndedWhat::Session, at, until: expires_at.after(CLOCK_DIFFERENCE) }
    }

    /// Every session of an account that began at `at` or before.
    pub(crate) fn account(issuer: &str, sub: &str, at: UnixTime, lifetime: &Lifetime) -> Self {
        Self::since(EndedWhat::Account, &account(issuer, sub), at, lifetime)
    }

    /// Every session of a provider's session that began at `at` or before.
    pub(crate) fn provider_session(issuer: &str, sid: &str, at: UnixTime, lifetime: &Lifetime) -> Self {
        Self::since(EndedWhat::ProviderSession, &provider_session(issuer, sid), at, lifetime)
    }

    pub(super) fn since(what: EndedWhat, name: &Name, at: UnixTime, lifetime: &Lifetime) -> Self {
        // The last login that it ends was requested at its end, took as long as a login may, and lasts as long as a session may.
        let until = at.after(END_ALLOWANCE).after(LIFETIME).after(lifetime.max_age).after(CLOCK_DIFFERENCE);
        Self { name: text(name), what, at, until }
    }

    /// A logout token that is accepted once, and would be until `until`.
    pub(crate) fn logout_token(issuer: &str, jti: &str, at: UnixTime, until: UnixTime) -> Self {
        Self { name: text(&logout_token(issuer, jti)), what: EndedWhat::LogoutToken, at, until }
    }
}

/// Whether a logout token is spent.
pub(crate) fn is_spent(ended: &dyn Ended, issuer: &str, jti: &str) -> bool {
    // The first name: it counts whenever that was.
    ended.ended(&logout_token(issuer, jti), UnixTime::from_secs(0))
}

/// The name of an account, as an [`EndedName`] has it.
pub fn account_name(issuer: &str, sub: &str) -> String {
    text(&account(issuer, sub))
}

pub(super) fn account(issuer: &str, sub: &str) -> Name {
    digest("account", &[issuer, sub])
}

pub(super) fn provider_session(issuer: &str, sid: &str) -> Name {
    digest("provider-session", &[issuer, sid])
}

fn logout_token(issuer: &str, jti: &str) -> Name {
    digest("logout-token", &[issuer, jti])
}

/// The first part of several is an issuer, a URL without NUL: so no two lists of parts are one.
pub(super) fn digest(what: &str, parts: &[&str]) -> Name {
    let mut digest = Sha256::new().chain_update("vestibule/1/").chain_update(what).chain_update("/");
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            digest.update([0]);
        }
        digest.update(part);
    }
    let mut name = [0; NAME_BYTES];
    name.copy_from_slice(&digest.finalize()[..NAME_BYTES]);
    name
}

pub(super) fn text(name: &Name) -> String {
    URL_SAFE_NO_PAD.encode(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixTime = UnixTime::from_secs(1_700_000_000);

    #[test]
    fn names_of_different_things_differ() {
        let (issuer, lifetime) = ("https://op.example", Lifetime { max_age: Duration::from_secs(60), idle_timeout: None });
        let names = [
            EndedName::account(issuer, "1", NOW, &lifetime).name,
            EndedName::account(issuer, "2", NOW, &lifetime).name,
            EndedName::account("https://op.example/1", "", NOW, &lifetime).name,
            EndedName::provider_session(issuer, "1", NOW, &lifetime).name,
            EndedName::logout_token(issuer, "1", NOW, NOW).name,
        ];
        for (index, name) in names.iter().enumerate() {
            assert_eq!(name.len(), 22);
            assert!(!names[..index].contains(name), "{index}");
        }
    }

    #[test]
    fn what_ends_an_account_is_kept_until_every_session_that_it_ends_is_over() {
        let max_age = Duration::from_secs(8 * 60 * 60);
        let entry = EndedName::account("https://op.example", "1", NOW, &Lifetime { max_age, idle_timeout: None });
        // Requested at the last moment that still counts, come back at the last moment, by a clock that is ahead.
        let last_session_ends = NOW.after(END_ALLOWANCE).after(LIFETIME).after(max_age).after(CLOCK_DIFFERENCE);
        assert_eq!((entry.at, entry.until), (NOW, last_session_ends));
    }
}
