//! What the login costs at the edge: processor time of the proxy for a request, requests in a second, and memory for a connection
//! that is open. `make bench-edge` runs it; with `--peers` it compares other proxies that log users in (`make bench-peers`).
//!
//! ```text
//! load (this process) ──► a proxy (a process of its own) ──► application (another one): the same 1 KB to everything
//!       │                        └── the login's provider is in this process
//!       └── reads the proxy's processor time and memory from /proc
//! ```
//!
//! The sides of a comparison take turns in one run, and what is compared are the pairs of a round: other work on the machine
//! hits both. Each side is this same program, started again in another [`role`], so that nothing but the role differs.
//! A response that is not the application's ends the run.

#![expect(clippy::expect_used, reason = "a step that fails ends the run, and says which one it was")]
#![expect(clippy::print_stdout, reason = "what was measured")]
#![expect(unreachable_pub, reason = "what the modules of this one program share has no outside to be hidden from")]

mod application;
mod comparison;
mod connections;
mod edge;
mod load;
mod peers;
mod process;
mod request;
mod role;
mod site;

#[allow(dead_code, reason = "of the tests' browser, what a login needs")]
#[path = "../../tests/edge/browser.rs"]
mod browser;
#[allow(dead_code, reason = "of the shapes of claims, the one that is measured")]
#[path = "../../../../benches/realistic/mod.rs"]
mod realistic;

/// The program's, for all sides.
#[cfg(all(unix, not(target_env = "musl")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// What precedes the name of a role.
const ROLE: &str = "--role";

fn main() {
    // Cargo adds it.
    let arguments: Vec<_> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => in_one_thread(edge::compare()),
        ["--peers"] => in_one_thread(peers::compare()),
        [ROLE, name, argument] => role::play(name, argument),
        _ => panic!("no such arguments: {arguments:?}"),
    }
}

/// One thread for the load, so that a processor is left for the proxy.
fn in_one_thread(measurement: impl Future<Output = ()>) {
    vestibule_edge::listen::limits::raise_descriptors();
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(measurement);
}
