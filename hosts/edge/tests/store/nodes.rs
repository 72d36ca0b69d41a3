//! Two running programs and one Redis: a logout on one ends the session on the other.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::{SinkExt as _, StreamExt as _};
use reqwest::Url;
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use vestibule_dev_provider::{Options, Provider, Running};

use crate::application::Application;
use crate::browser::Browser;
use crate::node::PATIENCE;
use crate::program::{self, Program};
use crate::raw::Wire;
use crate::redis::{Redis, STREAM_PREFIX, USED};

const SECOND: Duration = Duration::from_secs(1);

/// How long a logout waits for the store, at most.
const CONFIRMATION: Duration = Duration::from_millis(500);

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Provider and application, for any number of nodes that have the same public address.
pub(crate) struct Site {
    pub(crate) provider: Running,
    app: Application,
    folder: TempDir,
    /// That of the first node.
    pub(crate) public: Option<SocketAddr>,
}

pub(crate) struct Serving {
    pub(crate) program: Program,
    pub(crate) address: SocketAddr,
    admin: SocketAddr,
}

impl Site {
    pub(crate) async fn start() -> Self {
        let provider = Provider::start(Options::default()).await.expect("a provider");
        Self { provider, app: Application::start().await, folder: tempfile::tempdir().expect("a folder"), public: None }
    }

    /// A node with these lines in its section of sessions.
    pub(crate) async fn node(&mut self, session: &str) -> Serving {
        let port = self.public.map_or("{port}".to_owned(), |address| address.port().to_string());
        let toml = format!(
            "[auth]\nredirect_uri = \"http://127.0.0.1:{port}/oauth2callback\"\ncookie_secret = \"bTr3Vq0nXw8sKd5yLz2e-4Gh7Jm1Pc6Rf9Uv\"\n\
             client_id = \"vestibule-demo\"\nclient_secret = \"vestibule-demo-secret\"\nserver_metadata_url = \"{}\"\n\
             [vestibule]\nupstream = \"{}\"\ntrusted_proxies = []\n\
             [[vestibule.rule]]\npath = \"/open\"\naccess = \"public\"\n[[vestibule.rule]]\npath = \"/**\"\n\
             [vestibule.session]\n{session}\n",
            self.provider.metadata_url(),
            self.app.url(),
        );
        let config = self.folder.path().join(format!("{}.toml", if self.public.is_some() { "other" } else { "first" }));
        std::fs::write(&config, toml).expect("written");
        let control = config.with_extension("control");
        let mut arguments = vec!["serve", "--config", text(&config), "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0", "--grace", "1"];
        arguments.extend(["--control", text(&control)]);
        let node = Serving::new(Program::start(&arguments, &[])).await;
        self.public.get_or_insert(node.address);
        node
    }

    /// What `vestibule sessions end` prints when it asks the first node.
    async fn end(&self, which: &[&str]) -> String {
        let control = self.folder.path().join("first.control");
        let output = program::run(&[&["sessions", "end", "--control", text(&control)], which].concat()).await;
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.public.expect("a first node"))
    }

    /// The status of a request with these cookies at a node, as the load balancer in front sends it there.
    async fn status(&self, node: &Serving, path: &str, cookies: &str) -> u16 {
        self.asked(node, path, cookies).await.0
    }

    async fn asked(&self, node: &Serving, path: &str, cookies: &str) -> (u16, Option<String>) {
        self.tried(node, path, cookies).await.expect("a response")
    }

    async fn tried(&self, node: &Serving, path: &str, cookies: &str) -> Option<(u16, Option<String>)> {
        let host = self.public.expect("a first node");
        let request =
            format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nSec-Fetch-Mode: cors\r\nCookie: {cookies}\r\nConnection: close\r\n\r\n");
        let (head, _) = Wire::connect(node.address).await.exchange(&request).await?;
        Some((head.status(), head.values("retry-after").first().map(|value| (*value).to_owned())))
    }

    async fn becomes(&self, node: &Serving, cookies: &str, status: u16) -> Duration {
        let started = Instant::now();
        // A request that is under way when its session ends has no answer.
        while self.tried(node, "/page", cookies).await.is_none_or(|(found, _)| found != status) {
            assert!(started.elapsed() < PATIENCE, "it does not become {status}");
            sleep(Duration::from_millis(20)).await;
        }
        started.elapsed()
    }

    async fn socket(&self, node: &Serving, cookies: &str) -> Socket {
        let host = self.public.expect("a first node");
        let mut request = format!("ws://{host}/ws").into_client_request().expect("a request");
        request.headers_mut().insert("cookie", cookies.parse().expect("a value"));
        request.headers_mut().insert("origin", format!("http://{host}").parse().expect("a value"));
        let stream = MaybeTlsStream::Plain(TcpStream::connect(node.address).await.expect("a connection"));
        let mut socket = tokio_tungstenite::client_async(request, stream).await.expect("an upgrade").0;
        socket.send(Message::text("hello")).await.expect("sent");
        assert!(matches!(socket.next().await, Some(Ok(Message::Text(_)))), "no echo");
        socket
    }

    /// Somebody who has logged in at the first node; their browser, and a copy of the cookies.
    async fn logged_in(&self) -> (Browser, String) {
        let browser = Browser::new();
        let page = browser.log_in(&self.url("/page"), "alice").await;
        assert_eq!(page.status, 200, "{}", page.body);
        let cookies = browser.cookies(&self.url("/page").parse::<Url>().expect("a URL"));
        (browser, cookies)
    }

    async fn log_out(&self, browser: &Browser) {
        browser.step(reqwest::Method::GET, self.url("/.vestibule/logout").parse().expect("a URL"), None).await;
    }
}

impl Serving {
    async fn new(mut program: Program) -> Self {
        let admin = address(&program.wait_for("admin.listening").await);
        let address = address(&program.wait_for("listener.listening").await);
        Self { program, address, admin }
    }

    pub(crate) async fn ready(&self) -> (u16, Value) {
        let (head, body) = Wire::connect(self.admin)
            .await
            .exchange("GET /readyz HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            .await
            .expect("a response");
        (head.status(), serde_json::from_str(&body).expect("JSON"))
    }

    async fn metric(&self, name: &str) -> Option<f64> {
        let (_, body) = Wire::connect(self.admin)
            .await
            .exchange("GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            .await
            .expect("a response");
        body.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
    }

    /// Waits until the store has confirmed so many entries of this node.
    async fn has_written(&self, number: f64) {
        let started = Instant::now();
        while self.metric("vestibule_store_entries_written_total").await < Some(number) {
            assert!(started.elapsed() < PATIENCE, "nothing is written");
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn kill(self) {
        self.program.signal(Signal::KILL);
        self.program.ended().await;
    }
}

fn address(line: &Value) -> SocketAddr {
    line["address"].as_str().and_then(|address| address.parse().ok()).expect("an address")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

pub(crate) fn store(redis: &Redis) -> String {
    format!("store = \"{}\"", redis.url())
}

async fn ends(socket: &mut Socket) {
    let end = timeout(SECOND, socket.next()).await.expect("an end within a second");
    assert!(end.is_none_or(|message| message.map_or(true, |message| message.is_close())), "it goes on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_on_one_node_ends_the_session_and_its_websocket_on_the_other() {
    let (redis, mut site) = (Redis::start_keeping().await, Site::start().await);
    let (one, two) = (site.node(&store(&redis)).await, site.node(&store(&redis)).await);
    let (browser, cookies) = site.logged_in().await;
    let (_, others) = site.logged_in().await;
    assert_eq!((site.status(&one, "/page", &cookies).await, site.status(&two, "/page", &cookies).await), (200, 200));
    let (mut socket, mut other) = (site.socket(&two, &cookies).await, site.socket(&two, &others).await);

    site.log_out(&browser).await;
    ends(&mut socket).await;
    assert_eq!(site.status(&two, "/page", &cookies).await, 401);
    other.send(Message::text("hello")).await.expect("sent");
    assert!(matches!(other.next().await, Some(Ok(Message::Text(_)))), "another session is another");
    assert_eq!(site.status(&two, "/page", &others).await, 200);

    // A node that is killed, and one that is new, know it from the store.
    two.kill().await;
    let three = site.node(&store(&redis)).await;
    assert_eq!((site.status(&three, "/page", &cookies).await, site.status(&three, "/page", &others).await), (401, 200));
    assert_eq!(three.ready().await, (200, serde_json::json!({ "status": "ready" })));
    assert_eq!(three.metric("vestibule_store_up").await, Some(1.0));
}

/// So it outlasts the node, whatever happens to that next.
#[tokio::test(flavor = "multi_thread")]
async fn an_end_is_in_the_store_before_who_asked_for_it_is_answered() {
    let (redis, mut site) = (Redis::start().await, Site::start().await);
    let _one = site.node(&store(&redis)).await;
    let length = async || {
        let keys = redis.keys().await;
        match keys.iter().find(|key| !key.contains(USED)) {
            Some(key) => redis::cmd("XLEN").arg(key).query_async(&mut redis.connection().await).await.expect("a length"),
            None => 0,
        }
    };
    // A machine that does something else meanwhile may take longer than a logout waits.
    let mut confirmed = 0;
    for number in 1..=5 {
        let (browser, _) = site.logged_in().await;
        let started = Instant::now();
        site.log_out(&browser).await;
        if started.elapsed() < CONFIRMATION {
            assert_eq!(length().await, number);
            confirmed += 1;
        }
        while length().await < number {
            sleep(Duration::from_millis(20)).await;
        }
    }
    assert!(confirmed > 0, "each logout took as long as it waits");
    assert!(site.end(&["--all"]).await.starts_with("ended: "));
    while length().await < 6 {
        sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(length().await, 6);
}

/// A store that hangs delays a logout by half a second, and does not prevent it.
#[tokio::test(flavor = "multi_thread")]
async fn a_logout_does_not_wait_for_a_store_that_does_not_answer() {
    let (redis, mut site) = (Redis::start().await, Site::start().await);
    let one = site.node(&store(&redis)).await;
    let (browser, cookies) = site.logged_in().await;
    redis.hang();
    let started = Instant::now();
    site.log_out(&browser).await;
    assert!(started.elapsed() < PATIENCE, "{:?}", started.elapsed());
    assert_eq!(site.status(&one, "/page", &cookies).await, 401);
    assert_eq!(one.metric("vestibule_store_entries_queued").await, Some(1.0), "it was answered before the store has it");
    redis.go_on();
    one.has_written(1.0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_is_killed_opens_no_door_and_closes_none_before_its_time() {
    let (mut redis, mut site) = (Redis::start_keeping().await, Site::start().await);
    let patient = store(&redis);
    let impatient = format!("{patient}\nstore_patience = \"0s\"");
    let (one, two) = (site.node(&patient).await, site.node(&impatient).await);
    let (browser, cookies) = site.logged_in().await;
    let (other, others) = site.logged_in().await;
    site.log_out(&other).await;
    assert!(site.becomes(&two, &others, 401).await < SECOND);
    one.has_written(1.0).await;

    redis.kill();
    site.becomes(&two, &cookies, 503).await;
    assert_eq!(site.asked(&two, "/page", &cookies).await, (503, Some("5".to_owned())));
    assert_eq!(site.status(&two, "/open", "").await, 200, "anonymous requests go on");
    assert_eq!(site.status(&two, "/page", "").await, 401);
    assert_eq!(two.ready().await, (503, serde_json::json!({ "status": "unavailable", "reason": "store" })));
    // The other is patient, and goes by what it knows.
    assert_eq!((site.status(&one, "/page", &cookies).await, site.status(&one, "/page", &others).await), (200, 401));
    site.log_out(&browser).await;
    assert_eq!(site.status(&one, "/page", &cookies).await, 401, "at once on this node");
    assert_eq!(one.ready().await, (200, serde_json::json!({ "status": "ready", "store": "unreachable" })));
    assert_eq!((one.metric("vestibule_store_up").await, one.metric("vestibule_store_entries_queued").await), (Some(0.0), Some(1.0)));

    redis.start_again().await;
    assert!(site.becomes(&two, &cookies, 401).await < 2 * SECOND);
    assert_eq!(one.metric("vestibule_store_entries_queued").await, Some(0.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_without_its_store_admits_no_session() {
    let (mut redis, mut site) = (Redis::start_keeping().await, Site::start().await);
    let one = site.node(&store(&redis)).await;
    let (browser, cookies) = site.logged_in().await;
    site.log_out(&browser).await;
    one.has_written(1.0).await;
    let keys = redis.keys().await;
    assert!(keys.iter().all(|key| key.starts_with(STREAM_PREFIX)), "{keys:?}");
    assert!(keys.iter().filter(|key| !key.contains(USED)).count() == 1, "{keys:?}");
    redis.kill();
    let two = site.node(&store(&redis)).await;
    assert_eq!(site.asked(&two, "/open", "").await.0, 200);
    let (_, valid) = site.logged_in().await;
    assert_eq!((site.status(&one, "/page", &valid).await, site.status(&two, "/page", &valid).await), (200, 503));
    assert_eq!(two.ready().await.0, 503);
    redis.start_again().await;
    site.becomes(&two, &valid, 200).await;
    assert_eq!(site.status(&two, "/page", &cookies).await, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_restarts_knows_from_its_file_what_has_ended() {
    let mut site = Site::start().await;
    let file = format!("store = \"file:{}\"", site.folder.path().join("ended").display());
    let one = site.node(&file).await;
    let (browser, cookies) = site.logged_in().await;
    let (_, others) = site.logged_in().await;
    site.log_out(&browser).await;
    one.has_written(1.0).await;
    one.kill().await;
    let again = site.node(&file).await;
    assert_eq!((site.status(&again, "/page", &cookies).await, site.status(&again, "/page", &others).await), (401, 200));
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_ended_on_all_nodes_by_who_runs_one_of_them() {
    let (redis, mut site) = (Redis::start().await, Site::start().await);
    let (_one, two) = (site.node(&store(&redis)).await, site.node(&store(&redis)).await);
    let issuer = &site.provider.issuer();
    assert!(site.end(&["--session", "AAAA"]).await.contains("`AAAA` is not the name of a session"));
    let name = "AAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(site.end(&["--session", name]).await, format!("ended: the session {name}, if there was one\n"));

    for which in [&["--user", issuer, "alice"][..], &["--all"]] {
        let (_, cookies) = site.logged_in().await;
        let mut socket = site.socket(&two, &cookies).await;
        if which.contains(&"--user") {
            let told = format!("ended: all sessions of `bob` at {issuer}, if there were any\n");
            assert_eq!(site.end(&["--user", issuer, "bob"]).await, told);
        }
        sleep(SECOND).await;
        assert_eq!(site.status(&two, "/page", &cookies).await, 200, "that was somebody else");
        assert!(site.end(which).await.starts_with("ended: all sessions "));
        ends(&mut socket).await;
        assert!(site.becomes(&two, &cookies, 401).await < SECOND);
        // A login within the allowance for clocks counts as older than the end.
        sleep(6 * SECOND).await;
    }
    let (_, cookies) = site.logged_in().await;
    assert_eq!(site.status(&two, "/page", &cookies).await, 200, "who logs in again is in");
    let told = "ended: all sessions that began until 2020-01-01T00:00:00Z\n";
    assert_eq!(site.end(&["--all", "--before", "2020-01-01T00:00:00Z"]).await, told);
    sleep(SECOND).await;
    assert_eq!(site.status(&two, "/page", &cookies).await, 200, "it began later");
}
