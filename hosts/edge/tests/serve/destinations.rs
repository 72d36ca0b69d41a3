//! Where a login and a logout lead, for every value that wants to lead elsewhere. The browsers' URL parser is the judge.

use reqwest::{Method, Url};

use crate::payloads;
use crate::raw::Wire;
use crate::visitor::Visitor;

crate::tests![
    a_logout_leads_to_the_origin_whatever_it_is_asked,
    a_login_leads_to_the_origin_whatever_it_is_asked,
    a_target_that_is_an_address_elsewhere_is_no_redirect,
    a_forged_host_leads_nobody_elsewhere,
];

/// Whether a browser on a page of the program's stays there.
fn stays(visitor: &Visitor, location: &str) -> bool {
    let here: Url = visitor.site.url("/a/page").parse().expect("a URL");
    here.join(location).is_ok_and(|url| url.origin() == here.origin() && url.username().is_empty() && url.password().is_none())
}

/// As a query is written: encoded once, and as it is where a request line can hold it.
fn spellings(value: &str) -> Vec<String> {
    let encoded: String = url::form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let plain = value.bytes().all(|byte| byte.is_ascii_graphic() && !b"#\\<>\"{}|^`".contains(&byte));
    let mut spellings = vec![encoded.clone(), url::form_urlencoded::byte_serialize(encoded.as_bytes()).collect()];
    spellings.extend(plain.then(|| value.to_owned()));
    spellings
}

/// mod_auth_openidc CVE-2022-23527 and its kind: 800 values, two or three spellings each, raw.
async fn a_logout_leads_to_the_origin_whatever_it_is_asked() {
    let visitor = Visitor::new().await;
    let mut peer = Wire::connect(visitor.site.address).await;
    let mut redirected = 0;
    for value in payloads::all() {
        for spelling in spellings(&value) {
            let request =
                format!("GET /.vestibule/logout?return_to={spelling} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\n\r\n", visitor.site.host);
            let (head, body) = peer.exchange(&request).await.expect("a response");
            match (head.status(), head.values("location").as_slice()) {
                (302, [location]) => {
                    redirected += 1;
                    assert!(stays(&visitor, location) && location.starts_with('/') && !location.starts_with("//"), "{value:?}: {location}");
                }
                (200, []) => assert!(body.contains("You are logged out"), "{value:?}: {body}"),
                (status, locations) => panic!("{value:?}: {status} {locations:?}"),
            }
        }
    }
    assert!(redirected > 100, "harmless spellings lead somewhere, so that something was judged: {redirected}");
}

/// The rows of oauth2-proxy's advisories and others that are decoded on their way, each to the end of a login.
async fn a_login_leads_to_the_origin_whatever_it_is_asked() {
    let visitor = Visitor::new().await;
    let rows = [
        "/\\evil.example",
        "/%09/evil",
        "/%0a/evil",
        "///evil",
        "/%5cevil",
        "https:/evil",
        "http:\\\\evil",
        "https://badexample.com",
        "//evil.example",
    ];
    let others = payloads::all();
    for value in rows.iter().copied().chain(others.iter().step_by(25).map(String::as_str)) {
        for spelling in spellings(value) {
            let visitor = visitor.another();
            let started = visitor.visit(&format!("/.vestibule/login?provider={}&return_to={spelling}", visitor.provider.name)).await;
            let mut consent = started.location.unwrap_or_else(|| panic!("{value:?}: {}", started.body));
            consent.set_path("/consent");
            let back = visitor.browser.step(Method::POST, consent, Some("person=alice")).await.location.expect("a redirect back");
            let target = format!("{}?{}", back.path(), back.query().expect("a response"));
            let cookies = visitor.browser.cookies(&back);
            let (head, body) = visitor.raw("GET", &target, &[("Accept", "text/html"), ("Cookie", &cookies)]).await;
            let location = head.values("location").join("");
            assert_eq!(head.status(), 302, "{value:?}: {body}");
            assert!(stays(&visitor, &location) && location.starts_with('/') && !location.starts_with("//"), "{value:?}: {location}");
        }
    }
}

/// Pomerium CVE-2021-29651, and the absolute form of a request target.
async fn a_target_that_is_an_address_elsewhere_is_no_redirect() {
    let visitor = Visitor::new().await;
    visitor.gets_in().await;
    let url: Url = visitor.site.url("/").parse().expect("a URL");
    let cookies = visitor.browser.cookies(&url);
    for target in [
        "https://evil.example/x",
        "http://evil.example/.vestibule/login",
        "//evil.example/x",
        "/\\evil.example",
        "/.//evil.example",
        "/%2e//evil.example",
    ] {
        for cookies in ["", cookies.as_str()] {
            let (head, _) = visitor.raw("GET", target, &[("Accept", "text/html"), ("Cookie", cookies)]).await;
            for location in head.values("location") {
                let provider = location.starts_with(&visitor.provider.running.issuer());
                assert!(provider || stays(&visitor, location), "{target}: {location}");
                assert!(!location.contains("eyJ"), "{target}: a token in {location}");
            }
        }
    }
}

async fn a_forged_host_leads_nobody_elsewhere() {
    let visitor = Visitor::new().await;
    let origin = visitor.site.url("");
    for headers in [
        "Host: evil.example",
        "Host: evil.example:443",
        "Host: 127.0.0.1",
        "Host: 127.0.0.1:1",
        &format!("Host: {}\r\nX-Forwarded-Host: evil.example\r\nX-Forwarded-Proto: https", visitor.site.host),
        &format!("Host: {}\r\nForwarded: host=evil.example;proto=https", visitor.site.host),
        &format!("Host: {}\r\nX-Forwarded-Prefix: //evil.example\r\nX-Original-URL: //evil.example", visitor.site.host),
    ] {
        for target in [
            visitor.page.clone(),
            format!("/.vestibule/login?provider={}&return_to=/x", visitor.provider.name),
            "/.vestibule/logout?return_to=/x".into(),
        ] {
            let request = format!("GET {target} HTTP/1.1\r\n{headers}\r\nAccept: text/html\r\n\r\n");
            let (head, body) = Wire::connect(visitor.site.address).await.exchange(&request).await.expect("a response");
            assert!(!head.text.contains("evil.example") && !body.contains("evil.example"), "{headers}: {} {body}", head.text);
            for location in head.values("location") {
                let url = Url::parse(&origin).and_then(|here| here.join(location)).expect("a URL");
                let asks_the_right_one =
                    url.query_pairs().all(|(name, value)| name != "redirect_uri" || value == format!("{origin}/oauth2callback"));
                assert!(asks_the_right_one, "{headers}: {location}");
            }
        }
    }
}
