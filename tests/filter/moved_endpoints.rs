//! A provider that moves its endpoints, and lets go of the old ones, between logins: refreshes and logouts by the provider find the
//! new ones, as logins do (`recovery.rs`).

use serde_json::{Value, json};
use vestibule::decision::{Decision, Outcome};
use vestibule::web::http::RequestHead;

use crate::rig::{Browser, CONFIG, HOST, ISSUER, Memory, RefreshTokens, Rig, SigningKey};

const REFRESHED: &str = "\n[vestibule.session]\nrefresh = \"auto\"\n";

/// How the old endpoint answers; `None`: its host takes no connection.
const GONE: [Option<u16>; 3] = [Some(404), Some(410), None];

fn rig(more: &str) -> Rig {
    let exposing = CONFIG.replace("client_secret", "expose_tokens = [\"access\"]\nclient_secret");
    let mut rig = Rig::new(&format!("{exposing}{REFRESHED}{more}"));
    rig.provider.refresh_tokens = Some(RefreshTokens::default());
    rig.memory = Memory::of_everything();
    rig
}

fn log_in(rig: &mut Rig) -> Browser {
    let mut browser = Browser::default();
    assert_eq!(browser.log_in(rig, "/", "alice").status, 302, "{:?}", rig.messages);
    rig.sent.clear();
    browser
}

fn move_endpoint(rig: &mut Rig, name: &'static str, old: &'static str, new: &'static str, how: Option<u16>) {
    rig.provider.edit_metadata = Some(Box::new(move |metadata| metadata[name] = format!("{ISSUER}{new}").into()));
    match how {
        Some(status) => rig.provider.instead = vec![(old, status, b"gone".to_vec())],
        None => rig.provider.switched_off = vec![old],
    }
}

fn access_token(rig: &mut Rig, browser: &mut Browser) -> Option<String> {
    let forward = browser.visit(rig, "/").forward();
    let (_, value) = forward.set_headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-access-token"))?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

fn renewed(rig: &Rig) -> usize {
    rig.events.iter().filter(|code| *code == "metadata.refetch").count()
}

fn new_key(rig: &mut Rig) {
    (rig.provider.key, rig.provider.kid) = (SigningKey::ed25519(9), Some("new".into()));
}

fn deliver(rig: &mut Rig, jti: &str) -> Decision {
    let header = json!({ "alg": rig.provider.key.algorithm(), "typ": "logout+jwt", "kid": rig.provider.kid });
    let claims = json!({
        "iss": ISSUER, "aud": "client-1", "iat": rig.now, "exp": rig.now + 120, "jti": jti, "sub": "alice",
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    let token = rig.provider.sign(&header, &claims);
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", &token).finish();
    let head = RequestHead { method: "POST".into(), ..RequestHead::get("/.vestibule/backchannel-logout", HOST) };
    rig.decide(&head.with("content-type", "application/x-www-form-urlencoded"), Some(form.as_bytes()))
}

fn status(decision: &Decision) -> u16 {
    let Outcome::Respond(response) = &decision.outcome else { panic!("{:?}", decision.outcome) };
    response.status
}

#[test]
fn a_refresh_finds_a_token_endpoint_that_has_moved() {
    for how in GONE {
        let mut rig = rig("");
        let mut browser = log_in(&mut rig);
        move_endpoint(&mut rig, "token_endpoint", "/token", "/v2/token2", how);
        rig.now += 300;
        assert_eq!(access_token(&mut rig, &mut browser).as_deref(), Some("access-token-2"), "{how:?} {:?}", rig.messages);
        assert_eq!((rig.asked("/token"), rig.asked("/openid-configuration"), rig.asked("/v2/token2")), (1, 1, 1));
        assert_eq!((renewed(&rig), rig.last_event()), (1, "session.refreshed"));
        // It is known from then on.
        rig.now += 300;
        assert_eq!(access_token(&mut rig, &mut browser).as_deref(), Some("access-token-3"));
        assert_eq!((rig.asked("/token"), rig.asked("/openid-configuration"), rig.asked("/v2/token2")), (1, 1, 2));
    }
}

#[test]
fn a_refresh_finds_keys_and_a_userinfo_endpoint_that_have_moved() {
    let userinfo = "[vestibule.provider.default]\nuserinfo = true\n";
    for (name, old, new) in [("jwks_uri", "/jwks", "/v2/keys2"), ("userinfo_endpoint", "/userinfo", "/v2/me")] {
        // Whether the keys of before are known.
        for is_known in [true, false] {
            for how in GONE {
                let mut rig = rig(userinfo);
                let mut browser = log_in(&mut rig);
                if !is_known {
                    // The keys are asked for again in an hour, and the metadata is newer.
                    rig.now += 3600;
                    rig.forget();
                    Browser::default().start(&mut rig, "/");
                    rig.sent.clear();
                }
                move_endpoint(&mut rig, name, old, new, how);
                new_key(&mut rig);
                rig.provider.edit_userinfo = Some(Box::new(|told| told["locale"] = "fr".into()));
                rig.now += 300;
                assert_eq!(access_token(&mut rig, &mut browser).as_deref(), Some("access-token-2"), "{name} {how:?}");
                assert_eq!((renewed(&rig), rig.last_event()), (1, "session.refreshed"), "{name} {how:?} {:?}", rig.messages);
                assert!(rig.events.iter().all(|code| code != "session.refresh_failed"), "{name} {how:?} {:?}", rig.messages);
                assert_eq!((rig.asked(old), rig.asked(new), rig.asked("/openid-configuration")), (1, 1, 1), "{name} {how:?}");
                let user = browser.visit(&mut rig, "/.vestibule/user").response();
                assert_eq!(serde_json::from_slice::<Value>(&user.body).unwrap()["locale"], "fr", "{name} {how:?}");
            }
        }
    }
}

#[test]
fn an_endpoint_that_is_gone_for_good_costs_refreshes_one_request_for_metadata_in_ten_seconds() {
    for how in GONE {
        let mut rig = rig("");
        let mut browsers: Vec<_> = (0..5).map(|_| log_in(&mut rig)).collect();
        match how {
            Some(status) => rig.provider.instead = vec![("/token", status, vec![])],
            None => rig.provider.switched_off = vec!["/token"],
        }
        rig.now += 280;
        for _ in 0..2 {
            for browser in &mut browsers {
                assert_eq!(access_token(&mut rig, browser).as_deref(), Some("access-token-1"), "the session goes on");
            }
            rig.now += 4;
        }
        assert_eq!((rig.asked("/openid-configuration"), renewed(&rig)), (1, 1), "{how:?}");
        assert!(rig.asked("/token") <= 2, "there is a pause, as when it is down");
        // And when it is back, the session has its tokens still.
        (rig.provider.instead, rig.provider.switched_off) = (vec![], vec![]);
        rig.now += 20;
        assert_eq!(access_token(&mut rig, &mut browsers[0]).as_deref(), Some("access-token-2"), "{how:?} {:?}", rig.messages);
    }
}

#[test]
fn no_refresh_token_goes_to_a_provider_that_has_become_another_one() {
    let mut rig = rig("");
    let mut browser = log_in(&mut rig);
    rig.provider.edit_metadata = Some(Box::new(|metadata| {
        metadata["issuer"] = "https://evil.example".into();
        metadata["token_endpoint"] = "https://op.example/other".into();
    }));
    rig.provider.instead = vec![("/token", 404, vec![])];
    rig.now += 280;
    assert_eq!(access_token(&mut rig, &mut browser).as_deref(), Some("access-token-1"));
    assert_eq!((rig.asked("/other"), rig.last_event()), (0, "session.refresh_failed"));
    assert!(rig.last_message().contains("https://evil.example"), "{}", rig.last_message());
}

#[test]
fn a_logout_by_the_provider_finds_keys_that_have_moved() {
    for is_known in [true, false] {
        for how in GONE {
            let mut rig = rig("");
            log_in(&mut rig);
            if !is_known {
                rig.forget();
                Browser::default().start(&mut rig, "/");
                rig.sent.clear();
            }
            move_endpoint(&mut rig, "jwks_uri", "/jwks", "/v2/keys2", how);
            new_key(&mut rig);
            rig.now += 60;
            let decision = deliver(&mut rig, "1");
            assert_eq!((status(&decision), rig.last_event()), (200, "logout.by_provider"), "{is_known} {how:?} {:?}", rig.messages);
            assert_eq!((rig.asked("/jwks"), rig.asked("/openid-configuration"), rig.asked("/v2/keys2")), (1, 1, 1));
            assert_eq!(status(&deliver(&mut rig, "2")), 200);
            assert_eq!((rig.sent.len(), renewed(&rig)), (3, 1), "it is known from then on");
        }
    }
}

#[test]
fn logout_tokens_make_no_more_requests_than_their_floor_allows_and_leave_logins_theirs() {
    for how in GONE {
        let mut rig = rig("");
        log_in(&mut rig);
        match how {
            Some(status) => rig.provider.instead = vec![("/jwks", status, vec![])],
            None => rig.provider.switched_off = vec!["/jwks"],
        }
        new_key(&mut rig);
        rig.now += 60;
        for number in 0..20 {
            let decision = deliver(&mut rig, &number.to_string());
            assert_eq!(status(&decision), 400, "{how:?}");
            assert!(decision.ended_sessions.is_empty());
        }
        assert_eq!((rig.asked("/openid-configuration"), rig.asked("/jwks")), (1, 1), "{how:?}");
        // A login may ask in the same ten seconds.
        rig.now += 4;
        move_endpoint(&mut rig, "jwks_uri", "/jwks", "/v2/keys2", how);
        log_in(&mut rig);
    }
}

#[test]
fn a_logout_token_of_keys_of_a_provider_that_has_become_another_one_ends_nothing() {
    let mut rig = rig("");
    log_in(&mut rig);
    rig.provider.edit_metadata = Some(Box::new(|metadata| {
        metadata["issuer"] = "https://evil.example".into();
        metadata["jwks_uri"] = "https://op.example/other".into();
    }));
    rig.provider.instead = vec![("/jwks", 404, vec![])];
    new_key(&mut rig);
    rig.now += 60;
    let decision = deliver(&mut rig, "1");
    assert_eq!((status(&decision), rig.last_event(), rig.asked("/other")), (400, "logout.unverifiable", 0));
    assert!(decision.ended_sessions.is_empty());
}
