//! Sealed cookies: what opens was sealed for that purpose, byte for byte, and what was sealed is believed no further
//! than it says.

use std::sync::LazyLock;

use serde_json::Value;
use vestibule::decision::{Decision, Outcome};
use vestibule::entropy::Fixed;
use vestibule::filter::{Filter, Step};
use vestibule::secret::Secret;
use vestibule::session::{KeyRing, Opened, Purpose, Version};

use super::site::{self, CLIENT_ID, COOKIE_SECRET, ISSUER, NOW};
use super::visitor::{self, Cookies};

const PURPOSES: [Purpose; 3] = [Purpose::Session, Purpose::Tokens, Purpose::LoginAttempt];

const DAY: f64 = 24.0 * 60.0 * 60.0;

struct Site {
    filter: Filter,
    keys: KeyRing,
    session: String,
    tokens: String,
    attempt: String,
    /// What the attempt's name ends with, and its `state` begins with.
    attempt_id: String,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let filter = site::filter("");
    let keys = KeyRing::derive(&[Secret::new(COOKIE_SECRET)], filter.config().public.redirect_uri().as_str());
    let mut names: Cookies = visitor::log_in(&filter, "/auth/login");
    names.extend(visitor::start(&filter, "/auth/login").cookies);
    let name = |part: &str| names.keys().find(|name| name.contains(part)).cloned().expect("a cookie");
    let attempt = name("_login_");
    let attempt_id = attempt.split('_').skip(3).collect::<Vec<_>>().join("_");
    Site { session: name("_session_"), tokens: name("_tokens_"), attempt, attempt_id, filter, keys }
});

/// The first byte of `data` says what the rest is: a text that nobody has sealed, changes of one that was sealed, or
/// what is sealed.
pub fn run(data: &[u8]) {
    match data {
        [0, text @ ..] => never_sealed(text),
        [1, purpose, count, rest @ ..] => changed(PURPOSES[usize::from(*purpose) % 3], usize::from(*count) % 8, rest),
        [2, content @ ..] => session(content),
        [3, content @ ..] => attempt(content),
        _ => {}
    }
}

fn never_sealed(text: &[u8]) {
    let Ok(text) = std::str::from_utf8(text) else { return };
    assert!(PURPOSES.into_iter().all(|purpose| SITE.keys.open(purpose, text).is_none()));
    assert_not_logged_in(text);
}

/// `rest` is three bytes for each change, two for the place and one for the bits; then the content.
fn changed(purpose: Purpose, count: usize, rest: &[u8]) {
    let Some((changes, content)) = rest.split_at_checked(3 * count) else { return };
    let sealed = SITE.keys.seal(purpose, content, &mut Fixed::default());
    let mut bytes = sealed.clone().into_bytes();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % bytes.len();
        bytes[at] ^= change[2];
    }
    let Ok(text) = String::from_utf8(bytes) else { return };
    for other in PURPOSES {
        let expected = (text == sealed && other == purpose).then(|| Opened { version: Version::Two, plaintext: content.to_vec() });
        assert_eq!(SITE.keys.open(other, &text), expected);
    }
    if text != sealed {
        assert_not_logged_in(&text);
    }
}

fn assert_not_logged_in(sealed: &str) {
    let cookies = Cookies::from([(SITE.session.clone(), format!("1~{sealed}")), (SITE.attempt.clone(), sealed.to_owned())]);
    let step = site::begin(&SITE.filter, &visitor::head("/app", &cookies), None);
    assert!(!matches!(step, Step::Done(Decision { outcome: Outcome::Forward(_), .. })), "a session of nothing");
    let callback = visitor::callback(&format!("{}.x", SITE.attempt_id));
    let response = site::response(site::begin(&SITE.filter, &visitor::head(&callback, &cookies), None)).expect("an answer");
    assert_eq!(response.status, 400, "an attempt of nothing");
}

/// Sealed with the right key, as an older or a newer release might have done.
fn session(content: &[u8]) {
    let sealed = SITE.keys.seal(Purpose::Session, content, &mut Fixed::default());
    let cookies = Cookies::from([(SITE.session.clone(), format!("1~{sealed}")), (SITE.tokens.clone(), format!("1~{sealed}"))]);
    if let Step::Done(Decision { outcome: Outcome::Forward(forward), .. }) =
        site::begin(&SITE.filter, &visitor::head("/app", &cookies), None)
    {
        // Of our own making: nobody looks into unknown members, and serde takes an array of the values for the object.
        let said = serde_json::from_slice::<Value>(content).unwrap_or_default();
        if !said.is_object() {
            return;
        }
        let (now, seconds) = (NOW as f64, |name: &str| said[name].as_f64().expect("a time"));
        assert!(said["p"] == "default" && said["c"] == CLIENT_ID);
        assert!(seconds("e") > now && seconds("t") + 30.0 * DAY > now && seconds("t") <= now + 120.0);
        let issuer = said["u"]["iss"].as_str().expect("an issuer");
        assert_eq!(issuer.strip_suffix('/').unwrap_or(issuer), ISSUER);
        assert!(forward.expires_at.is_some());
    }
    // Whatever else it may do there.
    for page in ["/auth/user", "/auth/logout", "/oauth2callback"] {
        let _ = site::begin(&SITE.filter, &visitor::head(page, &cookies), None);
    }
}

/// In `content`, the control character 1 stands for the attempt's id.
fn attempt(content: &[u8]) {
    let id = SITE.attempt_id.as_str();
    let content: Vec<u8> = content.iter().flat_map(|&byte| if byte == 1 { id.as_bytes().to_vec() } else { vec![byte] }).collect();
    let sealed = SITE.keys.seal(Purpose::LoginAttempt, &content, &mut Fixed::default());
    let said = serde_json::from_slice::<Value>(&content).unwrap_or_default();
    let state = said["s"].as_str().unwrap_or("none").to_owned();
    let callback = visitor::callback(&url::form_urlencoded::byte_serialize(state.as_bytes()).collect::<String>());
    let cookies = Cookies::from([(SITE.attempt.clone(), sealed)]);
    match site::begin(&SITE.filter, &visitor::head(&callback, &cookies), None) {
        Step::Fetch(request, _) => {
            assert_eq!(state.split('.').next(), Some(id));
            assert_eq!(said["m"]["t"].as_str().and_then(|text| url::Url::parse(text).ok()), Some(request.url));
            let issuer = said["m"]["i"].as_str().expect("an issuer");
            assert!(said["p"] == "default" && said["c"] == CLIENT_ID && issuer.strip_suffix('/').unwrap_or(issuer) == ISSUER);
            let started = said["t"].as_f64().expect("a time");
            assert!(started + 30.0 * 60.0 > NOW as f64 && started <= NOW as f64 + 120.0);
        }
        Step::Done(decision) => assert!(matches!(decision.outcome, Outcome::Respond(_)), "{decision:?}"),
    }
    // The next login tidies up.
    let _ = site::begin(&SITE.filter, &visitor::head("/auth/login", &cookies), None);
}
