//! `vestibule init`, `vestibule schema`, and a configuration in the environment: the program from its options to its files.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

use tokio::process::Command;

use crate::program::component_options;
use crate::terminal::Terminal;
use crate::texts::run;

const SECRET: (&str, &str) = ("TEST_CLIENT_SECRET", "q7Rz8fKw2mQLbXeR4tY9uVn3");

const ANSWERS: [&str; 12] = [
    "--provider",
    "keycloak",
    "--issuer",
    "https://login.example.com/realms/acme",
    "--address",
    "https://app.example.com",
    "--client-id",
    "shop",
    "--client-secret-env",
    SECRET.0,
    "--upstream",
    "http://127.0.0.1:8080",
];

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&[output.stdout.as_slice(), &output.stderr].concat()).into_owned()
}

#[tokio::test]
async fn a_first_configuration_is_written_for_its_user_only_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let component: Vec<_> = component_options().into_iter().map(|option| option.into_string().unwrap()).collect();
    let component: Vec<_> = component.iter().map(String::as_str).collect();
    let arguments = [&["init", "--offline", "--app", "other", "--email-domain", "example.com"], &ANSWERS[..], &component].concat();
    let output = run(folder.path(), &arguments, &[SECRET]).await;
    assert!(output.status.success(), "{}", said(&output));
    for words in
        ["https://app.example.com/oauth2callback", "Valid redirect URIs", "in order, for https://app.example.com", "next: vestibule serve"]
    {
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
    }
    let path = folder.path().join(".streamlit/secrets.toml");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("client_secret_env = \"TEST_CLIENT_SECRET\"") && !text.contains(SECRET.1), "{text}");
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing unfinished is left");

    // It is not replaced unless that is asked for.
    let again = run(folder.path(), &arguments, &[SECRET]).await;
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("--force") && fs::read_to_string(&path).unwrap() == text, "{}", said(&again));
    let forced = run(folder.path(), &[&arguments[..], &["--force"]].concat(), &[SECRET]).await;
    assert!(forced.status.success() && fs::read_to_string(&path).unwrap() != text, "a fresh cookie secret: {}", said(&forced));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn nothing_is_written_of_answers_that_are_missing_or_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let with = |more: &[&'static str]| [&["init", "--offline", "--app", "other"], &ANSWERS[..], more].concat();
    let google = ["init", "--offline", "--provider", "google", "--address", "https://app.example.com", "--client-id", "shop"];
    let google = |more: &[&'static str]| {
        [&google[..], &["--client-secret-env", SECRET.0, "--app", "other", "--upstream", "http://127.0.0.1:8080"], more].concat()
    };
    let google_at = |address: &'static str| {
        let mut arguments = google(&["--email", "alice@example.com"]);
        let place = arguments.iter().position(|argument| *argument == "https://app.example.com").unwrap();
        arguments[place] = address;
        arguments
    };
    for (arguments, environment, words) in [
        (
            vec!["init"],
            vec![SECRET],
            "these options are missing: --provider, --address, --client-id, --client-secret-env or --client-secret-file, --app, --upstream, \
             --email-domain, --email, --group or --everybody; `vestibule init --help`",
        ),
        (
            vec!["init", "--provider", "entra", "--app", "streamlit", "--everybody"],
            vec![SECRET],
            "are missing: --address, --tenant, --client-id, --client-secret-env or --client-secret-file; ",
        ),
        (
            vec!["init", "--provider", "cognito", "--app", "streamlit", "--everybody", "--address", "a", "--client-id", "a"],
            vec![SECRET],
            "are missing: --issuer, --client-secret-env or --client-secret-file, --domain; ",
        ),
        (with(&["--email", "alice@example.com", "--domain", "a.example"]), vec![SECRET], "--domain is for Amazon Cognito only"),
        (google_at("app.example.com"), vec![SECRET], "--address: `app.example.com` is not a URL"),
        (google_at("http://app.example.com"), vec![SECRET], "is plain http"),
        (with(&[]), vec![SECRET], "are missing: --email-domain, --email, --group or --everybody; "),
        (with(&["--everybody"]), vec![], "the environment variable `TEST_CLIENT_SECRET` is not set"),
        (with(&["--email", "alice"]), vec![SECRET], "is not an e-mail address"),
        (with(&["--email-domain", "example.com", "--everybody"]), vec![SECRET], "cannot be used with"),
        (with(&["--tenant", "acme.example", "--everybody"]), vec![SECRET], "--tenant is for Microsoft Entra only"),
        (
            google(&["--everybody"]),
            vec![SECRET],
            "--everybody: admits every account at accounts.google.com, and anyone can create one; say who may enter with --email-domain, --email or --group",
        ),
        (
            vec![
                "init",
                "--offline",
                "--provider",
                "gitlab",
                "--address",
                "https://app.example.com",
                "--client-id",
                "shop",
                "--client-secret-env",
                SECRET.0,
                "--app",
                "streamlit",
                "--everybody",
            ],
            vec![SECRET],
            "--everybody: admits every account at gitlab.com, and anyone can create one; say who may enter",
        ),
        (google(&["--email-domain", "gmail.com"]), vec![SECRET], "admits every account at accounts.google.com"),
        (google(&["--group", "admins"]), vec![SECRET], "tokens of Google have no groups"),
        (with(&["--everybody", "--config", "env:VESTIBULE_CONFIG"]), vec![SECRET], "which cannot be written to"),
        (google(&["--everybody", "--issuer", "https://a.example"]), vec![SECRET], "--issuer has no effect with Google"),
    ] {
        let output = run(folder.path(), &arguments, &environment).await;
        assert!(!output.status.success() && said(&output).contains(words), "{words}: {}", said(&output));
        let is_told_to_register = said(&output).contains("Redirect URI:");
        assert!(!is_told_to_register || !words.contains("--everybody"), "{words}: the steps would be in vain: {}", said(&output));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{words}: no file and no folder");
    }
}

#[tokio::test]
async fn gitlab_has_a_usual_issuer_and_cognito_a_logout_page() {
    let folder = tempfile::tempdir().unwrap();
    let component: Vec<_> = component_options().into_iter().map(|option| option.into_string().unwrap()).collect();
    let component: Vec<_> = component.iter().map(String::as_str).collect();
    let common = ["init", "--offline", "--app", "other", "--email", "alice@example.com", "--address", "https://app.example.com"];
    let client = ["--client-id", "shop", "--client-secret-env", SECRET.0, "--upstream", "http://127.0.0.1:8080"];
    let cognito = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI";
    for (name, own, line) in [
        ("gitlab", vec![], "server_metadata_url = \"https://gitlab.com/.well-known/openid-configuration\""),
        (
            "cognito",
            vec!["--issuer", cognito, "--domain", "login.acme.example"],
            "logout_url = \"https://login.acme.example/logout?client_id={client_id}&logout_uri={return_to}\"",
        ),
    ] {
        let file = format!("{name}.toml");
        let own = [&["--provider", name, "--config", &file][..], &own].concat();
        let output = run(folder.path(), &[&common[..], &client, &own, &component].concat(), &[SECRET]).await;
        assert!(output.status.success(), "{}", said(&output));
        let text = fs::read_to_string(folder.path().join(&file)).unwrap();
        assert!(text.contains(line), "{line}: {text}");
    }
}

/// The provider cannot be reached: the file is written, and what comes next is told.
#[tokio::test]
async fn what_comes_next_is_told_also_if_the_provider_does_not_answer() {
    let folder = tempfile::tempdir().unwrap();
    let component: Vec<_> = component_options().into_iter().map(|option| option.into_string().unwrap()).collect();
    let component: Vec<_> = component.iter().map(String::as_str).collect();
    let issuer = ["--issuer", "http://127.0.0.1:9/realms/acme"];
    let answers: Vec<_> = ANSWERS.iter().filter(|answer| !answer.contains("issuer") && !answer.contains("realms")).copied().collect();
    let own = ["init", "--app", "other", "--email-domain", "example.com", "--config", "my app.toml"];
    let output = run(folder.path(), &[&own[..], &issuer, &answers, &component].concat(), &[SECRET]).await;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    for words in ["vestibule check --online --config 'my app.toml'", "then: vestibule serve --config 'my app.toml'"] {
        assert!(said(&output).contains(words), "{words}: {}", said(&output));
    }
    assert!(folder.path().join("my app.toml").exists());
}

/// On a terminal, an answer that is refused is asked for again, and the others stay.
#[tokio::test]
async fn an_answer_that_is_refused_is_asked_for_again_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let component: Vec<_> = component_options().into_iter().map(|option| option.into_string().unwrap()).collect();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
    command.args(["init", "--offline", "--provider", "google", "--app", "other", "--everybody"]).args(component);
    let mut terminal = Terminal::of(command.current_dir(folder.path()).env_remove("VESTIBULE_CONFIG"));
    for (question, answer) in [
        ("public address", "http://app.example.com\r"),
        ("is plain http", "\u{15}https://app.example.com\r"),
        ("The client ID", "your-client-id\r"),
        ("is a sample", "\u{15}shop\r"),
        ("The client secret", "q7Rz8fKw2mQLbXeR4tY9uVn3\r"),
        ("that the application listens on", "http://127.0.0.1:8080\r"),
        // Everybody was refused, and is not among the choices.
        ("Who may enter?", "\r"),
        ("The domain", "gmail.com\r"),
        ("admits every account", "\u{15}example.com\r"),
        ("next: vestibule serve", ""),
    ] {
        terminal.wait_for(question).await;
        terminal.write(answer);
    }
    let said = terminal.said();
    assert!(said.contains("choose with the arrow keys") && !said.contains("every user who can log in"), "{said}");
    assert!(!said.contains("q7Rz8fKw2mQLbXeR4tY9uVn3"), "{said}");
    let text = fs::read_to_string(folder.path().join(".streamlit/secrets.toml")).unwrap();
    assert!(text.contains("client_id = \"shop\"") && text.contains("email_domain = \"example.com\""), "{text}");
}

#[tokio::test]
async fn the_schema_that_is_printed_is_that_of_the_documentation() {
    let output = run(Path::new("."), &["schema"], &[]).await;
    let documented = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/vestibule.schema.json")).unwrap();
    assert!(output.status.success() && output.stdout == documented, "docs/vestibule.schema.json is stale");
}

#[tokio::test]
async fn the_configuration_can_be_in_the_environment() {
    const TOML: &str = "[auth]\nredirect_uri_env = \"REDIRECT_URI\"\ncookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\n\
                        client_id = \"shop\"\nclient_secret_file = \"client-secret\"\n\
                        server_metadata_url = \"https://login.example.com/.well-known/openid-configuration\"\n\
                        [[vestibule.rule]]\naccess = \"public\"\npath = \"/public/**\"\n[[vestibule.rule]]\n";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("client-secret"), "q7Rz8fKw2mQLbXeR4tY9uVn3\n").unwrap();
    let uri = ("REDIRECT_URI", "https://app.example.com/oauth2callback");
    let explain = ["explain", "GET", "/public/a"];
    let output = run(folder.path(), &explain, &[("VESTIBULE_CONFIG", TOML), uri]).await;
    assert!(output.status.success(), "{}", said(&output));
    let named = run(folder.path(), &[&explain[..], &["--config", "env:OTHER"]].concat(), &[("OTHER", TOML), uri]).await;
    assert!(named.status.success(), "{}", said(&named));
    // The command line comes before the environment.
    let file = run(folder.path(), &[&explain[..], &["--config", "absent.toml"]].concat(), &[("VESTIBULE_CONFIG", TOML), uri]).await;
    assert!(said(&file).contains("cannot read absent.toml"), "{}", said(&file));
    for command in [vec!["explain", "GET", "/"], vec!["check"], vec!["serve"]] {
        let absent = run(folder.path(), &[&command[..], &["--config", "env:ABSENT_CONFIG"]].concat(), &[]).await;
        assert_eq!(absent.status.code(), Some(1));
        assert!(said(&absent).contains("the environment variable ABSENT_CONFIG is not set"), "{}", said(&absent));
    }
    let lacking = run(folder.path(), &explain, &[("VESTIBULE_CONFIG", TOML)]).await;
    let fault = "env:VESTIBULE_CONFIG:2: error: auth.redirect_uri_env: the environment variable `REDIRECT_URI` is not set";
    assert!(lacking.status.code() == Some(1) && said(&lacking).contains(fault), "{}", said(&lacking));
}
