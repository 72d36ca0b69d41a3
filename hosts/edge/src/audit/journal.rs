//! systemd's journal: each line of the audit is an entry in its native protocol (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
//!
//! 1. `MESSAGE` is the line as it is in a file. What people search for is a field as well, by the name of the line's own field:
//!    `journalctl VESTIBULE_REQUEST_ID=…`. The journal adds the unit and the process by itself.
//! 2. An entry is one datagram to the journal's socket, by its path: a journal that was started anew has its own.
//! 3. A journal that is busy is waited for, at most one second, by the thread that writes. Once that was in vain, no entry is waited
//!    for until one is taken. A failure is told in the log once, until it is over, and what was lost where it is missing.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use vestibule::audit::AuditEvent;

use crate::audit::line::Line;

/// Where the journal listens, on every system that has one.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// How long the journal may take to make room for an entry: it takes a few at a time (`net.unix.max_dgram_qlen`).
const PATIENCE: Duration = Duration::from_secs(1);

/// The severity of every entry: "informational" (RFC 5424 section 6.2.1).
const PRIORITY: &str = "6";

/// By what `journalctl --identifier` finds the entries.
const IDENTIFIER: &str = "vestibule";

/// The way to the journal, and what it lacks.
pub(super) struct Journal {
    path: PathBuf,
    socket: UnixDatagram,
    /// Lines that are not in it, and of which it does not say so yet.
    lost: u64,
    /// The log has a failure that is not over.
    is_failing: bool,
}

impl Journal {
    /// Finds out whether there is a journal at that path.
    ///
    /// # Errors
    /// Nobody listens there, or not for this user.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::unbound()?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let journal = Self { path: path.to_owned(), socket, lost: 0, is_failing: false };
        // The journal drops an empty datagram.
        match journal.send(&[]) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(journal),
        }
    }

    /// Sends entries. `lost` is the number of those that came after them and found no place in the queue.
    pub(super) fn write(&mut self, entries: &[String], lost: u64) {
        for entry in entries {
            if let Err(error) = self.put(entry) {
                self.lost += 1;
                self.fail(&error);
            }
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

    fn put(&mut self, entry: &str) -> io::Result<()> {
        if self.lost > 0 {
            self.tell()?;
        }
        self.send(entry.as_bytes())?;
        self.recover()
    }

    /// Sends how many lines are missing.
    fn tell(&mut self) -> io::Result<()> {
        let line = Line { lost: Some(self.lost), ..Line::of(AuditEvent::LinesLost, SystemTime::now()) };
        self.send(entry(&line).as_bytes())?;
        self.recover()?;
        let lost = std::mem::take(&mut self.lost);
        tracing::warn!(code = "audit.lost", lost, "lines of the audit were lost; the audit says where");
        Ok(())
    }

    fn send(&self, datagram: &[u8]) -> io::Result<()> {
        loop {
            match self.socket.send_to(datagram, &self.path) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // One whole datagram, or an error.
                sent => return sent.map(|_| ()),
            }
        }
    }

    fn recover(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_failing) { self.socket.set_nonblocking(false) } else { Ok(()) }
    }

    fn fail(&mut self, error: &io::Error) {
        if !self.is_failing {
            let path = self.path.display();
            let cause = match error.kind() {
                io::ErrorKind::WouldBlock => format!("it has taken no entry for {} s", PATIENCE.as_secs()),
                _ => error.to_string(),
            };
            tracing::error!(
                code = "audit.failed",
                "the audit cannot be written to the journal at {path}: {cause}; lines are lost until it can"
            );
        }
        // Were it to fail, entries would be waited for as before.
        self.is_failing = self.socket.set_nonblocking(true).is_ok();
    }
}

/// A line as an entry of the journal.
pub(super) fn entry(line: &Line<'_>) -> String {
    let (json, client) = (line.json(), line.client.map(|client| client.to_string()));
    let fields = [
        ("MESSAGE", Some(&*json)),
        ("PRIORITY", Some(PRIORITY)),
        ("SYSLOG_IDENTIFIER", Some(IDENTIFIER)),
        ("VESTIBULE_EVENT", Some(line.event)),
        ("VESTIBULE_REQUEST_ID", line.request_id),
        ("VESTIBULE_CLIENT", client.as_deref()),
        ("VESTIBULE_PROVIDER", line.provider),
        ("VESTIBULE_SUBJECT", line.subject),
        ("VESTIBULE_SESSION", line.session),
        ("VESTIBULE_CODE", line.code),
        ("VESTIBULE_REFERENCE", line.reference),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name, value?))).fold(String::new(), |mut entry, (name, value)| {
        entry.push_str(name);
        entry.push('=');
        // A line feed would end the field and begin another.
        entry.extend(value.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }));
        entry.push('\n');
        entry
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

    use std::fs;
    use std::time::Instant;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn place() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        (folder, path)
    }

    fn listen(path: &Path) -> UnixDatagram {
        let journal = UnixDatagram::bind(path).unwrap();
        journal.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        journal
    }

    /// What has come, one text for each entry.
    fn received(journal: &UnixDatagram) -> Vec<String> {
        journal.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 1 << 16];
        let entries =
            std::iter::from_fn(|| journal.recv(&mut buffer).ok().map(|bytes| String::from_utf8(buffer[..bytes].to_vec()).unwrap()));
        entries.filter(|entry| !entry.is_empty()).collect()
    }

    /// As the journal reads an entry that has no value with its length before it.
    fn fields(entry: &str) -> Vec<(&str, &str)> {
        assert!(entry.ends_with('\n'), "{entry:?}");
        entry.lines().map(|line| line.split_once('=').unwrap_or_else(|| panic!("a value with its length: {entry:?}"))).collect()
    }

    fn lost(entry: &str) -> Option<u64> {
        let message = fields(entry)[0].1;
        let line: serde_json::Value = serde_json::from_str(message).unwrap();
        (line["event"] == "lines_lost").then(|| line["lost"].as_u64().unwrap())
    }

    #[test]
    fn an_entry_has_the_line_and_what_it_is_found_by() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let line = Line {
            request_id: Some("4bf92f35"),
            client: "2001:db8::7".parse().ok(),
            provider: Some("default"),
            subject: Some("alice"),
            path: Some("/a=b"),
            ..Line::of(AuditEvent::Login, time)
        };
        assert_eq!(
            fields(&entry(&line)),
            [
                ("MESSAGE", &*line.json()),
                ("PRIORITY", "6"),
                ("SYSLOG_IDENTIFIER", "vestibule"),
                ("VESTIBULE_EVENT", "login"),
                ("VESTIBULE_REQUEST_ID", "4bf92f35"),
                ("VESTIBULE_CLIENT", "2001:db8::7"),
                ("VESTIBULE_PROVIDER", "default"),
                ("VESTIBULE_SUBJECT", "alice"),
            ]
        );
        let refused = Line { session: Some("s"), code: Some("policy.denied"), reference: Some("R"), ..Line::of(AuditEvent::Refused, time) };
        assert_eq!(
            fields(&entry(&refused))[4..],
            [("VESTIBULE_SESSION", "s"), ("VESTIBULE_CODE", "policy.denied"), ("VESTIBULE_REFERENCE", "R")]
        );
    }

    proptest! {
        #[test]
        fn no_value_begins_a_field(subject in any::<String>(), path in any::<String>(), id in "[\\PC\n\r\0=]{0,20}") {
            let line = Line { subject: Some(&subject), path: Some(&path), request_id: Some(&id), ..Line::of(AuditEvent::Login, SystemTime::now()) };
            let entry = entry(&line);
            let fields = fields(&entry);
            let names: Vec<_> = fields.iter().map(|(name, _)| *name).collect();
            prop_assert_eq!(names, ["MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "VESTIBULE_EVENT", "VESTIBULE_REQUEST_ID", "VESTIBULE_SUBJECT"]);
            let read: serde_json::Value = serde_json::from_str(fields[0].1).unwrap();
            prop_assert_eq!(read["event"].as_str(), Some("login"));
            prop_assert_eq!(fields[5].1.chars().count(), subject.chars().count());
        }
    }

    #[test]
    fn a_journal_that_is_not_there_is_an_error_and_one_that_is_busy_is_none() {
        let (folder, path) = place();
        assert_eq!(Journal::open(&path).err().map(|error| error.kind()), Some(io::ErrorKind::NotFound));
        let journal = listen(&path);
        assert!(Journal::open(&path).is_ok());
        assert_eq!(received(&journal), Vec::<String>::new(), "nothing is written");
        drop(journal);
        assert_eq!(Journal::open(&path).err().map(|error| error.kind()), Some(io::ErrorKind::ConnectionRefused));
        assert!(Journal::open(folder.path()).is_err(), "a folder");
        fs::write(folder.path().join("file"), "").unwrap();
        assert!(Journal::open(&folder.path().join("file")).is_err(), "a file");
        let (_folder, path) = place();
        let _busy = listen(&path);
        let sender = UnixDatagram::unbound().unwrap();
        sender.set_nonblocking(true).unwrap();
        while sender.send_to(b"A=1\n", &path).is_ok() {}
        assert!(Journal::open(&path).is_ok());
    }

    #[test]
    fn what_comes_while_the_journal_is_away_is_counted_where_it_is_missing() {
        let (_folder, path) = place();
        let first = listen(&path);
        let mut journal = Journal::open(&path).unwrap();
        let one = |event| entry(&Line::of(event, SystemTime::now()));
        let (started, login, stopped) = (one(AuditEvent::Started), one(AuditEvent::Login), one(AuditEvent::Stopped));
        journal.write(std::slice::from_ref(&started), 0);
        assert_eq!(received(&first), [&*started]);
        drop(first);
        fs::remove_file(&path).unwrap();
        journal.write(&[login.clone(), login.clone()], 0);
        journal.write(&[login], 4);
        assert_eq!((journal.lost, journal.is_failing), (7, true));
        // Started anew, with another socket.
        let second = listen(&path);
        journal.write(std::slice::from_ref(&stopped), 0);
        let entries = received(&second);
        assert_eq!((entries.len(), lost(&entries[0]), &entries[1]), (2, Some(7), &stopped), "{entries:?}");
        assert_eq!((journal.lost, journal.is_failing), (0, false));
        // A queue that was full.
        journal.write(std::slice::from_ref(&started), 3);
        let entries = received(&second);
        assert_eq!((entries.len(), &entries[0], lost(&entries[1])), (2, &started, Some(3)), "{entries:?}");
    }

    #[test]
    fn a_journal_that_takes_nothing_is_waited_for_once() {
        let (_folder, path) = place();
        let stalled = listen(&path);
        let mut journal = Journal::open(&path).unwrap();
        let entries = vec![entry(&Line::of(AuditEvent::Forwarded, SystemTime::now())); 2000];
        let before = Instant::now();
        journal.write(&entries, 0);
        journal.write(&entries[..1000], 0);
        let taken = before.elapsed();
        assert!(taken >= PATIENCE && taken < 5 * PATIENCE, "{taken:?}");
        assert!(journal.is_failing && journal.lost > 0);
        let before = received(&stalled);
        assert_eq!(before.len() as u64 + journal.lost, 3000);
        let missing = journal.lost;
        journal.write(&entries[..1], 0);
        let after = received(&stalled);
        assert_eq!((after.len(), lost(&after[0]), lost(&after[1])), (2, Some(missing), None), "{after:?}");
        assert!(!journal.is_failing);
    }

    #[test]
    fn a_journal_that_is_slow_loses_nothing() {
        let (_folder, path) = place();
        let slow = listen(&path);
        let mut journal = Journal::open(&path).unwrap();
        let entries = vec![entry(&Line::of(AuditEvent::Forwarded, SystemTime::now())); 2000];
        let reader = std::thread::spawn(move || {
            let mut buffer = vec![0; 4096];
            let mut count = 0;
            while count < 2000 {
                count += usize::from(slow.recv(&mut buffer).unwrap() > 0);
                if count % 100 == 0 {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        });
        journal.write(&entries, 0);
        assert_eq!((journal.lost, journal.is_failing), (0, false));
        reader.join().unwrap();
    }
}
