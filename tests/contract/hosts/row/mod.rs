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
pub const MALFORMED_HOST: &str = "a malformed `Host` gets 400";
pub const WEBSOCKET: &str = "a WebSocket opens with a session";
pub const CONNECTION: &str = "`Connection` removes no header with the user";
pub const ADDRESS: &str = "a client's `X-Forwarded-For` and similar headers are removed";
pub const REQUEST_NAME: &str = "a client does not choose `X-Request-Id`";
pub const SPIN: &str = "a client's `spin-*` headers are removed";
pub const NOT_FOR_CACHES: &str = "a response with a renewed session is not cached";
pub const RENEWED: &str = "a session in use is renewed, with all its cookies";
pub const REFRESHED: &str = "an access token is refreshed, and the browser gets all new cookies";
pub const SOCKET_FOREIGN: &str = "a WebSocket of another origin's page gets 403";

/// Every row.
pub fn all() -> Vec<Row> {
    use Kind::{Fresh, Optional, Refreshing, Renewing, Required, Ruled};
    macro_rules! rows {
        ($($name:expr, $kind:ident: $check:path;)+) => {
            vec![$(Row { name: $name, kind: $kind, check: |site| Box::pin($check(site)) }),+]
        };
    }
    rows! {
        "login optional: requests without a session pass", Optional: login::anybody_passes_where_the_login_is_optional;
        "login required: a page redirects to the login", Required: login::a_page_leads_to_the_login;
        "the application receives the user", Required: login::the_application_knows_who_logged_in;
        "a login ends on the page that was requested", Required: login::a_login_ends_where_it_began;
        "`/.vestibule/user` returns the user", Required: login::scripts_learn_who_is_logged_in;
        "a callback of another browser's login starts no session", Required: login::a_callback_of_somebody_else_is_refused;
        "a logout ends the session", Required: login::a_logout_ends_the_session;
        "a script's request gets 401, with the login's address", Required: refusal::a_script_learns_where_to_log_in;
        "a form without a session gets 401, and is not forwarded", Required: refusal::a_form_without_a_session_is_not_passed_on;
        "an image of `/.vestibule/logout` gets 403", Required: refusal::an_image_logs_nobody_out;
        "a path with two readings is rejected", Required: refusal::a_path_with_two_readings_does_not_pass;
        "bytes in a path that are not UTF-8 lead past no rule", Ruled: refusal::bytes_that_are_no_text_lead_past_no_rule;
        "an encoded slash is forwarded unchanged", Required: refusal::an_encoded_slash_arrives_as_it_came;
        MALFORMED_HOST, Required: refusal::a_malformed_host_does_not_pass;
        "a client's headers with the user are removed", Optional: identity::claims_of_the_client_do_not_arrive;
        "so are names that servers read as them", Optional: identity::lookalikes_do_not_arrive;
        "headers that applications trust from a proxy are removed", Optional: proxy_headers::no_header_of_the_lists_arrives;
        "so are their other spellings and families", Optional: proxy_headers::no_other_spelling_arrives;
        "`Connection` hides no header from Vestibule", Optional: proxy_headers::connection_hides_nothing;
        ADDRESS, Optional: proxy_headers::the_clients_word_on_its_address_does_not_arrive;
        REQUEST_NAME, Optional: proxy_headers::the_client_does_not_name_its_request;
        SPIN, Optional: proxy_headers::what_spin_says_is_not_the_clients;
        CONNECTION, Required: identity::connection_takes_no_identity_away;
        "a client cannot change what a proxy asks", Required: identity::the_client_has_no_say_in_what_is_asked;
        "a browser cannot ask the proxy's question", Required: identity::the_check_tells_browsers_nothing;
        "the same with rules that deny its path", Ruled: identity::the_check_tells_browsers_nothing;
        "Vestibule's cookies are removed, others are forwarded", Required: session::only_other_cookies_arrive;
        "a changed cookie does not open", Required: session::a_changed_cookie_is_no_session;
        "a session of many cookies opens", Required: session::a_session_of_many_cookies;
        RENEWED, Renewing: session::a_session_in_use_is_renewed;
        NOT_FOR_CACHES, Renewing: session::a_renewed_session_is_not_for_caches;
        REFRESHED, Refreshing: session::an_access_token_is_refreshed;
        "`/.vestibule/refresh` answers pages of the application only", Refreshing: session::a_script_is_answered_and_another_origin_is_not;
        "provider down: new logins get 503", Fresh: refusal::a_provider_that_is_down_stops_new_logins;
        "a provider's endpoint on another network is not contacted", Fresh: refusal::an_endpoint_on_another_network_is_not_asked;
        "provider down: sessions continue", Required: session::sessions_go_on_without_the_provider;
        "a response streams", Required: transport::a_response_streams;
        "a request body streams", Required: transport::a_request_body_streams;
        "an upload of known length arrives", Required: transport::an_upload_of_known_length_arrives;
        WEBSOCKET, Required: transport::a_websocket_opens;
        "a WebSocket without a session gets 401", Required: transport::a_websocket_without_a_session_is_refused;
        SOCKET_FOREIGN, Required: transport::a_websocket_of_another_origin_is_refused;
        "no upgrade but `websocket` is forwarded", Ruled: upgrade::no_other_upgrade_arrives;
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
