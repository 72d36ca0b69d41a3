//! As much of a browser as a login needs: navigations, redirects and a cookie jar.

use std::collections::BTreeMap;
use std::sync::Mutex;

use cookie::Cookie;
use reqwest::{Client, Method, RequestBuilder, StatusCode, Url, header};

/// More than any login takes.
const MAX_REDIRECTS: usize = 10;

pub struct Browser {
    client: Client,
    /// All origins of a test are one host, and cookies know no ports.
    jar: Mutex<BTreeMap<String, Cookie<'static>>>,
}

/// What a navigation has led to.
#[derive(Debug)]
pub struct Page {
    pub url: Url,
    pub status: StatusCode,
    /// Where a redirect leads, or a page that goes on by itself.
    pub location: Option<Url>,
    pub body: String,
}

impl Browser {
    pub fn new() -> Self {
        // More than one test may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        Self { client: client.build().expect("a client"), jar: Mutex::default() }
    }

    /// A navigation, redirects included.
    pub async fn open(&self, url: &str) -> Page {
        let mut page = self.step(Method::GET, url.parse().expect("a URL"), None).await;
        for _ in 0..MAX_REDIRECTS {
            let Some(location) = page.location.take() else { return page };
            page = self.step(Method::GET, location, None).await;
        }
        panic!("redirected without end, last to {}", page.url)
    }

    /// One request of a navigation, redirects not followed.
    pub async fn step(&self, method: Method, url: Url, form: Option<&str>) -> Page {
        let mut request = self.client.request(method, url.clone()).header(header::ACCEPT, "text/html");
        request = request.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document");
        if let Some(form) = form {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.to_owned());
        }
        self.send(request, url).await
    }

    /// A script's request.
    pub async fn fetch(&self, url: &str) -> Page {
        let url: Url = url.parse().expect("a URL");
        let request = self.client.get(url.clone()).header(header::ACCEPT, "application/json").header("sec-fetch-mode", "cors");
        self.send(request, url).await
    }

    /// The `POST` of a script in a page of `origin`.
    #[allow(dead_code, reason = "`tests/serve` does not use it")]
    pub async fn post(&self, url: &str, origin: &str) -> Page {
        let url: Url = url.parse().expect("a URL");
        let request = self.client.post(url.clone()).header(header::ACCEPT, "application/json").header("sec-fetch-mode", "cors");
        self.send(request.header(header::ORIGIN, origin), url).await
    }

    /// Opens `url`, which asks for a login, and logs in as `person` at the development provider.
    pub async fn log_in(&self, url: &str, person: &str) -> Page {
        let asked = self.open(url).await;
        assert!(asked.url.path().ends_with("/authorize"), "not at the provider: {asked:?}");
        let mut consent = asked.url.clone();
        consent.set_path("/consent");
        let answered = self.step(Method::POST, consent, Some(&format!("person={person}"))).await;
        let location = answered.location.unwrap_or_else(|| panic!("no redirect back: {}", answered.body));
        self.open(location.as_str()).await
    }

    /// The `Cookie` header for `url`.
    pub fn cookies(&self, url: &Url) -> String {
        let jar = self.jar.lock().expect("no test has panicked here");
        let sent = jar.values().filter(|cookie| url.path().starts_with(cookie.path().unwrap_or("/")));
        sent.map(|cookie| cookie.stripped().to_string()).collect::<Vec<_>>().join("; ")
    }

    /// What somebody else got into the browser.
    #[allow(dead_code, reason = "`tests/serve` uses it")]
    pub fn plant(&self, name: &str, value: &str) {
        let cookie = Cookie::new(name.to_owned(), value.to_owned());
        self.jar.lock().expect("no test has panicked here").insert(name.to_owned(), cookie);
    }

    async fn send(&self, request: RequestBuilder, url: Url) -> Page {
        let response = request.header(header::COOKIE, self.cookies(&url)).send().await.expect("a response");
        self.keep(response.headers());
        let location = response.status().is_redirection().then(|| response.headers().get(header::LOCATION)).flatten();
        let location = location.map(|location| url.join(location.to_str().expect("text")).expect("a URL"));
        let status = response.status();
        let body = response.text().await.expect("text");
        let location = location.or_else(|| refresh(&body).map(|location| url.join(&location).expect("a URL")));
        Page { url, status, location, body }
    }

    fn keep(&self, headers: &header::HeaderMap) {
        let mut jar = self.jar.lock().expect("no test has panicked here");
        for value in headers.get_all(header::SET_COOKIE) {
            let cookie = Cookie::parse(value.to_str().expect("text").to_owned()).expect("a cookie");
            if cookie.value().is_empty() || cookie.max_age().is_some_and(|age| age.is_zero()) {
                jar.remove(cookie.name());
            } else {
                jar.insert(cookie.name().to_owned(), cookie);
            }
        }
    }
}

/// Where a browser without scripts goes on to from a page.
fn refresh(html: &str) -> Option<String> {
    let (_, rest) = html.split_once("<meta http-equiv=\"refresh\" content=\"0; url=")?;
    rest.split_once('"').map(|(location, _)| location.replace("&#38;", "&"))
}
