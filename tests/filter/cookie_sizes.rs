//! What our cookies take of a request and of an answer, and the table of docs/cookies.md, which is made from it.
//!
//! `UPDATE=1 cargo test -p vestibule --test filter cookie_sizes` writes the table.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use vestibule::web::http::Response;

use crate::rig::{self, Browser, CONFIG, Provider, Rig, SigningKey};

const KIB: usize = 1024;

/// GUIDs that do not compress.
fn groups(count: usize) -> Vec<Value> {
    let mut seed = 88_172_645_463_325_252_u64;
    let mut next = || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed
    };
    let mut guid = || {
        let hex = format!("{:016x}{:016x}", next(), next());
        format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
    };
    (0..count).map(|_| guid().into()).collect()
}

const TENANT: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// ID tokens as Entra's version 2.0 issues them: their claims, the lengths of these, and their order.
fn rig(vestibule: &str, count: usize) -> Rig {
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let config = CONFIG
        .replace("https://op.example", &issuer)
        .replace("client-1", "6cb04018-a3f5-46a7-b995-940c78f5aef3")
        .replace("client_secret", &format!("{vestibule}client_secret"));
    let mut rig = Rig::new(&config);
    rig.provider = Provider::new(&issuer);
    rig.provider.key = SigningKey::rsa();
    rig.provider.kid = Some("X5eXk4xyojNFum1kl2Ytv8dlNP4".to_owned());
    rig.provider.edit_claims = Some(Box::new(move |claims| {
        claims.remove("at_hash");
        claims.insert("groups".to_owned(), groups(count).into());
        claims.insert("nbf".to_owned(), claims["iat"].clone());
        for (name, value) in [
            ("aio", "AVQAq/8TAAAA8m2l0kq5s3N7a1XcJb9YpWvR4uHtZ6eGfDnLoKiMjQhBgCxVyUwS"),
            ("oid", "7d1a3c64-1c2b-4b51-9b7e-0d6f2a8c9e10"),
            ("preferred_username", "alice@example.com"),
            ("rh", "1.AXoAi5oW4mWqWkGkGhO3cJtW3m1z5q8b9c0dUR8x8fNq2wYAAAA."),
            ("sid", "00a1b2c3-d4e5-4f60-8a7b-9c0d1e2f3a4b"),
            ("sub", "pK3vZ8mWqR1yT6uJ0cXeH5bNfL2aDgS9oIiVwQxErtM"),
            ("tid", TENANT),
            ("uti", "kQ3hT9b2c0mQ1lLxA7AAAA"),
            ("ver", "2.0"),
        ] {
            claims.insert(name.to_owned(), value.into());
        }
    }));
    rig.provider.edit_token = Some(Box::new(|token| {
        let claims = claims_of(token);
        const FIRST: [&str; 5] = ["aud", "iss", "iat", "nbf", "exp"];
        let others = claims.keys().map(String::as_str).filter(|name| !FIRST.contains(name));
        let members: Vec<_> = FIRST.into_iter().chain(others).map(|name| format!("\"{name}\":{}", claims[name])).collect();
        let header = r#"{"typ":"JWT","alg":"RS256","kid":"X5eXk4xyojNFum1kl2Ytv8dlNP4"}"#;
        *token = signed(header, &format!("{{{}}}", members.join(",")));
    }));
    rig
}

fn claims_of(token: &str) -> Map<String, Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap()).unwrap()
}

/// By Entra's key, as it is written here.
fn signed(header: &str, payload: &str) -> String {
    let signed = [header, payload].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".");
    let signature = SigningKey::rsa().sign(signed.as_bytes());
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature))
}

/// The `Cookie` line.
fn request_bytes(browser: &Browser) -> usize {
    let pairs: usize = browser.cookies.iter().map(|(name, value)| name.len() + value.len() + "=; ".len()).sum();
    "Cookie: ".len() + pairs
}

/// The whole head of an answer, as nginx counts it.
fn answer_bytes(response: &Response) -> usize {
    let lines: usize = response.headers.iter().map(|(name, value)| name.len() + value.len() + ": \r\n".len()).sum();
    "HTTP/1.1 302 Found\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n".len() + lines
}

/// A link of a dashboard with a filter.
fn long_link(tab: usize) -> String {
    let rows = (0..24).map(|row| format!("var-host=web-{tab}{row:02}.example.com")).collect::<Vec<_>>().join("&");
    format!("/d/{tab}abcdef/overview?from=now-6h&to=now&{rows}")
}

struct Sizes {
    session: usize,
    with_pending: usize,
    largest_answer: usize,
}

fn sizes(vestibule: &str, count: usize) -> Option<Sizes> {
    let (mut rig, mut browser) = (rig(vestibule, count), Browser::default());
    let at_provider = browser.start(&mut rig, &long_link(0));
    let callback = rig.provider.authorize(&at_provider, "alice");
    let answer = browser.visit(&mut rig, &callback).response();
    if answer.status >= 400 {
        assert_eq!(rig.last_event(), "session.too_large");
        return None;
    }
    let mut largest_answer = answer_bytes(&answer);
    let session = request_bytes(&browser);
    for tab in 1..=5 {
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", &long_link(tab)).finish();
        let answer = browser.visit(&mut rig, &format!("/.vestibule/login?{query}")).response();
        assert_eq!(answer.status, 302);
        largest_answer = largest_answer.max(answer_bytes(&answer));
    }
    let pending = browser.cookies.keys().filter(|name| name.contains("vestibule_login_")).count();
    assert_eq!(pending, 5, "all five are on their way");
    Some(Sizes { session, with_pending: request_bytes(&browser), largest_answer })
}

#[test]
fn fifty_groups_and_five_logins_fit_where_servers_have_their_defaults() {
    assert!(long_link(0).len() > 600);
    for exposed in ["", "expose_tokens = [\"id\"]\n", "expose_tokens = [\"id\", \"access\"]\n"] {
        let sizes = sizes(exposed, 50).unwrap();
        assert!(sizes.with_pending <= 7 * KIB, "{exposed}: {}", sizes.with_pending);
        assert!(sizes.largest_answer <= 3 * KIB + 512, "{exposed}: {}", sizes.largest_answer);
    }
}

/// A restored window, whose tabs do not see each other's cookies, beside what the browser has of an earlier login.
#[test]
fn forty_logins_at_once_fit_where_servers_have_their_defaults() {
    let mut noise = groups(4000).into_iter();
    let mut guids = |count: usize| noise.by_ref().take(count).map(|guid| guid.as_str().unwrap().to_owned()).collect::<Vec<_>>().join(",");
    for (exposed, allowed) in [("", 7 * KIB), ("expose_tokens = [\"id\"]\n", 8 * KIB)] {
        // Short pages, pages that the cookie has as well, pages in `state`, and one that only a cookie has.
        for guids_of in [[0, 0, 0, 0], [2, 2, 2, 2], [10, 10, 10, 10], [0, 2, 10, 40]] {
            let (mut rig, mut browser) = (rig(exposed, 50), Browser::default());
            browser.log_in(&mut rig, "/", "alice");
            let before = browser.clone();
            for tab in 0..40 {
                let mut alone = before.clone();
                let page = format!("/d/{tab}?ids={}", guids(guids_of[tab % 4]));
                let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("return_to", &page).finish();
                let answer = alone.visit(&mut rig, &format!("/.vestibule/login?{query}")).response();
                assert_eq!(answer.status, 302);
                alone.cookies.retain(|name, value| before.cookies.get(name) != Some(value));
                browser.cookies.append(&mut alone.cookies);
            }
            let bytes = request_bytes(&browser);
            println!("{exposed:?} {guids_of:?}: {bytes} B");
            assert!(bytes < allowed, "{exposed} {guids_of:?}: {bytes}");
        }
    }
}

/// An access token of Entra's for an API that the operator has registered, which repeats the groups.
#[test]
fn an_access_token_that_repeats_the_groups_adds_little() {
    let sizes_with = |exposed: &str| {
        let (mut rig, mut browser) = (rig(&format!("expose_tokens = {exposed}\n"), 50), Browser::default());
        rig.provider.edit_answer = Some(Box::new(|answer| {
            let id_token = answer["id_token"].as_str().unwrap();
            let mut claims: Map<String, Value> = claims_of(id_token);
            for (name, value) in [("scp", "access_as_user"), ("azp", "6cb04018-a3f5-46a7-b995-940c78f5aef3"), ("azpacr", "1")] {
                claims.insert(name.to_owned(), value.into());
            }
            for (name, value) in [("aud", "0f1e2d3c-4b5a-4697-8879-6a5b4c3d2e1f"), ("uti", "Zx9cVb8nMm7kJh6gFf5dAA")] {
                claims.insert(name.to_owned(), value.into());
            }
            claims.remove("nonce");
            answer["access_token"] =
                signed(r#"{"typ":"JWT","alg":"RS256","kid":"X5eXk4xyojNFum1kl2Ytv8dlNP4"}"#, &Value::from(claims).to_string()).into();
        }));
        let answer = browser.log_in(&mut rig, &long_link(0), "alice");
        assert!(answer.status < 400);
        (request_bytes(&browser), answer_bytes(&answer))
    };
    let ((request, answer), (more_request, more_answer)) = (sizes_with("[\"id\"]"), sizes_with("[\"id\", \"access\"]"));
    assert!(more_request - request < 600, "{request}, {more_request}");
    assert!(answer.max(more_answer) <= 3 * KIB + 512, "{answer}, {more_answer}");
}

/// The longest page that is kept in a cookie, beside logins that have to go for it.
#[test]
fn no_answer_that_starts_a_login_is_larger_than_what_nginx_has_room_for() {
    let (mut rig, mut browser) = (rig("", 2), Browser::default());
    let mut noise = groups(400).into_iter();
    let mut link = |guids: usize| {
        let query: Vec<_> = noise.by_ref().take(guids).map(|guid| guid.as_str().unwrap().to_owned()).collect();
        format!("/x?ids={}", query.join(","))
    };
    for guids in [1, 2, 3, 4, 5, 6] {
        let answer = browser.visit(&mut rig, &link(guids)).response();
        assert!(answer_bytes(&answer) <= 3 * KIB + 512, "{}", answer_bytes(&answer));
    }
    let digits: String = link(200).bytes().filter(u8::is_ascii_hexdigit).map(char::from).collect();
    let bytes: Vec<u8> =
        digits.as_bytes().chunks_exact(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect();
    let noise = URL_SAFE_NO_PAD.encode(bytes);
    for characters in [1300, 1800, 2000, 2300] {
        let page = format!("/x?ids={}", &noise[..characters - "/x?ids=".len()]);
        let answer = browser.visit(&mut rig, &page).response();
        assert_eq!(answer.status, 302);
        assert!(answer_bytes(&answer) <= 3 * KIB + 512, "{characters}: {}", answer_bytes(&answer));
        // It is kept, and not told to be lost.
        let mut alone = Browser::default();
        let at_provider = alone.start(&mut rig, &page);
        let callback = rig.provider.authorize(&at_provider, "alice");
        assert_eq!(rig::way_on(&alone.visit(&mut rig, &callback).response()), page, "{characters}");
    }
}

/// Eight short tabs one after another, and what an earlier release has left, are more deletions than one answer has room for.
#[test]
fn what_is_deleted_leaves_room_in_the_answer_that_starts_a_login() {
    let mut noise = groups(120).into_iter();
    let mut link = |guids: usize| {
        let query: Vec<_> = noise.by_ref().take(guids).map(|guid| guid.as_str().unwrap().to_owned()).collect();
        format!("/x?ids={}", query.join(","))
    };
    let long = link(60);
    assert!((2_200..2_300).contains(&long.len()), "{}", long.len());
    for left_over in [0, 40] {
        for last in ["/short", &long] {
            let (mut rig, mut browser) = (rig("", 2), Browser::default());
            for tab in 0..8 {
                browser.visit(&mut rig, &format!("/{tab}"));
            }
            let name = browser.cookies.keys().find(|name| name.contains("_login_")).unwrap().clone();
            let (kind, _) = name.rsplit_once('_').unwrap();
            for number in 0..left_over {
                browser.cookies.insert(format!("{kind}_0123456789abcdef{number:02}"), "left-over".into());
            }
            let answer = browser.visit(&mut rig, last).response();
            assert_eq!(answer.status, 302);
            assert!(answer_bytes(&answer) <= 3 * KIB + 512, "{left_over} {}: {}", last.len(), answer_bytes(&answer));
            // And the callback.
            let at_provider = url::Url::parse(answer.header("location").unwrap()).unwrap();
            let callback = rig.provider.authorize(&at_provider, "alice");
            let answer = browser.visit(&mut rig, &callback).response();
            assert_eq!(rig::way_on(&answer), last);
            assert!(answer_bytes(&answer) <= 3 * KIB + 512, "{left_over} {}: {}", last.len(), answer_bytes(&answer));
        }
    }
}

const BEGIN: &str = "<!-- sizes: begin; written by `UPDATE=1 cargo test -p vestibule --test filter cookie_sizes` -->\n";
const END: &str = "<!-- sizes: end -->\n";

#[test]
fn the_table_of_sizes_is_what_is_measured() {
    let mut table = "\n| groups | `Cookie` | largest answer | `Cookie` with the ID token | and five logins under way | largest answer |\n| ---: | ---: | ---: | ---: | ---: | ---: |\n".to_owned();
    for count in [2, 50, 100, 200, 500] {
        let cell = |bytes: Option<usize>| bytes.map_or_else(|| "does not fit".to_owned(), |bytes| format!("{bytes} B"));
        let (plain, exposed) = (sizes("", count), sizes("expose_tokens = [\"id\"]\n", count));
        writeln!(
            table,
            "| {count} | {} | {} | {} | {} | {} |",
            cell(plain.as_ref().map(|sizes| sizes.session)),
            cell(plain.as_ref().map(|sizes| sizes.largest_answer)),
            cell(exposed.as_ref().map(|sizes| sizes.session)),
            cell(exposed.as_ref().map(|sizes| sizes.with_pending)),
            cell(exposed.as_ref().map(|sizes| sizes.largest_answer)),
        )
        .unwrap();
    }
    table.push('\n');
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/cookies.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the beginning of the table");
    let (old, after) = rest.split_once(END).expect("its end");
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(path, format!("{before}{BEGIN}{table}{END}{after}")).unwrap();
    } else {
        assert_eq!(old, table, "run: UPDATE=1 cargo test -p vestibule --test filter cookie_sizes");
    }
}
