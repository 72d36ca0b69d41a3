//! Connections to the application for requests that ask for an upgrade.
//!
//! Pingora 0.9.1 tells its upstream half in one task that the request has no (more) body, and waits in one `select!`,
//! in random order, for that task and for the response. A `101` that is there already at the first look, as on a busy
//! machine, can win; the end of the body then counts as the end of the *upgraded* connection, which is closed just
//! after it was opened. On these connections a response is therefore never there at the first look after a write: the
//! task, which was sent before, comes first.
//!
//! Once upgraded, silence is no failure; before the answer it is. Pingora knows one timeout for both, so that the first
//! is kept here.
//!
//! After the end of the session nothing is written here any more, whatever Pingora still has in hand ([`crate::upgrade::link`]).

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use pingora::{Error, ErrorType, Result};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

use crate::upgrade::link::Link;

/// Connects for upgrades.
#[derive(Debug)]
pub(crate) struct UpgradeConnector {
    pub(crate) link: Arc<Link>,
    /// The longest wait for the application's answer.
    pub(crate) timeout: Duration,
}

#[async_trait]
impl L4Connect for UpgradeConnector {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let Some(address) = address.as_inet() else {
            return Error::e_explain(ErrorType::ConnectError, "the application's address is not an IP address");
        };
        let socket = TcpStream::connect(address).await.map_err(|cause| {
            let kind = match cause.kind() {
                io::ErrorKind::ConnectionRefused => ErrorType::ConnectRefused,
                io::ErrorKind::TimedOut => ErrorType::ConnectTimedout,
                _ => ErrorType::ConnectError,
            };
            Error::because(kind, format!("no connection to {address}"), cause)
        })?;
        Ok(VirtualSocketStream::new(Box::new(UpgradeSocket::new(socket, self))).into())
    }
}

/// A socket whose first read after a write looks a second time, and whose reads fail when no answer comes.
#[derive(Debug)]
struct UpgradeSocket<S> {
    socket: S,
    has_written: bool,
    link: Arc<Link>,
    deadline: Pin<Box<Sleep>>,
}

impl<S> UpgradeSocket<S> {
    fn new(socket: S, connector: &UpgradeConnector) -> Self {
        let deadline = Box::pin(sleep(connector.timeout));
        UpgradeSocket { socket, has_written: false, link: Arc::clone(&connector.link), deadline }
    }

    /// Whether it was waited for an answer in vain. Wakes the task when that becomes so.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        !self.link.is_answered() && self.deadline.as_mut().poll(context).is_ready()
    }
}

impl VirtualSocket for UpgradeSocket<TcpStream> {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.socket.set_nodelay(true),
            // No other is configured.
            _ => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for UpgradeSocket<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.link.is_hung_up(context) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if std::mem::take(&mut self.has_written) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let read = Pin::new(&mut self.socket).poll_read(context, buffer);
        if read.is_pending() && self.is_late(context) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for UpgradeSocket<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.link.has_ended() {
            // As if it had been sent: Pingora goes on to read what the application has begun to say.
            return Poll::Ready(Ok(bytes.len()));
        }
        self.has_written = true;
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::poll;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    fn connector(timeout: Duration) -> UpgradeConnector {
        UpgradeConnector { link: Arc::default(), timeout }
    }

    #[tokio::test]
    async fn silence_is_a_failure_until_the_answer_is_there() {
        let (socket, _peer) = tokio::io::duplex(64);
        let mut socket = UpgradeSocket::new(socket, &connector(Duration::ZERO));
        let error = socket.read_u8().await.expect_err("nobody answers");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        socket.link.answer();
        assert!(poll!(Box::pin(socket.read_u8())).is_pending(), "it may be silent now");
    }

    #[tokio::test]
    async fn after_the_end_of_the_session_nothing_is_written_and_a_frame_may_end() {
        let (socket, mut peer) = tokio::io::duplex(64);
        let mut socket = UpgradeSocket::new(socket, &connector(Duration::MAX));
        let link = Arc::clone(&socket.link);
        socket.write_all(b"before").await.expect("room");
        link.note(true);
        link.end();
        socket.write_all(b"behind").await.expect("as if it were sent");
        peer.write_all(b"x").await.expect("room");
        assert_eq!(socket.read_u8().await.expect("the rest of a frame"), b'x');

        let mut read = Box::pin(socket.read_u8());
        assert!(poll!(&mut read).is_pending());
        link.note(false);
        assert_eq!(read.await.expect_err("hung up").kind(), io::ErrorKind::ConnectionAborted);
        drop(socket);
        let mut arrived = String::new();
        peer.read_to_string(&mut arrived).await.expect("text");
        assert_eq!(arrived, "before");
    }

    #[tokio::test]
    async fn an_answer_that_is_there_already_is_read_at_the_second_look() {
        let (socket, mut peer) = tokio::io::duplex(64);
        let mut socket = UpgradeSocket::new(socket, &connector(Duration::MAX));
        peer.write_all(b"101").await.expect("room");
        socket.write_all(b"GET").await.expect("room");

        let mut answer = [0; 3];
        let mut read = Box::pin(socket.read_exact(&mut answer));
        assert!(poll!(&mut read).is_pending(), "the first look finds nothing");
        assert!(poll!(&mut read).is_ready(), "the second finds it");
        drop(read);
        assert_eq!(&answer, b"101");
    }
}
