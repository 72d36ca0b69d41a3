//! The service manager that runs this program, systemd for example: what it is told, and the socket that it passes.
//!
//! Without a service manager, nothing is told and nothing is passed. The protocols are those of sd_notify(3) and sd_listen_fds(3).

use std::io;
use std::net::TcpListener;
use std::os::fd::{BorrowedFd, FromRawFd as _, OwnedFd, RawFd};

use rustix::net::{AddressFamily, SocketType, getsockname, sockopt};
use sd_notify::NotifyState;

/// Why the socket that was passed is not listened on.
#[derive(Debug, thiserror::Error)]
pub enum PassedSocketError {
    /// The variables `LISTEN_PID` and `LISTEN_FDS` are malformed, or name descriptors that are not open.
    #[error("the service manager passes no usable socket: {0}; correct LISTEN_PID and LISTEN_FDS, or unset them")]
    Unusable(io::Error),
    /// One address is listened on.
    #[error("the service manager passes {0} sockets, and one is used; leave one ListenStream= in the socket unit")]
    Several(usize),
    /// A Unix socket, a datagram socket, a connection (`Accept=yes`), or no socket.
    #[error("the service manager passes something else than a listening TCP socket; write ListenStream= with a port, and Accept=no")]
    NotListening,
}

/// The listening TCP socket that the service manager passes (`LISTEN_FDS`), if it passes one to this process. Call it once.
///
/// # Errors
/// It passes several, or something else. Nothing else is listened on then: the operator has chosen the address there.
#[expect(unsafe_code, reason = "a descriptor that is known by its number; see SAFETY")]
pub fn passed_socket() -> Result<Option<TcpListener>, PassedSocketError> {
    let mut passed = sd_notify::listen_fds().map_err(PassedSocketError::Unusable)?;
    let Some(descriptor) = passed.next() else { return Ok(None) };
    if passed.len() > 0 {
        return Err(PassedSocketError::Several(passed.len() + 1));
    }
    // Before it is owned: a wrong number may be that of a descriptor that belongs to somebody else here.
    if !is_listening(descriptor) {
        return Err(PassedSocketError::NotListening);
    }
    // SAFETY: the variables name this process and this number, and it is a listening socket. Nothing else in this process has made
    // one before, or knows of this one.
    let socket = TcpListener::from(unsafe { OwnedFd::from_raw_fd(descriptor) });
    socket.set_nonblocking(true).map_err(PassedSocketError::Unusable)?;
    Ok(Some(socket))
}

#[expect(unsafe_code, reason = "a descriptor that is known by its number; see SAFETY")]
fn is_listening(descriptor: RawFd) -> bool {
    // SAFETY: `listen_fds` has set a flag on it, so it is open. It is not closed here.
    let socket = unsafe { BorrowedFd::borrow_raw(descriptor) };
    let has_address =
        getsockname(socket).is_ok_and(|address| [AddressFamily::INET, AddressFamily::INET6].contains(&address.address_family()));
    has_address && sockopt::socket_type(socket) == Ok(SocketType::STREAM) && sockopt::socket_acceptconn(socket) == Ok(true)
}

/// Requests are answered.
pub fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The configuration is being read again. [`reloaded`] follows.
pub fn reloading() {
    // systemd 253 and newer want the time of it in the same message.
    match NotifyState::monotonic_usec_now() {
        Ok(now) => tell(&[NotifyState::Reloading, now]),
        Err(_) => tell(&[NotifyState::Reloading]),
    }
}

/// Reading it again has ended; `status` says how, in one line.
pub fn reloaded(status: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// Requests in flight may end; new connections are refused.
pub fn stopping() {
    tell(&[NotifyState::Stopping]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(code = "service_manager.not_told", "the service manager cannot be told of the program's state: {error}");
    }
}
