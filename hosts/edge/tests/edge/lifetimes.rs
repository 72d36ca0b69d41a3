//! What may outlive its session, or the configuration that has admitted it: WebSockets, event streams, long polls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use futures::{SinkExt as _, StreamExt as _};
use h2::client::SendRequest;
use reqwest::Url;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use vestibule_edge::configuration::decider::{Decider, Undecided};
use vestibule_edge::listen::tls;
use vestibule_wasmtime::{Decision, Outcome, RequestHead};

use crate::application::Application;
use crate::browser::Browser;
use crate::login::Site;
use crate::raw::Wire;
use crate::scripted::{Script, ScriptedEdge, alice, alice_in, answer, session_end};
use crate::tls::Identity;

/// More than any test may take to see an end.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Responses whose end is not in sight.
const WITHOUT_END: [&str; 2] = ["/events", "/events-until-closed"];

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

pub fn session_of(head: &RequestHead) -> Option<String> {
    let found = head.headers().find(|(name, _)| name.eq_ignore_ascii_case("x-session"));
    found.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
}

/// Sessions by a header of the request's; `/end/a` ends one.
fn sessions() -> Script {
    sessions_until(None)
}

fn sessions_until(expires_at: Option<u64>) -> Script {
    Script::new(move |head, _| {
        Ok(match head.path_with_query().starts_with("/end/") {
            true => answer(200, "ended"),
            false => {
                let mut forward = alice_in(session_of(head));
                forward.expires_at = expires_at;
                Outcome::Forward(forward)
            }
        })
    })
}

/// Asks for `path` in this session and waits for the beginning.
pub async fn begin(edge: &ScriptedEdge, path: &str, session: &str, beginning: &str) -> Wire<TcpStream> {
    let mut wire = ask(edge, path, session).await;
    timeout(PATIENCE, wire.read_until(beginning)).await.expect("in time").unwrap_or_else(|| panic!("{path}: no {beginning}"));
    wire
}

pub async fn ask(edge: &ScriptedEdge, path: &str, session: &str) -> Wire<TcpStream> {
    let mut wire = Wire::connect(edge.address).await;
    let session = if session.is_empty() { String::new() } else { format!("X-Session: {session}\r\n") };
    wire.stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\n{session}\r\n").as_bytes()).await.expect("sent");
    wire
}

pub async fn status(edge: &ScriptedEdge, path: &str, session: &str) -> u16 {
    ask(edge, path, session).await.read_head().await.expect("a response").status()
}

pub async fn ends(wire: &mut Wire<TcpStream>) {
    timeout(PATIENCE, async { while wire.read_some(usize::MAX).await.is_some() {} }).await.expect("an end");
}

/// The response is open, and what the application sends still arrives.
pub async fn goes_on(app: &Application, wire: &mut Wire<TcpStream>) {
    app.tick();
    timeout(PATIENCE, wire.read_until("tick")).await.expect("in time").expect("another event");
}

pub async fn upgrade(edge: &ScriptedEdge, session: &str) -> Socket {
    let mut request = format!("ws://{}/ws", edge.address).into_client_request().expect("a request");
    if !session.is_empty() {
        request.headers_mut().insert("x-session", session.parse().expect("a value"));
    }
    tokio_tungstenite::connect_async(request).await.expect("an upgrade").0
}

pub async fn is_echoed(socket: &mut Socket) -> bool {
    socket.send(Message::text("hello")).await.is_ok() && matches!(socket.next().await, Some(Ok(Message::Text(_))))
}

async fn socket_ends(socket: &mut Socket) {
    let end = timeout(PATIENCE, socket.next()).await.expect("an end");
    assert!(end.is_none_or(|message| message.is_err()), "the connection is closed, nothing is said");
}

pub async fn socket_ends_with_its_session(socket: &mut Socket) {
    let end = timeout(PATIENCE, socket.next()).await.expect("an end").expect("a message").expect("no failure");
    assert!(end.is_close(), "{end}");
}

#[tokio::test]
async fn responses_without_a_length_end_with_their_session_and_no_others() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(sessions(), &app.url()).await;
    for (path, session, other) in [(WITHOUT_END[0], "a", "b"), (WITHOUT_END[1], "c", "d")] {
        let (mut first, mut second) = (begin(&edge, path, session, "tick").await, begin(&edge, path, session, "tick").await);
        let (mut other, mut nobody) = (begin(&edge, path, other, "tick").await, begin(&edge, path, "", "tick").await);
        goes_on(&app, &mut first).await;
        assert_eq!(status(&edge, &format!("/end/{session}"), "").await, 200);
        ends(&mut first).await;
        ends(&mut second).await;
        goes_on(&app, &mut other).await;
        goes_on(&app, &mut nobody).await;
        // With the old cookies, as `EventSource` connects again before the answer of the logout has arrived.
        assert_eq!(status(&edge, path, session).await, 403, "{path}");
        assert_eq!(status(&edge, "/", session).await, 200, "what has a length is not looked at");
    }
}

#[tokio::test]
async fn a_long_poll_ends_with_its_session() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(sessions(), &app.url()).await;
    let mut poll = ask(&edge, "/hang", "a").await;
    app.controls.started.notified().await;
    assert_eq!(status(&edge, "/end/a", "").await, 200);
    let end = timeout(PATIENCE, poll.read_head()).await.expect("an end");
    assert!(end.is_none(), "{end:?}");
}

#[tokio::test]
async fn responses_without_a_length_end_at_the_moment_the_session_ends() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(sessions_until(Some(now() + 2)), &app.url()).await;
    let mut streams = Vec::new();
    for path in WITHOUT_END {
        streams.push(begin(&edge, path, "a", "tick").await);
    }
    let mut poll = ask(&edge, "/hang", "a").await;
    for stream in &mut streams {
        ends(stream).await;
    }
    ends(&mut poll).await;
}

#[tokio::test]
async fn a_download_of_known_length_may_finish() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(sessions_until(Some(now() + 1)), &app.url()).await;
    let mut download = begin(&edge, "/download", "a", "first").await;
    // Opened after it, and ended by time: the download's session has ended too.
    let mut stream = begin(&edge, "/events", "a", "tick").await;
    ends(&mut stream).await;
    assert_eq!(status(&edge, "/end/a", "").await, 200);
    edge.replace(Script::new(|_, _| Ok(answer(401, ""))), &app.url());
    assert_eq!(status(&edge, "/", "a").await, 401);
    app.controls.release.notify_one();
    timeout(PATIENCE, download.read_until("last")).await.expect("in time").expect("the last bytes");
}

#[tokio::test]
async fn over_http_2_one_stream_is_reset_and_the_others_go_on() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = identity.write(folder.path());
    let acceptor = tls::acceptor(certificate.as_ref(), key.as_ref()).expect("an acceptor");
    let edge = ScriptedEdge::start_tls(sessions(), &app.url(), acceptor).await;
    let mut connection = identity.http_2(edge.address).await;
    let mut first = http_2_stream(&mut connection, "/events", "a").await;
    let mut other = http_2_stream(&mut connection, "/events", "b").await;
    let mut download = http_2_stream(&mut connection, "/download", "a").await;
    for (stream, beginning) in [(&mut first, "tick"), (&mut other, "tick"), (&mut download, "first")] {
        let bytes = stream.data().await.expect("data").expect("the first bytes");
        assert!(bytes.windows(beginning.len()).any(|window| window == beginning.as_bytes()), "{bytes:?}");
    }
    let mut answered = http_2_stream(&mut connection, "/end/a", "").await;
    assert_eq!(answered.data().await.expect("data").expect("an answer"), "ended");

    let end = timeout(PATIENCE, first.data()).await.expect("in time").expect("more than a plain end").expect_err("a reset");
    assert!(end.is_reset(), "{end}");
    app.tick();
    timeout(PATIENCE, other.data()).await.expect("in time").expect("data").expect("another event");
    app.controls.release.notify_one();
    assert_eq!(timeout(PATIENCE, download.data()).await.expect("in time").expect("data").expect("the last bytes"), "last");
}

async fn http_2_stream(connection: &mut SendRequest<bytes::Bytes>, path: &str, session: &str) -> h2::RecvStream {
    let request = http::Request::get(format!("https://localhost{path}")).header("x-session", session).body(()).expect("a request");
    connection.clone().ready().await.expect("room").send_request(request, true).expect("sent").0.await.expect("a response").into_body()
}

/// Everything that may outlive a configuration: for a session, or for nobody.
struct Open {
    socket: Socket,
    stream: Wire<TcpStream>,
    poll: Wire<TcpStream>,
}

impl Open {
    async fn begin(app: &Application, edge: &ScriptedEdge, session: &str) -> Self {
        let (mut socket, stream) = (upgrade(edge, session).await, begin(edge, "/events", session, "tick").await);
        assert!(is_echoed(&mut socket).await);
        let poll = ask(edge, "/hang", session).await;
        while app.saw("/hang") == 0 {
            app.controls.started.notified().await;
        }
        Self { socket, stream, poll }
    }

    async fn ends(mut self) {
        socket_ends(&mut self.socket).await;
        ends(&mut self.stream).await;
        let poll = timeout(PATIENCE, self.poll.read_head()).await.expect("an end");
        assert!(poll.is_none(), "{poll:?}");
    }

    async fn goes_on(mut self, app: &Application) {
        assert!(is_echoed(&mut self.socket).await);
        goes_on(app, &mut self.stream).await;
        app.controls.release.notify_one();
        assert_eq!(timeout(PATIENCE, self.poll.read_head()).await.expect("in time").expect("an answer").status(), 200);
    }
}

/// A decider that counts how often it has decided, so that a judgement can be waited for.
struct Counting {
    script: Script,
    decided: Arc<Semaphore>,
}

#[async_trait]
impl Decider for Counting {
    async fn decide(&self, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision, Undecided> {
        let decision = self.script.decide(head, body).await;
        self.decided.add_permits(1);
        decision
    }
}

#[tokio::test]
async fn what_is_open_goes_on_where_the_new_configuration_admits_it() {
    for session in ["a", ""] {
        let app = Application::start().await;
        let edge = ScriptedEdge::start(sessions(), &app.url()).await;
        let open = Open::begin(&app, &edge, session).await;
        let decided = Arc::new(Semaphore::new(0));
        edge.replace_decider(Box::new(Counting { script: sessions(), decided: decided.clone() }), &app.url());
        let _all = timeout(PATIENCE, decided.acquire_many(3)).await.expect("in time").expect("three judgements");
        open.goes_on(&app).await;
    }
}

#[tokio::test]
async fn what_is_open_ends_where_the_new_configuration_does_not_admit_it() {
    type Verdict = fn(&RequestHead) -> Result<Outcome, Undecided>;
    let verdicts: [(&str, &str, Verdict); 7] = [
        ("a", "the login is required", |_| Ok(answer(401, ""))),
        ("", "the login is required", |_| Ok(answer(401, ""))),
        ("a", "the path is the filter's own", |_| Ok(Outcome::NeedBody(10))),
        ("a", "the session is another", |_| Ok(Outcome::Forward(alice_in(Some("b".into()))))),
        ("a", "the path is public", |_| Ok(Outcome::Forward(alice()))),
        ("", "the user is known now", |_| Ok(Outcome::Forward(alice_in(Some("a".into()))))),
        ("a", "the filter fails for good", |_| Err(Undecided::Failed("on purpose".into()))),
    ];
    let judged = verdicts.map(async |(session, what, verdict)| {
        let app = Application::start().await;
        let edge = ScriptedEdge::start(sessions(), &app.url()).await;
        let open = Open::begin(&app, &edge, session).await;
        edge.replace(Script::new(move |head, _| verdict(head)), &app.url());
        timeout(PATIENCE, open.ends()).await.unwrap_or_else(|_| panic!("{session:?}: {what}"));
    });
    futures::future::join_all(judged).await;
}

#[tokio::test]
async fn what_is_open_ends_when_the_application_is_another() {
    let (app, other) = (Application::start().await, Application::start().await);
    let edge = ScriptedEdge::start(sessions(), &app.url()).await;
    let open = Open::begin(&app, &edge, "a").await;
    edge.replace(sessions(), &other.url());
    open.ends().await;
    assert_eq!(other.requests(), 0);
}

#[tokio::test]
async fn an_overloaded_filter_is_asked_again() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(sessions(), &app.url()).await;
    let mut socket = upgrade(&edge, "a").await;
    let (decided, asked) = (Arc::new(Semaphore::new(0)), AtomicUsize::new(0));
    let script = Script::new(move |head, body| match asked.fetch_add(1, Ordering::Relaxed) {
        0 => Err(Undecided::Overloaded("on purpose".into())),
        1 => Err(Undecided::Failed("on purpose".into())),
        _ => Ok(Outcome::Forward(alice_in(session_of(head).filter(|_| body.is_none())))),
    });
    edge.replace_decider(Box::new(Counting { script, decided: decided.clone() }), &app.url());
    let _all = timeout(PATIENCE, decided.acquire_many(3)).await.expect("in time").expect("the third attempt");
    assert!(is_echoed(&mut socket).await);
}

#[tokio::test]
async fn another_end_of_the_session_is_announced() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(sessions_until(Some(now() + 3)), &app.url()).await;
    let mut longer = upgrade(&edge, "a").await;
    let decided = Arc::new(Semaphore::new(0));
    edge.replace_decider(Box::new(Counting { script: sessions_until(Some(now() + 1000)), decided: decided.clone() }), &app.url());
    let _judged = timeout(PATIENCE, decided.acquire()).await.expect("in time").expect("a judgement");
    // Beside it one that the old end still holds for, to wait by.
    let by_the_old = ScriptedEdge::start(sessions_until(Some(now() + 4)), &app.url()).await;
    socket_ends_with_its_session(&mut upgrade(&by_the_old, "a").await).await;
    assert!(is_echoed(&mut longer).await, "the end is later now");

    edge.replace(sessions_until(Some(now() + 1)), &app.url());
    socket_ends_with_its_session(&mut longer).await;
}

/// Decides like a script, but not before it is let to.
struct Held {
    script: Script,
    asked: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

#[async_trait]
impl Decider for Held {
    async fn decide(&self, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision, Undecided> {
        self.asked.add_permits(1);
        self.released.acquire().await.expect("never closed").forget();
        self.script.decide(head, body).await
    }
}

#[tokio::test]
async fn what_the_old_configuration_admits_after_the_reload_is_judged_as_well() {
    let app = Application::start().await;
    let (asked, released) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let held = Held { script: sessions(), asked: asked.clone(), released: released.clone() };
    let edge = ScriptedEdge::start_deciding(Box::new(held), &app.url()).await;
    let mut stream = ask(&edge, "/events", "a").await;
    let _asked = timeout(PATIENCE, asked.acquire()).await.expect("in time").expect("a decision");
    edge.replace(Script::new(|_, _| Ok(answer(401, ""))), &app.url());
    // The new one is in force, and everything that was open then has been judged.
    assert_eq!(status(&edge, "/", "").await, 401);
    released.add_permits(1);
    ends(&mut stream).await;
    assert!(app.requests() <= 1);
}

/// Ends a session with every decision, and would log a line and set a cookie.
struct Meddling;

#[async_trait]
impl Decider for Meddling {
    async fn decide(&self, head: RequestHead, _: Option<Vec<u8>>) -> Result<Decision, Undecided> {
        let mut decision = Decision::new(Outcome::Forward(alice_in(session_of(&head))));
        decision.ended_sessions.push(session_end("b"));
        Ok(decision)
    }
}

#[tokio::test]
async fn a_judgement_ends_no_session() {
    let app = Application::start().await;
    let edge = ScriptedEdge::start(sessions(), &app.url()).await;
    let (mut judged, mut bystander) = (upgrade(&edge, "a").await, upgrade(&edge, "b").await);
    edge.replace_decider(Box::new(Meddling), &app.url());
    let decided = Arc::new(Semaphore::new(0));
    edge.replace_decider(Box::new(Counting { script: sessions(), decided: decided.clone() }), &app.url());
    let _all = timeout(PATIENCE, decided.acquire_many(2)).await.expect("in time").expect("two judgements");
    assert!(is_echoed(&mut judged).await && is_echoed(&mut bystander).await);
}

#[tokio::test]
async fn many_connections_are_judged_a_few_at_a_time() {
    const MANY: usize = 200;
    const MOST_AT_ONCE: usize = 32;

    let app = Application::start().await;
    let edge = ScriptedEdge::start(sessions(), &app.url()).await;
    let mut sockets = Vec::new();
    for _ in 0..MANY {
        sockets.push(upgrade(&edge, "a").await);
    }
    let (asked, released) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let refusing = Script::new(|_, _| Ok(answer(403, "")));
    edge.replace_decider(Box::new(Held { script: refusing, asked: asked.clone(), released: released.clone() }), &app.url());
    timeout(PATIENCE, asked.acquire_many(MOST_AT_ONCE as u32)).await.expect("in time").expect("judgements").forget();
    assert_eq!(asked.available_permits(), 0, "more at once");
    released.add_permits(MANY);
    for socket in &mut sockets {
        socket_ends(socket).await;
    }
}

/// The program with the real component: connects to `/ws` as the browser, with its session if it has one.
async fn site_socket(site: &Site, browser: &Browser) -> tungstenite::Result<Socket> {
    let mut request = format!("ws://{}/ws", site.address).into_client_request()?;
    let url: Url = site.url("/ws").parse().expect("a URL");
    request.headers_mut().insert("cookie", browser.cookies(&url).parse().expect("a value"));
    request.headers_mut().insert("origin", site.url("").parse().expect("a value"));
    tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
}

async fn site_stream(site: &Site, browser: &Browser) -> Wire<TcpStream> {
    let url: Url = site.url("/events").parse().expect("a URL");
    let (host, cookies) = (site.address, browser.cookies(&url));
    let mut wire = Wire::connect(site.address).await;
    // So that its end cannot be taken for that of the request.
    wire.stream.set_zero_linger().expect("a socket");
    let request = format!("GET /events HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\nCookie: {cookies}\r\n\r\n");
    wire.stream.write_all(request.as_bytes()).await.expect("sent");
    timeout(PATIENCE, wire.read_until("tick")).await.expect("in time").expect("the first event");
    wire
}

#[tokio::test]
async fn open_connections_are_judged_by_every_setting_that_admits() {
    let secret = |toml: &str| toml.replace("cookie_secret = \"not", "cookie_secret = \"really-not");
    type Change<'a> = &'a dyn Fn(&str) -> String;
    let changes: [(&str, Change<'_>, bool, bool); 8] = [
        ("nothing but a limit", &|toml| format!("{toml}[vestibule.limits]\nlogins_per_minute = 7\n"), true, true),
        ("cookie_secret", &secret, false, true),
        (
            "cookie_secret, and the old one is kept",
            &|toml| {
                let old = toml.lines().find_map(|line| line.strip_prefix("cookie_secret = ")).expect("a secret");
                format!("{}[vestibule.session]\nprevious_cookie_secrets = [{old}]\n", secret(toml))
            },
            true,
            true,
        ),
        ("client_id", &|toml| toml.replace("client_id = \"vestibule-demo\"", "client_id = \"another\""), false, true),
        ("a rule for others", &|toml| rule(toml, "require = { email = \"bob@example.com\" }"), false, false),
        ("a rule for this user", &|toml| rule(toml, "require = { email = \"alice@example.com\" }"), true, false),
        ("a public path", &|toml| rule(toml, "access = \"public\""), false, true),
        ("the login", &|toml| toml.replace("login = \"optional\"", "login = \"required\""), true, false),
    ];
    let mut site = Site::start_configured("login = \"optional\"\n", Application::start().await, "http", &[], &[]).await;
    let (alice, nobody) = (Browser::new(), Browser::new());
    alice.log_in(&site.url("/.vestibule/login"), "alice").await;
    let original = std::fs::read_to_string(&site.config).expect("the configuration");
    for (what, change, alice_stays, nobody_stays) in changes {
        let mut open = Vec::new();
        for (browser, stays) in [(&alice, alice_stays), (&nobody, nobody_stays)] {
            let mut socket = site_socket(&site, browser).await.unwrap_or_else(|error| panic!("before {what}: {error}"));
            assert!(is_echoed(&mut socket).await);
            open.push((socket, site_stream(&site, browser).await, stays));
        }
        replace(&mut site, &change(&original)).await;
        let judged = site.program.wait_for("configuration.judged").await;
        let closed = 2 * (u64::from(!alice_stays) + u64::from(!nobody_stays));
        assert_eq!((judged["judged"].as_u64(), judged["closed"].as_u64()), (Some(4), Some(closed)), "{what}");
        for (mut socket, mut stream, stays) in open {
            if stays {
                assert!(is_echoed(&mut socket).await, "{what}");
                goes_on(&site.app, &mut stream).await;
            } else {
                socket_ends(&mut socket).await;
                ends(&mut stream).await;
            }
        }
        replace(&mut site, &original).await;
    }
}

#[tokio::test]
async fn a_shorter_max_age_ends_what_is_open_when_it_is_over() {
    let mut site = Site::start_configured("login = \"optional\"\n", Application::start().await, "http", &[], &[]).await;
    let (alice, nobody) = (Browser::new(), Browser::new());
    alice.log_in(&site.url("/.vestibule/login"), "alice").await;
    let mut open = (site_socket(&site, &alice).await.expect("an upgrade"), site_stream(&site, &alice).await);
    let mut of_nobody = site_stream(&site, &nobody).await;
    let original = std::fs::read_to_string(&site.config).expect("the configuration");
    // Over now, or in a moment.
    replace(&mut site, &format!("{original}[vestibule.session]\nmax_age = \"2s\"\n")).await;
    let end = timeout(PATIENCE, open.0.next()).await.expect("an end");
    assert!(end.is_none_or(|message| message.is_err() || message.is_ok_and(|message| message.is_close())));
    ends(&mut open.1).await;
    goes_on(&site.app, &mut of_nobody).await;
}

/// `[[vestibule.rule]]` for every path, with this in it.
fn rule(toml: &str, lines: &str) -> String {
    format!("{toml}[[vestibule.rule]]\npath = \"/**\"\n{lines}\n")
}

/// Replaces the configuration in one step, and waits until it is in force.
async fn replace(site: &mut Site, toml: &str) {
    let new = site.config.with_extension("new");
    std::fs::write(&new, toml).expect("written");
    std::fs::rename(&new, &site.config).expect("renamed");
    site.program.wait_for("configuration.reloaded").await;
}
