//! Which requests are ours. Everything else is the application's.

use super::origin::PublicOrigin;

/// What a path asks for. Exactly these paths, under the base path; no prefix, no other spelling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Login,
    Callback,
    Logout,
    User,
    Application,
}

pub(crate) const LOGIN: &str = "/auth/login";
/// A parameter of [`LOGIN`], and its only value that counts: the user wants to choose an account.
pub(crate) const PROMPT: &str = "prompt";
pub(crate) const SELECT_ACCOUNT: &str = "select_account";
pub(crate) const LOGOUT: &str = "/auth/logout";
pub(crate) const USER: &str = "/auth/user";
/// Where other proxies ask ([`crate::authz`]); the application's in any other mode.
pub(crate) const CHECK: &str = "/auth/check";
/// Where nginx asks for a refusal in full; the application's in any other mode.
pub(crate) const REFUSAL: &str = "/auth/refusal";

/// Whether a path is one that proxies ask at, or below it: there is no page of anybody's.
pub(crate) fn is_of_questions(path: &str, public: &PublicOrigin) -> bool {
    let behind = |route: &str| path.strip_prefix(public.base_path())?.strip_prefix(route);
    [CHECK, REFUSAL].into_iter().filter_map(behind).any(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Route {
    pub(crate) fn of(path: &str, public: &PublicOrigin) -> Self {
        if path == public.redirect_uri().path() {
            return Self::Callback;
        }
        match path.strip_prefix(public.base_path()) {
            Some(LOGIN) => Self::Login,
            Some(LOGOUT) => Self::Logout,
            Some(USER) => Self::User,
            _ => Self::Application,
        }
    }
}
