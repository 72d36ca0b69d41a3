//! What the OpenID Foundation's client tests show a relying party: one test for each module, under its name.
//!
//! Those of logout are in `end_session.rs`.

use serde_json::{Map, Value, json};

use crate::browser::Page;
use crate::site::Kind;
use crate::tokens::{with_algorithm, without_signature};
use crate::visitor::Visitor;

crate::tests![
    oidcc_client_test,
    oidcc_client_test_idtoken_sig_rs256,
    oidcc_client_test_client_secret_basic,
    oidcc_client_test_scope_userinfo_claims,
    oidcc_client_test_invalid_iss,
    oidcc_client_test_invalid_aud,
    oidcc_client_test_nonce_invalid,
    oidcc_client_test_missing_sub,
    oidcc_client_test_missing_iat,
    oidcc_client_test_missing_aud,
    oidcc_client_test_kid_absent_single_jwks,
    oidcc_client_test_kid_absent_multiple_jwks,
    oidcc_client_test_idtoken_sig_none,
    oidcc_client_test_invalid_sig_rs256,
    oidcc_client_test_invalid_sig_es256,
    oidcc_client_test_invalid_sig_hs256,
    oidcc_client_test_userinfo_invalid_sub,
    oidcc_client_test_discovery_issuer_mismatch,
    oidcc_client_test_signing_key_rotation,
    oidcc_client_test_signing_key_rotation_just_before_signing,
    fapi2_client_test_invalid_authorization_response_iss,
    fapi2_client_test_remove_authorization_response_iss,
    fapi2_client_test_invalid_missing_state,
    fapi2_client_test_invalid_secondary_aud,
    fapi2_client_test_valid_aud_as_array,
    fapi2_client_test_invalid_expired_exp,
    fapi2_client_test_invalid_missing_exp,
    fapi2_client_test_invalid_alternate_alg,
    fapi2_client_test_token_type_case_insensitivity,
    fapi2_client_test_without_expires_in,
];

/// Changes the claims of the ID token.
fn claims(visitor: &Visitor, change: impl Fn(&mut Map<String, Value>) + Send + Sync + 'static) {
    visitor.script(|script| script.edit_id_token = Some(Box::new(change)));
}

/// Puts a `1` behind a claim of text, as the modules do.
fn spoil(visitor: &Visitor, name: &'static str) {
    claims(visitor, move |claims| {
        let spoilt = format!("{}1", claims[name].as_str().expect("text"));
        claims.insert(name.to_owned(), spoilt.into());
    });
}

fn remove(visitor: &Visitor, name: &'static str) {
    claims(visitor, move |claims| drop(claims.remove(name)));
}

async fn oidcc_client_test() {
    Visitor::new().await.gets_in().await;
}

async fn oidcc_client_test_idtoken_sig_rs256() {
    Visitor::with(Kind::Rs256).await.gets_in().await;
}

async fn oidcc_client_test_client_secret_basic() {
    let visitor = Visitor::new().await;
    visitor.script(|script| script.basic_only = true);
    visitor.gets_in().await;
}

async fn oidcc_client_test_scope_userinfo_claims() {
    let visitor = Visitor::with(Kind::Userinfo).await;
    visitor.script(|script| script.edit_userinfo = Some(Box::new(|claims| drop(claims.insert("locale".into(), "de".into())))));
    visitor.gets_in().await;
    assert_eq!(visitor.provider.running.requests("/userinfo"), 1);
    let user: Value = serde_json::from_str(&visitor.browser.fetch(&visitor.site.url("/.vestibule/user")).await.body).expect("JSON");
    assert_eq!((&user["locale"], &user["email"]), (&json!("de"), &json!("alice@example.com")));
}

async fn oidcc_client_test_invalid_iss() {
    let visitor = Visitor::new().await;
    spoil(&visitor, "iss");
    visitor.is_refused(502, "id_token.issuer").await;
}

async fn oidcc_client_test_invalid_aud() {
    let visitor = Visitor::new().await;
    spoil(&visitor, "aud");
    visitor.is_refused(502, "id_token.audience").await;
}

async fn oidcc_client_test_nonce_invalid() {
    let visitor = Visitor::new().await;
    spoil(&visitor, "nonce");
    visitor.is_refused(502, "id_token.nonce").await;
}

async fn oidcc_client_test_missing_sub() {
    let visitor = Visitor::new().await;
    remove(&visitor, "sub");
    visitor.is_refused(502, "id_token.subject").await;
}

async fn oidcc_client_test_missing_iat() {
    let visitor = Visitor::new().await;
    remove(&visitor, "iat");
    visitor.is_refused(502, "id_token.issued_at").await;
}

async fn oidcc_client_test_missing_aud() {
    let visitor = Visitor::new().await;
    remove(&visitor, "aud");
    visitor.is_refused(502, "id_token.audience").await;
}

async fn oidcc_client_test_kid_absent_single_jwks() {
    let visitor = Visitor::new().await;
    visitor.script(|script| script.omit_kid = true);
    visitor.gets_in().await;
}

async fn oidcc_client_test_kid_absent_multiple_jwks() {
    let visitor = Visitor::new().await;
    // The key before the rotation stays published, and fits as well.
    visitor.provider.running.rotate_key().await.expect("a key");
    visitor.script(|script| script.omit_kid = true);
    visitor.gets_in().await;
}

async fn oidcc_client_test_idtoken_sig_none() {
    let visitor = Visitor::new().await;
    visitor.script(|script| script.replace_id_token = Some(Box::new(|token| without_signature(&with_algorithm(&token, "none")))));
    visitor.is_refused(502, "id_token.signature").await;
}

async fn oidcc_client_test_invalid_sig_rs256() {
    let visitor = Visitor::with(Kind::Rs256).await;
    visitor.script(|script| script.break_signature = true);
    visitor.is_refused(502, "id_token.signature").await;
}

async fn oidcc_client_test_invalid_sig_es256() {
    let visitor = Visitor::with(Kind::Es256).await;
    visitor.script(|script| script.break_signature = true);
    visitor.is_refused(502, "id_token.signature").await;
}

async fn oidcc_client_test_invalid_sig_hs256() {
    let visitor = Visitor::new().await;
    visitor.script(|script| {
        script.break_signature = true;
        script.replace_id_token = Some(Box::new(|token| with_algorithm(&token, "HS256")));
    });
    visitor.is_refused(502, "id_token.algorithm").await;
}

async fn oidcc_client_test_userinfo_invalid_sub() {
    let visitor = Visitor::with(Kind::Userinfo).await;
    visitor.script(|script| script.edit_userinfo = Some(Box::new(|claims| drop(claims.insert("sub".into(), "aliceinvalid".into())))));
    visitor.is_refused(502, "userinfo.invalid").await;
}

async fn oidcc_client_test_discovery_issuer_mismatch() {
    let visitor = Visitor::new().await;
    visitor.script(|script| script.discovery_issuer = Some("https://other.example".into()));
    let page = visitor.start().await;
    visitor.got_nothing(&page, 502, "metadata.invalid").await;
    assert_eq!((visitor.provider.running.requests("/authorize"), visitor.redeemed()), (0, 0));
}

async fn oidcc_client_test_signing_key_rotation() {
    let visitor = Visitor::new().await;
    visitor.gets_in().await;
    visitor.provider.running.rotate_key().await.expect("a key");
    visitor.another().gets_in().await;
    assert_eq!(visitor.provider.running.requests("/jwks"), 2);
}

async fn oidcc_client_test_signing_key_rotation_just_before_signing() {
    let visitor = Visitor::new().await;
    visitor.gets_in().await;
    let next = visitor.another();
    let callback = next.callback().await;
    visitor.provider.running.rotate_key().await.expect("a key");
    next.is_let_in(&callback).await;
    assert_eq!(visitor.provider.running.requests("/jwks"), 2);
}

/// Opens the callback after it was changed, and expects that nothing was redeemed.
async fn changed_callback(visitor: &Visitor, change: impl Fn(&mut Vec<(String, String)>), status: u16, code: &str) {
    let mut callback = visitor.callback().await;
    let mut pairs: Vec<_> = callback.query_pairs().into_owned().collect();
    change(&mut pairs);
    callback.query_pairs_mut().clear().extend_pairs(&pairs);
    let page: Page = visitor.open(&callback).await;
    visitor.got_nothing(&page, status, code).await;
    assert_eq!(visitor.redeemed(), 0, "there was no token request");
}

async fn fapi2_client_test_invalid_authorization_response_iss() {
    let visitor = Visitor::new().await;
    let spoil =
        |pairs: &mut Vec<(String, String)>| pairs.iter_mut().filter(|(name, _)| name == "iss").for_each(|(_, value)| value.push('1'));
    changed_callback(&visitor, spoil, 400, "callback.issuer_mismatch").await;
}

async fn fapi2_client_test_remove_authorization_response_iss() {
    let visitor = Visitor::new().await;
    changed_callback(&visitor, |pairs| pairs.retain(|(name, _)| name != "iss"), 400, "callback.issuer_mismatch").await;
}

async fn fapi2_client_test_invalid_missing_state() {
    let visitor = Visitor::new().await;
    changed_callback(&visitor, |pairs| pairs.retain(|(name, _)| name != "state"), 400, "callback.malformed").await;
}

async fn fapi2_client_test_invalid_secondary_aud() {
    let visitor = Visitor::new().await;
    claims(&visitor, |claims| drop(claims.insert("aud".into(), json!(["vestibule-demo", "another-client"]))));
    visitor.is_refused(502, "id_token.audience").await;
}

async fn fapi2_client_test_valid_aud_as_array() {
    let visitor = Visitor::new().await;
    claims(&visitor, |claims| drop(claims.insert("aud".into(), json!(["vestibule-demo"]))));
    visitor.gets_in().await;
}

async fn fapi2_client_test_invalid_expired_exp() {
    let visitor = Visitor::new().await;
    claims(&visitor, |claims| {
        let issued_at = claims["iat"].as_u64().expect("a date");
        claims.insert("exp".into(), (issued_at - 300).into());
    });
    visitor.is_refused(502, "id_token.expired").await;
}

async fn fapi2_client_test_invalid_missing_exp() {
    let visitor = Visitor::new().await;
    remove(&visitor, "exp");
    visitor.is_refused(502, "id_token.expired").await;
}

async fn fapi2_client_test_invalid_alternate_alg() {
    let visitor = Visitor::with(Kind::Es256).await;
    // A good signature of an algorithm that we know, and that this provider does not use.
    visitor.script(|script| {
        script.edit_metadata =
            Some(Box::new(|metadata| drop(metadata.insert("id_token_signing_alg_values_supported".into(), json!(["PS256"])))));
    });
    visitor.is_refused(502, "id_token.algorithm").await;
}

async fn fapi2_client_test_token_type_case_insensitivity() {
    let visitor = Visitor::new().await;
    visitor
        .script(|script| script.edit_token_response = Some(Box::new(|tokens| drop(tokens.insert("token_type".into(), "bEaReR".into())))));
    visitor.gets_in().await;
}

async fn fapi2_client_test_without_expires_in() {
    let visitor = Visitor::new().await;
    visitor.script(|script| script.edit_token_response = Some(Box::new(|tokens| drop(tokens.remove("expires_in")))));
    visitor.gets_in().await;
}
