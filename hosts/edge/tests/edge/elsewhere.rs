//! Requests of other origins and other host names, and paths that two servers read differently, through the program.

use crate::application::Application;
use crate::browser::Browser;
use crate::login::Site;
use crate::raw::{Head, Wire};
use crate::tls::Identity;

async fn site(more: &str) -> Site {
    Site::start_configured(more, Application::start().await, "http", &[], &[]).await
}

async fn send(site: &Site, request: &str) -> (Head, String) {
    let request = request.replace("HOST", &site.address.to_string());
    Wire::connect(site.address).await.exchange(&request).await.expect("an answer")
}

const PREFLIGHT: &str = "Origin: https://portal.example\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: x-a\r\n";

#[tokio::test]
async fn a_preflight_is_forwarded_as_nobodys_where_the_configuration_says_so() {
    let site = site("[vestibule.cors]\npreflight = \"forward\"\n").await;
    let forged = "Cookie: app=1\r\nAuthorization: Bearer x\r\nX-Forwarded-User: admin\r\n";
    let (head, body) = send(&site, &format!("OPTIONS /api HTTP/1.1\r\nHost: HOST\r\n{PREFLIGHT}{forged}\r\n")).await;
    assert_eq!(head.status(), 200, "{body}");
    let received = Head::echoed(body);
    for name in ["cookie", "authorization", "x-forwarded-user"] {
        assert!(received.values(name).is_empty(), "{name}: {}", received.text);
    }
    assert_eq!(received.values("access-control-request-method"), ["PUT"]);
    // Nothing else is anonymous.
    for request in [
        format!("GET /api HTTP/1.1\r\nHost: HOST\r\n{PREFLIGHT}\r\n"),
        "OPTIONS /api HTTP/1.1\r\nHost: HOST\r\nOrigin: https://portal.example\r\n\r\n".to_owned(),
        format!("OPTIONS /api HTTP/1.1\r\nHost: HOST\r\n{PREFLIGHT}Content-Length: 1\r\n\r\nx"),
    ] {
        assert_eq!(send(&site, &request).await.0.status(), 401, "{request}");
    }
    assert_eq!(site.app.requests(), 1);
}

/// A body has no length in HTTP/2 that the head would have to tell.
#[tokio::test]
async fn a_preflight_with_a_body_is_none_over_http_2_either() {
    let identity = Identity::new();
    let folder = tempfile::tempdir().expect("a folder");
    let (certificate, key) = identity.write(folder.path());
    let arguments = ["--tls-cert", &certificate, "--tls-key", &key];
    let more = "[vestibule.cors]\npreflight = \"forward\"\n";
    let site = Site::start_configured(more, Application::start().await, "http", &arguments, &[]).await;
    for (body, status) in [(None, 200), (Some(&b"{\"evil\":1}"[..]), 401), (Some(&b""[..]), 401)] {
        let mut sender = identity.http_2(site.address).await;
        let request =
            http::Request::builder().method("OPTIONS").version(http::Version::HTTP_2).uri(format!("https://{}/api", site.address));
        let request = request.header("origin", "https://portal.example").header("access-control-request-method", "PUT");
        let (response, mut stream) = sender.send_request(request.body(()).expect("a request"), body.is_none()).expect("a stream");
        if let Some(body) = body {
            stream.send_data(bytes::Bytes::from_static(body), true).expect("sent");
        }
        assert_eq!(response.await.expect("a response").status(), status, "{body:?}");
    }
    assert_eq!(site.app.requests(), 1);
}

#[tokio::test]
async fn a_preflight_of_a_named_origin_is_answered_and_its_401_can_be_read() {
    let site = site("[vestibule.cors]\norigins = [\"https://portal.example\"]\n").await;
    let (head, _) = send(&site, &format!("OPTIONS /api HTTP/1.1\r\nHost: HOST\r\n{PREFLIGHT}\r\n")).await;
    assert_eq!((head.status(), head.values("access-control-allow-origin")), (204, vec!["https://portal.example"]));
    assert_eq!((head.values("access-control-allow-methods"), head.values("access-control-allow-headers")), (vec!["PUT"], vec!["x-a"]));
    let (head, body) = send(&site, "PUT /api HTTP/1.1\r\nHost: HOST\r\nOrigin: https://portal.example\r\nContent-Length: 0\r\n\r\n").await;
    assert_eq!((head.status(), head.values("access-control-allow-origin")), (401, vec!["https://portal.example"]), "{body}");
    assert_eq!(head.values("content-type"), ["application/problem+json"]);
    let other = PREFLIGHT.replace("portal", "evil");
    let (head, _) = send(&site, &format!("OPTIONS /api HTTP/1.1\r\nHost: HOST\r\n{other}\r\n")).await;
    assert!(head.status() == 401 && head.values("access-control-allow-origin").is_empty(), "{}", head.text);
    assert_eq!(site.app.requests(), 0);
}

#[tokio::test]
async fn a_login_on_another_host_name_moves_to_that_of_redirect_uri_and_ends() {
    let site = site("").await;
    let port = site.address.port();
    let home = format!("http://127.0.0.1:{port}");
    for host in [format!("localhost:{port}"), format!("192.168.1.20:{port}"), "app.internal".to_owned()] {
        let request = format!("GET /.vestibule/login?return_to=%2Freports%3Fa%3D1 HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\n\r\n");
        let (head, body) = Wire::connect(site.address).await.exchange(&request).await.expect("an answer");
        let location = head.values("location").first().map(|location| (*location).to_owned()).unwrap_or_default();
        assert!(head.status() == 302 && location.starts_with(&format!("{home}/.vestibule/login?")), "{host}: {location} {body}");
        assert!(head.values("set-cookie").is_empty(), "its cookies would be of the wrong host: {}", head.text);
        let page = Browser::new().log_in(&location, "alice").await;
        assert_eq!(page.url.path(), "/reports", "{host}");
        // A page goes the same way.
        let request = format!("GET /reports HTTP/1.1\r\nHost: {host}\r\nAccept: text/html\r\nSec-Fetch-Mode: navigate\r\n\r\n");
        let (head, _) = Wire::connect(site.address).await.exchange(&request).await.expect("an answer");
        assert!(head.values("location").first().is_some_and(|location| location.starts_with(&home)), "{}", head.text);
    }
}

#[tokio::test]
async fn an_encoded_slash_passes_as_it_is_under_one_decision_and_not_between_two() {
    let rules = "[[vestibule.rule]]\npath = \"/public/**\"\naccess = \"public\"\n[[vestibule.rule]]\npath = \"/admin/**\"\naccess = \"deny\"\n\
                 [[vestibule.rule]]\npath = \"/**\"\n";
    let site = site(rules).await;
    for path in ["/public/a%2Fb", "/public/a%2fb%5Cc", "/public/%2F", "/public/group%2Fname?x=%2F"] {
        let (head, body) = send(&site, &format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n")).await;
        assert_eq!((head.status(), Head::echoed(body).target()), (200, path));
    }
    for path in ["/public%2Fx", "/admin%2Fx", "/public/..%2Fadmin", "/public/%2e%2e%2Fadmin", "/public%5C..%5Cadmin/x"] {
        let (head, body) = send(&site, &format!("GET {path} HTTP/1.1\r\nHost: HOST\r\n\r\n")).await;
        assert_eq!(head.status(), 400, "{path}: {body}");
    }
    assert_eq!(site.app.requests(), 4);
}
