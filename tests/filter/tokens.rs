//! Tokens that are kept for the application and for the logout: they come back as the provider issued them, to their own
//! session and to no other.

use std::cell::RefCell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value, json};

use crate::rig::{Browser, CONFIG, Rig, SigningKey};

const EXPOSED: &str = "expose_tokens = [\"id\", \"access\"]\nclient_secret";
const IDLE: &str = "\n[vestibule.session]\nidle_timeout = \"4h\"\n";

/// How a provider writes the payload of an ID token.
type Written = fn(&Map<String, Value>) -> String;

const WAYS: [Written; 5] = [
    |claims| serde_json::to_string(claims).unwrap(),
    |claims| serde_json::to_string_pretty(claims).unwrap(),
    // From the last member to the first.
    |claims| format!("{{{}}}", claims.iter().rev().map(|(name, value)| format!("\"{name}\":{value}")).collect::<Vec<_>>().join(",")),
    // Escapes that nothing asks for, and numbers that are spelt otherwise.
    |claims| serde_json::to_string(claims).unwrap().replace("Alice", "\\u0041lice").replace('/', "\\/").replace("1.5", "15e-1"),
    |claims| format!(" {}\r\n", serde_json::to_string(claims).unwrap()),
];

/// A provider that writes ID tokens in that way; the last of them is told.
fn rig(toml: &str, written: Written) -> (Rig, Rc<RefCell<String>>) {
    let (mut rig, issued) = (Rig::new(toml), Rc::new(RefCell::new(String::new())));
    let (last, key) = (Rc::clone(&issued), SigningKey::ed25519(7));
    rig.provider.edit_claims = Some(Box::new(|claims| {
        let groups: Vec<_> = (0..30).map(|group| format!("8f0a1d5c-7b3e-4f2a-8c6d-{group:012x}")).collect();
        claims.insert("groups".to_owned(), groups.into());
        claims.insert("level".to_owned(), json!(1.5));
        claims.insert("address".to_owned(), json!({ "locality": "Köln", "country": null }));
    }));
    rig.provider.edit_token = Some(Box::new(move |token| {
        let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Map<String, Value> = serde_json::from_slice(&payload).unwrap();
        let header = r#"{ "kid":"key-1","alg":"EdDSA" }"#;
        let signed = [header, written(&claims).as_str()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
        *token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(key.sign(signed.as_bytes())));
        last.replace(token.clone());
    }));
    (rig, issued)
}

/// The ID token with which the browser would log out at the provider.
fn id_token(rig: &mut Rig, browser: &Browser) -> Option<String> {
    let answer = browser.clone().visit(rig, "/.vestibule/logout").response();
    let location = url::Url::parse(answer.header("location").unwrap()).unwrap();
    location.query_pairs().find(|(name, _)| name == "id_token_hint").map(|(_, value)| value.into_owned())
}

fn access_token(rig: &mut Rig, browser: &mut Browser) -> Option<String> {
    let forward = browser.visit(rig, "/").forward();
    let (_, value) = forward.set_headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-access-token"))?;
    Some(String::from_utf8(value.to_vec()).unwrap())
}

#[test]
fn an_id_token_comes_back_byte_for_byte_however_its_provider_writes_it() {
    let exposed = CONFIG.replace("client_secret", EXPOSED);
    let userinfo = format!("{IDLE}[vestibule.provider.default]\nuserinfo = true\n");
    for written in WAYS {
        for more in [IDLE, &userinfo] {
            let (mut rig, issued) = rig(&format!("{exposed}{more}"), written);
            let mut browser = Browser::default();
            assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 302, "{}", rig.last_message());
            assert_eq!(id_token(&mut rig, &browser).unwrap(), *issued.borrow());
            // The session is sealed anew, its tokens are not.
            let tokens = |browser: &Browser| browser.cookies.iter().find(|(name, _)| name.contains("tokens")).unwrap().1.clone();
            let sealed = tokens(&browser);
            rig.now += 3600;
            assert_eq!(browser.visit(&mut rig, "/").forward().response_headers.len(), 1);
            assert_eq!(tokens(&browser), sealed);
            assert_eq!(id_token(&mut rig, &browser).unwrap(), *issued.borrow());
            assert_eq!(access_token(&mut rig, &mut browser).as_deref(), Some("access-token-1"));
        }
    }
}

/// Claims that decisions ask for lie in another place of the session than the others.
#[test]
fn an_id_token_comes_back_when_the_rules_have_changed_and_the_session_is_renewed() {
    let exposed = CONFIG.replace("client_secret", EXPOSED);
    let rules = "[[vestibule.rule]]\npath = \"/**\"\nrequire = { claim = { \"/address/locality\" = \"Köln\" } }\n";
    let (mut before, issued) = rig(&format!("{exposed}{IDLE}"), WAYS[0]);
    let (mut after, _) = rig(&format!("{exposed}{IDLE}{rules}"), WAYS[0]);
    let mut browser = Browser::default();
    browser.log_in(&mut before, "/", "alice");
    after.now = before.now + 3600;
    assert_eq!(browser.visit(&mut after, "/").forward().response_headers.len(), 1, "renewed");
    assert_eq!(id_token(&mut after, &browser).unwrap(), *issued.borrow());
    assert_eq!(id_token(&mut before, &browser).unwrap(), *issued.borrow());
}

#[test]
fn tokens_of_one_session_are_those_of_no_other() {
    let (mut rig, _) = rig(&CONFIG.replace("client_secret", EXPOSED), WAYS[0]);
    // The very same person, and somebody else.
    let mut browsers = ["alice", "alice", "robert"].map(|sub| {
        let mut browser = Browser::default();
        browser.log_in(&mut rig, "/", sub);
        browser
    });
    let tokens = browsers.clone().map(|browser| browser.cookies.into_iter().find(|(name, _)| name.contains("tokens")).unwrap());
    for (index, browser) in browsers.iter_mut().enumerate() {
        for (other, (name, value)) in tokens.iter().enumerate() {
            browser.cookies.insert(name.clone(), value.clone());
            assert_eq!(id_token(&mut rig, browser).is_some(), index == other, "{index}, {other}");
            assert_eq!(access_token(&mut rig, browser).is_some(), index == other, "{index}, {other}");
        }
    }
}

#[test]
fn tokens_that_were_changed_are_none() {
    let (mut rig, _) = rig(&CONFIG.replace("client_secret", EXPOSED), WAYS[0]);
    let mut browser = Browser::default();
    browser.log_in(&mut rig, "/", "alice");
    let (name, value) =
        browser.cookies.iter().find(|(name, _)| name.contains("tokens")).map(|(name, value)| (name.clone(), value.clone())).unwrap();
    for at in (0..value.len()).step_by(7) {
        let mut changed = value.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        browser.cookies.insert(name.clone(), String::from_utf8(changed).unwrap());
        assert_eq!(id_token(&mut rig, &browser), None, "{at}");
        assert_eq!(access_token(&mut rig, &mut browser), None, "{at}");
    }
}
