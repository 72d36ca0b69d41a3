//! OpenID Connect Back-Channel Logout 1.0: which tokens end sessions, which sessions, and what is answered to all others.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Value, json};
use vestibule::decision::{Decision, Outcome};
use vestibule::limit::Counted;
use vestibule::session::EndedWhat;
use vestibule::web::http::{OutboundError, RequestHead, Response};

use crate::rig::{self, Browser, CONFIG, HOST, Memory, Rig, SigningKey};

const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
const ROUTE: &str = "/.vestibule/backchannel-logout";

/// A host that remembers, and a provider whose ID tokens have this `sid`, if any.
fn rig_with(more: &str, sid: Option<&'static str>) -> Rig {
    let mut rig = Rig::new(&format!("{CONFIG}{more}"));
    rig.memory = Memory::of_everything();
    name_sessions(&mut rig, sid);
    rig
}

fn rig() -> Rig {
    rig_with("", None)
}

fn name_sessions(rig: &mut Rig, sid: Option<&'static str>) {
    rig.provider.edit_claims =
        sid.map(|sid| Box::new(move |claims: &mut serde_json::Map<_, _>| drop(claims.insert("sid".into(), json!(sid)))) as _);
}

fn logged_in(rig: &mut Rig, sub: &str) -> Browser {
    let mut browser = Browser::default();
    assert_eq!(browser.log_in(rig, "/", sub).status, 302, "{:?}", rig.messages);
    browser
}

fn is_in(rig: &mut Rig, browser: &Browser) -> bool {
    match rig.decide(&browser.head("/").with("sec-fetch-mode", "cors"), None).outcome {
        Outcome::Forward(forward) => forward.session.is_some(),
        Outcome::Respond(response) => {
            assert_eq!(response.status, 401);
            false
        }
        Outcome::NeedBody(_) => panic!("no body is needed"),
    }
}

fn header(rig: &Rig) -> Value {
    json!({ "alg": rig.provider.key.algorithm(), "typ": "logout+jwt", "kid": rig.provider.kid })
}

/// What a provider sends for Alice.
fn claims(rig: &Rig) -> Value {
    json!({
        "iss": rig.provider.issuer, "aud": "client-1", "iat": rig.now, "exp": rig.now + 120, "jti": format!("token-{}", rig.sent.len()),
        "sub": "alice", "events": { EVENT: {} },
    })
}

fn token(rig: &Rig, change: impl FnOnce(&mut Value)) -> String {
    let mut claims = claims(rig);
    change(&mut claims);
    rig.provider.sign(&header(rig), &claims)
}

fn post(route: &str) -> RequestHead {
    RequestHead { method: "POST".into(), ..RequestHead::get(route, HOST) }.with("content-type", "application/x-www-form-urlencoded")
}

fn deliver(rig: &mut Rig, token: &str) -> Decision {
    let form = url::form_urlencoded::Serializer::new(String::new()).append_pair("logout_token", token).finish();
    rig.decide(&post(ROUTE), Some(form.as_bytes()))
}

fn response(decision: Decision) -> Response {
    let Outcome::Respond(response) = decision.outcome else { panic!("{:?}", decision.outcome) };
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(response.headers.iter().all(|(name, _)| name != "set-cookie"));
    response
}

fn accepted(rig: &mut Rig, token: &str) {
    let decision = deliver(rig, token);
    assert_eq!(rig.last_event(), "logout.by_provider", "{}", rig.last_message());
    assert!(decision.ended_sessions.iter().any(|ended| ended.what == EndedWhat::LogoutToken));
    let response = response(decision);
    assert_eq!((response.status, response.body, response.counts_as), (200, vec![], None));
}

/// Refused with this code, and nothing ends.
fn refused(rig: &mut Rig, token: &str, code: &str) -> Response {
    let decision = deliver(rig, token);
    assert_eq!(rig.last_event(), code, "{}", rig.last_message());
    assert!(decision.ended_sessions.is_empty() && decision.audited.is_none());
    let response = response(decision);
    assert_eq!((response.status, response.header("content-type")), (400, Some("application/json")));
    let body: Value = serde_json::from_slice(&response.body).unwrap();
    assert!(body["error"].is_string() && body["error_description"].is_string(), "{body}");
    response
}

/// Alice is logged in, and a token that is changed so is refused with this code.
fn is_refused(what: &str, change: impl FnOnce(&mut Value), code: &str) {
    let mut rig = rig();
    let alice = logged_in(&mut rig, "alice");
    let token = token(&rig, change);
    refused(&mut rig, &token, code);
    assert!(is_in(&mut rig, &alice), "{what}");
}

fn set(name: &'static str, value: Value) -> impl FnOnce(&mut Value) {
    move |claims| claims[name] = value
}

fn without(name: &'static str) -> impl FnOnce(&mut Value) {
    move |claims| drop(claims.as_object_mut().unwrap().remove(name))
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout() {
    // The provider sends it while the browser is on its way through its logout.
    let mut rig = rig();
    let mut alice = logged_in(&mut rig, "alice");
    let away = alice.visit(&mut rig, "/.vestibule/logout").response();
    assert!(away.header("location").unwrap().starts_with("https://op.example/logout?"));
    let token = token(&rig, |_| {});
    accepted(&mut rig, &token);
    assert!(!is_in(&mut rig, &alice));
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_alg_none() {
    let mut rig = rig();
    let alice = logged_in(&mut rig, "alice");
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let unsigned = format!("{}.{}.", encode(&json!({ "alg": "none", "typ": "logout+jwt" })), encode(&claims(&rig)));
    refused(&mut rig, &unsigned, "logout_token.signature");
    let named = rig.provider.sign(&json!({ "alg": "none" }), &claims(&rig));
    refused(&mut rig, &named, "logout_token.algorithm");
    assert!(is_in(&mut rig, &alice));
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_alg() {
    let mut rig = rig();
    let alice = logged_in(&mut rig, "alice");
    for alg in ["HS256", "RS256"] {
        let token = rig.provider.sign(&json!({ "alg": alg, "kid": rig.provider.kid }), &claims(&rig));
        let code = if alg == "HS256" { "logout_token.algorithm" } else { "logout_token.unknown_key" };
        refused(&mut rig, &token, code);
    }
    rig.provider.edit_metadata = Some(Box::new(|metadata| metadata["id_token_signing_alg_values_supported"] = json!(["RS256"])));
    rig.forget();
    let unlisted = token(&rig, |_| {});
    refused(&mut rig, &unlisted, "logout_token.algorithm");
    assert!(is_in(&mut rig, &alice));
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_aud() {
    is_refused("another", set("aud", json!("client-11")), "logout_token.audience");
    is_refused("none", without("aud"), "logout_token.audience");
    is_refused("one more that nobody trusts", set("aud", json!(["client-1", "other"])), "logout_token.audience");
    is_refused("a number", set("aud", json!(1)), "logout_token.audience");
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_iss() {
    is_refused("another", set("iss", json!("https://op.example1")), "logout_token.issuer");
    is_refused("a slash more than the metadata has", set("iss", json!("https://op.example/")), "logout_token.issuer");
    is_refused("none", without("iss"), "logout_token.issuer");
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_no_event() {
    is_refused("no events", without("events"), "logout_token.events");
    is_refused("none of them", set("events", json!({})), "logout_token.events");
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_wrong_event() {
    is_refused("another", set("events", json!({ "http://schemas.openid.net/event/backchannel-logout1": {} })), "logout_token.events");
    is_refused("no object", set("events", json!({ EVENT: true })), "logout_token.events");
    is_refused("a list", set("events", json!([EVENT])), "logout_token.events");
}

#[test]
fn oidcc_client_test_rp_backchannel_rpinitlogout_with_nonce() {
    is_refused("a nonce", set("nonce", json!("n")), "logout_token.nonce");
    is_refused("a nonce that is none", set("nonce", Value::Null), "logout_token.nonce");
}

#[test]
fn without_sid_every_session_of_the_account_ends_and_no_other() {
    let mut rig = rig();
    let (one, two, bob) = (logged_in(&mut rig, "alice"), logged_in(&mut rig, "alice"), logged_in(&mut rig, "bob"));
    rig.now += 100;
    let token = token(&rig, |_| {});
    accepted(&mut rig, &token);
    assert!(!is_in(&mut rig, &one) && !is_in(&mut rig, &two) && is_in(&mut rig, &bob));
    // Clocks may differ by 5 seconds; after that, a login is a later one.
    rig.now += 6;
    let again = logged_in(&mut rig, "alice");
    assert!(is_in(&mut rig, &again) && !is_in(&mut rig, &one));
}

#[test]
fn with_sid_that_session_of_the_provider_ends_and_no_other() {
    for sub in [Some("alice"), None] {
        let mut rig = rig_with("", Some("one"));
        let (one, same) = (logged_in(&mut rig, "alice"), logged_in(&mut rig, "alice"));
        name_sessions(&mut rig, Some("two"));
        let (two, bob) = (logged_in(&mut rig, "alice"), logged_in(&mut rig, "bob"));
        name_sessions(&mut rig, None);
        let unnamed = logged_in(&mut rig, "alice");
        let token = token(&rig, |claims| {
            claims["sid"] = json!("one");
            match sub {
                Some(sub) => claims["sub"] = json!(sub),
                None => without("sub")(claims),
            }
        });
        accepted(&mut rig, &token);
        assert!(!is_in(&mut rig, &one) && !is_in(&mut rig, &same) && is_in(&mut rig, &two) && is_in(&mut rig, &bob));
        // Its ID token did not say which session it is of: it may be the one that has ended.
        assert_eq!(is_in(&mut rig, &unnamed), sub.is_none());
        // The next login, in a new session of the provider's, need not wait.
        name_sessions(&mut rig, Some("three"));
        let again = logged_in(&mut rig, "alice");
        assert!(is_in(&mut rig, &again));
    }
}

#[test]
fn a_token_counts_once_and_ends_nothing_newer() {
    let mut rig = rig();
    let before = logged_in(&mut rig, "alice");
    let token = token(&rig, |_| {});
    accepted(&mut rig, &token);
    rig.now += 60;
    let after = logged_in(&mut rig, "alice");
    let replay = refused(&mut rig, &token, "logout_token.spent");
    assert_eq!(replay.counts_as, None, "the provider has signed it");
    assert!(!is_in(&mut rig, &before) && is_in(&mut rig, &after));
    // Also where it is not known any more that it was used: no more than the provider's clock may be behind.
    rig.memory = Memory::of_everything();
    accepted(&mut rig, &token);
    rig.now += 130;
    let later = logged_in(&mut rig, "alice");
    rig.memory = Memory::of_everything();
    accepted(&mut rig, &token);
    assert!(is_in(&mut rig, &later));
}

#[test]
fn a_token_that_was_issued_later_by_the_providers_clock_ends_no_later_session() {
    let mut rig = rig();
    let before = logged_in(&mut rig, "alice");
    let token = token(&rig, |claims| claims["iat"] = json!(rig.now + 50));
    accepted(&mut rig, &token);
    rig.now += 6;
    let after = logged_in(&mut rig, "alice");
    assert!(!is_in(&mut rig, &before) && is_in(&mut rig, &after));
}

#[test]
fn a_provider_whose_clock_is_behind_logs_out_all_the_same() {
    let mut rig = rig();
    let before = logged_in(&mut rig, "alice");
    let token = token(&rig, |claims| claims["iat"] = json!(rig.now - 50));
    accepted(&mut rig, &token);
    assert!(!is_in(&mut rig, &before));
}

#[test]
fn dates_are_those_of_now() {
    is_refused("from the future", |claims| claims["iat"] = json!(claims["iat"].as_u64().unwrap() + 1000), "logout_token.issued_at");
    is_refused("without a date", without("iat"), "logout_token.issued_at");
    is_refused("over", |claims| claims["exp"] = json!(claims["iat"].as_u64().unwrap() - 1000), "logout_token.expired");
    is_refused("not yet", |claims| claims["nbf"] = json!(claims["iat"].as_u64().unwrap() + 1000), "logout_token.not_before");
    let old = |age: u64, has_exp: bool| {
        move |claims: &mut Value| {
            claims["iat"] = json!(claims["iat"].as_u64().unwrap() - age);
            if !has_exp {
                without("exp")(claims);
            }
        }
    };
    is_refused("an old one without an end", old(15 * 60, false), "logout_token.issued_at");
    is_refused("yesterday's", old(25 * 60 * 60, true), "logout_token.issued_at");
    for (age, has_exp) in [(0, false), (9 * 60, false), (23 * 60 * 60, true)] {
        let mut rig = rig();
        let token = token(&rig, old(age, has_exp));
        accepted(&mut rig, &token);
    }
}

#[test]
fn types_of_logout_tokens_are_accepted_and_no_others() {
    for typ in [json!("logout+jwt"), json!("application/logout+jwt"), json!("LOGOUT+JWT"), json!("JWT")] {
        let mut rig = rig();
        let token = rig.provider.sign(&json!({ "alg": "EdDSA", "typ": typ, "kid": "key-1" }), &claims(&rig));
        accepted(&mut rig, &token);
    }
    let mut rig = rig();
    let untyped = rig.provider.sign(&json!({ "alg": "EdDSA", "kid": "key-1" }), &claims(&rig));
    accepted(&mut rig, &untyped);
    for typ in ["at+jwt", "secevent+jwt", "logout", "userinfo+jwt"] {
        let token = rig.provider.sign(&json!({ "alg": "EdDSA", "typ": typ, "kid": "key-1" }), &claims(&rig));
        refused(&mut rig, &token, "logout_token.type");
    }
    let critical = rig.provider.sign(&json!({ "alg": "EdDSA", "kid": "key-1", "crit": ["b64"], "b64": false }), &claims(&rig));
    refused(&mut rig, &critical, "logout_token.critical");
}

#[test]
fn a_logout_token_is_no_id_token_and_an_id_token_no_logout_token() {
    let (mut rig, mut browser) = (rig(), Browser::default());
    rig.provider.edit_header = Some(Box::new(|header| header["typ"] = json!("logout+jwt")));
    rig.provider.edit_claims = Some(Box::new(|claims| drop(claims.insert("events".into(), json!({ EVENT: {} })))));
    assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 502);
    assert_eq!(rig.last_event(), "id_token.type");
    let mut rig = self::rig();
    let id_token =
        json!({ "iss": rig.provider.issuer, "aud": "client-1", "iat": rig.now, "exp": rig.now + 60, "sub": "alice", "nonce": "n" });
    let id_token = rig.provider.sign(&json!({ "alg": "EdDSA", "typ": "JWT", "kid": "key-1" }), &id_token);
    refused(&mut rig, &id_token, "logout_token.events");
}

#[test]
fn somebody_elses_signature_ends_nothing_and_counts() {
    let mut rig = rig();
    let alice = logged_in(&mut rig, "alice");
    let own = std::mem::replace(&mut rig.provider.key, SigningKey::ed25519(9));
    let forged = token(&rig, |_| {});
    rig.provider.key = own;
    assert_eq!(refused(&mut rig, &forged, "logout_token.signature").counts_as, Some(Counted::BadLogoutToken));
    assert!(is_in(&mut rig, &alice));
}

#[test]
fn keys_that_do_not_fit_are_asked_for_once_and_not_without_end() {
    let mut rig = rig();
    logged_in(&mut rig, "alice");
    assert_eq!((rig.asked("/jwks"), rig.asked("openid-configuration")), (1, 1));
    for number in 0..100 {
        let unknown = rig.provider.sign(&json!({ "alg": "EdDSA", "kid": format!("key-{number}x") }), &claims(&rig));
        refused(&mut rig, &unknown, "logout_token.unknown_key");
    }
    assert_eq!(rig.asked("/jwks"), 2, "a hundred tokens that anybody can make");
    // Logins may still ask: somebody else's tokens do not hold them up.
    rig.provider.key = SigningKey::ed25519(8);
    rig.provider.kid = Some("key-2".to_owned());
    logged_in(&mut rig, "bob");
    assert_eq!(rig.asked("/jwks"), 3);
    // And a token by the newest key is accepted.
    rig.now += 20;
    rig.provider.key = SigningKey::ed25519(6);
    rig.provider.kid = Some("key-3".to_owned());
    let token = token(&rig, |_| {});
    accepted(&mut rig, &token);
    assert_eq!(rig.asked("/jwks"), 4);
}

#[test]
fn nobody_is_asked_about_a_token_for_somebody_else() {
    let mut rig = rig();
    for change in [set("iss", json!("https://evil.example")), set("iss", json!("https://op.example.evil.example"))] {
        let token = token(&rig, change);
        refused(&mut rig, &token, "logout_token.issuer");
    }
    let foreign = token(&rig, set("aud", json!("client-2")));
    refused(&mut rig, &foreign, "logout_token.audience");
    for text in ["", "a", "a.b", "a.b.c", ".b.c", "a.b.c.d.e", &"x".repeat(300_000)] {
        refused(&mut rig, text, "logout_token.malformed");
    }
    refused(&mut rig, "a.b.", "logout_token.signature");
    assert_eq!(rig.sent.len(), 0);
}

#[test]
fn a_provider_that_cannot_be_asked_is_no_success() {
    let mut rig = rig();
    let token = token(&rig, |_| {});
    rig.provider.outage = Some(OutboundError::TimedOut);
    for _ in 0..10 {
        let answer = refused(&mut rig, &token, "logout.unverifiable");
        assert_eq!(answer.counts_as, Some(Counted::BadLogoutToken));
        assert!(String::from_utf8(answer.body).unwrap().contains("temporarily_unavailable"));
    }
    assert_eq!(rig.sent.len(), 1, "it is left alone for a moment");
    rig.provider.outage = None;
    rig.now += 5;
    accepted(&mut rig, &token);
}

#[test]
fn a_host_that_forgets_claims_no_success() {
    let mut rig = rig();
    let alice = logged_in(&mut rig, "alice");
    rig.memory = Memory::default();
    let token = token(&rig, |_| {});
    let decision = deliver(&mut rig, &token);
    assert!(decision.ended_sessions.is_empty());
    assert_eq!((response(decision).status, rig.last_event()), (501, "logout.not_remembered"));
    assert!(is_in(&mut rig, &alice));
}

#[test]
fn what_is_no_form_with_one_token_is_refused() {
    let mut rig = rig();
    let token = token(&rig, |_| {});
    assert!(matches!(rig.decide(&post(ROUTE), None).outcome, Outcome::NeedBody(65_536)));
    for form in ["", "logout_token", "token=a", &format!("logout_token={token}&logout_token={token}")] {
        let code = if form == "logout_token" { "logout_token.malformed" } else { "logout.malformed" };
        let answer = response(rig.decide(&post(ROUTE), Some(form.as_bytes())));
        assert_eq!((answer.status, rig.last_event(), answer.counts_as), (400, code, Some(Counted::BadLogoutToken)), "{form}");
    }
    let json = RequestHead { method: "POST".into(), ..RequestHead::get(ROUTE, HOST) }.with("content-type", "application/json");
    assert_eq!((response(rig.decide(&json, None)).status, rig.last_event()), (415, "logout.malformed"));
    for method in ["GET", "PUT", "DELETE"] {
        let head = RequestHead { method: method.into(), ..post(ROUTE) };
        let answer = response(rig.decide(&head, None));
        assert_eq!((answer.status, answer.header("allow"), rig.last_event()), (405, Some("POST"), "request.method_not_allowed"));
    }
    assert_eq!(rig.sent.len(), 0);
    // Nothing may come of a prefetch, and then nothing is claimed.
    let form = format!("logout_token={token}");
    let ahead = rig.decide(&post(ROUTE).with("sec-purpose", "prefetch"), Some(form.as_bytes()));
    assert!(ahead.ended_sessions.is_empty());
    assert_ne!(response(ahead).status, 200);
    // Beside the token, a form may hold anything (section 2.5).
    let decision = rig.decide(&post(ROUTE), Some(format!("a=b&logout_token={token}").as_bytes()));
    assert_eq!(response(decision).status, 200);
}

#[test]
fn the_provider_of_the_file_is_found_by_issuer_and_audience() {
    let base = CONFIG.split("client_id").next().unwrap();
    let provider = |name: &str, client: &str, url: &str| {
        format!("[auth.{name}]\nclient_id = \"{client}\"\nclient_secret = \"a~secret/of the client\"\nserver_metadata_url = \"{url}\"\n")
    };
    let ours = "https://op.example/.well-known/openid-configuration";
    let toml = format!(
        "{base}{}{}{}",
        provider("elsewhere", "client-1", "https://other.example/.well-known/openid-configuration"),
        provider("first", "client-0", ours),
        provider("second", "client-1", ours)
    );
    let mut rig = Rig::new(&toml);
    rig.memory = Memory::of_everything();
    let token = token(&rig, |_| {});
    let decision = deliver(&mut rig, &token);
    assert_eq!(decision.events.last().unwrap().provider.as_deref(), Some("second"));
    assert_eq!((response(decision).status, rig.sent.len()), (200, 2), "the others are not asked");
}

/// One of two clients of the provider does not trust the other as an audience.
#[test]
fn a_token_for_two_clients_of_the_file_counts_whichever_is_first() {
    let base = CONFIG.split("client_id").next().unwrap();
    let provider = |name: &str, client: &str| {
        let url = "https://op.example/.well-known/openid-configuration";
        format!("[auth.{name}]\nclient_id = \"{client}\"\nclient_secret = \"a~secret/of the client\"\nserver_metadata_url = \"{url}\"\n")
    };
    for trusting in ["one", "two"] {
        let more = format!("[vestibule.provider.{trusting}]\naudiences = [\"client-1\", \"client-2\"]\n");
        let mut rig = Rig::new(&format!("{base}{}{}{more}", provider("one", "client-1"), provider("two", "client-2")));
        rig.memory = Memory::of_everything();
        let token = token(&rig, set("aud", json!(["client-1", "client-2"])));
        accepted(&mut rig, &token);
    }
}

#[test]
fn a_tenant_of_entra_logs_out_its_own_users_only() {
    let (tenant, other) = ("9188040d-6c67-4c5b-b112-36a304b66dad", "72f988bf-86f1-41af-91ab-2d7cd011db47");
    let toml = CONFIG.replace("https://op.example/", "https://login.microsoftonline.com/organizations/v2.0/");
    let mut rig = Rig::new(&toml);
    rig.memory = Memory::of_everything();
    rig.provider = rig::Provider::new("https://login.microsoftonline.com/{tenantid}/v2.0");
    rig.provider.metadata_url = "https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration".to_owned();
    rig.provider.edit_metadata = Some(Box::new(|metadata| {
        for (name, value) in metadata.as_object_mut().unwrap() {
            if name != "issuer" && value.is_string() {
                *value = json!(value.as_str().unwrap().replace("{tenantid}", "organizations"));
            }
        }
    }));
    let issuer = |tenant: &str| json!(format!("https://login.microsoftonline.com/{tenant}/v2.0"));
    for (iss, tid, code) in [
        (tenant, Some(other), Some("logout_token.issuer")),
        ("{tenantid}", None, Some("logout_token.issuer")),
        (tenant, Some(tenant), None),
        (tenant, None, None),
    ] {
        let token = token(&rig, |claims| {
            claims["iss"] = issuer(iss);
            claims["jti"] = json!(format!("{tid:?}"));
            if let Some(tid) = tid {
                claims["tid"] = json!(tid);
            }
        });
        match code {
            Some(code) => drop(refused(&mut rig, &token, code)),
            None => accepted(&mut rig, &token),
        }
    }
}

#[test]
fn people_are_named_only_where_that_is_wanted() {
    for (more, subject) in [("", None), ("subject = true\n", Some("alice"))] {
        let audit = format!("[vestibule.log]\naudit = \"log\"\n{more}");
        let mut rig = rig_with(&audit, None);
        let token = token(&rig, |_| {});
        let decision = deliver(&mut rig, &token);
        let audited = decision.audited.expect("a line of the audit");
        assert_eq!((audited.event.as_str(), audited.person.provider.as_deref()), ("logout", Some("default")));
        assert_eq!(audited.person.subject.as_deref(), subject);
        let event = decision.events.last().unwrap();
        assert_eq!((event.code.as_str(), event.subject.as_deref()), ("logout.by_provider", subject));
        assert!(!event.message.contains("alice"));
    }
}

/// What a claim must be, and the code of anything else. `None`: it need not be there.
const CLAIMS: [(&str, &str, bool); 10] = [
    ("iss", "logout_token.issuer", true),
    ("aud", "logout_token.audience", true),
    ("iat", "logout_token.issued_at", true),
    ("exp", "logout_token.expired", false),
    ("nbf", "logout_token.not_before", false),
    ("jti", "logout_token.id", true),
    ("events", "logout_token.events", true),
    ("sub", "logout_token.subject", true),
    ("sid", "logout_token.subject", false),
    ("nonce", "logout_token.nonce", false),
];

/// No value of any claim that is looked at.
fn wrong() -> impl Strategy<Value = Value> {
    select(vec![
        Value::Null,
        json!(true),
        json!([]),
        json!([null]),
        json!([1, "client-1x"]),
        json!({}),
        json!({ "a": {} }),
        json!(""),
        json!("  "),
        json!(-1),
        json!(1e300),
        json!({ EVENT: [] }),
        json!([{ EVENT: {} }]),
    ])
}

proptest! {
    #[test]
    fn a_claim_that_is_missing_or_of_another_kind_ends_nothing(claim in select(CLAIMS.to_vec()), value in prop::option::of(wrong())) {
        let (name, code, is_needed) = claim;
        // A subject is any text that is not empty: this one is somebody else's.
        prop_assume!(name != "sub" || value.as_ref().and_then(Value::as_str).is_none_or(str::is_empty));
        let mut rig = rig();
        let alice = logged_in(&mut rig, "alice");
        let token = token(&rig, |claims| match &value {
            Some(value) => claims[name] = value.clone(),
            None => without(name)(claims),
        });
        if value.is_some() || is_needed {
            refused(&mut rig, &token, code);
            prop_assert!(is_in(&mut rig, &alice));
        } else {
            accepted(&mut rig, &token);
            prop_assert!(!is_in(&mut rig, &alice));
        }
    }

    #[test]
    fn any_byte_that_is_changed_makes_it_nobodys(place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut rig = rig();
        let alice = logged_in(&mut rig, "alice");
        let mut bytes = token(&rig, |_| {}).into_bytes();
        let place = place.index(bytes.len());
        // The last character of a part has bits that mean nothing.
        prop_assume!(bytes[place] != byte && byte.is_ascii_graphic());
        bytes[place] = byte;
        let changed = String::from_utf8(bytes).unwrap();
        let decision = deliver(&mut rig, &changed);
        prop_assert!(decision.ended_sessions.is_empty(), "{changed}");
        prop_assert_eq!(response(decision).status, 400);
        prop_assert!(is_in(&mut rig, &alice));
    }
}
