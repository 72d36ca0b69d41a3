//! The way back from the provider: only the response to a login that this browser has started is redeemed.

use std::sync::LazyLock;

use url::form_urlencoded;
use vestibule::decision::Outcome;
use vestibule::filter::{Filter, Step};
use vestibule::oidc::authorization::Callback;
use vestibule::web::http::{Request, RequestHead};

use super::destination::assert_is_ours;
use super::site::{self, ISSUER, cookies_set, is_session};
use super::visitor::{self, Started};

static SITE: LazyLock<(Filter, Started)> = LazyLock::new(|| {
    let filter = site::filter("");
    let started = visitor::start(&filter, "/reports?year=2026");
    (filter, started)
});

/// `data` is the query, or the form. In it, the control character 1 stands for the `state` of the login, 2 for the issuer
/// as a parameter has it.
pub fn run(data: &[u8]) {
    let (filter, started) = &*SITE;
    let query = written(data, &started.state);
    let given: Vec<(String, String)> = form_urlencoded::parse(&query).into_owned().collect();
    let all = |name: &str| given.iter().filter(|(given, _)| given == name).map(|(_, value)| value.as_str()).collect::<Vec<_>>();
    let (code, error) = (all("code"), all("error"));

    let parsed = Callback::parse(form_urlencoded::parse(&query), false);
    match &parsed {
        Ok(Callback::Landing) => assert!(code.is_empty() && error.is_empty()),
        Ok(Callback::ErrorWithoutState(..)) => assert!(code.is_empty() && error.len() == 1 && all("state").concat().is_empty()),
        Ok(Callback::Response(response)) => {
            assert_eq!(all("state"), [response.state()]);
            assert!(code.len() + error.len() == 1 && all("iss").len() <= 1);
        }
        Err(_) => {}
    }

    // Visited.
    if let Ok(query) = std::str::from_utf8(&query) {
        let head = visitor::head(&format!("/oauth2callback?{query}"), &started.cookies);
        match site::begin(filter, &head, None) {
            Step::Fetch(request, _) => {
                assert!(Request::parse(&head).is_ok());
                assert_eq!(request.url.as_str(), format!("{ISSUER}/token"));
                assert_eq!((all("state"), all("iss")), (vec![started.state.as_str()], vec![ISSUER]));
                assert!(matches!(*code, [code] if !code.is_empty()) && error.is_empty());
            }
            Step::Look(..) => panic!("the claim is granted"),
            Step::Done(decision) => match decision.outcome {
                Outcome::Respond(response) => assert!(!cookies_set(&response.headers).any(|(name, _)| is_session(&name))),
                other => panic!("{other:?}"),
            },
        }
    }

    // Posted: it becomes a visit, or is refused.
    let post = RequestHead { method: "POST".into(), ..visitor::head("/oauth2callback", &started.cookies) };
    let post = post.with("content-type", "application/x-www-form-urlencoded");
    assert!(matches!(site::begin(filter, &post, None), Step::Done(decision) if matches!(decision.outcome, Outcome::NeedBody(_))));
    let response = site::response(site::begin(filter, &post, Some(&query))).expect("an answer");
    assert!(!cookies_set(&response.headers).any(|(name, _)| is_session(&name)));
    match response.status {
        303 => {
            let location = response.header("location").expect("a location of visible characters");
            assert!(parsed.is_ok() && (location == "/oauth2callback" || location.starts_with("/oauth2callback?")), "{location}");
            assert_is_ours(location);
        }
        status => assert!(parsed.is_err() && status == 400, "{status}"),
    }
}

fn written(data: &[u8], state: &str) -> Vec<u8> {
    let mut written = vec![];
    for &byte in data {
        match byte {
            1 => written.extend(state.bytes()),
            2 => written.extend(form_urlencoded::byte_serialize(ISSUER.as_bytes()).flat_map(str::bytes)),
            _ => written.push(byte),
        }
    }
    written
}
