//! What a provider is started with.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::client::{AllowedUris, Client};
use crate::person::Person;
use crate::signing_key::SigningAlgorithm;

/// What a provider is started with.
#[derive(Debug, Clone)]
pub struct Options {
    /// Loopback only. Port 0 (the default is `127.0.0.1:0`) takes a free one.
    pub listen: SocketAddr,
    /// Default: one client `vestibule-demo` with the secret `vestibule-demo-secret` and any loopback address.
    pub clients: Vec<Client>,
    /// Default: [`Person::ready_made`].
    pub people: Vec<Person>,
    /// Default: RS256, the one every provider must have.
    pub signing_algorithm: SigningAlgorithm,
    /// How long ID tokens and access tokens are valid, in whole seconds. Default: one hour.
    pub token_lifetime: Duration,
    /// Whether it issues refresh tokens for the scope `offline_access`, each for one use (RFC 9700 section 4.14.2), and revokes tokens
    /// (RFC 7009). Default: no.
    pub refresh_tokens: bool,
    /// For how long a refresh token can be used again, in whole seconds; later, a second use ends the login. Default: 10 seconds.
    pub refresh_leeway: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            clients: vec![Client {
                client_id: "vestibule-demo".to_owned(),
                client_secret: Some("vestibule-demo-secret".to_owned()),
                redirect_uris: AllowedUris::AnyLoopback,
                post_logout_redirect_uris: AllowedUris::AnyLoopback,
            }],
            people: Person::ready_made(),
            signing_algorithm: SigningAlgorithm::Rs256,
            token_lifetime: Duration::from_secs(60 * 60),
            refresh_tokens: false,
            refresh_leeway: Duration::from_secs(10),
        }
    }
}
