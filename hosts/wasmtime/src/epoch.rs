//! The clock of CPU budgets: a thread that advances the engine's epoch while guest code can be running, and sleeps otherwise.
//!
//! 1. Before guest code is entered, its deadline is set and the clock is told ([`EpochClock::enter`]).
//! 2. The clock ticks at least until every deadline that it was told of has passed. Guest code that is still running then has
//!    trapped.
//! 3. After that it sleeps: a host that serves nothing is not woken. The next entry wakes it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, Thread};
use std::time::Duration;

use wasmtime::Engine;

/// How often the engine's epoch advances: the resolution of every CPU budget.
pub(crate) const TICK: Duration = Duration::from_millis(10);

/// How often a clock that sleeps looks whether its engine is still there.
const LOOK: Duration = Duration::from_secs(10);

/// Counts ticks. All of it is ordered sequentially: an entry either is seen before the clock sleeps, or wakes it.
#[derive(Debug, Default)]
struct Ticks {
    passed: AtomicU64,
    /// The tick that the clock must reach.
    due: AtomicU64,
    is_asleep: AtomicBool,
}

/// Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct EpochClock {
    ticks: Arc<Ticks>,
    thread: Thread,
}

impl EpochClock {
    /// Starts the thread. It ends when nobody else uses the engine, within some seconds.
    pub(crate) fn start(engine: &Engine) -> std::io::Result<Self> {
        let (engine, ticks) = (engine.weak(), Arc::new(Ticks::default()));
        let counted = Arc::clone(&ticks);
        let thread = thread::Builder::new().name("vestibule-epoch".into()).spawn(move || {
            loop {
                while counted.is_due() {
                    thread::sleep(TICK);
                    match engine.upgrade() {
                        Some(engine) => engine.increment_epoch(),
                        None => return,
                    }
                    counted.passed.fetch_add(1, Ordering::SeqCst);
                }
                counted.is_asleep.store(true, Ordering::SeqCst);
                if !counted.is_due() {
                    thread::park_timeout(LOOK);
                }
                counted.is_asleep.store(false, Ordering::SeqCst);
                if engine.upgrade().is_none() {
                    return;
                }
            }
        })?;
        Ok(Self { ticks, thread: thread.thread().clone() })
    }

    /// Guest code is about to be entered, and may run for so many ticks.
    pub(crate) fn enter(&self, ticks: u64) {
        let due = self.ticks.passed.load(Ordering::SeqCst).saturating_add(ticks);
        self.ticks.due.fetch_max(due, Ordering::SeqCst);
        if self.ticks.is_asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
    }
}

impl Ticks {
    /// One tick more than was asked for: the one that is under way counts for nobody who has come after its beginning.
    fn is_due(&self) -> bool {
        self.passed.load(Ordering::SeqCst) <= self.due.load(Ordering::SeqCst) && self.due.load(Ordering::SeqCst) > 0
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn passed(clock: &EpochClock) -> u64 {
        clock.ticks.passed.load(Ordering::SeqCst)
    }

    fn wait_until(what: impl Fn() -> bool) {
        let begun = Instant::now();
        while !what() {
            assert!(begun.elapsed() < Duration::from_secs(10), "it never happens");
            thread::sleep(TICK);
        }
    }

    #[test]
    fn the_clock_ticks_for_every_entry_until_its_deadline_and_sleeps_then() {
        let engine = Engine::default();
        let clock = EpochClock::start(&engine).unwrap();
        wait_until(|| clock.ticks.is_asleep.load(Ordering::SeqCst));
        assert_eq!(passed(&clock), 0, "nobody has entered");
        for entries in 1..=3 {
            let before = passed(&clock);
            clock.enter(5);
            clock.enter(2);
            wait_until(|| passed(&clock) > before + 5 && clock.ticks.is_asleep.load(Ordering::SeqCst));
            assert!(passed(&clock) <= before + 7, "{entries}: it goes on for ever");
        }
    }

    #[test]
    fn entries_from_many_threads_are_all_seen() {
        let engine = Engine::default();
        let clock = EpochClock::start(&engine).unwrap();
        thread::scope(|scope| {
            for thread in 0..4 {
                let clock = &clock;
                scope.spawn(move || {
                    for entry in 0..50 {
                        let before = passed(clock);
                        clock.enter(1);
                        wait_until(|| passed(clock) > before);
                        thread::sleep(Duration::from_millis((thread + entry) % 13));
                    }
                });
            }
        });
    }
}
