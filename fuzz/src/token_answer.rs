//! The token response: what is not one is refused, and nothing in it is believed but a verified ID token.

use std::sync::LazyLock;

use serde_json::Value;
use vestibule::decision::{Decision, Outcome};
use vestibule::entropy::Fixed;
use vestibule::filter::{Filter, Step, Surroundings};
use vestibule::oidc::cache::ProviderCache;
use vestibule::oidc::token::TokenResponse;
use vestibule::session::NothingEnded;
use vestibule::time::UnixTime;
use vestibule::web::http::{OutboundError, OutboundResponse};

use super::provider::{ACCESS_TOKEN, Provider};
use super::site::{self, NOW, is_session};
use super::visitor::{self, Started};

struct Site {
    filter: Filter,
    started: Started,
    provider: Provider,
    id_token: String,
}

/// Keys twice, or metadata and keys.
const MAX_FURTHER_REQUESTS: usize = 4;

static SITE: LazyLock<Site> = LazyLock::new(|| {
    let (filter, provider) = (site::filter(""), Provider::default());
    let started = visitor::start(&filter, "/reports");
    let claims = provider.claims("alice", &started.nonce, NOW).to_string();
    let id_token = provider.sign(provider.header().to_string().as_bytes(), claims.as_bytes());
    Site { filter, started, provider, id_token }
});

/// `data` is two bytes of status and the body. In it, the control character 1 stands for the right ID token, 2 for the
/// access token that it belongs to.
pub fn run(data: &[u8]) {
    let Some((status, body)) = data.split_first_chunk::<2>() else { return };
    let written = |&byte: &u8| match byte {
        1 => SITE.id_token.clone().into_bytes(),
        2 => ACCESS_TOKEN.as_bytes().to_vec(),
        _ => vec![byte],
    };
    let body: Vec<u8> = body.iter().flat_map(written).collect();
    let answer = OutboundResponse { status: u16::from_be_bytes(*status) % 1000, headers: vec![], body: body.clone() };
    let provider = SITE.filter.config().provider("default").expect("a provider");
    let parsed = TokenResponse::parse(Ok(answer.clone()), provider, &[]);
    match &parsed {
        // The core does not look into members that it does not know; a text in which one of them is no text is none here.
        Ok(tokens) => {
            if let Ok(document) = serde_json::from_slice::<Value>(&body) {
                let said = |name: &str| document[name].as_str().unwrap_or_default();
                assert!(answer.status == 200 && said("token_type").eq_ignore_ascii_case("bearer"));
                assert_eq!((tokens.id_token.expose(), tokens.access_token.expose()), (said("id_token"), said("access_token")));
            }
        }
        // What goes into the log says nothing of the tokens.
        Err(error) => assert!(!format!("{error} {error:?}").contains(&SITE.id_token)),
    }
    let is_right =
        parsed.as_ref().is_ok_and(|tokens| tokens.id_token.expose() == SITE.id_token && tokens.access_token.expose() == ACCESS_TOKEN);

    let (mut cache, mut entropy, now) = (ProviderCache::default(), Fixed::default(), UnixTime::from_secs(NOW));
    let callback = visitor::head(&visitor::callback(&SITE.started.state), &SITE.started.cookies);
    let mut around = Surroundings { cache: &mut cache, now, entropy: &mut entropy, ended: &NothingEnded };
    let begun = SITE.filter.begin(callback.clone(), None, &mut around);
    let Step::Fetch(_, waiting) = site::granted(begun, &SITE.filter, &mut around) else { panic!("it redeems the code") };
    let mut step =
        waiting.resume(Ok(answer), &SITE.filter, &mut Surroundings { cache: &mut cache, now, entropy: &mut entropy, ended: &NothingEnded });
    for _ in 0..MAX_FURTHER_REQUESTS {
        let Step::Fetch(request, waiting) = step else { break };
        let answer = match request.url.path() {
            "/jwks" => Ok(visitor::json(&SITE.provider.jwks())),
            // An endpoint that has gone, and credentials in the other spelling.
            _ => {
                assert!(parsed.is_err());
                Err(OutboundError::TimedOut)
            }
        };
        step =
            waiting.resume(answer, &SITE.filter, &mut Surroundings { cache: &mut cache, now, entropy: &mut entropy, ended: &NothingEnded });
    }
    let Step::Done(Decision { outcome: Outcome::Respond(response), .. }) = step else { panic!("a redirect, or an error") };
    let is_logged_in = site::cookies_set(&response.headers).any(|(name, _)| is_session(&name));
    assert_eq!(is_logged_in, is_right);
    assert!(if is_logged_in { response.status == 302 } else { matches!(response.status, 502 | 503) }, "{}", response.status);
}
