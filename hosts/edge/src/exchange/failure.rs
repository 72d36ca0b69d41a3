//! From an error of Pingora's to what the peer sees: the only place that maps one to the other.

use std::io;

use pingora::{Error, ErrorSource, ErrorType};
use vestibule::pages::HostFailure;

use crate::listen::framing::Malformed;

/// What the peer sees of a request that failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Shown {
    /// A page for a person, or a problem document for a script, with a reference number.
    Page(HostFailure),
    /// The peer broke the protocol: a bare status.
    Status(u16),
    /// The peer is gone.
    Nothing,
}

/// The error for a failure that this host has found itself.
pub fn error(failure: HostFailure, cause: &str) -> Box<Error> {
    Error::explain(ErrorType::CustomCode(MARK, failure.status()), cause.to_owned())
}

/// What the peer sees of `error`.
pub fn shown(error: &Error) -> Shown {
    use ErrorType::*;
    match (error.etype(), error.esource()) {
        (CustomCode(mark, code), _) if *mark == MARK => Shown::Page(failure(*code)),
        (HTTPStatus(429), _) => Shown::Page(HostFailure::TooManyRequests),
        (HTTPStatus(code @ 400..=499), _) => Shown::Status(*code),
        (ConnectTimedout | TLSHandshakeTimedout | ReadTimedout | WriteTimedout, ErrorSource::Upstream) => {
            Shown::Page(HostFailure::UpstreamTimedOut)
        }
        // A connection that is to be upgraded keeps its own time ([`crate::upgrade::socket`]).
        (ReadError | WriteError, ErrorSource::Upstream) if is_late(error) => Shown::Page(HostFailure::UpstreamTimedOut),
        (_, ErrorSource::Upstream) => Shown::Page(HostFailure::UpstreamUnreachable),
        (ReadError, ErrorSource::Downstream) if is_malformed(error) => Shown::Status(400),
        // With HTTP/2, a stream that was reset, or whose connection is gone.
        (ReadError | WriteError | ConnectionClosed | H2Error, ErrorSource::Downstream) => Shown::Nothing,
        // Who does not take a response takes no page either.
        (WriteTimedout, ErrorSource::Downstream) => Shown::Nothing,
        (ReadTimedout, ErrorSource::Downstream) => Shown::Page(HostFailure::BodyTooSlow),
        (_, ErrorSource::Downstream) => Shown::Status(400),
        (_, ErrorSource::Internal | ErrorSource::Unset) => Shown::Page(HostFailure::Filter),
    }
}

/// Whether a body was refused by [`crate::listen::framing`] while it was read.
fn is_malformed(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.is_some_and(|cause| cause.is::<Malformed>())
}

fn is_late(error: &Error) -> bool {
    error.root_cause().downcast_ref::<io::Error>().is_some_and(|cause| cause.kind() == io::ErrorKind::TimedOut)
}

/// Marks an error made by [`error`].
const MARK: &str = "vestibule";

fn failure(status: u16) -> HostFailure {
    match status {
        413 => HostFailure::BodyTooLarge,
        502 => HostFailure::UpstreamUnreachable,
        503 => HostFailure::Overloaded,
        504 => HostFailure::UpstreamTimedOut,
        _ => HostFailure::Filter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(etype: ErrorType, source: ErrorSource, expected: &Shown) {
        let error = Error::create(etype, source, None, None);
        assert_eq!(&shown(&error), expected, "{error}");
    }

    #[test]
    fn each_error_has_its_answer() {
        use ErrorSource::*;
        use ErrorType::*;
        check(ConnectRefused, Upstream, &Shown::Page(HostFailure::UpstreamUnreachable));
        check(InvalidCert, Upstream, &Shown::Page(HostFailure::UpstreamUnreachable));
        check(ConnectTimedout, Upstream, &Shown::Page(HostFailure::UpstreamTimedOut));
        check(ReadTimedout, Upstream, &Shown::Page(HostFailure::UpstreamTimedOut));
        check(ConnectionClosed, Downstream, &Shown::Nothing);
        check(H2Error, Downstream, &Shown::Nothing);
        check(WriteTimedout, Downstream, &Shown::Nothing);
        check(InvalidHTTPHeader, Downstream, &Shown::Status(400));
        check(ReadTimedout, Downstream, &Shown::Page(HostFailure::BodyTooSlow));
        check(HTTPStatus(429), Downstream, &Shown::Page(HostFailure::TooManyRequests));
        check(HTTPStatus(400), Unset, &Shown::Status(400));
        check(HTTPStatus(500), Unset, &Shown::Page(HostFailure::Filter));
        check(InternalError, Internal, &Shown::Page(HostFailure::Filter));
    }

    #[test]
    fn a_malformed_body_is_not_a_peer_that_is_gone() {
        let malformed = io::Error::new(io::ErrorKind::InvalidData, Malformed::Chunk);
        let error = Error::because(ErrorType::ReadError, "when reading body", malformed).into_down();
        assert_eq!(shown(&error), Shown::Status(400));
        let gone = Error::because(ErrorType::ReadError, "when reading body", io::Error::from(io::ErrorKind::ConnectionReset)).into_down();
        assert_eq!(shown(&gone), Shown::Nothing);
    }

    #[test]
    fn an_application_that_does_not_answer_an_upgrade_in_time_is_late() {
        for (kind, expected) in
            [(io::ErrorKind::TimedOut, HostFailure::UpstreamTimedOut), (io::ErrorKind::ConnectionReset, HostFailure::UpstreamUnreachable)]
        {
            let error = Error::because(ErrorType::ReadError, "when reading the head", io::Error::from(kind)).into_up();
            assert_eq!(shown(&error), Shown::Page(expected), "{kind}");
        }
    }

    #[test]
    fn our_own_failures_come_back_as_they_are() {
        for failure in [
            HostFailure::Filter,
            HostFailure::UpstreamUnreachable,
            HostFailure::UpstreamTimedOut,
            HostFailure::Overloaded,
            HostFailure::BodyTooLarge,
        ] {
            assert_eq!(shown(&error(failure, "why")), Shown::Page(failure));
        }
    }
}
