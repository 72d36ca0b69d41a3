//! Answers for another proxy: it keeps the request, asks about it, and does what it is told (`mode = "authz"`).
//!
//! ```text
//! browser ──► proxy ── question ──► Vestibule            GET /.vestibule/check
//!               │  ◄── 200 with identity headers to copy, or 302, 400, 401, 403 to pass on
//!               └──► application
//! ```
//!
//! 1. A question is read in the one form that the configured proxy has ([`Proxy`]), and becomes the request that it is
//!    about. What is missing or there twice is no question: 400. The request that it is about stands in headers that the
//!    proxy's configuration sets; the paths that questions are asked at are nobody's, so that a client who asks for one of
//!    them is asked about like any other, and gets 404.
//! 2. The decision is [`crate::filter::Filter`]'s, on that request. Who is to log in is sent to `/.vestibule/login`. It waits for a
//!    provider only where the session is to be refreshed first (`[vestibule.session] refresh`).
//! 3. A decision to forward becomes 200, for this proxy's way to carry it out. Whatever else it is has another status:
//!    to every proxy 2xx means "let it through".
//! 4. Login, callback, logout, logged-out, backchannel-logout, frontchannel-logout, user and refresh are sent here by the proxy as
//!    they are, and never asked about. Nothing else is served: there is no application behind this service.
//! 5. A request that wants another upgrade than `websocket` alone is refused.
//!
//! **Headers that clients must not send** ([`crate::identity::headers`], [`crate::web::proxy_headers`]). A proxy sets or deletes headers
//! that its configuration names. It cannot delete every spelling that a server could fold into such a name, nor every
//! member of a family; so a request with one of those is refused, but for Envoy, which deletes what the answer names.

mod answer;
mod question;

pub(crate) use answer::{Answer, Unsaid};
pub(crate) use question::Asked;

/// Which proxy asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxy {
    /// `ext_authz` over HTTP: the request itself, without its body, its path behind `/.vestibule/check`.
    Envoy,
    /// `forwardAuth`: `X-Forwarded-Method`, `X-Forwarded-Host`, `X-Forwarded-Uri`.
    Traefik,
    /// `forward_auth`, or what it stands for: as Traefik's.
    Caddy,
    /// `auth_request`: `X-Original-Method`, `X-Original-URI`, and `Host` passed on. It knows 200, 401 and 403 only, so
    /// every refusal is 401; the configuration then asks for the refusal in full, in the same form, at another path.
    Nginx,
}

/// The settings of `[vestibule.authz]`.
#[derive(Clone, Debug)]
pub struct Authz {
    pub proxy: Proxy,
}
