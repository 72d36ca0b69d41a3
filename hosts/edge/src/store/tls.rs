//! TLS to a store: the system's authorities are believed, and the name in the URL is verified.

use std::sync::{Arc, OnceLock};

use rustls::{ClientConfig, Error};
use rustls_platform_verifier::BuilderVerifierExt as _;

/// Read once: which authorities are believed does not change while the program runs.
static OF_SYSTEM: OnceLock<Arc<ClientConfig>> = OnceLock::new();

/// For a client that believes the system's authorities.
///
/// # Errors
/// The system has none that can be read.
pub(super) fn of_system() -> Result<Arc<ClientConfig>, Error> {
    if let Some(configuration) = OF_SYSTEM.get() {
        return Ok(configuration.clone());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    let configuration = builder.with_platform_verifier()?.with_no_client_auth();
    Ok(OF_SYSTEM.get_or_init(|| Arc::new(configuration)).clone())
}
