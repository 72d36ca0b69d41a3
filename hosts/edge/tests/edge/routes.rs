//! Where our routes lie, through the program: they do not collide with the application's, and a rule names no host that is not served.

use std::fs;
use std::path::Path;
use std::process::Output;

use reqwest::StatusCode;
use vestibule_dev_provider::{Options, Provider};

use crate::application::Application;
use crate::browser::Browser;
use crate::login::{Site, secrets_toml};
use crate::program::component_options;
use crate::texts::run;

/// Lines in `[vestibule]`, and the prefix that they come to.
const PREFIXES: [(&str, &str); 4] = [
    ("", "/.vestibule"),
    ("routes = \"/auth\"\n", "/auth"),
    ("routes = \"/sso/of-us\"\n", "/sso/of-us"),
    ("app = \"streamlit\"\nlogin = \"required\"\n", "/auth"),
];

#[tokio::test]
async fn a_login_goes_round_below_each_prefix_and_what_is_elsewhere_is_the_applications() {
    for (lines, prefix) in PREFIXES {
        let site = Site::start_configured(lines, Application::start().await, "http", &[], &[]).await;
        let browser = Browser::new();
        let problem = browser.fetch(&site.url("/data")).await;
        assert_eq!(problem.status, StatusCode::UNAUTHORIZED);
        assert!(problem.body.contains(&format!("{prefix}/login")), "{prefix}: {}", problem.body);
        let page = browser.log_in(&site.url(&format!("{prefix}/login?return_to=/reports")), "alice").await;
        assert_eq!((page.status, page.url.path()), (StatusCode::OK, "/reports"), "{prefix}: {}", page.body);
        let user = browser.fetch(&site.url(&format!("{prefix}/user"))).await;
        assert!(user.body.contains("alice@example.com"), "{prefix}: {}", user.body);

        let before = site.app.requests();
        let mut theirs = 0;
        for route in ["login", "logout", "user", "refresh", "check"] {
            for other in ["/auth", "/api", "/.vestibule", "/sso"].into_iter().filter(|other| *other != prefix) {
                let page = browser.fetch(&site.url(&format!("{other}/{route}"))).await;
                assert_eq!(page.status, StatusCode::OK, "{other}/{route} with {lines}: {}", page.body);
                theirs += 1;
            }
        }
        assert_eq!(site.app.requests() - before, theirs, "{lines}: the application has them");
        // The login stands before those as well.
        let nobody = Browser::new().fetch(&site.url("/api/login")).await;
        assert_eq!(nobody.status, StatusCode::UNAUTHORIZED);

        browser.open(&site.url(&format!("{prefix}/logout"))).await;
        assert_eq!(browser.fetch(&site.url("/data")).await.status, StatusCode::UNAUTHORIZED, "{prefix}");
        assert_eq!(site.app.requests() - before, theirs);
    }
}

#[tokio::test]
async fn nothing_below_the_reserved_prefix_reaches_the_application() {
    let site = Site::start_configured("", Application::start().await, "http", &[], &[]).await;
    let browser = Browser::new();
    assert_eq!(browser.log_in(&site.url("/"), "alice").await.status, StatusCode::OK);
    let before = site.app.requests();
    for path in ["/.vestibule", "/.vestibule/nothing", "/.VESTIBULE/login", "/%2evestibule/user", "/.vestibule/check"] {
        let page = browser.fetch(&site.url(path)).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "{path}: {}", page.body);
        assert!(page.body.contains("request.reserved_path"), "{path}: {}", page.body);
    }
    assert_eq!(site.app.requests(), before);
}

async fn told(folder: &Path, toml: &str, arguments: &[&str]) -> Output {
    fs::write(folder.join("secrets.toml"), toml).expect("written");
    let options: Vec<_> = component_options().into_iter().map(|option| option.into_string().expect("text")).collect();
    let arguments: Vec<_> = arguments.iter().copied().chain(options.iter().map(String::as_str)).collect();
    run(folder, &arguments, &[]).await
}

#[tokio::test]
async fn a_rule_for_a_host_that_is_not_served_is_a_fault_for_every_command() {
    let folder = tempfile::tempdir().expect("a folder");
    let provider = Provider::start(Options::default()).await.expect("a provider");
    let toml = |host: &str| {
        let rule = format!("[[vestibule.rule]]\nhost = \"{host}\"\naccess = \"required\"\n");
        secrets_toml(&provider, "http://127.0.0.1:1").replace("{port}", "8501") + &rule
    };
    let commands = [
        &["check", "--config", "secrets.toml"][..],
        &["explain", "--config", "secrets.toml", "GET", "/"],
        &["serve", "--config", "secrets.toml", "--listen", "127.0.0.1:0"],
    ];
    for command in commands {
        for host in ["other.example", "localhost", "127.0.0.1.example", "127.0.0.2"] {
            let output = told(folder.path(), &toml(host), command).await;
            let text = String::from_utf8(output.stderr).expect("text");
            assert_eq!(output.status.code(), Some(1), "{} {host}: {text}", command[0]);
            assert!(text.contains("secrets.toml:") && text.contains("host") && text.contains(host), "{} {host}: {text}", command[0]);
        }
    }
    let output = told(folder.path(), &toml("127.0.0.1"), commands[0]).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
