//! Configurations: every text is either a usable configuration or a list of faults, and what is usable is safe.

use vestibule::config::{Config, Source, references};
use vestibule::decision::{Decision, Outcome};
use vestibule::filter::{Filter, Step};
use vestibule::policy::Login;
use vestibule::secret::Secret;
use vestibule::web::http::RequestHead;

use super::destination;
use super::site;

/// `data` is the file.
pub fn run(data: &[u8]) {
    let Ok(toml) = std::str::from_utf8(data) else { return };
    // Everything outside that it refers to is there.
    let resolved = references(toml).into_iter().map(|reference| (reference, Some(Secret::new(site::COOKIE_SECRET)))).collect();
    let source = Source { resolved, port: Some(8501), ..Source::new("secrets.toml", toml) };
    let config = match Config::parse(&source) {
        Ok(config) => config,
        Err(faults) => {
            assert!(faults.iter().any(|fault| fault.fatal), "refused for no reason");
            let lines = u32::try_from(toml.lines().count()).unwrap_or(u32::MAX).saturating_add(1);
            assert!(faults.iter().all(|fault| fault.line <= lines && !fault.problem.is_empty() && !fault.remedy.is_empty()));
            return;
        }
    };
    assert!(!config.warnings.iter().any(|fault| fault.fatal), "accepted with a fatal fault");
    assert!(Config::parse(&Source { was_checked: true, ..source }).is_ok(), "accepted once, refused when it was checked");

    let public = config.public.redirect_uri();
    assert!(public.scheme() == "https" || (public.scheme() == "http" && !config.public.is_secure()), "{public}");
    assert!(public.path().ends_with("/oauth2callback") && public.query().is_none() && public.fragment().is_none(), "{public}");
    assert!(!config.providers.is_empty());
    for provider in &config.providers {
        assert!(matches!(provider.metadata_url.scheme(), "https" | "http") && !provider.client_id.is_empty(), "{provider:?}");
    }
    if let Some(page) = &config.after_logout {
        assert_eq!(public.join(page.as_str()).map(|url| url.origin()), Ok(public.origin()));
    }
    decide(config);
}

/// Whatever the configuration says, nobody is somebody.
fn decide(config: Config) {
    let authority = config.public.origin().split("//").nth(1).unwrap_or_default().to_owned();
    let is_protected = config.admission.policy.is_none() && config.admission.login == Login::Required && config.authz.is_none();
    let page = format!("{}app", config.public.home());
    let filter = Filter::new(config);
    let routes = ["/login", "/logout", "/user", "/check/app", "/nothing"].map(|route| filter.config().public.route(route));
    for target in routes.iter().chain([&page]) {
        let head = RequestHead::get(target, &authority).with("accept", "text/html").with("x-forwarded-user", "admin");
        match site::begin(&filter, &head, None) {
            Step::Done(Decision { outcome: Outcome::Forward(forward), .. }) => {
                assert!(!is_protected && forward.expires_at.is_none() && forward.session.is_none());
                assert!(forward.remove_headers.iter().any(|name| name == "x-forwarded-user"));
            }
            Step::Done(Decision { outcome: Outcome::Respond(response), .. }) => {
                assert!(!site::cookies_set(&response.headers).any(|(name, _)| site::is_session(&name)));
                for location in response.header("location").into_iter().filter(|location| location.starts_with('/')) {
                    destination::assert_is_ours(location);
                }
            }
            Step::Done(Decision { outcome: Outcome::NeedBody(_), .. }) => panic!("a GET has no body"),
            Step::Look(..) => panic!("the claim is granted"),
            Step::Fetch(request, _) => {
                assert!(filter.config().providers.iter().any(|provider| provider.metadata_url == request.url), "{}", request.url);
            }
        }
    }
}
