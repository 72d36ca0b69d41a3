//! A downstream connection's end: an upgraded connection closes when the session it rests on ends.
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

/// Closes the connection that this task serves at `expires_at`, in seconds since the Unix epoch.
/// Does nothing outside [`run`].
pub fn close_at(expires_at: u64) {
    let _ = CONNECTION.try_with(|connection| connection.send_replace(Some(expires_at)));
}

/// Waits until the announced moment; for ever when none is announced.
async fn session_end(mut watched: watch::Receiver<Option<u64>>) {
    let Ok(announced) = watched.wait_for(Option::is_some).await.map(|value| *value) else {
        return std::future::pending().await;
    };
    let end = UNIX_EPOCH.checked_add(Duration::from_secs(announced.unwrap_or_default()));
    while let Some(left) = end.map(|end| end.duration_since(SystemTime::now()).unwrap_or_default()) {
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(CLOCK_CHECK)).await;
    }
    // A moment that the clock cannot represent does not come.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_ended_session_ends_the_connection() {
        run(async {
            close_at(1);
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
            close_at(u64::MAX);
            tokio::task::yield_now().await;
        })
        .await;
    }
}
