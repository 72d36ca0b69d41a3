//! Key sets of any size, and subjects of any characters.

use std::sync::LazyLock;

use serde_json::{Value, json};

use crate::rig::{Browser, CONFIG, Rig, SigningKey};

/// A login with a token without `kid`, at a provider whose key set `others` makes of the right key.
fn log_in(key: SigningKey, keys: impl Fn(Value) -> Vec<Value> + 'static) -> (u16, Rig) {
    let mut rig = Rig::new(CONFIG);
    (rig.provider.key, rig.provider.kid) = (key, None);
    rig.provider.edit_jwks = Some(Box::new(move |jwks| jwks["keys"] = keys(jwks["keys"][0].clone()).into()));
    let status = Browser::default().log_in(&mut rig, "/", "alice").status;
    (status, rig)
}

/// Keys that no token here is signed with.
fn others(count: usize) -> impl Iterator<Item = Value> {
    static KEYS: LazyLock<Vec<Value>> = LazyLock::new(|| (100..140).map(|seed| SigningKey::ed25519(seed).public_jwk()).collect());
    (0..count).map(|number| {
        let mut key = KEYS[number % KEYS.len()].clone();
        key["kid"] = format!("other-{number}").into();
        key
    })
}

fn with(mut key: Value, members: &Value) -> Value {
    for (name, value) in members.as_object().unwrap() {
        key[name] = value.clone();
    }
    key
}

#[test]
fn a_token_without_kid_finds_its_key_among_hundreds() {
    for (what, unfit) in [
        ("for encryption", json!({ "use": "enc" })),
        ("of another algorithm", json!({ "alg": "RS256" })),
        ("of another curve", json!({ "crv": "X25519" })),
        ("of another kind", json!({ "kty": "EC", "crv": "P-256" })),
        ("that make no signature", json!({ "key_ops": ["encrypt"] })),
        ("that are broken", json!({ "x": "AA" })),
    ] {
        let (status, rig) = log_in(SigningKey::ed25519(7), move |right| others(900).map(|key| with(key, &unfit)).chain([right]).collect());
        assert_eq!(status, 302, "{what}: {}", rig.last_message());
    }
    // All of them fit.
    for place in [0, 65, 126] {
        let (status, rig) = log_in(SigningKey::ed25519(7), move |right| {
            let mut keys: Vec<_> = others(126).collect();
            keys.insert(place, right);
            keys
        });
        assert_eq!(status, 302, "{place}: {}", rig.last_message());
    }
}

#[test]
fn keys_that_say_what_they_are_for_are_tried_first_and_the_number_of_tries_is_bounded() {
    let vague = |count| others(count).map(|key| with(key, &json!({ "use": null })));
    // The rig's key says `alg` and `use`.
    let (status, rig) = log_in(SigningKey::ed25519(7), move |right| vague(300).chain([right]).collect());
    assert_eq!(status, 302, "{}", rig.last_message());
    let (status, rig) =
        log_in(SigningKey::ed25519(7), move |right| vague(300).chain([with(right, &json!({ "use": null, "alg": null }))]).collect());
    assert_eq!((status, rig.last_event()), (502, "id_token.signature"));
    for told in ["128 keys that fit were tried, and 173 were not", "have the provider send `kid`"] {
        assert!(rig.last_message().contains(told), "{}", rig.last_message());
    }
    // Larger keys cost more.
    let (status, rig) = log_in(SigningKey::rsa(), move |right| {
        let large = SigningKey::rsa_8192().public_jwk();
        std::iter::repeat_n(large, 100).chain([with(right, &json!({ "alg": null, "use": null }))]).collect()
    });
    assert_eq!((status, rig.last_event()), (502, "id_token.signature"));
    assert!(rig.last_message().contains("8 keys that fit were tried, and 93 were not"), "{}", rig.last_message());
}

#[test]
fn a_subject_is_any_text_that_is_not_empty() {
    for sub in [" ", "  ", "\t", "\u{a0}", "\u{200b}", "a b", " a ", "a\r\nX-Evil: 1", "\0", "\u{7f}", "a,b", "100%", "\u{1f600}", "|"] {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        rig.provider.edit_claims = Some(Box::new(move |claims| drop(claims.insert("sub".into(), sub.into()))));
        assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 302, "{sub:?}: {}", rig.last_message());
        rig.forget();
        let forward = browser.visit(&mut rig, "/").forward();
        let users: Vec<_> = forward.set_headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-user")).collect();
        let [(_, value)] = users.as_slice() else { panic!("{users:?}") };
        assert!(value.iter().all(|b| matches!(b, b' '..=b'~')) && value.trim_ascii() == *value && !value.is_empty(), "{sub:?} {value:?}");
        let decoded = percent_encoding::percent_decode(value).decode_utf8().unwrap();
        assert_eq!(decoded, sub);
        // The same person is recognised, and can log out.
        assert_eq!(browser.visit(&mut rig, "/.vestibule/logout").response().status, 302, "{sub:?}");
        assert_eq!(browser.visit(&mut rig, "/").response().status, 302, "{sub:?}");
    }
    let mut rig = Rig::new(CONFIG);
    rig.provider.edit_claims = Some(Box::new(|claims| drop(claims.insert("sub".into(), "".into()))));
    assert_eq!(Browser::default().log_in(&mut rig, "/", "alice").status, 502);
    assert_eq!(rig.last_event(), "id_token.subject");
}
