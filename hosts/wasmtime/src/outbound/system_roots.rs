//! The authorities that the system believes, from its one file. The folders beside it hold the same certificates again, one
//! by one, and two clients would open more than a thousand of them at start.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{PemObject as _, SectionKind};

use super::tls::MAX_ROOTS_BYTES;
use crate::trusted_file::TrustedFile;

/// The file in which this system keeps the certificates of the authorities that it believes, or that `SSL_CERT_FILE` names.
/// For clients that can be given such a file.
///
/// None where there is no such file, where anything else than authorities is in it, and where `SSL_CERT_DIR` names folders
/// that may hold others: then the clients look for themselves.
#[must_use]
pub fn system_roots_file() -> Option<&'static Path> {
    FOUND.as_ref().map(|(file, _)| file.as_path())
}

/// The certificates in that file.
pub(super) fn certificates() -> Option<&'static [CertificateDer<'static>]> {
    FOUND.as_ref().map(|(_, certificates)| certificates.as_slice())
}

/// Read once: what is changed in it counts from the next start.
static FOUND: LazyLock<Option<(PathBuf, Vec<CertificateDer<'static>>)>> = LazyLock::new(|| {
    let file = chosen(|name| std::env::var_os(name))?;
    let certificates = authorities(&file)?;
    Some((file, certificates))
});

/// The file, where it holds all that the clients would find.
fn chosen(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // Other systems keep them in a place of their own, whatever files there are.
    if !cfg!(target_os = "linux") {
        return None;
    }
    // One that is named and absent is not made up for by the system's: fewer are to be believed then, not more.
    let file = match variable("SSL_CERT_FILE") {
        Some(named) => PathBuf::from(named),
        None => openssl_probe::probe().cert_file?,
    };
    let folders = variable("SSL_CERT_DIR");
    let holds_all = folders.is_none_or(|folders| std::env::split_paths(&folders).all(|folder| is_made_from(&file, &folder)));
    holds_all.then_some(file)
}

/// Whether what a distribution has in this folder is in the file, too, because that is how the file is made.
fn is_made_from(file: &Path, folder: &Path) -> bool {
    file.parent() == Some(folder) && openssl_probe::candidate_cert_dirs().any(|candidate| candidate == folder)
}

/// Of a file that holds nothing else.
fn authorities(file: &Path) -> Option<Vec<CertificateDer<'static>>> {
    let pem = TrustedFile::open(file).and_then(|mut file| file.read(MAX_ROOTS_BYTES)).ok()?;
    let mut store = RootCertStore::empty();
    let mut certificates = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(&pem) {
        let (SectionKind::Certificate, der) = section.ok()? else { return None };
        let certificate = CertificateDer::from(der);
        store.add(certificate.clone()).ok()?;
        certificates.push(certificate);
    }
    (!certificates.is_empty()).then_some(certificates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_of_nothing_but_authorities_is_taken() {
        let made = rcgen::generate_simple_self_signed(vec!["authority.test".into()]).unwrap();
        let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("roots.pem");
        let taken = |text: &str| {
            std::fs::write(&file, text).unwrap();
            authorities(&file).map(|certificates| certificates.len())
        };
        assert_eq!(taken(&format!("# one\n{certificate}\n# the same\n{certificate}")), Some(2));
        assert_eq!(taken(""), None);
        assert_eq!(taken(&format!("{certificate}{key}")), None, "a key");
        assert_eq!(taken(&certificate.replace("MII", "AAA")), None, "no certificate");
        assert_eq!(taken(&format!("{certificate}-----BEGIN CERTIFICATE-----\nMII")), None, "cut off");
        assert_eq!(authorities(Path::new("/absent/roots.pem")), None);
    }

    #[test]
    fn what_is_named_is_believed_and_nothing_in_its_place() {
        let of_the_system = openssl_probe::candidate_cert_dirs().next().map(|folder| folder.join("bundle.crt"));
        let chosen = |file: Option<&Path>, folders: Option<&str>| {
            chosen(|name| match name {
                "SSL_CERT_FILE" => file.map(|file| file.as_os_str().to_owned()),
                "SSL_CERT_DIR" => folders.map(OsString::from),
                _ => panic!("{name}"),
            })
        };
        let pinned = Path::new("/run/secrets/pinned.pem");
        assert_eq!(chosen(Some(pinned), None).as_deref(), Some(pinned), "absent, and not replaced");
        assert_eq!(chosen(Some(Path::new("")), None).as_deref(), Some(Path::new("")));
        assert_eq!(chosen(Some(pinned), Some("/run/secrets")), None, "others may be in there");
        assert_eq!(chosen(Some(pinned), Some("/etc/ssl/certs")), None);
        if let Some(bundle) = of_the_system {
            let folder = bundle.parent().and_then(Path::to_str).unwrap();
            assert_eq!(chosen(Some(&bundle), Some(folder)).as_ref(), Some(&bundle));
            assert_eq!(chosen(Some(&bundle), Some(&format!("{folder}:/srv/certs"))), None);
        }
    }
}
