//! What is done for the sake of jco's server (1.35) only. It serves one request after the other, it does not tell a peer
//! that is gone from one that is slow, and it ends itself when the body of a response is dropped before the call ends.

use std::cell::RefCell;
use std::pin::pin;
use std::time::Duration;

use futures::future::{Either, select};

use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::http::types::{Fields, OutgoingBody};
use crate::reactor::ready;

/// How long a peer may take nothing of a body. Everybody else waits for it, and it may be gone.
const STALL: Duration = Duration::from_secs(10);

thread_local! {
    static IS_HOST: bool = keeps_names();
    static LATE: RefCell<Option<OutgoingBody>> = const { RefCell::new(None) };
}

/// It is told from other hosts by the names of fields, which no other keeps as they are spelled.
fn keeps_names() -> bool {
    let fields = Fields::new();
    fields.append("X", b"").is_ok() && fields.entries().iter().any(|(name, _)| name == "X")
}

/// Drops an unfinished body of a response: now, or when the next one is dropped. jco's peer takes it for whole if it has
/// no length.
pub(crate) fn drop_late(body: OutgoingBody) {
    if IS_HOST.with(|&is_host| is_host) {
        LATE.set(Some(body));
    }
}

/// Waits for a peer to take more; `None` when it takes nothing for too long.
pub(crate) async fn unless_stalled(taken: impl Future<Output = ()>) -> Option<()> {
    if !IS_HOST.with(|&is_host| is_host) {
        taken.await;
        return Some(());
    }
    let limit = ready(monotonic_clock::subscribe_duration(u64::try_from(STALL.as_nanos()).unwrap_or(u64::MAX)));
    match select(pin!(taken), pin!(limit)).await {
        Either::Left(_) => Some(()),
        Either::Right(_) => None,
    }
}
