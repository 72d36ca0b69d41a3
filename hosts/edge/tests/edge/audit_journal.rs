//! The audit in systemd's journal: its entries, by a socket of this test's; and a machine without a journal.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use vestibule_edge::audit::{self, Audit, journal};
use vestibule_edge::configuration::decider::Undecided;

use crate::application::Application;
use crate::login::{Site, text};
use crate::program;
use crate::raw::Wire;
use crate::scripted::{Script, ScriptedEdge};

/// The fields of the next entry that is not empty, as the native protocol has them: `NAME=value`, or the name in its line, and the
/// value behind its length.
fn next(journal: &UnixDatagram) -> BTreeMap<String, String> {
    let mut buffer = vec![0; 1 << 16];
    let bytes = std::iter::repeat_with(|| journal.recv(&mut buffer).expect("an entry")).find(|bytes| *bytes > 0).expect("an entry");
    let (mut rest, mut fields) = (&buffer[..bytes], BTreeMap::new());
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| byte == b'\n').expect("the end of a line");
        let line = std::str::from_utf8(&rest[..end]).expect("text");
        rest = &rest[end + 1..];
        let (name, value) = match line.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None => {
                let (length, after) = rest.split_first_chunk().expect("a length");
                let length = usize::try_from(u64::from_le_bytes(*length)).expect("a length");
                let value = String::from_utf8(after[..length].to_vec()).expect("text");
                assert_eq!(after[length], b'\n');
                rest = &after[length + 1..];
                (line, value)
            }
        };
        assert!(name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_') && !name.starts_with('_'), "the journal takes no {name}");
        assert!(fields.insert(name.to_owned(), value).is_none(), "{name} twice");
    }
    fields
}

#[tokio::test]
async fn each_line_is_an_entry_with_fields_to_search_for() {
    let app = Application::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("socket");
    let listening = UnixDatagram::bind(&socket).expect("a socket");
    listening.set_read_timeout(Some(Duration::from_secs(10))).expect("a timeout");
    let audit = Audit::to_journal(&socket, false).expect("a journal").with_callback(Some("/callback".into()));
    let same = Audit::to_journal(&socket, true).expect("the same journal");
    let fails = Script::new(|_, _| Err(Undecided::Failed("for a test".into())));
    let edge = ScriptedEdge::start_audited(Box::new(fails), &app.url(), audit).await;
    let request = "GET /callback?code=secret HTTP/1.1\r\nHost: h\r\nX-Request-Id: spoofed\r\n\r\n";
    let (head, body) = Wire::connect(edge.address).await.exchange(request).await.expect("a response");
    assert_eq!(head.status(), 500, "{body}");
    audit::flush_files(Duration::from_secs(10));

    let fields = next(&listening);
    let line: Value = serde_json::from_str(&fields["MESSAGE"]).expect("a line");
    assert_eq!((line["event"].as_str(), line["path"].as_str()), (Some("login_failed"), Some("/callback")), "{line}");
    for (field, member) in [
        ("VESTIBULE_EVENT", "event"),
        ("VESTIBULE_REQUEST_ID", "request_id"),
        ("VESTIBULE_CLIENT", "client"),
        ("VESTIBULE_CODE", "code"),
        ("VESTIBULE_REFERENCE", "reference"),
    ] {
        assert!(fields[field] == line[member], "{field}: {fields:?}");
    }
    assert_eq!((&*fields["PRIORITY"], &*fields["SYSLOG_IDENTIFIER"], fields.len()), ("6", "vestibule", 8), "{fields:?}");
    let problem: Value = serde_json::from_str(&body).expect("a problem document");
    assert_eq!((&problem["request_id"], &problem["reference"]), (&line["request_id"], &line["reference"]));
    drop(same);
}

#[tokio::test]
async fn without_a_journal_the_program_does_not_start_and_a_reload_is_kept_out() {
    if Path::new(journal::SOCKET).exists() {
        // There is one here, and this is not for it.
        return;
    }
    let mut site = Site::start_configured("", Application::start().await, "http", &[], &[]).await;
    let good = fs::read_to_string(&site.config).expect("a file");
    fs::write(&site.config, good + "[vestibule.log]\naudit = \"journald\"\n").expect("written");
    let fault = site.program.wait_for("configuration.fault").await;
    let is_told = |text: &str| [journal::SOCKET, "vestibule.log.audit", "systemd-journald"].iter().all(|part| text.contains(part));
    assert!(fault["message"].as_str().is_some_and(is_told), "{fault}");
    site.program.wait_for("configuration.kept").await;

    let output = program::run_with_component(&["serve", "--config", text(&site.config), "--listen", "127.0.0.1:0"]).await;
    let error = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.code() == Some(1) && is_told(&error), "{error}");

    let output = program::run_with_component(&["check", "--config", text(&site.config)]).await;
    let warnings = String::from_utf8(output.stderr).expect("text");
    assert!(output.status.success() && warnings.contains(journal::SOCKET) && warnings.contains("systemd-journald"), "{warnings}");
}
