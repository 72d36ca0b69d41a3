//! A browser's requests to one node, as a load balancer in front sends them there, and what comes back.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use cookie::Cookie;
use reqwest::{Method, StatusCode, Url, header};

use crate::site::{OF_THE_APPLICATION, Site};

/// The cookies of a browser.
#[derive(Clone, Default)]
pub(crate) struct Cookies(BTreeMap<String, String>);

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) location: Option<Url>,
    pub(crate) is_of_the_application: bool,
}

/// What a browser says of a request.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Navigation,
    Script,
    /// The form on a page of Vestibule.
    OwnForm,
}

impl Cookies {
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    fn header(&self) -> String {
        self.0.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, headers: &header::HeaderMap) {
        for value in headers.get_all(header::SET_COOKIE) {
            let cookie = Cookie::parse(value.to_str().expect("text")).expect("a cookie");
            if cookie.value().is_empty() || cookie.max_age().is_some_and(|age| age.is_zero()) {
                self.0.remove(cookie.name());
            } else {
                self.0.insert(cookie.name().to_owned(), cookie.value().to_owned());
            }
        }
    }
}

/// A request of the person of this number to a node; `None` when the connection breaks.
pub(crate) async fn ask(site: &Site, node: usize, person: usize, cookies: &mut Cookies, path: &str, kind: Kind) -> Option<Answer> {
    let public = site.nodes[0];
    let url: Url = format!("http://{}{path}", site.nodes[node]).parse().expect("a URL");
    let method = if matches!(kind, Kind::OwnForm) { Method::POST } else { Method::GET };
    let mut request = site.client.request(method, url.clone());
    request = request.header(header::HOST, public.to_string()).header(header::COOKIE, cookies.header());
    request = request.header("x-forwarded-for", format!("10.0.{}.{}", person / 250, person % 250 + 1));
    request = match kind {
        Kind::Navigation => request.header(header::ACCEPT, "text/html"),
        Kind::Script => request.header("sec-fetch-mode", "cors").header("sec-fetch-dest", "empty"),
        Kind::OwnForm => request
            .header(header::ACCEPT, "text/html")
            .header(header::ORIGIN, format!("http://{public}"))
            .header("sec-fetch-site", "same-origin")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(""),
    };
    let response = request.send().await.ok()?;
    let (status, headers) = (response.status(), response.headers().clone());
    let body = response.text().await.ok()?;
    cookies.keep(&headers);
    let location = headers.get(header::LOCATION).map(|location| location.to_str().expect("text"));
    let location = location.map(|location| url.join(location).expect("a URL"));
    Some(Answer { status, location, is_of_the_application: body == OF_THE_APPLICATION })
}

/// The consent of this person at the provider, and where it leads.
pub(crate) async fn consent(site: &Site, mut authorize: Url, person: usize) -> Option<Url> {
    authorize.set_path("/consent");
    let request = site.client.post(authorize).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let response = request.body(format!("person=person-{person}")).send().await.ok()?;
    response.headers().get(header::LOCATION)?.to_str().ok()?.parse().ok()
}

/// A logout token that ends all sessions of this person, delivered to a node.
pub(crate) async fn deliver(site: &Site, node: SocketAddr, token: &str) -> Option<StatusCode> {
    let request = site.client.post(format!("http://{node}/.vestibule/backchannel-logout"));
    let request = request.header(header::HOST, site.nodes[0].to_string());
    let request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    Some(request.body(format!("logout_token={token}")).send().await.ok()?.status())
}
