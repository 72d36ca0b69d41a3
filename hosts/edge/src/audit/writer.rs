//! Lines of the audit on their way to a file or to the journal: a thread writes, and nobody waits for it.
//!
//! As many lines as [`MAX_WAITING`] can wait for the disk. One for which there is no place is lost and counted, and the number is
//! written where the lines are missing. The thread ends when no configuration writes there any more, behind the last line.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use crate::audit::file::AuditFile;
use crate::audit::journal::{self, Journal};
use crate::audit::line::Line;

/// Lines that wait for the disk: of some hundred bytes each, and of less than 8 KiB. A disk that is busy for a moment costs none.
const MAX_WAITING: usize = 4096;
/// Bytes that are gathered for one write.
const BATCH_BYTES: usize = 64 * 1024;

/// Where lines are written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    /// By the path of its socket.
    Journal(PathBuf),
}

enum Open {
    File(AuditFile),
    Journal(Journal),
}

/// The way to the thread that writes.
pub(super) struct Writer {
    place: Place,
    jobs: SyncSender<Job>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Lines for which there was no place.
    lost: AtomicU64,
    /// A file is to be opened anew.
    is_due: AtomicBool,
}

enum Job {
    Line(String),
    /// Look at what is shared.
    Wake,
    /// Say when everything before is written.
    Flush(SyncSender<()>),
}

impl Writer {
    /// Opens the file, or finds the journal, and starts to write.
    ///
    /// # Errors
    /// The file cannot be opened, there is no journal, or the system gives no thread.
    pub(super) fn open(place: Place) -> io::Result<Self> {
        let open = match &place {
            Place::File(path) => Open::File(AuditFile::open(path)?),
            Place::Journal(path) => Open::Journal(Journal::open(path)?),
        };
        let (jobs, receiver) = sync_channel(MAX_WAITING);
        let shared = Arc::<Shared>::default();
        let of_thread = shared.clone();
        thread::Builder::new().name("audit".to_owned()).spawn(move || write_all(open, &receiver, &of_thread))?;
        Ok(Self { place, jobs, shared })
    }

    /// Where it writes to.
    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    /// Leaves a line for the thread, or counts it as lost.
    pub(super) fn write(&self, line: &Line<'_>) {
        let line = match self.place {
            Place::File(_) => line.json() + "\n",
            Place::Journal(_) => journal::entry(line),
        };
        if self.jobs.try_send(Job::Line(line)).is_err() {
            self.shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Has the file opened anew before anything more is written.
    pub(super) fn reopen(&self) {
        self.shared.is_due.store(true, Ordering::Relaxed);
        // Where there is no place, there is something to write, and it is found then.
        let _ = self.jobs.try_send(Job::Wake);
    }

    /// Waits until everything before is written, for at most `patience`.
    pub(super) fn flush(&self, patience: Duration) {
        let (told, written) = sync_channel(1);
        // Written or not, this is the end.
        if self.jobs.try_send(Job::Flush(told)).is_ok() {
            let _ = written.recv_timeout(patience);
        }
    }
}

impl Open {
    fn write(&mut self, lines: &[String], lost: u64) {
        match self {
            Self::File(file) => file.write(&lines.concat(), lost),
            Self::Journal(journal) => journal.write(lines, lost),
        }
    }

    fn reopen(&mut self) {
        match self {
            Self::File(file) => file.reopen(),
            // Each entry goes to who listens then.
            Self::Journal(_) => {}
        }
    }

    fn close(&mut self) {
        match self {
            Self::File(file) => file.close(),
            Self::Journal(journal) => journal.close(),
        }
    }
}

fn write_all(mut open: Open, jobs: &Receiver<Job>, shared: &Shared) {
    while let Ok(first) = jobs.recv() {
        let (mut lines, mut bytes, mut flushes) = (Vec::new(), 0, Vec::new());
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Line(line) => {
                    bytes += line.len();
                    lines.push(line);
                }
                Job::Wake => {}
                Job::Flush(told) => flushes.push(told),
            }
            next = if bytes < BATCH_BYTES { jobs.try_recv().ok() } else { None };
        }
        if shared.is_due.swap(false, Ordering::Relaxed) {
            open.reopen();
        }
        open.write(&lines, shared.lost.swap(0, Ordering::Relaxed));
        for told in flushes {
            // Whoever has waited may have given up.
            let _ = told.send(());
        }
    }
    open.close();
}
