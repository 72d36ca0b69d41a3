//! Every page in every language.

mod log_keys;

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::config::Source;
use crate::entropy::Fixed;
use crate::oidc::error::{self as oidc, Endpoint, Rejected, ReportedError};
use crate::policy::RuleId;
use crate::web::construct::{Construct, Obstacle};
use crate::web::http::{Malformed, OutboundError, Request};

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
        Error::Malformed(Malformed::Path(Obstacle::whole(Construct::EmptySegment))),
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

/// The application, as a page may show it.
const BRANDED: &str = r##"
[vestibule.pages]
name = "<i>Sales</i> & \"reports\""
logo = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/%3E"
accent = "#fd0"
support = "<b>Help</b>: a&b@example.com, https://help.example.com/?a=<&b=\"c\" or javascript:alert(1)"
"##;

const KEYS: LogKeys<'_> = LogKeys { reference: Some("ABCDEFGHJK"), request_id: Some("0af7651916cd43dd8448eb211c80319c") };

const FAILURES: [HostFailure; 9] = [
    HostFailure::Filter,
    HostFailure::Overloaded,
    HostFailure::StoreUnreachable { retry_after: 5 },
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

fn jar(config: &Config, cookie: &str) -> CookieJar {
    let head = RequestHead::get("/", "app.example").with("cookie", cookie);
    CookieJar::read(&Request::parse(&head).unwrap(), &config.sessions.cookie_names)
}

/// The cookie of somebody whose last login was with that provider.
fn cookie_of_last(config: &Config, provider: &str) -> String {
    let empty = jar(config, "");
    let mut cookies = empty.writer();
    cookies.set_last(provider);
    let (_, set) = cookies.into_headers().remove(0);
    String::from_utf8(set).unwrap().split(';').next().unwrap().to_owned()
}

/// Every page that there is, in the same order for each language.
fn pages(config: &Config, language: Language) -> Vec<Response> {
    let entropy = &mut Fixed::default();
    let (one, other) = (page_to_return_to(config, "/base/a?b=<i>&c"), page_to_return_to(config, "/base/\"d\""));
    let last = jar(config, &cookie_of_last(config, "staff"));
    let chosen = Choice { return_to: Some(&one), has_lost_its_page: false, select_account: true, login_hint: Some("\"><b>"), jar: &last };
    let mut pages = vec![
        on_the_way(config, language, &config.providers[0], &chosen, entropy),
        chooser(
            config,
            language,
            &Choice { return_to: None, has_lost_its_page: false, select_account: false, login_hint: None, jar: &jar(config, "") },
            entropy,
        ),
        chooser(
            config,
            language,
            &Choice { return_to: Some(&one), has_lost_its_page: false, select_account: true, login_hint: None, jar: &last },
            entropy,
        ),
        signed_out(config, language, entropy),
    ];
    for failed in errors() {
        for ways_back in [&[][..], &[&one], &[&one, &other]] {
            let ways_back = WaysBack { pages: ways_back, keep_fragment: true, has_lost_one: false };
            pages.push(error(&failed, config, language, ways_back, KEYS, entropy));
        }
    }
    pages.extend(FAILURES.map(|failure| host_failure(failure, Some(language), &Look::of(config), KEYS, "bm9uY2Ugb2YgMTYgYnl0")));
    pages
}

fn body(page: &Response) -> String {
    String::from_utf8(page.body.clone()).unwrap()
}

/// What a person reads: what stands between tags, without style and script.
fn read(page: &str) -> BTreeSet<String> {
    let (_, after_style) = page.split_once("</style>").unwrap();
    let (read, _) = after_style.split_once("<script").unwrap_or((after_style, ""));
    let pieces = read.split('<').filter_map(|piece| piece.split_once('>')).map(|(_, text)| text.trim().to_owned());
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
                let left: Vec<_> =
                    same.iter().filter(|text| Some(text.as_str()) != KEYS.reference && Some(text.as_str()) != KEYS.request_id).collect();
                assert_eq!(left, Vec::<&String>::new(), "{language:?}: {body}");
            }
        }
    }
}

#[test]
fn nothing_on_a_page_is_markup_of_others_and_nothing_is_loaded() {
    for config in [config(""), config(BRANDED)] {
        let pages = Language::ALL.into_iter().flat_map(|language| pages(&config, language));
        pages.for_each(|page| check_markup(&page));
    }
}

/// Of pages with whatever the configuration says.
fn check_markup(page: &Response) {
    let body = body(page);
    for foreign in ["<script>", "<b", "<i>", "href=\"\"d", "url(", "@import", "href=\"javascript:", "style="] {
        let found = body.replace("<body>", "").contains(foreign);
        assert!(!found, "{foreign}: {body}");
    }
    let tags = body.split('<').map(|piece| piece.split('>').next().unwrap());
    assert_eq!(tags.filter(|tag| tag.contains(" on")).collect::<Vec<_>>(), Vec::<&str>::new(), "an attribute that runs: {body}");
    let logo = body.contains("<img");
    assert_eq!(body.matches("src=").count(), usize::from(logo));
    assert_eq!(body.matches("src=\"data:image/").count(), usize::from(logo));
    let (_, rest) = body.split_once("<style nonce=\"").unwrap();
    let (nonce, _) = rest.split_once('"').unwrap();
    let images = if logo { "img-src data:; " } else { "" };
    let has_script = body.contains(&format!("<script nonce=\"{nonce}\">"));
    assert_eq!(body.matches("<script").count(), usize::from(has_script), "no script but that of the nonce: {body}");
    let scripts = if has_script { format!("script-src 'nonce-{nonce}'; ") } else { String::new() };
    let policy = format!(
        "default-src 'none'; {images}{scripts}style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    assert_eq!(page.header("content-security-policy"), Some(policy.as_str()));
    assert_eq!(body.matches("<style").count(), 1, "no style but that of the nonce: {body}");
}

#[test]
fn pages_show_what_the_configuration_says_of_the_application() {
    let branded = config(BRANDED);
    let page = body(&signed_out(&branded, Language::English, &mut Fixed::default()));
    for shown in [
        "<title>You are logged out – &#60;i&#62;Sales&#60;/i&#62; &#38; &#34;reports&#34;</title>",
        "<span>&#60;i&#62;Sales&#60;/i&#62; &#38; &#34;reports&#34;</span>",
        "<img src=\"data:image/svg+xml;base64,",
        ":root { --accent: #ffdd00; --on-accent: #000000; }",
        "@media (prefers-color-scheme: light) { :root { --mark: var(--edge); } }",
        "@media (prefers-color-scheme: dark) { :root { --mark: #ffdd00; } }",
        "<a href=\"mailto:a%26b@example.com\">a&#38;b@example.com</a>, ",
        "<a href=\"https://help.example.com/?a=%3C&#38;b=%22c\">",
        " or javascript:alert(1)</p>",
    ] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    let plain = body(&signed_out(&config(""), Language::English, &mut Fixed::default()));
    for absent in ["<header>", "<img", "mailto:", "–"] {
        assert!(!plain.contains(absent), "{absent}: {plain}");
    }
}

#[test]
fn a_hosts_own_pages_look_like_the_others() {
    let branded = Look::of(&config(BRANDED));
    for (language, title) in
        [(Language::German, "Die Anwendung ist nicht verfügbar"), (Language::English, "The application is not available")]
    {
        let page = body(&host_failure(HostFailure::UpstreamUnreachable, Some(language), &branded, KEYS, "bm9uY2Ugb2YgMTYgYnl0"));
        for shown in [
            format!("<title>{title} – &#60;i&#62;Sales&#60;/i&#62; &#38; &#34;reports&#34;</title>"),
            "<img src=\"data:image/svg+xml;base64,".to_owned(),
            "--accent: #ffdd00".to_owned(),
            "<a href=\"mailto:a%26b@example.com\">a&#38;b@example.com</a>, ".to_owned(),
        ] {
            assert!(page.contains(&shown), "{shown}: {page}");
        }
    }
    let embedded = config("[vestibule.embedding]\norigins = [\"https://portal.example\"]\n");
    for (look, ancestors) in [(Look::of(&embedded), "'self' https://portal.example"), (branded, "'none'"), (Look::default(), "'none'")] {
        let page = host_failure(HostFailure::Overloaded, Some(Language::English), &look, KEYS, "bm9uY2Ugb2YgMTYgYnl0");
        let policy = page.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; ") && policy.ends_with(&format!("frame-ancestors {ancestors}")), "{policy}");
    }
}

#[test]
fn the_provider_of_the_last_login_is_the_first_choice() {
    let config = config("");
    let labels = |cookie: &str| {
        let choice =
            Choice { return_to: None, has_lost_its_page: false, select_account: false, login_hint: None, jar: &jar(&config, cookie) };
        let page = body(&chooser(&config, Language::German, &choice, &mut Fixed::default()));
        page.lines().filter(|line| line.starts_with("<li>")).map(str::to_owned).collect::<Vec<_>>()
    };
    let link = |provider: &str, mark: &str, label: &str| {
        format!("<li><a href=\"/base/.vestibule/login?provider={provider}\" data-mark=\"{mark}\">{label}</a></li>")
    };
    let (google, staff) = ("Mit Google anmelden", "Mit &#60;b&#62;R&#38;D&#60;/b&#62; anmelden");
    let unsorted = [link("google", "G", google), link("staff", "B", staff)];
    assert_eq!(labels(""), unsorted);
    let last = format!("{staff} <small>Zuletzt verwendet</small>");
    assert_eq!(labels(&cookie_of_last(&config, "staff")), [link("staff", "B", &last), link("google", "G", google)]);
    let (name, _) = cookie_of_last(&config, "staff").split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned())).unwrap();
    for other in ["", "staff", "<b>", "000000000000"] {
        assert_eq!(labels(&format!("{name}={other}")), unsorted, "{other}");
    }
}

#[test]
fn a_provider_is_marked_by_its_initial() {
    for (title, mark) in [
        ("Google", Some("G")),
        ("okta", Some("O")),
        ("<b>", Some("B")),
        ("\u{df}", Some("\u{df}")),
        ("\u{e9}", Some("\u{c9}")),
        ("日本", Some("日")),
        ("42", Some("4")),
        ("…", None),
        ("", None),
    ] {
        assert_eq!(initial(title).as_deref(), mark, "{title}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever `[vestibule.pages]` and `Accept-Language` hold: a fault, or a page that holds no markup of theirs.
    #[test]
    fn no_configuration_and_no_header_breaks_a_page(
        name in piece(), support in piece(), accent in prop_oneof!["#[0-9a-fA-F]{0,8}", piece()],
        logo in prop_oneof![piece(), piece().prop_map(|data| format!("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg'>{data}"))],
        accepted in prop_oneof![".*", "((de|fr|es|ja|en|zh|\\*)(-[A-Z]{2})?(;q=[01](\\.[0-9]{0,3})?)?, ?){0,6}"],
    ) {
        let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let more = format!(
            "[vestibule.pages]\nname = {}\nsupport = {}\naccent = {}\nlogo = {}\n", quoted(&name), quoted(&support), quoted(&accent), quoted(&logo)
        );
        let mut toml = format!("{TOML}{more}");
        // What is faulty is left out, until the rest can be shown: each fault names its key.
        let config = loop {
            match Config::parse(&Source::new("secrets.toml", &toml)) {
                Ok(config) => break config,
                Err(faults) => {
                    let fault = faults.iter().find(|fault| fault.fatal).unwrap();
                    let key = fault.key.strip_prefix("vestibule.pages.").unwrap_or_else(|| panic!("{fault}"));
                    let line = toml.lines().find(|line| line.starts_with(&format!("{key} = "))).unwrap_or_else(|| panic!("{fault}"));
                    toml = toml.replacen(&format!("{line}\n"), "", 1);
                }
            }
        };
        let mut headers = RequestHead::default().headers;
        headers.push("accept-language", &accepted);
        let language = Language::preferred(&headers);
        let of_a_host = host_failure(HostFailure::UpstreamUnreachable, Some(language), &Look::of(&config), KEYS, "bm9uY2Ugb2YgMTYgYnl0");
        for page in [signed_out(&config, language, &mut Fixed::default()), of_a_host] {
            check_markup(&page);
            prop_assert_eq!(page.header("content-language"), Some(language.tag()));
            let name = config.branding.name.as_deref().map(|name| askama::filters::escape(name, askama::filters::Html).unwrap().to_string());
            let shown = name.map(|name| format!("<span>{name}</span>"));
            prop_assert!(shown.is_none_or(|shown| body(&page).contains(&shown)));
        }
        prop_assert!(Language::ALL.contains(&language));
        let names_it = accepted.split(',').any(|range| range.trim().to_ascii_lowercase().starts_with(language.tag()));
        prop_assert!(language == Language::English || names_it || accepted.contains('*'), "{accepted}: {language:?}");
    }
}

/// Text with what markup, styles and TOML are made of in it.
fn piece() -> impl Strategy<Value = String> {
    proptest::collection::vec(
        prop_oneof![
            Just("<script>alert(1)</script>".to_owned()),
            Just("\" onload=\"x".to_owned()),
            Just("</style>".to_owned()),
            Just("javascript:x".to_owned()),
            Just("https://a.example/<b>\"'".to_owned()),
            Just("a\"b'<c@example.com".to_owned()),
            Just("#fff;}*{".to_owned()),
            "\\PC{0,8}",
            " ",
        ],
        0..5,
    )
    .prop_map(|pieces| pieces.concat())
}

#[test]
fn problem_documents_are_english() {
    for failed in errors() {
        let body = body(&problem(&failed, None, KEYS));
        let title = failed.explanation(Language::English.texts()).title;
        assert!(body.contains(&format!("\"title\":\"{title}\"")), "{body}");
    }
    for failure in FAILURES {
        let response = host_failure(failure, None, &Look::of(&config(BRANDED)), KEYS, "unused");
        assert_eq!(response.header("content-type"), Some("application/problem+json"));
        assert!(body(&response).contains(failure.words(Language::English.texts()).title));
    }
}
