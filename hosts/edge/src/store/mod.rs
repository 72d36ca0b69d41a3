//! The store: where the list of what has ended is kept beyond this process, for a node that restarts and for other nodes.
//!
//! 1. No request with a session asks a store. Each node has the whole list in memory ([`List`]); a store feeds it and is fed by it.
//! 2. What ends here is in memory at once, and queued for the store. The queue is written in order, and again until the store has
//!    confirmed it: nothing is lost while the process lives.
//! 3. After each connection everything that the store has is read, and what memory has and the store has not is written. So a store
//!    that comes back without its data has them again.
//! 4. A store opens nothing: its entries only end sessions. An entry that comes over a network is used only with a code of
//!    authenticity under a key that is derived from the configuration's cookie secret (`entry.rs`), if it is of this list, and not
//!    older than any session may be. A file is used only if no other user can change it (`file.rs`).
//! 5. What may happen once, such as the use of a login attempt, is claimed in Redis at that moment (`claims.rs`). That is the one thing a
//!    login asks of it; a store that is out of reach refuses none.
//! 6. Failing closed: before the store has been read for the first time, and when it has been out of reach for longer than
//!    the configuration's patience, requests with a session are not forwarded ([`State`]).

mod claims;
mod entry;
mod file;
pub mod file_place;
mod keeper;
mod location;
mod look;
mod queue;
mod redis;
mod standing;
mod tls;

use std::time::Duration;

use async_trait::async_trait;

pub use entry::{Entry, Keys, What};
pub use keeper::Keeper;
pub use location::{Location, NoLocation};
pub use look::{Found, look};
pub use standing::State;

use queue::Queue;
use standing::Standing;

/// How a configuration wants the list to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    pub location: Location,
    /// Names the list among those of other configurations in the same store: letters, digits, `-` and `_`.
    pub list: String,
    pub keys: Keys,
    /// How long sessions go on by what is known, without the store.
    pub patience: Duration,
    /// For how long an entry must be kept: until every session that it may end is over by itself.
    pub retention: Duration,
}

/// The list in memory.
pub trait List: Send + Sync {
    /// Takes over what a store tells. What is known already changes nothing.
    fn remember(&self, entries: &[Entry]);

    /// Everything that is known, in any order.
    fn all(&self) -> Vec<Entry>;
}

/// A store that can be opened.
#[async_trait]
trait Store: Send + Sync {
    /// Connects, and proves that the store can be written to.
    async fn open(&self) -> Result<(Box<dyn Reader>, Box<dyn Writer>), StoreError>;
}

/// Tells everything that a store has, and then what comes.
#[async_trait]
trait Reader: Send {
    /// The next of it. Returns [`News::Nothing`] at least every second when there is nothing more.
    async fn next(&mut self) -> Result<News, StoreError>;
}

#[async_trait]
trait Writer: Send {
    /// Writes at most [`MAX_BATCH`] entries, in this order. When it fails, any of them may have been written.
    async fn write(&mut self, entries: &[Entry]) -> Result<(), StoreError>;
}

/// Entries that are read or written at once.
const MAX_BATCH: usize = 1000;

enum News {
    /// More may follow at once.
    Entries(Vec<Entry>),
    /// Everything until now has been told, and the store is there.
    Nothing,
}

/// Why a store cannot be used. The texts are for the log, and hold no secret.
#[derive(Debug, thiserror::Error)]
enum StoreError {
    #[error("no connection: {0}")]
    Unreachable(String),
    #[error("TLS: {0}")]
    Tls(String),
    #[error("no answer in time")]
    TimedOut,
    #[error("the store refuses the user or the password: {0}")]
    Login(String),
    #[error("the store refuses: {0}")]
    Refused(String),
    #[error("the store has lost what it had")]
    Lost,
    #[error("another process has the file open")]
    InUse,
    #[error("{0}")]
    File(String),
}
