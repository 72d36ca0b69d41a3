//! Provider, application, Redis and two nodes.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures::lock::Mutex;
use reqwest::Client;
use serde_json::Map;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use vestibule_dev_provider::{Options, Person, Provider, Running};

use crate::redis::Redis;
use crate::serving::Serving;

/// So short that every session refreshes its access token more than once.
const TOKEN_LIFETIME: Duration = Duration::from_secs(90);

/// What the application answers, and nobody else.
pub(crate) const OF_THE_APPLICATION: &str = "this is the application";

pub(crate) struct Site {
    pub(crate) provider: Running,
    pub(crate) client: Client,
    /// The public address, which is that of the first node.
    pub(crate) nodes: [SocketAddr; 2],
    pub(crate) redis: Mutex<Redis>,
    pub(crate) serving: [Mutex<Option<Serving>>; 2],
    /// When the store was out of reach, until nodes may be expected to have noticed that it is back.
    pub(crate) unreachable: std::sync::Mutex<Vec<(Instant, Option<Instant>)>>,
    folder: TempDir,
}

impl Site {
    pub(crate) async fn start(people: usize) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let people = (0..people).map(person).collect();
        let options = Options { people, token_lifetime: TOKEN_LIFETIME, refresh_tokens: true, ..Options::default() };
        let provider = Provider::start(options).await.expect("a provider");
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(Duration::from_secs(30));
        let site = Self {
            provider,
            client: client.build().expect("a client"),
            nodes: [free().await, free().await],
            redis: Mutex::new(Redis::start_keeping().await),
            serving: [Mutex::default(), Mutex::default()],
            unreachable: std::sync::Mutex::default(),
            folder: tempfile::tempdir().expect("a folder"),
        };
        site.configure(application().await).await;
        for node in 0..site.nodes.len() {
            site.start_node(node).await;
        }
        site
    }

    async fn configure(&self, application: SocketAddr) {
        let store = self.redis.lock().await.url();
        let text = format!(
            "[auth]\nredirect_uri = \"http://{}/oauth2callback\"\ncookie_secret = \"bTr3Vq0nXw8sKd5yLz2e-4Gh7Jm1Pc6Rf9Uv\"\n\
             client_id = \"vestibule-demo\"\nclient_secret = \"vestibule-demo-secret\"\nserver_metadata_url = \"{}\"\n\
             expose_tokens = \"access\"\n\
             [vestibule]\nupstream = \"http://{application}\"\ntrusted_proxies = [\"127.0.0.1\"]\n\
             [[vestibule.rule]]\npath = \"/**\"\n\
             [vestibule.session]\nstore = \"{store}\"\nrefresh = \"auto\"\n",
            self.nodes[0],
            self.provider.metadata_url(),
        );
        std::fs::write(self.config(), text).expect("written");
    }

    pub(crate) async fn start_node(&self, node: usize) {
        let serving = Serving::start(self.nodes[node], &self.config(), &self.control(node)).await;
        *self.serving[node].lock().await = Some(serving);
    }

    fn config(&self) -> PathBuf {
        self.folder.path().join("secrets.toml")
    }

    pub(crate) fn control(&self, node: usize) -> PathBuf {
        self.folder.path().join(format!("control-{node}"))
    }

    /// When a session that ended at `at` is over on every node; `None` while the store is out of reach.
    pub(crate) fn known_everywhere(&self, at: Instant) -> Option<Instant> {
        let promised = at + Duration::from_secs(1);
        let outages = self.unreachable.lock().expect("nothing panics here");
        let mut over = promised;
        for (from, until) in outages.iter() {
            match until {
                None => return None,
                Some(until) if *from <= promised && at <= *until => over = over.max(*until + Duration::from_secs(1)),
                Some(_) => {}
            }
        }
        Some(over)
    }
}

fn person(number: usize) -> Person {
    let sub = format!("person-{number}");
    Person {
        name: format!("Person {number}"),
        given_name: "Person".to_owned(),
        family_name: number.to_string(),
        preferred_username: sub.clone(),
        email: Some(format!("{sub}@example.com")),
        email_verified: true,
        groups: vec!["staff".to_owned(), format!("department-{}", number % 40)],
        extra: Map::new(),
        sub,
    }
}

/// An address that nobody has at the moment.
async fn free() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    listener.local_addr().expect("an address")
}

/// Answers every request with the same, on connections that stay open.
async fn application() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{OF_THE_APPLICATION}", OF_THE_APPLICATION.len());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let (mut head, mut buffer) = (Vec::new(), [0; 16 * 1024]);
                while let Ok(read @ 1..) = connection.read(&mut buffer).await {
                    head.extend_from_slice(&buffer[..read]);
                    // Requests here have no body.
                    if head.ends_with(b"\r\n\r\n") {
                        head.clear();
                        if connection.write_all(answer.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}
