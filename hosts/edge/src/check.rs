//! `vestibule check`: everything that is wrong with a configuration file, before anything runs on it.

use std::path::Path;
use std::process::ExitCode;

use vestibule_wasmtime::{ConfigurationFile, Filter, FilterOptions};

use crate::arguments::Check;
use crate::reload;
use crate::serve::{self, DEFAULT_PORT};

/// Prints every fault to stderr and fails with exit code 1, or prints the warnings and what the file configures: exit code
/// 0, with `--strict` 1 when there are warnings.
///
/// # Errors
/// The configuration cannot be read at all, or there is no component.
#[expect(clippy::print_stdout, reason = "the verdict is what was asked for; faults go to stderr")]
pub async fn run(arguments: &Check) -> anyhow::Result<ExitCode> {
    let component = serve::compile(&arguments.common)?;
    let configuration = ConfigurationFile::read(&component, &arguments.config, Some(DEFAULT_PORT)).await?;
    let filter = match Filter::load(&component, configuration, FilterOptions::default()).await {
        Ok(filter) => filter,
        Err(error) => {
            eprintln!("{error}");
            return Ok(ExitCode::FAILURE);
        }
    };
    let summary = filter.summary();
    let mut warnings: Vec<_> = summary.warnings.iter().map(ToString::to_string).collect();
    warnings.extend(deployment_warnings(&arguments.config));
    warnings.iter().for_each(|warning| eprintln!("{warning}"));
    if arguments.strict && !warnings.is_empty() {
        return Ok(ExitCode::FAILURE);
    }
    println!("{}: in order, for {}", arguments.config.display(), summary.public_origin);
    if let Some(authorization) = &summary.authorization {
        println!("request headers that the proxy takes from an answer: Cookie, {}", authorization.identity_headers.join(", "));
        println!("request headers that the proxy removes: {}", authorization.removed_headers.join(", "));
        println!("cookies that an answer may set: {}", authorization.session_cookies.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// What the component cannot see: the file itself.
fn deployment_warnings(path: &Path) -> Vec<String> {
    let mut warnings = vec![];
    let file = path.display();
    if reload::is_readable_by_everybody(path) {
        warnings.push(format!("{file}: warning: can be read by every user of this machine, and so can its secrets; run `chmod o-r` on it"));
    }
    warnings
}
