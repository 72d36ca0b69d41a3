//! Single sign-on: who this browser has already said it is.

use std::collections::HashMap;

use axum::http::{HeaderMap, HeaderValue, header};
use cookie::{Cookie, SameSite};

use crate::opaque::opaque;

/// Somebody signed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignOn {
    pub(crate) sub: String,
    /// The `auth_time` claim, in Unix seconds.
    pub(crate) authenticated_at: u64,
}

/// The sign-ons of all browsers, by the value of their cookie. They end with the browser or the provider.
#[derive(Debug)]
pub(crate) struct SignOns {
    cookie_name: String,
    by_cookie: HashMap<String, SignOn>,
}

impl SignOns {
    /// Cookies do not heed ports, and everything in a demo shares a host: the name tells providers apart.
    pub(crate) fn new(port: u16) -> Self {
        Self { cookie_name: format!("vestibule-dev-provider-{port}"), by_cookie: HashMap::new() }
    }

    pub(crate) fn current(&self, headers: &HeaderMap) -> Option<&SignOn> {
        self.by_cookie.get(self.sent(headers)?.as_str())
    }

    /// Remembers a sign-on; the answer is the `Set-Cookie` for it.
    pub(crate) fn begin(&mut self, headers: &HeaderMap, sign_on: SignOn) -> HeaderValue {
        self.forget(headers);
        let value = opaque();
        self.by_cookie.insert(value.clone(), sign_on);
        set_cookie(&self.cookie(value).build())
    }

    /// Forgets a sign-on; the answer is the `Set-Cookie` that removes it from the browser.
    pub(crate) fn end(&mut self, headers: &HeaderMap) -> HeaderValue {
        self.forget(headers);
        set_cookie(&self.cookie(String::new()).max_age(cookie::time::Duration::ZERO).build())
    }

    fn forget(&mut self, headers: &HeaderMap) {
        if let Some(value) = self.sent(headers) {
            self.by_cookie.remove(&value);
        }
    }

    fn sent(&self, headers: &HeaderMap) -> Option<String> {
        headers
            .get_all(header::COOKIE)
            .iter()
            .filter_map(|line| line.to_str().ok())
            .flat_map(Cookie::split_parse)
            .filter_map(Result::ok)
            .find(|cookie| cookie.name() == self.cookie_name)
            .map(|cookie| cookie.value().to_owned())
    }

    fn cookie(&self, value: String) -> cookie::CookieBuilder<'static> {
        // Lax, for the browser comes here by a redirect from another origin. No Secure: this is http on loopback.
        Cookie::build((self.cookie_name.clone(), value)).path("/").http_only(true).same_site(SameSite::Lax)
    }
}

fn set_cookie(cookie: &Cookie<'_>) -> HeaderValue {
    // Name and value are made here of letters, digits, `-` and `_`: this cannot fail.
    HeaderValue::try_from(cookie.to_string()).unwrap_or_else(|_| HeaderValue::from_static(""))
}
