//! The authorization code flow over real HTTP.

use crate::browser::{Browser, CALLBACK, CONFIDENTIAL, PUBLIC, TestResult, VERIFIER, authorization_query, decoded, options, token_form};
use jwt_simple::prelude::*;
use serde_json::{Map, Value, json};
use vestibule_dev_provider::{Options, Provider, SigningAlgorithm, StartError};

#[tokio::test]
async fn a_login_from_discovery_to_userinfo() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());

    let metadata = browser.get("/.well-known/openid-configuration").await?.json()?;
    assert_eq!(metadata["issuer"], json!(provider.issuer()));
    assert_eq!(metadata["token_endpoint"], json!(format!("{}/token", provider.issuer())));
    assert_eq!(metadata["code_challenge_methods_supported"], json!(["S256"]));
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], json!(true));

    let page = browser.get(&format!("/authorize?{}", authorization_query(CONFIDENTIAL.0, &[]))).await?;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("Chloë Ørsted"), "{}", page.body);
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));

    let response = browser.consent(CONFIDENTIAL.0, "chloe").await?;
    assert!(response.header("location").starts_with(CALLBACK));
    let response = response.response()?;
    assert_eq!(response["state"], "the state & more");
    assert_eq!(response["iss"], provider.issuer());

    let reply = browser.post_as("/token", CONFIDENTIAL, &token_form(&response["code"])).await?;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert_eq!(reply.header("cache-control"), "no-store");
    let tokens = reply.json()?;
    assert_eq!(tokens["token_type"], json!("Bearer"));
    assert_eq!(tokens["expires_in"], json!(3600));

    let (_, claims) = decoded(tokens["id_token"].as_str().unwrap_or_default())?;
    assert_eq!(claims["iss"], json!(provider.issuer()));
    assert_eq!(claims["aud"], json!(CONFIDENTIAL.0));
    assert_eq!(claims["sub"], json!("chloe"));
    assert_eq!(claims["nonce"], json!("the-nonce"));
    assert_eq!(claims["name"], json!("Chloë Ørsted"));
    assert_eq!(claims["email"], json!("chloe@example.com"));
    assert_eq!(claims["exp"].as_u64(), claims["iat"].as_u64().map(|issued_at| issued_at + 3600));

    let userinfo = browser.get_as_bearer("/userinfo", tokens["access_token"].as_str().unwrap_or_default()).await?;
    assert_eq!(userinfo.json()?["sub"], json!("chloe"));
    assert_eq!(browser.get("/userinfo").await?.status, 401);
    let stranger = browser.get_as_bearer("/userinfo", "stranger").await?;
    assert_eq!(stranger.status, 401);
    assert!(stranger.header("www-authenticate").contains("invalid_token"));

    provider.shutdown().await;
    Ok(())
}

#[tokio::test]
async fn every_algorithm_verifies_with_the_published_key() -> TestResult {
    for algorithm in SigningAlgorithm::ALL {
        let provider = Provider::start(Options { signing_algorithm: algorithm, ..options() }).await?;
        let mut browser = Browser::new(provider.issuer());
        let token = browser.tokens("alice").await?["id_token"].as_str().unwrap_or_default().to_owned();
        let keys = browser.get("/jwks").await?.json()?;
        let key = &keys["keys"][0];
        let (header, claims) = decoded(&token)?;
        assert_eq!(header["alg"], json!(algorithm.name()));
        assert_eq!(header["kid"], key["kid"]);
        assert!(key.get("d").is_none(), "no private part: {key}");
        assert!(claims["at_hash"].is_string());
        verify(algorithm, &key.to_string(), &token).map_err(|error| format!("{algorithm}: {error}"))?;
    }
    Ok(())
}

fn verify(algorithm: SigningAlgorithm, jwk: &str, token: &str) -> Result<(), jwt_simple::Error> {
    type Claims = Map<String, Value>;
    match algorithm {
        SigningAlgorithm::Rs256 => RS256PublicKey::from_jwk(jwk)?.verify_token::<Claims>(token, None),
        SigningAlgorithm::Rs384 => RS384PublicKey::from_jwk(jwk)?.verify_token::<Claims>(token, None),
        SigningAlgorithm::Rs512 => RS512PublicKey::from_jwk(jwk)?.verify_token::<Claims>(token, None),
        SigningAlgorithm::Ps256 => PS256PublicKey::from_jwk(jwk)?.verify_token::<Claims>(token, None),
        SigningAlgorithm::Ps384 => PS384PublicKey::from_jwk(jwk)?.verify_token::<Claims>(token, None),
        SigningAlgorithm::Ps512 => PS512PublicKey::from_jwk(jwk)?.verify_token::<Claims>(token, None),
        SigningAlgorithm::Es256 => ES256PublicKey::from_jwk(jwk)?.verify_token::<Claims>(token, None),
        SigningAlgorithm::Es384 => ES384PublicKey::from_jwk(jwk)?.verify_token::<Claims>(token, None),
        SigningAlgorithm::EdDsa => Ed25519PublicKey::from_jwk(jwk)?.verify_token::<Claims>(token, None),
    }
    .map(drop)
}

#[tokio::test]
async fn the_token_request_is_checked_and_every_try_spends_the_code() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    let other_verifier = VERIFIER.replace('d', "e");
    for (name, value) in [("code_verifier", other_verifier.as_str()), ("redirect_uri", "http://127.0.0.1:8501/other"), ("code", "guess")] {
        let code = browser.code(CONFIDENTIAL.0, "alice").await?;
        let mut form = token_form(&code);
        form.retain(|(candidate, _)| *candidate != name);
        form.push((name, value));
        let refused = browser.post_as("/token", CONFIDENTIAL, &form).await?;
        assert_eq!((refused.status, refused.error()?.as_str()), (400, "invalid_grant"), "{name}");
        if name != "code" {
            let again = browser.post_as("/token", CONFIDENTIAL, &token_form(&code)).await?;
            assert_eq!(again.error()?, "invalid_grant", "{name}: the code is spent");
        }
    }

    let code = browser.code(CONFIDENTIAL.0, "alice").await?;
    let mut twice = token_form(&code);
    twice.push(("code", "another"));
    assert_eq!(browser.post_as("/token", CONFIDENTIAL, &twice).await?.error()?, "invalid_request");
    let mut other_grant = token_form(&code);
    other_grant[0].1 = "password";
    assert_eq!(browser.post_as("/token", CONFIDENTIAL, &other_grant).await?.error()?, "unsupported_grant_type");
    assert_eq!(browser.post_as("/token", CONFIDENTIAL, &token_form(&code)).await?.status, 200, "still good");
    Ok(())
}

#[tokio::test]
async fn a_code_used_twice_is_refused_and_takes_its_access_token_with_it() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    let code = browser.code(CONFIDENTIAL.0, "alice").await?;
    let tokens = browser.post_as("/token", CONFIDENTIAL, &token_form(&code)).await?.json()?;
    let access_token = tokens["access_token"].as_str().unwrap_or_default();
    assert_eq!(browser.get_as_bearer("/userinfo", access_token).await?.status, 200);

    let again = browser.post_as("/token", CONFIDENTIAL, &token_form(&code)).await?;
    assert_eq!((again.status, again.error()?.as_str()), (400, "invalid_grant"));
    assert_eq!(browser.get_as_bearer("/userinfo", access_token).await?.status, 401);
    Ok(())
}

#[tokio::test]
async fn a_refresh_token_is_issued_where_it_is_asked_for_and_is_for_one_use() -> TestResult {
    let provider = Provider::start(Options { refresh_tokens: true, refresh_leeway: std::time::Duration::ZERO, ..options() }).await?;
    let mut browser = Browser::new(provider.issuer());
    assert!(!browser.tokens("alice").await?.contains_key("refresh_token"));

    let scope = authorization_query(CONFIDENTIAL.0, &[]).replace("scope=openid", "scope=openid+offline_access");
    let response = browser.post(&format!("/consent?{scope}"), &[("person", "alice")]).await?.response()?;
    let first = browser.post_as("/token", CONFIDENTIAL, &token_form(&response["code"])).await?.json()?;
    let form = |tokens: &Map<String, Value>| tokens["refresh_token"].as_str().unwrap_or_default().to_owned();
    let (first_token, mut token) = (form(&first), form(&first));
    for _ in 0..2 {
        let form_of = [("grant_type", "refresh_token"), ("refresh_token", token.as_str())];
        let reply = browser.post_as("/token", CONFIDENTIAL, &form_of).await?;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let tokens = reply.json()?;
        let (_, claims) = decoded(tokens["id_token"].as_str().unwrap_or_default())?;
        assert_eq!((&claims["sub"], claims.get("nonce")), (&json!("alice"), None));
        token = form(&tokens);
    }
    // The leeway is in whole seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    for used in [first_token, token] {
        let reply = browser.post_as("/token", CONFIDENTIAL, &[("grant_type", "refresh_token"), ("refresh_token", used.as_str())]).await?;
        assert_eq!((reply.status, reply.error()?.as_str()), (400, "invalid_grant"));
    }
    Ok(())
}

#[tokio::test]
async fn each_client_authentication_and_its_failures() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    let (id, secret) = CONFIDENTIAL;
    // (client of the code, Authorization header, parameters besides, expected error)
    type Case<'a> = (&'a str, Option<(&'a str, &'a str)>, &'a [(&'a str, &'a str)], Option<&'a str>);
    let cases: [Case; 10] = [
        (id, Some(CONFIDENTIAL), &[], None),
        (id, Some(CONFIDENTIAL), &[("client_id", id)], None),
        (id, None, &[("client_id", id), ("client_secret", secret)], None),
        (PUBLIC, None, &[("client_id", PUBLIC)], None),
        (id, Some((id, "wrong")), &[], Some("invalid_client")),
        (id, Some(("nobody", secret)), &[], Some("invalid_client")),
        (id, None, &[("client_id", id)], Some("invalid_client")),
        (id, None, &[], Some("invalid_client")),
        (id, Some(CONFIDENTIAL), &[("client_secret", secret)], Some("invalid_request")),
        (id, None, &[("client_id", PUBLIC)], Some("invalid_grant")),
    ];
    for (owner, header, parameters, expected) in cases {
        let code = browser.code(owner, "bob").await?;
        let mut form = token_form(&code);
        form.extend(parameters);
        let reply = match header {
            Some(client) => browser.post_as("/token", client, &form).await?,
            None => browser.post("/token", &form).await?,
        };
        let error = reply.json()?.get("error").and_then(Value::as_str).map(str::to_owned);
        assert_eq!(error.as_deref(), expected, "{header:?} {parameters:?}: {}", reply.body);
        assert_eq!(reply.status == 401, expected == Some("invalid_client"));
    }
    Ok(())
}

#[tokio::test]
async fn an_unregistered_address_gets_a_page_and_a_bad_request_a_redirect() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());

    let good = authorization_query(CONFIDENTIAL.0, &[]);
    for bad in [good.replacen("oauth2callback", "elsewhere", 1), good.replacen("app%3Aone", "nobody", 1)] {
        for reply in
            [browser.get(&format!("/authorize?{bad}")).await?, browser.post(&format!("/consent?{bad}"), &[("person", "bob")]).await?]
        {
            assert_eq!(reply.status, 400);
            assert_eq!(reply.header("location"), "");
        }
    }

    let no_pkce = good.replacen("code_challenge_method=S256", "code_challenge_method=plain", 1);
    let response = browser.get(&format!("/authorize?{no_pkce}")).await?.response()?;
    assert_eq!(response["error"], "invalid_request");
    assert_eq!(response["state"], "the state & more");
    assert_eq!(response["iss"], provider.issuer());

    let denied = browser.post(&format!("/consent?{good}"), &[("deny", "yes")]).await?.response()?;
    assert_eq!(denied["error"], "access_denied");
    assert!(!denied.contains_key("code"));

    assert_eq!(browser.post(&format!("/consent?{good}"), &[("person", "nobody")]).await?.status, 400);
    Ok(())
}

#[tokio::test]
async fn a_sign_on_is_remembered_unless_the_request_says_otherwise() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    let request = |extra: &[(&str, &str)]| format!("/authorize?{}", authorization_query(PUBLIC, extra));

    let response = browser.get(&request(&[("prompt", "none")])).await?.response()?;
    assert_eq!(response["error"], "login_required");
    browser.consent(CONFIDENTIAL.0, "alice").await?;

    assert!(browser.get(&request(&[])).await?.response()?.contains_key("code"));
    assert!(browser.get(&request(&[("prompt", "none")])).await?.response()?.contains_key("code"));
    assert_eq!(browser.get(&request(&[("prompt", "select_account")])).await?.status, 200);
    assert_eq!(browser.get(&request(&[("prompt", "login")])).await?.status, 200);
    let other = browser.get(&request(&[("login_hint", "bob@example.com")])).await?;
    assert_eq!(other.status, 200);
    assert!(other.body.contains("value=\"bob\" autofocus"), "{}", other.body);

    let posted = browser.post("/authorize", &[("client_id", PUBLIC), ("redirect_uri", CALLBACK)]).await?;
    assert_eq!(posted.response()?["error"], "invalid_request", "POST is read as well");
    Ok(())
}

#[tokio::test]
async fn what_a_request_says_is_escaped_on_pages() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    let hostile = "/authorize?client_id=%3Cscript%3Ealert(1)%3C/script%3E&redirect_uri=x";
    let page = browser.get(hostile).await?;
    assert_eq!(page.status, 400);
    assert!(!page.body.contains("<script"), "{}", page.body);
    assert!(browser.get("/").await?.body.contains("Do not use it in production"));
    Ok(())
}

#[tokio::test]
async fn only_loopback_and_only_once_per_port() -> TestResult {
    let everywhere = Options { listen: ([0, 0, 0, 0], 0).into(), ..options() };
    assert!(matches!(Provider::start(everywhere).await, Err(StartError::NotLoopback(_))));

    let first = Provider::start(options()).await?;
    let same = Options { listen: first.address(), ..options() };
    assert!(matches!(Provider::start(same.clone()).await, Err(StartError::Listen { .. })));

    let issuer = first.issuer();
    first.shutdown().await;
    assert!(Browser::new(issuer.clone()).get("/").await.is_err(), "nobody listens");
    let second = Provider::start(same).await?;
    assert_eq!(second.issuer(), issuer);
    assert_eq!(Browser::new(issuer).get("/").await?.status, 200);
    Ok(())
}
