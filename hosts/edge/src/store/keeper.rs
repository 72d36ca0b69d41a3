//! Keeps the list in memory and the store alike: connects, compares, follows, and tells how it stands.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::ClientConfig;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use vestibule_wasmtime::Claimed;

use super::claims::Claims;
use super::file::File;
use super::redis::Redis;
use super::{Entry, List, Location, MAX_BATCH, News, Queue, Reader, Settings, Standing, State, Store, StoreError, Writer};
use crate::metrics::StoreCounts;
use crate::random;

/// Between two attempts to connect, at most: a node is to know within a second of what was written.
const MAX_PAUSE: Duration = Duration::from_millis(500);

/// An entry's time may be so much later than this node's clock; any more is taken for a wrong clock, and counts as now.
const CLOCK_ALLOWANCE: u64 = 5;

/// Entries that are compared with memory: twice what memory has.
const MAX_COMPARED: usize = 2_000_000;

/// How long the response of a logout waits for the store: several times what a store in reach takes, and little for the user.
const MAX_CONFIRMATION: Duration = Duration::from_millis(500);

/// No claim is of anything that lasts longer.
const MAX_CLAIMED: Duration = Duration::from_secs(60 * 60);

/// What a store has: each with the latest time.
type Held = HashMap<(bool, [u8; 16]), u64>;

/// One for a node, whatever its configuration says of a store.
pub struct Keeper {
    list: Arc<dyn List>,
    queue: Queue,
    standing: Standing,
    counts: StoreCounts,
    settings: watch::Sender<Option<Settings>>,
    tls: Option<Arc<ClientConfig>>,
    claims: Claims,
}

/// What was told to the store: it is there when so many entries of this node have been written.
#[derive(Clone, Copy, Debug)]
pub struct Told(u64);

impl Keeper {
    /// A keeper without a store.
    pub fn new(list: Arc<dyn List>, counts: StoreCounts) -> Self {
        let (queue, standing, settings) = (Queue::default(), Standing::default(), watch::Sender::new(None));
        Self { list, queue, standing, counts, settings, tls: None, claims: Claims::default() }
    }

    /// The same with this TLS for stores, in place of one that believes the system's authorities.
    #[must_use]
    pub fn with_tls(self, tls: Arc<ClientConfig>) -> Self {
        Self { tls: Some(tls), ..self }
    }

    /// How far what is known can be relied on.
    pub fn state(&self) -> State {
        self.standing.state()
    }

    /// What has ended here, for the store. The list has it already.
    pub fn tell(&self, entries: &[Entry]) -> Told {
        if self.settings.borrow().is_none() {
            return Told(0);
        }
        let told = Told(self.queue.add(entries));
        self.counts.queued(self.queue.len());
        told
    }

    /// Waits until the store has confirmed it: from then on it outlasts this process. Waits for half a second at most, and not at
    /// all for a store that is out of reach.
    pub async fn confirmed(&self, told: Told) {
        if self.state() == State::Current {
            let _ = timeout(MAX_CONFIRMATION, self.queue.has_written(told.0)).await;
        }
    }

    /// Claims a name for this node, until a time in seconds since the Unix epoch. Granted where there is no store that other nodes use:
    /// then this node is all there is. Waits for less than half a second, and not at all for a store that is out of reach.
    pub async fn claim(&self, name: [u8; 16], until: u64) -> Claimed {
        let settings = self.settings.borrow().clone();
        let Some(settings) = settings else { return Claimed::Granted };
        let Location::Redis(server) = &settings.location else { return Claimed::Granted };
        if self.state() != State::Current {
            return Claimed::Unavailable;
        }
        let lasting = Duration::from_secs(until.saturating_sub(now())).min(MAX_CLAIMED);
        self.claims.claim(&Redis::new(server, &settings, self.tls.clone()), &settings, name, lasting).await
    }

    /// From now on these hold. A store that is new is compared with memory.
    pub fn keep(&self, settings: Option<Settings>) {
        match &settings {
            Some(settings) => self.standing.expect(settings.patience),
            None => self.standing.alone(),
        }
        self.settings.send_if_modified(|current| {
            let is_new = *current != settings;
            *current = settings;
            is_new
        });
    }

    /// Waits until the store has been read, at most for `patience`.
    pub async fn known(&self, patience: Duration) {
        let known = async {
            while matches!(self.standing.state(), State::Unknown) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        // The rest is what the standing is for.
        let _ = timeout(patience, known).await;
    }

    /// Waits until all that ended here has been written, at most for `patience`.
    pub async fn written(&self, patience: Duration) {
        let written = async {
            while !self.queue.is_empty() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        if timeout(patience, written).await.is_err() {
            let lost = self.queue.len();
            tracing::error!(
                code = "store.entries_lost",
                lost,
                "the program ends before the store has confirmed every session that has ended here"
            );
        }
    }

    /// Keeps both alike; never returns.
    pub async fn run(self: Arc<Self>) {
        let mut changes = self.settings.subscribe();
        loop {
            let settings = changes.borrow_and_update().clone();
            tokio::select! {
                _ = changes.changed() => {}
                () = self.keep_in(settings) => {}
            }
        }
    }

    async fn keep_in(&self, settings: Option<Settings>) {
        let Some(settings) = settings else {
            self.counts.up(false);
            return std::future::pending().await;
        };
        let store: Box<dyn Store> = match &settings.location {
            Location::File(path) => Box::new(File::new(path)),
            Location::Redis(server) => Box::new(Redis::new(server, &settings, self.tls.clone())),
        };
        // What was true of another store is not true of this one until it has been read.
        self.standing.down();
        let (mut is_told, mut is_stale_told) = (false, false);
        loop {
            let Err(error) = self.hold(&*store, &settings, &mut is_told).await;
            self.counts.failed();
            self.counts.up(false);
            let (was_up, place) = (self.standing.down(), &settings.location);
            if was_up || !is_told {
                (is_told, is_stale_told) = (true, false);
                let patience = humantime::format_duration(settings.patience);
                match self.standing.state() {
                    State::Unknown => tracing::error!(
                        code = "store.unreachable",
                        "{place}: {error}; requests with a session are answered 503 until the store has been read"
                    ),
                    _ => tracing::error!(
                        code = "store.unreachable",
                        "{place}: {error}; sessions go on by what this node knows, for store_patience = {patience}, then requests with a session are answered 503"
                    ),
                }
            } else {
                tracing::debug!(code = "store.unreachable", "{place}: {error}");
            }
            if self.standing.state() == State::Stale && !std::mem::replace(&mut is_stale_told, true) {
                tracing::error!(
                    code = "store.stale",
                    "{place} has been out of reach for store_patience; requests with a session are answered 503"
                );
            }
            sleep(pause()).await;
        }
    }

    /// Connects, and keeps both alike until that fails.
    async fn hold(&self, store: &dyn Store, settings: &Settings, is_told: &mut bool) -> Result<std::convert::Infallible, StoreError> {
        let (mut reader, mut writer) = store.open().await?;
        let mut held = HashMap::new();
        while let News::Entries(entries) = reader.next().await? {
            if held.len() < MAX_COMPARED {
                hold_all(&mut held, &entries);
            }
            self.remember(entries, settings);
        }
        hold_all(&mut held, &self.queue.first(usize::MAX));
        self.write_queued(&mut *writer).await?;
        self.write_missing(&mut *writer, &held).await?;
        drop(held);
        self.counts.up(true);
        self.standing.confirm();
        *is_told = false;
        tracing::info!(code = "store.reached", "{}: the store has been read", settings.location);
        tokio::select! {
            failed = self.follow(&mut *reader, settings) => failed,
            failed = self.append(&mut *writer) => failed,
        }
    }

    async fn follow(&self, reader: &mut dyn Reader, settings: &Settings) -> Result<std::convert::Infallible, StoreError> {
        loop {
            if let News::Entries(entries) = reader.next().await? {
                self.remember(entries, settings);
            }
            self.standing.confirm();
        }
    }

    async fn append(&self, writer: &mut dyn Writer) -> Result<std::convert::Infallible, StoreError> {
        loop {
            self.write_queued(writer).await?;
            self.queue.added().await;
        }
    }

    async fn write_queued(&self, writer: &mut dyn Writer) -> Result<(), StoreError> {
        loop {
            let batch = self.queue.first(MAX_BATCH);
            if batch.is_empty() {
                return Ok(());
            }
            writer.write(&batch).await?;
            self.queue.written(batch.len());
            self.counts.written(batch.len(), self.queue.len());
        }
    }

    /// Writes what memory has and the store has not: it was emptied, or is another.
    async fn write_missing(&self, writer: &mut dyn Writer, held: &Held) -> Result<(), StoreError> {
        if held.len() >= MAX_COMPARED {
            return Ok(());
        }
        let now = now();
        let mut missing = self.list.all();
        missing.retain(|entry| entry.until > now && held.get(&entry.key()).is_none_or(|at| *at < entry.at));
        for batch in missing.chunks(MAX_BATCH) {
            writer.write(batch).await?;
            self.counts.written(batch.len(), self.queue.len());
        }
        Ok(())
    }

    fn remember(&self, mut entries: Vec<Entry>, settings: &Settings) {
        let now = now();
        entries.retain_mut(|entry| {
            entry.at = entry.at.min(now.saturating_add(CLOCK_ALLOWANCE));
            entry.until = entry.until.min(now.saturating_add(settings.retention.as_secs()));
            entry.until > now
        });
        self.counts.read(entries.len());
        self.list.remember(&entries);
    }
}

fn hold_all(held: &mut Held, entries: &[Entry]) {
    for entry in entries {
        let at = held.entry(entry.key()).or_insert(entry.at);
        *at = entry.at.max(*at);
    }
}

fn pause() -> Duration {
    // Nodes that have lost the same store do not come back at the same moment.
    MAX_PAUSE.mul_f64(0.5 + 0.5 * random::fraction())
}

/// In seconds since the Unix epoch; 0 by a clock before it.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
