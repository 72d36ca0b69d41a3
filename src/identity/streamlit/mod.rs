//! What an unmodified Streamlit app needs in place of its own login.
//!
//! Streamlit's server learns who the user is from two signed cookies, `_streamlit_user` and `_streamlit_user_tokens`,
//! and from nothing else. It reads them once, on the upgrade to WebSocket (`GET <base>/_stcore/stream`).
//!
//! 1. No request brings cookies of these names, in any spelling that Streamlit's server would take for them
//!    (`is_login_cookie`): who was given one once would be logged in for 30 days. All others are left as they are.
//! 2. An upgrade with a session, asked for by a page of the public origin, gets both cookies, signed anew with the
//!    `cookie_secret`. Streamlit holds the `origin` in them against the request's `Origin`. The browser never sees them.
//! 3. An upgrade without a session, without `Origin` or with another one gets none: Streamlit finds nobody logged in.
//! 4. `Sec-WebSocket-Protocol` is `streamlit, <XSRF token>, <Streamlit session>`. The third entry resumes that session,
//!    up to Streamlit 1.60 together with its user, whoever asks. It is removed, from every request; a
//!    host that knows who opened that session puts it back for the same one ([`resumption`]).
//! 5. What does not fit into the server's limits is left out in the order that `upgrade` states, and never the login.
//! 6. The filter sees no response, so the host tells it the application's `Server` with a request for an upgrade, and asks
//!    the application once when it has not heard it. From this follows the form of the cookies ([`CookieForm`]).
//! 7. A signature is two minutes old when it is made (`CLOCK_DIFFERENCE`): itsdangerous refuses the future, and the
//!    application may have another clock. The texts are the same at every upgrade: from 1.61 on Streamlit compares them.
//! 8. `_streamlit_xsrf` and the user come first, for Starlette before 0.49 reads one line; then the application's cookies,
//!    then the tokens. An empty object stands for no tokens, as with Streamlit.

mod cookie_form;
mod cookie_line;
mod itsdangerous;
mod payload;
pub mod resumption;
mod subprotocol;
mod tornado;
pub(crate) mod upgrade;

pub use cookie_form::CookieForm;

use crate::web::origin::PublicOrigin;

/// What is forwarded when Streamlit's server is to say which one it is (`Server`).
pub(crate) const HEALTH: &str = "/_stcore/health";

/// What a page asks for beside it, before it connects again.
const HOST_CONFIG: &str = "/_stcore/host-config";

const USER_COOKIE: &str = "_streamlit_user";
const TOKENS_COOKIE: &str = "_streamlit_user_tokens";

/// What an application in front of which we stand needs us to know about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamlitApp {
    /// `None`: the form that goes with the application's `Server`.
    pub cookie_form: Option<CookieForm>,
    /// Claims that the application does without when its cookie is too large, in this order.
    pub drop_claims: Vec<String>,
}

/// Whether a path is one that a page of Streamlit's asks for when it has lost its connection. It shows the text of a refusal.
pub(crate) fn is_asked_before_connecting(path: &str, public: &PublicOrigin) -> bool {
    path.strip_prefix(public.base_path()).is_some_and(|path| [HEALTH, HOST_CONFIG].contains(&path))
}

/// Whether Streamlit's server could take a cookie of this name, as it was sent, for one that says who the user is:
/// `_streamlit_user`, `_streamlit_user_<number>`, `_streamlit_user_tokens…`.
///
/// Starlette and Tornado read the bytes as Latin-1 and trim what Python calls white space; somebody between us and them
/// may read UTF-8.
pub(crate) fn is_login_cookie(name: &[u8]) -> bool {
    let is_space = |byte: &u8| matches!(byte, 0x09..=0x0d | 0x1c..=0x20 | 0x85 | 0xa0);
    let start = name.iter().position(|byte| !is_space(byte)).unwrap_or(name.len());
    let end = name.iter().rposition(|byte| !is_space(byte)).map_or(start, |last| last + 1);
    is_login_name(&name[start..end]) || is_login_name(String::from_utf8_lossy(name).trim().as_bytes())
}

fn is_login_name(name: &[u8]) -> bool {
    let Some(rest) = name.strip_prefix(USER_COOKIE.as_bytes()) else { return false };
    let is_chunk = |rest: &[u8]| rest.strip_prefix(b"_").is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit));
    rest.is_empty() || rest.starts_with(b"_tokens") || is_chunk(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_cookies_are_known_in_every_spelling_that_streamlit_reads() {
        let tests: [(&[u8], bool); 18] = [
            (b"_streamlit_user", true),
            (b"_streamlit_user_1", true),
            (b"_streamlit_user_12", true),
            (b"_streamlit_user_tokens", true),
            (b"_streamlit_user_tokens_3", true),
            (b" \t_streamlit_user\t", true),
            (b"\xa0_streamlit_user\x85", true),
            (b"\x0b\x1c_streamlit_user\x1f", true),
            ("\u{2003}_streamlit_user\u{a0}".as_bytes(), true),
            (b"_streamlit_xsrf", false),
            (b"_streamlit_username", false),
            (b"_streamlit_user_", false),
            (b"_streamlit_user_1a", false),
            (b"_streamlit_user_settings", false),
            (b"_Streamlit_user", false),
            (b"x_streamlit_user", false),
            (b"", false),
            (b"\xa0", false),
        ];
        for (name, expected) in tests {
            assert_eq!(is_login_cookie(name), expected, "{}", String::from_utf8_lossy(name));
        }
    }
}
