//! What no option answers is asked, if there is a terminal.

use std::fmt::Display;
use std::io::IsTerminal as _;

use anyhow::{Context as _, anyhow, bail, ensure};
use clap::ValueEnum;
use dialoguer::{Input, Password, Select};

use crate::cli::init::answers::{self, Answers, Client, ClientSecret, Who};
use crate::cli::init::arguments::{App, Init};
use crate::cli::init::provider::{self, Asks, Kind};
use crate::cli::init::steps::steps;

/// Where the application of `docs/streamlit.md` listens.
const STREAMLIT: &str = "http://127.0.0.1:8601";

/// Every answer, from the options or from the terminal. Tells on the way how the application is registered.
///
/// # Errors
/// An answer is wrong or, without a terminal, missing.
pub(super) fn answers(arguments: &Init) -> anyhow::Result<Answers> {
    let terminal = Terminal { is_there: std::io::stdin().is_terminal() && std::io::stderr().is_terminal() };
    let kind = match arguments.provider {
        Some(kind) => kind,
        None => terminal.choose("--provider", "Which OpenID provider logs your users in?", Kind::value_variants(), Kind::title)?,
    };
    let address = arguments.address.as_deref();
    let redirect_uri =
        terminal.text("--address", address, "The public address of the application (https://app.example.com)", answers::redirect_uri)?;
    register(kind, &redirect_uri);
    let client = client(&terminal, arguments, kind)?;
    let app = match arguments.app {
        Some(app) => app,
        None => terminal.choose("--app", "What is the application?", App::value_variants(), |app| match app {
            App::Streamlit => "a Streamlit app",
            App::Other => "another application",
        })?,
    };
    let usual = (app == App::Streamlit && !terminal.is_there).then_some(STREAMLIT);
    let question = match app {
        App::Streamlit => format!("The address of the app, which Vestibule sends requests to ({STREAMLIT})"),
        App::Other => "The address of the application, which Vestibule sends requests to (http://127.0.0.1:8080)".to_owned(),
    };
    let upstream = terminal.text("--upstream", arguments.upstream.as_deref().or(usual), &question, answers::upstream)?;
    let who = who(&terminal, arguments, kind)?;
    Ok(Answers { client, redirect_uri, app, upstream, who })
}

#[expect(clippy::print_stdout, reason = "the redirect URI and the steps are what was asked for")]
fn register(kind: Kind, redirect_uri: &str) {
    println!("Redirect URI: {redirect_uri}\n\nRegister the application at {}:", kind.title());
    for (step, number) in steps(kind).iter().zip(1..) {
        println!("  {number}. {}", step.replace("{redirect_uri}", redirect_uri));
    }
    println!();
}

fn client(terminal: &Terminal, arguments: &Init, kind: Kind) -> anyhow::Result<Client> {
    let only_for = |option: &str, other: Kind, is_given: bool| {
        ensure!(!is_given || kind == other, "{option} is for {} only", other.title());
        Ok(())
    };
    only_for("--tenant", Kind::Entra, arguments.tenant.is_some())?;
    only_for("--project", Kind::Zitadel, arguments.project.is_some())?;
    let issuer = match kind.asks() {
        Asks::Issuer(example) => {
            terminal.text("--issuer", arguments.issuer.as_deref(), &format!("The provider's issuer ({example})"), provider::issuer)?
        }
        asks => {
            ensure!(arguments.issuer.is_none(), "--issuer has no effect with {}", kind.title());
            match asks {
                Asks::Nothing(issuer) => provider::issuer(issuer).map_err(anyhow::Error::msg)?,
                _ => terminal.text("--tenant", arguments.tenant.as_deref(), "The directory (tenant) ID", provider::tenant)?,
            }
        }
    };
    let project = match kind {
        Kind::Zitadel => Some(terminal.text("--project", arguments.project.as_deref(), "The ID of the project", answers::line)?),
        _ => None,
    };
    let id = terminal.text("--client-id", arguments.client_id.as_deref(), "The client ID", answers::line)?;
    let secret = match (&arguments.client_secret_env, &arguments.client_secret_file) {
        (Some(name), _) => ClientSecret::Environment(name.clone()),
        (None, Some(path)) => ClientSecret::File(path.clone()),
        (None, None) => ClientSecret::Written(terminal.secret("--client-secret-env or --client-secret-file", "The client secret")?),
    };
    Ok(Client { kind, issuer, project, id, secret })
}

fn who(terminal: &Terminal, arguments: &Init, kind: Kind) -> anyhow::Result<Who> {
    let options = &arguments.who;
    let claim = || arguments.groups_claim.clone();
    let parsed = |values: &[String]| -> anyhow::Result<Vec<String>> {
        values.iter().map(|value| answers::line(value).map_err(anyhow::Error::msg)).collect()
    };
    match (options.email_domain.as_slice(), options.email.as_slice(), options.group.as_slice(), options.everybody) {
        ([], [], [], false) => {}
        ([], [], [], true) => return Ok(Who::Everybody),
        ([], [], groups, _) if !groups.is_empty() => return Ok(Who::Group { claim: claim(), names: parsed(groups)? }),
        ([], emails, ..) if !emails.is_empty() => return Ok(Who::Email(parsed(emails)?)),
        (domains, ..) => return Ok(Who::EmailDomain(parsed(domains)?)),
    }
    #[derive(Clone, Copy)]
    enum Choice {
        Domain,
        Addresses,
        Groups,
        Everybody,
    }
    let choices = [Choice::Domain, Choice::Addresses, Choice::Groups, Choice::Everybody];
    let options = "--email-domain, --email, --group or --everybody";
    let choice = terminal.choose(options, "Who may enter?", &choices, |choice| match choice {
        Choice::Domain => "the e-mail addresses of a domain",
        Choice::Addresses => "some e-mail addresses",
        Choice::Groups => "some groups",
        Choice::Everybody => "everybody who can log in at the provider",
    })?;
    Ok(match choice {
        Choice::Domain => Who::EmailDomain(terminal.text("--email-domain", None, "The domain (example.com)", answers::list)?),
        Choice::Addresses => Who::Email(terminal.text("--email", None, "The addresses, with commas between", answers::list)?),
        Choice::Groups => {
            let names = terminal.text("--group", None, "The groups, with commas between", answers::list)?;
            let has_claim = matches!(kind, Kind::Google | Kind::Auth0);
            let claim = match has_claim {
                true => Some(terminal.text("--groups-claim", None, "The claim that you have made for groups", answers::line)?),
                false => None,
            };
            Who::Group { claim, names }
        }
        Choice::Everybody => Who::Everybody,
    })
}

/// Where questions are asked.
struct Terminal {
    is_there: bool,
}

impl Terminal {
    fn text<T>(&self, option: &str, given: Option<&str>, question: &str, parse: fn(&str) -> Result<T, String>) -> anyhow::Result<T> {
        if let Some(given) = given {
            return parse(given).map_err(|problem| anyhow!("{option}: {problem}"));
        }
        self.is_needed(option)?;
        let input = Input::<String>::new().with_prompt(question).validate_with(|text: &String| parse(text).map(drop));
        let text = input.interact_text().context(NO_ANSWER)?;
        parse(&text).map_err(anyhow::Error::msg)
    }

    /// Without an echo.
    fn secret(&self, option: &str, question: &str) -> anyhow::Result<String> {
        self.is_needed(option)?;
        let asked = Password::new().with_prompt(format!("{question} (is not shown)")).interact().context(NO_ANSWER)?;
        answers::line(&asked).map_err(anyhow::Error::msg)
    }

    fn choose<T: Copy, S: Display>(&self, option: &str, question: &str, choices: &[T], says: impl Fn(T) -> S) -> anyhow::Result<T> {
        self.is_needed(option)?;
        let lines: Vec<_> = choices.iter().map(|choice| says(*choice).to_string()).collect();
        let chosen = Select::new().with_prompt(question).items(&lines).default(0).interact().context(NO_ANSWER)?;
        choices.get(chosen).copied().context(NO_ANSWER)
    }

    fn is_needed(&self, option: &str) -> anyhow::Result<()> {
        if !self.is_there {
            bail!("{option} is missing, and there is no terminal to ask on; `vestibule init --help` lists the options");
        }
        Ok(())
    }
}

const NO_ANSWER: &str = "there was no answer; nothing is written";
