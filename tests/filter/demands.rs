//! What a provider's section demands holds for the sessions that there are as for the logins that come.

use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};
use vestibule::entropy::Fixed;
use vestibule::secret::Secret;
use vestibule::session::{KeyRing, Purpose};

use crate::rig::{self, Browser, CONFIG, ISSUER, Provider, Rig};

const NOW: u64 = 1_700_000_000;
const OTHER_ISSUER: &str = "https://other.example";
const TENANTS: [&str; 2] = ["9188040d-6c67-4c5b-b112-36a304b66dad", "72f988bf-86f1-41af-91ab-2d7cd011db47"];

/// A provider's section.
#[derive(Clone, Debug)]
struct Section {
    issuer: &'static str,
    client_id: &'static str,
    hd: Option<&'static str>,
    acr_values: Option<&'static str>,
    max_age: Option<u64>,
    tenants: Vec<&'static str>,
    userinfo: bool,
}

impl Section {
    fn toml(&self) -> String {
        let Self { issuer, client_id, hd, acr_values, max_age, tenants, userinfo } = self;
        let mut options = vec![];
        options.extend(hd.map(|hd| format!("hd = \"{hd}\"")));
        options.extend(acr_values.map(|values| format!("acr_values = \"{values}\"")));
        options.extend(max_age.map(|seconds| format!("max_age = {seconds}")));
        let tenants = if tenants.is_empty() { String::new() } else { format!("tenants = {tenants:?}\n") };
        let base = CONFIG.replace(ISSUER, issuer).replace("client-1", client_id);
        format!("{base}client_kwargs = {{ {} }}\n[vestibule.provider.default]\nuserinfo = {userinfo}\n{tenants}", options.join(", "))
    }
}

fn section() -> impl Strategy<Value = Section> {
    (
        prop_oneof![6 => Just(ISSUER), 1 => Just(OTHER_ISSUER)],
        prop_oneof![6 => Just("client-1"), 1 => Just("client-2")],
        select(vec![None, None, Some("*"), Some("example.com"), Some("other.example")]),
        select(vec![None, None, Some("mfa"), Some("phr mfa"), Some("0")]),
        select(vec![None, None, Some(0), Some(60), Some(3600)]),
        select(vec![vec![], vec![], vec![TENANTS[0]], TENANTS.to_vec()]),
        any::<bool>(),
    )
        .prop_map(|(issuer, client_id, hd, acr_values, max_age, tenants, userinfo)| Section {
            issuer,
            client_id,
            hd,
            acr_values,
            max_age,
            tenants,
            userinfo,
        })
}

/// What an ID token says beside the rig's claims.
fn claims() -> impl Strategy<Value = Map<String, Value>> {
    let maybe = |values: Vec<Value>| prop_oneof![1 => Just(None), 3 => select(values).prop_map(Some)];
    (
        maybe(vec![json!("example.com"), json!("EXAMPLE.com"), json!("other.example"), json!(""), json!(["example.com"])]),
        maybe(vec![json!("mfa"), json!("phr"), json!("0"), json!(0), json!("mfa phr")]),
        maybe([0, 60, 120, 121, 180, 181, 3720, 3721].map(|ago| json!(NOW - ago)).into_iter().chain([json!("now"), json!(-1)]).collect()),
        maybe(vec![json!(TENANTS[0]), json!(TENANTS[1]), json!(TENANTS[0].to_uppercase()), json!(1)]),
    )
        .prop_map(|(hd, acr, auth_time, tid)| {
            let all = [("hd", hd), ("acr", acr), ("auth_time", auth_time), ("tid", tid)];
            all.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
        })
}

/// The section with a provider behind it that issues this ID token, and claims what it can elsewhere.
fn rig(section: &Section, token: &Map<String, Value>) -> Rig {
    let mut rig = Rig::new(&section.toml());
    rig.provider = Provider::new(section.issuer);
    let token = token.clone();
    rig.provider.edit_claims = Some(Box::new(move |claims| claims.extend(token.clone())));
    rig.provider.edit_userinfo = Some(Box::new(|answer| {
        for (name, value) in [("hd", json!("example.com")), ("acr", json!("mfa")), ("auth_time", json!(NOW)), ("tid", json!(TENANTS[0]))] {
            answer[name] = value;
        }
    }));
    rig
}

fn is_logged_in(rig: &mut Rig, browser: &Browser) -> bool {
    let user = browser.clone().visit(rig, "/.vestibule/user").response();
    serde_json::from_slice::<Value>(&user.body).unwrap()["is_logged_in"] == true
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, ..ProptestConfig::default() })]

    #[test]
    fn a_session_opens_exactly_where_its_login_would_be_accepted(before in section(), after in section(), extra in claims()) {
        let (mut old, mut browser) = (rig(&before, &extra), Browser::default());
        let accepted = browser.log_in(&mut old, "/", "alice").status == 302;
        prop_assert_eq!(is_logged_in(&mut old, &browser), accepted);
        // The very same token, at a login under the other section.
        let mut token = extra.clone();
        token.insert("iss".into(), before.issuer.into());
        token.insert("aud".into(), before.client_id.into());
        let would_be = Browser::default().log_in(&mut rig(&after, &token), "/", "alice").status == 302;
        prop_assert_eq!(is_logged_in(&mut rig(&after, &token), &browser), accepted && would_be, "{:?}", extra);
    }
}

#[test]
fn each_demand_ends_the_sessions_that_do_not_meet_it() {
    let plain =
        Section { issuer: ISSUER, client_id: "client-1", hd: None, acr_values: None, max_age: None, tenants: vec![], userinfo: true };
    let proof = json!({ "hd": "example.com", "acr": "mfa", "auth_time": NOW - 60, "tid": TENANTS[0] });
    let proof = proof.as_object().unwrap();
    for (demand, claim) in [
        (Section { hd: Some("example.com"), ..plain.clone() }, "hd"),
        (Section { hd: Some("*"), ..plain.clone() }, "hd"),
        (Section { acr_values: Some("mfa"), ..plain.clone() }, "acr"),
        (Section { max_age: Some(60), ..plain.clone() }, "auth_time"),
        (Section { tenants: vec![TENANTS[0]], ..plain.clone() }, "tid"),
    ] {
        let mut lacking = proof.clone();
        lacking.remove(claim);
        for (token, goes_on) in [(proof, true), (&lacking, false)] {
            let (mut before, mut browser) = (rig(&plain, token), Browser::default());
            assert_eq!(browser.log_in(&mut before, "/", "alice").status, 302);
            assert!(is_logged_in(&mut before, &browser));
            let mut after = rig(&demand, token);
            assert_eq!(is_logged_in(&mut after, &browser), goes_on, "{demand:?}");
            // As for every request: to the application, or to the login.
            let page = browser.visit(&mut after, "/");
            assert_eq!(matches!(page, rig::Seen::Forwarded(_)), goes_on, "{demand:?}");
        }
    }
}

/// Time that passes is `vestibule.session.max_age`'s business; the provider's `max_age` is about the login.
#[test]
fn max_age_of_a_provider_is_judged_at_the_time_of_the_login() {
    let config = format!("{CONFIG}client_kwargs = {{ max_age = 60 }}\n");
    let (mut rig, mut browser) = (Rig::new(&config), Browser::default());
    rig.provider.edit_claims = Some(Box::new(|claims| drop(claims.insert("auth_time".into(), json!(NOW - 60)))));
    browser.log_in(&mut rig, "/", "alice");
    rig.now += 24 * 60 * 60;
    assert!(is_logged_in(&mut rig, &browser));
    // The time that counts is that of the request, however long the way back took.
    let mut slow = Browser::default();
    rig.provider.edit_claims = Some(Box::new(|claims| drop(claims.insert("auth_time".into(), json!(NOW + 24 * 60 * 60 - 60)))));
    let location = slow.start(&mut rig, "/");
    let callback = rig.provider.authorize(&location, "alice");
    rig.now += 20 * 60;
    assert_eq!(slow.visit(&mut rig, &callback).response().status, 302);
    assert!(is_logged_in(&mut rig, &slow));
}

#[test]
fn a_session_without_what_it_takes_to_judge_it_has_ended() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    browser.log_in(&mut rig, "/", "alice");
    let name = browser.cookies.keys().find(|name| name.contains("session")).unwrap().clone();
    let keys = KeyRing::derive(&[Secret::new("8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5")], "https://app.example/oauth2callback");
    let sealed = browser.cookies[&name].strip_prefix("1~").unwrap().to_owned();
    let whole = keys.open(Purpose::Session, &sealed).unwrap().plaintext;
    let mut opens = |content: &[u8]| {
        let sealed = keys.seal(Purpose::Session, content, &mut Fixed::default());
        browser.cookies.insert(name.clone(), format!("1~{sealed}"));
        is_logged_in(&mut rig, &browser)
    };
    assert!(opens(&whole));
    for length in 0..whole.len() {
        assert!(!opens(&whole[..length]), "{length}");
    }
}

/// Entra's endpoints: anybody's, one by its GUID, one by its domain.
fn entra(endpoint: &str, tenant: &str, more: &str) -> Rig {
    let url = format!("https://login.microsoftonline.com/{endpoint}/v2.0/.well-known/openid-configuration");
    let of = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    let toml = CONFIG.replace("https://op.example/.well-known/openid-configuration", &url);
    let mut rig = Rig::new(&format!("{toml}{more}"));
    let named = if endpoint == "common" { of("{tenantid}") } else { of(tenant) };
    rig.provider = Provider::new(&of(tenant));
    rig.provider.metadata_url = url;
    rig.provider.response_issuer = None;
    rig.provider.edit_metadata = Some(Box::new(move |metadata| {
        metadata["issuer"] = named.clone().into();
        metadata["authorization_response_iss_parameter_supported"] = false.into();
    }));
    let tenant = tenant.to_owned();
    rig.provider.edit_claims = Some(Box::new(move |claims| drop(claims.insert("tid".into(), tenant.clone().into()))));
    rig
}

#[test]
fn a_session_of_one_entra_tenant_is_none_at_another_ones_endpoint() {
    let [mine, other] = TENANTS;
    let tenants = |tenant: &str| format!("\n[vestibule.provider.default]\ntenants = [\"{tenant}\"]\n");
    let session = |endpoint: &str, tenant: &str| {
        let (mut rig, mut browser) = (entra(endpoint, tenant, ""), Browser::default());
        assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 302);
        browser
    };
    let anybodys = session("common", mine);
    for (endpoint, more, goes_on) in [
        ("common", String::new(), true),
        ("common", tenants(mine), true),
        ("common", tenants(other), false),
        (mine, String::new(), true),
        (other, String::new(), false),
        // Which tenant a domain is, only its metadata says.
        ("contoso.example", String::new(), false),
    ] {
        assert_eq!(is_logged_in(&mut entra(endpoint, mine, &more), &anybodys), goes_on, "{endpoint} {more}");
    }
    let of_domain = session("contoso.example", mine);
    for (endpoint, goes_on) in [("contoso.example", true), ("fabrikam.example", false), ("common", true), (mine, true), (other, false)] {
        assert_eq!(is_logged_in(&mut entra(endpoint, mine, ""), &of_domain), goes_on, "{endpoint}");
    }
}

#[test]
fn a_login_that_is_under_way_ends_with_the_endpoint_that_it_was_started_at() {
    let [mine, _] = TENANTS;
    for (endpoint, status) in [("contoso.example", 302), ("fabrikam.example", 400)] {
        let (mut rig, mut browser) = (entra("contoso.example", mine, ""), Browser::default());
        let location = browser.start(&mut rig, "/");
        let callback = rig.provider.authorize(&location, "alice");
        rig.filter = entra(endpoint, mine, "").filter;
        assert_eq!(browser.visit(&mut rig, &callback).response().status, status, "{endpoint}");
        assert_eq!(rig.last_event() == "callback.unknown_state", status == 400, "{endpoint}");
    }
}
