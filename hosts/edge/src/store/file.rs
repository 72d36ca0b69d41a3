//! The list in a file of this node's own, for one that restarts. The file is a database of `redb`: what is confirmed has been synced to
//! the disk, and a crash leaves the state before or after a write. While one process has it open, no other can open it.
//!
//! Its entries have no code of authenticity: a file that another user can change, or replace, is not used.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use redb::backends::FileBackend;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use rustix::fs::{Access, access};
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::{Entry, MAX_BATCH, News, Reader, Store, StoreError, What, Writer, file_place};

/// Number of what it is and name; when it ended, and until when that matters.
const TABLE: TableDefinition<'_, &[u8], (u64, u64)> = TableDefinition::new("ended-1");

/// So often the keeper is told that the file is there.
const PAUSE: Duration = Duration::from_secs(1);

/// The cache of the database: the list is small, and is read once.
const CACHE_BYTES: usize = 1 << 20;

pub(super) struct File {
    path: PathBuf,
}

impl File {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }
}

/// What there is at a path, as far as it can be told without changing anything.
pub(super) enum Sight {
    There,
    /// No file, in a folder that one can be made in.
    ToBeMade,
}

impl File {
    pub(super) async fn sight(&self) -> Result<Sight, StoreError> {
        let path = self.path.clone();
        blocking(move || sight(&path)).await
    }
}

fn sight(path: &Path) -> Result<Sight, redb::Error> {
    judge(path)?;
    if path.symlink_metadata().is_err() {
        let folder = path.parent().unwrap_or(Path::new("/"));
        access(folder, Access::WRITE_OK | Access::EXEC_OK).map_err(io::Error::from)?;
        return Ok(Sight::ToBeMade);
    }
    Ok(Sight::There)
}

#[async_trait]
impl Store for File {
    async fn open(&self) -> Result<(Box<dyn Reader>, Box<dyn Writer>), StoreError> {
        let path = self.path.clone();
        let (database, entries) = blocking(move || open(&path)).await?;
        Ok((Box::new(Told { entries: Some(entries) }), Box::new(Written { database: Arc::new(database) })))
    }
}

/// Opens or makes the file, and reads what is in it. What ends nothing any more is deleted.
fn open(path: &Path) -> Result<(Database, Vec<Entry>), redb::Error> {
    judge(path)?;
    // Names of sessions are no secret, and nobody else's business either. No link: what it leads to has not been judged.
    let flags = file_place::open_flags()?;
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(path)?;
    file_place::judge_open(path, &file)?;
    let database = Database::builder().set_cache_size(CACHE_BYTES).create_with_backend(FileBackend::new(file)?)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let deleting = database.begin_write()?;
    deleting.open_table(TABLE)?.retain(|_, (_, until)| until > now)?;
    deleting.commit()?;
    let mut entries = Vec::new();
    for item in database.begin_read()?.open_table(TABLE)?.iter()? {
        let (key, times) = item?;
        entries.extend(entry(key.value(), times.value()));
    }
    Ok((database, entries))
}

/// Whether the place is used for a list: see [`file_place`].
fn judge(path: &Path) -> io::Result<()> {
    Ok(file_place::judge(path)?)
}

fn entry(key: &[u8], (at, until): (u64, u64)) -> Option<Entry> {
    let (number, name) = key.split_first()?;
    Some(Entry { what: What::of_number(*number)?, name: name.try_into().ok()?, at, until })
}

fn key(entry: &Entry) -> [u8; 17] {
    let mut key = [entry.what as u8; 17];
    key[1..].copy_from_slice(&entry.name);
    key
}

struct Told {
    /// `None` when all have been told.
    entries: Option<Vec<Entry>>,
}

#[async_trait]
impl Reader for Told {
    async fn next(&mut self) -> Result<News, StoreError> {
        let Some(mut entries) = self.entries.take() else {
            sleep(PAUSE).await;
            return Ok(News::Nothing);
        };
        if entries.is_empty() {
            return Ok(News::Nothing);
        }
        self.entries = Some(entries.split_off(entries.len().min(MAX_BATCH)));
        Ok(News::Entries(entries))
    }
}

struct Written {
    database: Arc<Database>,
}

#[async_trait]
impl Writer for Written {
    async fn write(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let (database, entries) = (self.database.clone(), entries.to_vec());
        blocking(move || {
            let writing = database.begin_write()?;
            let mut table = writing.open_table(TABLE)?;
            for entry in &entries {
                let key = key(entry);
                let (at, until) = table.get(&key[..])?.map_or((0, 0), |times| times.value());
                table.insert(&key[..], (entry.at.max(at), entry.until.max(until)))?;
            }
            drop(table);
            Ok(writing.commit()?)
        })
        .await
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, redb::Error> + Send + 'static) -> Result<T, StoreError> {
    match spawn_blocking(work).await {
        Ok(Err(redb::Error::DatabaseAlreadyOpen)) => Err(StoreError::InUse),
        Ok(result) => result.map_err(|error| StoreError::File(error.to_string())),
        Err(error) => Err(StoreError::File(error.to_string())),
    }
}
