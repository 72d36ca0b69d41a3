//! What both shells do with types of `wasi:http` that differ in the version only, and so are of two kinds to Rust.

use std::time::Duration;

/// Of a request to a provider: for name resolution, TCP and TLS, where the host can tell them apart; jco takes it for
/// silence at any time. The request's own limit holds beside it, for the whole.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A duration as WASI has it.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Defines `is_repeated`: whether a request to a provider that this came of, in place of a response, is sent once more.
///
/// A host may send on a connection that it has kept, and providers close connections when they like, also while the next
/// request is on its way. A `GET` is repeated then (RFC 9110 section 9.2.2); a code that was sent may have been redeemed. What
/// is told of such a connection differs from host to host: a connection that was never there, and a provider that is slow or not
/// to be trusted, are none.
#[macro_export]
macro_rules! repetition {
    ($ErrorCode:ident) => {
        pub(crate) fn is_repeated(method: &str, code: &$ErrorCode) -> bool {
            let is_broken_off =
                matches!(code, $ErrorCode::ConnectionTerminated | $ErrorCode::HttpProtocolError | $ErrorCode::HttpResponseIncomplete);
            method == "GET" && is_broken_off
        }
    };
}

/// Defines `outbound_error`, why a provider gives no answer, `is_repeated` and `method_name`.
#[macro_export]
macro_rules! conversions {
    ($ErrorCode:ident, $Method:ident) => {
        pub(crate) fn outbound_error(code: $ErrorCode) -> ::vestibule::web::http::OutboundError {
            use ::vestibule::web::http::OutboundError;
            match code {
                $ErrorCode::HttpRequestDenied | $ErrorCode::DestinationIpProhibited => OutboundError::NotAllowed,
                $ErrorCode::ConnectionReadTimeout | $ErrorCode::ConnectionWriteTimeout | $ErrorCode::HttpResponseTimeout => {
                    OutboundError::TimedOut
                }
                // These two as well: no connection came about, and nothing was sent.
                $ErrorCode::ConnectionTimeout
                | $ErrorCode::DnsTimeout
                | $ErrorCode::DnsError(_)
                | $ErrorCode::DestinationNotFound
                | $ErrorCode::DestinationUnavailable
                | $ErrorCode::DestinationIpUnroutable
                | $ErrorCode::ConnectionRefused
                | $ErrorCode::ConnectionLimitReached
                | $ErrorCode::TlsProtocolError
                | $ErrorCode::TlsAlertReceived(_) => OutboundError::Unreachable(format!("{code:?}")),
                // Which one, and what is wrong with it, is not told; whom the host believes is its own affair.
                $ErrorCode::TlsCertificateError => OutboundError::Unreachable(
                    "the host does not accept the certificate that it presents: if it is signed by an authority of your own, have the \
                     host trust that authority"
                        .to_owned(),
                ),
                code => OutboundError::Protocol(format!("{code:?}")),
            }
        }

        $crate::repetition!($ErrorCode);

        pub(crate) fn method_name(method: $Method) -> String {
            let name = match method {
                $Method::Get => "GET",
                $Method::Head => "HEAD",
                $Method::Post => "POST",
                $Method::Put => "PUT",
                $Method::Delete => "DELETE",
                $Method::Connect => "CONNECT",
                $Method::Options => "OPTIONS",
                $Method::Trace => "TRACE",
                $Method::Patch => "PATCH",
                $Method::Other(name) => return name,
            };
            name.to_owned()
        }
    };
}

#[cfg(test)]
mod tests {
    /// Those of `wasi:http`, without what some of them say beside.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(crate) enum ErrorCode {
        DnsTimeout,
        DnsError,
        DestinationNotFound,
        DestinationUnavailable,
        DestinationIpProhibited,
        DestinationIpUnroutable,
        ConnectionRefused,
        ConnectionTerminated,
        ConnectionTimeout,
        ConnectionReadTimeout,
        ConnectionWriteTimeout,
        ConnectionLimitReached,
        TlsProtocolError,
        TlsCertificateError,
        TlsAlertReceived,
        HttpRequestDenied,
        HttpResponseIncomplete,
        HttpResponseTimeout,
        HttpProtocolError,
        LoopDetected,
        ConfigurationError,
        InternalError,
    }

    const ALL: [ErrorCode; 22] = [
        ErrorCode::DnsTimeout,
        ErrorCode::DnsError,
        ErrorCode::DestinationNotFound,
        ErrorCode::DestinationUnavailable,
        ErrorCode::DestinationIpProhibited,
        ErrorCode::DestinationIpUnroutable,
        ErrorCode::ConnectionRefused,
        ErrorCode::ConnectionTerminated,
        ErrorCode::ConnectionTimeout,
        ErrorCode::ConnectionReadTimeout,
        ErrorCode::ConnectionWriteTimeout,
        ErrorCode::ConnectionLimitReached,
        ErrorCode::TlsProtocolError,
        ErrorCode::TlsCertificateError,
        ErrorCode::TlsAlertReceived,
        ErrorCode::HttpRequestDenied,
        ErrorCode::HttpResponseIncomplete,
        ErrorCode::HttpResponseTimeout,
        ErrorCode::HttpProtocolError,
        ErrorCode::LoopDetected,
        ErrorCode::ConfigurationError,
        ErrorCode::InternalError,
    ];

    crate::repetition!(ErrorCode);

    #[test]
    fn a_get_on_a_connection_that_was_closed_is_repeated_and_nothing_else() {
        let repeated: Vec<_> = ALL.into_iter().filter(|code| is_repeated("GET", code)).collect();
        assert_eq!(repeated, [ErrorCode::ConnectionTerminated, ErrorCode::HttpResponseIncomplete, ErrorCode::HttpProtocolError]);
        for method in ["POST", "HEAD", "get", ""] {
            assert!(!ALL.iter().any(|code| is_repeated(method, code)), "{method}");
        }
    }
}
