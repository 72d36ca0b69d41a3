//! `Sec-WebSocket-Protocol` without the entry that resumes a session of Streamlit's.

use crate::identity::headers::{Edits, folds_to};
use crate::web::http::Request;

const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";

/// Name of the protocol and XSRF token; Streamlit counts entries, empty ones too.
const KEPT_ENTRIES: usize = 2;

/// Leaves one line with the first two entries, byte for byte. The lines of a header are one list (RFC 9110 section 5.3).
pub(super) fn edit(request: &Request<'_>, edits: &mut Edits) {
    let is_meant = |name: &str| folds_to(name, SUBPROTOCOL);
    if !request.headers.iter().any(|(name, _)| is_meant(name)) {
        return;
    }
    let lines: Vec<&[u8]> = request.header(SUBPROTOCOL).collect();
    let list = lines.join(&b","[..]);
    let kept: Vec<&[u8]> = list.split(|&byte| byte == b',').take(KEPT_ENTRIES).collect();
    let names = request.headers.iter().map(|(name, _)| name).filter(|name| is_meant(name));
    edits.remove.extend(names.map(|name| name.to_owned().into()));
    if !lines.is_empty() {
        edits.set.push(SUBPROTOCOL, kept.join(&b","[..]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::http::RequestHead;

    #[test]
    fn what_resumes_a_session_is_taken_out() {
        for (lines, kept) in [
            (&[("sec-websocket-protocol", "streamlit, 2|ab|cd|17, 6f9619ff")][..], Some("streamlit, 2|ab|cd|17")),
            (&[("Sec-WebSocket-Protocol", "streamlit, 2|ab|cd|17")], Some("streamlit, 2|ab|cd|17")),
            (&[("sec-websocket-protocol", "streamlit")], Some("streamlit")),
            (&[("sec-websocket-protocol", "streamlit, , 6f9619ff")], Some("streamlit, ")),
            (&[("sec-websocket-protocol", ",,6f9619ff")], Some(",")),
            (&[("sec-websocket-protocol", "streamlit"), ("Sec-Websocket-Protocol", "x, 6f9619ff")], Some("streamlit,x")),
            (&[("sec_websocket_protocol", "streamlit, x, 6f9619ff")], None),
            (&[("sec-websocket-key", "x")], None),
        ] {
            let head = lines.iter().fold(RequestHead::get("/", "h"), |head, (name, value)| head.with(name, value));
            let request = Request::parse(&head).unwrap();
            let mut edits = Edits::default();
            edit(&request, &mut edits);
            let set = edits.set.iter().next().map(|(_, value)| std::str::from_utf8(value).unwrap());
            assert_eq!(set, kept, "{lines:?}");
            let meant = lines.iter().filter(|(name, _)| name.to_ascii_lowercase().contains("protocol"));
            assert!(meant.clone().all(|(name, _)| edits.remove.iter().any(|removed| removed == name)), "{lines:?}");
        }
    }
}
