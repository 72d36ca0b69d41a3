//! Every page in every language.

use std::collections::BTreeSet;

use super::*;
use crate::config::Source;
use crate::entropy::Fixed;
use crate::oidc::error::{self as oidc, Endpoint, Rejected, ReportedError};
use crate::policy::RuleId;
use crate::web::http::{Malformed, OutboundError};

const TOML: &str = r#"
[auth]
redirect_uri = "https://app.example/base/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"

[auth.google]
client_id = "a"
client_secret = "b"
server_metadata_url = "https://accounts.google.com/.well-known/openid-configuration"

[auth.staff]
client_id = "a"
client_secret = "b"
server_metadata_url = "https://op.example/.well-known/openid-configuration"

[vestibule.provider.staff]
title = "<b>R&D</b>"
"#;

fn config(more: &str) -> Config {
    Config::parse(&Source::new("secrets.toml", &format!("{TOML}{more}"))).unwrap_or_else(|faults| panic!("{faults:#?}"))
}

/// One of each that a person can see in other words.
fn errors() -> Vec<Error> {
    let reported = |error| Error::Oidc(oidc::Error::ProviderReported(ReportedError::new(error, Some("said <b>"), None)));
    let denied =
        |account: Option<&str>| Error::Denied(Denied { rule: Some(RuleId { number: 1, line: 1 }), account: account.map(str::to_owned) });
    let provider = || "google".to_owned();
    let status = |status| Error::Oidc(oidc::Error::Status { provider: provider(), what: Endpoint::Token, status, detail: String::new() });
    let unreachable = oidc::Error::Unreachable { provider: provider(), what: Endpoint::Keys, error: OutboundError::TimedOut };
    let mixed_up = oidc::Error::IssuerParameter { provider: provider(), given: "a".into(), expected: "b".into() };
    vec![
        Error::Malformed(Malformed::Path),
        Error::Malformed(Malformed::HeadersTooLarge),
        Error::MethodNotAllowed,
        Error::NotVisited,
        Error::ForeignOrigin,
        Error::LoginRequired,
        Error::Question("Host"),
        Error::RouteAsked,
        Error::LookalikeHeader,
        Error::ForeignUpgrade,
        Error::EditNotCarried,
        Error::NotARoute,
        denied(Some("<script>alert(1)</script>@example.com")),
        denied(None),
        Error::UnknownProvider,
        Error::UnknownState,
        Error::Oidc(oidc::Error::AuthorizationResponse("`state` comes twice")),
        Error::Oidc(mixed_up),
        reported("access_denied"),
        reported("consent_required"),
        reported("login_required"),
        reported("interaction_required"),
        reported("temporarily_unavailable"),
        reported("<invalid>"),
        Error::Oidc(unreachable),
        status(503),
        status(400),
        Error::Oidc(oidc::Error::Answer { provider: provider(), what: Endpoint::Userinfo, fault: "no JSON".into() }),
        Error::Oidc(oidc::Error::IdToken { provider: provider(), rejection: Rejected::Nonce.into() }),
        Error::SessionTooLarge { what: "groups".into(), bytes: 2, limit: 1 },
        Error::StreamlitTooLarge { what: "groups".into(), bytes: 2, limit: 1 },
        Error::NotLoaded,
        Error::NotPending,
    ]
}

const FAILURES: [HostFailure; 8] = [
    HostFailure::Filter,
    HostFailure::Overloaded,
    HostFailure::UpstreamUnreachable,
    HostFailure::UpstreamTimedOut,
    HostFailure::BodyTooLarge,
    HostFailure::BodyTooSlow,
    HostFailure::TooManyRequests,
    HostFailure::TooManyLogins { retry_after: 7 },
];

fn page_to_return_to(config: &Config, page: &str) -> ReturnTo {
    ReturnTo::parse(page, config.public.redirect_uri()).unwrap()
}

/// Every page that there is, in the same order for each language.
fn pages(config: &Config, language: Language) -> Vec<Response> {
    let entropy = &mut Fixed::default();
    let (one, other) = (page_to_return_to(config, "/base/a?b=<i>&c"), page_to_return_to(config, "/base/\"d\""));
    let mut pages = vec![
        chooser(config, language, None, false, entropy),
        chooser(config, language, Some(&one), true, entropy),
        signed_out(config, language, entropy),
    ];
    for failed in errors() {
        for ways_back in [&[][..], &[&one], &[&one, &other]] {
            pages.push(error(&failed, config, language, ways_back, "ABCDEFGHJK", entropy));
        }
    }
    pages.extend(FAILURES.map(|failure| host_failure(failure, Some(language), "ABCDEFGHJK", "bm9uY2Ugb2YgMTYgYnl0")));
    pages
}

fn body(page: &Response) -> String {
    String::from_utf8(page.body.clone()).unwrap()
}

/// What a person reads: what stands between tags, without the style.
fn read(page: &str) -> BTreeSet<String> {
    let (_, after_style) = page.split_once("</style>").unwrap();
    let pieces = after_style.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text.trim().to_owned());
    pieces.filter(|text| !text.is_empty()).collect()
}

#[test]
fn every_page_is_in_the_language_that_it_says() {
    let config = config("");
    let english: Vec<_> = pages(&config, Language::English).iter().map(body).collect();
    for language in Language::ALL {
        for (page, english) in pages(&config, language).iter().zip(&english) {
            let body = body(page);
            assert!(body.starts_with(&format!("<!doctype html>\n<html lang=\"{}\">", language.tag())), "{body}");
            assert_eq!(page.header("content-language"), Some(language.tag()));
            assert_eq!(page.header("vary"), Some("accept-language"));
            if language != Language::English {
                let same: Vec<_> = read(&body).intersection(&read(english)).cloned().collect();
                let left: Vec<_> = same.iter().filter(|text| *text != "ABCDEFGHJK").collect();
                assert_eq!(left, Vec::<&String>::new(), "{language:?}: {body}");
            }
        }
    }
}

#[test]
fn nothing_on_a_page_is_markup_of_others_and_nothing_is_loaded() {
    let config = config("");
    for page in Language::ALL.into_iter().flat_map(|language| pages(&config, language)) {
        let body = body(&page);
        for foreign in ["<script", "<b>", "<i>", "href=\"\"d", "src=", "url(", "@import", "javascript:", " on"] {
            // ` on` begins attributes such as `onclick`; words of a text may as well.
            let found = if foreign == " on" {
                body.split('<').any(|tag| tag.split('>').next().unwrap().contains(" on"))
            } else {
                body.contains(foreign)
            };
            assert!(!found, "{foreign}: {body}");
        }
        let (_, rest) = body.split_once("<style nonce=\"").unwrap();
        let (nonce, _) = rest.split_once('"').unwrap();
        let policy = format!("default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
        assert_eq!(page.header("content-security-policy"), Some(policy.as_str()));
        assert!(body.matches("<style").count() == 1 && !body.contains("style="), "no style but that of the nonce: {body}");
    }
}

#[test]
fn problem_documents_are_english() {
    for failed in errors() {
        let body = body(&problem(&failed, None, None));
        let title = failed.explanation(Language::English.texts()).title;
        assert!(body.contains(&format!("\"title\":\"{title}\"")), "{body}");
    }
    for failure in FAILURES {
        let response = host_failure(failure, None, "ABCDEFGHJK", "unused");
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        assert!(body(&response).contains(failure.words(Language::English.texts()).title));
    }
}
