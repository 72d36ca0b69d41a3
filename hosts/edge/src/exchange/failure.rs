//! From an error of Pingora's to what the peer sees: the only place that maps one to the other.

use std::io;

use pingora::{Error, ErrorSource, ErrorType};
use vestibule::pages::HostFailure;

use crate::listen::framing::Malformed;

/// What is answered to a request that failed.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// A page for a person, with a reference number.
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

/// What is answered to `error`.
pub fn answer(error: &Error) -> Answer {
    use ErrorType::*;
    match (error.etype(), error.esource()) {
        (CustomCode(mark, code), _) if *mark == MARK => Answer::Page(failure(*code)),
        (HTTPStatus(code @ 400..=499), _) => Answer::Status(*code),
        (ConnectTimedout | TLSHandshakeTimedout | ReadTimedout | WriteTimedout, ErrorSource::Upstream) => {
            Answer::Page(HostFailure::UpstreamTimedOut)
        }
        (_, ErrorSource::Upstream) => Answer::Page(HostFailure::UpstreamUnreachable),
        (ReadError, ErrorSource::Downstream) if is_malformed(error) => Answer::Status(400),
        (ReadError | WriteError | ConnectionClosed, ErrorSource::Downstream) => Answer::Nothing,
        (ReadTimedout | WriteTimedout, ErrorSource::Downstream) => Answer::Status(408),
        (_, ErrorSource::Downstream) => Answer::Status(400),
        (_, ErrorSource::Internal | ErrorSource::Unset) => Answer::Page(HostFailure::Filter),
    }
}

/// Whether a body was refused by [`crate::listen::framing`] while it was read.
fn is_malformed(error: &Error) -> bool {
    let cause = error.root_cause().downcast_ref::<io::Error>().and_then(io::Error::get_ref);
    cause.is_some_and(|cause| cause.is::<Malformed>())
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

    fn check(etype: ErrorType, source: ErrorSource, expected: &Answer) {
        let error = Error::create(etype, source, None, None);
        assert_eq!(&answer(&error), expected, "{error}");
    }

    #[test]
    fn each_error_has_its_answer() {
        use ErrorSource::*;
        use ErrorType::*;
        check(ConnectRefused, Upstream, &Answer::Page(HostFailure::UpstreamUnreachable));
        check(InvalidCert, Upstream, &Answer::Page(HostFailure::UpstreamUnreachable));
        check(ConnectTimedout, Upstream, &Answer::Page(HostFailure::UpstreamTimedOut));
        check(ReadTimedout, Upstream, &Answer::Page(HostFailure::UpstreamTimedOut));
        check(ConnectionClosed, Downstream, &Answer::Nothing);
        check(InvalidHTTPHeader, Downstream, &Answer::Status(400));
        check(ReadTimedout, Downstream, &Answer::Status(408));
        check(HTTPStatus(400), Unset, &Answer::Status(400));
        check(HTTPStatus(500), Unset, &Answer::Page(HostFailure::Filter));
        check(InternalError, Internal, &Answer::Page(HostFailure::Filter));
    }

    #[test]
    fn a_malformed_body_is_not_a_peer_that_is_gone() {
        let malformed = io::Error::new(io::ErrorKind::InvalidData, Malformed::Chunk);
        let error = Error::because(ErrorType::ReadError, "when reading body", malformed).into_down();
        assert_eq!(answer(&error), Answer::Status(400));
        let gone = Error::because(ErrorType::ReadError, "when reading body", io::Error::from(io::ErrorKind::ConnectionReset)).into_down();
        assert_eq!(answer(&gone), Answer::Nothing);
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
            assert_eq!(answer(&error(failure, "why")), Answer::Page(failure));
        }
    }
}
