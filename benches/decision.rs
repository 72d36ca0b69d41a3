//! What a decision about a logged-in user's request costs: in the component on an instance that is reused, through the
//! host library with its queue, on a fresh instance for each request, and in the same core compiled natively.
//!
//! Claims have the shape of those that large providers send; the request has what a browser sends, cookies of the
//! application's beside ours. Both sides take turns within one run, and pairs are compared: the median of the ratios is what
//! to look at; absolute numbers are this machine's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measurement that fails ends the program")]

mod loading;
mod realistic;
#[path = "../tests/rig/mod.rs"]
mod rig;

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use realistic::{APPLICATION_COOKIES, Shape, as_a_browser_sends_it};
use rig::{Browser, CONFIG, Rig};
use vestibule::decision::Outcome;
use vestibule::entropy::Fixed;
use vestibule::filter::{Step, Surroundings};
use vestibule::oidc::cache::ProviderCache;
use vestibule::session::NothingEnded;
use vestibule::time::UnixTime;
use vestibule::web::http::RequestHead;
use vestibule_wasmtime as host;

const ROUNDS: usize = 21;
const DECISIONS: u32 = 1_000;
const FRESH_ROUNDS: usize = 11;
const FRESH_DECISIONS: u32 = 100;

/// An instance's time for one call.
const BUDGET: Duration = Duration::from_millis(500);

fn main() {
    let path =
        std::env::var("VESTIBULE_COMPONENT").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/dist/vestibule-wide.wasm").into());
    loading::measure(Path::new(&path), median);
    println!();

    let async_runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let runtime = host::Runtime::new(&host::RuntimeOptions::default()).expect("a runtime");
    let component =
        host::FilterComponent::from_file(&runtime, Path::new(&path), None).expect("dist/vestibule-wide.wasm: run `make build` first");

    println!(
        "{:<40} {:>7} {:>7} {:>14} {:>14} {:>14} {:>7}",
        "one decision, logged in", "claims", "cookie", "native µs", "reused µs", "queued µs", "ratio"
    );
    let cases = Shape::ALL.map(|shape| (shape, 0, false));
    let cases = cases.into_iter().chain([(Shape::Entra, 20, false), (Shape::Entra, 0, true), (Shape::Entra, 200, false)]);
    for (shape, rules, tokens) in cases {
        let case = Case::new(shape, rules, tokens);
        async_runtime.block_on(case.measure(&component));
    }
    println!("\n{:<40} {:>14}", "fresh instance with its first decision", "µs");
    for rules in [0, 20, 200, 10_000] {
        async_runtime.block_on(Case::new(Shape::Entra, rules, false).measure_fresh(&component));
    }
}

struct Case {
    name: String,
    toml: String,
    rig: Rig,
    head: RequestHead,
    claims_bytes: usize,
    cookie_bytes: usize,
}

impl Case {
    fn new(shape: Shape, rules: usize, tokens: bool) -> Self {
        let mut toml = CONFIG.to_owned();
        if tokens {
            toml = toml.replace("[auth]\n", "[auth]\nexpose_tokens = [\"access\"]\n");
        }
        for number in 1..rules {
            let _ = writeln!(toml, "[[vestibule.rule]]\npath = \"/area-{number}/**\"\nrequire = {{ groups = \"team-{number}\" }}");
        }
        if rules > 0 {
            toml.push_str("[[vestibule.rule]]\nrequire = { claim = { department = \"Engines\" } }\n");
        }
        let mut rig = Rig::new(&toml);
        rig.now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        let bytes = std::rc::Rc::new(std::cell::Cell::new(0));
        let seen = bytes.clone();
        rig.provider.edit_claims = Some(Box::new(move |claims| {
            shape.add_to(claims);
            seen.set(serde_json::Value::Object(claims.clone()).to_string().len());
        }));
        let mut browser = Browser::default();
        let answer = browser.log_in(&mut rig, "/", "8f3c1a52-77de-4b0e-9c3a-2d1f0b6e5a49");
        assert_eq!(answer.status, 302, "{:?}", rig.events);
        browser.cookies.retain(|name, _| name.contains("session") || (tokens && name.contains("tokens")));
        let cookie_bytes = browser.cookies.iter().map(|(name, value)| name.len() + value.len() + 3).sum();
        for (name, value) in APPLICATION_COOKIES {
            browser.cookies.insert(name.into(), value.into());
        }
        let head = as_a_browser_sends_it(browser.head("/reports?year=2026"));
        let name = [shape.name().into(), format!(", {rules} rules"), if tokens { ", access token" } else { "" }.into()].concat();
        Self { name, toml, rig, head, claims_bytes: bytes.get(), cookie_bytes }
    }

    fn wasm_head(&self) -> host::RequestHead {
        let mut head = host::RequestHead::new(&self.head.method, &self.head.path_with_query, self.head.authority.as_deref(), None);
        self.head.headers.iter().for_each(|(name, value)| head.push(name, value));
        head
    }

    /// The kinds take turns, so that whatever else the machine does hits all of them.
    async fn measure(&self, component: &host::FilterComponent) {
        let configuration = host::Configuration::new("secrets.toml", &self.toml);
        let (mut instance, _) = host::Instance::load(component, &configuration, BUDGET).await.expect("loads");
        let filter = host::Filter::load(component, configuration, host::FilterOptions::default()).await.expect("loads");
        let (mut native, mut reused, mut queued) = (vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            native.push(self.native_round());

            let start = Instant::now();
            for _ in 0..DECISIONS {
                forwarded(&instance.decide(self.wasm_head(), None).await.expect("decides"));
            }
            reused.push(micros_each(start, DECISIONS));

            let start = Instant::now();
            for _ in 0..DECISIONS {
                forwarded(&filter.decide(self.wasm_head(), None).await.expect("decides"));
            }
            queued.push(micros_each(start, DECISIONS));
        }
        let ratios: Vec<f64> = reused.iter().zip(&native).map(|(reused, native)| reused / native).collect();
        println!(
            "{:<40} {:>7} {:>7} {:>14} {:>14} {:>14} {:>7.2}",
            self.name,
            self.claims_bytes,
            self.cookie_bytes,
            shown(&native),
            shown(&reused),
            shown(&queued),
            median(&ratios)
        );
    }

    async fn measure_fresh(&self, component: &host::FilterComponent) {
        let configuration = host::Configuration::new("secrets.toml", &self.toml);
        let mut samples = vec![];
        for _ in 0..FRESH_ROUNDS {
            let start = Instant::now();
            for _ in 0..FRESH_DECISIONS {
                let mut fresh = host::Instance::load_again(component, &configuration, BUDGET).await.expect("loads");
                forwarded(&fresh.decide(self.wasm_head(), None).await.expect("decides"));
            }
            samples.push(micros_each(start, FRESH_DECISIONS));
        }
        println!("{:<40} {:>14}", self.name, shown(&samples));
    }

    fn native_round(&self) -> f64 {
        let (mut cache, mut entropy) = (ProviderCache::default(), Fixed::default());
        let start = Instant::now();
        for _ in 0..DECISIONS {
            // The shells read the clock and get a head of their own for each request, so this does too.
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let mut around = Surroundings { cache: &mut cache, now: UnixTime::from_secs(now), entropy: &mut entropy, ended: &NothingEnded };
            match self.rig.filter.begin(self.head.clone(), None, &mut around) {
                Step::Done(decision) => assert!(matches!(decision.outcome, Outcome::Forward(forward) if forward.expires_at.is_some())),
                Step::Fetch(..) | Step::Look(..) => panic!("not logged in"),
            }
        }
        micros_each(start, DECISIONS)
    }
}

fn forwarded(decision: &host::Decision) {
    assert!(matches!(&decision.outcome, host::Outcome::Forward(forward) if forward.expires_at.is_some()), "not logged in");
}

fn micros_each(start: Instant, count: u32) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn median(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The median, and how far the middle half of the samples is spread.
fn shown(samples: &[f64]) -> String {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let spread = sorted[3 * sorted.len() / 4] - sorted[sorted.len() / 4];
    format!("{:.1} ± {:.1}", median(samples), spread / 2.0)
}
