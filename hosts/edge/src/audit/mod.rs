//! The audit: one JSON line for each login, logout, refusal, end of a session and change of the configuration (`docs/audit.md`).
//!
//! 1. The filter says what a decision is to the audit. This host adds the time, the client, the name of the request, and the events
//!    that no decision is about.
//! 2. Writing a line never waits, and what becomes of it changes no decision: a request is neither held up nor admitted by a disk
//!    that is full. Lines that are lost are counted and told, in the log and where they are missing.
//! 3. A line is an object of named texts and numbers that `serde_json` writes, so no value begins a line or a field. The texts have
//!    bounds: those of [`Audited`], of [`RequestId`], and of the codes of this program.
//! 4. Lines for the log go out as events of `tracing` with the target [`LOG_TARGET`], which the log writes as they are, whatever
//!    `VESTIBULE_LOG` leaves out.

mod ended;
mod file;
pub mod journal;
mod line;
pub mod place;
mod writer;

use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use vestibule::audit::AuditEvent;
use vestibule_wasmtime::{self as library, AuditDestination, Audited};

pub use crate::audit::ended::Commanded;
use crate::audit::line::Line;
use crate::audit::writer::{Place, Writer};
use crate::client::request_id::RequestId;

/// The target of lines that are for the log: each is the message of an event.
pub const LOG_TARGET: &str = "vestibule::audit";

/// The audit of one configuration.
#[derive(Clone, Default)]
pub struct Audit {
    destination: Destination,
    /// Whether forwarded requests are written.
    requests: bool,
    /// The path where logins end.
    callback: Option<Arc<str>>,
    /// Whether lines name people.
    subjects: bool,
}

#[derive(Clone, Default)]
enum Destination {
    #[default]
    Nowhere,
    Log,
    Writer(Arc<Writer>),
}

/// What a decision is to the audit, and whose request it is about: kept with an exchange that outlives the decision.
pub struct Record {
    audit: Audit,
    request_id: RequestId,
    client: Option<IpAddr>,
    audited: Audited,
    /// On the page that the client gets.
    reference: Option<String>,
}

impl Audit {
    /// The audit that a configuration asks for. A file that something here writes to already is not opened a second time.
    ///
    /// # Errors
    /// The file cannot be opened, there is no journal, or the system gives no thread. The message has a remedy.
    pub fn open(wanted: Option<&library::Audit>) -> anyhow::Result<Self> {
        let Some(library::Audit { destination, requests, .. }) = wanted else { return Ok(Self::default()) };
        match destination {
            AuditDestination::Log => Ok(Self { destination: Destination::Log, requests: *requests, ..Self::default() }),
            AuditDestination::File(path) => Self::to_file(path, *requests),
            AuditDestination::Journald => Self::to_journal(Path::new(journal::SOCKET), *requests),
        }
    }

    /// An audit in a file, with or without forwarded requests.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn to_file(path: &Path, requests: bool) -> anyhow::Result<Self> {
        Self::to(Place::File(path.to_owned()), requests)
    }

    /// An audit in the journal that listens at this socket, with or without forwarded requests.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn to_journal(socket: &Path, requests: bool) -> anyhow::Result<Self> {
        Self::to(Place::Journal(socket.to_owned()), requests)
    }

    fn to(place: Place, requests: bool) -> anyhow::Result<Self> {
        Ok(Self { destination: Destination::Writer(writer(place)?), requests, ..Self::default() })
    }

    /// The same, with the path where logins end: for requests there that fail without a decision.
    #[must_use]
    pub fn with_callback(self, callback: Option<Arc<str>>) -> Self {
        Self { callback, ..self }
    }

    /// The same, with the names of people in the lines that this host makes, or without.
    #[must_use]
    pub fn with_subjects(self, subjects: bool) -> Self {
        Self { subjects, ..self }
    }

    /// Writes what a decision is to the audit, and returns it for what may come of the exchange later. `None` where there is no audit.
    /// `reference` is on the page that the client gets.
    pub fn decided(
        &self,
        audited: Option<Audited>,
        reference: Option<&str>,
        request_id: &RequestId,
        client: Option<IpAddr>,
    ) -> Option<Arc<Record>> {
        let audited = audited.filter(|_| !matches!(self.destination, Destination::Nowhere))?;
        let reference = reference.map(|reference| bounded(reference, MAX_REFERENCE));
        let record = Record { audit: self.clone(), request_id: request_id.clone(), client, audited, reference };
        let event = event_of(record.audited.event);
        if event != AuditEvent::Forwarded || self.requests {
            record.write(event, record.audited.code.as_deref(), record.audited.rule);
        }
        Some(Arc::new(record))
    }

    /// Writes that a request was refused, or a login failed, before there was a decision.
    pub fn undecided(&self, event: AuditEvent, code: &str, request: Undecided<'_>) {
        let Undecided { request_id, client, method, path, reference } = request;
        let (method, path) = (bounded(method, vestibule::audit::MAX_METHOD), bounded(path, vestibule::audit::MAX_PATH));
        self.write(&Line {
            request_id: Some(request_id.as_str()),
            client,
            method: Some(&method),
            path: Some(&path),
            code: Some(code),
            reference,
            ..Line::of(event, SystemTime::now())
        });
    }

    /// Whether logins end at this path.
    pub fn is_callback(&self, path: &str) -> bool {
        self.callback.as_deref() == Some(path)
    }

    /// Writes what has happened to the program or its configuration.
    pub fn happened(&self, event: AuditEvent, code: Option<&str>) {
        self.write(&Line { code, ..Line::of(event, SystemTime::now()) });
    }

    fn write(&self, line: &Line<'_>) {
        match &self.destination {
            Destination::Nowhere => {}
            Destination::Log => tracing::info!(target: LOG_TARGET, "{}", line.json()),
            Destination::Writer(writer) => writer.write(line),
        }
    }
}

/// A request that there is no decision about.
#[derive(Clone, Copy)]
pub struct Undecided<'a> {
    pub request_id: &'a RequestId,
    pub client: Option<IpAddr>,
    pub method: &'a str,
    /// Without the query.
    pub path: &'a str,
    /// On the page that the client gets.
    pub reference: Option<&'a str>,
}

impl Record {
    /// Writes what has become of the exchange.
    pub fn ended(&self, event: AuditEvent, code: &str) {
        self.write(event, Some(code), None);
    }

    fn write(&self, event: AuditEvent, code: Option<&str>, rule: Option<u32>) {
        let Self { audit, request_id, client, audited, reference } = self;
        audit.write(&Line {
            request_id: Some(request_id.as_str()),
            client: *client,
            provider: audited.provider.as_deref(),
            subject: audited.subject.as_deref(),
            email: audited.email.as_deref(),
            session: audited.session.as_deref(),
            method: Some(&audited.method),
            path: Some(&audited.path),
            rule,
            code,
            // What becomes of the exchange later has no page.
            reference: reference.as_deref().filter(|_| code == audited.code.as_deref()),
            ..Line::of(event, SystemTime::now())
        });
    }
}

fn event_of(event: library::AuditEvent) -> AuditEvent {
    match event {
        library::AuditEvent::Login => AuditEvent::Login,
        library::AuditEvent::LoginFailed => AuditEvent::LoginFailed,
        library::AuditEvent::Logout => AuditEvent::Logout,
        library::AuditEvent::Forwarded => AuditEvent::Forwarded,
        // The library has no other; one that it gets is written rather than lost.
        _ => AuditEvent::Refused,
    }
}

/// Longest number on a page, in characters. A filter's own have 10.
const MAX_REFERENCE: usize = 32;

/// Who writes to files, or to the journal, in this process. An exchange that outlives its configuration goes on with the file of
/// that one, which is rotated as well.
static WRITERS: Mutex<Vec<Weak<Writer>>> = Mutex::new(Vec::new());

fn writers() -> MutexGuard<'static, Vec<Weak<Writer>>> {
    // Whatever panics elsewhere, each entry is whole.
    let mut writers = WRITERS.lock().unwrap_or_else(PoisonError::into_inner);
    writers.retain(|writer| writer.strong_count() > 0);
    writers
}

/// Opens the files that are written to anew, by their paths: whoever rotates them has renamed the old ones.
pub fn reopen_files() {
    writers().iter().filter_map(Weak::upgrade).for_each(|writer| writer.reopen());
}

/// Waits until everything is written, for at most `patience` for each file and for the journal. Blocks the thread: for the end of the
/// program.
pub fn flush_files(patience: Duration) {
    let open: Vec<_> = writers().iter().filter_map(Weak::upgrade).collect();
    open.iter().for_each(|writer| writer.flush(patience));
}

/// The one who writes there. Two would not know of each other's lines.
fn writer(place: Place) -> anyhow::Result<Arc<Writer>> {
    let mut writers = writers();
    if let Some(writer) = writers.iter().filter_map(Weak::upgrade).find(|writer| *writer.place() == place) {
        return Ok(writer);
    }
    let (to, remedy) = match &place {
        Place::File(path) => {
            (path.display().to_string(), "make its folder writable for this program's user, or change vestibule.log.audit")
        }
        Place::Journal(path) => (
            format!("the journal at {}", path.display()),
            "run the program where systemd-journald does, or change vestibule.log.audit to \"log\" or to a file",
        ),
    };
    let writer = Writer::open(place).with_context(|| format!("the audit cannot be written to {to}; {remedy}"))?;
    let writer = Arc::new(writer);
    writers.push(Arc::downgrade(&writer));
    Ok(writer)
}

/// The first characters, with none that controls a terminal.
fn bounded(text: &str, longest: usize) -> String {
    text.chars().take(longest).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
