//! The file of the audit: opened to append, and again when it was rotated. A failure is told in the log once, until it is over.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::OFlags;
use vestibule::audit::AuditEvent;

use crate::audit::line::Line;

/// Of a file that is made: who else may read it is for the operator to say.
const MODE: u32 = 0o600;

/// The file, and what it lacks.
pub(super) struct AuditFile {
    path: PathBuf,
    /// `None` since it could not be opened.
    file: Option<File>,
    /// Lines that are not in it, and of which it does not say so yet.
    lost: u64,
    /// It ends within a line.
    is_torn: bool,
    /// The log has a failure that is not over.
    is_failing: bool,
}

impl AuditFile {
    /// Opens the file to append to it, and makes it where there is none.
    ///
    /// # Errors
    /// It cannot be opened, a pipe without a reader included.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = Some(open(path)?);
        Ok(Self { path: path.to_owned(), file, lost: 0, is_torn: false, is_failing: false })
    }

    /// Opens the path anew, and takes a failure of the old file for over. Where the path cannot be opened, the next write tries
    /// again; nothing more goes to the old file.
    pub(super) fn reopen(&mut self) {
        self.file = None;
        match open(&self.path) {
            Ok(file) => (self.file, self.is_torn, self.is_failing) = (Some(file), false, false),
            Err(error) => self.fail(&error),
        }
    }

    /// Appends whole lines. `lost` is the number of those that came after them and found no place in the queue.
    pub(super) fn write(&mut self, lines: &str, lost: u64) {
        if let Err(error) = self.append(lines) {
            self.fail(&error);
        }
        self.lost += lost;
        if self.lost > 0
            && !self.is_failing
            && let Err(error) = self.tell()
        {
            self.fail(&error);
        }
    }

    /// Tells what was lost, for the last time.
    pub(super) fn close(&mut self) {
        if self.lost > 0 && self.tell().is_err() {
            let lost = self.lost;
            tracing::error!(code = "audit.lost", lost, "lines of the audit were lost");
        }
    }

    fn append(&mut self, lines: &str) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        if self.lost > 0 {
            self.tell().inspect_err(|_| self.lost += count(lines.as_bytes()))?;
        }
        let written = match self.ready() {
            Ok(()) => self.put(lines.as_bytes()),
            Err(error) => Err((0, error)),
        };
        written.map_err(|(written, error)| {
            self.lost += count(&lines.as_bytes()[written..]);
            error
        })
    }

    /// Writes how many lines are missing.
    fn tell(&mut self) -> io::Result<()> {
        self.ready()?;
        let line = Line { lost: Some(self.lost), ..Line::of(AuditEvent::LinesLost, SystemTime::now()) }.json() + "\n";
        self.put(line.as_bytes()).map_err(|(_, error)| error)?;
        let lost = std::mem::take(&mut self.lost);
        tracing::warn!(code = "audit.lost", lost, "lines of the audit were lost; the audit says where");
        Ok(())
    }

    /// Makes ready to begin a line.
    fn ready(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            (self.file, self.is_torn) = (Some(open(&self.path)?), false);
        }
        if self.is_torn {
            self.put(b"\n").map_err(|(_, error)| error)?;
        }
        Ok(())
    }

    /// Writes, and says of a failure how much was written before.
    fn put(&mut self, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
        let Some(file) = &mut self.file else { return Err((0, io::ErrorKind::NotConnected.into())) };
        let mut written = 0;
        while written < bytes.len() {
            match file.write(&bytes[written..]) {
                Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
                Ok(more) => {
                    written += more;
                    self.is_torn = bytes[written - 1] != b'\n';
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err((written, error)),
            }
        }
        self.is_failing = false;
        Ok(())
    }

    fn fail(&mut self, error: &io::Error) {
        if !self.is_failing {
            let path = self.path.display();
            tracing::error!(code = "audit.failed", "the audit cannot be written to {path}: {error}; lines are lost until it can");
        }
        self.is_failing = true;
    }
}

/// A pipe whose reader is gone or slow is an error, and not waited for.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).map_err(|_| io::ErrorKind::Unsupported)?;
    OpenOptions::new().append(true).create(true).mode(MODE).custom_flags(flags).open(path)
}

/// Lines that end in `bytes`; one of which a part is written counts, for it is of no use.
fn count(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn read(path: &Path) -> Vec<String> {
        fs::read_to_string(path).expect("a file").lines().map(str::to_owned).collect()
    }

    #[test]
    fn lines_are_appended_to_a_file_that_is_its_owners() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        AuditFile::open(&path).expect("a file").write("one\n", 0);
        AuditFile::open(&path).expect("a file").write("two\nthree\n", 0);
        assert_eq!(read(&path), ["one", "two", "three"]);
        assert_eq!(fs::metadata(&path).expect("a file").permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_that_was_rotated_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, rotated) = (folder.path().join("audit.jsonl"), folder.path().join("audit.jsonl.1"));
        let mut file = AuditFile::open(&path).expect("a file");
        file.write("one\n", 0);
        fs::rename(&path, &rotated).expect("renamed");
        file.write("two\n", 0);
        file.reopen();
        file.write("three\n", 0);
        assert_eq!((read(&rotated), read(&path)), (vec!["one".to_owned(), "two".to_owned()], vec!["three".to_owned()]));
    }

    #[test]
    fn lines_without_a_place_are_counted_where_they_are_missing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        let mut file = AuditFile::open(&path).expect("a file");
        file.write("one\n", 3);
        file.write("two\n", 0);
        let lines = read(&path);
        assert!(lines[1].contains(r#""event":"lines_lost","lost":3"#), "{lines:?}");
        assert_eq!((lines.len(), &*lines[0], &*lines[2]), (3, "one", "two"));
    }

    #[test]
    fn what_cannot_be_written_is_counted_until_it_can() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        let mut file = AuditFile::open(Path::new("/dev/full")).expect("a device");
        file.write("one\ntwo\n", 0);
        file.write("three\n", 4);
        assert_eq!((file.lost, file.is_failing), (7, true));
        // The disk has room again.
        file.path.clone_from(&path);
        file.reopen();
        file.write("four\n", 0);
        let lines = read(&path);
        assert!(lines[0].contains(r#""lost":7"#), "{lines:?}");
        assert_eq!((lines.len(), &*lines[1], file.lost, file.is_failing), (2, "four", 0, false));
    }

    #[test]
    fn a_line_that_was_cut_off_does_not_take_the_next_one_along() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.jsonl");
        let mut file = AuditFile::open(&path).expect("a file");
        file.put(b"one\ntw").expect("written");
        assert!(file.is_torn);
        file.write("three\n", 0);
        assert_eq!(read(&path), ["one", "tw", "three"]);
    }

    #[test]
    fn a_path_that_cannot_be_opened_is_an_error_and_nothing_waits_for_a_pipe() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(AuditFile::open(folder.path()).is_err(), "a folder");
        assert!(AuditFile::open(&folder.path().join("absent/audit.jsonl")).is_err(), "no such folder");
        let pipe = folder.path().join("pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::from_raw_mode(0o600)).expect("a pipe");
        assert!(AuditFile::open(&pipe).is_err(), "nobody reads it");
    }

    #[test]
    fn a_folder_that_is_away_costs_lines_and_nothing_else() {
        let folder = tempfile::tempdir().expect("a folder");
        let (inner, path) = (folder.path().join("inner"), folder.path().join("inner/audit.jsonl"));
        fs::create_dir(&inner).expect("a folder");
        let mut file = AuditFile::open(&path).expect("a file");
        fs::rename(&inner, folder.path().join("away")).expect("renamed");
        file.reopen();
        file.write("one\n", 0);
        assert_eq!((file.lost, file.is_failing), (1, true));
        fs::create_dir(&inner).expect("a folder");
        file.write("two\n", 0);
        let lines = read(&path);
        assert!(lines.len() == 2 && lines[0].contains(r#""lost":1"#) && lines[1] == "two", "{lines:?}");
    }
}
