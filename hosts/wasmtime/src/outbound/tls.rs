//! TLS to providers: which authorities are believed, and what is said of certificates that they have not signed.

use std::error::Error as _;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::certificate_fault::Naming;
use super::{OutboundError, system_roots};
use crate::trusted_file::{self, TrustedFile, TrustedFileError};

/// More than all authorities of a system take.
pub(super) const MAX_ROOTS_BYTES: u64 = 4 << 20;

/// HTTP/2 where the provider has it.
const ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// For a client that believes the system's authorities and `extra`.
pub(super) fn configuration(extra: &[CertificateDer<'static>]) -> Result<ClientConfig, OutboundError> {
    let failed = |error: rustls::Error| OutboundError::Client(error.to_string());
    let provider = provider();
    let verifier = Arc::new(Naming { verifier: verifier(extra, &provider)? });
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(failed)?;
    // `dangerous` is the way to any verifier but rustls's default. This one asks that, and puts its refusals into words.
    let mut configuration = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
    configuration.alpn_protocols = ALPN.map(<[u8]>::to_vec).into();
    Ok(configuration)
}

/// The certificates in a PEM file.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, OutboundError> {
    let pem = TrustedFile::open(path).and_then(|mut file| file.read(MAX_ROOTS_BYTES)).map_err(|error| match error {
        TrustedFileError::Unreadable { path, reason } => OutboundError::UnreadableRoots { path, reason },
        TrustedFileError::TooLong { path, .. } => OutboundError::NoRoots(path),
        TrustedFileError::ChangeableByOthers(error) => error.into(),
    })?;
    match CertificateDer::pem_slice_iter(&pem).collect::<Result<Vec<_>, _>>() {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(OutboundError::NoRoots(path.into())),
    }
}

/// The process may have chosen one already: then that one is used.
fn provider() -> Arc<CryptoProvider> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    CryptoProvider::get_default().map_or_else(|| Arc::new(rustls::crypto::ring::default_provider()), Arc::clone)
}

fn verifier(extra: &[CertificateDer<'static>], provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, OutboundError> {
    if let Some(system) = system_roots::certificates() {
        return of_roots(system.iter().chain(extra), provider);
    }
    // They are read again for each client.
    judge_system_roots(|name| std::env::var_os(name))?;
    match rustls_platform_verifier::Verifier::new_with_extra_roots(extra.iter().cloned(), Arc::clone(provider)) {
        Ok(verifier) => Ok(Arc::new(verifier)),
        // A container without certificates still serves providers on loopback and those of the extra roots.
        Err(error) => {
            tracing::warn!(
                code = "outbound.no_system_roots",
                "the system's root certificates cannot be used ({}); https providers are unreachable unless the extra root certificates cover them: install the package `ca-certificates`",
                error.source().map_or_else(|| error.to_string(), ToString::to_string)
            );
            of_roots(extra, provider)
        }
    }
}

fn of_roots<'c>(
    roots: impl IntoIterator<Item = &'c CertificateDer<'static>>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, OutboundError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        store.add(root.clone()).map_err(|error| OutboundError::Client(error.to_string()))?;
    }
    if store.is_empty() {
        return Ok(Arc::new(NoAuthority(Arc::clone(provider))));
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build();
    Ok(verifier.map_err(|error| OutboundError::Client(error.to_string()))?)
}

/// Checks who can change the authorities: the file and the folders that the variables name in place of the system's.
fn judge_system_roots(variable: impl Fn(&str) -> Option<OsString>) -> Result<(), OutboundError> {
    let folders = variable("SSL_CERT_DIR").map(|folders| std::env::split_paths(&folders).collect::<Vec<_>>());
    let file = variable("SSL_CERT_FILE").map(PathBuf::from);
    folders.into_iter().flatten().chain(file).try_for_each(|path| Ok(trusted_file::judge(&path)?))
}

/// Trusts no certificate. rustls's own verifier cannot be made without an authority.
#[derive(Debug)]
struct NoAuthority(Arc<CryptoProvider>);

impl ServerCertVerifier for NoAuthority {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Err(CertificateError::UnknownIssuer.into())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::BadSignature.into())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
#[cfg(unix)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn authorities_that_others_can_change_are_not_believed() {
        let folder = tempfile::tempdir().unwrap();
        let (file, inner) = (folder.path().join("roots.pem"), folder.path().join("certs"));
        fs::write(&file, "").unwrap();
        fs::create_dir(&inner).unwrap();
        let judged = |file_mode, folder_mode| {
            fs::set_permissions(&file, Permissions::from_mode(file_mode)).unwrap();
            fs::set_permissions(&inner, Permissions::from_mode(folder_mode)).unwrap();
            let folders = std::env::join_paths([Path::new("/absent"), &inner]).unwrap();
            let system = judge_system_roots(|name| Some(if name == "SSL_CERT_FILE" { file.clone().into() } else { folders.clone() }));
            let refused = |result: Result<(), OutboundError>| matches!(result, Err(OutboundError::ChangeableRoots(_)));
            (refused(system), refused(certificates(&file).map(|_| ())))
        };
        assert_eq!(judged(0o644, 0o755), (false, false));
        assert_eq!(judged(0o666, 0o755), (true, true));
        assert_eq!(judged(0o646, 0o755), (true, true));
        assert_eq!(judged(0o644, 0o777), (true, false));
        assert!(judge_system_roots(|_| None).is_ok());
    }
}
