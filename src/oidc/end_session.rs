//! RP-initiated logout (OpenID Connect RP-Initiated Logout 1.0, section 2).

use url::Url;

use crate::oidc::provider::Provider;
use crate::secret::Secret;

/// Longest URL that servers are known to take in a request line. A hint that does not fit is left out.
pub(super) const MAX_URL_BYTES: usize = 7 * 1024;

/// Longest ID token that is kept for a hint, in bytes. With the address around it, it stays below the 4 KiB that some providers
/// take in a request line.
pub const MAX_HINT_BYTES: usize = 2400;

/// Where to send the browser so that the provider ends its session too.
pub fn request(
    endpoint: &Url,
    provider: &Provider,
    post_logout_redirect_uri: &Url,
    id_token_hint: Option<&Secret>,
    logout_hint: Option<&str>,
    state: &str,
) -> Url {
    let mut url = endpoint.clone();
    url.query_pairs_mut()
        .append_pair("client_id", &provider.client_id)
        .append_pair("post_logout_redirect_uri", post_logout_redirect_uri.as_str())
        .append_pair("state", state);
    let mut add_if_it_fits = |name: &str, value: &str| {
        let mut longer = url.clone();
        longer.query_pairs_mut().append_pair(name, value);
        if longer.as_str().len() <= MAX_URL_BYTES {
            url = longer;
        }
    };
    if let Some(hint) = id_token_hint {
        add_if_it_fits("id_token_hint", hint.expose());
    }
    if let Some(hint) = logout_hint {
        add_if_it_fits("logout_hint", hint);
    }
    url
}
