//! What the running program takes of the machine while it has nothing to do.

#![cfg(target_os = "linux")]

use std::fs;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;
use vestibule_dev_provider::{Options, Provider};

use crate::login::{secrets_toml, text};
use crate::program::Program;
use crate::raw::Wire;
use crate::tls::Identity;

/// Far longer than jemalloc's ten seconds, on a machine that compiles something else at the same time.
const PATIENCE: Duration = Duration::from_secs(60);
const MIB: u64 = 1024 * 1024;

/// A running program, with these arguments.
async fn started(folder: &tempfile::TempDir, more: &[&str]) -> (Program, SocketAddr) {
    let provider = Provider::start(Options::default()).await.expect("a provider");
    let config = folder.path().join("secrets.toml");
    fs::write(&config, secrets_toml(&provider, "http://127.0.0.1:1")).expect("written");
    let arguments = [&["serve", "--config", text(&config), "--listen", "127.0.0.1:0"], more].concat();
    let mut program = Program::start(&arguments, &[("VESTIBULE_LOG", "info")]);
    let listening = program.wait_for("listener.listening").await;
    let address = listening["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
    (program, address)
}

#[tokio::test]
async fn memory_is_given_back_when_connections_have_ended() {
    const CLIENTS: u8 = 100;
    const CONNECTIONS: u8 = 4;

    vestibule_edge::listen::limits::raise_descriptors();
    let folder = tempfile::tempdir().expect("a folder");
    let (program, address) = started(&folder, &[]).await;
    for _ in 0..5 {
        let mut wires = Vec::new();
        for _ in 0..40 {
            wires.push(Wire::connect(address).await);
        }
        for wire in &mut wires {
            let (head, _) = wire.exchange(&format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n")).await.expect("a response");
            assert_eq!(head.status(), 401);
        }
    }
    // What the start has left behind goes first.
    sleep(Duration::from_secs(15)).await;
    let before = program.memory();
    let mut head = b"GET / HTTP/1.1\r\nX: ".to_vec();
    head.resize(63 * 1024, b'x');
    let mut held = Vec::new();
    for client in 0..CLIENTS {
        for _ in 0..CONNECTIONS {
            let mut connection = connect(address, client + 2).await;
            connection.write_all(&head).await.expect("sent");
            held.push(connection);
        }
    }
    until("are held", || program.memory() > before + 8 * MIB).await;
    drop(held);
    until("are given back", || program.memory() <= before + before / 10 + MIB).await;
}

#[tokio::test]
async fn a_program_that_has_nothing_to_do_sleeps() {
    const COUNTED: u64 = 10;

    let (folder, identity) = (tempfile::tempdir().expect("a folder"), Identity::new());
    let (certificate, key) = identity.write(folder.path());
    let (program, address) = started(&folder, &["--tls-cert", &certificate, "--tls-key", &key, "--admin", "127.0.0.1:0"]).await;
    let mut over_http_1 = Wire::new(identity.tls_for_http_1(address).await);
    over_http_1.stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.expect("sent");
    assert_eq!(over_http_1.read_head().await.expect("a response").status(), 401);
    let mut over_http_2 = identity.http_2(address).await.ready().await.expect("HTTP/2");
    let request = http::Request::get("https://localhost/").body(()).expect("a request");
    let (response, _) = over_http_2.send_request(request, true).expect("sent");
    assert_eq!(response.await.expect("a response").status(), 401);
    // The clock of CPU budgets sleeps some seconds after the last decision, jemalloc's thread when it has given all back: later
    // where other tests take the processors.
    sleep(Duration::from_secs(30)).await;
    assert!(!program.threads().iter().any(|(name, _)| name == "Timer thread"), "Pingora's, which never sleeps");
    let wake_ups = || program.threads().iter().map(|(_, wake_ups)| wake_ups).sum::<u64>();
    let mut counted = Vec::new();
    while counted.last().is_none_or(|&counted| counted > 5 * COUNTED) {
        assert!(counted.len() < 4, "{counted:?} in {COUNTED} s each");
        let before = wake_ups();
        sleep(Duration::from_secs(COUNTED)).await;
        // Of those threads that have ended meanwhile nothing is counted.
        counted.push(wake_ups().saturating_sub(before));
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "bytes that {what}");
        sleep(Duration::from_millis(200)).await;
    }
}

async fn connect(address: SocketAddr, client: u8) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.bind(SocketAddr::from(([127, 0, 0, client], 0))).expect("an address of this machine");
    socket.connect(address).await.expect("a connection")
}
