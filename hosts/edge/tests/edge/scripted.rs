//! The edge in this process, before a filter that does what a test says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use pingora::listeners::tls::Acceptor;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use vestibule::pages::Look;
use vestibule::web::trusted_proxies::TrustedProxies;
use vestibule_edge::audit::Audit;
use vestibule_edge::configuration::active::{Active, Current, Service};
use vestibule_edge::configuration::decider::{Decider, Undecided};
use vestibule_edge::exchange::proxy::{Edge, Patience};
use vestibule_edge::exchange::session_ends::SessionEnds;
use vestibule_edge::listen::limits::ConnectionLimits;
use vestibule_edge::listen::listener::Listener;
use vestibule_edge::metrics::Counts;
use vestibule_edge::upstream::application::Upstream;
use vestibule_wasmtime::{Decision, EndedName, EndedWhat, Forward, Outcome, RequestHead, Response};

/// The grace of edges in tests: long enough for what must finish, short enough to wait for.
pub const GRACE: Duration = Duration::from_secs(5);
/// The longest silence of an application where that is not what is tested.
const UPSTREAM_TIMEOUT: Duration = Duration::from_secs(60);

type Rule = dyn Fn(&RequestHead, Option<&[u8]>) -> Result<Outcome, Undecided> + Send + Sync;

/// Decides by a closure.
pub struct Script(Box<Rule>);

impl Script {
    pub fn new(rule: impl Fn(&RequestHead, Option<&[u8]>) -> Result<Outcome, Undecided> + Send + Sync + 'static) -> Self {
        Self(Box::new(rule))
    }

    /// Forwards everything as Alice, and anonymous identity headers never.
    pub fn alice() -> Self {
        Self::new(|_, _| Ok(Outcome::Forward(alice())))
    }
}

#[async_trait]
impl Decider for Script {
    async fn decide(&self, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision, Undecided> {
        let outcome = self.0(&head, body.as_deref())?;
        // `/end/<session>` ends a session, whatever else the script says.
        let mut decision = Decision::new(outcome);
        decision.ended_sessions.extend(head.path_with_query().strip_prefix("/end/").map(session_end));
        Ok(decision)
    }
}

/// The end of the session of this name, now.
pub fn session_end(session: &str) -> EndedName {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    EndedName::new(session, EndedWhat::Session, now, now + 3600)
}

pub fn alice() -> Forward {
    renewed(Forward::new(&["X-Forwarded-User", "x_forwarded_user"], &[("X-Forwarded-User", b"alice")]))
}

/// The same with a cookie for the browser.
pub fn renewed(mut forward: Forward) -> Forward {
    forward.response_headers = vec![("Set-Cookie".into(), b"session=renewed".to_vec())];
    forward
}

/// Alice in this session, or in none.
pub fn alice_in(session: Option<String>) -> Forward {
    let mut forward = alice();
    forward.session = session;
    forward
}

pub fn answer(status: u16, body: &str) -> Outcome {
    let mut response = Response::new(status, body.as_bytes().to_vec());
    response.headers = vec![("Content-Type".into(), b"text/plain".to_vec())];
    Outcome::Respond(response)
}

pub struct ScriptedEdge {
    pub address: SocketAddr,
    /// For what ends elsewhere.
    pub ends: SessionEnds,
    current: Current,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

impl ScriptedEdge {
    pub async fn start(script: Script, upstream: &str) -> Self {
        Self::start_with(script, upstream, UPSTREAM_TIMEOUT, None).await
    }

    pub async fn start_tls(script: Script, upstream: &str, tls: Acceptor) -> Self {
        Self::start_with(script, upstream, UPSTREAM_TIMEOUT, Some(tls)).await
    }

    /// One that believes these proxies.
    pub async fn start_believing(proxies: &[&str], script: Script, upstream: &str) -> Self {
        let trusted_proxies = TrustedProxies::parse(proxies.iter().copied()).expect("networks");
        let active = Active { trusted_proxies, ..active(Box::new(script), upstream, UPSTREAM_TIMEOUT) };
        Self::serve(active, Patience::default(), None).await
    }

    /// One whose patience with the application is short.
    pub async fn start_impatient(script: Script, upstream: &str) -> Self {
        Self::start_with(script, upstream, Duration::from_millis(300), None).await
    }

    /// One whose patience with its peers is short.
    pub async fn start_with_patience(script: Script, upstream: &str, patience: Patience) -> Self {
        Self::serve(active(Box::new(script), upstream, UPSTREAM_TIMEOUT), patience, None).await
    }

    /// One whose filter goes by what the application says in `Server`, and would have it asked for `probe`.
    pub async fn start_probing(script: Script, upstream: &str, probe: &str) -> Self {
        let active = Active { application_probe: Some(probe.into()), ..active(Box::new(script), upstream, UPSTREAM_TIMEOUT) };
        Self::serve(active, Patience::default(), None).await
    }

    /// One before another decider than a script.
    pub async fn start_deciding(decider: Box<dyn Decider>, upstream: &str) -> Self {
        Self::serve(active(decider, upstream, UPSTREAM_TIMEOUT), Patience::default(), None).await
    }

    /// The same, with an audit.
    pub async fn start_audited(decider: Box<dyn Decider>, upstream: &str, audit: Audit) -> Self {
        Self::serve(Active { audit, ..active(decider, upstream, UPSTREAM_TIMEOUT) }, Patience::default(), None).await
    }

    async fn start_with(script: Script, upstream: &str, timeout: Duration, tls: Option<Acceptor>) -> Self {
        Self::serve(active(Box::new(script), upstream, timeout), Patience::default(), tls).await
    }

    /// Puts another script in the place of the one that decides.
    pub fn replace(&self, script: Script, upstream: &str) {
        self.current.replace(active(Box::new(script), upstream, UPSTREAM_TIMEOUT));
    }

    /// Puts another decider in the place of the one that decides.
    pub fn replace_decider(&self, decider: Box<dyn Decider>, upstream: &str) {
        self.current.replace(active(decider, upstream, UPSTREAM_TIMEOUT));
    }

    /// One with room for so many connections, and with these trusted proxies.
    pub async fn start_with_limits(script: Script, upstream: &str, limits: ConnectionLimits, trusted: &[&str]) -> Self {
        let trusted_proxies = TrustedProxies::parse(trusted.iter().copied()).expect("networks");
        let active = Active { trusted_proxies, ..active(Box::new(script), upstream, UPSTREAM_TIMEOUT) };
        Self::serve_within(limits, active, Patience::default(), None).await
    }

    /// The same, with TLS.
    pub async fn start_tls_with_limits(script: Script, upstream: &str, limits: ConnectionLimits, tls: Acceptor) -> Self {
        Self::serve_within(limits, active(Box::new(script), upstream, UPSTREAM_TIMEOUT), Patience::default(), Some(tls)).await
    }

    /// The same, with TLS, and with short patience with its peers.
    pub async fn start_tls_with_patience(script: Script, upstream: &str, patience: Patience, tls: Acceptor) -> Self {
        Self::serve(active(Box::new(script), upstream, UPSTREAM_TIMEOUT), patience, Some(tls)).await
    }

    async fn serve(active: Active, patience: Patience, tls: Option<Acceptor>) -> Self {
        Self::serve_within(ConnectionLimits::default(), active, patience, tls).await
    }

    async fn serve_within(limits: ConnectionLimits, active: Active, patience: Patience, tls: Option<Acceptor>) -> Self {
        let current = Current::new(active);
        let edge = Edge::new(current.clone(), tls.is_some()).with_patience(patience);
        let ends = edge.session_ends();
        let listener = Listener::bind("127.0.0.1:0").await.expect("a free port").with_limits(limits);
        let address = listener.address();
        let (stop, stopped) = oneshot::channel();
        let stopped = async move {
            // A dropped edge serves on: its test is over.
            if stopped.await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let served = tokio::spawn(edge.serve(listener, tls, stopped, GRACE));
        Self { address, ends, current, stop: Some(stop), served }
    }

    /// Tells it to stop, without waiting.
    pub fn stop(&mut self) {
        self.stop.take().expect("stopped once").send(()).expect("it runs");
    }

    /// Waits until it has ended.
    pub async fn ended(self) {
        self.served.await.expect("it ends without a panic");
    }
}

fn active(decider: Box<dyn Decider>, upstream: &str, timeout: Duration) -> Active {
    let upstream = Arc::new(Upstream::parse(upstream, timeout).expect("an address"));
    let public_origin = "http://localhost:8501".into();
    let trusted_proxies = TrustedProxies::default();
    Active {
        decider,
        counts: Counts::unregistered(),
        service: Service::Proxy(upstream),
        trusted_proxies,
        limits: Vec::new(),
        look: Look::default(),
        public_origin,
        application_probe: None,
        streamlit: None,
        audit: Audit::default(),
    }
}
