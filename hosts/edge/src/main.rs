//! `vestibule`: the edge proxy and the operator's tool.

use std::process::ExitCode;

use clap::Parser as _;
use vestibule_edge::cli::arguments::{Arguments, Command};
use vestibule_edge::cli::{check, explain, serve};
use vestibule_edge::observe::log;
use vestibule_edge::random;

/// What many connections have left behind goes back to the system within seconds, by jemalloc's own thread.
#[cfg(all(unix, not(target_env = "musl")))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into()),
    };
    let result = runtime.block_on(run(command));
    // What is still running was given its grace already.
    runtime.shutdown_background();
    log::flush();
    result.unwrap_or_else(|error| fail(&error))
}

#[expect(clippy::print_stdout, reason = "the secret is what was asked for")]
async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(arguments) => {
            log::start(arguments.common.log)?;
            serve::run(&arguments).await?;
        }
        Command::Check(arguments) => return check::run(&arguments).await,
        Command::Explain(arguments) => return explain::run(&arguments).await,
        Command::CookieSecret => println!("{}", random::cookie_secret()),
    }
    Ok(ExitCode::SUCCESS)
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("vestibule: {error:#}");
    ExitCode::FAILURE
}
