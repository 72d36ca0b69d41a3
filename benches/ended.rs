//! What the list of ended sessions costs a decision about a logged-in user's request, and the machine: without a list, with an
//! empty one, and with a million names of each kind. `make bench-ended` runs it.
//!
//! The kinds take turns within one run, and pairs are compared: the median of the differences is what to look at.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::print_stdout, reason = "a measurement that fails ends the program")]

#[allow(dead_code, unreachable_pub, reason = "this program uses its part of it")]
#[path = "../hosts/edge/src/configuration/ended_sessions.rs"]
mod ended_sessions;
#[allow(dead_code, reason = "this program uses its part of it")]
mod realistic;
#[path = "../tests/rig/mod.rs"]
mod rig;

use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ended_sessions::{EndedSessions, MAX_NAMES};
use realistic::{APPLICATION_COOKIES, Shape, as_a_browser_sends_it};
use rig::{Browser, CONFIG, Rig};
use vestibule_wasmtime as host;
use vestibule_wasmtime::{Ended, EndedName, EndedWhat};

const ROUNDS: usize = 41;
const DECISIONS: u32 = 1_000;
const LOOKS: u32 = 100_000;

#[tokio::main]
async fn main() {
    let path =
        std::env::var("VESTIBULE_COMPONENT").unwrap_or_else(|_| concat!(env!("CARGO_MANIFEST_DIR"), "/dist/vestibule-wide.wasm").into());
    let runtime = host::Runtime::new(&host::RuntimeOptions::default()).expect("a runtime");
    let component = host::FilterComponent::from_file(&runtime, Path::new(&path), None).expect("dist/vestibule-wide.wasm: run `make build`");

    let before = memory();
    let (empty, full) = (Arc::new(EndedSessions::default()), Arc::new(EndedSessions::default()));
    fill(&full);
    println!("{} names take {} MiB of memory, {} at most", full.len(), (memory() - before) >> 20, 2 * MAX_NAMES);

    let head = logged_in();
    let none = filter(&component, None).await;
    let kinds =
        [("an empty list", filter(&component, Some(empty.clone())).await), ("a full list", filter(&component, Some(full.clone())).await)];
    let (mut without, mut with) = (Vec::new(), [Vec::new(), Vec::new()]);
    for _ in 0..ROUNDS {
        let base = round(&none, &head).await;
        without.push(base);
        for ((_, filter), samples) in kinds.iter().zip(&mut with) {
            samples.push(round(filter, &head).await - base);
        }
    }
    println!("a decision without a list: {:.2} µs", median(&mut without));
    for ((name, _), samples) in kinds.iter().zip(&mut with) {
        println!("the same with {name}: {:+.2} µs (median of {ROUNDS} differences)", median(samples));
    }
    for (name, list) in [("an empty list", &empty), ("a full list", &full)] {
        println!("one look in {name}, with the names of session, account and provider's session: {:.3} µs", look(list));
    }
}

/// As much of each kind as there is room for.
fn fill(list: &EndedSessions) {
    let now = now();
    for number in 0..u64::try_from(MAX_NAMES).expect("it fits") {
        let names = [EndedWhat::Session, EndedWhat::Account].map(|what| {
            let name = URL_SAFE_NO_PAD.encode([spread(number), spread(!number)].concat());
            EndedName::new(name, what, now, now + 86_400)
        });
        list.remember(&names);
    }
}

/// Names are digests or random: no two of these are near each other.
fn spread(number: u64) -> [u8; 8] {
    number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).to_le_bytes()
}

async fn filter(component: &host::FilterComponent, ended: Option<Arc<EndedSessions>>) -> host::Filter {
    let options = host::FilterOptions { ended: ended.map(|ended| ended as Arc<dyn Ended>), ..host::FilterOptions::default() };
    host::Filter::load(component, host::Configuration::new("secrets.toml", CONFIG), options).await.expect("loads")
}

/// The request of somebody whose session has a provider's session and an account to ask for.
fn logged_in() -> host::RequestHead {
    let mut rig = Rig::new(CONFIG);
    rig.now = now();
    rig.provider.edit_claims = Some(Box::new(|claims| {
        Shape::Entra.add_to(claims);
        claims.insert("sid".into(), "0b8f8c3e-4c5d-4b0a-9f57-2f4f0f6ad9c1".into());
    }));
    let mut browser = Browser::default();
    assert_eq!(browser.log_in(&mut rig, "/", "8f3c1a52-77de-4b0e-9c3a-2d1f0b6e5a49").status, 302, "{:?}", rig.events);
    browser.cookies.retain(|name, _| name.contains("session"));
    for (name, value) in APPLICATION_COOKIES {
        browser.cookies.insert(name.into(), value.into());
    }
    let head = as_a_browser_sends_it(browser.head("/reports?year=2026"));
    let mut sent = host::RequestHead::new(&head.method, &head.path_with_query, head.authority.as_deref(), None);
    head.headers.iter().for_each(|(name, value)| sent.push(name, value));
    sent
}

async fn round(filter: &host::Filter, head: &host::RequestHead) -> f64 {
    let start = Instant::now();
    for _ in 0..DECISIONS {
        let decision = filter.decide(head.clone(), None).await.expect("decides");
        assert!(matches!(&decision.outcome, host::Outcome::Forward(forward) if forward.session.is_some()), "not logged in");
    }
    start.elapsed().as_secs_f64() * 1e6 / f64::from(DECISIONS)
}

/// Names that are not there, each time others: what an ordinary request asks for.
fn look(list: &EndedSessions) -> f64 {
    let names: Vec<[[u8; 16]; 3]> = (0..u64::from(LOOKS))
        .map(|number| [1, 2, 3].map(|kind| [spread(number ^ 0x5555_5555), spread(kind)].concat().try_into().expect("16 bytes")))
        .collect();
    let (start, began_at) = (Instant::now(), now());
    let found = names.iter().filter(|names| list.ended(&names[..], began_at)).count();
    let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(LOOKS);
    assert_eq!(found, 0);
    each
}

fn median(samples: &mut [f64]) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// What this process has of the machine's memory, in bytes.
fn memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("of this system");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
}
