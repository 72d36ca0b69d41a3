//! A component that fails, in front of an application: a page, and never a pass.

use std::time::Duration;

use vestibule_edge::audit::{self, Audit};
use vestibule_wasmtime::{Configuration, Filter, FilterComponent, FilterOptions, Runtime, RuntimeOptions};

use crate::application::Application;
use crate::guest;
use crate::raw::Wire;
use crate::scripted::ScriptedEdge;

#[tokio::test]
async fn a_filter_that_fails_is_500_and_never_a_pass() {
    let app = Application::start().await;
    let runtime = Runtime::new(&RuntimeOptions { max_instances: 4, ..RuntimeOptions::default() }).expect("a runtime");
    let component = FilterComponent::from_bytes(&runtime, &guest::component(), None).expect("a component");
    let configuration = Configuration::new("secrets.toml", "");
    let options = FilterOptions {
        instances: 1,
        cpu_budget: Duration::from_millis(50),
        decision_timeout: Duration::from_millis(200),
        ..FilterOptions::default()
    };
    let filter = Filter::load(&component, configuration, options).await.expect("a filter");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("audit.jsonl");
    // A login ends where it traps.
    let audit = Audit::to_file(&path, false).expect("an audit").with_callback(Some("/t".into()));
    let edge = ScriptedEdge::start_audited(Box::new(filter), &app.url(), audit).await;
    // It traps, loops, takes all memory, and never answers.
    for path in ["/t", "/l", "/m", "/n"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n");
        let (head, body) = Wire::connect(edge.address).await.exchange(&request).await.expect("a page");
        assert_eq!((head.status(), app.connections()), (500, 0), "{path}: {body}");
    }
    let (head, _) = Wire::connect(edge.address).await.exchange("GET /f HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("a response");
    assert_eq!((head.status(), app.requests()), (200, 1), "it goes on when it can");
    audit::flush_files(Duration::from_secs(10));
    let lines = std::fs::read_to_string(&path).expect("an audit");
    let of_callback = r#""event":"login_failed""#;
    let told = [of_callback, r#""path":"/t","code":"host.filter_failed""#, r#""client":"127.0.0.1""#];
    assert!(lines.lines().count() == 1 && told.iter().all(|told| lines.contains(told)), "of the callback only: {lines}");
}
