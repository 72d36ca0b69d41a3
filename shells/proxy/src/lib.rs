//! The login in front of a server: `wasi:http/proxy` 0.2. Exports an `incoming-handler`, and sends what is forwarded to
//! the configured `upstream` by `outgoing-handler`.
//!
//! A call of 0.2 ends with its request, so that an instance serves one at a time. Within it, both bodies are copied piece
//! by piece, as they come and as they are taken.

#![cfg(target_family = "wasm")]

mod bindings;
mod body;
mod jco;
mod message;
mod provider_client;
mod reactor;
mod upstream;

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam, Scheme};
use body::RequestBody;
use provider_client::HttpClient;
use vestibule::web::field_lines::FieldLines;
use vestibule::web::http::RequestHead;
use vestibule_wasi::{Instruction, answer};

struct IncomingHandler;

impl Guest for IncomingHandler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        reactor::block_on(serve(request, out));
    }
}

async fn serve(request: IncomingRequest, out: ResponseOutparam) {
    let (head, fields) = (head(&request), request.headers().entries());
    let is_head = head.method == "HEAD";
    let is_https = matches!(request.scheme(), Some(Scheme::Https));
    let line = upstream::RequestLine { method: request.method(), path_with_query: head.path_with_query.clone() };
    let mut body = RequestBody::of(request);
    match answer(&HttpClient, head, fields, is_https, &mut body).await {
        Instruction::Respond(response) => message::respond(out, response).await,
        Instruction::Forward(onward) => upstream::forward(line, &onward, is_head, body, out).await,
    }
    provider_client::run_what_is_left().await;
}

fn head(request: &IncomingRequest) -> RequestHead {
    RequestHead {
        method: message::method_name(request.method()),
        // None is an empty path, which is `/` (RFC 9110 section 4.2.3).
        path_with_query: request.path_with_query().unwrap_or_else(|| "/".to_owned()),
        authority: request.authority(),
        headers: FieldLines::default(),
        // For upgrades, of which wasi:http has none.
        application_server: None,
        was_forwarded: false,
    }
}
