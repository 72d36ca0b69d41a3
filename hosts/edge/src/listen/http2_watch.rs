//! What HTTP/2 connections may not do, seen from their frames (RFC 9113 section 4.1); what is in the frames, `h2` judges.
//!
//! 1. The preface, every frame but those of a request's body, and a header block with all its CONTINUATION frames are whole in
//!    the time that a request head of HTTP/1.1 has.
//! 2. Such a frame that is larger than 4 KiB and not whole takes one of the places that large heads of HTTP/1.1
//!    have, and a block that goes on in a second frame one of [`CONTINUED_BLOCKS`], or the connection ends. `h2` keeps a frame
//!    until it is whole, and decodes each as it comes: one byte of a block may name a line of the table, and stand for a
//!    hundred in memory.
//! 3. A peer that takes back most of its requests is let go: each has cost a decision, and a request to the application
//!    (CVE-2023-44487, rapid reset).

use std::future::Future as _;
use std::io;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pingora::protocols::Stream;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::client::shares::{Place, Shares};
use crate::listen::watched_connection::Watch;

/// Header blocks in several frames, of all connections, that are not whole: 8 MiB at most. Clients send one frame, of up to
/// 16 KiB, unless the head is larger.
pub const CONTINUED_BLOCKS: usize = 32;

/// What `h2` has room for in any case.
const SMALL_FRAME_BYTES: usize = 4 * 1024;

const PREFACE_BYTES: usize = 24;
const FRAME_HEAD_BYTES: usize = 9;

const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const CONTINUATION: u8 = 0x9;
const END_HEADERS: u8 = 0x4;

/// Of a stream's number.
const RESERVED_BIT: u32 = 1 << 31;

/// A page with many images that somebody leaves takes back as many requests at once.
const TOLERATED_RESETS: u64 = 200;

/// One connection, from its first byte.
#[derive(Debug)]
pub struct Http2Watch {
    at: At,
    /// In a header block that goes on in the next frame.
    in_block: bool,
    places: Places,
    client: Option<IpAddr>,
    /// Held while a large frame is not whole.
    large: Option<Place>,
    /// Held while a block of several frames is not whole.
    continued: Option<Place>,
    /// The newest stream (RFC 9113 section 5.1.1: each has a higher number than those before it).
    newest: u32,
    requests: u64,
    resets: u64,
    patience: Duration,
    /// Set while something has to become whole.
    due: Option<Instant>,
    /// Made when it is first waited for, and kept.
    timer: Option<Pin<Box<Sleep>>>,
}

/// What all connections of a listener share.
#[derive(Clone, Debug)]
pub struct Places {
    /// For large frames: those of large heads of HTTP/1.1.
    pub heads: Arc<Shares>,
    /// For blocks of several frames.
    pub blocks: Arc<Shares>,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Preface { left: usize },
    Head { have: usize, head: [u8; FRAME_HEAD_BYTES] },
    Payload { left: usize },
}

/// At the start of a frame.
const HEAD: At = At::Head { have: 0, head: [0; FRAME_HEAD_BYTES] };

impl Http2Watch {
    /// For a connection that begins now, and whose header blocks take `patience` at most. Of `places`, `client` has its share.
    pub fn new(patience: Duration, places: Places, client: Option<IpAddr>) -> Self {
        Self {
            at: At::Preface { left: PREFACE_BYTES },
            in_block: false,
            places,
            client,
            large: None,
            continued: None,
            newest: 0,
            requests: 0,
            resets: 0,
            patience,
            due: Some(Instant::now() + patience),
            timer: None,
        }
    }

    /// What a frame's head says. The frame's length is bounded by `h2`.
    fn begin(&mut self, head: [u8; FRAME_HEAD_BYTES]) -> io::Result<usize> {
        let [high, middle, low, kind, flags, stream @ ..] = head;
        let length = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        let stream = u32::from_be_bytes(stream) & !RESERVED_BIT;
        if kind == DATA && stream <= self.newest {
            self.settle();
            return Ok(length);
        }
        self.due.get_or_insert_with(|| Instant::now() + self.patience);
        if length > SMALL_FRAME_BYTES {
            self.large = Some(take(&self.places.heads, self.client)?);
        }
        match kind {
            HEADERS | CONTINUATION => {
                // Trailers come on a stream that is there already.
                if kind == HEADERS && stream > self.newest {
                    self.newest = stream;
                    self.requests += 1;
                }
                self.in_block = flags & END_HEADERS == 0;
                if self.in_block && self.continued.is_none() {
                    self.continued = Some(take(&self.places.blocks, self.client)?);
                }
            }
            RST_STREAM => {
                self.resets += 1;
                if self.resets > TOLERATED_RESETS && self.resets * 2 > self.requests {
                    tracing::info!(code = "http2.resets", resets = self.resets, "closed an HTTP/2 connection that takes back its requests");
                    return Err(io::Error::other("requests are taken back"));
                }
            }
            _ => {}
        }
        Ok(length)
    }

    /// A frame is whole, or part of a body has begun.
    fn settle(&mut self) {
        self.large = None;
        if !self.in_block {
            self.due = None;
            self.continued = None;
        }
    }
}

fn take(places: &Arc<Shares>, client: Option<IpAddr>) -> io::Result<Place> {
    places.take(client).map_err(|full| {
        tracing::info!(code = "http2.no_room", "closed an HTTP/2 connection with a large head, because {full}");
        io::Error::other(full)
    })
}

impl Watch for Http2Watch {
    fn poll_read(&mut self, stream: &mut Stream, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check_time(context)?;
        let before = buffer.filled().len();
        ready!(Pin::new(stream).poll_read(context, buffer))?;
        let looked = self.look(&buffer.filled()[before..]);
        if looked.is_err() {
            buffer.set_filled(before);
        }
        Poll::Ready(looked)
    }
}

impl Http2Watch {
    fn check_time(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let Some(due) = self.due else { return Ok(()) };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        if timer.deadline() != due {
            timer.as_mut().reset(due);
        }
        if timer.as_mut().poll(context).is_ready() {
            tracing::debug!(code = "http2.head_timeout", "closed an HTTP/2 connection: a header block takes too long");
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }

    fn look(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let taken = match &mut self.at {
                At::Preface { left } | At::Payload { left } => {
                    let taken = bytes.len().min(*left);
                    *left -= taken;
                    if *left == 0 {
                        self.at = HEAD;
                        self.settle();
                    }
                    taken
                }
                At::Head { have, head } => {
                    let taken = bytes.len().min(FRAME_HEAD_BYTES - *have);
                    head[*have..*have + taken].copy_from_slice(&bytes[..taken]);
                    *have += taken;
                    if *have == FRAME_HEAD_BYTES {
                        let head = *head;
                        let left = self.begin(head)?;
                        self.at = if left == 0 { HEAD } else { At::Payload { left } };
                        if left == 0 {
                            self.settle();
                        }
                    } else {
                        self.due.get_or_insert_with(|| Instant::now() + self.patience);
                    }
                    taken
                }
            };
            bytes = &bytes[taken..];
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(15);

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).expect("a length").to_be_bytes();
        let mut frame = vec![length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        frame.resize(FRAME_HEAD_BYTES + payload, 0);
        frame
    }

    fn one_of_each() -> Places {
        Places { heads: Shares::new(1, 1), blocks: Shares::new(1, 1) }
    }

    fn begun() -> Http2Watch {
        begun_in(&one_of_each())
    }

    fn begun_in(places: &Places) -> Http2Watch {
        let mut watch = Http2Watch::new(PATIENCE, places.clone(), None);
        assert!(watch.due.is_some(), "the preface is to come");
        watch.look(&[0; PREFACE_BYTES]).expect("a preface");
        assert!(watch.due.is_none());
        watch
    }

    /// Whether something has to become whole after these bytes, in pieces of every size.
    fn is_due(bytes: &[u8]) -> bool {
        let due: Vec<bool> = (1..=bytes.len())
            .map(|size| {
                let mut watch = begun();
                bytes.chunks(size).for_each(|piece| watch.look(piece).expect("frames"));
                watch.due.is_some()
            })
            .collect();
        assert!(due.windows(2).all(|two| two[0] == two[1]), "it depends on the pieces: {due:?}");
        due[0]
    }

    #[test]
    fn a_header_block_is_due_until_its_last_frame_is_whole() {
        let whole = frame(HEADERS, END_HEADERS, 20);
        assert!(!is_due(&whole));
        assert!(is_due(&whole[..5]), "part of a frame's head");
        assert!(is_due(&whole[..9]) && is_due(&whole[..28]));
        let part = frame(HEADERS, 0, 20);
        assert!(is_due(&part));
        assert!(is_due(&[part.clone(), frame(CONTINUATION, 0, 3)].concat()));
        assert!(is_due(&[part.clone(), frame(CONTINUATION, 0, 0)].concat()));
        assert!(!is_due(&[part.clone(), frame(CONTINUATION, 0, 3), frame(CONTINUATION, END_HEADERS, 0)].concat()));
        let data = frame(DATA, 0, 100);
        assert!(is_due(&data[..50]), "of no request");
        assert!(!is_due(&[&*whole, &data[..50]].concat()), "bodies have their own time");
        assert!(!is_due(&[whole, data].concat()));
    }

    #[test]
    fn other_frames_are_due_until_they_are_whole() {
        for kind in (0..=u8::MAX).filter(|kind| ![DATA, HEADERS, CONTINUATION].contains(kind)) {
            let whole = frame(kind, 0, 20);
            assert!(is_due(&whole[..28]), "{kind}");
            assert!(!is_due(&whole), "{kind}");
        }
    }

    #[test]
    fn a_large_frame_takes_a_place_until_it_is_whole() {
        let places = one_of_each();
        for kind in (0..=u8::MAX).filter(|kind| *kind != CONTINUATION) {
            let (small, large) = (frame(kind, END_HEADERS, SMALL_FRAME_BYTES), frame(kind, END_HEADERS, SMALL_FRAME_BYTES + 1));
            let (mut first, mut second) = (begun_in(&places), begun_in(&places));
            first.look(&large[..FRAME_HEAD_BYTES]).expect("there is a place");
            second.look(&small).expect("small ones take none");
            assert!(begun_in(&places).look(&large[..FRAME_HEAD_BYTES]).is_err(), "{kind}: the place is taken");
            first.look(&large[FRAME_HEAD_BYTES..]).expect("the rest");
            second.look(&large[..FRAME_HEAD_BYTES]).expect("the place is free again");
            drop(second);
            begun_in(&places).look(&large).expect("a connection that ends gives it back");
        }
    }

    #[test]
    fn bodies_take_no_place() {
        let places = one_of_each();
        let request = frame(HEADERS, END_HEADERS, 20);
        let body = frame(DATA, 0, SMALL_FRAME_BYTES + 1);
        let mut uploads: Vec<_> = (0..3).map(|_| begun_in(&places)).collect();
        for upload in &mut uploads {
            upload.look(&[&*request, &body[..FRAME_HEAD_BYTES]].concat()).expect("as many as come");
        }
        assert_eq!(places.heads.count(), 0);
    }

    #[test]
    fn a_block_of_several_frames_takes_a_place_until_it_is_whole() {
        let places = one_of_each();
        let (part, rest) = (frame(HEADERS, 0, 1), frame(CONTINUATION, END_HEADERS, 1));
        let mut first = begun_in(&places);
        first.look(&[&*part, &frame(CONTINUATION, 0, 1)].concat()).expect("there is a place");
        assert!(begun_in(&places).look(&part[..FRAME_HEAD_BYTES]).is_err(), "and it is taken");
        begun_in(&places).look(&frame(HEADERS, END_HEADERS, 1)).expect("one frame takes none");
        assert!(begun_in(&places).look(&frame(CONTINUATION, 0, 1)).is_err(), "a block without a beginning");
        first.look(&rest).expect("the end");
        let mut second = begun_in(&places);
        second.look(&part).expect("the place is free again");
        drop(second);
        begun_in(&places).look(&[part, rest].concat()).expect("a connection that ends gives it back");
        assert_eq!((places.heads.count(), places.blocks.count()), (0, 0));
    }

    #[test]
    fn what_is_due_does_not_move_with_further_bytes() {
        let mut watch = begun();
        watch.look(&frame(HEADERS, 0, 5)).expect("frames");
        let due = watch.due;
        std::thread::sleep(Duration::from_millis(5));
        watch.look(&frame(CONTINUATION, 0, 5)).expect("frames");
        assert!(due.is_some() && watch.due == due);
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_whole_in_time_is_an_error() {
        let mut watch = begun();
        watch.look(&frame(HEADERS, 0, 5)).expect("frames");
        let late = std::future::poll_fn(|context| match watch.check_time(context) {
            Ok(()) => std::task::Poll::Pending,
            Err(error) => std::task::Poll::Ready(error),
        });
        let began = Instant::now();
        assert_eq!(late.await.kind(), io::ErrorKind::TimedOut);
        assert!((PATIENCE..PATIENCE + Duration::from_secs(1)).contains(&began.elapsed()));
    }

    #[test]
    fn who_takes_back_most_requests_is_let_go() {
        let on = |kind, flags, stream: u32| {
            let mut frame = frame(kind, flags, if kind == RST_STREAM { 4 } else { 1 });
            frame[5..FRAME_HEAD_BYTES].copy_from_slice(&stream.to_be_bytes());
            frame
        };
        let (request, reset) = (|stream| on(HEADERS, END_HEADERS, stream), |stream| on(RST_STREAM, 0, stream));
        let mut watch = begun();
        for number in 0..1000 {
            let frames = [request(4 * number + 1), request(4 * number + 3), reset(4 * number + 1)];
            watch.look(&frames.concat()).expect("half of them is usual");
        }
        // Neither trailers nor a reserved bit nor an old stream is another request.
        for more in [None, Some(0), Some(RESERVED_BIT)] {
            let mut watch = begun();
            let until = (0..1000).position(|number| {
                let stream = 2 * number + 1;
                let more = more.map(|bit| [request(stream | bit), request(1)].concat()).unwrap_or_default();
                watch.look(&[request(stream), more, reset(stream)].concat()).is_err()
            });
            assert_eq!(until, Some(200));
        }
    }
}
