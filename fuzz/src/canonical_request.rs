//! The one canonical reading of a request: what is public under it is public under every other reading as well, what is
//! protected under any other is not forwarded, and what was judged is what is forwarded. And under any rules: two spellings
//! of a page have one decision, or are refused.

use std::sync::LazyLock;

use percent_encoding::percent_decode_str;
use url::Url;
use vestibule::decision::{Decision, Forward, Outcome};
use vestibule::filter::{Filter, Step};
use vestibule::policy::{self, Access, Answer};
use vestibule::web::field_lines::FieldLines;
use vestibule::web::http::{Request, RequestHead};

use super::respelling::{Page, respell};
use super::site::{self, HOST};

const RULES: &str = "
[[vestibule.rule]]
path = \"/public/**\"
methods = [\"GET\", \"POST\"]
access = \"public\"
[[vestibule.rule]]
path = \"/public/**\"
host = \"app.example\"
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
///
/// After an empty line there may be rules, one a line, of four texts between tabs: patterns, methods and hosts (of each
/// several, between `|`, or none; whatever is written, the host is the only one that is served), and `public`, `optional`, `required`, `deny` or a group that is asked for. After another
/// empty line, bytes that choose spellings.
pub fn run(data: &[u8]) {
    let (data, rest) = split(data);
    let Some(head) = read(data) else { return };
    if !rest.is_empty() {
        let (rules, choices) = split(rest);
        judge_spellings(&head, &String::from_utf8_lossy(rules), choices);
    }
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
        Step::Look(..) => panic!("the claim is granted"),
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

/// Asserts that a request and other spellings of it have one decision under these rules, and that `explain` knows it.
fn judge_spellings(head: &RequestHead, rules: &str, choices: &[u8]) {
    let Some(filter) = rules.lines().map(rule).collect::<Option<String>>().and_then(|rules| site::configured(&rules)) else { return };
    let mut decided = None;
    let mut choices = choices.iter().map(|&byte| usize::from(byte)).chain(std::iter::repeat(0));
    let others = page(head).into_iter().flat_map(|page| [(); 3].map(|()| respell(&page, |count| choices.next().unwrap_or(0) % count)));
    for head in std::iter::once(head.clone()).chain(others.collect::<Vec<_>>()) {
        let access = Request::parse(&head).and_then(|request| filter.config().admission.ruling(&request).map(|ruling| ruling.access));
        let answer = policy::explain(&head, None, &filter.config().admission, &filter.config().public).answer;
        if is_ours(&head) {
            continue;
        }
        let expected = match access {
            Err(_) => Answer::Malformed,
            Ok(Access::Public | Access::Optional) => Answer::Passes,
            Ok(Access::Required(_)) => Answer::LoginRequired,
            Ok(Access::Denied) => Answer::Denied,
        };
        assert_eq!(answer, expected, "{} {}", head.method, head.path_with_query);
        assert_eq!(answer, decision(&filter, &head), "{} {}", head.method, head.path_with_query);
        if let Ok(access) = access {
            let before = decided.get_or_insert((access, head.path_with_query.clone()));
            assert_eq!(before.0, access, "{} and {}, under\n{rules}", before.1, head.path_with_query);
        }
    }
}

/// What becomes of a request without a session.
fn decision(filter: &Filter, head: &RequestHead) -> Answer {
    match site::begin(filter, head, None) {
        Step::Done(Decision { outcome: Outcome::Forward(_), .. }) => Answer::Passes,
        Step::Done(Decision { outcome: Outcome::Respond(response), .. }) => match response.status {
            400 | 431 => Answer::Malformed,
            403 => Answer::Denied,
            _ => Answer::LoginRequired,
        },
        Step::Done(Decision { outcome: Outcome::NeedBody(_), .. }) | Step::Fetch(..) | Step::Look(..) => Answer::LoginRequired,
    }
}

/// Routes of Vestibule's, which no rule governs.
fn is_ours(head: &RequestHead) -> bool {
    ["/oauth2callback", "/auth/login", "/auth/logout", "/auth/user"].contains(&path(&head.path_with_query))
}

fn page(head: &RequestHead) -> Option<Page> {
    let host = head.headers.values("host").next()?;
    let path = path(&head.path_with_query).strip_prefix('/')?;
    let path = path.strip_suffix('/').unwrap_or(path);
    let decoded = |segment: &str| percent_decode_str(segment).decode_utf8().ok().map(std::borrow::Cow::into_owned);
    let segments = if path.is_empty() { vec![] } else { path.split('/').map(decoded).collect::<Option<Vec<_>>>()? };
    let has_names = segments.iter().all(|segment| !segment.is_empty());
    has_names.then_some(Page { method: head.method.clone(), host: String::from_utf8(host.to_vec()).ok()?, segments })
}

/// A line as a rule in TOML.
fn rule(line: &str) -> Option<String> {
    let mut texts = line.split('\t');
    let mut toml = "[[vestibule.rule]]\n".to_owned();
    for key in ["path", "methods", "host"] {
        let items = texts.next()?.split('|').filter(|item| !item.is_empty()).map(|item| if key == "host" { HOST } else { item });
        let items: Vec<_> = items.map(|item| serde_json::json!(item).to_string()).collect();
        if !items.is_empty() {
            toml += &format!("{key} = [{}]\n", items.join(", "));
        }
    }
    match texts.next()? {
        access @ ("public" | "optional" | "required" | "deny") => toml += &format!("access = \"{access}\"\n"),
        group => toml += &format!("require = {{ groups = {} }}\n", serde_json::json!(group)),
    }
    Some(toml)
}

/// What is before the first empty line, and what is after it.
fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.windows(2).position(|window| window == b"\n\n");
    end.map_or((data, &[]), |end| (&data[..end], &data[end + 2..]))
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
        Step::Done(Decision { outcome: Outcome::NeedBody(_), .. }) | Step::Fetch(..) | Step::Look(..) => {
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
    String::from_utf8(head.headers.values(name).next()?.to_vec()).ok()
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
fn assert_nobody(given: &FieldLines, forward: &Forward) {
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
            _ => head.headers.push(&name, value),
        }
    }
    Some(head)
}
