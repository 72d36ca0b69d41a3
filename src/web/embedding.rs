//! Pages of the application inside pages of another site, in an `iframe`.
//!
//! Browsers send no `SameSite=Lax` cookie to a frame of another site. With `[vestibule.embedding]` our cookies are
//! `SameSite=None; Partitioned` (CHIPS, draft-cutler-httpbis-partitioned-cookies): they come along there, in a jar for each
//! site around the frame, so that a login counts for the site that it was made in. What `Lax` was good for is done here: a
//! page of another origin sends nothing that changes something with somebody's session.

use super::http::Request;

/// Which sites may have pages of ours in a frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Embedding {
    /// Origins, as a browser writes them; empty: none.
    pub origins: Vec<String>,
}

impl Embedding {
    pub(crate) fn is_on(&self) -> bool {
        !self.origins.is_empty()
    }

    /// Who may have a page of ours in a frame (CSP Level 3, section 6.4.2.1), as the directive's value.
    pub(crate) fn frame_ancestors(&self) -> String {
        if self.is_on() { format!("'self' {}", self.origins.join(" ")) } else { "'none'".to_owned() }
    }

    /// Whether the request must come from a page that may send it: one that may change something, and one that a page of another
    /// site makes without showing what comes (an image, a script): a frame of a site that is not named may have logged somebody
    /// in. Browsers name the page's origin with every request but those of `GET` and `HEAD` (Fetch, "append a request `Origin`
    /// header"), and with those whose answer a script may read.
    pub(crate) fn guards(&self, request: &Request<'_>) -> bool {
        let says = |name: &'static str, word: &[u8]| request.header(name).any(|value| value == word);
        let is_part_of_another_site = || says("sec-fetch-site", b"cross-site") && !says("sec-fetch-mode", b"navigate");
        self.is_on() && (!["GET", "HEAD", "OPTIONS"].contains(&request.method) || is_part_of_another_site())
    }
}
