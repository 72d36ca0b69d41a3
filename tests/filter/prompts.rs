//! A `prompt` that the provider does not know: Streamlit's own is left out, once, whatever the provider calls the fault; one that
//! is configured is named in the log.

use url::Url;

use crate::rig::{self, Browser, CONFIG, Rig, query};

const STREAMLIT: &str = "[vestibule]\napp = \"streamlit\"\nlogin = \"required\"\n";

/// What providers answer to `prompt=select_account`, by their sources and reports of their users: oidc-provider and Logto,
/// Clerk, Pocket ID before and after 2.6, WSO2, atproto, Hydra; and spellings that others could have.
const REFUSALS: [&str; 14] = [
    "error=invalid_request&error_description=unsupported+prompt+value+requested",
    "error=invalid_request&error_description=The+request+includes+an+invalid+parameter+value%3A+prompt+%5Bselect_account%5D",
    "error=interaction_required",
    "error=unmet_authentication_requirements",
    "error=login_required",
    "error=account_selection_required",
    "error=invalid_request&error_description=Used+unknown+value+%27%5Bselect_account%5D%27+for+prompt+parameter",
    "error=invalid_request",
    "error=invalid_prompt",
    "error=unsupported_prompt",
    "error=unsupported_prompt_value&error_description=x",
    "error=server_error&error_description=Unknown+PROMPT",
    "error=invalid_parameter&error_description=no",
    "error=invalid_scope&error_description=select_account+is+not+supported",
];

/// The callback that answers the authorization request at `location`.
fn refusal(location: &Url, refusal: &str, has_state: bool) -> String {
    let state = if has_state { format!("&state={}", query(location)["state"]) } else { String::new() };
    format!("/oauth2callback?{refusal}{state}&iss=https%3A%2F%2Fop.example")
}

fn attempts(browser: &Browser) -> usize {
    browser.cookies.keys().filter(|name| name.contains("vestibule_login")).count()
}

#[test]
fn every_spelling_of_not_knowing_select_account_leads_to_one_login_without_it() {
    for spelling in REFUSALS {
        for has_state in [true, false] {
            let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}{STREAMLIT}")), Browser::default());
            let first = browser.start(&mut rig, "/auth/login?return_to=%2Freports");
            assert_eq!(query(&first)["prompt"], "select_account");
            let second = browser.start(&mut rig, &refusal(&first, spelling, has_state));
            assert_eq!(query(&second).get("prompt"), None, "{spelling} {has_state}");
            assert!(rig.events.iter().any(|code| code == "login.without_prompt"), "{spelling}");
            let mut other = browser.clone();
            let callback = rig.provider.authorize(&second, "alice");
            let response = other.visit(&mut rig, &callback).response();
            assert_eq!((response.status, response.header("location")), (302, Some("/reports")), "{spelling} {has_state}");
            // Once: the same answer again is the end of it.
            let page = browser.visit(&mut rig, &refusal(&second, spelling, has_state)).response();
            assert!(page.status >= 400, "{spelling} {has_state}");
            assert!(String::from_utf8_lossy(&page.body).contains("return_to=%2Freports"), "{spelling} {has_state}");
            assert_eq!(rig.events.iter().filter(|code| *code == "login.without_prompt").count(), 1, "{spelling} {has_state}");
            // The next login is one of its own.
            let third = browser.start(&mut rig, "/auth/login?return_to=%2Freports");
            assert_eq!(query(&third)["prompt"], "select_account");
            assert_eq!(
                query(&browser.start(&mut rig, &refusal(&third, spelling, has_state))).get("prompt"),
                None,
                "{spelling} {has_state}"
            );
        }
    }
}

#[test]
fn what_is_not_about_the_prompt_is_no_reason_to_start_again() {
    for other in [
        "error=access_denied",
        "error=access_denied&error_description=the+user+closed+the+prompt",
        "error=user_cancelled&error_description=prompt",
        "error=invalid_scope",
        "error=unauthorized_client",
        "error=temporarily_unavailable",
        "error=consent_required",
        "error=unsupported_response_type",
    ] {
        for has_state in [true, false] {
            let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}{STREAMLIT}")), Browser::default());
            let first = browser.start(&mut rig, "/auth/login");
            let page = browser.visit(&mut rig, &refusal(&first, other, has_state)).response();
            assert!(page.status >= 400, "{other}");
            assert!(!rig.events.iter().any(|code| code == "login.without_prompt"), "{other}");
        }
    }
    // Nobody's login is started by an answer to none.
    let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}{STREAMLIT}")), Browser::default());
    let page = browser.visit(&mut rig, "/oauth2callback?error=invalid_request&error_description=prompt").response();
    assert_eq!((page.status, attempts(&browser)), (502, 0));
}

/// An answer without `state` does not bring a page along that only `state` has. The user is told, and does not end on another page.
#[test]
fn a_page_that_only_state_has_is_not_lost_without_a_word() {
    // Digits that do not compress.
    let digits = |number: u64| (0..300).scan(number, |x, _| Some(char::from(b'a' + next(x) as u8 % 26))).collect::<String>();
    for (has_state, is_told) in [(true, false), (false, true)] {
        let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}{STREAMLIT}")), Browser::default());
        let page = format!("/{}", digits(7));
        let first = browser.start(&mut rig, &format!("/auth/login?return_to={}", page.replace('/', "%2F")));
        let second = browser.start(&mut rig, &refusal(&first, REFUSALS[0], has_state));
        let callback = rig.provider.authorize(&second, "alice");
        let response = browser.visit(&mut rig, &callback).response();
        assert_eq!(String::from_utf8_lossy(&response.body).contains("too long to be kept"), is_told, "{has_state}");
        assert!(is_told || rig::way_on(&response) == page, "{response:?}");
    }
}

/// Marsaglia's xorshift, of which only the sequence is needed.
fn next(x: &mut u64) -> u64 {
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    *x >> 16
}

/// Of several tabs it is the newest login that the answer is to, and the others go on.
#[test]
fn an_answer_without_state_is_to_the_newest_login() {
    let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}{STREAMLIT}")), Browser::default());
    let older = browser.start(&mut rig, "/auth/login?return_to=%2Folder");
    let newer = browser.start(&mut rig, "/auth/login?return_to=%2Fnewer");
    let again = browser.start(&mut rig, &refusal(&newer, REFUSALS[0], false));
    let callback = rig.provider.authorize(&again, "alice");
    let mut logged_in = browser.clone();
    assert_eq!(logged_in.visit(&mut rig, &callback).response().header("location"), Some("/newer"));
    let page = browser.visit(&mut rig, &refusal(&older, REFUSALS[0], false)).response();
    let body = String::from_utf8(page.body).unwrap();
    assert!(page.status == 502 && body.contains("return_to=%2Folder") && body.contains("return_to=%2Fnewer"), "{body}");
    let callback = rig.provider.authorize(&older, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().header("location"), Some("/older"), "nothing is spent by it");
}

#[test]
fn a_prompt_that_is_configured_is_named_where_the_error_is_about_it() {
    for app in ["", STREAMLIT] {
        for prompt in ["login", "consent", "create", "select_account"] {
            for has_state in [true, false] {
                let config = format!("{CONFIG}client_kwargs = {{ prompt = \"{prompt}\" }}\n{app}");
                let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
                let login = rig.route("/login");
                let location = browser.start(&mut rig, &login);
                assert_eq!(query(&location)["prompt"], prompt);
                let page = browser.visit(&mut rig, &refusal(&location, REFUSALS[0], has_state)).response();
                assert_eq!((page.status, rig.last_event()), (502, "callback.provider_error"));
                let told = format!("the provider does not know prompt={prompt}: set client_kwargs = {{ prompt = \"\" }}");
                assert!(rig.last_message().contains(&told), "{app}: {}", rig.last_message());
            }
        }
    }
    // The request had none.
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let location = browser.start(&mut rig, "/.vestibule/login");
    browser.visit(&mut rig, &refusal(&location, REFUSALS[0], true));
    assert!(!rig.last_message().contains("client_kwargs"), "{}", rig.last_message());
    // Another application's user who wants to choose an account is let in without the choice as well.
    let location = browser.start(&mut rig, "/.vestibule/login?prompt=select_account");
    assert_eq!(query(&location)["prompt"], "select_account");
    assert_eq!(query(&browser.start(&mut rig, &refusal(&location, REFUSALS[0], true))).get("prompt"), None);
}
