//! RP-initiated logout, as the OpenID Foundation's client tests show it to a relying party.

use reqwest::{StatusCode, Url};

use crate::visitor::Visitor;

crate::tests![
    oidcc_client_test_rp_init_logout,
    oidcc_client_test_rp_init_logout_other_state,
    oidcc_client_test_rp_init_logout_no_state,
    a_copied_session_ends_with_its_logout,
];

/// Logs in and out; where the provider sends the browser then.
async fn logged_out(visitor: &Visitor) -> Url {
    visitor.gets_in().await;
    let asked = visitor.visit("/.vestibule/logout").await.location.expect("a logout at the provider");
    assert_eq!(asked.path(), "/end_session");
    assert!(asked.query_pairs().any(|(name, value)| name == "id_token_hint" && value.split('.').count() == 3));
    let back = visitor.browser.step(reqwest::Method::GET, asked, None).await;
    back.location.unwrap_or_else(|| panic!("the provider asks: {}", back.body))
}

async fn stays_out(visitor: &Visitor, landing: &Url) {
    let seen = visitor.site.app.saw(&visitor.page);
    let page = visitor.open(landing).await;
    assert_eq!(page.status, StatusCode::OK, "no error page: {}", page.body);
    assert!(page.body.contains("You are logged out"), "{}", page.body);
    assert_eq!(visitor.browser.fetch(&visitor.site.url(&visitor.page)).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(visitor.site.app.saw(&visitor.page), seen);
}

async fn oidcc_client_test_rp_init_logout() {
    let visitor = Visitor::new().await;
    let landing = logged_out(&visitor).await;
    assert!(landing.query_pairs().any(|(name, value)| name == "state" && !value.is_empty()));
    stays_out(&visitor, &landing).await;
}

async fn oidcc_client_test_rp_init_logout_other_state() {
    let visitor = Visitor::new().await;
    let mut landing = logged_out(&visitor).await;
    landing.query_pairs_mut().clear().append_pair("state", "another");
    stays_out(&visitor, &landing).await;
}

async fn oidcc_client_test_rp_init_logout_no_state() {
    let visitor = Visitor::new().await;
    let mut landing = logged_out(&visitor).await;
    landing.set_query(None);
    stays_out(&visitor, &landing).await;
}

/// Who has kept a copy of the cookies has kept nothing, on this node.
async fn a_copied_session_ends_with_its_logout() {
    let visitor = Visitor::new().await;
    visitor.gets_in().await;
    let copied = visitor.browser.cookies(&visitor.site.url(&visitor.page).parse().expect("a URL"));
    let asks = async || {
        let (head, _) = visitor.raw("GET", &visitor.page, &[("Sec-Fetch-Mode", "cors"), ("Cookie", &copied)]).await;
        head.status()
    };
    assert_eq!(asks().await, 200);
    visitor.visit("/.vestibule/logout").await;
    assert_eq!(asks().await, 401);
    visitor.gets_in().await;
    assert_eq!(asks().await, 401, "another login does not bring the first one back");
}
