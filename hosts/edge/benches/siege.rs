//! What one hostile client, or many, can take of the program in its default configuration: memory, processor, time and
//! connections. Measures, prints, and fails where a limit that docs/explain/attacks.md names does not hold. `make siege` runs it.
//!
//! Every address of 127.0.0.0/8 is a client of its own.

#![expect(clippy::expect_used, reason = "a step that fails ends the run, and says which one it was")]
#![expect(clippy::print_stdout, reason = "what was measured")]
#![expect(unreachable_pub, reason = "what the modules of this one program share has no outside to be hidden from")]

#[allow(dead_code, reason = "of the tests' wire, what is needed here")]
#[path = "../tests/edge/raw.rs"]
mod raw;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsConnector;
use vestibule_edge::listen::limits::ConnectionLimits;

use crate::raw::Wire;

const MIB: u64 = 1024 * 1024;

/// Unfinished heads, from as many clients as it takes.
const HEADS: usize = 2000;
const CLIENTS: usize = 2;
/// Just below what is refused.
const HEAD_BYTES: usize = 63 * 1024;
/// What they may take more than was taken before, and how much of it may be left a minute after they are gone.
const MOST_MORE: u64 = 100 * MIB;
const LEFT_PERCENT: u64 = 10;
const LEFT_AFTER: Duration = Duration::from_secs(60);

/// Longer than it takes the allocator's thread.
const GIVEN_BACK_AFTER: Duration = Duration::from_secs(20);

/// What another client may wait for.
const PROMISED: Duration = Duration::from_secs(1);

/// A byte of a long head may cost so much more than one of a short head: nothing, but for the noise of other work.
const MOST_GROWTH: f64 = 2.0;

/// A limit of time is held when the connection ends between these.
const EARLY: Duration = Duration::from_millis(500);
const LATE: Duration = Duration::from_secs(5);

/// `vestibule serve` in its default configuration, with its login and before an application that answers everything.
struct Site {
    address: SocketAddr,
    tls: Option<TlsConnector>,
    program: Child,
    _folder: tempfile::TempDir,
}

#[tokio::main]
async fn main() {
    vestibule_edge::listen::limits::raise_descriptors();
    let site = Site::start(false).await;
    let settled = site.settle().await;
    println!(
        "      default configuration: {} connections, {} of one client; {} MiB at the start",
        ConnectionLimits::default().all,
        ConnectionLimits::default().each,
        settled / MIB
    );
    site.shares().await;
    site.unfinished_heads("", settled).await;
    site.cost_of_a_byte().await;
    site.times().await;
    drop(site);
    let site = Site::start(true).await;
    let settled = site.settle().await;
    site.unfinished_heads(" over TLS", settled).await;
    site.header_lists().await;
    println!("      all limits hold");
}

impl Site {
    async fn start(with_tls: bool) -> Self {
        let provider = vestibule_dev_provider::Provider::start(vestibule_dev_provider::Options::default()).await.expect("a provider");
        let application = application().await;
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("secrets.toml");
        let secret = Command::new(env!("CARGO_BIN_EXE_vestibule")).arg("cookie-secret").output().await.expect("the program runs");
        let secret = String::from_utf8(secret.stdout).expect("text");
        let text = format!(
            "[auth]\nredirect_uri = \"http://127.0.0.1:{{port}}/oauth2callback\"\ncookie_secret = \"{}\"\n\
             client_id = \"vestibule-demo\"\nclient_secret = \"vestibule-demo-secret\"\nserver_metadata_url = \"{}\"\n\
             [vestibule]\nupstream = \"http://{application}\"\n[[vestibule.rule]]\npath = \"/open/**\"\naccess = \"public\"\n\
             [[vestibule.rule]]\npath = \"/**\"\n",
            secret.trim(),
            provider.metadata_url()
        );
        std::fs::write(&config, text).expect("written");
        // For as long as this program runs.
        std::mem::forget(provider);
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let component = std::env::var_os("VESTIBULE_COMPONENT").map_or_else(|| root.join("dist/vestibule-wide.wasm"), Into::into);
        let identity = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
        let (certificate, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, identity.cert.pem()).expect("written");
        std::fs::write(&key, identity.signing_key.serialize_pem()).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_vestibule"));
        if with_tls {
            command.arg("serve").arg("--tls-cert").arg(certificate).arg("--tls-key").arg(key);
        } else {
            command.arg("serve");
        }
        let mut program = command
            .args(["--listen", "127.0.0.1:0", "--log", "json", "--config"])
            .arg(&config)
            .arg("--component")
            .arg(component)
            .arg("--cache")
            .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("component-cache"))
            .env("VESTIBULE_LOG", "info")
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program starts");
        let mut log = BufReader::new(program.stderr.take().expect("a pipe")).lines();
        let address = loop {
            let line = log.next_line().await.expect("a log of text").expect("the program listens");
            let entry: Value = serde_json::from_str(&line).unwrap_or_default();
            if entry["code"] == "listener.listening" {
                break entry["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
            }
        };
        tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
        let tls = with_tls.then(|| connector(&identity.cert));
        Self { address, tls, program, _folder: folder }
    }

    fn proc(&self, file: &str) -> String {
        let id = self.program.id().expect("it runs");
        std::fs::read_to_string(format!("/proc/{id}/{file}")).expect("of this system")
    }

    /// In bytes.
    fn memory(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line of it");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// What the program has used of the processors.
    fn processor(&self) -> Duration {
        let stat = self.proc("stat");
        let fields: Vec<&str> = stat.rsplit(')').next().expect("the end").split_whitespace().collect();
        let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
        // A hundred in a second, on every Linux.
        Duration::from_millis(ticks * 10)
    }

    async fn connect(&self, client: usize) -> TcpStream {
        let socket = TcpSocket::new_v4().expect("a socket");
        let source = SocketAddr::from(([127, 0, 0, u8::try_from(client).expect("a number")], 0));
        socket.bind(source).expect("an address of this machine");
        socket.connect(self.address).await.expect("a connection")
    }

    /// The same with TLS where the program has it; none when the connection is refused.
    async fn open(&self, client: usize) -> std::io::Result<Box<dyn Duplex>> {
        let connection = self.connect(client).await;
        Ok(match &self.tls {
            None => Box::new(connection),
            Some(tls) => Box::new(tls.connect("localhost".try_into().expect("a name"), connection).await?),
        })
    }

    /// How long a client waits for a page.
    async fn visit(&self, client: usize, path: &str) -> Duration {
        let began = Instant::now();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.address);
        let exchange = async {
            let mut wire = Wire::new(self.open(client).await.ok()?);
            wire.stream.write_all(request.as_bytes()).await.ok()?;
            wire.stream.flush().await.ok()?;
            wire.read_head().await
        };
        let answered = timeout(Duration::from_secs(60), exchange).await.expect("in time");
        let head = answered.unwrap_or_else(|| panic!("client {client} is not served"));
        assert!([200, 401].contains(&head.status()), "{}", head.text);
        began.elapsed()
    }

    /// The memory after ordinary traffic: requests one after the other, and as many on connections that are open at a time.
    async fn settle(&self) -> u64 {
        const CONNECTIONS: usize = 50;

        let path = |number: usize| if number.is_multiple_of(2) { "/" } else { "/open/x" };
        for number in 0..2000 {
            self.visit(3, path(number)).await;
        }
        let mut open = Vec::new();
        for _ in 0..CONNECTIONS {
            open.push(Wire::new(self.open(3).await.expect("a connection")));
        }
        for number in 0..40 {
            let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\n\r\n", path(number), self.address);
            for wire in &mut open {
                wire.stream.write_all(request.as_bytes()).await.expect("sent");
                wire.stream.flush().await.expect("sent");
            }
            for wire in &mut open {
                let head = wire.read_head().await.expect("a response");
                wire.skip(head.content_length()).await.expect("a body");
            }
        }
        drop(open);
        // What the start and the traffic have left behind is no part of what is there before.
        sleep(GIVEN_BACK_AFTER).await;
        self.memory()
    }

    /// One client holds all it may, and more; another one is served.
    async fn shares(&self) {
        let each = ConnectionLimits::default().each;
        let mut held = Vec::new();
        for _ in 0..each + 100 {
            held.push(self.connect(1).await);
        }
        let slowest = self.slowest(2).await;
        // Those beyond the share are closed.
        let mut closed = 0;
        for connection in &mut held {
            closed += usize::from(matches!(timeout(Duration::from_millis(1), connection.read(&mut [0; 1])).await, Ok(Ok(0) | Err(_))));
        }
        println!(
            "      one client asked for {} connections and has {}; another one waits {slowest:?} at most",
            held.len(),
            held.len() - closed
        );
        assert_eq!(held.len() - closed, each, "the share of one client");
        assert!(slowest < PROMISED, "another client waits {slowest:?}");
    }

    /// The longest that this client waits of twenty visits.
    async fn slowest(&self, client: usize) -> Duration {
        let mut slowest = Duration::ZERO;
        for number in 0..20 {
            slowest = slowest.max(self.visit(client, if number % 2 == 0 { "/" } else { "/open/x" }).await);
        }
        slowest
    }

    /// `before`: the memory after ordinary traffic.
    async fn unfinished_heads(&self, how: &str, before: u64) {
        let mut head = b"GET / HTTP/1.1\r\nX: ".to_vec();
        head.resize(HEAD_BYTES, b'x');
        let (mut held, mut most, mut slowest) = (Vec::new(), 0, Duration::ZERO);
        for number in 0..HEADS {
            // One that is refused, or closed already, says so here.
            if let Ok(mut connection) = self.open(10 + number % CLIENTS).await {
                let _ = connection.write_all(&head).await;
                let _ = connection.flush().await;
                held.push(connection);
            }
            if number % 100 == 99 {
                most = most.max(self.memory());
                slowest = slowest.max(self.visit(2, "/").await);
            }
        }
        for _ in 0..20 {
            sleep(Duration::from_millis(100)).await;
            most = most.max(self.memory());
        }
        drop(held);
        let mut left = self.memory();
        let gone = Instant::now();
        while gone.elapsed() < LEFT_AFTER {
            sleep(Duration::from_secs(1)).await;
            left = self.memory();
        }
        println!(
            "      {HEADS} unfinished heads of {} KiB{how}: {} MiB before, {} MiB with them, {} MiB a minute after; another client waits {slowest:?} at most",
            HEAD_BYTES / 1024,
            before / MIB,
            most / MIB,
            left / MIB
        );
        assert!(most - before.min(most) <= MOST_MORE, "unfinished heads take {} MiB", (most - before) / MIB);
        assert!(left <= before * (100 + LEFT_PERCENT) / 100, "{} MiB are left of {} MiB", left / MIB, before / MIB);
        assert!(slowest < PROMISED, "another client waits {slowest:?}");
    }

    /// Requests of HTTP/2 with large header lists, whose bodies never come, as many as one client's connections carry.
    async fn header_lists(&self) {
        const CONNECTIONS: usize = 32;
        const STREAMS: usize = 90;

        let before = self.memory();
        let tls = self.tls.as_ref().expect("with TLS");
        let (mut held, mut refused) = (Vec::new(), 0);
        for _ in 0..CONNECTIONS {
            let connection = self.connect(40).await;
            let connecting = tls.with_alpn(vec![b"h2".to_vec()]).connect("localhost".try_into().expect("a name"), connection);
            let Ok(connection) = connecting.await else { continue };
            let (mut sender, connection) = h2::client::handshake(connection).await.expect("HTTP/2");
            tokio::spawn(connection);
            for _ in 0..STREAMS {
                let mut request = http::Request::post("https://localhost/open/hang");
                for _ in 0..15 {
                    request = request.header("x", "x".repeat(4000));
                }
                let Ok(ready) = sender.clone().ready().await else { break };
                sender = ready;
                let Ok((response, body)) = sender.send_request(request.body(()).expect("a request"), false) else { break };
                held.push((tokio::spawn(response), body));
            }
        }
        sleep(Duration::from_secs(5)).await;
        let most = self.memory();
        for (response, _) in &mut held {
            if response.is_finished() {
                refused += usize::from(response.await.expect("no panic").is_ok_and(|response| response.status() == 429));
            }
        }
        let waited = self.visit(2, "/").await;
        println!(
            "      {} requests of HTTP/2 with 60 KiB of fields and no body, {refused} of them refused with 429: {} MiB before, {} MiB with them; another client waits {waited:?}",
            held.len(),
            before / MIB,
            most / MIB
        );
        assert!(refused > 0, "one client has all requests in flight");
        assert!(waited < PROMISED, "another client waits {waited:?}");
    }

    /// What a byte costs of heads of this length that arrive byte by byte, the same number of bytes in all.
    async fn per_byte(&self, length: usize) -> Duration {
        const BYTES: usize = 1_000_000;
        let before = self.processor();
        for _ in 0..BYTES / length {
            let mut connection = self.connect(20).await;
            connection.set_nodelay(true).expect("a socket");
            let beginning = b"GET / HTTP/1.1\r\nX: ";
            connection.write_all(beginning).await.expect("sent");
            for _ in beginning.len()..length {
                connection.write_all(b"x").await.expect("sent");
            }
            connection.write_all(b"\r\nHost: h\r\nConnection: close\r\n\r\n").await.expect("sent");
            let _ = connection.read_to_end(&mut Vec::new()).await;
        }
        (self.processor() - before) / u32::try_from(BYTES).expect("a number")
    }

    async fn cost_of_a_byte(&self) {
        let (short, long) = (self.per_byte(4 * 1024).await, self.per_byte(60 * 1024).await);
        println!("      a byte that arrives alone takes {short:?} of a head of 4 KiB, {long:?} of one of 60 KiB");
        assert!(long.as_secs_f64() <= short.as_secs_f64() * MOST_GROWTH, "the cost of a byte grows with what has arrived");
    }

    /// When connections end on which nothing comes to an end.
    async fn times(&self) {
        let limits = ConnectionLimits::default();
        let body = vestibule_edge::exchange::proxy::Patience::default().piece;
        let drip = async |beginning: &str, dripped: &[u8]| {
            let mut connection = self.connect(30).await;
            connection.write_all(beginning.as_bytes()).await.expect("sent");
            let began = Instant::now();
            loop {
                if !dripped.is_empty() && connection.write_all(dripped).await.is_err() {
                    return began.elapsed();
                }
                let mut answer = [0; 4096];
                match timeout(Duration::from_millis(500), connection.read(&mut answer)).await {
                    Ok(_) => return began.elapsed(),
                    Err(_) => assert!(began.elapsed() < limits.idle * 2, "{beginning:?} does not end"),
                }
            }
        };
        let served = async {
            let mut wire = Wire::new(self.connect(30).await);
            wire.exchange(&format!("GET / HTTP/1.1\r\nHost: {}\r\n\r\n", self.address)).await.expect("a response");
            let began = Instant::now();
            assert!(timeout(limits.idle * 2, wire.read_head()).await.expect("an end").is_none());
            began.elapsed()
        };
        let upload = "POST /open/hang HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc";
        let (silent, head, stalled, served) = tokio::join!(drip("", b""), drip("GET / HTTP/1.1\r\nX: ", b"x"), drip(upload, b""), served);
        for (what, took, limit) in [
            ("a silent connection", silent, limits.idle),
            ("an idle one", served, limits.idle),
            ("a head", head, limits.head),
            ("a stalled body", stalled, body),
        ] {
            println!("      {what} ends after {took:.1?} of {limit:?}");
            assert!((limit - EARLY..limit + LATE).contains(&took), "{what} ends after {took:?}");
        }
    }
}

/// Plain or with TLS.
trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A client that trusts `certificate`.
fn connector(certificate: &rcgen::Certificate) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certificate.der().clone()).expect("a certificate");
    let config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("protocol versions")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// Answers everything, but what ends in `/hang` and its body does not.
async fn application() -> SocketAddr {
    let socket = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = socket.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((stream, _)) = socket.accept().await {
            tokio::spawn(async move {
                let mut wire = Wire::new(stream);
                while let Some(head) = wire.read_head().await {
                    if wire.skip(head.content_length()).await.is_none() {
                        return;
                    }
                    if wire.stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}
