//! An application as a component of `wasi:http` 0.3, for tests and examples; it knows nothing of logins. With the
//! environment variable `APPLICATION` it passes every request on to the server at that URL, and its response back.
//! Without, it answers with a page that lists the headers it got.

#![cfg(target_family = "wasm")]

use bindings::exports::wasi::http::handler::Guest;
use bindings::wasi::cli::environment::get_environment;
use bindings::wasi::http::client;
use bindings::wasi::http::types::{ErrorCode, Fields, Request, Response, Scheme};
use bindings::{wit_future, wit_stream};
use url::Url;
use vestibule_preview1 as _;

#[allow(unsafe_code, clippy::all, reason = "generated: the canonical ABI")]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package vestibule:relay;

            world relay {
                import wasi:cli/environment@0.3.0;
                import wasi:http/client@0.3.0;
                import wasi:http/types@0.3.0;
                export wasi:http/handler@0.3.0;
            }
        ",
        path: [
            "../../wit/wasi-0.3/clocks.wit",
            "../../wit/wasi-0.3/random.wit",
            "../../wit/wasi-0.3/filesystem.wit",
            "../../wit/wasi-0.3/sockets.wit",
            "../../wit/wasi-0.3/cli.wit",
            "../../wit/wasi-0.3/http.wit",
        ],
        generate_all,
    });
    use super::Relay;
    export!(Relay);
}

struct Relay;

impl Guest for Relay {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        let application = get_environment().into_iter().find(|(name, _)| name == "APPLICATION");
        match application {
            Some((_, url)) => client::send(readdressed(request, &url)?).await,
            None => shown(&request),
        }
    }
}

/// The same request for another server: the bytes of its body do not enter this component.
fn readdressed(request: Request, url: &str) -> Result<Request, ErrorCode> {
    let url = Url::parse(url).map_err(|_| ErrorCode::ConfigurationError)?;
    let refused = |()| ErrorCode::HttpRequestUriInvalid;
    let (method, path_with_query) = (request.get_method(), request.get_path_with_query());
    let headers = request.get_headers().clone();
    let has_body = headers.has("content-length") || !matches!(method, bindings::wasi::http::types::Method::Get);
    let (outcome, told) = wit_future::new(|| Ok(()));
    let (stream, trailers) = Request::consume_body(request, told);
    let (onward, sent) = Request::new(headers, has_body.then_some(stream), trailers, None);
    drop(wit_bindgen::spawn_local(async move { drop(outcome.write(sent.await).await) }));
    onward.set_method(&method).map_err(refused)?;
    onward.set_path_with_query(path_with_query.as_deref()).map_err(refused)?;
    onward.set_scheme(Some(&if url.scheme() == "https" { Scheme::Https } else { Scheme::Http })).map_err(refused)?;
    onward.set_authority(Some(url.authority())).map_err(refused)?;
    Ok(onward)
}

fn shown(request: &Request) -> Result<Response, ErrorCode> {
    let mut page = format!("You asked for {}\n\n", request.get_path_with_query().unwrap_or_default());
    for (name, value) in request.get_headers().copy_all() {
        page += &format!("{name}: {}\n", String::from_utf8_lossy(&value));
    }
    let (mut writer, stream) = wit_stream::new();
    let (_end, trailers) = wit_future::new(|| Ok(None));
    let headers = [("content-type".to_owned(), b"text/plain; charset=utf-8".to_vec())];
    let fields = Fields::from_list(&headers).map_err(|_| ErrorCode::InternalError(None))?;
    let (response, _sent) = Response::new(fields, Some(stream), trailers);
    drop(wit_bindgen::spawn_local(async move { drop(writer.write_all(page.into_bytes()).await) }));
    Ok(response)
}
