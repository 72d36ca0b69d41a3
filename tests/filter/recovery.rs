//! What providers do that is neither right nor wrong, or was right before: a login goes on, once, and says so.

use std::cell::Cell;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use vestibule::web::http::OutboundRequest;

use crate::rig::{Browser, CLIENT_ID, CONFIG, ISSUER, Rig, SigningKey, query};

fn rig(vestibule: &str) -> Rig {
    Rig::new(&format!("{CONFIG}{vestibule}"))
}

fn log_in(rig: &mut Rig) -> (u16, String) {
    let status = Browser::default().log_in(rig, "/reports", "alice").status;
    (status, rig.last_event().to_owned())
}

fn succeeded() -> (u16, String) {
    (302, "login.succeeded".to_owned())
}

/// The keys that a provider publishes, one set for each time it is asked, the last one from then on.
fn publish(rig: &mut Rig, sets: Vec<Vec<(&SigningKey, Option<&str>)>>) {
    let sets: Vec<Value> = sets
        .into_iter()
        .map(|set| {
            let keys = set.into_iter().map(|(key, kid)| {
                let mut jwk = key.public_jwk();
                if let Some(kid) = kid {
                    jwk["kid"] = kid.into();
                }
                jwk
            });
            json!({ "keys": keys.collect::<Vec<_>>() })
        })
        .collect();
    let asked = Rc::new(Cell::new(0));
    rig.provider.edit_jwks = Some(Box::new(move |jwks| {
        *jwks = sets[asked.get().min(sets.len() - 1)].clone();
        asked.set(asked.get() + 1);
    }));
}

#[test]
fn keys_that_are_replaced_without_a_new_name_are_fetched_again_once() {
    for (kid, was_kid) in [(None, None), (Some("key-1"), Some("key-1"))] {
        let (old, new) = (SigningKey::ed25519(1), SigningKey::ed25519(2));
        let mut rig = rig("");
        publish(&mut rig, vec![vec![(&old, was_kid)], vec![(&new, kid)]]);
        (rig.provider.key, rig.provider.kid) = (old, was_kid.map(str::to_owned));
        assert_eq!(log_in(&mut rig), succeeded());
        (rig.provider.key, rig.provider.kid) = (new, kid.map(str::to_owned));
        assert_eq!(log_in(&mut rig), succeeded(), "{kid:?}");
        assert_eq!(rig.asked("/jwks"), 2);
        // A signature that is wrong under the new keys as well makes nobody ask before the floor is over.
        rig.provider.key = SigningKey::ed25519(3);
        for _ in 0..3 {
            assert_eq!(log_in(&mut rig), (502, "id_token.signature".to_owned()));
        }
        assert_eq!(rig.asked("/jwks"), 2);
        rig.now += 10;
        assert_eq!(log_in(&mut rig), (502, "id_token.signature".to_owned()));
        let asked = if kid.is_some() { 3 } else { 4 };
        assert_eq!(rig.asked("/jwks"), asked, "what was fetched just now gets better only where a new key may be published late");
    }
}

#[test]
fn keys_that_lag_behind_are_asked_for_a_second_time_in_the_same_login() {
    let (old, new) = (SigningKey::ed25519(1), SigningKey::ed25519(2));
    for (sets, expected, asked) in [
        (vec![vec![(&old, Some("old"))], vec![(&old, Some("old")), (&new, Some("new"))]], succeeded(), 2),
        (vec![vec![(&old, Some("old"))]], (502, "id_token.unknown_key".to_owned()), 2),
    ] {
        let mut rig = rig("");
        publish(&mut rig, sets);
        (rig.provider.key, rig.provider.kid) = (new.clone(), Some("new".to_owned()));
        assert_eq!(log_in(&mut rig), expected, "with nothing known before");
        assert_eq!(rig.asked("/jwks"), asked);
    }
    let mut rig = rig("");
    publish(&mut rig, vec![vec![(&old, Some("old"))], vec![(&old, Some("old"))], vec![(&new, Some("new"))]]);
    (rig.provider.key, rig.provider.kid) = (old.clone(), Some("old".to_owned()));
    assert_eq!(log_in(&mut rig), succeeded());
    (rig.provider.key, rig.provider.kid) = (new.clone(), Some("new".to_owned()));
    assert_eq!(log_in(&mut rig), succeeded(), "with old keys known");
    assert_eq!(rig.asked("/jwks"), 3);
}

#[test]
fn unknown_names_of_keys_do_not_make_more_requests_than_two_in_ten_seconds() {
    let mut rig = rig("");
    assert_eq!(log_in(&mut rig), succeeded());
    rig.provider.kid = Some("made-up".to_owned());
    rig.provider.edit_jwks = Some(Box::new(|jwks| jwks["keys"][0]["kid"] = "key-1".into()));
    for _ in 0..20 {
        assert_eq!(log_in(&mut rig), (502, "id_token.unknown_key".to_owned()));
    }
    assert_eq!(rig.asked("/jwks"), 3);
}

/// What a token request has in HTTP Basic.
fn basic(request: &OutboundRequest) -> Option<String> {
    let (_, value) = request.headers.iter().find(|(name, _)| name == "authorization")?;
    let encoded = std::str::from_utf8(value).ok()?.strip_prefix("Basic ")?;
    String::from_utf8(STANDARD.decode(encoded).ok()?).ok()
}

const SECRETS: [&str; 8] = ["a+b", "a/b", "a=b", "a~b", "a:b", "a%41b", "ä b", "plain"];

fn with_secret(secret: &str, kwargs: &str) -> Rig {
    let config = CONFIG.replace("a~secret/of the client", secret);
    assert_ne!(config, CONFIG);
    Rig::new(&format!("{config}{kwargs}"))
}

#[test]
fn secrets_reach_providers_that_decode_http_basic_and_those_that_do_not() {
    for secret in SECRETS {
        for decodes in [true, false] {
            let mut rig = with_secret(secret, "");
            let encoded: String = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            let known = format!("{CLIENT_ID}:{}", if decodes { &encoded } else { secret });
            rig.provider.knows_client = Some(Box::new(move |request| basic(request).as_ref() == Some(&known)));
            assert_eq!(log_in(&mut rig), succeeded(), "{secret} {decodes}");
            let tries = if decodes || encoded == secret { 1 } else { 2 };
            assert_eq!(rig.asked("/token"), tries, "{secret} {decodes}");
            assert_eq!(rig.events.iter().any(|code| code == "token.credential_form"), tries == 2);
            assert_eq!(log_in(&mut rig), succeeded());
            assert_eq!(rig.asked("/token"), tries + 1, "it is remembered");
        }
        // Neither is right.
        let mut rig = with_secret(secret, "");
        rig.provider.knows_client = Some(Box::new(|_| false));
        assert_eq!(log_in(&mut rig), (502, "token.refused".to_owned()));
        assert!(rig.asked("/token") <= 2);
        assert!(rig.last_message().contains("AADSTS7000215") && rig.last_message().contains("check client_id and client_secret"));
    }
}

#[test]
fn what_is_remembered_of_a_provider_is_no_dead_end() {
    let mut rig = with_secret("a+b", "");
    rig.provider.knows_client = Some(Box::new(|request| basic(request).as_deref() == Some("client-1:a+b")));
    assert_eq!(log_in(&mut rig), succeeded());
    rig.provider.knows_client = Some(Box::new(|request| basic(request).as_deref() == Some("client-1:a%2Bb")));
    assert_eq!(log_in(&mut rig), succeeded(), "it has learned to decode");
}

#[test]
fn a_secret_that_encoding_changes_goes_into_the_form_where_the_provider_takes_it_there() {
    let listed = |rig: &mut Rig, methods: Value| {
        rig.provider.edit_metadata = Some(Box::new(move |metadata| metadata["token_endpoint_auth_methods_supported"] = methods.clone()));
    };
    for (secret, methods, is_basic) in [
        ("a+b", json!(["client_secret_basic", "client_secret_post"]), false),
        ("plain", json!(["client_secret_basic", "client_secret_post"]), true),
        ("a+b", json!(["client_secret_basic"]), true),
        ("a+b", json!(["client_secret_post", "private_key_jwt"]), false),
        ("plain", json!(["client_secret_post"]), false),
    ] {
        let mut rig = with_secret(secret, "");
        listed(&mut rig, methods.clone());
        assert_eq!(log_in(&mut rig), succeeded());
        let request = rig.sent.iter().find(|request| request.url.path().ends_with("/token")).unwrap();
        assert_eq!(basic(request).is_some(), is_basic, "{secret} {methods}");
    }
    let mut rig = with_secret("a+b", "client_kwargs = { token_endpoint_auth_method = \"client_secret_basic\" }");
    listed(&mut rig, json!(["client_secret_post"]));
    assert_eq!(log_in(&mut rig), succeeded());
    assert!(rig.sent.iter().any(|request| basic(request).is_some()), "what is configured stands");
}

#[test]
fn another_refusal_than_of_the_client_is_not_tried_again() {
    for (status, answer) in [
        (400, json!({ "error": "invalid_grant" })),
        (401, json!({ "error": "unauthorized_client" })),
        (500, json!({ "error": "invalid_client" })),
        (403, json!("invalid_client")),
    ] {
        let mut rig = with_secret("a+b", "");
        rig.provider.first = vec![("/token", status, answer.clone())];
        assert_eq!(log_in(&mut rig).1, "token.refused", "{status} {answer}");
        assert_eq!(rig.asked("/token"), 1);
    }
}

/// The provider moves an endpoint, and lets go of the old one.
fn move_endpoint(rig: &mut Rig, name: &'static str, to: &'static str) {
    rig.provider.edit_metadata = Some(Box::new(move |metadata| metadata[name] = format!("{ISSUER}{to}").into()));
}

#[test]
fn endpoints_that_have_moved_are_found_within_the_same_login() {
    for (name, old, new) in
        [("token_endpoint", "/token", "/v2/token2"), ("jwks_uri", "/jwks", "/v2/keys2"), ("userinfo_endpoint", "/userinfo", "/v2/me")]
    {
        for status in [404, 410] {
            let mut rig = rig("[vestibule.provider.default]\nuserinfo = true\n");
            assert_eq!(log_in(&mut rig), succeeded());
            // Keys are asked for again when they are an hour old, and the metadata was fetched since.
            rig.now += 3600;
            let mut browser = Browser::default();
            let location = browser.start(&mut rig, "/reports");
            move_endpoint(&mut rig, name, new);
            rig.provider.instead = vec![(old, status, b"gone".to_vec())];
            let callback = rig.provider.authorize(&location, "alice");
            let response = browser.visit(&mut rig, &callback).response();
            assert_eq!((response.status, rig.last_event()), (302, "login.succeeded"), "{name} {status}: {:?}", rig.messages);
            assert_eq!(rig.events.iter().filter(|code| *code == "metadata.refetch").count(), 1);
            assert_eq!(response.header("location"), Some("/reports"));
        }
    }
}

/// The host of the keys is switched off after a move, while the keys that it had are still known.
#[test]
fn keys_that_have_moved_are_found_while_older_ones_are_known() {
    let mut rig = rig("");
    assert_eq!(log_in(&mut rig), succeeded());
    move_endpoint(&mut rig, "jwks_uri", "/v2/keys2");
    rig.provider.switched_off = vec!["/jwks"];
    (rig.provider.key, rig.provider.kid) = (SigningKey::ed25519(7), Some("new".into()));
    // In the pause after a failure as well.
    for after in [60, 61] {
        rig.now += after;
        assert_eq!(log_in(&mut rig), succeeded(), "{:?}", rig.messages);
        assert!(rig.events.iter().any(|code| code == "metadata.refetch") && rig.asked("/v2/keys2") > 0);
    }
}

/// Instances know what they have asked for themselves: one can have older metadata than the login that comes back to it.
#[test]
fn an_endpoint_that_was_given_up_gets_no_code_from_an_instance_that_still_knows_it() {
    let mut rig = rig("");
    assert_eq!(log_in(&mut rig), succeeded());
    let older = std::mem::take(&mut rig.cache);
    rig.now += 60;
    move_endpoint(&mut rig, "token_endpoint", "/v2/token2");
    let mut browser = Browser::default();
    let location = browser.start(&mut rig, "/reports");
    rig.cache = older;
    rig.sent.clear();
    rig.provider.silent = vec!["/v2/token2"];
    let callback = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 503);
    assert_eq!((rig.asked("/v2/token2"), rig.asked("/token")), (1, 0), "{:?}", rig.messages);
}

#[test]
fn an_endpoint_that_is_gone_for_good_is_asked_for_once() {
    for (old, code) in [("/token", "token.refused"), ("/jwks", "provider.status")] {
        let mut rig = rig("");
        rig.provider.instead = vec![(old, 404, vec![])];
        let mut asked = vec![];
        for _ in 0..3 {
            let (status, event) = log_in(&mut rig);
            assert!(status == 502 || status == 503, "{status}");
            asked.push((event, rig.asked("/openid-configuration")));
        }
        assert_eq!(asked[0], (code.to_owned(), 2));
        assert_eq!(asked[2].1, 2, "and then not for a while: {asked:?}");
    }
    let mut rig = rig("");
    rig.provider.silent = vec!["/token"];
    assert_eq!(log_in(&mut rig), (503, "provider.unreachable".to_owned()));
    assert_eq!(rig.asked("/openid-configuration"), 1, "it is there, and does not answer");
}

#[test]
fn a_provider_that_has_become_another_one_is_noticed_when_an_endpoint_goes() {
    let mut rig = rig("");
    let mut browser = Browser::default();
    let location = browser.start(&mut rig, "/");
    rig.provider.edit_metadata = Some(Box::new(|metadata| {
        metadata["issuer"] = "https://evil.example".into();
        metadata["token_endpoint"] = "https://op.example/other".into();
    }));
    rig.provider.instead = vec![("/token", 410, vec![])];
    let callback = rig.provider.authorize(&location, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().status, 502);
    assert_eq!(rig.last_event(), "metadata.invalid");
    assert!(rig.last_message().contains("https://evil.example"), "{}", rig.last_message());
    assert_eq!(rig.asked("/other"), 0);
}

const STREAMLIT: &str = "[vestibule]\napp = \"streamlit\"\nlogin = \"required\"\n";

#[test]
fn select_account_is_asked_for_where_streamlit_asks_for_it_and_nowhere_else() {
    let prompt = |vestibule: &str| query(&Browser::default().start(&mut rig(vestibule), "/")).get("prompt").cloned();
    assert_eq!(prompt(""), None);
    assert_eq!(prompt(STREAMLIT).as_deref(), Some("select_account"));
    assert_eq!(prompt("client_kwargs = { prompt = \"login\" }\n").as_deref(), Some("login"));
    assert_eq!(prompt(&format!("client_kwargs = {{ prompt = \"\" }}\n{STREAMLIT}")), None);
}

#[test]
fn a_provider_that_does_not_know_select_account_is_asked_once_more_without_it() {
    let mut rig = rig(STREAMLIT);
    let mut browser = Browser::default();
    let first = browser.start(&mut rig, "/auth/login?return_to=%2Freports%3Fx%3D1");
    let refusal = |location: &url::Url| {
        format!(
            "/oauth2callback?error=invalid_request&error_description=unsupported+prompt&state={}&iss=https%3A%2F%2Fop.example",
            query(location)["state"]
        )
    };
    let second = browser.start(&mut rig, &refusal(&first));
    assert_eq!(query(&second).get("prompt"), None);
    assert!(rig.events.iter().any(|code| code == "login.without_prompt"));
    let callback = rig.provider.authorize(&second, "alice");
    let response = browser.visit(&mut rig, &callback).response();
    assert_eq!((response.status, response.header("location")), (302, Some("/reports?x=1")));

    // Once: then the refusal is one.
    rig.now += 1;
    let first = browser.start(&mut rig, "/auth/login");
    let second = browser.start(&mut rig, &refusal(&first));
    assert_eq!(query(&second).get("prompt"), None);
    let page = browser.visit(&mut rig, &refusal(&second)).response();
    assert_eq!((page.status, rig.last_event()), (502, "callback.provider_error"));

    // Another error is another matter, and so is a prompt that somebody has written.
    let location = browser.start(&mut rig, "/auth/login");
    let other = format!("/oauth2callback?error=invalid_scope&state={}&iss=https%3A%2F%2Fop.example", query(&location)["state"]);
    assert_eq!(browser.visit(&mut rig, &other).response().status, 502);
    let (mut rig, mut browser) = (self::rig(&format!("client_kwargs = {{ prompt = \"login\" }}\n{STREAMLIT}")), Browser::default());
    let location = browser.start(&mut rig, "/auth/login");
    assert_eq!(browser.visit(&mut rig, &refusal(&location)).response().status, 502);
}

/// It takes the place of the attempt that it follows, and asks for the same person.
#[test]
fn a_login_without_its_prompt_pushes_no_other_out() {
    let mut rig = rig(STREAMLIT);
    let mut browser = Browser::default();
    let attempts = |browser: &Browser| browser.cookies.keys().filter(|name| name.contains("vestibule_login")).count();
    let mut last = browser.start(&mut rig, "/auth/login?return_to=%2F0&login_hint=alice");
    let mut most = 0;
    for tab in 1.. {
        let before = attempts(&browser);
        if before == most {
            break;
        }
        most = before;
        last = browser.start(&mut rig, &format!("/auth/login?return_to=%2F{tab}&login_hint=alice"));
    }
    assert!(most >= 3, "{most}");
    let refusal = format!("/oauth2callback?error=invalid_request&state={}&iss=https%3A%2F%2Fop.example", query(&last)["state"]);
    let again = browser.start(&mut rig, &refusal);
    assert_eq!(rig.events.iter().filter(|code| *code == "login.without_prompt").count(), 1);
    assert_eq!(attempts(&browser), most);
    assert_eq!(query(&again)["login_hint"], "alice");
}

#[test]
fn metadata_that_lists_prompts_without_select_account_is_believed() {
    let mut rig = rig(STREAMLIT);
    rig.provider.edit_metadata = Some(Box::new(|metadata| metadata["prompt_values_supported"] = json!(["none", "login", "consent"])));
    assert_eq!(query(&Browser::default().start(&mut rig, "/auth/login")).get("prompt"), None);
}

#[test]
fn what_is_optional_in_metadata_and_of_no_use_loses_its_feature_and_not_the_login() {
    for (name, values) in [
        ("end_session_endpoint", vec![json!(""), json!("/logout"), json!(7), json!({}), json!("http://op.example/logout")]),
        ("userinfo_endpoint", vec![json!(""), json!("userinfo"), json!(false)]),
        ("authorization_response_iss_parameter_supported", vec![json!("true"), json!(1), json!([])]),
        ("token_endpoint_auth_methods_supported", vec![json!("client_secret_basic"), json!([1]), json!([])]),
        ("id_token_signing_alg_values_supported", vec![json!("EdDSA"), json!({ "a": 1 }), json!([]), json!([null]), json!([["EdDSA"]])]),
        ("userinfo_signing_alg_values_supported", vec![json!([]), json!("EdDSA"), json!([1])]),
        ("prompt_values_supported", vec![json!("none"), json!(3), json!([]), json!([{}])]),
        ("scopes_supported", vec![json!("openid"), json!([]), json!([1])]),
    ] {
        for value in values.into_iter().map(Some).chain([Some(Value::Null), None]) {
            let (mut rig, mut browser) = (rig(""), Browser::default());
            // The only one that Discovery requires.
            let is_required = name == "id_token_signing_alg_values_supported";
            let is_fault = value.as_ref().is_some_and(|value| is_required || !value.is_null());
            rig.provider.edit_metadata = Some(Box::new(move |metadata| {
                let members = metadata.as_object_mut().unwrap();
                members.remove(name);
                members.extend(value.clone().map(|value| (name.to_owned(), value)));
            }));
            assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 302, "{name}: {:?}", rig.messages);
            assert_eq!(rig.events.iter().any(|code| code == "metadata.ignored"), is_fault, "{name}");
            assert!(!is_fault || rig.messages.iter().any(|message| message.contains(name)), "{name}");
            if name == "end_session_endpoint" {
                assert_eq!(browser.visit(&mut rig, "/.vestibule/logout").response().status, 200, "logged out here");
            }
        }
    }
}

#[test]
fn a_callback_without_anything_usable_is_a_failure_with_a_code() {
    for callback in ["?state=x", "?response=a.b.c", "?session_state=x", "?foo=bar", "?iss=https%3A%2F%2Fop.example", "?state=logout"] {
        let (mut rig, mut browser) = (rig(""), Browser::default());
        let page = browser.visit(&mut rig, &format!("/oauth2callback{callback}")).response();
        assert_eq!((page.status, rig.last_event()), (400, "callback.malformed"), "{callback}");
        assert!(String::from_utf8_lossy(&page.body).contains("Reference number"));
    }
    for kind in [None, Some("application/json"), Some("multipart/form-data; boundary=x"), Some("text/plain")] {
        let (mut rig, browser) = (rig(""), Browser::default());
        let head = vestibule::web::http::RequestHead { method: "POST".into(), ..browser.head("/oauth2callback") };
        let head = kind.map_or(head.clone(), |kind| head.with("content-type", kind));
        let decision = rig.decide(&head, None);
        assert_eq!(rig.last_event(), "callback.malformed", "{kind:?} {decision:?}");
    }
}

#[test]
fn a_logout_ends_on_the_page_that_says_so() {
    // The conformance suite's `rp-init-logout-other-state` is among them: it counts once, and on the way back.
    for landing in ["?state=another", "?state=STATE&lc=1033", "", "?", "?foo=bar"] {
        let (mut rig, mut browser) = (rig(""), Browser::default());
        browser.log_in(&mut rig, "/", "alice");
        let location = browser.start(&mut rig, "/.vestibule/logout");
        let callback = format!("/oauth2callback{}", landing.replace("STATE", &query(&location)["state"]));
        let page = browser.visit(&mut rig, &callback).response();
        assert_eq!(page.status, 200, "{callback}");
        assert!(String::from_utf8_lossy(&page.body).contains("You are logged out"));
        assert!(browser.cookies.is_empty(), "{callback}");
        let page = browser.visit(&mut rig, &callback).response();
        assert_eq!((page.status, rig.last_event()), (400, "callback.malformed"), "{callback}");
    }
}

#[test]
fn a_refusal_without_state_leads_back_to_where_the_person_wanted_to_be() {
    let (mut rig, mut browser) = (rig(""), Browser::default());
    let page = |browser: &mut Browser, rig: &mut Rig| {
        let page = browser.visit(rig, "/oauth2callback?error=access_denied").response();
        assert_eq!((page.status, rig.last_event()), (403, "callback.access_denied"));
        String::from_utf8(page.body).unwrap()
    };
    assert!(page(&mut browser, &mut rig).contains("href=\"/.vestibule/login\""), "none on its way");
    let first = browser.start(&mut rig, "/.vestibule/login?return_to=%2Fone");
    assert!(page(&mut browser, &mut rig).contains("href=\"/.vestibule/login?return_to=%2Fone\""));
    rig.now += 1;
    browser.start(&mut rig, "/.vestibule/login?return_to=%2Ftwo");
    let several = page(&mut browser, &mut rig);
    for way in
        ["href=\"/.vestibule/login?return_to=%2Fone\"", "href=\"/.vestibule/login?return_to=%2Ftwo\"", "Log in for /one", "Log in for /two"]
    {
        assert!(several.contains(way), "{way}: {several}");
    }
    let callback = rig.provider.authorize(&first, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().header("location"), Some("/one"), "nothing is spent by it");
}

#[test]
fn each_refusal_has_its_own_words_and_keeps_the_way_back() {
    let mut seen = std::collections::BTreeSet::new();
    for (error, status) in [
        ("access_denied", 403),
        ("consent_required", 403),
        ("login_required", 403),
        ("interaction_required", 403),
        ("temporarily_unavailable", 503),
        ("invalid_scope", 502),
    ] {
        let (mut rig, mut browser) = (rig(""), Browser::default());
        let location = browser.start(&mut rig, "/.vestibule/login?return_to=%2Freports");
        let state = &query(&location)["state"];
        let page = browser.visit(&mut rig, &format!("/oauth2callback?error={error}&state={state}&iss=https%3A%2F%2Fop.example")).response();
        let body = String::from_utf8(page.body.clone()).unwrap();
        assert_eq!(page.status, status, "{error}");
        assert!(body.contains("return_to=%2Freports"), "{error}: {body}");
        assert!(rig.last_message().contains(error), "{}", rig.last_message());
        let words = body.split("<p>").nth(1).unwrap().to_owned();
        assert!(seen.insert(words), "{error} says what another one says");
    }
}

/// LinkedIn's names, and others', for a user who does not go on.
#[test]
fn a_user_who_does_not_go_on_has_cancelled_whatever_the_provider_calls_it() {
    for error in ["user_cancelled_login", "user_cancelled_authorize", "user_denied", "cancelled", "authorization_declined", "Access_Denied"]
    {
        let (mut rig, mut browser) = (rig(""), Browser::default());
        let location = browser.start(&mut rig, "/.vestibule/login?return_to=%2Freports");
        let state = &query(&location)["state"];
        let page = browser.visit(&mut rig, &format!("/oauth2callback?error={error}&state={state}&iss=https%3A%2F%2Fop.example")).response();
        assert_eq!((page.status, rig.last_event()), (403, "callback.access_denied"), "{error}");
        assert!(rig.last_message().contains(error), "{}", rig.last_message());
    }
}

/// GitHub answers so.
#[test]
fn an_error_of_the_token_endpoint_is_told_under_a_status_of_success_as_well() {
    let mut rig = rig("");
    let answer = br#"{"error":"incorrect_client_credentials","error_description":"The id is not known."}"#;
    rig.provider.instead = vec![("/token", 200, answer.to_vec())];
    assert_eq!(Browser::default().log_in(&mut rig, "/", "alice").status, 502);
    assert_eq!(rig.last_event(), "token.refused");
    assert!(rig.last_message().contains("`incorrect_client_credentials`, \"The id is not known.\""), "{}", rig.last_message());
}

#[test]
fn an_answer_of_another_issuer_is_told_as_an_attack() {
    let (mut rig, mut browser) = (rig(""), Browser::default());
    rig.provider.response_issuer = Some("https://evil.example".into());
    let page = browser.log_in(&mut rig, "/", "alice");
    assert_eq!((page.status, rig.last_event()), (400, "callback.issuer_mismatch"));
    let body = String::from_utf8(page.body).unwrap();
    assert!(body.contains("This login was stopped") && !body.contains("evil.example"), "{body}");
    for told in ["`default`", "https://evil.example", "https://op.example"] {
        assert!(rig.last_message().contains(told), "{}", rig.last_message());
    }
}

/// Claims or header of a token, and what the log says of it.
#[test]
fn the_log_names_what_differs_and_what_to_do() {
    type Change = fn(&mut Rig);
    let cases: [(&str, Change, &[&str]); 13] = [
        ("id_token.issuer", |rig| claim(rig, "iss", json!("https://other.example")), &["https://other.example", "https://op.example"]),
        ("id_token.issuer", |rig| claim(rig, "iss", Value::Null), &["`iss` is not a text"]),
        ("id_token.issuer", |rig| no_claim(rig, "iss"), &["it has no `iss`"]),
        ("id_token.audience", |rig| claim(rig, "aud", json!(["other", "x"])), &["`other`, `x`", "client_id is `client-1`"]),
        (
            "id_token.audience",
            |rig| claim(rig, "aud", json!([CLIENT_ID, "project-7"])),
            &["`project-7`", "vestibule.provider.default.audiences"],
        ),
        ("id_token.audience", |rig| no_claim(rig, "aud"), &["it has no `aud`"]),
        ("id_token.authorized_party", |rig| claim(rig, "azp", json!("other")), &["`other`", "`client-1`"]),
        (
            "id_token.expired",
            |rig| claim(rig, "exp", json!(1_699_992_800)),
            &["2023-11-14T20:13:20Z", "2023-11-14T22:13:20Z", "2h ago", "clocks"],
        ),
        ("id_token.issued_at", |rig| claim(rig, "iat", json!(1_700_007_200)), &["2h ahead", "clocks"]),
        ("id_token.expired", |rig| no_claim(rig, "exp"), &["it has no `exp`"]),
        ("id_token.algorithm", |rig| header(rig, "alg", json!("HS256")), &["HS256", "RS256 instead"]),
        ("id_token.unknown_key", |rig| header(rig, "kid", json!("other")), &["`other`", "it has `key-1`"]),
        ("id_token.subject", |rig| no_claim(rig, "sub"), &["it has no `sub`"]),
    ];
    for (code, change, told) in cases {
        let mut rig = rig("");
        change(&mut rig);
        assert_eq!(log_in(&mut rig), (502, code.to_owned()), "{told:?}");
        for text in told {
            assert!(rig.last_message().contains(text), "{text}: {}", rig.last_message());
        }
    }
}

fn claim(rig: &mut Rig, name: &'static str, value: Value) {
    rig.provider.edit_claims = Some(Box::new(move |claims| drop(claims.insert(name.to_owned(), value.clone()))));
}

fn no_claim(rig: &mut Rig, name: &'static str) {
    rig.provider.edit_claims = Some(Box::new(move |claims| drop(claims.remove(name))));
}

fn header(rig: &mut Rig, name: &'static str, value: Value) {
    rig.provider.edit_header = Some(Box::new(move |header| header[name] = value.clone()));
}

#[test]
fn what_the_token_endpoint_says_is_logged_without_what_is_secret() {
    for (status, answer, told) in [
        (
            400,
            json!({ "error": "invalid_grant", "error_description": "AADSTS54005: code was already redeemed", "error_uri": "https://login/e" }),
            "AADSTS54005",
        ),
        (400, json!({ "error": "invalid_grant", "error_description": "bad secret a~secret/of the client" }), "bad secret (secret)"),
        (400, json!({ "error": "invalid_grant", "error_description": "bad code code-0" }), "bad code (secret)"),
        (503, json!("<h1>Service Unavailable</h1> code-0"), "Service Unavailable</h1> (secret)"),
        (
            400,
            json!({ "error": "invalid_grant", "error_description": "header was Basic Y2xpZW50LTE6YSU3RXNlY3JldCUyRm9mK3RoZStjbGllbnQ=" }),
            "header was Basic (secret)",
        ),
        (400, json!({ "error": "invalid_grant", "error_description": "in pieces Y2xpZW50LTE6YSU3RXNlY3JldCUy" }), "(not shown"),
        (302, json!("Found"), "answered with status 302"),
        (201, json!({ "access_token": "gho_0123456789", "id_token": "a.b.c" }), "answered with status 201"),
    ] {
        let mut rig = rig("");
        rig.provider.first = vec![("/token", status, answer)];
        assert_eq!(log_in(&mut rig).1, "token.refused");
        let message = rig.last_message();
        assert!(message.contains(told), "{message}");
        for secret in ["a~secret", "code-0", "Y2xpZW50", "gho_0123456789"] {
            assert!(!message.contains(secret), "{message}");
        }
    }
}

#[test]
fn further_audiences_are_those_that_are_named() {
    let zitadel = "[vestibule.provider.default]\naudiences = [\"other-client\", \"project\"]\n";
    for (vestibule, aud, azp, expected) in [
        (zitadel, json!([CLIENT_ID, "other-client", "project"]), Some(CLIENT_ID), succeeded()),
        (zitadel, json!(["project", CLIENT_ID]), None, succeeded()),
        (zitadel, json!(CLIENT_ID), Some(CLIENT_ID), succeeded()),
        (zitadel, json!([CLIENT_ID, "third"]), Some(CLIENT_ID), (502, "id_token.audience".to_owned())),
        (zitadel, json!(["project", "other-client"]), Some(CLIENT_ID), (502, "id_token.audience".to_owned())),
        (zitadel, json!("project"), Some(CLIENT_ID), (502, "id_token.audience".to_owned())),
        (zitadel, json!([CLIENT_ID, "project"]), Some("other-client"), (502, "id_token.authorized_party".to_owned())),
        (zitadel, json!([CLIENT_ID, 7]), None, (502, "id_token.audience".to_owned())),
        ("", json!([CLIENT_ID, "project"]), Some(CLIENT_ID), (502, "id_token.audience".to_owned())),
        ("", json!([CLIENT_ID, CLIENT_ID]), None, succeeded()),
        ("", json!([]), None, (502, "id_token.audience".to_owned())),
    ] {
        let mut rig = rig(vestibule);
        let told = format!("{aud} {azp:?}");
        rig.provider.edit_claims = Some(Box::new(move |claims| {
            claims.insert("aud".into(), aud.clone());
            claims.extend(azp.map(|azp| ("azp".to_owned(), azp.into())));
        }));
        assert_eq!(log_in(&mut rig), expected, "{told}");
    }
}

#[test]
fn the_difference_of_clocks_that_is_borne_is_a_setting() {
    for (vestibule, difference, is_borne) in [
        ("", 119, true),
        ("", 121, false),
        ("[vestibule.provider.default]\nclock_skew = \"10m\"\n", 599, true),
        ("[vestibule.provider.default]\nclock_skew = \"10m\"\n", 601, false),
        ("[vestibule.provider.default]\nclock_skew = \"1s\"\n", 3, false),
    ] {
        let mut rig = rig(vestibule);
        let ahead = rig.now + difference;
        claim(&mut rig, "iat", json!(ahead));
        let expected = if is_borne { succeeded() } else { (502, "id_token.issued_at".to_owned()) };
        assert_eq!(log_in(&mut rig), expected, "{vestibule} {difference}");
    }
}

#[test]
fn tokens_that_are_right_in_unusual_ways_are_accepted() {
    type Change = fn(&mut Rig);
    let cases: [(&str, Change); 19] = [
        ("a foreign key in the header", |rig| header(rig, "jwk", SigningKey::ed25519(99).public_jwk())),
        ("other members of the header", |rig| {
            rig.provider.edit_header = Some(Box::new(|header| {
                header["jku"] = 7.into();
                header["x5c"] = json!([1, "a"]);
                header["big"] = serde_json::from_str("123456789012345678901234567890").unwrap();
            }));
        }),
        ("a whole media type", |rig| header(rig, "typ", json!("application/jwt"))),
        ("in capitals", |rig| header(rig, "typ", json!("APPLICATION/JWT"))),
        ("no type", |rig| rig.provider.edit_header = Some(Box::new(|header| drop(header.as_object_mut().unwrap().remove("typ"))))),
        ("RFC 9864's name", |rig| {
            header(rig, "alg", json!("Ed25519"));
            rig.provider.edit_jwks = Some(Box::new(|jwks| jwks["keys"][0]["alg"] = "Ed25519".into()));
        }),
        ("RFC 9864's name in the metadata", |rig| {
            rig.provider.edit_metadata = Some(Box::new(|metadata| metadata["id_token_signing_alg_values_supported"] = json!(["Ed25519"])));
        }),
        ("ES512", |rig| rig.provider.key = SigningKey::p521(5)),
        ("an exponent of 3", |rig| rig.provider.key = SigningKey::rsa_of_exponent_3()),
        ("8192 bits", |rig| rig.provider.key = SigningKey::rsa_8192()),
        ("a padded modulus", |rig| {
            rig.provider.key = SigningKey::rsa();
            rig.provider.edit_jwks = Some(Box::new(|jwks| {
                let n = jwks["keys"][0]["n"].as_str().unwrap().to_owned();
                jwks["keys"][0]["n"] = format!("{n}{}", "=".repeat((4 - n.len() % 4) % 4)).into();
                jwks["keys"][0]["e"] = "AQAB".into();
            }));
        }),
        ("a modulus with a sign byte", |rig| {
            rig.provider.key = SigningKey::rsa();
            rig.provider.edit_jwks = Some(Box::new(|jwks| {
                let n = URL_SAFE_NO_PAD.decode(jwks["keys"][0]["n"].as_str().unwrap()).unwrap();
                jwks["keys"][0]["n"] = URL_SAFE_NO_PAD.encode([&[0], n.as_slice()].concat()).into();
            }));
        }),
        ("the same key twice", |rig| {
            rig.provider.edit_jwks = Some(Box::new(|jwks| jwks["keys"] = json!([jwks["keys"][0], jwks["keys"][0]])));
        }),
        ("several keys of one name", |rig| {
            rig.provider.edit_jwks = Some(Box::new(|jwks| {
                let mut other = SigningKey::ed25519(50).public_jwk();
                other["kid"] = "key-1".into();
                jwks["keys"] = json!([other, jwks["keys"][0]]);
            }));
        }),
        ("no name, and several keys", |rig| {
            rig.provider.kid = None;
            rig.provider.edit_jwks = Some(Box::new(|jwks| {
                jwks["keys"] = json!([SigningKey::ed25519(50).public_jwk(), jwks["keys"][0], SigningKey::rsa().public_jwk()])
            }));
        }),
        ("a name that no key has, and keys without one", |rig| {
            rig.provider.edit_jwks = Some(Box::new(|jwks| drop(jwks["keys"][0].as_object_mut().unwrap().remove("kid"))));
        }),
        ("more than 64 keys", |rig| {
            rig.provider.edit_jwks = Some(Box::new(|jwks| {
                let other = |seed: u8| {
                    let mut key = SigningKey::ed25519(seed).public_jwk();
                    key["kid"] = format!("other-{seed}").into();
                    key
                };
                let mut keys: Vec<Value> = (100..200).map(other).collect();
                keys.push(jwks["keys"][0].clone());
                jwks["keys"] = keys.into();
            }));
        }),
        ("a subject of 255 characters", |rig| claim(rig, "sub", json!("ü|".repeat(127) + "√"))),
        ("a large number", |rig| claim(rig, "badge", serde_json::from_str("12345678901234567890123").unwrap())),
    ];
    for (what, change) in cases {
        let mut rig = rig("");
        change(&mut rig);
        assert_eq!(log_in(&mut rig), succeeded(), "{what}: {}", rig.last_message());
    }
    // What is wrong stays so.
    let cases: [(&str, Change, &str); 7] = [
        (
            "a foreign key in the header, and used",
            |rig| {
                header(rig, "jwk", SigningKey::ed25519(99).public_jwk());
                rig.provider.edit_jwks = Some(Box::new(|jwks| jwks["keys"] = json!([SigningKey::ed25519(7).public_jwk()])));
                rig.provider.key = SigningKey::ed25519(99);
            },
            "id_token.signature",
        ),
        ("a critical extension of any form", |rig| header(rig, "crit", Value::Null), "id_token.critical"),
        ("an access token", |rig| header(rig, "typ", json!("at+jwt")), "id_token.type"),
        ("a subject of 256 characters", |rig| claim(rig, "sub", json!("ü".repeat(256))), "id_token.subject"),
        (
            "an even exponent",
            |rig| {
                rig.provider.key = SigningKey::rsa();
                rig.provider.edit_jwks = Some(Box::new(|jwks| jwks["keys"][0]["e"] = "Ag".into()));
            },
            "id_token.unknown_key",
        ),
        (
            "an exponent of 1",
            |rig| {
                rig.provider.key = SigningKey::rsa();
                rig.provider.edit_jwks = Some(Box::new(|jwks| jwks["keys"][0]["e"] = "AQ".into()));
            },
            "id_token.unknown_key",
        ),
        (
            "another curve under the name",
            |rig| {
                rig.provider.key = SigningKey::p521(5);
                header(rig, "alg", json!("ES256"));
                rig.provider.edit_jwks = Some(Box::new(|jwks| drop(jwks["keys"][0].as_object_mut().unwrap().remove("alg"))));
            },
            "id_token.unknown_key",
        ),
    ];
    for (what, change, code) in cases {
        let mut rig = rig("");
        change(&mut rig);
        assert_eq!(log_in(&mut rig), (502, code.to_owned()), "{what}: {}", rig.last_message());
    }
}

#[test]
fn numbers_in_claims_stay_as_they_were_written() {
    let config = "[vestibule.identity.headers]\nbadge = \"X-Badge\"\nfloat = \"X-Float\"\n";
    let (mut rig, mut browser) = (rig(config), Browser::default());
    rig.provider.edit_claims = Some(Box::new(|claims| {
        claims.insert("badge".into(), serde_json::from_str("-12345678901234567890123").unwrap());
        claims.insert("float".into(), serde_json::from_str("1.10").unwrap());
    }));
    assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 302);
    let forward = browser.visit(&mut rig, "/").forward();
    let header = |name: &str| {
        let (_, value) = forward.set_headers.iter().find(|(given, _)| *given == name).expect(name);
        String::from_utf8(value.to_vec()).unwrap()
    };
    assert_eq!((header("X-Badge").as_str(), header("X-Float").as_str()), ("-12345678901234567890123", "1.10"));
}

#[test]
fn nobody_is_asked_for_what_has_to_be_decompressed() {
    let mut rig = rig("[vestibule.provider.default]\nuserinfo = true\n");
    assert_eq!(log_in(&mut rig), succeeded());
    assert_eq!(rig.sent.len(), 4);
    for request in &rig.sent {
        let encodings: Vec<_> =
            request.headers.iter().filter(|(name, _)| name == "accept-encoding").map(|(_, value)| value.as_slice()).collect();
        assert_eq!(encodings, [b"identity"], "{}", request.url);
    }
}

#[test]
fn a_providers_page_that_was_left_open_too_long_still_knows_the_way() {
    let (mut rig, mut browser) = (rig(""), Browser::default());
    let left_open = browser.start(&mut rig, "/reports?x=1");
    let callback = rig.provider.authorize(&left_open, "alice");
    rig.now += 31 * 60;
    let page = browser.visit(&mut rig, &callback).response();
    assert_eq!((page.status, rig.last_event()), (400, "callback.unknown_state"), "it logs nobody in");
    assert!(String::from_utf8_lossy(&page.body).contains("/.vestibule/login?return_to=%2Freports%3Fx%3D1"));
    // Not for whoever has only the id of the attempt.
    let other = callback.replace("state=", "state=x");
    assert!(!String::from_utf8_lossy(&browser.visit(&mut rig, &other).response().body).contains("reports"));

    // Another tab has logged in meanwhile.
    let location = browser.start(&mut rig, "/.vestibule/login?return_to=%2Felsewhere");
    let of_other_tab = rig.provider.authorize(&location, "alice");
    let mut logged_in = browser.clone();
    assert_eq!(logged_in.visit(&mut rig, &of_other_tab).response().header("location"), Some("/elsewhere"));
    assert_eq!(logged_in.visit(&mut rig, &callback).response().header("location"), Some("/reports?x=1"));

    // The cookies of those whose page is in `state` as well go with the next login.
    for page in 0..4 {
        rig.now += 31 * 60;
        browser.start(&mut rig, &format!("/.vestibule/login?return_to=%2F{page}"));
        assert!(browser.cookies.len() <= 1, "{:?}", browser.cookies.keys());
    }
    rig.now += 24 * 60 * 60;
    let page = browser.visit(&mut rig, &callback).response();
    assert!(!String::from_utf8_lossy(&page.body).contains("reports"), "and then it is forgotten");
}

/// OIDC Core section 4.
#[test]
fn a_provider_or_a_portal_may_start_the_login() {
    let two = format!(
        "{CONFIG}[auth.other]\nclient_id = \"c2\"\nclient_secret = \"0f9e8d7c6b5a\"\nserver_metadata_url = \"https://other.example/.well-known/openid-configuration\"\n"
    );
    for config in [CONFIG, &two] {
        let (mut rig, mut browser) = (Rig::new(config), Browser::default());
        let start = "/.vestibule/login?iss=https%3A%2F%2Fop.example&target_link_uri=https%3A%2F%2Fapp.example%2Freports%3Fx%3D1&login_hint=alice%40example.com";
        let location = browser.start(&mut rig, start);
        assert_eq!(query(&location)["login_hint"], "alice@example.com");
        let callback = rig.provider.authorize(&location, "alice");
        assert_eq!(browser.visit(&mut rig, &callback).response().header("location"), Some("/reports?x=1"));
    }
    let (mut rig, mut browser) = (rig("client_kwargs = { login_hint = \"configured\" }\n"), Browser::default());
    assert_eq!(query(&browser.start(&mut rig, "/.vestibule/login"))["login_hint"], "configured");
    let location = browser.start(&mut rig, "/.vestibule/login?login_hint=bob");
    assert_eq!(location.query_pairs().filter(|(name, _)| name == "login_hint").count(), 1);
    assert_eq!(query(&location)["login_hint"], "configured", "any page may lead here");
    let away = browser.start(&mut rig, "/.vestibule/login?iss=https%3A%2F%2Fop.example&target_link_uri=https%3A%2F%2Fevil.example%2F");
    let callback = rig.provider.authorize(&away, "alice");
    assert_eq!(browser.visit(&mut rig, &callback).response().header("location"), Some("/"), "it leads nobody elsewhere");
    let unknown = browser.visit(&mut rig, "/.vestibule/login?iss=https%3A%2F%2Fevil.example").response();
    assert_eq!((unknown.status, rig.last_event()), (404, "login.unknown_provider"));
    let elsewhere = vestibule::web::http::RequestHead::get("/.vestibule/login?iss=https%3A%2F%2Fop.example&login_hint=bob", "127.0.0.1:9");
    let moved = browser.send(&mut rig, &elsewhere.with("accept", "text/html")).response();
    assert_eq!(moved.header("location"), Some("https://app.example/.vestibule/login?provider=default&login_hint=bob&moved=1"));
}
