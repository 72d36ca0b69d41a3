//! Answers that do not come from the application, and the end of a connection behind them.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_LENGTH;
use http::{Method, StatusCode};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;
use tokio::time::timeout;
use vestibule::language::Language;
use vestibule_enforcement::edits::NOT_FOR_CACHES;

use super::peer::fields;
use crate::upgrade::farewell::Farewell;
use crate::upstream::forwarding;

/// What is read of a body for nothing, so that the page that answers it arrives: closing on unread bytes resets the
/// connection, and browsers then show that instead.
const LINGER_BYTES: usize = 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Sends a response that does not come from the application.
pub(super) async fn send(session: &mut Session, mut head: ResponseHeader, body: Vec<u8>) -> Result<()> {
    let is_head = session.req_header().method == Method::HEAD;
    if is_head {
        // RFC 9110 section 8.6: the length would have to be that of the answer to GET, which nobody has made.
        head.remove_header(&CONTENT_LENGTH);
    }
    let empty = is_head || body.is_empty();
    close_unless_whole(session);
    session.write_response_header(Box::new(head), empty).await?;
    if !empty {
        session.write_response_body(Some(Bytes::from(body)), true).await?;
    }
    Ok(())
}

/// A status without a page. Pingora's own would say which server this is.
pub(super) async fn send_status(session: &mut Session, status: u16) -> Result<()> {
    let headers = [("Cache-Control".to_owned(), NOT_FOR_CACHES.as_bytes().to_vec())];
    send(session, forwarding::own_response(status, &headers, 0)?, Vec::new()).await
}

/// Before an answer: the connection ends with it when there is more of the request to read.
pub(super) fn close_unless_whole(session: &mut Session) {
    if !session.is_body_done() {
        session.set_keepalive(None);
    }
}

/// Tells the browser why its WebSocket ends, and waits for its answer: closing on unread bytes resets the connection, and what
/// was said is lost. [`run`](crate::exchange::ending::run) does not wait for ever.
pub(super) async fn close_websocket(session: &mut Session, farewell: &mut Farewell) {
    let reason = Language::preferred(&fields(session)).session_ended();
    let is_upgraded = session.response_written().is_some_and(|response| response.status == StatusCode::SWITCHING_PROTOCOLS);
    let Some(frame) = farewell.close_frame(reason).filter(|_| is_upgraded) else { return };
    if session.downstream_session.write_response_body(frame, false).await.is_err() {
        return;
    }
    while !farewell.is_answered() {
        let Ok(Some(piece)) = session.downstream_session.read_request_body().await else { return };
        farewell.look(Some(&piece));
    }
}

/// Reads what the peer still sends, within bounds.
pub(super) async fn linger(session: &mut Session) {
    let reading = async {
        let mut left = LINGER_BYTES;
        while let Ok(Some(chunk)) = session.downstream_session.read_request_body().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    // Who has more to send than fits has to do without the page.
    let _ = timeout(LINGER_TIME, reading).await;
}
