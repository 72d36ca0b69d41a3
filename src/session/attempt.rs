//! One login on its way: what the callback must know, sealed in a cookie of its own.
//!
//! The callback finds it by the id in `state` and compares the secret in constant time; what stands behind the secret is
//! part of what it is derived from. It is deleted by whatever answer comes
//! first. Without a store, single use rests on that deletion and on the provider, which takes a code once.
//!
//! **Content.** [`Kept`] in postcard: a seed of 32 random bytes from which `state`, `nonce` and `code_verifier` are derived
//! (HKDF-SHA256, RFC 5869, a label each), and, compressed (DEFLATE, RFC 1951), [`Rest`]: metadata and page. The seed is not
//! compressed with a page that anybody may have chosen: the length of a cookie tells nothing of it.
//!
//! **Room.** All attempts of a browser share [`MAX_PENDING_BYTES`]. The oldest makes room, by a number and not by its second.
//! A page that `state` leads back to ([`WayBack`]) is kept here only where it is short: an answer without a `state` may ask.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hkdf::Hkdf;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::envelope::{Opened, Purpose};
use super::jar::{CookieJar, CookieWriter, MAX_ATTEMPT_BYTES};
use super::way_back::WayBack;
use super::{CLOCK_DIFFERENCE, SessionSettings};
use crate::entropy::Entropy;
use crate::error::Error;
use crate::oidc::authorization::AuthorizationResponse;
use crate::oidc::error as oidc;
use crate::oidc::grant::AuthorizationGrant;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::Provider;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::web::return_to::ReturnTo;

/// What all login attempts of one browser may take of its `Cookie` line, in bytes: six or seven of them. With a session of
/// ordinary size that is less than the 8 KiB that servers take for a line.
pub const MAX_PENDING_BYTES: usize = 3 * 1024;

/// How many that log nobody in any more are kept for a page that is nowhere else.
const MAX_REMEMBERED: usize = 2;

/// How long a person may take at the provider: enough to find a second factor.
pub(super) const LIFETIME: Duration = Duration::from_secs(30 * 60);

/// How long the page is remembered that the person was on their way to, for a provider's page that was left open.
pub(super) const REMEMBERED: Duration = Duration::from_secs(4 * 60 * 60);

/// Largest cookie of an attempt whose page is in `state`, in bytes.
const MAX_SMALL_ATTEMPT: usize = 750;

/// Longest page, in bytes after compression, that is kept in the cookie although `state` has it.
const MAX_SHORT_PAGE: usize = 200;

/// Of a [`Rest`] before compression: metadata with seven URLs, and a page.
const MAX_REST_BYTES: usize = 64 * 1024;

const DEFLATE_LEVEL: u8 = 6;

/// The form of what is sealed, its first byte. An attempt of another form is none: it would live for half an hour.
const FORM: u8 = 1;

const SEED_BYTES: usize = 32;
pub(super) const ID_BYTES: usize = 6;
pub(super) const SECTION_BYTES: usize = 8;

/// A login that was started in this browser and has not come back. Redeemed once: redeeming consumes it.
#[derive(Debug)]
pub struct LoginAttempt {
    /// Part of the cookie's name and of `state`; finds the attempt, proves nothing.
    id: String,
    seed: Seed,
    secrets: Secrets,
    /// With the way back behind it, where it is short enough.
    state: Secret,
    provider: String,
    section: [u8; SECTION_BYTES],
    return_to: String,
    page: Page,
    started_at: UnixTime,
    has_optional_prompt: bool,
    metadata: ProviderMetadata,
}

/// Where the page of an attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Page {
    /// In `state`.
    InState,
    /// In `state` and in the cookie.
    InBoth,
    /// In the cookie, which is therefore worth keeping when it logs nobody in any more.
    InCookie,
}

/// An attempt as it is sealed. The order of the fields is that of the format (postcard).
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    form: u8,
    seed: [u8; SEED_BYTES],
    /// Higher than that of every attempt that this browser had when it was started.
    number: u32,
    started_at: UnixTime,
    /// [`section`] of the provider.
    section: [u8; SECTION_BYTES],
    /// Whether the request had a `prompt` that can be left out where the provider does not know it.
    has_optional_prompt: bool,
    page: Page,
    /// [`Rest`], compressed.
    rest: &'a [u8],
}

/// What only the callback needs.
#[derive(Serialize, Deserialize)]
struct Rest {
    /// So that an instance that never asked the provider can finish the login.
    metadata: ProviderMetadata,
    return_to: String,
}

/// 256 random bits: RFC 6749 section 10.10 asks for 160 of each value that is derived.
struct Seed(Zeroizing<[u8; SEED_BYTES]>);

/// What is derived from the seed.
#[derive(Debug)]
struct Secrets {
    state: Secret,
    nonce: Secret,
    /// 43 characters, the shortest that RFC 7636 section 4.1 allows, with 256 bits.
    code_verifier: Secret,
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[redacted]")
    }
}

impl Seed {
    fn draw(entropy: &mut dyn Entropy) -> Self {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        entropy.fill(seed.as_mut_slice());
        Self(seed)
    }

    /// `way_back`: what stands behind the secret in `state`. Another one makes another secret.
    fn secrets(&self, way_back: Option<&str>) -> Secrets {
        let hkdf = Hkdf::<Sha256>::new(None, self.0.as_slice());
        let derive = |label: &str, of: &str| {
            let mut output = Zeroizing::new([0; 32]);
            // Fails only beyond 255 blocks of output; this is one.
            let _ = hkdf.expand_multi_info(&[b"vestibule/1/login-attempt/", label.as_bytes(), b"/", of.as_bytes()], output.as_mut_slice());
            Secret::new(URL_SAFE_NO_PAD.encode(output.as_slice()))
        };
        Secrets {
            state: derive("state", way_back.unwrap_or_default()),
            nonce: derive("nonce", ""),
            code_verifier: derive("code-verifier", ""),
        }
    }
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
    /// `is_second`: the one before it was pushed out of this browser before it came back.
    #[expect(clippy::too_many_arguments, reason = "all that a login begins with, once")]
    pub fn start(
        provider: &Provider,
        metadata: ProviderMetadata,
        return_to: &ReturnTo,
        has_optional_prompt: bool,
        is_second: bool,
        settings: &SessionSettings,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let mut id = [0; ID_BYTES];
        entropy.fill(&mut id);
        let (seed, section) = (Seed::draw(entropy), section(provider));
        let way_back = WayBack::new(id, section, now, is_second, return_to);
        let (sealed, is_short) = (way_back.seal(settings, entropy), way_back.compressed_bytes() <= MAX_SHORT_PAGE);
        let page = match &sealed {
            Some(_) if is_short => Page::InBoth,
            Some(_) => Page::InState,
            None => Page::InCookie,
        };
        let (id, secrets) = (URL_SAFE_NO_PAD.encode(id), seed.secrets(sealed.as_deref()));
        let mut state = format!("{id}.{}", secrets.state.expose());
        state.extend(sealed.iter().flat_map(|sealed| [".", sealed]));
        Self {
            id,
            seed,
            secrets,
            state: Secret::new(state),
            provider: provider.name.clone(),
            section,
            return_to: return_to.as_str().to_owned(),
            page,
            started_at: now,
            has_optional_prompt,
            metadata,
        }
    }

    /// Puts the attempt into the browser, and takes out what has become useless: expired and unreadable ones, and the
    /// oldest beyond [`MAX_PENDING_BYTES`]. A page that is too long to be remembered beside all else is forgotten.
    ///
    /// # Errors
    /// [`Error::SessionTooLarge`] when it exceeds [`MAX_ATTEMPT_BYTES`] even so: browsers would drop it without a word.
    pub fn write(
        &mut self,
        jar: &CookieJar,
        cookies: &mut CookieWriter<'_>,
        settings: &SessionSettings,
        providers: &[Provider],
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> Result<(), Error> {
        let others = Others::of(jar, settings, providers, now);
        let mut sealed = self.seal(others.next_number(), settings, entropy);
        if sealed.len() > MAX_ATTEMPT_BYTES && self.page == Page::InCookie {
            // That is the first page.
            self.return_to = String::new();
            sealed = self.seal(others.next_number(), settings, entropy);
        }
        if sealed.len() > MAX_ATTEMPT_BYTES {
            let what = format!("the metadata of provider `{}`", self.provider);
            return Err(Error::SessionTooLarge { what, bytes: sealed.len(), limit: MAX_ATTEMPT_BYTES });
        }
        others.stale(MAX_PENDING_BYTES.saturating_sub(jar.attempt_bytes(&self.id, &sealed))).for_each(|id| cookies.delete_attempt(id));
        cookies.set_attempt(&self.id, &sealed, REMEMBERED.as_secs());
        Ok(())
    }

    /// The attempt that a `state` belongs to.
    ///
    /// # Errors
    /// [`Error::UnknownState`] when this browser has none such: started elsewhere, used, expired or forged.
    pub fn find(jar: &CookieJar, state: &str, settings: &SessionSettings, providers: &[Provider], now: UnixTime) -> Result<Self, Error> {
        let mut attempt = Self::within(LIFETIME, jar, state, settings, providers, now).ok_or(Error::UnknownState)?;
        if attempt.page == Page::InState {
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
        let mut candidates = jar.attempts().filter(|(given, _)| *given == id);
        let (id, sealed) = candidates.next().filter(|_| candidates.next().is_none())?;
        let attempt = Self::open(lifetime, id, sealed, way_back, settings, providers, now)?;
        attempt.secrets.state.matches(secret).then_some(attempt)
    }

    /// Deletes those that are of no use to anybody after a login: all but a few that are still on their way, or remembered.
    pub fn delete_stale(
        jar: &CookieJar,
        cookies: &mut CookieWriter<'_>,
        settings: &SessionSettings,
        providers: &[Provider],
        now: UnixTime,
    ) {
        Others::of(jar, settings, providers, now).stale(MAX_PENDING_BYTES).for_each(|id| cookies.delete_attempt(id));
    }

    /// Whether an attempt whose page is in `state` may have made room for those that this browser has.
    pub fn may_have_made_room(jar: &CookieJar, settings: &SessionSettings, providers: &[Provider], now: UnixTime) -> bool {
        let others = Others::of(jar, settings, providers, now);
        let taken: usize = others.readable.iter().filter(|other| !other.is_expired).map(|other| other.bytes).sum();
        taken + MAX_SMALL_ATTEMPT > MAX_PENDING_BYTES
    }

    /// All that this browser has on their way, the newest first.
    pub fn pending(jar: &CookieJar, settings: &SessionSettings, providers: &[Provider], now: UnixTime) -> Vec<Self> {
        let others = Others::of(jar, settings, providers, now);
        let open = |other: &Other<'_>| Self::open(LIFETIME, other.id, other.sealed, None, settings, providers, now);
        others.readable.iter().filter_map(open).collect()
    }

    /// Spends the attempt for an authorization grant.
    ///
    /// # Errors
    /// [`oidc::Error::IssuerParameter`] when the response does not come from the provider that was asked (RFC 9207 section
    /// 2.4), which is looked at before anything else in it; then whatever error the provider reported.
    pub fn redeem(self, response: AuthorizationResponse) -> Result<AuthorizationGrant, oidc::Error> {
        let issuer_matches = match response.iss() {
            Some(iss) => iss == self.metadata.issuer,
            None => !self.metadata.sends_iss,
        };
        if !issuer_matches {
            let given = response.iss().map_or_else(|| "none".to_owned(), |iss| format!("`{}`", oidc::shown(iss)));
            let expected = format!("`{}`", oidc::shown(&self.metadata.issuer));
            return Err(oidc::Error::IssuerParameter { provider: self.provider, given, expected });
        }
        let code = response.into_code()?;
        let Self { secrets: Secrets { code_verifier, nonce, .. }, metadata, provider, return_to, started_at, .. } = self;
        Ok(AuthorizationGrant { code, code_verifier, nonce, metadata, provider, started_at, return_to })
    }

    pub fn id(&self) -> &str {
        &self.id
    }

    pub fn state(&self) -> &Secret {
        &self.state
    }

    pub fn nonce(&self) -> &Secret {
        &self.secrets.nonce
    }

    pub fn code_verifier(&self) -> &Secret {
        &self.secrets.code_verifier
    }

    pub fn return_to(&self) -> &str {
        &self.return_to
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

    fn seal(&self, number: u32, settings: &SessionSettings, entropy: &mut dyn Entropy) -> String {
        let return_to = if self.page == Page::InState { String::new() } else { self.return_to.clone() };
        // Texts, truths and URLs: nothing in it can fail to become bytes.
        let rest = postcard::to_allocvec(&Rest { metadata: self.metadata.clone(), return_to }).unwrap_or_default();
        let kept = Kept {
            form: FORM,
            seed: *self.seed.0,
            number,
            started_at: self.started_at,
            section: self.section,
            has_optional_prompt: self.has_optional_prompt,
            page: self.page,
            rest: &compress_to_vec(&rest, DEFLATE_LEVEL),
        };
        let plaintext = Zeroizing::new(postcard::to_allocvec(&kept).unwrap_or_default());
        settings.keys.seal(Purpose::LoginAttempt, &plaintext, entropy)
    }

    fn open(
        lifetime: Duration,
        id: &str,
        sealed: &str,
        way_back: Option<&str>,
        settings: &SessionSettings,
        providers: &[Provider],
        now: UnixTime,
    ) -> Option<Self> {
        let Opened { plaintext, .. } = settings.keys.open(Purpose::LoginAttempt, sealed)?;
        let kept = Kept::read(&plaintext, now)?;
        let Rest { metadata, return_to } = postcard::from_bytes(&decompress_to_vec_with_limit(kept.rest, MAX_REST_BYTES).ok()?).ok()?;
        // The provider of that name may have become another one since.
        let provider = of_section(providers, &kept.section)?;
        let is_current = provider.expected_issuer.admits_metadata(&metadata.issuer) && now < kept.started_at.after(lifetime);
        let seed = Seed(Zeroizing::new(kept.seed));
        is_current.then(|| Self {
            id: id.to_owned(),
            secrets: seed.secrets(way_back),
            seed,
            state: Secret::new(String::new()),
            provider: provider.name.clone(),
            section: kept.section,
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
    fn read(plaintext: &'a [u8], now: UnixTime) -> Option<Self> {
        let kept: Self = postcard::from_bytes(plaintext).ok()?;
        let in_time = now < kept.started_at.after(REMEMBERED) && kept.started_at <= now.after(CLOCK_DIFFERENCE);
        (kept.form == FORM && in_time).then_some(kept)
    }
}

/// The attempts that a browser has.
struct Others<'j> {
    unreadable: Vec<&'j str>,
    /// Those on their way before those that are only remembered, the newest first.
    readable: Vec<Other<'j>>,
}

struct Other<'j> {
    id: &'j str,
    sealed: &'j str,
    /// Of its cookie.
    bytes: usize,
    number: u32,
    is_expired: bool,
    page: Page,
}

impl<'j> Others<'j> {
    fn of(jar: &'j CookieJar, settings: &SessionSettings, providers: &[Provider], now: UnixTime) -> Self {
        let (mut unreadable, mut readable) = (vec![], vec![]);
        for (id, sealed) in jar.attempts() {
            let opened = settings.keys.open(Purpose::LoginAttempt, sealed);
            let kept = opened.as_ref().and_then(|opened| Kept::read(&opened.plaintext, now));
            match kept.filter(|kept| of_section(providers, &kept.section).is_some()) {
                Some(Kept { number, started_at, page, .. }) => {
                    let is_expired = now >= started_at.after(LIFETIME);
                    readable.push(Other { id, sealed, bytes: jar.attempt_bytes(id, sealed), number, is_expired, page });
                }
                None => unreadable.push(id),
            }
        }
        readable.sort_by_key(|other| (other.is_expired, std::cmp::Reverse(other.number), other.id));
        Self { unreadable, readable }
    }

    fn next_number(&self) -> u32 {
        self.readable.iter().map(|other| other.number).max().map_or(0, |number| number.saturating_add(1))
    }

    /// Ids of those that are to go, so that what stays has `room`: unreadable ones; expired ones with nothing to remember, or
    /// beyond the newest [`MAX_REMEMBERED`]; then the oldest.
    fn stale(&self, room: usize) -> impl Iterator<Item = &'j str> {
        let (mut left, mut remembered) = (room, 0);
        let beyond = self.readable.iter().filter(move |other| {
            remembered += usize::from(other.is_expired);
            let is_of_use = !other.is_expired || (other.page == Page::InCookie && remembered <= MAX_REMEMBERED);
            match left.checked_sub(other.bytes).filter(|_| is_of_use) {
                Some(rest) => {
                    left = rest;
                    false
                }
                None => {
                    // No older one stays in its place.
                    left = if is_of_use { 0 } else { left };
                    true
                }
            }
        });
        self.unreadable.iter().copied().chain(beyond.map(|other| other.id))
    }
}
