//! RP-initiated logout.

use crate::browser::{Browser, CONFIDENTIAL, PUBLIC, SIGNED_OUT, TestResult, authorization_query, options};
use url::form_urlencoded;
use vestibule_dev_provider::Provider;

fn logout(parameters: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
    format!("/end_session?{query}")
}

async fn is_signed_on(browser: &mut Browser) -> TestResult<bool> {
    let query = authorization_query(PUBLIC, &[("prompt", "none")]);
    Ok(browser.get(&format!("/authorize?{query}")).await?.response()?.contains_key("code"))
}

async fn id_token(browser: &mut Browser, person: &str) -> TestResult<String> {
    Ok(browser.tokens(person).await?["id_token"].as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
async fn with_a_hint_the_browser_goes_straight_back() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    let hint = id_token(&mut browser, "alice").await?;
    assert!(is_signed_on(&mut browser).await?);

    provider.rotate_key().await?;
    let request =
        [("id_token_hint", hint.as_str()), ("client_id", CONFIDENTIAL.0), ("post_logout_redirect_uri", SIGNED_OUT), ("state", "a b")];
    let reply = browser.get(&logout(&request)).await?;
    assert_eq!(reply.location()?.as_str(), format!("{SIGNED_OUT}?state=a+b"));
    assert!(!is_signed_on(&mut browser).await?);
    Ok(())
}

#[tokio::test]
async fn an_expired_hint_still_counts() -> TestResult {
    let provider = Provider::start(options()).await?;
    provider.faults().script(|it| {
        it.edit_id_token = Some(Box::new(|claims| {
            claims.insert("iat".into(), 1_700_000_000.into());
            claims.insert("exp".into(), 1_700_000_001.into());
        }));
    });
    let mut browser = Browser::new(provider.issuer());
    let hint = id_token(&mut browser, "alice").await?;
    let reply = browser.get(&logout(&[("id_token_hint", &hint), ("post_logout_redirect_uri", SIGNED_OUT)])).await?;
    assert_eq!(reply.location()?.as_str(), SIGNED_OUT);
    Ok(())
}

#[tokio::test]
async fn without_proof_the_person_is_asked() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    let bobs = id_token(&mut browser, "bob").await?;
    let alices = id_token(&mut browser, "alice").await?;
    let forged = format!("{}x", &alices[..alices.len() - 1]);
    let back = ("post_logout_redirect_uri", SIGNED_OUT);
    let client = ("client_id", CONFIDENTIAL.0);
    for request in [vec![], vec![client, back], vec![("id_token_hint", &forged), client, back], vec![("id_token_hint", &bobs), back]] {
        let page = browser.get(&logout(&request)).await?;
        assert_eq!(page.status, 200, "{request:?}");
        assert!(page.body.contains("/end_session/confirmed?"));
        assert!(is_signed_on(&mut browser).await?, "{request:?}");
    }

    let confirmed = logout(&[client, back]).replacen("/end_session", "/end_session/confirmed", 1);
    let reply = browser.post(&confirmed, &[("confirm", "yes")]).await?;
    assert_eq!(reply.location()?.as_str(), SIGNED_OUT);
    assert!(!is_signed_on(&mut browser).await?);
    Ok(())
}

#[tokio::test]
async fn nobody_is_sent_to_an_unregistered_address() -> TestResult {
    let provider = Provider::start(options()).await?;
    let mut browser = Browser::new(provider.issuer());
    let hint = id_token(&mut browser, "alice").await?;
    let hint = ("id_token_hint", hint.as_str());
    let elsewhere = ("post_logout_redirect_uri", "http://127.0.0.1:8501/elsewhere");
    let registered = ("post_logout_redirect_uri", SIGNED_OUT);
    for request in [
        vec![hint, elsewhere],
        vec![("client_id", CONFIDENTIAL.0), elsewhere],
        vec![registered],
        vec![("client_id", "nobody"), registered],
        vec![hint, ("client_id", PUBLIC), registered],
    ] {
        let reply = browser.get(&logout(&request)).await?;
        assert_eq!((reply.status, reply.header("location")), (400, ""), "{request:?}");
        assert!(is_signed_on(&mut browser).await?, "{request:?}");
    }
    Ok(())
}
