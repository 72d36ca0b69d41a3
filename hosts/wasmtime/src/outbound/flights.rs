//! One exchange for requests that are alike and wait at the same time.
//!
//! Each instance remembers providers for itself. When a provider changes its keys, every login that comes back asks for them:
//! at once, from every instance. The provider is to be asked a few times, not as often as there are logins.
//!
//! 1. What is shared are the answers to `GET` without a body and without fields that could say who asks.
//! 2. An answer is never older than its question: a request that comes while an exchange is under way waits for the next
//!    one, together with all others that come until that begins. An answer that was made before a token may lack its key.
//! 3. The next exchange begins when the one before it is over, or after `PATIENCE`: one that hangs does not hold up the
//!    others for as long as it takes.
//! 4. An exchange that nobody waits for any more ends.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::{BoxFuture, Shared, WeakShared};
use tokio::time::timeout;

use crate::bindings::vestibule::filter::outbound_http::{Error, Request, Response};

/// How long a request waits for another one's exchange before it has its own: providers answer in less.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// The only fields of a request whose answer may be shared.
const IMPERSONAL: [&str; 2] = ["accept", "accept-encoding"];

type Answer = Result<Response, Error>;
type Exchange = Shared<BoxFuture<'static, Answer>>;

/// Exchanges that are under way, or about to begin.
pub(super) struct Flights {
    patience: Duration,
    latest: Mutex<HashMap<Alike, Flight>>,
}

/// What requests have in common that get one answer.
#[derive(PartialEq, Eq, Hash)]
struct Alike {
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    max_response_bytes: u32,
}

struct Flight {
    exchange: WeakShared<BoxFuture<'static, Answer>>,
    has_begun: Arc<AtomicBool>,
}

impl Flights {
    pub(super) fn new(patience: Duration) -> Flights {
        Flights { patience, latest: Mutex::default() }
    }

    /// The answer to this request, which `exchange` gets; where others wait for the same, to all of them.
    pub(super) async fn answer(&self, request: Request, exchange: impl FnOnce(Request) -> BoxFuture<'static, Answer>) -> Answer {
        match Alike::of(&request) {
            Some(alike) => self.join(alike, || exchange(request)).await,
            None => exchange(request).await,
        }
    }

    fn join(&self, alike: Alike, exchange: impl FnOnce() -> BoxFuture<'static, Answer>) -> Exchange {
        // No code panics while it holds the lock; if it did, each flight would still be whole.
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let before = latest.get(&alike).and_then(|flight| Some((flight.exchange.upgrade()?, &flight.has_begun)));
        let before = match before {
            Some((next, has_begun)) if !has_begun.load(Ordering::SeqCst) => return next,
            before => before.map(|(under_way, _)| under_way),
        };
        let has_begun = Arc::new(AtomicBool::new(false));
        let exchange = begun_after(before, self.patience, Arc::clone(&has_begun), exchange()).shared();
        latest.retain(|_, flight| flight.exchange.upgrade().is_some());
        if let Some(weak) = exchange.downgrade() {
            latest.insert(alike, Flight { exchange: weak, has_begun });
        }
        exchange
    }
}

/// `exchange` does nothing before it is polled.
fn begun_after(
    before: Option<Exchange>,
    patience: Duration,
    has_begun: Arc<AtomicBool>,
    exchange: BoxFuture<'static, Answer>,
) -> BoxFuture<'static, Answer> {
    async move {
        if let Some(before) = before {
            // Whatever came of it.
            let _ = timeout(patience, before).await;
        }
        has_begun.store(true, Ordering::SeqCst);
        // A panic would be one of every request that waits.
        let answer = AssertUnwindSafe(exchange).catch_unwind().await;
        answer.unwrap_or_else(|_| Err(Error::Protocol("the exchange failed within the host".into())))
    }
    .boxed()
}

impl Alike {
    /// None of a request that is not to share its answer.
    fn of(request: &Request) -> Option<Alike> {
        let is_impersonal = |name: &str| IMPERSONAL.iter().any(|known| known.eq_ignore_ascii_case(name));
        let shares = request.method == "GET" && request.body.is_empty() && request.headers.iter().all(|(name, _)| is_impersonal(name));
        shares.then(|| Alike { url: request.url.clone(), headers: request.headers.clone(), max_response_bytes: request.max_response_bytes })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use futures::future::join_all;
    use futures::poll;
    use tokio::sync::Semaphore;

    use super::*;

    /// Longer than anything here takes.
    const HANG: Duration = Duration::from_secs(60);

    fn get(url: &str) -> Request {
        let headers = vec![("accept".to_owned(), b"application/json".to_vec())];
        Request {
            method: "GET".into(),
            url: url.into(),
            headers,
            body: vec![],
            max_response_bytes: 1000,
            timeout_ms: 10_000,
            shared_for_ms: None,
        }
    }

    /// A provider that says how often it has been asked, at the time when it was asked, and holds each answer.
    #[derive(Clone)]
    struct Provider {
        asked: Arc<AtomicUsize>,
        answers: Arc<Semaphore>,
    }

    impl Provider {
        fn new() -> Provider {
            Provider { asked: Arc::default(), answers: Arc::new(Semaphore::new(0)) }
        }

        fn exchange(&self) -> BoxFuture<'static, Answer> {
            let Provider { asked, answers } = self.clone();
            async move {
                let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
                answers.acquire().await.expect("never closed").forget();
                Ok(Response { status: 200, headers: vec![], body: number.to_string().into_bytes() })
            }
            .boxed()
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::SeqCst)
        }
    }

    fn told(answer: Answer) -> String {
        String::from_utf8(answer.expect("an answer").body).expect("text")
    }

    async fn ask(flights: &Flights, provider: &Provider, request: Request) -> String {
        told(flights.answer(request, |_| provider.exchange()).await)
    }

    #[tokio::test]
    async fn requests_that_come_while_one_is_under_way_share_the_next() {
        let (flights, provider) = (Flights::new(HANG), Provider::new());
        let mut first = Box::pin(ask(&flights, &provider, get("https://op.example/jwks")));
        assert!(poll!(&mut first).is_pending());
        let mut others: Vec<_> = (0..19).map(|_| Box::pin(ask(&flights, &provider, get("https://op.example/jwks")))).collect();
        for other in &mut others {
            assert!(poll!(other).is_pending());
        }
        assert_eq!(provider.asked(), 1);
        provider.answers.add_permits(2);
        assert_eq!(join_all(others).await, vec!["2"; 19], "no answer is older than its question");
        assert_eq!(first.await, "1");
        assert_eq!(provider.asked(), 2);
        provider.answers.add_permits(1);
        assert_eq!(ask(&flights, &provider, get("https://op.example/jwks")).await, "3", "nothing is kept");
        for page in ["a", "b", "c"] {
            provider.answers.add_permits(1);
            ask(&flights, &provider, get(&format!("https://op.example/{page}"))).await;
        }
        assert_eq!(flights.latest.lock().unwrap().len(), 1, "nor remembered");
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_of_those_that_wait() {
        let flights = Flights::new(HANG);
        let answer = flights.answer(get("https://op.example/jwks"), |_| async { panic!("on purpose") }.boxed()).await;
        assert!(matches!(answer, Err(Error::Protocol(_))), "{answer:?}");
    }

    #[tokio::test]
    async fn only_what_is_the_same_for_everybody_is_shared() {
        let with = |name: &str| {
            let mut request = get("https://op.example/jwks");
            request.headers.push((name.to_owned(), b"x".to_vec()));
            request
        };
        let apart = [
            with("authorization"),
            with("cookie"),
            with("x-anything"),
            Request { method: "POST".into(), ..get("https://op.example/jwks") },
            Request { body: b"x".to_vec(), ..get("https://op.example/jwks") },
        ];
        for request in apart {
            let (flights, provider) = (Flights::new(HANG), Provider::new());
            let mut asking: Vec<_> = (0..3).map(|_| Box::pin(ask(&flights, &provider, request.clone()))).collect();
            for one in &mut asking {
                assert!(poll!(one).is_pending());
            }
            assert_eq!(provider.asked(), 3, "{request:?}");
        }
        let (flights, provider) = (Flights::new(HANG), Provider::new());
        let differing = [
            get("https://op.example/jwks"),
            get("https://op.example/jwks?x"),
            with("accept"),
            Request { max_response_bytes: 1, ..get("https://op.example/jwks") },
        ];
        let mut asking: Vec<_> = differing.into_iter().map(|request| Box::pin(ask(&flights, &provider, request))).collect();
        for one in &mut asking {
            assert!(poll!(one).is_pending());
        }
        assert_eq!(provider.asked(), 4);
    }

    #[tokio::test]
    async fn who_gives_up_takes_nothing_from_the_others() {
        let (flights, provider) = (Flights::new(HANG), Provider::new());
        let mut asking: Vec<_> = (0..4).map(|_| Box::pin(ask(&flights, &provider, get("https://op.example/jwks")))).collect();
        for one in &mut asking {
            assert!(poll!(one).is_pending());
        }
        // The first has begun the exchange that is under way, the second has asked for the next one.
        asking.drain(..2);
        provider.answers.add_permits(2);
        assert_eq!(join_all(asking).await, ["2", "2"]);
        // All give up: what they waited for is not asked.
        let mut asking: Vec<_> = (0..4).map(|_| Box::pin(ask(&flights, &provider, get("https://op.example/jwks")))).collect();
        for one in &mut asking {
            assert!(poll!(one).is_pending());
        }
        drop(asking);
        provider.answers.add_permits(1);
        assert_eq!(ask(&flights, &provider, get("https://op.example/jwks")).await, "4");
    }

    #[tokio::test]
    async fn an_exchange_that_hangs_holds_up_the_next_for_a_moment_only() {
        let (flights, provider) = (Flights::new(Duration::from_millis(20)), Provider::new());
        let mut first = Box::pin(ask(&flights, &provider, get("https://op.example/jwks")));
        assert!(poll!(&mut first).is_pending());
        let mut second = Box::pin(ask(&flights, &provider, get("https://op.example/jwks")));
        while provider.asked() < 2 {
            assert!(timeout(Duration::from_millis(5), &mut second).await.is_err());
        }
        provider.answers.add_permits(2);
        assert_eq!((second.await, first.await), ("2".to_owned(), "1".to_owned()));
    }
}
