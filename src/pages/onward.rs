//! The end of a login whose way back does not fit into the head of the answer: a page that goes there by itself.
//!
//! Servers give the head of an answer little room, nginx 4 KiB. A session and its tokens can take most of it, and nothing of them
//! may be left out; but where the browser goes next may as well stand in the body. The page has as few headers as it can do with:
//! its address has a code in it, so that it says in its text that nobody is to be told of it (Referrer Policy, W3C, section 4.2).

use askama::Template;

use crate::config::Config;
use crate::language::{Language, Notice};
use crate::web::embedding::Embedding;
use crate::web::http::{Header, Response};
use crate::web::return_to::ReturnTo;

/// The largest head of an answer that sets a session, in bytes: 3.5 KiB, so that 512 bytes of nginx's 4 KiB are left for what
/// other servers add.
const MAX_HEAD_BYTES: usize = 3_584;

/// Whether the head of an answer with these headers has room for them.
pub(crate) fn fits(response: &Response, set_cookies: &[Header]) -> bool {
    bytes(&response.headers) + bytes(set_cookies) + OF_THE_HOST_BYTES <= MAX_HEAD_BYTES
}

/// Leads to an address of ours by itself.
pub(crate) fn by_itself(address: &str, language: Language, embedding: &Embedding) -> Response {
    render(address, None, language, embedding)
}

/// Status line, `Date` and `Content-Length`, which the host adds.
const OF_THE_HOST_BYTES: usize = 96;

#[derive(Template)]
#[template(path = "onward.html")]
struct Onward<'a> {
    language: Language,
    page: &'a str,
    /// `None`: it goes on by itself.
    told: Option<&'static Notice>,
    text: &'static str,
}

/// Leads to `page`, together with `set_cookies`: by a redirect, or by a page of its own where that makes a head fit that would
/// not otherwise, or at least shorter.
pub(crate) fn onward(page: &ReturnTo, method: &str, set_cookies: &[Header], language: Language, embedding: &Embedding) -> Response {
    let redirect = Response::redirect(page.as_str(), method);
    if fits(&redirect, set_cookies) {
        return redirect;
    }
    let page = by_itself(page.as_str(), language, embedding);
    if bytes(&page.headers) < bytes(&redirect.headers) { page } else { redirect }
}

/// Says that the person is logged in, and that the page they were on their way to was too long to be kept.
pub(crate) fn lost_its_page(config: &Config, language: Language) -> Response {
    render(&config.public.home(), Some(&language.texts().address_too_long), language, &config.embedding)
}

fn render(page: &str, told: Option<&'static Notice>, language: Language, embedding: &Embedding) -> Response {
    let text = language.texts().back_to_the_application;
    // The template has no part that can fail.
    let body = Onward { language, page, told, text }.render().unwrap_or_default().into_bytes();
    // The rest of the policy is in the page, where `frame-ancestors` would not count (Content Security Policy Level 3, section 3.3).
    // Where no frame may have the page, the shorter field says so (HTML Standard, "The `X-Frame-Options` header").
    let response =
        Response { status: 200, body, ..Response::default() }.with("content-type", "text/html").with("cache-control", "no-store");
    match embedding.is_on() {
        true => response.with("content-security-policy", &format!("frame-ancestors {}", embedding.frame_ancestors())),
        false => response.with("x-frame-options", "DENY"),
    }
}

/// Of a head in HTTP/1.1.
fn bytes(headers: &[Header]) -> usize {
    headers.iter().map(|(name, value)| name.len() + ": ".len() + value.len() + "\r\n".len()).sum()
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn lead(page: &str, cookie_bytes: usize) -> Response {
        let page = ReturnTo::parse(page, &Url::parse("https://app.example/oauth2callback").unwrap()).unwrap();
        let cookies = [("set-cookie".to_owned(), vec![b'x'; cookie_bytes - "set-cookie: \r\n".len()])];
        onward(&page, "GET", &cookies, Language::German, &Embedding::default())
    }

    #[test]
    fn a_head_that_would_be_too_large_leaves_the_way_back_to_a_page() {
        let long = format!("/a?b={}&c=%22#d", "x".repeat(500));
        let head = |response: &Response, cookie_bytes: usize| bytes(&response.headers) + cookie_bytes + OF_THE_HOST_BYTES;
        let limit = MAX_HEAD_BYTES - head(&lead(&long, 100), 0);
        let fits = lead(&long, limit);
        assert_eq!((fits.status, head(&fits, limit), fits.header("location")), (302, MAX_HEAD_BYTES, Some(long.as_str())));
        let page = lead(&long, limit + 1);
        assert_eq!((page.status, page.header("location"), page.header("cache-control")), (200, None, Some("no-store")));
        assert!(bytes(&page.headers) < 110 && head(&page, limit + 1) < MAX_HEAD_BYTES);
        assert_eq!((page.header("x-frame-options"), page.header("content-security-policy")), (Some("DENY"), None));
        let body = String::from_utf8(page.body).unwrap();
        let escaped = long.replace('&', "&#38;");
        let refresh = format!("<meta http-equiv=\"refresh\" content=\"0; url={escaped}\">");
        let referrer = body.find("<meta name=\"referrer\" content=\"no-referrer\">").unwrap();
        assert!(body.find(&refresh).is_some_and(|refresh| referrer < refresh), "{body}");
        assert!(body.contains(&format!("<a href=\"{escaped}\">Zurück zur Anwendung</a>")) && !body.contains("<script"), "{body}");
        // A page that would need more room than a short address is no help.
        assert_eq!(lead("/a", 10_000).status, 302);
    }
}
