//! The program with the real component and a real provider.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use reqwest::{StatusCode, Url};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{self, Message};
use vestibule_dev_provider::{Options, Provider, Running};

use crate::application::Application;
use crate::browser::Browser;
use crate::program::{self, Program};
use crate::raw::{Head, Wire};
use crate::tls::Identity;

/// A secret in the configuration, to be looked for where it must not be.
pub const COOKIE_SECRET: &str = "not-for-the-log-bTr3Vq0nXw8sKd5yLz2e";

/// Provider, application and edge.
pub struct Site {
    pub provider: Running,
    pub app: Application,
    pub program: Program,
    pub config: PathBuf,
    pub address: std::net::SocketAddr,
    _folder: TempDir,
}

impl Site {
    async fn start() -> Self {
        Self::start_with(Application::start().await, "http", &[], &[]).await
    }

    async fn start_with(app: Application, scheme: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_configured("", app, scheme, arguments, environment).await
    }

    /// `more`: further lines under `[vestibule]`.
    pub async fn start_configured(more: &str, app: Application, scheme: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let provider = Provider::start(Options::default()).await.expect("a provider");
        Self::start_at(provider, more, app, scheme, arguments, environment).await
    }

    /// The same, with a provider of the test's choice.
    pub async fn start_at(
        provider: Running,
        more: &str,
        app: Application,
        scheme: &str,
        arguments: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("secrets.toml");
        let upstream = format!("{scheme}://localhost:{}", app.address.port());
        std::fs::write(&config, secrets_toml(&provider, &upstream) + more).expect("written");
        let mut all = vec!["serve", "--config", text(&config), "--listen", "127.0.0.1:0"];
        all.extend(arguments);
        let mut program = Program::start(&all, environment);
        let listening = program.wait_for("listener.listening").await;
        let address = listening["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
        Self { provider, app, program, config, address, _folder: folder }
    }

    /// What the provider calls the person who is logged in.
    pub async fn provider_subject(&self, browser: &Browser) -> String {
        let user = browser.fetch(&self.url("/.vestibule/user")).await;
        serde_json::from_str::<Value>(&user.body).expect("JSON")["sub"].as_str().expect("text").to_owned()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

pub fn secrets_toml(provider: &Running, upstream: &str) -> String {
    format!(
        "[auth]\nredirect_uri = \"http://127.0.0.1:{{port}}/oauth2callback\"\ncookie_secret = \"{COOKIE_SECRET}\"\n\
         client_id = \"vestibule-demo\"\nclient_secret = \"vestibule-demo-secret\"\nserver_metadata_url = \"{}\"\n\
         [vestibule]\nupstream = \"{upstream}\"\n",
        provider.metadata_url()
    )
}

pub fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

#[tokio::test]
async fn a_person_logs_in_and_out() {
    let site = Site::start().await;
    let browser = Browser::new();
    let deep = site.url("/reports/2026?x=1&y=%2F");

    let page = browser.log_in(&deep, "alice").await;
    assert_eq!((page.status, page.url.as_str()), (StatusCode::OK, deep.as_str()), "{}", page.body);
    let received = Head::echoed(page.body);
    assert_eq!(received.target(), "/reports/2026?x=1&y=%2F");
    assert_eq!(received.values("x-forwarded-email"), ["alice@example.com"]);
    // The provider's cookie is here too: both are one host, and cookies know no ports.
    let cookies = received.values("cookie").join("; ");
    let ours = cookies.split("; ").find(|cookie| !cookie.starts_with("vestibule-dev-provider-"));
    assert_eq!(ours, None, "our cookies are not the application's");

    let user = browser.fetch(&site.url("/.vestibule/user")).await;
    let user: Value = serde_json::from_str(&user.body).unwrap_or_else(|error| panic!("{error}: {}", user.body));
    assert_eq!(user["email"], "alice@example.com");

    browser.open(&site.url("/.vestibule/logout")).await;
    let before = site.app.requests();
    let asked = browser.open(&deep).await;
    assert!(asked.url.path().ends_with("/authorize") || asked.url.path() == "/oauth2callback", "still logged in: {asked:?}");
    assert_eq!(site.app.requests(), before);

    site.program.signal(Signal::TERM);
    let (code, log) = site.program.ended().await;
    assert_eq!(code, Some(0));
    let log = log.join("\n");
    for secret in ["code=", "state=", COOKIE_SECRET, "vestibule-demo-secret", "eyJ"] {
        assert!(!log.contains(secret), "{secret} in the log:\n{log}");
    }
    site.provider.shutdown().await;
}

#[tokio::test]
async fn nobody_gets_in_without_a_login() {
    let site = Site::start().await;
    let browser = Browser::new();
    let refused = browser.fetch(&site.url("/data.json")).await;
    assert_eq!(refused.status, StatusCode::UNAUTHORIZED);
    assert!(refused.body.contains("/.vestibule/login"), "{}", refused.body);

    let spoofed =
        format!("GET / HTTP/1.1\r\nHost: {}\r\nX-Forwarded-User: alice\r\nX-Forwarded-Email: alice@example.com\r\n\r\n", site.address);
    let (head, _) = Wire::connect(site.address).await.exchange(&spoofed).await.expect("a response");
    assert_ne!(head.status(), 200);

    let url = format!("ws://{}/ws", site.address);
    let tungstenite::Error::Http(response) = tokio_tungstenite::connect_async(url).await.expect_err("not logged in") else {
        panic!("the answer to an upgrade is a response");
    };
    assert_eq!(response.status().as_u16(), 401);
    assert_eq!(site.app.requests(), 0);
}

#[tokio::test]
async fn claimed_identities_end_at_the_edge_whoever_may_pass() {
    const CLAIMS: &str = "X-Forwarded-User: mallory\r\nX_Forwarded_Email: mallory@evil.example\r\nX-Forwarded-Preferred-Username: mallory\r\n\
                          X-Forwarded-Groups: mallory\r\n";
    let site = Site::start_configured("login = \"optional\"\n", Application::start().await, "http", &[], &[]).await;
    let browser = Browser::new();
    browser.open(&site.url("/")).await;
    for (logged_in, email) in [(false, vec![]), (true, vec!["alice@example.com"])] {
        if logged_in {
            let asked = browser.log_in(&site.url("/.vestibule/login"), "alice").await;
            assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
        }
        let url: Url = site.url("/").parse().expect("a URL");
        for method in ["GET", "OPTIONS", "POST"] {
            let cookies = browser.cookies(&url);
            let request =
                format!("{method} / HTTP/1.1\r\nHost: {}\r\nContent-Length: 0\r\nCookie: {cookies}\r\n{CLAIMS}\r\n", site.address);
            let (head, body) = Wire::connect(site.address).await.exchange(&request).await.expect("a response");
            assert_eq!(head.status(), 200, "{method}: {body}");
            assert!(!body.contains("mallory"), "{method}: {body}");
            assert_eq!(Head::echoed(body).values("x-forwarded-email"), email, "{method}");
        }
    }
}

#[tokio::test]
async fn options_without_a_login_does_not_pass() {
    let site = Site::start().await;
    let request = format!("OPTIONS / HTTP/1.1\r\nHost: {}\r\nX-Forwarded-User: mallory\r\n\r\n", site.address);
    let (head, _) = Wire::connect(site.address).await.exchange(&request).await.expect("a response");
    assert_eq!((head.status(), site.app.requests()), (401, 0));
}

#[tokio::test]
async fn a_malformed_response_is_not_quoted_in_the_log() {
    let mut site = Site::start().await;
    let browser = Browser::new();
    browser.log_in(&site.url("/"), "alice").await;
    let page = browser.open(&site.url("/malformed")).await;
    assert_eq!(page.status, StatusCode::BAD_GATEWAY, "{}", page.body);
    let failure = site.program.wait_for("request.failed").await;
    assert_eq!((failure["problem"].as_str(), failure["path"].as_str()), (Some("InvalidHTTPHeader"), Some("/malformed")));
    site.program.signal(Signal::TERM);
    let (_, log) = site.program.ended().await;
    let log = log.join("\n");
    assert!(!log.contains("NOT-FOR-THE-LOG"), "{log}");
}

#[tokio::test]
async fn a_websocket_opens_with_the_session() {
    let site = Site::start().await;
    let browser = Browser::new();
    browser.log_in(&site.url("/"), "alice").await;

    let mut request = format!("ws://{}/ws", site.address).into_client_request().expect("a request");
    let url: Url = site.url("/ws").parse().expect("a URL");
    request.headers_mut().insert("cookie", browser.cookies(&url).parse().expect("a value"));
    request.headers_mut().insert("origin", site.url("").parse().expect("a value"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("an upgrade");
    socket.send(Message::text("hello")).await.expect("sent");
    assert_eq!(socket.next().await.expect("an echo").expect("a message"), Message::text("hello"));
}

#[tokio::test]
async fn a_configuration_is_replaced_while_running() {
    let mut site = Site::start().await;
    let browser = Browser::new();
    browser.log_in(&site.url("/"), "alice").await;
    let mut kept = Wire::connect(site.address).await;
    let url: Url = site.url("/").parse().expect("a URL");
    let request = format!("GET / HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", site.address, browser.cookies(&url));
    assert_eq!(kept.exchange(&request).await.expect("a response").0.status(), 200);

    // Found by looking at the file.
    std::fs::write(&site.config, "[auth]\nredirect_uri = 7\n").expect("written");
    site.program.wait_for("configuration.fault").await;
    site.program.wait_for("configuration.kept").await;
    assert_eq!(kept.exchange(&request).await.expect("a response").0.status(), 200, "the old one stays in use");

    let other = Application::start().await;
    std::fs::write(&site.config, secrets_toml(&site.provider, &other.url())).expect("written");
    site.program.signal(Signal::HUP);
    site.program.wait_for("configuration.reloaded").await;
    let before = site.app.requests();
    let (head, _) = kept.exchange(&request).await.expect("a response on the same connection");
    assert_eq!((head.status(), other.requests(), site.app.requests()), (200, 1, before));
}

#[tokio::test]
async fn a_stop_lets_requests_finish_within_the_grace() {
    let site = Site::start().await;
    let browser = Browser::new();
    browser.log_in(&site.url("/"), "alice").await;
    let url: Url = site.url("/slow").parse().expect("a URL");
    let request = format!("GET /slow HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", site.address, browser.cookies(&url));
    let mut peer = Wire::connect(site.address).await;
    peer.stream.write_all(request.as_bytes()).await.expect("sent");
    peer.read_until("first").await.expect("the first bytes");

    let mut program = site.program;
    program.signal(Signal::TERM);
    program.wait_for("listener.stopping").await;
    site.app.controls.release.notify_one();
    peer.read_until("last").await.expect("the last bytes");
    let since = Instant::now();
    let (code, _) = program.ended().await;
    assert_eq!(code, Some(0));
    assert!(since.elapsed() < Duration::from_secs(8), "it waited for its grace: {:?}", since.elapsed());
}

#[tokio::test]
async fn an_application_behind_tls_is_verified() {
    let folder = tempfile::tempdir().expect("a folder");
    let (known, unknown) = (Identity::new(), Identity::new());
    let trusted = folder.path().join("ca.pem");
    std::fs::write(&trusted, known.certificate_pem()).expect("written");
    for (identity, status) in [(&known, StatusCode::OK), (&unknown, StatusCode::BAD_GATEWAY)] {
        let app = Application::start_tls(identity.acceptor()).await;
        let site = Site::start_with(app, "https", &[], &[("SSL_CERT_FILE", text(&trusted))]).await;
        let page = Browser::new().log_in(&site.url("/"), "alice").await;
        assert_eq!(page.status, status, "{}", page.body);
        assert_eq!(site.app.requests(), usize::from(status == StatusCode::OK));
    }
}

/// What a person sees whose application is down, in the language of their browser.
async fn page_of_failure(site: &Site, browser: &Browser, language: &str) -> String {
    let url: Url = site.url("/").parse().expect("a URL");
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\nAccept-Language: {language}\r\nCookie: {}\r\n\r\n",
        site.address,
        browser.cookies(&url)
    );
    let (head, body) = Wire::connect(site.address).await.exchange(&request).await.expect("a page");
    assert_eq!((head.status(), head.values("content-language")), (502, vec![language]), "{body}");
    let policy = head.values("content-security-policy").join("");
    assert!(policy.starts_with("default-src 'none'; style-src 'nonce-") && !policy.contains("script-src"), "{policy}");
    body
}

#[tokio::test]
async fn the_edges_own_pages_name_the_application() {
    let pages = "[vestibule.pages]\nname = \"<b>Sales</b> & \\\"reports\\\"\"\naccent = \"#14805e\"\nsupport = \"Help: it@example.com\"\n";
    let nobody = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("an address");
    let upstream = format!("http://{nobody}");
    let mut site = Site::start_configured(pages, Application::start().await, "http", &["--upstream", &upstream], &[]).await;
    let browser = Browser::new();
    browser.log_in(&site.url("/"), "alice").await;
    for (language, title) in [("de", "Die Anwendung ist nicht verfügbar"), ("en", "The application is not available")] {
        let page = page_of_failure(&site, &browser, language).await;
        for shown in [
            &*format!("<title>{title} – &#60;b&#62;Sales&#60;/b&#62; &#38; &#34;reports&#34;</title>"),
            "<span>&#60;b&#62;Sales&#60;/b&#62; &#38; &#34;reports&#34;</span>",
            "--accent: #14805e;",
            "Help: <a href=\"mailto:it@example.com\">it@example.com</a>",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        assert!(!page.contains("<b>"), "{page}");
    }

    let other = std::fs::read_to_string(&site.config).expect("the configuration").replace(pages, "[vestibule.pages]\nname = \"Other\"\n");
    std::fs::write(&site.config, other).expect("written");
    site.program.signal(Signal::HUP);
    site.program.wait_for("configuration.reloaded").await;
    assert!(page_of_failure(&site, &browser, "fr").await.contains("<span>Other</span>"));
}

/// The bytes between the application and the edge are encrypted here: where frames end is known all the same.
#[tokio::test]
async fn a_websocket_to_an_application_behind_tls_is_closed_with_a_reason() {
    let folder = tempfile::tempdir().expect("a folder");
    let (identity, trusted) = (Identity::new(), folder.path().join("ca.pem"));
    std::fs::write(&trusted, identity.certificate_pem()).expect("written");
    let app = Application::start_tls(identity.acceptor()).await;
    let site = Site::start_with(app, "https", &[], &[("SSL_CERT_FILE", text(&trusted))]).await;
    let browser = Browser::new();
    browser.log_in(&site.url("/"), "alice").await;
    let mut request = format!("ws://{}/ws", site.address).into_client_request().expect("a request");
    let url: Url = site.url("/ws").parse().expect("a URL");
    request.headers_mut().insert("cookie", browser.cookies(&url).parse().expect("a value"));
    request.headers_mut().insert("accept-language", "ja".parse().expect("a value"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("an upgrade");
    socket.send(Message::text("hello")).await.expect("sent");
    assert_eq!(socket.next().await.expect("an echo").expect("a message"), Message::text("hello"));
    browser.open(&site.url("/.vestibule/logout")).await;
    let end = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("an end").expect("a message").expect("no failure");
    let reason = vestibule::language::Language::Japanese.session_ended();
    assert_eq!(end, Message::Close(Some(CloseFrame { code: CloseCode::Policy, reason: reason.into() })));
}

#[tokio::test]
async fn health_is_told_on_the_admin_address_only() {
    let mut site = Site::start_with(Application::start().await, "http", &["--admin", "127.0.0.1:0"], &[]).await;
    let admin = site.program.written.iter().find(|line| line.contains("admin.listening")).expect("an admin address");
    let admin: Value = serde_json::from_str(admin).expect("JSON");
    let browser = Browser::new();
    let url = |path: &str| format!("http://{}{path}", admin["address"].as_str().expect("an address"));
    for path in ["/healthz", "/readyz"] {
        assert_eq!(browser.fetch(&url(path)).await.status, StatusCode::OK, "{path}");
    }
    assert_eq!(browser.fetch(&url("/")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(browser.fetch(&site.url("/healthz")).await.status, StatusCode::UNAUTHORIZED);
    site.program.wait_for("request").await;

    // Busy with a request, so that it stays a while.
    browser.log_in(&site.url("/"), "alice").await;
    let page: Url = site.url("/slow").parse().expect("a URL");
    let request = format!("GET /slow HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\n\r\n", site.address, browser.cookies(&page));
    let mut peer = Wire::connect(site.address).await;
    peer.stream.write_all(request.as_bytes()).await.expect("sent");
    peer.read_until("first").await.expect("the first bytes");
    site.program.signal(Signal::TERM);
    site.program.wait_for("listener.stopping").await;
    assert_eq!(browser.fetch(&url("/healthz")).await.status, StatusCode::OK, "it lives");
    assert_eq!(browser.fetch(&url("/readyz")).await.status, StatusCode::SERVICE_UNAVAILABLE, "and takes no more");
    site.app.controls.release.notify_one();
}

#[tokio::test]
async fn check_prints_every_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    std::fs::write(&config, "[auth]\nredirect_uri = \"ftp://x\"\ncookie_secret = \"xxx\"\nclient_id = \"a\"\n").expect("written");
    let arguments = ["check", "--config", text(&config)];
    let output = program::run_with_component(&arguments).await;
    let faults = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1), "{faults}");
    for (key, line) in [("redirect_uri", 2), ("cookie_secret", 3)] {
        let place = format!("secrets.toml:{line}: auth.{key}");
        assert!(faults.contains(&place), "{place} not in:\n{faults}");
    }

    let provider = Provider::start(Options::default()).await.expect("a provider");
    std::fs::write(&config, secrets_toml(&provider, "http://127.0.0.1:1")).expect("written");
    let output = program::run_with_component(&arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn check_online_says_what_a_provider_says_of_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    let arguments = ["check", "--online", "--config", text(&config)];
    let provider = Provider::start(Options::default()).await.expect("a provider");
    std::fs::write(&config, secrets_toml(&provider, "http://127.0.0.1:1")).expect("written");
    let output = program::run_with_component(&arguments).await;
    let (told, faults) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{faults}");
    for line in [
        "provider `default`\n",
        &format!("  issuer: {}\n", provider.issuer()),
        "  clock: 0 s ahead of this one\n",
        "  PKCE with S256: listed\n",
        "  logout: at http://",
        "  keys: `",
        "  signatures: RS256\n",
    ] {
        assert!(told.contains(line), "{line:?} not in:\n{told}");
    }
    assert!(!told.contains("vestibule-demo-secret"), "{told}");

    let issuer = provider.issuer();
    provider.shutdown().await;
    let output = program::run_with_component(&arguments).await;
    let (told, faults) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(faults.contains("the metadata of provider `default` cannot be reached"), "{faults}");
    assert!(!told.contains("in order"), "{told} {issuer}");
}

#[tokio::test]
async fn a_providers_certificate_that_is_not_trusted_is_named_at_a_check_and_at_a_login() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    let provider = Provider::start(Options::default()).await.expect("a provider");
    let behind_tls = Application::start_tls(Identity::new().acceptor()).await;
    let metadata_url = format!("https://localhost:{}/.well-known/openid-configuration", behind_tls.address.port());
    let toml = secrets_toml(&provider, "http://127.0.0.1:1").replace(&provider.metadata_url(), &metadata_url);
    std::fs::write(&config, toml).expect("written");
    let named = "the metadata of provider `default` cannot be reached: the certificate that localhost presents is signed by itself and not \
                 trusted: if it is yours, add it to this machine's authorities, or to the file that SSL_CERT_FILE names";

    let component = program::component();
    let output = program::run(&["check", "--online", "--config", text(&config), "--component", text(&component)]).await;
    let faults = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(1) && faults.contains(named), "{faults}");

    let mut program = Program::start(&["serve", "--config", text(&config), "--listen", "127.0.0.1:0"], &[]);
    let listening = program.wait_for("listener.listening").await;
    let page = Browser::new().open(&format!("http://{}/.vestibule/login", listening["address"].as_str().expect("an address"))).await;
    assert_eq!(page.status, StatusCode::SERVICE_UNAVAILABLE, "{}", page.body);
    assert!(!page.body.contains("certificate"), "that is for the operator: {}", page.body);
    let event = program.wait_for("provider.unreachable").await;
    assert!(event["message"].as_str().is_some_and(|message| message.contains(named)), "{event}");
}

#[tokio::test]
async fn a_configuration_that_cannot_be_read_is_told_once_and_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let missing = folder.path().join("no-such.toml");
    for command in ["check", "serve"] {
        let output = program::run(&[command, "--config", text(&missing), "--component", "no/such.wasm"]).await;
        let message = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert_eq!(message.matches("No such file").count(), 1, "{message}");
        assert!(message.contains("no-such.toml") && message.contains("create the file") && !message.contains("wasm"), "{message}");
    }
    let output = program::run(&["check", "--config", text(folder.path())]).await;
    let message = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.code() == Some(1) && !message.contains("create the file"), "{message}");
}

#[tokio::test]
async fn a_cookie_secret_is_fresh() {
    let (one, other) = (program::run(&["cookie-secret"]).await, program::run(&["cookie-secret"]).await);
    assert!(one.status.success() && one.stdout.len() > 40 && one.stdout != other.stdout);
}

#[tokio::test]
async fn a_component_that_is_not_there_is_told_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    std::fs::write(&config, "").expect("written");
    let output = program::run(&["check", "--component", "no/such.wasm", "--config", text(&config)]).await;
    let message = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains("no/such.wasm") && message.contains("make build"), "{message}");
}
