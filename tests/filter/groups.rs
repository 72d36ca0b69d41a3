//! Groups in every shape that providers send: the same for the header, for rules and for `explain`, and from a shape that is
//! not the stated one for none of them.

use serde_json::{Value, json};
use vestibule::account::Account;
use vestibule::claims::Claims;
use vestibule::config::{Config, Source};
use vestibule::decision::Outcome;
use vestibule::policy::{Answer, explain};
use vestibule::web::http::RequestHead;

use crate::rig::{Browser, CONFIG, Rig, Seen};

const UNUSABLE: &str = "identity.groups_unusable";

/// Settings, and rules that admit one group each.
fn config(identity: &str, groups: &[&str]) -> String {
    let rules = groups.iter().enumerate().map(|(index, group)| {
        let group = toml::Value::from(*group);
        format!("[[vestibule.rule]]\npath = \"/{index}\"\nrequire = {{ groups = {group} }}\n")
    });
    format!("{CONFIG}[vestibule.identity]\n{identity}\n{}[[vestibule.rule]]\n", rules.collect::<String>())
}

/// Logs in with these claims.
fn logged_in(config: &str, claims: &Value) -> (Rig, Browser) {
    let (mut rig, mut browser) = (Rig::new(config), Browser::default());
    let more = claims.as_object().unwrap().clone();
    rig.provider.edit_claims = Some(Box::new(move |claims| {
        claims.remove("groups");
        claims.extend(more.clone());
    }));
    assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 302, "{:?}", rig.messages);
    rig.forget();
    (rig, browser)
}

fn groups_header(rig: &mut Rig, browser: &mut Browser) -> Option<String> {
    let forward = browser.visit(rig, "/").forward();
    let mut lines = forward.set_headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-groups"));
    lines.next().map(|(_, value)| String::from_utf8(value.to_vec()).unwrap())
}

/// By the header, percent-decoded: the groups of a login; whether the log says that they cannot be read.
fn told(identity: &str, claims: &Value) -> (Vec<String>, bool) {
    let (mut rig, mut browser) = logged_in(&config(identity, &[]), claims);
    let is_unusable = rig.events.iter().filter(|code| *code == UNUSABLE).count();
    let header = groups_header(&mut rig, &mut browser);
    assert_eq!(rig.events.iter().filter(|code| *code == UNUSABLE).count(), is_unusable, "once for a login, not for a request");
    let decoded = |item: &str| percent_encoding::percent_decode_str(item).decode_utf8().unwrap().into_owned();
    (header.map(|value| value.split(',').map(decoded).collect()).unwrap_or_default(), is_unusable == 1)
}

/// Header, rules and `explain` agree: these groups and no others, from a session and from claims.
fn check(identity: &str, claims: &Value, groups: &[&str]) {
    let (header, is_unusable) = told(identity, claims);
    assert_eq!(header, groups, "{identity} {claims}");
    assert!(!is_unusable, "{identity} {claims}");
    check_rules(identity, claims, groups);
}

fn check_unusable(identity: &str, claims: &Value) {
    assert_eq!(told(identity, claims), (vec![], true), "{identity} {claims}");
    check_rules(identity, claims, &[]);
}

fn check_rules(identity: &str, claims: &Value, groups: &[&str]) {
    let foreign = ["admins", "admin", "a", "b", "a b", "a,b", "a, b", "no", "null", "id", "name", "true", "1"];
    let asked: Vec<_> = groups.iter().copied().chain(foreign).collect();
    let config = config(identity, &asked);
    let (mut rig, mut browser) = logged_in(&config, claims);
    let config = Config::parse(&Source::new("f", &config)).unwrap();
    let whole = Claims::from(claims.as_object().unwrap().clone());
    let account = Account { provider: &config.providers[0], claims: &whole };
    for (index, group) in asked.iter().enumerate() {
        let path = format!("/{index}");
        let is_admitted = matches!(browser.visit(&mut rig, &path), Seen::Forwarded(_));
        assert_eq!(is_admitted, groups.contains(group), "{identity} {claims} {group}");
        let explained = explain(&RequestHead::get(&path, "app.example"), Some(&account), &config.admission, &config.public);
        assert_eq!(explained.answer == Answer::Passes, is_admitted, "{}", explained.text);
    }
}

#[test]
fn a_list_is_groups_wherever_a_pointer_finds_it() {
    check("", &json!({ "groups": ["admins", "staff"] }), &["admins", "staff"]);
    check("", &json!({ "groups": "admins" }), &["admins"]);
    check("", &json!({ "groups": "a,b" }), &["a,b"]);
    check("", &json!({ "groups": "a b" }), &["a b"]);
    check("", &json!({ "groups": ["a,b", "/keycloak/path", "b"] }), &["a,b", "/keycloak/path", "b"]);
    check("groups_shape = \"list\"", &json!({ "groups": ["admins"] }), &["admins"]);
    for nothing in [json!({}), json!({ "groups": null }), json!({ "groups": [] }), json!({ "groups": "" })] {
        check("", &nothing, &[]);
    }
    let realm = "groups_claim = \"/realm_access/roles\"";
    check(realm, &json!({ "realm_access": { "roles": ["offline_access", "admins"] }, "groups": ["b"] }), &["offline_access", "admins"]);
    check(realm, &json!({ "realm_access": {} }), &[]);
    check(realm, &json!({ "realm_access": ["admins"] }), &[]);
    let client = "groups_claim = \"/resource_access/shop~1web/roles\"";
    check(client, &json!({ "resource_access": { "shop/web": { "roles": ["admins"] }, "account": { "roles": ["a"] } } }), &["admins"]);
    let url = "groups_claim = \"https://acme.example/roles\"";
    check(url, &json!({ "https://acme.example/roles": ["admins"] }), &["admins"]);
}

#[test]
fn the_names_of_an_objects_members_are_groups_where_that_is_said() {
    let zitadel = "groups_claim = \"urn:zitadel:iam:org:project:roles\"\ngroups_shape = \"keys\"";
    let roles = json!({ "admin": { "1": "acme.example" }, "a,b": { "1": "acme.example" }, "häuptling": {} });
    check(zitadel, &json!({ "urn:zitadel:iam:org:project:roles": roles }), &["a,b", "admin", "häuptling"]);
    let of_project = "groups_claim = \"urn:zitadel:iam:org:project:312909075211944344:roles\"\ngroups_shape = \"keys\"";
    check(of_project, &json!({ "urn:zitadel:iam:org:project:312909075211944344:roles": { "admin": {} } }), &["admin"]);
    let keys = "groups_shape = \"keys\"";
    check(keys, &json!({ "groups": { "admins": true, "no": false, "null": null, "b": 0, "a": [] } }), &["a", "admins", "b"]);
    for nothing in [json!({}), json!({ "groups": {} }), json!({ "groups": null })] {
        check(keys, &nothing, &[]);
    }
    let nested = "groups_claim = \"/a~1b/teams\"\ngroups_shape = \"keys\"";
    check(nested, &json!({ "a/b": { "teams": { "admins": {} } } }), &["admins"]);
    let guid = "8f0a1d5c-7b3e-4f2a-8c6d-8e0f1a2b3c4d";
    check(keys, &json!({ "groups": { guid: {} } }), &[guid]);
}

#[test]
fn a_text_is_taken_apart_where_that_is_said() {
    let spaces = "groups_shape = \"spaces\"";
    check(spaces, &json!({ "groups": "admins  b " }), &["admins", "b"]);
    check(spaces, &json!({ "groups": "a,b admin" }), &["a,b", "admin"]);
    check(spaces, &json!({ "groups": "admins" }), &["admins"]);
    let commas = "groups_shape = \"commas\"";
    check(commas, &json!({ "groups": "admins, b,,a" }), &["admins", "b", "a"]);
    check(commas, &json!({ "groups": "a b,admin" }), &["a b", "admin"]);
    let scope = "groups_claim = \"scope\"\ngroups_shape = \"spaces\"";
    check(scope, &json!({ "scope": "openid a" }), &["openid", "a"]);
    let nested = "groups_claim = \"/resource/teams\"\ngroups_shape = \"commas\"";
    check(nested, &json!({ "resource": { "teams": "a,b" } }), &["a", "b"]);
    for nothing in ["", " ", ",", " , "] {
        check(commas, &json!({ "groups": nothing }), &[]);
    }
}

#[test]
fn a_claim_of_another_shape_gives_no_group_and_the_log_says_so() {
    for (shape, unusable) in [
        (
            "list",
            vec![json!({ "admins": {} }), json!(["admins", null]), json!([{ "name": "admins" }]), json!([["admins"]]), json!(["a", {}])],
        ),
        ("keys", vec![json!("admins"), json!(["admins"]), json!(1), json!(true), json!([{ "admins": {} }])]),
        ("spaces", vec![json!(["admins"]), json!(["a b"]), json!({ "admins": {} }), json!(1), json!(false)]),
        ("commas", vec![json!(["admins"]), json!(["a,b"]), json!({ "admins": {} }), json!(1), json!(true)]),
    ] {
        for claim in unusable {
            check_unusable(&format!("groups_shape = \"{shape}\""), &json!({ "groups": claim }));
            let nested = format!("groups_claim = \"/x/y\"\ngroups_shape = \"{shape}\"");
            check_unusable(&nested, &json!({ "x": { "y": claim } }));
        }
    }
    let (rig, _) = logged_in(&config("", &[]), &json!({ "groups": { "secret-name": {} } }));
    let message = rig.messages.iter().find(|message| message.contains("gives no groups")).unwrap();
    assert!(message.contains("`groups` is an object") && message.contains("groups_shape = \"keys\""), "{message}");
    assert!(!message.contains("secret-name"), "what the claim holds stays out of the log");
}

#[test]
fn a_text_with_other_marks_or_json_is_read_where_that_is_said() {
    let semicolons = "groups_shape = \"semicolons\"";
    check(semicolons, &json!({ "groups": "admins; b;;a" }), &["admins", "b", "a"]);
    check(semicolons, &json!({ "groups": "cn=a,ou=x;admin" }), &["cn=a,ou=x", "admin"]);
    let lines = "groups_shape = \"lines\"";
    check(lines, &json!({ "groups": "admins\nb\r\n\n a \n" }), &["admins", "b", "a"]);
    let json = "groups_shape = \"json\"";
    for claim in ["[\"admins\",\"b\"]", " [ \"admins\" , \"b\" ] \n", "[\"admins\", \"\\u0062\"]"] {
        check(json, &json!({ "groups": claim }), &["admins", "b"]);
    }
    check(json, &json!({ "groups": "[\"a,b\", \"a b\", \"\u{e4}\"]" }), &["a,b", "a b", "\u{e4}"]);
    check(json, &json!({ "groups": "\"admins\"" }), &["admins"]);
    for nothing in ["[]", "", " "] {
        check(json, &json!({ "groups": nothing }), &[]);
    }
    let of_list = "groups_claim = \"/groups/0\"\ngroups_shape = \"json\"";
    check(of_list, &json!({ "groups": ["[\"admins\"]"] }), &["admins"]);
    for claim in [
        json!(["admins"]),
        json!("admins"),
        json!("admins b"),
        json!({ "admins": 1 }),
        json!("{\"admins\": 1}"),
        json!("[null]"),
        json!("[[\"admins\"]]"),
        json!("[\"admins\""),
    ] {
        check_unusable(json, &json!({ "groups": claim }));
    }
}

/// Keycloak's mappers and others write a list as JSON into a text: it is no group, and its pieces are none.
#[test]
fn json_in_a_text_is_no_group_by_any_other_shape_and_the_log_says_so() {
    for shape in ["list", "keys", "spaces", "commas", "semicolons", "lines"] {
        for claim in ["[\"admins\",\"b\"]", "[\"a\"]", "[ \"admins\" ]", "{\"admins\": {}}", "[]", "\"admins\"", "[1, 2]"] {
            check_unusable(&format!("groups_shape = \"{shape}\""), &json!({ "groups": claim }));
        }
    }
    check_unusable("", &json!({ "groups": ["[\"admins\",\"b\"]"] }));
    check_unusable("", &json!({ "groups": ["staff", "{\"admins\": 1}"] }));
    check_unusable("groups_claim = \"/x/y\"", &json!({ "x": { "y": "[\"admins\"]" } }));
    let (rig, _) = logged_in(&config("", &[]), &json!({ "groups": "[\"secret-name\"]" }));
    let message = rig.messages.iter().find(|message| message.contains("gives no groups")).unwrap();
    assert!(message.contains("a text that holds JSON") && message.contains("groups_shape = \"json\""), "{message}");
    assert!(!message.contains("secret-name"), "what the claim holds stays out of the log");
    // What only looks like it is a name.
    for name in ["[admins]", "{admins}", "\"admins", "[", "{\"a\"", "admins\"]"] {
        check("", &json!({ "groups": [name] }), &[name]);
        check("", &json!({ "groups": name }), &[name]);
    }
}

fn times(rig: &Rig, code: &str) -> usize {
    rig.events.iter().filter(|event| *event == code).count()
}

#[test]
fn one_text_that_may_be_several_groups_is_one_and_the_log_says_so_once() {
    for (shape, claim, mark) in [
        ("list", json!("a;b"), Some("semicolons")),
        ("list", json!("a\nb"), Some("line ends")),
        ("list", json!("a,b"), Some("commas")),
        ("list", json!("a|b"), Some("vertical bars")),
        ("list", json!("a\tb"), Some("tabs")),
        ("list", json!("a b"), Some("spaces")),
        ("list", json!(["a;b"]), Some("semicolons")),
        ("list", json!(["a b"]), None),
        ("list", json!(["cn=a,ou=b"]), None),
        ("list", json!(["a|b"]), Some("vertical bars")),
        ("list", json!(["a;b", "c"]), None),
        ("list", json!("admins"), None),
        ("spaces", json!("a;b"), Some("semicolons")),
        ("spaces", json!("a,b c,d"), Some("commas")),
        ("spaces", json!("a b"), None),
        ("commas", json!("a;b"), Some("semicolons")),
        ("commas", json!("a b"), None),
        ("commas", json!("a;b,c"), None),
        ("semicolons", json!("a,b"), Some("commas")),
        ("semicolons", json!("cn=a,ou=b;cn=c,ou=b"), None),
        ("lines", json!("a;b"), Some("semicolons")),
        ("lines", json!("a b\nc"), None),
    ] {
        let config = config(&format!("groups_shape = \"{shape}\""), &[]);
        let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
        let told = claim.clone();
        rig.provider.edit_claims = Some(Box::new(move |claims| drop(claims.insert("groups".into(), told.clone()))));
        for _ in 0..3 {
            assert_eq!(browser.log_in(&mut rig, "/.vestibule/login", "alice").status, 302);
        }
        assert_eq!(times(&rig, "identity.groups_doubtful"), usize::from(mark.is_some()), "{shape} {claim}");
        let message = rig.messages.iter().find(|message| message.contains("counts as one group"));
        assert_eq!(message.map(|message| message.contains(mark.unwrap())), mark.map(|_| true), "{shape} {claim}: {message:?}");
        assert_eq!(times(&rig, UNUSABLE), 0);
    }
}

#[test]
fn groups_that_are_nowhere_are_told_once_where_they_are_wanted() {
    for (identity, claims, end) in [
        ("groups_claim = \"/realm_access/roles\"", json!({}), Some("there is no claim `realm_access`")),
        ("groups_claim = \"/realm_access/roles\"", json!({ "realm_access": {} }), Some("`/realm_access` has no `roles`")),
        ("groups_claim = \"/realm_access/roles\"", json!({ "realm_access": "x" }), Some("`/realm_access` has no `roles`")),
        ("groups_claim = \"/realm_access/roles\"", json!({ "realm_access": { "roles": null } }), Some("`/realm_access` has no `roles`")),
        ("groups_claim = \"roles\"", json!({ "groups": ["a"] }), Some("there is no claim `roles`")),
        ("groups_shape = \"keys\"", json!({}), Some("there is no claim `groups`")),
        ("groups_claim = \"/a~1b/0\"", json!({ "a/b": [] }), Some("`/a~1b` has no `0`")),
        ("groups_claim = \"roles\"", json!({ "roles": [] }), None),
        ("", json!({}), None),
        ("groups_claim = \"roles\"", json!({ "hasgroups": true }), None),
    ] {
        let (mut rig, mut browser) = (Rig::new(&config(identity, &[])), Browser::default());
        let more = claims.as_object().unwrap().clone();
        rig.provider.edit_claims = Some(Box::new(move |claims| {
            claims.remove("groups");
            claims.extend(more.clone());
        }));
        for _ in 0..3 {
            assert_eq!(browser.log_in(&mut rig, "/.vestibule/login", "alice").status, 302);
        }
        assert_eq!(times(&rig, "identity.groups_missing"), usize::from(end.is_some()), "{identity} {claims}");
        let message = rig.messages.iter().find(|message| message.contains("has no groups, since"));
        assert!(end.is_none_or(|end| message.unwrap().contains(end)), "{identity} {claims}: {message:?}");
    }
    // A rule asks for them.
    let (rig, _) = logged_in(&config("", &["admins"]), &json!({}));
    assert_eq!(times(&rig, "identity.groups_missing"), 1);
}

#[test]
fn a_session_is_read_by_the_settings_in_force() {
    let both = json!({ "groups": { "admins": {} }, "teams": "a b", "roles": ["x"] });
    let shapes = [
        ("groups_shape = \"keys\"", Some("admins")),
        ("groups_claim = \"teams\"\ngroups_shape = \"spaces\"", Some("a,b")),
        ("groups_claim = \"teams\"", Some("a b")),
        ("groups_claim = \"roles\"", Some("x")),
        ("groups_claim = \"/roles/0\"", Some("x")),
        ("groups_claim = \"roles\"\ngroups_shape = \"keys\"", None),
        ("", None),
    ];
    for (sealed_under, _) in shapes {
        let (_, browser) = logged_in(&config(sealed_under, &[]), &both);
        for (identity, groups) in shapes {
            let (mut later, mut browser) = (Rig::new(&config(identity, &[])), browser.clone());
            assert_eq!(groups_header(&mut later, &mut browser).as_deref(), groups, "{sealed_under}, then {identity}");
        }
    }
}

#[test]
fn what_the_session_holds_for_it_is_no_claim() {
    let claims = json!({ "groups": { "admins": {} } });
    let (mut rig, browser) = logged_in(&config("groups_shape = \"keys\"", &[]), &claims);
    let Outcome::Respond(response) = rig.decide(&browser.head("/.vestibule/user"), None).outcome else { panic!("forwarded") };
    let user: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(user["groups"], claims["groups"]);
    assert!(user.as_object().unwrap().keys().all(|name| !name.contains('~')), "{user}");
}
