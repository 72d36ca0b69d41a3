//! What our cookies take of a request and of an answer, and the table of docs/cookies.md, which is made from it.
//!
//! `UPDATE=1 cargo test -p vestibule --test cookie_sizes` writes the table.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]

mod rig;

use std::fmt::Write as _;

use rig::{Browser, CONFIG, Rig, SigningKey};
use serde_json::{Value, json};
use vestibule::web::http::Response;

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

/// Tokens of the shape and the size of Entra's.
fn rig(vestibule: &str, count: usize) -> Rig {
    let mut rig = Rig::new(&vestibule_config(vestibule));
    rig.provider.key = SigningKey::rsa();
    rig.provider.edit_claims = Some(Box::new(move |claims| {
        claims.insert("groups".to_owned(), groups(count).into());
        for (name, value) in [
            ("oid", json!("7d1a3c64-1c2b-4b51-9b7e-0d6f2a8c9e10")),
            ("tid", json!("9188040d-6c67-4c5b-b112-36a304b66dad")),
            ("rh", json!("1.AXoAi5oW4mWqWkGkGhO3cJtW3m1z5q8b9c0dPlaceholder")),
            ("uti", json!("kQ3hT9b2c0mQ1lLxA7AAAA")),
            ("ver", json!("2.0")),
            ("sid", json!("00a1b2c3-d4e5-4f60-8a7b-9c0d1e2f3a4b")),
            ("aio", json!("AVQAq/8TAAAA8m2l0kq5s3N7a1XcJb9YpWvR4uHtZ6eGfDnLoKiMjQhBgCxVyUwS")),
        ] {
            claims.insert(name.to_owned(), value);
        }
    }));
    rig
}

fn vestibule_config(vestibule: &str) -> String {
    CONFIG.replace("client_secret", &format!("{vestibule}client_secret"))
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
    if answer.status != 302 {
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
    for exposed in ["", "expose_tokens = [\"id\"]\n"] {
        let sizes = sizes(exposed, 50).unwrap();
        assert!(sizes.with_pending <= 7 * KIB, "{exposed}: {}", sizes.with_pending);
        let answer_limit = if exposed.is_empty() { 3 * KIB + 512 } else { 6 * KIB };
        assert!(sizes.largest_answer <= answer_limit, "{exposed}: {}", sizes.largest_answer);
    }
}

/// The longest page that is kept in a cookie, beside logins that have to go for it.
#[test]
fn no_answer_that_starts_a_login_is_larger_than_what_nginx_has_room_for() {
    let (mut rig, mut browser) = (rig("", 2), Browser::default());
    let mut noise = groups(60).into_iter();
    let mut link = |guids: usize| {
        let query: Vec<_> = noise.by_ref().take(guids).map(|guid| guid.as_str().unwrap().to_owned()).collect();
        format!("/x?ids={}", query.join(","))
    };
    for guids in [1, 2, 3, 4, 5, 6] {
        let answer = browser.visit(&mut rig, &link(guids)).response();
        assert!(answer_bytes(&answer) <= 3 * KIB + 512, "{}", answer_bytes(&answer));
    }
    let answer = browser.visit(&mut rig, &link(39)).response();
    assert_eq!(answer.status, 302);
    assert!(answer_bytes(&answer) < 4 * KIB, "{}", answer_bytes(&answer));
}

const BEGIN: &str = "<!-- sizes: begin; written by `UPDATE=1 cargo test -p vestibule --test cookie_sizes` -->\n";
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
        assert_eq!(old, table, "run: UPDATE=1 cargo test -p vestibule --test cookie_sizes");
    }
}
