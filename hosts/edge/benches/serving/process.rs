//! A program that is measured: started here, read in /proc, ended with this program.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::sleep;

use crate::ROLE;

/// More than a start takes on a machine that compiles something else at the same time.
const PATIENCE: Duration = Duration::from_secs(120);
/// A program that starts has no event to wait for.
const LOOK: Duration = Duration::from_millis(20);

/// A program, with what it has started itself.
pub struct Process {
    child: Child,
    /// A role ends when this is closed.
    _input: Option<ChildStdin>,
}

/// Nanoseconds that each thread has had a processor.
pub struct ProcessorTime(BTreeMap<u32, u64>);

impl Process {
    /// This program in another role; also the address where it listens.
    pub async fn role(name: &str, argument: &str) -> (Self, SocketAddr) {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        // What goes wrong is shown; what goes well is no part of the result.
        command.args([ROLE, name, argument]).env("VESTIBULE_LOG", "warn").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.kill_on_drop(true).spawn().expect("this program starts");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let address = output.next_line().await.expect("text").and_then(|line| line.parse().ok()).expect("an address from a role");
        let process = Self { _input: child.stdin.take(), child };
        process.listening(address).await;
        (process, address)
    }

    /// Waits until something accepts connections there.
    pub async fn listening(&self, address: SocketAddr) {
        let started = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            assert!(started.elapsed() < PATIENCE, "process {} does not listen on {address}", self.id());
            sleep(LOOK).await;
        }
    }

    /// What is resident, in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Of all its threads. In `stat` there are hundredths of a second only, too coarse for a round.
    pub fn processor_time(&self) -> ProcessorTime {
        let threads = Path::new("/proc").join(self.id().to_string()).join("task");
        let threads = std::fs::read_dir(threads).expect("it runs").filter_map(|thread| {
            let thread = thread.ok()?;
            // One that has ended meanwhile has no such file.
            let schedule = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            Some((thread.file_name().to_str()?.parse().ok()?, schedule.split(' ').next()?.parse().ok()?))
        });
        ProcessorTime(threads.collect())
    }

    fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }
}

impl ProcessorTime {
    /// In microseconds. What a thread did that ended meanwhile is lost: programs under load keep theirs.
    pub fn since(&self, earlier: &Self) -> f64 {
        let each = self.0.iter().map(|(thread, now)| now - earlier.0.get(thread).copied().unwrap_or(0));
        each.sum::<u64>() as f64 / 1000.0
    }
}
