//! The bytes of one HTTP/1.1 request, apart from those that follow it.
//!
//! A client may send its next request before the answer is there (RFC 9112 section 9.3.2), and old ones send an empty line
//! after a body (section 2.2). Pingora reads a request from here, as if nothing followed it.
//!
//! 1. The body ends where [`crate::listen::framing`] ends it. What was read behind it is kept for [`crate::listen::http1`], which reads the
//!    next head from it: no byte of it becomes part of this body, or reaches the application undecided.
//! 2. Behind the body 16 KiB are read at most (`MOST_BEHIND`): whoever sends more has to wait.
//! 3. A peer that has nothing more to send gets its answer: RFC 9112 section 9.6 tells servers to do the same. It cannot be
//!    told from one that has gone before something is sent to it; so it is taken to be gone when for [`LAST_WAIT`] nothing
//!    was. The same holds for one that has sent more than is read: that it has gone would not be noticed.
//! 4. A connection that was upgraded is read as it is.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, BytesMut};
use pingora::protocols::Stream;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::listen::framing::{Body, ChunkScan, Malformed};
use crate::listen::watched_connection::{Watch, Watched};

/// How long a peer that sends nothing more waits for its answer, or for the next piece of it.
pub const LAST_WAIT: Duration = Duration::from_secs(10);

/// What is read of later requests while an earlier one is served, in bytes: several of a browser's.
pub const MOST_BEHIND: usize = 16 * 1024;

/// The rest of a request, while it is served.
#[derive(Debug)]
pub struct RequestBytes {
    body: Rest,
    /// What was read behind the body.
    behind: BytesMut,
    /// The peer sends nothing more, or nothing more is read.
    ended: Option<Pin<Box<Sleep>>>,
    is_upgraded: AtomicBool,
}

/// What is still to come of a body.
#[derive(Debug)]
enum Rest {
    Counted { left: u64 },
    Chunked(ChunkScan),
}

impl RequestBytes {
    /// Of a request with this `body`, of which `arrived` was read together with the head. Leaves in `arrived` what belongs to
    /// the request.
    ///
    /// # Errors
    /// As [`ChunkScan::look`].
    pub fn new(body: Body, arrived: &mut BytesMut, head_bytes: usize) -> Result<Self, Malformed> {
        let mut body = match body {
            Body::Counted(left) => Rest::Counted { left },
            Body::Chunked => Rest::Chunked(ChunkScan::new()),
        };
        let own = head_bytes + body.take(&arrived[head_bytes..])?;
        let behind = if own < arrived.len() { arrived.split_off(own) } else { BytesMut::new() };
        Ok(Self { body, behind, ended: None, is_upgraded: AtomicBool::new(false) })
    }

    /// The connection is no longer HTTP's.
    pub fn upgrade(stream: &Stream) {
        if let Some(watched) = (**stream).as_any().downcast_ref::<Watched<Self>>() {
            watched.watch().is_upgraded.store(true, Ordering::Relaxed);
        }
    }

    /// The connection and what was read of its next request; nothing when the end of this request was not reached.
    pub fn finish(stream: Stream) -> Option<(Stream, BytesMut)> {
        let (stream, request) = stream.into_any().downcast::<Watched<Self>>().ok()?.into_parts();
        let is_whole = request.body.is_over() && !request.is_upgraded.into_inner();
        is_whole.then_some((stream, request.behind))
    }

    fn poll_body(&mut self, stream: &mut Stream, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(context, buffer))?;
        let arrived = &buffer.filled()[before..];
        let taken = match self.body.take(arrived) {
            Ok(taken) => {
                self.behind.extend_from_slice(&arrived[taken..]);
                Ok(taken)
            }
            // For `crate::exchange::failure`.
            Err(malformed) => Err(io::Error::new(io::ErrorKind::InvalidData, malformed)),
        };
        buffer.set_filled(before + *taken.as_ref().unwrap_or(&0));
        Poll::Ready(taken.map(drop))
    }

    /// Ready when the peer is gone.
    fn poll_behind(&mut self, stream: &mut Stream, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ended.is_none() && self.behind.len() < MOST_BEHIND {
            let mut piece = [0; 1024];
            let mut piece = ReadBuf::new(&mut piece);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut piece))?;
            self.behind.extend_from_slice(piece.filled());
            if piece.filled().is_empty() {
                break;
            }
        }
        let ended = self.ended.get_or_insert_with(|| Box::pin(sleep(LAST_WAIT)));
        ended.as_mut().poll(context).map(Ok)
    }
}

impl Watch for RequestBytes {
    fn poll_read(&mut self, stream: &mut Stream, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !*self.is_upgraded.get_mut() {
            return if self.body.is_over() { self.poll_behind(stream, context) } else { self.poll_body(stream, context, buffer) };
        }
        if self.behind.is_empty() {
            return Pin::new(stream).poll_read(context, buffer);
        }
        let length = self.behind.len().min(buffer.remaining());
        buffer.put_slice(&self.behind[..length]);
        self.behind.advance(length);
        Poll::Ready(Ok(()))
    }

    fn wrote(&mut self) {
        if let Some(ended) = &mut self.ended {
            ended.as_mut().reset(Instant::now() + LAST_WAIT);
        }
    }
}

impl Rest {
    /// How many of the bytes belong to the body.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Malformed> {
        match self {
            Self::Counted { left } => {
                let taken = usize::try_from(*left).map_or(bytes.len(), |left| left.min(bytes.len()));
                *left -= taken as u64;
                Ok(taken)
            }
            Self::Chunked(scan) => scan.look(bytes),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Counted { left } => *left == 0,
            Self::Chunked(scan) => scan.is_over(),
        }
    }
}
