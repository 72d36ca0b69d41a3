//! `Cookie`: what is ours is found and kept, what is not is passed on as it came, and nothing becomes a session but the
//! session.

use std::sync::LazyLock;

use vestibule::decision::{Decision, Forward, Outcome};
use vestibule::filter::{Filter, Step};
use vestibule::web::http::{Header, Request, RequestHead};

use super::cookies::{is_streamlits, is_vestibules, read_as_latin1, read_as_utf8};
use super::site::{self, HOST};
use super::visitor::{self, Cookies};

struct Site {
    filter: Filter,
    /// Of somebody who has logged in: one session, one login attempt of another tab.
    cookies: Cookies,
    hides_streamlit: bool,
}

static SITES: LazyLock<[Site; 2]> = LazyLock::new(|| {
    [("", false), ("app = \"streamlit\"\n", true)].map(|(more, hides_streamlit)| {
        let filter = site::filter(&format!("[vestibule]\nlogin = \"optional\"\n{more}"));
        let mut cookies = visitor::log_in(&filter, "/auth/login");
        cookies.extend(visitor::start(&filter, "/auth/login").cookies);
        Site { filter, cookies, hides_streamlit }
    })
});

/// `data` is the values of the header, one a line. The control characters from 1 on stand for the names of our cookies,
/// in order, those from 17 on for their values: no fuzzer would find a sealed one.
pub fn run(data: &[u8]) {
    SITES.iter().for_each(|site| read(site, data));
}

fn read(site: &Site, data: &[u8]) {
    let data = with_cookies(data, &site.cookies);
    let mut head = RequestHead::get("/app", HOST);
    head.headers.extend(data.split(|&byte| byte == b'\n').map(|line| ("cookie", line)));
    let given: Vec<Header> = head.headers.iter().map(owned).collect();
    let step = site::begin(&site.filter, &head, None);
    if Request::parse(&head).is_err() {
        assert!(matches!(site::response(step).map(|response| response.status), Some(400 | 431)));
        return;
    }
    let Step::Done(Decision { outcome: Outcome::Forward(forward), .. }) = step else { panic!("a login is optional here") };

    let (sealed_name, sealed) = site.cookies.iter().find(|(name, _)| site::is_session(name)).expect("a session");
    let mut came = read_as_utf8(&given).into_iter();
    assert!(forward.expires_at.is_none() || came.any(|(name, value)| name == *sealed_name && value == *sealed), "a session of nothing");
    let passed_on = forwarded(&given, &forward);
    assert!(!read_as_utf8(&passed_on).iter().any(|(name, _)| is_vestibules(name)), "the application sees a cookie of ours");
    let mut seen = [read_as_utf8(&passed_on), read_as_latin1(&passed_on)].concat().into_iter();
    assert!(!site.hides_streamlit || !seen.any(|(name, _)| is_streamlits(&name)), "the application takes somebody for logged in");
    // Not a byte is made up: what remains is found in what came, in the same order.
    let lines = |headers: &[Header]| -> Vec<u8> {
        let lines = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
        lines.flat_map(|(_, value)| [value.as_slice(), b";"].concat()).filter(|byte| !matches!(byte, b' ' | b'\t' | b';')).collect()
    };
    let mut came = lines(&given).into_iter();
    assert!(lines(&passed_on).into_iter().all(|byte| came.any(|other| other == byte)));

    // A logout deletes names of ours that the request brought, and no others.
    let logout = RequestHead { path_with_query: "/auth/logout?return_to=/".into(), ..head.clone() };
    if let Some(response) = site::response(site::begin(&site.filter, &logout, None)) {
        for (_, line) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let line = std::str::from_utf8(line).expect("text");
            let (name, attributes) = line.split_once('=').expect("a name");
            assert!(is_vestibules(name) && given.iter().any(|(_, value)| contains(value, name.as_bytes())), "{line}");
            let deletion = "; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0";
            assert_eq!(attributes, deletion);
        }
    }
}

/// The request's headers as the application receives them.
fn forwarded(given: &[Header], forward: &Forward) -> Vec<Header> {
    let is_removed = |name: &str| forward.remove_headers.iter().any(|removed| removed.eq_ignore_ascii_case(name));
    given.iter().filter(|(name, _)| !is_removed(name)).cloned().chain(forward.set_headers.iter().map(owned)).collect()
}

fn owned((name, value): (&str, &[u8])) -> Header {
    (name.to_owned(), value.to_vec())
}

fn with_cookies(data: &[u8], cookies: &Cookies) -> Vec<u8> {
    let mut written = vec![];
    for &byte in data {
        let at = |first: u8| byte.checked_sub(first).and_then(|index| cookies.iter().nth(index.into()));
        match byte {
            0x01..0x09 if at(0x01).is_some() => written.extend(at(0x01).iter().flat_map(|(name, _)| name.bytes())),
            0x11..0x19 if at(0x11).is_some() => written.extend(at(0x11).iter().flat_map(|(_, value)| value.bytes())),
            _ => written.push(byte),
        }
    }
    written
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}
