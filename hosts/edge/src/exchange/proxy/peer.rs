//! What Pingora's session tells of a request and of who has sent it.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::UPGRADE;
use pingora::proxy::Session;
use vestibule::language::Language;
use vestibule::pages;
use vestibule::web::field_lines::FieldLines;

use crate::audit;
use crate::client::request_id::RequestId;

/// Who is at the other end of the connection.
pub(super) fn peer(session: &Session) -> Option<IpAddr> {
    session.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip())
}

/// As it is decided on, without the query.
pub(super) fn path_of(session: &Session) -> &[u8] {
    let target = session.req_header().raw_path();
    target.split(|&byte| byte == b'?').next().unwrap_or(target)
}

/// Whether a request asks for what is passed on: `websocket`, alone and in one line.
pub(super) fn asks_for_websocket(session: &Session) -> bool {
    session.is_upgrade_req() && names_websocket(&session.req_header().headers)
}

/// Whether `Upgrade` is `websocket`, alone and in one line.
pub(super) fn names_websocket(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(UPGRADE).iter();
    lines.next().is_some_and(|protocol| protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket")) && lines.next().is_none()
}

/// The request's header fields, as pages go by them.
pub(super) fn fields(session: &Session) -> FieldLines {
    session.req_header().headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// The person who looks at the answer, if one does.
pub(super) fn reader(session: &Session) -> Option<Language> {
    pages::reader(&vestibule::web::http::RequestHead { headers: fields(session), ..Default::default() })
}

/// For the audit: a request that is answered without a decision.
pub(super) fn undecided_request<'a>(session: &'a Session, request_id: &'a RequestId, client: Option<IpAddr>) -> audit::Undecided<'a> {
    let request = session.req_header();
    audit::Undecided { request_id, client, method: request.method.as_str(), path: request.uri.path(), reference: None }
}
