//! What a decision about a logged-in user's request costs: in the component on an instance that is reused, on a fresh
//! one for each request, through the host library with its queue, and in the same core compiled natively.
//!
//! The absolute numbers are this machine's; the ratios, measured in turns within one run, are what to compare.
//! `cargo bench` after `make build`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measurement that fails ends the program")]

#[path = "../tests/rig/mod.rs"]
mod rig;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rig::{Browser, CONFIG, Rig};
use serde_json::json;
use vestibule::decision::Outcome;
use vestibule::entropy::Fixed;
use vestibule::filter::{Step, Surroundings};
use vestibule::oidc::cache::ProviderCache;
use vestibule::session::NothingEnded;
use vestibule::time::UnixTime;
use vestibule::web::http::RequestHead;
use vestibule_wasmtime as host;

const ROUNDS: usize = 15;
const DECISIONS: u32 = 2_000;
const FRESH_DECISIONS: u32 = 200;

/// The session's claims in JSON, in bytes.
const SESSION_BYTES: usize = 1024;

fn main() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let mut rig = Rig::new(CONFIG);
    rig.now = now;
    rig.provider.edit_claims = Some(Box::new(|claims| {
        let missing = SESSION_BYTES.saturating_sub(serde_json::Value::Object(claims.clone()).to_string().len() + 12);
        claims.insert("padding".into(), json!("x".repeat(missing)));
    }));
    let mut browser = Browser::default();
    browser.log_in(&mut rig, "/", "alice");
    browser.cookies.retain(|name, _| name.contains("session"));
    let head = as_a_browser_sends_it(browser.head("/reports?year=2026"));
    println!(
        "cookie: {} bytes, claims: {SESSION_BYTES} bytes, headers: {}",
        browser.cookies.values().map(String::len).sum::<usize>(),
        head.headers.len()
    );

    let component =
        std::env::var("VESTIBULE_COMPONENT").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/dist/vestibule.wasm").into());
    let async_runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let measured = async_runtime.block_on(measure(&rig, &head, Path::new(&component)));

    let native = best(&measured.native);
    println!("\n{:<46} {:>9} {:>10}", "one decision, logged in", "best µs", "× native");
    for (name, samples) in [
        ("core, native", &measured.native),
        ("component, reused instance", &measured.reused),
        ("component, reused instance, library's queue", &measured.queued),
        ("component, fresh instance with configuration", &measured.fresh),
    ] {
        println!("{name:<46} {:>9.2} {:>10.2}", best(samples), best(samples) / native);
    }
}

#[derive(Default)]
struct Measured {
    native: Vec<f64>,
    reused: Vec<f64>,
    queued: Vec<f64>,
    fresh: Vec<f64>,
}

/// The kinds take turns, so that whatever else the machine does hits all of them.
async fn measure(rig: &Rig, head: &RequestHead, component: &Path) -> Measured {
    let runtime = host::Runtime::new(&host::RuntimeOptions::default()).expect("a runtime");
    let component = host::FilterComponent::from_file(&runtime, component, None).expect("dist/vestibule.wasm: run `make build` first");
    let configuration = host::Configuration::new("secrets.toml", CONFIG);
    let budget = Duration::from_millis(500);
    let (mut instance, _) = host::Instance::load(&component, &configuration, budget).await.expect("loads");
    let filter = host::Filter::load(&component, configuration.clone(), host::FilterOptions::default()).await.expect("loads");
    let wasm_head = || {
        let mut given = host::RequestHead::new(&head.method, &head.path_with_query, head.authority.as_deref(), None);
        head.headers.iter().for_each(|(name, value)| given.push(name, value));
        given
    };

    let mut measured = Measured::default();
    for _ in 0..ROUNDS {
        measured.native.push(native_round(rig, head));

        let start = Instant::now();
        for _ in 0..DECISIONS {
            forwarded(&instance.decide(wasm_head(), None).await.expect("decides"));
        }
        measured.reused.push(micros_each(start, DECISIONS));

        let start = Instant::now();
        for _ in 0..DECISIONS {
            forwarded(&filter.decide(wasm_head(), None).await.expect("decides"));
        }
        measured.queued.push(micros_each(start, DECISIONS));

        let start = Instant::now();
        for _ in 0..FRESH_DECISIONS {
            let (mut fresh, _) = host::Instance::load(&component, &configuration, budget).await.expect("loads");
            forwarded(&fresh.decide(wasm_head(), None).await.expect("decides"));
        }
        measured.fresh.push(micros_each(start, FRESH_DECISIONS));
    }
    measured
}

fn native_round(rig: &Rig, head: &RequestHead) -> f64 {
    let (mut cache, mut entropy) = (ProviderCache::default(), Fixed::default());
    let start = Instant::now();
    for _ in 0..DECISIONS {
        // The shells read the clock and copy the head for each request, so this does too.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        match rig.filter.begin(
            head.clone(),
            None,
            &mut Surroundings { cache: &mut cache, now: UnixTime::from_secs(now), entropy: &mut entropy, ended: &NothingEnded },
        ) {
            Step::Done(decision) => assert!(matches!(decision.outcome, Outcome::Forward(forward) if forward.expires_at.is_some())),
            Step::Fetch(..) => panic!("not logged in"),
        }
    }
    micros_each(start, DECISIONS)
}

fn forwarded(decision: &host::Decision) {
    assert!(matches!(&decision.outcome, host::Outcome::Forward(forward) if forward.expires_at.is_some()), "not logged in");
}

fn as_a_browser_sends_it(head: RequestHead) -> RequestHead {
    head.with("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36")
        .with("accept-language", "en-GB,en;q=0.9")
        .with("accept-encoding", "gzip, deflate, br")
        .with("sec-fetch-mode", "navigate")
        .with("sec-fetch-dest", "document")
        .with("sec-fetch-site", "same-origin")
}

fn micros_each(start: Instant, count: u32) -> f64 {
    start.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}

fn best(samples: &[f64]) -> f64 {
    samples.iter().copied().fold(f64::INFINITY, f64::min)
}
