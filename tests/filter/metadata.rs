//! Metadata that is sloppy, as it comes over the wire: what is optional costs its feature at most, and what decides whom to
//! believe is refused where it can be read in two ways.

use serde_json::json;

use crate::rig::{Browser, CONFIG, ISSUER, Rig};

/// As most providers send it.
const REQUIRED: &str = r#""issuer": "https://op.example", "authorization_endpoint": "https://op.example/authorize",
    "token_endpoint": "https://op.example/token", "jwks_uri": "https://op.example/jwks""#;

/// A login with these bytes as metadata.
fn log_in(document: &str, vestibule: &str) -> (u16, Rig) {
    let mut rig = Rig::new(&format!("{CONFIG}{vestibule}"));
    rig.provider.instead = vec![("/openid-configuration", 200, document.as_bytes().to_vec())];
    let response = {
        let mut browser = Browser::default();
        let response = browser.visit(&mut rig, "/.vestibule/login").response();
        match response.header("location") {
            Some(location) if response.status == 302 => {
                let callback = rig.provider.authorize(&location.parse().unwrap(), "alice");
                browser.visit(&mut rig, &callback).response()
            }
            _ => response,
        }
    };
    (response.status, rig)
}

fn ignored(rig: &Rig) -> Vec<&str> {
    rig.messages.iter().filter(|message| message.contains("the login goes on without it")).map(String::as_str).collect()
}

#[test]
fn what_is_optional_and_comes_twice_costs_its_feature_and_is_told() {
    for (name, first, second) in [
        ("userinfo_endpoint", json!("https://op.example/u1"), json!("https://op.example/u2")),
        ("end_session_endpoint", json!("https://op.example/l1"), json!("https://op.example/l1")),
        ("token_endpoint_auth_methods_supported", json!(["private_key_jwt"]), json!(["client_secret_jwt"])),
        ("id_token_signing_alg_values_supported", json!(["RS256"]), json!(["ES256"])),
        ("userinfo_signing_alg_values_supported", json!(["RS256"]), json!(null)),
        ("prompt_values_supported", json!([]), json!(["login"])),
        ("scopes_supported", json!(["openid"]), json!("openid")),
        ("authorization_response_iss_parameter_supported", json!(true), json!(false)),
    ] {
        let (status, rig) = log_in(&format!("{{{REQUIRED}, \"{name}\": {first}, \"{name}\": {second}}}"), "");
        let is_null = second.is_null();
        assert_eq!(status, 302, "{name}: {:?}", rig.messages);
        assert_eq!(ignored(&rig).iter().any(|message| message.contains(&format!("its {name} comes twice"))), !is_null, "{name}");
    }
    // What nobody reads may come as often as it likes.
    let (status, rig) = log_in(&format!("{{{REQUIRED}, \"x\": 1, \"x\": 2, \"claims_supported\": [], \"claims_supported\": 7}}"), "");
    assert_eq!((status, ignored(&rig).len()), (302, 0), "{:?}", rig.messages);
}

#[test]
fn what_decides_whom_to_believe_comes_once_or_the_login_ends() {
    for name in ["issuer", "authorization_endpoint", "token_endpoint", "jwks_uri"] {
        let members = json!({
            "issuer": ISSUER, "authorization_endpoint": "https://op.example/authorize", "token_endpoint": "https://op.example/token",
            "jwks_uri": "https://op.example/jwks",
        });
        // The very same value as well: another reader may take another one of the two next time.
        for other in [members[name].clone(), json!("https://evil.example/x"), json!(null), json!(7)] {
            for again in [format!("{{\"{name}\": {other}, {REQUIRED}}}"), format!("{{{REQUIRED}, \"{name}\": {other}}}")] {
                let (status, rig) = log_in(&again, "");
                assert_eq!((status, rig.last_event()), (502, "metadata.invalid"), "{again}");
                assert!(rig.last_message().contains(&format!("its `{name}` comes twice")), "{}", rig.last_message());
            }
        }
        for (value, told) in [(json!(null), "is null"), (json!(7), "is not a text"), (json!([1]), "is not a text"), (json!(""), "")] {
            let mut members = members.clone();
            members[name] = value.clone();
            let (status, rig) = log_in(&members.to_string(), "");
            assert_eq!((status, rig.last_event()), (502, "metadata.invalid"), "{name} {value}");
            assert!(rig.last_message().contains(name) && rig.last_message().contains(told), "{}", rig.last_message());
        }
        let mut members = members.clone();
        members.as_object_mut().unwrap().remove(name);
        let (status, rig) = log_in(&members.to_string(), "");
        assert_eq!((status, rig.last_event()), (502, "metadata.invalid"), "{name}");
        assert!(rig.last_message().contains(&format!("it has no `{name}`")), "{}", rig.last_message());
    }
}

#[test]
fn what_is_long_or_deep_and_optional_costs_no_login() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let long = format!("\"https://op.example/{}\"", "x".repeat(20_000));
    let many = json!(vec!["RS256"; 10_000]);
    let many_unknown = json!((0..5_000).map(|n| format!("X{n}")).collect::<Vec<_>>());
    for (name, value, is_told) in [
        ("userinfo_endpoint", deep.as_str(), true),
        ("end_session_endpoint", deep.as_str(), true),
        ("id_token_signing_alg_values_supported", deep.as_str(), true),
        ("scopes_supported", deep.as_str(), true),
        ("authorization_response_iss_parameter_supported", deep.as_str(), true),
        ("x", deep.as_str(), false),
        ("userinfo_endpoint", long.as_str(), true),
        ("end_session_endpoint", long.as_str(), true),
        ("userinfo_signing_alg_values_supported", &many.to_string(), false),
        ("scopes_supported", &many_unknown.to_string(), false),
        ("prompt_values_supported", &many_unknown.to_string(), false),
        ("end_session_endpoint", "\"https://user:pass@op.example/\"", true),
        ("end_session_endpoint", "\"https://op.example/#x\"", true),
        ("end_session_endpoint", "\"//op.example/logout\"", true),
        ("end_session_endpoint", "\"javascript:alert(1)\"", true),
    ] {
        let (status, rig) = log_in(&format!("{{{REQUIRED}, \"{name}\": {value}}}"), "");
        assert_eq!(status, 302, "{name}: {:?}", rig.messages);
        assert_eq!(ignored(&rig).iter().any(|message| message.contains(name)), is_told, "{name}: {:?}", rig.messages);
        assert!(rig.messages.iter().all(|message| message.len() < 1024), "{name}: a line of the log is short");
    }
    // A list that names one algorithm often is a list of one, also in the cookie of the login.
    let listed = format!("{{{REQUIRED}, \"id_token_signing_alg_values_supported\": {}}}", json!(vec!["EdDSA"; 10_000]));
    assert_eq!(log_in(&listed, "").0, 302);
}

#[test]
fn a_list_of_algorithms_that_says_nothing_admits_those_that_fit_a_key_and_no_others() {
    for listed in ["[]", "null", "\"RS256\"", "{}", "[1]", "true"] {
        let document = format!("{{{REQUIRED}, \"id_token_signing_alg_values_supported\": {listed}}}");
        let (status, rig) = log_in(&document, "");
        assert_eq!(status, 302, "{listed}: {:?}", rig.messages);
        assert_eq!(ignored(&rig).len(), 1, "{listed}");
        for (alg, code) in [("none", "id_token.algorithm"), ("HS256", "id_token.algorithm"), ("RS256", "id_token.unknown_key")] {
            let mut rig = Rig::new(CONFIG);
            rig.provider.instead = vec![("/openid-configuration", 200, document.as_bytes().to_vec())];
            rig.provider.edit_header = Some(Box::new(move |header| header["alg"] = alg.into()));
            let response = Browser::default().log_in(&mut rig, "/", "alice");
            assert_eq!((response.status, rig.last_event()), (502, code), "{listed} {alg}: {}", rig.last_message());
        }
    }
    // A list that says something is kept to.
    for (listed, told) in [("[\"RS256\", \"ES256\"]", "lists RS256, ES256"), ("[\"HS256\"]", "lists none that Vestibule accepts")] {
        let (status, rig) = log_in(&format!("{{{REQUIRED}, \"id_token_signing_alg_values_supported\": {listed}}}"), "");
        assert_eq!((status, rig.last_event()), (502, "id_token.algorithm"), "{listed}");
        assert!(rig.last_message().contains("signed with EdDSA") && rig.last_message().contains(told), "{}", rig.last_message());
    }
}
