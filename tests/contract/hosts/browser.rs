//! As much of a browser as a login needs: navigations, redirects, scripts' requests, sockets and a cookie jar.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use cookie::Cookie;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, RequestBuilder, Response, header};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{self};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use url::Url;

/// More than any login takes.
const MAX_REDIRECTS: usize = 10;

/// Longer than anything here takes on a machine that compiles something else: who waits this long has hung.
const PATIENCE: Duration = Duration::from_secs(60);

pub type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub struct Browser {
    client: Client,
    /// All origins of a site are one host, and cookies know no ports.
    jar: Mutex<BTreeMap<String, Cookie<'static>>>,
}

/// What an exchange has led to.
#[derive(Debug)]
pub struct Page {
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    /// Where a redirect leads, or a page that goes on by itself.
    pub location: Option<Url>,
    pub body: String,
}

impl Page {
    /// Every line of a header that is text.
    pub fn values(&self, name: &str) -> Vec<&str> {
        self.headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).collect()
    }
}

impl Browser {
    /// # Errors
    /// There is no TLS, which no page here needs.
    pub fn new() -> Result<Self> {
        // More than one may have installed it before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().timeout(PATIENCE).build()?;
        Ok(Self { client, jar: Mutex::default() })
    }

    /// A navigation, redirects included.
    ///
    /// # Errors
    /// There is no answer, or no end of redirects.
    pub async fn open(&self, url: &Url) -> Result<Page> {
        let mut page = self.step(url).await?;
        for _ in 0..MAX_REDIRECTS {
            let Some(location) = page.location.take() else { return Ok(page) };
            page = self.step(&location).await?;
        }
        bail!("redirected without end, last to {}", page.url)
    }

    /// One request of a navigation.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn step(&self, url: &Url) -> Result<Page> {
        self.navigate(Method::GET, url, &[], None).await
    }

    /// One request of a navigation, with headers of the caller's, and a form where one is posted.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn navigate(&self, method: Method, url: &Url, headers: &[(&str, &str)], form: Option<&str>) -> Result<Page> {
        let mut request = self.client.request(method, url.clone()).header(header::ACCEPT, "text/html");
        request = request.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document");
        if let Some(form) = form {
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(form.to_owned());
        }
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.finish(request, url).await
    }

    /// A script's request.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn fetch(&self, url: &Url) -> Result<Page> {
        self.finish(self.script(Method::GET, url), url).await
    }

    /// A script's request, to be completed and given to [`Self::send`].
    pub fn script(&self, method: Method, url: &Url) -> RequestBuilder {
        self.client.request(method, url.clone()).header(header::ACCEPT, "application/json").header("sec-fetch-mode", "cors")
    }

    /// Sends with the cookies of the jar, and keeps those of the answer, whose body is not read yet.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn send(&self, request: RequestBuilder, url: &Url) -> Result<Response> {
        let cookies = self.cookies(url);
        let request = if cookies.is_empty() { request } else { request.header(header::COOKIE, cookies) };
        let response = request.send().await.with_context(|| format!("no answer from {url}"))?;
        self.keep(response.headers())?;
        Ok(response)
    }

    /// Opens `url`, which asks for a login, and logs in as `person` at the development provider.
    ///
    /// # Errors
    /// A step of it does not lead on.
    pub async fn log_in(&self, url: &Url, person: &str) -> Result<Page> {
        let callback = self.until_callback(url, person).await?;
        self.open(&callback).await
    }

    /// The same up to the callback, which is not visited.
    ///
    /// # Errors
    /// A step of it does not lead on.
    pub async fn until_callback(&self, url: &Url, person: &str) -> Result<Url> {
        let asked = self.open(url).await?;
        ensure!(asked.url.path() == "/authorize", "not at the provider but at {}: {} {}", asked.url, asked.status, asked.body);
        let mut consent = asked.url.clone();
        consent.set_path("/consent");
        let answered = self.navigate(Method::POST, &consent, &[], Some(&format!("person={person}"))).await?;
        answered.location.with_context(|| format!("the provider does not send the browser back: {}", answered.body))
    }

    /// A WebSocket that a page of `origin` opens.
    ///
    /// # Errors
    /// As tungstenite; with [`tungstenite::Error::Http`] the server has refused.
    pub async fn connect(&self, url: &Url, origin: &str) -> tungstenite::Result<Socket> {
        let mut address = url.clone();
        // `ws` is a special scheme as http is: nothing else of the URL changes.
        let _ = address.set_scheme("ws");
        let mut request = address.as_str().into_client_request()?;
        let text = |text: &str| HeaderValue::from_str(text).map_err(tungstenite::http::Error::from);
        request.headers_mut().insert("origin", text(origin)?);
        let cookies = self.cookies(url);
        if !cookies.is_empty() {
            request.headers_mut().insert("cookie", text(&cookies)?);
        }
        let connected = tokio::time::timeout(PATIENCE, tokio_tungstenite::connect_async(request)).await;
        let (socket, _) = connected.map_err(|_| tungstenite::Error::Io(std::io::ErrorKind::TimedOut.into()))??;
        Ok(socket)
    }

    /// The `Cookie` header for `url`; empty when there is none.
    pub fn cookies(&self, url: &Url) -> String {
        let jar = self.jar.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = jar.values().filter(|cookie| url.path().starts_with(cookie.path().unwrap_or("/")));
        sent.map(|cookie| cookie.stripped().to_string()).collect::<Vec<_>>().join("; ")
    }

    /// Changes what the browser keeps.
    pub fn edit_cookies(&self, edit: impl FnOnce(&mut BTreeMap<String, Cookie<'static>>)) {
        edit(&mut self.jar.lock().unwrap_or_else(PoisonError::into_inner));
    }

    async fn finish(&self, request: RequestBuilder, url: &Url) -> Result<Page> {
        let response = self.send(request, url).await?;
        let location = response.status().is_redirection().then(|| response.headers().get(header::LOCATION)).flatten();
        let location = location.map(|location| anyhow::Ok(url.join(location.to_str()?)?)).transpose()?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let body = response.text().await?;
        let location = match location {
            None => refresh(&body).map(|location| url.join(&location)).transpose()?,
            redirect => redirect,
        };
        Ok(Page { url: url.clone(), status, headers, location, body })
    }

    fn keep(&self, headers: &HeaderMap) -> Result<()> {
        let mut jar = self.jar.lock().unwrap_or_else(PoisonError::into_inner);
        for value in headers.get_all(header::SET_COOKIE) {
            let cookie = Cookie::parse(value.to_str()?.to_owned())?;
            if cookie.max_age().is_some_and(|age| age.is_zero()) {
                jar.remove(cookie.name());
            } else {
                jar.insert(cookie.name().to_owned(), cookie);
            }
        }
        Ok(())
    }
}

/// Where a browser without scripts goes on to from a page.
fn refresh(html: &str) -> Option<String> {
    let (_, rest) = html.split_once("<meta http-equiv=\"refresh\" content=\"0; url=")?;
    rest.split_once('"').map(|(location, _)| location.replace("&#38;", "&"))
}
