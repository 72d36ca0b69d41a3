//! What no option answers is asked, if there is a terminal.

use anyhow::ensure;
use clap::ValueEnum;
use url::Url;

use crate::cli::init::answers::{self, Answers, ClientSecret, Who};
use crate::cli::init::arguments::{self, App, Init};
use crate::cli::init::judge::{Judge, samples};
use crate::cli::init::provider::{self, Asks, Kind};
use crate::cli::init::steps::steps;
use crate::cli::init::terminal::Terminal;

/// Where the application of `docs/streamlit.md` listens.
const STREAMLIT: &str = "http://127.0.0.1:8601";

/// The options that have the client secret.
const SECRET: &str = "--client-secret-env or --client-secret-file";

/// The options that say who may enter.
const WHO: &str = "--email-domain, --email, --group or --everybody";

/// Every answer, from the options or from the terminal, each judged with those before it. Tells on the way how the application is
/// registered.
///
/// # Errors
/// An answer is missing or, without a terminal, refused; the client secret that an option names cannot be used.
pub(super) async fn answers(arguments: &Init, judge: &mut Judge<'_>) -> anyhow::Result<Answers> {
    let terminal = Terminal::find();
    if !terminal.is_there() {
        let missing = missing(arguments);
        ensure!(
            missing.is_empty(),
            "there is no terminal to ask on, and these options are missing: {}; `vestibule init --help` lists the options",
            missing.join(", ")
        );
    }
    let mut answers = samples().map_err(anyhow::Error::msg)?;
    // Before anything is asked: no answer can put it right.
    if let Some(secret) = named_secret(arguments) {
        answers.client.secret = secret;
        judge.whole(&answers).await?;
    }
    let judge = &*judge;
    let kind = match arguments.provider {
        Some(kind) => kind,
        None => terminal.choose("--provider", "Which OpenID provider logs your users in?", Kind::value_variants(), Kind::title)?,
    };
    has_effect(arguments, kind)?;
    answers.client.kind = kind;
    if kind == Kind::Cognito {
        // A sample as well: without one, the other answers are warned of.
        answers.client.logout_url = Some("https://login.example.com/logout?client_id={client_id}&logout_uri={return_to}".to_owned());
    }
    // Before the steps at the provider, which would be in vain.
    if let (Some(issuer), true) = (known_issuer(arguments, kind), arguments.who.everybody) {
        let host = issuer.host_str().unwrap_or_default().to_owned();
        answers.client.issuer = issuer;
        if with(judge, &answers, Who::Everybody, |answers, who| answers.who = who).is_err() {
            let problem = format!("admits every account at {host}, and anyone can create one");
            terminal.refuse("--everybody", &format!("{problem}; say who may enter with --email-domain, --email or --group"))?;
        }
    }
    let question = "The public address of the application, for example https://app.example.com";
    let answers = terminal.text("--address", arguments.address.as_deref(), question, |text| {
        with(judge, &answers, answers::redirect_uri(text)?, |answers, uri| answers.redirect_uri = uri)
    })?;
    register(kind, &answers.redirect_uri);
    let mut answers = client(&terminal, arguments, judge, answers)?;
    answers.app = match arguments.app {
        Some(app) => app,
        None => terminal.choose("--app", "What is the application?", App::value_variants(), |app| match app {
            App::Streamlit => "a Streamlit app",
            App::Other => "another application",
        })?,
    };
    let usual = (answers.app == App::Streamlit && !terminal.is_there()).then_some(STREAMLIT);
    let question = match answers.app {
        App::Streamlit => format!("The address that the Streamlit app listens on, for example {STREAMLIT}"),
        App::Other => "The address that the application listens on, for example http://127.0.0.1:8080".to_owned(),
    };
    let answers = terminal.text("--upstream", arguments.upstream.as_deref().or(usual), &question, |text| {
        with(judge, &answers, answers::upstream(text)?, |answers, upstream| answers.upstream = upstream)
    })?;
    who(&terminal, arguments, judge, answers)
}

/// The issuer, where it is known before anything is asked.
fn known_issuer(arguments: &Init, kind: Kind) -> Option<Url> {
    let text = match kind.asks() {
        Asks::Nothing(issuer) => Some(issuer),
        Asks::Issuer(_) => arguments.issuer.as_deref().or(kind.usual_issuer()),
        Asks::Tenant => None,
    };
    text.and_then(|text| provider::issuer(text).ok())
}

/// The options that are missing where nothing can be asked, in the order of the questions.
fn missing(arguments: &Init) -> Vec<&'static str> {
    let kind = arguments.provider;
    let needs_issuer = kind.is_some_and(|kind| matches!(kind.asks(), Asks::Issuer(_)) && kind.usual_issuer().is_none());
    let is = |wanted: Kind| kind == Some(wanted);
    let who = &arguments.who;
    [
        ("--provider", kind.is_none()),
        ("--address", arguments.address.is_none()),
        ("--issuer", needs_issuer && arguments.issuer.is_none()),
        ("--tenant", is(Kind::Entra) && arguments.tenant.is_none()),
        ("--project", is(Kind::Zitadel) && arguments.project.is_none()),
        ("--client-id", arguments.client_id.is_none()),
        (SECRET, named_secret(arguments).is_none()),
        ("--domain", kind.is_some_and(Kind::has_logout_domain) && arguments.domain.is_none()),
        ("--app", arguments.app.is_none()),
        ("--upstream", arguments.app != Some(App::Streamlit) && arguments.upstream.is_none()),
        (WHO, given_who(who, None).is_none()),
    ]
    .into_iter()
    .filter_map(|(option, is_missing)| is_missing.then_some(option))
    .collect()
}

/// The answers with one more, if the core has nothing against it.
fn with<T>(judge: &Judge<'_>, answers: &Answers, value: T, put: impl FnOnce(&mut Answers, T)) -> Result<Answers, String> {
    let mut next = answers.clone();
    put(&mut next, value);
    judge.answers(&next)?;
    Ok(next)
}

fn named_secret(arguments: &Init) -> Option<ClientSecret> {
    let environment = arguments.client_secret_env.clone().map(ClientSecret::Environment);
    environment.or_else(|| arguments.client_secret_file.clone().map(ClientSecret::File))
}

/// # Errors
/// An option is for another provider.
fn has_effect(arguments: &Init, kind: Kind) -> anyhow::Result<()> {
    for (option, other, is_given) in [
        ("--tenant", Kind::Entra, arguments.tenant.is_some()),
        ("--project", Kind::Zitadel, arguments.project.is_some()),
        ("--domain", Kind::Cognito, arguments.domain.is_some()),
    ] {
        ensure!(!is_given || kind == other, "{option} is for {} only", other.title());
    }
    let has_issuer = matches!(kind.asks(), Asks::Issuer(_));
    ensure!(has_issuer || arguments.issuer.is_none(), "--issuer has no effect with {}", kind.title());
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the redirect URI and the steps are what was asked for")]
fn register(kind: Kind, redirect_uri: &str) {
    println!("Redirect URI: {redirect_uri}\n\nRegister the application at {}:", kind.title());
    for (step, number) in steps(kind).iter().zip(1..) {
        println!("  {number}. {}", step.replace("{redirect_uri}", redirect_uri));
    }
    println!();
}

fn client(terminal: &Terminal, arguments: &Init, judge: &Judge<'_>, mut answers: Answers) -> anyhow::Result<Answers> {
    let kind = answers.client.kind;
    let put_issuer = |answers: &mut Answers, issuer| answers.client.issuer = issuer;
    match kind.asks() {
        Asks::Issuer(example) => {
            let question = format!("The provider's issuer, for example {example}");
            let usual = kind.usual_issuer().filter(|_| !terminal.is_there());
            answers = terminal.text("--issuer", arguments.issuer.as_deref().or(usual), &question, |text| {
                with(judge, &answers, provider::issuer(text)?, put_issuer)
            })?;
        }
        Asks::Nothing(issuer) => answers.client.issuer = provider::issuer(issuer).map_err(anyhow::Error::msg)?,
        Asks::Tenant => {
            answers = terminal.text("--tenant", arguments.tenant.as_deref(), "The directory (tenant) ID", |text| {
                with(judge, &answers, provider::tenant(text)?, put_issuer)
            })?;
        }
    }
    if kind == Kind::Zitadel {
        answers = terminal.text("--project", arguments.project.as_deref(), "The ID of the project", |text| {
            with(judge, &answers, answers::line(text)?, |answers, project| answers.client.project = Some(project))
        })?;
    }
    answers = terminal.text("--client-id", arguments.client_id.as_deref(), "The client ID", |text| {
        with(judge, &answers, answers::line(text)?, |answers, id| answers.client.id = id)
    })?;
    if kind.has_logout_domain() {
        let question = "The domain of the user pool, for example acme.auth.eu-central-1.amazoncognito.com";
        answers = terminal.text("--domain", arguments.domain.as_deref(), question, |text| {
            with(judge, &answers, provider::cognito_logout(text)?, |answers, url| answers.client.logout_url = Some(url))
        })?;
    }
    if named_secret(arguments).is_none() {
        let put = |answers: &mut Answers, secret: &str| answers.client.secret = ClientSecret::Written(secret.to_owned());
        let secret = terminal.secret(SECRET, "The client secret", |secret| with(judge, &answers, secret, put).map(drop))?;
        put(&mut answers, &secret);
    }
    Ok(answers)
}

fn who(terminal: &Terminal, arguments: &Init, judge: &Judge<'_>, answers: Answers) -> anyhow::Result<Answers> {
    let put_who = |answers: &mut Answers, who| answers.who = who;
    if let Some((option, who)) = given_who(&arguments.who, arguments.groups_claim.as_ref()) {
        match who.and_then(|who| with(judge, &answers, who, put_who)) {
            Ok(answers) => return Ok(answers),
            Err(problem) => terminal.refuse(option, &problem)?,
        }
    }
    // Where everybody can have an account, the core refuses to admit all of them.
    let mut choices = vec![Choice::Domain, Choice::Addresses, Choice::Groups];
    choices.extend(with(judge, &answers, Who::Everybody, put_who).is_ok().then_some(Choice::Everybody));
    let list = |option: &str, question: &str, who: &dyn Fn(Vec<String>) -> Who| {
        let question = format!("{question}; separate several with commas");
        terminal.text(option, None, &question, |text| with(judge, &answers, who(answers::list(text)?), put_who))
    };
    match terminal.choose(WHO, "Who may enter?", &choices, Choice::says)? {
        Choice::Domain => list("--email-domain", "The domain, for example example.com", &Who::EmailDomain),
        Choice::Addresses => list("--email", "The e-mail addresses, for example alice@example.com", &Who::Email),
        Choice::Groups => {
            let client = &answers.client;
            let claim = match (&arguments.groups_claim, client.kind.groups(&client.issuer)) {
                (None, None) => Some(terminal.text("--groups-claim", None, "The claim that you have made for groups", answers::line)?),
                (claim, _) => claim.clone(),
            };
            list("--group", "The groups, for example admins", &|names| Who::Group { claim: claim.clone(), names })
        }
        Choice::Everybody => Ok(Answers { who: Who::Everybody, ..answers.clone() }),
    }
}

/// The option that says who may enter, and what it says; `None` if there is none.
fn given_who(options: &arguments::Who, groups_claim: Option<&String>) -> Option<(&'static str, Result<Who, String>)> {
    let parsed = |values: &[String]| values.iter().map(|value| answers::line(value)).collect::<Result<Vec<_>, _>>();
    match (options.email_domain.as_slice(), options.email.as_slice(), options.group.as_slice(), options.everybody) {
        ([], [], [], false) => None,
        ([], [], [], true) => Some(("--everybody", Ok(Who::Everybody))),
        ([], [], groups, _) => Some(("--group", parsed(groups).map(|names| Who::Group { claim: groups_claim.cloned(), names }))),
        ([], emails, ..) => Some(("--email", parsed(emails).map(Who::Email))),
        (domains, ..) => Some(("--email-domain", parsed(domains).map(Who::EmailDomain))),
    }
}

#[derive(Clone, Copy)]
enum Choice {
    Domain,
    Addresses,
    Groups,
    Everybody,
}

impl Choice {
    fn says(self) -> &'static str {
        match self {
            Self::Domain => "users with an e-mail address of a domain",
            Self::Addresses => "users with certain e-mail addresses",
            Self::Groups => "members of certain groups",
            Self::Everybody => "every user who can log in at the provider",
        }
    }
}
