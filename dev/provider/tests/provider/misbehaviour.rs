//! Each scripted fault shows on the wire, and goes away again.

use std::time::{Duration, Instant};

use crate::browser::{Browser, CONFIDENTIAL, TestResult, options, token_form};
use jwt_simple::prelude::*;
use serde_json::{Map, Value, json};
use vestibule_dev_provider::{Provider, ResponseIssuer};

async fn verifies(browser: &mut Browser) -> TestResult<bool> {
    let token = browser.tokens("alice").await?["id_token"].as_str().unwrap_or_default().to_owned();
    let keys = browser.get("/jwks").await?.json()?;
    let key = ES256PublicKey::from_jwk(&keys["keys"][0].to_string())?;
    Ok(key.verify_token::<Map<String, Value>>(&token, None).is_ok())
}

#[tokio::test]
async fn the_id_token() -> TestResult {
    let provider = Provider::start(options()).await?;
    let faults = provider.faults();
    let mut browser = Browser::new(provider.issuer());

    faults.script(|it| {
        it.edit_id_token = Some(Box::new(|claims| {
            claims.insert("aud".into(), json!(["somebody", "else"]));
            claims.insert("exp".into(), json!("tomorrow"));
            claims.remove("nonce");
        }));
        it.omit_kid = true;
        it.id_token_type = Some("logout+jwt".into());
    });
    let (header, claims) = browser.id_token("alice").await?;
    assert_eq!(claims["aud"], json!(["somebody", "else"]));
    assert_eq!(claims["exp"], json!("tomorrow"));
    assert!(!claims.contains_key("nonce"));
    assert!(!header.contains_key("kid"));
    assert_eq!(header["typ"], json!("logout+jwt"));

    faults.clear();
    let (header, _) = browser.id_token("alice").await?;
    assert!(header.contains_key("kid"));
    assert_eq!(header["typ"], json!("JWT"));
    assert!(verifies(&mut browser).await?);

    faults.script(|it| it.break_signature = true);
    assert!(!verifies(&mut browser).await?);

    faults.clear();
    faults.script(|it| it.replace_id_token = Some(Box::new(|token| format!("{token}.more"))));
    let tokens = browser.tokens("alice").await?;
    assert!(tokens["id_token"].as_str().is_some_and(|token| token.ends_with(".more")));
    Ok(())
}

#[tokio::test]
async fn the_at_hash() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    provider.faults().script(|it| it.wrong_at_hash = true);
    let (_, first) = browser.id_token("alice").await?;
    let (_, second) = browser.id_token("alice").await?;
    assert_eq!(first["at_hash"], second["at_hash"], "of a token that neither has");
    provider.faults().clear();
    let (_, right) = browser.id_token("alice").await?;
    assert_ne!(right["at_hash"], first["at_hash"]);
    Ok(())
}

#[tokio::test]
async fn metadata_and_keys() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    provider.faults().script(|it| {
        it.discovery_issuer = Some("https://evil.example".into());
        it.edit_metadata = Some(Box::new(|metadata| _ = metadata.remove("jwks_uri")));
        it.edit_jwks = Some(Box::new(|keys| _ = keys.insert("keys".into(), json!([]))));
    });
    let metadata = browser.get("/.well-known/openid-configuration").await?.json()?;
    assert_eq!(metadata["issuer"], json!("https://evil.example"));
    assert!(!metadata.contains_key("jwks_uri"));
    assert_eq!(browser.get("/jwks").await?.json()?["keys"], json!([]));
    assert_eq!(provider.requests("/jwks"), 1);
    assert_eq!(provider.requests("/token"), 0);
    Ok(())
}

#[tokio::test]
async fn a_rotated_key_signs_and_the_one_before_stays_published() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    let (before, _) = browser.id_token("alice").await?;
    provider.rotate_key().await?;
    let (after, _) = browser.id_token("alice").await?;
    assert_ne!(before["kid"], after["kid"]);
    assert!(verifies(&mut browser).await?);
    let keys = browser.get("/jwks").await?.json()?;
    assert_eq!([&keys["keys"][0]["kid"], &keys["keys"][1]["kid"]], [&after["kid"], &before["kid"]]);
    provider.rotate_key().await?;
    let keys = browser.get("/jwks").await?.json()?;
    assert_eq!(keys["keys"].as_array().map(Vec::len), Some(2), "the oldest is gone");
    Ok(())
}

#[tokio::test]
async fn responses() -> TestResult {
    let provider = Provider::start(options()).await?;
    let faults = provider.faults();
    let mut browser = Browser::new(provider.issuer());

    faults.script(|it| it.response_issuer = ResponseIssuer::Omitted);
    assert!(!browser.consent(CONFIDENTIAL.0, "alice").await?.response()?.contains_key("iss"));
    faults.script(|it| it.response_issuer = ResponseIssuer::Replaced("https://evil.example".into()));
    assert_eq!(browser.consent(CONFIDENTIAL.0, "alice").await?.response()?["iss"], "https://evil.example");

    faults.script(|it| it.basic_only = true);
    let code = browser.code(CONFIDENTIAL.0, "alice").await?;
    let by_post = [("client_id", CONFIDENTIAL.0), ("client_secret", CONFIDENTIAL.1)];
    assert_eq!(browser.post("/token", &[token_form(&code), by_post.to_vec()].concat()).await?.status, 401);
    assert_eq!(browser.post_as("/token", CONFIDENTIAL, &token_form(&code)).await?.status, 200);
    faults.script(|it| it.token_status = Some(500));
    let code = browser.code(CONFIDENTIAL.0, "alice").await?;
    assert_eq!(browser.post_as("/token", CONFIDENTIAL, &token_form(&code)).await?.status, 500);
    faults.script(|it| {
        it.token_status = None;
        it.edit_token_response = Some(Box::new(|tokens| _ = tokens.insert("token_type".into(), json!("mac"))));
        it.edit_userinfo = Some(Box::new(|claims| _ = claims.insert("sub".into(), json!("mallory"))));
    });
    let tokens = browser.post_as("/token", CONFIDENTIAL, &token_form(&code)).await?.json()?;
    assert_eq!(tokens["token_type"], json!("mac"), "the code was not spent");
    let access_token = tokens["access_token"].as_str().unwrap_or_default();
    assert_eq!(browser.get_as_bearer("/userinfo", access_token).await?.json()?["sub"], json!("mallory"));
    Ok(())
}

#[tokio::test]
async fn offline_and_slow() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    provider.faults().script(|it| it.offline = true);
    for path in ["/.well-known/openid-configuration", "/jwks", "/"] {
        assert_eq!(browser.get(path).await?.status, 503, "{path}");
    }
    let latency = Duration::from_millis(50);
    provider.faults().script(|it| {
        it.offline = false;
        it.latency = latency;
    });
    let started = Instant::now();
    assert_eq!(browser.get("/jwks").await?.status, 200);
    assert!(started.elapsed() >= latency);
    Ok(())
}
