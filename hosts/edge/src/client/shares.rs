//! Places of which there are so many in all, and so many for one client: connections, requests in flight.
//!
//! 1. A client is an IPv4 address, or the 64 bits of an IPv6 address that name a network ([`crate::client::address::network`]).
//! 2. One client has an eighth of all places (or what else is configured): it takes as many hostile clients to fill them.
//! 3. A place is taken or refused at once; nobody waits here. It is given back when it is dropped.
//! 4. Where the client is not known, as behind a trusted proxy that does not tell, a place counts among all only.
//!
//! What is remembered is a number for each client that has a place: no more than there are places.
//!
//! [`Turns`] are for what takes long and is short: decisions that wait for a provider. There, who comes next waits.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::client::address::network;

/// Places, and who has them.
#[derive(Debug)]
pub struct Shares {
    all: usize,
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// No entry is zero.
    by_client: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    #[error("this client has all the places that one client may have")]
    Client,
    #[error("all places are taken")]
    All,
}

/// Given back when dropped.
#[derive(Debug)]
pub struct Place {
    shares: Arc<Shares>,
    client: Option<IpAddr>,
}

impl Shares {
    /// `all` places, of which one client may have `each`.
    pub fn new(all: usize, each: usize) -> Arc<Self> {
        Arc::new(Self { all, each, taken: Mutex::default() })
    }

    /// A place for `client`; for `None`, one that counts among all only.
    ///
    /// # Errors
    /// [`Full`].
    pub fn take(self: &Arc<Self>, client: Option<IpAddr>) -> Result<Place, Full> {
        let client = client.map(network);
        let mut guard = self.taken();
        let taken = &mut *guard;
        if taken.all >= self.all {
            return Err(Full::All);
        }
        if let Some(client) = client {
            let count = taken.by_client.entry(client).or_default();
            if *count >= self.each {
                // An entry that was made just now has no place only where nobody may have one.
                if *count == 0 {
                    taken.by_client.remove(&client);
                }
                return Err(Full::Client);
            }
            *count += 1;
        }
        taken.all += 1;
        drop(guard);
        Ok(Place { shares: Arc::clone(self), client })
    }

    /// How many are taken.
    pub fn count(&self) -> usize {
        self.taken().all
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        // No code panics while it holds the lock; if it did, each count would still be whole.
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.shares.taken();
        taken.all -= 1;
        let Some(client) = self.client else { return };
        match taken.by_client.get_mut(&client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(taken.by_client.remove(&client)),
        }
    }
}

/// How many of one client's requests are served at once, the others in the order in which they came.
#[derive(Debug)]
pub struct Turns {
    each: usize,
    waiting: usize,
    patience: Duration,
    /// No entry is without a [`Turn`], or somebody who waits for one.
    clients: Mutex<HashMap<Option<IpAddr>, Arc<Semaphore>>>,
}

/// Given back when dropped.
#[derive(Debug)]
pub struct Turn<'a> {
    turns: &'a Turns,
    client: Option<IpAddr>,
    queue: Arc<Semaphore>,
    is_held: bool,
}

/// A client has too many that wait, or one has waited for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy;

impl Turns {
    /// `each` of a client at once; `waiting` more may wait, for `patience`.
    pub fn new(each: usize, waiting: usize, patience: Duration) -> Self {
        Self { each, waiting, patience, clients: Mutex::default() }
    }

    /// Waits for the client's turn. Who does not tell its client is one.
    ///
    /// # Errors
    /// [`Busy`].
    pub async fn wait(&self, client: Option<IpAddr>) -> Result<Turn<'_>, Busy> {
        let client = client.map(network);
        let queue = {
            let mut clients = self.clients();
            let queue = clients.entry(client).or_insert_with(|| Arc::new(Semaphore::new(self.each)));
            // One is the map's own.
            if Arc::strong_count(queue) > self.each + self.waiting {
                return Err(Busy);
            }
            Arc::clone(queue)
        };
        let mut turn = Turn { turns: self, client, queue, is_held: false };
        match timeout(self.patience, turn.queue.acquire()).await {
            Ok(Ok(permit)) => permit.forget(),
            _ => return Err(Busy),
        }
        turn.is_held = true;
        Ok(turn)
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<Option<IpAddr>, Arc<Semaphore>>> {
        // No code panics while it holds the lock; if it did, each queue would still be whole.
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if self.is_held {
            self.queue.add_permits(1);
        }
        let mut clients = self.turns.clients();
        // The map's and this one: nobody else can get one while the map is locked.
        if Arc::strong_count(&self.queue) == 2 {
            clients.remove(&self.client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    #[test]
    fn one_client_has_its_share_and_others_have_theirs() {
        let shares = Shares::new(5, 2);
        let held = [shares.take(address("192.0.2.1")), shares.take(address("::ffff:192.0.2.1"))];
        assert_eq!(shares.take(address("192.0.2.1")).err(), Some(Full::Client));
        let network = [shares.take(address("2001:db8::1")), shares.take(address("2001:db8::2:2:2:2"))];
        assert_eq!(shares.take(address("2001:db8::3")).err(), Some(Full::Client));
        let last = shares.take(address("2001:db8:0:1::1"));
        assert_eq!(shares.take(address("192.0.2.2")).err(), Some(Full::All));
        assert_eq!(shares.take(None).err(), Some(Full::All));
        drop(held);
        drop(last);
        assert!(shares.take(address("192.0.2.1")).is_ok() && shares.take(address("192.0.2.2")).is_ok());
        drop(network);
        assert_eq!(shares.count(), 0);
        assert!(shares.taken().by_client.is_empty(), "nobody is remembered without a place");
    }

    #[test]
    fn who_is_not_known_has_places_of_all() {
        let shares = Shares::new(3, 1);
        let held = [shares.take(None), shares.take(None), shares.take(None)];
        assert!(held.iter().all(Result::is_ok));
        assert_eq!(shares.take(None).err(), Some(Full::All));
        drop(held);
        assert_eq!(shares.count(), 0);
    }

    #[test]
    fn where_nobody_may_have_one_nobody_is_remembered() {
        let shares = Shares::new(1, 0);
        assert_eq!(shares.take(address("192.0.2.1")).err(), Some(Full::Client));
        assert!(shares.taken().by_client.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_clients_requests_take_turns_and_others_do_not_wait() {
        let turns = Turns::new(2, 1, Duration::from_secs(10));
        let one = address("2001:db8::1");
        let first = turns.wait(one).await.expect("a turn");
        let _second = turns.wait(address("2001:db8::2")).await.expect("a turn");
        let other = turns.wait(address("192.0.2.1")).await.expect("another client's");
        let unknown = turns.wait(None).await.expect("nobody's");
        let (third, fourth, ()) = tokio::join!(turns.wait(one), turns.wait(one), async {
            tokio::task::yield_now().await;
            drop(first);
        });
        assert!(third.is_ok());
        assert_eq!(fourth.err(), Some(Busy), "one may wait");
        let began = tokio::time::Instant::now();
        assert_eq!(turns.wait(one).await.err(), Some(Busy));
        assert_eq!(began.elapsed(), Duration::from_secs(10));
        drop((third, other, unknown));
        assert_eq!(turns.clients().len(), 1, "who has no turn is forgotten");
    }

    #[tokio::test]
    async fn who_waits_no_more_leaves_nothing_behind() {
        let turns = Turns::new(1, 8, Duration::from_secs(60));
        let held = turns.wait(None).await.expect("a turn");
        assert!(timeout(Duration::from_millis(5), turns.wait(None)).await.is_err());
        drop(held);
        assert!(turns.clients().is_empty());
        assert!(turns.wait(None).await.is_ok());
    }
}
