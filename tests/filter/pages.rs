//! Our own pages, as browsers get them: their language, their application, the provider that was used last.

use vestibule::config::{Config, Source, references};
use vestibule::pages::{self, HostFailure, LogKeys, Look};
use vestibule::secret::Secret;
use vestibule::web::http::{RequestHead, Response};

use crate::rig::{Browser, CONFIG, HOST, Rig};

const TWO_PROVIDERS: &str = r#"
[auth.other]
client_id = "client-2"
client_secret = "secret of the other client"
server_metadata_url = "https://other.example/.well-known/openid-configuration"
"#;

fn body(page: &Response) -> &str {
    std::str::from_utf8(&page.body).unwrap()
}

/// What a browser that speaks these languages is shown there.
fn page(rig: &mut Rig, path: &str, accept_language: &str) -> Response {
    let head = Browser::default().head(path).with("accept-language", accept_language);
    Browser::default().send(rig, &head).response()
}

#[test]
fn pages_are_in_the_language_of_the_browser() {
    let mut rig =
        Rig::new(&format!("{CONFIG}{TWO_PROVIDERS}\n[[vestibule.rule]]\npath = \"/closed\"\naccess = \"deny\"\n[[vestibule.rule]]\n"));
    for (path, status, titles) in [
        ("/", 200, ["Log in", "Anmelden", "Se connecter", "Iniciar sesión", "ログイン"]),
        ("/.vestibule/login", 200, ["Log in", "Anmelden", "Se connecter", "Iniciar sesión", "ログイン"]),
        (
            "/.vestibule/logout",
            200,
            ["You are logged out", "Sie sind abgemeldet", "Déconnexion effectuée", "Ha cerrado la sesión", "ログアウトしました"],
        ),
        ("/closed", 403, ["There is no access to this", "Kein Zugriff", "Accès impossible", "No hay acceso", "アクセスできません"]),
        (
            "/a/../b",
            400,
            [
                "This request cannot be understood",
                "Diese Anfrage ist nicht lesbar",
                "Cette requête est incompréhensible",
                "No se entiende esta solicitud",
                "リクエストを読み取れません",
            ],
        ),
        (
            "/oauth2callback?state=a&code=b",
            400,
            [
                "This login cannot be finished",
                "Diese Anmeldung kann nicht abgeschlossen werden",
                "Cette connexion ne peut pas aboutir",
                "Este inicio de sesión no se puede completar",
                "ログインを完了できません",
            ],
        ),
    ] {
        let asked = ["en-GB", "de-CH,de;q=0.9,en;q=0.8", "zh;q=0.9, fr-CA;q=0.5", "ES-419, en;q=0", "en;q=0.2, ja, fr;q=0.9"];
        for ((accept_language, title), tag) in asked.into_iter().zip(titles).zip(["en", "de", "fr", "es", "ja"]) {
            let page = page(&mut rig, path, accept_language);
            assert_eq!((page.status, page.header("content-language")), (status, Some(tag)), "{path}");
            assert_eq!(page.header("vary"), Some("accept-language"), "{path}");
            assert!(
                body(&page).contains(&format!("<html lang=\"{tag}\">")) && body(&page).contains(&format!("<h1>{title}</h1>")),
                "{}",
                body(&page)
            );
        }
    }
}

#[test]
fn programs_are_answered_in_english() {
    let mut rig = Rig::new(CONFIG);
    let head = RequestHead::get("/", HOST).with("accept-language", "de");
    let problem = Browser::default().send(&mut rig, &head).response();
    assert_eq!(problem.header("content-type"), Some("application/problem+json"));
    assert!(problem.header("content-language").is_none() && body(&problem).contains("\"title\":\"Please log in\""), "{}", body(&problem));
}

#[test]
fn a_hosts_own_pages_are_in_the_language_of_the_browser() {
    let head = Browser::default().head("/").with("accept-language", "ja");
    let log_keys = LogKeys { reference: Some("ABCDEFGHJK"), request_id: None };
    let page = pages::host_failure(HostFailure::UpstreamUnreachable, pages::reader(&head), &Look::default(), log_keys, "bm9uY2U");
    assert!(body(&page).contains("<html lang=\"ja\">") && body(&page).contains("お問い合わせ番号： <code>"), "{}", body(&page));
    assert_eq!(pages::reader(&RequestHead::get("/", HOST).with("accept-language", "ja")), None, "nobody looks at it");
}

/// The cookies that a response sets whose names hold this.
fn set<'a>(response: &'a Response, part: &str) -> Vec<&'a str> {
    let cookies = response.headers.iter().filter(|(name, _)| name == "set-cookie").map(|(_, value)| std::str::from_utf8(value).unwrap());
    cookies.filter(|line| line.split('=').next().unwrap().contains(part)).collect()
}

#[test]
fn a_login_is_remembered_where_there_is_a_choice() {
    let (mut rig, mut browser) = (Rig::new(&format!("{CONFIG}{TWO_PROVIDERS}")), Browser::default());
    let refused = browser.visit(&mut rig, "/oauth2callback?error=access_denied&state=a").response();
    assert!(set(&refused, "vestibule_last").is_empty(), "of a login that has succeeded");
    let location = browser.start(&mut rig, "/.vestibule/login?provider=default&return_to=/reports");
    let callback = rig.provider.authorize(&location, "alice");
    let response = browser.visit(&mut rig, &callback).response();
    let lines = set(&response, "vestibule_last");
    assert!(lines.len() == 1 && lines[0].starts_with("__Host-vestibule_last_"), "{lines:?}");
    for attribute in ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/", "; Max-Age=31536000"] {
        assert!(lines[0].contains(attribute), "{lines:?}");
    }
    let (_, value) = lines[0].split(';').next().unwrap().split_once('=').unwrap();
    assert!(value.len() == 12 && value.bytes().all(|b| b.is_ascii_hexdigit()), "nothing of who logged in: {value}");

    let forward = browser.visit(&mut rig, "/reports").forward();
    let told: Vec<_> = forward.set_headers.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect();
    assert!(browser.head("/").headers.values("cookie").any(|line| String::from_utf8_lossy(line).contains("vestibule_last")));
    assert!(forward.remove_headers.iter().any(|name| name.eq_ignore_ascii_case("cookie")));
    assert!(!told.concat().contains("vestibule_last"), "the application does not get it: {told:?}");

    browser.visit(&mut rig, "/.vestibule/logout");
    let choice = browser.visit(&mut rig, "/.vestibule/login").response();
    let links: Vec<_> = body(&choice).lines().filter(|line| line.contains("/.vestibule/login?provider=")).collect();
    assert!(links[0].contains("provider=default") && links[0].contains("<small>Last used</small>"), "{links:?}");
    assert!(links[1].contains("provider=other") && !links[1].contains("<small>"), "{links:?}");
}

#[test]
fn with_one_provider_nothing_is_remembered() {
    let (mut rig, mut browser) = (Rig::new(CONFIG), Browser::default());
    let response = browser.log_in(&mut rig, "/", "alice");
    assert_eq!((response.status, set(&response, "vestibule_last")), (302, vec![]));
}

/// Every example of docs/pages.md that begins with its section.
#[test]
fn the_examples_of_the_documentation_are_configurations() {
    let text = include_str!("../../docs/pages.md");
    let mut examples: Vec<String> = vec![];
    let mut is_inside = false;
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(code) if code.starts_with("[vestibule.pages]") => examples.push(format!("{code}\n")),
            Some(code) if is_inside => examples.last_mut().unwrap().push_str(&format!("{code}\n")),
            _ => {}
        }
        is_inside = line.starts_with("    ") && (is_inside || line.contains("[vestibule.pages]"));
    }
    assert!(examples.len() >= 2, "{examples:?}");
    for example in examples {
        let toml = format!("{CONFIG}{example}");
        let file = "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1 1\"/>";
        let resolved = references(&toml).into_iter().map(|reference| (reference, Some(Secret::new(file)))).collect();
        let config =
            Config::parse(&Source { resolved, ..Source::new("secrets.toml", &toml) }).unwrap_or_else(|faults| panic!("{faults:#?}"));
        assert!(config.warnings.iter().all(|fault| !fault.key.starts_with("vestibule.pages")), "{:?}", config.warnings);
        assert_eq!(config.branding.logo.is_some(), example.contains("logo"));
        assert_eq!(config.branding.name.is_some(), example.contains("name"));
    }
}
