//! Groups in every shape that providers send: the same for the header, for rules and for `explain`, and from a shape that is
//! not the stated one for none of them.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

mod rig;

use rig::{Browser, CONFIG, Rig, Seen};
use serde_json::{Value, json};
use vestibule::account::Account;
use vestibule::claims::Claims;
use vestibule::config::{Config, Source};
use vestibule::decision::Outcome;
use vestibule::policy::{Answer, explain};
use vestibule::web::http::RequestHead;

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
