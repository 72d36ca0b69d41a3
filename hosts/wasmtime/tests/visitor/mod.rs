//! A person's browser in front of a filter: what is for the application's origin goes to the filter, the rest over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use cookie::Cookie;
use tokio::time::timeout;
use url::Url;
use vestibule_wasmtime::{Decision, Filter, Forward, Outcome, RequestHead, Response};

/// Longer than anything here takes: a test that reaches it has hung.
const HANG: Duration = Duration::from_secs(60);

/// Where the filter believes to be.
pub(crate) const ORIGIN: &str = "http://localhost:8501";

/// A header that every request of a visitor has, to be somebody else.
pub(crate) const SPOOFED: &str = "x_forwarded_user";

#[derive(Clone, Default)]
pub(crate) struct Visitor {
    pub cookies: BTreeMap<String, String>,
}

impl Visitor {
    /// A navigation to a path of the application, by a browser without Fetch Metadata, so that a login begins with a redirect; no
    /// redirect is followed.
    pub(crate) async fn open(&mut self, filter: &Filter, path: &str) -> Decision {
        self.send(filter, path, &[("accept", "text/html")]).await
    }

    /// A script's request.
    pub(crate) async fn fetch(&mut self, filter: &Filter, path: &str) -> Decision {
        self.send(filter, path, &[("accept", "application/json"), ("sec-fetch-mode", "cors")]).await
    }

    /// From a page that asks for a login to the provider and back: the path of the callback, which is not visited yet.
    pub(crate) async fn until_callback(&mut self, filter: &Filter, path: &str, person: &str) -> String {
        let answer = self.open(filter, path).await;
        answer_at_provider(location(respond(&answer)), &format!("person={person}")).await
    }

    /// Logs in from a page that asks for it, and returns where that leads.
    pub(crate) async fn log_in(&mut self, filter: &Filter, path: &str, person: &str) -> Url {
        let callback = self.until_callback(filter, path, person).await;
        location(respond(&self.open(filter, &callback).await))
    }

    async fn send(&mut self, filter: &Filter, path: &str, fields: &[(&str, &str)]) -> Decision {
        let cookies: Vec<_> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookies = cookies.join("; ");
        let mut fields = [&[("host", "localhost:8501"), (SPOOFED, "mallory")], fields].concat();
        if !cookies.is_empty() {
            fields.push(("cookie", &cookies));
        }
        let mut head = RequestHead::new("GET", path, None, None);
        fields.iter().for_each(|(name, value)| head.push(name, value.as_bytes()));
        let decision = timeout(HANG, filter.decide(head, None)).await.expect("a decision hangs").unwrap();
        match &decision.outcome {
            Outcome::Respond(response) => self.keep(&response.headers),
            Outcome::Forward(forward) => self.keep(&forward.response_headers),
            Outcome::NeedBody(_) => panic!("a GET has no body to ask for"),
        }
        decision
    }

    fn keep(&mut self, headers: &[(String, Vec<u8>)]) {
        for (_, value) in headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie")) {
            let cookie = Cookie::parse(String::from_utf8(value.clone()).unwrap()).unwrap();
            if cookie.max_age().is_some_and(|age| age.is_zero()) {
                self.cookies.remove(cookie.name());
            } else {
                self.cookies.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
    }
}

/// Answers the provider's question at `authorize`; the path of the callback that it redirects to.
pub(crate) async fn answer_at_provider(authorize: Url, answer: &str) -> String {
    let mut consent = authorize;
    assert!(consent.path().ends_with("/authorize"), "not at the provider: {consent}");
    consent.set_path("/consent");
    // More than one test may have installed it before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
    let form = client.post(consent).header("content-type", "application/x-www-form-urlencoded").body(answer.to_owned());
    let response = form.send().await.unwrap();
    let callback = Url::parse(response.headers()["location"].to_str().unwrap()).unwrap();
    assert_eq!(callback.origin().ascii_serialization(), ORIGIN);
    format!("{}?{}", callback.path(), callback.query().unwrap())
}

pub(crate) fn respond(decision: &Decision) -> &Response {
    let Outcome::Respond(response) = &decision.outcome else { panic!("forwarded: {decision:?}") };
    response
}

pub(crate) fn forward(decision: &Decision) -> &Forward {
    let Outcome::Forward(forward) = &decision.outcome else { panic!("not forwarded: {decision:?}") };
    forward
}

/// The only value of a header.
pub(crate) fn value<'a>(headers: &'a [(String, Vec<u8>)], name: &str) -> &'a str {
    let mut values = headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    let value = values.next().unwrap_or_else(|| panic!("no {name} in {headers:?}"));
    assert!(values.next().is_none(), "more than one {name} in {headers:?}");
    std::str::from_utf8(&value.1).unwrap()
}

/// The only line of a header that the application is told.
pub(crate) fn told<'a>(forward: &'a Forward, name: &str) -> &'a str {
    let mut values = forward.set_headers().filter(|(other, _)| other.eq_ignore_ascii_case(name));
    let (_, value) = values.next().unwrap_or_else(|| panic!("no {name} in {forward:?}"));
    assert!(values.next().is_none(), "more than one {name} in {forward:?}");
    std::str::from_utf8(value).unwrap()
}

/// Where a redirect leads.
pub(crate) fn location(response: &Response) -> Url {
    assert!((300..400).contains(&response.status), "no redirect: {} {}", response.status, String::from_utf8_lossy(&response.body));
    Url::parse(ORIGIN).unwrap().join(value(&response.headers, "location")).unwrap()
}

/// The codes of what the decision has for the log.
pub(crate) fn codes(decision: &Decision) -> Vec<&str> {
    decision.events.iter().map(|event| event.code.as_str()).collect()
}
