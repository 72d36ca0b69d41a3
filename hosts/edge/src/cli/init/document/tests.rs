#![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

use clap::ValueEnum as _;
use proptest::prelude::*;
use vestibule::config::{Config, Source, references};
use vestibule::secret::Secret;

use super::*;
use crate::cli::init::answers::Client;
use crate::cli::init::provider::{self, Asks, Kind};
use crate::configuration::public_address::{self, Listening};
use crate::random::cookie_secret;

const CLIENT_SECRET: &str = "q7Rz8fKw2mQLbXeR4tY9uVn3";

fn client(kind: Kind, secret: ClientSecret) -> Client {
    let issuer = match kind.asks() {
        Asks::Nothing(issuer) | Asks::Issuer(issuer) => provider::issuer(issuer).unwrap(),
        Asks::Tenant => provider::tenant("8eaef023-2b34-4da1-9baa-8bc8c9d6a490").unwrap(),
    };
    let project = (kind == Kind::Zitadel).then(|| "312909075211944344".to_owned());
    let domain = "acme.auth.eu-central-1.amazoncognito.com";
    let logout_url = kind.has_logout_domain().then(|| provider::cognito_logout(domain).unwrap());
    Client { kind, issuer, project, logout_url, id: "shop".to_owned(), secret }
}

fn parse(text: &str) -> Config {
    let resolved = references(text).into_iter().map(|reference| (reference, Some(Secret::new(CLIENT_SECRET)))).collect();
    let source = Source { resolved, ..Source::new("secrets.toml", text) };
    Config::parse(&source).unwrap_or_else(|faults| panic!("{faults:?}\n{text}"))
}

/// Whether everybody can have an account there: the core warns of that, and `init` writes nothing.
fn is_open(kind: Kind) -> bool {
    matches!(kind, Kind::Google | Kind::Okta | Kind::Auth0 | Kind::Cognito | Kind::Gitlab)
}

#[test]
fn what_is_written_has_no_warning_whatever_was_chosen() {
    let secrets: [fn() -> ClientSecret; 3] = [
        || ClientSecret::Written(CLIENT_SECRET.into()),
        || ClientSecret::Environment("CLIENT_SECRET".into()),
        || ClientSecret::File("client-secret".into()),
    ];
    let whos: [fn() -> Who; 7] = [
        || Who::EmailDomain(vec!["example.com".into()]),
        || Who::EmailDomain(vec!["example.com".into(), "example.org".into()]),
        || Who::Email(vec!["alice@example.com".into()]),
        || Who::Email(vec!["alice@example.com".into(), "bob@example.org".into()]),
        || Who::Group { claim: Some("/roles/all".into()), names: vec!["admins".into()] },
        || Who::Group { claim: None, names: vec!["admins".into(), "staff".into()] },
        || Who::Everybody,
    ];
    let mut count = 0;
    for kind in Kind::value_variants() {
        for app in App::value_variants() {
            for redirect_uri in ["https://app.example.com/base/oauth2callback", "http://localhost:8501/oauth2callback"] {
                for (secret, who) in secrets.iter().flat_map(|secret| whos.iter().map(move |who| (secret(), who()))) {
                    let is_everybody = matches!(who, Who::Everybody);
                    let lacks_groups = matches!(who, Who::Group { claim: None, .. }) && matches!(kind, Kind::Google | Kind::Auth0);
                    let answers = Answers {
                        client: client(*kind, secret),
                        redirect_uri: redirect_uri.into(),
                        app: *app,
                        upstream: "http://127.0.0.1:8080".into(),
                        who,
                    };
                    let text = document(&answers, &cookie_secret());
                    if lacks_groups {
                        assert!(text.unwrap_err().contains("--groups-claim"), "{answers:?}");
                        continue;
                    }
                    let text = text.unwrap();
                    let config = parse(&text);
                    let warned: Vec<_> = config.warnings.iter().map(|warning| warning.problem.as_str()).collect();
                    if is_everybody && is_open(*kind) {
                        assert!(warned.len() == 1 && warned[0].starts_with("admits every account"), "{warned:?}");
                    } else {
                        assert_eq!(warned, [""; 0], "{answers:?}\n{text}");
                    }
                    assert_eq!(config.providers[0].logout_url.is_some(), *kind == Kind::Cognito, "{text}");
                    assert_eq!((config.providers.len(), config.streamlit.is_some()), (1, *app == App::Streamlit));
                    assert_eq!(config.admission.policy.as_ref().map(|policy| policy.rules().len()), Some(1), "{text}");
                    count += 1;
                }
            }
        }
    }
    assert!(count > 700, "{count}");
}

#[test]
fn the_file_reads_like_the_documentation() {
    let answers = Answers {
        client: client(Kind::Entra, ClientSecret::Environment("CLIENT_SECRET".into())),
        redirect_uri: "https://app.example.com/oauth2callback".into(),
        app: App::Streamlit,
        upstream: "http://127.0.0.1:8601".into(),
        who: Who::EmailDomain(vec!["example.com".into()]),
    };
    assert_eq!(
        document(&answers, "made-at-random").unwrap(),
        r#"# The login in front of the application. It holds secrets: only the user that runs Vestibule reads it.

[auth]
# The provider must know this address.
redirect_uri = "https://app.example.com/oauth2callback"
# It seals the cookies: anyone who knows it can log in as any user.
cookie_secret = "made-at-random"
client_id = "shop"
client_secret_env = "CLIENT_SECRET"
server_metadata_url = "https://login.microsoftonline.com/8eaef023-2b34-4da1-9baa-8bc8c9d6a490/v2.0/.well-known/openid-configuration"

[vestibule]
app = "streamlit"
# The application. It must be reachable through Vestibule only.
upstream = "http://127.0.0.1:8601"

[vestibule.provider.default]
# Tokens do not state whether an address is verified: the tenant's administrators set it.
trust_email = true

# Who may enter. The first rule that fits a request decides; a request that no rule fits is denied.
[[vestibule.rule]]
require = { email_domain = "example.com" }
"#
    );
}

#[test]
fn a_redirect_uri_of_this_machine_is_listened_on() {
    for (redirect_uri, listen) in [
        ("http://localhost:8501/oauth2callback", None),
        ("http://127.0.0.1:8501/oauth2callback", None),
        ("http://localhost:9000/oauth2callback", Some("127.0.0.1:9000")),
        ("http://app.localhost:9000/oauth2callback", Some("127.0.0.1:9000")),
        ("http://localhost/oauth2callback", Some("127.0.0.1:80")),
        ("http://127.0.0.2:8501/oauth2callback", Some("127.0.0.2:8501")),
        ("http://[::1]:8501/oauth2callback", Some("[::1]:8501")),
        // What ends TLS there can be a proxy.
        ("https://localhost:9000/oauth2callback", None),
        ("https://app.example.com/oauth2callback", None),
    ] {
        let answers = Answers {
            client: client(Kind::Keycloak, ClientSecret::Written(CLIENT_SECRET.into())),
            redirect_uri: redirect_uri.into(),
            app: App::Other,
            upstream: "http://127.0.0.1:8080".into(),
            who: Who::Everybody,
        };
        let config = parse(&document(&answers, &cookie_secret()).unwrap());
        assert_eq!(config.listen.as_deref(), listen, "{redirect_uri}");
        let listening = Listening::written(listen.unwrap_or("127.0.0.1:8501"), None).unwrap();
        assert_eq!((public_address::warning(&config, listening), config.warnings.len()), (None, 0), "{redirect_uri}");
    }
}

proptest! {
    /// Nothing that is typed becomes another key, whatever characters it has.
    #[test]
    fn answers_stay_values(id in "\\PC{1,40}", group in "\\PC{1,40}", secret in "\\PC{1,40}", claim in "\\PC{1,40}") {
        let answers = Answers {
            client: Client { id: id.clone(), ..client(Kind::Keycloak, ClientSecret::Written(secret.clone())) },
            redirect_uri: "https://app.example.com/oauth2callback".into(),
            app: App::Other,
            upstream: "http://127.0.0.1:8080".into(),
            who: Who::Group { claim: Some(claim.clone()), names: vec![group.clone()] },
        };
        let text = document(&answers, "made-at-random").unwrap();
        let file: toml_edit::DocumentMut = text.parse().unwrap();
        prop_assert_eq!(file["auth"]["client_id"].as_str(), Some(id.as_str()));
        prop_assert_eq!(file["auth"]["client_secret"].as_str(), Some(secret.as_str()));
        let rules = file["vestibule"]["rule"].as_array_of_tables().unwrap();
        prop_assert_eq!(rules.len(), 1);
        prop_assert_eq!(rules.get(0).unwrap()["require"]["groups"].as_str(), Some(group.as_str()));
        let keys: Vec<_> = file["auth"].as_table().unwrap().iter().map(|(key, _)| key.to_owned()).collect();
        prop_assert_eq!(keys, ["redirect_uri", "cookie_secret", "client_id", "client_secret", "server_metadata_url"]);
        prop_assert_eq!(file.as_table().len(), 2);
    }
}
