//! Open exchanges under a new configuration, or after the end of an account or of a provider's session: each is decided on anew,
//! and closed unless it would be forwarded as it was.
//!
//! 1. *As it was* means to the same application, and for the same session, or for nobody as before. When the session now
//!    ends at another time, so does the exchange.
//! 2. The question is the request as it was decided on, but not as a visit: no login begins, no session is renewed or refreshed.
//! 3. A judgement has no effect but on the exchange. Its events are not logged, its cookies not sent, its sessions not
//!    ended, and it counts for no limit.
//! 4. Failing closed: when there is no decision within `PATIENCE`, the exchange is closed.
//! 5. An exchange that was admitted by the old configuration, and registered after the new one took over, is judged too.
//! 6. After the end of an account, exchanges without a session stay as they are. What does not go on has lost its session then, and
//!    is closed for that. Rounds are `ROUND_PAUSE` apart, so that ends without number cost no more than rounds in this rhythm.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::HeaderValue;
use http::header::ACCEPT;
use pingora::http::RequestHeader;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use vestibule_wasmtime::{Decision, Outcome};

use crate::client::address::Client;
use crate::configuration::active::{Active, Current, Generation, Service};
use crate::configuration::decider::Undecided;
use crate::exchange::ending::Reason;
use crate::exchange::open_exchanges::{OpenExchanges, Question};
use crate::exchange::request_head::request_head;

/// Judgements at the same time: few, since the visitors' requests are decided on by the same instances.
const MAX_JUDGED_AT_ONCE: usize = 32;
/// For a judgement in all. An overloaded filter has recovered by then, or has other troubles.
const PATIENCE: Duration = Duration::from_secs(10);
/// Between two attempts to get a decision.
const PAUSE: Duration = Duration::from_millis(200);
/// From the end of a round to the beginning of the next.
const ROUND_PAUSE: Duration = Duration::from_millis(200);

enum Verdict {
    Admitted { expires_at: Option<u64> },
    NotAdmitted,
}

/// Judges whenever it is due; never returns.
pub async fn judge(open: Arc<OpenExchanges>, current: Current) {
    loop {
        current.judgement_due().await;
        if judge_all(&open, &current).await > 0 {
            sleep(ROUND_PAUSE).await;
        }
    }
}

/// One round. Another one is due if more has been admitted, or replaced, meanwhile. Returns how many were decided on.
async fn judge_all(open: &Arc<OpenExchanges>, current: &Current) -> usize {
    let closed = Arc::new(AtomicUsize::new(0));
    let mut judged = 0;
    let mut judging = JoinSet::new();
    for (number, question, admitted_in) in open.admitted_before(current.generation()) {
        let (generation, active) = current.load();
        let is_replaced = current.has_been_replaced_since(admitted_in);
        if !is_replaced && question.session.is_none() {
            open.keep(number, generation, None);
            continue;
        }
        judged += 1;
        if judging.len() >= MAX_JUDGED_AT_ONCE {
            judging.join_next().await;
        }
        let reason = if is_replaced { Reason::NotAdmitted } else { Reason::SessionEnded };
        let (open, closed) = (open.clone(), closed.clone());
        let sentence = Sentence { open, number, generation, closed, verdict: Verdict::NotAdmitted, reason };
        judging.spawn(sentence.find(question, active));
    }
    while judging.join_next().await.is_some() {}
    if judged > 0 {
        let closed = closed.load(Ordering::Relaxed);
        tracing::info!(code = "configuration.judged", judged, closed, "decided again on open connections and responses");
    }
    judged
}

/// Carried out when it is dropped, also by a panic: what has no verdict is not admitted.
struct Sentence {
    open: Arc<OpenExchanges>,
    number: u64,
    generation: Generation,
    closed: Arc<AtomicUsize>,
    verdict: Verdict,
    /// Of a closing.
    reason: Reason,
}

impl Sentence {
    async fn find(mut self, question: Arc<Question>, active: Arc<Active>) {
        let verdict = timeout(PATIENCE, async {
            loop {
                match verdict(&question, &active).await {
                    Ok(verdict) => return verdict,
                    Err(undecided) => {
                        tracing::debug!(code = "configuration.not_judged", "{undecided}");
                        sleep(PAUSE).await;
                    }
                }
            }
        });
        if let Ok(verdict) = verdict.await {
            self.verdict = verdict;
        }
    }
}

impl Drop for Sentence {
    fn drop(&mut self) {
        match self.verdict {
            Verdict::Admitted { expires_at } => self.open.keep(self.number, self.generation, expires_at),
            Verdict::NotAdmitted => {
                self.closed.fetch_add(1, Ordering::Relaxed);
                self.open.close(self.number, self.generation, self.reason);
            }
        }
    }
}

async fn verdict(question: &Question, active: &Active) -> Result<Verdict, Undecided> {
    let Service::Proxy(upstream) = &active.service else { return Ok(Verdict::NotAdmitted) };
    let is_told_clearly = || Client::of(&question.head.headers, question.peer, &active.trusted_proxies).is_ok();
    if !upstream.is_same_application(&question.upstream) || !is_told_clearly() {
        return Ok(Verdict::NotAdmitted);
    }
    let Ok(head) = request_head(&not_a_visit(&question.head), question.authority.as_deref(), question.server.as_deref(), None) else {
        return Ok(Verdict::NotAdmitted);
    };
    let Decision { outcome, .. } = active.decider.decide(head.judged_again(), None).await?;
    Ok(match outcome {
        Outcome::Forward(forward) if forward.session.as_deref() == question.session.as_deref() => {
            Verdict::Admitted { expires_at: forward.expires_at }
        }
        _ => Verdict::NotAdmitted,
    })
}

/// The same request as a script sends it: without a session it would be 401, rather than the beginning of a login.
fn not_a_visit(head: &RequestHeader) -> RequestHeader {
    const MODE: &str = "sec-fetch-mode";

    let mut head = head.clone();
    head.remove_header(&ACCEPT);
    if head.headers.contains_key(MODE) {
        // A name and value of HTTP's: this cannot fail.
        let _ = head.insert_header(MODE, HeaderValue::from_static("cors"));
    }
    head
}
