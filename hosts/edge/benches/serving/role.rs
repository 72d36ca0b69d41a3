//! What this program is when it starts itself again: the application, or a proxy in front of it.
//!
//! A role prints the address where it listens, serves with as many threads as there are processors (the application with one), and
//! ends when the program that started it does.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use clap::Parser as _;
use pingora::proxy::{ProxyHttp, Session, http_proxy_service};
use pingora::server::Server;
use pingora::server::configuration::ServerConf;
use pingora::upstreams::peer::HttpPeer;
use tokio::runtime::Builder;
use vestibule::pages::Look;
use vestibule::web::trusted_proxies::TrustedProxies;
use vestibule_edge::audit::Audit;
use vestibule_edge::cli::arguments::{Arguments, Command};
use vestibule_edge::cli::serve;
use vestibule_edge::configuration::active::{Active, Current, Service};
use vestibule_edge::configuration::decider::{Decider, Undecided};
use vestibule_edge::exchange::proxy::Edge;
use vestibule_edge::listen::limits::{ConnectionLimits, raise_descriptors};
use vestibule_edge::listen::listener::Listener;
use vestibule_edge::observe::log;
use vestibule_edge::upstream::application::Upstream;
use vestibule_wasmtime::{Carried, Decision, Forward, Outcome, RequestHead};

use crate::{application, site};

/// The application.
pub const APPLICATION: &str = "application";
/// A minimal Pingora; its argument is the application's address.
pub const PINGORA: &str = "pingora";
/// Our edge with nothing that decides; its argument is the application's address.
pub const UNDECIDED: &str = "undecided";
/// `vestibule serve`; its argument is a configuration.
pub const SERVE: &str = "serve";

/// The default of `--upstream-timeout`.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(120);

/// Plays the role until the program that started this one ends.
pub fn play(name: &str, argument: &str) {
    std::thread::spawn(|| {
        // Ends, or fails, when nobody holds the other end any more.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        std::process::exit(0);
    });
    raise_descriptors();
    let many_threads = || Builder::new_multi_thread().enable_all().build().expect("a runtime");
    match name {
        APPLICATION => Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(application::serve(announce)),
        PINGORA => minimal_pingora(argument.parse().expect("an address")),
        UNDECIDED => many_threads().block_on(edge_that_decides_nothing(argument)),
        SERVE => many_threads().block_on(edge(argument)),
        _ => panic!("no role {name}"),
    }
}

fn announce(address: SocketAddr) {
    println!("{address}");
}

/// What every proxy made with Pingora does, and no more.
struct Minimal(SocketAddr);

#[async_trait]
impl ProxyHttp for Minimal {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn upstream_peer(&self, _: &mut Session, (): &mut ()) -> pingora::Result<Box<HttpPeer>> {
        Ok(Box::new(HttpPeer::new(self.0, false, String::new())))
    }
}

fn minimal_pingora(application: SocketAddr) {
    // Pingora does not say which port it got: one that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let threads = std::thread::available_parallelism().expect("a number").get();
    let mut server = Server::new_with_opt_and_conf(None, ServerConf { threads, ..ServerConf::default() });
    server.bootstrap();
    let mut service = http_proxy_service(&server.configuration, Minimal(application));
    service.add_tcp(&address.to_string());
    server.add_service(service);
    announce(address);
    server.run_forever();
}

/// Forwards everything as it is, without a decision.
struct Nothing;

#[async_trait]
impl Decider for Nothing {
    async fn decide(&self, _: RequestHead, _: Option<Vec<u8>>) -> Result<Decision, Undecided> {
        Ok(Decision::new(Outcome::Forward(Forward::default())))
    }
}

async fn edge_that_decides_nothing(application: &str) {
    let limits = ConnectionLimits::with_descriptors(raise_descriptors());
    let listener = Listener::bind("127.0.0.1:0").await.expect("a free port").with_limits(limits);
    let address = listener.address();
    let upstream = Upstream::parse(&format!("http://{application}"), UPSTREAM_TIMEOUT).expect("an address");
    let active = Active {
        counts: vestibule_edge::metrics::Counts::unregistered(),
        decider: Box::new(Nothing),
        service: Service::Proxy(Arc::new(upstream)),
        trusted_proxies: TrustedProxies::default(),
        limits: Vec::new(),
        look: Look::default(),
        public_origin: format!("http://{address}").into(),
        application_probe: None,
        streamlit: None,
        audit: Audit::default(),
    };
    log::start(log::Format::Human).expect("a log");
    announce(address);
    Edge::new(Current::new(active), false).serve(listener, None, std::future::pending(), Duration::ZERO).await;
}

async fn edge(configuration: &str) {
    let listener = Listener::bind("127.0.0.1:0").await.expect("a free port");
    // Connections wait until it serves.
    announce(listener.address());
    let (component, cache) = (site::component(), site::component_cache());
    let options = ["vestibule", "serve", "--config", configuration, "--component", &component, "--cache", &cache];
    let Command::Serve(arguments) = Arguments::parse_from(options).command else { unreachable!("that is the command") };
    log::start(arguments.common.log).expect("a log");
    serve::until(&arguments, &Carried::NONE, Some(listener), |_| {}, std::future::pending()).await.expect("it serves");
}
