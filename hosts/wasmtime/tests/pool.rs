//! The pool of instances, with a guest that misbehaves on request.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

mod guest;
mod provider;

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use provider::HeldProvider;
use tokio::time::{sleep, timeout};
use vestibule_wasmtime::{
    ComponentError, Configuration, ConfigurationFile, Decision, Filter, FilterComponent, FilterError, FilterOptions, LoadError, Observer,
    Outcome, ProviderExchange, ProviderFailure, ProviderRequest, RequestHead, Runtime, RuntimeOptions,
};

/// Longer than anything here takes: a test that reaches it has hung.
const HANG: Duration = Duration::from_secs(30);

fn one_instance() -> FilterOptions {
    FilterOptions { instances: 1, ..FilterOptions::default() }
}

fn component() -> FilterComponent {
    let options = RuntimeOptions { max_instances: 8, ..RuntimeOptions::default() };
    let runtime = Runtime::new(&options).unwrap();
    FilterComponent::from_bytes(&runtime, &guest::component(), None).unwrap()
}

fn configuration(toml: &str) -> Configuration {
    Configuration::new("secrets.toml", toml)
}

async fn filter(url: &str, options: FilterOptions) -> Filter {
    Filter::load(&component(), configuration(url), options).await.unwrap()
}

fn decide(filter: &Filter, path: &str) -> impl Future<Output = Result<u64, FilterError>> + Send + 'static {
    let filter = filter.clone();
    let head = RequestHead::new("GET", path, None, None);
    async move {
        let decision = timeout(HANG, filter.decide(head, None)).await.expect("a decision hangs");
        decision.map(expires_at)
    }
}

/// What the guest says of the exchange.
fn expires_at(decision: Decision) -> u64 {
    match decision.outcome {
        Outcome::Forward(forward) => forward.expires_at.unwrap(),
        other => panic!("the guest only forwards, not {other:?}"),
    }
}

#[tokio::test]
async fn a_decision_is_given_again_and_again() {
    let filter = filter("", one_instance()).await;
    for _ in 0..1000 {
        assert_eq!(decide(&filter, "/f").await, Ok(1));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_threads_share_the_instances() {
    let options = FilterOptions { instances: 2, queue: 10_000, ..FilterOptions::default() };
    let filter = filter("", options).await;
    let callers: Vec<_> = (0..16)
        .map(|_| {
            let filter = filter.clone();
            tokio::spawn(async move {
                for _ in 0..500 {
                    assert_eq!(decide(&filter, "/f").await, Ok(1));
                }
            })
        })
        .collect();
    for caller in callers {
        caller.await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_waits_for_a_provider_holds_up_no_other_on_its_instance() {
    let mut provider = HeldProvider::start().await;
    let filter = filter(&provider.url, one_instance()).await;
    let waiting: Vec<_> = (0..5).map(|_| tokio::spawn(decide(&filter, "/w"))).collect();
    // All five are at the provider at the same time, from one instance …
    timeout(HANG, provider.arrived(5)).await.expect("one call holds up another");
    // … and it still decides.
    assert_eq!(decide(&filter, "/f").await, Ok(1));
    provider.answer(5);
    for call in waiting {
        assert_eq!(call.await.unwrap(), Ok(200));
    }
}

#[tokio::test]
async fn what_is_done_after_an_answer_holds_up_neither_that_answer_nor_another() {
    let mut provider = HeldProvider::start().await;
    let filter = filter(&provider.url, one_instance()).await;
    for _ in 0..3 {
        // The provider holds its request, and the caller has the decision.
        assert_eq!(decide(&filter, "/a").await, Ok(1));
        timeout(HANG, provider.arrived(1)).await.expect("it is done once the answer is there");
    }
    assert_eq!(decide(&filter, "/f").await, Ok(1));
    provider.answer(3);
    // A caller that has gone: it is done all the same.
    drop(tokio::spawn(decide(&filter, "/a")));
    timeout(HANG, provider.arrived(1)).await.expect("it is done for nobody");
    provider.answer(1);
    let waiting = tokio::spawn(decide(&filter, "/w"));
    timeout(HANG, provider.arrived(1)).await.expect("the instance is as good as before");
    provider.answer(1);
    assert_eq!(waiting.await.unwrap(), Ok(200));
}

#[tokio::test]
async fn the_number_in_flight_is_bounded_and_so_is_the_queue() {
    let mut provider = HeldProvider::start().await;
    let options = FilterOptions { in_flight_per_instance: 2, queue: 1, ..one_instance() };
    let filter = filter(&provider.url, options).await;
    tokio::spawn(decide(&filter, "/n"));
    let waiting = tokio::spawn(decide(&filter, "/w"));
    timeout(HANG, provider.arrived(1)).await.expect("both are in flight, the first one before the second");
    let mut queued = Box::pin(decide(&filter, "/f"));
    assert!(futures::poll!(queued.as_mut()).is_pending());
    assert_eq!(decide(&filter, "/f").await, Err(FilterError::Overloaded));
    provider.answer(1);
    assert_eq!(queued.await, Ok(1));
    assert_eq!(waiting.await.unwrap(), Ok(200));
}

#[tokio::test]
async fn half_of_the_decisions_may_wait_for_a_provider_and_the_others_do_not_wait_for_them() {
    let mut provider = HeldProvider::start().await;
    let options = FilterOptions { in_flight_per_instance: 4, ..one_instance() };
    let filter = filter(&provider.url, options).await;
    let waiting: Vec<_> = (0..2).map(|_| tokio::spawn(decide(&filter, "/w"))).collect();
    timeout(HANG, provider.arrived(2)).await.expect("half of them wait");
    for _ in 0..20 {
        assert_eq!(decide(&filter, "/w").await, Ok(1001), "error number 1 is unreachable");
        assert_eq!(decide(&filter, "/f").await, Ok(1));
    }
    provider.answer(2);
    for call in waiting {
        assert_eq!(call.await.unwrap(), Ok(200));
    }
}

#[tokio::test]
async fn a_trap_fails_the_calls_in_flight_on_its_instance_which_is_replaced() {
    let mut provider = HeldProvider::start().await;
    let filter = filter(&provider.url, one_instance()).await;
    let waiting = tokio::spawn(decide(&filter, "/w"));
    provider.arrived(1).await;
    assert_eq!(decide(&filter, "/t").await, Err(FilterError::Trapped));
    assert_eq!(waiting.await.unwrap(), Err(FilterError::Trapped));
    assert_eq!(decide(&filter, "/f").await, Ok(1));
}

#[tokio::test]
async fn a_trap_spares_the_other_instances() {
    let mut provider = HeldProvider::start().await;
    let options = FilterOptions { instances: 2, ..FilterOptions::default() };
    let filter = filter(&provider.url, options).await;
    let waiting = tokio::spawn(decide(&filter, "/w"));
    provider.arrived(1).await;
    // The first instance is busy: this one runs on the second.
    assert_eq!(decide(&filter, "/t").await, Err(FilterError::Trapped));
    provider.answer(1);
    assert_eq!(waiting.await.unwrap(), Ok(200));
}

#[tokio::test]
async fn guest_code_that_does_not_end_traps() {
    let options = FilterOptions { cpu_budget: Duration::from_millis(50), ..one_instance() };
    let filter = filter("", options).await;
    assert_eq!(decide(&filter, "/l").await, Err(FilterError::Trapped));
    assert_eq!(decide(&filter, "/f").await, Ok(1));
}

#[tokio::test]
async fn waiting_for_a_provider_takes_nothing_of_the_cpu_budget() {
    let mut provider = HeldProvider::start().await;
    let cpu_budget = Duration::from_millis(20);
    let options = FilterOptions { cpu_budget, ..one_instance() };
    let filter = filter(&provider.url, options).await;
    let waiting = tokio::spawn(decide(&filter, "/w"));
    provider.arrived(1).await;
    // Time has to pass here: that it passes is what is tested.
    sleep(5 * cpu_budget).await;
    provider.answer(1);
    assert_eq!(waiting.await.unwrap(), Ok(200));
}

#[tokio::test]
async fn memory_is_bounded() {
    let filter = filter("", one_instance()).await;
    assert_eq!(decide(&filter, "/m").await, Err(FilterError::Trapped));
    assert_eq!(decide(&filter, "/f").await, Ok(1));
}

#[tokio::test]
async fn a_decision_that_never_comes_times_out_and_its_instance_is_replaced() {
    let options = FilterOptions { in_flight_per_instance: 1, decision_timeout: Duration::from_millis(50), ..one_instance() };
    let filter = filter("", options).await;
    assert_eq!(decide(&filter, "/n").await, Err(FilterError::TimedOut));
    // The only place is taken until the guest's time of grace is over.
    let recovered = async {
        while let Err(error) = decide(&filter, "/f").await {
            assert_eq!(error, FilterError::TimedOut);
        }
    };
    timeout(HANG, recovered).await.expect("the instance was not replaced");
}

#[tokio::test]
async fn a_caller_that_goes_away_leaves_the_instance_whole() {
    let mut provider = HeldProvider::start().await;
    let filter = filter(&provider.url, one_instance()).await;
    let waiting = tokio::spawn(decide(&filter, "/w"));
    let other = tokio::spawn(decide(&filter, "/w"));
    provider.arrived(2).await;
    waiting.abort();
    assert_eq!(decide(&filter, "/f").await, Ok(1));
    provider.answer(2);
    assert_eq!(other.await.unwrap(), Ok(200));
}

#[tokio::test]
async fn an_origin_of_nobody_is_not_asked() {
    let mut provider = HeldProvider::start().await;
    let filter = filter(&provider.url, one_instance()).await;
    let refused = tokio::spawn(decide(&filter, "/o"));
    // The host reads the metadata first, which could have named the origin.
    provider.arrived(1).await;
    provider.answer(1);
    assert_eq!(refused.await.unwrap(), Ok(1000), "error number 0 is not-allowed");
}

#[tokio::test]
async fn dropping_the_filter_lets_decisions_come_to_their_end() {
    let mut provider = HeldProvider::start().await;
    let filter = filter(&provider.url, one_instance()).await;
    let waiting = tokio::spawn(decide(&filter, "/w"));
    provider.arrived(1).await;
    drop(filter);
    provider.answer(1);
    assert_eq!(waiting.await.unwrap(), Ok(200));
}

#[tokio::test]
async fn faults_are_shown_one_per_line() {
    let error = Filter::load(&component(), configuration("!"), one_instance()).await.err().expect("a faulty configuration does not load");
    assert!(matches!(&error, LoadError::Faults(faults) if faults.len() == 1));
    assert_eq!(error.to_string(), "secrets.toml:3: auth: is wrong; right it");
}

#[tokio::test]
async fn a_configuration_file_is_read_with_what_it_refers_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.toml");
    // This guest takes the whole text for the name of a variable.
    std::fs::write(&path, "PATH").unwrap();
    let read = ConfigurationFile::read(&component(), &path, Some(8501)).await.unwrap();
    assert_eq!(read.file_name, "secrets.toml");
    assert_eq!(read.toml, "PATH");
    assert_eq!(read.port, Some(8501));
    assert_eq!(read.resolved.len(), 1);
    assert!(read.resolved[0].value.is_some());
    assert_eq!(read.resolved[0].value, std::env::var("PATH").ok());
}

#[test]
fn an_import_beyond_the_world_fails_to_link() {
    let runtime = Runtime::new(&RuntimeOptions::default()).unwrap();
    let greedy = wat::parse_str(
        r#"(component (import "wasi:cli/environment@0.2.6" (instance
             (export "initial-cwd" (func (result (option string)))))))"#,
    )
    .unwrap();
    let error = FilterComponent::from_bytes(&runtime, &greedy, None).err().unwrap();
    assert!(matches!(&error, ComponentError::Unlinkable(_)));
    assert!(error.to_string().contains("wasi:cli/environment"), "{error}");
}

#[test]
fn what_is_no_component_is_refused() {
    let runtime = Runtime::new(&RuntimeOptions::default()).unwrap();
    let module = wat::parse_str("(module)").unwrap();
    for bytes in [&b"hello"[..], &module] {
        let error = FilterComponent::from_bytes(&runtime, bytes, None).err().unwrap();
        assert!(matches!(error, ComponentError::Invalid(_)), "{error}");
    }
}

/// Counts what it is told.
#[derive(Debug, Default)]
struct Seen {
    made: AtomicUsize,
    retired: AtomicUsize,
    trapped: AtomicUsize,
    grown: AtomicUsize,
    freed: AtomicUsize,
    asked: Mutex<Vec<Asked>>,
}

type Asked = (Option<String>, ProviderRequest, Result<u16, ProviderFailure>);

impl Seen {
    /// Made, retired and trapped.
    fn instances(&self) -> [usize; 3] {
        [&self.made, &self.retired, &self.trapped].map(|count| count.load(Ordering::SeqCst))
    }

    fn memory(&self) -> usize {
        self.grown.load(Ordering::SeqCst) - self.freed.load(Ordering::SeqCst)
    }
}

impl Observer for Seen {
    fn instance_made(&self) {
        self.made.fetch_add(1, Ordering::SeqCst);
    }

    fn instance_retired(&self) {
        self.retired.fetch_add(1, Ordering::SeqCst);
    }

    fn instance_trapped(&self) {
        self.trapped.fetch_add(1, Ordering::SeqCst);
    }

    fn memory_grown(&self, bytes: usize) {
        self.grown.fetch_add(bytes, Ordering::SeqCst);
    }

    fn memory_freed(&self, bytes: usize) {
        self.freed.fetch_add(bytes, Ordering::SeqCst);
    }

    fn provider_asked(&self, exchange: &ProviderExchange<'_>) {
        let metadata_url = exchange.metadata_url.map(str::to_owned);
        self.asked.lock().unwrap().push((metadata_url, exchange.kind, exchange.result));
    }
}

async fn observed(url: &str, options: FilterOptions) -> (Filter, Arc<Seen>) {
    let seen = Arc::new(Seen::default());
    let filter = filter(url, FilterOptions { observer: Some(seen.clone()), ..options }).await;
    (filter, seen)
}

#[tokio::test]
async fn an_observer_is_told_of_instances_traps_and_memory() {
    let (filter, seen) = observed("", one_instance()).await;
    assert_eq!(seen.instances(), [1, 0, 0]);
    let memory = seen.memory();
    assert!(memory >= 65_536 && memory.is_multiple_of(65_536), "{memory}");
    assert_eq!(decide(&filter, "/t").await, Err(FilterError::Trapped));
    assert_eq!((seen.instances(), seen.memory()), ([1, 1, 1], 0));
    assert_eq!(decide(&filter, "/f").await, Ok(1));
    assert_eq!((seen.instances(), seen.memory()), ([2, 1, 1], memory));
    assert_eq!(decide(&filter, "/m").await, Err(FilterError::Trapped));
    assert_eq!((seen.instances(), seen.memory()), ([2, 2, 2], 0));
    assert_eq!(decide(&filter, "/f").await, Ok(1));
    drop(filter);
    assert_eq!((seen.instances(), seen.memory()), ([3, 3, 2], 0));
}

#[tokio::test]
async fn an_observer_is_told_of_requests_to_providers() {
    // Nobody listens there.
    const URL: &str = "http://127.0.0.1:9/";
    let (filter, seen) = observed(URL, one_instance()).await;
    decide(&filter, "/w").await.unwrap();
    let unreachable = Err(ProviderFailure::Unreachable);
    assert_eq!(*seen.asked.lock().unwrap(), [(Some(URL.into()), ProviderRequest::Token, unreachable)]);
    seen.asked.lock().unwrap().clear();
    // For an origin that is not known, the document is read.
    decide(&filter, "/o").await.unwrap();
    let refused = (None, ProviderRequest::Token, Err(ProviderFailure::NotAllowed));
    assert_eq!(*seen.asked.lock().unwrap(), [(Some(URL.into()), ProviderRequest::Metadata, unreachable), refused]);
}

#[tokio::test]
async fn a_pool_tells_how_busy_it_is() {
    let options = FilterOptions { in_flight_per_instance: 1, ..one_instance() };
    let (filter, _) = observed("", options).await;
    let state = || {
        let state = filter.pool();
        (state.in_use, state.limit, state.waiting)
    };
    assert_eq!(state(), (0, 1, 0));
    let busy = tokio::spawn(decide(&filter, "/n"));
    let waiting = tokio::spawn(decide(&filter, "/f"));
    let is_queued = async {
        while state() != (1, 1, 1) {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(HANG, is_queued).await.unwrap_or_else(|_| panic!("{:?}", filter.pool()));
    busy.abort();
    waiting.abort();
}
