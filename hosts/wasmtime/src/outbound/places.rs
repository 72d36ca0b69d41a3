//! How many exchanges may wait for providers at once.
//!
//! A provider that does not answer, or somebody who makes it answer often, then cannot take all places of the
//! instances: what is one too many fails at once, and decisions that need no provider always find a place.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use url::Origin;

pub(super) struct Places {
    most: usize,
    most_per_origin: usize,
    /// How many are taken; no entry holds zero.
    taken: Mutex<HashMap<Origin, usize>>,
}

/// Given back when dropped.
pub(super) struct Place<'a> {
    places: &'a Places,
    origin: Origin,
}

impl Places {
    pub(super) fn new(most: usize, most_per_origin: usize) -> Places {
        Places { most, most_per_origin, taken: Mutex::default() }
    }

    /// None when all are taken, or all that one origin may have.
    pub(super) fn take(&self, origin: Origin) -> Option<Place<'_>> {
        let mut taken = self.taken();
        let here = taken.get(&origin).copied().unwrap_or(0);
        if here >= self.most_per_origin || taken.values().sum::<usize>() >= self.most {
            return None;
        }
        taken.insert(origin.clone(), here + 1);
        Some(Place { places: self, origin })
    }

    fn taken(&self) -> MutexGuard<'_, HashMap<Origin, usize>> {
        // No code panics while it holds the lock; if it did, each count would still be whole.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken();
        match taken.get_mut(&self.origin) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.remove(&self.origin)),
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn origin(text: &str) -> Origin {
        Url::parse(text).unwrap().origin()
    }

    #[test]
    fn places_are_bounded_per_origin_and_in_all_and_come_back() {
        let places = Places::new(3, 2);
        let (a, b) = (|| places.take(origin("https://a.example")), || places.take(origin("https://b.example")));
        let first = a().unwrap();
        let second = a().unwrap();
        assert!(a().is_none(), "two are all that an origin may have");
        let third = b().unwrap();
        assert!(b().is_none(), "three are all");
        drop(second);
        let fourth = b().unwrap();
        assert!(a().is_none());
        drop((first, third, fourth));
        assert!(places.taken().is_empty());
    }
}
