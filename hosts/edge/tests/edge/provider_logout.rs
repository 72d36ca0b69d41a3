//! Logouts that are not this browser's own, with the real component and a real provider: by a logout token, and everywhere.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{SinkExt as _, StreamExt as _};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::application::Application;
use crate::browser::Browser;
use crate::lifetimes::{PATIENCE, Socket, is_echoed};
use crate::login::Site;
use crate::raw::Wire;

/// Longer than the clocks of nodes may differ: a login after it is a later one than a logout before it.
const ALLOWANCE: Duration = Duration::from_secs(6);

async fn site() -> Site {
    Site::start_configured("", Application::start().await, "http", &[], &[]).await
}

/// Logs in, in a session of the provider's with this name.
pub async fn log_in(site: &Site, person: &str, sid: &'static str) -> Browser {
    site.provider
        .faults()
        .script(|script| script.edit_id_token = Some(Box::new(move |claims| drop(claims.insert("sid".into(), json!(sid))))));
    let browser = Browser::new();
    let page = browser.log_in(&site.url("/"), person).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.body);
    browser
}

async fn open_socket(site: &Site, browser: &Browser) -> Socket {
    let mut request = format!("ws://{}/ws", site.address).into_client_request().expect("a request");
    let cookies = browser.cookies(&site.url("/ws").parse().expect("a URL"));
    request.headers_mut().insert("cookie", cookies.parse().expect("a value"));
    request.headers_mut().insert("origin", site.url("").parse().expect("a value"));
    let mut socket = timeout(PATIENCE, tokio_tungstenite::connect_async(request)).await.expect("in time").expect("an upgrade").0;
    assert!(is_echoed(&mut socket).await);
    socket
}

async fn open_events(site: &Site, browser: &Browser) -> Wire<TcpStream> {
    let cookies = browser.cookies(&site.url("/events").parse().expect("a URL"));
    let mut wire = Wire::connect(site.address).await;
    let head = format!("GET /events HTTP/1.1\r\nHost: {}\r\nSec-Fetch-Mode: cors\r\nCookie: {cookies}\r\n\r\n", site.address);
    wire.stream.write_all(head.as_bytes()).await.expect("sent");
    timeout(PATIENCE, wire.read_until("tick")).await.expect("in time").expect("an event");
    wire
}

async fn is_told_that_its_session_has_ended(socket: &mut Socket) {
    let _ = socket.send(Message::text("still there?")).await;
    loop {
        match timeout(PATIENCE, socket.next()).await.expect("in time").expect("a message").expect("no failure") {
            Message::Close(Some(frame)) => return assert_eq!(frame.code, CloseCode::Policy),
            Message::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

async fn ends(wire: &mut Wire<TcpStream>) {
    timeout(PATIENCE, async { while wire.read_some(usize::MAX).await.is_some() {} }).await.expect("an end");
}

async fn is_in(site: &Site, browser: &Browser) -> bool {
    let user = browser.fetch(&site.url("/.vestibule/user")).await;
    serde_json::from_str::<Value>(&user.body).expect("JSON")["is_logged_in"] == true
}

/// A logout token of the provider's, with these claims beside those that each has.
pub fn token(site: &Site, jti: &str, claims: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let mut all = json!({
        "iss": site.provider.issuer(), "aud": "vestibule-demo", "iat": now, "exp": now + 120, "jti": jti,
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let all = all.as_object_mut().expect("an object");
    all.extend(claims.as_object().expect("an object").clone());
    site.provider.logout_token(all.clone()).expect("signed")
}

pub async fn deliver(site: &Site, token: &str) -> (StatusCode, Value) {
    let client = reqwest::Client::builder().no_proxy().build().expect("a client");
    let request = client.post(site.url("/.vestibule/backchannel-logout")).header("content-type", "application/x-www-form-urlencoded");
    let response = request.body(format!("logout_token={token}")).send().await.expect("a response");
    assert_eq!(response.headers()["cache-control"], "no-store");
    let status = response.status();
    (status, serde_json::from_str(&response.text().await.expect("text")).unwrap_or_default())
}

#[tokio::test]
async fn a_logout_token_ends_every_session_of_an_account_within_a_second() {
    let mut site = site().await;
    let (one, two, other) = (log_in(&site, "alice", "1").await, log_in(&site, "alice", "2").await, log_in(&site, "bob", "3").await);
    let (mut socket, mut events) = (open_socket(&site, &one).await, open_events(&site, &two).await);
    let (mut bystander, mut other_events) = (open_socket(&site, &other).await, open_events(&site, &other).await);
    let sub = site.provider_subject(&one).await;

    let token = token(&site, "first", json!({ "sub": sub }));
    let began = Instant::now();
    assert_eq!(deliver(&site, &token).await.0, StatusCode::OK);
    is_told_that_its_session_has_ended(&mut socket).await;
    ends(&mut events).await;
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    assert!(!is_in(&site, &one).await && !is_in(&site, &two).await, "in both browsers");
    assert!(is_in(&site, &other).await && is_echoed(&mut bystander).await, "somebody else's goes on");
    site.app.tick();
    timeout(PATIENCE, other_events.read_until("tick")).await.expect("in time").expect("another event");
    let logged = site.program.wait_for("logout.by_provider").await;
    assert_eq!((&logged["provider"], &logged["subject"]), (&json!("default"), &Value::Null));

    sleep(ALLOWANCE).await;
    let again = log_in(&site, "alice", "4").await;
    let mut socket = open_socket(&site, &again).await;
    let (status, answer) = deliver(&site, &token).await;
    assert_eq!((status, &answer["error"]), (StatusCode::BAD_REQUEST, &json!("invalid_request")), "it was used before");
    assert!(is_in(&site, &again).await && is_echoed(&mut socket).await, "what is newer goes on");
    assert!(!is_in(&site, &one).await);
}

#[tokio::test]
async fn with_sid_one_session_ends_and_the_next_login_need_not_wait() {
    let site = site().await;
    let (one, two) = (log_in(&site, "alice", "1").await, log_in(&site, "alice", "2").await);
    let (mut socket, mut other) = (open_socket(&site, &one).await, open_socket(&site, &two).await);
    let token = token(&site, "first", json!({ "sid": "1", "sub": site.provider_subject(&one).await }));
    assert_eq!(deliver(&site, &token).await.0, StatusCode::OK);
    is_told_that_its_session_has_ended(&mut socket).await;
    assert!(!is_in(&site, &one).await && is_in(&site, &two).await && is_echoed(&mut other).await);
    let again = log_in(&site, "alice", "3").await;
    assert!(is_in(&site, &again).await);
}

/// Asks for it, and confirms it on the page.
pub async fn log_out_everywhere(site: &Site, browser: &Browser) {
    let asked = browser.open(&site.url("/.vestibule/logout?everywhere")).await;
    assert!(asked.body.contains("<form method=\"post\""), "{}", asked.body);
    assert!(is_in(site, browser).await, "asked is not done");
    let cookies = browser.cookies(&asked.url);
    let origin = site.url("");
    let head = format!(
        "POST /.vestibule/logout?everywhere HTTP/1.1\r\nHost: {}\r\nOrigin: {origin}\r\nSec-Fetch-Site: same-origin\r\n\
         Sec-Fetch-Mode: navigate\r\nCookie: {cookies}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 0\r\n\r\n",
        site.address
    );
    let (head, _) = Wire::connect(site.address).await.exchange(&head).await.expect("a response");
    assert_eq!(head.status(), 303);
}

#[tokio::test]
async fn a_logout_everywhere_ends_what_is_open_in_the_other_browser() {
    let site = site().await;
    let (one, two, other) = (log_in(&site, "alice", "1").await, log_in(&site, "alice", "2").await, log_in(&site, "bob", "3").await);
    let (mut socket, mut bystander) = (open_socket(&site, &two).await, open_socket(&site, &other).await);
    log_out_everywhere(&site, &one).await;
    is_told_that_its_session_has_ended(&mut socket).await;
    assert!(!is_in(&site, &one).await && !is_in(&site, &two).await);
    assert!(is_in(&site, &other).await && is_echoed(&mut bystander).await);
}

#[tokio::test]
async fn tokens_that_anybody_can_make_cost_a_client_its_budget_and_logins_nothing() {
    let site = site().await;
    let alice = log_in(&site, "alice", "1").await;
    for _ in 0..20 {
        assert_eq!(deliver(&site, "a.b.c").await.0, StatusCode::BAD_REQUEST);
    }
    let genuine = token(&site, "first", json!({ "sid": "1" }));
    assert_eq!(deliver(&site, &genuine).await.0, StatusCode::TOO_MANY_REQUESTS);
    assert!(is_in(&site, &alice).await);
    log_in(&site, "bob", "2").await;
    assert_eq!(site.provider.requests("/jwks"), 1);
}
