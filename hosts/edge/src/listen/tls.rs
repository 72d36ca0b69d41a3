//! TLS on the listening side.
//!
//! Certificate and key must be files that nobody else can change. A key that every user can read works, with a warning; a
//! group may read it, `ssl-cert` of Debian for example.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora::listeners::tls::Acceptor;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use vestibule_wasmtime::{ChangeableByOthers, TrustedFile, TrustedFileError};

/// More than the longest chain, and any key.
const MAX_PEM_BYTES: u64 = 1 << 20;

/// Protocols in the order of preference.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Why TLS cannot be offered.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("{path}: no certificate can be read from it: {problem}; give --tls-cert a PEM file, the server's certificate first")]
    Certificate { path: PathBuf, problem: String },
    #[error("{path}: no private key can be read from it: {problem}; give --tls-key a PEM file")]
    Key { path: PathBuf, problem: String },
    #[error(transparent)]
    ChangeableByOthers(#[from] ChangeableByOthers),
    #[error("certificate {certificate} and key {key} do not work together: {cause}")]
    Pair { certificate: PathBuf, key: PathBuf, cause: rustls::Error },
}

/// What the listening side needs for TLS.
pub struct Tls {
    pub acceptor: Acceptor,
    /// When the server's certificate ends (RFC 5280 section 4.1.2.5), in seconds since the Unix epoch; `None` if it is no X.509.
    pub not_after: Option<i64>,
    /// What works and is risky, with what to do about it.
    pub warning: Option<String>,
}

/// Accepts TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1, with the certificate chain and key of two PEM files.
///
/// # Errors
/// [`TlsError`], naming the file.
pub fn acceptor(certificate: &Path, key: &Path) -> Result<Acceptor, TlsError> {
    load(certificate, key).map(|tls| tls.acceptor)
}

/// The same, and what there is to say about the files.
///
/// # Errors
/// As [`acceptor`].
pub fn load(certificate: &Path, key: &Path) -> Result<Tls, TlsError> {
    let unreadable = |problem: String| TlsError::Certificate { path: certificate.to_owned(), problem };
    let (pem, _) = read(certificate, unreadable)?;
    let chain = CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>().map_err(|error| unreadable(error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable("it holds none".to_owned()));
    }
    let not_after = chain.first().and_then(|certificate| not_after(certificate));
    let unreadable = |problem: String| TlsError::Key { path: key.to_owned(), problem };
    let (pem, is_readable_by_everybody) = read(key, unreadable)?;
    let private = PrivateKeyDer::from_pem_slice(&pem).map_err(|error| unreadable(error.to_string()))?;

    let pair = |cause| TlsError::Pair { certificate: certificate.to_owned(), key: key.to_owned(), cause };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(pair)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    let path = key.display();
    let warning = is_readable_by_everybody.then(|| {
        format!(
            "{path}: warning: every user of this machine can read this private key; run `chmod o-r` on it, and replace key and certificate"
        )
    });
    Ok(Tls { acceptor: Acceptor::from_server_config(Arc::new(config)), not_after, warning })
}

fn not_after(certificate: &CertificateDer<'_>) -> Option<i64> {
    let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
    Some(certificate.validity().not_after.timestamp())
}

/// The content, and whether every user may read it.
fn read(path: &Path, unreadable: impl Fn(String) -> TlsError) -> Result<(Vec<u8>, bool), TlsError> {
    let read = TrustedFile::open(path).and_then(|mut file| Ok((file.read(MAX_PEM_BYTES)?, file.is_readable_by_everybody())));
    read.map_err(|error| match error {
        TrustedFileError::ChangeableByOthers(error) => error.into(),
        TrustedFileError::Unreadable { source, .. } => unreadable(source.to_string()),
        TrustedFileError::TooLong { limit, .. } => unreadable(format!("it is longer than {limit} bytes")),
    })
}
