//! A real, small OpenID Provider for demos and tests.
//!
//! **Not for production.** It does not ask for passwords, keeps everything in memory, makes new signing keys at each
//! start, speaks plain HTTP and therefore binds loopback addresses only. Anybody who can reach it can log in as
//! anybody it knows.
//!
//! Everything on the wire is as a relying party would meet it elsewhere: discovery, the authorization code flow with
//! PKCE (S256, required), `client_secret_basic`, `client_secret_post` and public clients, ID tokens in nine algorithms,
//! RFC 9207 `iss`, userinfo, JWKS and RP-initiated logout; on request also refresh tokens for one use, and their revocation.
//!
//! ```text
//! browser ── GET /authorize ──▶ who are you? ── POST /consent ──▶ 303 redirect_uri?code&state&iss
//! client  ── POST /token ─────▶ ID token, access token ── GET /userinfo ──▶ claims
//! browser ── GET /end_session ▶ signed out ──▶ 303 post_logout_redirect_uri?state
//! ```
//!
//! A test needs no browser: it posts `person=alice` (or `deny`) to `/consent` with the query of the authorization
//! request. What a hostile or broken provider does is scripted through [`Faults`].
//!
//! ```no_run
//! # async fn example() -> Result<(), vestibule_dev_provider::StartError> {
//! use vestibule_dev_provider::{AllowedUris, Client, Options, Provider};
//!
//! let provider = Provider::start(Options {
//!     clients: vec![Client {
//!         client_id: "demo".into(),
//!         client_secret: Some("demo-secret".into()),
//!         redirect_uris: AllowedUris::Exactly(vec!["http://127.0.0.1:8501/oauth2callback".into()]),
//!         post_logout_redirect_uris: AllowedUris::AnyLoopback,
//!     }],
//!     ..Options::default()
//! })
//! .await?;
//! println!("{}/.well-known/openid-configuration", provider.issuer());
//! provider.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod authorization;
mod client;
mod clock;
mod endpoint;
mod fault;
mod grant;
mod id_token;
mod opaque;
mod options;
mod pages;
mod parameters;
mod person;
mod provider;
mod refresh;
mod running;
mod sign_on;
mod signing_key;

pub use client::{AllowedUris, Client};
pub use fault::{Edit, Faults, ResponseIssuer, Script};
pub use options::Options;
pub use person::Person;
pub use provider::Provider;
pub use running::{Running, StartError};
pub use signing_key::{KeyError, SigningAlgorithm};
