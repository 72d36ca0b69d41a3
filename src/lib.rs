//! The login at the edge: a request filter that logs people in with OpenID Connect.
//!
//! This crate decides; it does nothing. It opens no connection, reads no clock, draws no randomness, knows no
//! file and no environment variable: bytes, time and entropy are arguments, and what it needs of the network it asks
//! for. What remains is the login flow, the session and the identity, and a test can run a whole login in
//! microseconds with a time of its own choosing.
//!
//! ```text
//!  RequestHead ──► Filter::begin ──► Step::Done(Decision)             forward with edits, respond, need the body
//!                        │
//!                        ├─────────► Step::Fetch(OutboundRequest, Waiting)
//!                        │                 │  the shell sends it        │
//!                        │                 └──► Waiting::resume(answer) ┘──► Step …
//!                        │
//!                        └─────────► Step::Look(StoreRequest, AwaitsRecord)
//!                                          │  the shell asks its store       │
//!                                          └──► AwaitsRecord::resume(answer) ┘──► Step …
//! ```
//!
//! The shells around it (`component` for `vestibule:filter`, the hosts under `hosts/`) convert types and
//! perform the IO. They take no decision.
//!
//! ```
//! use vestibule::{config::{Config, Source}, entropy::Fixed, filter::{Filter, Step, Surroundings},
//!                 oidc::cache::ProviderCache, session::NothingEnded, time::UnixTime, web::http::RequestHead};
//!
//! let toml = r#"
//! [auth]
//! redirect_uri = "http://localhost:8501/oauth2callback"
//! cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
//! client_id = "app"
//! client_secret = "a-secret-from-the-provider"
//! server_metadata_url = "https://accounts.google.com/.well-known/openid-configuration"
//! "#;
//! let filter = Filter::new(Config::parse(&Source::new("secrets.toml", toml)).unwrap());
//!
//! let mut cache = ProviderCache::default();
//! let mut entropy = Fixed::default();
//! let now = UnixTime::from_secs(1_700_000_000);
//! let mut surroundings = Surroundings { cache: &mut cache, now, entropy: &mut entropy, ended: &NothingEnded };
//! let head = RequestHead::get("/reports?year=2026", "localhost:8501").with("accept", "text/html");
//! // Nobody is logged in, so the filter wants the provider's metadata before it can redirect there.
//! match filter.begin(head, None, &mut surroundings) {
//!     Step::Fetch(request, _waiting) => assert!(request.url.as_str().starts_with("https://accounts.google.com/")),
//!     Step::Done(_) | Step::Look(..) => unreachable!(),
//! }
//! ```

pub mod account;
pub mod audit;
pub mod authz;
pub mod branding;
pub mod claims;
pub mod code;
pub mod config;
pub mod decision;
mod deflate;
pub mod entropy;
pub mod error;
pub mod filter;
mod flow;
pub mod identity;
pub mod language;
pub mod limit;
pub mod oidc;
pub mod pages;
pub mod policy;
pub mod secret;
pub mod session;
pub mod time;
pub mod web;

// Not in the other shells, which depend on this crate: a component exports what is linked into it.
#[cfg(all(target_family = "wasm", feature = "component"))]
mod component;
