//! The audit of the running program: a line for each event as `docs/audit.md` shows it, and what becomes of the lines.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::time::Duration;

use reqwest::{StatusCode, Url};
use rustix::process::Signal;
use serde_json::{Map, Value};
use tempfile::TempDir;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::application::Application;
use crate::browser::Browser;
use crate::login::{Site, secrets_toml, text};
use crate::program::{self, Program};
use crate::raw::Wire;

const RULES: &str = "[[vestibule.rule]]\npath = \"/admin/**\"\nrequire = { groups = \"nobody\" }\n[[vestibule.rule]]\n";

/// Between two looks at a file, and how many there are: a minute.
const PAUSE: Duration = Duration::from_millis(20);
const LOOKS: usize = 3_000;

/// Fields whose values are others in each run.
const VARIABLE: [&str; 6] = ["time", "request_id", "session", "client", "reference", "lost"];

fn log_section(audit: &str, more: &str) -> String {
    format!("[vestibule.log]\naudit = \"{audit}\"\n{more}")
}

async fn site(folder: &TempDir, more: &str) -> Site {
    let audit = format!("file:{}", folder.path().join("audit.jsonl").display());
    Site::start_configured(&(RULES.to_owned() + &log_section(&audit, more)), Application::start().await, "http", &[], &[]).await
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// Waits until the file has a line with this event, and returns the first.
async fn written(path: &Path, event: &str) -> Value {
    for _ in 0..LOOKS {
        if let Some(line) = lines(path).into_iter().find(|line| line["event"] == event) {
            return line;
        }
        tokio::time::sleep(PAUSE).await;
    }
    panic!("no line with {event} in {:?}", lines(path));
}

async fn log_in(site: &Site, path: &str) -> Browser {
    let browser = Browser::new();
    let page = browser.log_in(&site.url(path), "alice").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    browser
}

/// Comes back from the provider without a login.
async fn cancel(site: &Site) {
    let browser = Browser::new();
    let asked = browser.open(&site.url("/")).await;
    let state = asked.url.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let issuer = asked.url.origin().ascii_serialization();
    let mut back: Url = site.url("/oauth2callback").parse().expect("a URL");
    back.query_pairs_mut().extend_pairs([("error", "access_denied"), ("state", &state), ("iss", &issuer)]);
    let page = browser.open(back.as_str()).await;
    assert!(page.status.is_client_error(), "{}", page.body);
}

/// The documentation's lines, by their events.
fn documented() -> BTreeMap<String, Map<String, Value>> {
    let page = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/audit.md")).expect("a page");
    let lines = page.lines().filter_map(|line| line.strip_prefix("    {\"time\"")).map(|rest| format!("{{\"time\"{rest}"));
    let parsed = lines.map(|line| serde_json::from_str::<Map<String, Value>>(&line).expect("JSON"));
    parsed.map(|line| (line["event"].as_str().expect("a name").to_owned(), line)).collect()
}

/// Whether a line is as the documentation shows it, but for what differs in each run.
fn is_as_documented(found: &Value, shown: &Map<String, Value>) {
    let found = found.as_object().expect("an object");
    let keys = |line: &Map<String, Value>| line.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(found), keys(shown), "{found:?}");
    for (key, value) in found.iter().filter(|(key, _)| !VARIABLE.contains(&key.as_str())) {
        assert_eq!(value, &shown[key], "{key} in {found:?}");
    }
    for (key, value) in shown.iter().filter(|(key, _)| ["time", "request_id", "session", "reference"].contains(&key.as_str())) {
        let (found, shown) = (found[key].as_str().expect("text"), value.as_str().expect("text"));
        assert_eq!(found.len(), shown.len(), "{key}: {found}");
    }
}

#[tokio::test]
async fn a_session_that_a_login_replaces_has_a_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let site = site(&folder, "").await;
    let browser = log_in(&site, "/reports").await;
    let first = written(&path, "login").await;
    let page = browser.log_in(&site.url("/.vestibule/login?prompt=select_account"), "bob").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    let ended = written(&path, "session_ended").await;
    assert_eq!((&ended["session"], &ended["code"]), (&first["session"], &Value::from("login.succeeded")), "{ended}");
    let logins: Vec<_> = lines(&path).into_iter().filter(|line| line["event"] == "login").collect();
    assert_eq!((logins.len(), &logins[1]["request_id"]), (2, &ended["request_id"]), "{logins:?}");
    assert!(ended.get("subject").is_none() && ended["path"] == "/oauth2callback", "{ended}");
}

#[tokio::test]
async fn each_event_has_a_line_as_documented() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let mut site = site(&folder, "subject = true\nrequests = true\n").await;

    let browser = log_in(&site, "/reports").await;
    assert_eq!(browser.fetch(&site.url("/admin/users")).await.status, StatusCode::FORBIDDEN);
    cancel(&site).await;
    let mut request = format!("ws://{}/ws", site.address).into_client_request().expect("a request");
    let url: Url = site.url("/ws").parse().expect("a URL");
    request.headers_mut().insert("cookie", browser.cookies(&url).parse().expect("a value"));
    request.headers_mut().insert("origin", site.url("").parse().expect("a value"));
    let (_socket, _) = tokio_tungstenite::connect_async(request).await.expect("an upgrade");
    browser.open(&site.url("/.vestibule/logout")).await;
    written(&path, "session_ended").await;

    let good = fs::read_to_string(&site.config).expect("a file");
    fs::write(&site.config, "[auth]\nredirect_uri = 7\n").expect("written");
    site.program.wait_for("configuration.kept").await;
    fs::write(&site.config, &good).expect("written");
    site.program.wait_for("configuration.reloaded").await;
    site.program.signal(Signal::TERM);
    let (code, log) = site.program.ended().await;
    assert_eq!(code, Some(0));

    let mut shown = documented();
    assert!(shown.remove("lines_lost").is_some(), "another test has it");
    let found = lines(&path);
    for (event, shown) in &shown {
        let line = found.iter().find(|line| line["event"] == **event).unwrap_or_else(|| panic!("no {event} in {found:?}"));
        is_as_documented(line, shown);
        // The log has the request under the same name.
        if let Some(name) = line["request_id"].as_str() {
            assert!(log.iter().any(|line| line.contains(name)), "{line}");
        }
    }
    assert!(found.iter().all(|line| shown.contains_key(line["event"].as_str().expect("a name"))), "{found:?}");
    let of = |event: &str| found.iter().filter(|line| line["event"] == event).collect::<Vec<_>>();
    for once in ["login", "login_failed", "logout", "refused", "session_ended", "started", "stopped", "configuration_refused"] {
        assert_eq!(of(once).len(), 1, "{once} in {found:?}");
    }
    let session = &of("login")[0]["session"];
    assert!(["forwarded", "refused", "logout", "session_ended"].iter().all(|event| of(event)[0]["session"] == *session), "{found:?}");
    let opened = of("forwarded").into_iter().find(|line| line["path"] == "/ws").expect("the WebSocket");
    assert_eq!(opened["request_id"], of("session_ended")[0]["request_id"]);
    // What a line holds opens nothing.
    let text = fs::read_to_string(&path).expect("a file");
    for secret in ["code=", "state=", crate::login::COOKIE_SECRET, "vestibule-demo-secret", "eyJ"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn nobody_is_named_unless_the_configuration_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let site = site(&folder, "").await;
    let browser = log_in(&site, "/reports").await;
    browser.fetch(&site.url("/admin/users")).await;
    browser.open(&site.url("/.vestibule/logout")).await;
    let (login, logout) = (written(&path, "login").await, written(&path, "logout").await);
    assert_eq!(login["session"].as_str().map(str::len), Some(22));
    assert_eq!((&login["session"], &login["provider"]), (&logout["session"], &"default".into()));
    assert_eq!(written(&path, "refused").await["session"], login["session"]);
    let text = fs::read_to_string(&path).expect("a file");
    for name in ["alice", "subject", "email", "forwarded"] {
        assert!(!text.contains(name), "{name} in {text}");
    }
}

#[tokio::test]
async fn without_the_setting_there_is_no_audit() {
    let site = Site::start_configured(RULES, Application::start().await, "http", &[], &[]).await;
    let browser = log_in(&site, "/").await;
    browser.open(&site.url("/.vestibule/logout")).await;
    site.program.signal(Signal::TERM);
    let (_, log) = site.program.ended().await;
    assert!(!log.iter().any(|line| line.contains("\"event\":")), "{log:?}");
}

#[tokio::test]
async fn the_log_has_the_lines_where_that_is_asked_for_whatever_else_it_leaves_out() {
    let provider = vestibule_dev_provider::Provider::start(vestibule_dev_provider::Options::default()).await.expect("a provider");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("secrets.toml");
    let more = RULES.to_owned() + &log_section("log", "");
    fs::write(&config, secrets_toml(&provider, "http://127.0.0.1:1") + &more).expect("written");
    let mut program = Program::start(&["serve", "--config", text(&config), "--listen", "127.0.0.1:0"], &[("VESTIBULE_LOG", "off")]);
    let started: Value = serde_json::from_str(&program.next_line().await.expect("a line")).expect("JSON");
    assert_eq!(started["event"], "started");
    program.signal(Signal::TERM);
    let (code, log) = program.ended().await;
    let last: Value = serde_json::from_str(log.last().expect("a line")).expect("JSON");
    assert_eq!((code, log.len(), &last["event"]), (Some(0), 1, &Value::from("stopped")), "{log:?}");
    provider.shutdown().await;
}

#[tokio::test]
async fn a_file_that_is_rotated_is_opened_anew_on_either_signal() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let site = site(&folder, "").await;
    written(&path, "started").await;
    let refuse = async || {
        let request = format!("GET /admin/x HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\nSec-Fetch-Mode: cors\r\n\r\n", site.address);
        Wire::connect(site.address).await.exchange(&request).await.expect("a response").0.status()
    };
    for (number, signal) in [Signal::USR1, Signal::HUP].into_iter().enumerate() {
        let rotated = folder.path().join(format!("audit.jsonl.{number}"));
        fs::rename(&path, &rotated).expect("renamed");
        site.program.signal(signal);
        let made = async {
            while !path.exists() {
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), made).await.expect("a new file");
        let before = lines(&rotated).len();
        cancel(&site).await;
        written(&path, "login_failed").await;
        assert_eq!(lines(&rotated).len(), before, "nothing more goes to the old one");
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(refuse().await, 401, "it still serves");
}

#[tokio::test]
async fn a_full_disk_costs_lines_and_neither_requests_nor_the_door() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    symlink("/dev/full", &path).expect("a link");
    let mut site = site(&folder, "requests = true\n").await;
    site.program.wait_for("audit.failed").await;
    let browser = log_in(&site, "/").await;
    for _ in 0..20 {
        assert_eq!(browser.fetch(&site.url("/page")).await.status, StatusCode::OK);
        assert_eq!(browser.fetch(&site.url("/admin/users")).await.status, StatusCode::FORBIDDEN);
        assert_eq!(Browser::new().fetch(&site.url("/page")).await.status, StatusCode::UNAUTHORIZED);
    }
    // There is room again.
    fs::remove_file(&path).expect("removed");
    site.program.signal(Signal::USR1);
    let lost = site.program.wait_for("audit.lost").await["lost"].as_u64().expect("a number");
    // `started`, the login, its page, and two for each round.
    assert_eq!(lost, 43);
    let told = written(&path, "lines_lost").await;
    assert_eq!(told["lost"], lost);
    is_as_documented(&told, &documented()["lines_lost"]);
    cancel(&site).await;
    written(&path, "login_failed").await;
    let failures = site.program.written.iter().filter(|line| line.contains("audit.failed")).count();
    assert_eq!(failures, 1, "it is told once");
}

#[tokio::test]
async fn a_file_that_cannot_be_opened_keeps_the_program_from_starting_and_a_reload_out() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let mut site = site(&folder, "").await;
    let good = fs::read_to_string(&site.config).expect("a file");
    let bad = good.replace("/audit.jsonl", "/absent/audit.jsonl");
    assert_ne!(good, bad);
    fs::write(&site.config, bad).expect("written");
    let fault = site.program.wait_for("configuration.fault").await;
    assert!(fault["message"].as_str().is_some_and(|message| message.contains("/absent/audit.jsonl")), "{fault}");
    site.program.wait_for("configuration.kept").await;
    written(&path, "configuration_refused").await;

    let output = program::run_with_component(&["serve", "--config", text(&site.config), "--listen", "127.0.0.1:0"]).await;
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.code() == Some(1) && error.contains("/absent/audit.jsonl"), "{error}");
}

#[tokio::test]
async fn what_another_proxy_is_told_is_about_the_request_that_it_has() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    let provider = vestibule_dev_provider::Provider::start(vestibule_dev_provider::Options::default()).await.expect("a provider");
    let config = folder.path().join("secrets.toml");
    let more = "[[vestibule.rule]]\npath = \"/app/**\"\n".to_owned() + &log_section(&format!("file:{}", path.display()), "");
    let secrets = secrets_toml(&provider, "");
    let without_upstream: String = secrets.lines().filter(|line| !line.starts_with("upstream")).map(|line| format!("{line}\n")).collect();
    let authz =
        format!("{without_upstream}mode = \"authz\"\n[vestibule.authz]\nproxy = \"traefik\"\ntrusted_proxies = \"127.0.0.1\"\n{more}");
    fs::write(&config, authz).expect("written");
    let mut program = Program::start(&["serve", "--config", text(&config), "--listen", "127.0.0.1:0"], &[]);
    let listening = program.wait_for("listener.listening").await;
    let address = listening["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
    let question = format!(
        "GET /.vestibule/check HTTP/1.1\r\nHost: v\r\nX-Forwarded-Method: DELETE\r\nX-Forwarded-Uri: /elsewhere?code=secret\r\n\
         X-Forwarded-Host: {address}\r\nX-Forwarded-For: 192.0.2.7\r\nX-Request-Id: of-the-proxy\r\n\r\n"
    );
    let (head, _) = Wire::connect(address).await.exchange(&question).await.expect("an answer");
    assert_eq!(head.status(), 403);
    let (head, _) = Wire::connect_from("127.0.0.2", address).await.exchange(&question).await.expect("an answer");
    assert_eq!(head.status(), 403, "this peer may not ask");
    let denied = program.wait_for("policy.denied").await;
    assert_eq!(denied["request_id"], "of-the-proxy");
    program.signal(Signal::TERM);
    program.ended().await;
    let found = lines(&path);
    let refused: Vec<_> = found.iter().filter(|line| line["event"] == "refused").collect();
    let [about, of_a_stranger] = refused[..] else { panic!("two lines in {found:?}") };
    let field = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let fields = ["request_id", "client", "method", "path", "code"].map(|name| field(about, name));
    assert_eq!(fields, ["of-the-proxy", "192.0.2.7", "DELETE", "/elsewhere", "policy.denied"]);
    let fields = ["client", "method", "path", "code"].map(|name| field(of_a_stranger, name));
    assert_eq!(fields, ["127.0.0.2", "GET", "/.vestibule/check", "authz.peer_refused"]);
    assert_ne!(of_a_stranger["request_id"], "of-the-proxy");
    provider.shutdown().await;
}
