//! `vestibule init`: writes a configuration from a few answers, and checks it.

mod answers;
pub mod arguments;
mod document;
mod file;
mod judge;
pub mod provider;
mod questions;
mod steps;
mod terminal;

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use url::Url;
use vestibule_wasmtime::Carried;

use crate::cli::arguments::Check;
use crate::cli::check;
use crate::cli::init::arguments::Init;
use crate::cli::init::file::Written;
use crate::cli::init::judge::Judge;

/// Asks, writes, checks; the exit code is that of `vestibule check --strict`.
///
/// # Errors
/// An answer is missing or wrong, or the file is there already, cannot be written, or would not be read: then nothing is written. There is no
/// component to check it with.
#[expect(clippy::print_stdout, reason = "what was written, and what is next, is what was asked for")]
pub async fn run(arguments: &Init, carried: &Carried) -> anyhow::Result<ExitCode> {
    let path = &arguments.config;
    file::is_free(path, arguments.force)?;
    file::is_safe(path)?;
    let mut judge = Judge::new(path);
    let answers = questions::answers(arguments, &mut judge).await?;
    let text = judge.whole(&answers).await.context("nothing is written, because of these answers")?;
    // Somebody may have changed it while questions were answered.
    file::is_safe(path)?;
    let written = file::write(path, &text, arguments.force)?;
    if let Some(hint) = steps::hint(answers.client.kind, &answers.who) {
        println!("At {}: {hint}\n", answers.client.kind.title());
    }
    let permissions = match written {
        Written::ForThisUser => "written, readable by you only",
        Written::AsBefore => "written, with the owner and the permissions that it had",
        Written::WithoutItsOwner => "written; it belongs to you now, because only root can keep its owner and its group",
    };
    println!("{}: {permissions}", path.display());
    let check = Check {
        config: path.clone(),
        strict: true,
        online: !arguments.offline,
        upstream: None,
        tls_cert: None,
        tls_key: None,
        common: arguments.common.clone(),
    };
    let checked = check::run(&check, carried).await;
    println!("next: {}", next(path, checked.as_ref().is_ok_and(|code| *code == ExitCode::SUCCESS)));
    if let Some(hint) = tls(&answers.redirect_uri) {
        println!("TLS: {hint}");
    }
    checked
}

/// The commands that come after, as a shell reads them.
fn next(path: &Path, is_in_order: bool) -> String {
    let path = path.to_string_lossy();
    let path = shell_words::quote(&path);
    let serve = format!("vestibule serve --config {path}");
    if is_in_order {
        return serve;
    }
    format!("correct the problems above, and repeat the check: vestibule check --online --config {path}\nthen: {serve}")
}

/// Who speaks TLS with browsers, for an https address: not `vestibule serve` by itself.
fn tls(redirect_uri: &str) -> Option<String> {
    let url = Url::parse(redirect_uri).ok().filter(|url| url.scheme() == "https")?;
    let origin = url.origin().ascii_serialization();
    Some(format!(
        "the address is {origin}, and `vestibule serve` listens without TLS. Let a proxy in front terminate TLS, and name the proxy in \
         trusted_proxies; or give `vestibule serve` the certificate: --tls-cert FILE --tls-key FILE --listen 0.0.0.0:{}",
        url.port_or_known_default().unwrap_or(443)
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_https_address_needs_who_terminates_tls() {
        let hint = tls("https://app.example.com/base/oauth2callback").expect("a hint");
        assert!(hint.contains("the address is https://app.example.com,") && hint.contains("--listen 0.0.0.0:443"), "{hint}");
        assert!(tls("https://localhost:8443/oauth2callback").is_some_and(|hint| hint.contains("--listen 0.0.0.0:8443")));
        assert_eq!(tls("http://localhost:8501/oauth2callback"), None);
    }

    #[test]
    fn the_commands_that_come_next_can_be_pasted_into_a_shell() {
        assert_eq!(next(Path::new(".streamlit/secrets.toml"), true), "vestibule serve --config .streamlit/secrets.toml");
        for (path, quoted) in [("my app/a.toml", "'my app/a.toml'"), ("$(id).toml", "'$(id).toml'"), ("it's", "'it'\\''s'")] {
            assert_eq!(next(Path::new(path), true), format!("vestibule serve --config {quoted}"));
            assert!(next(Path::new(path), false).contains(&format!("vestibule check --online --config {quoted}\n")));
        }
    }
}
