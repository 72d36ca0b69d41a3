//! What a request is served with: the decider, what it is for and the public address, replaced as one.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use vestibule::pages::Look;
use vestibule::web::trusted_proxies::TrustedProxies;
use vestibule_wasmtime::Limit;

use crate::audit::Audit;
use crate::configuration::decider::Decider;
use crate::metrics::Counts;
use crate::upstream::application::Upstream;

/// Everything that a reload of the configuration replaces. A request is decided on by the one it started with.
pub struct Active {
    pub decider: Box<dyn Decider>,
    /// Of its decisions.
    pub counts: Arc<Counts>,
    pub service: Service,
    /// Whose word on where a request comes from is believed; with [`Service::Authz`], who may ask.
    pub trusted_proxies: TrustedProxies,
    /// Of each client.
    pub limits: Vec<Limit>,
    /// Of the pages that are made here.
    pub look: Look,
    /// Origin of `redirect_uri`, `https://app.example.com` for example.
    pub public_origin: Arc<str>,
    /// What to ask the application for when the filter goes by its `Server`; `None` when it does not.
    pub application_probe: Option<Arc<str>>,
    /// The path of Streamlit's WebSocket, when the application is Streamlit: who opened a session there may resume it.
    pub streamlit: Option<Arc<str>>,
    pub audit: Audit,
}

/// What becomes of requests.
pub enum Service {
    /// They go on to this application.
    Proxy(Arc<Upstream>),
    /// They are answered, when they come from a trusted proxy.
    Authz,
}

/// The [`Active`] of this moment; readers never wait for a reload.
#[derive(Clone)]
pub struct Current(Arc<InForce>);

struct InForce {
    active: ArcSwap<Active>,
    generation: AtomicU64,
    /// The generation that the [`Active`] in force came with.
    configured: AtomicU64,
    /// Held while the generation changes, so that what comes with it is of one.
    change: Mutex<()>,
    /// Something that an older generation has admitted may be open.
    judgement_due: Notify,
}

/// How often what is open had to be judged again: by how many new configurations, and after how many ends of accounts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Generation(u64);

impl Generation {
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl Current {
    pub fn new(active: Active) -> Self {
        let (generation, configured) = (AtomicU64::new(0), AtomicU64::new(0));
        let (active, change, judgement_due) = (ArcSwap::from_pointee(active), Mutex::default(), Notify::new());
        Self(Arc::new(InForce { active, generation, configured, change, judgement_due }))
    }

    /// The active one, and a generation that is no later than its own.
    pub fn load(&self) -> (Generation, Arc<Active>) {
        let generation = self.generation();
        (generation, self.0.active.load_full())
    }

    /// The latest, whose [`Active`] is in force.
    pub fn generation(&self) -> Generation {
        Generation(self.0.generation.load(Ordering::SeqCst))
    }

    /// From now on `active` is in force.
    pub fn replace(&self, active: Active) {
        let change = self.0.change.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.active.store(Arc::new(active));
        // First, so that nobody who sees the new generation takes it for one of the old configuration.
        self.0.configured.store(self.generation().next().0, Ordering::SeqCst);
        self.0.generation.fetch_add(1, Ordering::SeqCst);
        drop(change);
        self.ask_for_judgement();
    }

    /// Sessions have ended, and which of those that something open rests on, the filter knows. To be called when it does.
    pub fn judge_again(&self) {
        let change = self.0.change.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.generation.fetch_add(1, Ordering::SeqCst);
        drop(change);
        self.ask_for_judgement();
    }

    /// Whether another configuration has come into force since this generation.
    pub fn has_been_replaced_since(&self, generation: Generation) -> bool {
        self.0.configured.load(Ordering::SeqCst) > generation.0
    }

    /// Something was admitted in this generation, and is open: if there is a later one meanwhile, it is to be judged again.
    pub fn note_admission(&self, generation: Generation) {
        if self.generation() > generation {
            self.ask_for_judgement();
        }
    }

    /// Waits until something open may have to be judged again.
    pub async fn judgement_due(&self) {
        self.0.judgement_due.notified().await;
    }

    fn ask_for_judgement(&self) {
        self.0.judgement_due.notify_one();
    }
}
