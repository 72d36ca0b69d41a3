//! Sessions that an older Vestibule has sealed (versions 1 and 2 of the envelope), with their tokens: they go on, and are sealed
//! anew in the newer form.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hkdf::Hkdf;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use vestibule::decision::Forward;

use crate::rig::{Browser, CONFIG, Rig, Seen};

const SECRET: &str = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5";
const REDIRECT_URI: &str = "https://app.example/oauth2callback";

/// Of the rig.
const NOW: u64 = 1_700_000_000;

/// As version 1 was written: the purpose alone is the associated data.
fn sealed_as_version_one(purpose: &str, plaintext: &str) -> String {
    let derived = |label: &str, length: usize| {
        let mut output = vec![0; length];
        let info = [b"vestibule/1/", label.as_bytes(), b"/", REDIRECT_URI.as_bytes()];
        Hkdf::<Sha256>::new(None, SECRET.as_bytes()).expand_multi_info(&info, &mut output).unwrap();
        output
    };
    let key: [u8; 32] = derived(purpose, 32).try_into().unwrap();
    let nonce = [7; 24];
    let payload = Payload { msg: plaintext.as_bytes(), aad: purpose.as_bytes() };
    let ciphertext = XChaCha20Poly1305::new(&key.into()).encrypt(&XNonce::from(nonce), payload).unwrap();
    format!("1.{}.{}", URL_SAFE_NO_PAD.encode(derived("key-id", 6)), URL_SAFE_NO_PAD.encode([nonce.as_slice(), &ciphertext].concat()))
}

fn session() -> Value {
    let metadata_url = Sha256::digest("https://op.example/.well-known/openid-configuration");
    json!({
        "i": "0123456789abcdefghijkl",
        "p": "default",
        "c": "client-1",
        "t": NOW - 3600,
        "r": NOW - 3700,
        "m": URL_SAFE_NO_PAD.encode(&metadata_url[..9]),
        "e": NOW + 29 * 24 * 3600,
        "s": NOW - 3600,
        "u": { "iss": "https://op.example", "sub": "alice", "groups": ["a", "b"], "level": 3, "nested": { "roles": ["r"] } },
    })
}

/// A browser that was logged in by the older one.
fn browser(content: &Value) -> Browser {
    let mut browser = Browser::default();
    let tag: String = Sha256::digest(REDIRECT_URI).iter().take(3).map(|byte| format!("{byte:02x}")).collect();
    let sealed = sealed_as_version_one("session", &content.to_string());
    browser.cookies.insert(format!("__Host-vestibule_session_{tag}"), format!("1~{sealed}"));
    browser
}

fn forward(rig: &mut Rig, browser: &mut Browser) -> Option<Forward> {
    match browser.visit(rig, "/") {
        Seen::Forwarded(forward) => Some(forward),
        Seen::Answered(_) => None,
    }
}

fn header_of(forward: &Forward, name: &str) -> String {
    let (_, value) = forward.set_headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).unwrap();
    String::from_utf8(value.to_vec()).unwrap()
}

#[test]
fn an_older_session_goes_on_and_is_renewed_in_the_newer_form() {
    let toml = format!("{CONFIG}\n[vestibule.session]\nidle_timeout = \"3h\"\n");
    let (mut rig, mut browser) = (Rig::new(&toml), browser(&session()));
    let older = forward(&mut rig, &mut browser).unwrap();
    assert_eq!((header_of(&older, "x-forwarded-user"), header_of(&older, "x-forwarded-groups")), ("alice".into(), "a,b".into()));
    assert_eq!(older.response_headers.len(), 1, "it is renewed");
    let renewed = browser.cookies.values().next().unwrap();
    assert!(renewed.starts_with("1~3."), "{renewed}");
    let newer = forward(&mut rig, &mut browser).unwrap();
    assert!(newer.response_headers.is_empty());
    assert_eq!(header_of(&newer, "x-forwarded-groups"), "a,b");
    assert_eq!((newer.session, newer.expires_at.is_some()), (older.session, true), "the same session");
    let user: Value = serde_json::from_slice(&browser.visit(&mut rig, "/.vestibule/user").response().body).unwrap();
    let mut expected = session()["u"].clone();
    expected["is_logged_in"] = true.into();
    expected["provider"] = "default".into();
    assert_eq!(user, expected);
}

#[test]
fn an_older_session_without_what_it_takes_to_judge_it_has_ended() {
    let mut rig = Rig::new(CONFIG);
    assert!(forward(&mut rig, &mut browser(&session())).is_some());
    for field in session().as_object().unwrap().keys() {
        let mut without = session();
        without.as_object_mut().unwrap().remove(field);
        assert!(forward(&mut rig, &mut browser(&without)).is_none(), "{field}");
    }
}

/// Cookies of two logins, as the release before version 3 set them: for `client-1`, and for a client whose id is a GUID.
const OF_VERSION_TWO: &str = include_str!("../payloads/sealed_as_version_two.txt");

const CLIENTS: [&str; 2] = ["client-1", "6cb04018-a3f5-46a7-b995-940c78f5aef3"];

/// What the ID token of these logins says.
fn claims_of_version_two(client: &str) -> Value {
    json!({
        "iss": "https://op.example", "sub": "alice", "aud": client, "iat": NOW, "exp": NOW + 300, "sid": "session-1", "level": 3,
        "nonce": "fUckfNZJhmXqo28FLVKXIARxwpiU6ytdAj4PsLZlQuk", "at_hash": "ZDF0ZIrz-CeaQ43lPXZWSsjpu7TSFdVlDejvKcy1OlQ",
        "name": "Alice Example", "email": "alice@example.com", "preferred_username": "alice",
        "groups": ["8f0a1d5c-7b3e-4f2a-8c6d-8e0f1a2b3c4d", "staff"], "roles": ["8f0a1d5c-7b3e-4f2a-8c6d-8e0f1a2b3c4e"],
        "realm_access": { "roles": ["offline_access", "uma_authorization", "offline", "default-roles-offline"] },
    })
}

fn rig_and_browser_of_version_two(index: usize) -> (Rig, Browser) {
    let toml = CONFIG.replace("client-1", CLIENTS[index]).replace("client_secret", "expose_tokens = [\"id\", \"access\"]\nclient_secret");
    let mut browser = Browser::default();
    for cookie in OF_VERSION_TWO.lines().skip(2 * index).take(2) {
        let (name, value) = cookie.split_once(' ').unwrap();
        browser.cookies.insert(format!("__Host-{name}"), value.to_owned());
    }
    (Rig::new(&format!("{toml}\n[vestibule.session]\nidle_timeout = \"3h\"\n")), browser)
}

fn id_token_hint(rig: &mut Rig, browser: &Browser) -> Option<String> {
    let answer = browser.clone().visit(rig, "/.vestibule/logout").response();
    let location = url::Url::parse(answer.header("location").unwrap()).unwrap();
    location.query_pairs().find(|(name, _)| name == "id_token_hint").map(|(_, value)| value.into_owned())
}

#[test]
fn a_session_of_version_two_goes_on_with_its_tokens_and_is_renewed() {
    for (index, client) in CLIENTS.into_iter().enumerate() {
        let (mut rig, mut browser) = rig_and_browser_of_version_two(index);
        let mut user = claims_of_version_two(client);
        let header = json!({ "alg": "EdDSA", "typ": "JWT", "kid": "key-1" });
        let id_token = rig.provider.sign(&header, &user);
        let older = forward(&mut rig, &mut browser).unwrap();
        assert!(older.response_headers.is_empty(), "not due yet");
        rig.now += 3600;
        let renewed = forward(&mut rig, &mut browser).unwrap();
        assert_eq!(renewed.response_headers.len(), 1, "the session alone");
        assert_eq!(renewed.session, older.session);
        let versions: Vec<_> = browser.cookies.values().map(|value| &value[..4]).collect();
        assert_eq!(versions, ["1~3.", "1~2."], "session and tokens");
        for forwarded in [&older, &renewed, &forward(&mut rig, &mut browser).unwrap()] {
            assert_eq!(header_of(forwarded, "x-forwarded-access-token"), "access-token-1");
            assert_eq!(header_of(forwarded, "x-forwarded-groups"), "8f0a1d5c-7b3e-4f2a-8c6d-8e0f1a2b3c4d,staff");
        }
        assert_eq!(id_token_hint(&mut rig, &browser), Some(id_token));
        let told: Value = serde_json::from_slice(&browser.visit(&mut rig, "/.vestibule/user").response().body).unwrap();
        user["is_logged_in"] = true.into();
        user["provider"] = "default".into();
        assert_eq!(told, user);
    }
}

#[test]
fn tokens_of_an_older_session_are_those_of_no_other() {
    let (mut rig, mut browser) = rig_and_browser_of_version_two(0);
    let tokens =
        browser.cookies.iter().find(|(name, _)| name.contains("tokens")).map(|(name, value)| (name.clone(), value.clone())).unwrap();
    assert!(id_token_hint(&mut rig, &browser).is_some());
    let mut newer = Browser::default();
    newer.log_in(&mut rig, "/", "alice");
    assert!(id_token_hint(&mut rig, &newer).is_some());
    // Those of the older session beside the newer one, and the other way round.
    let own = newer.cookies.insert(tokens.0.clone(), tokens.1).unwrap();
    assert_eq!(id_token_hint(&mut rig, &newer), None);
    browser.cookies.insert(tokens.0, own);
    assert_eq!(id_token_hint(&mut rig, &browser), None);
}
