//! The one canonical reading of a request: what is public under it is public under every other reading as well, what is
//! protected under any other is not forwarded, and what was judged is what is forwarded.

use std::sync::LazyLock;

use percent_encoding::percent_decode_str;
use url::Url;
use vestibule::filter::{Decision, Filter, Forward, Outcome, Step};
use vestibule::http::{Header, Request, RequestHead};

use super::site::{self, HOST};

const RULES: &str = "
[[vestibule.rule]]
path = \"/public/**\"
methods = [\"GET\", \"POST\"]
access = \"public\"
[[vestibule.rule]]
path = \"/public/**\"
host = \"open.example\"
access = \"optional\"
[[vestibule.rule]]
";

/// The other way round: everything is public but one folder.
const PROTECTED_FOLDER: &str = "
[[vestibule.rule]]
path = \"/secret/**\"
[[vestibule.rule]]
access = \"public\"
";

/// Names that say who the user is.
const IDENTITY: [&str; 6] = [
    "x-forwarded-user",
    "x-forwarded-provider",
    "x-forwarded-email",
    "x-forwarded-preferred-username",
    "x-forwarded-groups",
    "x-forwarded-access-token",
];

static PROXY: LazyLock<Filter> = LazyLock::new(|| site::filter(RULES));

static OPEN: LazyLock<Filter> = LazyLock::new(|| site::filter(PROTECTED_FOLDER));

static AUTHZ: LazyLock<[(&str, Filter); 4]> = LazyLock::new(|| {
    ["envoy", "traefik", "caddy", "nginx"].map(|proxy| {
        let mode = format!("[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"{proxy}\"\n");
        (proxy, site::filter(&format!("{mode}{RULES}")))
    })
});

/// `data` is a head: method and target, then header fields, one a line. A first field `:authority` is that of HTTP/2.
pub fn run(data: &[u8]) {
    let Some(head) = read(data) else { return };
    let parsed = Request::parse(&head);
    if let Ok(request) = &parsed {
        assert_eq!(request.path_with_query(), head.path_with_query);
        // To the URL standard's parser there is nothing to resolve or repair in it.
        let url = Url::parse(&format!("http://{HOST}{}", head.path_with_query)).expect("a URL");
        assert!(percent_decode_str(url.path()).eq(percent_decode_str(request.path)), "{} is read as {}", request.path, url.path());
        assert_eq!(url.query().is_some(), request.query.is_some());
    }
    match site::begin(&PROXY, &head, None) {
        Step::Done(Decision { outcome: Outcome::Forward(forward), .. }) => {
            assert!(parsed.is_ok());
            assert_public(&head.path_with_query);
            assert_nobody(&head.headers, &forward);
        }
        Step::Done(Decision { outcome: Outcome::Respond(response), .. }) => {
            assert!(parsed.is_ok() || matches!(response.status, 400 | 431), "{}", response.status);
        }
        Step::Done(Decision { outcome: Outcome::NeedBody(_), .. }) => assert_eq!(path(&head.path_with_query), "/oauth2callback"),
        Step::Fetch(request, _) => {
            assert!(parsed.is_ok() && request.url.as_str() == format!("{}/.well-known/openid-configuration", site::ISSUER));
        }
    }
    if let Step::Done(Decision { outcome: Outcome::Forward(forward), .. }) = site::begin(&OPEN, &head, None) {
        for page in readings(&head.path_with_query) {
            assert!(page.first().is_none_or(|first| first != "secret"), "{} is read as {page:?}", head.path_with_query);
        }
        assert_nobody(&head.headers, &forward);
    }
    for (proxy, filter) in AUTHZ.iter() {
        ask(filter, &question(proxy, &head), &head.path_with_query);
        // And as it is: a question, if it is one, is about another request.
        ask(filter, &head, &asked_about(proxy, &head).unwrap_or_default());
    }
}

/// Another proxy lets a request through when it is answered 200.
fn ask(filter: &Filter, head: &RequestHead, about: &str) {
    match site::begin(filter, head, None) {
        Step::Done(Decision { outcome: Outcome::Respond(response), .. }) => {
            if response.status == 200 && path(&head.path_with_query).starts_with("/auth/check") {
                assert_public(about);
                assert!(!response.headers.iter().any(|(name, value)| is_identity(name) && !value.is_empty()), "nobody is logged in");
            }
        }
        Step::Done(Decision { outcome: Outcome::Forward(_), .. }) => panic!("there is no application behind this service"),
        Step::Done(Decision { outcome: Outcome::NeedBody(_), .. }) | Step::Fetch(..) => {
            assert!(!path(&head.path_with_query).starts_with("/auth/check"), "an answer to a proxy waits for nobody");
        }
    }
}

fn question(proxy: &str, original: &RequestHead) -> RequestHead {
    let RequestHead { method, path_with_query, headers, .. } = original.clone();
    match proxy {
        "envoy" => RequestHead { path_with_query: format!("/auth/check{path_with_query}"), ..original.clone() },
        "nginx" => {
            let head = RequestHead { headers, ..RequestHead::get("/auth/check", HOST) };
            head.with("X-Original-Method", &method).with("X-Original-URI", &path_with_query)
        }
        _ => {
            let head = RequestHead { headers, ..RequestHead::get("/auth/check", HOST) };
            head.with("X-Forwarded-Method", &method).with("X-Forwarded-Uri", &path_with_query).with("X-Forwarded-Host", HOST)
        }
    }
}

/// Path and query that a proxy's question is about.
fn asked_about(proxy: &str, head: &RequestHead) -> Option<String> {
    let name = match proxy {
        "envoy" => return head.path_with_query.strip_prefix("/auth/check").map(str::to_owned),
        "nginx" => "x-original-uri",
        _ => "x-forwarded-uri",
    };
    let (_, value) = head.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name))?;
    String::from_utf8(value.clone()).ok()
}

/// Asserts that no server takes this for a page outside of `/public`, however it reads paths.
fn assert_public(path_with_query: &str) {
    for page in readings(path_with_query) {
        assert!(page.first().is_some_and(|first| first == "public"), "{path_with_query} is read as {page:?}");
    }
}

/// The segments of a path by every combination of habits.
fn readings(path_with_query: &str) -> impl Iterator<Item = Vec<String>> {
    (0..1 << HABITS.len()).map(|habits: usize| {
        // RFC 3986 section 6.2.2.2: what is encoded without need is the same as what is not.
        let decoded = percent_decode_str(path(path_with_query)).decode_utf8_lossy().into_owned();
        let chosen = HABITS.iter().enumerate().filter(|(index, _)| habits >> index & 1 == 1);
        resolved(&chosen.fold(decoded, |read, (_, habit)| habit(&read)))
    })
}

type Habit = fn(&str) -> String;

/// What servers do to paths, in an order in which they do it.
const HABITS: [Habit; 6] = [
    |path| percent_decode_str(path).decode_utf8_lossy().into_owned(),
    |path| path.split(['?', '#']).next().unwrap_or_default().to_owned(),
    |path| path.replace('\\', "/"),
    |path| each_segment(path, |segment| segment.split(';').next().unwrap_or_default()),
    |path| each_segment(path, |segment| segment.trim_end_matches(['.', ' '])),
    |path| path.to_uppercase().to_lowercase(),
];

fn each_segment(path: &str, read: impl Fn(&str) -> &str) -> String {
    // Dot segments are resolved before dots are dropped.
    path.split('/').map(|segment| if matches!(segment, "." | "..") { segment } else { read(segment) }).collect::<Vec<_>>().join("/")
}

/// The segments of a path without dot segments and empty ones.
fn resolved(path: &str) -> Vec<String> {
    let mut segments = vec![];
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            name => segments.push(name.to_owned()),
        }
    }
    segments
}

/// Asserts that the application is not told of anybody.
fn assert_nobody(given: &[Header], forward: &Forward) {
    assert!(forward.expires_at.is_none() && forward.session.is_none());
    let is_removed = |name: &str| forward.remove_headers.iter().any(|removed| removed.eq_ignore_ascii_case(name));
    let mut remaining = given.iter().filter(|(name, _)| !is_removed(name)).chain(&forward.set_headers);
    assert!(!remaining.any(|(name, _)| is_identity(name)), "nobody is logged in");
}

/// Whether some server takes the name for one of the identity's.
fn is_identity(name: &str) -> bool {
    let folded: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    IDENTITY.contains(&folded.as_str())
}

fn path(path_with_query: &str) -> &str {
    path_with_query.split('?').next().unwrap_or_default()
}

fn read(data: &[u8]) -> Option<RequestHead> {
    let mut lines = data.split(|&byte| byte == b'\n');
    let (method, target) = std::str::from_utf8(lines.next()?).ok()?.split_once(' ')?;
    let mut head = RequestHead { method: method.to_owned(), path_with_query: target.to_owned(), ..RequestHead::default() };
    for line in lines {
        let colon = line.iter().skip(1).position(|&byte| byte == b':')? + 1;
        let name = String::from_utf8(line[..colon].to_vec()).ok()?;
        let value = line[colon + 1..].strip_prefix(b" ").unwrap_or(&line[colon + 1..]).to_vec();
        match name.as_str() {
            ":authority" => head.authority = Some(String::from_utf8(value).ok()?),
            _ => head.headers.push((name, value)),
        }
    }
    Some(head)
}
