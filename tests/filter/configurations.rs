//! Properties of every configuration: whatever sections it has, the door is where it says, and the login works.

use proptest::prelude::*;
use url::Url;
use vestibule::config::{Config, Fault, Source};
use vestibule::decision::Forward;
use vestibule::web::http::{RequestHead, Response};

use crate::rig::{Browser, HOST, Rig, Seen, query};
use crate::sites::{self, LOCAL, PORTAL, READER, Rules, Site, site};

const FOREIGN: &str = "https://evil.example";
/// Names by which an application knows the user.
const IDENTITY: [&str; 6] = [
    "x-forwarded-user",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-provider",
    "x-forwarded-access-token",
];

fn rig(site: &Site) -> Rig {
    let mut rig = Rig::new(&site.toml());
    rig.provider = site.simulated();
    rig
}

fn value<'a>(forward: &'a Forward, name: &str) -> Option<&'a [u8]> {
    forward.set_headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

fn removes(forward: &Forward, name: &str) -> bool {
    forward.remove_headers.iter().any(|removed| removed.eq_ignore_ascii_case(name))
}

/// What an application would believe of a request that nobody is logged in for.
fn is_anonymous(forward: &Forward) -> bool {
    IDENTITY.iter().all(|name| value(forward, name).is_none()) && forward.session.is_none() && forward.expires_at.is_none()
}

/// Every answer of ours, whatever it says.
fn is_in_order(site: &Site, response: &Response) -> Result<(), TestCaseError> {
    for (_, line) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
        let line = std::str::from_utf8(line).unwrap();
        let is_streamlits = site.streamlit && !line.starts_with("__Host-");
        prop_assert!(line.contains("; Secure") && (line.contains("; HttpOnly") || is_streamlits), "{}", line);
        let (of_frames, partitioned) = (line.contains("SameSite=None"), line.contains("; Partitioned"));
        prop_assert_eq!((of_frames, partitioned), (!site.frames.is_empty(), !site.frames.is_empty()), "{}", line);
    }
    if let Some(origin) = response.header("access-control-allow-origin") {
        prop_assert!(site.readers.contains(&origin), "{}", origin);
    }
    let is_page = response.header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
    if is_page {
        let policy = response.header("content-security-policy").unwrap();
        prop_assert!(policy.starts_with("default-src 'none'"), "{}", policy);
        let frames = policy.split("; ").find(|part| part.starts_with("frame-ancestors ")).unwrap();
        let expected = if site.frames.is_empty() { "'none'".to_owned() } else { format!("'self' {}", site.frames.join(" ")) };
        prop_assert_eq!(frames, format!("frame-ancestors {expected}"));
        let body = std::str::from_utf8(&response.body).unwrap();
        for written in [&site.pages.name, &site.pages.support, &site.provider.title].into_iter().flatten() {
            prop_assert!(!written.contains('<') || !body.contains(written.as_str()), "not escaped: {}", written);
        }
    }
    let location = response.header("location").map(|location| Url::parse("https://app.example/").unwrap().join(location).unwrap());
    if let Some(location) = location {
        prop_assert!(matches!(location.host_str(), Some("app.example" | "op.example")) && location.scheme() == "https", "{}", location);
    }
    Ok(())
}

/// Starts a login for a page, through whatever page of ours lies on the way; where the browser is sent.
fn to_provider(site: &Site, rig: &mut Rig, browser: &mut Browser, page: &str) -> Result<Url, TestCaseError> {
    let mut login = Url::parse("https://app.example/").unwrap().join(&rig.route("/login")).unwrap();
    login.query_pairs_mut().append_pair("return_to", page);
    if let [name, ..] = site.names[..] {
        login.query_pairs_mut().append_pair("provider", name);
    }
    let mut response = browser.visit(rig, &login[url::Position::BeforePath..]).response();
    is_in_order(site, &response)?;
    if response.status == 200 {
        let body = std::str::from_utf8(&response.body).unwrap();
        let link = body
            .split('"')
            .find(|text| text.starts_with('/') && text.contains("/login?"))
            .expect("a link to the login")
            .replace("&#38;", "&");
        response = browser.visit(rig, &link).response();
    }
    prop_assert_eq!(response.status, 302, "{}", String::from_utf8_lossy(&response.body));
    Ok(Url::parse(response.header("location").unwrap()).unwrap())
}

fn log_in(site: &Site, rig: &mut Rig, page: &str) -> Result<Browser, TestCaseError> {
    let mut browser = Browser::default();
    let location = to_provider(site, rig, &mut browser, page)?;
    prop_assert_eq!(location.host_str(), Some("op.example"));
    let callback = rig.provider.authorize(&location, "alice");
    let answer = browser.visit(rig, &callback).response();
    is_in_order(site, &answer)?;
    prop_assert_eq!((answer.status, answer.header("location")), (302, Some(page)), "{:?}", rig.messages);
    Ok(browser)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// Without a session: a login where one is required, and never somebody else's name.
    #[test]
    fn nobody_passes_for_somebody(site in site(), method in "GET|HEAD|POST|PUT|OPTIONS", session in "[A-Za-z0-9~_-]{0,60}") {
        let mut rig = rig(&site);
        for page in ["/private/x", "/", "/open/x", "/auth", "/oauth2callback/x"] {
            let mut head = RequestHead { method: method.clone(), ..RequestHead::get(&site.path(page), HOST) };
            for name in IDENTITY.into_iter().chain(["x-full-name"]) {
                head = head.with(name, "admin");
            }
            head = head.with("cookie", &format!("theme=dark; __Host-vestibule_session_1={session}"));
            match Browser::default().send(&mut rig, &head) {
                Seen::Answered(response) => is_in_order(&site, &response)?,
                Seen::Forwarded(forward) => {
                    let is_open = site.rules != Rules::None && page == "/open/x";
                    prop_assert!(is_open || !site.is_login_required(), "{} {}", method, page);
                    prop_assert!(is_anonymous(&forward), "{:?}", forward);
                    for name in IDENTITY {
                        prop_assert!(removes(&forward, name), "{}", name);
                    }
                    prop_assert!(!site.user_header || removes(&forward, "x-full-name"));
                }
            }
        }
    }

    /// A login leads back to its page, whatever is configured, and a logout ends it.
    #[test]
    fn a_login_begins_and_ends(site in site()) {
        let mut rig = rig(&site);
        let page = site.path("/private/x?y=1");
        let mut alice = log_in(&site, &mut rig, &page)?;
        match alice.visit(&mut rig, &page) {
            Seen::Forwarded(forward) => {
                prop_assert!(site.rules != Rules::Board);
                prop_assert_eq!(value(&forward, "x-forwarded-user"), Some(&b"alice"[..]));
                let is_exposed = site.expose_tokens.contains(&"access");
                prop_assert_eq!(value(&forward, "x-forwarded-access-token"), is_exposed.then_some(&b"access-token-1"[..]));
                prop_assert_eq!(value(&forward, "x-full-name").is_some(), site.user_header);
            }
            Seen::Answered(response) => {
                prop_assert_eq!((response.status, site.rules), (403, Rules::Board), "{:?}", rig.messages);
                is_in_order(&site, &response)?;
            }
        }

        let logout_route = rig.route("/logout");
        let logout = alice.visit(&mut rig, &logout_route).response();
        is_in_order(&site, &logout)?;
        let location = Url::parse(logout.header("location").unwrap()).unwrap();
        let asked = query(&location);
        let (path, back) = match site.provider.logout_url {
            None => ("/logout", "post_logout_redirect_uri"),
            Some(url) if url.contains("returnTo") => ("/v2/logout", "returnTo"),
            Some(url) if url.contains("logout_uri") => ("/logout", "logout_uri"),
            Some(_) => ("/bye", "back"),
        };
        prop_assert_eq!((location.path(), &asked[back]), (path, &site.post_logout_redirect_uri()));
        let forwarded = alice.visit(&mut rig, &page);
        match forwarded {
            Seen::Forwarded(forward) => prop_assert!(!site.is_login_required() && is_anonymous(&forward)),
            Seen::Answered(response) => prop_assert!(site.is_login_required() && matches!(response.status, 200 | 302), "{}", response.status),
        }
        // The provider sends the browser back, with the state if it keeps one.
        let mut back = Url::parse(&asked[back]).unwrap();
        if let Some(state) = asked.get("state") {
            back.query_pairs_mut().append_pair("state", state);
        }
        match alice.visit(&mut rig, &back[url::Position::BeforePath..]) {
            Seen::Answered(response) => {
                is_in_order(&site, &response)?;
                let is_page = matches!(site.provider.post_logout, Some(page) if page != sites::LOGGED_OUT);
                prop_assert!(matches!(response.status, 200 | 302), "{} {:?}", response.status, rig.messages);
                prop_assert!(is_page || rig.last_event() != "callback.unknown_state", "{:?}", rig.messages);
            }
            Seen::Forwarded(forward) => prop_assert!(!site.is_login_required() && is_anonymous(&forward)),
        }
    }

    /// Pages of other origins: what they may do is what the configuration names, with a session and without.
    #[test]
    fn pages_of_other_origins_get_what_is_named(site in site(), method in "PUT|DELETE|POST") {
        let mut rig = rig(&site);
        let page = site.path("/private/x");
        let alice = log_in(&site, &mut rig, &page)?;
        for origin in [PORTAL, READER, LOCAL, FOREIGN, "null"] {
            let is_named = site.readers.contains(&origin);
            let preflight = RequestHead { method: "OPTIONS".into(), ..RequestHead::get(&page, HOST) };
            let preflight = preflight.with("origin", origin).with("access-control-request-method", &method);
            match Browser::default().send(&mut rig, &preflight) {
                Seen::Forwarded(forward) => {
                    prop_assert!(is_anonymous(&forward));
                    prop_assert!(site.preflight == Some("forward") || !site.is_login_required(), "{}", origin);
                }
                Seen::Answered(response) => {
                    is_in_order(&site, &response)?;
                    prop_assert_eq!(response.status == 204, is_named, "{} {}", origin, response.status);
                    prop_assert_eq!(response.header("access-control-allow-origin"), is_named.then_some(origin));
                }
            }
            let write = RequestHead { method: method.clone(), ..alice.head(&page) }.with("origin", origin);
            match alice.clone().send(&mut rig, &write) {
                Seen::Forwarded(_) => prop_assert!(site.frames.is_empty() || is_named, "{} writes by {}", origin, method),
                Seen::Answered(response) => {
                    prop_assert_eq!(response.status, 403, "{}", origin);
                    prop_assert!(site.rules == Rules::Board || !site.frames.is_empty(), "{}", origin);
                }
            }
        }
    }

    /// A session ends when it says, also one that is used all the time.
    #[test]
    fn a_session_lives_as_long_as_is_written(site in site(), share in 1_u64..100) {
        let mut rig = rig(&site);
        let page = site.path("/private/x");
        let mut alice = log_in(&site, &mut rig, &page)?;
        let (max_age, idle) = site.lifetimes.unwrap_or((30 * 86_400, None));
        let step = idle.unwrap_or(max_age) * share / 101;
        let start = rig.now;
        let is_alice = |rig: &mut Rig, alice: &mut Browser| match alice.visit(rig, &page) {
            Seen::Forwarded(forward) => value(&forward, "x-forwarded-user").is_some(),
            Seen::Answered(_) => false,
        };
        prop_assume!(site.rules != Rules::Board);
        for _ in 0..5 {
            rig.now += step.min(max_age / 6);
            prop_assert!(is_alice(&mut rig, &mut alice), "after {} of {} s", rig.now - start, max_age);
        }
        if let Some(idle) = idle {
            let (mut left, now) = (alice.clone(), rig.now);
            rig.now += idle + 1;
            prop_assert!(!is_alice(&mut rig, &mut left), "idle for {} s", idle + 1);
            rig.now = now;
        }
        rig.now = start + max_age + 1;
        prop_assert!(!is_alice(&mut rig, &mut alice), "after {} s", max_age + 1);
    }

    /// One value that is of another kind, or one key that nobody knows: read, or refused by name, and never another door.
    #[test]
    fn a_value_that_is_wrong_is_named(site in site(), at in any::<prop::sample::Index>(), wrong in wrong()) {
        let mut table = site.table();
        let leaves = leaves(&table, "");
        let place = &leaves[at.index(leaves.len())];
        replace(&mut table, place, wrong);
        match Config::parse(&Source::new("secrets.toml", &table.to_string())) {
            Ok(_) => {}
            Err(faults) => {
                prop_assert!(!faults.is_empty() && faults.iter().any(|fault| fault.fatal));
                for fault in &faults {
                    prop_assert!(!fault.key.is_empty() && !fault.problem.is_empty() && fault.line > 0, "{:?}", fault);
                }
                let last = place.rsplit('.').next().unwrap();
                let names_it = |fault: &Fault| [&fault.key, &fault.problem, &fault.remedy].iter().any(|text| text.contains(last));
                prop_assert!(faults.iter().any(names_it), "{} {:?}", place, faults);
            }
        }
    }
}

fn wrong() -> impl Strategy<Value = toml::Value> {
    prop_oneof![
        any::<i64>().prop_map(toml::Value::from),
        any::<bool>().prop_map(toml::Value::from),
        any::<f64>().prop_map(toml::Value::from),
        "\\PC{0,30}".prop_map(toml::Value::from),
        Just(toml::Value::Array(vec![])),
        "\\PC{0,10}".prop_map(|text| toml::Value::Array(vec![text.into(), 1.into()])),
        Just(toml::Value::Table(toml::Table::from_iter([("x".to_owned(), true.into())]))),
    ]
}

/// The paths of all values that are no tables.
fn leaves(table: &toml::Table, before: &str) -> Vec<String> {
    let mut found = vec![];
    for (key, value) in table {
        match value {
            toml::Value::Table(inner) => found.extend(leaves(inner, &format!("{before}{key}."))),
            _ => found.push(format!("{before}{key}")),
        }
    }
    found
}

fn replace(table: &mut toml::Table, place: &str, value: toml::Value) {
    match place.split_once('.') {
        Some((first, rest)) => replace(table.get_mut(first).and_then(toml::Value::as_table_mut).unwrap(), rest, value),
        None => {
            table.insert(place.to_owned(), value);
        }
    }
}
