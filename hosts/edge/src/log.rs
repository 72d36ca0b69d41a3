//! The log: to stderr, for people or as JSON lines.
//!
//! Neither queries, headers nor bodies are ever written: they hold codes, cookies and tokens. For the same reason the
//! levels debug and trace are for this program's own messages: libraries write there what they send and receive, an HTTP/2
//! library every header. Pingora quotes requests that it cannot parse at higher levels too, so it is silent.

use std::io::IsTerminal as _;
use std::time::Duration;

use clap::ValueEnum;
use pingora::{Error, ErrorType};
use tracing_subscriber::filter::{EnvFilter, FilterExt as _, LevelFilter, filter_fn};
use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

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

/// Starts logging. `VESTIBULE_LOG` (`debug`, `vestibule_edge=debug`, …) chooses what is written, within what may be.
pub fn start(format: Format) {
    let chosen = std::env::var("VESTIBULE_LOG").unwrap_or_else(|_| DEFAULT_FILTER.to_owned());
    let chosen = EnvFilter::try_new(chosen).unwrap_or_else(|_| EnvFilter::new(DEFAULT_FILTER));
    let filter = chosen.and(filter_fn(|message| may_be_written(message.target(), *message.level())));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(std::io::stderr().is_terminal());
    let log = tracing_subscriber::registry();
    // A log that is there already, as in a test, stays.
    let _ = match format {
        Format::Human => log.with(layer.with_target(false).with_filter(filter)).try_init(),
        Format::Json => log.with(layer.json().flatten_event(true).with_target(false).with_filter(filter)).try_init(),
    };
}

/// Whether a message of this module is written, if it is asked for.
fn may_be_written(target: &str, level: tracing::Level) -> bool {
    let library = target.split("::").next().unwrap_or(target);
    library.starts_with(OWN) || (level <= LevelFilter::INFO && !SILENT.contains(&library))
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

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_do_not_write_what_they_send_and_receive() {
        for (target, level, written) in [
            ("vestibule", Level::TRACE, true),
            ("vestibule_edge::proxy", Level::DEBUG, true),
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
