//! What of an exchange is counted ([`crate::metrics`]).

use std::fmt;

use crate::exchange::ending::{Closer, Reason};
use crate::metrics::{Metrics, OpenUpgrade, Outcome, UpgradeEnd};
use crate::observe::log::Disposition;

/// A request has ended, with this status; 0 without one.
pub(crate) fn request(metrics: &Metrics, disposition: Disposition, status: u16) {
    let outcome = match disposition {
        Disposition::Forwarded => Outcome::Forwarded,
        Disposition::Answered => Outcome::Answered,
        Disposition::Failed => Outcome::Failed,
        Disposition::Closed => Outcome::Closed,
    };
    metrics.requests.count(outcome, status);
}

/// An upgraded connection, which counts as open until this is dropped.
pub(crate) struct CountedUpgrade {
    _open: OpenUpgrade<Box<dyn Fn() -> UpgradeEnd + Send + Sync>>,
}

impl fmt::Debug for CountedUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountedUpgrade").finish_non_exhaustive()
    }
}

/// Counts a connection that was upgraded, whose end `closer` knows.
pub(crate) fn upgrade(metrics: &Metrics, closer: Closer) -> CountedUpgrade {
    let end = move || match closer.reason() {
        Some(Reason::SessionEnded) => UpgradeEnd::SessionEnded,
        Some(Reason::NotAdmitted) => UpgradeEnd::NotAdmitted,
        Some(Reason::BodyStalled) | None => UpgradeEnd::Closed,
    };
    CountedUpgrade { _open: metrics.upgrades.open(Box::new(end)) }
}
