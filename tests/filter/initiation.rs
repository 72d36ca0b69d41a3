//! Logins that a provider or a portal starts by a form (OIDC Core section 4).

use url::Url;
use vestibule::decision::Outcome;
use vestibule::web::http::{RequestHead, Response};

use crate::rig::{Browser, CONFIG, HOST, Rig, query};

const FORM: &str = "application/x-www-form-urlencoded";

/// As a page of another site posts it: without our cookies.
fn post(content_type: &str) -> RequestHead {
    let head = RequestHead { method: "POST".into(), ..RequestHead::get("/.vestibule/login", HOST) };
    head.with("content-type", content_type)
        .with("accept", "text/html")
        .with("sec-fetch-mode", "navigate")
        .with("sec-fetch-site", "cross-site")
}

fn answer(rig: &mut Rig, head: &RequestHead, form: &str) -> Response {
    match rig.decide(head, Some(form.as_bytes())).outcome {
        Outcome::Respond(response) => response,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_posted_login_starts_as_a_visited_one() {
    let mut rig = Rig::new(CONFIG);
    let form =
        "iss=https%3A%2F%2Fop.example&target_link_uri=https%3A%2F%2Fapp.example%2Freports%3Fx%3D1&login_hint=alice%40example.com&more=1";
    assert!(matches!(rig.decide(&post(FORM), None).outcome, Outcome::NeedBody(limit) if (8 * 1024..=32 * 1024).contains(&limit)));
    let response = answer(&mut rig, &post("application/x-www-form-urlencoded; charset=utf-8"), form);
    assert_eq!(response.status, 303, "the browser comes again by GET, with its cookies");
    assert!(response.header("set-cookie").is_none() && rig.sent.is_empty(), "nothing has started");
    let location = Url::parse(response.header("location").unwrap()).unwrap();
    assert_eq!(location.origin().ascii_serialization(), "https://app.example");

    let mut browser = Browser::default();
    let asked = browser.start(&mut rig, &location[url::Position::BeforePath..]);
    assert_eq!((asked.host_str(), query(&asked)["login_hint"].as_str()), (Some("op.example"), "alice@example.com"));
    let callback = rig.provider.authorize(&asked, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().header("location"), Some("/reports?x=1"));
}

#[test]
fn a_posted_login_leads_to_no_other_origin() {
    for target in [
        "https://evil.example/",
        "//evil.example",
        "https://app.example.evil.example/",
        "javascript:alert(1)",
        "https://app.example@evil.example/",
        "http://app.example/",
    ] {
        let mut rig = Rig::new(CONFIG);
        let form = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("iss", "https://op.example")
            .append_pair("target_link_uri", target)
            .finish();
        let response = answer(&mut rig, &post(FORM), &form);
        assert_eq!(rig.last_event(), "login.return_to_refused", "{target}");
        let location = response.header("location").unwrap();
        assert!(location.starts_with("https://app.example/.vestibule/login?") && !location.contains("evil"), "{location}");
    }
}

#[test]
fn a_posted_login_that_does_not_say_what_it_means_is_refused() {
    let mut rig = Rig::new(CONFIG);
    let issuer = "iss=https%3A%2F%2Fop.example";
    for (form, status, code) in [
        ("", 400, "login.malformed"),
        ("login_hint=alice", 400, "login.malformed"),
        ("provider=default", 400, "login.malformed"),
        (&format!("{issuer}&{issuer}"), 400, "login.malformed"),
        (&format!("{issuer}&target_link_uri=%2Fa&target_link_uri=%2Fb"), 400, "login.malformed"),
        (&format!("{issuer}&login_hint=a&login_hint=b"), 400, "login.malformed"),
        ("iss=https%3A%2F%2Fevil.example", 404, "login.unknown_provider"),
        ("iss=", 404, "login.unknown_provider"),
    ] {
        let response = answer(&mut rig, &post(FORM), form);
        assert_eq!((response.status, rig.last_event()), (status, code), "{form}");
        assert!(response.header("location").is_none());
    }
    for content_type in ["application/json", "multipart/form-data; boundary=x", "text/plain", ""] {
        let response = answer(&mut rig, &post(content_type), issuer);
        assert_eq!((response.status, rig.last_event()), (400, "login.malformed"), "{content_type}");
    }
    // Fetched by a script, or by another method.
    let fetched = RequestHead { method: "POST".into(), ..RequestHead::get("/.vestibule/login", HOST) }.with("content-type", FORM);
    let fetched = fetched.with("sec-fetch-mode", "cors");
    assert_eq!((answer(&mut rig, &fetched, issuer).status, rig.last_event()), (403, "request.not_visited"));
    let put = RequestHead { method: "PUT".into(), ..post(FORM) };
    let response = answer(&mut rig, &put, issuer);
    assert_eq!((response.status, response.header("allow")), (405, Some("GET, HEAD, POST")));
    assert!(rig.sent.is_empty());
}

#[test]
fn a_hint_that_is_no_hint_is_left_out() {
    let mut rig = Rig::new(CONFIG);
    for hint in ["a%0d%0aX", &"a".repeat(256), ""] {
        let response = answer(&mut rig, &post(FORM), &format!("iss=https%3A%2F%2Fop.example&login_hint={hint}"));
        assert!(!response.header("location").unwrap().contains("login_hint"), "{hint}");
    }
}

#[test]
fn the_provider_of_several_is_that_of_the_issuer() {
    let second = "[auth.second]\nclient_id = \"c\"\nclient_secret = \"d\"\nserver_metadata_url = \"https://second.example/.well-known/openid-configuration\"\n";
    let mut rig = Rig::new(&format!("{CONFIG}{second}"));
    let response = answer(&mut rig, &post(FORM), "iss=https%3A%2F%2Fsecond.example");
    assert!(response.header("location").unwrap().contains("provider=second"));
}
