//! What decisions are to the audit.

use vestibule::audit::{AuditDestination, AuditEvent, Audited};
use vestibule::code::Code;
use vestibule::config::{Config, Source};
use vestibule::decision::Outcome;
use vestibule::web::http::RequestHead;

use crate::rig::{Browser, CONFIG, Rig};

const RULES: &str = "[[vestibule.rule]]\npath = \"/admin/**\"\nrequire = { groups = \"nobody\" }\n[[vestibule.rule]]\n";

fn rig(log: &str) -> Rig {
    Rig::new(&format!("{CONFIG}[vestibule.log]\n{log}\n{RULES}"))
}

/// Somebody who is logged in, and what the login was to the audit.
fn logged_in(rig: &mut Rig) -> (Browser, Option<Audited>) {
    let mut browser = Browser::default();
    let location = browser.start(rig, "/page");
    let callback = rig.provider.authorize(&location, "alice");
    let decision = rig.decide(&browser.head(&callback), None);
    let mut again = Browser { cookies: browser.cookies.clone(), ..Browser::default() };
    let Outcome::Respond(response) = &decision.outcome else { panic!("a redirect") };
    for (_, value) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
        let set = cookie::Cookie::parse(String::from_utf8(value.clone()).unwrap()).unwrap();
        if set.max_age().is_some_and(|age| age.is_zero()) {
            again.cookies.remove(set.name());
        } else {
            again.cookies.insert(set.name().to_owned(), set.value().to_owned());
        }
    }
    (again, decision.audited)
}

#[test]
fn logins_requests_refusals_and_logouts_are_about_one_session() {
    for (log, named) in [("audit = \"log\"", false), ("audit = \"log\"\nsubject = true", true)] {
        let mut rig = rig(log);
        rig.provider.edit_claims = Some(Box::new(|claims| {
            claims.insert("email".into(), "alice@example.com".into());
            claims.insert("email_verified".into(), true.into());
        }));
        let (browser, login) = logged_in(&mut rig);
        let login = login.unwrap();
        assert_eq!((login.event, login.path.as_str(), login.code), (AuditEvent::Login, "/oauth2callback", None));
        let person = login.person;
        assert_eq!(person.provider.as_deref(), Some("default"));
        assert_eq!((person.subject.as_deref(), person.email.as_deref()), (named.then_some("alice"), named.then_some("alice@example.com")));
        assert_eq!(person.session.as_deref().map(str::len), Some(22));

        for (path, event, code, rule) in [
            ("/page?secret=1", AuditEvent::Forwarded, None, None),
            ("/admin/users?secret=1", AuditEvent::Refused, Some(Code::PolicyDenied), Some(1)),
            ("/.vestibule/logout?return_to=secret", AuditEvent::Logout, None, None),
        ] {
            let audited = rig.decide(&browser.head(path), None).audited.unwrap_or_else(|| panic!("nothing of {path}"));
            assert_eq!((audited.event, audited.code, audited.rule), (event, code, rule));
            assert_eq!((audited.method.as_str(), Some(audited.path.as_str())), ("GET", path.split('?').next()));
            assert_eq!(audited.person, person, "{path}");
        }
    }
}

#[test]
fn an_address_that_is_not_verified_is_not_in_it() {
    for verified in [None, Some(false)] {
        let mut rig = rig("audit = \"log\"\nsubject = true");
        rig.provider.edit_claims = Some(Box::new(move |claims| {
            claims.insert("email".into(), "alice@example.com".into());
            claims.remove("email_verified");
            claims.extend(verified.map(|verified| ("email_verified".to_owned(), verified.into())));
        }));
        let person = logged_in(&mut rig).1.unwrap().person;
        assert_eq!((person.subject.as_deref(), person.email), (Some("alice"), None), "{verified:?}");
    }
}

#[test]
fn a_login_that_fails_names_the_provider_it_was_at_and_nobody() {
    let mut rig = rig("audit = \"log\"\nsubject = true");
    let nowhere = rig.decide(&Browser::default().head("/oauth2callback?code=a&state=made-up"), None).audited.unwrap();
    assert_eq!((nowhere.event, nowhere.code, nowhere.person.provider), (AuditEvent::LoginFailed, Some(Code::CallbackUnknownState), None));
    rig.provider.edit_claims = Some(Box::new(|claims| drop(claims.insert("nonce".into(), "another".into()))));
    let failed = logged_in(&mut rig).1.unwrap();
    assert_eq!((failed.event, failed.code), (AuditEvent::LoginFailed, Some(Code::IdTokenNonce)));
    assert_eq!((failed.person.provider.as_deref(), failed.person.subject, failed.person.session), (Some("default"), None, None));
}

#[test]
fn what_is_no_event_is_none() {
    let mut rig = rig("audit = \"log\"");
    let browser = Browser::default();
    for head in [
        browser.head("/page"),
        browser.head("/.vestibule/logout"),
        RequestHead::get("/page", "app.example"),
        RequestHead::get("/a/../b", "app.example"),
    ] {
        assert_eq!(rig.decide(&head, None).audited, None, "{}", head.path_with_query);
    }
}

#[test]
fn without_an_audit_nothing_is_said() {
    for log in ["", "audit = \"off\"", "subject = true"] {
        let mut rig = rig(log);
        let (browser, login) = logged_in(&mut rig);
        assert_eq!(login, None, "{log}");
        for path in ["/page", "/admin/a", "/oauth2callback?code=a&state=b", "/.vestibule/logout"] {
            assert_eq!(rig.decide(&browser.head(path), None).audited, None, "{path} with {log}");
        }
    }
}

#[test]
fn a_path_that_is_long_is_cut_off() {
    let mut rig = rig("audit = \"log\"");
    let (browser, _) = logged_in(&mut rig);
    let audited = rig.decide(&browser.head(&format!("/{}", "x".repeat(5000))), None).audited.unwrap();
    assert_eq!(audited.path.len(), 1024);
}

fn read(log: &str) -> Result<Config, Vec<vestibule::config::Fault>> {
    Config::parse(&Source::new("secrets.toml", &format!("{CONFIG}[vestibule.log]\n{log}\n")))
}

#[test]
fn the_destination_is_the_log_the_journal_or_an_absolute_path() {
    for (text, destination) in [
        ("off", None),
        ("log", Some(AuditDestination::Log)),
        ("journald", Some(AuditDestination::Journald)),
        ("file:/var/log/vestibule/audit.jsonl", Some(AuditDestination::File("/var/log/vestibule/audit.jsonl".into()))),
    ] {
        let audit = read(&format!("audit = \"{text}\"")).unwrap().audit;
        assert_eq!(audit.map(|audit| audit.destination), destination, "{text}");
    }
    for text in [
        "",
        "on",
        "stderr",
        "journal",
        "Journald",
        "journald:/run/a",
        "file:",
        "file:audit.jsonl",
        "file:/",
        "file:/a/",
        "file:///var/log/",
        "file:/a\\nb",
        "/var/log/audit",
    ] {
        let faults = read(&format!("audit = \"{text}\"")).unwrap_err();
        assert!(faults.iter().any(|fault| fault.fatal && fault.key == "vestibule.log.audit"), "{text}: {faults:#?}");
    }
}

#[test]
fn requests_without_an_audit_are_a_warning() {
    assert!(read("audit = \"log\"\nrequests = true").unwrap().warnings.is_empty());
    let warnings = read("requests = true").unwrap().warnings;
    assert!(warnings.iter().any(|fault| fault.key == "vestibule.log.requests" && !fault.fatal), "{warnings:#?}");
}

#[test]
fn what_another_proxy_asks_twice_is_audited_once_and_as_the_request_that_it_keeps() {
    const AUTHZ: &str = "[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = ";
    let question = |path: &str, names: [&str; 2]| {
        let head = RequestHead::get(path, "app.example").with(names[0], "DELETE").with(names[1], "/elsewhere?secret=1");
        head.with("x-forwarded-host", "app.example")
    };
    let (original, forwarded) = (["X-Original-Method", "X-Original-URI"], ["X-Forwarded-Method", "X-Forwarded-Uri"]);
    for (proxy, path, names, is_audited) in [
        ("nginx", "/.vestibule/check", original, false),
        ("nginx", "/.vestibule/refusal", original, true),
        ("traefik", "/.vestibule/check", forwarded, true),
    ] {
        let rules = "[vestibule.log]\naudit = \"log\"\n[[vestibule.rule]]\npath = \"/app/**\"\n";
        let mut rig = Rig::new(&format!("{CONFIG}{AUTHZ}\"{proxy}\"\n{rules}"));
        let audited = rig.decide(&question(path, names), None).audited;
        assert_eq!(audited.is_some(), is_audited, "{proxy} {path}");
        let Some(audited) = audited else { continue };
        assert_eq!((audited.event, audited.code), (AuditEvent::Refused, Some(Code::PolicyDenied)));
        assert_eq!((audited.method.as_str(), audited.path.as_str()), ("DELETE", "/elsewhere"));
    }
}
