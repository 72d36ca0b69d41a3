//! How many logins and bad callbacks each client has left. What counts, the filter says; how many there are, the
//! configuration.
//!
//! 1. A client is an IPv4 address, or the 64 bits of an IPv6 address that name a network: who has one address of it has all.
//! 2. Each kind has a budget of its own, of one minute's worth, which fills up evenly (the generic cell rate algorithm).
//! 3. A request for the route of a kind is let through while there is something left, and paid for when its answer counts:
//!    requests that are decided at the same time may go beyond, and the next ones then wait the longer, up to `MAX_DEBT`.
//! 4. Any other answer that counts is paid for before it is sent, or not sent. Who is refused pays nothing.
//!
//! Memory is fixed: a client's account is two slots, one in each of two `ROWS`, by hashes that nobody outside can
//! compute. Clients may share a slot; who has something left in one of the two is let through. Nothing is ever evicted, so
//! that no crowd of made-up clients makes one's own account forgotten, and a reload of the configuration keeps them.

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use vestibule_wasmtime::{Counted, Limit};

use crate::client::address::network;

pub(crate) const MINUTE: Duration = Duration::from_secs(60);

/// Beyond an empty budget. As many as can be decided at once are no more than a few minutes' worth; and nobody who shares
/// an address with whoever did that waits for longer.
const MAX_DEBT: Duration = MINUTE;

/// One slot that is somebody else's as well is bad luck, two are not: with a thousand clients over their limit, one in some
/// four thousand others would be refused.
const ROWS: usize = 2;

/// Of 8 bytes: with both rows and the three kinds 3 MiB.
const SLOTS: usize = 1 << 16;

/// The accounts of every client.
pub struct Budgets {
    started: Instant,
    logins: Accounts,
    callbacks: Accounts,
    logout_tokens: Accounts,
}

/// A client has nothing left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spent {
    pub counted: Counted,
    /// Until there is one again.
    pub wait: Duration,
}

/// A request, as far as limits go.
#[derive(Clone, Copy)]
pub struct Attempt<'a> {
    pub limits: &'a [Limit],
    pub client: Option<IpAddr>,
    /// As it is decided on, without the query.
    pub path: &'a [u8],
}

impl Attempt<'_> {
    /// What it is limited for by its path.
    pub fn counted(&self) -> Option<Counted> {
        self.limit().map(|limit| limit.counted)
    }

    fn limit(&self) -> Option<&Limit> {
        self.limits.iter().find(|limit| limit.path.as_bytes() == self.path)
    }
}

impl Budgets {
    /// Full ones.
    #[expect(clippy::new_without_default, reason = "it reads the clock")]
    pub fn new() -> Self {
        Self { started: Instant::now(), logins: Accounts::new(), callbacks: Accounts::new(), logout_tokens: Accounts::new() }
    }

    /// Whether a request may be decided.
    ///
    /// # Errors
    /// [`Spent`], for a request for a counted route.
    pub fn admit(&self, attempt: Attempt<'_>) -> Result<(), Spent> {
        attempt.limit().map_or(Ok(()), |limit| self.accounts(limit.counted).check(attempt.client, limit, self.started.elapsed()))
    }

    /// Counts an answer that is about to be sent.
    ///
    /// # Errors
    /// [`Spent`], and nothing is counted: it must not be sent. Never for a request that was [admitted](Self::admit) by its
    /// path.
    pub fn count(&self, attempt: Attempt<'_>, counted: Counted) -> Result<(), Spent> {
        let Some(limit) = attempt.limits.iter().find(|limit| limit.counted == counted) else { return Ok(()) };
        let (accounts, now) = (self.accounts(counted), self.started.elapsed());
        if limit.path.as_bytes() != attempt.path {
            accounts.check(attempt.client, limit, now)?;
        }
        accounts.pay(attempt.client, limit, now);
        Ok(())
    }

    fn accounts(&self, counted: Counted) -> &Accounts {
        match counted {
            Counted::LoginStart => &self.logins,
            Counted::BadCallback => &self.callbacks,
            Counted::BadLogoutToken => &self.logout_tokens,
        }
    }
}

impl Spent {
    /// For `Retry-After`, in whole seconds (RFC 9110 section 10.2.3).
    pub fn retry_after(self) -> u64 {
        self.wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)
    }
}

/// In each slot the moment, in nanoseconds, at which the budget will be full again; one that is past is full.
struct Accounts {
    rows: [Row; ROWS],
}

struct Row {
    hasher: RandomState,
    full_at: Box<[AtomicU64]>,
}

impl Accounts {
    fn new() -> Self {
        let row = || Row { hasher: RandomState::new(), full_at: (0..SLOTS).map(|_| AtomicU64::new(0)).collect() };
        Self { rows: std::array::from_fn(|_| row()) }
    }

    /// `now`: since the start.
    fn check(&self, client: Option<IpAddr>, limit: &Limit, now: Duration) -> Result<(), Spent> {
        let full_at = self.slots(client).map(|slot| slot.load(Ordering::Relaxed)).min().unwrap_or_default();
        let after_another = Duration::from_nanos(full_at).saturating_sub(now) + price(limit);
        match after_another.saturating_sub(MINUTE) {
            Duration::ZERO => Ok(()),
            wait => Err(Spent { counted: limit.counted, wait }),
        }
    }

    fn pay(&self, client: Option<IpAddr>, limit: &Limit, now: Duration) {
        let (now, price, most) = (nanoseconds(now), nanoseconds(price(limit)), nanoseconds(now + MINUTE + MAX_DEBT));
        for slot in self.slots(client) {
            // Always taken: there is no condition in it.
            let _ = slot.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |full_at| Some((full_at.max(now) + price).min(most)));
        }
    }

    fn slots(&self, client: Option<IpAddr>) -> impl Iterator<Item = &AtomicU64> {
        let network = client.map(network);
        self.rows.iter().filter_map(move |row| {
            let slot = row.hasher.hash_one(network) % SLOTS as u64;
            row.full_at.get(usize::try_from(slot).ok()?)
        })
    }
}

/// What one costs of the minute that a whole budget is.
fn price(limit: &Limit) -> Duration {
    MINUTE / limit.per_minute.max(1)
}

/// Enough for five centuries.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(1000);

    fn limit(counted: Counted, per_minute: u32) -> Limit {
        let path = if counted == Counted::LoginStart { "/.vestibule/login" } else { "/oauth2callback" };
        Limit { counted, per_minute, path: path.to_owned() }
    }

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().expect("an address"))
    }

    /// How many a client is let through and pays for.
    fn spend(accounts: &Accounts, client: &str, limit: &Limit, now: Duration) -> u32 {
        let mut count = 0;
        while accounts.check(address(client), limit, now).is_ok() {
            accounts.pay(address(client), limit, now);
            count += 1;
            assert!(count < 100_000, "without end");
        }
        count
    }

    #[test]
    fn a_budget_is_a_minutes_worth_and_fills_up_evenly() {
        let (accounts, limit) = (Accounts::new(), limit(Counted::LoginStart, 20));
        assert_eq!(spend(&accounts, "192.0.2.1", &limit, START), 20);
        let spent = accounts.check(address("192.0.2.1"), &limit, START).expect_err("nothing is left");
        assert_eq!((spent.wait, spent.retry_after()), (Duration::from_secs(3), 3));
        let spent = accounts.check(address("192.0.2.1"), &limit, START + Duration::from_millis(2999)).expect_err("not yet");
        assert_eq!(spent.retry_after(), 1);
        assert_eq!(spend(&accounts, "192.0.2.1", &limit, START + Duration::from_secs(3)), 1);
        assert_eq!(spend(&accounts, "192.0.2.1", &limit, START + Duration::from_secs(33)), 10);
        assert_eq!(spend(&accounts, "192.0.2.1", &limit, START + Duration::from_secs(10_000)), 20, "never more than a minute's");
        assert_eq!(spend(&accounts, "192.0.2.2", &limit, START), 20, "somebody else's");
        let thousands = Limit { per_minute: 60_000, ..limit };
        assert_eq!(spend(&accounts, "192.0.2.3", &thousands, START), 60_000);
    }

    #[test]
    fn who_is_refused_pays_nothing_and_a_debt_is_bounded() {
        let (accounts, limit) = (Accounts::new(), limit(Counted::BadCallback, 6));
        spend(&accounts, "192.0.2.1", &limit, START);
        for _ in 0..1000 {
            assert!(accounts.check(address("192.0.2.1"), &limit, START).is_err());
        }
        assert!(accounts.check(address("192.0.2.1"), &limit, START + Duration::from_secs(10)).is_ok());
        // Decided at the same time as the ones before.
        accounts.pay(address("192.0.2.1"), &limit, START);
        assert_eq!(accounts.check(address("192.0.2.1"), &limit, START).expect_err("in debt").retry_after(), 20);
        for _ in 0..1000 {
            accounts.pay(address("192.0.2.1"), &limit, START);
        }
        assert_eq!(accounts.check(address("192.0.2.1"), &limit, START).expect_err("in debt").retry_after(), 70);
    }

    #[test]
    fn a_client_is_an_address_or_a_network_of_ipv6() {
        let (accounts, limit) = (Accounts::new(), limit(Counted::LoginStart, 5));
        for (spent, same, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:1:2:3", "2001:db8:0:1::1"),
            ("::ffff:192.0.2.9", "192.0.2.9", "::ffff:192.0.2.10"),
        ] {
            assert_eq!(spend(&accounts, spent, &limit, START), 5);
            assert_eq!(spend(&accounts, same, &limit, START), 0, "{same} is {spent}");
            assert_eq!(spend(&accounts, other, &limit, START), 5, "{other} is not {spent}");
        }
    }

    #[test]
    fn a_crowd_neither_takes_memory_nor_resets_an_account_nor_locks_others_out() {
        let (accounts, limit) = (Accounts::new(), limit(Counted::LoginStart, 5));
        spend(&accounts, "192.0.2.1", &limit, START);
        for client in 0..1000_u32 {
            for _ in 0..5 {
                accounts.pay(Some(IpAddr::V4((0x0a00_0000 + client).into())), &limit, START);
            }
        }
        assert!(accounts.check(address("192.0.2.1"), &limit, START).is_err(), "it is forgotten");
        let locked_out = (0..1000_u32).filter(|client| {
            let client = Some(IpAddr::V4((0xc633_0000 + client).into()));
            accounts.check(client, &limit, START).is_err()
        });
        // About one in four thousand is to be expected.
        assert!(locked_out.count() < 10);
        assert!(accounts.rows.iter().all(|row| row.full_at.len() == SLOTS));
    }

    #[test]
    fn a_route_is_closed_before_and_other_answers_are_refused_after_their_decision() {
        let budgets = Budgets::new();
        let limits = [limit(Counted::LoginStart, 2), limit(Counted::BadCallback, 2)];
        let attempt = |path: &'static str| Attempt { limits: &limits, client: address("192.0.2.1"), path: path.as_bytes() };
        assert_eq!(budgets.count(attempt("/page"), Counted::LoginStart), Ok(()));
        assert_eq!(budgets.count(attempt("/.vestibule/login"), Counted::LoginStart), Ok(()));
        let spent = |result: Result<(), Spent>| result.map_err(|spent| spent.counted);
        assert_eq!(spent(budgets.admit(attempt("/.vestibule/login"))), Err(Counted::LoginStart));
        assert_eq!(spent(budgets.count(attempt("/page"), Counted::LoginStart)), Err(Counted::LoginStart));
        // It was admitted before the others were counted.
        assert_eq!(spent(budgets.count(attempt("/.vestibule/login"), Counted::LoginStart)), Ok(()));
        for path in ["/page", "/.vestibule/user", "/.vestibule/login/", "/.vestibule/logi", "/oauth2callback"] {
            assert_eq!(budgets.admit(attempt(path)), Ok(()), "{path}");
        }
        assert_eq!(budgets.admit(Attempt { limits: &[], ..attempt("/.vestibule/login") }), Ok(()), "no limit is configured");
        assert_eq!(budgets.count(Attempt { limits: &[], ..attempt("/page") }, Counted::LoginStart), Ok(()));
    }
}
