//! What a request is served with: the decider, what it is for and the public address, replaced as one.

use std::sync::Arc;

use arc_swap::ArcSwap;

use vestibule::trusted_proxies::TrustedProxies;
use vestibule_wasmtime::Limit;

use crate::decider::Decider;
use crate::upstream::Upstream;

/// Everything that a reload of the configuration replaces. A request is decided on by the one it started with.
pub struct Active {
    pub decider: Box<dyn Decider>,
    pub service: Service,
    /// Whose word on where a request comes from is believed; with [`Service::Authz`], who may ask.
    pub trusted_proxies: TrustedProxies,
    /// Of each client.
    pub limits: Vec<Limit>,
    /// Origin of `redirect_uri`, `https://app.example.com` for example.
    pub public_origin: Arc<str>,
    /// What to ask the application for when the filter goes by its `Server`; `None` when it does not.
    pub application_probe: Option<Arc<str>>,
    /// The path of Streamlit's WebSocket, when the application is Streamlit: who opened a session there may resume it.
    pub streamlit: Option<Arc<str>>,
}

/// What becomes of requests.
pub enum Service {
    /// They go on to this application.
    Proxy(Arc<Upstream>),
    /// They are answered, when they come from a trusted proxy.
    Authz,
}

/// The [`Active`] of this moment; readers never wait for a reload.
pub type Current = Arc<ArcSwap<Active>>;
