//! A login attempt is used once, also with a copy of its cookie, where the host keeps claims.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

mod rig;

use proptest::prelude::*;
use rig::{Browser, CONFIG, Rig, Seen, query};
use vestibule::web::http::RequestHead;

/// A browser with a login on its way, a copy of it, and the callback.
fn on_the_way(rig: &mut Rig) -> (Browser, Browser, String) {
    let mut browser = Browser::default();
    let location = browser.start(rig, "/reports");
    let callback = rig.provider.authorize(&location, "alice");
    (browser.clone(), browser, callback)
}

fn is_logged_in(browser: &mut Browser, rig: &mut Rig) -> bool {
    matches!(browser.visit(rig, "/reports"), Seen::Forwarded(_))
}

#[test]
fn the_same_callback_with_a_copy_of_the_cookie_is_refused_and_asks_nobody() {
    let mut rig = Rig::new(CONFIG);
    let (mut browser, mut copy, callback) = on_the_way(&mut rig);
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 302);
    let sent = rig.sent.len();
    let refusal = copy.visit(&mut rig, &callback).response();
    assert_eq!((refusal.status, rig.last_event()), (400, "callback.used"));
    assert_eq!(rig.sent.len(), sent, "nothing goes to the provider");
    let page = String::from_utf8(refusal.body).unwrap();
    assert!(page.contains("This login was already used") && page.contains("return_to=%2Freports"), "{page}");
    assert!(!copy.cookies.keys().any(|name| name.contains("session")), "{:?}", copy.cookies.keys());
    assert!(is_logged_in(&mut browser, &mut rig) && !is_logged_in(&mut copy, &mut rig));
}

/// Another code, which the provider would take, makes no difference: it is the attempt that is used.
#[test]
fn another_code_for_a_used_attempt_is_refused() {
    let mut rig = Rig::new(CONFIG);
    let mut browser = Browser::default();
    let location = browser.start(&mut rig, "/");
    let mut copy = browser.clone();
    let (first, second) = (rig.provider.authorize(&location, "alice"), rig.provider.authorize(&location, "mallory"));
    assert_ne!(first, second);
    browser.visit(&mut rig, &first);
    copy.visit(&mut rig, &second);
    assert_eq!((rig.last_event(), rig.asked("/token")), ("callback.used", 1));
}

#[test]
fn a_form_is_claimed_when_it_comes_as_a_visit() {
    let mut rig = Rig::new(CONFIG);
    let (browser, mut copy, callback) = on_the_way(&mut rig);
    let form = callback.split_once('?').unwrap().1.to_owned();
    let post = RequestHead { method: "POST".into(), ..browser.head("/oauth2callback") };
    let post = post.with("content-type", "application/x-www-form-urlencoded");
    rig.decide(&post, Some(form.as_bytes()));
    assert!(rig.store.claims.is_empty(), "the attempt is not used yet");
    assert_eq!(copy.visit(&mut rig, &callback).response().status, 302);
    assert_eq!(rig.store.claims.len(), 1);
}

/// What is no answer of the provider to this login does not use it up.
#[test]
fn nothing_is_claimed_before_state_and_issuer_match() {
    let mut rig = Rig::new(CONFIG);
    let (mut browser, copy, callback) = on_the_way(&mut rig);
    let head = RequestHead { method: "HEAD".into(), ..browser.head(&callback) };
    rig.decide(&head, None);
    for other in
        [callback.replace("state=", "state=x"), callback.replace("op.example", "evil.example"), "/oauth2callback?code=1".to_owned()]
    {
        copy.clone().visit(&mut rig, &other);
    }
    let refused = callback.split("code=").next().unwrap().to_owned() + "error=access_denied&" + callback.split_once('&').unwrap().1;
    copy.clone().visit(&mut rig, &refused);
    assert_eq!(rig.last_event(), "callback.access_denied");
    assert!(rig.store.claims.is_empty(), "{:?}", rig.store.claims);
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 302);
    assert_eq!(rig.store.claims.len(), 1);
}

/// A person who visits it again is taken in, as by any other used callback.
#[test]
fn a_used_callback_of_a_person_who_has_logged_in_leads_to_their_page() {
    let mut rig = Rig::new(CONFIG);
    let (mut browser, copy, callback) = on_the_way(&mut rig);
    rig.now += 10;
    browser.visit(&mut rig, &callback);
    browser.cookies.extend(copy.cookies);
    let again = browser.visit(&mut rig, &callback).response();
    assert_eq!((again.header("location"), rig.last_event()), (Some("/reports"), "callback.already_logged_in"));
    assert_eq!(rig.asked("/token"), 1);
}

#[test]
fn a_store_that_is_out_of_reach_keeps_nobody_out() {
    let mut rig = Rig::new(CONFIG);
    rig.store.is_out_of_reach = true;
    let (mut browser, mut copy, callback) = on_the_way(&mut rig);
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 302);
    assert!(is_logged_in(&mut browser, &mut rig));
    // Then it is the provider that takes a code once.
    copy.visit(&mut rig, &callback);
    assert_eq!((rig.last_event(), rig.asked("/token")), ("token.refused", 2));
}

/// All nodes have the same secret, and one store.
#[test]
fn of_two_nodes_one_logs_in() {
    let (mut one, mut two) = (Rig::new(CONFIG), Rig::new(CONFIG));
    let (mut browser, mut copy, callback) = on_the_way(&mut one);
    assert_eq!(browser.visit(&mut one, &callback).response().status, 302);
    two.store = one.store.clone();
    copy.visit(&mut two, &callback);
    assert_eq!((two.last_event(), two.sent.len()), ("callback.used", 0));
}

/// A name is the same for every copy, another for every attempt, shows nothing of what it is of, and outlasts the attempt.
#[test]
fn a_claim_is_of_one_attempt_and_lasts_as_long() {
    let mut rig = Rig::new(CONFIG);
    rig.store.grants_all = true;
    let (mut browser, mut copy, callback) = on_the_way(&mut rig);
    let state = query(&format!("https://app.example{callback}").parse().unwrap())["state"].clone();
    let began_at = rig.now;
    browser.visit(&mut rig, &callback);
    rig.now += 29 * 60;
    copy.visit(&mut rig, &callback);
    let (mut other, _, callback) = on_the_way(&mut rig);
    other.visit(&mut rig, &callback);
    let [first, second, third] = rig.store.claims.as_slice() else { panic!("{:?}", rig.store.claims) };
    assert_eq!(first, second);
    assert_ne!(first.name, third.name);
    assert_ne!(first.name, [0; 16]);
    assert_eq!(first.until.as_secs(), began_at + 30 * 60 + 120);
    let shown = format!("{first:?}");
    assert!(!state.contains(shown.split('"').nth(1).unwrap()), "{shown} is a part of {state}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whoever comes first, from whatever copies, in whatever order of logins: each attempt asks the token endpoint once.
    #[test]
    fn each_attempt_redeems_one_code(order in proptest::collection::vec((0_usize..4, 0_u64..600), 1..24)) {
        let mut rig = Rig::new(CONFIG);
        let logins: Vec<_> = (0..4).map(|_| on_the_way(&mut rig)).collect();
        let mut used = [false; 4];
        for (login, seconds) in order {
            let is_over = rig.now >= 1_700_000_000 + 30 * 60;
            let (_, copy, callback) = &logins[login];
            let response = copy.clone().visit(&mut rig, callback).response();
            let expected = if is_over { (400, "callback.unknown_state") } else if used[login] { (400, "callback.used") } else { (302, "login.succeeded") };
            prop_assert_eq!((response.status, rig.last_event()), expected);
            used[login] |= !is_over;
            rig.now += seconds;
        }
        prop_assert_eq!(rig.asked("/token"), used.iter().filter(|used| **used).count());
    }
}
