//! Pages of other origins: their preflights, and what their scripts may read.

use vestibule::config::{Config, Source};
use vestibule::web::http::{RequestHead, Response};

use crate::rig::{Browser, CONFIG, HOST, Rig, Seen};

const PORTAL: &str = "https://portal.example";

fn rig(vestibule: &str) -> Rig {
    Rig::new(&format!("{CONFIG}{vestibule}"))
}

fn options(path: &str) -> RequestHead {
    RequestHead { method: "OPTIONS".into(), ..RequestHead::get(path, HOST) }
}

fn preflight(path: &str, origin: &str) -> RequestHead {
    options(path)
        .with("origin", origin)
        .with("access-control-request-method", "PUT")
        .with("access-control-request-headers", "content-type,x-a")
}

fn answered(rig: &mut Rig, head: &RequestHead) -> Response {
    match Browser::default().send(rig, head) {
        Seen::Answered(response) => response,
        Seen::Forwarded(forward) => panic!("forwarded: {forward:?}"),
    }
}

const FORWARD: &str = "[vestibule.cors]\npreflight = \"forward\"\n";
const NAMED: &str = "[vestibule.cors]\norigins = [\"https://portal.example\", \"http://localhost:3000\"]\n";

#[test]
fn a_preflight_is_refused_unless_the_configuration_says_otherwise() {
    for vestibule in ["", "[vestibule.cors]\npreflight = \"refuse\"\n"] {
        let response = answered(&mut rig(vestibule), &preflight("/api", PORTAL));
        assert_eq!(response.status, 401);
        assert!(response.header("access-control-allow-origin").is_none());
    }
}

#[test]
fn a_preflight_is_forwarded_as_nobodys() {
    let mut rig = rig(FORWARD);
    let mut alice = Browser::default();
    alice.log_in(&mut rig, "/", "alice");
    let cookies = alice.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ");
    let head = preflight("/api", PORTAL)
        .with("cookie", &format!("{cookies}; app=1"))
        .with("authorization", "Bearer x")
        .with("x-forwarded-user", "admin")
        .with("x-http-method-override", "DELETE");
    // Somebody's own preflight passes as any request of theirs; a browser never sends one with cookies.
    let Seen::Forwarded(forward) = Browser::default().send(&mut rig, &preflight("/api", PORTAL)) else { panic!("answered") };
    assert!(forward.set_headers.is_empty() && forward.session.is_none() && forward.response_headers.is_empty());
    let without_session = RequestHead { headers: head.headers.iter().filter(|(name, _)| *name != "cookie").collect(), ..head.clone() }
        .with("cookie", "app=1; __Host-vestibule_session_0=x");
    let Seen::Forwarded(forward) = Browser::default().send(&mut rig, &without_session) else { panic!("answered") };
    for name in ["cookie", "authorization", "x-forwarded-user", "x-http-method-override"] {
        assert!(forward.remove_headers.iter().any(|removed| removed.eq_ignore_ascii_case(name)), "{name}: {:?}", forward.remove_headers);
    }
    assert!(forward.set_headers.iter().all(|(name, _)| !name.eq_ignore_ascii_case("cookie")));
}

#[test]
fn what_only_looks_like_a_preflight_is_none() {
    for (what, head) in [
        ("no origin", options("/api").with("access-control-request-method", "PUT")),
        ("no method", options("/api").with("origin", PORTAL)),
        ("two origins", preflight("/api", PORTAL).with("origin", PORTAL)),
        ("two methods", preflight("/api", PORTAL).with("access-control-request-method", "GET")),
        ("no token", options("/api").with("origin", PORTAL).with("access-control-request-method", "PUT /x")),
        ("a body", preflight("/api", PORTAL).with("content-length", "3")),
        ("a body in chunks", preflight("/api", PORTAL).with("transfer-encoding", "chunked")),
        ("an upgrade", preflight("/api", PORTAL).with("upgrade", "websocket").with("connection", "upgrade")),
        (
            "strange names",
            options("/api")
                .with("origin", PORTAL)
                .with("access-control-request-method", "PUT")
                .with("access-control-request-headers", "a b"),
        ),
        ("another method", RequestHead { method: "POST".into(), ..preflight("/api", PORTAL) }),
        ("another method", RequestHead { method: "options".into(), ..preflight("/api", PORTAL) }),
    ] {
        for vestibule in [FORWARD, NAMED] {
            assert_eq!(answered(&mut rig(vestibule), &head).status, 401, "{what}");
        }
    }
    // What no preflight can be forwarded to stays what it is.
    let closed = format!("{FORWARD}[[vestibule.rule]]\npath = \"/closed\"\naccess = \"deny\"\n[[vestibule.rule]]\n");
    assert_eq!(answered(&mut rig(&closed), &preflight("/closed", PORTAL)).status, 403);
    assert_eq!(answered(&mut rig(FORWARD), &preflight("/a/../b", PORTAL)).status, 400);
    assert_eq!(answered(&mut rig(FORWARD), &preflight("/.vestibule/login", PORTAL)).status, 405);
}

#[test]
fn preflights_of_named_origins_are_answered_and_their_scripts_learn_where_to_log_in() {
    let mut rig = rig(NAMED);
    let answer = answered(&mut rig, &preflight("/api", PORTAL));
    assert_eq!(answer.status, 204);
    for (name, value) in [
        ("access-control-allow-origin", PORTAL),
        ("access-control-allow-credentials", "true"),
        ("access-control-allow-methods", "PUT"),
        ("access-control-allow-headers", "content-type,x-a"),
        ("vary", "origin, access-control-request-method, access-control-request-headers"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{name}");
    }
    let script = |origin: &str| RequestHead::get("/api", HOST).with("origin", origin).with("sec-fetch-mode", "cors");
    let refused = answered(&mut rig, &script(PORTAL));
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some(PORTAL)));
    assert!(refused.header("vary").unwrap().contains("origin"));
    for origin in
        ["https://evil.example", "null", "https://portal.example.evil.example", "http://portal.example", "https://portal.example:444", ""]
    {
        assert_eq!(answered(&mut rig, &preflight("/api", origin)).status, 401, "{origin}");
        assert!(answered(&mut rig, &script(origin)).header("access-control-allow-origin").is_none(), "{origin}");
    }
}

#[test]
fn origins_are_written_as_browsers_write_them() {
    for (cors, key) in [
        ("origins = \"*\"", Some("origins")),
        ("origins = \"https://a.example/\"", Some("origins")),
        ("origins = \"https://A.example\"", Some("origins")),
        ("origins = \"https://a.example:443\"", Some("origins")),
        ("origins = \"null\"", Some("origins")),
        ("origins = \"ftp://a.example\"", Some("origins")),
        ("origins = \"https://*.example\"", Some("origins")),
        ("origins = \"https://a.example\"\npreflight = \"forward\"", Some("origins")),
        ("preflight = \"yes\"", Some("preflight")),
        ("origin = \"https://a.example\"", Some("origin")),
        ("origins = [\"https://a.example\", \"http://localhost:3000\"]", None),
        ("preflight = \"forward\"", None),
    ] {
        let parsed = Config::parse(&Source::new("f", &format!("{CONFIG}[vestibule.cors]\n{cors}\n")));
        let found = parsed.err().map(|faults| faults[0].key.clone());
        assert_eq!(found, key.map(|key| format!("vestibule.cors.{key}")), "{cors}");
    }
    let asked = format!("{CONFIG}[vestibule]\nmode = \"authz\"\nauthz = {{ proxy = \"caddy\" }}\n{NAMED}");
    assert!(Config::parse(&Source::new("f", &asked)).unwrap_err()[0].problem.contains("mode = \"authz\""));
}
