//! A downstream connection's end: an upgraded connection closes when the session it rests on ends, by its time or by
//! somebody's word ([`crate::upgrades`]).
//!
//! The proxy learns of an upgrade deep inside Pingora; the listener owns the connection. They meet in a task-local:
//! an HTTP/1.1 connection, the only kind that can be upgraded, is one task from its first byte to its last.
//!
//! Responses that do not end (server-sent events, long polls) go on past the session: they carry to the peer only, who
//! saw it all until then, and the next request is decided anew. An application that minds ends them itself.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

/// The longest sleep before the clock is read again: a machine may have been suspended meanwhile.
const CLOCK_CHECK: Duration = Duration::from_secs(30);

tokio::task_local! {
    static CONNECTION: Arc<watch::Sender<Option<u64>>>;
}

/// Runs one connection to its end, or to the end of the session that an upgrade on it rests on.
pub async fn run(connection: impl Future<Output = ()>) {
    let (ends_at, watched) = watch::channel(None);
    tokio::select! {
        () = CONNECTION.scope(Arc::new(ends_at), connection) => {}
        () = session_end(watched) => {
            tracing::info!(code = "upgrade.session_ended", "closed an upgraded connection: its session has ended");
        }
    }
}

/// The end of one connection, in the hands of others.
#[derive(Clone)]
pub struct Closer(Arc<watch::Sender<Option<u64>>>);

impl Closer {
    /// Closes the connection now.
    pub fn close(&self) {
        self.close_at(0);
    }

    /// Closes the connection at `expires_at`, in seconds since the Unix epoch; what was announced for an earlier moment
    /// stays.
    pub fn close_at(&self, expires_at: u64) {
        self.0.send_if_modified(|announced| {
            let is_earlier = announced.is_none_or(|earlier| expires_at < earlier);
            if is_earlier {
                *announced = Some(expires_at);
            }
            is_earlier
        });
    }
}

/// For the connection that this task serves; `None` outside [`run`].
pub fn closer() -> Option<Closer> {
    CONNECTION.try_with(|connection| Closer(Arc::clone(connection))).ok()
}

/// Waits until the announced moment; for ever when none is announced, or one that the clock cannot represent.
async fn session_end(mut watched: watch::Receiver<Option<u64>>) {
    loop {
        let announced = *watched.borrow_and_update();
        let end = announced.and_then(|seconds| UNIX_EPOCH.checked_add(Duration::from_secs(seconds)));
        let left = end.map(|end| end.duration_since(SystemTime::now()).unwrap_or_default());
        if left.is_some_and(|left| left.is_zero()) {
            return;
        }
        let wait = async {
            match left {
                Some(left) => tokio::time::sleep(left.min(CLOCK_CHECK)).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait => {}
            // Who announces is as old as the connection.
            changed = watched.changed() => if changed.is_err() { std::future::pending().await },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_ended_session_ends_the_connection() {
        run(async {
            closer().expect("a connection").close_at(1);
            std::future::pending().await
        })
        .await;
    }

    #[tokio::test]
    async fn an_earlier_end_takes_the_place_of_a_later_one_and_stays() {
        run(async {
            let closer = closer().expect("a connection");
            closer.close_at(u64::MAX);
            tokio::task::yield_now().await;
            closer.close();
            closer.close_at(u64::MAX);
            std::future::pending().await
        })
        .await;
    }

    #[tokio::test]
    async fn a_connection_without_an_upgrade_ends_by_itself() {
        run(async {}).await;
    }

    #[tokio::test]
    async fn a_moment_out_of_range_never_comes() {
        run(async {
            closer().expect("a connection").close_at(u64::MAX);
            tokio::task::yield_now().await;
        })
        .await;
    }
}
