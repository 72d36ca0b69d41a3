//! Vestibule's request filter inside any Rust server: loads the component `vestibule.wasm` and its configuration, and
//! decides on requests.
//!
//! This crate terminates no HTTP, forwards nothing and logs nothing of its own accord but failures: that is the
//! embedder's, who does what the [`Decision`] says. It takes no decision either: that is the component's.
//!
//! ```text
//! vestibule.wasm ── FilterComponent ─┐
//! secrets.toml ── ConfigurationFile ─┴─ Filter ── decide(RequestHead) ── Decision
//!                                         │ instances, each with many decisions in flight
//!                                         └─ outbound HTTPS: providers that the configuration names
//! ```
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! use std::path::Path;
//! use vestibule_wasmtime::*;
//!
//! let runtime = Runtime::new(&RuntimeOptions::default())?;
//! let component = FilterComponent::from_file(&runtime, Path::new("dist/vestibule.wasm"), None)?;
//! let configuration = ConfigurationFile::read(&component, Path::new("secrets.toml"), Some(8501)).await?;
//! let filter = Filter::load(&component, configuration, FilterOptions::default()).await?;
//!
//! let request = http::Request::get("/").header("host", "localhost:8501").body(())?;
//! let head = http_types::request_head(request.method(), request.uri(), request.headers())?;
//! match filter.decide(head, None).await?.outcome {
//!     Outcome::Forward(_edits) => println!("on to the application, with these edits"),
//!     Outcome::Respond(_response) => println!("answered by the filter itself"),
//!     Outcome::NeedBody(_limit) => println!("decide again with the body"),
//! }
//! # Ok(()) }
//! ```
//!
//! `examples/axum.rs` is a whole server.
//!
//! The feature `outbound`, on by default, is the HTTP client for providers. Without it, exchanges with providers fail:
//! the filter decides about sessions that there are, and no login begins.

#![deny(missing_docs)]

mod bindings;
mod carried;
mod claims;
mod component;
mod configuration;
mod configuration_file;
mod decision;
mod ended;
mod epoch;
mod error;
mod event_log;
mod fault;
mod filter;
mod host_state;
pub mod http_types;
mod instance;
mod memory;
mod observer;
mod options;
mod outbound;
mod pool;
mod precompiled;
mod provider_answer;
mod request_head;
mod runtime;
mod trusted_file;

pub use carried::{Carried, CarriedParts};
pub use claims::{Claimed, Claiming, Claims, ProcessClaims};
pub use component::FilterComponent;
pub use configuration::{Audit, AuditDestination, Authorization, Configuration, Fault, Limit, Reference, Resolved, Summary, Unread};
pub use configuration_file::{Accept, ConfigurationError, ConfigurationFile};
pub use decision::{AuditEvent, Audited, Counted, Decision, EndedName, EndedWhat, Event, Forward, Header, Level, Outcome, Response};
pub use ended::Ended;
pub use error::{ComponentError, FilterError, LoadError};
pub use event_log::log;
pub use filter::Filter;
pub use instance::Instance;
pub use observer::{Observer, ProviderExchange, ProviderFailure, ProviderRequest};
pub use options::FilterOptions;
#[cfg(feature = "outbound")]
pub use outbound::system_roots_file;
pub use outbound::{OutboundError, OutboundOptions};
pub use pool::PoolState;
pub use provider_answer::{ProviderAnswer, ProviderError};
pub use request_head::RequestHead;
pub use runtime::{Runtime, RuntimeError, RuntimeOptions};
pub use trusted_file::{ChangeableByOthers, PlaceKind, Reason, TrustedFile, TrustedFileError, Weakness};
