//! `post_logout_redirect_uri`: where a provider sends the browser after a logout.

use url::Url;

use super::origin;
use super::section::Section;
use super::setting::{Form, Setting};
use crate::oidc::logout_url::LogoutUrl;
use crate::web::origin::PublicOrigin;
use crate::web::return_to::ReturnTo;
use crate::web::route::{self, Route};

pub(super) const SETTING: Setting = Setting::new(
    "post_logout_redirect_uri",
    Form::Url,
    "The page to which the provider sends the browser after a logout.",
    "\"https://app.example.com/.vestibule/logged-out\"",
)
.or_said("`redirect_uri`");

/// A page of the public origin. `extra` is the provider's section; without a public origin there is nothing to compare with.
pub(super) fn read(extra: &Section<'_>, public: Option<&PublicOrigin>, logout_url: Option<&LogoutUrl>) -> Option<Url> {
    let text = extra.string("post_logout_redirect_uri")?;
    let public = public?;
    let example = format!("{}{}", public.origin(), public.route(route::LOGGED_OUT));
    let fatal = |problem: String| extra.findings.fatal(text.at, &text.key, problem, format!("write \"{example}\" for example"));
    // Of the public origin, so its port is the public one.
    let port = public.redirect_uri().port_or_known_default().unwrap_or_default();
    let written = text.value.replace("{port}", &port.to_string());
    let url = match Url::parse(&written) {
        Ok(url) if ReturnTo::parse(&written, public.redirect_uri()).is_ok() => url,
        Ok(url) if url.has_host() && url.origin() != public.redirect_uri().origin() => {
            fatal(format!("`{written}` is not of the public origin, {}", public.origin()));
            return None;
        }
        _ => {
            fatal(format!("`{written}` is not the whole address of a page"));
            return None;
        }
    };
    if url.fragment().is_some() {
        fatal("has a fragment, which providers do not accept".to_owned());
    } else if !extra.findings.has_fatal_at("vestibule.routes") {
        match Route::of(url.path(), public) {
            // Providers register the callback, and it knows what comes without an answer.
            Route::Application | Route::LoggedOut | Route::Callback => {}
            Route::Reserved => fatal(format!("`{}` is reserved for routes of Vestibule, and is not one of them", url.path())),
            Route::Login => fatal(format!("`{}` starts the next login", url.path())),
            Route::Logout => fatal(format!("`{}` starts the next logout", url.path())),
            Route::BackchannelLogout | Route::FrontchannelLogout => fatal(format!("`{}` is a route for providers, not a page", url.path())),
            Route::User | Route::Refresh => fatal(format!("`{}` is a route for scripts, not a page", url.path())),
        }
    }
    if url.as_str() != written {
        origin::warn_of_spelling(extra, &text.key, text.at, &url);
    }
    if logout_url.is_some_and(|logout_url| !logout_url.takes_return_to()) {
        let remedy = "add {return_to} to logout_url where the provider expects the address, or remove it";
        extra.findings.warning(text.at, &text.key, "has no effect with a `logout_url` without {return_to}", remedy);
    }
    Some(url)
}
