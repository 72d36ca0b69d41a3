//! The rows, in the order of the table.

mod identity;
mod login;
mod proxy_headers;
mod refusal;
mod session;
mod transport;
mod upgrade;

use anyhow::Result;
use futures::future::BoxFuture;

use crate::browser::{Browser, Page};
use crate::site::{Kind, Site};

/// One line of the table: what a user, and the application, can rely on.
pub struct Row {
    pub name: &'static str,
    /// The site that it needs.
    pub kind: Kind,
    pub check: for<'a> fn(&'a Site) -> BoxFuture<'a, Result<()>>,
}

// Rows that some host cannot do.
pub const MALFORMED_HOST: &str = "a malformed `Host` is 400";
pub const WEBSOCKET: &str = "a WebSocket opens with a session";
pub const CONNECTION: &str = "`Connection` takes no identity away";
pub const ADDRESS: &str = "the client's word on its address does not arrive";
pub const SPIN: &str = "nor do the client's `spin-*` headers";
pub const NOT_FOR_CACHES: &str = "a renewed session is kept out of caches";
pub const RENEWED: &str = "a session in use is renewed, all its cookies";
pub const SOCKET_FOREIGN: &str = "a WebSocket of another origin's page is 403";

/// Every row.
pub fn all() -> Vec<Row> {
    use Kind::{Fresh, Optional, Renewing, Required, Ruled};
    macro_rules! rows {
        ($($name:expr, $kind:ident: $check:path;)+) => {
            vec![$(Row { name: $name, kind: $kind, check: |site| Box::pin($check(site)) }),+]
        };
    }
    rows! {
        "login optional: everybody passes", Optional: login::anybody_passes_where_the_login_is_optional;
        "login required: a page leads to the login", Required: login::a_page_leads_to_the_login;
        "the application knows who logged in", Required: login::the_application_knows_who_logged_in;
        "a login ends on the page that asked for it", Required: login::a_login_ends_where_it_began;
        "`/.vestibule/user` tells scripts who is logged in", Required: login::scripts_learn_who_is_logged_in;
        "somebody else's callback logs nobody in", Required: login::a_callback_of_somebody_else_is_refused;
        "a logout ends the session", Required: login::a_logout_ends_the_session;
        "a script's request is 401, with the way to the login", Required: refusal::a_script_learns_where_to_log_in;
        "a form without a session is 401, and not passed on", Required: refusal::a_form_without_a_session_is_not_passed_on;
        "an image of `/.vestibule/logout` is 403", Required: refusal::an_image_logs_nobody_out;
        "a path with two readings does not pass", Required: refusal::a_path_with_two_readings_does_not_pass;
        "an encoded slash arrives as it came", Required: refusal::an_encoded_slash_arrives_as_it_came;
        MALFORMED_HOST, Required: refusal::a_malformed_host_does_not_pass;
        "identity headers of the client do not arrive", Optional: identity::claims_of_the_client_do_not_arrive;
        "nor do names that servers take for them", Optional: identity::lookalikes_do_not_arrive;
        "headers that applications take from a proxy do not arrive", Optional: proxy_headers::no_header_of_the_lists_arrives;
        "nor do other spellings and members of their families", Optional: proxy_headers::no_other_spelling_arrives;
        "`Connection` hides no header from Vestibule", Optional: proxy_headers::connection_hides_nothing;
        ADDRESS, Optional: proxy_headers::the_clients_word_on_its_address_does_not_arrive;
        SPIN, Optional: proxy_headers::what_spin_says_is_not_the_clients;
        CONNECTION, Required: identity::connection_takes_no_identity_away;
        "the client has no say in what a proxy asks", Required: identity::the_client_has_no_say_in_what_is_asked;
        "the proxy's question is not for browsers", Required: identity::the_check_tells_browsers_nothing;
        "nor where rules deny its path", Ruled: identity::the_check_tells_browsers_nothing;
        "Vestibule's cookies do not arrive, others do", Required: session::only_other_cookies_arrive;
        "a changed cookie is no session", Required: session::a_changed_cookie_is_no_session;
        "a session of many cookies", Required: session::a_session_of_many_cookies;
        RENEWED, Renewing: session::a_session_in_use_is_renewed;
        NOT_FOR_CACHES, Renewing: session::a_renewed_session_is_not_for_caches;
        "a provider that is down: new logins are 503", Fresh: refusal::a_provider_that_is_down_stops_new_logins;
        "a provider's endpoint on another network is not asked", Fresh: refusal::an_endpoint_on_another_network_is_not_asked;
        "and sessions go on", Required: session::sessions_go_on_without_the_provider;
        "a response streams", Required: transport::a_response_streams;
        "a request body streams", Required: transport::a_request_body_streams;
        "an upload of known length arrives", Required: transport::an_upload_of_known_length_arrives;
        WEBSOCKET, Required: transport::a_websocket_opens;
        "a WebSocket without a session is 401", Required: transport::a_websocket_without_a_session_is_refused;
        SOCKET_FOREIGN, Required: transport::a_websocket_of_another_origin_is_refused;
        "no other upgrade than `websocket` arrives", Ruled: upgrade::no_other_upgrade_arrives;
    }
}

/// Somebody who has logged in.
async fn logged_in(site: &Site, person: &str) -> Result<Browser> {
    let browser = Browser::new()?;
    let page = browser.log_in(&site.url("/")?, person).await?;
    expect_status(&page, 200)?;
    Ok(browser)
}

fn expect_status(page: &Page, status: u16) -> Result<()> {
    anyhow::ensure!(page.status == status, "{} instead of {status} at {}: {}", page.status, page.url, page.body);
    Ok(())
}

/// Compares, and says what was found instead.
fn expect<T: PartialEq + std::fmt::Debug>(what: &str, found: T, expected: T) -> Result<()> {
    anyhow::ensure!(found == expected, "{what} is {found:?} instead of {expected:?}");
    Ok(())
}
