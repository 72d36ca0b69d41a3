//! The login as middleware: `wasi:http/middleware` 0.3. Exports a `handler`, and imports that of the application, with
//! which it is composed into one component.
//!
//! Bodies never enter this component: what is forwarded is made anew with the same streams. Many requests are in flight
//! on one instance at a time.

#![cfg(target_family = "wasm")]

mod bindings;
mod message;
mod provider_client;

use bindings::exports::wasi::http::handler::Guest;
use bindings::wasi::http::handler;
use bindings::wasi::http::types::{ErrorCode, Request, Response, Scheme};
use message::RequestBody;
use provider_client::HttpClient;
use vestibule::web::field_lines::FieldLines;
use vestibule::web::http::RequestHead;
use vestibule_wasi::{Instruction, answer};

struct Middleware;

impl Guest for Middleware {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let (head, fields) = (head(&request), request.get_headers().copy_all());
        let is_https = matches!(request.get_scheme(), Some(Scheme::Https));
        let line = message::RequestLine::of(&request);
        let mut body = RequestBody::of(request);
        match answer(&HttpClient, head, fields, is_https, &mut body).await {
            Instruction::Respond(response) => message::own_response(response),
            Instruction::Forward(onward) => {
                let request = message::onward_request(line, &onward, body)?;
                let response = handler::handle(request).await?;
                if onward.leaves_response_alone() { Ok(response) } else { message::edited_response(response, &onward) }
            }
        }
    }
}

fn head(request: &Request) -> RequestHead {
    RequestHead {
        method: message::method_name(request.get_method()),
        // None is an empty path, which is `/` (RFC 9110 section 4.2.3).
        path_with_query: request.get_path_with_query().unwrap_or_else(|| "/".to_owned()),
        authority: request.get_authority(),
        headers: FieldLines::default(),
        // For upgrades, of which wasi:http has none.
        application_server: None,
        was_forwarded: false,
    }
}
