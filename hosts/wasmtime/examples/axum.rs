//! Vestibule inside an ordinary axum server: `cargo run --release -p vestibule-wasmtime --example axum -- secrets.toml`,
//! then open http://127.0.0.1:8501 (with `redirect_uri = "http://127.0.0.1:8501/oauth2callback"` in the file).

use std::path::PathBuf;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use vestibule_wasmtime::{ConfigurationFile, Filter, FilterComponent, FilterOptions, Outcome, Runtime, RuntimeOptions, http_types, log};

const PORT: u16 = 8501;

type Error = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Error> {
    tracing_subscriber::fmt().init();
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let configuration = arguments.next().unwrap_or("secrets.toml".into());
    let component = arguments.next().unwrap_or("dist/vestibule.wasm".into());

    let runtime = Runtime::new(&RuntimeOptions::default())?;
    let component = FilterComponent::from_file(&runtime, &component, None)?;
    let configuration = ConfigurationFile::read(&component, &configuration, Some(PORT)).await?;
    let filter = Filter::load(&component, configuration, FilterOptions::default()).await?;

    let listener = tokio::net::TcpListener::bind(("127.0.0.1", PORT)).await?;
    let application = Router::new().fallback(get(hello));
    Ok(axum::serve(listener, behind(filter, application)).await?)
}

/// An application, behind the filter. Its responses have a length: where some have none, or where connections are upgraded,
/// a server keeps `expires_at` and `session` of the decision and ends them as `wit/filter.wit` says (obligations 5 and 6).
pub(crate) fn behind(filter: Filter, application: Router) -> Router {
    application.layer(from_fn_with_state(filter, ask_filter))
}

/// The application: whom the filter says it is talking to.
pub(crate) async fn hello(headers: HeaderMap) -> String {
    let user = headers.get("x-forwarded-user").and_then(|user| user.to_str().ok());
    format!("Hello, {}!\n", user.unwrap_or("stranger"))
}

/// Nothing reaches the application but by the filter's decision: whatever fails is a 500.
async fn ask_filter(State(filter): State<Filter>, request: Request, next: Next) -> Response {
    decide(&filter, request, next).await.unwrap_or_else(|error| {
        tracing::error!("{error}");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

async fn decide(filter: &Filter, request: Request, next: Next) -> Result<Response, Error> {
    let (mut parts, mut body) = request.into_parts();
    let head = http_types::request_head(&parts.method, &parts.uri, &parts.headers)?;
    let mut decision = filter.decide(head.clone(), None).await?;
    decision.events.iter().for_each(log);
    if let Outcome::NeedBody(limit) = decision.outcome {
        let Ok(bytes) = to_bytes(body, usize::try_from(limit)?).await else {
            return Ok(StatusCode::PAYLOAD_TOO_LARGE.into_response());
        };
        decision = filter.decide(head, Some(bytes.to_vec())).await?;
        decision.events.iter().for_each(log);
        body = Body::from(bytes);
    }
    match decision.outcome {
        Outcome::Respond(response) => Ok(http_types::response(response)?.map(Body::from)),
        Outcome::Forward(forward) => {
            http_types::edit_request(&forward, &mut parts.headers)?;
            let mut response = next.run(Request::from_parts(parts, body)).await;
            http_types::edit_response(&forward, response.headers_mut())?;
            Ok(response)
        }
        Outcome::NeedBody(_) => Err("the filter asks for a body that it has".into()),
    }
}
