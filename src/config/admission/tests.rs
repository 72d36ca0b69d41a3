use super::super::{Config, Fault, Source};

const ENTRA: &str = "https://login.microsoftonline.com/common/v2.0";
const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";
const CONSUMERS: &str = super::ENTRA_CONSUMERS;

fn config(issuer: &str, more: &str) -> String {
    format!(
        "[auth]\nredirect_uri = \"http://localhost:8501/oauth2callback\"\n\
         cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\nclient_id = \"a\"\nclient_secret = \"b\"\n\
         server_metadata_url = \"{issuer}/.well-known/openid-configuration\"\n{more}"
    )
}

fn parse(toml: &str) -> Result<Config, Vec<Fault>> {
    Config::parse(&Source::new("secrets.toml", toml))
}

fn rule(require: &str) -> String {
    format!("\n[[vestibule.rule]]\nrequire = {{ {require} }}\n")
}

/// Whether the configuration is refused for what a tenant writes.
fn is_refused(toml: &str) -> bool {
    match parse(toml) {
        Ok(_) => false,
        Err(faults) => {
            let fatal: Vec<_> = faults.iter().filter(|fault| fault.fatal).collect();
            let is_named = |fault: &&&Fault| fault.key.ends_with("].require") && fault.line != 0 && fault.remedy.contains("tenants = ");
            assert!(!fatal.is_empty() && fatal.iter().all(|fault| is_named(&fault)), "{toml}: {faults:#?}");
            true
        }
    }
}

/// Keys of the warnings about providers that admit unknown users.
fn warned(toml: &str) -> Vec<String> {
    let warnings = parse(toml).unwrap_or_else(|faults| panic!("{toml}: {faults:#?}")).warnings;
    let let_in = warnings.into_iter().filter(|warning| warning.problem.starts_with("admits "));
    let_in
        .map(|warning| {
            for line in ["email_domain = ", "email = ", "email_file = ", "groups = "] {
                assert!(warning.remedy.contains(line), "{warning}");
            }
            warning.key
        })
        .collect()
}

#[test]
fn what_any_tenants_administrator_writes_lets_nobody_in() {
    for endpoint in ["common", "organizations", "consumers"] {
        let issuer = ENTRA.replace("common", endpoint);
        for require in [
            "groups = \"admins\"",
            "roles = \"admin\"",
            "claim = { department = \"it\" }",
            "claim = { \"/extn/level\" = 1 }",
            "claim = { upn = \"root@example.com\" }",
            "claim = { preferred_username = \"root@example.com\" }",
            "claim = { email_verified = true }",
            "claim = { \"/tid2\" = \"x\" }",
            "provider = \"default\", groups = \"admins\"",
            "groups = \"a\", roles = \"b\"",
            "any = [{ groups = \"admins\" }, { email = \"a@example.com\" }]",
            "any = [{ email = \"a@example.com\" }, { all = [{ groups = \"a\" }, { roles = \"b\" }] }]",
            "all = [{ any = [{ groups = \"a\" }, { claim = { tid = \"x\" } }] }]",
        ] {
            assert!(is_refused(&config(&issuer, &rule(require))), "{endpoint} {require}");
            let tenants = format!("\n[vestibule.provider.default]\ntenants = \"{TENANT}\"\n");
            assert!(!is_refused(&config(&issuer, &(tenants + &rule(require)))), "{endpoint} {require}, with tenants");
            assert!(!is_refused(&config("https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0", &rule(require))));
            assert!(!is_refused(&config("https://op.example", &rule(require))), "{require}, elsewhere");
        }
    }
    for require in [
        "provider = \"default\"",
        "email = \"a@example.com\"",
        "email_domain = \"example.com\"",
        "claim = { tid = \"x\" }",
        "claim = { \"/tid\" = \"x\" }",
        "claim = { iss = \"x\" }",
        "claim = { oid = \"x\" }",
        "claim = { sub = \"x\" }",
        "groups = \"admins\", claim = { tid = \"x\" }",
        "groups = \"admins\", email_domain = \"example.com\"",
        "all = [{ groups = \"admins\" }, { any = [{ email = \"a@x.example\" }, { claim = { oid = \"x\" } }] }]",
        "any = [{ groups = \"admins\", claim = { tid = \"x\" } }, { email = \"a@example.com\" }]",
    ] {
        assert!(!is_refused(&config(ENTRA, &rule(require))), "{require}");
    }
    let groups_are_tenants = "\n[vestibule.identity]\ngroups_claim = \"tid\"\n";
    assert!(!is_refused(&config(ENTRA, &(groups_are_tenants.to_owned() + &rule("groups = \"x\"")))));
}

#[test]
fn each_of_several_providers_is_looked_at() {
    let several = |require: &str, more: &str| {
        let microsoft = config(ENTRA, &format!("{more}{}", rule(require))).replacen("client_id", "[auth.microsoft]\nclient_id", 1);
        microsoft.replacen(
            "[auth.microsoft]",
            "[auth.own]\nclient_id = \"c\"\nclient_secret = \"d\"\nserver_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n[auth.microsoft]",
            1,
        )
    };
    for (require, refused) in [
        ("groups = \"admins\"", true),
        ("groups = \"admins\", provider = \"own\"", false),
        ("groups = \"admins\", provider = [\"own\", \"microsoft\"]", true),
        ("any = [{ provider = \"own\", groups = \"a\" }, { email = \"a@example.com\" }]", false),
        ("any = [{ provider = \"own\" }, { groups = \"a\" }]", true),
    ] {
        assert_eq!(is_refused(&several(require, "")), refused, "{require}");
        assert!(!is_refused(&several(require, &format!("[vestibule.provider.microsoft]\ntenants = [\"{TENANT}\"]\n"))), "{require}");
    }
    let fault = parse(&several("groups = \"admins\"", "")).unwrap_err().remove(0);
    assert!(fault.problem.contains("`microsoft`") && fault.remedy.contains("[vestibule.provider.microsoft] tenants"), "{fault}");
    assert_eq!(warned(&several("provider = \"microsoft\"", "")), ["vestibule.rule[1]"]);
    assert!(warned(&several("provider = \"own\"", "")).is_empty());
}

#[test]
fn a_provider_with_which_everybody_can_have_an_account_is_told() {
    for issuer in [
        "https://accounts.google.com",
        "https://ACCOUNTS.google.com",
        "https://accounts.google.com.",
        "https://acme.eu.auth0.com",
        "https://acme.okta.com",
        "https://acme.okta.com/oauth2/default",
        "https://dev-1.oktapreview.com",
        "https://gitlab.com",
        "https://appleid.apple.com",
        "https://www.facebook.com",
        "https://www.linkedin.com/oauth",
        "https://api.login.yahoo.com",
        "https://cognito-idp.eu-west-1.amazonaws.com/eu-west-1_x",
        "https://login.microsoftonline.com/common/v2.0",
        "https://login.microsoftonline.com/organizations/v2.0",
        "https://login.microsoftonline.com/consumers/v2.0",
        "https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0",
        "https://login.microsoftonline.com/live.com/v2.0",
    ] {
        let key = "auth.server_metadata_url";
        assert_eq!(warned(&config(issuer, "")), [key], "{issuer}");
        assert_eq!(warned(&config(issuer, "\n[vestibule]\napp = \"streamlit\"\n")), [key], "{issuer}");
        assert!(warned(&config(issuer, "\n[vestibule]\nlogin = \"optional\"\n")).is_empty(), "{issuer}: nobody is kept out at all");
        for (require, told) in [
            ("provider = \"default\"", true),
            ("claim = { iss = \"x\" }", !issuer.contains("microsoft") || issuer.contains(CONSUMERS) || issuer.contains("live.com")),
            ("email_domain = \"gmail.com\"", true),
            ("email_domain = [\"example.com\", \"mac.com\"]", true),
            ("email_domain = \"T-Online.de\"", true),
            ("email_domain = \"outlook.de\"", true),
            ("email_domain = \"Yahoo.com.br\"", true),
            ("email_domain = \"outlook-gmbh.de\"", false),
            ("any = [{ email = \"a@example.com\" }, { email_domain = \"Outlook.com\" }]", true),
            ("email_domain = \"example.com\"", false),
            ("email = \"a@gmail.com\"", false),
            ("claim = { sub = \"1\" }", false),
            ("provider = \"default\", email = \"a@example.com\"", false),
        ] {
            let expected = if told { vec!["vestibule.rule[1]"] } else { vec![] };
            assert_eq!(warned(&config(issuer, &rule(require))), expected, "{issuer} {require}");
        }
        let anybody =
            "\n[[vestibule.rule]]\npath = \"/a\"\naccess = \"public\"\n[[vestibule.rule]]\nhost = \"localhost\"\n[[vestibule.rule]]\n";
        assert_eq!(warned(&config(issuer, anybody)), ["vestibule.rule[2]"], "{issuer}: once");
        assert!(warned(&config(issuer, "\n[[vestibule.rule]]\npath = \"/a\"\naccess = \"public\"\n")).is_empty(), "{issuer}");
    }
    for issuer in [
        "https://op.example",
        "https://auth0.com",
        "https://xauth0.com",
        "https://auth0.com.op.example",
        "https://gitlab.example.com",
        "https://gitlab.com.example",
        "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47/v2.0",
        "https://login.microsoftonline.com/example.com/v2.0",
    ] {
        assert!(warned(&config(issuer, "")).is_empty(), "{issuer}");
    }
}

#[test]
fn an_organisation_that_is_named_is_somebodys_choice() {
    let google = "https://accounts.google.com";
    assert!(warned(&config(google, "client_kwargs = { hd = \"example.com\" }\n")).is_empty());
    assert!(warned(&config(google, "client_kwargs = { hd = \"example.com\" }\n[[vestibule.rule]]\n")).is_empty());
    assert_eq!(warned(&config(google, "client_kwargs = { hd = \"*\" }\n")).len(), 1);
    let tenants = |tenant: &str| format!("[vestibule.provider.default]\ntenants = [\"{TENANT}\", \"{tenant}\"]\n");
    assert!(warned(&config(ENTRA, &tenants(TENANT))).is_empty());
    assert_eq!(warned(&config(ENTRA, &tenants(&CONSUMERS.to_uppercase()))).len(), 1, "the tenant of everybody");
    let remedy = |issuer: &str| parse(&config(issuer, "")).unwrap().warnings.remove(0).remedy;
    assert!(remedy(google).contains("hd = ") && !remedy("https://gitlab.com").contains("hd = "));
    for (require, told) in [(format!("claim = {{ tid = \"{CONSUMERS}\" }}"), true), (format!("claim = {{ tid = \"{TENANT}\" }}"), false)] {
        assert_eq!(warned(&config(ENTRA, &rule(&require))).len(), usize::from(told), "{require}");
        let more = rule(&format!("{require}, email_domain = \"example.com\""));
        assert!(warned(&config(ENTRA, &more)).is_empty(), "{require}");
    }
    let issuer = format!("claim = {{ iss = \"https://login.microsoftonline.com/{}/v2.0\" }}", CONSUMERS.to_uppercase());
    assert_eq!(warned(&config(ENTRA, &rule(&issuer))).len(), 1, "the tenant of everybody, by its issuer");
    assert!(remedy(ENTRA).contains("[vestibule.provider.default] tenants = "));
}
