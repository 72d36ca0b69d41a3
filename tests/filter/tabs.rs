//! Several tabs, old pages and long links: every login ends on the page that it was started for.

use proptest::prelude::*;
use url::Url;
use vestibule::session::MAX_PENDING_BYTES;
use vestibule::web::http::Response;

use crate::rig::{self, Browser, CONFIG, Rig};

/// The bytes of the `Cookie` line that login attempts take.
fn pending_bytes(browser: &Browser) -> usize {
    let pending = browser.cookies.iter().filter(|(name, _)| name.contains("vestibule_login_"));
    pending.map(|(name, value)| name.len() + "=".len() + value.len() + "; ".len()).sum()
}

fn text(response: &Response) -> String {
    String::from_utf8_lossy(&response.body).into_owned()
}

/// Goes on in a tab that waits at the provider, until it is on a page of the application: which one.
fn finish(browser: &mut Browser, rig: &mut Rig, at_provider: &Url) -> String {
    let mut callback = rig.provider.authorize(at_provider, "alice");
    for _ in 0..2 {
        let location = rig::way_on(&browser.visit(rig, &callback).response());
        if location.starts_with('/') {
            return location;
        }
        // Once more to the provider, which knows the user by now.
        callback = rig.provider.authorize(&Url::parse(&location).unwrap(), "alice");
    }
    panic!("it goes round in circles");
}

#[test]
fn every_tab_of_a_restored_window_ends_on_its_own_page() {
    for first in 0..12 {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let pages: Vec<_> = (0..12).map(|tab| format!("/reports/{tab}?filter=open&tab={tab}")).collect();
        let tabs: Vec<_> = pages.iter().map(|page| browser.start(&mut rig, page)).collect();
        assert!(pending_bytes(&browser) <= MAX_PENDING_BYTES, "{}", pending_bytes(&browser));
        // Whichever is used first.
        for tab in (0..12).map(|tab| (tab + first) % 12) {
            assert_eq!(finish(&mut browser, &mut rig, &tabs[tab]), pages[tab], "tab {tab}, the first was {first}");
        }
        assert_eq!(pending_bytes(&browser), 0, "none is left: {:?}", browser.cookies.keys());
    }
}

#[test]
fn tabs_that_start_at_the_same_moment_do_not_push_each_other_out() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let before = browser.clone();
    let tabs: Vec<_> = (0..7)
        .map(|tab| {
            // None has seen the cookies of the others.
            let mut alone = before.clone();
            let at_provider = alone.start(&mut rig, &format!("/{tab}"));
            browser.cookies.append(&mut alone.cookies);
            at_provider
        })
        .collect();
    for (tab, at_provider) in tabs.iter().enumerate().rev() {
        assert_eq!(finish(&mut browser, &mut rig, at_provider), format!("/{tab}"));
    }
    assert_eq!(rig.asked("/token"), 7, "each has logged in by itself");
}

#[test]
fn a_login_is_started_again_once_and_only_where_other_tabs_can_have_pushed_it_out() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let first = browser.start(&mut rig, "/first");
    let push_out = |browser: &mut Browser, rig: &mut Rig| {
        (0..20).for_each(|tab| {
            browser.start(rig, &format!("/{tab}"));
        });
    };
    push_out(&mut browser, &mut rig);
    let callback = rig.provider.authorize(&first, "alice");

    // A browser that keeps no cookies, and one that has nothing else on its way.
    for mut other in [Browser::default(), Browser { cookies: [("theme".to_owned(), "dark".to_owned())].into(), ..Browser::default() }] {
        let page = other.visit(&mut rig, &callback).response();
        assert_eq!((page.status, rig.last_event()), (400, "callback.unknown_state"));
        assert!(text(&page).contains("return_to=%2Ffirst"));
    }
    // A refusal is told.
    let refused = callback.replace("code=", "error=server_error&x=");
    let page = browser.clone().visit(&mut rig, &refused).response();
    assert_eq!((page.status, rig.last_event()), (400, "callback.unknown_state"));

    let again = browser.visit(&mut rig, &callback).response();
    let second = Url::parse(again.header("location").unwrap()).unwrap();
    assert_eq!(second.host_str(), Some("op.example"));
    assert!(rig.events.iter().any(|event| event == "login.started_again"));
    assert_eq!(rig.asked("/token"), 0, "the code of a login that is not known is not redeemed");

    push_out(&mut browser, &mut rig);
    let callback = rig.provider.authorize(&second, "alice");
    let page = browser.visit(&mut rig, &callback).response();
    assert_eq!((page.status, rig.last_event()), (400, "callback.unknown_state"), "not round in circles");
    assert!(text(&page).contains("return_to=%2Ffirst"));
}

#[test]
fn a_login_that_would_have_expired_is_not_started_again() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let first = browser.start(&mut rig, "/first");
    rig.now += 30 * 60;
    (0..20).for_each(|tab| {
        browser.start(&mut rig, &format!("/{tab}"));
    });
    let callback = rig.provider.authorize(&first, "alice");
    let page = browser.visit(&mut rig, &callback).response();
    assert_eq!(page.status, 400);
    assert!(text(&page).contains("return_to=%2Ffirst"));
}

#[test]
fn a_provider_that_is_gone_from_the_configuration_is_not_asked_again() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let callback = {
        let first = browser.start(&mut rig, "/first");
        rig.provider.authorize(&first, "alice")
    };
    let mut other = Rig::new(&CONFIG.replace("client-1", "client-2"));
    other.entropy = rig.entropy;
    let mut emptied = Browser::default();
    (0..20).for_each(|tab| {
        emptied.start(&mut other, &format!("/{tab}"));
    });
    let page = emptied.visit(&mut other, &callback).response();
    assert_eq!((page.status, other.last_event()), (400, "callback.unknown_state"));
}

/// Query values that do not compress.
fn noise(bytes: usize) -> String {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[usize::try_from(seed >> 58).unwrap()]
    };
    (0..bytes).map(|_| char::from(next())).collect()
}

#[test]
fn links_that_are_long_are_not_lost() {
    let dashboard = (0..60).map(|row| format!("var-host=web-{row:02}.example.com&from=now-{row}h")).collect::<Vec<_>>().join("&");
    let panel = format!("/d/abc/dash?{dashboard}#panel");
    for page in [panel, format!("/x?token={}", noise(700)), format!("/x?token={}", noise(1500)), format!("/x?{}", "a=1&".repeat(1200))] {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let login =
            format!("/.vestibule/login?{}", url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", &page).finish());
        let at_provider = browser.start(&mut rig, &login);
        assert!(at_provider.as_str().len() < 2000, "{} for {}", at_provider.as_str().len(), page.len());
        assert!(pending_bytes(&browser) <= MAX_PENDING_BYTES);
        assert_eq!(finish(&mut browser, &mut rig, &at_provider), page, "{} bytes", page.len());
    }
}

/// The longest link that does not compress, with the addresses of this provider beside it. docs/cookies.md states 2,300 characters.
const LONGEST: usize = 2300;

#[test]
fn a_link_that_does_not_compress_is_kept_up_to_a_length_and_beyond_it_the_person_is_told() {
    for characters in [800, 1200, 1500, 2000, 2200, LONGEST, 2600, 3000, 4000, 5000, 6000, 7000] {
        let page = format!("/x?{}", noise(characters - 3));
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let at_provider = browser.start(&mut rig, &page);
        assert!(pending_bytes(&browser) <= MAX_PENDING_BYTES, "{characters}");
        let callback = rig.provider.authorize(&at_provider, "alice");
        let end = browser.visit(&mut rig, &callback).response();
        if characters <= LONGEST {
            assert_eq!(rig::way_on(&end), page, "{characters}");
        } else {
            assert!(is_told(&end), "{characters}: {}", text(&end));
        }
        browser.visit(&mut rig, &page).forward();
    }
}

/// There is one place for a long page. Who opens one link after the other loses no tab that is on its way.
#[test]
fn a_long_page_that_follows_another_takes_no_room_from_the_other_tabs() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let tabs = ["/one", "/two", "/three"].map(|page| (page, browser.start(&mut rig, page)));
    for start in ["a", "b", "c"] {
        browser.start(&mut rig, &format!("/{start}?{}", noise(1200)));
        assert!(pending_bytes(&browser) <= MAX_PENDING_BYTES);
        assert_eq!(browser.cookies.keys().filter(|name| name.contains("vestibule_login")).count(), tabs.len() + 1, "{start}");
    }
    for (page, at_provider) in &tabs {
        assert_eq!(finish(&mut browser.clone(), &mut rig, at_provider), *page);
    }
}

/// The links of a choice have no room for the longest addresses, and the page says so.
#[test]
fn a_choice_says_that_the_address_was_too_long() {
    let mut rig = Rig::new(&format!("{CONFIG}{TWO}"));
    for (characters, is_told) in [(6_000, false), (6_144, false), (6_145, true), (7_500, true)] {
        let page = Browser::default().visit(&mut rig, &format!("/x?{}", noise(characters - 3))).response();
        assert_eq!((page.status, text(&page).contains("too long to be kept")), (200, is_told), "{characters}");
    }
}

/// That the address was too long, on a page that goes nowhere by itself.
fn is_told(end: &Response) -> bool {
    let body = text(end);
    end.status == 200 && body.contains("too long to be kept") && !body.contains("http-equiv=\"refresh\"") && body.contains("href=\"/\"")
}

/// None has seen the cookies of the others. Returns where each is at the provider.
fn at_once(rig: &mut Rig, browser: &mut Browser, pages: &[String]) -> Vec<Url> {
    let before = browser.clone();
    let start = |page: &String| {
        let mut alone = before.clone();
        let at_provider = alone.start(rig, page);
        alone.cookies.retain(|name, value| before.cookies.get(name) != Some(value));
        browser.cookies.append(&mut alone.cookies);
        at_provider
    };
    pages.iter().map(start).collect()
}

#[test]
fn forty_tabs_that_start_at_the_same_moment_end_on_their_own_pages_whichever_is_used_first() {
    for first in [0, 1, 7, 8, 20, 31, 32, 39] {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let pages: Vec<_> = (0..40).map(|tab| format!("/reports/{tab}?filter=open&tab={tab}")).collect();
        let tabs = at_once(&mut rig, &mut browser, &pages);
        for tab in (0..40).map(|tab| (tab + first) % 40) {
            assert_eq!(finish(&mut browser, &mut rig, &tabs[tab]), pages[tab], "tab {tab}, the first was {first}");
        }
    }
}

/// Instances that have nothing in common begin anywhere.
#[test]
fn tabs_of_many_instances_end_on_their_own_pages() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let before = browser.clone();
    let mut tabs = vec![];
    for tab in 0..30 {
        rig.forget();
        let mut alone = before.clone();
        tabs.push(alone.start(&mut rig, &format!("/{tab}")));
        browser.cookies.append(&mut alone.cookies);
    }
    for (tab, at_provider) in tabs.iter().enumerate() {
        rig.forget();
        assert_eq!(finish(&mut browser, &mut rig, at_provider), format!("/{tab}"));
    }
}

/// Links of which a browser keeps one: the others are told, or kept, and nobody ends on another one's page.
#[test]
fn long_links_that_start_at_the_same_moment_are_kept_or_told() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let pages: Vec<_> = (0..10).map(|tab| format!("/{tab}?{}", noise(1500))).collect();
    let tabs = at_once(&mut rig, &mut browser, &pages);
    assert!(pending_bytes(&browser) < 3 * 1024);
    let mut kept = 0;
    for (tab, at_provider) in tabs.iter().enumerate() {
        let mut callback = rig.provider.authorize(at_provider, "alice");
        let mut end = browser.visit(&mut rig, &callback).response();
        if let Some(again) = end.header("location").filter(|location| location.starts_with("https://op.example")) {
            callback = rig.provider.authorize(&Url::parse(again).unwrap(), "alice");
            end = browser.visit(&mut rig, &callback).response();
        }
        if is_told(&end) {
            continue;
        }
        assert_eq!(rig::way_on(&end), pages[tab]);
        kept += 1;
    }
    assert_eq!(kept, 1);
}

#[test]
fn an_attempt_of_a_cookie_that_another_one_has_taken_is_not_taken_for_it() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let tabs = at_once(&mut rig, &mut browser, &(0..9).map(|tab| format!("/{tab}")).collect::<Vec<_>>());
    assert_eq!(browser.cookies.len(), 8, "the last has taken the place of the first");
    let [first, last] = [&tabs[0], &tabs[8]].map(|at_provider| rig::query(at_provider)["state"].clone());
    let ((own, secret), (id, _)) = (first.split_once('.').unwrap(), last.split_once('.').unwrap());
    for other in [id, "", "0", "AAAAAAAA", "____", &own[1..], &own.to_uppercase(), &format!("{own}="), &format!("{own}A")] {
        let forged = format!("{other}.{secret}");
        let answer = format!("/oauth2callback?code=x&iss=https%3A%2F%2Fop.example&state={forged}");
        let response = browser.clone().visit(&mut rig, &answer).response();
        assert_eq!((response.status, rig.last_event()), (400, "callback.unknown_state"), "{forged}");
    }
    assert_eq!(rig.asked("/token"), 0);
}

#[test]
fn a_page_that_was_left_open_all_day_still_leads_to_where_it_was_opened_for() {
    for page in ["/reports?x=1#row-7".to_owned(), format!("/x?token={}", noise(1500))] {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", &page).finish();
        let at_provider = browser.start(&mut rig, &format!("/.vestibule/login?{query}"));
        let callback = rig.provider.authorize(&at_provider, "alice");
        for minutes in [31, 3 * 60] {
            rig.now += minutes * 60;
            let seen = browser.visit(&mut rig, &callback).response();
            assert_eq!((seen.status, rig.last_event()), (400, "callback.unknown_state"), "it logs nobody in");
            assert!(text(&seen).contains(&query), "after {minutes} minutes");
        }
        rig.now += 24 * 60 * 60;
        assert!(!text(&browser.visit(&mut rig, &callback).response()).contains("return_to"), "and then it is forgotten");
    }
}

#[test]
fn a_login_page_that_another_tab_has_overtaken_leads_to_its_own_page() {
    let errors = ["temporarily_unavailable&error_description=authentication_expired", "login_required", "access_denied"];
    for (error, seconds) in errors.into_iter().flat_map(|error| [(error, 0), (error, 1)]) {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let stale = browser.start(&mut rig, "/stale");
        rig.now += seconds;
        browser.log_in(&mut rig, "/other", "alice");
        let state = &rig::query(&stale)["state"];
        let answer = format!("/oauth2callback?error={error}&state={state}&iss=https%3A%2F%2Fop.example");
        let response = browser.visit(&mut rig, &answer).response();
        assert_eq!((response.status, response.header("location")), (302, Some("/stale")), "{error}");
        assert_eq!(rig.last_event(), "callback.already_logged_in");

        // Who was logged in before, and asked for something else, is told.
        rig.now += 1;
        let asked = browser.start(&mut rig, "/.vestibule/login?return_to=%2Fstale");
        let state = &rig::query(&asked)["state"];
        let answer = format!("/oauth2callback?error={error}&state={state}&iss=https%3A%2F%2Fop.example");
        let response = browser.visit(&mut rig, &answer).response();
        assert!(response.status >= 400, "{error}: {}", response.status);
    }
}

/// A `state` without its way back, and that with the dot before it.
fn parts(state: &str) -> (String, String) {
    let (at, _) = state.match_indices('.').nth(1).expect("a way back");
    (state[..at].to_owned(), state[at..].to_owned())
}

#[test]
fn a_way_back_counts_for_its_own_state_and_is_not_read_by_the_provider() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let page = format!("/x?secret-page={}", noise(400));
    let (one, two) = (browser.start(&mut rig, "/one"), browser.start(&mut rig, &page));
    let state = |at_provider: &Url| rig::query(at_provider)["state"].clone();
    assert!(!two.as_str().contains("secret-page"));
    let (one_proof, one_way) = parts(&state(&one));
    let (two_proof, two_way) = parts(&state(&two));

    // Exchanged, and left out.
    for other_way in [one_way.as_str(), ""] {
        let mixed = rig.provider.authorize(&two, "alice").replace(&two_way, other_way);
        let response = browser.clone().visit(&mut rig, &mixed).response();
        assert_eq!((response.status, rig.last_event()), (400, "callback.unknown_state"), "{other_way}");
    }
    // Alone it opens nothing, and shows no page.
    for forged in [format!("{one_proof}x{two_way}"), format!("x{two_proof}{two_way}"), format!("a.b{two_way}"), two_way.clone()] {
        let answer = format!("/oauth2callback?code=x&iss=https%3A%2F%2Fop.example&state={forged}");
        let response = browser.clone().visit(&mut rig, &answer).response();
        assert_eq!((response.status, rig.last_event()), (400, "callback.unknown_state"), "{forged}");
        assert!(!text(&response).contains("secret-page"));
    }
    // Every changed byte.
    let good = state(&one);
    for at in good.len() - one_way.len() + 1..good.len() {
        let mut changed = good.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let answer = format!("/oauth2callback?error=x&state={}", String::from_utf8(changed).unwrap());
        let response = Browser::default().visit(&mut rig, &answer).response();
        assert!(!text(&response).contains("return_to"), "byte {at}");
    }
}

/// Too long for a `state`: it is in its cookie alone.
#[test]
fn a_page_in_its_cookie_alone_takes_the_room_of_others_and_they_do_not_lose_their_way() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let long = format!("/x?{}", noise(1500));
    let pages = ["/first", &long, "/third", "/fourth", "/fifth"];
    let tabs: Vec<_> = pages.iter().map(|page| browser.start(&mut rig, page)).collect();
    for (at_provider, page) in tabs.iter().zip(pages).filter(|(_, page)| page.len() < 100) {
        assert_eq!(finish(&mut browser, &mut rig, at_provider), page);
    }
}

/// Where the browser is sent whose login for `path` has made room for those of other tabs.
fn started_again(path: &str) -> (Rig, Browser, Url) {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let first = browser.start(&mut rig, path);
    (0..20).for_each(|tab| {
        browser.start(&mut rig, &format!("/{tab}"));
    });
    let callback = rig.provider.authorize(&first, "alice");
    let again = browser.start(&mut rig, &callback);
    assert!(rig.events.iter().any(|event| event == "login.started_again"));
    (rig, browser, again)
}

/// The wish for another account is not lost with the attempt, and neither is who the person may be.
#[test]
fn a_login_that_is_started_again_asks_for_the_same() {
    for hint in ["alice@example.com", "", "J\u{fc}rgen"] {
        let encoded: String = url::form_urlencoded::byte_serialize(hint.as_bytes()).collect();
        let path = format!("/.vestibule/login?return_to=%2Ffirst&prompt=select_account&login_hint={encoded}");
        let (mut rig, mut browser, again) = started_again(&path);
        let asked = rig::query(&again);
        assert_eq!(asked["prompt"], "select_account");
        assert_eq!(asked.get("login_hint").map(String::as_str).unwrap_or_default(), hint);
        assert!(hint.is_empty() || !asked["state"].contains(hint), "the state shows nobody's name");
        assert_eq!(finish(&mut browser, &mut rig, &again), "/first");
    }
    let (_, _, again) = started_again("/first");
    assert_eq!(rig::query(&again).get("login_hint"), None);
}

#[test]
fn a_hint_makes_room_for_the_page() {
    let (hint, page) = (noise(255), format!("/x?{}", noise(560)));
    let encoded: String = url::form_urlencoded::byte_serialize(page.as_bytes()).collect();
    let (mut rig, mut browser, again) = started_again(&format!("/.vestibule/login?return_to={encoded}&login_hint={hint}"));
    assert_eq!(rig::query(&again).get("login_hint"), None, "there is no room for both");
    assert_eq!(finish(&mut browser, &mut rig, &again), page);
}

fn page() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "/[a-z]{1,10}(\\?[a-z]{1,8}=[A-Za-z0-9%2F]{0,20})?",
        1 => "/[a-z]{1,4}\\?q=[A-Za-z0-9_-]{200,600}",
        1 => "/[a-z]{1,4}\\?(name=value&){20,300}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever the pages, the pauses between the tabs and the order in which they are used.
    #[test]
    fn no_tab_loses_its_way(
        tabs in prop::collection::vec((page(), 0..40_u64), 1..14),
        order in any::<prop::sample::Index>(),
        forgets in any::<bool>(),
    ) {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let waiting: Vec<_> = tabs.iter().map(|(page, pause)| {
            rig.now += pause;
            browser.start(&mut rig, page)
        }).collect();
        prop_assert!(pending_bytes(&browser) <= MAX_PENDING_BYTES);
        if forgets {
            rig.forget();
        }
        let first = order.index(tabs.len());
        for tab in (0..tabs.len()).map(|tab| (tab + first) % tabs.len()) {
            prop_assert_eq!(&finish(&mut browser, &mut rig, &waiting[tab]), &tabs[tab].0);
        }
    }
}

const TWO: &str = "[auth.other]\nclient_id = \"c2\"\nclient_secret = \"0f9e8d7c6b5a\"\nserver_metadata_url = \"https://other.example/.well-known/openid-configuration\"\n";

/// What stands between these, the first time.
fn between<'a>(text: &'a str, before: &str, after: &str) -> &'a str {
    text.split_once(before).and_then(|(_, rest)| rest.split_once(after)).expect("it is there").0
}

/// A fragment never reaches a server: a script on our page puts it into the way back (e2e/browsers.test.mjs runs it).
#[test]
fn pages_that_lead_back_have_one_script_that_keeps_the_fragment() {
    let two = format!("{CONFIG}{TWO}");
    let kept = format!("{CONFIG}[vestibule]\nkeep_fragment = true\n");
    for (config, path, goes_on) in [
        (two.as_str(), "/reports?x=1", false),
        (&kept, "/reports?x=1", true),
        (&kept, "/.vestibule/login?return_to=%2Freports%3Fx%3D1", true),
    ] {
        let (mut rig, mut browser) = (Rig::new(config), Browser::default());
        let page = browser.visit(&mut rig, path).response();
        assert_eq!(page.status, 200);
        let (policy, html) = (page.header("content-security-policy").unwrap(), text(&page));
        let nonce = between(policy, "script-src 'nonce-", "'");
        assert_eq!(html.matches("<script").count(), 1);
        assert!(html.contains(&format!("<script nonce=\"{nonce}\">")) && policy.contains("default-src 'none'"), "{policy}");
        assert_eq!(html.contains("location.replace("), goes_on);
        // It works without the script as well.
        let link = between(&html, "<a href=\"", "\"").replace("&#38;", "&").replace("&amp;", "&");
        assert!(link.contains("return_to=%2Freports%3Fx%3D1"), "{link}");
        let link = link.replace("%3Fx%3D1", "%3Fx%3D1%23row-7");
        let at_provider = browser.start(&mut rig, &link);
        assert_eq!(finish(&mut browser, &mut rig, &at_provider), "/reports?x=1#row-7");
    }
}

#[test]
fn no_page_has_a_script_where_fragments_are_not_kept() {
    let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}{TWO}[vestibule]\nkeep_fragment = false\n")), Browser::default());
    let page = browser.visit(&mut rig, "/reports").response();
    assert!(page.status == 200 && !text(&page).contains("<script"));
    assert!(!page.header("content-security-policy").unwrap().contains("script-src"));
}

/// The fragment of a callback is what the provider's pages left there.
#[test]
fn the_page_of_a_failed_callback_leaves_its_fragment_alone() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    for (answer, leads_back) in [("error=server_error", true), ("error=access_denied", true), ("code=wrong", true)] {
        let at_provider = browser.start(&mut rig, "/reports");
        let state = &rig::query(&at_provider)["state"];
        let page = browser.visit(&mut rig, &format!("/oauth2callback?{answer}&state={state}&iss=https%3A%2F%2Fop.example")).response();
        assert!(page.status >= 400, "{answer}");
        assert_eq!(text(&page).contains("return_to=%2Freports"), leads_back, "{answer}");
        assert!(!text(&page).contains("<script") && !page.header("content-security-policy").unwrap().contains("script-src"), "{answer}");
    }
    // An error at the page's own address keeps its fragment.
    rig = Rig::new(&format!("{CONFIG}[[vestibule.rule]]\nrequire = {{ groups = \"board\" }}\n"));
    browser.log_in(&mut rig, "/reports", "alice");
    let page = browser.visit(&mut rig, "/reports").response();
    assert_eq!(page.status, 403);
    assert!(text(&page).contains("return_to=%2Freports") && text(&page).contains("<script"), "{}", text(&page));
}

#[test]
fn other_pages_have_no_script() {
    let mut rig = Rig::new(CONFIG);
    let mut browser = Browser::default();
    browser.start(&mut rig, "/reports");
    for path in ["/oauth2callback?code=x&state=y", "/oauth2callback", "/.vestibule/login?provider=unknown"] {
        let page = browser.visit(&mut rig, path).response();
        let policy = page.header("content-security-policy").unwrap();
        assert!(!text(&page).contains("<script") && !policy.contains("script-src"), "{path}: {policy}");
    }
    // Where there is nowhere to go back to, the login begins at once.
    let mut rig = Rig::new(&format!("{CONFIG}[vestibule]\nkeep_fragment = true\n"));
    assert_eq!(browser.start(&mut rig, "/.vestibule/login").host_str(), Some("op.example"));
}

#[test]
fn a_choice_keeps_what_the_login_was_asked_for_with() {
    let two = format!("{CONFIG}{TWO}");
    for config in [two.as_str(), &format!("{CONFIG}[vestibule]\nkeep_fragment = true\n")] {
        let (mut rig, mut browser) = (Rig::new(config), Browser::default());
        let asked = "/.vestibule/login?return_to=%2Fa&login_hint=alice%2B1%40example.com&prompt=select_account";
        let html = text(&browser.visit(&mut rig, asked).response());
        let link = between(&html, "<a href=\"", "\"").replace("&#38;", "&").replace("&amp;", "&");
        let at_provider = browser.start(&mut rig, &link);
        let query = rig::query(&at_provider);
        assert_eq!((query["login_hint"].as_str(), query["prompt"].as_str()), ("alice+1@example.com", "select_account"));
    }
}

/// What is too long for a place in a page is not too long for the page.
#[test]
fn a_fragment_that_does_not_fit_is_lost_before_its_page() {
    for (page, fragment) in [
        (format!("/x?q={}", noise(2_200)), noise(3_700)[2_200..].to_owned()),
        (format!("/x?q={}", "y".repeat(6_000)), "z".repeat(200)),
        (format!("/x?q={}", noise(2_200)), noise(2_220)[2_200..].to_owned()),
    ] {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let whole = format!("{page}#{fragment}");
        let encoded: String = url::form_urlencoded::byte_serialize(whole.as_bytes()).collect();
        let at_provider = browser.start(&mut rig, &format!("/.vestibule/login?return_to={encoded}"));
        let end = finish(&mut browser, &mut rig, &at_provider);
        assert!(end == page || end == whole, "{end}");
        assert_eq!(end == whole, fragment.len() == 20, "{}", whole.len());
    }
}

/// Neither the cookie nor the answer has the page: the person is told to open the link again.
#[test]
fn a_page_that_an_error_without_state_has_lost_is_told() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let told = "is too long to be kept during a login";
    browser.start(&mut rig, "/short");
    let page = browser.clone().visit(&mut rig, "/oauth2callback?error=access_denied").response();
    assert!(text(&page).contains("return_to=%2Fshort") && !text(&page).contains(told), "{}", text(&page));
    let mut other = Browser::default();
    other.start(&mut rig, &format!("/reports?q={}", noise(400)));
    let page = other.visit(&mut rig, "/oauth2callback?error=access_denied").response();
    assert!(text(&page).contains(told), "{}", text(&page));
}
