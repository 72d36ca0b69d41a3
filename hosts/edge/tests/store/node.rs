//! A node: a list in memory, and what keeps it and a store alike.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use vestibule_edge::metrics::StoreCounts;
use vestibule_edge::store::{Entry, Keeper, Keys, List, Location, Settings, State, What};

/// More than any step takes on a machine that compiles something else at the same time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Node {
    pub(crate) known: Arc<Known>,
    pub(crate) keeper: Arc<Keeper>,
    running: JoinHandle<()>,
}

#[derive(Default)]
pub(crate) struct Known {
    entries: Mutex<HashMap<[u8; 16], Entry>>,
    /// Names in the order in which a store has told them.
    pub(crate) told: Mutex<Vec<[u8; 16]>>,
}

impl List for Known {
    fn remember(&self, entries: &[Entry]) {
        self.told.lock().expect("no test panics here").extend(entries.iter().map(|entry| entry.name));
        self.put(entries);
    }

    fn all(&self) -> Vec<Entry> {
        self.entries.lock().expect("no test panics here").values().copied().collect()
    }
}

impl Known {
    fn put(&self, entries: &[Entry]) {
        self.entries.lock().expect("no test panics here").extend(entries.iter().map(|entry| (entry.name, *entry)));
    }

    fn find(&self, name: [u8; 16]) -> Option<Entry> {
        self.entries.lock().expect("no test panics here").get(&name).copied()
    }
}

impl Node {
    pub(crate) fn start(settings: Option<Settings>) -> Self {
        Self::start_with(settings, None)
    }

    pub(crate) fn start_with(settings: Option<Settings>, tls: Option<Arc<ClientConfig>>) -> Self {
        let known = Arc::new(Known::default());
        let keeper = Keeper::new(known.clone(), StoreCounts::default());
        let keeper = Arc::new(if let Some(tls) = tls { keeper.with_tls(tls) } else { keeper });
        keeper.keep(settings);
        let running = tokio::spawn(keeper.clone().run());
        Self { known, keeper, running }
    }

    /// The same, when it has read the store.
    pub(crate) async fn started(settings: Settings) -> Self {
        let node = Self::start(Some(settings));
        node.is(State::Current).await;
        node
    }

    /// This ends here.
    pub(crate) fn ends(&self, entries: &[Entry]) {
        self.known.put(entries);
        self.keeper.tell(entries);
    }

    pub(crate) fn knows(&self, entry: &Entry) -> bool {
        self.known.find(entry.name).is_some()
    }

    pub(crate) fn at(&self, entry: &Entry) -> Option<u64> {
        self.known.find(entry.name).map(|entry| entry.at)
    }

    /// Waits until it knows it; how long that took.
    pub(crate) async fn learns(&self, entry: &Entry) -> Duration {
        self.until(|| self.knows(entry), "it does not learn of the entry").await
    }

    pub(crate) async fn is(&self, state: State) -> Duration {
        self.until(|| self.keeper.state() == state, &format!("it is not {state:?}")).await
    }

    /// Waits until all that ended here is in the store.
    pub(crate) async fn has_written(&self) {
        self.keeper.written(PATIENCE).await;
    }

    pub(crate) async fn until(&self, holds: impl Fn() -> bool, otherwise: &str) -> Duration {
        let started = Instant::now();
        while !holds() {
            assert!(started.elapsed() < PATIENCE, "{otherwise}; it is {:?}", self.keeper.state());
            sleep(Duration::from_millis(2)).await;
        }
        started.elapsed()
    }

    /// As when the process is killed.
    pub(crate) async fn kill(self) {
        self.running.abort();
        assert!(self.running.await.is_err_and(|error| error.is_cancelled()), "it ended by itself");
        // A write of a file is in a thread that is not aborted.
        drop(self.keeper);
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

/// The session of this number, which would have lasted an hour more.
pub(crate) fn session(number: usize) -> Entry {
    entry(What::Session, number)
}

pub(crate) fn entry(what: What, number: usize) -> Entry {
    let mut name = [what as u8; 16];
    name[..8].copy_from_slice(&number.to_be_bytes());
    Entry { what, name, at: now(), until: now() + 3600 }
}

pub(crate) fn settings(url: &str) -> Settings {
    Settings {
        location: Location::parse(url).expect("a place"),
        list: "list".into(),
        keys: Keys::new([1; 32], []),
        patience: Duration::from_secs(600),
        retention: Duration::from_secs(86_400),
    }
}
