//! One login on its way: what the callback must know, sealed in a cookie of its own.
//!
//! The callback finds it by the id in `state`, which says where it is ([`super::slot`]), and compares the secret in constant
//! time; what stands behind the secret is part of what it is derived from. It is deleted by whatever answer comes
//! first. A browser that keeps the cookie can send it again, so the attempt is claimed ([`LoginAttempt::claim`]) before a code of it
//! goes to the provider: where the host keeps claims, the first one wins. Elsewhere single use rests on the deletion, and on the
//! provider, which takes a code once.
//!
//! **Content.** [`Kept`] in postcard: a seed of 32 random bytes from which `state`, `nonce` and `code_verifier` are derived
//! (HKDF-SHA256, RFC 5869, a label each) as well as the name of its claim, and, compressed (DEFLATE, RFC 1951), [`Rest`]: metadata and page. The seed is not
//! compressed with a page that anybody may have chosen: the length of a cookie tells nothing of it. The dictionary is what the
//! configuration says of the provider, so that its addresses take little room.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::ended::{NAME_BYTES, Name};
use super::envelope::{Opened, Purpose};
use super::jar::CookieJar;
use super::slot::Slot;
use super::store_request::Claim;
use super::way_back::WayBack;
use super::{CLOCK_DIFFERENCE, SessionSettings};
use crate::deflate::decompress;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::oidc::authorization::AuthorizationResponse;
use crate::oidc::error as oidc;
use crate::oidc::grant::AuthorizationGrant;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::Provider;
use crate::secret::Secret;
use crate::time::UnixTime;

/// How long a person may take at the provider: enough to find a second factor.
pub(super) const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How long the page is remembered that the person was on their way to, for a provider's page that was left open.
pub(super) const REMEMBERED: Duration = Duration::from_secs(4 * 60 * 60);

/// Of a [`Rest`] before compression: metadata with seven URLs, and a page.
const MAX_REST_BYTES: usize = 64 * 1024;

/// The form of what is sealed, its first byte. An attempt of another form is none: it would live for half an hour.
pub(super) const FORM: u8 = 2;

const SEED_BYTES: usize = 32;
pub(super) const ID_BYTES: usize = 6;
pub(super) const SECTION_BYTES: usize = 8;

/// A login that was started in this browser and has not come back. Redeemed once: redeeming consumes it.
#[derive(Debug)]
pub struct LoginAttempt {
    /// The beginning of `state`; finds the attempt, proves nothing.
    id: String,
    secrets: Secrets,
    provider: String,
    return_to: String,
    page: Page,
    started_at: UnixTime,
    has_optional_prompt: bool,
    metadata: ProviderMetadata,
}

/// Where the page of an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Page {
    /// In `state`.
    State,
    /// In `state` and in the cookie.
    Both,
    /// In the cookie, which is therefore worth keeping when it logs nobody in any more.
    Cookie,
    /// Nowhere: there is no room for it.
    Lost,
}

/// An attempt as it is sealed. The order of the fields is that of the format (postcard).
#[derive(Serialize, Deserialize)]
pub(super) struct Kept<'a> {
    pub(super) form: u8,
    pub(super) id: [u8; ID_BYTES],
    pub(super) seed: [u8; SEED_BYTES],
    /// Higher than that of every attempt that this browser had when it was started.
    pub(super) number: u32,
    pub(super) started_at: UnixTime,
    /// [`section`] of the provider.
    pub(super) section: [u8; SECTION_BYTES],
    /// Whether the request had a `prompt` that can be left out where the provider does not know it.
    pub(super) has_optional_prompt: bool,
    pub(super) page: Page,
    /// [`Rest`], compressed.
    pub(super) rest: &'a [u8],
}

/// What only the callback needs.
#[derive(Serialize, Deserialize)]
pub(super) struct Rest {
    /// So that an instance that never asked the provider can finish the login.
    pub(super) metadata: ProviderMetadata,
    pub(super) return_to: String,
}

/// 256 random bits: RFC 6749 section 10.10 asks for 160 of each value that is derived.
pub(super) struct Seed(pub(super) Zeroizing<[u8; SEED_BYTES]>);

/// What is derived from the seed.
#[derive(Debug)]
pub(super) struct Secrets {
    pub(super) state: Secret,
    pub(super) nonce: Secret,
    /// 43 characters, the shortest that RFC 7636 section 4.1 allows, with 256 bits.
    pub(super) code_verifier: Secret,
    /// By which a store knows that the attempt is used. It tells nothing of the others.
    pub(super) claim: Name,
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Seed {
    pub(super) fn draw(entropy: &mut dyn Entropy) -> Self {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        entropy.fill(seed.as_mut_slice());
        Self(seed)
    }

    /// `way_back`: what stands behind the secret in `state`. Another one makes another secret.
    pub(super) fn secrets(&self, way_back: Option<&str>) -> Secrets {
        let hkdf = Hkdf::<Sha256>::new(None, self.0.as_slice());
        let expand = |label: &str, of: &str, output: &mut [u8]| {
            // Fails only beyond 255 blocks of output; this is one.
            let _ = hkdf.expand_multi_info(&[b"vestibule/1/login-attempt/", label.as_bytes(), b"/", of.as_bytes()], output);
        };
        let derive = |label: &str, of: &str| {
            let mut output = Zeroizing::new([0; 32]);
            expand(label, of, output.as_mut_slice());
            Secret::new(URL_SAFE_NO_PAD.encode(output.as_slice()))
        };
        let mut claim = [0; NAME_BYTES];
        expand("claim", "", &mut claim);
        Secrets {
            state: derive("state", way_back.unwrap_or_default()),
            nonce: derive("nonce", ""),
            code_verifier: derive("code-verifier", ""),
            claim,
        }
    }
}

/// What metadata of most providers has.
const WORDS: &str = "https://graph.microsoft.com/oidc/userinfo/oauth2/v2.0/logout/discovery/v2.0/keys/oauth2/v2.0/token/oauth2/v1/keys\
                     /oauth2/v1/userinfo/oauth2/v1/logout/.well-known/jwks.json/jwks/protocol/openid-connect/certs/protocol/openid-connect/\
                     userinfo/protocol/openid-connect/logout/protocol/openid-connect/token/oauth/token/end_session/endsession";

/// What the metadata of a provider repeats of its configuration. Part of the form: another one needs another [`FORM`].
pub(super) fn dictionary(provider: &Provider) -> Vec<u8> {
    [WORDS, provider.metadata_url.as_str()].concat().into_bytes()
}

/// A short name of a provider's section: its name, its client and where its metadata is.
pub(super) fn section(provider: &Provider) -> [u8; SECTION_BYTES] {
    let mut digest = Sha256::new();
    for part in [&provider.name, &provider.client_id, provider.metadata_url.as_str()] {
        digest.update(part);
        digest.update([0]);
    }
    let mut name = [0; SECTION_BYTES];
    name.copy_from_slice(&digest.finalize()[..SECTION_BYTES]);
    name
}

/// The provider whose section has that name. One that has become another provider since has another.
pub(super) fn of_section<'p>(providers: &'p [Provider], name: &[u8; SECTION_BYTES]) -> Option<&'p Provider> {
    providers.iter().find(|provider| section(provider) == *name)
}

/// `<id>.<secret>`, and what stands behind them.
pub(super) fn parts(state: &str) -> Option<(&str, &str, Option<&str>)> {
    let (id, rest) = state.split_once('.')?;
    Some(match rest.split_once('.') {
        Some((secret, way_back)) => (id, secret, Some(way_back)),
        None => (id, rest, None),
    })
}

impl LoginAttempt {
    /// The attempt that a `state` belongs to.
    ///
    /// # Errors
    /// [`Error::UnknownState`] when this browser has none such: started elsewhere, used, expired or forged.
    pub fn find(jar: &CookieJar, state: &str, settings: &SessionSettings, providers: &[Provider], now: UnixTime) -> Result<Self, Error> {
        let mut attempt = Self::within(LIFETIME, jar, state, settings, providers, now).ok_or(Error::UnknownState)?;
        if attempt.page == Page::State {
            attempt.return_to = WayBack::of_state(state, settings, now).map(WayBack::into_page).unwrap_or_default();
        }
        Ok(attempt)
    }

    /// The page of an attempt which has expired and logs nobody in any more, where it is nowhere else; `None` where there is no
    /// such attempt.
    pub fn expired_way_back(
        jar: &CookieJar,
        state: &str,
        settings: &SessionSettings,
        providers: &[Provider],
        now: UnixTime,
    ) -> Option<String> {
        Self::within(REMEMBERED, jar, state, settings, providers, now).map(|attempt| attempt.return_to)
    }

    fn within(
        lifetime: Duration,
        jar: &CookieJar,
        state: &str,
        settings: &SessionSettings,
        providers: &[Provider],
        now: UnixTime,
    ) -> Option<Self> {
        let (id, secret, way_back) = parts(state)?;
        let slot = Slot::of_id(id)?;
        let mut candidates = jar.attempts().filter(|(given, _)| *given == slot.name());
        let (_, sealed) = candidates.next().filter(|_| candidates.next().is_none())?;
        let attempt = Self::open(lifetime, sealed, way_back, settings, providers, now)?;
        (attempt.id == id && attempt.secrets.state.matches(secret)).then_some(attempt)
    }

    /// Spends the attempt for an authorization grant.
    ///
    /// # Errors
    /// [`oidc::Error::IssuerParameter`] when the response does not come from the provider that was asked (RFC 9207 section
    /// 2.4), which is looked at before anything else in it; then whatever error the provider reported.
    pub fn redeem(self, response: AuthorizationResponse) -> Result<AuthorizationGrant, oidc::Error> {
        self.check_issuer(response.iss())?;
        let code = response.into_code()?;
        let Self { secrets: Secrets { code_verifier, nonce, .. }, metadata, provider, return_to, started_at, .. } = self;
        Ok(AuthorizationGrant { code, code_verifier, nonce, metadata, provider, started_at, return_to })
    }

    /// Whether a response with this `iss`, or without one, comes from the provider that was asked.
    ///
    /// # Errors
    /// [`oidc::Error::IssuerParameter`] when it does not.
    pub fn check_issuer(&self, iss: Option<&str>) -> Result<(), oidc::Error> {
        let given = match iss {
            Some(iss) if iss == self.metadata.issuer => return Ok(()),
            None if !self.metadata.sends_iss => return Ok(()),
            Some(iss) => format!("names the issuer `{}` (`iss`)", oidc::shown(iss)),
            None => "has no `iss`, which the metadata promises (authorization_response_iss_parameter_supported)".to_owned(),
        };
        let expected = format!("`{}`", oidc::shown(&self.metadata.issuer));
        Err(oidc::Error::IssuerParameter { provider: self.provider.clone(), given, expected })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    /// To be granted before its code is sent to the provider. All copies of its cookie have the same.
    pub fn claim(&self) -> Claim {
        // A node whose clock is behind opens it for as much longer.
        Claim { name: self.secrets.claim, until: self.started_at.after(LIFETIME).after(CLOCK_DIFFERENCE) }
    }

    /// The end of its cookie's name.
    pub fn slot(&self) -> &'static str {
        Slot::of_id(&self.id).map(Slot::name).unwrap_or_default()
    }

    pub fn return_to(&self) -> &str {
        &self.return_to
    }

    /// Whether the person was on their way to a page which is not here: there was no room for it, or the answer has no `state`.
    pub fn has_lost_its_page(&self) -> bool {
        matches!(self.page, Page::Lost | Page::State) && self.return_to.is_empty()
    }

    pub fn provider(&self) -> &str {
        &self.provider
    }

    pub fn started_at(&self) -> UnixTime {
        self.started_at
    }

    pub fn has_optional_prompt(&self) -> bool {
        self.has_optional_prompt
    }

    pub(super) fn open(
        lifetime: Duration,
        sealed: &str,
        way_back: Option<&str>,
        settings: &SessionSettings,
        providers: &[Provider],
        now: UnixTime,
    ) -> Option<Self> {
        let Opened { plaintext, .. } = settings.keys.open(Purpose::LoginAttempt, sealed)?;
        let kept = Kept::read(&plaintext, now)?;
        // The provider of that name may have become another one since.
        let provider = of_section(providers, &kept.section)?;
        let rest = decompress(kept.rest, &dictionary(provider), MAX_REST_BYTES)?;
        let Rest { metadata, return_to } = postcard::from_bytes(&rest).ok()?;
        let is_current = provider.expected_issuer.admits_metadata(&metadata.issuer) && now < kept.started_at.after(lifetime);
        is_current.then(|| Self {
            id: URL_SAFE_NO_PAD.encode(kept.id),
            secrets: Seed(Zeroizing::new(kept.seed)).secrets(way_back),
            provider: provider.name.clone(),
            return_to,
            page: kept.page,
            started_at: kept.started_at,
            has_optional_prompt: kept.has_optional_prompt,
            metadata,
        })
    }
}

impl<'a> Kept<'a> {
    /// What was sealed, unless it is of another form, forgotten or of a clock that is not to be trusted.
    pub(super) fn read(plaintext: &'a [u8], now: UnixTime) -> Option<Self> {
        let kept: Self = postcard::from_bytes(plaintext).ok()?;
        let in_time = now < kept.started_at.after(REMEMBERED) && kept.started_at <= now.after(CLOCK_DIFFERENCE);
        (kept.form == FORM && in_time).then_some(kept)
    }
}
