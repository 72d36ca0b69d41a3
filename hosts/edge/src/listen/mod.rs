//! The listening side: connections of peers, with their limits, and the bytes on them until Pingora takes them.

pub mod framing;
pub mod http1;
pub mod http2_idle;
pub mod http2_watch;
pub mod limits;
pub mod listener;
pub mod request_bytes;
pub mod tls;
pub mod watched_connection;
