//! What `vestibule-proxy.wasm` is without the login, for comparison: `wasi:http/proxy` 0.2. Passes requests, which have
//! no bodies, on to the server that the environment variable `APPLICATION` names, and its responses back.

#![cfg(target_family = "wasm")]

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::cli::environment::get_environment;
use bindings::wasi::http::outgoing_handler;
use bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingRequest, IncomingResponse, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme,
};
use bindings::wasi::io::streams::StreamError;
use vestibule_preview1 as _;

#[allow(unsafe_code, clippy::all, reason = "generated: the canonical ABI")]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package vestibule:plain-proxy;

            world plain-proxy {
                import wasi:cli/environment@0.2.12;
                import wasi:http/types@0.2.12;
                import wasi:http/outgoing-handler@0.2.12;
                export wasi:http/incoming-handler@0.2.12;
            }
        ",
        path: [
            "../../wit/wasi-0.2/io.wit",
            "../../wit/wasi-0.2/clocks.wit",
            "../../wit/wasi-0.2/random.wit",
            "../../wit/wasi-0.2/filesystem.wit",
            "../../wit/wasi-0.2/sockets.wit",
            "../../wit/wasi-0.2/cli.wit",
            "../../wit/wasi-0.2/http.wit",
        ],
        generate_all,
    });
    use super::PlainProxy;
    export!(PlainProxy);
}

/// What one call may write and flush.
const CHUNK_BYTES: u64 = 4096;

struct PlainProxy;

impl Guest for PlainProxy {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        match asked(&request) {
            Ok(response) => answer(&response, out),
            Err(code) => ResponseOutparam::set(out, Err(code)),
        }
    }
}

fn asked(request: &IncomingRequest) -> Result<IncomingResponse, ErrorCode> {
    let application = get_environment().into_iter().find(|(name, _)| name == "APPLICATION").ok_or(ErrorCode::ConfigurationError)?.1;
    let authority = application.strip_prefix("http://").ok_or(ErrorCode::ConfigurationError)?;
    let onward = OutgoingRequest::new(copied(&request.headers().entries()));
    let refused = |()| ErrorCode::HttpRequestUriInvalid;
    onward.set_method(&request.method()).map_err(refused)?;
    onward.set_path_with_query(request.path_with_query().as_deref()).map_err(refused)?;
    onward.set_scheme(Some(&Scheme::Http)).map_err(refused)?;
    onward.set_authority(Some(authority)).map_err(refused)?;
    let response = outgoing_handler::handle(onward, None)?;
    response.subscribe().block();
    response.get().and_then(Result::ok).ok_or(ErrorCode::HttpResponseIncomplete)?
}

fn answer(response: &IncomingResponse, out: ResponseOutparam) {
    let onward = OutgoingResponse::new(copied(&response.headers().entries()));
    let (Ok(()), Ok(to), Ok(from)) = (onward.set_status_code(response.status()), onward.body(), response.consume()) else { return };
    ResponseOutparam::set(out, Ok(onward));
    let (Ok(input), Ok(output)) = (from.stream(), to.write()) else { return };
    loop {
        match input.blocking_read(CHUNK_BYTES) {
            Ok(chunk) if output.blocking_write_and_flush(&chunk).is_ok() => {}
            Err(StreamError::Closed) => break,
            _ => return,
        }
    }
    drop((input, output));
    // A peer that is gone has no need of the end.
    let _ = OutgoingBody::finish(to, None);
}

/// Without what a host keeps for itself.
fn copied(entries: &[(String, Vec<u8>)]) -> Fields {
    let fields = Fields::new();
    for (name, value) in entries {
        let _ = fields.append(name, value);
    }
    fields
}
