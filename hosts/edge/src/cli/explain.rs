//! `vestibule explain`: which rule decides on a request, and why. By the same core as the component, here natively.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
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

/// Exit codes: 0 the request passes, 3 it gets the login, 4 it is denied, 5 it is malformed. 1: that cannot be told.
const LOGIN: u8 = 3;
const DENIED: u8 = 4;
const MALFORMED: u8 = 5;

/// Prints the way to the answer, and returns the exit code that tells it.
///
/// # Errors
/// A file cannot be read, or is not what it should be; every fault of the configuration, one per line.
#[expect(clippy::print_stdout, reason = "the explanation is what was asked for")]
pub async fn run(arguments: &Explain) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config).await?;
    let user = arguments.account.as_deref().map(read_user).transpose()?.flatten();
    let account = match &user {
        Some(User { claims, provider: named }) => {
            let provider = provider(&config, arguments.provider.as_deref().or(named.as_deref()))?;
            Some(Account { provider, claims })
        }
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
    })
}

/// No secret decides on a request: what cannot be read of them is told, and left out.
async fn load(path: &Path) -> anyhow::Result<Config> {
    let (configuration, replaced) = native::read_without_secrets(path, DEFAULT_PORT).await?;
    if !replaced.is_empty() {
        eprintln!("not read, and not needed to explain: {}", replaced.join(", ").replace(char::is_control, " "));
    }
    native::parse(configuration)
}

/// A user, as a file describes one.
struct User {
    claims: Claims<'static>,
    /// The provider that the file names.
    provider: Option<String>,
}

/// What `/.vestibule/user` answers, or the payload of an ID token. `None`: no user is logged in.
fn read_user(path: &Path) -> anyhow::Result<Option<User>> {
    let shown = path.display();
    let text =
        std::fs::read_to_string(path).map_err(|error| anyhow!("--as: cannot read {shown}: {error}; name a file with the user's claims"))?;
    parse_user(&text).with_context(|| format!("--as: {shown}"))
}

/// The answer of `/.vestibule/user` has `is_logged_in`, and nothing else without a session. With one, `provider` is the
/// name of the session's provider, and neither of the two is a claim of the user, on which a rule could decide.
fn parse_user(text: &str) -> anyhow::Result<Option<User>> {
    let mut claims: Map<String, Value> = serde_json::from_str(text)
        .map_err(|error| anyhow!("this is no JSON object of claims ({error}); write it as /.vestibule/user shows it"))?;
    let is_answer = match claims.remove(IS_LOGGED_IN) {
        None => false,
        Some(Value::Bool(true)) => true,
        Some(Value::Bool(false)) if claims.is_empty() => return Ok(None),
        Some(Value::Bool(false)) => bail!("`{IS_LOGGED_IN}` is false, and there are claims of a user; write true, or remove the claims"),
        Some(_) => bail!("`{IS_LOGGED_IN}` is neither true nor false; write one of them, or remove it"),
    };
    let provider = match claims.get(PROVIDER) {
        Some(Value::String(name)) => Some(name.clone()),
        Some(_) if is_answer => bail!("`{PROVIDER}` is not the name of a provider; write a string, as /.vestibule/user does"),
        _ => None,
    };
    if is_answer {
        claims.remove(PROVIDER);
    }
    Ok(Some(User { claims: claims.into(), provider }))
}

const IS_LOGGED_IN: &str = "is_logged_in";
const PROVIDER: &str = "provider";

/// The one that is named, on the command line or in the file; else the only one.
fn provider<'a>(config: &'a Config, named: Option<&str>) -> anyhow::Result<&'a Provider> {
    match (named, config.providers.as_slice()) {
        (Some(name), providers) => {
            config.provider(name).with_context(|| format!("there is no provider `{name}` in [auth]; write one of {}", names(providers)))
        }
        (None, [only]) => Ok(only),
        (None, providers) => bail!("there are several providers; name that of the user with --provider: one of {}", names(providers)),
    }
}

fn names(providers: &[Provider]) -> String {
    providers.iter().map(|provider| format!("`{}`", provider.name)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_without_a_session_is_no_user() {
        for text in [r#"{"is_logged_in": false}"#, "{\"is_logged_in\":false}\n"] {
            assert!(parse_user(text).expect("read").is_none(), "{text}");
        }
    }

    #[test]
    fn an_answer_is_read_without_what_it_adds_to_the_claims() {
        for (text, provider, claims) in [
            (r#"{"is_logged_in": true, "provider": "google", "sub": "1"}"#, Some("google"), r#"{"sub":"1"}"#),
            (r#"{"is_logged_in": true, "sub": "1"}"#, None, r#"{"sub":"1"}"#),
            // Written by hand, or an ID token's payload.
            (r#"{"provider": "google", "sub": "1"}"#, Some("google"), r#"{"provider":"google","sub":"1"}"#),
            (r#"{"provider": 7, "sub": "1"}"#, None, r#"{"provider":7,"sub":"1"}"#),
            (r#"{"sub": "1"}"#, None, r#"{"sub":"1"}"#),
        ] {
            let user = parse_user(text).expect("read").expect("a user");
            let given = Value::Object(user.claims.whole().clone()).to_string();
            assert_eq!((user.provider.as_deref(), given.as_str()), (provider, claims), "{text}");
        }
    }

    #[test]
    fn what_is_no_answer_is_refused_with_its_reason() {
        for (text, told) in [
            (r#"{"is_logged_in": false, "sub": "1"}"#, "`is_logged_in` is false, and there are claims"),
            (r#"{"is_logged_in": "false", "sub": "1"}"#, "`is_logged_in` is neither true nor false"),
            (r#"{"is_logged_in": null}"#, "`is_logged_in` is neither true nor false"),
            (r#"{"is_logged_in": true, "provider": ["google"]}"#, "`provider` is not the name of a provider"),
            ("[]", "is no JSON object of claims"),
            ("null", "is no JSON object of claims"),
            ("", "is no JSON object of claims"),
        ] {
            let error = parse_user(text).err().unwrap_or_else(|| panic!("{text}: accepted"));
            let error = crate::causes::told(&error);
            assert!(error.contains(told), "{text}: {error}");
        }
    }
}
