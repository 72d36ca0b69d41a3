//! `vestibule`: the edge proxy and the operator's tool. All of it is in the library; here is what it is linked with.

use std::process::ExitCode;

/// What many connections have left behind goes back to the system within seconds, by jemalloc's own thread.
#[cfg(all(feature = "jemalloc", unix, not(target_env = "musl")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    vestibule_edge::cli::program::run(&vestibule_edge::carried!())
}
