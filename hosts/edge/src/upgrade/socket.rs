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

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
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

/// Connects for upgrades.
#[derive(Debug)]
pub(crate) struct UpgradeConnector {
    /// Set when the application has answered.
    pub(crate) answered: Arc<AtomicBool>,
    /// The longest wait for that.
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
    answered: Arc<AtomicBool>,
    deadline: Pin<Box<Sleep>>,
}

impl<S> UpgradeSocket<S> {
    fn new(socket: S, connector: &UpgradeConnector) -> Self {
        let deadline = Box::pin(sleep(connector.timeout));
        UpgradeSocket { socket, has_written: false, answered: Arc::clone(&connector.answered), deadline }
    }

    /// Whether it was waited for an answer in vain. Wakes the task when that becomes so.
    fn is_late(&mut self, context: &mut Context<'_>) -> bool {
        !self.answered.load(Ordering::Relaxed) && self.deadline.as_mut().poll(context).is_ready()
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
        UpgradeConnector { answered: Arc::default(), timeout }
    }

    #[tokio::test]
    async fn silence_is_a_failure_until_the_answer_is_there() {
        let (socket, _peer) = tokio::io::duplex(64);
        let mut socket = UpgradeSocket::new(socket, &connector(Duration::ZERO));
        let error = socket.read_u8().await.expect_err("nobody answers");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        socket.answered.store(true, Ordering::Relaxed);
        assert!(poll!(Box::pin(socket.read_u8())).is_pending(), "it may be silent now");
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
