//! TLS and HTTP/2 on the listening side. (Towards the application: see `login.rs`, in a process of its own.)

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use pingora::listeners::tls::Acceptor;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use vestibule_edge::listen::tls;

use crate::application::Application;
use crate::raw::Head;
use crate::scripted::{Script, ScriptedEdge};

/// A certificate for `localhost` and its key.
pub struct Identity(CertifiedKey<rcgen::KeyPair>);

impl Identity {
    pub fn new() -> Self {
        Self(generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate"))
    }

    pub fn certificate_pem(&self) -> String {
        self.0.cert.pem()
    }

    pub fn key_pem(&self) -> String {
        self.0.signing_key.serialize_pem()
    }

    /// The paths of certificate and key, written into `folder`.
    pub fn write(&self, folder: &Path) -> (String, String) {
        let write = |name, pem: String| {
            let path = folder.join(name);
            std::fs::write(&path, pem).expect("written");
            path.into_os_string().into_string().expect("text")
        };
        (write("cert.pem", self.certificate_pem()), write("key.pem", self.key_pem()))
    }

    /// An HTTP/2 connection that sends what it is told: a client would tidy it.
    pub async fn http_2(&self, address: SocketAddr) -> h2::client::SendRequest<bytes::Bytes> {
        let (sender, connection) = h2::client::handshake(self.tls_for_http_2(address).await).await.expect("HTTP/2");
        tokio::spawn(connection);
        sender
    }

    /// A connection for which HTTP/2 was chosen, before its first byte.
    pub async fn tls_for_http_2(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        self.tls(address, b"h2").await
    }

    /// The same for HTTP/1.1.
    pub async fn tls_for_http_1(&self, address: SocketAddr) -> TlsStream<TcpStream> {
        self.tls(address, b"http/1.1").await
    }

    async fn tls(&self, address: SocketAddr, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(self.0.cert.der().clone()).expect("a certificate");
        let mut config = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        let connection = TcpStream::connect(address).await.expect("a connection");
        let name = "localhost".try_into().expect("a name");
        TlsConnector::from(Arc::new(config)).connect(name, connection).await.expect("a handshake")
    }

    /// For the edge.
    pub fn edge_acceptor(&self) -> Acceptor {
        let folder = tempfile::tempdir().expect("a folder");
        let (certificate, key) = self.write(folder.path());
        tls::acceptor(certificate.as_ref(), key.as_ref()).expect("an acceptor")
    }

    /// For an application.
    pub fn acceptor(&self) -> TlsAcceptor {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.signing_key.serialize_der()));
        let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("protocol versions")
            .with_no_client_auth()
            .with_single_cert(vec![self.0.cert.der().clone()], key)
            .expect("a certificate and its key");
        TlsAcceptor::from(Arc::new(config))
    }
}

/// A client that trusts `identity`; HTTP/1.1 only where `http1`.
fn client(identity: &Identity, http1: bool) -> reqwest::Client {
    let certificate = reqwest::Certificate::from_pem(identity.certificate_pem().as_bytes()).expect("PEM");
    // More than one crate may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().tls_certs_only([certificate]);
    if http1 { builder.http1_only() } else { builder }.build().expect("a client")
}

async fn edge(identity: &Identity, app: &Application) -> ScriptedEdge {
    ScriptedEdge::start_tls(Script::alice(), &app.url(), identity.edge_acceptor()).await
}

#[tokio::test]
async fn both_versions_of_http_are_served_over_tls() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let edge = edge(&identity, &app).await;
    let authority = format!("localhost:{}", edge.address.port());
    for (http1, version) in [(true, http::Version::HTTP_11), (false, http::Version::HTTP_2)] {
        let url = format!("https://{authority}/a?b");
        let request = client(&identity, http1).get(url).header("cookie", "a=1").header("cookie", "b=2");
        let response = request.send().await.expect("a response");
        assert_eq!((response.status().as_u16(), response.version()), (200, version));
        let received = Head::echoed(response.text().await.expect("an echo"));
        assert_eq!(received.target(), "/a?b");
        assert_eq!(received.values("host"), [authority.as_str()]);
        assert_eq!(received.values("x-forwarded-host"), [authority.as_str()]);
        assert_eq!(received.values("x-forwarded-proto"), ["https"]);
        assert_eq!(received.values("x-forwarded-user"), ["alice"]);
        assert_eq!(received.values("cookie"), ["a=1; b=2"]);
    }
}

#[tokio::test]
async fn a_request_over_http_2_is_streamed() {
    let (identity, app) = (Identity::new(), Application::start().await);
    let edge = edge(&identity, &app).await;
    let url = format!("https://localhost:{}/slow", edge.address.port());
    let mut response = client(&identity, false).get(url).send().await.expect("a response");
    assert_eq!(response.chunk().await.expect("bytes").expect("the first bytes"), "first");
    app.controls.release.notify_one();
    assert_eq!(response.chunk().await.expect("bytes").expect("the last bytes"), "last");
}

#[tokio::test]
async fn an_upload_over_http_2_arrives_whole() {
    let identity = Identity::new();
    let app = Application::start().await;
    let edge = edge(&identity, &app).await;
    let url = format!("https://localhost:{}/upload", edge.address.port());
    let response = client(&identity, false).post(url).body(vec![b'x'; 3_000_000]).send().await.expect("a response");
    assert_eq!(response.text().await.expect("a count"), "3000000");
}

#[test]
fn files_that_are_no_certificate_are_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("empty.pem");
    std::fs::write(&file, "").expect("written");
    let message = tls::acceptor(&file, &file).err().expect("no certificate").to_string();
    assert!(message.contains("empty.pem") && message.contains("--tls-cert"), "{message}");
}
