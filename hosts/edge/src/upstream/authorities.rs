//! Whom applications with https are believed by: the system's authorities, which both of Pingora's clients read.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use pingora::connectors::ConnectorOptions;
use pingora::server::configuration::ServerConf;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use vestibule_wasmtime::system_roots_file;

/// Of a file of authorities: a system's has 250 KiB.
const MAX_ROOTS_BYTES: u64 = 4 << 20;

const FILE: &str = "SSL_CERT_FILE";
const FOLDER: &str = "SSL_CERT_DIR";

/// Why a variable names no authorities. Pingora would end the program.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{variable} names {}, which {problem}; {}, or unset {variable}", path.display(), remedy(variable))]
pub struct Unusable {
    variable: &'static str,
    path: PathBuf,
    problem: String,
}

/// Pingora's settings, with the file of the authorities where the system has one.
pub fn server_conf() -> ServerConf {
    ServerConf { ca_file: system_roots_file().and_then(Path::to_str).map(str::to_owned), ..ServerConf::default() }
}

/// The same for a client by itself.
pub fn connector_options() -> ConnectorOptions {
    ConnectorOptions::from_server_conf(&server_conf())
}

/// Whether the environment names authorities that can be read.
///
/// # Errors
/// [`Unusable`], for the first variable that does not.
pub fn check() -> Result<(), Unusable> {
    check_variables(|name| std::env::var_os(name))
}

fn check_variables(variable: impl Fn(&str) -> Option<OsString>) -> Result<(), Unusable> {
    if let Some(file) = variable(FILE).map(PathBuf::from) {
        let unusable = |problem| Unusable { variable: FILE, path: file.clone(), problem };
        if authorities(&file).map_err(unusable)? == 0 {
            return Err(unusable("holds no certificate".to_owned()));
        }
    }
    let Some(folders) = variable(FOLDER) else { return Ok(()) };
    // Beside a file, an empty name is none.
    let is_meant = |folder: &PathBuf| variable(FILE).is_none() || !folder.as_os_str().is_empty();
    for folder in std::env::split_paths(&folders).filter(is_meant) {
        let unusable = |problem| Unusable { variable: FOLDER, path: folder.clone(), problem };
        let entries = fs::read_dir(&folder).map_err(|error| unusable(format!("cannot be read ({error})")))?;
        for entry in entries {
            let path = entry.map_err(|error| unusable(format!("cannot be read ({error})")))?.path();
            // Clients read these alone, and links that lead nowhere are none.
            if path.file_name().is_some_and(is_hash) && path.is_file() {
                authorities(&path).map_err(|problem| Unusable { variable: FOLDER, path, problem })?;
            }
        }
    }
    // Pingora takes the variable for one folder.
    match variable(FILE) {
        None if std::env::split_paths(&folders).count() > 1 => {
            let problem = "is several folders, and one can be used".to_owned();
            Err(Unusable { variable: FOLDER, path: folders.into(), problem })
        }
        _ => Ok(()),
    }
}

/// The number of certificates in a file, or what is wrong with it.
fn authorities(path: &Path) -> Result<usize, String> {
    let mut pem = Vec::new();
    let metadata = fs::metadata(path).map_err(|error| format!("cannot be read ({error})"))?;
    if !metadata.is_file() {
        return Err("is not a file".to_owned());
    }
    let read = File::open(path).and_then(|file| file.take(MAX_ROOTS_BYTES + 1).read_to_end(&mut pem));
    read.map_err(|error| format!("cannot be read ({error})"))?;
    if pem.len() as u64 > MAX_ROOTS_BYTES {
        return Err(format!("is longer than {MAX_ROOTS_BYTES} bytes"));
    }
    let mut store = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| format!("holds a certificate that is not PEM ({error})"))?;
        store.add(certificate).map_err(|error| format!("holds a certificate that cannot be used ({error})"))?;
    }
    Ok(store.len())
}

/// As OpenSSL names the files in such a folder: `f3377b1b.0`.
fn is_hash(name: &OsStr) -> bool {
    let name = name.to_str().and_then(|name| name.split_once('.'));
    name.is_some_and(|(hash, number)| {
        hash.len() == 8 && hash.bytes().all(|b| b.is_ascii_hexdigit()) && number.len() == 1 && number.bytes().all(|b| b.is_ascii_digit())
    })
}

fn remedy(variable: &str) -> &'static str {
    if variable == FILE {
        "name a file with certificates (PEM)"
    } else {
        "name one folder with certificates (PEM), made by `openssl rehash`"
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

    use super::*;

    /// What is wrong with the two variables.
    fn told(file: Option<&Path>, folders: Option<&str>) -> String {
        let variable = |name: &str| match name {
            FILE => file.map(|file| file.as_os_str().to_owned()),
            _ => folders.map(OsString::from),
        };
        check_variables(variable).map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn a_variable_names_authorities_that_can_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let made = rcgen::generate_simple_self_signed(vec!["authority.test".into()]).unwrap();
        fs::write(path("good.pem"), made.cert.pem()).unwrap();
        fs::write(path("empty.pem"), "").unwrap();
        fs::write(path("key.pem"), made.signing_key.serialize_pem()).unwrap();
        fs::write(path("torn.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        fs::create_dir(path("folder")).unwrap();
        assert_eq!(told(None, None), "");
        assert_eq!(told(Some(&path("good.pem")), None), "");
        for (name, problem) in [
            ("absent.pem", "cannot be read"),
            ("empty.pem", "holds no certificate"),
            ("key.pem", "holds no certificate"),
            ("torn.pem", "holds a certificate that cannot be used"),
            ("folder", "is not a file"),
            ("good.pem/a", "cannot be read"),
        ] {
            let told = told(Some(&path(name)), None);
            let start = format!("SSL_CERT_FILE names {}, which {problem}", path(name).display());
            assert!(told.starts_with(&start) && told.ends_with("(PEM), or unset SSL_CERT_FILE"), "{told}");
        }
        assert!(told(Some(Path::new("")), None).contains("cannot be read"));

        let (inner, outer) = (path("folder"), folder.path().to_str().unwrap().to_owned());
        let inner = inner.to_str().unwrap();
        assert_eq!(told(None, Some(inner)), "", "an empty folder is believed nobody by");
        assert_eq!(told(None, Some(&outer)), "", "other files are not read");
        assert_eq!(told(Some(&path("good.pem")), Some("")), "");
        assert!(told(None, Some("")).contains("cannot be read"));
        assert!(told(None, Some(&format!("{outer}/absent"))).starts_with("SSL_CERT_DIR names "));
        assert!(told(None, Some(&format!("{outer}/good.pem"))).contains("cannot be read"));
        assert!(told(None, Some(&format!("{inner}:{outer}"))).contains("is several folders"));
        assert_eq!(told(Some(&path("good.pem")), Some(&format!("{inner}:{outer}"))), "");
        fs::copy(path("torn.pem"), path("folder/f3377b1b.0")).unwrap();
        assert!(told(None, Some(inner)).contains("f3377b1b.0, which holds a certificate that cannot be used"));
    }
}
