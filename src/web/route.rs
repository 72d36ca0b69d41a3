//! Which requests are ours. Everything else is the application's.

use super::origin::PublicOrigin;
use super::route_prefix::RoutePrefix;

/// What a path asks for. Routes are exactly these paths, under the base path; no other spelling of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Login,
    Callback,
    Logout,
    LoggedOut,
    /// A provider's logout tokens (OpenID Connect Back-Channel Logout 1.0).
    BackchannelLogout,
    /// A frame in a provider's page (OpenID Connect Front-Channel Logout 1.0).
    FrontchannelLogout,
    User,
    /// A script asks for a refresh.
    Refresh,
    /// At or below the reserved prefix, and none of the above: there is no page.
    Reserved,
    Application,
}

// Behind the prefix of routes ([`RoutePrefix`]).
pub(crate) const LOGIN: &str = "/login";
/// A parameter of [`LOGIN`], and its only value that counts: the user wants to choose an account.
pub(crate) const PROMPT: &str = "prompt";
pub(crate) const SELECT_ACCOUNT: &str = "select_account";
/// A parameter of [`LOGIN`]: who the person may be.
pub(crate) const LOGIN_HINT: &str = "login_hint";
pub(crate) const LOGOUT: &str = "/logout";
/// Where a provider may send the browser after a logout.
pub(crate) const LOGGED_OUT: &str = "/logged-out";
/// `backchannel_logout_uri` of the registration.
pub(crate) const BACKCHANNEL_LOGOUT: &str = "/backchannel-logout";
/// `frontchannel_logout_uri` of the registration.
pub(crate) const FRONTCHANNEL_LOGOUT: &str = "/frontchannel-logout";
pub(crate) const USER: &str = "/user";
pub(crate) const REFRESH: &str = "/refresh";
/// All of these.
pub(crate) const BEHIND_PREFIX: [&str; 7] = [LOGIN, LOGOUT, LOGGED_OUT, BACKCHANNEL_LOGOUT, FRONTCHANNEL_LOGOUT, USER, REFRESH];
/// Where other proxies ask ([`crate::authz`]); no route in any other mode.
pub(crate) const CHECK: &str = "/check";
/// Where nginx asks for a refusal in full; no route in any other mode.
pub(crate) const REFUSAL: &str = "/refusal";

/// Whether a path is one that proxies ask at, or below it: there is no page of anybody's.
pub(crate) fn is_of_questions(path: &str, public: &PublicOrigin) -> bool {
    let behind = |route: &str| public.behind_prefix(path)?.strip_prefix(route);
    [CHECK, REFUSAL].into_iter().filter_map(behind).any(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Route {
    pub(crate) fn of(path: &str, public: &PublicOrigin) -> Self {
        if path == public.redirect_uri().path() {
            return Self::Callback;
        }
        match public.behind_prefix(path) {
            Some(LOGIN) => Self::Login,
            Some(LOGOUT) => Self::Logout,
            Some(LOGGED_OUT) => Self::LoggedOut,
            Some(BACKCHANNEL_LOGOUT) => Self::BackchannelLogout,
            Some(FRONTCHANNEL_LOGOUT) => Self::FrontchannelLogout,
            Some(USER) => Self::User,
            Some(REFRESH) => Self::Refresh,
            _ if public.prefix().is_reserved() && public.below_base(path).is_some_and(RoutePrefix::is_reserved_path) => Self::Reserved,
            _ => Self::Application,
        }
    }
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::*;

    fn public(base_path: &str, prefix: &str) -> PublicOrigin {
        let redirect_uri = Url::parse(&format!("https://app.example{base_path}/oauth2callback")).unwrap();
        PublicOrigin::new(redirect_uri, base_path.to_owned(), RoutePrefix::parse(prefix).unwrap())
    }

    #[test]
    fn routes_are_these_paths_and_no_others() {
        for base_path in ["", "/base"] {
            for prefix in ["/.vestibule", "/auth", "/a/b"] {
                let public = public(base_path, prefix);
                let rest = if prefix == "/.vestibule" { Route::Reserved } else { Route::Application };
                for (path, expected) in [
                    (public.route(LOGIN), Route::Login),
                    (public.route(LOGOUT), Route::Logout),
                    (public.route(LOGGED_OUT), Route::LoggedOut),
                    (public.route("/logged-out/"), rest),
                    (public.route(BACKCHANNEL_LOGOUT), Route::BackchannelLogout),
                    (public.route("/backchannel-logout/"), rest),
                    (public.route(FRONTCHANNEL_LOGOUT), Route::FrontchannelLogout),
                    (public.route(USER), Route::User),
                    (public.route(REFRESH), Route::Refresh),
                    (format!("{base_path}/oauth2callback"), Route::Callback),
                    (format!("{base_path}/oauth2callback/"), Route::Application),
                    (format!("{base_path}/login"), Route::Application),
                    (format!("/elsewhere{prefix}/login"), Route::Application),
                    (format!("{base_path}{prefix}s/login"), Route::Application),
                    (format!("{base_path}{prefix}login"), Route::Application),
                    (public.route(""), rest),
                    (public.route("/"), rest),
                    (public.route("/nothing"), rest),
                    (public.route("/login/"), rest),
                    (public.route("/login/x"), rest),
                    (public.route("/Login"), rest),
                    (public.route("//login"), rest),
                    (public.route(CHECK), rest),
                ] {
                    assert_eq!(Route::of(&path, &public), expected, "{path}");
                }
            }
        }
        // Each has a route of its own, and these are all.
        let public_of_another = public("/base", "/auth");
        let routes = public_of_another.routes().map(|path| Route::of(&path, &public_of_another));
        assert_eq!(
            routes,
            [
                Route::Login,
                Route::Logout,
                Route::LoggedOut,
                Route::BackchannelLogout,
                Route::FrontchannelLogout,
                Route::User,
                Route::Refresh,
                Route::Callback
            ]
        );
        let below = public("/base", "/.vestibule");
        for path in ["/.vestibule/login", "/.vestibule/nothing", "/base.vestibule/login", "/Base/.vestibule/login"] {
            assert_eq!(Route::of(path, &below), Route::Application, "{path}");
        }
        assert_eq!(Route::of("/.vestibule/login", &public("", "/auth")), Route::Application);
        assert_eq!(Route::of("/base/%2Evestibule/login", &below), Route::Reserved);
    }

    #[test]
    fn questions_are_asked_at_two_paths() {
        for prefix in ["/.vestibule", "/auth"] {
            let public = public("/base", prefix);
            for (path, expected) in [
                (public.route(CHECK), true),
                (public.route("/check/x"), true),
                (public.route(REFUSAL), true),
                (public.route("/checks"), false),
                (public.route(LOGIN), false),
                (format!("{prefix}/check"), false),
            ] {
                assert_eq!(is_of_questions(&path, &public), expected, "{path}");
            }
        }
    }
}
