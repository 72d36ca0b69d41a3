//! How many exchanges may wait for providers at once.
//!
//! A provider that does not answer, or somebody who makes it answer often, then cannot take all places of the
//! instances: decisions that need no provider always find one, and so do those that need another provider.
//!
//! 1. So many exchanges with one origin are under way at once. More wait for their turn, in the order in which they came:
//!    a hundred users who log in at the same time are not sent away by a provider that answers.
//! 2. So many requests for one origin, and for all together, are under way or wait. One more fails at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Origin;

pub(super) struct Places {
    most: usize,
    exchanges_per_origin: usize,
    /// Exists for origins with requests.
    taken: Mutex<HashMap<Origin, Here>>,
}

/// What is going on with one origin.
struct Here {
    requests: usize,
    turns: Turns,
}

/// Given back when dropped.
pub(super) struct Place<'a> {
    places: &'a Places,
    origin: Origin,
    turns: Turns,
}

/// To exchange something with one origin.
#[derive(Clone)]
pub(super) struct Turns(Arc<Semaphore>);

impl Turns {
    /// Waits for one; it lasts until it is dropped.
    pub(super) async fn next(self) -> Option<OwnedSemaphorePermit> {
        // Never closed, and so never an error.
        self.0.acquire_owned().await.ok()
    }
}

impl Place<'_> {
    pub(super) fn turns(&self) -> Turns {
        self.turns.clone()
    }
}

impl Places {
    /// `most`: requests for all origins together.
    pub(super) fn new(most: usize, exchanges_per_origin: usize) -> Places {
        Places { most, exchanges_per_origin, taken: Mutex::default() }
    }

    /// None when all are taken, or all that one origin may have.
    pub(super) fn take(&self, origin: Origin) -> Option<Place<'_>> {
        let mut taken = self.taken();
        let all: usize = taken.values().map(|here| here.requests).sum();
        let requests = taken.get(&origin).map_or(0, |here| here.requests);
        if requests >= self.most_per_origin() || all >= self.most {
            return None;
        }
        let new = || Here { requests: 0, turns: Turns(Arc::new(Semaphore::new(self.exchanges_per_origin))) };
        let here = taken.entry(origin.clone()).or_insert_with(new);
        here.requests += 1;
        let turns = here.turns.clone();
        Some(Place { places: self, origin, turns })
    }

    /// Three quarters of all: what is left is for the other providers.
    fn most_per_origin(&self) -> usize {
        self.exchanges_per_origin.max(self.most / 4 * 3)
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Origin, Here>> {
        // No code panics while it holds the lock; if it did, each count would still be whole.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get_mut(&self.origin) {
            Some(here) if here.requests > 1 => here.requests -= 1,
            _ => drop(taken.remove(&self.origin)),
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use url::Url;

    use super::*;

    fn origin(text: &str) -> Origin {
        Url::parse(text).unwrap().origin()
    }

    #[test]
    fn places_are_bounded_per_origin_and_in_all_and_come_back() {
        let places = Places::new(8, 2);
        let (a, b) = (|| places.take(origin("https://a.example")), || places.take(origin("https://b.example")));
        let mut of_a: Vec<_> = (0..6).map(|_| a().unwrap()).collect();
        assert!(a().is_none(), "six of eight are all that an origin may have");
        let of_b = [b().unwrap(), b().unwrap()];
        assert!(b().is_none(), "eight are all");
        of_a.pop();
        assert!(b().is_some_and(|_| a().is_none()));
        drop((of_a, of_b));
        assert!(places.taken().is_empty());
        // Where there are few places, one origin has its exchanges all the same.
        let few = Places::new(3, 2);
        let taken = [few.take(origin("https://a.example")), few.take(origin("https://a.example")), few.take(origin("https://a.example"))];
        assert_eq!(taken.map(|place| place.is_some()), [true, true, false]);
    }

    #[tokio::test]
    async fn turns_come_one_after_another_and_also_after_one_that_gave_up() {
        let places = Places::new(8, 2);
        let place = |of: &str| places.take(origin(of)).unwrap();
        let (first, second, third, other) =
            (place("https://a.example"), place("https://a.example"), place("https://a.example"), place("https://b.example"));
        let (one, _two) = (first.turns().next().await, second.turns().next().await);
        assert!(third.turns().next().now_or_never().is_none(), "two are under way");
        assert!(other.turns().next().now_or_never().is_some(), "of this origin; another has its own");
        let mut waits = Box::pin(third.turns().next());
        assert!((&mut waits).now_or_never().is_none());
        let last = Box::pin(third.turns().next());
        drop(waits);
        drop(one);
        assert!(last.now_or_never().is_some_and(|turn| turn.is_some()));
    }
}
