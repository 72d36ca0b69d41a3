//! Callbacks that others have fallen for, or over.

use reqwest::{StatusCode, Url};

use crate::raw::Wire;
use crate::visitor::Visitor;

crate::tests![
    a_callback_of_the_attacker_gives_the_victim_nothing,
    callbacks_without_a_state_are_a_page_and_the_program_lives,
    doubled_parameters_are_refused_before_anything_is_redeemed,
    the_back_button_onto_a_used_callback_helps_and_redeems_nothing,
    a_used_callback_gives_nobody_a_session,
    a_callback_is_exactly_that_path,
    script_in_a_callback_is_not_on_the_page,
    a_state_is_compared_to_its_last_letter,
];

/// Authlib CVE-2025-68158: login CSRF.
async fn a_callback_of_the_attacker_gives_the_victim_nothing() {
    let attacker = Visitor::new().await;
    let callback = attacker.callback_as("bob").await;
    let victim = attacker.another();
    let page = victim.open(&callback).await;
    victim.got_nothing(&page, 400, "callback.unknown_state").await;
    // Not even when the victim is at the same provider, on a login of their own.
    victim.start().await;
    let page = victim.open(&callback).await;
    victim.got_nothing(&page, 400, "callback.unknown_state").await;
    assert_eq!(attacker.redeemed(), 0, "the code was not redeemed");
}

/// Envoy CVE-2023-27496, raw.
async fn callbacks_without_a_state_are_a_page_and_the_program_lives() {
    let visitor = Visitor::new().await;
    for query in [
        "?code=x",
        "?code=x&state",
        "?code=x&state=",
        "?state=&code=x",
        "?code=",
        "?code=&state=",
        "?code=x&STATE=y",
        "?code=x&state=.",
        "?code=x&state=%00",
        "?code=x&state=%ff%fe",
        "?code=x;state=y",
        "?code=x&&state=&=",
        "?code=x&state=..",
        "?code&state",
        "?state",
        "?state=x",
        "?x=y",
        "?%",
        "?session_state=x",
        "?response=a.b.c",
        "",
        "?",
        "?&&&",
        "?state=logout.x",
        "?logout=1",
    ] {
        let (head, body) = visitor.raw("GET", &format!("/oauth2callback{query}"), &[("Accept", "text/html")]).await;
        assert_eq!(head.status(), 400, "{query}: {body}");
        assert!(head.values("set-cookie").is_empty(), "{query}: {}", head.text);
        assert!(body.contains("Reference number"), "{query}: {body}");
    }
    let (head, body) = visitor.raw("GET", "/oauth2callback?error=access_denied", &[("Accept", "text/html")]).await;
    assert_eq!(head.status(), 403, "{body}");
    assert!(head.values("set-cookie").is_empty() && body.contains("You were not logged in"), "{body}");
    visitor.gets_in().await;
}

/// mod_auth_openidc, August 2026, in the ways that a name can be written.
async fn doubled_parameters_are_refused_before_anything_is_redeemed() {
    let visitor = Visitor::new().await;
    let callback = visitor.callback().await;
    let good = format!("{}?{}", callback.path(), callback.query().expect("a response"));
    let cookies = visitor.browser.cookies(&callback);
    for more in [
        "state=x",
        "code=x",
        "iss=x",
        "%73tate=x",
        "c%6fde=x",
        "c%6Fde=x",
        "code",
        "state=",
        "error=access_denied",
        "error",
        "iss=http%3A%2F%2Fx",
    ] {
        for target in [format!("{good}&{more}"), good.replacen('?', &format!("?{more}&"), 1)] {
            let (head, body) = visitor.raw("GET", &target, &[("Accept", "text/html"), ("Cookie", &cookies)]).await;
            assert_eq!(head.status(), 400, "{target}: {body}");
            let reference = crate::visitor::reference(&body);
            let line = visitor.site.log.find(|line| line["reference"] == reference && line["code"] != "request").await;
            assert_eq!(line["code"], "callback.malformed", "{target}");
        }
    }
    assert_eq!(visitor.redeemed(), 0);
    // Whoever added them did not take the login away.
    visitor.is_let_in(&callback).await;
}

/// Streamlit #13101.
async fn the_back_button_onto_a_used_callback_helps_and_redeems_nothing() {
    let visitor = Visitor::new().await;
    let callback = visitor.callback().await;
    visitor.is_let_in(&callback).await;
    for _ in 0..3 {
        let page = visitor.open(&callback).await;
        assert_eq!((page.status, page.location.as_ref().map(Url::path)), (StatusCode::FOUND, Some(visitor.page.as_str())), "{}", page.body);
    }
    assert_eq!(visitor.redeemed(), 1);
}

async fn a_used_callback_gives_nobody_a_session() {
    let visitor = Visitor::new().await;
    let callback = visitor.callback().await;
    let cookies = visitor.browser.cookies(&callback);
    let denied = format!("{}?error=access_denied&{}", callback.path(), callback.query().expect("a response").replacen("code=", "x=", 1));
    let page = visitor.visit(&denied).await;
    visitor.got_nothing(&page, 403, "callback.access_denied").await;
    // The attempt is spent, whatever comes now.
    let page = visitor.open(&callback).await;
    visitor.got_nothing(&page, 400, "callback.unknown_state").await;
    assert_eq!(visitor.redeemed(), 0);

    // Who has kept the cookie does not get as far as the provider.
    let other = visitor.another();
    let callback = other.callback().await;
    let kept = other.browser.cookies(&callback);
    assert_ne!(kept, cookies);
    other.open(&callback).await;
    let target = format!("{}?{}", callback.path(), callback.query().expect("a response"));
    let (head, body) = visitor.raw("GET", &target, &[("Accept", "text/html"), ("Cookie", &kept)]).await;
    assert_eq!((head.status(), visitor.redeemed()), (400, 1), "{body}");
    assert!(head.values("set-cookie").iter().all(|cookie| !cookie.contains("vestibule_session")), "{}", head.text);
    let reference = crate::visitor::reference(&body);
    let line = visitor.site.log.find(|line| line["reference"] == reference && line["code"] != "request").await;
    assert_eq!(line["code"], "callback.used");
}

/// wasm-oidc-plugin.
async fn a_callback_is_exactly_that_path() {
    let visitor = Visitor::new().await;
    let callback = visitor.callback().await;
    let (query, cookies) = (callback.query().expect("a response"), visitor.browser.cookies(&callback));
    for path in [
        "/oauth2callbackX",
        "/oauth2callback/",
        "/oauth2callback/x",
        "/OAuth2Callback",
        "/oauth2callback%20",
        "/x/oauth2callback",
        "/oauth2callback;x",
        "//oauth2callback",
        "/%6fauth2callback",
        "/x?y=/oauth2callback",
    ] {
        let target = if path.contains('?') { format!("{path}&{query}") } else { format!("{path}?{query}") };
        let (head, body) = visitor.raw("GET", &target, &[("Cookie", &cookies)]).await;
        assert_eq!(head.status(), 401, "{path}: {body}");
    }
    for path in [
        "/./oauth2callback",
        "/x/../oauth2callback",
        "/x/%2e%2e/oauth2callback",
        "/oauth2callback%00",
        "/..;/oauth2callback",
        "\\oauth2callback",
    ] {
        let (head, body) = visitor.raw("GET", &format!("{path}?{query}"), &[("Cookie", &cookies)]).await;
        assert_eq!(head.status(), 400, "{path}: {body}");
    }
    assert_eq!((visitor.redeemed(), visitor.site.app.saw(query)), (0, 0));
}

/// caddy-security CVE-2023-52430, mod_auth_openidc CVE-2021-32792.
async fn script_in_a_callback_is_not_on_the_page() {
    let visitor = Visitor::new().await;
    let callback = visitor.callback().await;
    let cookies = visitor.browser.cookies(&callback);
    let state = callback.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let script = "%3Cscript%3Ealert(1)%3C/script%3E%22%27%3E%3Cimg%20src=x%20onerror=alert(1)%3E";
    let iss = callback.query_pairs().find(|(name, _)| name == "iss").expect("an issuer").1.into_owned();
    for query in [
        format!("error={script}&error_description={script}&error_uri={script}&state={state}&iss={iss}"),
        format!("error=access_denied&error_description={script}&state={script}"),
        format!("code={script}&state={script}&iss={script}"),
        format!("code=x&code={script}"),
    ] {
        let headers =
            [("Accept", "text/html"), ("Cookie", cookies.as_str()), ("Referer", "https://evil.example/<script>alert(1)</script>")];
        let (head, body) = visitor.raw("GET", &format!("/oauth2callback?{query}"), &headers).await;
        assert!(head.status() >= 400, "{query}: {body}");
        assert!(!body.contains("<script>") && !body.contains("alert(1)") && !body.contains("<img") && !body.contains("onerror"), "{body}");
        let policy = head.values("content-security-policy").join("");
        assert!(policy.starts_with("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    }
    let (head, body) = visitor.raw("GET", &format!("/.vestibule/login?provider={script}"), &[("Accept", "text/html")]).await;
    assert!(head.status() == 404 && !body.contains("<script"), "{body}");
}

async fn a_state_is_compared_to_its_last_letter() {
    let visitor = Visitor::new().await;
    let callback = visitor.callback().await;
    let state = callback.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let cookies = visitor.browser.cookies(&callback);
    let (id, random) = state.split_once('.').expect("an id and a secret");
    let changed_last = if random.ends_with('A') { 'B' } else { 'A' };
    let mut peer = Wire::connect(visitor.site.address).await;
    for wrong in [
        format!("{id}."),
        format!("{id}.{}", &random[..random.len() - 1]),
        format!("{id}.{}{changed_last}", &random[..random.len() - 1]),
        format!("{id}.{random}A"),
        format!("{id}.{}", random.to_lowercase()),
        format!("{id}..{random}"),
        format!(".{random}"),
        id.to_owned(),
        format!("{random}.{id}"),
    ] {
        let target = format!("/oauth2callback?code=x&state={wrong}");
        let request = format!("GET {target} HTTP/1.1\r\nHost: {}\r\nAccept: text/html\r\nCookie: {cookies}\r\n\r\n", visitor.site.host);
        let (head, body) = peer.exchange(&request).await.expect("a response");
        assert_eq!(head.status(), 400, "{wrong}: {body}");
        let reference = crate::visitor::reference(&body);
        let line = visitor.site.log.find(|line| line["reference"] == reference && line["code"] != "request").await;
        assert_eq!(line["code"], "callback.unknown_state", "{wrong}");
    }
    assert_eq!(visitor.redeemed(), 0);
    visitor.is_let_in(&callback).await;
}
