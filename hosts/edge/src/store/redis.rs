//! The list in Redis: one stream, `vestibule:ended:<list>`, that every node appends to and follows.
//!
//! 1. Two connections: one waits for what is appended (`XREAD BLOCK`), the other appends. The commands are those of Redis 6.0.
//! 2. Each connection begins with the whole stream, so that nothing that was appended meanwhile is missed. What nobody of ours has
//!    written is skipped.
//! 3. The ids are times of the server's clock, and by them entries are deleted that may be, but none that is young by the clock of the
//!    node that deletes. A stream that is not written to for that long expires as a whole.
//! 4. Whether the stream still begins where it did is looked at every second: if not, it was emptied, and everything is compared again.
//! 5. Bounded: an answer has at most [`MAX_ANSWER_BYTES`]; connecting and answering have at most [`PATIENCE`].

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, ErrorKind, FromRedisValue, RedisError, Value, cmd, pipe};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::location::{Address, Server};
use super::{Entry, Keys, MAX_BATCH, News, Reader, Settings, Store, StoreError, Writer, tls};

/// How long connecting may take, and an answer that does not wait.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long the server waits for news: as often the stream is looked at as a whole.
const WAIT: Duration = Duration::from_secs(1);

/// Several times what [`MAX_BATCH`] entries take.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// How far the server's clock is believed to be ahead of this node's.
const MAX_AHEAD_MILLIS: u64 = 5 * 60 * 1000;

/// The one field of an entry.
const FIELD: &str = "e";

pub(super) struct Redis {
    server: Server,
    key: String,
    list: String,
    keys: Keys,
    retention: Duration,
    /// `None`: with the system's authorities.
    tls: Option<Arc<ClientConfig>>,
}

impl Redis {
    pub(super) fn new(server: &Server, settings: &Settings, tls: Option<Arc<ClientConfig>>) -> Self {
        let Settings { list, keys, retention, .. } = settings;
        let key = format!("vestibule:ended:{list}");
        Self { server: server.clone(), key, list: list.clone(), keys: keys.clone(), retention: *retention, tls }
    }

    pub(super) async fn connect(&self, waits: Duration) -> Result<Connection, StoreError> {
        let connecting = async {
            let stream = self.stream().await?;
            let left = Arc::new(AtomicUsize::new(MAX_ANSWER_BYTES));
            let config = AsyncConnectionConfig::new().set_response_timeout(Some(waits + PATIENCE));
            let stream = Bounded { stream, left: left.clone() };
            let (connection, driver) = MultiplexedConnection::new_with_config(&self.server.login, stream, config).await?;
            // It ends with the last copy of the connection.
            tokio::spawn(driver);
            Ok(Connection { connection, left })
        };
        timeout(PATIENCE, connecting).await.map_err(|_| StoreError::TimedOut)?
    }

    /// The key of something that is used once.
    pub(super) fn used(&self, name: [u8; 16]) -> String {
        format!("{}:used:{}", self.key, URL_SAFE_NO_PAD.encode(name))
    }

    async fn stream(&self) -> Result<Box<dyn Stream>, StoreError> {
        let unreachable = |error: std::io::Error| StoreError::Unreachable(error.to_string());
        let (host, port, is_tls) = match &self.server.address {
            Address::Unix(path) => return Ok(Box::new(UnixStream::connect(path).await.map_err(unreachable)?)),
            Address::Tcp { host, port, is_tls } => (host, *port, *is_tls),
        };
        let stream = TcpStream::connect((host.as_str(), port)).await.map_err(unreachable)?;
        stream.set_nodelay(true).map_err(unreachable)?;
        if !is_tls {
            return Ok(Box::new(stream));
        }
        let name = ServerName::try_from(host.clone()).map_err(|error| StoreError::Tls(error.to_string()))?;
        let configuration = match &self.tls {
            Some(configuration) => configuration.clone(),
            None => tls::of_system().map_err(|error| StoreError::Tls(error.to_string()))?,
        };
        let stream = TlsConnector::from(configuration).connect(name, stream).await;
        Ok(Box::new(stream.map_err(|error| StoreError::Tls(error.to_string()))?))
    }
}

#[async_trait]
impl Store for Redis {
    async fn open(&self) -> Result<(Box<dyn Reader>, Box<dyn Writer>), StoreError> {
        let mut appending = self.connect(Duration::ZERO).await?;
        // A replica, and a user who may not write, refuse it.
        appending.ask::<Value>(cmd("PEXPIRE").arg(&self.key).arg(millis(self.retention))).await?;
        let (key, list, keys) = (self.key.clone(), self.list.clone(), self.keys.clone());
        let writer = Appending { connection: appending, key, list, keys, retention: self.retention };
        let (key, list, keys) = (self.key.clone(), self.list.clone(), self.keys.clone());
        let connection = self.connect(WAIT).await?;
        let (last, first, looked_at, is_whole, has_skipped) = (Id::default(), None, Instant::now(), false, false);
        let reader = Following { connection, key, list, keys, retention: self.retention, last, first, looked_at, is_whole, has_skipped };
        Ok((Box::new(reader), Box::new(writer)))
    }
}

/// A connection on which answers are bounded. Clones share it.
#[derive(Clone)]
pub(super) struct Connection {
    connection: MultiplexedConnection,
    left: Arc<AtomicUsize>,
}

impl Connection {
    pub(super) async fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> Result<T, StoreError> {
        self.left.store(MAX_ANSWER_BYTES, Ordering::Relaxed);
        Ok(command.query_async(&mut self.connection).await?)
    }
}

struct Following {
    connection: Connection,
    key: String,
    list: String,
    keys: Keys,
    retention: Duration,
    /// Of the last entry that was read.
    last: Id,
    /// Of the first that the stream had when it was looked at.
    first: Option<Id>,
    looked_at: Instant,
    /// All that was there at the beginning has been read.
    is_whole: bool,
    /// The log has been told of entries that are not ours.
    has_skipped: bool,
}

#[async_trait]
impl Reader for Following {
    async fn next(&mut self) -> Result<News, StoreError> {
        // Also while something comes all the time.
        if self.is_whole && self.looked_at.elapsed() >= WAIT {
            self.look_at_first().await?;
            self.looked_at = Instant::now();
        }
        let answer = if self.is_whole {
            let mut command = cmd("XREAD");
            command.arg("COUNT").arg(MAX_BATCH).arg("BLOCK").arg(millis(WAIT)).arg("STREAMS").arg(&self.key).arg(self.last.to_string());
            of_one_stream(self.connection.ask(&command).await?)
        } else {
            self.connection.ask(cmd("XRANGE").arg(&self.key).arg(self.last.next().to_string()).arg("+").arg("COUNT").arg(MAX_BATCH)).await?
        };
        let Some(items) = array(answer).filter(|items| !items.is_empty()) else {
            self.is_whole = true;
            return Ok(News::Nothing);
        };
        Ok(News::Entries(self.read(items)?))
    }
}

impl Following {
    /// The entries of an answer that are ours.
    fn read(&mut self, items: Vec<Value>) -> Result<Vec<Entry>, StoreError> {
        let number = items.len();
        let mut entries = Vec::with_capacity(number);
        for item in items {
            let (id, fields) = item_parts(item).ok_or_else(|| StoreError::Refused("an answer that is not that of a stream".into()))?;
            self.last = id;
            self.first.get_or_insert(id);
            entries.extend(field(fields).and_then(|text| self.keys.open(&self.list, &text)));
        }
        if entries.len() < number && !self.has_skipped {
            self.has_skipped = true;
            let skipped = number - entries.len();
            tracing::warn!(
                code = "store.entries_skipped",
                skipped,
                "the store has entries that no node with this cookie_secret has written; they have no effect. The log has this once for a connection"
            );
        }
        Ok(entries)
    }

    /// Whether the stream begins where it did, or later for its age.
    async fn look_at_first(&mut self) -> Result<(), StoreError> {
        let answer: Value = self.connection.ask(cmd("XRANGE").arg(&self.key).arg("-").arg("+").arg("COUNT").arg(1)).await?;
        let found = array(answer).and_then(|items| items.into_iter().next()).and_then(item_parts).map(|(id, _)| id);
        let Some(first) = self.first else {
            // What has come since is read next.
            return Ok(());
        };
        // By the server's clock as far as it is known, or by this node's: a list that nobody writes to expires without an entry.
        let now = unix_millis();
        let newest = found.map_or(self.last, |found| found.max(self.last)).millis.min(now.saturating_add(MAX_AHEAD_MILLIS)).max(now);
        let may_be_gone = first.millis.saturating_add(millis(self.retention)) <= newest;
        match found {
            Some(found) if found > first && !may_be_gone => Err(StoreError::Lost),
            None if !may_be_gone => Err(StoreError::Lost),
            found => {
                self.first = found;
                Ok(())
            }
        }
    }
}

struct Appending {
    connection: Connection,
    key: String,
    list: String,
    keys: Keys,
    retention: Duration,
}

#[async_trait]
impl Writer for Appending {
    async fn write(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut appended = pipe();
        for entry in entries {
            appended.cmd("XADD").arg(&self.key).arg("*").arg(FIELD).arg(self.keys.seal(&self.list, entry));
        }
        self.connection.left.store(MAX_ANSWER_BYTES, Ordering::Relaxed);
        let ids: Vec<String> = appended.query_async(&mut self.connection.connection).await?;
        let retention = millis(self.retention);
        self.connection.ask::<Value>(cmd("PEXPIRE").arg(&self.key).arg(retention)).await?;
        match ids.last().and_then(|id| Id::parse(id.as_bytes())) {
            // Who can write to the stream chooses ids: this node's clock bounds what is deleted.
            Some(id) => self.delete_until(id.millis.min(unix_millis()).saturating_sub(retention)).await,
            None => Ok(()),
        }
    }
}

impl Appending {
    /// Deletes the first of those that end nothing any more. What is left of them is deleted with the next that are written.
    async fn delete_until(&mut self, millis: u64) -> Result<(), StoreError> {
        let old: Value = self.connection.ask(cmd("XRANGE").arg(&self.key).arg("-").arg(millis).arg("COUNT").arg(MAX_BATCH)).await?;
        let ids: Vec<_> = array(old).into_iter().flatten().filter_map(item_parts).map(|(id, _)| id.to_string()).collect();
        if !ids.is_empty() {
            self.connection.ask::<Value>(cmd("XDEL").arg(&self.key).arg(&ids)).await?;
        }
        Ok(())
    }
}

/// The id of a stream's entry: a time of the server's, and a number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Id {
    millis: u64,
    number: u64,
}

impl Id {
    fn parse(text: &[u8]) -> Option<Self> {
        let (millis, number) = std::str::from_utf8(text).ok()?.split_once('-')?;
        Some(Self { millis: millis.parse().ok()?, number: number.parse().ok()? })
    }

    /// The smallest that is greater. (`(` for "after" is of Redis 6.2.)
    fn next(self) -> Self {
        match self.number.checked_add(1) {
            Some(number) => Self { number, ..self },
            None => Self { millis: self.millis.saturating_add(1), number: 0 },
        }
    }
}

impl std::fmt::Display for Id {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.millis, self.number)
    }
}

fn array(value: Value) -> Option<Vec<Value>> {
    if let Value::Array(items) = value { Some(items) } else { None }
}

/// Of the answer to `XREAD` about one stream: its entries.
fn of_one_stream(answer: Value) -> Value {
    let stream = array(answer).and_then(|streams| streams.into_iter().next()).and_then(array);
    stream.and_then(|parts| parts.into_iter().nth(1)).unwrap_or(Value::Nil)
}

/// Id and fields of a stream's entry. One that was deleted while it was read has no fields.
fn item_parts(item: Value) -> Option<(Id, Vec<Value>)> {
    let mut parts = array(item)?.into_iter();
    let Some(Value::BulkString(id)) = parts.next() else { return None };
    Some((Id::parse(&id)?, parts.next().and_then(array).unwrap_or_default()))
}

/// The value of the one field.
fn field(fields: Vec<Value>) -> Option<Vec<u8>> {
    let mut fields = fields.into_iter();
    match (fields.next()?, fields.next()?, fields.next()) {
        (Value::BulkString(name), Value::BulkString(text), None) if name == FIELD.as_bytes() => Some(text),
        _ => None,
    }
}

/// This node's clock.
fn unix_millis() -> u64 {
    millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

impl From<RedisError> for StoreError {
    fn from(error: RedisError) -> Self {
        if error.is_timeout() {
            return Self::TimedOut;
        }
        if error.is_io_error() || error.is_connection_dropped() {
            return Self::Unreachable(error.to_string());
        }
        // The server's words for a login that is missing or wrong.
        if error.kind() == ErrorKind::AuthenticationFailed || matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) {
            return Self::Login(error.to_string());
        }
        Self::Refused(error.to_string())
    }
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection on which only so much is read: the client would keep an answer of any length in memory.
struct Bounded<S> {
    stream: S,
    left: Arc<AtomicUsize>,
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let read = buffer.filled().len() - before;
        let fits = this.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(read)).is_ok();
        if fits { result } else { Poll::Ready(Err(std::io::Error::other("the answer of the store is too long"))) }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Bounded<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    #[test]
    fn ids_are_in_the_order_of_the_stream() {
        let id = |text: &str| Id::parse(text.as_bytes());
        assert_eq!(id("12-3"), Some(Id { millis: 12, number: 3 }));
        assert!(id("2-9") < id("12-3") && id("12-3") < id("12-10"));
        assert_eq!(id("12-3").map(|id| id.next().to_string()).as_deref(), Some("12-4"));
        assert_eq!(id(&format!("12-{}", u64::MAX)).map(|id| id.next().to_string()).as_deref(), Some("13-0"));
        for wrong in ["", "12", "-", "12-", "a-1", "12-3-4"] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_an_entry_with_our_one_field_has_a_text() {
        assert_eq!(field(vec![text("e"), text("x")]), Some(b"x".to_vec()));
        for fields in [vec![], vec![text("e")], vec![text("f"), text("x")], vec![text("e"), text("x"), text("g"), text("y")]] {
            assert_eq!(field(fields), None);
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_too_long_is_given_up() {
        use tokio::io::AsyncReadExt as _;
        let left = Arc::new(AtomicUsize::new(10));
        let mut bounded = Bounded { stream: &b"0123456789abc"[..], left: left.clone() };
        let mut buffer = [0; 10];
        bounded.read_exact(&mut buffer).await.expect("ten bytes");
        assert!(bounded.read_exact(&mut buffer[..1]).await.is_err());
        left.store(10, Ordering::Relaxed);
        bounded.read_exact(&mut buffer[..1]).await.expect("of the next answer");
    }
}
