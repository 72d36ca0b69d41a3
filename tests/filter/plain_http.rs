//! Providers at an internal address: with a public issuer, and by plain http where the configuration accepts that.

use serde_json::{Value, json};
use vestibule::config::{Config, Fault, Source};

use crate::rig::{self, Browser, CONFIG, Rig};

const ISSUER: &str = "https://login.example/realms/acme";
const HTTP: &str = "http://keycloak.auth.svc:8080/realms/acme";

/// The provider is asked at `inside`.
fn config(inside: &str, vestibule: &str) -> String {
    let toml = CONFIG.replace("https://op.example/.well-known", &format!("{inside}/.well-known"));
    format!("{toml}[vestibule]\n{vestibule}\n[vestibule.provider.default]\nissuer = \"{ISSUER}\"\nuserinfo = true\n")
}

const ACCEPTED: &str = "insecure_http_hosts = [\"keycloak.auth.svc\"]";

/// As Keycloak with `hostname` and `hostname-backchannel-dynamic` tells it to who asks inside.
fn rig(inside: &str, vestibule: &str) -> Rig {
    let mut rig = Rig::new(&config(inside, vestibule));
    let inside = inside.to_owned();
    rig.provider = rig::Provider::new(ISSUER);
    rig.provider.metadata_url = format!("{inside}/.well-known/openid-configuration");
    rig.provider.edit_metadata = Some(Box::new(move |metadata| {
        for (name, path) in [("token_endpoint", "token"), ("jwks_uri", "certs"), ("userinfo_endpoint", "userinfo")] {
            metadata[name] = format!("{inside}/protocol/openid-connect/{path}").into();
        }
    }));
    rig
}

fn changed(rig: &mut Rig, name: &'static str, value: Value) {
    let before = rig.provider.edit_metadata.take().unwrap();
    rig.provider.edit_metadata = Some(Box::new(move |metadata| {
        before(metadata);
        metadata[name] = value.clone();
    }));
}

fn faults(toml: &str) -> Vec<Fault> {
    Config::parse(&Source::new("f", toml)).err().unwrap_or_default()
}

#[test]
fn a_public_issuer_may_be_asked_at_an_internal_address() {
    for (inside, vestibule) in [("https://keycloak.auth.svc/realms/acme", ""), (HTTP, ACCEPTED)] {
        let (mut rig, mut browser) = (rig(inside, vestibule), Browser::default());
        let location = browser.start(&mut rig, "/");
        assert_eq!(location.host_str(), Some("login.example"), "the browser goes to the public address");
        let callback = rig.provider.authorize(&location, "alice");
        let response = browser.visit(&mut rig, &callback).response();
        assert_eq!(response.status, 302, "{:?}", rig.messages);
        assert!(rig.sent.iter().all(|request| request.url.as_str().starts_with(inside)), "and Vestibule to the internal one");
        assert_eq!(rig.sent.len(), 4);
    }
    // Without the setting, the issuer follows from the address, and is another.
    let unsaid = config("https://keycloak.auth.svc/realms/acme", "").replace(&format!("issuer = \"{ISSUER}\"\n"), "");
    let mut rig = rig("https://keycloak.auth.svc/realms/acme", "");
    rig.filter = vestibule::filter::Filter::new(Config::parse(&Source::new("f", &unsaid)).unwrap());
    let response = Browser::default().visit(&mut rig, "/").response();
    assert_eq!((response.status, rig.last_event()), (502, "metadata.invalid"));
}

#[test]
fn plain_http_is_for_the_named_host_and_says_what_it_risks() {
    let warned = Config::parse(&Source::new("f", &config(HTTP, ACCEPTED))).unwrap().warnings;
    let warning = warned.iter().find(|fault| fault.key == "vestibule.insecure_http_hosts").unwrap();
    assert!(!warning.fatal && warning.problem.contains("client secret") && warning.problem.contains("keycloak.auth.svc"), "{warning:?}");
    // An issuer that is plain http itself, as Keycloak without `hostname` has it.
    let own = config(HTTP, ACCEPTED).replace(ISSUER, HTTP);
    assert!(faults(&own).is_empty(), "{:?}", faults(&own));
    let derived = config(HTTP, ACCEPTED).replace(&format!("issuer = \"{ISSUER}\"\n"), "");
    assert!(faults(&derived).is_empty(), "{:?}", faults(&derived));

    for (inside, vestibule, key) in [
        (HTTP, "", "auth.server_metadata_url"),
        (HTTP, "internal_hosts = \"keycloak.auth.svc\"", "auth.server_metadata_url"),
        (HTTP, "insecure_http_hosts = [\"auth.svc\"]", "auth.server_metadata_url"),
        ("http://sub.keycloak.auth.svc", ACCEPTED, "auth.server_metadata_url"),
        ("http://keycloak.auth.svc.evil.example", ACCEPTED, "auth.server_metadata_url"),
        ("http://user@keycloak.auth.svc", ACCEPTED, "auth.server_metadata_url"),
        (HTTP, "insecure_http_hosts = [\"*.auth.svc\"]", "vestibule.insecure_http_hosts"),
        (HTTP, "insecure_http_hosts = [\"http://keycloak.auth.svc\"]", "vestibule.insecure_http_hosts"),
        (HTTP, "insecure_http_hosts = [\"keycloak.auth.svc:8080\"]", "vestibule.insecure_http_hosts"),
        (HTTP, "insecure_http_hosts = [\"keycloak.auth.svc\", \"localhost\"]", "vestibule.insecure_http_hosts"),
        (HTTP, "insecure_http_hosts = [\"keycloak.auth.svc\", \"127.0.0.2\"]", "vestibule.insecure_http_hosts"),
        (HTTP, "insecure_http_hosts = [\"keycloak.auth.svc\", \"other.auth.svc\"]", "vestibule.insecure_http_hosts"),
        ("https://keycloak.auth.svc", ACCEPTED, "vestibule.insecure_http_hosts"),
        (HTTP, "insecure_http_hosts = true", "vestibule.insecure_http_hosts"),
    ] {
        let faults = faults(&config(inside, vestibule));
        assert!(faults.iter().any(|fault| fault.fatal && fault.key == key), "{inside} {vestibule}: {faults:?}");
    }
    for (written, url) in [("KEYCLOAK.auth.svc", HTTP), ("10.0.0.7", "http://10.0.0.7:8080"), ("fd00::7", "http://[fd00::7]")] {
        let toml = config(url, &format!("insecure_http_hosts = \"{written}\""));
        assert!(faults(&toml).is_empty(), "{written}: {:?}", faults(&toml));
    }
}

#[test]
fn the_browser_goes_nowhere_by_plain_http() {
    let mut authorization = rig(HTTP, ACCEPTED);
    changed(&mut authorization, "authorization_endpoint", format!("{HTTP}/auth").into());
    let response = Browser::default().visit(&mut authorization, "/").response();
    assert_eq!((response.status, authorization.last_event()), (502, "metadata.invalid"));
    assert!(authorization.last_message().contains("authorization_endpoint"), "{}", authorization.last_message());

    let mut logout = rig(HTTP, ACCEPTED);
    changed(&mut logout, "end_session_endpoint", format!("{HTTP}/logout").into());
    assert_eq!(Browser::default().visit(&mut logout, "/").response().status, 302);
    assert!(logout.events.iter().any(|code| code == "metadata.ignored"));
}

#[test]
fn no_endpoint_on_another_host_or_this_machine_is_asked_by_plain_http() {
    for endpoint in [
        "http://other.auth.svc/token",
        "http://127.0.0.1:8080/token",
        "http://localhost/token",
        "http://login.example/token",
        "http://auth.svc/",
    ] {
        // The configuration wants userinfo.
        for name in ["token_endpoint", "jwks_uri", "userinfo_endpoint"] {
            let mut rig = rig(HTTP, ACCEPTED);
            changed(&mut rig, name, endpoint.into());
            let response = Browser::default().visit(&mut rig, "/").response();
            assert_eq!((response.status, rig.last_event()), (502, "metadata.invalid"), "{name} {endpoint}");
        }
    }
    // Metadata that came by https names none at all, not even on a host that is named.
    let mut https = rig("https://keycloak.auth.svc/realms/acme", "");
    changed(&mut https, "token_endpoint", json!("http://keycloak.auth.svc/token"));
    assert_eq!(Browser::default().visit(&mut https, "/").response().status, 502);
}
