//! Who may pass: the rules of a configuration, by whole requests and whole logins.

#[allow(unreachable_pub, reason = "shared with fuzz/")]
use proptest::prelude::*;
use serde_json::{Value, json};
use url::Url;
use vestibule::account::Account;
use vestibule::claims::Claims;
use vestibule::config::{Config, Source};
use vestibule::decision::{Decision, Forward, Outcome};
use vestibule::entropy::Fixed;
use vestibule::filter::{Filter, Step, Surroundings};
use vestibule::oidc::cache::ProviderCache;
use vestibule::policy::{Access, Answer, Verdict, explain};
use vestibule::session::NothingEnded;
use vestibule::time::UnixTime;
use vestibule::web::http::{Request, RequestHead};

/// A protected application, its administration, and what everybody may see.
const RULES: &str = r#"
[[vestibule.rule]]
path = "/public/**"
access = "public"
[[vestibule.rule]]
path = "/admin/**"
require = { groups = "admins" }
[[vestibule.rule]]
path = "/shop/**"
access = "optional"
[[vestibule.rule]]
path = "/closed"
access = "deny"
[[vestibule.rule]]
path = ["/app/**", "/"]
"#;

/// What becomes of a request.
#[derive(Debug, PartialEq, Eq)]
enum Becomes {
    Forwarded,
    Login,
    Status(u16),
}
use Becomes::{Forwarded, Login, Status};

use crate::respelling::{Page, respell};
use crate::rig::{self, Browser, CONFIG, HOST, Rig, Seen, query};

fn with_rules(rules: &str) -> String {
    format!("{CONFIG}{rules}")
}

fn becomes(rig: &mut Rig, head: &RequestHead) -> Becomes {
    match rig.decide(head, None).outcome {
        Outcome::Forward(_) => Forwarded,
        Outcome::Respond(response) if response.status == 302 => Login,
        Outcome::Respond(response) => Status(response.status),
        Outcome::NeedBody(_) => panic!("wants a body"),
    }
}

/// Somebody with these claims besides, logged in.
fn logged_in(rules: &str, claims: Value) -> (Rig, Browser) {
    let (mut rig, mut browser) = (Rig::new(&with_rules(rules)), Browser::default());
    rig.provider.edit_claims = Some(Box::new(move |given| given.extend(claims.as_object().unwrap().clone())));
    let location = browser.start(&mut rig, "/.vestibule/login");
    let callback = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 302);
    (rig, browser)
}

fn told<'a>(forward: &'a Forward, name: &str) -> Option<&'a str> {
    let line = forward.set_headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
    line.map(|(_, value)| std::str::from_utf8(value).unwrap())
}

/// A pattern counts from the root of the host, and there are pages outside of the base path.
/// No rule names another host, so that those without one are not written for it either.
#[test]
fn a_request_for_a_host_that_no_rule_names_gets_public_pages_only() {
    const RULES: &str = "[[vestibule.rule]]\npath = \"/health\"\naccess = \"public\"\n\
        [[vestibule.rule]]\npath = \"/open\"\naccess = \"optional\"\n\
        [[vestibule.rule]]\npath = \"/admin/**\"\nhost = \"app.example\"\nrequire = { groups = \"admins\" }\n\
        [[vestibule.rule]]\npath = \"/**\"\n";
    let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}{RULES}")), Browser::default());
    rig.provider.edit_claims = Some(Box::new(|claims| {
        claims.insert("groups".to_owned(), json!(["staff"]));
    }));
    browser.log_in(&mut rig, "/app", "alice");
    let mut status = |host: &'static str, path: &str| {
        let other = Browser { host, ..browser.clone() };
        match rig.decide(&other.head(path), None).outcome {
            Outcome::Forward(_) => 200,
            Outcome::Respond(response) => response.status,
            Outcome::NeedBody(_) => panic!("no body is needed"),
        }
    };
    for (path, here) in [("/health", 200), ("/open", 200), ("/admin/users", 403), ("/app", 200)] {
        for host in ["app.example", "APP.example:443", "app.example."] {
            assert_eq!(status(host, path), here, "{host} {path}");
        }
        for host in ["x", "127.0.0.1:8501", "evil.app.example"] {
            assert_eq!(status(host, path), if path == "/health" { 200 } else { 403 }, "{host} {path}");
        }
    }
}

#[test]
fn rules_decide_outside_of_the_base_path_too() {
    let rules = "[[vestibule.rule]]\npath = \"/other/**\"\naccess = \"public\"\n[[vestibule.rule]]\npath = \"/closed/**\"\naccess = \"deny\"\n\
                 [[vestibule.rule]]\npath = \"/app/**\"\n";
    let mut rig = Rig::new(&with_rules(rules).replace("app.example/oauth2callback", "app.example/app/oauth2callback"));
    let browser = Browser::default();
    for (path, expected) in [
        ("/other", Forwarded),
        ("/other/page", Forwarded),
        ("/closed/page", Status(403)),
        ("/app/page", Login),
        ("/app/other/page", Login),
        ("/elsewhere", Status(403)),
    ] {
        assert_eq!(becomes(&mut rig, &browser.head(path)), expected, "{path}");
    }
    let of_rules: Vec<_> =
        rig.filter.config().warnings.iter().map(ToString::to_string).filter(|warning| warning.contains("rule")).collect();
    assert!(of_rules.iter().all(|warning| warning.contains("everything else is denied")), "{of_rules:?}");
}

#[test]
fn the_first_rule_that_fits_decides_and_what_none_fits_is_denied() {
    let mut rig = Rig::new(&with_rules(RULES));
    let (mut member_rig, member) = logged_in(RULES, json!({ "groups": ["staff"] }));
    for (path, nobody, staff) in [
        ("/public", Forwarded, Forwarded),
        ("/public/a/b.css", Forwarded, Forwarded),
        ("/publicity", Status(403), Status(403)),
        ("/shop/", Forwarded, Forwarded),
        ("/app", Login, Forwarded),
        ("/app/deep/", Login, Forwarded),
        ("/", Login, Forwarded),
        ("/admin", Login, Status(403)),
        ("/admin/users", Login, Status(403)),
        ("/closed", Status(403), Status(403)),
        ("/other", Status(403), Status(403)),
        ("/app?x=/public/a", Login, Forwarded),
        ("/admin?/public/a", Login, Status(403)),
        ("/other?/public/", Status(403), Status(403)),
    ] {
        assert_eq!(becomes(&mut rig, &Browser::default().head(path)), nobody, "{path}, nobody");
        assert_eq!(becomes(&mut member_rig, &member.head(path)), staff, "{path}, logged in");
    }
}

#[test]
fn our_own_routes_are_no_rules_business() {
    let deny = "[[vestibule.rule]]\npath = \"/**\"\naccess = \"deny\"\n";
    let (mut rig, mut browser) = logged_in(deny, json!({}));
    let user = browser.visit(&mut rig, "/.vestibule/user").response();
    assert!(String::from_utf8_lossy(&user.body).contains("alice@example.com"));
    assert_eq!(browser.visit(&mut rig, "/").response().status, 403);
    assert_eq!(browser.visit(&mut rig, "/oauth2callbackX").response().status, 403);
    assert_eq!(browser.visit(&mut rig, "/.vestibule/logout").response().status, 302);
    assert!(browser.cookies.keys().all(|name| name.contains("_logout_")), "{:?}", browser.cookies);
}

/// Rows of "which rule a request falls under": none of these is the public page that it looks like.
#[test]
fn no_spelling_leads_from_a_rule_to_a_page_of_another() {
    let mut rig = Rig::new(&with_rules(RULES));
    for path in [
        "/public/%2e%2e/app",
        "/public/..%2fapp",
        "/public/..;/app",
        "/public/../app",
        "/public/%252e%252e/app",
        "/public/%c0%ae%c0%ae/app",
        "/public/%2e%2e%5capp",
        "//app",
        "//public/app",
        "/public//app",
        "/public//",
        "//public/../app",
        "/public\\..\\app",
        "/public%00/app",
        "/Public/x",
        "/PUBLIC/%41",
        "/public;x/a",
        "/public%3b/a",
        "/public%3f/a",
        "/public./a",
        "/publi%43/a",
        "/publi%EF%BD%83/a",
        "/public%EF%BC%8F..%EF%BC%8Fapp",
        "/public/%EF%BC%8E%EF%BC%8E/app",
        "/public/%2e%2e%20/app",
        "/public/.%E2%80%8D./app",
        "/public/%E2%80%A5/app",
        "/public/%EF%BC%852e%EF%BC%852e/app",
        "/public::$DATA/a",
        "/%E2%84%AA",
    ] {
        let becomes = becomes(&mut rig, &Browser::default().head(path));
        // The last is a page of its own: nothing public is like it.
        let expected = if path == "/%E2%84%AA" { Status(403) } else { Status(400) };
        assert_eq!(becomes, expected, "{path}");
    }
    // Every way to read them comes to the same rule, or there is a rule between two of them.
    for (path, expected) in [
        ("/public/%2Fa", Forwarded),
        ("/public/a%3F%2Fb", Forwarded),
        ("/public/a%23%5Cb", Forwarded),
        ("/public/a;x%2Fb", Forwarded),
        ("/app/%3F%2F..;x", Status(400)),
        ("/public;x/a%2Fb", Status(400)),
        ("/public/a%2Fb%5cc", Forwarded),
        ("/public/x/%2F/y", Forwarded),
        ("/app/queues/%2F/q", Login),
        ("/app%5C", Status(400)),
        ("/public%2Fx", Status(400)),
        ("/public%5Capp", Status(400)),
        ("/%2Fapp", Status(400)),
        ("/%5Capp", Status(400)),
        ("/%2F", Status(400)),
        ("/app%2Fpublic", Status(400)),
        ("/app/%2F", Login),
        ("/app/a%5C", Login),
    ] {
        assert_eq!(becomes(&mut rig, &Browser::default().head(path)), expected, "{path}");
    }
    for (path, expected) in [
        ("/%70ublic/a", Forwarded),
        ("/public/A;x=1/b.C%20d", Forwarded),
        ("/public/What%3F", Forwarded),
        ("/%61pp", Login),
        ("/%61dmin", Login),
        ("/app/caf%C3%A9", Login),
        ("/app/100%25", Login),
    ] {
        assert_eq!(becomes(&mut rig, &Browser::default().head(path)), expected, "{path}");
    }
    let (mut rig, browser) = logged_in(
        "[[vestibule.rule]]\npath = \"/admin/**\"\nrequire = { groups = \"nobody\" }\n[[vestibule.rule]]\npath = \"/**\"\n",
        json!({}),
    );
    for path in [
        "/Admin",
        "/ADMIN/x",
        "/admin;a=b",
        "/admin%3Bx/y",
        "/;/admin",
        "/.../admin",
        "/admin%3f",
        "/admin%23/x",
        "/admin.",
        "/admin%20",
        "/adm%C4%B1n",
        "/adm%C4%B0n",
        "/%EF%BD%81dmin",
        "/ad%C2%ADmin",
        "/admin%EF%BC%8Fx",
        "/admin%CD%BEx",
        "/admin:$i30:$INDEX_ALLOCATION/x",
    ] {
        assert_eq!(becomes(&mut rig, &browser.head(path)), Status(400), "{path}");
    }
    for path in ["/admin", "/admin/", "/%61dmin/x", "/admin/X;y"] {
        assert_eq!(becomes(&mut rig, &browser.head(path)), Status(403), "{path}");
    }
    for path in ["/Reports/Q1.pdf", "/a;v=1", "/administrator", "/wiki/C%23"] {
        assert_eq!(becomes(&mut rig, &browser.head(path)), Forwarded, "{path}");
    }
}

/// The same the other way round: it is the pattern that is not written as the application reads it.
#[test]
fn no_spelling_of_a_pattern_leaves_a_page_to_another_rule() {
    for (pattern, refused, denied) in [
        ("/Admin/**", &["/admin", "/admin/x", "/ADMIN/x", "/admin./x", "/adm%C4%B1n"][..], &["/Admin", "/Admin/x", "/%41dmin"][..]),
        ("/admin./**", &["/admin", "/Admin/x", "/admin;v/x"], &["/admin.", "/admin./x"]),
        ("/admin /x", &["/admin/x", "/admin%20%20/x"], &["/admin%20/x"]),
        ("/x/*/Y", &["/x/a/y", "/X/a/Y", "/x/a/Y."], &["/x/a/Y"]),
        ("/**/Y", &["/y", "/a/b/y"], &["/Y", "/a/b/Y"]),
        ("/straße/**", &["/STRASSE", "/strasse/x", "/stra%E1%BA%9Ee", "/STRA%C3%9FE"], &["/stra%C3%9Fe", "/stra%c3%9fe/x"]),
        ("/K", &["/k", "/%E2%84%AA", "/%EF%BC%AB"], &["/K", "/%4b"]),
        ("/ſ", &["/s", "/S"], &["/%C5%BF"]),
        ("/İ", &["/i", "/I", "/%C4%B1", "/i%CC%87"], &["/%C4%B0"]),
        ("/σας", &["/%CF%83%CE%B1%CF%83", "/%CE%A3%CE%91%CE%A3"], &["/%CF%83%CE%B1%CF%82"]),
        ("/caf\u{e9}", &["/cafe%CC%81", "/CAF%C3%89"], &["/caf%C3%A9"]),
        ("/cafe\u{301}", &["/caf%C3%A9", "/CAFE%CC%81"], &["/cafe%CC%81"]),
        ("/\u{ff21}", &["/a", "/A"], &["/%EF%BC%A1"]),
        ("/a\u{200d}b", &["/ab", "/a%C2%ADb"], &["/a%E2%80%8Db"]),
    ] {
        let rules = format!("[[vestibule.rule]]\npath = \"{pattern}\"\naccess = \"deny\"\n[[vestibule.rule]]\naccess = \"public\"\n");
        let mut rig = Rig::new(&with_rules(&rules));
        for path in refused {
            assert_eq!(becomes(&mut rig, &Browser::default().head(path)), Status(400), "{pattern}: {path}");
        }
        for path in denied {
            assert_eq!(becomes(&mut rig, &Browser::default().head(path)), Status(403), "{pattern}: {path}");
        }
        for path in ["/other", "/admins", "/Other", "/xa", "/x/a/z"] {
            assert_eq!(becomes(&mut rig, &Browser::default().head(path)), Forwarded, "{pattern}: {path}");
        }
    }
    // Where both rules ask for the same, it does not matter which of them decides.
    let rules =
        "[[vestibule.rule]]\npath = \"/Docs/**\"\naccess = \"public\"\n[[vestibule.rule]]\npath = \"/docs/**\"\naccess = \"public\"\n";
    let mut rig = Rig::new(&with_rules(rules));
    for path in ["/docs", "/Docs/x"] {
        assert_eq!(becomes(&mut rig, &Browser::default().head(path)), Forwarded, "{path}");
    }
    assert_eq!(becomes(&mut rig, &Browser::default().head("/DOCS")), Status(400), "by no rule as it is written");
}

#[test]
fn where_every_request_is_asked_for_the_same_no_spelling_is_refused() {
    const SPELLINGS: [&str; 8] = ["/100%25ab.pdf", "/x/%EF%BC%8E", "/%EF%BC%8520", "/a/%20./b", "//a", "/a//b", "/%FF", "/a%20b"];
    for (rules, expected) in [
        ("[[vestibule.rule]]\naccess = \"public\"\n", Forwarded),
        ("[[vestibule.rule]]\npath = [\"/a\", \"/**\"]\n", Login),
        ("[[vestibule.rule]]\npath = \"/x/**\"\naccess = \"deny\"\n[[vestibule.rule]]\naccess = \"deny\"\n", Status(403)),
        // What comes after a rule for everything decides nothing.
        ("[[vestibule.rule]]\naccess = \"optional\"\n[[vestibule.rule]]\npath = \"/x\"\naccess = \"deny\"\n", Forwarded),
    ] {
        let mut rig = Rig::new(&with_rules(rules));
        for path in SPELLINGS {
            assert_eq!(becomes(&mut rig, &Browser::default().head(path)), expected, "{rules}: {path}");
        }
    }
    for rules in [
        "[[vestibule.rule]]\npath = \"/x\"\naccess = \"deny\"\n[[vestibule.rule]]\naccess = \"public\"\n",
        "[[vestibule.rule]]\npath = \"/**\"\nmethods = \"GET\"\naccess = \"public\"\n",
        "[[vestibule.rule]]\npath = \"/**\"\nhost = \"app.example\"\naccess = \"public\"\n",
        "[[vestibule.rule]]\npath = \"/*\"\naccess = \"public\"\n",
    ] {
        let mut rig = Rig::new(&with_rules(rules));
        for path in SPELLINGS.iter().filter(|path| **path != "/a%20b") {
            assert_eq!(becomes(&mut rig, &Browser::default().head(path)), Status(400), "{rules}: {path}");
        }
    }
}

/// Segments of patterns and of pages: the same ones in several spellings, so that rules are about the same pages.
const NAMES: [&str; 22] = [
    "admin",
    "Admin",
    "admin.",
    "straße",
    "STRASSE",
    "k",
    "\u{212a}",
    "caf\u{e9}",
    "cafe\u{301}",
    "...",
    "a b",
    "A b ",
    "\u{fb01}",
    "fi",
    "σας",
    "ΣΑΣ",
    "\u{130}",
    "i",
    "ａ",
    "a",
    "\u{1fb4}",
    "base",
];

const GROUPS: [&str; 2] = ["staff", "admins"];

fn pattern() -> impl Strategy<Value = String> {
    let names = proptest::sample::select(&NAMES[..]).prop_filter("what some server leaves out is no pattern", |name| *name != "...");
    let segment = prop_oneof![6 => names, 1 => Just("*"), 2 => Just("**")];
    proptest::collection::vec(segment, 0..4).prop_map(|segments| format!("/{}", segments.join("/")))
}

/// A list of up to `max` items as a line of TOML, or nothing.
fn list(key: &'static str, item: impl Strategy<Value = String>, max: usize) -> impl Strategy<Value = String> {
    proptest::collection::vec(item, 0..=max).prop_map(move |items| match items.as_slice() {
        [] => String::new(),
        items => format!("{key} = {}\n", json!(items)),
    })
}

fn rules() -> impl Strategy<Value = String> {
    let one_of = |items: &'static [&'static str]| proptest::sample::select(items).prop_map(str::to_owned);
    let access = prop_oneof![
        one_of(&["access = \"public\"\n", "access = \"optional\"\n", "access = \"required\"\n", "access = \"deny\"\n"]),
        one_of(&GROUPS).prop_map(|group| format!("require = {{ groups = \"{group}\" }}\n")),
    ];
    let rule =
        (list("path", pattern(), 2), list("methods", one_of(&["GET", "POST", "PROPFIND"]), 1), list("host", one_of(&[HOST]), 2), access);
    let rule = rule.prop_map(|(path, methods, host, access)| format!("[[vestibule.rule]]\n{path}{methods}{host}{access}"));
    proptest::collection::vec(rule, 1..6).prop_map(|rules| rules.concat())
}

fn page() -> impl Strategy<Value = Page> {
    let of = |items: &'static [&'static str]| proptest::sample::select(items).prop_map(str::to_owned);
    let segments = proptest::collection::vec(of(&NAMES), 0..4);
    (of(&["GET", "POST", "PROPFIND", "DELETE"]), of(&[HOST, HOST, "other.example"]), segments).prop_map(|(method, host, segments)| Page {
        method,
        host,
        segments,
    })
}

fn config(rules: &str, base: &str) -> Config {
    let toml = with_rules(rules).replace("example/oauth2callback", &format!("example{base}/oauth2callback"));
    Config::parse(&Source::new("secrets.toml", &toml)).unwrap_or_else(|faults| panic!("{toml}: {faults:#?}"))
}

/// One of many spellings, by bytes that choose.
fn spelled(page: &Page, choices: &[u8]) -> RequestHead {
    let mut choices = choices.iter().map(|&byte| usize::from(byte));
    respell(page, |count| choices.next().unwrap_or(0) % count)
}

/// What is asked for by whatever decides; `None`: refused with 400.
fn asked<'a>(head: &RequestHead, config: &'a Config) -> Option<&'a Access> {
    let ruling = Request::parse(head).and_then(|request| config.admission.ruling(&request));
    ruling.ok().map(|ruling| ruling.access)
}

/// What one server makes of a path before it looks for a page.
#[derive(Clone, Copy, Debug)]
enum Habit {
    /// Another character is a delimiter as well.
    Fold(char, &'static str),
    Split(char),
    EndAt(char),
    DropParameters,
    DropParametersOfLast,
    DropEmpty,
    DropEmptyAtBeginning,
    DropWhite,
    DropDots,
    DropSessions,
    DropFirstSession,
    DropLastEmpty,
    DropHost,
}

/// How it compares names: its pages' with those that it reads.
#[derive(Clone, Copy, Debug)]
struct Server {
    ignores_case: bool,
    ignores_parameters: bool,
    trims: bool,
}

impl Habit {
    fn of(self, segments: Vec<String>) -> Vec<String> {
        let mut segments = segments;
        match self {
            Self::Fold(from, to) => segments.iter_mut().for_each(|segment| *segment = segment.replace(from, to)),
            Self::Split(at) => segments = segments.iter().flat_map(|segment| segment.split(at)).map(str::to_owned).collect(),
            Self::EndAt(end) => {
                if let Some(last) = segments.iter().position(|segment| segment.contains(end)) {
                    segments.truncate(last + 1);
                    segments[last] = segments[last].split(end).next().unwrap().to_owned();
                }
            }
            Self::DropParameters => segments.iter_mut().for_each(|segment| *segment = segment.split(';').next().unwrap().to_owned()),
            Self::DropEmpty => segments.retain(|segment| !segment.is_empty()),
            Self::DropParametersOfLast => {
                if let Some(last) = segments.last_mut() {
                    *last = last.split(';').next().unwrap().to_owned();
                }
            }
            Self::DropEmptyAtBeginning => {
                let empty = segments.iter().take_while(|segment| segment.is_empty()).count();
                segments.drain(..empty);
            }
            Self::DropWhite => segments.retain(|segment| segment.is_empty() || !segment.chars().all(|c| c == ' ')),
            Self::DropDots => segments.retain(|segment| segment.is_empty() || !segment.chars().all(|c| c == '.')),
            Self::DropSessions => segments.retain(|segment| !is_session(segment)),
            Self::DropFirstSession => {
                if let Some(first) = segments.iter().position(|segment| is_session(segment)) {
                    segments.remove(first);
                }
            }
            Self::DropLastEmpty => {
                segments.pop_if(|last| last.is_empty());
            }
            Self::DropHost => {
                let empty = segments.iter().take_while(|segment| segment.is_empty()).count();
                if empty > 0 {
                    segments.drain(..(empty + 1).min(segments.len()));
                }
            }
        }
        segments
    }
}

fn is_session(segment: &str) -> bool {
    segment.starts_with("(S(") && segment.ends_with("))")
}

impl Server {
    fn name(self, text: &str) -> String {
        let text = if self.ignores_case { text.to_lowercase() } else { text.to_owned() };
        let text = if self.ignores_parameters { text.split(';').next().unwrap().to_owned() } else { text };
        if self.trims { text.trim().trim_end_matches(['.', ' ']).to_owned() } else { text }
    }

    fn is_for(self, pattern: &[&str], segments: &[String]) -> bool {
        match (pattern, segments) {
            ([], []) => true,
            (["**", rest @ ..], segments) => (0..=segments.len()).any(|taken| self.is_for(rest, &segments[taken..])),
            (["*", rest @ ..], [_, segments @ ..]) => self.is_for(rest, segments),
            ([literal, rest @ ..], [segment, segments @ ..]) => self.name(literal) == self.name(segment) && self.is_for(rest, segments),
            _ => false,
        }
    }
}

fn server() -> impl Strategy<Value = (Vec<Habit>, Server)> {
    let habits = [
        Habit::Fold('／', "/"),
        Habit::Fold('¥', "\\"),
        Habit::Fold('？', "?"),
        Habit::Split('/'),
        Habit::Split('\\'),
        Habit::EndAt('?'),
        Habit::EndAt('#'),
        Habit::EndAt(';'),
        Habit::EndAt('&'),
        Habit::DropParameters,
        Habit::DropParametersOfLast,
        Habit::DropEmpty,
        Habit::DropEmptyAtBeginning,
        Habit::DropWhite,
        Habit::DropDots,
        Habit::DropSessions,
        Habit::DropFirstSession,
        Habit::DropLastEmpty,
        Habit::DropHost,
    ];
    let server =
        any::<[bool; 3]>().prop_map(|[ignores_case, ignores_parameters, trims]| Server { ignores_case, ignores_parameters, trims });
    (proptest::collection::vec(proptest::sample::select(habits.to_vec()), 0..6), server)
}

/// Segments that some server splits, ends a path in, leaves out, or takes for another.
const ODD: [&str; 32] = [
    "a",
    "A",
    "b",
    "admin",
    "ADMIN",
    "admin.",
    "admin;v",
    "x?",
    "x#y",
    "?",
    ";x",
    " ",
    "...",
    "(S(x))",
    "a/b",
    "a\\b",
    "/",
    "\\",
    "a／b",
    "a¥Admin",
    "a？",
    "a;b/Admin",
    "/admin",
    "a/",
    "a／b/x？y",
    "a;b／Admin",
    "x#y/admin?z",
    "a¥b／admin",
    "(S(a;b))",
    "a&b",
    "x;y/admin",
    "//",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn two_spellings_of_a_page_have_one_decision_or_are_refused(
        rules in rules(),
        page in page(),
        base in proptest::sample::select(&["", "/base", "/Base", "/admin."][..]),
        choices in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..120), 6),
    ) {
        let config = config(&rules, base);
        let heads: Vec<_> = choices.iter().map(|choices| spelled(&page, choices)).collect();
        let decided: Vec<_> = heads.iter().filter_map(|head| Some((head, asked(head, &config)?))).collect();
        for pair in decided.windows(2) {
            prop_assert_eq!(pair[0].1, pair[1].1, "{} {} and {} {}, under\n{}",
                pair[0].0.method, pair[0].0.path_with_query, pair[1].0.method, pair[1].0.path_with_query, rules);
        }
    }

    /// Each server splits at the encoded separators that it takes for ones, and keeps what is empty, or does not.
    #[test]
    fn what_is_decided_of_encoded_separators_holds_however_they_are_read(
        rules in rules(),
        segments in proptest::collection::vec(
            prop_oneof![6 => proptest::sample::select(&NAMES[..]), 1 => Just(""), 1 => proptest::sample::select(&["a?b", "a#b", "admin;b", "12?"][..])],
            1..5,
        ),
        separators in proptest::collection::vec(proptest::sample::select(&["/", "%2F", "%5C"][..]), 5),
    ) {
        let config = config(&rules, "");
        let path = segments.iter().zip(&separators).fold(String::new(), |path, (segment, separator)| {
            let encoded = percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC);
            format!("{path}{}{encoded}", if path.is_empty() { "/" } else { *separator })
        });
        let head = |path: &str| RequestHead::get(path, rig::HOST);
        if let Some(decided) = asked(&head(&path), &config) {
            for separators in [&["%2F"][..], &["%5C"], &["%2F", "%5C"]] {
                let read = separators.iter().fold(path.clone(), |path, separator| path.replace(separator, "/"));
                let without_empty = format!("/{}", read.split('/').filter(|segment| !segment.is_empty()).collect::<Vec<_>>().join("/"));
                // What is refused as it stands is not passed in disguise; but for `//`, which is always refused so.
                prop_assert_eq!(asked(&head(&without_empty), &config), Some(decided), "{} and {} under\n{}", path, without_empty, rules);
            }
        }
    }

    /// The rules are those of each server itself here: patterns read as it reads its pages' names.
    #[test]
    fn whatever_a_server_makes_of_a_path_comes_under_what_was_decided(
        rules in proptest::collection::vec((
            proptest::collection::vec(proptest::sample::select(&["a", "A", "b", "admin", "Admin", "admin.", "*", "**"][..]), 0..4),
            proptest::sample::select(&["public", "optional", "required", "deny"][..]),
        ), 1..5),
        segments in proptest::collection::vec(proptest::sample::select(&ODD[..]), 0..5),
        servers in proptest::collection::vec(server(), 12),
    ) {
        let toml: String = rules.iter().map(|(pattern, access)| {
            format!("[[vestibule.rule]]\npath = \"/{}\"\naccess = \"{access}\"\n", pattern.join("/"))
        }).collect();
        let config = config(&toml, "");
        let encoded = |segment: &&str| percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC).to_string();
        let path = format!("/{}", segments.iter().map(encoded).collect::<Vec<_>>().join("/"));
        let Some(decided) = asked(&RequestHead::get(&path, HOST), &config) else { return Ok(()) };
        for (steps, server) in servers {
            let read = steps.iter().fold(segments.iter().map(|&segment| segment.to_owned()).collect(), |read, step| step.of(read));
            let place = rules.iter().position(|(pattern, _)| server.is_for(pattern, &read));
            let access = place.map_or(&Access::Denied, |place| &config.admission.policy.as_ref().unwrap().rules()[place].access);
            prop_assert_eq!(access, decided, "{} is {:?} to {:?} {:?} under\n{}", path, read, steps, server, toml);
        }
    }

    /// Of everybody, by the filter itself where nobody is logged in.
    #[test]
    fn explain_answers_what_is_decided(
        rules in rules(),
        page in page(),
        choices in proptest::collection::vec(any::<u8>(), 0..120),
        // Below these there are pages that are no routes.
        routes in proptest::sample::select(&["", "[vestibule]\nroutes = \"/a\"\n", "[vestibule]\nroutes = \"/base/admin\"\n"][..]),
    ) {
        let filter = Filter::new(config(&format!("{routes}{rules}"), ""));
        let head = spelled(&page, &choices);
        let (config, request) = (filter.config(), Request::parse(&head));
        let claims = GROUPS.map(|group| Claims::from(json!({ "sub": "1", "groups": [group] }).as_object().unwrap().clone()));
        for claims in [None, Some(&claims[0]), Some(&claims[1])] {
            let account = claims.map(|claims| Account { provider: &config.providers[0], claims });
            let verdict = request.as_ref().map_err(|&error| error).and_then(|request| {
                config.admission.ruling(request).map(|ruling| ruling.verdict(account.as_ref()))
            });
            let expected = match verdict {
                Err(_) => Answer::Malformed,
                Ok(Verdict::Pass) => Answer::Passes,
                Ok(Verdict::LoginRequired) => Answer::LoginRequired,
                Ok(Verdict::Denied) => Answer::Denied,
            };
            prop_assert_eq!(explain(&head, account.as_ref(), &config.admission, &config.public).answer, expected, "{} under\n{}", head.path_with_query, rules);
        }
        let (mut cache, now) = (ProviderCache::default(), UnixTime::from_secs(1_700_000_000));
        let becomes = match filter.begin(head.clone(), None, &mut Surroundings { cache: &mut cache, now, entropy: &mut Fixed::default(), ended: &NothingEnded }) {
            Step::Done(Decision { outcome: Outcome::Forward(_), .. }) => Answer::Passes,
            Step::Done(Decision { outcome: Outcome::Respond(response), .. }) => match response.status {
                400 => Answer::Malformed,
                403 => Answer::Denied,
                _ => Answer::LoginRequired,
            },
            _ => Answer::LoginRequired,
        };
        prop_assert_eq!(explain(&head, None, &config.admission, &config.public).answer, becomes, "{} under\n{}", head.path_with_query, rules);
    }

    /// The same with a session, for the host of `redirect_uri` and for others, with rules that name a host and rules that do not.
    #[test]
    fn explain_answers_what_is_decided_with_a_session_on_any_host(
        rules in rules(),
        page in page(),
        choices in proptest::collection::vec(any::<u8>(), 0..120),
        group in proptest::sample::select(&GROUPS[..]),
    ) {
        let claims = json!({ "groups": [group] });
        let (mut rig, browser) = logged_in(&rules, claims.clone());
        let claims = Claims::from(claims.as_object().unwrap().clone());
        let mut head = spelled(&page, &choices);
        head.headers.push("cookie", browser.head("/").headers.values("cookie").next().unwrap());
        let config = rig.filter.config();
        let account = Account { provider: &config.providers[0], claims: &claims };
        let answer = explain(&head, Some(&account), &config.admission, &config.public).answer;
        let becomes = match becomes(&mut rig, &head) {
            Forwarded => Answer::Passes,
            Status(400) => Answer::Malformed,
            Status(403) => Answer::Denied,
            other => panic!("{other:?}"),
        };
        prop_assert_eq!(answer, becomes, "{} at {} under\n{}", head.path_with_query, page.host, rules);
    }
}

/// That the property above is about something: spellings are refused, and they are decided.
#[test]
fn spellings_are_decided_as_well_as_refused() {
    let rules = "[[vestibule.rule]]\npath = \"/Admin/**\"\naccess = \"deny\"\n[[vestibule.rule]]\naccess = \"public\"\n";
    let config = config(rules, "");
    // The rule for everything else decides on each spelling of the other one, whatever a server makes of it.
    for (name, access, decided_of_1000) in [("Admin", Access::Denied, 50..1_000), ("other", Access::Public, 1_000..1_001)] {
        let page = Page { method: "GET".into(), host: HOST.into(), segments: vec![name.into()] };
        let mut seed = 1_u32;
        let mut choose = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed.to_be_bytes()[0]
        };
        let heads: Vec<_> = (0..1_000).map(|_| spelled(&page, &std::array::from_fn::<u8, 120, _>(|_| choose()))).collect();
        let decided: Vec<_> = heads.iter().filter_map(|head| asked(head, &config)).collect();
        assert!(decided.iter().all(|&decided| *decided == access), "{name}");
        assert!(decided_of_1000.contains(&decided.len()), "{name}: {}", decided.len());
    }
}

#[test]
fn nothing_but_method_host_and_path_takes_part() {
    let mut rig = Rig::new(&with_rules(RULES));
    for (name, value) in [
        ("user-agent", "kube-probe/1.30"),
        ("x-forwarded-uri", "/public/x"),
        ("x-original-url", "/public/x"),
        ("x-rewrite-url", "/public/x"),
        ("x-forwarded-prefix", "/public"),
        ("x-forwarded-path", "/public/x"),
        ("x-forwarded-method", "OPTIONS"),
        ("x-forwarded-host", "public.example"),
        ("forwarded", "host=public.example"),
        ("authorization", "Bearer x"),
        ("x-forwarded-groups", "admins"),
        ("referer", "https://app.example/public/x"),
    ] {
        for path in ["/app", "/admin", "/app?token=x&access=public"] {
            assert_eq!(becomes(&mut rig, &RequestHead::get(path, HOST).with(name, value)), Status(401), "{path} {name}");
        }
    }
    for method in ["OPTIONS", "HEAD", "POST", "PROPFIND"] {
        let head = RequestHead { method: method.into(), ..RequestHead::get("/app", HOST) };
        assert_eq!(becomes(&mut rig, &head), Status(401), "{method}");
    }
    assert_eq!(becomes(&mut rig, &RequestHead::get("/app", HOST).with("accept", "text/event-stream")), Status(401));
    let upgrade = RequestHead::get("/app", HOST).with("upgrade", "websocket").with("connection", "upgrade");
    assert_eq!(becomes(&mut rig, &upgrade), Status(401));
}

#[test]
fn methods_are_judged_as_the_application_takes_them() {
    let rules = "[[vestibule.rule]]\npath = \"/doc\"\nmethods = \"GET\"\naccess = \"public\"\n\
                 [[vestibule.rule]]\npath = \"/doc\"\nmethods = [\"PUT\", \"DELETE\"]\n";
    let mut rig = Rig::new(&with_rules(rules));
    let of = |method: &str| RequestHead { method: method.into(), ..RequestHead::get("/doc", HOST) };
    for (method, expected) in [
        ("GET", Forwarded),
        ("HEAD", Forwarded),
        ("PUT", Status(401)),
        ("DELETE", Status(401)),
        ("POST", Status(403)),
        ("OPTIONS", Status(403)),
        ("get", Status(400)),
        ("Delete", Status(400)),
        ("hEAD", Status(400)),
    ] {
        assert_eq!(becomes(&mut rig, &of(method)), expected, "{method}");
    }
    for name in ["X-HTTP-Method-Override", "x_http_method_override", "X-HTTP-Method", "X-Method-Override"] {
        assert_eq!(becomes(&mut rig, &of("GET").with(name, "DELETE")), Status(400), "{name}");
        assert_eq!(rig.last_event(), "request.malformed");
        assert_eq!(becomes(&mut Rig::new(CONFIG), &of("GET").with(name, "DELETE")), Status(401), "{name}: no rule is about methods");
    }
}

#[test]
fn hosts_are_judged_whatever_their_spelling() {
    let rules = "[[vestibule.rule]]\nhost = \"app.example\"\nrequire = { groups = \"nobody\" }\n[[vestibule.rule]]\naccess = \"public\"\n";
    let (mut rig, browser) = logged_in(rules, json!({}));
    let cookies = browser.head("/").headers.values("cookie").next().map(|value| String::from_utf8(value.to_vec()).unwrap());
    for (host, expected) in [
        ("app.example", Status(403)),
        ("APP.example", Status(403)),
        ("app.example:8443", Status(403)),
        ("app.example.", Status(403)),
        ("app%2eexample", Status(403)),
        ("app.example:99999", Status(400)),
        ("app.example..", Status(400)),
        ("app..example", Status(400)),
        (".app.example", Status(400)),
        ("%E2%93%90pp.example", Status(403)),
        ("%EF%BC%A1PP.example:", Status(403)),
        ("www.example", Forwarded),
        ("app.example.com", Forwarded),
    ] {
        let head = RequestHead::get("/", host).with("cookie", cookies.as_deref().unwrap());
        assert_eq!(becomes(&mut rig, &head), expected, "{host}");
    }
    let head = RequestHead::get("/", "app.example").with("x-forwarded-host", "www.example").with("forwarded", "host=www.example");
    assert_eq!(becomes(&mut rig, &head), Status(401));
}

proptest! {
    /// `check` and `serve` refuse a rule that only another host could meet, however either host is written.
    #[test]
    fn a_rule_for_another_host_is_refused(
        public in "[a-z]{1,6}(-[a-z0-9]{1,4})?\\.(example|test)",
        port in proptest::option::of(1_u16..),
        hosts in proptest::collection::vec(("[a-z]{1,6}(-[a-z0-9]{1,4})?\\.(example|test)", any::<bool>(), any::<bool>()), 1..4),
    ) {
        let authority = port.map_or(public.clone(), |port| format!("{public}:{port}"));
        let hosts: Vec<_> = hosts.into_iter().map(|(other, is_other, is_upper)| {
            let host = if is_other { other } else { public.clone() };
            if is_upper { host.to_uppercase() } else { host }
        }).collect();
        let toml = with_rules(&format!("[[vestibule.rule]]\nhost = {}\n", json!(hosts)));
        let toml = toml.replace("https://app.example/", &format!("https://{authority}/"));
        let parsed = Config::parse(&Source::new("secrets.toml", &toml));
        let wrong: Vec<_> = hosts.iter().filter(|host| **host != public).collect();
        let faults = parsed.err().unwrap_or_default().into_iter().filter(|fault| fault.fatal).collect::<Vec<_>>();
        prop_assert_eq!(faults.len(), wrong.len(), "{}: {:?}", toml, faults);
        for (fault, host) in faults.iter().zip(wrong) {
            prop_assert!(fault.key == "vestibule.rule[1].host" && fault.problem.contains(&format!("`{host}`")), "{fault}");
            prop_assert!(*host.to_lowercase() == public || fault.problem.contains(&public), "{fault}");
        }
    }
}

#[test]
fn public_is_anonymous_and_optional_is_whoever_is_logged_in() {
    let (mut rig, mut browser) = logged_in(RULES, json!({}));
    for (path, user) in [("/public/a", None), ("/shop/a", Some("alice")), ("/app", Some("alice"))] {
        let head = browser.head(path).with("X-Forwarded-User", "mallory").with("x_forwarded_groups", "admins");
        let forward = browser.send(&mut rig, &head).forward();
        assert_eq!(told(&forward, "x-forwarded-user"), user, "{path}");
        assert_eq!(forward.expires_at.is_some(), user.is_some(), "{path}");
        for removed in ["X-Forwarded-User", "x_forwarded_groups", "cookie"] {
            assert!(forward.remove_headers.iter().any(|name| name == removed), "{path} {removed}");
        }
    }
    let forward = Browser::default().visit(&mut rig, "/shop/a").forward();
    assert_eq!((told(&forward, "x-forwarded-user"), forward.expires_at), (None, None));
}

#[test]
fn who_lacks_the_right_is_told_as_whom_and_offered_another_account() {
    let (mut rig, mut browser) = logged_in(RULES, json!({ "groups": ["staff"], "email": "<b>@example.com" }));
    let page = browser.visit(&mut rig, "/admin/users?x=1").response();
    let body = String::from_utf8_lossy(&page.body).into_owned();
    assert_eq!((page.status, rig.last_event()), (403, "policy.denied"));
    assert!(body.contains("logged in as &#60;b&#62;@example.com") && !body.contains("<b>"), "{body}");
    assert!(body.contains("/.vestibule/login?return_to=%2Fadmin%2Fusers%3Fx%3D1&#38;prompt=select_account"), "{body}");
    assert!(body.contains("href=\"/.vestibule/logout\"") && body.contains("Reference number"), "{body}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'nonce-") && page.header("cache-control") == Some("no-store"), "{policy}");

    // The way to another account works, and ends on the page that was asked for.
    let location = browser.start(&mut rig, "/.vestibule/login?return_to=%2Fadmin%2Fusers%3Fx%3D1&prompt=select_account");
    rig.provider.edit_claims = None;
    let callback = rig.provider.authorize(&location, "root");
    let landed = browser.visit(&mut rig, &callback).response();
    assert_eq!(landed.header("location"), Some("/admin/users?x=1"));
    browser.visit(&mut rig, "/admin/users?x=1").forward();
}

#[test]
fn programs_get_the_refusal_as_a_problem() {
    let (mut rig, browser) = logged_in(RULES, json!({ "groups": ["staff"] }));
    for (name, value) in
        [("accept", "application/json"), ("sec-fetch-mode", "cors"), ("upgrade", "websocket"), ("x-requested-with", "XMLHttpRequest")]
    {
        let mut head = browser.head("/admin");
        head.headers.retain(|given, _| given != "accept");
        let Outcome::Respond(response) = rig.decide(&head.with(name, value), None).outcome else { panic!("forwarded") };
        assert_eq!((response.status, response.header("content-type")), (403, Some("application/problem+json")), "{name}");
        let problem: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!((&problem["code"], &problem["status"]), (&json!("policy.denied"), &json!(403)), "{problem}");
    }
    // A page that nobody may see offers no login.
    let page = Browser::default().visit(&mut rig, "/closed").response();
    assert_eq!(page.status, 403);
    let body = String::from_utf8_lossy(&page.body).into_owned();
    assert!(!body.contains("/.vestibule/login") && !body.contains("logged in as"), "{body}");
}

#[test]
fn the_log_of_a_refusal_names_the_rule_and_nobody() {
    let (mut rig, browser) = logged_in(RULES, json!({ "groups": ["staff"] }));
    let event = |rig: &mut Rig, head: &RequestHead| {
        let event = rig.decide(head, None).events.pop().unwrap();
        (event.code.as_str(), event.message, event.reference.is_some())
    };
    let lines = CONFIG.lines().count();
    let line =
        |rule: usize| lines + RULES.lines().enumerate().filter(|(_, text)| *text == "[[vestibule.rule]]").nth(rule - 1).unwrap().0 + 1;
    let refused = event(&mut rig, &browser.head("/admin"));
    assert_eq!(refused, ("policy.denied", format!("rule 2 (line {}) does not admit this account", line(2)), true));
    assert_eq!(event(&mut rig, &browser.head("/closed")).1, format!("rule 4 (line {}) denies access to every user", line(4)));
    assert_eq!(event(&mut rig, &browser.head("/x")).1, "no rule fits this request: access is denied");
}

#[test]
fn another_account_means_the_providers_choice_whatever_is_configured() {
    let prompts = |config: &str, path: &str| -> Vec<String> {
        let (mut rig, mut browser) = (Rig::new(config), Browser::default());
        let location = browser.start(&mut rig, path);
        location.query_pairs().filter(|(name, _)| name == "prompt").map(|(_, value)| value.into_owned()).collect()
    };
    for configured in ["", "none", "consent"] {
        let config = format!("{CONFIG}\nclient_kwargs = {{ prompt = \"{configured}\" }}\n");
        assert_eq!(prompts(&config, "/.vestibule/login?prompt=select_account"), ["select_account"], "{configured}");
        let own: Vec<String> = if configured.is_empty() { vec![] } else { vec![configured.into()] };
        for path in ["/.vestibule/login", "/.vestibule/login?prompt=none", "/.vestibule/login?prompt=login"] {
            assert_eq!(prompts(&config, path), own, "{configured} {path}: nobody else chooses it");
        }
    }
    let several = CONFIG.replace("client_id", "[auth.a]\nclient_id")
        + "[auth.b]\nclient_id = \"b\"\nclient_secret = \"b\"\n\
                  server_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n";
    let mut rig = Rig::new(&several);
    let page = Browser::default().visit(&mut rig, "/.vestibule/login?prompt=select_account").response();
    assert!(String::from_utf8_lossy(&page.body).contains("/.vestibule/login?provider=b&#38;prompt=select_account"));
}

/// Whether the account may see a page for which this is required.
fn admits(require: &str, claims: &Value) -> bool {
    admits_with("", require, claims)
}

fn admits_with(more: &str, require: &str, claims: &Value) -> bool {
    let rules = format!("{more}[[vestibule.rule]]\nrequire = {{ {require} }}\n");
    let (mut rig, mut browser) = logged_in(&rules, claims.clone());
    match browser.visit(&mut rig, "/") {
        Seen::Forwarded(_) => true,
        Seen::Answered(response) => {
            assert_eq!((response.status, rig.last_event()), (403, "policy.denied"), "{require} {claims}");
            false
        }
    }
}

#[test]
fn conditions_are_met_by_the_claims_and_nothing_like_them() {
    for (require, good, bad) in [
        (
            "groups = [\"admins\", \"ops\"]",
            vec![json!({ "groups": ["x", "ops"] }), json!({ "groups": "admins" })],
            vec![
                json!({ "groups": ["a,admins"] }),
                json!({ "groups": "a,admins" }),
                json!({ "groups": "x admins" }),
                json!({ "groups": ["Admins", "administrators"] }),
                json!({ "groups": [["admins"]] }),
                json!({ "groups": { "admins": true } }),
                json!({ "groups": [] }),
                json!({ "groups": null }),
                json!({ "groups": true }),
            ],
        ),
        ("roles = \"r\"", vec![json!({ "roles": ["r"] })], vec![json!({ "role": ["r"] }), json!({ "groups": ["r"] })]),
        (
            "claim = { \"/realm_access/roles\" = \"r\" }",
            vec![json!({ "realm_access": { "roles": ["r"] } })],
            vec![
                json!({ "realm_access": { "roles": { "r": 1 } } }),
                json!({ "realm_access": ["r"] }),
                json!({ "/realm_access/roles": "r" }),
            ],
        ),
        (
            "claim = { \"https://x.example/roles\" = \"r\" }",
            vec![json!({ "https://x.example/roles": ["r"] })],
            vec![json!({ "https:": { "": { "x.example": { "roles": "r" } } } })],
        ),
        (
            "claim = { level = 2, internal = true }",
            vec![json!({ "level": 2, "internal": true }), json!({ "level": [1, 2], "internal": [true] })],
            vec![
                json!({ "level": "2", "internal": true }),
                json!({ "level": 2, "internal": "true" }),
                json!({ "level": 2 }),
                json!({ "level": 20, "internal": true }),
            ],
        ),
        ("provider = \"default\"", vec![json!({}), json!({ "provider": "other" })], vec![]),
        (
            "groups = \"a\", claim = { b = \"c\" }",
            vec![json!({ "groups": ["a"], "b": "c" })],
            vec![json!({ "groups": ["a"], "b": "d" }), json!({ "groups": [], "b": "c" })],
        ),
        (
            "any = [{ groups = \"a\" }, { all = [{ claim = { b = \"c\" } }, { claim = { d = \"e\" } }] }]",
            vec![json!({ "groups": ["a"] }), json!({ "groups": [], "b": "c", "d": "e" })],
            vec![json!({ "groups": [], "b": "c" }), json!({ "groups": ["c"], "d": "e" })],
        ),
    ] {
        for claims in good {
            assert!(admits(require, &claims), "{require} {claims}");
        }
        for claims in bad {
            assert!(!admits(require, &claims), "{require} {claims}");
        }
    }
    let groups_elsewhere = "[vestibule.identity]\ngroups_claim = \"/resource/teams\"\n";
    assert!(admits_with(groups_elsewhere, "groups = \"a\"", &json!({ "resource": { "teams": ["a"] } })));
    assert!(!admits_with(groups_elsewhere, "groups = \"a\"", &json!({ "groups": ["a"] })));
}

#[test]
fn an_address_counts_when_it_is_verified_and_of_exactly_that_domain() {
    let verified = |email: &str| json!({ "email": email, "email_verified": true });
    let domain = "email_domain = \"good.com\"";
    for email in ["a@good.com", "a@GOOD.com", "a.b+c@good.com"] {
        assert!(admits(domain, &verified(email)), "{email}");
    }
    for email in [
        "a@evil.com@good.com",
        "\"a@evil.com\"@good.com",
        "a@evil.com,b@good.com",
        "a@sub.good.com",
        "a@good.com.evil.com",
        "a@evilgood.com",
        "a@good.com ",
        "a@good.com\n",
        "a@good.com.",
        "@good.com",
        "good.com",
        "a@evil.com\u{0}@good.com",
        "a@ɡood.com",
        "",
    ] {
        assert!(!admits(domain, &verified(email)), "{email:?}");
    }
    assert!(admits("email = \"Alice@good.com\"", &verified("alice@good.com")));
    assert!(!admits("email = \"alice@good.com\"", &verified("alice@good.com@good.com")));
    for (claims, without, trusted) in [
        (json!({ "email": "a@good.com" }), false, true),
        (json!({ "email": "a@good.com", "email_verified": false }), false, false),
        (json!({ "email": "a@good.com", "email_verified": "false" }), false, false),
        (json!({ "email": "a@good.com", "email_verified": null }), false, false),
        (json!({ "email": "a@good.com", "email_verified": "true" }), true, true),
        (json!({ "email": "a@good.com", "xms_edov": true }), true, true),
        (json!({ "email": ["a@good.com"], "email_verified": true }), false, false),
        (json!({ "email": null, "email_verified": true }), false, false),
    ] {
        assert_eq!(admits(domain, &claims), without, "{claims}");
        assert_eq!(admits_with("[vestibule.provider.default]\ntrust_email = true\n", domain, &claims), trusted, "trusted: {claims}");
    }
}

#[test]
fn without_rules_the_login_decides_for_every_path() {
    let (mut required, mut optional) = (Rig::new(CONFIG), Rig::new(&with_rules("[vestibule]\nlogin = \"optional\"\n")));
    for path in ["/", "/admin", "//x", "/Public/;x", "/%2561"] {
        assert_eq!(becomes(&mut required, &RequestHead::get(path, HOST)), Status(401), "{path}");
        assert_eq!(becomes(&mut optional, &RequestHead::get(path, HOST)), Forwarded, "{path}");
    }
}

#[test]
fn a_session_is_judged_anew_with_each_request() {
    let (mut rig, mut browser) = logged_in(RULES, json!({ "groups": ["admins"] }));
    browser.visit(&mut rig, "/admin").forward();
    // The same session under other rules, as after a reload.
    let mut stricter = Rig::new(&with_rules("[[vestibule.rule]]\npath = \"/admin/**\"\nrequire = { groups = \"root\" }\n"));
    assert_eq!(browser.visit(&mut stricter, "/admin").response().status, 403);
    rig.now += 31 * 24 * 60 * 60;
    assert_eq!(browser.visit(&mut rig, "/admin").response().status, 302, "over");
}

#[test]
fn a_login_starts_for_the_page_that_a_rule_protects() {
    let (mut rig, mut browser) = (Rig::new(&with_rules(RULES)), Browser::default());
    let location: Url = browser.start(&mut rig, "/admin/users?x=1");
    assert!(query(&location).contains_key("state"));
    let callback = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().header("location"), Some("/admin/users?x=1"));
}

/// Two readings of one path between which a rule stands, as real servers have them.
#[test]
fn no_disguise_of_a_separator_leads_past_a_rule() {
    let admins = |path: &str, rest: &str| {
        format!("[[vestibule.rule]]\npath = \"{path}\"\nrequire = {{ groups = \"nobody\" }}\n[[vestibule.rule]]\npath = \"{rest}\"\n")
    };
    for (rules, path) in [
        (admins("/projects/*/admin/**", "/projects/**"), "/projects/12%3F%2Fadmin%2Fusers"),
        (admins("/projects/*/admin/**", "/projects/**"), "/projects/12%23%5Cadmin%5Cusers"),
        (admins("/api/*/admin/**", "/api/**"), "/api/v1;%2Fz/admin%2Fusers"),
        (admins("/api/*/admin/**", "/api/**"), "/api/v1%3Bx%2Fadmin"),
        (format!("[[vestibule.rule]]\npath = \"/assets/**\"\n{}", admins("/*/admin/**", "/*")), "/ASSETS%2Fadmin%2Fx"),
        (admins("/a/b", "/**"), "/a%2Fb"),
        (admins("/a/b", "/**"), "/a%5Cb"),
        (admins("/a/*/b", "/**"), "/a/%2F/b"),
        (admins("/a/*/*/b", "/**"), "/a/%2F/b"),
        (admins("/a/b", "/**"), "/a/%2F/b"),
        // A server that has no regard to case, and takes for a segment what another drops, or the other way round.
        (admins("/*/admin/**", "/**"), "/x%3F/ADMIN/users"),
        (admins("/*/admin/**", "/**"), "/;x/ADMIN"),
        (admins("/*/admin/**", "/**"), "/%20/ADMIN/x"),
        (admins("/*/admin/**", "/**"), "/.../ADMIN"),
        (admins("/*/admin/**", "/**"), "/(S(x))/ADMIN"),
        (admins("/*/admin/**", "/**"), "/a%EF%BC%8Fb/ADMIN/x"),
        (admins("/*/admin/**", "/**"), "/a%C2%A5b/ADMIN/x"),
        (admins("/admin/**", "/**"), "/(S(a;b))/admin/x"),
        (admins("/admin/**", "/**"), "/(S(a:$b))/admin/x"),
        (admins("/*/admin/**", "/**"), "/(S(x))/(S(y))/admin/u"),
        (admins("/protected/**", "/**"), "/(S(x))/prot/(S(x))ected/t.aspx"),
        (admins("/protected/**", "/**"), "/prot/(S(x))ected/t.aspx/(S(x))/"),
        (admins("/*/admin/**", "/**"), "/x%23y/admin%3Fz"),
        (admins("/*/admin/**", "/**"), "/x%3Fy/admin%23z"),
        (admins("/admin", "/**"), "/admin%3B/assets/x"),
        (admins("/admin", "/**"), "/admin&/assets/x"),
        (admins("/*/admin/**", "/**"), "/x%E2%88%95y%EF%BC%8Fadmin/u"),
        (admins("/*/admin/**", "/**"), "/%C2%BD%EF%BC%8Fadmin"),
        (admins("/*/admin/**", "/**"), "/x%C2%A5y%EF%BC%BCadmin/u"),
        (admins("/admin/**", "/**"), "/%25u0061dmin"),
        (admins("/*/*/admin/**", "/**"), "/%2Fx%2F%2Fadmin"),
        (admins("/*/admin/*", "/**"), "/x;y%2Fadmin/s;t%2Fu"),
        (admins("/*/admin/**", "/**"), "/%20/.../admin/u"),
        (format!("[[vestibule.rule]]\npath = \"/x/**\"\n{}", admins("/*/admin/**", "/**")), "/x./ADMIN"),
        (format!("[[vestibule.rule]]\npath = \"/x/**\"\n{}", admins("/*/admin/**", "/**")), "/x;y/ADMIN"),
    ] {
        let (mut rig, browser) = logged_in(&rules, json!({}));
        assert_eq!(becomes(&mut rig, &browser.head(path)), Status(400), "{path}");
    }
}
