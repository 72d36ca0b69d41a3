//! The way of a fragment (`#…`) through a login with one provider: by a page that goes on by itself, for browsers that say that
//! they navigate, and for no other client. e2e/browsers.test.mjs runs its script.

use url::Url;
use vestibule::web::http::{RequestHead, Response};

use crate::rig::{Browser, CONFIG, HOST, Rig};

/// What a browser says of a navigation of a tab.
const TAB: [(&str, &str); 2] = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];

fn with(head: RequestHead, fields: &[(&str, &str)]) -> RequestHead {
    fields.iter().fold(head, |head, (name, value)| head.with(name, value))
}

fn open(rig: &mut Rig, browser: &mut Browser, path: &str) -> Response {
    let head = with(browser.head(path), &TAB);
    browser.send(rig, &head).response()
}

/// The address that the page goes on to, which its link and its refresh without scripts agree on.
fn next(page: &Response) -> String {
    let html = String::from_utf8(page.body.clone()).unwrap();
    let between = |before: &str| html.split_once(before).unwrap().1.split_once('"').unwrap().0.replace("&#38;", "&");
    let link = between("<a href=\"");
    assert_eq!(between("<noscript><meta http-equiv=\"refresh\" content=\"0; url="), link);
    assert!(html.contains("location.replace(document.links[0].href)"), "{html}");
    link
}

fn host(response: &Response) -> String {
    assert_eq!(response.status, 302, "{}", String::from_utf8_lossy(&response.body));
    Url::parse(response.header("location").unwrap()).unwrap().host_str().unwrap().to_owned()
}

/// Follows the page as its script does, to the provider and back: the page of the application that the login ends on.
fn end_of_login(rig: &mut Rig, browser: &mut Browser, page: &Response, fragment: &str) -> String {
    let link = next(page);
    let (before, return_to) = link.split_once("return_to=").unwrap();
    let more = url::form_urlencoded::byte_serialize(fragment.as_bytes()).collect::<String>();
    let at_provider = open(rig, browser, &format!("{before}return_to={return_to}{more}"));
    assert_eq!(host(&at_provider), "op.example", "the page is shown once");
    let at_provider = Url::parse(at_provider.header("location").unwrap()).unwrap();
    let callback = rig.provider.authorize(&at_provider, "alice");
    open(rig, browser, &callback).header("location").unwrap().to_owned()
}

#[test]
fn a_navigation_begins_on_a_page_that_knows_its_fragment() {
    for config in [CONFIG.to_owned(), format!("{CONFIG}[vestibule]\napp = \"streamlit\"\nlogin = \"required\"\n")] {
        let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
        let page = open(&mut rig, &mut browser, "/reports?x=1&y=%2F");
        assert_eq!((page.status, page.header("cache-control")), (200, Some("no-store")));
        assert!(page.header("set-cookie").is_none() && rig.sent.is_empty() && page.counts_as.is_none(), "no login has begun");
        assert!(page.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>() < 1024);
        assert!(page.body.len() < 8 * 1024, "{}", page.body.len());
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'nonce-") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert_eq!(end_of_login(&mut rig, &mut browser, &page, "#row-7"), "/reports?x=1&y=%2F#row-7");
        assert_eq!(rig.asked("/token"), 1);
        // Without a script and without a fragment.
        let mut other = Browser::default();
        let page = open(&mut rig, &mut other, "/");
        assert_eq!(end_of_login(&mut rig, &mut other, &page, ""), "/");
    }
}

#[test]
fn clients_that_do_not_say_that_they_navigate_a_tab_are_redirected() {
    for (method, fields) in [
        ("GET", &[][..]),
        ("GET", &TAB[..1]),
        ("GET", &TAB[1..]),
        ("GET", &[TAB[0], ("sec-fetch-dest", "iframe")]),
        ("GET", &[TAB[0], ("sec-fetch-dest", "empty")]),
        ("GET", &[TAB[0], TAB[1], TAB[1]]),
    ] {
        let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
        let head = RequestHead { method: method.into(), ..with(browser.head("/reports"), fields) };
        assert_eq!(host(&browser.send(&mut rig, &head).response()), "op.example", "{fields:?}");
    }
    // What only looks is sent to the login, which begins nothing for it.
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let look = RequestHead { method: "HEAD".into(), ..with(browser.head("/reports"), &TAB) };
    let answer = browser.send(&mut rig, &look).response();
    assert_eq!(answer.header("location"), Some("https://app.example/.vestibule/login?return_to=%2Freports"));
    let prefetch = with(browser.head("/reports"), &[TAB[0], TAB[1], ("sec-purpose", "prefetch")]);
    assert_eq!(browser.send(&mut rig, &prefetch).response().status, 401);
}

#[test]
fn the_setting_overrides_what_the_browser_says() {
    let config = |value: bool| format!("{CONFIG}[vestibule]\nkeep_fragment = {value}\n");
    let (mut rig, mut browser) = (Rig::new(&config(false)), Browser::default());
    for path in ["/reports", "/.vestibule/login?return_to=%2Freports"] {
        assert_eq!(host(&open(&mut rig, &mut browser, path)), "op.example", "{path}");
    }
    rig = Rig::new(&config(true));
    for path in ["/reports", "/.vestibule/login?return_to=%2Freports"] {
        next(&browser.visit(&mut rig, path).response());
    }
}

/// A browser keeps the fragment through a redirect to the login route, which asks for the page.
#[test]
fn the_login_route_begins_on_a_page_where_a_redirect_can_have_led_to_it() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let page = open(&mut rig, &mut browser, "/.vestibule/login?return_to=%2Freports");
    assert_eq!(end_of_login(&mut rig, &mut browser, &page, "#row-7"), "/reports#row-7");

    let mut stranger = Browser { host: "other.example", ..Browser::default() };
    let moved = open(&mut rig, &mut stranger, "/reports?x=1");
    assert_eq!(moved.header("location"), Some("https://app.example/.vestibule/login?return_to=%2Freports%3Fx%3D1"));
}

#[test]
fn the_login_route_redirects_where_no_fragment_can_be_missing() {
    for config in [CONFIG.to_owned(), format!("{CONFIG}[vestibule]\napp = \"streamlit\"\n")] {
        let mut rig = Rig::new(&config);
        let login = rig.route("/login");
        for query in
            ["", "?return_to=%2Freports%23row-7", "?provider=default&return_to=%2Freports", "?return_to=https%3A%2F%2Fevil.example"]
        {
            let answer = open(&mut rig, &mut Browser::default(), &format!("{login}{query}"));
            assert_eq!(host(&answer), "op.example", "{query}");
        }
        // A page's own button, `st.login()` for example: the fragment of that page is not in the address of the login.
        let mut browser = Browser::default();
        let head = with(browser.head(&login), &TAB).with("referer", "https://app.example/reports");
        assert_eq!(host(&browser.send(&mut rig, &head).response()), "op.example");
    }
}

/// A proxy that asks passes the redirect on; the browser then requests the login route itself.
#[test]
fn a_proxy_that_asks_is_answered_by_a_redirect_and_the_login_keeps_the_fragment() {
    for (proxy, question) in [
        ("envoy", RequestHead::get("/.vestibule/check/reports?x=1", HOST)),
        ("nginx", with(RequestHead::get("/.vestibule/refusal", HOST), &[("x-original-method", "GET"), ("x-original-uri", "/reports?x=1")])),
        ("traefik", forwarded()),
        ("caddy", forwarded()),
    ] {
        let mut rig = Rig::new(&format!("{CONFIG}[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"{proxy}\"\n"));
        let mut browser = Browser::default();
        let answer = browser.send(&mut rig, &with(question.with("accept", "text/html"), &TAB)).response();
        assert_eq!(answer.status, 302, "{proxy}");
        let login = Url::parse(answer.header("location").unwrap()).unwrap();
        assert_eq!(login.fragment(), None, "{proxy}: the browser adds its own");
        let page = open(&mut rig, &mut browser, &login[url::Position::BeforePath..]);
        assert_eq!(end_of_login(&mut rig, &mut browser, &page, "#row-7"), "/reports?x=1#row-7", "{proxy}");
    }
}

/// RFC 6749 section 4.2.2, OIDC Core section 3.3.2.5: an authorization response for the application is not Vestibule's to send on.
/// e2e/browsers.test.mjs runs the condition.
#[test]
fn no_fragment_with_a_token_leaves_the_browser() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let page = open(&mut rig, &mut browser, "/reports");
    let html = String::from_utf8(page.body.clone()).unwrap();
    let script = html.split_once("<script").unwrap().1;
    let condition = r"if (fragment.length < 1000 && !fragment.includes('\\') && !/[#&?](code|\w+_token)=/.test(fragment)) {";
    let (before, after) = script.split_once(condition).unwrap_or_else(|| panic!("{script}"));
    assert!(!before.contains("location.replace") && !before.contains("set(") && after.matches("fragment").count() == 1, "{script}");
}

fn forwarded() -> RequestHead {
    let head = RequestHead::get("/.vestibule/check", "vestibule:8502");
    with(head, &[("x-forwarded-method", "GET"), ("x-forwarded-host", HOST), ("x-forwarded-uri", "/reports?x=1")])
}
