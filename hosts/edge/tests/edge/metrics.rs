//! `/metrics`, `/readyz` and `vestibule health` of the running program: each outcome is produced over the wire, and counted.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use rustix::process::Signal;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use vestibule_edge::listen::limits::ConnectionLimits;

use crate::application::Application;
use crate::browser::Browser;
use crate::guest;
use crate::login::{Site, text};
use crate::program::{self, Program};
use crate::raw::Wire;
use crate::tls::Identity;

/// More than anything here takes, on a machine that compiles something else at the same time.
const HANG: Duration = Duration::from_secs(60);

/// Nobody listens there.
const DOWN: &str = "127.0.0.1:9";

const RULES: &str = r#"
[auth.down]
client_id = "vestibule-demo"
client_secret = "vestibule-demo-secret"
server_metadata_url = "http://127.0.0.1:9/.well-known/openid-configuration"
[[vestibule.rule]]
path = "/open/**"
access = "public"
[[vestibule.rule]]
path = "/admin/**"
require = { groups = "admins" }
[[vestibule.rule]]
path = "/**"
"#;

/// Values by name and labels, as they stand in the text.
#[derive(Debug)]
pub(crate) struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    pub(crate) async fn of(admin: SocketAddr) -> Self {
        let (head, body) = Wire::connect(admin).await.exchange("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
        assert_eq!(head.status(), 200);
        assert_eq!(head.values("content-type"), ["application/openmetrics-text; version=1.0.0; charset=utf-8"]);
        assert!(body.ends_with("# EOF\n"), "{body}");
        let samples = body.lines().filter(|line| !line.starts_with('#'));
        let samples = samples.map(|line| line.rsplit_once(' ').expect("a value"));
        Self(samples.map(|(name, value)| (name.to_owned(), value.parse().expect("a number"))).collect())
    }

    /// # Panics
    /// If there is no such series.
    pub(crate) fn of_series(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("no {series} in {:#?}", self.0.keys()))
    }

    fn has(&self, part: &str) -> bool {
        self.0.keys().any(|series| series.contains(part))
    }
}

/// Waits until a series has a value: what is counted at the end of an exchange may be counted after its last byte.
pub(crate) async fn becomes(admin: SocketAddr, series: &str, value: f64) {
    let reached = async {
        while Scrape::of(admin).await.of_series(series) != value {
            sleep(Duration::from_millis(20)).await;
        }
    };
    if timeout(HANG, reached).await.is_err() {
        panic!("{series} is {} and not {value}", Scrape::of(admin).await.of_series(series));
    }
}

pub(crate) fn admin_of(program: &Program) -> SocketAddr {
    let line = program.written.iter().find(|line| line.contains("admin.listening")).expect("an admin address");
    let line: Value = serde_json::from_str(line).expect("JSON");
    line["address"].as_str().and_then(|address| address.parse().ok()).expect("an address")
}

async fn site() -> (Site, SocketAddr) {
    let site = Site::start_configured(RULES, Application::start().await, "http", &["--admin", "127.0.0.1:0"], &[]).await;
    let admin = admin_of(&site.program);
    (site, admin)
}

async fn get(address: SocketAddr, path: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: application/json\r\n\r\n");
    Wire::connect(address).await.exchange(&request).await.expect("a response").0.status()
}

#[tokio::test]
async fn each_outcome_is_counted() {
    let (site, admin) = site().await;
    // Everything is there before anything happens.
    let before = Scrape::of(admin).await;
    for series in [
        r#"vestibule_http_requests_total{outcome="forwarded",status="2xx"}"#,
        r#"vestibule_rule_decisions_total{rule="3",outcome="denied"}"#,
        r#"vestibule_events_total{code="login.succeeded",provider="default"}"#,
        r#"vestibule_provider_request_errors_total{provider="down",kind="metadata",reason="unreachable"}"#,
        r#"vestibule_upgrades_closed_total{reason="session_ended"}"#,
        r#"vestibule_connections_refused_total{limit="client"}"#,
    ] {
        assert_eq!(before.of_series(series), 0.0, "{series}");
    }
    assert_eq!(before.of_series(&format!("vestibule_build_info{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"))), 1.0);
    assert!(before.of_series("process_resident_memory_bytes") > 1e6);
    assert!(before.of_series("vestibule_instance_memory_bytes") >= 65536.0);
    assert!(!before.has("certificate"), "there is no TLS");

    assert_eq!(get(site.address, "/open/a?code=not-for-metrics").await, 200);
    assert_eq!(get(site.address, "/private").await, 401);
    let browser = Browser::new();
    let login = site.url("/.vestibule/login?provider=default&return_to=/app");
    assert_eq!(browser.log_in(&login, "bob").await.status, StatusCode::OK);
    assert_eq!(browser.fetch(&site.url("/admin/x")).await.status, StatusCode::FORBIDDEN);
    let down = site.url("/.vestibule/login?provider=down");
    assert_eq!(Browser::new().open(&down).await.status, StatusCode::SERVICE_UNAVAILABLE);

    becomes(admin, r#"vestibule_http_requests_total{outcome="answered",status="5xx"}"#, 1.0).await;
    let after = Scrape::of(admin).await;
    for (series, value) in [
        (r#"vestibule_http_requests_total{outcome="forwarded",status="2xx"}"#, 2.0),
        (r#"vestibule_http_requests_total{outcome="answered",status="4xx"}"#, 2.0),
        (r#"vestibule_http_requests_total{outcome="answered",status="3xx"}"#, 2.0),
        (r#"vestibule_rule_decisions_total{rule="1",outcome="admitted"}"#, 1.0),
        (r#"vestibule_rule_decisions_total{rule="2",outcome="denied"}"#, 1.0),
        (r#"vestibule_rule_decisions_total{rule="3",outcome="admitted"}"#, 1.0),
        (r#"vestibule_rule_decisions_total{rule="3",outcome="answered"}"#, 1.0),
        (r#"vestibule_events_total{code="policy.denied",provider="none"}"#, 1.0),
        (r#"vestibule_events_total{code="login.started",provider="default"}"#, 1.0),
        (r#"vestibule_events_total{code="login.succeeded",provider="default"}"#, 1.0),
        (r#"vestibule_events_total{code="provider.unreachable",provider="down"}"#, 1.0),
        (r#"vestibule_provider_request_errors_total{provider="down",kind="metadata",reason="unreachable"}"#, 1.0),
        (r#"vestibule_provider_request_errors_total{provider="default",kind="token",reason="status"}"#, 0.0),
        (r#"vestibule_decision_failures_total{reason="failed"}"#, 0.0),
        ("vestibule_instance_traps_total", 0.0),
        ("vestibule_decisions_waiting", 0.0),
    ] {
        assert_eq!(after.of_series(series), value, "{series}");
    }
    for kind in ["metadata", "token", "keys"] {
        let answered =
            after.of_series(&format!("vestibule_provider_request_duration_seconds_count{{provider=\"default\",kind=\"{kind}\"}}"));
        assert!(answered >= 1.0, "{kind}");
    }
    let unasked = r#"vestibule_provider_request_duration_seconds_count{provider="default",kind="userinfo"}"#;
    assert_eq!(after.of_series(unasked), 0.0);
    assert!(after.of_series("vestibule_connections_accepted_total") >= 4.0);
    // What clients and people send is in no label.
    for sent in ["not-for-metrics", "/open", "/private", "bob", "x-forwarded", DOWN] {
        assert!(!after.has(sent), "{sent}");
    }
}

#[tokio::test]
async fn upgrades_count_until_they_end_and_by_why() {
    let (site, admin) = site().await;
    let browser = Browser::new();
    browser.log_in(&site.url("/.vestibule/login?provider=default&return_to=/app"), "alice").await;
    let (mut one, _other) = (socket(&site, &browser).await, socket(&site, &browser).await);
    becomes(admin, "vestibule_upgrades_open", 2.0).await;
    one.close(None).await.expect("closed");
    drop(one);
    becomes(admin, r#"vestibule_upgrades_closed_total{reason="closed"}"#, 1.0).await;
    browser.open(&site.url("/.vestibule/logout")).await;
    becomes(admin, r#"vestibule_upgrades_closed_total{reason="session_ended"}"#, 1.0).await;
    becomes(admin, "vestibule_upgrades_open", 0.0).await;
}

#[tokio::test]
async fn reloads_count_by_outcome_and_change_the_series() {
    let (mut site, admin) = site().await;
    let good = fs::read_to_string(&site.config).expect("the configuration");
    let replace = |text: &str| {
        let new = site.config.with_extension("new");
        fs::write(&new, text).expect("written");
        fs::rename(&new, &site.config).expect("renamed");
    };
    assert_eq!(get(site.address, "/open/a").await, 200);
    let started = Scrape::of(admin).await.of_series("vestibule_configuration_last_reload_timestamp_seconds");
    replace("[auth]\n");
    becomes(admin, r#"vestibule_configuration_reloads_total{outcome="failure"}"#, 1.0).await;
    let failed = Scrape::of(admin).await;
    assert_eq!(failed.of_series("vestibule_configuration_last_reload_successful"), 0.0);
    assert_eq!(failed.of_series(r#"vestibule_configuration_reloads_total{outcome="success"}"#), 0.0);
    assert!(failed.has(r#"rule="3""#) && failed.has(r#"provider="down""#), "the old one stays in use");
    assert_eq!(get(admin, "/readyz").await, 200, "requests are decided on by the old one");

    let without_down = good.split("[auth.down]").next().expect("a part").to_owned() + "[[vestibule.rule]]\naccess = \"public\"\n";
    site.program.wait_for("configuration.kept").await;
    replace(&without_down);
    site.program.wait_for("configuration.reloaded").await;
    becomes(admin, r#"vestibule_configuration_reloads_total{outcome="success"}"#, 1.0).await;
    let after = Scrape::of(admin).await;
    assert_eq!(after.of_series("vestibule_configuration_last_reload_successful"), 1.0);
    assert!(after.of_series("vestibule_configuration_last_reload_timestamp_seconds") >= started);
    assert!(!after.has(r#"rule="2""#) && !after.has(r#"provider="down""#), "what the configuration does not have is gone");
    assert_eq!(after.of_series(r#"vestibule_rule_decisions_total{rule="1",outcome="admitted"}"#), 1.0, "what it has goes on");
    // The instances of the old one end.
    becomes(admin, "vestibule_instances", 1.0).await;
    assert!(Scrape::of(admin).await.of_series("vestibule_instances_retired_total") >= 1.0);
}

#[tokio::test]
async fn refused_connections_are_counted() {
    let (site, admin) = site().await;
    let mut held = Vec::new();
    for _ in 0..ConnectionLimits::default().each + 50 {
        held.push(Wire::connect(site.address).await);
    }
    // The limit follows the descriptors that the system lets the program have.
    let refused = r#"vestibule_connections_refused_total{limit="client"}"#;
    let all_are_there = async {
        loop {
            let now = Scrape::of(admin).await;
            let (open, refused) = (now.of_series("vestibule_connections_open"), now.of_series(refused));
            if open + refused == held.len() as f64 && refused >= 50.0 {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(HANG, all_are_there).await.expect("each is open or refused");
    drop(held);
    becomes(admin, "vestibule_connections_open", 0.0).await;
}

#[tokio::test]
async fn traps_are_counted_and_the_instance_is_replaced() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, component) = (folder.path().join("secrets.toml"), folder.path().join("guest.wasm"));
    // The whole text is the test component's URL.
    fs::write(&config, "http://127.0.0.1:9/").expect("written");
    fs::write(&component, guest::component()).expect("written");
    let app = Application::start().await;
    let (upstream, config, component) = (app.url(), text(&config), text(&component));
    let mut arguments = vec!["serve", "--config", config, "--component", component, "--upstream", &upstream];
    arguments.extend(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
    let mut program = Program::start_alone(&arguments);
    let listening = program.wait_for("listener.listening").await;
    let address = listening["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
    let admin = admin_of(&program);
    let before = Scrape::of(admin).await;
    assert_eq!((before.of_series("vestibule_instances"), before.of_series("vestibule_instance_traps_total")), (1.0, 0.0));
    assert_eq!(get(address, "/t").await, 500);
    let after = Scrape::of(admin).await;
    assert_eq!(after.of_series("vestibule_instance_traps_total"), 1.0);
    assert_eq!(after.of_series(r#"vestibule_decision_failures_total{reason="failed"}"#), 1.0);
    becomes(admin, "vestibule_instances", 0.0).await;
    assert_eq!(Scrape::of(admin).await.of_series("vestibule_instance_memory_bytes"), 0.0);
    assert_eq!(get(address, "/f").await, 200);
    assert_eq!(Scrape::of(admin).await.of_series("vestibule_instances"), 1.0);
}

#[tokio::test]
async fn the_end_of_the_certificate_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = Identity::new().write(folder.path());
    for file in [&certificate, &key] {
        fs::set_permissions(file, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("its owner's");
    }
    let arguments = ["--admin", "127.0.0.1:0", "--tls-cert", &certificate, "--tls-key", &key];
    let site = Site::start_configured("", Application::start().await, "http", &arguments, &[]).await;
    let not_after = Scrape::of(admin_of(&site.program)).await.of_series("vestibule_tls_certificate_not_after_timestamp_seconds");
    // rcgen's default is the first second of the year 4096.
    assert_eq!(not_after, 67_090_118_400.0);
}

#[tokio::test]
async fn a_program_that_stops_is_alive_and_not_ready() {
    let (mut site, admin) = site().await;
    assert_eq!((get(admin, "/healthz").await, get(admin, "/readyz").await), (200, 200));
    assert_eq!(health(admin).await, (Some(0), "ready\n".to_owned(), String::new()));
    // Something in flight, so that the end takes a while.
    let browser = Browser::new();
    browser.log_in(&site.url("/.vestibule/login?provider=default&return_to=/app"), "alice").await;
    let mut socket = socket(&site, &browser).await;
    site.program.signal(Signal::TERM);
    site.program.wait_for("listener.stopping").await;
    let mut monitor = Wire::connect(admin).await;
    let (head, body) = monitor.exchange("GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
    assert_eq!((head.status(), head.values("content-type")), (503, vec!["application/json"]));
    let told: Value = serde_json::from_str(&body).expect("JSON");
    assert_eq!((&told["status"], &told["reason"]), (&"unavailable".into(), &"stopping".into()));
    assert_eq!(get(admin, "/healthz").await, 200);
    let (code, out, error) = health(admin).await;
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(error.contains("answers 503") && error.lines().count() == 1, "{error}");
    socket.close(None).await.expect("closed");
    drop(socket);
    assert_eq!(site.program.ended().await.0, Some(0));
    let (code, _, error) = health(admin).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("no connection to"), "{error}");
}

#[tokio::test]
async fn a_program_without_its_application_is_not_ready_where_that_is_wanted() {
    let down = format!("http://{DOWN}");
    let ready = async |more: &[&str]| {
        let arguments = [&["--admin", "127.0.0.1:0"], more].concat();
        let site = Site::start_configured("", Application::start().await, "http", &arguments, &[]).await;
        let (head, body) = exchange(admin_of(&site.program), "GET", "/readyz").await;
        (head.status(), body)
    };
    assert_eq!(ready(&["--ready-needs-upstream"]).await.0, 200);
    assert_eq!(ready(&["--upstream", &down]).await.0, 200, "the application is not asked");
    let (status, body) = ready(&["--upstream", &down, "--ready-needs-upstream"]).await;
    assert_eq!((status, body.as_str()), (503, "{\"status\":\"unavailable\",\"reason\":\"upstream\"}\n"));
}

#[tokio::test]
async fn the_admin_address_answers_get_and_head_only() {
    let (_site, admin) = site().await;
    for path in ["/healthz", "/readyz", "/metrics"] {
        let (head, body) = exchange(admin, "POST", path).await;
        assert_eq!((head.status(), head.values("allow"), body.as_str()), (405, vec!["GET, HEAD"], ""), "{path}");
        let mut wire = Wire::connect(admin).await;
        wire.stream.write_all(format!("HEAD {path} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").as_bytes()).await.expect("sent");
        let head = wire.read_head().await.expect("a response");
        assert!(head.status() == 200 && head.content_length() > 0, "{path}");
        let mut rest = Vec::new();
        wire.stream.read_to_end(&mut rest).await.expect("an end");
        assert!(rest.is_empty(), "a body after the answer to HEAD {path}");
    }
    for path in ["/", "/metrics/", "/Metrics", "//metrics", "/metrics%2f", "/debug/pprof"] {
        assert_eq!(exchange(admin, "GET", path).await.0.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn a_health_check_takes_two_seconds_at_most_and_follows_nothing() {
    // One that accepts and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let began = Instant::now();
    let (code, _, error) = health(silent.local_addr().expect("an address")).await;
    assert_eq!(code, Some(1));
    assert!(error.contains("within 2 s") && began.elapsed() < Duration::from_secs(10), "{error}");

    for (answer, said) in [
        ("HTTP/1.1 302 Found\r\nLocation: /healthz\r\nContent-Length: 0\r\n\r\n".to_owned(), "answers 302"),
        ("SSH-2.0-OpenSSH\r\n\r\n".to_owned(), "is no HTTP/1.1"),
        (format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(100_000)), "head of more than"),
        ("HTTP/1.1 200 OK\r\n".to_owned(), "has no end"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let served = tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.expect("a connection");
            let mut request = [0; 1024];
            let length = peer.read(&mut request).await.expect("a request");
            // It may have seen enough before the end.
            let _ = peer.write_all(answer.as_bytes()).await;
            drop(peer);
            let again = timeout(Duration::from_millis(200), listener.accept()).await;
            (String::from_utf8_lossy(&request[..length]).into_owned(), again.is_ok())
        });
        let (code, out, error) = health(address).await;
        assert_eq!((code, out.as_str()), (Some(1), ""), "{said}");
        assert!(error.contains(said) && error.lines().count() == 1, "{said}: {error}");
        let (request, again) = served.await.expect("served");
        assert!(request.starts_with("GET /readyz HTTP/1.1\r\n") && !again, "{request}");
    }
}

/// A WebSocket through the program, with an echo.
async fn socket(site: &Site, browser: &Browser) -> WebSocketStream<MaybeTlsStream<TcpStream>> {
    let mut request = format!("ws://{}/ws", site.address).into_client_request().expect("a request");
    let cookies = browser.cookies(&site.url("/").parse().expect("a URL"));
    request.headers_mut().insert("cookie", cookies.parse().expect("a header"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("an upgrade");
    socket.send(Message::text("hello")).await.expect("sent");
    socket.next().await.expect("an echo").expect("a message");
    socket
}

async fn exchange(admin: SocketAddr, method: &str, path: &str) -> (crate::raw::Head, String) {
    let request = format!("{method} {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n");
    Wire::connect(admin).await.exchange(&request).await.expect("a response")
}

/// Exit code, standard output and standard error.
async fn health(admin: SocketAddr) -> (Option<i32>, String, String) {
    let output = program::run(&["health", "--admin", &admin.to_string()]).await;
    let said = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), said(output.stdout), said(output.stderr))
}
