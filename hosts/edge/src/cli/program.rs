//! The program from its command line to its exit code.

use std::process::ExitCode;

use clap::Parser as _;
use vestibule_wasmtime::Carried;

use crate::causes;
use crate::cli::arguments::{Arguments, Command, Sessions};
use crate::cli::{carry, check, completions, explain, health, init, manual, not_started, schema, serve, sessions};
use crate::observe::log::{self, Format};
use crate::random;

/// Runs the command that was asked for.
pub fn run(carried: &Carried) -> ExitCode {
    let command = Arguments::parse().command;
    let format = match &command {
        Command::Serve(arguments) => arguments.common.log,
        _ => Format::Human,
    };
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.into(), format),
    };
    let result = runtime.block_on(dispatch(command, carried));
    // What is still running was given its grace already.
    runtime.shutdown_background();
    log::flush();
    result.unwrap_or_else(|error| fail(&error, format))
}

#[expect(clippy::print_stdout, reason = "the secret is what was asked for")]
async fn dispatch(command: Command, carried: &Carried) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(arguments) => {
            log::start(arguments.common.log)?;
            serve::run(&arguments, carried).await?;
        }
        Command::Init(arguments) => {
            log::start(arguments.common.log)?;
            return init::run(&arguments, carried).await;
        }
        Command::Check(arguments) => {
            log::start(arguments.common.log)?;
            return check::run(&arguments, carried).await;
        }
        Command::Explain(arguments) => return explain::run(&arguments).await,
        Command::Health(arguments) => return Ok(health::run(&arguments).await),
        Command::Sessions(Sessions::End(arguments)) => return Ok(sessions::end(&arguments).await),
        Command::Schema => schema::run()?,
        Command::CookieSecret => println!("{}", random::cookie_secret()),
        Command::Completions(arguments) => completions::run(&arguments)?,
        Command::Man(arguments) => manual::run(&arguments)?,
        Command::Carry(arguments) => carry::run(&arguments, carried)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn fail(error: &anyhow::Error, format: Format) -> ExitCode {
    match format {
        Format::Human => eprintln!("vestibule: {}", causes::told(error)),
        Format::Json => not_started::tell(error),
    }
    ExitCode::FAILURE
}
