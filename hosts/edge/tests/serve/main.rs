//! `vestibule serve` as one running program, with the component, before providers that misbehave as told: what the OpenID
//! Foundation's client tests show a relying party, and attacks on tokens, callbacks, cookies and destinations.
//!
//! The program runs once for all tests, so somebody has to stop it when they are over. rustc's harness tells nobody, hence
//! libtest-mimic's, which takes the same arguments.

#![expect(clippy::expect_used, reason = "a step that fails ends its test, and says which one it was")]
#![allow(unreachable_pub, reason = "what the modules of this one program share has no outside to be hidden from")]

#[allow(dead_code, reason = "this program uses its part of it")]
#[path = "../edge/application.rs"]
mod application;
#[allow(dead_code, reason = "this program uses its part of it")]
#[path = "../edge/browser.rs"]
mod browser;
mod callback;
mod conformance;
mod cookies;
mod destinations;
mod end_session;
#[path = "../../../../tests/payloads/mod.rs"]
mod payloads;
#[allow(dead_code, reason = "this program uses its part of it")]
#[path = "../edge/program.rs"]
mod program;
#[allow(dead_code, reason = "this program uses its part of it")]
#[path = "../edge/raw.rs"]
mod raw;
mod site;
mod tokens;
mod visitor;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

/// Lists a module's tests: each is an `async fn` that panics when it fails.
macro_rules! tests {
    ($($name:ident),+ $(,)?) => {
        pub fn all() -> Vec<libtest_mimic::Trial> {
            vec![$(libtest_mimic::Trial::test(stringify!($name), || { $crate::site::run($name()); Ok(()) })),+]
        }
    };
}
pub(crate) use tests;

fn main() -> ExitCode {
    let tests: Vec<Trial> = [conformance::all(), end_session::all(), tokens::all(), callback::all(), cookies::all(), destinations::all()]
        .into_iter()
        .flatten()
        .collect();
    let conclusion = libtest_mimic::run(&Arguments::from_args(), tests);
    site::stop_all();
    conclusion.exit_code()
}
