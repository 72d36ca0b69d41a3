//! Requests, by what became of them.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The application was asked.
    Forwarded,
    /// The filter answered: a login, a refusal, a route of its own.
    Answered,
    /// There was no decision, or no exchange with the application; or the peer broke the protocol.
    Failed,
    /// The client closed the connection, or with HTTP/2 the stream, before the first byte of a response.
    Closed,
}

const OUTCOMES: [&str; 4] = ["forwarded", "answered", "failed", "closed"];

/// The last is of a peer that was gone before it had an answer.
const STATUSES: [&str; 6] = ["1xx", "2xx", "3xx", "4xx", "5xx", "none"];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    outcome: &'static str,
    status: &'static str,
}

/// A counter for each outcome and class of status.
#[derive(Clone, Debug)]
pub struct Requests([[Counter; STATUSES.len()]; OUTCOMES.len()]);

impl Requests {
    pub(super) fn registered(registry: &mut Registry) -> Self {
        let family = Family::<Labels, Counter>::default();
        registry.register("http_requests", "Requests that have ended, by outcome and class of the status", family.clone());
        Self(OUTCOMES.map(|outcome| STATUSES.map(|status| family.get_or_create_owned(&Labels { outcome, status }))))
    }

    /// A request has ended, with this status; 0 without one.
    pub fn count(&self, outcome: Outcome, status: u16) {
        let class = match status {
            100..=599 => usize::from(status / 100 - 1),
            _ => STATUSES.len() - 1,
        };
        if let Some(counter) = self.0[outcome as usize].get(class) {
            counter.inc();
        }
    }
}
