//! What makes a request ambiguous is named: on the page in the reader's language, in the problem document, and in the log with its
//! place; of a closed set, and without the client's text.

use proptest::prelude::*;
use serde_json::Value;
use vestibule::decision::Outcome;
use vestibule::web::construct::Construct;
use vestibule::web::http::{RequestHead, Response};

use crate::rig::{CONFIG, HOST, Rig};

const RULES: &str = r#"
[[vestibule.rule]]
path = ["/admin/**", "/admin"]
methods = ["GET", "POST"]
require = { groups = "admins" }
[[vestibule.rule]]
path = ["/Docs/**", "/straße", "/a b"]
access = "deny"
[[vestibule.rule]]
path = "/**"
access = "public"
"#;

fn refused(rig: &mut Rig, head: &RequestHead) -> Response {
    match rig.decide(head, None).outcome {
        Outcome::Respond(response) => response,
        other => panic!("{}: {other:?}", head.path_with_query),
    }
}

fn rig() -> Rig {
    Rig::new(&format!("{CONFIG}{RULES}"))
}

/// A request, what is to blame, and in which segment.
fn cases() -> Vec<(RequestHead, Construct, Option<usize>)> {
    let long = "/a".repeat(129);
    let paths = [
        ("//x", Construct::EmptySegment, Some(1)),
        ("/a//b", Construct::EmptySegment, Some(2)),
        ("/a/%2e%2e/b", Construct::DotSegment, Some(2)),
        ("/a/%2E%2E%20/b", Construct::DotSegment, Some(2)),
        ("/a%2", Construct::BrokenEscape, Some(1)),
        ("/a/%00", Construct::ControlCharacter, Some(2)),
        ("/a/%2561", Construct::EscapedTwice, Some(2)),
        ("/a/%ff", Construct::NotUtf8, Some(2)),
        ("/%2Fhost/admin", Construct::EncodedSeparator, None),
        ("/admin%2Fx", Construct::EncodedSeparator, None),
        ("/admin;x/y", Construct::Parameter, Some(1)),
        ("/admin&x", Construct::Parameter, None),
        ("/admin%3Fx", Construct::EncodedEnd, None),
        ("/admin%23x", Construct::EncodedEnd, None),
        ("/admin.", Construct::SegmentEnd, Some(1)),
        ("/%20admin/x", Construct::SegmentEnd, Some(1)),
        ("/.../admin", Construct::SegmentEnd, None),
        ("/a+b", Construct::Plus, Some(1)),
        ("/(S(x))/admin", Construct::SessionSegment, None),
        ("/(S(x))admin", Construct::SessionSegment, Some(1)),
        ("/Admin/x", Construct::LetterCase, Some(1)),
        // Here it is the rule that has the other spelling.
        ("/docs/x", Construct::LetterCase, None),
        ("/strasse", Construct::Characters, None),
        ("/%EF%BD%81dmin", Construct::Characters, Some(1)),
        (&long, Construct::TooLong, None),
    ];
    let with_path = |(path, construct, segment): (&str, Construct, Option<usize>)| (RequestHead::get(path, HOST), construct, segment);
    let mut cases: Vec<_> = paths.into_iter().map(with_path).collect();
    let admin = RequestHead::get("/admin", HOST);
    cases.push((RequestHead { method: "get".into(), ..admin.clone() }, Construct::MethodCase, None));
    cases.push((admin.clone().with("x_http_method_override", "DELETE"), Construct::MethodOverride, None));
    cases.push((admin.with("host", "other.example"), Construct::Host, None));
    cases.push((RequestHead::get("/a#b", HOST), Construct::Target, None));
    cases
}

#[test]
fn what_is_ambiguous_is_named_on_the_page_in_the_problem_and_in_the_log() {
    let mut rig = rig();
    let mut missing = Construct::ALL.to_vec();
    for (head, construct, segment) in cases() {
        let target = head.path_with_query.clone();
        let problem = refused(&mut rig, &head);
        assert_eq!((problem.status, rig.last_event()), (400, "request.malformed"), "{target}");
        let message = rig.last_message().to_owned();
        match construct {
            Construct::Host => assert_eq!(message, "the request is malformed: the host"),
            Construct::Target => assert_eq!(message, "the request is malformed: the request target"),
            Construct::MethodOverride => assert!(message.contains("X-HTTP-Method-Override"), "{message}"),
            _ => assert!(message.contains(&construct.to_string()), "{target}: {message}"),
        }
        match segment {
            Some(segment) => assert!(message.ends_with(&format!(", in segment {segment}")), "{target}: {message}"),
            None => assert!(!message.contains(", in segment"), "{target}: {message}"),
        }
        let problem: Value = serde_json::from_slice(&problem.body).unwrap();
        let detail = problem["detail"].as_str().unwrap().to_owned();
        let (_, named) = detail.split_once("Ambiguous part: ").unwrap_or_else(|| panic!("{target}: {detail}"));
        for (language, told) in [
            ("en", "Ambiguous part: "),
            ("de", "Nicht eindeutig ist: "),
            ("fr", "Élément ambigu : "),
            ("es", "Elemento ambiguo: "),
            ("ja", "一通りに読み取れない箇所: "),
        ] {
            let page = refused(&mut rig, &head.clone().with("accept", "text/html").with("accept-language", language));
            let body = String::from_utf8(page.body).unwrap();
            assert!(page.status == 400 && body.contains(told), "{language} {target}: {body}");
            // Up to what the page escapes.
            let words = named.split(['(', '#', '&']).next().unwrap().trim();
            assert_eq!(body.contains(words), language == "en", "{language} {target}: {words}");
        }
        missing.retain(|other| *other != construct);
    }
    assert_eq!(missing, [], "each is named of some request");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// The client's text is in no answer and no line of the log.
    #[test]
    fn the_text_of_a_request_is_not_repeated(
        before in "[a-z]{0,3}",
        mark in "q[a-z]{12}q",
        construct in proptest::sample::select(
            &["//", "%2561", "/%2e%2e/", "%zz", "%00", "%ff", "/admin;", "/Admin/", "%2Fadmin/", "/(S(x))admin/"][..],
        ),
        is_page in any::<bool>(),
    ) {
        let mut rig = rig();
        let head = RequestHead::get(&format!("/{before}{construct}{mark}"), HOST);
        let head = if is_page { head.with("accept", "text/html") } else { head };
        if let Outcome::Respond(response) = rig.decide(&head, None).outcome && response.status == 400 {
            prop_assert!(!String::from_utf8_lossy(&response.body).contains(&mark));
            prop_assert!(!rig.last_message().contains(&mark), "{}", rig.last_message());
        }
    }
}
