//! `vestibule explain`: which rule decides on a request, and why. By the same core as the component, here natively.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};
use vestibule::account::Account;
use vestibule::claims::Claims;
use vestibule::config::Config;
use vestibule::oidc::provider::Provider;
use vestibule::policy::{Answer, explain};
use vestibule::web::http::RequestHead;

use crate::cli::arguments::Explain;
use crate::cli::serve::DEFAULT_PORT;
use crate::configuration::native;

/// Exit codes: 0 the request passes, 3 it gets the login, 4 it is denied, 5 it is malformed, 6 its host is not served. 1: that
/// cannot be told.
const LOGIN: u8 = 3;
const DENIED: u8 = 4;
const MALFORMED: u8 = 5;
const NOT_SERVED: u8 = 6;

/// Prints the way to the answer, and returns the exit code that tells it.
///
/// # Errors
/// A file cannot be read, or is not what it should be; every fault of the configuration, one per line.
#[expect(clippy::print_stdout, reason = "the explanation is what was asked for")]
pub async fn run(arguments: &Explain) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config).await?;
    let claims = arguments.account.as_deref().map(read_claims).transpose()?;
    let account = match &claims {
        Some(claims) => Some(Account { provider: provider(&config, arguments.provider.as_deref(), claims)?, claims }),
        None => None,
    };
    let public = config.public.redirect_uri();
    let host = arguments.host.as_deref().unwrap_or(&public[url::Position::BeforeHost..url::Position::AfterPort]);
    let head = RequestHead { method: arguments.method.clone(), ..RequestHead::get(&arguments.path, host) };
    let explained = explain(&head, account.as_ref(), &config.admission, &config.public);
    print!("{}", explained.text);
    Ok(match explained.answer {
        Answer::Passes => ExitCode::SUCCESS,
        Answer::LoginRequired => LOGIN.into(),
        Answer::Denied => DENIED.into(),
        Answer::Malformed => MALFORMED.into(),
        Answer::NotServed => NOT_SERVED.into(),
    })
}

async fn load(path: &Path) -> anyhow::Result<Config> {
    native::parse(native::read(path, DEFAULT_PORT).await?)
}

/// What `/.vestibule/user` answers, or the payload of an ID token.
fn read_claims(path: &Path) -> anyhow::Result<Claims<'static>> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    let claims: Map<String, Value> = serde_json::from_str(&text)
        .with_context(|| format!("{}: write claims as a JSON object, as /.vestibule/user shows them", path.display()))?;
    Ok(claims.into())
}

/// The one that is named, on the command line or in the claims; else the only one.
fn provider<'a>(config: &'a Config, named: Option<&str>, claims: &Claims<'_>) -> anyhow::Result<&'a Provider> {
    match (named.or_else(|| claims.text("provider")), config.providers.as_slice()) {
        (Some(name), _) => config.provider(name).with_context(|| format!("there is no provider `{name}` in [auth]")),
        (None, [only]) => Ok(only),
        (None, _) => bail!("there are several providers; name the account's with --provider"),
    }
}
