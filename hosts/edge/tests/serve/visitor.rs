//! Somebody with a browser, a provider of their own and a page that they want to see.

use reqwest::{Method, StatusCode, Url};
use serde_json::Value;

use crate::browser::{Browser, Page};
use crate::raw::{Head, Wire};
use crate::site::{self, Assigned, Kind, Site};

pub struct Visitor {
    pub site: &'static Site,
    pub provider: Assigned,
    pub browser: Browser,
    /// A page that nobody else asks for, so that the application can be asked what it has seen.
    pub page: String,
}

impl Visitor {
    pub async fn new() -> Self {
        Self::with(Kind::Plain).await
    }

    pub async fn with(kind: Kind) -> Self {
        let site = site::local().await;
        Self::at(site, site.assign(kind))
    }

    pub fn at(site: &'static Site, provider: Assigned) -> Self {
        let page = format!("/pages/{}", provider.name);
        Self { site, provider, browser: Browser::new(), page }
    }

    /// Somebody else at the same provider, who wants to see the same.
    pub fn another(&self) -> Self {
        let provider = Assigned { name: self.provider.name.clone(), running: self.provider.running };
        Self { site: self.site, provider, browser: Browser::new(), page: self.page.clone() }
    }

    pub fn script(&self, change: impl FnOnce(&mut vestibule_dev_provider::Script)) {
        self.provider.running.faults().script(change);
    }

    /// How many codes were redeemed, or were to be.
    pub fn redeemed(&self) -> usize {
        self.provider.running.requests("/token")
    }

    /// Starts a login; the answer is not followed.
    pub async fn start(&self) -> Page {
        // Not on the host of `redirect_uri` everywhere here, as behind a proxy that writes another `Host`.
        self.visit(&format!("/.vestibule/login?provider={}&return_to={}&moved=1", self.provider.name, self.page)).await
    }

    /// One request of a visit; the answer is not followed.
    pub async fn visit(&self, path: &str) -> Page {
        self.browser.step(Method::GET, self.site.url(path).parse().expect("a URL"), None).await
    }

    /// Starts a login and logs in as `alice` at the provider; where it sends the browser.
    pub async fn callback(&self) -> Url {
        self.callback_as("alice").await
    }

    pub async fn callback_as(&self, person: &str) -> Url {
        let started = self.start().await;
        let mut consent = started.location.unwrap_or_else(|| panic!("no login: {}", started.body));
        consent.set_path("/consent");
        let answered = self.browser.step(Method::POST, consent, Some(&format!("person={person}"))).await;
        let location = answered.location.unwrap_or_else(|| panic!("no redirect back: {}", answered.body));
        // An https origin of the configuration is served here all the same.
        self.here(&location)
    }

    /// The same path and query where the program listens.
    fn here(&self, url: &Url) -> Url {
        let query = url.query().map(|query| format!("?{query}")).unwrap_or_default();
        self.site.url(&format!("{}{query}", url.path())).parse().expect("a URL")
    }

    pub async fn open(&self, callback: &Url) -> Page {
        self.browser.step(Method::GET, callback.clone(), None).await
    }

    /// A whole login, after which the application knows who it is; what the application has received.
    pub async fn gets_in(&self) -> Head {
        let callback = self.callback().await;
        self.is_let_in(&callback).await
    }

    /// A whole login as somebody, of which only the end is looked at.
    pub async fn gets_in_elsewhere(&self, person: &str) {
        let callback = self.callback_as(person).await;
        let page = self.open(&callback).await;
        assert_eq!(page.status, StatusCode::FOUND, "{}", page.body);
    }

    /// The rest of a login.
    pub async fn is_let_in(&self, callback: &Url) -> Head {
        let page = self.open(callback).await;
        assert_eq!(page.status, StatusCode::FOUND, "{}", page.body);
        assert_eq!(page.location.as_ref().map(Url::path), Some(self.page.as_str()));
        let page = self.visit(&self.page).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.body);
        let received = Head::echoed(page.body);
        assert_eq!(
            (received.values("x-forwarded-user"), received.values("x-forwarded-provider")),
            (vec!["alice"], vec![&*self.provider.name])
        );
        received
    }

    /// A whole login that is refused in the end, with this status and this code in the log.
    pub async fn is_refused(&self, status: u16, code: &str) {
        let callback = self.callback().await;
        let page = self.open(&callback).await;
        self.got_nothing(&page, status, code).await;
    }

    /// That `page` is a refusal, with this status and this code in the log, and that nothing was granted.
    pub async fn got_nothing(&self, page: &Page, status: u16, code: &str) {
        assert_eq!(page.status.as_u16(), status, "{}", page.body);
        assert_eq!(page.location, None);
        let reference = reference(&page.body);
        let line = self.site.log.find(|line| line["reference"] == reference && line["code"] != "request").await;
        assert_eq!(line["code"], code, "{line}");
        self.is_nobody().await;
    }

    /// That there is no session, and that the application has never been asked.
    pub async fn is_nobody(&self) {
        let url: Url = self.site.url(&self.page).parse().expect("a URL");
        let cookies = self.browser.cookies(&url);
        assert!(!cookies.contains("vestibule_session") && !cookies.contains("vestibule_tokens"), "{cookies}");
        let user: Value = serde_json::from_str(&self.browser.fetch(&self.site.url("/.vestibule/user")).await.body).expect("JSON");
        assert_eq!(user, serde_json::json!({ "is_logged_in": false }));
        assert_eq!(self.browser.fetch(&self.site.url(&self.page)).await.status, StatusCode::UNAUTHORIZED);
        assert_eq!(self.site.app.saw(&self.page), 0, "the application was asked");
    }

    /// The value of the browser's session cookie.
    pub fn session(&self) -> (String, String) {
        let url: Url = self.site.url("/").parse().expect("a URL");
        let cookies = self.browser.cookies(&url);
        let session = cookies.split("; ").find(|cookie| cookie.contains("vestibule_session")).expect("a session");
        let (name, value) = session.split_once('=').expect("a cookie");
        (name.to_owned(), value.to_owned())
    }

    /// A request as it is written here, with `Host` and an end.
    pub async fn raw(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> (Head, String) {
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let request = format!("{method} {target} HTTP/1.1\r\nHost: {}\r\n{lines}Connection: close\r\n\r\n", self.site.host);
        Wire::connect(self.site.address).await.exchange(&request).await.expect("a response")
    }
}

/// The reference number that a page shows.
pub fn reference(page: &str) -> String {
    let after = page.split_once("Reference number: <code>").unwrap_or_else(|| panic!("no reference number: {page}")).1;
    after.split('<').next().unwrap_or_default().to_owned()
}
