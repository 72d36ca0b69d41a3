//! What an instance remembers of providers. Only a cache: an instance without it asks again.
//!
//! 1. An answer is used for `FRESH`; then the provider is asked again. When it is down, the old answer serves until it is
//!    `STALE`. An answer that is there but wrong, such as another issuer, is an error, and what was said before is forgotten.
//! 2. After a failure the provider is left alone for `PAUSE`. A login in the meantime gets what is known, or that failure.
//! 3. What does not fit its use any more is asked for again, once in `REFETCH_FLOOR`: keys, when
//!    a `kid` is unknown or a signature is of none of them; metadata, when an endpoint has gone. A login that comes while a
//!    question is under way asks as well (up to `MOST_TOGETHER`), instead of failing: a question of its own, because the answer to
//!    the other one may be older than its token. Hosts answer such questions together ([`OutboundRequest`](crate::web::http::OutboundRequest)).
//! 4. Answers may overtake each other: that to the latest question is kept. A login takes its own answer, and then what is kept.
//! 5. What a provider has been found to take is remembered: how it reads client credentials.
//! 6. Beside that it counts the logins that begin, so that those that begin at the same moment are kept in different cookies.
//! 7. An entry that a clock put into the future counts as none. Two decisions that find nothing at the same time both ask.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use url::Url;

use super::error::Failure;
use super::jwks::KeySet;
use super::metadata::ProviderMetadata;
use super::token::CredentialForm;
use crate::code::Code;
use crate::entropy::Entropy;
use crate::time::UnixTime;

/// How long an answer is used without asking again.
const FRESH: Duration = Duration::from_secs(60 * 60);

/// How long an answer may serve when the provider does not answer any more.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);

/// After a failure the provider is left alone for this long; a login in the meantime gets the same failure.
const PAUSE: Duration = Duration::from_secs(3);

/// What was fetched and does not fit is asked for again, but no more often than this.
const REFETCH_FLOOR: Duration = Duration::from_secs(10);

/// So many logins may ask for the same within [`REFETCH_FLOOR`], all but the first because another one's question is under way.
/// As many as a host has in flight on an instance, so that every one of them may wait for the answer, and no more: keys that lag for
/// long do not make every login ask.
const MOST_TOGETHER: u32 = 128;

/// A question that has no answer by now will get none: a request is given up after 10 s, and a decision may be dropped.
const UNDER_WAY: Duration = Duration::from_secs(10);

/// Metadata by the configuration's name for the provider, because what is made of a document depends on who asked;
/// keys by their URL together with the issuer they sign for: never trusted across issuers.
#[derive(Debug, Default)]
pub struct ProviderCache {
    metadata: BTreeMap<String, Entry<ProviderMetadata>>,
    keys: BTreeMap<(String, Url), Entry<KeySet>>,
    habits: BTreeMap<String, Habits>,
    /// When a token endpoint was last found to be unavailable for a refresh.
    refreshes_failed: BTreeMap<String, UnixTime>,
    /// What the log has been told, which is the same at every login.
    told: BTreeSet<Code>,
    /// How many times [`Self::turn`] was asked for.
    turns: Option<usize>,
}

/// What a provider has been found to take, by the configuration's name for it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// How it reads client credentials.
    pub credentials: CredentialForm,
}

/// A request for metadata, or for keys, that was made for this cache: the later, the greater.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Question(u64);

#[derive(Debug)]
struct Entry<T> {
    value: Option<(T, UnixTime)>,
    /// Whose answer says what is known, or that nothing is.
    known_by: Question,
    failed_at: Option<UnixTime>,
    /// The latest.
    asked: Question,
    asked_at: Option<UnixTime>,
    /// The latest of those that have been answered, be it by a failure.
    answered: Question,
    refetch: Floor,
    second_refetch: Floor,
    logout_refetch: Floor,
}

/// How often something may be asked for again.
#[derive(Debug, Default)]
struct Floor {
    /// Since when the latest [`REFETCH_FLOOR`] is counted.
    since: Option<UnixTime>,
    /// So many have asked since then.
    admitted: u32,
}

impl<T> Default for Entry<T> {
    fn default() -> Self {
        let none = Question::default();
        let (refetch, second_refetch, logout_refetch) = (Floor::default(), Floor::default(), Floor::default());
        let (value, failed_at, asked_at) = (None, None, None);
        Self { value, known_by: none, failed_at, asked: none, asked_at, answered: none, refetch, second_refetch, logout_refetch }
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
    /// A number that is one more at every call, from a random one on: where the cookie of a login has its place.
    pub fn turn(&mut self, entropy: &mut dyn Entropy) -> usize {
        let turn = self.turns.map_or_else(
            || {
                let mut first = [0];
                entropy.fill(&mut first);
                usize::from(first[0])
            },
            |turn| turn.wrapping_add(1),
        );
        self.turns = Some(turn);
        turn
    }

    pub fn metadata(&self, provider: &str, now: UnixTime) -> Lookup<ProviderMetadata> {
        self.metadata.get(provider).map_or(Lookup::Fetch, |entry| entry.look_up(now))
    }

    /// Metadata that was stored at `since` or later, and is fresh.
    pub fn metadata_since(&self, provider: &str, since: UnixTime, now: UnixTime) -> Option<ProviderMetadata> {
        let (value, at) = self.metadata.get(provider)?.value.as_ref()?;
        (*at >= since && is_within(*at, FRESH, now)).then(|| value.clone())
    }

    /// The metadata is asked for now.
    pub fn ask_for_metadata(&mut self, provider: &str, now: UnixTime) -> Question {
        self.metadata.entry(provider.to_owned()).or_default().ask(now)
    }

    pub fn store_metadata(&mut self, provider: &str, question: Question, metadata: ProviderMetadata, now: UnixTime) {
        self.metadata.entry(provider.to_owned()).or_default().store(question, metadata, now);
    }

    /// Notes the failure; returns what can be served in its place.
    pub fn metadata_failed(&mut self, provider: &str, question: Question, failure: Failure, now: UnixTime) -> Option<ProviderMetadata> {
        self.metadata.entry(provider.to_owned()).or_default().fail(question, failure, now)
    }

    /// Whether an endpoint that has gone may make us ask for the metadata again now; the answer counts as the asking.
    pub fn may_refetch_metadata(&mut self, provider: &str, now: UnixTime) -> bool {
        self.metadata.entry(provider.to_owned()).or_default().may_refetch(now)
    }

    /// The same for a logout token, which anybody can make up: it leaves to logins what they may ask.
    pub fn may_refetch_metadata_for_logout(&mut self, provider: &str, now: UnixTime) -> bool {
        self.metadata.entry(provider.to_owned()).or_default().may_refetch_for_logout(now)
    }

    /// Whether the metadata has been asked for, and the answer is not there yet.
    pub fn is_asking_for_metadata(&self, provider: &str, now: UnixTime) -> bool {
        self.metadata.get(provider).is_some_and(|entry| entry.is_under_way(now))
    }

    /// A refresh has failed because the provider did not answer.
    pub fn refresh_failed(&mut self, provider: &str, now: UnixTime) {
        self.refreshes_failed.insert(provider.to_owned(), now);
    }

    /// Whether that was a moment ago.
    pub fn is_refresh_paused(&self, provider: &str, now: UnixTime) -> bool {
        self.refreshes_failed.get(provider).is_some_and(|at| is_within(*at, PAUSE, now))
    }

    /// Whether the log has not yet been told this of the configuration in force: by this instance, since it has it.
    pub fn is_news(&mut self, code: Code) -> bool {
        self.told.insert(code)
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

    /// The keys are asked for now.
    pub fn ask_for_keys(&mut self, issuer: &str, jwks_uri: &Url, now: UnixTime) -> Question {
        self.keys_entry(issuer, jwks_uri).ask(now)
    }

    pub fn store_keys(&mut self, issuer: &str, jwks_uri: &Url, question: Question, keys: KeySet, now: UnixTime) {
        self.keys_entry(issuer, jwks_uri).store(question, keys, now);
    }

    /// The answer to a later question, where it is there already.
    pub fn later_keys(&self, issuer: &str, jwks_uri: &Url, question: Question, now: UnixTime) -> Option<KeySet> {
        self.keys.get(&(issuer.to_owned(), jwks_uri.clone()))?.later(question, now)
    }

    /// Notes the failure; returns what can be served in its place.
    pub fn keys_failed(&mut self, issuer: &str, jwks_uri: &Url, question: Question, failure: Failure, now: UnixTime) -> Option<KeySet> {
        self.keys_entry(issuer, jwks_uri).fail(question, failure, now)
    }

    /// Whether keys that do not fit may make us ask for them again now; the answer counts as the asking.
    pub fn may_refetch_keys(&mut self, issuer: &str, jwks_uri: &Url, now: UnixTime) -> bool {
        self.keys_entry(issuer, jwks_uri).may_refetch(now)
    }

    /// The same for keys that were fetched for this very login, and lag behind the token.
    pub fn may_refetch_keys_twice(&mut self, issuer: &str, jwks_uri: &Url, now: UnixTime) -> bool {
        self.keys_entry(issuer, jwks_uri).may_refetch_twice(now)
    }

    /// The same for a logout token, which anybody can make up: it leaves to logins what they may ask.
    pub fn may_refetch_keys_for_logout(&mut self, issuer: &str, jwks_uri: &Url, now: UnixTime) -> bool {
        self.keys_entry(issuer, jwks_uri).may_refetch_for_logout(now)
    }

    fn keys_entry(&mut self, issuer: &str, jwks_uri: &Url) -> &mut Entry<KeySet> {
        self.keys.entry((issuer.to_owned(), jwks_uri.clone())).or_default()
    }
}

impl Floor {
    /// `is_under_way`: whether a question is, and a login can wait with it.
    fn admits(&mut self, is_under_way: bool, now: UnixTime) -> bool {
        let is_too_soon = self.since.is_some_and(|at| is_within(at, REFETCH_FLOOR, now));
        if !is_too_soon {
            *self = Self { since: Some(now), admitted: 1 };
            return true;
        }
        let admits = is_under_way && self.admitted < MOST_TOGETHER;
        self.admitted += u32::from(admits);
        admits
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

    fn ask(&mut self, now: UnixTime) -> Question {
        self.asked = Question(self.asked.0 + 1);
        self.asked_at = Some(now);
        self.asked
    }

    fn store(&mut self, question: Question, value: T, now: UnixTime) {
        self.answered = self.answered.max(question);
        if question >= self.known_by {
            self.known_by = question;
            self.value = Some((value, now));
            self.failed_at = None;
        }
    }

    fn later(&self, question: Question, now: UnixTime) -> Option<T> {
        self.not_too_old(now).filter(|_| self.known_by > question)
    }

    fn fail(&mut self, question: Question, failure: Failure, now: UnixTime) -> Option<T> {
        self.answered = self.answered.max(question);
        if question >= self.known_by {
            self.failed_at = Some(now);
            if failure == Failure::Unacceptable {
                self.known_by = question;
                self.value = None;
            }
        }
        self.not_too_old(now)
    }

    fn may_refetch(&mut self, now: UnixTime) -> bool {
        self.refetch.admits(self.is_under_way(now), now)
    }

    fn may_refetch_twice(&mut self, now: UnixTime) -> bool {
        self.second_refetch.admits(self.is_under_way(now), now)
    }

    fn may_refetch_for_logout(&mut self, now: UnixTime) -> bool {
        self.logout_refetch.admits(self.is_under_way(now), now)
    }

    /// Whether the latest question has no answer yet.
    fn is_under_way(&self, now: UnixTime) -> bool {
        self.answered < self.asked && self.asked_at.is_some_and(|at| is_within(at, UNDER_WAY, now))
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
        let question = entry.ask(at(0));
        entry.store(question, 7, at(0));
        assert_eq!(entry.look_up(at(FRESH.as_secs() - 1)), Lookup::Fresh(7));
        assert_eq!(entry.look_up(at(FRESH.as_secs())), Lookup::Fetch);
        let question = entry.ask(at(0));
        assert_eq!(entry.fail(question, Failure::Unavailable, at(FRESH.as_secs())), Some(7));
        assert_eq!(entry.look_up(at(FRESH.as_secs() + 1)), Lookup::Paused(Some(7)));
        assert_eq!(entry.look_up(at(FRESH.as_secs() + PAUSE.as_secs())), Lookup::Fetch);
        let question = entry.ask(at(0));
        assert_eq!(entry.fail(question, Failure::Unavailable, at(STALE.as_secs())), None);
        let question = entry.ask(at(0));
        entry.store(question, 8, at(STALE.as_secs()));
        assert_eq!(entry.look_up(at(STALE.as_secs())), Lookup::Fresh(8));
        let question = entry.ask(at(0));
        assert_eq!(entry.fail(question, Failure::Unacceptable, at(STALE.as_secs())), None);
        assert_eq!(entry.look_up(at(STALE.as_secs() + 1)), Lookup::Paused(None));
    }

    #[test]
    fn a_clock_that_is_set_back_leaves_nothing_behind() {
        let mut entry = Entry::default();
        let question = entry.ask(at(1_000_000));
        entry.store(question, 7, at(1_000_000));
        assert_eq!(entry.look_up(at(0)), Lookup::Fetch);
        let question = entry.ask(at(1_000_000));
        assert_eq!(entry.fail(question, Failure::Unavailable, at(1_000_000)), Some(7));
        assert_eq!(entry.look_up(at(0)), Lookup::Fetch);
    }

    #[test]
    fn the_answer_to_the_latest_question_counts_whichever_comes_first() {
        let mut entry = Entry::default();
        let [first, second, third, fourth, fifth] = std::array::from_fn(|_| entry.ask(at(0)));
        entry.store(second, 2, at(1));
        entry.store(first, 1, at(2));
        assert_eq!(entry.look_up(at(2)), Lookup::Fresh(2), "the first has been overtaken");
        assert_eq!((entry.later(first, at(2)), entry.later(second, at(2))), (Some(2), None));
        assert_eq!(entry.fail(first, Failure::Unacceptable, at(2)), Some(2), "and so has a failure");
        assert_eq!(entry.look_up(at(2)), Lookup::Fresh(2));
        // That there is no answer now says nothing against one that comes later.
        assert_eq!(entry.fail(fourth, Failure::Unavailable, at(3)), Some(2));
        entry.store(third, 3, at(4));
        assert_eq!(entry.look_up(at(4)), Lookup::Fresh(3));
        // That the latest answer is wrong does.
        let sixth = entry.ask(at(4));
        assert_eq!(entry.fail(sixth, Failure::Unacceptable, at(5)), None);
        entry.store(fifth, 5, at(6));
        assert_eq!(entry.look_up(at(6)), Lookup::Paused(None));
    }

    #[test]
    fn keys_are_refetched_once_and_then_not_for_a_while() {
        let (mut cache, uri) = (ProviderCache::default(), Url::parse("https://op.example/jwks").unwrap());
        let (issuer, floor) = ("https://op.example", REFETCH_FLOOR.as_secs());
        let may = |cache: &mut ProviderCache, now| cache.may_refetch_keys(issuer, &uri, now);
        let ask = |cache: &mut ProviderCache, now| cache.ask_for_keys(issuer, &uri, now);
        let store = |cache: &mut ProviderCache, question, now| cache.store_keys(issuer, &uri, question, KeySet::default(), now);
        assert!(may(&mut cache, at(0)));
        let first = ask(&mut cache, at(0));
        assert!(may(&mut cache, at(1)), "the answer is not there yet");
        let second = ask(&mut cache, at(1));
        store(&mut cache, second, at(2));
        assert!(!may(&mut cache, at(2)), "the latest has been answered");
        store(&mut cache, first, at(2));
        assert!(!may(&mut cache, at(2)));
        assert!(cache.may_refetch_keys_twice(issuer, &uri, at(2)), "once more, for a login that has got an answer that lags");
        let third = ask(&mut cache, at(2));
        assert!(may(&mut cache, at(2)), "and who comes now waits for that as well");
        let fourth = ask(&mut cache, at(2));
        store(&mut cache, third, at(3));
        assert!(may(&mut cache, at(3)), "one of the two is still under way");
        let fifth = ask(&mut cache, at(3));
        store(&mut cache, fourth, at(3));
        store(&mut cache, fifth, at(3));
        assert!(!cache.may_refetch_keys_twice(issuer, &uri, at(3)));
        assert!(cache.may_refetch_keys("https://other.example", &uri, at(1)), "issuers do not hold each other up");
        assert!(!may(&mut cache, at(floor - 1)));
        assert!(may(&mut cache, at(floor)), "the first of those that asked together counts");
        let question = ask(&mut cache, at(floor));
        cache.keys_failed(issuer, &uri, question, Failure::Unavailable, at(1 + floor));
        assert!(!may(&mut cache, at(1 + floor)), "no answer is one");
        ask(&mut cache, at(2 + floor));
        let together = (0..).take_while(|_| may(&mut cache, at(2 + floor))).count();
        assert_eq!(together, MOST_TOGETHER as usize - 1, "keys that lag for long do not make every login ask");
    }
}
