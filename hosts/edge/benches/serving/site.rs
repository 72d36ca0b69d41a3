//! A login: the provider, the configuration, and somebody who is logged in.

use std::fs::Permissions;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use reqwest::{StatusCode, Url};
use serde_json::Map;
use vestibule_dev_provider::{Options, Person, Provider, Running};

use crate::browser::Browser;
use crate::realistic::Shape;

/// Who logs in.
const PERSON: &str = "alice";

/// A provider that releases claims in the shape of Entra's, about 1 KB.
pub async fn provider() -> Running {
    let mut extra = Map::new();
    Shape::Entra.add_to(&mut extra);
    let mut people = Person::ready_made();
    people.iter_mut().for_each(|person| person.extra.clone_from(&extra));
    Provider::start(Options { people, ..Options::default() }).await.expect("a provider")
}

/// Writes a configuration of ours into `folder`, with `rest` behind `[auth]`, and returns its path; `port` is where browsers go.
pub fn configuration(folder: &Path, provider: &Running, port: &str, rest: &str) -> String {
    let text = format!(
        "[auth]\nredirect_uri = \"http://127.0.0.1:{port}/oauth2callback\"\ncookie_secret = \"{}\"\nclient_id = \"vestibule-demo\"\n\
         client_secret = \"vestibule-demo-secret\"\nserver_metadata_url = \"{}\"\n{rest}",
        vestibule_edge::random::cookie_secret(),
        provider.metadata_url()
    );
    let path = folder.join("secrets.toml");
    std::fs::write(&path, text).expect("written");
    // Others must not read it.
    std::fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("the file is ours");
    path.display().to_string()
}

/// Logs in at a proxy as a browser does; the `Cookie` header of whoever is logged in.
pub async fn log_in(address: SocketAddr) -> String {
    let url = format!("http://{address}/");
    let browser = Browser::new();
    let page = browser.log_in(&url, PERSON).await;
    assert_eq!(page.status, StatusCode::OK, "after the login: {page:?}");
    let cookies = browser.cookies(&Url::parse(&url).expect("a URL"));
    // Cookies know no ports: elsewhere the provider's own would not be sent to a proxy.
    without(&cookies, "vestibule-dev-provider")
}

/// The same as of a provider where one cannot log out: without the cookies of the ID token, which our logout shows it.
pub fn without_id_token(cookies: &str) -> String {
    without(cookies, "vestibule_tokens")
}

fn without(cookies: &str, beginning: &str) -> String {
    cookies.split("; ").filter(|cookie| !cookie.starts_with(beginning)).collect::<Vec<_>>().join("; ")
}

/// What `make build` makes.
pub fn component() -> String {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dist/vestibule.wasm").display().to_string();
    std::env::var("VESTIBULE_COMPONENT").unwrap_or_else(|_| built())
}

/// Keeps the compiled component between runs.
pub fn component_cache() -> String {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache").display().to_string()
}
