//! Lines of the audit about sessions that have ended before their time, and the number that leads from a page to its line.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::application::Application;
use crate::browser::Browser;
use crate::login::{Site, text};
use crate::program;
use crate::provider_logout::{deliver, log_in, log_out_everywhere, token};

/// Between two looks at a file, and how many there are: a minute.
const PAUSE: Duration = Duration::from_millis(20);
const LOOKS: usize = 3_000;

const RULES: &str = "[[vestibule.rule]]\npath = \"/admin/**\"\nrequire = { groups = \"nobody\" }\n[[vestibule.rule]]\n";

struct Audited {
    folder: TempDir,
    site: Site,
}

impl Audited {
    async fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let audit = format!("{RULES}[vestibule.log]\naudit = \"file:{}\"\n{more}", folder.path().join("audit.jsonl").display());
        let control = folder.path().join("control");
        let site = Site::start_configured(&audit, Application::start().await, "http", &["--control", text(&control)], &[]).await;
        Self { folder, site }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("audit.jsonl")
    }

    async fn end(&self, which: &[&str]) {
        let control = self.folder.path().join("control");
        let output = program::run(&[&["sessions", "end", "--control", text(&control)], which].concat()).await;
        assert!(output.status.success(), "{output:?}");
    }

    /// The line with this code, once it is there; the only one.
    async fn line(&self, event: &str, code: &str) -> Value {
        for _ in 0..LOOKS {
            let found: Vec<_> = lines(&self.path()).into_iter().filter(|line| line["event"] == event && line["code"] == code).collect();
            if let [line] = &found[..] {
                return line.clone();
            }
            assert!(found.is_empty(), "{found:?}");
            tokio::time::sleep(PAUSE).await;
        }
        panic!("no line {event} with {code} in {:?}", lines(&self.path()));
    }

    async fn ended(&self, code: &str) -> Value {
        self.line("session_ended", code).await
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

/// All but the time.
fn fields(mut line: Value) -> Value {
    line.as_object_mut().expect("an object").remove("time").expect("a time");
    line
}

#[tokio::test]
async fn what_a_command_ends_has_a_line() {
    for (more, subject) in [("", None), ("subject = true\n", Some("alice"))] {
        let issuer = "https://login.example.com";
        let of_user = Audited::start(more).await;
        of_user.end(&["--user", issuer, "alice"]).await;
        let mut expected = json!({ "event": "session_ended", "code": "control.sessions_ended", "extent": "account" });
        if let Some(subject) = subject {
            expected["subject"] = json!(subject);
        }
        assert_eq!(fields(of_user.ended("control.sessions_ended").await), expected);
    }
    let of_session = Audited::start("").await;
    of_session.end(&["--session", "3q2-7wAAAAAAAAAAAAAAAA"]).await;
    let expected = json!({ "event": "session_ended", "code": "control.sessions_ended", "session": "3q2-7wAAAAAAAAAAAAAAAA" });
    assert_eq!(fields(of_session.ended("control.sessions_ended").await), expected);
    let of_all = Audited::start("subject = true\n").await;
    of_all.end(&["--all"]).await;
    let expected = json!({ "event": "session_ended", "code": "control.sessions_ended", "extent": "all" });
    assert_eq!(fields(of_all.ended("control.sessions_ended").await), expected);
}

#[tokio::test]
async fn a_user_is_ended_by_the_whole_name_or_not_at_all() {
    let audited = Audited::start("").await;
    let issuer = &audited.site.provider.issuer();
    let browser = log_in(&audited.site, "alice", "1").await;
    let sub = audited.site.provider_subject(&browser).await;
    // Longer than a question may be: a part of it is another name.
    let control = audited.folder.path().join("control");
    let long = "a".repeat(9_000);
    let output = program::run(&["sessions", "end", "--control", text(&control), "--user", issuer, &long]).await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    audited.end(&["--user", issuer, &sub]).await;
    let user = browser.fetch(&audited.site.url("/.vestibule/user")).await;
    assert!(user.body.contains("\"is_logged_in\":false"), "{}", user.body);
    audited.ended("control.sessions_ended").await;
}

#[tokio::test]
async fn a_logout_everywhere_and_one_by_the_provider_have_a_line_beside_that_of_the_logout() {
    let audited = Audited::start("subject = true\n").await;
    let (one, other) = (log_in(&audited.site, "alice", "1").await, log_in(&audited.site, "bob", "2").await);
    let (alice, bob) = (audited.site.provider_subject(&one).await, audited.site.provider_subject(&other).await);
    log_out_everywhere(&audited.site, &one).await;
    let ended = audited.ended("logout.everywhere").await;
    let logout = lines(&audited.path()).into_iter().find(|line| line["event"] == "logout").expect("a logout");
    assert_eq!((&ended["extent"], &ended["subject"], &ended["request_id"]), (&json!("account"), &json!(alice), &logout["request_id"]));
    assert!(logout["session"].is_string() && ended.get("session").is_none(), "{ended}");

    let token = token(&audited.site, "first", json!({ "sid": "2", "sub": bob }));
    assert!(deliver(&audited.site, &token).await.0.is_success());
    let ended = audited.ended("logout.by_provider").await;
    let of_token = |ended: &Value| (ended["extent"].clone(), ended["subject"].clone(), ended["path"].clone());
    assert_eq!(of_token(&ended), (json!("provider_session"), json!(bob), json!("/.vestibule/backchannel-logout")));
    let ends = lines(&audited.path()).into_iter().filter(|line| line["event"] == "session_ended").count();
    assert_eq!(ends, 2, "of one session there is the line of its logout");
}

#[tokio::test]
async fn the_number_on_a_page_leads_to_its_line() {
    let audited = Audited::start("").await;
    let browser = log_in(&audited.site, "alice", "1").await;
    let refused = browser.fetch(&audited.site.url("/admin/users")).await;
    let problem: Value = serde_json::from_str(&refused.body).expect("JSON");
    let line = audited.line("refused", "policy.denied").await;
    assert!(problem["reference"].is_string() && problem["reference"] == line["reference"], "{problem} {line}");

    let page = Browser::new().open(&audited.site.url("/oauth2callback?code=a&state=b")).await;
    let line = audited.line("login_failed", "callback.unknown_state").await;
    let reference = line["reference"].as_str().expect("a number");
    assert!(page.body.contains(reference), "{reference}: {}", page.body);
    assert!(lines(&audited.path()).iter().all(|line| line["event"] != "login" || line.get("reference").is_none()));
}
