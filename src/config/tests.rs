use super::*;

const SECRET: &str = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5";

/// The four examples of the mission, as they stand there.
const EXAMPLES: [&str; 4] = [
    r#"[auth]
redirect_uri = "http://localhost:8501/oauth2callback"
cookie_secret = "xxx"
client_id = "xxx"
client_secret = "xxx"
server_metadata_url = "https://accounts.google.com/.well-known/openid-configuration" # fmt: skip
"#,
    r#"[auth]
redirect_uri = "http://localhost:8501/oauth2callback"
cookie_secret = "xxx"
[auth.microsoft]
client_id = "xxx"
client_secret = "xxx"
server_metadata_url = "https://login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration"
"#,
    r#"[auth]
redirect_uri = "http://localhost:8501/oauth2callback"
cookie_secret = "xxx"
[auth.microsoft]
client_id = "xxx"
client_secret = "xxx"
server_metadata_url = "https://login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration"
[auth.okta]
client_id = "xxx"
client_secret = "xxx"
server_metadata_url = "https://{subdomain}.okta.com/.well-known/openid-configuration" # fmt: skip
"#,
    r#"[auth]
redirect_uri = "http://localhost:8501/oauth2callback"
cookie_secret = "xxx"
[auth.auth0]
client_id = "xxx"
client_secret = "xxx"
server_metadata_url = "https://{account}.{region}.auth0.com/.well-known/openid-configuration" # fmt: skip
client_kwargs = { "prompt" = "login" }
"#,
];

fn parse(toml: &str) -> Result<Config, Vec<Fault>> {
    Config::parse(&Source::new("secrets.toml", toml))
}

/// Line and key of every fault, in order.
fn faults(toml: &str) -> Vec<(u32, String)> {
    let faults = parse(toml).expect_err("it is faulty");
    faults.into_iter().map(|fault| (fault.line, fault.key)).collect()
}

/// The first example with its values filled in and `more` behind it.
fn with(more: &str) -> String {
    format!("{}{more}", filled(EXAMPLES[0]))
}

/// Keys of the warnings but for the one of the first example: everybody can have an account at Google.
fn warned(toml: &str) -> Vec<String> {
    let keys = parse(toml).unwrap().warnings.into_iter().map(|warning| warning.key);
    keys.filter(|key| key != "auth.server_metadata_url").collect()
}

fn filled(example: &str) -> String {
    let filled = example.replace("cookie_secret = \"xxx\"", &format!("cookie_secret = \"{SECRET}\""));
    let filled = filled.replace("\"xxx\"", "\"value\"");
    filled.replace("{tenant}", "common").replace("{subdomain}", "acme").replace("{account}.{region}", "acme.eu")
}

#[test]
fn the_examples_of_the_mission_need_nothing_but_their_values() {
    let names = |toml: &str| parse(toml).unwrap().providers.iter().map(|provider| provider.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&filled(EXAMPLES[0])), ["default"]);
    assert_eq!(names(&filled(EXAMPLES[1])), ["microsoft"]);
    assert_eq!(names(&filled(EXAMPLES[2])), ["microsoft", "okta"]);
    let auth0 = parse(&filled(EXAMPLES[3])).unwrap();
    assert_eq!(auth0.providers[0].authorize_params, [("prompt".to_owned(), "login".to_owned())]);
    assert_eq!(auth0.warnings.iter().map(|warning| warning.key.as_str()).collect::<Vec<_>>(), ["auth.auth0.server_metadata_url"]);
}

#[test]
fn samples_and_placeholders_are_refused_all_in_one_go() {
    let key = |line: u32, key: &str| (line, key.to_owned());
    assert_eq!(faults(EXAMPLES[0]), [key(3, "auth.cookie_secret"), key(4, "auth.client_id"), key(5, "auth.client_secret")]);
    assert_eq!(
        faults(EXAMPLES[2]),
        [
            key(3, "auth.cookie_secret"),
            key(5, "auth.microsoft.client_id"),
            key(6, "auth.microsoft.client_secret"),
            key(7, "auth.microsoft.server_metadata_url"),
            key(9, "auth.okta.client_id"),
            key(10, "auth.okta.client_secret"),
            key(11, "auth.okta.server_metadata_url"),
        ]
    );
    let secret = &parse(EXAMPLES[0]).unwrap_err()[0];
    assert!(secret.remedy.contains("openssl rand -hex 32"), "{secret}");
    assert!(secret.to_string().starts_with("secrets.toml:3: error: auth.cookie_secret: "), "{secret}");
}

#[test]
fn weak_secrets_are_refused() {
    for weak in [
        "",
        "xxx",
        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "changeme",
        "0123456789abcdef0123456789abcde",
        "abababababababababababababababababab",
        "my-super-secret-cookie-secret-key-2024",
        "0123456789abcdef0123456789abcdef",
    ] {
        let toml = filled(EXAMPLES[0]).replace(SECRET, weak);
        assert_eq!(faults(&toml), [(3, "auth.cookie_secret".to_owned())], "{weak}");
    }
    let said = |toml: &str| parse(toml).unwrap_err().remove(0);
    assert_eq!(said(&filled(EXAMPLES[0]).replace(SECRET, " ")).problem, "is empty");
    assert_eq!(said(&filled(EXAMPLES[0]).replace("\"value\"", "\"\"")).problem, "is empty");
    let shared = with("").replace("client_secret = \"value\"", &format!("client_secret = \"{SECRET}\""));
    assert_eq!((said(&shared).line, said(&shared).key.as_str()), (3, "auth.cookie_secret"));
    assert!(said(&shared).problem.contains("a client secret") && !said(&shared).to_string().contains(SECRET));
    let shared = with("").replace("client_id = \"value\"", &format!("client_id = \"{SECRET}\""));
    assert_eq!((said(&shared).line, said(&shared).key.as_str()), (3, "auth.cookie_secret"));
    let other = "q7Rz8fKw2mQLbXeR4tY9uVn3JcH6aPd5";
    let before = with(&format!("[vestibule.session]\nprevious_cookie_secrets = [\"{other}\"]\n"))
        .replace("client_secret = \"value\"", &format!("client_secret = \"{other}\""));
    assert_eq!(said(&before).key, "vestibule.session.previous_cookie_secrets");
    // Brackets may stand at both ends of what was made at random.
    for random in ["<q7Rz:8fKw2mQ-Lb!XeR4tY9uVn3JcH6>", "[q7Rz:8fKw2mQ-Lb!XeR4tY9uVn3JcH6]"] {
        assert!(parse(&filled(EXAMPLES[0]).replace(SECRET, random)).is_ok(), "{random}");
    }
    for weak in ["short", "my-super-secret-cookie-secret-key-2024"] {
        let previous = with(&format!("[vestibule.session]\nprevious_cookie_secrets = [\"{weak}\"]\n"));
        assert_eq!(faults(&previous), [(8, "vestibule.session.previous_cookie_secrets".to_owned())], "{weak}");
        let said = &parse(&previous).unwrap_err()[0];
        assert!(said.remedy.contains("remove it") && !said.to_string().contains(weak), "{said}");
    }
}

#[test]
fn placeholders_are_no_clients() {
    for sample in [
        "xxxx",
        "********",
        "<client id>",
        "[secret]",
        "your-client-id",
        "YOUR CLIENT SECRET",
        "your-client-id.apps.googleusercontent.com",
        "GOCSPX-xxxxxxxx",
        "replace-me",
        "Insert your client secret here",
        "change_me",
        "TODO",
        "put the client id here",
        "client-secret",
        "CLIENT_ID",
        "YOUR-TENANT",
        "EXAMPLE.COM",
    ] {
        for key in ["client_id", "client_secret"] {
            let toml = filled(EXAMPLES[0]).replace(&format!("{key} = \"value\""), &format!("{key} = \"{sample}\""));
            let keys: Vec<_> = faults(&toml).into_iter().map(|(_, key)| key).collect();
            assert_eq!(keys, [format!("auth.{key}")], "{sample}");
        }
    }
    for real in ["a", "my-app", "example-app", "streamlit", "here-comes-the-app", "0oa1b2c3", "vestibule-demo", "GOCSPX-a1B2c3D4-e5F6_g7H8"]
    {
        assert!(parse(&filled(EXAMPLES[0]).replace("\"value\"", &format!("\"{real}\""))).is_ok(), "{real}");
    }
}

#[test]
fn placeholders_are_no_part_of_an_address() {
    let url = |host: &str, path: &str| format!("https://{host}{path}/.well-known/openid-configuration");
    let told = |url: &str| {
        let line = with("").lines().find(|line| line.starts_with("server_metadata_url")).unwrap().to_owned();
        let toml = with("").replace(&line, &format!("server_metadata_url = \"{url}\""));
        parse(&toml).map_or_else(|faults| faults[0].to_string(), |_| String::new())
    };
    for (host, path, placeholder) in [
        ("YOUR-TENANT.auth0.com", "", "YOUR-TENANT"),
        ("your-tenant.auth0.com", "", "your-tenant"),
        ("YOUR_DOMAIN", "", "YOUR_DOMAIN"),
        ("login.microsoftonline.com", "/YOUR-TENANT-ID/v2.0", "YOUR-TENANT-ID"),
        ("login.example.com", "/realms/your_realm", "your_realm"),
    ] {
        let told = told(&url(host, path));
        assert!(told.contains(&format!("auth.server_metadata_url: still holds the placeholder `{placeholder}`")), "{told}");
    }
    for (host, path) in [("login.your-surprise.com", ""), ("login.example.com", "/realms/here"), ("yours.okta.com", "/oauth2/default")] {
        assert_eq!(told(&url(host, path)), "", "{host}{path}");
    }
}

#[test]
fn no_fault_shows_a_secret() {
    let toml = filled(EXAMPLES[0]).replace(SECRET, "tooshort-s3cr3t").replace("\"value\"", "[\"value-s3cr3t\"]");
    for fault in parse(&toml).unwrap_err() {
        assert!(!format!("{fault} {fault:?}").contains("s3cr3t"), "{fault}");
    }
    let config = parse(&filled(EXAMPLES[0]).replace("client_secret = \"value\"", "client_secret = \"the-s3cr3t\"")).unwrap();
    assert!(!format!("{config:?}").contains("s3cr3t") && !format!("{config:?}").contains(SECRET));
}

#[test]
fn what_is_missing_is_said_in_one_message() {
    assert_eq!(faults(""), [(0, "auth".to_owned())]);
    let missing = parse("[auth]\n[auth.google]\nclient_id = \"a\"\n").unwrap_err();
    let said: Vec<_> = missing.iter().map(|fault| (fault.line, fault.key.as_str(), fault.problem.as_str())).collect();
    assert_eq!(
        said,
        [
            (1, "auth.redirect_uri", "is missing"),
            (1, "auth.cookie_secret", "is missing"),
            (2, "auth.google.client_secret", "missing: client_secret, server_metadata_url"),
        ]
    );
}

#[test]
fn redirect_uris_are_judged() {
    for (uri, good) in [
        ("http://localhost:8501/oauth2callback", true),
        ("http://127.0.0.1:8501/oauth2callback", true),
        ("http://[::1]:8501/oauth2callback", true),
        ("https://app.example.com/base/oauth2callback", true),
        ("http://app.example.com/oauth2callback", false),
        ("https://app.example.com/callback", false),
        ("https://app.example.com/oauth2callback?x=1", false),
        ("https://app.example.com/oauth2callback/", false),
        ("https://user@app.example.com/oauth2callback", false),
        ("ftp://app.example.com/oauth2callback", false),
        ("oauth2callback", false),
        ("http://localhost:{port}/oauth2callback", false),
    ] {
        let toml = filled(EXAMPLES[0]).replace("http://localhost:8501/oauth2callback", uri);
        match parse(&toml) {
            Ok(config) => assert!(good && config.public.redirect_uri().as_str() == uri, "{uri}"),
            Err(faults) => {
                assert!(!good && faults.iter().all(|fault| fault.key == "auth.redirect_uri" && fault.line == 2), "{uri}: {faults:?}")
            }
        }
    }
    let toml = filled(EXAMPLES[0]).replace(":8501/", ":{port}/");
    let source = Source { port: Some(9000), ..Source::new("secrets.toml", &toml) };
    assert_eq!(Config::parse(&source).unwrap().public.redirect_uri().as_str(), "http://localhost:9000/oauth2callback");
}

#[test]
fn a_configuration_that_is_said_to_be_checked_is_refused_for_the_same_faults() {
    let weak =
        Source { was_checked: true, ..Source::new("f", &with("").replace(SECRET, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")) };
    let faults = Config::parse(&weak).unwrap_err();
    assert!(faults.iter().any(|fault| fault.fatal && fault.key == "auth.cookie_secret"), "{faults:?}");
}

#[test]
fn unknown_keys_of_ours_are_errors_and_of_streamlits_warnings() {
    let unknown = parse(&with("[vestibule]\nloginn = \"required\"\n")).unwrap_err();
    assert_eq!((unknown[0].line, unknown[0].key.as_str(), unknown[0].remedy.as_str()), (8, "vestibule.loginn", "did you mean `login`?"));
    assert_eq!(warned(&with("cooky = 1\n\n[connections.db]\nurl = \"x\"\n")), ["auth.cooky"]);
    assert_eq!(faults(&with("[vestibule.provider.nobody]\nuserinfo = true\n")), [(7, "vestibule.provider.nobody".to_owned())]);
}

/// The first fault or warning about a key: its line and remedy.
fn remedy(toml: &str, key: &str) -> (u32, String) {
    let told = parse(toml).map_or_else(|faults| faults, |config| config.warnings);
    let fault = told.iter().find(|fault| fault.key == key).unwrap_or_else(|| panic!("{key}: {told:#?}"));
    (fault.line, fault.remedy.clone())
}

#[test]
fn keys_that_stand_in_the_wrong_table_are_told_where_they_belong() {
    assert_eq!(remedy(&with("login = \"optional\"\n"), "auth.login"), (7, "move it to [vestibule]".into()));
    assert_eq!(remedy(&with("trust_email = true\n"), "auth.trust_email"), (7, "move it to [vestibule.provider.default]".into()));
    let named = with(
        "[auth.okta]\nclient_id = \"a\"\nclient_secret = \"b\"\nserver_metadata_url = \"https://o.example/.well-known/openid-configuration\"\ntenants = \"x\"\n",
    );
    assert_eq!(remedy(&named, "auth.okta.tenants"), (11, "move it to [vestibule.provider.okta]".into()));
    assert_eq!(remedy(&with("[auth.session]\nmax_age = \"8h\"\n"), "auth.session"), (7, "write [vestibule.session]".into()));
    assert_eq!(remedy(&with("cooky = 1\n"), "auth.cooky").1, "remove it, or check its spelling");
    // In the section of a provider, of a table of [vestibule] and with a variable.
    let okta = with(
        "[auth.okta]\nclient_id = \"a\"\nclient_secret = \"b\"\nserver_metadata_url = \"https://o.example/.well-known/openid-configuration\"\n",
    );
    for (line, key, place) in [
        ("login = \"optional\"", "login", "move it to [vestibule]"),
        ("upstream_env = \"U\"", "upstream_env", "move it to [vestibule]"),
        ("max_age = \"8h\"", "max_age", "move it to [vestibule.session]"),
        ("idle_timeout = \"8h\"", "idle_timeout", "move it to [vestibule.session]"),
        ("logins_per_minute = 3", "logins_per_minute", "move it to [vestibule.limits]"),
        ("expose_tokens = \"id\"", "expose_tokens", "move it to [auth]"),
        ("cookie_secret = \"x\"", "cookie_secret", "move it to [auth]"),
        ("[auth.okta.session]\nmax_age = \"8h\"", "session", "write [vestibule.session]"),
        ("pages = { name = \"Sales\" }", "pages", "write [vestibule.pages]"),
        ("rule = \"x\"", "rule", "write [[vestibule.rule]]"),
    ] {
        assert_eq!(remedy(&format!("{okta}{line}\n"), &format!("auth.okta.{key}")).1, place, "{line}");
    }
    for line in ["max_age = \"8h\"", "idle_timeout_file = \"/x\""] {
        let key = line.split(' ').next().unwrap();
        assert_eq!(remedy(&with(&format!("{line}\n")), &format!("auth.{key}")).1, "move it to [vestibule.session]");
    }
    // Rules that are not read do not pass for rules.
    for rules in
        ["[[auth.rule]]\npath = \"/admin/**\"\nrequire = { groups = \"a\" }\n", "rules = [{ path = \"/x\", access = \"public\" }]\n"]
    {
        let faults = parse(&with(rules)).unwrap_err();
        assert!(faults.iter().any(|fault| fault.fatal && fault.remedy == "write [[vestibule.rule]]"), "{faults:?}");
        let faults = parse(&format!("{okta}{}", rules.replace("auth.rule", "auth.okta.rule"))).unwrap_err();
        assert!(faults.iter().any(|fault| fault.fatal && fault.remedy == "write [[vestibule.rule]]"), "{faults:?}");
    }
}

#[test]
fn patterns_of_every_kind_are_told_in_rules() {
    let told = |values: &str| {
        let toml = format!("[[vestibule.rule]]\nrequire = {{ groups = {values} }}\n[[vestibule.rule]]\naccess = \"deny\"\n");
        let told = parse(&with(&toml)).unwrap().warnings;
        told.into_iter().filter(|fault| fault.problem.contains("is not a wildcard here")).map(|fault| (fault.key, fault.problem)).collect()
    };
    let all: Vec<(String, String)> = told("[\"a?\", \"[ab]\", \"{a,b}\", \"dev-[0-9]\", \"x[!a]\", \"team-{one,two}-x\", \"[A-Z]x\"]");
    assert_eq!(all.len(), 7, "{all:#?}");
    for ((key, problem), mark) in all.iter().zip(["?", "[]", "{}", "[]", "[]", "{}", "[]"]) {
        assert!(key.starts_with("vestibule.rule[1].require.groups") && problem.contains(&format!("`{mark}` is not")), "{key} {problem}");
    }
    assert_eq!(told("\"a?\"").len(), 1);
    assert_eq!(told("[\"[HR] Managers\", \"[]\", \"{}\", \"{7F3C}\", \"a]b[\", \"CN=A,OU=B\", \"(a|b)\"]"), []);
}

#[test]
fn a_table_of_ours_below_auth_is_told_where_it_belongs() {
    for (table, place) in [("vestibule", "write [vestibule]"), ("session", "write [vestibule.session]")] {
        let faults = parse(&with(&format!("[auth.{table}]\nlogin = \"optional\"\n"))).unwrap_err();
        let key = format!("auth.{table}");
        assert!(faults.iter().any(|fault| fault.fatal && fault.key == key && fault.remedy == place), "{faults:#?}");
    }
    // A provider may have that name.
    let provider = "[auth.vestibule]\nclient_id = \"a\"\nclient_secret = \"value\"\nserver_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n";
    parse(&with(provider)).unwrap();
}

#[test]
fn a_pattern_where_none_is_read_is_told() {
    const OURS: &str = "[vestibule]\n[vestibule.provider.default]\n";
    for (toml, key) in [
        (format!("{OURS}audiences = [\"one\", \"api-*\"]\n"), "vestibule.provider.default.audiences"),
        (format!("{OURS}audiences = \"*\"\n"), "vestibule.provider.default.audiences"),
        (
            "[[vestibule.rule]]\nrequire = { groups = [\"dev-*\"] }\n[[vestibule.rule]]\naccess = \"deny\"\n".to_owned(),
            "vestibule.rule[1].require.groups",
        ),
        (
            "[[vestibule.rule]]\nrequire = { claim = { department = \"R*\" } }\n[[vestibule.rule]]\naccess = \"deny\"\n".to_owned(),
            "vestibule.rule[1].require.claim.department",
        ),
    ] {
        let told = parse(&with(&toml)).map_or_else(|faults| faults, |config| config.warnings);
        let of_key: Vec<_> = told.iter().filter(|fault| fault.key == key || fault.key.starts_with(&format!("{key}["))).collect();
        assert_eq!(of_key.len(), 1, "{toml}: {told:#?}");
        assert!(of_key[0].problem.contains("`*` is not a wildcard"), "{toml}: {told:#?}");
    }
    for toml in [
        "[[vestibule.rule]]\npath = [\"/a/**\", \"/b/*\"]\naccess = \"public\"\n[[vestibule.rule]]\n",
        "[vestibule.provider.default]\ntitle = \"Log in *now*\"\n",
        "[vestibule.pages]\nname = \"** Sales **\"\n",
        "client_kwargs = { hd = \"*\" }\n",
    ] {
        let told = parse(&with(toml)).unwrap().warnings;
        assert!(!told.iter().any(|fault| fault.problem.contains("wildcard")), "{toml}: {told:#?}");
    }
}

#[test]
fn what_looks_like_a_variable_is_told() {
    for (value, is_told) in [
        ("${app_name}", true),
        ("${APP_NAME:-Sales}", true),
        ("${APP_NAME}", true),
        ("$APP_NAME", true),
        ("a ${X} b", true),
        ("$5", false),
        ("${}", false),
        ("a$B", false),
        ("${a b}", false),
    ] {
        let told = warned(&with(&format!("[vestibule.provider.default]\ntitle = \"{value}\"\n")));
        assert_eq!(told, if is_told { vec!["vestibule.provider.default.title"] } else { vec![] }, "{value}");
    }
    for (toml, key) in [
        ("[vestibule.provider.default]\naudiences = [\"a\", \"${AUDIENCE}\"]\n", "vestibule.provider.default.audiences"),
        ("[[vestibule.rule]]\npath = [\"/a\", \"/${DEPARTMENT}/**\"]\n", "vestibule.rule[1].path"),
        ("[[vestibule.rule]]\nrequire = { groups = [\"${GROUP}\"] }\n", "vestibule.rule[1].require.groups"),
        ("client_kwargs = { acr_values = \"${ACR}\" }\n", "auth.client_kwargs.acr_values"),
    ] {
        assert!(warned(&with(toml)).contains(&key.to_owned()), "{toml}: {:?}", warned(&with(toml)));
    }
    let (line, remedy) = remedy(&with("").replace("client_id = \"", "client_id = \"${CLIENT}"), "auth.client_id");
    assert!(line > 0 && remedy.contains("client_id_env"), "{line} {remedy}");
}

#[test]
fn a_key_that_comes_twice_is_named() {
    assert_eq!(faults(&with("client_id = \"b\"\n")), [(7, "auth.client_id".to_owned())]);
    assert_eq!(faults("[auth]\n[auth]\n")[0].0, 2);
}

#[test]
fn a_name_may_be_listened_on() {
    for (listen, is_good) in [
        ("localhost:8501", true),
        ("app.internal:80", true),
        ("127.0.0.1:8501", true),
        ("[::1]:8501", true),
        ("localhost", false),
        ("8501", false),
        (":8501", false),
        ("localhost:", false),
        ("localhost:99999", false),
        ("1.2.3:80", false),
        ("a b:80", false),
        ("http://localhost:80", false),
    ] {
        assert_eq!(parse(&with(&format!("[vestibule]\nlisten = \"{listen}\"\n"))).is_ok(), is_good, "{listen}");
    }
}

#[test]
fn every_setting_is_checked() {
    for (more, key) in [
        ("[vestibule]\nlogin = \"maybe\"\n", "vestibule.login"),
        ("[vestibule]\nlogin = true\n", "vestibule.login"),
        ("[vestibule]\nupstream = \"127.0.0.1:8080\"\n", "vestibule.upstream"),
        ("[vestibule]\nupstream = \"http://a/b\"\n", "vestibule.upstream"),
        ("[vestibule]\nlisten = \"8501\"\n", "vestibule.listen"),
        ("[vestibule]\ninternal_hosts = \"https://login.corp.example\"\n", "vestibule.internal_hosts"),
        ("[vestibule]\ninternal_hosts = [\"login.corp.example\", \"*.corp.example\"]\n", "vestibule.internal_hosts"),
        ("[vestibule]\ninternal_hosts = true\n", "vestibule.internal_hosts"),
        ("[vestibule.limits]\nlogins_per_minute = -1\n", "vestibule.limits.logins_per_minute"),
        ("[vestibule.limits]\nlogins_per_minute = 1.5\n", "vestibule.limits.logins_per_minute"),
        ("[vestibule.limits]\nbad_callbacks_per_minute = 60001\n", "vestibule.limits.bad_callbacks_per_minute"),
        ("[vestibule.limits]\nbad_callbacks_per_minute = \"10\"\n", "vestibule.limits.bad_callbacks_per_minute"),
        ("[vestibule.limits]\ncallbacks = 10\n", "vestibule.limits.callbacks"),
        ("[vestibule]\nafter_logout = \"//evil.example\"\n", "vestibule.after_logout"),
        ("[vestibule.session]\nmax_age = \"0s\"\n", "vestibule.session.max_age"),
        ("[vestibule.session]\nmax_age = \"10y\"\n", "vestibule.session.max_age"),
        ("[vestibule.session]\nidle_timeout = 5\n", "vestibule.session.idle_timeout"),
        ("[vestibule.identity]\nheaders = { a = \"Host\" }\n", "vestibule.identity.headers.a"),
        ("[vestibule.identity]\nheaders = { a = \"X A\" }\n", "vestibule.identity.headers.a"),
        ("[vestibule.identity]\nheaders = { a = \"X-A\", b = \"x-a\" }\n", "vestibule.identity.headers.b"),
        ("[vestibule.identity]\nheaders = { a = [\"X\"] }\n", "vestibule.identity.headers.a"),
        ("[vestibule.identity]\nheaders = { a = \"X-Original-URL\" }\n", "vestibule.identity.headers.a"),
        ("[vestibule.identity]\nheaders = { a = \"Proxy\" }\n", "vestibule.identity.headers.a"),
        ("[[rule]]\npath = \"/admin/**\"\naccess = \"deny\"\n", "rule"),
        ("[[rules]]\nrequire = { groups = \"admins\" }\n", "rules"),
        ("[[vestibule-rule]]\nhost = \"a\"\naccess = \"deny\"\n", "vestibule-rule"),
        ("[vestibule.identity]\nheaders = { \"\" = \"X-A\" }\n", "vestibule.identity.headers."),
        ("[vestibule.identity]\nheaders = { \"/a~2\" = \"X-A\" }\n", "vestibule.identity.headers./a~2"),
        ("[vestibule.identity]\nheaders = { \"/\" = \"X-A\" }\n", "vestibule.identity.headers./"),
        ("[vestibule.identity]\ngroups_claim = \"\"\n", "vestibule.identity.groups_claim"),
        ("[vestibule.identity]\ngroups_claim = \"/a~\"\n", "vestibule.identity.groups_claim"),
        ("[vestibule.identity]\ngroups_shape = \"object\"\n", "vestibule.identity.groups_shape"),
        ("[vestibule.identity]\ngroups_shape = true\n", "vestibule.identity.groups_shape"),
        ("[vestibule.identity]\ngroups_claim = \"sub\"\ngroups_shape = \"keys\"\n", "vestibule.identity.groups_shape"),
        (
            "[vestibule.identity]\ngroups_claim = \"teams\"\ngroups_shape = \"commas\"\nheaders = { teams = \"x-forwarded-groups\" }\n",
            "vestibule.identity.headers.teams",
        ),
        (
            "[vestibule.identity]\ngroups_claim = \"groups\"\ngroups_shape = \"commas\"\nheaders = { \"/groups\" = \"X-Forwarded-Groups\" }\n",
            "vestibule.identity.headers./groups",
        ),
        (
            "[vestibule.identity]\ngroups_claim = \"/a~1b\"\ngroups_shape = \"keys\"\nheaders = { \"a/b\" = \"X-Forwarded-Groups\" }\n",
            "vestibule.identity.headers.a/b",
        ),
        ("[vestibule.identity]\npass = \"X-Forwarded-*\"\n", "vestibule.identity.pass"),
        ("[vestibule.identity]\npass = \"X-Remote-User: a\"\n", "vestibule.identity.pass"),
        ("[vestibule.identity]\npass = \"\"\n", "vestibule.identity.pass"),
        ("[vestibule.identity]\npass = 1\n", "vestibule.identity.pass"),
        ("[vestibule.identity]\npass = \"X-Other\"\n", "vestibule.identity.pass"),
        ("[vestibule.identity]\npass = \"X-Real-IP\"\n", "vestibule.identity.pass"),
        ("[vestibule.identity]\npass = [\"Authorization\"]\n", "vestibule.identity.pass"),
        ("[vestibule.identity]\npass = [\"X-Remote-User\", \"x_forwarded_user\"]\n", "vestibule.identity.pass"),
        ("[vestibule.identity]\npass = \"Remote-User\"\nheaders = { a = \"Remote-User\" }\n", "vestibule.identity.pass"),
        ("[vestibule.provider.default]\nissuer = \"op\"\n", "vestibule.provider.default.issuer"),
        ("expose_tokens = [\"id\", \"refresh\"]\n", "auth.expose_tokens"),
        ("client_kwargs = \"x\"\n", "auth.client_kwargs"),
        ("client_kwargs = { state = \"x\" }\n", "auth.client_kwargs.state"),
        ("client_kwargs = { nonce = \"x\" }\n", "auth.client_kwargs.nonce"),
        ("client_kwargs = { scope = \"email\" }\n", "auth.client_kwargs.scope"),
        ("client_kwargs = { response_type = \"token\" }\n", "auth.client_kwargs.response_type"),
        ("client_kwargs = { code_challenge_method = \"plain\" }\n", "auth.client_kwargs.code_challenge_method"),
        ("client_kwargs = { token_endpoint_auth_method = \"private_key_jwt\" }\n", "auth.client_kwargs.token_endpoint_auth_method"),
        ("client_kwargs = { verify = false }\n", "auth.client_kwargs.verify"),
        ("client_kwargs = { acr_values = \"\" }\n", "auth.client_kwargs.acr_values"),
        ("[vestibule.identity]\nheaders = { a = \"Set-Cookie\" }\n", "vestibule.identity.headers.a"),
        ("[vestibule.identity]\nheaders = { a = \"Range\" }\n", "vestibule.identity.headers.a"),
        ("[vestibule.identity]\nheaders = { a = \"X-Envoy-Auth-Headers-To-Remove\" }\n", "vestibule.identity.headers.a"),
        ("client_kwargs = { hd = \"\" }\n", "auth.client_kwargs.hd"),
        ("client_kwargs = { hd = true }\n", "auth.client_kwargs.hd"),
        ("client_kwargs = { hd = \"Gmail.com\" }\n", "auth.client_kwargs.hd"),
        ("authorize_params = { hd = \"@example.com\" }\n", "auth.authorize_params.hd"),
        ("authorize_params = { redirect_uri = \"x\" }\n", "auth.authorize_params.redirect_uri"),
    ] {
        let keys: Vec<_> = faults(&with(more)).into_iter().map(|(_, key)| key).collect();
        assert_eq!(keys, [key], "{more}");
    }
    for (url, good) in [
        ("http://op.example/.well-known/openid-configuration", false),
        ("http://127.0.0.1:9/.well-known/openid-configuration", true),
        ("https://op.example/metadata", false),
        ("https://op.example/tenant/.well-known/openid-configuration", true),
    ] {
        let toml = filled(EXAMPLES[0]).replace("https://accounts.google.com/.well-known/openid-configuration", url);
        assert_eq!(parse(&toml).is_ok(), good, "{url}");
    }
}

#[test]
fn parameters_reach_the_provider_as_they_were_written() {
    let toml =
        with("client_kwargs = { prompt = \"\", max_age = 0, hd = \"example.com\" }\nauthorize_params = { access_type = \"offline\" }\n");
    let pairs = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let provider = parse(&toml).unwrap().providers.remove(0);
    assert_eq!(provider.authorize_params, [pairs("max_age", "0"), pairs("hd", "example.com"), pairs("access_type", "offline")]);
}

#[test]
fn secrets_may_stand_elsewhere() {
    let toml = filled(EXAMPLES[0])
        .replace(&format!("cookie_secret = \"{SECRET}\""), "cookie_secret_env = \"COOKIE_SECRET\"")
        .replace("client_secret = \"value\"", "client_secret_file = \"client-secret\"");
    let wanted = references(&toml);
    assert_eq!(wanted, [Reference::Environment("COOKIE_SECRET".into()), Reference::File("client-secret".into())]);
    let mut source = Source::new("secrets.toml", &toml);
    let unresolved: Vec<_> = Config::parse(&source).unwrap_err().into_iter().map(|fault| (fault.line, fault.key)).collect();
    assert_eq!(unresolved, [(3, "auth.cookie_secret_env".to_owned()), (5, "auth.client_secret_file".to_owned())]);
    source.resolved = wanted.into_iter().zip([Some(Secret::new(SECRET)), Some(Secret::new("from the file"))]).collect();
    let config = Config::parse(&source).unwrap();
    assert_eq!(config.providers[0].client_secret.as_ref().map(Secret::expose), Some("from the file"));
    source.resolved[0].1 = Some(Secret::new("xxx"));
    assert_eq!(Config::parse(&source).unwrap_err()[0].key, "auth.cookie_secret_env");
    for both in ["client_secret_env = \"A\"\n", "client_secret_file = \"a\"\n"] {
        let found = parse(&with(both)).unwrap_err();
        assert!(found.iter().any(|fault| fault.problem == "stands beside `client_secret`" && fault.line == 7), "{found:?}");
    }
    let both = with("").replace("client_secret = \"value\"", "client_secret_env = \"A\"\nclient_secret_file = \"a\"");
    assert!(parse(&both).unwrap_err().iter().any(|fault| fault.problem == "stands beside `client_secret_file`"));
}

#[test]
fn previous_secrets_may_stand_elsewhere_one_a_line() {
    let toml = with("\n[vestibule.session]\nprevious_cookie_secrets_file = \"old\"\n");
    assert_eq!(references(&toml), [Reference::File("old".into())]);
    let resolved =
        |text: &str| Source { resolved: vec![(Reference::File("old".into()), Some(Secret::new(text)))], ..Source::new("f", &toml) };
    assert!(Config::parse(&resolved(&format!("{SECRET}\n\n{SECRET}2\n"))).is_ok());
    let faults = Config::parse(&resolved(&format!("{SECRET}\nxxx\n"))).unwrap_err();
    assert_eq!(faults[0].key, "vestibule.session.previous_cookie_secrets_file");
    assert!(Config::parse(&Source::new("f", &toml)).is_err(), "no such file");
}

#[test]
fn addresses_may_stand_in_a_file_one_a_line() {
    let toml = with(
        "\n[[vestibule.rule]]\npath = \"/a\"\nrequire = { email_file = \"people.txt\" }\n[[vestibule.rule]]\n\
         require = { any = [{ groups = \"a\" }, { all = [{ email_file = \"others.txt\" }, { email_file = \"people.txt\" }] }] }\n",
    );
    let (people, others) = (Reference::File("people.txt".into()), Reference::File("others.txt".into()));
    assert_eq!(references(&toml), [people.clone(), others.clone()], "each once");
    let parse = |toml: &str, text: Option<&str>| {
        let resolved = vec![(people.clone(), text.map(Secret::new)), (others.clone(), Some(Secret::new("c@example.com")))];
        Config::parse(&Source { resolved, ..Source::new("secrets.toml", toml) })
    };
    let config =
        parse(&toml, Some("\u{feff}a@example.com\r\n\n  b#1@example.com\t# the second\n#c@example.com\n # d@example.com")).unwrap();
    let rules = config.admission.policy.as_ref().unwrap().rules();
    let addresses = |addresses: &[&str]| crate::policy::Condition::Email(addresses.iter().map(|&address| address.into()).collect());
    assert_eq!(rules[0].access, crate::policy::Access::Required(Some(addresses(&["a@example.com", "b#1@example.com"]))));
    let crate::policy::Access::Required(Some(crate::policy::Condition::Any(any))) = &rules[1].access else { panic!("{:?}", rules[1]) };
    assert!(matches!(&any[1], crate::policy::Condition::All(all) if all[0] == addresses(&["c@example.com"])), "{any:?}");

    let faults = |text: Option<&str>| {
        let one = with("\n[[vestibule.rule]]\nrequire = { email_file = \"people.txt\" }\n");
        let faults = parse(&one, text).unwrap_err().into_iter().filter(|fault| fault.fatal);
        faults.map(|fault| (fault.file.clone(), fault.line, fault.problem.clone())).collect::<Vec<_>>()
    };
    let here = |problem: &str| ("secrets.toml".to_owned(), 9, problem.to_owned());
    assert_eq!(faults(None), [here("the file `people.txt` cannot be read")]);
    for empty in ["", "\n\n", "# a@example.com\n", "\u{feff}"] {
        assert_eq!(faults(Some(empty)), [here("the file `people.txt` holds no address, so that no user is admitted")], "{empty:?}");
    }
    for wrong in
        ["example.com", "@example.com", "a@", "a@b@example.com", "a@example.com b@example.com", "a@example.com,", "A <a@example.com>"]
    {
        let there = ("people.txt".to_owned(), 3, "is not an e-mail address".to_owned());
        assert_eq!(faults(Some(&format!("a@example.com\n# b\n{wrong}\n"))), [there], "{wrong:?}");
    }
    assert_eq!(faults(Some(&"s3cr3t\n".repeat(1_000))).len(), 10, "of a file that is something else");
    assert!(!format!("{:?}", parse(&toml, Some("s3cr3t")).unwrap_err()).contains("s3cr3t"));
    let both = with("\n[[vestibule.rule]]\nrequire = { email_file = \"people.txt\", email = \"b@example.com\" }\n");
    assert!(parse(&both, Some("a@example.com")).unwrap_err()[0].problem.contains("beside `email`"));
}

#[test]
fn broken_toml_says_where() {
    assert_eq!(faults("[auth]\nclient_id = \n")[0].0, 2);
    assert_eq!(faults(&"x".repeat(MAX_LENGTH + 1)), [(0, "(file)".to_owned())]);
}

#[test]
fn what_looks_like_a_restriction_is_one() {
    let provider = "\n[vestibule.provider.default]\n";
    for (more, key) in [
        (format!("{provider}tenants = []\n"), "vestibule.provider.default.tenants"),
        (format!("{provider}tenants = [\"example.com\"]\n"), "vestibule.provider.default.tenants"),
        ("\n[vestibule.provider]\ntenants = [\"9188040d-6c67-4c5b-b112-36a304b66dad\"]\n".into(), "vestibule.provider.tenants"),
        ("\n[vestibul]\nlogin = \"required\"\n".into(), "vestibul"),
        ("\n[Auth.okta]\nclient_id = \"a\"\n".into(), "Auth"),
        ("\n[vestibule.session]\nmax_age = \"1h\"\nidle_timeout = \"2h\"\n".into(), "vestibule.session.idle_timeout"),
        ("\nclient_kwargs = { max_age = \"long\" }\n".into(), "auth.client_kwargs.max_age"),
        ("\nclient_kwargs = { hd = \"a\" }\nauthorize_params = { hd = \"b\" }\n".into(), "auth.authorize_params.hd"),
    ] {
        let found = faults(&with(&more));
        assert!(found.iter().any(|(_, given)| given == key), "{more}: {found:?}");
    }
    assert!(parse(&with("\n[connections.snowflake]\naccount = \"x\"\n")).is_ok(), "other people's tables are theirs");
}

#[test]
fn faults_of_both_halves_are_found_in_one_go() {
    let found = faults("[vestibule]\nlogin = \"perhaps\"\n");
    assert_eq!(found, [(0, "auth".into()), (2, "vestibule.login".into())]);
}

#[test]
fn a_redirect_uri_that_is_sent_otherwise_than_written_is_said() {
    let config = parse(&with("").replace("http://localhost:8501", "https://App.Example:443")).unwrap();
    let warning = config.warnings.iter().find(|warning| warning.key == "auth.redirect_uri").expect("a warning");
    assert!(warning.problem.contains("https://app.example/oauth2callback"), "{}", warning.problem);
}

#[test]
fn the_service_for_other_proxies_is_configured_whole() {
    let authz = |keys: &str, section: &str| faults(&with(&format!("[vestibule]\n{keys}\n{section}")));
    let key = |key: &str| key.to_owned();
    for (keys, section, line, fault) in [
        ("mode = \"authz\"", "", 7, "vestibule.authz.proxy"),
        ("mode = \"authz\"", "[vestibule.authz]", 9, "vestibule.authz.proxy"),
        ("mode = \"authz\"", "[vestibule.authz]\nproxy = \"apache\"", 10, "vestibule.authz.proxy"),
        ("mode = \"authz\"", "[vestibule.authz]\nproxy = \"caddy\"\nproxies = []", 11, "vestibule.authz.proxies"),
        ("mode = \"authz\"", "[vestibule.authz]\nproxy = \"caddy\"\ntrusted_proxies = []", 9, "vestibule.authz.trusted_proxies"),
        (
            "mode = \"authz\"",
            "[vestibule.authz]\nproxy = \"caddy\"\ntrusted_proxies = [\"localhost\"]",
            11,
            "vestibule.authz.trusted_proxies",
        ),
        ("mode = \"authz\"\nupstream = \"http://127.0.0.1:80\"", "[vestibule.authz]\nproxy = \"caddy\"", 7, "vestibule.upstream"),
        ("mode = \"authz\"\ntrusted_proxies = []", "[vestibule.authz]\nproxy = \"caddy\"", 7, "vestibule.trusted_proxies"),
        ("mode = \"authz\"\napp = \"streamlit\"", "[vestibule.authz]\nproxy = \"caddy\"", 7, "vestibule.app"),
        ("mode = \"other\"", "", 8, "vestibule.mode"),
        ("login = \"required\"", "[vestibule.authz]\nproxy = \"caddy\"", 9, "vestibule.authz"),
    ] {
        assert_eq!(authz(keys, section), [(line, key(fault))], "{keys} {section}");
    }
    let good =
        parse(&with("[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"envoy\"\ntrusted_proxies = \"10.0.0.0/8\"\n")).unwrap();
    let believes = |config: &Config, address: &str| config.trusted_proxies.contains(address.parse().unwrap());
    assert!(good.authz.is_some() && believes(&good, "10.1.2.3") && !believes(&good, "127.0.0.1"));
    let silent = parse(&with("[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"envoy\"\n")).unwrap();
    assert!(believes(&silent, "127.0.0.1") && believes(&silent, "::1") && !believes(&silent, "10.1.2.3"));
    assert!(parse(&with("[vestibule]\nmode = \"proxy\"\n")).unwrap().authz.is_none());
}

#[test]
fn routes_lie_below_one_path_that_collides_with_nothing() {
    let prefix = |lines: &str| parse(&with(&format!("[vestibule]\n{lines}\n"))).unwrap().public.prefix().as_str().to_owned();
    for (lines, expected) in [
        ("", "/.vestibule"),
        ("login = \"optional\"", "/.vestibule"),
        ("routes = \"/auth\"", "/auth"),
        ("routes = \"/a/b\"", "/a/b"),
        ("app = \"streamlit\"", "/auth"),
        ("app = \"streamlit\"\nroutes = \"/auth\"", "/auth"),
        ("mode = \"authz\"\nauthz = { proxy = \"caddy\" }", "/.vestibule"),
        ("mode = \"authz\"\nroutes = \"/auth\"\nauthz = { proxy = \"caddy\" }", "/auth"),
        ("routes = \"/oauth2callbacks\"", "/oauth2callbacks"),
    ] {
        assert_eq!(prefix(lines), expected, "{lines}");
    }
    let fault = |lines: &str| {
        let mut faults = parse(&with(&format!("[vestibule]\n{lines}\n"))).expect_err(lines);
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults.remove(0)
    };
    for (value, problem) in [
        ("auth", "does not begin with /"),
        ("", "does not begin with /"),
        ("/", "is the first page itself"),
        ("/auth/", "ends in /"),
        ("/a//b", "has an empty segment"),
        ("/a/../b", "has a dot segment"),
        ("/a%2fb", "has a character that"),
        ("/a?b", "has a character that"),
        ("/oauth2callback", "is the path to which providers redirect the browser"),
        ("/oauth2callback/x", "is the path to which providers redirect the browser"),
    ] {
        let found = fault(&format!("routes = \"{value}\""));
        assert_eq!((found.line, found.key.as_str(), found.fatal), (8, "vestibule.routes", true), "{value}");
        assert!(found.problem.contains(problem) && found.problem.contains(&format!("`{value}`")), "{value}: {found}");
        assert!(found.remedy.contains("/.vestibule"), "{found}");
    }
    assert_eq!(fault("routes = 7").line, 8);
    let streamlit = fault("app = \"streamlit\"\nroutes = \"/.vestibule\"");
    assert_eq!((streamlit.line, streamlit.key.as_str()), (9, "vestibule.routes"));
    assert!(streamlit.problem.contains("st.login()") && streamlit.remedy.contains("\"/auth\""), "{streamlit}");
}

#[test]
fn proxies_in_front_are_trusted_when_they_are_named() {
    for (network, told) in [
        ("10.0.0.0/8", false),
        ("fd00::/8", false),
        ("2001:db8::/32", false),
        ("0.0.0.0/1", true),
        ("64.0.0.0/3", true),
        ("2000::/3", true),
        ("10.0.0.0/7", true),
        ("::ffff:10.0.0.0/103", true),
        ("11.0.0.0/8", true),
    ] {
        let warned = warned(&with(&format!("[vestibule]\ntrusted_proxies = [\"192.0.2.7\", \"{network}\"]\n")));
        assert_eq!(warned.contains(&"vestibule.trusted_proxies".to_owned()), told, "{network}");
    }
    let believes = |config: &Config, address: &str| config.trusted_proxies.contains(address.parse().unwrap());
    assert!(!believes(&parse(&with("")).unwrap(), "127.0.0.1"), "no proxy by default");
    let named = with("[vestibule]\ntrusted_proxies = [\"10.0.0.0/8\", \"2001:db8::7\"]\n");
    assert_eq!(warned(&named), [""; 0]);
    let named = parse(&named).unwrap();
    assert!(believes(&named, "10.1.2.3") && believes(&named, "2001:db8::7") && !believes(&named, "127.0.0.1"));
    for list in ["[\"localhost\"]", "[\"10.1.2.3/8\"]", "[\"10.0.0.1:80\"]", "[1]", "true"] {
        assert_eq!(faults(&with(&format!("[vestibule]\ntrusted_proxies = {list}\n"))), [(8, "vestibule.trusted_proxies".into())], "{list}");
    }
    for list in ["\"0.0.0.0/0\"", "[\"10.0.0.0/8\", \"::/0\"]"] {
        let toml = with(&format!("[vestibule]\ntrusted_proxies = {list}\n"));
        assert_eq!(warned(&toml), ["vestibule.trusted_proxies"], "{list}");
        assert!(parse(&toml).unwrap().warnings.iter().any(|warning| warning.problem.contains("every client")), "{list}");
    }
}

#[test]
fn an_address_of_this_network_behind_https_asks_who_is_in_front() {
    for (uri, listen, is_told) in [
        ("https://app.example", "127.0.0.1:8501", true),
        ("https://app.example", "10.1.2.3:443", true),
        ("https://app.example", "[fd00::1]:443", true),
        ("https://app.example", "[::ffff:192.168.0.1]:443", true),
        ("https://app.example", "localhost:443", true),
        ("https://app.example", "0.0.0.0:443", false),
        ("https://app.example", "203.0.113.7:443", false),
        ("http://localhost:8501", "127.0.0.1:8501", false),
    ] {
        let toml = with(&format!("[vestibule]\nlisten = \"{listen}\"\n")).replace("http://localhost:8501", uri);
        assert_eq!(warned(&toml), if is_told { vec!["vestibule.trusted_proxies"] } else { vec![] }, "{uri} {listen}");
        for answered in ["trusted_proxies = []", "trusted_proxies = \"127.0.0.1\"", "mode = \"authz\"\nauthz = { proxy = \"caddy\" }"] {
            assert_eq!(warned(&format!("{toml}{answered}\n")), [""; 0], "{uri} {listen} {answered}");
        }
    }
}

#[test]
fn headers_that_are_passed_are_somebodys() {
    let pass = "[vestibule.identity]\npass = \"Remote-User\"\n";
    assert_eq!(warned(&with(pass)), ["vestibule.identity.pass"]);
    assert!(warned(&with(&format!("[vestibule]\ntrusted_proxies = \"192.0.2.7\"\n{pass}"))).is_empty());
    assert_eq!(warned(&with(&format!("[vestibule]\ntrusted_proxies = []\n{pass}"))), ["vestibule.identity.pass"]);
}

#[test]
fn limits_are_for_the_routes_that_are_counted_and_zero_is_none() {
    use crate::limit::Counted;

    let read = |more: &str| {
        let toml = with(more).replace(":8501/", ":8501/base/");
        let limits = parse(&toml).unwrap().limits();
        limits.into_iter().map(|limit| (limit.counted, limit.per_minute, limit.path)).collect::<Vec<_>>()
    };
    let (login, callback) = ("/base/.vestibule/login".to_owned(), "/base/oauth2callback".to_owned());
    let bad = [(Counted::BadCallback, 20, callback), (Counted::BadLogoutToken, 20, "/base/.vestibule/backchannel-logout".to_owned())];
    assert_eq!(read(""), [&[(Counted::LoginStart, 120, login.clone())][..], &bad].concat());
    assert_eq!(read("[vestibule.limits]\nlogins_per_minute = 0\n"), bad);
    assert_eq!(read("[vestibule.limits]\nlogins_per_minute = 0x10\nbad_callbacks_per_minute = 0\n"), [(Counted::LoginStart, 16, login)]);
}

/// What is faulty is replaced by a default while the rest is read: no further fault or warning comes of that.
#[test]
fn a_fault_has_no_consequence_that_is_told_as_well() {
    let auth = filled(EXAMPLES[0]).replace("http://localhost:8501", "https://app.example").replace("accounts.google.com", "op.example");
    let entra = auth.replace("op.example", "login.microsoftonline.com/common/v2.0");
    let two = format!(
        "[auth]\nredirect_uri = \"https://app.example/oauth2callback\"\ncookie_secret = \"{SECRET}\"\n\
         [auth.google]\nclient_id = \"a\"\nclient_secret = \"b\"\nserver_metadata_url = \"https://accounts.google.com/.well-known/openid-configuration\"\n\
         [auth.okta]\nclient_id = \"a\"\nclient_secret = 7\nserver_metadata_url = \"https://acme.okta.com/.well-known/openid-configuration\"\n"
    );
    let rule = |text: &str| format!("[[vestibule.rule]]\n{text}\n");
    let rest = rule("");
    let told = |toml: &str| {
        let faults = parse(toml).map(|config| config.warnings).expect_err(toml);
        faults.into_iter().map(|fault| (fault.key, fault.fatal)).collect::<Vec<_>>()
    };
    for (toml, key) in [
        // A rule that would be for everything.
        (auth.clone() + &rule("path = \"admin\"") + &rule("path = \"/b\"") + &rest, "vestibule.rule[1].path"),
        (auth.clone() + &rule("path = 7") + &rule("path = \"/b\"") + &rest, "vestibule.rule[1].path"),
        (auth.clone() + &rule("pth = \"/a\"") + &rest, "vestibule.rule[1].pth"),
        (auth.clone() + &rule("methods = \"get\"") + &rule("path = \"/b\"") + &rest, "vestibule.rule[1].methods"),
        (auth.clone() + &rule("methods = []") + &rest, "vestibule.rule[1].methods"),
        (auth.clone() + &rule("host = \"other.example\"") + &rule("path = \"/b\"") + &rest, "vestibule.rule[1].host"),
        (auth.clone() + &rule("path = \"/a\"") + &rule("path = [\"/a\", \"/b*\"]") + &rest, "vestibule.rule[2].path"),
        (auth.clone() + &rule("path = \"/A\"") + &rule("path = [\"/a\", \"/b*\"]") + &rest, "vestibule.rule[2].path"),
        (auth.clone() + &rule("path = \"public\"\naccess = \"public\"") + &rest, "vestibule.rule[1].path"),
        (auth.clone() + &rule("methods = \"get\"\naccess = \"public\"") + &rest, "vestibule.rule[1].methods"),
        (auth.clone() + &rule("access = \"open\"\nrequire = { groups = \"a\" }") + &rest, "vestibule.rule[1].access"),
        // A condition that would be wider, or a provider that would admit more.
        (entra.clone() + &rule("require = { groups = \"a\", email = \"alice\" }"), "vestibule.rule[1].require.email"),
        (entra.clone() + &rule("require = { groups = \"a\", email_domain = [] }"), "vestibule.rule[1].require.email_domain"),
        (
            entra.clone() + "[vestibule.provider.default]\ntenants = []\n" + &rule("require = { groups = \"a\" }"),
            "vestibule.provider.default.tenants",
        ),
        (
            entra + "[vestibule.provider.default]\ntenants = 7\n" + &rule("require = { groups = \"a\" }"),
            "vestibule.provider.default.tenants",
        ),
        (
            auth.clone() + "[vestibule]\napp = \"streamlit\"\n" + &rule("path = \"pages\"\nrequire = { groups = \"a\" }") + &rest,
            "vestibule.rule[1].path",
        ),
        // Providers that are there, and faulty.
        (two.clone() + &rule("require = { provider = \"okta\" }"), "auth.okta.client_secret"),
        (two + "[vestibule.provider.okta]\ntitle = \"Okta\"\n", "auth.okta.client_secret"),
        (auth.replace("client_id = \"value\"", "client_id = 7"), "auth.client_id"),
        (auth.replace("client_id = \"value\"", "client_id_env = 7"), "auth.client_id_env"),
        (auth.replace("client_secret = \"value\"", "client_secret_file = 7"), "auth.client_secret_file"),
        (
            auth.replace("client_secret = \"value\"", "client_kwargs = { token_endpoint_auth_method = \"None\" }"),
            "auth.client_kwargs.token_endpoint_auth_method",
        ),
        (auth.replace("\"https://op.example/.well-known/openid-configuration\" # fmt: skip", "7"), "auth.server_metadata_url"),
        (auth.replace("\"https://app.example/oauth2callback\"", "7"), "auth.redirect_uri"),
        (auth.replace(&format!("\"{SECRET}\""), "7"), "auth.cookie_secret"),
        (auth.replace(&format!("cookie_secret = \"{SECRET}\""), "cookie_secret_file = 7"), "auth.cookie_secret_file"),
        ("auth = 7\n".to_owned(), "auth"),
        (
            auth.replace("/.well-known/openid-configuration", "/elsewhere") + "[vestibule.provider.default]\nissuer = 7\n",
            "vestibule.provider.default.issuer",
        ),
        (
            auth.replace("https://op.example", "http://op.example") + "[vestibule]\ninsecure_http_hosts = [\"op.example:80\"]\n",
            "vestibule.insecure_http_hosts",
        ),
        // Settings that others depend on.
        (auth.clone() + "[vestibule.session]\nmax_age = \"a year\"\nidle_timeout = \"60d\"\n", "vestibule.session.max_age"),
        (auth.clone() + "[vestibule]\nmode = \"auth\"\n[vestibule.authz]\nproxy = \"nginx\"\n", "vestibule.mode"),
        (auth.clone() + "[vestibule]\nmode = \"auth\"\nlisten = \"127.0.0.1:8501\"\n", "vestibule.mode"),
        (
            auth.clone() + "[vestibule]\nmode = \"authz\"\nlisten = \"127.0.0.1:8501\"\n[vestibule.authz]\nproxy = \"apache\"\n",
            "vestibule.authz.proxy",
        ),
        (auth.clone() + "[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nprxy = \"nginx\"\n", "vestibule.authz.prxy"),
        (auth.clone() + "[vestibule]\napp = \"Streamlit\"\n[vestibule.streamlit]\ncookies = \"auto\"\n", "vestibule.app"),
        (auth.clone() + "[vestibule.embedding]\norigins = 7\n", "vestibule.embedding.origins"),
        (auth.clone() + "[vestibule.embedding]\norigin = \"https://portal.example\"\n", "vestibule.embedding.origin"),
        (auth.clone() + "[vestibule]\nroutes = \"gate\"\nafter_logout = \"/.vestibule/logout\"\n", "vestibule.routes"),
        (auth.clone() + "[vestibule]\nroutes = \"gate\"\n" + &rule("path = \"/.vestibule/**\"") + &rest, "vestibule.routes"),
        (auth.clone() + "[vestibule.log]\naudit = 7\nrequests = true\n", "vestibule.log.audit"),
        // The same of values that are not there.
        (auth.clone() + &rule("path_env = \"NONE\"") + &rule("path = \"/b\"") + &rest, "vestibule.rule[1].path_env"),
        (auth.replace("client_id = \"value\"", "client_id_env = \"NONE\""), "auth.client_id_env"),
        (
            auth.replace("/.well-known/openid-configuration", "/elsewhere") + "[vestibule.provider.default]\nissuer_env = \"NONE\"\n",
            "vestibule.provider.default.issuer_env",
        ),
        (
            auth.replace("https://op.example", "http://op.example") + "[vestibule]\ninsecure_http_hosts_file = \"none\"\n",
            "vestibule.insecure_http_hosts_file",
        ),
        (auth.clone() + "[vestibule.session]\nmax_age_env = \"NONE\"\nidle_timeout = \"60d\"\n", "vestibule.session.max_age_env"),
        (auth.clone() + "[vestibule]\nmode_env = \"NONE\"\n[vestibule.authz]\nproxy = \"nginx\"\n", "vestibule.mode_env"),
        (
            auth.clone() + "[vestibule]\nmode = \"authz\"\nlisten = \"127.0.0.1:8501\"\n[vestibule.authz]\nproxy_env = \"NONE\"\n",
            "vestibule.authz.proxy_env",
        ),
        (auth.clone() + "[vestibule]\napp_env = \"NONE\"\n[vestibule.streamlit]\ncookies = \"auto\"\n", "vestibule.app_env"),
        (auth.clone() + "[vestibule.embedding]\norigins_env = \"NONE\"\n", "vestibule.embedding.origins_env"),
        (auth.clone() + "[vestibule]\nroutes_env = \"NONE\"\nafter_logout = \"/.vestibule/logout\"\n", "vestibule.routes_env"),
        (auth.clone() + "[vestibule.log]\naudit_env = \"NONE\"\nrequests = true\n", "vestibule.log.audit_env"),
        (
            auth + "[vestibule]\nroutes = \"gate\"\n[vestibule.provider.default]\npost_logout_redirect_uri = \"https://app.example/.vestibule/x\"\n",
            "vestibule.routes",
        ),
    ] {
        assert_eq!(told(&toml), [(key.to_owned(), true)], "{toml}");
    }
}

/// A list without an item is never met, whatever else is only warned of beside it.
#[test]
fn a_warning_hides_no_fault() {
    let toml = with("[[vestibule.rule]]\nrequire = { all = [{ groups = \"a*\" }], any = [] }\n");
    let faults = parse(&toml).unwrap_err();
    assert!(faults.iter().any(|fault| fault.fatal && fault.key == "vestibule.rule[1].require.any"), "{faults:?}");
}

#[test]
fn a_store_has_a_place_and_its_password_is_not_shown() {
    let store = |lines: &str| with(&format!("[vestibule.session]\n{lines}\n"));
    let written = store("store = \"rediss://vestibule:hidden@redis.internal\"\nstore_patience = \"0s\"\nmax_age = \"1h\"");
    let settings = parse(&written).unwrap().store.unwrap();
    assert_eq!((settings.patience.as_secs(), settings.retention.as_secs(), settings.keys.len()), (0, 25 * 60 * 60, 1));
    assert!(!format!("{settings:?}").contains("hidden"));
    let wrong = store("store = \"http://vestibule:hidden@redis.internal\"");
    assert_eq!(faults(&wrong), [(8, "vestibule.session.store".to_owned())]);
    assert!(!parse(&wrong).unwrap_err()[0].to_string().contains("hidden"));
    assert_eq!(faults(&store("store = \"file:/ended\"\nstore_patience = \"401d\"")), [(9, "vestibule.session.store_patience".to_owned())]);
    assert_eq!(faults(&store("max_age = \"0s\"")), [(8, "vestibule.session.max_age".to_owned())]);
    let config = parse(&store("store_patience = \"1m\"")).unwrap();
    assert!(config.store.is_none());
    assert!(config.warnings.iter().any(|warning| warning.key == "vestibule.session.store_patience"), "{:?}", config.warnings);
    let placed = parse(&with("[vestibule.session]\nmax_age = \"1h\"\nstore = \"file:/ended\"\n")).unwrap().store.unwrap();
    assert_eq!((placed.line, placed.key.as_str()), (9, "vestibule.session.store"));
}

#[test]
fn a_patience_without_an_end_is_told() {
    for (lines, is_told) in [
        ("max_age = \"1h\"\nstore_patience = \"400d\"", true),
        ("max_age = \"1h\"\nstore_patience = \"1h\"", true),
        ("max_age = \"1h\"\nstore_patience = \"59m\"", false),
        ("store_patience = \"30d\"", true),
        ("store_patience = \"29d\"", false),
        ("max_age = \"5m\"", true),
        ("max_age = \"301s\"", false),
        ("max_age = \"1s\"\nstore_patience = \"0s\"", false),
    ] {
        let told = warned(&with(&format!("[vestibule.session]\nstore = \"file:/ended\"\n{lines}\n")));
        assert_eq!(told, if is_told { vec!["vestibule.session.store_patience"] } else { vec![] }, "{lines}");
    }
}

#[test]
fn nodes_with_one_address_share_a_list_and_every_secret_reads_it() {
    let with_store = |more: &str| with(&format!("[vestibule.session]\nstore = \"file:/ended\"\n{more}\n"));
    let of = |toml: &str| parse(toml).unwrap().store.unwrap();
    let other = "q7Rz8fKw2mQLbXeR4tY9uVn3JcH6aPd5";
    let (before, after) =
        (of(&with_store("")), of(&with_store(&format!("previous_cookie_secrets = [\"{SECRET}\"]")).replacen(SECRET, other, 1)));
    assert_eq!(before.list, after.list);
    assert_eq!(before.keys[0], after.keys[1]);
    assert_ne!(before.keys[0], after.keys[0]);
    let elsewhere = of(&with_store("").replace("http://localhost:8501", "https://other.example"));
    assert!(before.list != elsewhere.list && before.keys != elsewhere.keys);
}
