//! One exchange for equal requests whose answer counts for all of them, such as the use of a refresh token.
//!
//! A provider that issues a refresh token for one use takes the second use for theft, and revokes what belongs to it. But a page
//! asks for many things at once, and a browser that has dropped an answer asks again: all of them bring the same token.
//!
//! 1. Requests are equal if every byte of them is: method, URL, fields, body and the largest answer. What is remembered of a
//!    request is a digest.
//! 2. An exchange goes on when nobody waits for it any more: its answer may be the only one that there will be.
//! 3. An answer is kept for as long as the first request says, at most `MOST_KEPT_FOR`; a failure of the provider for
//!    `FAILURE_KEPT_FOR`, so that the next attempt is a new one.
//! 4. Answers are kept in memory only, `MAX_KEPT_BYTES` of them, and are overwritten when they are dropped. They outlast a reload of
//!    the configuration.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared};
use sha2::{Digest as _, Sha256};
use tokio::time::{sleep, timeout};
use zeroize::Zeroize as _;

use crate::bindings::vestibule::filter::outbound_http::{Error, Request, Response};

const MOST_KEPT_FOR: Duration = Duration::from_secs(60);

const FAILURE_KEPT_FOR: Duration = Duration::from_secs(2);

/// Thousands of token responses.
const MAX_KEPT_BYTES: usize = 32 << 20;

/// What an answer counts for at least: the room for what surrounds it.
const MIN_ANSWER_BYTES: usize = 1024;

/// More than ever wait for providers; one more fails at once.
const MAX_UNDER_WAY: usize = 1024;

type Answer = Result<Response, Error>;
type Exchange = Shared<BoxFuture<'static, Arc<Kept>>>;
type Digest = [u8; 32];

/// Exchanges that are under way, and their answers for a while.
pub(crate) struct SharedAnswers {
    failure_kept_for: Duration,
    known: Mutex<Known>,
}

impl Default for SharedAnswers {
    fn default() -> Self {
        Self { failure_kept_for: FAILURE_KEPT_FOR, known: Mutex::default() }
    }
}

#[derive(Default)]
struct Known {
    exchanges: HashMap<Digest, Exchange>,
    under_way: usize,
    kept_bytes: usize,
}

/// An answer that is overwritten when nobody has it any more.
struct Kept {
    answer: Answer,
    since: Instant,
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Ok(response) = &mut self.answer {
            response.body.zeroize();
        }
    }
}

impl Kept {
    fn new(answer: Answer) -> Arc<Kept> {
        Arc::new(Kept { answer, since: Instant::now() })
    }

    /// The answer, with its age where it has one (RFC 9111 section 5.1).
    fn told(&self) -> Answer {
        let mut answer = self.answer.clone();
        let age = self.since.elapsed().as_secs();
        if let Ok(response) = &mut answer
            && age > 0
        {
            response.headers.push(("age".to_owned(), age.to_string().into_bytes()));
        }
        answer
    }

    fn bytes(&self) -> usize {
        self.answer.as_ref().map_or(0, |response| response.body.len()).max(MIN_ANSWER_BYTES)
    }

    /// Whether the same request can have another answer soon. An endpoint that is not there (404, 410) has not taken the request.
    fn is_failure(&self) -> bool {
        self.answer.as_ref().map_or(true, |response| response.status >= 500 || [404, 410, 429].contains(&response.status))
    }
}

impl SharedAnswers {
    /// The answer to this request: that of an equal one, or the one that `exchange` gets within `limit`.
    pub(super) async fn answer(
        self: &Arc<Self>,
        request: Request,
        kept_for: Duration,
        limit: Duration,
        exchange: impl FnOnce(Request) -> BoxFuture<'static, Answer>,
    ) -> Answer {
        let Some(exchange) = self.join(request, kept_for, limit, exchange) else {
            return Err(Error::Unreachable("too many exchanges are under way with providers".into()));
        };
        exchange.await.told()
    }

    fn join(
        self: &Arc<Self>,
        request: Request,
        kept_for: Duration,
        limit: Duration,
        exchange: impl FnOnce(Request) -> BoxFuture<'static, Answer>,
    ) -> Option<Exchange> {
        let digest = digest(&request);
        let mut known = self.known();
        if let Some(exchange) = known.exchanges.get(&digest) {
            return Some(exchange.clone());
        }
        if known.under_way >= MAX_UNDER_WAY {
            return None;
        }
        let answer = AssertUnwindSafe(timeout(limit, exchange(request))).catch_unwind();
        let exchange = async move {
            // A panic would be one of every request that waits.
            let failed = |_| Ok(Err(Error::Protocol("the exchange failed within the host".into())));
            Kept::new(answer.await.unwrap_or_else(failed).unwrap_or(Err(Error::TimedOut)))
        };
        let exchange = exchange.boxed().shared();
        known.exchanges.insert(digest, exchange.clone());
        known.under_way += 1;
        tokio::spawn(Arc::clone(self).keep(digest, exchange.clone(), kept_for.min(MOST_KEPT_FOR)));
        Some(exchange)
    }

    /// Sees an exchange to its end, and keeps its answer.
    async fn keep(self: Arc<Self>, digest: Digest, exchange: Exchange, kept_for: Duration) {
        let kept = exchange.await;
        let kept_for = if kept.is_failure() { kept_for.min(self.failure_kept_for) } else { kept_for };
        let bytes = kept.bytes();
        drop(kept);
        {
            let mut known = self.known();
            known.under_way -= 1;
            if known.kept_bytes + bytes > MAX_KEPT_BYTES {
                known.exchanges.remove(&digest);
                return;
            }
            known.kept_bytes += bytes;
        }
        sleep(kept_for).await;
        let mut known = self.known();
        known.kept_bytes -= bytes;
        known.exchanges.remove(&digest);
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // No code panics while it holds the lock; if it did, what is known would still be whole.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of every byte of a request, each part with its length before it.
fn digest(request: &Request) -> Digest {
    let mut digest = Sha256::new();
    let mut put = |part: &[u8]| {
        digest.update((part.len() as u64).to_le_bytes());
        digest.update(part);
    };
    put(request.method.as_bytes());
    put(request.url.as_bytes());
    put(&request.max_response_bytes.to_le_bytes());
    put(&request.body);
    for (name, value) in &request.headers {
        put(name.as_bytes());
        put(value);
    }
    digest.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::future::join_all;
    use futures::poll;
    use tokio::sync::Semaphore;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);
    const MINUTE: Duration = Duration::from_secs(60);
    /// For what is to be gone at once.
    const MOMENT: Duration = Duration::from_millis(1);

    fn post(body: &str) -> Request {
        Request {
            method: "POST".into(),
            url: "https://op.example/token".into(),
            headers: vec![("authorization".into(), b"Basic x".to_vec())],
            body: body.into(),
            max_response_bytes: 1000,
            timeout_ms: 10_000,
            shared_for_ms: Some(60_000),
        }
    }

    /// A provider that says how often it has been asked, and holds each answer.
    #[derive(Clone)]
    struct Provider {
        asked: Arc<AtomicUsize>,
        answers: Arc<Semaphore>,
        status: u16,
        bytes: usize,
    }

    impl Provider {
        fn new(answers: usize) -> Provider {
            Provider { asked: Arc::default(), answers: Arc::new(Semaphore::new(answers)), status: 200, bytes: 0 }
        }

        fn exchange(&self) -> BoxFuture<'static, Answer> {
            let Provider { asked, answers, status, bytes } = self.clone();
            async move {
                let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
                answers.acquire().await.expect("never closed").forget();
                let mut body = number.to_string().into_bytes();
                body.resize(body.len().max(bytes), b' ');
                Ok(Response { status, headers: vec![], body })
            }
            .boxed()
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    async fn ask(shared: &Arc<SharedAnswers>, provider: &Provider, request: Request) -> Answer {
        shared.answer(request, MINUTE, LIMIT, |_| provider.exchange()).await
    }

    fn told(answer: Answer) -> String {
        String::from_utf8(answer.expect("an answer").body).expect("text").trim().to_owned()
    }

    #[tokio::test]
    async fn equal_requests_get_one_answer_for_their_time() {
        let (shared, provider) = (Arc::new(SharedAnswers::default()), Provider::new(0));
        let mut asking: Vec<_> = (0..30).map(|_| Box::pin(ask(&shared, &provider, post("a")))).collect();
        for one in &mut asking {
            assert!(poll!(one).is_pending());
        }
        provider.answers.add_permits(1);
        assert!(join_all(asking).await.into_iter().all(|answer| told(answer) == "1"));
        assert_eq!(told(ask(&shared, &provider, post("a")).await), "1", "also behind it");

        let (shared, provider) = (Arc::new(SharedAnswers::default()), Provider::new(2));
        let briefly = || shared.answer(post("a"), MOMENT, LIMIT, |_| provider.exchange());
        assert_eq!(told(briefly().await), "1");
        gone(&shared).await;
        assert_eq!(told(briefly().await), "2");
    }

    /// Waits until nothing is left of any exchange.
    async fn gone(shared: &Arc<SharedAnswers>) {
        let is_gone = || {
            let known = shared.known();
            (known.exchanges.len(), known.under_way, known.kept_bytes) == (0, 0, 0)
        };
        timeout(LIMIT, async {
            while !is_gone() {
                sleep(MOMENT).await;
            }
        })
        .await
        .expect("it is not kept");
    }

    #[tokio::test]
    async fn what_differs_in_any_byte_is_asked_by_itself() {
        let (shared, provider) = (Arc::new(SharedAnswers::default()), Provider::new(100));
        let with = |name: &str, value: &str| {
            let mut request = post("a");
            request.headers.push((name.into(), value.into()));
            request
        };
        let requests = [
            post("a"),
            post("b"),
            post(""),
            with("x", "a"),
            with("xa", ""),
            Request { url: "https://op.example/token?".into(), ..post("a") },
            Request { method: "PUT".into(), ..post("a") },
            Request { max_response_bytes: 1, ..post("a") },
        ];
        for (number, request) in requests.into_iter().enumerate() {
            assert_eq!(told(ask(&shared, &provider, request).await), (number + 1).to_string());
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_given_later_says_how_old_it_is() {
        let (shared, provider) = (Arc::new(SharedAnswers::default()), Provider::new(1));
        assert!(ask(&shared, &provider, post("a")).await.expect("an answer").headers.is_empty());
        sleep(Duration::from_millis(1100)).await;
        let headers = ask(&shared, &provider, post("a")).await.expect("an answer").headers;
        let age: u64 =
            headers.iter().find(|(name, _)| name == "age").map(|(_, age)| String::from_utf8_lossy(age).parse().unwrap()).unwrap();
        assert!((1..60).contains(&age), "{age}");
    }

    #[tokio::test]
    async fn an_answer_that_nobody_waits_for_is_there_for_the_next() {
        let (shared, provider) = (Arc::new(SharedAnswers::default()), Provider::new(0));
        let mut first = Box::pin(ask(&shared, &provider, post("a")));
        assert!(poll!(&mut first).is_pending());
        drop(first);
        provider.answers.add_permits(1);
        while provider.answers.available_permits() > 0 {
            sleep(MOMENT).await;
        }
        assert_eq!((told(ask(&shared, &provider, post("a")).await), provider.asked()), ("1".into(), 1));
    }

    #[tokio::test]
    async fn a_failure_is_kept_for_a_moment_and_a_refusal_as_long_as_an_answer() {
        let soon = || Arc::new(SharedAnswers { failure_kept_for: MOMENT, known: Mutex::default() });
        for status in [503, 429, 404, 410] {
            let (shared, provider) = (soon(), Provider { status, ..Provider::new(2) });
            assert_eq!(told(ask(&shared, &provider, post("a")).await), "1");
            gone(&shared).await;
            assert_eq!(told(ask(&shared, &provider, post("a")).await), "2", "{status}");
        }
        for status in [200, 400, 401, 403] {
            let (shared, provider) = (soon(), Provider { status, ..Provider::new(2) });
            assert_eq!(told(ask(&shared, &provider, post("a")).await), "1");
            sleep(20 * MOMENT).await;
            assert_eq!(told(ask(&shared, &provider, post("a")).await), "1", "{status}");
        }
        let (shared, provider) = (soon(), Provider::new(0));
        let late = shared.answer(post("a"), MINUTE, MOMENT, |_| provider.exchange()).await;
        assert!(matches!(late, Err(Error::TimedOut)));
        let panics = shared.answer(post("b"), MINUTE, LIMIT, |_| async { panic!("on purpose") }.boxed()).await;
        assert!(matches!(panics, Err(Error::Protocol(_))));
        gone(&shared).await;
    }

    #[tokio::test]
    async fn what_is_kept_and_what_is_under_way_are_bounded() {
        let (shared, provider) = (Arc::new(SharedAnswers::default()), Provider { bytes: 1 << 20, ..Provider::new(100) });
        for number in 0..40 {
            ask(&shared, &provider, post(&number.to_string())).await.expect("an answer");
            // The keeper's turn.
            sleep(MOMENT).await;
        }
        assert_eq!(shared.known().exchanges.len(), 32);
        assert_eq!(provider.asked(), 40);

        let (shared, provider) = (Arc::new(SharedAnswers::default()), Provider::new(0));
        let mut asking: Vec<_> = (0..MAX_UNDER_WAY).map(|n| Box::pin(ask(&shared, &provider, post(&n.to_string())))).collect();
        for one in &mut asking {
            assert!(poll!(one).is_pending());
        }
        assert!(matches!(ask(&shared, &provider, post("more")).await, Err(Error::Unreachable(_))));
    }
}
