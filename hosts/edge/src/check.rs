//! `vestibule check`: everything that is wrong with a configuration file, before anything runs on it.

use std::process::ExitCode;

use vestibule_wasmtime::{ConfigurationFile, Filter, FilterOptions};

use crate::arguments::Check;
use crate::serve::{self, DEFAULT_PORT};

/// Prints every fault to stderr and fails, or prints the warnings and what the file configures.
///
/// # Errors
/// The configuration cannot be read at all, or there is no component.
#[expect(clippy::print_stdout, reason = "the verdict is what was asked for; faults go to stderr")]
pub async fn run(arguments: &Check) -> anyhow::Result<ExitCode> {
    let component = serve::compile(&arguments.common)?;
    let configuration = ConfigurationFile::read(&component, &arguments.config, Some(DEFAULT_PORT)).await?;
    match Filter::load(&component, configuration, FilterOptions::default()).await {
        Ok(filter) => {
            let summary = filter.summary();
            for warning in &summary.warnings {
                eprintln!("{warning}");
            }
            println!("{}: in order, for {}", arguments.config.display(), summary.public_origin);
            if let Some(authorization) = &summary.authorization {
                println!("request headers that the proxy takes from an answer: Cookie, {}", authorization.identity_headers.join(", "));
                println!("cookies that an answer may set: {}", authorization.session_cookies.join(", "));
            }
            Ok(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{error}");
            Ok(ExitCode::FAILURE)
        }
    }
}
