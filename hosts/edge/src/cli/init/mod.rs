//! `vestibule init`: writes a configuration from a few answers, and checks it.

mod answers;
pub mod arguments;
mod document;
mod file;
pub mod provider;
mod questions;
mod steps;

use std::process::ExitCode;

use vestibule_wasmtime::Carried;

use crate::cli::arguments::Check;
use crate::cli::check;
use crate::cli::init::arguments::Init;
use crate::random;

/// Asks, writes, checks; the exit code is that of `vestibule check --strict`.
///
/// # Errors
/// An answer is missing or wrong, or the file is there already or cannot be written: then nothing is written. There is no
/// component to check it with.
#[expect(clippy::print_stdout, reason = "what was written, and what is next, is what was asked for")]
pub async fn run(arguments: &Init, carried: &Carried) -> anyhow::Result<ExitCode> {
    let path = &arguments.config;
    file::is_free(path, arguments.force)?;
    let answers = questions::answers(arguments)?;
    let text = document::document(&answers, &random::cookie_secret()).map_err(anyhow::Error::msg)?;
    file::write(path, &text, arguments.force).await?;
    if let Some(hint) = steps::hint(answers.client.kind, &answers.who) {
        println!("At {}: {hint}\n", answers.client.kind.title());
    }
    println!("{}: written, readable by you only", path.display());
    let check = Check {
        config: path.clone(),
        strict: true,
        online: !arguments.offline,
        tls_cert: None,
        tls_key: None,
        common: arguments.common.clone(),
    };
    let code = check::run(&check, carried).await?;
    if code == ExitCode::SUCCESS {
        println!("next: vestibule serve --config {}", path.display());
    }
    Ok(code)
}
