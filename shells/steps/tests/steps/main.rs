//! The module `dist/vestibule-steps.wasm` in a host of its own: what `docs/hosts/steps.md` says, message by message.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]
#![cfg(not(target_family = "wasm"))]

#[path = "../../../../tests/rig/mod.rs"]
mod rig;

mod host;
mod visitor;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use host::{Host, MODULE, NOW};
use rig::{Browser, CONFIG, ISSUER, Provider};
use visitor::{decide, finish, get, log_in, send, start, take, values};

/// In bytes. The module is stored, sent and compiled: what makes it larger is to be noticed.
const LARGEST: u64 = 2_870_000;

/// As many as may wait in one instance.
const MAX_WAITING: usize = 128;

fn codes(decision: &Value) -> Vec<&str> {
    decision["events"].as_array().unwrap().iter().map(|event| event["code"].as_str().unwrap()).collect()
}

#[test]
fn the_module_imports_a_clock_randomness_and_ended_sessions_and_nothing_else() {
    let mut imports: Vec<_> = MODULE.imports().map(|import| format!("{}.{}", import.module(), import.name())).collect();
    imports.sort();
    assert_eq!(imports, ["env.ended", "env.now", "wasi_snapshot_preview1.random_get"]);
    let exports = MODULE.exports().map(|export| export.name().to_owned());
    let mut exports: Vec<_> = exports.filter(|name| !name.starts_with("__imported_wasi_snapshot_preview1_")).collect();
    exports.sort();
    assert_eq!(exports, ["admits", "alloc", "begin", "forget", "load", "memory", "release", "resume"]);
}

#[test]
fn the_module_does_not_grow_unnoticed() {
    let bytes = std::fs::metadata(host::file()).unwrap().len();
    println!("{bytes} bytes");
    assert!(bytes <= LARGEST, "{bytes} bytes, more than {LARGEST}");
}

#[test]
fn the_packages_have_the_version_of_the_module() {
    let python = include_str!("../../../../packages/python/pyproject.toml");
    assert!(python.contains(concat!("\nversion = \"", env!("CARGO_PKG_VERSION"), "\"\n")));
    let npm: Value = serde_json::from_str(include_str!("../../../../packages/npm/package.json")).unwrap();
    assert_eq!(npm["version"], env!("CARGO_PKG_VERSION"));
}

#[test]
fn a_login_ends_with_a_session_that_the_application_is_told_of() {
    let (mut host, mut provider, mut browser) = (Host::new(CONFIG), Provider::new(ISSUER), Browser::default());
    log_in(&mut host, &mut provider, &mut browser, "alice");
    let spoofed = [("X-Forwarded-User", "mallory"), ("x_forwarded_user", "eve"), ("x-forwarded-for", "10.0.0.1"), ("x-bytes", "z\u{f6}")];
    let decision = decide(&mut host, &mut provider, &get("/reports", &browser, &spoofed));
    let forward = &decision["outcome"]["forward"];
    assert_eq!(values(&forward["headers"], "x-forwarded-user"), ["alice"]);
    assert_eq!(values(&forward["headers"], "x_forwarded_user"), [""; 0]);
    assert_eq!(values(&forward["headers"], "x-forwarded-for"), ["192.0.2.7"]);
    assert_eq!(values(&forward["headers"], "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&forward["headers"], "x-bytes"), ["z\u{f6}"], "bytes are kept");
    assert_eq!(forward["session"].as_str().unwrap().len(), 22);
    assert!(forward["expires_at"].as_u64().unwrap() > NOW);
    assert_eq!(forward["response"], json!({ "remove": [], "add": [] }));
}

#[test]
fn any_instance_takes_the_callback_and_reads_the_metadata_first() {
    let (mut first, mut second) = (Host::new(CONFIG), Host::new(CONFIG));
    let (mut provider, mut browser) = (Provider::new(ISSUER), Browser::default());
    // At another origin, which only the document names.
    provider.edit_metadata = Some(Box::new(|metadata| metadata["token_endpoint"] = json!("https://token.example/token")));
    let location = start(&mut first, &mut provider, &mut browser, "/reports");
    let callback = provider.authorize(&location, "alice");
    let answer = second.begin(&get(&callback, &browser, &[]));
    assert_eq!(answer["fetch"]["url"], format!("{ISSUER}/.well-known/openid-configuration"), "{answer}");
    let result = send(&mut provider, &answer["fetch"], NOW);
    let answer = second.resume(&answer["fetch"]["id"], &result);
    assert_eq!(answer["fetch"]["url"], "https://token.example/token");
    let decision = finish(&mut second, &mut provider, answer);
    assert_eq!(decision["outcome"]["respond"]["status"], 302, "{decision}");
    take(&mut browser, &decision["outcome"]["respond"]["headers"]);
    let decision = decide(&mut first, &mut provider, &get("/", &browser, &[]));
    assert_eq!(values(&decision["outcome"]["forward"]["headers"], "x-forwarded-user"), ["alice"]);
}

#[test]
fn an_endpoint_that_no_document_names_or_that_is_on_another_network_is_not_asked() {
    for (now_named, at_callback) in
        [("https://token.example/token", "https://other.example/token"), ("https://10.0.0.7/token", "https://10.0.0.7/token")]
    {
        let (mut first, mut second) = (Host::new(CONFIG), Host::new(CONFIG));
        let (mut provider, mut browser) = (Provider::new(ISSUER), Browser::default());
        provider.edit_metadata = Some(Box::new(move |metadata| metadata["token_endpoint"] = json!(now_named)));
        let location = start(&mut first, &mut provider, &mut browser, "/");
        let callback = provider.authorize(&location, "alice");
        provider.edit_metadata = Some(Box::new(move |metadata| metadata["token_endpoint"] = json!(at_callback)));
        let mut answer = second.begin(&get(&callback, &browser, &[]));
        while let Some(fetch) = answer.get("fetch") {
            assert!(!fetch["url"].as_str().unwrap().contains("token"), "{fetch}");
            let result = send(&mut provider, fetch, NOW);
            answer = second.resume(&fetch["id"], &result);
        }
        assert_eq!(answer["decided"]["outcome"]["respond"]["status"], 503, "{answer}");
    }
}

#[test]
fn endpoints_are_where_their_document_came_from_or_on_the_internet() {
    for (document_at, endpoint_at, admitted) in [
        ("203.0.114.9", "198.51.99.1", true),
        ("203.0.114.9", "10.0.0.7", false),
        ("203.0.114.9", "::ffff:169.254.169.254", false),
        ("10.0.0.1", "10.0.0.7", true),
        ("10.0.0.1", "127.0.0.1", false),
    ] {
        let (mut first, mut second) = (Host::new(CONFIG), Host::new(CONFIG));
        let (mut provider, mut browser) = (Provider::new(ISSUER), Browser::default());
        let location = start(&mut first, &mut provider, &mut browser, "/");
        // The configuration names the origin, so that no document is read before.
        let callback = provider.authorize(&location, "alice");
        let answer = second.begin(&get(&callback, &browser, &[]));
        assert_eq!(answer["fetch"]["url"], format!("{ISSUER}/token"), "{answer}");
        let ask = |host: &mut Host, answer: &Value, address: &str| host.admits(&answer["fetch"]["id"], address);
        assert!(!ask(&mut second, &answer, "localhost") && !ask(&mut second, &answer, ""), "no addresses");
        if ask(&mut second, &answer, endpoint_at) {
            assert!(admitted && document_at == "203.0.114.9", "on the internet: {endpoint_at}");
            continue;
        }
        let answer = second.resume(&answer["fetch"]["id"], &json!("not_allowed"));
        assert_eq!(answer["fetch"]["url"], format!("{ISSUER}/.well-known/openid-configuration"), "{answer}");
        assert!(ask(&mut second, &answer, document_at), "the configuration names it");
        let mut result = send(&mut provider, &answer["fetch"], NOW);
        result["response"]["address"] = json!(document_at);
        let answer = second.resume(&answer["fetch"]["id"], &result);
        let is_asked_again = answer["fetch"]["url"] == format!("{ISSUER}/token") && ask(&mut second, &answer, endpoint_at);
        assert_eq!(is_asked_again, admitted, "{document_at} {endpoint_at}: {answer}");
        let end = match answer.get("fetch") {
            Some(fetch) if !is_asked_again => second.resume(&fetch["id"].clone(), &json!("not_allowed")),
            Some(_) => continue,
            None => answer,
        };
        assert_eq!(end["decided"]["outcome"]["respond"]["status"], 503, "{end}");
    }
    assert!(!Host::new(CONFIG).admits(&json!(1), "198.51.99.1"), "nothing waits");
}

#[test]
fn a_provider_that_is_down_is_a_503() {
    for (result, word) in
        [(json!({ "unreachable": "refused" }), "refused"), (json!("timed_out"), "in time"), (json!({ "protocol": "no HTTP" }), "no HTTP")]
    {
        let mut host = Host::new(CONFIG);
        let answer = host.begin(&get("/", &Browser::default(), &[]));
        let decision = host.resume(&answer["fetch"]["id"], &result)["decided"].clone();
        assert_eq!(decision["outcome"]["respond"]["status"], 503);
        let message = decision["events"][0]["message"].as_str().unwrap();
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_session_that_the_host_says_has_ended_is_none() {
    let (mut host, mut provider, mut browser) = (Host::new(CONFIG), Provider::new(ISSUER), Browser::default());
    log_in(&mut host, &mut provider, &mut browser, "alice");
    let forward = decide(&mut host, &mut provider, &get("/", &browser, &[]))["outcome"]["forward"].clone();
    let logout = get("/.vestibule/logout", &browser, &[("sec-fetch-mode", "navigate"), ("sec-fetch-site", "same-origin")]);
    let decision = decide(&mut host, &mut provider, &logout);
    let ended = &decision["ended"][0];
    assert_eq!((&ended["name"], &ended["what"]), (&forward["session"], &json!("session")), "{decision}");
    assert!(ended["until"].as_u64().unwrap() > ended["at"].as_u64().unwrap());
    // The same cookies, with a memory and without one.
    assert!(decide(&mut host, &mut provider, &get("/", &browser, &[]))["outcome"]["forward"].is_object());
    host.store.data_mut().ended.insert(URL_SAFE_NO_PAD.decode(ended["name"].as_str().unwrap()).unwrap());
    assert_eq!(decide(&mut host, &mut provider, &get("/", &browser, &[]))["outcome"]["respond"]["status"], 302);
}

#[test]
fn a_websocket_is_decided_on_and_keeps_its_upgrade() {
    let (mut host, mut provider, mut browser) = (Host::new(CONFIG), Provider::new(ISSUER), Browser::default());
    log_in(&mut host, &mut provider, &mut browser, "alice");
    let more = [("connection", "Upgrade, X-Forwarded-User"), ("upgrade", "websocket"), ("origin", "https://app.example")];
    let mut request = get("/live", &browser, &more);
    request["websocket"] = json!(true);
    let forward = decide(&mut host, &mut provider, &request)["outcome"]["forward"].clone();
    assert_eq!(values(&forward["headers"], "upgrade"), ["websocket"], "{forward}");
    assert_eq!(values(&forward["headers"], "x-forwarded-user"), ["alice"]);
    let mut request = get("/live", &Browser::default(), &[("origin", "https://app.example")]);
    request["websocket"] = json!(true);
    assert_eq!(decide(&mut host, &mut provider, &request)["outcome"]["respond"]["status"], 401);
}

#[test]
fn pages_of_the_hosts_own_failures_are_in_the_readers_form() {
    let mut host = Host::new(CONFIG);
    let of = |host: &mut Host, failure: Value, accept: &str| {
        let headers = json!([["host", "app.example"], ["accept", accept]]);
        let request = json!({ "method": "GET", "target": "/", "headers": headers, "tls": true, "failure": failure });
        host.begin(&request)["decided"].clone()
    };
    let page = of(&mut host, json!("body_too_large"), "text/html");
    assert_eq!((&page["outcome"]["respond"]["status"], codes(&page)), (&json!(413), vec!["host.failure"]));
    assert!(values(&page["outcome"]["respond"]["headers"], "content-type")[0].starts_with("text/html"));
    let problem = of(&mut host, json!({ "too_many_logins": { "retry_after": 7 } }), "application/json");
    assert_eq!(problem["outcome"]["respond"]["status"], 429);
    assert_eq!(values(&problem["outcome"]["respond"]["headers"], "retry-after"), ["7"]);
    assert_eq!(values(&problem["outcome"]["respond"]["headers"], "content-type"), ["application/problem+json"]);
}

#[test]
fn what_waits_is_bounded_and_is_given_up() {
    let mut host = Host::new(CONFIG);
    let page = get("/", &Browser::default(), &[]);
    let mut ids = vec![];
    for _ in 0..MAX_WAITING {
        ids.push(u32::try_from(host.begin(&page)["fetch"]["id"].as_u64().unwrap()).unwrap());
    }
    ids.dedup();
    assert_eq!(ids.len(), MAX_WAITING);
    assert_eq!(host.begin(&page)["decided"]["outcome"]["respond"]["status"], 503);
    host.forget(ids[5]);
    host.forget(ids[5]);
    let refilled = host.begin(&page);
    assert!(refilled["fetch"].is_object(), "{refilled}");
    let late = host.resume(&json!(ids[5]), &json!("timed_out"))["decided"].clone();
    assert_eq!((&late["outcome"]["respond"]["status"], codes(&late)), (&json!(500), vec!["filter.not_pending"]));
    // A host that gives nothing up does not fill the instance for ever.
    host.store.data_mut().now += 59;
    assert_eq!(host.begin(&page)["decided"]["outcome"]["respond"]["status"], 503);
    host.store.data_mut().now += 1;
    assert!(host.begin(&page)["fetch"].is_object());
    assert_eq!(codes(&host.resume(&json!(ids[0]), &json!("timed_out"))["decided"]), ["filter.not_pending"]);
}

#[test]
fn no_address_of_the_hosts_is_believed() {
    let mut host = Host::new(CONFIG);
    assert_eq!(host.alloc((8 << 20) + 1), 0);
    let address = host.alloc(2);
    for (address, bytes) in [(0, 0), (8, 4), (address, 3), (address + 1, 1), (u32::MAX, 1)] {
        let mut host = Host::new(CONFIG);
        assert!(host.call_at("begin", address, bytes).is_err(), "{address} {bytes}");
        let mut host = Host::new(CONFIG);
        assert!(host.release(address, bytes).is_err());
    }
    // One that gives nothing back gets nothing more.
    let given = (0..100).take_while(|_| host.alloc(8) != 0).count();
    assert_eq!(given, 15);
}

#[test]
fn a_message_of_another_form_is_malformed_and_no_value_of_it_is_told() {
    let mut host = Host::new(CONFIG);
    let fine = get("/", &Browser::default(), &[]);
    let told = |answer: Value| answer["malformed"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned();
    assert!(told(host.call_with("begin", b"{")).starts_with("not a message of this form"));
    assert!(told(host.call_with("begin", b"")).starts_with("not a message of this form"));
    let edits: [(&str, Value, &str); 6] = [
        ("heades", json!([]), "unknown field `heades`"),
        ("headers", json!([["cookie", "\u{100}hidden"]]), "a header field has a character above U+00FF"),
        ("body", json!("hidden!"), "a body is not base64"),
        ("tls", json!("hidden"), "not a message of this form"),
        ("headers", json!("hidden"), "not a message of this form"),
        ("client", json!("hidden"), "not a message of this form"),
    ];
    for (member, value, expected) in edits {
        let mut message = fine.clone();
        message[member] = value;
        let fault = told(host.begin(&message));
        assert!(fault.starts_with(expected) && !fault.contains("hidden"), "{fault}");
    }
    assert!(host.begin(&fine)["fetch"].is_object(), "the instance goes on");
}

#[test]
fn a_request_that_cannot_be_read_in_one_way_is_refused() {
    let mut host = Host::new(CONFIG);
    for (target, header) in [("/a/../b", ("x-a", "1")), ("/\u{e9}", ("x-a", "1")), ("/", ("x a", "1")), ("/", ("host", "other.example"))] {
        let decision = host.begin(&get(target, &Browser::default(), &[header]))["decided"].clone();
        assert_eq!(
            (&decision["outcome"]["respond"]["status"], codes(&decision)),
            (&json!(400), vec!["request.malformed"]),
            "{target} {header:?}"
        );
    }
}

#[test]
fn references_are_the_hosts_to_resolve() {
    let toml = CONFIG
        .replace("client_secret = \"a~secret/of the client\"", "client_secret_env = \"SECRET\"")
        .replace("cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"", "cookie_secret_file = \"cookie\"");
    let mut host = Host::empty();
    let message = |resolved: Value| json!({ "file_name": "secrets.toml", "toml": toml, "resolved": resolved });
    let answer = host.load(&message(json!([])));
    assert_eq!(answer, json!({ "unresolved": [{ "file": "cookie" }, { "environment": "SECRET" }] }));
    assert_eq!(codes(&host.begin(&get("/", &Browser::default(), &[]))["decided"]), ["filter.not_loaded"]);
    let cookie = json!({ "reference": { "file": "cookie" }, "value": "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5" });
    let answer = host.load(&message(json!([cookie, { "reference": { "environment": "SECRET" }, "value": null }])));
    assert_eq!(answer["faults"][0]["fatal"], true);
    assert!(answer["faults"][0]["problem"].as_str().unwrap().contains("`SECRET` is not set"), "{answer}");
    let answer = host.load(&message(json!([cookie, { "reference": { "environment": "SECRET" }, "value": "s" }])));
    assert_eq!(answer["loaded"]["public_origin"], "https://app.example", "{answer}");
    assert!(host.begin(&get("/", &Browser::default(), &[]))["fetch"].is_object());
}

#[test]
fn a_configuration_for_another_kind_of_host_is_refused_or_warned_of() {
    let mut host = Host::empty();
    let mut load = |more: &str| host.load(&json!({ "file_name": "secrets.toml", "toml": format!("{CONFIG}\n{more}") }));
    let authz = load("[vestibule]\nmode = \"authz\"\n[vestibule.authz]\nproxy = \"envoy\"\ntrusted_proxies = [\"127.0.0.1\"]\n");
    assert!(authz["faults"].to_string().contains("cannot be served here"), "{authz}");
    let store = load("[vestibule.session]\nstore = \"file:/var/lib/vestibule/ended\"\n");
    let keys: Vec<_> = store["loaded"]["warnings"].as_array().unwrap().iter().map(|fault| fault["key"].as_str().unwrap()).collect();
    assert!(keys.contains(&"vestibule.session.store"), "{keys:?}");
}
