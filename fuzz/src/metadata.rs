//! Provider metadata: only that of the issuer that was asked for is used, and only endpoints that may be asked.

use std::sync::LazyLock;

use serde_json::Value;
use url::{Host, Url};
use vestibule::decision::{Decision, Outcome};
use vestibule::entropy::Fixed;
use vestibule::filter::{Filter, Step, Surroundings};
use vestibule::oidc::cache::ProviderCache;
use vestibule::oidc::metadata::ProviderMetadata;
use vestibule::session::NothingEnded;
use vestibule::time::UnixTime;
use vestibule::web::http::{OutboundResponse, RequestHead};

use super::site::{self, HOST, NOW, PLAIN};

const GUID: &str = "9188040d-6c67-4c5b-b112-36a304b66dad";

/// The plain site's provider, one on this machine, and Entra for everybody and for one tenant.
static SITES: LazyLock<[Filter; 4]> = LazyLock::new(|| {
    let entra = |tenant: &str| format!("https://login.microsoftonline.com/{tenant}/v2.0");
    ["https://op.example".to_owned(), "http://localhost:9000".to_owned(), entra("common"), entra(GUID)]
        .map(|issuer| site::of(&PLAIN.replace("https://op.example", &issuer)))
});

/// `data` is the answer's body.
pub fn run(data: &[u8]) {
    SITES.iter().for_each(|filter| read(filter, data));
}

fn read(filter: &Filter, data: &[u8]) {
    let provider = filter.config().provider("default").expect("a provider");
    let answer = || Ok(OutboundResponse { status: 200, headers: vec![], body: data.to_vec() });
    let parsed = ProviderMetadata::parse(answer(), provider);
    if let Ok(metadata) = &parsed {
        // The core does not look into members that it does not know; a text in which one of them is no text is none here.
        if let Ok(document) = serde_json::from_slice::<Value>(data) {
            assert_eq!(document["issuer"], *metadata.issuer);
        }
        assert_issuer(&metadata.issuer, provider.metadata_url.as_str());
        let endpoints = [&metadata.authorization_endpoint, &metadata.userinfo_endpoint, &metadata.end_session_endpoint];
        let endpoints = endpoints.into_iter().flatten().chain([&metadata.token_endpoint, &metadata.jwks_uri]);
        endpoints.for_each(|endpoint| assert_may_be_asked(endpoint, &provider.metadata_url));
        // It travels in the login attempt.
        let kept: ProviderMetadata = postcard::from_bytes(&postcard::to_allocvec(metadata).expect("bytes")).expect("the same again");
        assert_eq!(
            kept,
            ProviderMetadata {
                authorization_endpoint: None,
                takes_account_prompt: false,
                ignored: vec![],
                lacks_userinfo: None,
                ..metadata.clone()
            }
        );
    }

    let (mut cache, mut entropy, now) = (ProviderCache::default(), Fixed::default(), UnixTime::from_secs(NOW));
    let login = RequestHead::get("/auth/login", HOST);
    let Step::Fetch(_, waiting) =
        filter.begin(login.clone(), None, &mut Surroundings { cache: &mut cache, now, entropy: &mut entropy, ended: &NothingEnded })
    else {
        panic!("it asks for metadata")
    };
    let step = waiting.resume(answer(), filter, &mut Surroundings { cache: &mut cache, now, entropy: &mut entropy, ended: &NothingEnded });
    let Step::Done(Decision { outcome: Outcome::Respond(response), .. }) = step else { panic!("a redirect, or an error") };
    match (response.status, parsed) {
        (302, Ok(metadata)) => {
            let location = Url::parse(response.header("location").expect("a location")).expect("a URL");
            let endpoint = metadata.authorization_endpoint.expect("an endpoint");
            assert_eq!((location.origin(), location.path()), (endpoint.origin(), endpoint.path()));
            assert_eq!(location.query_pairs().filter(|(name, _)| name == "code_challenge").count(), 1 + count(&endpoint, "code_challenge"));
        }
        // Metadata that does not fit into a cookie.
        (status, Ok(_)) => assert!(data.len() > 1000 && status == 500, "{status}"),
        (status, Err(_)) => assert_eq!(status, 502),
    }
    assert_eq!(site::cookies_set(&response.headers).count(), usize::from(response.status == 302));
}

fn count(endpoint: &Url, parameter: &str) -> usize {
    endpoint.query_pairs().filter(|(name, _)| name == parameter).count()
}

fn assert_issuer(issuer: &str, metadata_url: &str) {
    let expected = metadata_url.strip_suffix("/.well-known/openid-configuration").expect("a metadata URL");
    if expected.contains("/common/") {
        assert!(issuer.starts_with("https://login.microsoftonline.com/") && issuer.ends_with("/v2.0") && issuer.split('/').count() == 5);
    } else {
        assert_eq!(issuer.strip_suffix('/').unwrap_or(issuer), expected);
    }
}

fn assert_may_be_asked(endpoint: &Url, metadata_url: &Url) {
    let is_here = match endpoint.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost") || name == "localhost.",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    assert!(endpoint.scheme() == "https" || (endpoint.scheme() == "http" && is_here && metadata_url.scheme() == "http"), "{endpoint}");
    assert!(endpoint.username().is_empty() && endpoint.password().is_none() && endpoint.fragment().is_none(), "{endpoint}");
}
