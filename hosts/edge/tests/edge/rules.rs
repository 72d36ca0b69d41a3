//! Rules through the whole program: what peers send byte for byte, and what of it reaches the application.

use std::fs;

use reqwest::{StatusCode, Url};

use crate::application::Application;
use crate::browser::Browser;
use crate::login::Site;
use crate::program;
use crate::raw::{Head, Wire};
use crate::tls::Identity;

const RULES: &str = r#"
[[vestibule.rule]]
path = "/public/**"
access = "public"
[[vestibule.rule]]
path = "/admin/**"
require = { groups = "admins" }
[[vestibule.rule]]
path = ["/app/**", "/"]
"#;

/// Request line without the version, header lines, and the status: requests that look like one for `/public/**`, for our
/// routes, or like nobody's in particular. What `/app` and unknown paths are, they are not.
const NOT_PUBLIC: [(&str, &str, u16); 30] = [
    ("GET /app?x=/public/a", "", 401),
    ("GET /app", "User-Agent: kube-probe/1.30\r\n", 401),
    ("GET /app", "X-Forwarded-Uri: /public/x\r\n", 401),
    ("GET /app", "X-Original-URL: /public/x\r\nX-Rewrite-URL: /public/x\r\n", 401),
    ("GET /app", "X-Forwarded-Host: public.example\r\nForwarded: host=public.example;proto=https\r\n", 401),
    ("GET /app", "X-Forwarded-Prefix: /public\r\nX-Forwarded-Proto: https\r\n", 401),
    ("GET /app", "Accept: text/event-stream\r\nX-Forwarded-User: alice\r\n", 401),
    ("GET /app", "Authorization: Bearer x\r\n", 401),
    ("OPTIONS /app", "Origin: https://evil.example\r\nAccess-Control-Request-Method: GET\r\n", 401),
    ("GET /%61pp", "", 401),
    ("GET /%70ublic%2f..%2fapp", "", 400),
    ("GET /public/%2e%2e/app", "", 400),
    ("GET /public/%2E./app", "", 400),
    ("GET /public/..%2fapp", "", 400),
    ("GET /public/..;/app", "", 400),
    ("GET /public/%2e%2e%3b/app", "", 400),
    ("GET /public/../app", "", 400),
    ("GET /public/..\\app", "", 400),
    ("GET /public/%252e%252e/app", "", 400),
    ("GET /public/%c0%ae%c0%ae/app", "", 400),
    ("GET //app", "", 400),
    ("GET //public/app", "", 400),
    ("GET /public//../app", "", 400),
    ("GET /public//app", "", 400),
    ("GET /Public/app", "", 400),
    ("GET /public;/app", "", 400),
    ("GET /public%3f/app", "", 400),
    ("GET /oauth2callbackX", "", 403),
    ("GET /app?x=/oauth2callback", "", 401),
    ("GET /elsewhere", "", 403),
];

async fn site() -> Site {
    Site::start_configured(RULES, Application::start().await, "http", &[], &[]).await
}

/// Sends a request with these further fields, each with its line end, and returns the status and the body.
async fn send(site: &Site, line: &str, fields: &str) -> (u16, String) {
    let request = format!("{line} HTTP/1.1\r\nHost: {}\r\n{fields}\r\n", site.address);
    let (head, body) = Wire::connect(site.address).await.exchange(&request).await.unwrap_or_else(|| panic!("no response to {line}"));
    (head.status(), body)
}

#[tokio::test]
async fn nothing_that_looks_like_a_public_path_opens_another() {
    let site = site().await;
    for (line, fields, status) in NOT_PUBLIC {
        let (answered, body) = send(&site, line, fields).await;
        assert_eq!(answered, status, "{line} {fields}: {body}");
    }
    // The same as an absolute target, which becomes the path that is judged.
    let absolute = format!("GET http://{}/app", site.address);
    assert_eq!(send(&site, &absolute, "").await.0, 401);
    assert_eq!(site.app.requests(), 0, "the application saw nothing");
}

#[tokio::test]
async fn nor_does_it_over_http_2() {
    let (identity, folder) = (Identity::new(), tempfile::tempdir().expect("a folder"));
    let (certificate, key) = identity.write(folder.path());
    let arguments = ["--tls-cert", &certificate, "--tls-key", &key];
    let site = Site::start_configured(RULES, Application::start().await, "http", &arguments, &[]).await;
    let authority = site.address.to_string();
    let mut peer = identity.http_2(site.address).await;
    let mut send = async |line: &str, fields: &str| {
        let (method, target) = line.split_once(' ').expect("a request line");
        let request = http::Request::builder().method(method).uri(format!("https://{authority}{target}"));
        let pairs = fields.lines().filter_map(|field| field.split_once(": "));
        let request = pairs.fold(request, |request, (name, value)| request.header(name.to_ascii_lowercase(), value));
        let request = request.body(()).unwrap_or_else(|error| panic!("{line}: {error}"));
        peer = peer.clone().ready().await.expect("a connection in use");
        let (response, _) = peer.send_request(request, true).expect("sent");
        let response = response.await.unwrap_or_else(|error| panic!("no response to {line} {fields:?}: {error}"));
        let (head, mut stream) = response.into_parts();
        let mut body = Vec::new();
        while let Some(piece) = stream.data().await {
            let piece = piece.expect("a body");
            stream.flow_control().release_capacity(piece.len()).expect("room");
            body.extend_from_slice(&piece);
        }
        (head.status.as_u16(), String::from_utf8(body).expect("text"))
    };
    for (line, fields, status) in NOT_PUBLIC {
        assert_eq!(send(line, fields).await.0, status, "{line} {fields}");
    }
    for (line, fields, status) in [
        ("GET /app", "Host: public.example\r\n", 400),
        ("GET /app", "Cookie: a=1\r\nCookie: b=2\r\n", 401),
        ("GET /app", "Cookie: vestibule_session=x\r\nCookie: vestibule_session=y\r\n", 401),
        ("POST /app", "X-HTTP-Method-Override: GET\r\n", 401),
        ("GET /oauth2callback?code=a&state=made-up", "Accept: text/html\r\n", 400),
        ("GET /oauth2callback?code=a&code=b&state=c", "Accept: text/html\r\n", 400),
        ("GET /oauth2callback?code=a", "Accept: text/html\r\n", 400),
        ("GET /oauth2callback?code=a&state=", "Accept: text/html\r\n", 400),
    ] {
        let (answered, body) = send(line, fields).await;
        assert_eq!(answered, status, "{line} {fields}: {body}");
    }
    assert_eq!(site.app.requests(), 0, "the application saw nothing");

    let claims = "X-Forwarded-User: mallory\r\nX_Forwarded_Email: mallory@evil.example\r\nX.Forwarded.Groups: mallory\r\n\
                  Forwarded: for=mallory\r\nX-Forwarded-For: mallory\r\nX-Forwarded-Host: mallory\r\nTrue-Client-IP: mallory\r\n";
    let (status, received) = send("GET /public/a", claims).await;
    assert_eq!((status, site.app.requests()), (200, 1), "{received}");
    assert!(received.starts_with("GET /public/a HTTP/1.1\r\n") && !received.contains("mallory"), "{received}");
}

#[tokio::test]
async fn a_public_page_is_forwarded_as_it_was_judged_and_for_nobody() {
    let site = site().await;
    let browser = Browser::new();
    browser.log_in(&site.url("/app"), "alice").await;
    let url: Url = site.url("/public/").parse().expect("a URL");
    let fields = format!("Cookie: {}\r\nX-Forwarded-User: mallory\r\nX_Forwarded_Groups: admins\r\n", browser.cookies(&url));
    let (status, body) = send(&site, "GET /public/A%20b;x=1/%7Ec?y=/../z", &fields).await;
    assert_eq!(status, 200, "{body}");
    let received = Head::echoed(body);
    assert_eq!(received.target(), "/public/A%20b;x=1/%7Ec?y=/../z");
    for name in ["x-forwarded-user", "x-forwarded-groups", "x_forwarded_groups", "x-forwarded-email"] {
        assert!(received.values(name).is_empty(), "{name}: {}", received.text);
    }
    assert!(!received.text.contains("vestibule_session"), "{}", received.text);
}

#[tokio::test]
async fn who_lacks_the_group_gets_a_page_and_the_application_nothing() {
    let mut site = site().await;
    let browser = Browser::new();
    // Bob is logged in, and no admin.
    let page = browser.log_in(&site.url("/app"), "bob").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let before = site.app.requests();
    for path in ["/admin", "/admin/", "/%61dmin/users?x=1"] {
        let page = browser.open(&site.url(path)).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{path}: {}", page.body);
        assert!(page.body.contains("logged in as bob@example.com") && page.body.contains("prompt=select_account"), "{}", page.body);
        let problem = browser.fetch(&site.url(path)).await;
        assert!(problem.status == StatusCode::FORBIDDEN && problem.body.contains("policy.denied"), "{path}: {}", problem.body);
    }
    assert_eq!(site.app.requests(), before, "the application saw nothing");
    let event = site.program.wait_for("policy.denied").await;
    assert!(!event.to_string().contains("bob"), "{event}");
}

#[tokio::test]
async fn explain_tells_the_rule_and_its_exit_code_the_answer() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).to_str().expect("text").to_owned();
    let secrets = "[auth]\nredirect_uri = \"https://app.example/oauth2callback\"\ncookie_secret_file = \"secret\"\nclient_id = \"a\"\n\
                   client_secret = \"b\"\nserver_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n";
    fs::write(path("secret"), "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\n").expect("written");
    fs::write(path("secrets.toml"), format!("{secrets}{RULES}")).expect("written");
    fs::write(path("alice.json"), r#"{"sub":"1","email":"alice@example.com","groups":["staff"],"provider":"default"}"#).expect("written");
    fs::write(path("nobody.json"), r#"{"is_logged_in": false}"#).expect("written");
    let (config, alice, nobody) = (path("secrets.toml"), path("alice.json"), path("nobody.json"));
    for (arguments, code, last) in [
        (&["GET", "/public/a"][..], 0, "forwarded: the rule is public, and the application receives no identity"),
        (&["GET", "/admin"], 3, "login: page requests are redirected to it, other requests are answered with 401"),
        (&["GET", "/admin", "--as", &alice], 4, "403: rule 2 (line 11) does not admit this account"),
        (&["GET", "/admin", "--as", &nobody], 3, "login: page requests are redirected to it, other requests are answered with 401"),
        (&["GET", "/app", "--as", &alice, "--host", "APP.example:8443"], 0, "forwarded: the application receives the identity"),
        (&["GET", "/app", "--as", &alice, "--host", "other.example"], 0, "forwarded: the application receives the identity"),
        (&["GET", "//app"], 5, "400: the request is malformed: the path has an empty segment (`//`), in segment 1"),
    ] {
        let output = program::run(&[&["explain", "--config", &config], arguments].concat()).await;
        let text = String::from_utf8(output.stdout).expect("text");
        assert_eq!((output.status.code(), text.lines().last()), (Some(code), Some(last)), "{arguments:?}: {text}");
        assert!(!text.contains("8f0a1d5c"), "{text}");
    }
    let missing = program::run(&["explain", "--config", &path("none.toml"), "GET", "/"]).await;
    assert_eq!(missing.status.code(), Some(1));
}

#[tokio::test]
async fn check_warns_of_what_is_legal_and_dangerous_and_strict_fails_on_it() {
    use std::os::unix::fs::PermissionsExt as _;

    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    let toml = "[auth]\nredirect_uri = \"https://app.example/oauth2callback\"\ncookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\n\
                client_id = \"a\"\nclient_secret = \"b\"\n\
                server_metadata_url = \"https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration\"\n\
                [vestibule]\nlogin = \"optional\"\nlisten = \"127.0.0.1:8501\"\n[[vestibule.rule]]\npath = \"/**\"\naccess = \"public\"\n[[vestibule.rule]]\npath = \"/admin\"\n";
    fs::write(&config, toml).expect("written");
    fs::set_permissions(&config, fs::Permissions::from_mode(0o644)).expect("ours");
    let config = config.to_str().expect("text");
    let check = ["check", "--config", config];
    let output = program::run_with_component(&check).await;
    let warnings = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(0), "{warnings}");
    for told in [
        "rule[2]: admits every account of any organisation",
        "vestibule.login: has no effect",
        "vestibule.trusted_proxies: is missing",
        "makes every page public",
        "rule[2]: never decides",
        "chmod o-r",
    ] {
        assert!(warnings.contains(told), "{told} not in:\n{warnings}");
    }
    assert_eq!(program::run_with_component(&[&check[..], &["--strict"]].concat()).await.status.code(), Some(1));
}

#[tokio::test]
async fn addresses_of_a_file_are_admitted_and_read_again_with_the_configuration() {
    let folder = tempfile::tempdir().expect("a folder");
    let people = folder.path().join("people.txt");
    fs::write(&people, "# team\n\nalice@example.com # since May\n").expect("written");
    let more = format!("[[vestibule.rule]]\nrequire = {{ email_file = \"{}\" }}\n", people.display());
    let mut site = Site::start_configured(&more, Application::start().await, "http", &[], &[]).await;
    let (alice, bob) = (Browser::new(), Browser::new());
    assert_eq!(alice.log_in(&site.url("/"), "alice").await.status, StatusCode::OK);
    assert_eq!(bob.log_in(&site.url("/"), "bob").await.status, StatusCode::FORBIDDEN);

    fs::write(&people, "bob@example.com\r\n").expect("written");
    site.program.signal(rustix::process::Signal::HUP);
    site.program.wait_for("configuration.reloaded").await;
    assert_eq!(alice.open(&site.url("/")).await.status, StatusCode::FORBIDDEN);
    assert_eq!(bob.open(&site.url("/")).await.status, StatusCode::OK);

    // An empty file, a line that is no address, no file: what is in use stays in use, and `check` says why.
    let check = ["check", "--config", site.config.to_str().expect("text")];
    for (content, told) in [
        (Some("# nobody\n"), "vestibule.rule[1].require.email_file: the file"),
        (Some("bob@example.com\ns3cr3t\n"), "people.txt:2: vestibule.rule[1].require.email_file: is not an e-mail address"),
        (None, "people.txt` cannot be read"),
    ] {
        match content {
            Some(content) => fs::write(&people, content).expect("written"),
            None => fs::remove_file(&people).expect("removed"),
        }
        site.program.signal(rustix::process::Signal::HUP);
        site.program.wait_for("configuration.kept").await;
        assert_eq!(bob.open(&site.url("/")).await.status, StatusCode::OK, "{told}");
        let output = program::run_with_component(&check).await;
        let faults = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{faults}");
        assert!(faults.contains(told) && !faults.contains("s3cr3t"), "{told} not in:\n{faults}");
    }
}

#[tokio::test]
async fn check_refuses_rules_that_promise_what_is_not_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    let check = ["check", "--config", config.to_str().expect("text")];
    let toml = |issuer: &str, more: &str| {
        format!(
            "[auth]\nredirect_uri = \"https://app.example/oauth2callback\"\ncookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\n\
             client_id = \"a\"\nclient_secret = \"b\"\nserver_metadata_url = \"{issuer}/.well-known/openid-configuration\"\n{more}"
        )
    };
    let rules = "[[vestibule.rule]]\npath = \"/Admin/**\"\nrequire = { groups = \"admins\" }\n[[vestibule.rule]]\n";
    let streamlit = format!("[vestibule]\napp = \"streamlit\"\n{rules}");
    for (toml, code, told) in [
        (toml("https://op.example", &streamlit), 1, "secrets.toml:9: vestibule.rule[1]: cannot be enforced"),
        (toml("https://login.microsoftonline.com/common/v2.0", rules), 1, "secrets.toml:7: vestibule.rule[1].require: can be met"),
        (
            toml("https://op.example", &format!("{rules}path = \"/admin\"\n")),
            0,
            "vestibule.rule[2]: differs from rule 1 (line 7) in the spelling",
        ),
        (toml("https://accounts.google.com", ""), 0, "auth.server_metadata_url: admits every account at accounts.google.com"),
    ] {
        fs::write(&config, toml).expect("written");
        let output = program::run_with_component(&check).await;
        let faults = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(code), "{faults}");
        assert!(faults.contains(told), "{told} not in:\n{faults}");
    }
}
