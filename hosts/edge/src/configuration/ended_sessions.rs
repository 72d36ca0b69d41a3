//! What has ended before its time: sessions by a logout or by another login in the same browser, accounts and sessions of a
//! provider by a logout everywhere, and logout tokens that are spent.
//!
//! 1. It is remembered as long as the process runs, across reloads, and until nothing depends on it any more: then every session
//!    that it ends is over by itself. Other nodes, and this one after a restart, go by the cookies.
//! 2. A look waits for no more than a change of one of `SHARDS` parts, which takes microseconds.
//! 3. Memory is bounded: [`MAX_NAMES`] sessions and logout tokens, and as many accounts and sessions of a provider, each with
//!    24 bytes in a table that is at least 7/16 full. Each million takes 60 MB at most. Where there is no room, the sixteenth of a
//!    part that is over first makes it.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use vestibule_wasmtime::{Ended, EndedName, EndedWhat};

type Name = [u8; 16];

/// The account whose end is everybody's: no digest is this but by a chance of 1 in 2^128.
pub const EVERYBODY: Name = [0; 16];

/// So many parts that a table of each is full before it grows beyond 16,384 places.
const SHARDS: usize = 70;
/// 7/8 of 16,384, what the standard library fills.
const MAX_IN_SHARD: usize = 14_336;
/// Of each of the two kinds.
pub const MAX_NAMES: usize = SHARDS * MAX_IN_SHARD;
const _: () = assert!(MAX_NAMES >= 1_000_000);

/// Until there are so many in a shard, what is over is not looked for.
const FIRST_SWEEP: usize = 64;

/// Names of what has ended.
#[derive(Debug)]
pub struct EndedSessions {
    /// Chosen anew in each process: nobody outside can compute which names share a place.
    hasher: RandomState,
    shards: Box<[RwLock<Shard>]>,
    /// Of each kind in a shard.
    most: usize,
    /// The longest that sessions have lasted by a configuration that was in force, in seconds.
    longest: AtomicU64,
}

#[derive(Debug, Default)]
struct Shard {
    /// Sessions and logout tokens: they have ended, whenever that was.
    once: Kind,
    /// Accounts and sessions of a provider: they have ended for what began before.
    since: Kind,
}

#[derive(Debug)]
struct Kind {
    names: HashMap<Name, Mark>,
    sweep_at: usize,
}

/// Seconds since the Unix epoch, in four bytes each: until 2106.
#[derive(Clone, Copy, Debug)]
struct Mark {
    at: u32,
    until: u32,
}

impl Default for EndedSessions {
    fn default() -> Self {
        Self::with_room_for(MAX_IN_SHARD)
    }
}

impl Default for Kind {
    fn default() -> Self {
        Self { names: HashMap::new(), sweep_at: FIRST_SWEEP }
    }
}

impl EndedSessions {
    fn with_room_for(most: usize) -> Self {
        let shards = std::iter::repeat_with(RwLock::default).take(SHARDS).collect();
        Self { hasher: RandomState::new(), shards, most, longest: AtomicU64::new(0) }
    }

    /// Remembers what a decision says is over, or another node. A name that is none ends nothing.
    pub fn remember(&self, entries: &[EndedName]) {
        let now = now();
        for entry in entries {
            let Some(name) = name(&entry.name) else { continue };
            let mark = Mark { at: seconds(entry.at), until: seconds(self.until(entry)) };
            // What is in there is whole at every moment, a panic elsewhere or not.
            let mut shard = self.shard(&name).write().unwrap_or_else(PoisonError::into_inner);
            let kind = if is_once(entry.what) { &mut shard.once } else { &mut shard.since };
            kind.put(name, mark, now, self.most);
        }
    }

    /// Of these, those that change what is remembered.
    pub fn unknown<'e>(&self, entries: &'e [EndedName]) -> Vec<&'e EndedName> {
        let is_unknown = |entry: &&EndedName| {
            name(&entry.name).is_some_and(|name| {
                let at = self.look(&name, |shard| {
                    let kind = if is_once(entry.what) { &shard.once } else { &shard.since };
                    kind.names.get(&name).map(|mark| mark.at)
                });
                at.is_none_or(|at| !is_once(entry.what) && at < seconds(entry.at))
            })
        };
        entries.iter().filter(is_unknown).collect()
    }

    /// Everything that is remembered and not over: logout tokens as sessions, and sessions of a provider as accounts, which come to the
    /// same.
    pub fn all(&self) -> Vec<EndedName> {
        let now = now();
        let mut all = Vec::new();
        for shard in &self.shards {
            let shard = shard.read().unwrap_or_else(PoisonError::into_inner);
            for (kind, what) in [(&shard.once, EndedWhat::Session), (&shard.since, EndedWhat::Account)] {
                let lasting = kind.names.iter().filter(|(_, mark)| u64::from(mark.until) > now);
                all.extend(
                    lasting.map(|(name, mark)| EndedName::new(URL_SAFE_NO_PAD.encode(name), what, mark.at.into(), mark.until.into())),
                );
            }
        }
        all
    }

    /// Sessions last so long by a configuration that is in force from now on.
    pub fn note_lifetime(&self, max_age: Duration) {
        self.longest.fetch_max(max_age.as_secs(), Ordering::Relaxed);
    }

    /// When an entry may be forgotten, in seconds since the Unix epoch. A session that was made by an earlier configuration, and is
    /// over by this one, may be in force again by the next.
    pub fn until(&self, entry: &EndedName) -> u64 {
        let longest = if is_once(entry.what) { 0 } else { self.longest.load(Ordering::Relaxed) };
        entry.until.max(entry.at.saturating_add(longest))
    }

    /// How many names are remembered.
    pub fn len(&self) -> usize {
        let shards = self.shards.iter().map(|shard| shard.read().unwrap_or_else(PoisonError::into_inner));
        shards.map(|shard| shard.once.names.len() + shard.since.names.len()).sum()
    }

    /// Whether no name is remembered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn shard(&self, name: &Name) -> &RwLock<Shard> {
        let index = usize::try_from(self.hasher.hash_one(name) % SHARDS as u64).unwrap_or_default();
        &self.shards[index]
    }

    fn look<T>(&self, name: &Name, look: impl FnOnce(&Shard) -> T) -> T {
        look(&self.shard(name).read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Ended for EndedSessions {
    fn ended(&self, names: &[Name], began_at: u64) -> bool {
        let Some((session, others)) = names.split_first() else { return false };
        let is_since = |shard: &Shard, name: &Name| shard.since.names.get(name).is_some_and(|mark| u64::from(mark.at) >= began_at);
        self.look(session, |shard| shard.once.names.contains_key(session))
            || others.iter().any(|name| self.look(name, |shard| is_since(shard, name)))
            // A logout token is asked for by its name alone.
            || (!others.is_empty() && self.look(&EVERYBODY, |shard| is_since(shard, &EVERYBODY)))
    }
}

impl Kind {
    fn put(&mut self, name: Name, mark: Mark, now: u64, most: usize) {
        if let Some(known) = self.names.get_mut(&name) {
            *known = Mark { at: known.at.max(mark.at), until: known.until.max(mark.until) };
            return;
        }
        if self.names.len() >= self.sweep_at {
            self.names.retain(|_, mark| u64::from(mark.until) > now);
            // Half of the looks find something, or there is none.
            self.sweep_at = (2 * self.names.len()).max(FIRST_SWEEP).min(most);
        }
        if self.names.len() >= most {
            self.forget(most / 16 + 1);
        }
        self.names.insert(name, mark);
    }

    /// Forgets so many that are over first.
    fn forget(&mut self, number: usize) {
        let mut ends: Vec<u32> = self.names.values().map(|mark| mark.until).collect();
        let Some(index) = number.checked_sub(1).filter(|index| *index < ends.len()) else { return };
        let (_, last, _) = ends.select_nth_unstable(index);
        let (last, mut left) = (*last, number);
        self.names.retain(|_, mark| {
            let goes = mark.until <= last && left > 0;
            left -= usize::from(goes);
            !goes
        });
    }
}

/// Whether the name of it says that it has ended, whatever it was that began.
fn is_once(what: EndedWhat) -> bool {
    matches!(what, EndedWhat::Session | EndedWhat::LogoutToken)
}

fn name(text: &str) -> Option<Name> {
    Name::try_from(URL_SAFE_NO_PAD.decode(text).ok()?).ok()
}

fn seconds(time: u64) -> u32 {
    u32::try_from(time).unwrap_or(u32::MAX)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> Name {
        let mut name = [7; 16];
        name[..8].copy_from_slice(&number.to_be_bytes());
        name
    }

    fn entry(number: u64, what: EndedWhat, at: u64, until: u64) -> EndedName {
        EndedName::new(URL_SAFE_NO_PAD.encode(name(number)), what, at, until)
    }

    fn session(number: u64) -> EndedName {
        entry(number, EndedWhat::Session, now(), now() + 3600)
    }

    #[test]
    fn a_session_has_ended_whenever_it_began() {
        let known = EndedSessions::default();
        assert!(!known.ended(&[name(0)], 0) && !known.ended(&[], 0));
        known.remember(&[session(0), entry(1, EndedWhat::LogoutToken, 5, now() + 60)]);
        for began_at in [0, now(), u64::MAX] {
            assert!(known.ended(&[name(0)], began_at) && known.ended(&[name(1)], began_at));
        }
        assert!(!known.ended(&[name(2), name(0), name(1)], 0), "those are names of an account and of a provider's session");
    }

    #[test]
    fn an_account_has_ended_for_what_began_before() {
        let known = EndedSessions::default();
        let at = now();
        for (number, what) in [(1, EndedWhat::Account), (2, EndedWhat::ProviderSession)] {
            known.remember(&[entry(number, what, at, at + 60)]);
            for (began_at, ended) in [(0, true), (at, true), (at + 1, false)] {
                assert_eq!(known.ended(&[name(0), name(number)], began_at), ended, "{what:?} {began_at}");
                assert_eq!(known.ended(&[name(0), name(9), name(number)], began_at), ended, "{what:?} {began_at}");
            }
            assert!(!known.ended(&[name(number)], 0), "that is the name of a session");
        }
        // The later end counts, in whatever order they are told.
        known.remember(&[entry(1, EndedWhat::Account, at + 10, at + 70), entry(1, EndedWhat::Account, at + 5, at + 65)]);
        assert!(known.ended(&[name(0), name(1)], at + 10) && !known.ended(&[name(0), name(1)], at + 11));
        assert_eq!(known.len(), 2);
    }

    #[test]
    fn what_is_over_by_itself_is_forgotten() {
        let known = EndedSessions::default();
        let gone: Vec<_> = (0..100_000).map(|number| entry(number, EndedWhat::Session, 1, 2)).collect();
        known.remember(&gone);
        assert!(known.len() <= 2 * FIRST_SWEEP * SHARDS, "{} are left", known.len());
        let kept: Vec<_> = (0..100_000).map(|number| entry(number, EndedWhat::Account, now(), now() + 3600)).collect();
        known.remember(&kept);
        assert!((0..100_000).all(|number| known.ended(&[[0; 16], name(number)], 0)));
    }

    #[test]
    fn memory_is_bounded_and_what_ends_first_makes_room() {
        const MOST: usize = 32;
        let (known, later) = (EndedSessions::with_room_for(MOST), now() + 3600);
        known.remember(&[entry(0, EndedWhat::Account, now(), later)]);
        let all = 10 * (MOST * SHARDS) as u64;
        for number in 0..all {
            known.remember(&[entry(number, EndedWhat::Session, 0, later + number / 7)]);
        }
        assert!(known.len() <= MOST * SHARDS + 1, "{}", known.len());
        assert!(!known.ended(&[name(0)], 0), "the first is forgotten");
        let latest = all - (MOST * SHARDS / 2) as u64..all;
        assert!(latest.clone().all(|number| known.ended(&[name(number)], 0)), "the latest are known");
        assert!(known.ended(&[[0; 16], name(0)], 0), "sessions make no account forgotten");
        // Many that are over at the same time do not all make room for one.
        (0..all).for_each(|number| known.remember(&[entry(all + number, EndedWhat::Session, 0, later + 1_000_000)]));
        assert!(known.len() >= MOST * SHARDS * 3 / 4, "{}", known.len());
    }

    #[test]
    fn an_end_is_kept_for_the_longest_lifetime_that_was_in_force() {
        let known = EndedSessions::default();
        let ended = entry(0, EndedWhat::Account, 1000, 1600);
        assert_eq!(known.until(&ended), 1600);
        known.note_lifetime(Duration::from_secs(5000));
        known.note_lifetime(Duration::from_secs(60));
        assert_eq!(known.until(&ended), 6000);
        assert_eq!(known.until(&entry(0, EndedWhat::Session, 1000, 1600)), 1600, "a session's own end is known");
    }

    #[test]
    fn an_end_of_everybody_ends_what_began_before() {
        let known = EndedSessions::default();
        let at = now();
        known.remember(&[EndedName::new(URL_SAFE_NO_PAD.encode(EVERYBODY), EndedWhat::Account, at, at + 60)]);
        assert!(known.ended(&[name(0), name(1)], at) && !known.ended(&[name(0), name(1)], at + 1));
        assert!(!known.ended(&[name(0)], 0), "a logout token is no session");
    }

    #[test]
    fn what_changes_nothing_is_told_apart() {
        let known = EndedSessions::default();
        let (at, until) = (now(), now() + 60);
        let all = [entry(0, EndedWhat::Session, at, until), entry(1, EndedWhat::Account, at, until)];
        assert_eq!(known.unknown(&all).len(), 2);
        known.remember(&all);
        assert!(known.unknown(&all).is_empty());
        let later = [entry(0, EndedWhat::Session, at + 1, until), entry(1, EndedWhat::Account, at + 1, until)];
        assert_eq!(known.unknown(&later), [&later[1]], "a session ends once");
        assert!(known.unknown(&[EndedName::new("", EndedWhat::Session, at, until)]).is_empty());
    }

    #[test]
    fn all_are_told_but_those_that_are_over() {
        let known = EndedSessions::default();
        let lasting = [entry(0, EndedWhat::Session, now(), now() + 60), entry(1, EndedWhat::Account, now(), now() + 60)];
        known.remember(&lasting);
        known.remember(&[entry(2, EndedWhat::Session, 1, 2)]);
        let mut all = known.all();
        all.sort_by(|one, other| one.name.cmp(&other.name));
        assert_eq!(all, lasting);
    }

    #[test]
    fn what_is_no_name_ends_nothing() {
        let known = EndedSessions::default();
        for text in ["", "a", &"x!".repeat(11), "AAAA", "\u{e9}", &"A".repeat(23), &"A".repeat(44)] {
            known.remember(&[EndedName::new(text, EndedWhat::Session, 0, u64::MAX)]);
        }
        assert!(known.is_empty());
    }
}
