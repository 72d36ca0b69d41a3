//! TLS on the listening side.
//!
//! Certificate and key must be files that nobody else can change. A key that every user can read works, with a warning; a
//! group may read it, `ssl-cert` of Debian for example.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pingora::listeners::tls::Acceptor;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{InconsistentKeys, ServerConfig};
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
    #[error(
        "{key} is not the private key of the certificate in {certificate}; give --tls-key the key that the certificate was requested \
         with, and --tls-cert a file with the server's own certificate first"
    )]
    OtherKey { certificate: PathBuf, key: PathBuf },
    #[error(
        "certificate {certificate} and key {key} do not work together: {cause}; give --tls-cert and --tls-key a certificate and its \
         private key (RSA, ECDSA or Ed25519)"
    )]
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

    let pair = |cause| {
        let (certificate, key) = (certificate.to_owned(), key.to_owned());
        match cause {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::OtherKey { certificate, key },
            cause => TlsError::Pair { certificate, key, cause },
        }
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(pair)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(pair)?;
    config.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    let path = key.display();
    let warning = is_readable_by_everybody.then(|| {
        format!("every user of this machine can read the private key {path}; run `chmod o-r {path}`, and replace key and certificate")
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
        TrustedFileError::Unreadable { reason, .. } => unreadable(reason.to_string()),
        TrustedFileError::TooLong { limit, .. } => unreadable(format!("it is longer than {limit} bytes")),
    })
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use rcgen::generate_simple_self_signed;

    use super::*;

    #[test]
    fn a_key_of_another_certificate_is_told_with_both_files() {
        let folder = tempfile::tempdir().expect("a folder");
        let (one, other) = (folder.path().join("one.pem"), folder.path().join("other.key"));
        let made = |name: &str| generate_simple_self_signed(vec![name.to_owned()]).expect("a certificate");
        fs::write(&one, made("localhost").cert.pem()).expect("written");
        fs::write(&other, made("localhost").signing_key.serialize_pem()).expect("written");
        fs::set_permissions(&other, Permissions::from_mode(0o600)).expect("ours");
        let told = load(&one, &other).err().expect("refused").to_string();
        let expected = format!("{} is not the private key of the certificate in {}; give --tls-key ", other.display(), one.display());
        assert!(told.starts_with(&expected) && !told.contains("KeyMismatch"), "{told}");
    }

    #[test]
    fn a_key_that_every_user_can_read_is_told_without_a_level() {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = (folder.path().join("one.pem"), folder.path().join("one.key"));
        let made = generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
        fs::write(&certificate, made.cert.pem()).expect("written");
        fs::write(&key, made.signing_key.serialize_pem()).expect("written");
        for (mode, is_told) in [(0o600, false), (0o640, false), (0o644, true)] {
            fs::set_permissions(&key, Permissions::from_mode(mode)).expect("ours");
            let warning = load(&certificate, &key).expect("loaded").warning;
            assert_eq!(warning.is_some(), is_told, "{mode:o}");
            let is_good = |warning: &String| warning.starts_with("every user") && warning.contains(&format!("chmod o-r {}", key.display()));
            assert!(warning.iter().all(is_good), "{warning:?}");
        }
    }
}
