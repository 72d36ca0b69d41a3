//! One node: `vestibule serve` as an operator runs it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::node::PATIENCE;

pub(crate) struct Serving {
    program: Child,
}

impl Serving {
    /// Answers at `address` when this returns.
    pub(crate) async fn start(address: SocketAddr, config: &Path, control: &Path) -> Self {
        let mut program = Command::new(env!("CARGO_BIN_EXE_vestibule"))
            .args(["serve", "--log", "json", "--grace", "1", "--listen", &address.to_string(), "--config"])
            .arg(config)
            .arg("--control")
            .arg(control)
            .args(component_options())
            .env("VESTIBULE_LOG", "info")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut log = BufReader::new(program.stderr.take().expect("a pipe")).lines();
        let listening = async {
            while let Ok(Some(line)) = log.next_line().await {
                let entry: Value = serde_json::from_str(&line).unwrap_or_default();
                if entry["code"] == "listener.listening" {
                    return;
                }
            }
            panic!("the program has ended before it listens");
        };
        timeout(PATIENCE, listening).await.expect("it listens in time");
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        Self { program }
    }

    /// As when the machine loses its power.
    pub(crate) async fn kill(&mut self) {
        self.program.kill().await.expect("it runs");
    }
}

/// None where the program carries the component.
fn component_options() -> Vec<PathBuf> {
    let carried = std::fs::metadata(concat!(env!("VESTIBULE_CARRIED"), "/component")).expect("a file of the build");
    if carried.len() > 0 {
        return Vec::new();
    }
    let component = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/vestibule-wide.wasm");
    vec!["--component".into(), component, "--cache".into(), Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache")]
}
