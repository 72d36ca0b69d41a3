//! ID tokens that others have believed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jwt_simple::prelude::*;
use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::raw::Head;
use crate::visitor::Visitor;

crate::tests![
    a_token_under_the_providers_public_key_is_refused,
    a_token_under_the_client_secret_is_refused,
    unsigned_tokens_in_any_spelling_are_refused,
    keys_that_a_token_brings_along_are_not_fetched,
    critical_extensions_are_refused,
    encrypted_tokens_are_refused,
    a_token_of_another_login_is_refused,
    a_token_of_another_provider_is_refused,
    tokens_in_a_request_let_nobody_in,
    dates_out_of_range_are_refused,
    an_endless_token_answer_is_cut_off,
    other_tokens_are_no_id_tokens,
    nothing_is_refreshed_so_nothing_of_a_refresh_is_believed,
];

/// The token with another algorithm in its header, and the signature that it had.
pub fn with_algorithm(token: &str, algorithm: &str) -> String {
    with_header(token, |header| drop(header.insert("alg".into(), algorithm.into())))
}

pub fn without_signature(token: &str) -> String {
    token[..=token.rfind('.').expect("a JWT")].to_owned()
}

fn with_header(token: &str, change: impl Fn(&mut Map<String, Value>)) -> String {
    let (header, rest) = token.split_once('.').expect("a JWT");
    let mut header: Map<String, Value> = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).expect("base64url")).expect("JSON");
    change(&mut header);
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(Value::Object(header).to_string()))
}

fn claims_of(token: &str) -> Map<String, Value> {
    let payload = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).expect("a JWT")).expect("base64url");
    serde_json::from_slice(&payload).expect("JSON")
}

/// The same claims under HMAC.
fn under_hmac(token: &str, secret: &[u8]) -> String {
    let mut claims = Claims::with_custom_claims(claims_of(token), Duration::from_secs(1));
    (claims.issued_at, claims.expires_at, claims.invalid_before) = (None, None, None);
    HS256Key::from_bytes(secret).authenticate(claims).expect("signed")
}

fn replace(visitor: &Visitor, change: impl Fn(String) -> String + Send + Sync + 'static) {
    visitor.script(|script| script.replace_id_token = Some(Box::new(change)));
}

/// Authlib CVE-2024-37568.
async fn a_token_under_the_providers_public_key_is_refused() {
    let visitor = Visitor::new().await;
    let keys: Value =
        serde_json::from_str(&visitor.browser.fetch(&format!("{}/jwks", visitor.provider.running.issuer())).await.body).expect("JSON");
    let key = Ed25519PublicKey::from_jwk(&keys["keys"][0].to_string()).expect("a key");
    // As its bytes, in the forms that libraries take, and as it was published.
    let secrets = [key.to_bytes(), key.to_pem().into_bytes(), key.to_der(), keys["keys"][0].to_string().into_bytes()];
    for secret in secrets {
        let visitor = visitor.another();
        replace(&visitor, move |token| under_hmac(&token, &secret));
        visitor.is_refused(502, "id_token.algorithm").await;
    }
}

async fn a_token_under_the_client_secret_is_refused() {
    let visitor = Visitor::new().await;
    replace(&visitor, |token| under_hmac(&token, b"vestibule-demo-secret"));
    visitor.is_refused(502, "id_token.algorithm").await;
}

/// Authlib CVE-2026-28802.
async fn unsigned_tokens_in_any_spelling_are_refused() {
    let visitor = Visitor::new().await;
    for algorithm in ["none", "None", "NONE", "nOnE", "none ", ""] {
        for (code, cut) in [("id_token.signature", true), ("id_token.algorithm", false)] {
            let visitor = visitor.another();
            replace(&visitor, move |token| {
                let token = with_algorithm(&token, algorithm);
                if cut { without_signature(&token) } else { token }
            });
            visitor.is_refused(502, code).await;
        }
    }
    let without_algorithm = visitor.another();
    replace(&without_algorithm, |token| with_header(&token, |header| drop(header.remove("alg"))));
    without_algorithm.is_refused(502, "id_token.malformed").await;
    let without_dot = visitor.another();
    replace(&without_dot, |token| without_signature(&token).trim_end_matches('.').to_owned());
    without_dot.is_refused(502, "id_token.malformed").await;
    let with_another = visitor.another();
    replace(&with_another, |token| format!("{}AAAA", without_signature(&token)));
    with_another.is_refused(502, "id_token.signature").await;
}

/// Authlib 1.6.9.
async fn keys_that_a_token_brings_along_are_not_fetched() {
    let trap = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/keys", trap.local_addr().expect("an address"));
    let fetched = Arc::new(AtomicUsize::new(0));
    let counter = fetched.clone();
    tokio::spawn(async move {
        while trap.accept().await.is_ok() {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let visitor = Visitor::new().await;
    let pair = Ed25519KeyPair::generate();
    for name in ["jwk", "jku", "x5u", "x5c"] {
        let visitor = visitor.another();
        let (own, url) = (pair.clone(), url.clone());
        replace(&visitor, move |token| {
            let jwk: Value = serde_json::from_str(&own.public_key().to_jwk()).expect("JSON");
            let forged = with_header(&token, |header| {
                let value = match name {
                    "jwk" => jwk.clone(),
                    "x5c" => json!(["MIIC"]),
                    _ => json!(url),
                };
                header.insert(name.into(), value);
            });
            let signed = forged[..forged.rfind('.').expect("a JWT")].to_owned();
            let pair = ed25519_compact::KeyPair::from_slice(&own.to_bytes()).expect("a key");
            format!("{signed}.{}", URL_SAFE_NO_PAD.encode(*pair.sk.sign(&signed, None)))
        });
        // A `jwk` that is an object is not even read.
        let callback = visitor.callback().await;
        let page = visitor.open(&callback).await;
        let code = if name == "jwk" || name == "x5c" { ["id_token.malformed", "id_token.signature"] } else { ["id_token.signature"; 2] };
        let reference = crate::visitor::reference(&page.body);
        let line = visitor.site.log.find(|line| line["reference"] == reference && line["code"] != "request").await;
        assert!(code.iter().any(|code| line["code"] == *code), "{name}: {line}");
        visitor.is_nobody().await;
    }
    assert_eq!(fetched.load(Ordering::SeqCst), 0);
}

/// Authlib CVE-2025-59420.
async fn critical_extensions_are_refused() {
    let visitor = Visitor::new().await;
    for critical in [json!(["b64"]), json!(["x"]), json!([]), json!(["alg"])] {
        let visitor = visitor.another();
        replace(&visitor, move |token| with_header(&token, |header| drop(header.insert("crit".into(), critical.clone()))));
        visitor.is_refused(502, "id_token.critical").await;
    }
}

/// lua-resty-jwt.
async fn encrypted_tokens_are_refused() {
    let visitor = Visitor::new().await;
    for (algorithm, parts) in [("dir", 3), ("dir", 5), ("RSA-OAEP", 5), ("A256GCMKW", 5)] {
        let visitor = visitor.another();
        replace(&visitor, move |token| {
            let token = with_header(&token, |header| {
                header.insert("alg".into(), algorithm.into());
                header.insert("enc".into(), "A256GCM".into());
            });
            if parts == 5 { format!("{token}.AAAA.AAAA") } else { token }
        });
        visitor.is_refused(502, if parts == 5 { "id_token.malformed" } else { "id_token.algorithm" }).await;
    }
}

/// nginx njs CVE-2024-10318.
async fn a_token_of_another_login_is_refused() {
    let visitor = Visitor::new().await;
    let kept = Arc::new(Mutex::new(None::<String>));
    let keep = kept.clone();
    replace(&visitor, move |token| {
        *keep.lock().expect("no test panics here") = Some(token.clone());
        token
    });
    visitor.another().gets_in_elsewhere("bob").await;
    let stolen = kept.lock().expect("no test panics here").clone().expect("a token");
    replace(&visitor, move |_| stolen.clone());
    visitor.is_refused(502, "id_token.nonce").await;
    for nonce in [None, Some(json!("")), Some(json!(null)), Some(json!(["x"]))] {
        let visitor = visitor.another();
        visitor.script(|script| {
            script.replace_id_token = None;
            script.edit_id_token = Some(Box::new(move |claims| {
                claims.remove("nonce");
                claims.extend(nonce.clone().map(|nonce| ("nonce".to_owned(), nonce)));
            }));
        });
        visitor.is_refused(502, "id_token.nonce").await;
    }
}

/// APISIX CVE-2025-46647.
async fn a_token_of_another_provider_is_refused() {
    let (honest, hostile) = (Visitor::new().await, Visitor::new().await);
    let kept = Arc::new(Mutex::new(None::<String>));
    let keep = kept.clone();
    replace(&hostile, move |token| {
        *keep.lock().expect("no test panics here") = Some(token.clone());
        token
    });
    hostile.gets_in().await;
    let foreign = kept.lock().expect("no test panics here").clone().expect("a token");
    replace(&honest, move |_| foreign.clone());
    honest.is_refused(502, "id_token.unknown_key").await;

    // With the honest one's name in it, which any provider can write.
    let (victim, issuer) = (Visitor::new().await, honest.provider.running.issuer());
    victim.script(|script| script.edit_id_token = Some(Box::new(move |claims| drop(claims.insert("iss".into(), issuer.clone().into())))));
    victim.is_refused(502, "id_token.issuer").await;

    // The hostile one's code at the honest one's login.
    let victim = honest.another();
    let mut callback = victim.callback().await;
    let foreign = hostile.another().callback().await;
    let state = callback.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let pairs: Vec<_> =
        foreign.query_pairs().map(|(name, value)| (name.clone(), if name == "state" { state.clone().into() } else { value })).collect();
    let pairs: Vec<(String, String)> = pairs.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect();
    callback.query_pairs_mut().clear().extend_pairs(&pairs);
    let redeemed = victim.redeemed();
    let page = victim.open(&callback).await;
    victim.got_nothing(&page, 400, "callback.issuer_mismatch").await;
    assert_eq!(victim.redeemed(), redeemed, "the code was sent to nobody");
}

/// Envoy CVE-2022-29226, in every place where a token could be taken from.
async fn tokens_in_a_request_let_nobody_in() {
    let visitor = Visitor::new().await;
    let kept = Arc::new(Mutex::new(None::<String>));
    let keep = kept.clone();
    replace(&visitor, move |token| {
        *keep.lock().expect("no test panics here") = Some(token.clone());
        token
    });
    let helper = visitor.another();
    helper.gets_in_elsewhere("alice").await;
    let token = kept.lock().expect("no test panics here").clone().expect("a token");
    let page = visitor.page.clone();
    let authorization = format!("Bearer {token}");
    for (name, value) in [
        ("Authorization", authorization.as_str()),
        ("authorization", "Bearer x"),
        ("Authorization", "Basic YWRtaW46YWRtaW4="),
        ("Proxy-Authorization", &authorization),
        ("X-Forwarded-Access-Token", &token),
        ("X-Id-Token", &token),
        ("X-Forwarded-User", "alice"),
        ("X-Auth-Request-User", "alice"),
        ("Cookie", &format!("id_token={token}; session={token}; vestibule_session={token}")),
    ] {
        let (head, body) = visitor.raw("GET", &page, &[(name, value)]).await;
        assert_eq!(head.status(), 401, "{name}: {body}");
    }
    for target in ["?token=", "?access_token=", "?id_token=", "?jwt=", "?code=", "?Authorization=Bearer%20"] {
        let (head, _) = visitor.raw("GET", &format!("{page}{target}{token}"), &[]).await;
        assert_eq!(head.status(), 401, "{target}");
    }
    assert_eq!(visitor.site.app.saw(&page), 0);
}

/// mod_auth_openidc, August 2026.
async fn dates_out_of_range_are_refused() {
    let visitor = Visitor::new().await;
    let dates = [
        json!(1e300),
        json!(-1),
        json!("4102444800"),
        json!(null),
        json!(true),
        json!([4_102_444_800_u64]),
        json!(u64::MAX),
        json!(i64::MIN),
    ];
    for (name, code) in [("exp", "id_token.expired"), ("iat", "id_token.issued_at"), ("nbf", "id_token.not_before")] {
        for date in dates.clone() {
            let visitor = visitor.another();
            visitor.script(|script| script.edit_id_token = Some(Box::new(move |claims| drop(claims.insert(name.into(), date.clone())))));
            visitor.is_refused(502, code).await;
        }
    }
}

/// Authlib CVE-2025-61920.
async fn an_endless_token_answer_is_cut_off() {
    let visitor = Visitor::new().await;
    visitor.script(|script| {
        script.edit_token_response = Some(Box::new(|tokens| drop(tokens.insert("padding".into(), "x".repeat(50_000_000).into()))));
    });
    visitor.is_refused(503, "provider.unreachable").await;
}

/// RFC 8725 section 3.11.
async fn other_tokens_are_no_id_tokens() {
    let visitor = Visitor::new().await;
    for typ in ["at+jwt", "logout+jwt", "application/logout+jwt", "secevent+jwt", "dpop+jwt", "JOSE"] {
        let visitor = visitor.another();
        visitor.script(|script| script.id_token_type = Some(typ.into()));
        visitor.is_refused(502, "id_token.type").await;
    }
}

/// mod_auth_openidc 2026-07 (a refreshed ID token with another `sub`), oauth2-proxy #490 (two refreshes at the same time):
/// sessions do not rest on tokens that are renewed. A refresh token is not used, whatever its provider says of the others.
async fn nothing_is_refreshed_so_nothing_of_a_refresh_is_believed() {
    let visitor = Visitor::new().await;
    visitor.script(|script| {
        script.edit_token_response = Some(Box::new(|answer| {
            answer.insert("refresh_token".into(), "NOT-FOR-THE-LOG-refresh".into());
            answer.insert("expires_in".into(), 0.into());
        }));
    });
    visitor.gets_in().await;
    // From here on the provider would say that it is somebody else.
    visitor.script(|script| script.edit_id_token = Some(Box::new(|claims| drop(claims.insert("sub".into(), "mallory".into())))));
    let pages = futures::future::join_all((0..8).map(|_| visitor.visit(&visitor.page))).await;
    for page in pages {
        assert_eq!(page.status.as_u16(), 200, "{}", page.body);
        let received = Head::echoed(page.body);
        assert_eq!(received.values("x-forwarded-user"), ["alice"]);
        assert!(!received.text.contains("refresh"), "{}", received.text);
    }
    assert_eq!(visitor.redeemed(), 1);
    assert_eq!(visitor.site.log.line_with("NOT-FOR-THE-LOG"), None);
}
