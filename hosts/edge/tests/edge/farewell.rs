//! The end of a WebSocket with its session: what the browser is told, and what the application gets.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use vestibule::language::Language;
use vestibule_wasmtime::Outcome;

use crate::application::Application;
use crate::raw::Wire;
use crate::scripted::{Script, ScriptedEdge, alice_in, answer};

/// More than any test may take to see a connection end.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everybody is in the session `a`, which `/end/a` ends.
fn one_session(expires_at: Option<u64>) -> Script {
    Script::new(move |head, _| {
        Ok(if head.path_with_query().starts_with("/end/") {
            answer(200, "ended")
        } else {
            let mut forward = alice_in(Some("a".to_owned()));
            forward.expires_at = expires_at;
            Outcome::Forward(forward)
        })
    })
}

async fn end_session(edge: &ScriptedEdge) {
    let (head, _) = Wire::connect(edge.address).await.exchange("GET /end/a HTTP/1.1\r\nHost: h\r\n\r\n").await.expect("an answer");
    assert_eq!(head.status(), 200);
    // It ends once the answer is sent, which is seen here a moment earlier.
    tokio::time::sleep(Duration::from_millis(100)).await;
}

/// An upgraded connection, both of its ends in the hands of a test.
struct Upgraded {
    edge: ScriptedEdge,
    browser: Wire<TcpStream>,
    application: Wire<TcpStream>,
}

impl Upgraded {
    async fn start() -> Self {
        let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", socket.local_addr().expect("an address"));
        let edge = ScriptedEdge::start(one_session(None), &url).await;
        let mut browser = Wire::connect(edge.address).await;
        let request = "GET /ws HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: a2V5\r\nAccept-Language: fr\r\n\r\n";
        browser.stream.write_all(request.as_bytes()).await.expect("sent");
        let mut application = Wire::new(socket.accept().await.expect("a connection").0);
        application.read_head().await.expect("a request");
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
        application.stream.write_all(answer.as_bytes()).await.expect("sent");
        assert_eq!(browser.read_head().await.expect("an upgrade").status(), 101);
        Self { edge, browser, application }
    }

    /// What the application says arrives.
    async fn says(&mut self, bytes: &[u8]) {
        self.application.stream.write_all(bytes).await.expect("sent");
        let mut arrived = vec![0; bytes.len()];
        timeout(PATIENCE, self.browser.stream.read_exact(&mut arrived)).await.expect("in time").expect("the same");
        assert_eq!(arrived, bytes);
    }

    /// Everything that the browser still gets, and how long that took.
    async fn rest(&mut self) -> (Vec<u8>, Duration) {
        let (mut rest, since) = (Vec::new(), Instant::now());
        // A connection that is reset has an end as well.
        let _ = timeout(PATIENCE, self.browser.stream.read_to_end(&mut rest)).await.expect("an end");
        (rest, since.elapsed())
    }

    /// Everything that the application still gets.
    async fn received(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = timeout(PATIENCE, self.application.stream.read_to_end(&mut rest)).await.expect("an end");
        rest
    }
}

/// As RFC 6455 section 5.5.1 has it, without a mask.
fn close_frame(language: Language) -> Vec<u8> {
    let reason = language.session_ended().as_bytes();
    [&[0x88, u8::try_from(reason.len() + 2).expect("a short one")], &1008_u16.to_be_bytes()[..], reason].concat()
}

/// A message that asks for nothing, masked with zeros.
const MARKER: &[u8] = b"\x82\x86\0\0\0\0MARKER";

fn has_marker(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|window| window == b"MARKER")
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn connect(edge: &ScriptedEdge, accept_language: &str) -> Socket {
    let mut request = format!("ws://{}/ws", edge.address).into_client_request().expect("a request");
    request.headers_mut().insert("accept-language", accept_language.parse().expect("a value"));
    tokio_tungstenite::connect_async(request).await.expect("an upgrade").0
}

async fn is_told(socket: &mut Socket, language: Language) {
    let told = timeout(PATIENCE, socket.next()).await.expect("in time").expect("a message").expect("no failure");
    assert_eq!(told, Message::Close(Some(CloseFrame { code: CloseCode::Policy, reason: language.session_ended().into() })));
    // The answer goes out with the next step; then the edge closes at once.
    let since = Instant::now();
    let end = timeout(PATIENCE, socket.next()).await.expect("an end");
    assert!(matches!(end, None | Some(Err(Error::ConnectionClosed))), "{end:?}");
    assert!(since.elapsed() < Duration::from_millis(900), "it waits although it is answered: {:?}", since.elapsed());
}

#[tokio::test]
async fn the_browser_is_told_in_its_language_why_its_websocket_ends() {
    let app = Application::start().await;
    for (accepted, language) in
        [("de-CH, en;q=0.5", Language::German), ("ja", Language::Japanese), ("zh", Language::English), ("", Language::English)]
    {
        let edge = ScriptedEdge::start(one_session(None), &app.url()).await;
        let mut socket = connect(&edge, accepted).await;
        socket.send(Message::text("hello")).await.expect("sent");
        assert_eq!(socket.next().await.expect("an echo").expect("a message"), Message::text("hello"));
        end_session(&edge).await;
        is_told(&mut socket, language).await;
    }
}

#[tokio::test]
async fn the_browser_is_told_when_the_time_of_its_session_is_over() {
    let app = Application::start().await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    let edge = ScriptedEdge::start(one_session(Some(now + 2)), &app.url()).await;
    is_told(&mut connect(&edge, "es").await, Language::Spanish).await;
}

#[tokio::test]
async fn between_the_frames_of_a_message_is_a_place_for_the_close_frame() {
    let mut upgraded = Upgraded::start().await;
    upgraded.says(b"\x01\x05hello").await;
    upgraded.says(b"\x00\x05, wor").await;
    end_session(&upgraded.edge).await;
    // What the application sends from now on does not arrive.
    let _ = upgraded.application.stream.write_all(b"\x80\x02ld").await;
    assert_eq!(upgraded.rest().await.0, close_frame(Language::French));
}

#[tokio::test]
async fn a_frame_that_has_begun_is_waited_for_and_nothing_behind_it() {
    let mut upgraded = Upgraded::start().await;
    upgraded.says(b"\x81\x05hello\x81\x05he").await;
    end_session(&upgraded.edge).await;
    upgraded.browser.stream.write_all(MARKER).await.expect("sent");
    // Time for what must not happen.
    tokio::time::sleep(Duration::from_millis(100)).await;
    upgraded.application.stream.write_all(b"llo\x81\x06behind").await.expect("sent");
    assert_eq!(upgraded.rest().await.0, [b"llo", &close_frame(Language::French)[..]].concat());
    assert!(!has_marker(&upgraded.received().await), "the session has ended");
}

#[tokio::test]
async fn a_frame_that_does_not_end_is_not_waited_for_long() {
    let mut upgraded = Upgraded::start().await;
    upgraded.says(b"\x82\x05abc").await;
    end_session(&upgraded.edge).await;
    upgraded.browser.stream.write_all(MARKER).await.expect("sent");
    let (rest, took) = upgraded.rest().await;
    assert_eq!(rest, b"", "nothing can be said within a frame");
    assert!((Duration::from_millis(500)..Duration::from_secs(5)).contains(&took), "{took:?}");
    assert!(!has_marker(&upgraded.received().await), "the session has ended");
}

#[tokio::test]
async fn what_does_not_speak_websocket_or_sends_too_long_a_frame_is_dropped_at_once() {
    for said in [&b"\x82\x7f\0\0\0\x01\0\0\0\0abc"[..], b"\x83\x01x", b"\x81\x81\0\0\0\0x", b"\x88\x02\x03\xe8"] {
        let mut upgraded = Upgraded::start().await;
        upgraded.says(said).await;
        end_session(&upgraded.edge).await;
        let (rest, took) = upgraded.rest().await;
        assert_eq!(rest, b"", "{said:?}");
        assert!(took < Duration::from_millis(800), "{said:?}: {took:?}");
    }
}

#[tokio::test]
async fn nothing_of_the_browser_reaches_the_application_after_the_end() {
    let mut upgraded = Upgraded::start().await;
    upgraded.browser.stream.write_all(b"\x82\x86\0\0\0\0before").await.expect("sent");
    timeout(PATIENCE, upgraded.application.read_until("before")).await.expect("in time").expect("the message");
    end_session(&upgraded.edge).await;
    let told = close_frame(Language::French);
    let mut arrived = vec![0; told.len()];
    timeout(PATIENCE, upgraded.browser.stream.read_exact(&mut arrived)).await.expect("in time").expect("a Close frame");
    assert_eq!(arrived, told);
    // A browser that does not answer, and goes on.
    let since = Instant::now();
    while upgraded.browser.stream.write_all(MARKER).await.is_ok() {
        assert!(since.elapsed() < PATIENCE, "it is listened to for ever");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(upgraded.received().await, b"");
}

/// Bytes that nobody has read would reset the connection, and the Close frame with it.
#[tokio::test]
async fn a_browser_that_is_sending_gets_its_close_frame() {
    let mut upgraded = Upgraded::start().await;
    let Upgraded { edge, browser, application } = &mut upgraded;
    let message = [&b"\x82\xfe\xff\xff\0\0\0\0"[..], &[b'x'; 0xffff]].concat();
    let (mut reading, mut writing) = browser.stream.split();
    let sending = async { while writing.write_all(&message).await.is_ok() {} };
    let taking = async {
        let mut piece = vec![0; 64 * 1024];
        while let Ok(1..) = application.stream.read(&mut piece).await {}
    };
    let told = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        end_session(edge).await;
        let mut arrived = vec![0; close_frame(Language::French).len()];
        reading.read_exact(&mut arrived).await.map(|_| arrived)
    };
    let told = timeout(PATIENCE, async {
        tokio::select! {
            told = told => told,
            ((), ()) = futures::future::join(sending, taking) => panic!("an end without a word"),
        }
    });
    assert_eq!(told.await.expect("in time").expect("a Close frame"), close_frame(Language::French));
}
