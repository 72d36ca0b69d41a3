//! Why the certificate of a provider is not accepted: which one it is, what is wrong with it, and what to do.
//!
//! rustls decides. Its errors have neither the name of the missing authority nor the server that was asked, so both are read
//! from what the provider presented, after that was refused. Nothing here makes a certificate acceptable.

use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::x509::X509Name;

/// Of a name in a certificate, in characters: it is anybody's text, for one line of the log.
const MAX_NAME: usize = 80;

/// How many of the hosts that a certificate is for are told.
const MAX_HOSTS: usize = 4;

/// The end of the year 9999, the last that RFC 3339 can write, in seconds.
const LATEST: u64 = 253_402_300_799;

/// For a certificate that may be the operator's own: what is not must not be trusted for this message's sake.
const ADVICE: &str = "if it is yours, add it to this machine's authorities, or to the file that SSL_CERT_FILE names";

/// A certificate that was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CertificateFault {
    /// That was asked for.
    host: String,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    SelfSigned,
    /// `is_sent`: whether the authority's own certificate came along.
    UnknownIssuer {
        issuer: String,
        is_sent: bool,
    },
    /// `of`: the authority that the certificate is of, when it is not the host's own.
    Expired {
        of: Option<String>,
        not_after: u64,
        now: u64,
    },
    NotValidYet {
        of: Option<String>,
        not_before: u64,
        now: u64,
    },
    OtherHost {
        hosts: String,
    },
    /// A server has presented that of an authority as its own.
    Authority,
    Other(String),
}

impl CertificateFault {
    /// The one that a connection has failed for, if it has failed for one.
    pub(super) fn cause_of(error: &(dyn StdError + 'static)) -> Option<CertificateFault> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(fault)))) = content(error) {
                return fault.downcast_ref::<CertificateFault>().cloned();
            }
            cause = error.source();
        }
        None
    }

    fn of(fault: &CertificateError, presented: &[&CertificateDer<'_>], host: &ServerName<'_>) -> CertificateFault {
        let chain: Vec<_> = presented.iter().filter_map(|der| Some(x509_parser::parse_x509_certificate(der).ok()?.1)).collect();
        CertificateFault { host: shown(&host.to_str()), kind: Kind::of(fault, &chain) }
    }
}

impl Kind {
    /// `chain`: the host's own certificate, and those that came along.
    fn of(fault: &CertificateError, chain: &[X509Certificate<'_>]) -> Kind {
        let other = || Kind::Other(bounded(&fault.to_string(), 2 * MAX_NAME));
        let Some((own, further)) = chain.split_first() else { return other() };
        // The host's, or else the authority's, of which this date is.
        let of = |date: fn(&X509Certificate<'_>) -> i64, time: &UnixTime| {
            let is_it = |certificate: &&X509Certificate<'_>| u64::try_from(date(certificate)) == Ok(time.as_secs());
            if is_it(&own) { None } else { further.iter().find(is_it).map(|certificate| name(certificate.subject())) }
        };
        match fault {
            CertificateError::UnknownIssuer => {
                let last = last_of(own, further);
                match (is_self_issued(last), last.subject() == own.subject()) {
                    (true, true) => Kind::SelfSigned,
                    (is_sent, _) => Kind::UnknownIssuer { issuer: name(last.issuer()), is_sent },
                }
            }
            CertificateError::ExpiredContext { time, not_after } => Kind::Expired {
                of: of(|certificate| certificate.validity().not_after.timestamp(), not_after),
                not_after: not_after.as_secs(),
                now: time.as_secs(),
            },
            CertificateError::NotValidYetContext { time, not_before } => Kind::NotValidYet {
                of: of(|certificate| certificate.validity().not_before.timestamp(), not_before),
                not_before: not_before.as_secs(),
                now: time.as_secs(),
            },
            CertificateError::NotValidForNameContext { .. } | CertificateError::NotValidForName => Kind::OtherHost { hosts: hosts(own) },
            CertificateError::Other(_) if own.is_ca() => Kind::Authority,
            _ => other(),
        }
    }
}

/// One sentence: the certificate, its fault, and a remedy where there is one on this side.
impl fmt::Display for CertificateFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CertificateFault { host, kind } = self;
        match kind {
            Kind::Expired { of: Some(authority), .. } | Kind::NotValidYet { of: Some(authority), .. } => {
                write!(f, "the certificate of {authority} that {host} sends with its own ")?;
            }
            _ => write!(f, "the certificate that {host} presents ")?,
        }
        match kind {
            Kind::SelfSigned => write!(f, "is signed by itself and not trusted: {ADVICE}"),
            Kind::UnknownIssuer { issuer, is_sent } => {
                write!(f, "is signed by {issuer}, which is not among the trusted authorities: {ADVICE}")?;
                if *is_sent { Ok(()) } else { f.write_str(", or have the provider send the certificates up to a trusted one") }
            }
            Kind::Expired { not_after, now, .. } => {
                write!(f, "has expired on {} (this machine's clock: {})", date(*not_after), date(*now))
            }
            Kind::NotValidYet { not_before, now, .. } => {
                write!(f, "is not valid before {} (this machine's clock: {})", date(*not_before), date(*now))
            }
            Kind::OtherHost { hosts } => write!(f, "is for {hosts}, not for {host}"),
            Kind::Authority => {
                f.write_str("is that of an authority, which is not one for a server: have the provider present one that it has signed")
            }
            Kind::Other(reason) => write!(f, "is not accepted: {reason}"),
        }
    }
}

impl StdError for CertificateFault {}

/// The error of rustls's that this one is, or has in it: what an `io::Error` wraps is not its source.
fn content<'e>(error: &'e (dyn StdError + 'static)) -> Option<&'e rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(wrapping) => content(wrapping.get_ref()?),
        None => error.downcast_ref(),
    }
}

/// The certificate at the end of the path from the host's own upwards, as far as it was sent.
fn last_of<'c, 'a>(own: &'c X509Certificate<'a>, further: &'c [X509Certificate<'a>]) -> &'c X509Certificate<'a> {
    let mut last = own;
    // As many steps as there are certificates: what names each other in a circle has no end.
    for _ in further {
        if is_self_issued(last) {
            break;
        }
        let Some(next) = further.iter().find(|certificate| certificate.subject() == last.issuer()) else { break };
        last = next;
    }
    last
}

fn is_self_issued(certificate: &X509Certificate<'_>) -> bool {
    certificate.subject() == certificate.issuer()
}

/// The common name, or else the whole name.
fn name(name: &X509Name<'_>) -> String {
    let common = name.iter_common_name().next().and_then(|common| common.as_str().ok());
    let text = common.map_or_else(|| name.to_string(), str::to_owned);
    if text.trim().is_empty() { "an authority without a name".to_owned() } else { format!("\"{}\"", shown(&text)) }
}

fn hosts(certificate: &X509Certificate<'_>) -> String {
    let names = certificate.subject_alternative_name().ok().flatten();
    let names = names.map(|names| names.value.general_names.iter().filter_map(host)).into_iter().flatten();
    let mut told = String::new();
    let mut left_out = 0;
    for (index, name) in names.enumerate() {
        match index {
            0 => told.push_str(&name),
            index if index < MAX_HOSTS => drop(write!(told, ", {name}")),
            _ => left_out += 1,
        }
    }
    match (told.is_empty(), left_out) {
        (true, _) => "no host".to_owned(),
        (false, 0) => told,
        (false, left_out) => format!("{told} and {left_out} others"),
    }
}

fn host(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(shown(name)),
        GeneralName::IPAddress(bytes) => {
            let v4 = <[u8; 4]>::try_from(*bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string());
            v4.or_else(|_| <[u8; 16]>::try_from(*bytes).map(|bytes| std::net::IpAddr::from(bytes).to_string())).ok()
        }
        _ => None,
    }
}

fn date(secs: u64) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(secs.min(LATEST)))
}

/// Somebody's text within a line: bounded, and without what would end a quotation or the line.
fn shown(text: &str) -> String {
    bounded(text, MAX_NAME)
}

fn bounded(text: &str, characters: usize) -> String {
    let printable = |c: char| match c {
        '"' => '\'',
        c if c.is_control() || ends_or_turns(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    let mut rest = text.trim().chars();
    let mut line: String = rest.by_ref().take(characters).map(printable).collect();
    if rest.next().is_some() {
        line.push('…');
    }
    line
}

/// Whether a character ends the line or turns the direction of what follows (Unicode, UAX #9).
fn ends_or_turns(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Another verifier, whose refusals say which certificate they are about.
#[derive(Debug)]
pub(super) struct Naming {
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
}

impl ServerCertVerifier for Naming {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let verified = self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        verified.map_err(|error| match error {
            rustls::Error::InvalidCertificate(fault) => {
                let presented: Vec<_> = std::iter::once(end_entity).chain(intermediates).collect();
                let fault = CertificateFault::of(&fault, &presented, server_name);
                rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(fault))))
            }
            other => other,
        })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
