//! The configurations of `examples/` against the core's lists of headers that clients must not send: what a
//! proxy does not remove reaches the application.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

use std::path::Path;

use vestibule::web::proxy_headers::{ARRIVAL, IDENTITY, STEERING};

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every name of the lists, in order.
fn names() -> Vec<&'static str> {
    let mut names: Vec<_> = STEERING.into_iter().chain(IDENTITY).collect();
    names.sort_unstable();
    names
}

/// Compares what a file removes with the lists, and says which lines to write.
fn check(file: &str, removed: &[&str], line: impl Fn(&str) -> String) {
    let missing: String = names().iter().filter(|name| !removed.contains(name)).map(|name| line(name)).collect();
    assert!(missing.is_empty(), "{file} does not remove all headers of the lists; add\n{missing}");
    assert_eq!(removed, names(), "{file} removes more than the lists, or not in their order");
}

#[test]
fn nginx_removes_every_header_of_the_lists() {
    let text = read("examples/nginx/removed-headers.conf");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let removed: Vec<_> = lines.map(|line| line.strip_prefix("proxy_set_header ").unwrap().strip_suffix(" \"\";").unwrap()).collect();
    check("examples/nginx/removed-headers.conf", &removed, |name| format!("proxy_set_header {name} \"\";\n"));

    let main = read("examples/nginx/nginx.conf");
    let (server, rest) = main.split_once("location / {").expect("the application's location");
    let (application, _) = rest.split_once("location = /.vestibule/question {").expect("the location of questions");
    for level in [server, application] {
        assert!(level.contains("include removed-headers.conf;"), "a level with headers of its own has to remove all: {level}");
    }
    // Replaced, or removed: never the client's.
    for name in ARRIVAL {
        let line = format!("proxy_set_header {name} ");
        assert!(application.to_ascii_lowercase().contains(&line), "{name} of the client reaches the application");
    }
    let places: Vec<_> = main.split("location ").skip(1).map(|place| place.split_once('{').expect("a block")).collect();
    for (place, block) in &places {
        let asks = block.contains("X-Original-URI");
        assert!(
            asks == place.contains("question") || place.starts_with("@refused"),
            "{place} must not put a question, or must set all of it"
        );
        let inherits = !block.contains("proxy_set_header");
        let sets = block.contains("proxy_set_header X-Original-URI $request_uri;") && block.contains("X-Original-Method $request_method;");
        assert!(inherits || sets || *place == "/ ", "{place} passes the client's question on");
    }
}

#[test]
fn caddy_removes_every_header_of_the_lists() {
    let text = read("examples/caddy/removed-headers.caddy");
    let removed: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("request_header -")).collect();
    check("examples/caddy/removed-headers.caddy", &removed, |name| format!("request_header -{name}\n"));

    let main = read("examples/caddy/Caddyfile");
    let blocks = main.matches("\thandle ").count();
    assert_eq!(main.matches("import removed-headers.caddy").count(), blocks, "every block removes them");
    // Caddy writes the others itself.
    for name in ["Forwarded", "X-Forwarded-Port", "X-Real-IP"] {
        assert!(main.contains(&format!("request_header -{name}\n")), "{name} of the client reaches the application");
    }
}

#[test]
fn traefik_removes_every_header_of_the_lists() {
    let text = read("examples/traefik/routes.yaml");
    let (_, list) = text.split_once("authResponseHeaders:\n").expect("the list of headers");
    let lines = list.lines().map(str::trim).take_while(|line| line.starts_with("- ") || line.starts_with('#'));
    let taken: Vec<_> = lines.filter_map(|line| line.strip_prefix("- ")).collect();
    // What answers carry is written as it is in docs/identity.md; of the rest, Traefik writes all but this one itself.
    let (removed, of_answers): (Vec<_>, Vec<_>) = taken.into_iter().partition(|name| !name.starts_with(char::is_uppercase));
    assert_eq!(of_answers.len(), 7, "{of_answers:?}");
    assert_eq!(removed[0], "forwarded");
    check("examples/traefik/routes.yaml", &removed[1..], |name| format!("          - {name}\n"));
}

/// Envoy is told by each answer; what is the proxy's own is in its configuration.
#[test]
fn envoy_replaces_what_the_client_says_of_its_connection() {
    let text = read("examples/envoy/envoy.yaml");
    let (_, removed) = text.split_once("request_headers_to_remove:\n").expect("the list of headers");
    let (removed, added) = removed.split_once("request_headers_to_add:\n").expect("what is added");
    for name in ARRIVAL.into_iter().chain(["x-forwarded-method", "x-forwarded-uri", "x-original-method", "x-original-uri"]) {
        let is_written = name == "x-forwarded-proto" || (name == "x-forwarded-for" && added.contains("key: x-forwarded-for"));
        assert!(is_written || removed.contains(&format!("- {name}\n")), "{name} of the client reaches the application");
    }
}

/// The name of a request in the log and in the audit is the proxy's or Vestibule's own, and never the client's.
#[test]
fn no_proxy_takes_the_name_of_a_request_from_the_client() {
    let nginx = read("examples/nginx/nginx.conf");
    // A block with headers of its own inherits none.
    let (server, locations) = nginx.split_once("location = ").expect("a location");
    let with_headers = locations.split("location ").filter(|block| block.contains("proxy_set_header"));
    for block in std::iter::once(server).chain(with_headers) {
        assert!(block.contains("proxy_set_header X-Request-Id $request_id;"), "this block takes the client's name: {block}");
    }
    let caddy = read("examples/caddy/Caddyfile");
    for block in caddy.split("\thandle ").skip(1) {
        let (before, _) = block.split_once("reverse_proxy").expect("a server");
        assert!(before.contains("request_header X-Request-Id {http.request.uuid}"), "this block takes the client's name: {block}");
    }
    let traefik = read("examples/traefik/routes.yaml");
    for line in traefik.lines().filter(|line| line.contains("customRequestHeaders:")) {
        assert!(line.contains("X-Request-Id: \"\""), "this middleware takes the client's name: {line}");
    }
    // Envoy makes a name where there is none, and keeps that of a client on a private network.
    let envoy = read("examples/envoy/envoy.yaml");
    assert!(envoy.contains("mutations: [{ remove: x-request-id }, "), "the client's name is not removed");
    assert!(!envoy.contains("preserve_external_request_id") && !envoy.contains("generate_request_id"), "Envoy makes the name");
}
