//! TLS on the listening side.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora::listeners::tls::Acceptor;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Protocols in the order of preference.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: no certificate can be read from it: {problem}; give --tls-cert a PEM file, the server's certificate first")]
    Certificate { path: PathBuf, problem: String },
    #[error("{path}: no private key can be read from it: {problem}; give --tls-key a PEM file")]
    Key { path: PathBuf, problem: String },
    #[error("certificate {certificate} and key {key} do not work together: {cause}")]
    Pair { certificate: PathBuf, key: PathBuf, cause: rustls::Error },
}

/// Accepts TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, with the certificate chain and key of two PEM files.
///
/// # Errors
/// [`TlsError`], naming the file.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<Acceptor, TlsError> {
    let unreadable = |problem: String| TlsError::Certificate { path: certificate.to_owned(), problem };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("it holds none".to_owned()));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| TlsError::Key { path: key.to_owned(), problem: error.to_string() })?;

    let pair = |cause| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), cause };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(pair)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    Ok(Acceptor::from_server_config(Arc::new(config)))
}
