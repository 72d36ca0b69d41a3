//! One HTTP/1.1 connection: heads are read here, by the rules of [`crate::framing`], and handed to Pingora whole.
//!
//! Pingora would read a head again from its beginning with every byte that arrives, keep a megabyte of it, and wait for
//! each byte anew; and it is more lenient than [`crate::framing`].
//!
//! 1. A connection without a request is closed after [`ConnectionLimits::idle`]; it holds no buffer.
//! 2. A head is whole within [`ConnectionLimits::head`] of its first byte, or 408.
//! 3. [`MAX_HEAD_BYTES`] are read of it at most, then it is 431. The buffer is as long as what has arrived; beyond
//!    [`SMALL_HEAD_BYTES`] an unfinished head takes one of [`LARGE_HEADS`] places, or is 503.
//! 4. What is malformed is 400. After each of these answers the connection is closed.
//! 5. Bytes that were read behind a head go with it. A chunked body is watched while Pingora reads it.

use std::io;
use std::mem::MaybeUninit;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use http::StatusCode;
use pingora::apps::{HttpPersistentSettings, HttpServerApp};
use pingora::protocols::Stream;
use pingora::protocols::http::ServerSession;
use tokio::io::{AsyncRead as _, AsyncWriteExt as _, ReadBuf};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::framing::{Body, ChunkScan, HeadScan, Malformed, body_of};
use crate::limits::ConnectionLimits;
use crate::shares::{Full, Shares};
use crate::watched_connection::{Watch, Watched};

/// Request line and fields. The filter takes as much; servers behind take less.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Most heads are shorter, and arrive at once.
pub const SMALL_HEAD_BYTES: usize = 8 * 1024;

/// Unfinished heads beyond [`SMALL_HEAD_BYTES`], of all connections: 64 MiB at most.
pub const LARGE_HEADS: usize = 1024;

/// What is read at once.
const PIECE_BYTES: usize = 16 * 1024;

/// What is read for nothing, and for how long, so that an answer arrives: closing on unread bytes resets the connection.
const LINGER_BYTES: usize = 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Where a connection comes from, and what it may take.
pub struct Connection<'a> {
    pub limits: &'a ConnectionLimits,
    /// Places for large heads.
    pub heads: &'a Arc<Shares>,
    /// `None` for a trusted proxy, whose connections are many clients'.
    pub client: Option<IpAddr>,
    /// True when no more requests are taken.
    pub shutdown: &'a watch::Receiver<bool>,
}

/// Why a head is not handed on.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("the head is too large")]
    TooLarge,
    #[error("the head takes too long")]
    TooLate,
    #[error("no room for a large head: {0}")]
    NoRoom(#[from] Full),
}

/// What has become of the next request's head.
enum Arrived {
    /// It, with what was read behind it; where the body is chunked, what follows that.
    Head(BytesMut, Option<ChunkScan>),
    /// There is none: the peer is gone or idle, or the server stops.
    Nothing,
    Refused(Refused),
}

impl Connection<'_> {
    /// Serves requests until the connection ends.
    pub async fn serve<A: HttpServerApp>(self, app: &Arc<A>, mut stream: Stream) {
        let mut settings: Option<HttpPersistentSettings> = None;
        loop {
            let (head, chunks) = match self.arrival(&mut stream).await {
                Arrived::Head(head, chunks) => (head, chunks),
                Arrived::Nothing => return,
                Arrived::Refused(refused) => return self.refuse(stream, &refused).await,
            };
            let body: Stream = match chunks {
                None => stream,
                Some(chunks) => Box::new(Watched::new(stream, chunks)),
            };
            let mut session = ServerSession::new_http1(body);
            match settings.take() {
                Some(settings) => settings.apply_to_session(&mut session),
                // Pingora's own default; the time is taken here.
                None => session.set_keepalive(Some(self.limits.idle.as_secs().max(1))),
            }
            session.set_pipelined_prefix(head);
            let Some(reused) = app.process_new_http(session, self.shutdown).await else { return };
            let (reused, kept) = reused.consume();
            let Some(reused) = Watched::<ChunkScan>::unwatch(reused) else { return };
            (stream, settings) = (reused, kept);
        }
    }

    /// The next head, unless the server stops first.
    async fn arrival(&self, stream: &mut Stream) -> Arrived {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            // What has arrived already is not dropped.
            biased;
            arrived = self.head(stream) => arrived.unwrap_or_else(Arrived::Refused),
            _ = shutdown.wait_for(|stopping| *stopping) => Arrived::Nothing,
        }
    }

    async fn head(&self, stream: &mut Stream) -> Result<Arrived, Refused> {
        let (mut bytes, mut scan, mut looked_at) = (BytesMut::new(), HeadScan::default(), 0);
        let mut place = None;
        let Ok(Ok(1..)) = timeout(self.limits.idle, read(stream, &mut bytes)).await else { return Ok(Arrived::Nothing) };
        let deadline = Instant::now() + self.limits.head;
        let end = loop {
            if let Some(end) = scan.look(&bytes[looked_at..])? {
                break looked_at + end;
            }
            looked_at = bytes.len();
            if bytes.len() >= MAX_HEAD_BYTES {
                return Err(Refused::TooLarge);
            }
            if bytes.len() > SMALL_HEAD_BYTES && place.is_none() {
                place = Some(self.heads.take(self.client)?);
            }
            match timeout_at(deadline, read(stream, &mut bytes)).await {
                Ok(Ok(1..)) => {}
                Ok(_) => return Ok(Arrived::Nothing),
                Err(_) => return Err(Refused::TooLate),
            }
        };
        let skipped = scan.skipped();
        let chunks = match body_of(&bytes[skipped..end])? {
            Body::Counted => None,
            Body::Chunked => {
                let mut chunks = ChunkScan::new();
                chunks.look(&bytes[end..])?;
                Some(chunks)
            }
        };
        bytes.advance(skipped);
        Ok(Arrived::Head(bytes, chunks))
    }

    /// Answers what is no request, and closes the connection.
    async fn refuse(&self, mut stream: Stream, refused: &Refused) {
        let status = refused.status();
        tracing::debug!(code = "request.refused", status = status.as_u16(), client = self.client.map(tracing::field::display), "{refused}");
        let head = format!(
            "HTTP/1.1 {} {}\r\nContent-Length: 0\r\nCache-Control: private, no-store\r\nConnection: close\r\n\r\n",
            status.as_str(),
            status.canonical_reason().unwrap_or_default()
        );
        let answering = async {
            stream.write_all(head.as_bytes()).await?;
            stream.flush().await?;
            stream.shutdown().await?;
            let (mut nothing, mut left) = (BytesMut::new(), LINGER_BYTES);
            while let read @ 1.. = read(&mut stream, &mut nothing).await? {
                nothing.clear();
                left = left.saturating_sub(read);
                if left == 0 {
                    break;
                }
            }
            io::Result::Ok(())
        };
        // Who does not take the answer has to do without it.
        let _ = timeout(LINGER_TIME, answering).await;
    }
}

impl Refused {
    fn status(&self) -> StatusCode {
        match self {
            Self::TooLarge | Self::Malformed(Malformed::TooManyFields) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::Malformed(_) => StatusCode::BAD_REQUEST,
            Self::TooLate => StatusCode::REQUEST_TIMEOUT,
            Self::NoRoom(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// What is malformed in a body is told by [`Malformed`] in the error, for [`crate::failure`].
impl Watch for ChunkScan {
    fn look(&mut self, bytes: &[u8]) -> io::Result<()> {
        ChunkScan::look(self, bytes).map_err(|malformed| io::Error::new(io::ErrorKind::InvalidData, malformed))
    }
}

/// Appends what has arrived, [`MAX_HEAD_BYTES`] in all at most. Until something has, no buffer is held.
async fn read(stream: &mut Stream, bytes: &mut BytesMut) -> io::Result<usize> {
    std::future::poll_fn(|context| {
        let mut room = [const { MaybeUninit::<u8>::uninit() }; PIECE_BYTES];
        let most = PIECE_BYTES.min(MAX_HEAD_BYTES.saturating_sub(bytes.len()));
        let mut piece = ReadBuf::uninit(&mut room[..most]);
        ready!(Pin::new(&mut *stream).poll_read(context, &mut piece))?;
        bytes.extend_from_slice(piece.filled());
        Poll::Ready(Ok(piece.filled().len()))
    })
    .await
}
