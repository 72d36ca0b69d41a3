//! What may happen once only, such as the use of a login attempt: the first claim of its name wins.

use std::collections::HashMap;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long a claim is waited for. Longer than a store in reach takes; a login goes on without the answer.
pub(crate) const PATIENCE: Duration = Duration::from_millis(500);

/// No claim is of anything that lasts longer.
const LONGEST: u64 = 60 * 60;

/// Far more than logins end in half an hour: some 10 MB. Beyond it those are forgotten that end first.
const MAX_NAMES: usize = 200_000;

/// Until there are so many, what is over is not looked for.
const FIRST_SWEEP: usize = 1024;

/// The answer to a claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claimed {
    /// It is the first one of this name.
    Granted,
    /// There was one before.
    Taken,
    /// Not known, because a store cannot be asked. The filter goes on, as after [`Claimed::Granted`].
    Unavailable,
}

/// A claim that waits for its answer.
pub type Claiming<'a> = Pin<Box<dyn Future<Output = Claimed> + Send + 'a>>;

/// Decides which of several claims is the first. Asked once in a login, before the authorization code goes to the provider. A server of
/// several nodes shares claims between them.
pub trait Claims: Debug + Send + Sync {
    /// Claims a name, which is random and no secret, until a time in seconds since the Unix epoch, at most an hour ahead. Of claims at
    /// the same moment one is granted. After half a second without an answer the filter goes on without it.
    fn claim(&self, name: [u8; 16], until: u64) -> Claiming<'_>;
}

/// The claims of one process, in memory: 200,000 names at most. What [`FilterOptions::claims`](crate::FilterOptions::claims) is by
/// default, for as long as the component is loaded.
#[derive(Debug)]
pub struct ProcessClaims {
    names: Mutex<Names>,
    most: usize,
}

#[derive(Debug)]
struct Names {
    /// Until when each counts.
    until: HashMap<[u8; 16], u64>,
    sweep_at: usize,
}

impl Default for ProcessClaims {
    fn default() -> Self {
        Self::with_room_for(MAX_NAMES)
    }
}

impl ProcessClaims {
    fn with_room_for(most: usize) -> Self {
        Self { names: Mutex::new(Names { until: HashMap::new(), sweep_at: FIRST_SWEEP.min(most) }), most }
    }

    /// Whether this is the first claim of the name in this process, as far as it remembers.
    pub fn take(&self, name: [u8; 16], until: u64) -> bool {
        self.take_at(name, until, now())
    }

    fn take_at(&self, name: [u8; 16], until: u64, now: u64) -> bool {
        let until = until.min(now.saturating_add(LONGEST));
        let mut names = self.lock();
        if names.until.get(&name).is_some_and(|until| *until > now) {
            return false;
        }
        names.make_room(now, self.most);
        names.until.insert(name, until);
        true
    }

    /// What is in there is whole at every moment, a panic elsewhere or not.
    fn lock(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Names {
    fn make_room(&mut self, now: u64, most: usize) {
        if self.until.len() < self.sweep_at {
            return;
        }
        self.until.retain(|_, until| *until > now);
        if self.until.len() >= most {
            let mut ends: Vec<u64> = self.until.values().copied().collect();
            let (_, last, _) = ends.select_nth_unstable(most / 16);
            let (last, mut left) = (*last, most / 16 + 1);
            self.until.retain(|_, until| {
                let goes = *until <= last && left > 0;
                left -= usize::from(goes);
                !goes
            });
        }
        // Half of the looks find something, or there is none.
        self.sweep_at = (2 * self.until.len()).max(FIRST_SWEEP).min(most);
    }
}

impl Claims for ProcessClaims {
    fn claim(&self, name: [u8; 16], until: u64) -> Claiming<'_> {
        let claimed = if self.take(name, until) { Claimed::Granted } else { Claimed::Taken };
        Box::pin(std::future::ready(claimed))
    }
}

/// In seconds since the Unix epoch; 0 by a clock before it.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn name(number: usize) -> [u8; 16] {
        let mut name = [7; 16];
        name[..8].copy_from_slice(&number.to_be_bytes());
        name
    }

    #[test]
    fn a_name_is_taken_once_until_its_end() {
        let claims = ProcessClaims::default();
        assert!(claims.take_at(name(1), NOW + 60, NOW) && claims.take_at(name(2), NOW + 60, NOW));
        assert!(!claims.take_at(name(1), NOW + 90, NOW) && !claims.take_at(name(1), NOW + 60, NOW + 59));
        assert!(claims.take_at(name(1), NOW + 120, NOW + 60), "what it was of is over");
    }

    #[test]
    fn one_of_many_at_once_is_granted() {
        let claims = ProcessClaims::default();
        let granted = std::thread::scope(|scope| {
            let claiming: Vec<_> = (0..8).map(|_| scope.spawn(|| claims.take(name(0), u64::MAX))).collect();
            claiming.into_iter().filter_map(|claiming| claiming.join().ok()).filter(|granted| *granted).count()
        });
        assert_eq!(granted, 1);
    }

    #[test]
    fn nothing_is_remembered_for_longer_than_an_hour() {
        let claims = ProcessClaims::default();
        assert!(claims.take_at(name(1), u64::MAX, NOW));
        assert!(!claims.take_at(name(1), NOW, NOW + 3599) && claims.take_at(name(1), NOW, NOW + 3600));
    }

    #[test]
    fn memory_is_bounded_and_what_ends_first_makes_room() {
        const MOST: usize = 160;
        let claims = ProcessClaims::with_room_for(MOST);
        for number in 0..10 * MOST {
            assert!(claims.take_at(name(number), NOW + 100 + number as u64 / 7, NOW));
            assert!(claims.lock().until.len() <= MOST);
        }
        assert!((9 * MOST + MOST / 2..10 * MOST).all(|number| !claims.take_at(name(number), NOW + 1000, NOW)), "the latest are known");
        assert!(claims.take_at(name(0), NOW + 1000, NOW), "the first are forgotten");
    }

    #[test]
    fn what_is_over_takes_no_room() {
        let claims = ProcessClaims::default();
        for number in 0..50_000 {
            assert!(claims.take_at(name(number), NOW + number as u64 + 1, NOW + number as u64));
        }
        assert!(claims.lock().until.len() <= FIRST_SWEEP, "{}", claims.lock().until.len());
    }
}
