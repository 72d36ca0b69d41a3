//! The example server, with the component and a real provider.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

#[path = "../examples/axum.rs"]
#[expect(dead_code, reason = "its command line is not for here")]
mod example;
#[expect(dead_code, reason = "only the way through the provider is for here")]
mod visitor;

use std::path::Path;

use reqwest::{Client, RequestBuilder, Response, StatusCode, redirect};
use vestibule_dev_provider::{Options, Provider, SigningAlgorithm};
use vestibule_wasmtime::{ConfigurationFile, Filter, FilterComponent, FilterOptions, Runtime, RuntimeOptions};

async fn send(request: RequestBuilder) -> Response {
    // Where the filter believes to be.
    request.header("host", "localhost:8501").send().await.unwrap()
}

/// What a browser sends back of the cookies that an answer sets.
fn cookies(answer: &Response) -> String {
    let values = answer.headers().get_all("set-cookie").iter().map(|value| value.to_str().unwrap().split(';').next().unwrap());
    values.filter(|cookie| !cookie.ends_with('=')).collect::<Vec<_>>().join("; ")
}

#[tokio::test]
async fn the_example_greets_who_has_logged_in_and_nobody_else() {
    let provider = Provider::start(Options { signing_algorithm: SigningAlgorithm::Es256, ..Options::default() }).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.toml");
    let secrets = format!(
        "[auth]\nredirect_uri = \"http://localhost:{{port}}/oauth2callback\"\n\
         cookie_secret = \"6be1f0c84d7a92e5b3185fd06c49e7a21b8d30f59ce467a2\"\n\
         client_id = \"vestibule-demo\"\nclient_secret = \"vestibule-demo-secret\"\nserver_metadata_url = \"{}\"\n\
         [vestibule]\nlogin = \"optional\"\n",
        provider.metadata_url()
    );
    std::fs::write(&path, secrets).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let runtime = Runtime::new(&RuntimeOptions { max_instances: 8, ..RuntimeOptions::default() }).unwrap();
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache");
    let component = FilterComponent::from_file(&runtime, &root.join("dist/vestibule.wasm"), Some(&cache)).unwrap();
    let configuration = ConfigurationFile::read(&component, &path, Some(8501)).await.unwrap();
    let filter = Filter::load(&component, configuration, FilterOptions { instances: 1, ..FilterOptions::default() }).await.unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let application = axum::Router::new().fallback(axum::routing::get(example::hello));
    tokio::spawn(async move { axum::serve(listener, example::behind(filter, application)).await });

    // More than one test may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
    let get =
        |path: &str| client.get(format!("http://{address}{path}")).header("x-forwarded-user", "mallory").header("accept", "text/html");
    let answer = send(get("/")).await;
    assert_eq!(answer.text().await.unwrap(), "Hello, stranger!\n");

    let asked = send(get("/.vestibule/login")).await;
    let authorize = asked.headers()["location"].to_str().unwrap().parse().unwrap();
    let callback = visitor::answer_at_provider(authorize, "person=alice").await;
    let answer = send(get(&callback).header("cookie", cookies(&asked))).await;
    assert_eq!(answer.status(), StatusCode::FOUND);
    let greeting = send(get("/").header("cookie", cookies(&answer))).await.text().await.unwrap();
    assert!(greeting.starts_with("Hello, ") && !greeting.contains("stranger") && !greeting.contains("mallory"), "{greeting}");
}
