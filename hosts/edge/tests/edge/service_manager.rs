//! The program as a service manager runs it: told of its state by datagrams, and with a socket that it passes.

use std::fs;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use reqwest::StatusCode;
use rustix::process::Signal;
use tokio::net::UnixDatagram;
use tokio::process::Command;
use tokio::time::timeout;
use vestibule_dev_provider::{Options, Provider, Running};

use crate::browser::Browser;
use crate::login::{secrets_toml, text};
use crate::program::Program;

const PATIENCE: Duration = Duration::from_secs(120);

/// A configuration in a folder of its own, and the provider that it names.
struct Configured {
    folder: tempfile::TempDir,
    _provider: Running,
}

impl Configured {
    async fn new() -> Self {
        let provider = Provider::start(Options::default()).await.expect("a provider");
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("secrets.toml"), secrets_toml(&provider, "http://127.0.0.1:1")).expect("written");
        Self { folder, _provider: provider }
    }

    fn file(&self) -> String {
        text(&self.folder.path().join("secrets.toml")).to_owned()
    }
}

async fn told(socket: &UnixDatagram) -> String {
    let mut datagram = [0; 1024];
    let length = timeout(PATIENCE, socket.recv(&mut datagram)).await.expect("a datagram in time").expect("a datagram");
    String::from_utf8(datagram[..length].to_vec()).expect("text")
}

#[tokio::test]
async fn a_service_manager_is_told_of_start_reload_and_stop() {
    let configured = Configured::new().await;
    let path = configured.folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    let environment = [("NOTIFY_SOCKET", text(&path))];
    let mut program = Program::start(&["serve", "--config", &configured.file(), "--listen", "127.0.0.1:0"], &environment);
    assert_eq!(told(&socket).await, "READY=1\n");
    program.wait_for("listener.listening").await;

    program.signal(Signal::HUP);
    let reloading = told(&socket).await;
    let mut lines = reloading.lines();
    assert_eq!(lines.next(), Some("RELOADING=1"));
    let time = lines.next().and_then(|line| line.strip_prefix("MONOTONIC_USEC=")).expect("the time, which systemd 253 wants");
    assert!(time.parse::<u64>().is_ok(), "{reloading}");
    assert_eq!(told(&socket).await, "READY=1\nSTATUS=the new configuration is in use\n");

    // A broken one has been read again as well, and the service goes on.
    fs::write(configured.file(), "nothing = 1").expect("written");
    assert!(told(&socket).await.starts_with("RELOADING=1\n"));
    assert_eq!(told(&socket).await, "READY=1\nSTATUS=the new configuration is broken; the old one stays in use\n");

    program.signal(Signal::TERM);
    assert_eq!(told(&socket).await, "STOPPING=1\n");
    assert_eq!(program.ended().await.0, Some(0));
}

/// A program that takes `passed` as its first passed socket, and then replaces itself.
#[expect(unsafe_code, reason = "a system call between fork and exec; see SAFETY")]
fn passing(passed: RawFd, number: &str) -> Command {
    // LISTEN_PID is the process itself, which only it knows.
    let mut shell = Command::new("sh");
    shell.args(["-c", "LISTEN_PID=$$ exec \"$0\" \"$@\""]).env("LISTEN_FDS", number);
    let place = move || {
        // SAFETY: a system call with numbers alone.
        match unsafe { libc::dup2(passed, 3) } {
            3 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: it makes that one call, which is safe between fork and exec, and allocates nothing.
    unsafe { shell.pre_exec(place) };
    shell
}

#[tokio::test]
async fn a_passed_socket_is_listened_on() {
    let configured = Configured::new().await;
    let socket = TcpListener::bind("127.0.0.1:0").expect("bound");
    let address = socket.local_addr().expect("bound").to_string();
    let starter = passing(socket.as_raw_fd(), "1");
    let mut program = Program::start_by(starter, &["serve", "--config", &configured.file()]);
    let listening = program.wait_for("listener.listening").await;
    assert_eq!(listening["address"], address.as_str());
    // The program's alone.
    drop(socket);
    assert_eq!(Browser::new().fetch(&format!("http://{address}/")).await.status, StatusCode::UNAUTHORIZED);
    program.signal(Signal::TERM);
    assert_eq!(program.ended().await.0, Some(0));
}

#[tokio::test]
async fn what_is_no_single_listening_tcp_socket_is_refused() {
    let configured = Configured::new().await;
    let config = configured.file();
    let tcp = TcpListener::bind("127.0.0.1:0").expect("bound");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("bound");
    let unix = std::os::unix::net::UnixListener::bind(configured.folder.path().join("socket")).expect("bound");
    let file = fs::File::open(&config).expect("opened");
    let serve = ["serve", "--config", &config];
    let elsewhere = ["serve", "--config", &config, "--listen", "127.0.0.1:0"];
    let cases: [(RawFd, &str, &[&str], &str); 6] = [
        (tcp.as_raw_fd(), "2", &serve, "passes 2 sockets"),
        (tcp.as_raw_fd(), "many", &serve, "LISTEN_FDS"),
        (udp.as_raw_fd(), "1", &serve, "something else than a listening TCP socket"),
        (unix.as_raw_fd(), "1", &serve, "something else than a listening TCP socket"),
        (file.as_raw_fd(), "1", &serve, "something else than a listening TCP socket"),
        (tcp.as_raw_fd(), "1", &elsewhere, "remove --listen"),
    ];
    for (descriptor, number, arguments, reason) in cases {
        let (code, log) = Program::start_by(passing(descriptor, number), arguments).ended().await;
        let said = log.join("\n");
        assert_eq!(code, Some(1), "{reason}: {said}");
        assert!(said.contains(reason), "{reason}: {said}");
    }
}
