//! A terminal with a program on it.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep};

/// More than a debug build needs to compile a component and check a configuration.
const PATIENCE: Duration = Duration::from_secs(600);

pub struct Terminal {
    side: File,
    said: Arc<Mutex<String>>,
    /// How much of `said` was waited for.
    seen: usize,
    _child: Child,
}

impl Terminal {
    /// Starts the program with the terminal as its stdin, stdout and stderr.
    pub fn of(command: &mut Command) -> Self {
        let side = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&side).unwrap();
        unlockpt(&side).unwrap();
        let name = ptsname(&side, Vec::new()).unwrap();
        let open = || OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        command.env("TERM", "xterm").stdin(open()).stdout(open()).stderr(open()).kill_on_drop(true);
        let child = command.spawn().expect("the program starts");
        let side = File::from(side);
        let (said, mut output) = (Arc::new(Mutex::new(String::new())), side.try_clone().unwrap());
        let heard = said.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // At its end, the last one to have it open is gone: an error on Linux.
            while let Ok(length @ 1..) = output.read(&mut buffer) {
                heard.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..length]));
            }
        });
        Self { side, said, seen: 0, _child: child }
    }

    /// Waits until the text appears behind what was waited for before.
    pub async fn wait_for(&mut self, text: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let said = self.said();
            if let Some(at) = said[self.seen..].find(text) {
                self.seen += at + text.len();
                return;
            }
            assert!(Instant::now() < end, "`{text}` does not appear: {}", &said[self.seen..]);
            sleep(Duration::from_millis(20)).await;
        }
    }

    pub fn write(&mut self, text: &str) {
        self.side.write_all(text.as_bytes()).unwrap();
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }
}
