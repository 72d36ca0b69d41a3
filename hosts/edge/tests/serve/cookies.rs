//! Session cookies that are changed, copied, planted, swapped or blown up.

use std::collections::BTreeSet;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::raw::Wire;
use crate::site::{self, Kind};
use crate::visitor::Visitor;

crate::tests![
    every_changed_bit_of_a_session_cookie_is_the_same_refusal,
    deletions_carry_the_attributes_of_what_they_delete,
    the_same_person_twice_is_two_ciphertexts,
    a_planted_cookie_is_worthless_and_does_not_survive_the_login,
    a_cookie_of_one_client_is_nobody_to_another,
    cookies_do_not_take_each_others_place,
    cookies_that_are_blown_up_do_no_harm,
    secrets_cookies_and_codes_are_not_in_the_log,
];

/// Envoy CVE-2026-47775. Raw, since a client library would not send half of them.
async fn every_changed_bit_of_a_session_cookie_is_the_same_refusal() {
    let visitor = Visitor::new().await;
    visitor.gets_in().await;
    let seen = visitor.site.app.saw(&visitor.page);
    let (name, value) = visitor.session();
    let mut answers = BTreeSet::new();
    let mut peer = Wire::connect(visitor.site.address).await;
    for index in 0..value.len() {
        for bit in 0..8 {
            let mut changed = value.clone().into_bytes();
            changed[index] ^= 1 << bit;
            let is_control = changed[index] < b' ' || changed[index] == 0x7f;
            let head = format!("GET {} HTTP/1.1\r\nHost: {}\r\nCookie: {name}=", visitor.page, visitor.site.host);
            let request = [head.as_bytes(), &changed, b"\r\n\r\n"].concat();
            peer.stream.write_all(&request).await.expect("sent");
            let Some(answer) = peer.read_head().await else { panic!("closed at byte {index}, bit {bit}") };
            let body = peer.read_body(&answer).await.expect("a body");
            // A control character makes the request malformed, whoever sends it in whatever header.
            if is_control {
                assert!(matches!(answer.status(), 400 | 401), "byte {index}, bit {bit}: {}", answer.text);
                peer = Wire::connect(visitor.site.address).await;
            } else {
                let mut problem: Value = serde_json::from_str(&body).expect("JSON");
                // Each request has a name of its own.
                assert!(problem.as_object_mut().and_then(|members| members.remove("request_id")).is_some(), "{problem}");
                answers.insert((answer.status(), problem.to_string(), answer.values("set-cookie").join("; ")));
            }
        }
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers.first().map(|(status, ..)| *status), Some(401));
    assert_eq!(visitor.site.app.saw(&visitor.page), seen);
}

/// Envoy CVE-2025-55162.
async fn deletions_carry_the_attributes_of_what_they_delete() {
    let site = site::public().await;
    let visitor = Visitor::at(site, site.assign(Kind::Plain));
    let started =
        visitor.raw("GET", &format!("/.vestibule/login?provider={}&moved=1", visitor.provider.name), &[("Accept", "text/html")]).await.0;
    let callback = visitor.callback().await;
    let cookies = visitor.browser.cookies(&callback);
    let target = format!("{}?{}", callback.path(), callback.query().expect("a response"));
    let landed = visitor.raw("GET", &target, &[("Accept", "text/html"), ("Cookie", &cookies)]).await.0;
    let pairs: Vec<&str> =
        landed.values("set-cookie").iter().filter_map(|line| line.split(';').next()).filter(|pair| !pair.ends_with('=')).collect();
    // Which provider was the last one is remembered.
    let pairs: Vec<_> = pairs.into_iter().filter(|pair| !pair.contains("_last_")).collect();
    let left = visitor.raw("GET", "/.vestibule/logout", &[("Accept", "text/html"), ("Cookie", &pairs.join("; "))]).await.0;

    let attributes = |line: &str| -> BTreeSet<String> {
        let rest = line.split(';').skip(1).map(|attribute| attribute.trim().to_owned());
        rest.filter(|attribute| !attribute.starts_with("Max-Age") && !attribute.starts_with("Expires")).collect()
    };
    let expected: BTreeSet<String> = ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"].map(str::to_owned).into();
    let mut deleted = 0;
    for head in [&started, &landed, &left] {
        for line in head.values("set-cookie") {
            assert!(line.starts_with("__Host-vestibule_"), "{line}");
            assert_eq!(attributes(line), expected, "{line}");
            deleted += usize::from(line.contains("Max-Age=0"));
        }
    }
    let names = |head: &crate::raw::Head| {
        head.values("set-cookie").iter().filter_map(|line| line.split('=').next()).map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let set: BTreeSet<String> = pairs.iter().filter_map(|pair| pair.split('=').next()).map(str::to_owned).collect();
    let deleted_at_the_end = names(&left).into_iter().filter(|name| !name.contains("_logout_")).collect::<BTreeSet<_>>();
    assert_eq!(deleted_at_the_end, set, "every cookie that was set is deleted, and one says that a logout is on its way");
    assert!(deleted > set.len(), "those and the login attempt's: {deleted}");
}

/// mod_auth_openidc CVE-2021-32791.
async fn the_same_person_twice_is_two_ciphertexts() {
    let visitor = Visitor::new().await;
    let (one, two) = (visitor.another(), visitor.another());
    one.gets_in().await;
    two.gets_in().await;
    let ((name, first), (same, second)) = (one.session(), two.session());
    assert_eq!(name, same);
    let body = |value: &str| value.rsplit('.').next().expect("an envelope").to_owned();
    let (first, second) = (body(&first), body(&second));
    assert_ne!(first, second);
    let common = first.bytes().zip(second.bytes()).filter(|(a, b)| a == b).count();
    assert!(common < first.len() / 10, "{common} of {} letters are the same", first.len());
}

/// mod_auth_openidc, August 2026: session fixation.
async fn a_planted_cookie_is_worthless_and_does_not_survive_the_login() {
    let visitor = Visitor::new().await;
    let attacker = visitor.another();
    attacker.gets_in_elsewhere("bob").await;
    let (name, planted) = attacker.session();
    visitor.browser.plant(&name, &planted);
    let callback = visitor.callback().await;
    let page = visitor.open(&callback).await;
    assert_eq!(page.status, StatusCode::FOUND, "{}", page.body);
    let (_, session) = visitor.session();
    assert_ne!(session, planted, "a new session");
    let page = visitor.visit(&visitor.page).await;
    assert!(page.body.to_lowercase().contains("x-forwarded-user: alice") && !page.body.contains("bob"), "{}", page.body);

    for worthless in
        ["", "x", "1~", "1~x", "0~", "9~x", "1~1.AAAAAAAA.AAAA", &"A".repeat(4000), "1~2.x.y", "1.x.y", "%00", "\"1~x\"", "../../x"]
    {
        let cookie = format!("{name}={worthless}");
        let (head, body) = visitor.raw("GET", &visitor.page, &[("Cookie", &cookie)]).await;
        assert_eq!(head.status(), 401, "{worthless}: {body}");
    }
    // Twice the name: one of them was planted, and nobody can tell which.
    let cookie = format!("{name}={planted}; {name}={session}");
    assert_eq!(visitor.raw("GET", &visitor.page, &[("Cookie", &cookie)]).await.0.status(), 401);
    let lines = [("Cookie", format!("{name}={planted}")), ("Cookie", format!("{name}={session}"))];
    let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(visitor.raw("GET", &visitor.page, &lines).await.0.status(), 401);
}

/// traefikoidc #87: the same origin, the same secret, another client.
async fn a_cookie_of_one_client_is_nobody_to_another() {
    let (ours, theirs) = (site::public().await, site::neighbour().await);
    let visitor = Visitor::at(ours, ours.assign(Kind::Plain));
    visitor.gets_in().await;
    let (name, value) = visitor.session();
    let cookie = format!("{name}={value}");
    assert_eq!(visitor.raw("GET", &visitor.page, &[("Cookie", &cookie)]).await.0.status(), 200, "it is good where it was made");
    let elsewhere = Visitor::at(theirs, theirs.assign(Kind::Plain));
    let (head, body) = elsewhere.raw("GET", &elsewhere.page, &[("Cookie", &cookie)]).await;
    assert_eq!((head.status(), theirs.app.requests()), (401, 0), "{body}");
    // Another origin with the same secret does not even look for that name.
    let local = Visitor::new().await;
    let renamed = format!("{cookie}; {}={value}", name.trim_start_matches("__Host-"));
    assert_eq!(local.raw("GET", &local.page, &[("Cookie", &renamed)]).await.0.status(), 401);
}

/// Pomerium CVE-2024-47616, of the kinds that there are.
async fn cookies_do_not_take_each_others_place() {
    let visitor = Visitor::new().await;
    let pending = visitor.another();
    let callback = pending.callback().await;
    let attempt = pending.browser.cookies(&callback);
    let attempt =
        attempt.split("; ").find(|cookie| cookie.contains("vestibule_login")).expect("an attempt").split_once('=').expect("a cookie");
    visitor.gets_in().await;
    let (session, sealed) = visitor.session();
    let url = visitor.site.url("/").parse().expect("a URL");
    let all = visitor.browser.cookies(&url);
    let tokens = all.split("; ").find(|cookie| cookie.contains("vestibule_tokens")).expect("tokens").split_once('=').expect("a cookie");
    for value in [attempt.1.to_owned(), format!("1~{}", attempt.1), tokens.1.to_owned()] {
        let (head, body) = visitor.raw("GET", &visitor.page, &[("Cookie", &format!("{session}={value}"))]).await;
        assert_eq!(head.status(), 401, "{body}");
    }
    let target = format!("{}?{}", callback.path(), callback.query().expect("a response"));
    for value in [sealed.as_str(), sealed.trim_start_matches("1~"), tokens.1, tokens.1.trim_start_matches("1~")] {
        let cookie = format!("{}={value}", attempt.0);
        let (head, body) = visitor.raw("GET", &target, &[("Accept", "text/html"), ("Cookie", &cookie)]).await;
        assert_eq!(head.status(), 400, "{body}");
    }
    pending.is_let_in(&callback).await;
}

/// mod_auth_openidc, May 2026: nothing is decompressed, and everything is bounded.
async fn cookies_that_are_blown_up_do_no_harm() {
    let visitor = Visitor::new().await;
    visitor.gets_in().await;
    let seen = visitor.site.app.saw(&visitor.page);
    let (name, sealed) = visitor.session();
    let bomb = "H4sIAAAAAAAAA-3BMQEAAADCoPVPbQwfoAAAAAAAAAAAAAAAAAAAAIC3AYbSVKsAQAAA";
    let many: String = (0..2000).map(|index| format!("{name}_{index}=x; ")).collect();
    let chunks: String = (1..8).map(|index| format!("; {name}_{index}={}", "A".repeat(3900))).collect();
    for cookie in [
        format!("{name}=1~1.AAAAAAAA.{bomb}"),
        format!("{name}=8~{sealed}{chunks}"),
        format!("{name}=8~"),
        format!("{name}=18446744073709551615~x"),
        format!("{name}=-1~x"),
        many,
        "a=b; ".repeat(10_000),
        ";".repeat(40_000),
        "=".repeat(40_000),
    ] {
        let (head, body) = visitor.raw("GET", &visitor.page, &[("Cookie", &cookie)]).await;
        assert_eq!(head.status(), 401, "{}: {body}", &cookie[..cookie.len().min(80)]);
    }
    let huge = "x".repeat(200_000);
    let request = format!("GET {} HTTP/1.1\r\nHost: {}\r\nCookie: {huge}\r\n\r\n", visitor.page, visitor.site.host);
    // Either an answer that says so, or the connection is closed.
    if let Some((head, _)) = Wire::connect(visitor.site.address).await.exchange(&request).await {
        assert!(matches!(head.status(), 400 | 413 | 431), "{}", head.text);
    }
    assert_eq!(visitor.site.app.saw(&visitor.page), seen);
    visitor.another().gets_in_elsewhere("bob").await;
}

async fn secrets_cookies_and_codes_are_not_in_the_log() {
    let visitor = Visitor::new().await;
    let callback = visitor.callback().await;
    let parameter = |name: &str| callback.query_pairs().find(|(given, _)| given == name).expect("a parameter").1.into_owned();
    let (code, state) = (parameter("code"), parameter("state"));
    visitor.is_let_in(&callback).await;
    let (_, session) = visitor.session();
    visitor.open(&callback).await;
    // The line of the last request is there, so all before it are.
    visitor.site.log.find(|line| line["code"] == "callback.already_logged_in").await;
    let pieces = |text: &str| (0..text.len().saturating_sub(24)).step_by(8).map(|at| text[at..at + 24].to_owned()).collect::<Vec<_>>();
    for secret in
        [vec![code, state], pieces(&session), vec![site::COOKIE_SECRET.into(), site::CLIENT_SECRET.into(), site::SIGNED_TOKEN.into()]]
            .concat()
    {
        assert_eq!(visitor.site.log.line_with(&secret), None, "{secret}");
    }
}
