//! `return_to` and `Referer`: whatever they say, a browser that follows the answer stays on the public origin.

use std::sync::LazyLock;

use url::{Url, form_urlencoded};
use vestibule::filter::Filter;
use vestibule::web::http::{RequestHead, Response};
use vestibule::web::return_to::{MAX_LENGTH, ReturnTo};

use super::destination::assert_is_ours;
use super::site::{self, HOST};

static SITE: LazyLock<Filter> = LazyLock::new(|| site::filter("[vestibule]\nafter_logout = \"/goodbye\"\n"));

/// `data` is the value.
pub fn run(data: &[u8]) {
    let Ok(value) = std::str::from_utf8(data) else { return };
    let public = SITE.config().public.redirect_uri();
    let parsed = ReturnTo::parse(value, public);
    if let Ok(page) = &parsed {
        assert!(page.as_str().len() <= MAX_LENGTH && page.as_str().starts_with('/') && !page.as_str().starts_with("//"));
        assert_is_ours(page.as_str());
        assert_eq!(ReturnTo::parse(page.as_str(), public).as_ref(), Ok(page), "what is kept is parsed again when the login is over");
        assert_eq!(public.join(page.as_str()).as_ref().map(Url::path), Ok(page.path()));
    }

    // A logout without a session ends here, on the page that was asked for or on the configured one.
    let query: String = form_urlencoded::byte_serialize(data).collect();
    let logout = RequestHead::get(&format!("/auth/logout?return_to={query}"), HOST);
    if let Some(response) = site::response(site::begin(&SITE, &logout, None)) {
        judge(&response, parsed.is_ok());
    }
    // Nor does a page of ours, an error's for example, link to elsewhere.
    let mut login = RequestHead::get(&format!("/auth/login?provider=unknown&return_to={query}"), HOST).with("accept", "text/html");
    login.headers.push("referer", data);
    if let Some(response) = site::response(site::begin(&SITE, &login, None)) {
        judge_links(&response);
    }
}

fn judge(response: &Response, is_accepted: bool) {
    match response.status {
        302 => {
            let location = response.header("location").expect("a location of visible characters");
            assert_is_ours(location);
            assert!(is_accepted || location == "/goodbye", "{location} although it was refused");
        }
        // The target is longer than a request's may be.
        status => assert_eq!(status, 400),
    }
}

fn judge_links(response: &Response) {
    let page = String::from_utf8_lossy(&response.body);
    for link in page.split("href=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        assert_is_ours(&link.replace("&amp;", "&").replace("&#38;", "&"));
    }
}
