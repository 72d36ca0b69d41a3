//! Sealed cookies: what opens was sealed for that purpose, byte for byte, and what was sealed is believed no further
//! than it says.

use std::sync::LazyLock;

use serde_json::Value;
use vestibule::decision::{Decision, Outcome};
use vestibule::entropy::Fixed;
use vestibule::filter::{Filter, Step};
use vestibule::secret::Secret;
use vestibule::session::{KeyRing, Opened, Purpose};

use super::site::{self, CLIENT_ID, COOKIE_SECRET, ISSUER, NOW};
use super::visitor::{self, Cookies};

const PURPOSES: [Purpose; Purpose::ALL.len()] = Purpose::ALL;

const DAY: f64 = 24.0 * 60.0 * 60.0;

struct Site {
    filter: Filter,
    keys: KeyRing,
    session: String,
    tokens: String,
    attempt: String,
    /// What the attempt's name ends with, and its `state` begins with.
    attempt_id: String,
    state: String,
    /// What is sealed in the attempt and in the `state`.
    attempt_content: Vec<u8>,
    way_back_content: Vec<u8>,
}

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let filter = site::filter("");
    let keys = KeyRing::derive(&[Secret::new(COOKIE_SECRET)], filter.config().public.redirect_uri().as_str());
    let mut names: Cookies = visitor::log_in(&filter, "/auth/login");
    let started = visitor::start(&filter, "/auth/login?return_to=%2Fpage%3Fx%3D1");
    names.extend(started.cookies);
    let name = |part: &str| names.keys().find(|name| name.contains(part)).cloned().expect("a cookie");
    let attempt = name("_login_");
    let attempt_id = attempt.split('_').skip(3).collect::<Vec<_>>().join("_");
    let content = |purpose: Purpose, sealed: &str| keys.open(purpose, sealed).expect("it opens").plaintext;
    let attempt_content = content(Purpose::LoginAttempt, &names[&attempt]);
    let way_back_content = content(Purpose::WayBack, started.state.splitn(3, '.').nth(2).expect("a way back"));
    let (session, tokens, state) = (name("_session_"), name("_tokens_"), started.state);
    Site { session, tokens, attempt, attempt_id, state, attempt_content, way_back_content, filter, keys }
});

/// The first byte of `data` says what the rest is: a text that nobody has sealed, changes of one that was sealed, or
/// what is sealed.
pub fn run(data: &[u8]) {
    match data {
        [0, text @ ..] => never_sealed(text),
        [1, purpose, count, rest @ ..] => changed(PURPOSES[usize::from(*purpose) % PURPOSES.len()], usize::from(*count) % 8, rest),
        [2, content @ ..] => session(content),
        [3, changes @ ..] => attempt(changes),
        [4, changes @ ..] => way_back(changes),
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
        let opened = SITE.keys.open(other, &text).map(|Opened { plaintext, .. }| plaintext);
        assert_eq!(opened, (text == sealed && other == purpose).then(|| content.to_vec()));
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

/// Three bytes for each change, two for the place and one for the bits; places beyond the end make it longer.
fn with_changes(content: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut content = content.to_vec();
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]])) % (2 * content.len());
        match content.get_mut(at) {
            Some(byte) => *byte ^= change[2],
            None => content.push(change[2]),
        }
    }
    content
}

/// An attempt with other content, sealed with the right key, as an older or a newer release might have done.
fn attempt(changes: &[u8]) {
    let sealed = SITE.keys.seal(Purpose::LoginAttempt, &with_changes(&SITE.attempt_content, changes), &mut Fixed::default());
    let cookies = Cookies::from([(SITE.attempt.clone(), sealed)]);
    for state in [SITE.state.as_str(), SITE.attempt_id.as_str()] {
        match site::begin(&SITE.filter, &visitor::head(&visitor::callback(state), &cookies), None) {
            Step::Look(..) => panic!("the claim is granted"),
            Step::Fetch(request, _) => assert!(state == SITE.state && matches!(request.url.scheme(), "https" | "http")),
            Step::Done(decision) => assert!(matches!(decision.outcome, Outcome::Respond(_)), "{decision:?}"),
        }
    }
    // The next login tidies up.
    let _ = site::begin(&SITE.filter, &visitor::head("/auth/login", &cookies), None);
}

/// A way back with other content: it leads nowhere but to a page of the public origin.
fn way_back(changes: &[u8]) {
    let sealed = SITE.keys.seal(Purpose::WayBack, &with_changes(&SITE.way_back_content, changes), &mut Fixed::default());
    let proof: Vec<_> = SITE.state.split('.').take(2).collect();
    let callback = visitor::callback(&format!("{}.{sealed}", proof.join(".")));
    let response = site::response(site::begin(&SITE.filter, &visitor::head(&callback, &Cookies::new()), None)).expect("an answer");
    assert_eq!(response.status, 400);
    let page = String::from_utf8(response.body).expect("text");
    for (at, _) in page.match_indices("return_to=") {
        assert!(page[at..].starts_with("return_to=%2F") && !page[at..].starts_with("return_to=%2F%2F"), "{page}");
    }
}
