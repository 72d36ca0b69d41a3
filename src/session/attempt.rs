//! One login on its way: what the callback must know, sealed in a cookie of its own.
//!
//! It is JSON in either version of the envelope, and never compressed. The callback finds it by the id in `state` and
//! compares the whole `state` in constant time. It is deleted by whatever answer comes first. Without a store, single use
//! rests on that deletion and on the provider, which takes a code once.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::envelope::{Opened, Purpose};
use super::jar::{CookieJar, CookieWriter, MAX_ATTEMPT_BYTES};
use super::{CLOCK_DIFFERENCE, SessionSettings};
use crate::entropy::{self, Entropy};
use crate::error::Error;
use crate::oidc::authorization::AuthorizationResponse;
use crate::oidc::error as oidc;
use crate::oidc::grant::AuthorizationGrant;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::Provider;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::web::return_to::ReturnTo;

/// How many logins one browser can have on their way. Each is a cookie of 1 to 3 KiB; the oldest makes room.
pub const MAX_PENDING_ATTEMPTS: usize = 5;

/// How many that log nobody in any more are kept for their way back.
const MAX_REMEMBERED: usize = 2;

/// How long a person may take at the provider: enough to find a second factor.
const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How long the page is remembered that the person was on their way to, for a provider's page that was left open.
const REMEMBERED: Duration = Duration::from_secs(4 * 60 * 60);

/// A login that was started in this browser and has not come back. Redeemed once: redeeming consumes it.
#[derive(Debug, Serialize, Deserialize)]
pub struct LoginAttempt {
    /// Part of the cookie's name and of `state`; finds the attempt, proves nothing.
    #[serde(skip)]
    id: String,
    #[serde(rename = "s")]
    state: Secret,
    #[serde(rename = "n")]
    nonce: Secret,
    #[serde(rename = "v")]
    code_verifier: Secret,
    #[serde(rename = "p")]
    provider: String,
    #[serde(rename = "c")]
    client_id: String,
    #[serde(rename = "r")]
    return_to: String,
    #[serde(rename = "t")]
    started_at: UnixTime,
    /// Whether the request had a `prompt` that can be left out where the provider does not know it.
    #[serde(rename = "q", default)]
    has_optional_prompt: bool,
    /// Where the metadata came from.
    #[serde(rename = "u")]
    metadata_tag: String,
    /// So that an instance that never asked the provider can finish the login.
    #[serde(rename = "m")]
    metadata: ProviderMetadata,
}

impl LoginAttempt {
    pub fn start(
        provider: &Provider,
        metadata: ProviderMetadata,
        return_to: &ReturnTo,
        has_optional_prompt: bool,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let id = entropy::token::<6>(entropy);
        Self {
            // 256 random bits behind the id: RFC 6749 section 10.10 asks for 160.
            state: Secret::new(format!("{id}.{}", entropy::token::<32>(entropy))),
            id,
            nonce: Secret::new(entropy::token::<32>(entropy)),
            // 43 characters, the shortest that RFC 7636 section 4.1 allows, with 256 random bits.
            code_verifier: Secret::new(entropy::token::<32>(entropy)),
            provider: provider.name.clone(),
            client_id: provider.client_id.clone(),
            return_to: return_to.as_str().to_owned(),
            started_at: now,
            has_optional_prompt,
            metadata_tag: provider.metadata_tag(),
            metadata,
        }
    }

    /// Puts the attempt into the browser, and takes out what has become useless: expired and unreadable ones, and the
    /// oldest beyond [`MAX_PENDING_ATTEMPTS`]. A page that is too long to be remembered beside all else is forgotten.
    ///
    /// # Errors
    /// [`Error::SessionTooLarge`] when it exceeds [`MAX_ATTEMPT_BYTES`] even so: browsers would drop it without a word.
    pub fn write(
        &mut self,
        jar: &CookieJar,
        cookies: &mut CookieWriter<'_>,
        settings: &SessionSettings,
        providers: &[Provider],
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> Result<(), Error> {
        let stale = Self::stale(jar, settings, providers, now, MAX_PENDING_ATTEMPTS - 1);
        stale.into_iter().for_each(|id| cookies.delete_attempt(id));

        let mut sealed = self.seal(settings, entropy);
        if sealed.len() > MAX_ATTEMPT_BYTES {
            // That is the first page.
            self.return_to = String::new();
            sealed = self.seal(settings, entropy);
        }
        if sealed.len() > MAX_ATTEMPT_BYTES {
            let what = format!("the metadata of provider `{}`", self.provider);
            return Err(Error::SessionTooLarge { what, bytes: sealed.len(), limit: MAX_ATTEMPT_BYTES });
        }
        cookies.set_attempt(&self.id, &sealed, REMEMBERED.as_secs());
        Ok(())
    }

    /// The attempt that a `state` belongs to.
    ///
    /// # Errors
    /// [`Error::UnknownState`] when this browser has none such: started elsewhere, used, expired or forged.
    pub fn find(jar: &CookieJar, state: &str, settings: &SessionSettings, providers: &[Provider], now: UnixTime) -> Result<Self, Error> {
        let (id, _) = state.split_once('.').ok_or(Error::UnknownState)?;
        let mut candidates = jar.attempts().filter(|(given, _)| *given == id);
        let (id, sealed) = candidates.next().filter(|_| candidates.next().is_none()).ok_or(Error::UnknownState)?;
        let attempt = Self::open(id, sealed, settings, providers, now).ok_or(Error::UnknownState)?;
        if attempt.state.matches(state) { Ok(attempt) } else { Err(Error::UnknownState) }
    }

    /// The page that the person of an attempt was on their way to, which has expired and logs nobody in any more; `None` where
    /// there is no such attempt.
    pub fn expired_way_back(
        jar: &CookieJar,
        state: &str,
        settings: &SessionSettings,
        providers: &[Provider],
        now: UnixTime,
    ) -> Option<String> {
        let (id, _) = state.split_once('.')?;
        let mut candidates = jar.attempts().filter(|(given, _)| *given == id);
        let (id, sealed) = candidates.next().filter(|_| candidates.next().is_none())?;
        let attempt = Self::open_within(REMEMBERED, id, sealed, settings, providers, now)?;
        attempt.state.matches(state).then_some(attempt.return_to)
    }

    /// Deletes those that are of no use to anybody after a login: all but a few that are still on their way, or remembered.
    pub fn delete_stale(
        jar: &CookieJar,
        cookies: &mut CookieWriter<'_>,
        settings: &SessionSettings,
        providers: &[Provider],
        now: UnixTime,
    ) {
        let stale = Self::stale(jar, settings, providers, now, MAX_PENDING_ATTEMPTS);
        stale.into_iter().for_each(|id| cookies.delete_attempt(id));
    }

    /// Ids of those that are to go: unreadable ones, of those that log nobody in any more all but the newest
    /// [`MAX_REMEMBERED`], and the oldest beyond `kept`.
    fn stale<'j>(jar: &'j CookieJar, settings: &SessionSettings, providers: &[Provider], now: UnixTime, kept: usize) -> Vec<&'j str> {
        let mut stale = vec![];
        let mut readable: Vec<(UnixTime, &str)> = vec![];
        for (id, sealed) in jar.attempts() {
            match Self::open_within(REMEMBERED, id, sealed, settings, providers, now) {
                Some(attempt) => readable.push((attempt.started_at, id)),
                None => stale.push(id),
            }
        }
        readable.sort();
        let is_expired = |started_at: UnixTime| now >= started_at.after(LIFETIME);
        let expired = readable.iter().filter(|(started_at, _)| is_expired(*started_at)).count();
        let surplus = expired.saturating_sub(MAX_REMEMBERED).max(readable.len().saturating_sub(kept));
        stale.extend(readable.iter().take(surplus).map(|(_, id)| *id));
        stale
    }

    /// All that this browser has on their way, the newest first.
    pub fn pending(jar: &CookieJar, settings: &SessionSettings, providers: &[Provider], now: UnixTime) -> Vec<Self> {
        let mut pending: Vec<_> = jar.attempts().filter_map(|(id, sealed)| Self::open(id, sealed, settings, providers, now)).collect();
        pending.sort_by_key(|attempt| std::cmp::Reverse(attempt.started_at));
        pending
    }

    /// Spends the attempt for an authorization grant.
    ///
    /// # Errors
    /// [`oidc::Error::IssuerParameter`] when the response does not come from the provider that was asked (RFC 9207 section
    /// 2.4), which is looked at before anything else in it; then whatever error the provider reported.
    pub fn redeem(self, response: AuthorizationResponse) -> Result<AuthorizationGrant, oidc::Error> {
        let issuer_matches = match response.iss() {
            Some(iss) => iss == self.metadata.issuer,
            None => !self.metadata.sends_iss,
        };
        if !issuer_matches {
            let given = response.iss().map_or_else(|| "none".to_owned(), |iss| format!("`{}`", oidc::shown(iss)));
            let expected = format!("`{}`", oidc::shown(&self.metadata.issuer));
            return Err(oidc::Error::IssuerParameter { provider: self.provider, given, expected });
        }
        let code = response.into_code()?;
        let Self { code_verifier, nonce, metadata, provider, return_to, started_at, .. } = self;
        Ok(AuthorizationGrant { code, code_verifier, nonce, metadata, provider, started_at, return_to })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn state(&self) -> &Secret {
        &self.state
    }

    pub fn nonce(&self) -> &Secret {
        &self.nonce
    }

    pub fn code_verifier(&self) -> &Secret {
        &self.code_verifier
    }

    pub fn return_to(&self) -> &str {
        &self.return_to
    }

    pub fn provider(&self) -> &str {
        &self.provider
    }

    pub fn has_optional_prompt(&self) -> bool {
        self.has_optional_prompt
    }

    fn seal(&self, settings: &SessionSettings, entropy: &mut dyn Entropy) -> String {
        // Strings and times: nothing in it can fail to become JSON.
        settings.keys.seal(Purpose::LoginAttempt, &serde_json::to_vec(self).unwrap_or_default(), entropy)
    }

    fn open(id: &str, sealed: &str, settings: &SessionSettings, providers: &[Provider], now: UnixTime) -> Option<Self> {
        Self::open_within(LIFETIME, id, sealed, settings, providers, now)
    }

    fn open_within(
        lifetime: Duration,
        id: &str,
        sealed: &str,
        settings: &SessionSettings,
        providers: &[Provider],
        now: UnixTime,
    ) -> Option<Self> {
        let Opened { plaintext, .. } = settings.keys.open(Purpose::LoginAttempt, sealed)?;
        let attempt = Self { id: id.to_owned(), ..serde_json::from_slice(&plaintext).ok()? };
        let provider = Provider::find(providers, &attempt.provider).filter(|provider| provider.client_id == attempt.client_id)?;
        // The provider of that name may have become another one since.
        let is_current =
            attempt.metadata_tag == provider.metadata_tag() && provider.expected_issuer.admits_metadata(&attempt.metadata.issuer);
        let in_time = now < attempt.started_at.after(lifetime) && attempt.started_at <= now.after(CLOCK_DIFFERENCE);
        (is_current && in_time).then_some(attempt)
    }
}
