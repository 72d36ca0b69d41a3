//! What a decision takes of the allocator and, where valgrind is installed, of the processor: ceilings that do not depend on
//! how busy a machine is.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]
#![expect(unsafe_code, reason = "an allocator that counts, and leaves the work to the system's")]

#[path = "../benches/realistic/mod.rs"]
mod realistic;
mod rig;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use realistic::{APPLICATION_COOKIES, Shape, as_a_browser_sends_it};
use rig::{Browser, CONFIG, Rig};
use vestibule::decision::Outcome;
use vestibule::entropy::Fixed;
use vestibule::filter::{Step, Surroundings};
use vestibule::oidc::cache::ProviderCache;
use vestibule::session::NothingEnded;
use vestibule::time::UnixTime;
use vestibule::web::http::RequestHead;

/// For an authenticated request, the copy of its head included, whatever the claims.
const CEILING: usize = 15;

/// For each cookie beyond the first that a session takes: its name, and the whole of the session.
const FOR_A_CHUNK: usize = 3;

#[cfg(not(debug_assertions))]
/// Of the decisions of [`an_authenticated_request_takes_few_allocations`] together.
const MOST_INSTRUCTIONS: u64 = 450_000;

struct Counting;

thread_local! {
    static COUNTED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: each call goes on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNTED.set(COUNTED.get() + 1);
        // SAFETY: as it came.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as it came.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        COUNTED.set(COUNTED.get() + 1);
        // SAFETY: as it came.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn an_authenticated_request_takes_few_allocations() {
    for shape in Shape::ALL {
        let mut rig = Rig::new(CONFIG);
        rig.provider.edit_claims = Some(Box::new(move |claims| shape.add_to(claims)));
        let mut browser = Browser::default();
        browser.log_in(&mut rig, "/", "alice");
        browser.cookies.retain(|name, _| name.contains("session"));
        let ceiling = CEILING + FOR_A_CHUNK * (browser.cookies.len() - 1);
        browser.cookies.extend(APPLICATION_COOKIES.map(|(name, value)| (name.into(), value.into())));
        let head = as_a_browser_sends_it(browser.head("/reports?year=2026"));
        let (mut cache, mut entropy) = (ProviderCache::default(), Fixed::default());
        let mut around = Surroundings { cache: &mut cache, now: UnixTime::from_secs(rig.now), entropy: &mut entropy, ended: &NothingEnded };
        let before = COUNTED.get();
        let step = one_decision(&rig, &head, &mut around);
        let taken = COUNTED.get() - before;
        let Step::Done(decision) = step else { panic!("not logged in") };
        assert!(matches!(decision.outcome, Outcome::Forward(forward) if forward.expires_at.is_some()));
        assert!(taken <= ceiling, "{}: {taken} allocations, more than {ceiling}", shape.name());
    }
}

// What is not optimised takes some times as many.
#[cfg(not(debug_assertions))]
#[test]
fn an_authenticated_request_takes_few_instructions() {
    if !std::process::Command::new("valgrind").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("not counted: there is no valgrind");
        return;
    }
    let counted = std::process::Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*one_decision*"])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "an_authenticated_request_takes_few_allocations"])
        .output()
        .unwrap();
    let report = String::from_utf8_lossy(&counted.stderr);
    let line = report.lines().find_map(|line| line.split_once("Collected :")).unwrap_or_else(|| panic!("{report}"));
    let instructions: u64 = line.1.trim().parse().unwrap();
    println!("{instructions} instructions");
    assert!(instructions > 0 && instructions <= MOST_INSTRUCTIONS, "{instructions}, more than {MOST_INSTRUCTIONS}");
}

/// By itself, for tools that count what is done below a function.
#[inline(never)]
fn one_decision(rig: &Rig, head: &RequestHead, around: &mut Surroundings<'_>) -> Step {
    rig.filter.begin(head.clone(), None, around)
}
