//! What an instance remembers of providers. Only a cache: an instance without it asks again.
//!
//! 1. An answer is used for `FRESH`; then the provider is asked again. When it is down, the old answer serves until it is
//!    `STALE`. An answer that is there but wrong, such as another issuer, is an error, and what was said before is forgotten.
//! 2. After a failure the provider is left alone for `PAUSE`. A login in the meantime gets what is known, or that failure.
//! 3. What does not fit its use any more is asked for again, once in `REFETCH_FLOOR`, however many logins need it: keys, when
//!    a `kid` is unknown or a signature is of none of them; metadata, when an endpoint has gone. A login that comes while
//!    that request is under way asks as well, instead of failing.
//! 4. What a provider has been found to take is remembered: how it reads client credentials.
//! 5. An entry that a clock put into the future counts as none. Two decisions that find nothing at the same time both ask.

use std::collections::BTreeMap;
use std::time::Duration;

use url::Url;

use super::error::Failure;
use super::jwks::KeySet;
use super::metadata::ProviderMetadata;
use super::token::CredentialForm;
use crate::time::UnixTime;

/// How long an answer is used without asking again.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// How long an answer may serve when the provider does not answer any more.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// After a failure the provider is left alone for this long; a login in the meantime gets the same failure.
const PAUSE: Duration = Duration::from_secs(3);

/// What was fetched and does not fit is asked for again, but no more often than this.
const REFETCH_FLOOR: Duration = Duration::from_secs(10);

/// Metadata by the configuration's name for the provider, because what is made of a document depends on who asked;
/// keys by their URL together with the issuer they sign for: never trusted across issuers.
#[derive(Debug, Default)]
pub struct ProviderCache {
    metadata: BTreeMap<String, Entry<ProviderMetadata>>,
    keys: BTreeMap<(String, Url), Entry<KeySet>>,
    habits: BTreeMap<String, Habits>,
}

/// What a provider has been found to take, by the configuration's name for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// How it reads client credentials.
    pub credentials: CredentialForm,
}

#[derive(Debug)]
struct Entry<T> {
    value: Option<(T, UnixTime)>,
    failed_at: Option<UnixTime>,
    refetch: Floor,
    second_refetch: Floor,
}

/// Of requests that are repeated.
#[derive(Debug, Default)]
struct Floor {
    asked_at: Option<UnixTime>,
    is_answered: bool,
}

impl<T> Default for Entry<T> {
    fn default() -> Self {
        Self { value: None, failed_at: None, refetch: Floor::default(), second_refetch: Floor::default() }
    }
}

/// What the cache has.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<T> {
    /// Use it.
    Fresh(T),
    /// Ask the provider.
    Fetch,
    /// The provider failed a moment ago; this is what it said before, if anything and if not too old.
    Paused(Option<T>),
}

impl ProviderCache {
    pub fn metadata(&self, provider: &str, now: UnixTime) -> Lookup<ProviderMetadata> {
        self.metadata.get(provider).map_or(Lookup::Fetch, |entry| entry.look_up(now))
    }

    pub fn store_metadata(&mut self, provider: &str, metadata: ProviderMetadata, now: UnixTime) {
        self.metadata.entry(provider.to_owned()).or_default().store(metadata, now);
    }

    /// Notes the failure; returns what can be served in its place.
    pub fn metadata_failed(&mut self, provider: &str, failure: Failure, now: UnixTime) -> Option<ProviderMetadata> {
        self.metadata.entry(provider.to_owned()).or_default().fail(failure, now)
    }

    /// Whether an endpoint that has gone may make us ask for the metadata again now; the answer counts as the asking.
    pub fn may_refetch_metadata(&mut self, provider: &str, now: UnixTime) -> bool {
        self.metadata.entry(provider.to_owned()).or_default().refetch.admits(now)
    }

    pub fn habits(&self, provider: &str) -> Habits {
        self.habits.get(provider).copied().unwrap_or_default()
    }

    pub fn habits_mut(&mut self, provider: &str) -> &mut Habits {
        self.habits.entry(provider.to_owned()).or_default()
    }

    pub fn keys(&self, issuer: &str, jwks_uri: &Url, now: UnixTime) -> Lookup<KeySet> {
        self.keys.get(&(issuer.to_owned(), jwks_uri.clone())).map_or(Lookup::Fetch, |entry| entry.look_up(now))
    }

    pub fn store_keys(&mut self, issuer: &str, jwks_uri: &Url, keys: KeySet, now: UnixTime) {
        self.keys.entry((issuer.to_owned(), jwks_uri.clone())).or_default().store(keys, now);
    }

    /// Notes the failure; returns what can be served in its place.
    pub fn keys_failed(&mut self, issuer: &str, jwks_uri: &Url, failure: Failure, now: UnixTime) -> Option<KeySet> {
        self.keys.entry((issuer.to_owned(), jwks_uri.clone())).or_default().fail(failure, now)
    }

    /// Whether keys that do not fit may make us ask for them again now; the answer counts as the asking.
    pub fn may_refetch_keys(&mut self, issuer: &str, jwks_uri: &Url, now: UnixTime) -> bool {
        self.keys.entry((issuer.to_owned(), jwks_uri.clone())).or_default().refetch.admits(now)
    }

    /// The same for keys that were fetched for this very login, and lag behind the token.
    pub fn may_refetch_keys_twice(&mut self, issuer: &str, jwks_uri: &Url, now: UnixTime) -> bool {
        self.keys.entry((issuer.to_owned(), jwks_uri.clone())).or_default().second_refetch.admits(now)
    }
}

impl Floor {
    fn admits(&mut self, now: UnixTime) -> bool {
        let too_soon = self.is_answered && self.asked_at.is_some_and(|at| is_within(at, REFETCH_FLOOR, now));
        if !too_soon {
            *self = Self { asked_at: Some(now), is_answered: false };
        }
        !too_soon
    }
}

impl<T: Clone> Entry<T> {
    fn look_up(&self, now: UnixTime) -> Lookup<T> {
        if let Some((value, at)) = &self.value
            && is_within(*at, FRESH, now)
        {
            return Lookup::Fresh(value.clone());
        }
        match self.failed_at {
            Some(at) if is_within(at, PAUSE, now) => Lookup::Paused(self.not_too_old(now)),
            _ => Lookup::Fetch,
        }
    }

    fn store(&mut self, value: T, now: UnixTime) {
        self.value = Some((value, now));
        self.failed_at = None;
        self.answered();
    }

    fn fail(&mut self, failure: Failure, now: UnixTime) -> Option<T> {
        self.failed_at = Some(now);
        self.answered();
        if failure == Failure::Unacceptable {
            self.value = None;
        }
        self.not_too_old(now)
    }

    fn answered(&mut self) {
        self.refetch.is_answered = true;
        self.second_refetch.is_answered = true;
    }

    fn not_too_old(&self, now: UnixTime) -> Option<T> {
        let (value, at) = self.value.as_ref()?;
        is_within(*at, STALE, now).then(|| value.clone())
    }
}

/// Whether `at` is less than `span` ago. What a clock that has been set back puts into the future is over at once.
fn is_within(at: UnixTime, span: Duration, now: UnixTime) -> bool {
    at <= now && now.since(at) < span
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(1_000_000 + secs)
    }

    #[test]
    fn answers_age_from_fresh_through_stale_to_useless() {
        let mut entry = Entry::default();
        entry.store(7, at(0));
        assert_eq!(entry.look_up(at(FRESH.as_secs() - 1)), Lookup::Fresh(7));
        assert_eq!(entry.look_up(at(FRESH.as_secs())), Lookup::Fetch);
        assert_eq!(entry.fail(Failure::Unavailable, at(FRESH.as_secs())), Some(7));
        assert_eq!(entry.look_up(at(FRESH.as_secs() + 1)), Lookup::Paused(Some(7)));
        assert_eq!(entry.look_up(at(FRESH.as_secs() + PAUSE.as_secs())), Lookup::Fetch);
        assert_eq!(entry.fail(Failure::Unavailable, at(STALE.as_secs())), None);
        entry.store(8, at(STALE.as_secs()));
        assert_eq!(entry.look_up(at(STALE.as_secs())), Lookup::Fresh(8));
        assert_eq!(entry.fail(Failure::Unacceptable, at(STALE.as_secs())), None);
        assert_eq!(entry.look_up(at(STALE.as_secs() + 1)), Lookup::Paused(None));
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_nothing_behind() {
        let mut entry = Entry::default();
        entry.store(7, at(1_000_000));
        assert_eq!(entry.look_up(at(0)), Lookup::Fetch);
        assert_eq!(entry.fail(Failure::Unavailable, at(1_000_000)), Some(7));
        assert_eq!(entry.look_up(at(0)), Lookup::Fetch);
    }

    #[test]
    fn keys_are_refetched_once_and_then_not_for_a_while() {
        let (mut cache, uri) = (ProviderCache::default(), Url::parse("https://op.example/jwks").unwrap());
        let (issuer, floor) = ("https://op.example", REFETCH_FLOOR.as_secs());
        assert!(cache.may_refetch_keys(issuer, &uri, at(0)));
        assert!(cache.may_refetch_keys(issuer, &uri, at(1)), "the answer is not there yet");
        cache.store_keys(issuer, &uri, KeySet::default(), at(2));
        assert!(!cache.may_refetch_keys(issuer, &uri, at(2)));
        assert!(cache.may_refetch_keys_twice(issuer, &uri, at(2)), "once more, for a login that has got an answer that lags");
        cache.store_keys(issuer, &uri, KeySet::default(), at(3));
        assert!(!cache.may_refetch_keys_twice(issuer, &uri, at(3)));
        assert!(cache.may_refetch_keys("https://other.example", &uri, at(1)), "issuers do not hold each other up");
        assert!(!cache.may_refetch_keys(issuer, &uri, at(floor)), "the second of those that asked at once asked last");
        assert!(cache.may_refetch_keys(issuer, &uri, at(1 + floor)));
        cache.keys_failed(issuer, &uri, Failure::Unavailable, at(2 + floor));
        assert!(!cache.may_refetch_keys(issuer, &uri, at(2 + floor)), "no answer is one");
    }
}
