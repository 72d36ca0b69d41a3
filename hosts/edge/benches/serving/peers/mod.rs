//! What a login costs in other proxies that log users in, each beside the same proxy without it: the same application, provider,
//! claims and request, all sides in turns of one run.
//!
//! - The session has whatever cookies the proxy has given to a browser, without the login none.
//! - nginx is measured with the `vestibule serve` that it asks; both are as `examples/nginx` has them.
//! - Threads: as many as there are processors, but for nginx, whose example has one worker.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tokio::net::TcpListener;
use tokio::process::Command;
use vestibule_dev_provider::Running;

use crate::comparison::{self, Difference, Side, Taken};
use crate::process::Process;
use crate::{role, site};

/// The page that is asked for.
const PAGE: &str = "/reports?year=2026";

/// Of the files in this folder and in `examples/`: where browsers go, where `vestibule serve` listens, the application, the provider.
const PORTS: [&str; 4] = ["8501", "8502", "8080", "9000"];

const APACHE: &str = "hosts/edge/benches/serving/peers/apache.conf";
const ENVOY: &str = "hosts/edge/benches/serving/peers/envoy.yaml";
const ENVOY_WITHOUT_LOGIN: &str = "tests/contract/plain/envoy/envoy.yaml";
const NGINX: &str = "examples/nginx/nginx.conf";
const NGINX_WITHOUT_LOGIN: &str = "tests/contract/plain/nginx/nginx.conf";
/// The first includes it.
const NGINX_REMOVED: &str = "examples/nginx/removed-headers.conf";

/// Sides by their names; each login beside the proxy without it.
const LOGINS: [(&str, &str); 6] = [
    ("mod_auth_openidc, sessions in cookies", "Apache"),
    ("mod_auth_openidc, sessions in shared memory", "Apache"),
    ("Envoy, oauth2 and jwt_authn", "Envoy"),
    ("Envoy, oauth2 and jwt_authn with its cache", "Envoy"),
    ("nginx, auth_request to `vestibule serve`", "nginx"),
    ("`vestibule serve`", "our edge without a decision"),
];

/// Measures and prints.
pub async fn compare() {
    let provider = site::provider().await;
    // mod_auth_openidc would ask it, and keep its claims beside the same ones of the ID token.
    provider.faults().script(|script| script.edit_metadata = Some(Box::new(|metadata| _ = metadata.remove("userinfo_endpoint"))));
    let folder = tempfile::tempdir().expect("a folder");
    let (_application, application) = Process::role(role::APPLICATION, "").await;
    comparison::print_machine();
    let peers = Peers { provider: &provider, folder: folder.path(), application };
    let sides = [
        peers.apache("Apache", &[]).await,
        peers.apache(LOGINS[0].0, &["-D", "LOGIN", "-D", "COOKIES"]).await.logged_in().await,
        peers.apache(LOGINS[1].0, &["-D", "LOGIN"]).await.logged_in().await,
        peers.envoy("Envoy", ENVOY_WITHOUT_LOGIN, false).await,
        peers.envoy(LOGINS[2].0, ENVOY, false).await.logged_in().await,
        peers.envoy(LOGINS[3].0, ENVOY, true).await.logged_in().await,
        peers.nginx("nginx").await,
        peers.nginx_with_login(LOGINS[4].0).await.logged_in().await,
        peers.edge(LOGINS[5].1, role::UNDECIDED, &application.to_string()).await,
        peers.edge(LOGINS[5].0, role::SERVE, &peers.configuration()).await.logged_in().await,
    ];
    let taken = comparison::measure(&sides).await;
    comparison::print_sides(&taken);
    let named = |name: &str| -> &Taken { taken.iter().find(|side| side.name == name).expect("one of the sides") };
    let added = |(with, without)| Difference { name: format!("{with}, beside {without}"), of: named(with), beside: named(without) };
    comparison::print_differences(&LOGINS.map(added));
    comparison::print_machine();
}

/// What is around every proxy.
struct Peers<'a> {
    provider: &'a Running,
    folder: &'a Path,
    application: SocketAddr,
}

impl Peers<'_> {
    async fn apache(&self, name: &'static str, options: &[&str]) -> Side {
        let (root, place) = (servers().join("apache"), self.place().await);
        let modules = root.join("usr/lib/apache2/modules");
        let file = place.write(APACHE, |text| text.replace("MODULES", &modules.display().to_string()));
        let mut command = Command::new(root.join("usr/sbin/apache2"));
        command.args(["-D", "FOREGROUND", "-d"]).arg(&place.folder).arg("-f").arg(file).args(options);
        // With the libraries that were unpacked beside it.
        let libraries = format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH);
        command.env("LD_LIBRARY_PATH", root.join(libraries));
        place.side(name, command, vec![]).await
    }

    async fn envoy(&self, name: &'static str, file: &str, caches_tokens: bool) -> Side {
        let place = self.place().await;
        let is_wanted = |line: &&str| caches_tokens || !line.contains("jwt_cache_config");
        let file = place.write(file, |text| text.lines().filter(is_wanted).collect::<Vec<_>>().join("\n"));
        let mut command = Command::new(servers().join("bin/envoy"));
        let threads = std::thread::available_parallelism().expect("a number").to_string();
        // Without memory that is shared with another Envoy of the machine.
        command.args(["--use-dynamic-base-id", "--log-level", "warning", "--concurrency", &threads, "--config-path"]).arg(file);
        place.side(name, command, vec![]).await
    }

    async fn nginx(&self, name: &'static str) -> Side {
        let place = self.place().await;
        place.nginx(name, NGINX_WITHOUT_LOGIN, vec![]).await
    }

    async fn nginx_with_login(&self, name: &'static str) -> Side {
        let mut place = self.place().await;
        let answers = "[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"nginx\"\n";
        let configuration = site::configuration(&place.folder, self.provider, &place.public.port().to_string(), answers);
        let (serve, vestibule) = Process::role(role::SERVE, &configuration).await;
        place.ports[1] = vestibule.port();
        place.write(NGINX_REMOVED, |text| text);
        place.nginx(name, NGINX, vec![serve]).await
    }

    async fn edge(&self, name: &'static str, role: &str, argument: &str) -> Side {
        let (process, address) = Process::role(role, argument).await;
        Side { name, processes: vec![process], address, path: PAGE, session: String::new() }
    }

    /// Of `vestibule serve` alone.
    fn configuration(&self) -> String {
        site::configuration(self.folder, self.provider, "{port}", &format!("[vestibule]\nupstream = \"http://{}\"\n", self.application))
    }

    /// For one more proxy.
    async fn place(&self) -> Place {
        // Free a moment ago.
        let public = TcpListener::bind("127.0.0.1:0").await.and_then(|listener| listener.local_addr()).expect("a free port");
        let folder = self.folder.join(public.port().to_string());
        std::fs::create_dir(&folder).expect("a folder");
        let provider = reqwest::Url::parse(&self.provider.issuer()).expect("a URL").port().expect("a port");
        Place { folder, public, ports: [public.port(), 0, self.application.port(), provider] }
    }
}

/// Where one proxy is.
struct Place {
    folder: PathBuf,
    public: SocketAddr,
    /// In place of [`PORTS`].
    ports: [u16; PORTS.len()],
}

impl Place {
    /// Writes a file of the tree, edited, with the ports of this place; where it is now.
    fn write(&self, file: &str, edit: impl Fn(String) -> String) -> PathBuf {
        let path = tree().join(file);
        let text = edit(std::fs::read_to_string(&path).expect("a file of the tree"));
        // By way of words that no port can be taken for.
        let marked = PORTS.iter().enumerate().fold(text, |text, (index, port)| text.replace(port, &format!("<port {index}>")));
        let ports = self.ports.iter().enumerate();
        let text = ports.fold(marked, |text, (index, port)| text.replace(&format!("<port {index}>"), &port.to_string()));
        let text = text.replace("SECRET", &vestibule_edge::random::cookie_secret());
        let written = self.folder.join(path.file_name().expect("a file"));
        std::fs::write(&written, text).expect("written");
        written
    }

    async fn nginx(&self, name: &'static str, file: &str, beside: Vec<Process>) -> Side {
        let file = self.write(file, |text| text);
        let mut command = Command::new(servers().join("bin/nginx"));
        command.arg("-c").arg(file).arg("-p").arg(&self.folder);
        self.side(name, command, beside).await
    }

    /// Starts the proxy, and waits until it listens.
    async fn side(&self, name: &'static str, mut command: Command, beside: Vec<Process>) -> Side {
        command.current_dir(&self.folder);
        let mut process = Process::program(command, &self.folder);
        process.listening(self.public).await;
        let processes = beside.into_iter().chain([process]).collect();
        Side { name, processes, address: self.public, path: PAGE, session: String::new() }
    }
}

impl Side {
    async fn logged_in(self) -> Self {
        Self { session: site::log_in(self.address).await, ..self }
    }
}

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What `scripts/check-servers.sh` and `scripts/bench-peers.sh` have put there.
fn servers() -> PathBuf {
    tree().canonicalize().expect("the tree").join("target/servers")
}
