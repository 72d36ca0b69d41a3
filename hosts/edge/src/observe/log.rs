//! The log: to stderr, for people or as JSON lines.
//!
//! Neither queries, headers nor bodies are ever written: they hold codes, cookies and tokens. For the same reason the
//! levels debug and trace are for this program's own messages: libraries write there what they send and receive, an HTTP/2
//! library every header. Pingora quotes requests that it cannot parse at higher levels too, so it is silent.
//!
//! The log holds up nothing: a reader that stalls costs lines (`log_queue.rs`), and the line `log.lost` counts them.

use std::fmt;
use std::io::{self, IsTerminal as _};
use std::panic::{self, PanicHookInfo};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use clap::ValueEnum;
use pingora::{Error, ErrorType};
use tracing::field::{Field, Visit};
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::audit;
use crate::causes;
use crate::client::request_id::RequestId;
use crate::observe::log_queue::LogQueue;

/// What is written when `VESTIBULE_LOG` does not say otherwise.
const DEFAULT_FILTER: &str = "info";
/// Libraries that quote what peers send.
const SILENT: [&str; 4] = ["pingora_core", "pingora_proxy", "pingora_http", "h2"];
/// The targets of this program and its component.
const OWN: &str = "vestibule";

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line for a person.
    Human,
    /// One JSON object in a line.
    Json,
}

/// How long the end of the program waits for a reader of the log.
const LAST_PATIENCE: Duration = Duration::from_secs(1);
/// Characters of a panic's message.
const MAX_MESSAGE: usize = 500;

static QUEUE: OnceLock<LogQueue> = OnceLock::new();

/// Starts logging. `VESTIBULE_LOG` (`debug`, `vestibule_edge=debug`, …) chooses what is written, within what may be.
///
/// # Errors
/// The system gives no thread.
pub fn start(format: Format) -> io::Result<()> {
    let chosen = std::env::var("VESTIBULE_LOG").unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    let chosen = EnvFilter::try_new(chosen).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    // Without a hint of its own it would hide the other's, and every message of Pingora's would be made to be thrown away.
    let is_known = |message: &Metadata<'_>| message.target() != audit::LOG_TARGET && may_be_written(message.target(), *message.level());
    let known = filter_fn(is_known).with_max_level_hint(LevelFilter::TRACE);
    let filter = chosen.and(known);
    let queue = LogQueue::start(io::stderr(), move |lost| lost_line(format, lost))?;
    let log = tracing_subscriber::registry().with(layer(format, queue.clone()).with_filter(filter));
    let is_audit = filter_fn(|message| message.target() == audit::LOG_TARGET).with_max_level_hint(LevelFilter::INFO);
    let log = log.with(tracing_subscriber::fmt::layer().event_format(AsItIs).with_writer(queue.clone()).with_filter(is_audit));
    // A log that is there already, as in a test, stays.
    if log.try_init().is_ok() && QUEUE.set(queue).is_ok() {
        panic::set_hook(Box::new(log_panic));
    }
    Ok(())
}

/// Waits a moment for the reader of the log, at the end of the program.
pub fn flush() {
    if let Some(queue) = QUEUE.get() {
        queue.flush(LAST_PATIENCE);
    }
}

fn layer<S, W>(format: Format, writer: W) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(io::stderr().is_terminal()).with_target(false);
    match format {
        Format::Human => layer.boxed(),
        Format::Json => layer.json().flatten_event(true).boxed(),
    }
}

/// Lines of the audit, in which everything is quoted already: each is the message of its event.
struct AsItIs;

impl<S, F> FormatEvent<S, F> for AsItIs
where
    S: Subscriber + for<'span> LookupSpan<'span>,
    F: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, F>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut message = Message(String::new());
        event.record(&mut message);
        writeln!(writer, "{}", message.0)
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}

/// Tells how many lines were lost, in the form of all others.
fn lost_line(format: Format, lost: u64) -> Vec<u8> {
    written(format, || tracing::warn!(code = "log.lost", lost, "lines of the log were lost: the reader of the log did not keep up"))
}

/// Writes an event to stderr as JSON when the log has ended, whatever `VESTIBULE_LOG` leaves out.
pub fn last_words(event: impl FnOnce()) {
    // There is nobody left to tell.
    let _ = io::Write::write_all(&mut io::stderr(), &written(Format::Json, event));
}

/// The line that the log would have of an event.
fn written(format: Format, event: impl FnOnce()) -> Vec<u8> {
    let line = Arc::new(Mutex::new(Vec::new()));
    let dispatch = Dispatch::new(tracing_subscriber::registry().with(layer(format, Kept(line.clone()))));
    tracing::dispatcher::with_default(&dispatch, event);
    std::mem::take(&mut *line.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Keeps what is written.
#[derive(Clone)]
struct Kept(Arc<Mutex<Vec<u8>>>);

impl io::Write for Kept {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Kept {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}

/// In place of the standard library's, which waits for the reader of stderr.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let message: String = message.chars().take(MAX_MESSAGE).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let location = panic.location().map(tracing::field::display);
    tracing::error!(code = "program.panic", location, "a fault of this program: {message}");
}

/// Whether a message of this module is written, if it is asked for.
fn may_be_written(target: &str, level: tracing::Level) -> bool {
    let library = target.split("::").next().unwrap_or(target);
    library.starts_with(OWN) || (level <= LevelFilter::INFO && !SILENT.contains(&library))
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    Forwarded,
    Answered,
    Failed,
    /// By the client, before it had a response.
    Closed,
}

/// One request's line.
pub struct RequestRecord<'a> {
    pub request_id: &'a RequestId,
    pub method: &'a str,
    pub path: &'a str,
    /// 0: the peer was gone before it was answered.
    pub status: u16,
    pub duration: Duration,
    pub disposition: Disposition,
}

/// Writes one request's line: at level debug for what was forwarded, since the application logs that itself, and for a client that
/// has left.
pub fn request(record: &RequestRecord<'_>) {
    let RequestRecord { request_id, method, path, status, duration, disposition } = record;
    let request_id = request_id.as_str();
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match disposition {
        Disposition::Forwarded => {
            tracing::debug!(code = "request", outcome = "forwarded", request_id, method, path, status, milliseconds);
        }
        Disposition::Answered => {
            tracing::info!(code = "request", outcome = "answered", request_id, method, path, status, milliseconds);
        }
        Disposition::Failed => {
            tracing::info!(code = "request", outcome = "failed", request_id, method, path, status, milliseconds);
        }
        Disposition::Closed => {
            tracing::debug!(code = "request", outcome = "closed", request_id, method, path, status, milliseconds);
        }
    }
}

/// Writes why a request failed, with the number that its page shows.
pub fn failure(error: &Error, request_id: &RequestId, path: &str, reference: &str) {
    let request_id = request_id.as_str();
    let source = error.esource().as_str();
    let problem = error.etype().as_str();
    if *error.esource() == pingora::ErrorSource::Downstream {
        // The context of an error that the peer has caused may quote the peer.
        tracing::debug!(code = "request.failed", request_id, source, problem, path, reference);
    } else if quotes_nothing(error.etype()) {
        tracing::warn!(code = "request.failed", request_id, source, problem, path, reference, "{}", reasons(error));
    } else {
        tracing::warn!(code = "request.failed", request_id, source, problem, path, reference, "the exchange with the application failed");
    }
}

/// Whether an error of this kind tells why without quoting what was sent: this host's own do, and those of a connection
/// on which nothing was sent yet. Others quote the head that they could not read.
fn quotes_nothing(kind: &ErrorType) -> bool {
    use ErrorType::*;
    matches!(
        kind,
        CustomCode(..)
            | HTTPStatus(_)
            | ConnectTimedout
            | ConnectRefused
            | ConnectNoRoute
            | ConnectError
            | TLSHandshakeFailure
            | TLSHandshakeTimedout
            | InvalidCert
            | BindError
            | SocketError
    )
}

/// The contexts of `error` and of what caused it, outermost first.
fn reasons(error: &Error) -> String {
    let mut reasons = Vec::new();
    let mut next: Option<&(dyn std::error::Error + 'static)> = None;
    if let Some(context) = &error.context {
        reasons.push(context.as_str().to_owned());
    }
    if let Some(cause) = &error.cause {
        next = Some(cause.as_ref());
    }
    while let Some(cause) = next {
        match cause.downcast_ref::<Box<Error>>() {
            Some(inner) => {
                reasons.extend(inner.context.as_ref().map(|context| context.as_str().to_owned()));
                next = inner.cause.as_ref().map(|cause| cause.as_ref() as _);
            }
            None => {
                reasons.push(cause.to_string());
                next = cause.source();
            }
        }
    }
    causes::joined(reasons)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn lost_lines_are_told_in_the_form_of_the_log() {
        let json: serde_json::Value = serde_json::from_slice(&lost_line(Format::Json, 7)).expect("JSON");
        assert_eq!((json["code"].as_str(), json["lost"].as_u64(), json["level"].as_str()), (Some("log.lost"), Some(7), Some("WARN")));
        let human = String::from_utf8(lost_line(Format::Human, 7)).expect("text");
        assert!(human.ends_with('\n') && human.contains("log.lost") && human.contains("lost=7"), "{human}");
    }

    #[test]
    fn libraries_do_not_write_what_they_send_and_receive() {
        for (target, level, written) in [
            ("vestibule", Level::TRACE, true),
            ("vestibule_edge::exchange::proxy", Level::DEBUG, true),
            ("vestibule_wasmtime::pool", Level::TRACE, true),
            ("rustls::client", Level::WARN, true),
            ("rustls::client", Level::INFO, true),
            ("rustls::client", Level::DEBUG, false),
            ("hyper_util::client", Level::TRACE, false),
            ("h2::codec", Level::ERROR, false),
            ("h2", Level::WARN, false),
            ("pingora_proxy::proxy_h1", Level::ERROR, false),
            ("not::vestibule", Level::DEBUG, false),
        ] {
            assert_eq!(may_be_written(target, level), written, "{target} {level}");
        }
    }
}
