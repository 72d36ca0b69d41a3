//! A Streamlit app behind the edge: which server it is, what its WebSocket gets, and when that ends.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use reqwest::Url;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use vestibule_wasmtime::{Forward, Outcome};

use crate::application::Application;
use crate::browser::Browser;
use crate::login::Site;
use crate::raw::Wire;
use crate::scripted::{Script, ScriptedEdge, alice, alice_in, answer, renewed};

/// More than any test may take to see a connection end.
const PATIENCE: Duration = Duration::from_secs(20);
const UPGRADE: &str =
    "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// What the filter was told that the application is, request by request.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<Option<String>>>>);

impl Told {
    fn script(&self) -> Script {
        let told = self.clone();
        Script::new(move |head, _| {
            told.0.lock().expect("no test has panicked here").push(head.application_server().map(str::to_owned));
            Ok(Outcome::Forward(alice()))
        })
    }

    fn last(&self) -> Option<String> {
        self.0.lock().expect("no test has panicked here").last().cloned().expect("a decision")
    }
}

async fn get(edge: &ScriptedEdge, path: &str, fields: &str) -> u16 {
    let request = format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n{fields}\r\n");
    let mut wire = Wire::connect(edge.address).await;
    tokio::io::AsyncWriteExt::write_all(&mut wire.stream, request.as_bytes()).await.expect("sent");
    wire.read_head().await.expect("a response").status()
}

#[tokio::test]
async fn the_filter_is_told_which_server_the_application_is() {
    let app = Application::start().await;
    app.call_itself("TornadoServer/6.5.2");
    let told = Told::default();
    let edge = ScriptedEdge::start_probing(told.script(), &app.url(), "/_stcore/health").await;

    assert_eq!(get(&edge, "/ws", UPGRADE).await, 101);
    assert_eq!((told.last().as_deref(), app.requests()), (Some("TornadoServer/6.5.2"), 2), "it was asked before");
    assert_eq!(get(&edge, "/ws", UPGRADE).await, 101);
    assert_eq!((told.last().as_deref(), app.requests()), (Some("TornadoServer/6.5.2"), 3), "and not again");

    app.call_itself("uvicorn");
    assert_eq!(get(&edge, "/", "").await, 200);
    assert_eq!(told.last(), None, "who asks for no upgrade is not told");
    assert_eq!(get(&edge, "/ws", UPGRADE).await, 101);
    assert_eq!((told.last().as_deref(), app.requests()), (Some("uvicorn"), 5), "any response says so");
}

#[tokio::test]
async fn the_question_brings_nothing_of_the_visitors() {
    let app = Application::start().await;
    let heads = Arc::new(Mutex::new(Vec::new()));
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("an address");
    tokio::spawn({
        let heads = heads.clone();
        async move {
            while let Ok((stream, _)) = socket.accept().await {
                let mut wire = Wire::new(stream);
                let head = wire.read_head().await.expect("a head");
                heads.lock().expect("no test has panicked here").push(head);
                let response = b"HTTP/1.1 404 Not Found\r\nServer: uvicorn\r\nContent-Length: 0\r\n\r\n";
                tokio::io::AsyncWriteExt::write_all(&mut wire.stream, response).await.expect("sent");
            }
        }
    });
    let told = Told::default();
    let edge = ScriptedEdge::start_probing(told.script(), &format!("http://{address}"), "/base/_stcore/health").await;
    get(&edge, "/ws", &format!("{UPGRADE}Cookie: a=1\r\nAuthorization: Basic eDp5\r\n")).await;
    assert_eq!(told.last().as_deref(), Some("uvicorn"), "whatever the status");
    let asked = heads.lock().expect("no test has panicked here").first().cloned().expect("a question");
    assert_eq!(asked.text, "GET /base/_stcore/health HTTP/1.1\r\nHost: app.example\r\n\r\n");
    drop(app);
}

#[tokio::test]
async fn an_application_that_is_not_asked_or_does_not_say_is_unknown() {
    let app = Application::start().await;
    let told = Told::default();
    let edge = ScriptedEdge::start_probing(told.script(), &app.url(), "/health").await;
    assert_eq!(get(&edge, "/ws", UPGRADE).await, 101);
    assert_eq!((told.last(), app.requests()), (None, 2));

    app.call_itself("uvicorn");
    let told = Told::default();
    let edge = ScriptedEdge::start(told.script(), &app.url()).await;
    assert_eq!(get(&edge, "/", "").await, 200);
    assert_eq!(get(&edge, "/ws", UPGRADE).await, 101);
    assert_eq!(told.last(), None, "this filter does not go by it");
}

#[tokio::test]
async fn an_application_that_is_down_is_asked_in_vain_and_the_decision_is_made() {
    let gone = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("an address");
    let told = Told::default();
    let edge = ScriptedEdge::start_probing(told.script(), &format!("http://{gone}"), "/health").await;
    assert_eq!(get(&edge, "/ws", UPGRADE).await, 502);
    assert_eq!(told.last(), None);
}

#[tokio::test]
async fn cookie_lines_of_the_filters_arrive_apart() {
    let app = Application::start().await;
    let script = Script::new(|_, _| {
        let cookies: [(&str, &[u8]); 3] = [("cookie", b"a=1"), ("cookie", b"b=2"), ("cookie", b"c=3")];
        Ok(Outcome::Forward(renewed(Forward::new(&["Cookie"], &cookies))))
    });
    let edge = ScriptedEdge::start(script, &app.url()).await;
    assert_eq!(get(&edge, "/ws", &format!("{UPGRADE}Cookie: x=1\r\nCookie: y=2\r\n")).await, 101);
    assert_eq!(app.last_upgrade().values("cookie"), ["a=1", "b=2", "c=3"]);
}

/// Sessions by a header of the request's; `/end/a` ends one.
fn sessions() -> Script {
    Script::new(|head, _| {
        let session = head.headers().find(|(name, _)| *name == "x-session").map(|(_, value)| String::from_utf8_lossy(value).into_owned());
        Ok(match head.path_with_query().starts_with("/end/") {
            true => answer(200, "ended"),
            false => Outcome::Forward(alice_in(session)),
        })
    })
}

async fn open(edge: &ScriptedEdge, session: &str) -> tungstenite::Result<Socket> {
    let mut request = format!("ws://{}/ws", edge.address).into_client_request()?;
    request.headers_mut().insert("x-session", session.parse().expect("a value"));
    tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
}

async fn is_echoed(socket: &mut Socket) -> bool {
    socket.send(Message::text("hello")).await.is_ok() && matches!(socket.next().await, Some(Ok(Message::Text(_))))
}

async fn ends(socket: &mut Socket) {
    let end = tokio::time::timeout(PATIENCE, socket.next()).await.expect("an end").expect("a message").expect("no failure");
    assert!(end.is_close(), "{end}");
}

#[tokio::test]
async fn connections_end_with_their_session_and_no_others() {
    let app = Application::start().await;
    let mut edge = ScriptedEdge::start(sessions(), &app.url()).await;
    let (mut first, mut second) = (open(&edge, "a").await.expect("an upgrade"), open(&edge, "a").await.expect("an upgrade"));
    let mut other = open(&edge, "b").await.expect("an upgrade");
    for socket in [&mut first, &mut second, &mut other] {
        assert!(is_echoed(socket).await);
    }
    // A reload in between changes nothing about connections that are open.
    edge.replace(sessions(), &app.url());
    assert_eq!(get(&edge, "/end/a", "").await, 200);
    ends(&mut first).await;
    ends(&mut second).await;
    assert!(is_echoed(&mut other).await);

    let refused = open(&edge, "a").await.expect_err("the session has ended");
    assert!(matches!(&refused, tungstenite::Error::Http(response) if response.status() == 403), "{refused}");
    assert!(is_echoed(&mut open(&edge, "c").await.expect("an upgrade")).await);
    edge.stop();
}

#[tokio::test]
async fn an_upgrade_that_is_only_asked_for_ends_with_its_session_too() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(sessions(), &app.url()).await;
    let mut asked = Wire::connect(edge.address).await;
    let request = format!("GET /hang HTTP/1.1\r\nHost: h\r\nX-Session: a\r\n{UPGRADE}\r\n");
    tokio::io::AsyncWriteExt::write_all(&mut asked.stream, request.as_bytes()).await.expect("sent");
    app.controls.started.notified().await;
    assert_eq!(get(&edge, "/end/a", "").await, 200);
    let end = tokio::time::timeout(PATIENCE, asked.read_head()).await.expect("an end");
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn a_request_that_was_no_upgrade_in_the_end_leaves_its_connection_alone() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(sessions(), &app.url()).await;
    let mut kept = Wire::connect(edge.address).await;
    let request = |more: &str| format!("GET /open HTTP/1.1\r\nHost: h\r\n{more}\r\n");
    let (head, _) = kept.exchange(&request("X-Session: a\r\n")).await.expect("a response");
    assert_eq!(head.status(), 200);
    assert_eq!(get(&edge, "/end/a", "").await, 200);
    let (head, _) = kept.exchange(&request("")).await.expect("another response on the same connection");
    assert_eq!(head.status(), 200);
}

/// The program with the real component, before an app that calls itself `server`.
async fn site(server: &'static str) -> Site {
    let app = Application::start().await;
    app.call_itself(server);
    Site::start_configured("app = \"streamlit\"\n", app, "http", &[], &[]).await
}

async fn stream(site: &Site, cookies: &str) -> tungstenite::Result<Socket> {
    resume(site, cookies, "6f9619ff-8b86-d011-b42d-00c04fc964ff").await
}

/// Connects as a page that had this session of Streamlit's before.
async fn resume(site: &Site, cookies: &str, id: &str) -> tungstenite::Result<Socket> {
    let mut request = format!("ws://{}/_stcore/stream", site.address).into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("cookie", cookies.parse().expect("a value"));
    headers.insert("origin", site.url("").parse().expect("a value"));
    headers.insert("sec-websocket-protocol", format!("streamlit, 2|ab|cd|17, {id}").parse().expect("a value"));
    tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
}

#[tokio::test]
async fn streamlit_learns_who_is_logged_in_and_its_connection_ends_with_the_logout() {
    for (server, beginning) in [("uvicorn", "_streamlit_user=."), ("TornadoServer/6.5.2", "_streamlit_user=2|1:0|10:")] {
        let site = site(server).await;
        let browser = Browser::new();
        let anonymous = browser.open(&site.url("/page?x=1")).await;
        assert_eq!(anonymous.url.path(), "/page", "the login is optional: {}", anonymous.body);
        browser.log_in(&site.url("/auth/login?return_to=/page"), "alice").await;

        let page: Url = site.url("/").parse().expect("a URL");
        let cookies = format!("_streamlit_user=planted; {}; _streamlit_xsrf=2|ab|cd|17", browser.cookies(&page));
        let mut socket = stream(&site, &cookies).await.expect("an upgrade");
        assert!(is_echoed(&mut socket).await);
        let received = site.app.last_upgrade();
        assert_eq!(received.values("sec-websocket-protocol"), ["streamlit, 2|ab|cd|17"]);
        assert_eq!(received.values("host"), [site.address.to_string()]);
        let cookie = received.values("cookie").join("\n");
        assert!(cookie.starts_with(&format!("_streamlit_xsrf=2|ab|cd|17; {beginning}")), "{server}: {cookie}");
        assert!(cookie.contains("_streamlit_user_tokens=") && !cookie.contains("planted") && !cookie.contains("vestibule_"), "{cookie}");

        browser.open(&site.url("/auth/logout")).await;
        ends(&mut socket).await;
        // Also with the old cookies, as a browser that has not seen the answer yet.
        for cookies in [cookies, browser.cookies(&page)] {
            let mut socket = stream(&site, &cookies).await.expect("an upgrade of nobody");
            assert!(is_echoed(&mut socket).await);
            assert!(!site.app.last_upgrade().values("cookie").join("").contains("_streamlit_user"));
        }
    }
}

/// What a Streamlit of every release says first: `ForwardMsg.new_session.initialize.session_id`.
fn new_session(id: &str) -> Message {
    let field = |number: u8, content: &[u8]| [&[number << 3 | 2, content.len() as u8], content].concat();
    Message::binary(field(4, &field(1, &field(6, id.as_bytes()))))
}

/// Has the app, which sends back whatever it receives, say that this connection is the session `id`.
async fn is_told(socket: &mut Socket, id: &str) {
    socket.send(new_session(id)).await.expect("sent");
    assert!(matches!(socket.next().await, Some(Ok(Message::Binary(_)))));
}

#[tokio::test]
async fn a_session_of_streamlits_is_resumed_by_who_opened_it_and_nobody_else() {
    let site = site("uvicorn").await;
    let page: Url = site.url("/").parse().expect("a URL");
    let logged_in = async |name| {
        let browser = Browser::new();
        browser.log_in(&site.url("/auth/login"), name).await;
        browser.cookies(&page)
    };
    let (alice, bob) = (logged_in("alice").await, logged_in("bob").await);
    let token = |digits: &str| format!("_streamlit_xsrf=2|00000000|{digits}|1700000000");
    let (nobody, stranger) = (token("000102030405060708090a0b0c0d0e0f"), token("ff0102030405060708090a0b0c0d0e0f"));
    let (of_alice, of_nobody) = ("11111111-8b86-d011-b42d-00c04fc964ff", "22222222-8b86-d011-b42d-00c04fc964ff");

    is_told(&mut stream(&site, &alice).await.expect("an upgrade"), of_alice).await;
    is_told(&mut stream(&site, &nobody).await.expect("an upgrade"), of_nobody).await;
    let also_alice = format!("{alice}; {nobody}");
    for (cookies, id, resumes) in [
        (&alice, of_alice, true),
        (&bob, of_alice, false),
        (&nobody, of_alice, false),
        (&also_alice, of_alice, true),
        (&nobody, of_nobody, true),
        (&stranger, of_nobody, false),
        (&alice, of_nobody, false),
        (&also_alice, of_nobody, false),
        (&String::new(), of_nobody, false),
        (&alice, "33333333-8b86-d011-b42d-00c04fc964ff", false),
    ] {
        let mut socket = resume(&site, cookies, id).await.expect("an upgrade");
        assert!(is_echoed(&mut socket).await);
        let expected = if resumes { format!("streamlit, 2|ab|cd|17, {id}") } else { "streamlit, 2|ab|cd|17".into() };
        assert_eq!(site.app.last_upgrade().values("sec-websocket-protocol"), [expected], "{id} for {cookies}");
    }

    // An application that repeats what it is told makes nobody the opener of what is somebody else's.
    is_told(&mut stream(&site, &bob).await.expect("an upgrade"), of_alice).await;
    for (cookies, resumed) in [(&bob, "streamlit, 2|ab|cd|17".to_owned()), (&alice, format!("streamlit, 2|ab|cd|17, {of_alice}"))] {
        let mut socket = resume(&site, cookies, of_alice).await.expect("an upgrade");
        assert!(is_echoed(&mut socket).await);
        assert_eq!(site.app.last_upgrade().values("sec-websocket-protocol"), [resumed]);
    }
}

#[tokio::test]
async fn another_websocket_of_the_application_says_nothing_of_streamlits_sessions() {
    let site = site("uvicorn").await;
    let browser = Browser::new();
    browser.log_in(&site.url("/auth/login"), "alice").await;
    let cookies = browser.cookies(&site.url("/").parse().expect("a URL"));
    let id = "11111111-8b86-d011-b42d-00c04fc964ff";
    let mut request = format!("ws://{}/ws", site.address).into_client_request().expect("a request");
    request.headers_mut().insert("cookie", cookies.parse().expect("a value"));
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("an upgrade");
    is_told(&mut socket, id).await;
    assert!(is_echoed(&mut resume(&site, &cookies, id).await.expect("an upgrade")).await);
    assert_eq!(site.app.last_upgrade().values("sec-websocket-protocol"), ["streamlit, 2|ab|cd|17"]);
}
