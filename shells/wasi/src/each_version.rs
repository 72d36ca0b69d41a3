//! What both shells do with types of `wasi:http` that differ in the version only, and so are of two kinds to Rust.

use std::time::Duration;

/// Of a request to a provider: for name resolution, TCP and TLS, where the host can tell them apart; jco takes it for
/// silence at any time. The request's own limit holds beside it, for the whole.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A duration as WASI has it.
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Defines `outbound_error`, why a provider gives no answer, and `method_name`.
#[macro_export]
macro_rules! conversions {
    ($ErrorCode:ident, $Method:ident) => {
        pub(crate) fn outbound_error(code: $ErrorCode) -> ::vestibule::web::http::OutboundError {
            use ::vestibule::web::http::OutboundError;
            match code {
                $ErrorCode::HttpRequestDenied | $ErrorCode::DestinationIpProhibited => OutboundError::NotAllowed,
                $ErrorCode::ConnectionTimeout
                | $ErrorCode::ConnectionReadTimeout
                | $ErrorCode::ConnectionWriteTimeout
                | $ErrorCode::HttpResponseTimeout
                | $ErrorCode::DnsTimeout => OutboundError::TimedOut,
                $ErrorCode::DnsError(_)
                | $ErrorCode::DestinationNotFound
                | $ErrorCode::DestinationUnavailable
                | $ErrorCode::DestinationIpUnroutable
                | $ErrorCode::ConnectionRefused
                | $ErrorCode::ConnectionLimitReached
                | $ErrorCode::TlsProtocolError
                | $ErrorCode::TlsCertificateError
                | $ErrorCode::TlsAlertReceived(_) => OutboundError::Unreachable(format!("{code:?}")),
                code => OutboundError::Protocol(format!("{code:?}")),
            }
        }

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
