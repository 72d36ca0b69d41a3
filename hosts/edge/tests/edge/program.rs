//! The program as an operator runs it: started, watched by its log, told by signals.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, Command};

/// More than a step takes on a machine that compiles something else at the same time.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Program {
    child: Child,
    log: Lines<BufReader<ChildStderr>>,
    /// Every line of the log so far.
    pub written: Vec<String>,
}

impl Program {
    /// Starts `vestibule` with a JSON log.
    pub fn start(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_reading(Stdio::null(), arguments, environment)
    }

    /// The same with something to read on its standard input.
    pub fn start_reading(input: Stdio, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut command = command(arguments);
        command.args(component_options());
        command.env("VESTIBULE_LOG", "trace").envs(environment.iter().copied()).stdin(input);
        Self::spawn(command)
    }

    /// The same with the component that the program carries.
    #[allow(dead_code, reason = "`tests/serve` does not use it")]
    pub fn start_alone(arguments: &[&str]) -> Self {
        let mut command = command(arguments);
        command.stdin(Stdio::null());
        Self::spawn(command)
    }

    /// The same, started by `starter`: a program that is to replace itself by the one that its arguments name.
    #[allow(dead_code, reason = "`tests/serve` does not use it")]
    pub fn start_by(mut starter: Command, arguments: &[&str]) -> Self {
        starter.arg(env!("CARGO_BIN_EXE_vestibule")).args(arguments).args(component_options()).stdin(Stdio::null());
        Self::spawn(starter)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .args(["--log", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let log = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        Self { child, log, written: Vec::new() }
    }

    /// Waits for the next line of the log with `code`.
    pub async fn wait_for(&mut self, code: &str) -> Value {
        self.wait_for_any(&[code]).await
    }

    /// Waits for the next line of the log with one of these codes.
    pub async fn wait_for_any(&mut self, codes: &[&str]) -> Value {
        let found = async {
            while let Some(line) = self.log.next_line().await.expect("a log of text") {
                self.written.push(line.clone());
                let entry: Value = serde_json::from_str(&line).unwrap_or_default();
                if codes.iter().any(|code| entry["code"] == *code) {
                    return Some(entry);
                }
            }
            None
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.ok().flatten().unwrap_or_else(|| panic!("no line with {codes:?} in:\n{}", self.written.join("\n")))
    }

    /// The next line of the log; `None` when the program has ended.
    #[allow(dead_code, reason = "`tests/serve` uses it")]
    pub async fn next_line(&mut self) -> Option<String> {
        self.log.next_line().await.expect("a log of text")
    }

    /// What it has of the machine's memory, in bytes.
    #[allow(dead_code, reason = "`tests/serve` does not use it")]
    pub fn memory(&self) -> u64 {
        self.memory_as("VmRSS:")
    }

    /// The most that it has had of it.
    #[allow(dead_code, reason = "`tests/serve` does not use it")]
    pub fn most_memory(&self) -> u64 {
        self.memory_as("VmHWM:")
    }

    #[allow(dead_code, reason = "`tests/serve` does not use it")]
    fn memory_as(&self, name: &str) -> u64 {
        let status = fs::read_to_string(self.proc().join("status")).expect("of this system");
        let resident = status.lines().find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")).expect("a line of it");
        resident.parse::<u64>().expect("a number") * 1024
    }

    /// The name of each thread that it has now, and how often it was given a processor.
    #[allow(dead_code, reason = "`tests/serve` does not use it")]
    pub fn threads(&self) -> Vec<(String, u64)> {
        let threads = fs::read_dir(self.proc().join("task")).expect("of this system");
        let read = |thread: fs::DirEntry| {
            let status = fs::read_to_string(thread.path().join("status")).unwrap_or_default();
            let name = status.lines().find_map(|line| line.strip_prefix("Name:")).unwrap_or_default().trim().to_owned();
            let counts = status.lines().filter(|line| line.contains("ctxt_switches")).filter_map(|line| line.split_whitespace().last());
            (name, counts.map(|count| count.parse::<u64>().expect("a number")).sum())
        };
        threads.map(|thread| read(thread.expect("a thread"))).collect()
    }

    fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().expect("it runs").to_string())
    }

    pub fn signal(&self, signal: Signal) {
        let id = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)).expect("it runs");
        kill_process(id, signal).expect("it takes signals");
    }

    /// Waits for its end without reading the log any more.
    #[allow(dead_code, reason = "`tests/serve` does not use it")]
    pub async fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().await.expect("a status").code()
    }

    /// Waits for its end and returns the exit code and the whole log.
    pub async fn ended(mut self) -> (Option<i32>, Vec<String>) {
        let rest = async {
            while let Some(line) = self.log.next_line().await.expect("a log of text") {
                self.written.push(line);
            }
            self.child.wait().await.expect("a status")
        };
        let status = tokio::time::timeout(PATIENCE, rest).await.expect("an end");
        (status.code(), self.written)
    }
}

/// Runs a command of `vestibule` that ends by itself.
pub async fn run(arguments: &[&str]) -> Output {
    command(arguments).output().await.expect("the program starts")
}

/// The same of one that decides by the component.
#[allow(dead_code, reason = "`tests/serve` does not use it")]
pub async fn run_with_component(arguments: &[&str]) -> Output {
    command(arguments).args(component_options()).output().await.expect("the program starts")
}

/// None where the program carries the component. One that was built without `make build`, and one that is to run another
/// component, compile a file.
#[allow(dead_code, reason = "`tests/serve` does not use it by itself")]
pub fn component_options() -> Vec<OsString> {
    let carried = fs::metadata(concat!(env!("VESTIBULE_CARRIED"), "/component")).expect("a file of the build");
    if carried.len() > 0 && std::env::var_os("VESTIBULE_COMPONENT").is_none() {
        return Vec::new();
    }
    vec!["--component".into(), component().into(), "--cache".into(), cache().into()]
}

/// The component that `make build` makes for the program.
pub fn component() -> PathBuf {
    let path = match std::env::var_os("VESTIBULE_COMPONENT") {
        Some(path) => PathBuf::from(path),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/vestibule-wide.wasm"),
    };
    assert!(path.is_file(), "{}: no component there; run `make build`, or set VESTIBULE_COMPONENT", path.display());
    path
}

/// Compiled once for all tests.
pub fn cache() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache")
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
    command.args(arguments);
    command
}
