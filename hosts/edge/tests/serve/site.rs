//! The running program, what is before it and what is behind it.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{Notify, OnceCell, oneshot};
use tokio::task::JoinHandle;
use vestibule_dev_provider::{AllowedUris, Options, Provider, Running, SigningAlgorithm};

use crate::application::Application;
use crate::program::Program;

/// How a provider is, where that matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Signs with RS256. Making the key takes a while, so there are few.
    Rs256,
    /// Signs with ES256.
    Es256,
    /// Its userinfo endpoint is to be asked.
    Userinfo,
    /// Signs with EdDSA, which is fastest.
    Plain,
}

/// Providers to take one of for a test, so that tests that run at the same time do not meet.
const MANY: [(Kind, usize); 4] = [(Kind::Rs256, 2), (Kind::Es256, 4), (Kind::Userinfo, 4), (Kind::Plain, 100)];
const FEW: [(Kind, usize); 1] = [(Kind::Plain, 4)];

/// More than a line of the log takes on a machine that compiles something else at the same time.
const PATIENCE: Duration = Duration::from_secs(60);

/// In every configuration of these tests.
pub const COOKIE_SECRET: &str = "not-for-the-log-bTr3Vq0nXw8sKd5yLz2e";

/// Of every client at every provider.
pub const CLIENT_SECRET: &str = "vestibule-demo-secret";

/// What every signed token begins with: a JSON object in Base64.
pub const SIGNED_TOKEN: &str = "eyJ";

/// One for all tests and programs: what a test starts may outlive it.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().expect("a runtime"));

/// Plain http on loopback, a login for everything.
static LOCAL: OnceCell<Site> = OnceCell::const_new();

/// An https origin, so that cookies are `Secure`; whoever ends TLS is not part of the test.
static PUBLIC: OnceCell<Site> = OnceCell::const_new();

/// The same origin and secret for another client.
static NEIGHBOUR: OnceCell<Site> = OnceCell::const_new();

pub struct Site {
    pub address: SocketAddr,
    pub app: Application,
    pub log: Arc<Log>,
    /// What `Host` names.
    pub host: String,
    /// Each with whether it is taken.
    providers: Vec<(Kind, Running, AtomicBool)>,
    stop: Mutex<Option<oneshot::Sender<()>>>,
    ended: tokio::sync::Mutex<Option<JoinHandle<()>>>,
    _folder: TempDir,
}

/// Everything that the program has logged.
#[derive(Default)]
pub struct Log {
    lines: Mutex<Vec<Value>>,
    /// The same as it was written, also what is no JSON.
    text: Mutex<String>,
    added: Notify,
}

/// A provider that a test has for itself.
pub struct Assigned {
    /// Its name in the configuration.
    pub name: String,
    pub running: &'static Running,
}

pub fn run(test: impl Future<Output = ()>) {
    RUNTIME.block_on(test);
}

/// Stops the programs that were started. Whatever they were asked during all tests, and at the level trace, their logs
/// hold no secret: neither those of the configuration nor any signed token.
///
/// # Panics
/// With the line that holds one.
pub fn stop_all() {
    RUNTIME.block_on(async {
        for site in [&LOCAL, &PUBLIC, &NEIGHBOUR].into_iter().filter_map(OnceCell::get) {
            let stop = site.stop.lock().expect("no test panics here").take();
            // It may have ended by itself, and a test has failed for it.
            _ = stop.map(|stop| stop.send(()));
            if let Some(ended) = site.ended.lock().await.take() {
                _ = tokio::time::timeout(PATIENCE, ended).await;
            }
            for secret in [COOKIE_SECRET, CLIENT_SECRET, SIGNED_TOKEN] {
                assert_eq!(site.log.line_with(secret), None, "{secret} is in the log");
            }
        }
    });
}

pub async fn local() -> &'static Site {
    LOCAL.get_or_init(|| Site::start("http://127.0.0.1:{port}/oauth2callback", "vestibule-demo", &MANY)).await
}

pub async fn public() -> &'static Site {
    PUBLIC.get_or_init(|| Site::start("https://app.example/oauth2callback", "vestibule-demo", &FEW)).await
}

pub async fn neighbour() -> &'static Site {
    NEIGHBOUR.get_or_init(|| Site::start("https://app.example/oauth2callback", "another-client", &FEW)).await
}

impl Site {
    async fn start(redirect_uri: &str, client_id: &str, kinds: &[(Kind, usize)]) -> Self {
        let app = Application::start().await;
        let mut toml = format!("[auth]\nredirect_uri = \"{redirect_uri}\"\ncookie_secret = \"{COOKIE_SECRET}\"\n");
        let mut extras =
            format!("[vestibule]\nupstream = \"{}\"\n[vestibule.limits]\nlogins_per_minute = 0\nbad_callbacks_per_minute = 0\n", app.url());
        let mut providers = vec![];
        for kind in kinds.iter().flat_map(|&(kind, count)| std::iter::repeat_n(kind, count)) {
            let provider = Provider::start(options(kind, redirect_uri, client_id)).await.expect("a provider");
            let (name, metadata_url) = (name(providers.len()), provider.metadata_url());
            toml += &format!(
                "[auth.{name}]\nclient_id = \"{client_id}\"\nclient_secret = \"{CLIENT_SECRET}\"\nserver_metadata_url = \"{metadata_url}\"\n"
            );
            if kind == Kind::Userinfo {
                extras += &format!("[vestibule.provider.{name}]\nuserinfo = true\n");
            }
            providers.push((kind, provider, AtomicBool::new(false)));
        }
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("secrets.toml");
        std::fs::write(&config, toml + &extras).expect("written");
        let arguments = ["serve", "--config", config.to_str().expect("text"), "--listen", "127.0.0.1:0"];
        let mut program = Program::start(&arguments, &[]);
        let listening = program.wait_for("listener.listening").await;
        let address: SocketAddr = listening["address"].as_str().and_then(|address| address.parse().ok()).expect("an address");
        let host = if redirect_uri.contains("{port}") { address.to_string() } else { "app.example".to_owned() };
        let log = Arc::new(Log::default());
        let (stop, stopped) = oneshot::channel();
        let ended = tokio::spawn(follow(program, log.clone(), stopped));
        let (stop, ended) = (Mutex::new(Some(stop)), tokio::sync::Mutex::new(Some(ended)));
        Self { address, app, log, host, providers, stop, ended, _folder: folder }
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// A provider of this kind that nobody has had.
    pub fn assign(&'static self, kind: Kind) -> Assigned {
        let free = self.providers.iter().position(|(given, _, taken)| *given == kind && !taken.swap(true, Ordering::SeqCst));
        let index = free.unwrap_or_else(|| panic!("more tests than providers of the kind {kind:?}: raise their number"));
        Assigned { name: name(index), running: &self.providers[index].1 }
    }
}

fn options(kind: Kind, redirect_uri: &str, client_id: &str) -> Options {
    let mut options = Options::default();
    options.clients[0].client_id = client_id.to_owned();
    if !redirect_uri.contains("{port}") {
        options.clients[0].redirect_uris = AllowedUris::Exactly(vec![redirect_uri.to_owned()]);
        options.clients[0].post_logout_redirect_uris = AllowedUris::Exactly(vec![redirect_uri.to_owned()]);
    }
    options.signing_algorithm = match kind {
        Kind::Rs256 => SigningAlgorithm::Rs256,
        Kind::Es256 => SigningAlgorithm::Es256,
        Kind::Userinfo | Kind::Plain => SigningAlgorithm::EdDsa,
    };
    options
}

fn name(index: usize) -> String {
    format!("p{index:03}")
}

/// Reads the log until the program ends, by itself or because it is told to.
async fn follow(mut program: Program, log: Arc<Log>, mut stopped: oneshot::Receiver<()>) {
    let mut told = false;
    loop {
        tokio::select! {
            line = program.next_line() => match line {
                Some(line) => log.add(&line),
                None => return,
            },
            _ = &mut stopped, if !told => {
                told = true;
                program.signal(Signal::TERM);
            }
        }
    }
}

impl Log {
    fn add(&self, line: &str) {
        self.text.lock().expect("no test panics here").extend([line, "\n"]);
        self.lines.lock().expect("no test panics here").push(serde_json::from_str(line).unwrap_or_default());
        self.added.notify_waiters();
    }

    /// The first line that fits, now or later.
    pub async fn find(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let added = self.added.notified();
                tokio::pin!(added);
                // From here on no line is missed.
                added.as_mut().enable();
                let line = self.lines.lock().expect("no test panics here").iter().find(|line| fits(line)).cloned();
                if let Some(line) = line {
                    return line;
                }
                added.await;
            }
        };
        tokio::time::timeout(PATIENCE, found).await.expect("a line of the log that fits")
    }

    /// The line so far that holds this text.
    pub fn line_with(&self, secret: &str) -> Option<String> {
        self.text.lock().expect("no test panics here").lines().find(|line| line.contains(secret)).map(str::to_owned)
    }
}
