//! What the host keeps per instance, and the host's side of the component's imports.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::timeout;
use wasmtime::AsContextMut;
use wasmtime::component::{Accessor, HasData};

use crate::bindings::vestibule::filter::{outbound_http, sessions, types};
use crate::bindings::wasi::{clocks::wall_clock, random::insecure_seed, random::random};
use crate::claims::{self, Claimed, Claims};
use crate::ended::Ended;
use crate::epoch::{EpochClock, TICK};
use crate::memory::Memory;
use crate::outbound::Outbound;

/// More than the component ever asks for in one call; a request beyond it traps.
const MAX_RANDOM_BYTES: u64 = 4096;

/// The data of one store.
pub(crate) struct HostState {
    pub memory: Memory,
    /// None until the instance has its configuration: before that it may reach nobody.
    pub outbound: Option<Arc<Outbound>>,
    /// Which sessions have ended before their time; `None`: nobody remembers.
    pub ended: Option<Arc<dyn Ended>>,
    /// Which login attempts are used; `None` until the instance has its configuration.
    pub claims: Option<Arc<dyn Claims>>,
    /// How many ticks of the epoch guest code may run from one entry to the next.
    pub cpu_ticks: u64,
    clock: EpochClock,
}

impl HostState {
    pub(crate) fn new(memory_limit: usize, cpu_budget: Duration, clock: EpochClock) -> HostState {
        HostState {
            memory: Memory::limited_to(memory_limit),
            outbound: None,
            ended: None,
            claims: None,
            cpu_ticks: cpu_ticks(cpu_budget),
            clock,
        }
    }

    pub(crate) fn set_cpu_budget(&mut self, budget: Duration) {
        self.cpu_ticks = cpu_ticks(budget);
    }
}

/// Guest code is about to be entered: its time begins now.
pub(crate) fn enter(mut store: impl AsContextMut<Data = HostState>) {
    let mut store = store.as_context_mut();
    let ticks = store.data().cpu_ticks;
    store.set_epoch_deadline(ticks);
    store.data().clock.enter(ticks);
}

/// One tick more than the budget has: the first one is already under way.
fn cpu_ticks(budget: Duration) -> u64 {
    let ticks = budget.as_nanos().div_ceil(TICK.as_nanos());
    u64::try_from(ticks).unwrap_or(u64::MAX / 2).saturating_add(1)
}

/// Names the imports' implementation for the bindings.
pub(crate) struct Imports;

impl HasData for Imports {
    type Data<'a> = &'a mut HostState;
}

impl types::Host for HostState {}

impl outbound_http::Host for HostState {}

impl outbound_http::HostWithStore<HostState> for Imports {
    async fn send(
        accessor: &Accessor<HostState, Self>,
        request: outbound_http::Request,
    ) -> Result<outbound_http::Response, outbound_http::Error> {
        let outbound = accessor.with(|mut access| access.get().outbound.clone());
        let answer = match outbound {
            Some(outbound) => outbound.send(request).await,
            None => Err(outbound_http::Error::NotAllowed),
        };
        // The guest is entered with this answer. Its time begins now: the wait was not its own.
        accessor.with(|access| enter(access));
        answer
    }
}

impl sessions::Host for HostState {
    /// Names that are not whole are nobody's: then the answer closes.
    fn ended(&mut self, names: Vec<u8>, began_at: u64) -> bool {
        let Some(ended) = &self.ended else { return false };
        let (names, rest) = names.as_chunks::<16>();
        !rest.is_empty() || ended.ended(names, began_at)
    }

    fn remembers(&mut self) -> bool {
        self.ended.is_some()
    }
}

impl sessions::HostWithStore<HostState> for Imports {
    async fn claim(accessor: &Accessor<HostState, Self>, name: Vec<u8>, until: u64) -> sessions::Claimed {
        let claims = accessor.with(|mut access| access.get().claims.clone());
        let claimed = match (claims, <[u8; 16]>::try_from(name)) {
            (Some(claims), Ok(name)) => timeout(claims::PATIENCE, claims.claim(name, until)).await.unwrap_or(Claimed::Unavailable),
            (None, Ok(_)) => Claimed::Unavailable,
            // What is no name is granted to nobody.
            (_, Err(_)) => Claimed::Taken,
        };
        // The guest is entered with this answer, as with that of a provider.
        accessor.with(|access| enter(access));
        match claimed {
            Claimed::Granted => sessions::Claimed::Granted,
            Claimed::Taken => sessions::Claimed::Taken,
            Claimed::Unavailable => sessions::Claimed::Unavailable,
        }
    }
}

impl wall_clock::Host for HostState {
    fn now(&mut self) -> wall_clock::Datetime {
        // A clock before 1970 is a broken clock: the epoch itself makes every session and token look
        // not yet valid, which denies.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        wall_clock::Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() }
    }

    fn resolution(&mut self) -> wall_clock::Datetime {
        // What `SystemTime` can tell apart; whether the system's clock can is its own affair.
        wall_clock::Datetime { seconds: 0, nanoseconds: 1 }
    }
}

impl random::Host for HostState {
    fn get_random_bytes(&mut self, len: u64) -> wasmtime::Result<Vec<u8>> {
        if len > MAX_RANDOM_BYTES {
            wasmtime::bail!("{len} random bytes asked for, {MAX_RANDOM_BYTES} is the most");
        }
        let mut bytes = vec![0; usize::try_from(len)?];
        getrandom::fill(&mut bytes).map_err(no_randomness)?;
        Ok(bytes)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        getrandom::u64().map_err(no_randomness)
    }
}

impl insecure_seed::Host for HostState {
    /// Real randomness: a seed that can be guessed lets clients choose colliding keys.
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        let half = || getrandom::u64().map_err(no_randomness);
        Ok((half()?, half()?))
    }
}

/// A trap is right when the system has no randomness: nothing may be sealed without it.
fn no_randomness(error: getrandom::Error) -> wasmtime::Error {
    wasmtime::format_err!("the system gives no random bytes: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> HostState {
        HostState::new(1 << 20, Duration::from_secs(1), EpochClock::start(&wasmtime::Engine::default()).unwrap())
    }

    #[test]
    fn random_bytes_have_the_asked_length_and_differ() {
        let mut state = state();
        let first = random::Host::get_random_bytes(&mut state, 32).unwrap();
        let second = random::Host::get_random_bytes(&mut state, 32).unwrap();
        assert_eq!((first.len(), second.len()), (32, 32));
        assert_ne!(first, second);
        let numbers = [(); 2].map(|()| random::Host::get_random_u64(&mut state).unwrap());
        assert_ne!(numbers[0], numbers[1]);
        let (first, second) = insecure_seed::Host::insecure_seed(&mut state).unwrap();
        assert_ne!(first, second);
    }

    #[test]
    fn too_many_random_bytes_trap() {
        let mut state = state();
        assert!(random::Host::get_random_bytes(&mut state, MAX_RANDOM_BYTES + 1).is_err());
    }

    #[test]
    fn a_budget_is_never_rounded_down() {
        assert_eq!(cpu_ticks(Duration::from_millis(10)), 2);
        assert_eq!(cpu_ticks(Duration::from_millis(11)), 3);
        assert_eq!(cpu_ticks(Duration::ZERO), 1);
    }
}
