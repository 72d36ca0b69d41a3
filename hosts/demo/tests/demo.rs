//! The demo as a person starts it, and where its provider is.

#![expect(clippy::expect_used, clippy::panic, reason = "a step that fails ends its test, and says which one it was")]
#![expect(unreachable_pub, reason = "what the modules of this one program share has no outside to be hidden from")]

#[allow(dead_code, reason = "the edge's own tests use all of it")]
#[path = "../../edge/tests/edge/browser.rs"]
mod browser;
#[path = "../../edge/tests/edge/provider_traces.rs"]
mod provider_traces;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use browser::Browser;
use reqwest::StatusCode;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

/// More than a start takes on a machine that compiles something else at the same time.
const PATIENCE: Duration = Duration::from_secs(120);

fn demo(listen: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule-demo"));
    command.args(["--listen", listen]).kill_on_drop(true);
    let carried = std::fs::metadata(concat!(env!("VESTIBULE_CARRIED"), "/component")).expect("a file of the build");
    // One that was built without `make build` carries none.
    if carried.len() == 0 {
        let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/vestibule.wasm");
        assert!(component.is_file(), "no component; run `make build`");
        command.arg("--component").arg(component);
        command.arg("--cache").arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache"));
    }
    command
}

#[tokio::test]
async fn the_demo_lets_somebody_in() {
    let mut child = demo("127.0.0.1:0").stdout(Stdio::piped()).spawn().expect("it starts");
    let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let url = async {
        while let Some(line) = output.next_line().await.expect("text") {
            if let Some(url) = line.split_whitespace().find(|word| line.starts_with("Open") && word.starts_with("http://")) {
                return url.to_owned();
            }
        }
        panic!("no address");
    };
    let url = tokio::time::timeout(PATIENCE, url).await.expect("an address");
    // It is printed once requests are answered.
    let log_in = async { Browser::new().log_in(&format!("{url}/reports/2026?x=1"), "chloe").await };
    let page = tokio::time::timeout(PATIENCE, log_in).await.expect("a page");
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    assert!(page.body.contains("chloe@example.com") && page.body.contains("/reports/2026?x=1"), "{}", page.body);

    let id = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).expect("it runs");
    kill_process(id, Signal::INT).expect("it takes signals");
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("an end").expect("a status");
    assert_eq!(status.code(), Some(0));
}

#[tokio::test]
async fn the_demo_refuses_to_be_reached_from_elsewhere() {
    let output = demo("0.0.0.0:0").output().await.expect("it starts");
    let message = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(1));
    assert!(message.contains("loopback"), "{message}");
}

/// What `the_program_has_nothing_of_the_development_provider` does not find there is what there is to be found.
#[test]
fn the_provider_is_in_the_demo() {
    assert_eq!(provider_traces::missing_in(Path::new(env!("CARGO_BIN_EXE_vestibule-demo"))), Vec::<String>::new());
}

/// No other component, and no program of the tests: `make demo` compiles what it needs.
#[test]
fn nothing_that_the_demo_is_built_of_is_for_other_hosts_or_tests() {
    let tree = std::process::Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--locked", "--package", "vestibule-demo", "--edges", "normal,build", "--prefix", "none"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo starts");
    let tree = String::from_utf8(tree.stdout).expect("text");
    let is_ours = |line: &&str| line.contains(" (/") && !line.contains("(proc-macro)");
    let ours: std::collections::BTreeSet<_> = tree.lines().filter(is_ours).filter_map(|line| line.split(' ').next()).collect();
    let needed = ["vestibule", "vestibule-demo", "vestibule-dev-provider", "vestibule-edge", "vestibule-enforcement", "vestibule-wasmtime"];
    assert_eq!(Vec::from_iter(ours), needed, "{tree}");
    for package in ["tikv-jemallocator ", "proptest "] {
        assert!(!tree.contains(package), "{tree}");
    }
}
