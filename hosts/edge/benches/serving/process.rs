//! A program that is measured: started here, read in /proc, ended with this program.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::sleep;

use crate::ROLE;

/// More than a start takes on a machine that compiles something else at the same time.
const PATIENCE: Duration = Duration::from_secs(120);
/// A program that starts has no event to wait for.
const LOOK: Duration = Duration::from_millis(20);

/// Of another program.
const LOG: &str = "log";

/// A program, with what it has started itself.
pub struct Process {
    child: Child,
    /// A role ends when this is closed; another program has none.
    input: Option<ChildStdin>,
    /// Where another program writes.
    log: Option<PathBuf>,
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
        let mut process = Self { input: child.stdin.take(), child, log: None };
        process.listening(address).await;
        (process, address)
    }

    /// Another program; what it writes goes to a file of `folder`.
    pub fn program(mut command: Command, folder: &Path) -> Self {
        let log = folder.join(LOG);
        let file = std::fs::File::create(&log).expect("a file");
        command.stdin(Stdio::null()).stdout(file.try_clone().expect("the same file")).stderr(file).process_group(0);
        let program = command.as_std().get_program().to_owned();
        let child = command.spawn().unwrap_or_else(|error| panic!("{} cannot be started: {error}", program.display()));
        Self { child, input: None, log: Some(log) }
    }

    /// Waits until something accepts connections there.
    pub async fn listening(&mut self, address: SocketAddr) {
        let started = Instant::now();
        while TcpStream::connect(address).await.is_err() {
            let has_ended = self.child.try_wait().expect("a status").is_some();
            if has_ended || started.elapsed() > PATIENCE {
                let log = self.log.as_ref().and_then(|log| std::fs::read_to_string(log).ok());
                panic!("nothing listens on {address}; the program wrote: {}", log.unwrap_or_default());
            }
            sleep(LOOK).await;
        }
    }

    /// What is resident, in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// Of all its threads, and of the processes that it has started.
    pub fn processor_time(&self) -> ProcessorTime {
        ProcessorTime(family(self.id()).into_iter().flat_map(threads).collect())
    }

    fn id(&self) -> u32 {
        self.child.id().expect("it runs")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Workers do not always end with the process that has started them. A role ends by itself.
        if self.input.is_none()
            && let Some(group) = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?))
        {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl ProcessorTime {
    /// In microseconds. What a thread did that ended meanwhile is lost: programs under load keep theirs.
    pub fn since(&self, earlier: &Self) -> f64 {
        let each = self.0.iter().map(|(thread, now)| now.saturating_sub(earlier.0.get(thread).copied().unwrap_or(0)));
        each.sum::<u64>() as f64 / 1000.0
    }
}

/// The process, and what it has started.
fn family(first: u32) -> Vec<u32> {
    let all = std::fs::read_dir("/proc").expect("of this system").filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parents: Vec<(u32, u32)> = all.filter_map(|id| Some((id, parent(id)?))).collect();
    let mut family = vec![first];
    // Each is looked at after it was found.
    let mut at = 0;
    while let Some(&parent) = family.get(at) {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        at += 1;
    }
    family
}

fn parent(id: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name, in parentheses, can hold anything; then come the state and the parent.
    stat.rsplit(')').next()?.split_whitespace().nth(1)?.parse().ok()
}

/// The threads of a process, and the nanoseconds of each. In `stat` there are hundredths of a second, too coarse for a round.
fn threads(id: u32) -> Vec<(u32, u64)> {
    let threads = std::fs::read_dir(format!("/proc/{id}/task")).into_iter().flatten().filter_map(|thread| {
        let thread = thread.ok()?;
        // One that has ended meanwhile has no such file.
        let schedule = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        Some((thread.file_name().to_str()?.parse().ok()?, schedule.split(' ').next()?.parse().ok()?))
    });
    threads.collect()
}
