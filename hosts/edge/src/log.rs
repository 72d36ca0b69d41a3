//! The log: to stderr, for people or as JSON lines.
//!
//! Neither queries, headers nor bodies are ever written: they hold codes, cookies and tokens. For the same reason
//! Pingora's own messages, which quote requests they cannot parse, are off.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::ValueEnum;
use pingora::{Error, ErrorType};
use tracing_subscriber::EnvFilter;

/// What is written when `VESTIBULE_LOG` does not say otherwise.
const DEFAULT_FILTER: &str = "info";
/// Modules that quote what peers send.
const SILENT: [&str; 4] = ["pingora_core=off", "pingora_proxy=off", "pingora_http=off", "h2=off"];

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line for a person.
    Human,
    /// One JSON object in a line.
    Json,
}

/// Starts logging. `VESTIBULE_LOG` (`debug`, `vestibule_edge=debug`, …) chooses what is written.
pub fn start(format: Format) {
    let chosen = std::env::var("VESTIBULE_LOG").unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    let filter = EnvFilter::try_new(format!("{chosen},{}", SILENT.join(",")))
        .unwrap_or_else(|_| EnvFilter::new(format!("{DEFAULT_FILTER},{}", SILENT.join(","))));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    // A log that is there already, as in a test, stays.
    let _ = match format {
        Format::Human => log.with_target(false).try_init(),
        Format::Json => log.json().flatten_event(true).with_target(false).try_init(),
    };
}

/// What became of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Forwarded,
    Answered,
    Failed,
}

/// One request's line.
pub struct Access<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// 0: the peer was gone before it was answered.
    pub status: u16,
    pub duration: Duration,
    pub outcome: Outcome,
}

/// Writes one request's line: at level debug for what was forwarded, since the application logs that itself.
pub fn access(access: &Access<'_>) {
    let Access { method, path, status, duration, outcome } = access;
    let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match outcome {
        Outcome::Forwarded => {
            tracing::debug!(code = "request", outcome = "forwarded", method, path, status, milliseconds);
        }
        Outcome::Answered => {
            tracing::info!(code = "request", outcome = "answered", method, path, status, milliseconds);
        }
        Outcome::Failed => tracing::info!(code = "request", outcome = "failed", method, path, status, milliseconds),
    }
}

/// Writes why a request failed, with the number that its page shows.
pub fn failure(error: &Error, path: &str, reference: &str) {
    let source = error.esource().as_str();
    let problem = error.etype().as_str();
    if *error.esource() == pingora::ErrorSource::Downstream {
        // The context of an error that the peer has caused may quote the peer.
        tracing::debug!(code = "request.failed", source, problem, path, reference);
    } else if quotes_nothing(error.etype()) {
        tracing::warn!(code = "request.failed", source, problem, path, reference, "{}", reasons(error));
    } else {
        tracing::warn!(code = "request.failed", source, problem, path, reference, "the exchange with the application failed");
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
    reasons.join(": ")
}
