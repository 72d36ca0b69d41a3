//! A program of a shape: started, watched, ended.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// What is shown of a log, in bytes from its end.
const SHOWN: usize = 4000;

/// A program that runs until it is dropped, with all that it has started itself.
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`; what it writes goes to a file of `folder`.
    ///
    /// # Errors
    /// The program is not there, or the file cannot be made.
    pub fn start(command: &mut Command, folder: &Path) -> Result<Self> {
        let program = PathBuf::from(command.as_std().get_program());
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        let log = folder.join(format!("{name}.log"));
        let file = File::create(&log)?;
        let child = command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0).spawn();
        let child = child.with_context(|| format!("{} cannot be started", program.display()))?;
        Ok(Self { name, child, log })
    }

    /// What it left in its log, when it has ended.
    pub(crate) fn ended(&mut self) -> Option<String> {
        let status = self.child.try_wait().ok().flatten()?;
        Some(format!("{} ended with {status}:\n{}", self.name, self.log()))
    }

    /// The end of its log.
    pub(crate) fn log(&self) -> String {
        let bytes = std::fs::read(&self.log).unwrap_or_default();
        let end = String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(SHOWN)..]).into_owned();
        format!("{} wrote:\n{end}", self.name)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Of a program that was seen to end there is no number any more: another may have it.
        if let Some(group) = self.child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)) {
            // jco starts its server as a program of its own, which does not end with jco.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
