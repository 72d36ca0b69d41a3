//! The program as a service that another proxy asks.

use reqwest::StatusCode;
use tempfile::TempDir;
use vestibule_dev_provider::{Options, Provider, Running};

use crate::browser::Browser;
use crate::program::{self, Program};
use crate::raw::Wire;

const QUESTION: &str = "GET /.vestibule/check HTTP/1.1\r\nHost: vestibule\r\nX-Forwarded-Method: GET\r\nX-Forwarded-Uri: /a?b=c\r\n\
                        X-Forwarded-Host: 127.0.0.1:8501\r\nAccept: text/html\r\n\r\n";

/// The service, and what must live as long.
struct Service {
    program: Program,
    address: std::net::SocketAddr,
    config: std::path::PathBuf,
    _provider: Running,
    _folder: TempDir,
}

impl Service {
    async fn start(more: &str) -> Self {
        let provider = Provider::start(Options::default()).await.expect("a provider");
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("secrets.toml");
        let text = format!(
            "[auth]\nredirect_uri = \"http://127.0.0.1:8501/oauth2callback\"\ncookie_secret = \"6be1f0c84d7a92e5b3185fd06c49e7a21b8d30f59ce467a2\"\n\
             client_id = \"vestibule-demo\"\nclient_secret = \"vestibule-demo-secret\"\nserver_metadata_url = \"{}\"\n\
             [vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"caddy\"\n{more}",
            provider.metadata_url()
        );
        std::fs::write(&config, text).expect("written");
        let mut program = Program::start(&["serve", "--config", config.to_str().expect("text"), "--listen", "127.0.0.1:0"], &[]);
        let listening = program.wait_for("listener.listening").await;
        let address = listening["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
        Self { program, address, config, _provider: provider, _folder: folder }
    }
}

#[tokio::test]
async fn a_question_is_answered_without_an_application() {
    let service = Service::start("").await;
    let (head, _) = Wire::connect(service.address).await.exchange(QUESTION).await.expect("an answer");
    assert_eq!(head.status(), 302);
    assert!(head.values("location")[0].starts_with("http://127.0.0.1:8501/.vestibule/login?return_to="), "{head:?}");
    let other = "GET / HTTP/1.1\r\nHost: vestibule\r\nX-Forwarded-Uri: /\r\n\r\n";
    let (head, _) = Wire::connect(service.address).await.exchange(other).await.expect("an answer");
    assert_eq!(head.status(), 404, "and nothing is passed on");
}

#[tokio::test]
async fn a_peer_that_is_no_trusted_proxy_is_403() {
    let mut service = Service::start("trusted_proxies = [\"192.0.2.7\"]\n").await;
    let (head, body) = Wire::connect(service.address).await.exchange(QUESTION).await.expect("an answer");
    assert_eq!((head.status(), body.as_str()), (403, ""));
    let refused = service.program.wait_for("authz.peer_refused").await;
    assert_eq!(refused["peer"], "127.0.0.1");
    let page = Browser::new().open(&format!("http://{}/.vestibule/login", service.address)).await;
    assert_eq!(page.status, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn logins_are_limited_for_whoever_the_proxy_tells_and_questions_are_not() {
    let service = Service::start("[vestibule.limits]\nlogins_per_minute = 1\n").await;
    let address = service.address;
    let login = async |told: &str| {
        let request = format!("GET /.vestibule/login?moved=1 HTTP/1.1\r\nHost: vestibule\r\nAccept: text/html\r\n{told}\r\n");
        Wire::connect(address).await.exchange(&request).await.expect("an answer").0.status()
    };
    assert_eq!(login("X-Forwarded-For: 192.0.2.7\r\n").await, 302);
    assert_eq!(login("X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n").await, 429);
    assert_eq!(login("X-Forwarded-For: 192.0.2.8\r\n").await, 302);
    // What a client says beside the proxy makes it nobody else.
    assert_eq!(login("X-Forwarded-For: 192.0.2.9\r\nForwarded: for=192.0.2.10\r\n").await, 302);
    for more in ["Forwarded: for=\"", "Forwarded: for=192.0.2.11", "X-Forwarded-Host: a b", "X-Forwarded-Proto: ftp, gopher"] {
        assert_eq!(login(&format!("X-Forwarded-For: 192.0.2.9\r\n{more}\r\n")).await, 429, "{more}");
    }
    let question = QUESTION.replacen("\r\n\r\n", "\r\nX-Forwarded-For: 192.0.2.7\r\nForwarded: for=192.0.2.10\r\n\r\n", 1);
    let (head, _) = Wire::connect(address).await.exchange(&question).await.expect("an answer");
    assert_eq!(head.status(), 302, "it starts no login");
}

#[tokio::test]
async fn an_application_cannot_be_named_and_check_tells_what_the_proxy_needs() {
    let service = Service::start("").await;
    let config = service.config.to_str().expect("text");
    let arguments = ["serve", "--config", config, "--listen", "127.0.0.1:0", "--upstream", "http://127.0.0.1:1"];
    let output = program::run_with_component(&arguments).await;
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.code() == Some(1) && error.contains("--upstream has no effect"), "{error}");

    let output = program::run_with_component(&["check", "--config", config]).await;
    let said = String::from_utf8(output.stdout).expect("text");
    assert!(said.contains("Cookie, X-Forwarded-User, X-Forwarded-Provider"), "{said}");
    assert!(said.contains("cookies that an answer can set: vestibule_session_"), "{said}");
    let paths = "/.vestibule/login, /.vestibule/logout, /.vestibule/logged-out, /.vestibule/backchannel-logout, \
                 /.vestibule/frontchannel-logout, /.vestibule/user, /.vestibule/refresh, /oauth2callback";
    assert!(said.contains(&format!("paths that the proxy sends to Vestibule without asking first: {paths}\n")), "{said}");
    let removed = said.lines().find_map(|line| line.strip_prefix("request headers that the proxy removes: ")).expect("a line");
    let removed: Vec<_> = removed.split(", ").collect();
    assert!(removed.contains(&"x-remote-user") && removed.contains(&"x-original-url") && removed.contains(&"proxy"), "{said}");
}
