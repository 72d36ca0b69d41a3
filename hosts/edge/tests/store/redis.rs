//! A server of Redis that a test has for itself: started, killed, stopped and started again.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::UnixStream;
use tokio::time::sleep;

use crate::node::PATIENCE;

pub(crate) struct Redis {
    folder: TempDir,
    arguments: Vec<String>,
    server: Child,
}

impl Redis {
    /// One that keeps nothing beyond the process.
    pub(crate) async fn start() -> Self {
        Self::start_with(&["--appendonly", "no"]).await
    }

    /// One that has everything on its disk before it answers.
    pub(crate) async fn start_keeping() -> Self {
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always"]).await
    }

    pub(crate) async fn start_with(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        // What a line of its file would be is several arguments here.
        let arguments: Vec<_> = arguments.iter().flat_map(|argument| argument.split_whitespace()).map(str::to_owned).collect();
        let server = spawn(folder.path(), &arguments);
        let redis = Self { folder, arguments, server };
        redis.answers().await;
        redis
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    pub(crate) fn url(&self) -> String {
        format!("redis+unix://{}", self.socket().display())
    }

    /// A connection to look at what it has, and to do what strangers may.
    pub(crate) async fn connection(&self) -> MultiplexedConnection {
        let client = redis::Client::open(self.url()).expect("a URL");
        client.get_multiplexed_async_connection().await.expect("a connection")
    }

    pub(crate) async fn keys(&self) -> Vec<String> {
        redis::cmd("KEYS").arg("*").query_async(&mut self.connection().await).await.expect("keys")
    }

    pub(crate) async fn length(&self) -> usize {
        redis::cmd("XLEN").arg(STREAM).query_async(&mut self.connection().await).await.expect("a length")
    }

    /// Waits until the list has so many entries.
    pub(crate) async fn has(&self, entries: usize) {
        let started = Instant::now();
        while self.length().await != entries {
            assert!(started.elapsed() < PATIENCE, "there are {} entries, not {entries}", self.length().await);
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// As when the machine loses its power.
    pub(crate) fn kill(&mut self) {
        self.server.kill().expect("it runs");
        self.server.wait().expect("it has ended");
    }

    pub(crate) async fn start_again(&mut self) {
        // The killed one has left it.
        let _ = std::fs::remove_file(self.socket());
        self.server = spawn(self.folder.path(), &self.arguments);
        self.answers().await;
    }

    /// It takes connections, and answers nothing.
    pub(crate) fn hang(&self) {
        self.signal(Signal::STOP);
    }

    pub(crate) fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(self.server.id().try_into().expect("a number")).expect("a process");
        kill_process(id, signal).expect("it takes signals");
    }

    async fn answers(&self) {
        let started = Instant::now();
        loop {
            if UnixStream::connect(self.socket()).await.is_ok() {
                // While it reads its file it says so.
                let loading: Result<String, _> = redis::cmd("PING").query_async(&mut self.connection().await).await;
                if loading.is_ok_and(|answer| answer == "PONG") {
                    return;
                }
            }
            assert!(started.elapsed() < PATIENCE, "redis does not answer");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// In the keys of what is used once.
pub(crate) const USED: &str = ":used:";

/// Before the name of a list.
pub(crate) const STREAM_PREFIX: &str = "vestibule:ended:";

/// The key of the list that the tests have.
pub(crate) const STREAM: &str = "vestibule:ended:list";

fn spawn(folder: &Path, arguments: &[String]) -> Child {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/servers/bin/redis-server");
    assert!(program.exists(), "there is no Redis to test with; run scripts/check-redis.sh");
    Command::new(program)
        .args(["--save", "", "--unixsocket", "socket", "--unixsocketperm", "600", "--dir"])
        .arg(folder)
        .args(if arguments.iter().any(|argument| argument == "--port" || argument == "--tls-port") { &[][..] } else { &["--port", "0"] })
        .args(arguments)
        .current_dir(folder)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server starts")
}
