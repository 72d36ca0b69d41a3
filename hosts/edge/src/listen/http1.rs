//! One HTTP/1.1 connection: heads are read here, by the rules of [`crate::listen::framing`], and handed to Pingora whole.
//!
//! Pingora would read a head again from its beginning with every byte that arrives, keep a megabyte of it, and wait for
//! each byte anew; and it is more lenient than [`crate::listen::framing`].
//!
//! 1. A connection without a request is closed after [`ConnectionLimits::idle`]; it holds no buffer.
//! 2. A head is whole within [`ConnectionLimits::head`] of its first byte, or 408.
//! 3. [`MAX_HEAD_BYTES`] are read of it at most, then it is 431. The buffer is as long as what has arrived; beyond
//!    [`SMALL_HEAD_BYTES`] an unfinished head takes one of [`LARGE_HEADS`] places, or is 503.
//! 4. What is malformed is 400. After each of these answers the connection is closed.
//! 5. Pingora gets each request alone ([`crate::listen::request_bytes`]). One that has come before the answer to another is read
//!    after that answer, in its turn (RFC 9112 section 9.3.2).

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

use crate::client::shares::{Full, Shares};
use crate::listen::framing::{HeadScan, Malformed, body_of, spell_host_as_target};
use crate::listen::limits::ConnectionLimits;
use crate::listen::request_bytes::RequestBytes;
use crate::listen::watched_connection::Watched;

/// Request line and fields. The filter takes as much; servers behind take less.
pub const MAX_HEAD_BYTES: usize = 64 * 1024;

/// Most heads are shorter, and arrive at once.
pub const SMALL_HEAD_BYTES: usize = 8 * 1024;

/// Unfinished heads beyond [`SMALL_HEAD_BYTES`], of all connections: 16 MiB at most. Over HTTP/2 large frames count as well. Two thousand
/// connections over HTTP/2 that have begun a head take 70 MiB by themselves.
pub const LARGE_HEADS: usize = 256;

/// What is read at once.
const PIECE_BYTES: usize = 16 * 1024;

/// What is read for nothing, and for how long, so that an answer arrives: closing on unread bytes resets the connection.
const LINGER_BYTES: usize = 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Where a connection comes from, and what it may take.
pub struct Http1Connection<'a> {
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
    NoRoom(Full),
}

/// What has become of the next request's head.
enum Arrived {
    /// It, with what was read of the body, and what follows.
    Head(BytesMut, RequestBytes),
    /// There is none: the peer is gone or idle, or the server stops.
    Nothing,
    Refused(Refused),
}

impl Http1Connection<'_> {
    /// Serves requests until the connection ends.
    pub async fn serve<A: HttpServerApp>(self, app: &Arc<A>, mut stream: Stream) {
        let mut settings: Option<HttpPersistentSettings> = None;
        let mut ahead = BytesMut::new();
        loop {
            let (head, request) = match self.arrival(&mut stream, ahead).await {
                Arrived::Head(head, request) => (head, request),
                Arrived::Nothing => return,
                Arrived::Refused(refused) => return self.refuse(stream, &refused).await,
            };
            let mut session = ServerSession::new_http1(Box::new(Watched::new(stream, request)));
            match settings.take() {
                Some(settings) => settings.apply_to_session(&mut session),
                // Pingora's own default; the time is taken here.
                None => session.set_keepalive(Some(self.limits.idle.as_secs().max(1))),
            }
            session.set_pipelined_prefix(head);
            let Some(reused) = app.process_new_http(session, self.shutdown).await else { return };
            let (reused, kept) = reused.consume();
            let Some((reused, behind)) = RequestBytes::finish(reused) else { return };
            (stream, ahead, settings) = (reused, behind, kept);
        }
    }

    /// The next head, unless the server stops first. `ahead`: what was read of it already.
    async fn arrival(&self, stream: &mut Stream, ahead: BytesMut) -> Arrived {
        let mut shutdown = self.shutdown.clone();
        tokio::select! {
            // What has arrived already is not dropped.
            biased;
            arrived = self.head(stream, ahead) => arrived.unwrap_or_else(Arrived::Refused),
            _ = shutdown.wait_for(|stopping| *stopping) => Arrived::Nothing,
        }
    }

    async fn head(&self, stream: &mut Stream, ahead: BytesMut) -> Result<Arrived, Refused> {
        let (mut bytes, mut scan, mut looked_at) = (ahead, HeadScan::default(), 0);
        let (mut place, mut due) = (None, None);
        let idle_until = Instant::now() + self.limits.idle;
        let end = loop {
            if let Some(end) = scan.look(&bytes[looked_at..])? {
                break looked_at + end;
            }
            looked_at = bytes.len();
            if bytes.len() >= MAX_HEAD_BYTES {
                return Err(Refused::TooLarge);
            }
            if bytes.len() > SMALL_HEAD_BYTES && place.is_none() {
                place = Some(self.heads.take(self.client).map_err(Refused::NoRoom)?);
            }
            // An empty line that follows the body before is no beginning of a head.
            let until = if scan.has_begun() { *due.get_or_insert_with(|| Instant::now() + self.limits.head) } else { idle_until };
            match timeout_at(until, read(stream, &mut bytes)).await {
                Ok(Ok(1..)) => {}
                Err(_) if due.is_some() => return Err(Refused::TooLate),
                _ => return Ok(Arrived::Nothing),
            }
        };
        let skipped = scan.skipped();
        spell_host_as_target(&mut bytes[skipped..end]);
        let body = body_of(&bytes[skipped..end])?;
        bytes.advance(skipped);
        let request = RequestBytes::new(body, &mut bytes, end - skipped)?;
        Ok(Arrived::Head(bytes, request))
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
