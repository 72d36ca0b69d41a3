//! The session: who logged in, with which provider, until when.
//!
//! **Content.** [`Login`], then the claims ([`crate::claims`]), both in postcard (version 3 of the envelope), and where sessions
//! are refreshed, when they are due (`freshness.rs`): what stands behind the claims is not read elsewhere. In version 2, the
//! login had another form; in version 1, all is JSON (`older_session.rs`).
//! Over its budget, a session fails the login with a message that names the largest claim.
//!
//! **Life.** A session ends `max_age` after the login, and with `idle_timeout` also that long after it was last seen. It is
//! renewed, in version 3, when a quarter of the idle timeout has passed. It opens where its ID token would be accepted:
//! [`Provider::admits`] judges both, and looks only at claims that are never those of userinfo. An issuer that only the
//! metadata names (Entra, asked by a domain) is that of the metadata URL of the login.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ended::{self, END_ALLOWANCE, Ended, EndedName, EndedWhat, NAME_BYTES, Name};
use super::envelope::{Opened, Purpose, Version};
use super::freshness::{Due, FreshTokens, Freshness, OnOutage};
use super::jar::{CookieJar, CookieWriter, MAX_SESSION_BYTES};
use super::{CLOCK_DIFFERENCE, Lifetime, SessionSettings, older_session};
use crate::account::Account;
use crate::claims::{Claims, Id, Packed, pack};
use crate::entropy::Entropy;
use crate::error::Error;
use crate::oidc::id_token::Identity;
use crate::oidc::provider::{ProvenLogin, Provider};
use crate::time::UnixTime;

/// A login that is in force. Made from what a provider has proven, or of a [`Sealed`] one that has been confirmed; there is
/// no third way.
#[derive(Debug)]
pub struct Session<'a> {
    login: Login<'a>,
    claims: Claims<'a>,
    /// Of a session that was sealed where sessions are refreshed.
    freshness: Option<Freshness>,
}

/// What a session's cookies hold: authentic, but not yet known to be in force.
#[derive(Debug)]
pub struct Sealed(Opened);

/// What a session is beside its claims. The order of the fields is that of the format (postcard).
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Login<'a> {
    /// By which older tokens know a session that was sealed in an older version; empty otherwise.
    #[serde(borrow)]
    pub older_id: Cow<'a, str>,
    #[serde(borrow)]
    pub provider: Cow<'a, str>,
    #[serde(borrow)]
    pub client_id: Id<'a>,
    /// [`Provider::metadata_tag`] of the section that the login was made under.
    #[serde(borrow)]
    pub metadata_tag: Cow<'a, str>,
    pub names: Names,
    pub times: Times,
}

/// When what happened or happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "TimesApart", into = "TimesApart")]
pub(super) struct Times {
    pub started_at: UnixTime,
    /// With `auth_time` this is what `max_age` is about.
    pub requested_at: UnixTime,
    pub expires_at: UnixTime,
    pub seen_at: UnixTime,
}

/// Times as they are sealed: the first, and how many seconds later the others are, which takes less room.
#[derive(Serialize, Deserialize)]
struct TimesApart {
    started_at: u64,
    requested: i64,
    expires: i64,
    seen: i64,
}

impl From<Times> for TimesApart {
    fn from(times: Times) -> Self {
        let started_at = times.started_at.as_secs();
        let later = |time: UnixTime| time.as_secs().wrapping_sub(started_at).cast_signed();
        let (requested, expires, seen) = (later(times.requested_at), later(times.expires_at), later(times.seen_at));
        Self { started_at, requested, expires, seen }
    }
}

impl From<TimesApart> for Times {
    fn from(TimesApart { started_at, requested, expires, seen }: TimesApart) -> Self {
        let later = |seconds: i64| UnixTime::from_secs(started_at.wrapping_add(seconds.cast_unsigned()));
        let (requested_at, expires_at, seen_at) = (later(requested), later(expires), later(seen));
        Self { started_at: UnixTime::from_secs(started_at), requested_at, expires_at, seen_at }
    }
}

/// By what a session may be ended. They open nothing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Names {
    /// Drawn at random; of a session that was sealed in an older version, a digest of its id.
    session: Name,
    /// Of issuer and `sub`.
    account: Name,
    /// Of issuer and `sid`, where the ID token has one.
    provider_session: Option<Name>,
}

impl Names {
    fn new(session: Name, claims: &Claims<'_>) -> Self {
        let issuer = claims.text("iss").unwrap_or_default();
        Self {
            session,
            account: ended::account(issuer, claims.text("sub").unwrap_or_default()),
            provider_session: claims.text("sid").map(|sid| ended::provider_session(issuer, sid)),
        }
    }

    pub(super) fn of_older(id: &str, claims: &Claims<'_>) -> Self {
        Self::new(ended::digest("session-handle", &[id]), claims)
    }

    /// For [`Ended::ended`].
    fn ended(&self, ended: &dyn Ended, began_at: UnixTime) -> bool {
        let mut names = [0; 3 * NAME_BYTES];
        let provider_session = self.provider_session.unwrap_or_else(|| ended::unnamed_session(&self.account));
        for (place, name) in names.chunks_exact_mut(NAME_BYTES).zip([&self.session, &self.account, &provider_session]) {
            place.copy_from_slice(name);
        }
        ended.ended(&names, began_at)
    }
}

impl Login<'_> {
    /// What has ended an account while its login was under way has ended that login.
    fn has_ended(&self, ended: &dyn Ended) -> bool {
        let began_at = UnixTime::from_secs(self.times.requested_at.as_secs().saturating_sub(END_ALLOWANCE.as_secs()));
        self.names.ended(ended, began_at)
    }
}

impl Sealed {
    /// What the cookies of a request hold, when we have sealed it.
    pub fn open(jar: &CookieJar, settings: &SessionSettings) -> Option<Self> {
        settings.keys.open(Purpose::Session, &jar.session()?).map(Self)
    }

    /// The session, when it is in force. Every reason against it gives the same answer.
    pub fn confirm(&self, settings: &SessionSettings, providers: &[Provider], now: UnixTime, ended: &dyn Ended) -> Option<Session<'_>> {
        let session = self.read()?;
        let Session { login, claims, .. } = &session;
        // The application may have been moved to another client or provider since, or asks more of a login than it did.
        let provider = Provider::find(providers, &login.provider)
            .filter(|provider| login.client_id.with_text(|client_id| provider.client_id == client_id))?;
        let (requested_at, proven_at) = (login.times.requested_at, login.times.started_at);
        provider.admits(&ProvenLogin { claims, requested_at, proven_at, metadata_tag: &login.metadata_tag }).ok()?;
        // A session that began in the future was made by a clock that is not to be trusted, ours or another node's.
        let in_force = now < session.ends_at(settings) && login.times.started_at <= now.after(CLOCK_DIFFERENCE);
        (in_force && !login.has_ended(ended)).then_some(session)
    }

    fn read(&self) -> Option<Session<'_>> {
        let Self(Opened { version, plaintext }) = self;
        let ((login, packed), rest) = match version {
            Version::Three => postcard::take_from_bytes::<(Login<'_>, Packed<'_>)>(plaintext).ok()?,
            Version::Two => (older_session::read_version_two(plaintext)?, &[][..]),
            Version::One => {
                let (login, claims) = older_session::read_version_one(plaintext)?;
                return Some(Session { login, claims, freshness: None });
            }
        };
        // Sealed by a later program, which knows of claims that would be taken for absent here.
        if !packed.is_known() {
            return None;
        }
        let claims = Claims::packed(packed, login.client_id.clone());
        let freshness = if rest.is_empty() { None } else { Some(postcard::from_bytes(rest).ok()?) };
        Some(Session { login, claims, freshness })
    }
}

impl Session<'static> {
    /// Starts a session for whoever has logged in.
    pub fn establish(
        identity: Identity,
        provider: &Provider,
        settings: &SessionSettings,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> Self {
        let (requested_at, claims) = (identity.requested_at(), identity.into_claims());
        let mut name = Name::default();
        entropy.fill(&mut name);
        let login = Login {
            older_id: "".into(),
            provider: provider.name.clone().into(),
            client_id: Id::new(provider.client_id.clone().into()),
            metadata_tag: provider.metadata_tag().into(),
            names: Names::new(name, &claims),
            times: Times { started_at: now, requested_at, expires_at: now.after(settings.lifetime.max_age), seen_at: now },
        };
        Self { login, claims, freshness: None }
    }
}

impl<'a> Session<'a> {
    /// The tokens of its login were issued just now. `lifetime`: the access token's, where it is stated.
    #[must_use]
    pub fn with_fresh_tokens(self, lifetime: Option<Duration>, settings: &SessionSettings, now: UnixTime) -> Self {
        Self { freshness: settings.refresh.map(|_| Freshness::new(FreshTokens { lifetime, issued_at: now })), ..self }
    }

    /// Whether this one, which began while the other's login was on its way, is the same user's.
    pub(crate) fn is_of_login_beside(&self, other: &Session<'_>) -> bool {
        let (own, others) = (&self.login, &other.login);
        own.times.started_at >= others.times.requested_at && own.provider == others.provider && own.names.account == others.names.account
    }

    /// The same session under the name of another one, which goes on in it: what rests on that one stays open, and both end together.
    #[must_use]
    pub(crate) fn continuing(mut self, other: &Session<'_>) -> Self {
        self.login.names.session = other.login.names.session;
        // An end is remembered for as long as the cookie that was there would live: no other of the name lives longer.
        self.login.times.expires_at = self.login.times.expires_at.min(other.login.times.expires_at);
        self
    }

    /// The same session, whose user was heard of now.
    #[must_use]
    pub fn seen(mut self, now: UnixTime) -> Self {
        self.login.times.seen_at = now;
        self
    }

    /// The same session after a refresh: under its name, until its end. `claims`: what it says of the account from now on.
    #[must_use]
    pub fn refreshed(self, claims: Option<Map<String, Value>>, tokens: FreshTokens) -> Self {
        let Self { mut login, claims: known, .. } = self;
        let claims = claims.map_or(known, Claims::from);
        login.names = Names::new(login.names.session, &claims);
        Self { login, claims, freshness: Some(Freshness::new(tokens)) }
    }

    /// The same session with other tokens, where nothing could be learned of the account.
    #[must_use]
    pub fn with_tokens_only(self, tokens: FreshTokens, now: UnixTime) -> Self {
        Self { freshness: Some(self.freshness().without_validation(tokens, now)), ..self }
    }

    /// The same session after a failure to refresh it.
    #[must_use]
    pub fn postponed(self, now: UnixTime) -> Self {
        Self { freshness: Some(self.freshness().postponed(now)), ..self }
    }
}

impl Session<'_> {
    /// Whether the provider is to be asked before the application is.
    pub fn due(&self, settings: &SessionSettings, now: UnixTime) -> Due {
        settings.refresh.map_or(Due::No, |refresh| self.freshness().due(&refresh, settings.expose_tokens, now))
    }

    /// Whether its access token is known to be over, where tokens are refreshed.
    pub fn is_access_token_over(&self, settings: &SessionSettings, now: UnixTime) -> bool {
        settings.refresh.is_some() && self.freshness().is_access_token_over(now)
    }

    /// Whether the provider could not be asked for so long that requests are refused, where that is configured.
    pub fn is_refused(&self, settings: &SessionSettings, now: UnixTime) -> bool {
        settings.refresh.is_some_and(|refresh| {
            refresh.on_outage == OnOutage::Refuse && self.freshness().is_overdue(&refresh, settings.expose_tokens, now)
        })
    }

    /// How long a script has to wait before it may have the session refreshed; `None` if not at all.
    pub fn pause_before_refresh(&self, now: UnixTime) -> Option<Duration> {
        self.freshness().pause_before_refresh(now)
    }

    fn freshness(&self) -> Freshness {
        self.freshness.unwrap_or_else(|| Freshness::of_older(self.login.times.started_at))
    }

    /// Seals the session into cookies.
    ///
    /// # Errors
    /// [`Error::SessionTooLarge`] when it exceeds [`MAX_SESSION_BYTES`]; it names the largest claim.
    pub fn write(
        &self,
        cookies: &mut CookieWriter<'_>,
        settings: &SessionSettings,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> Result<(), Error> {
        let mut sealed = self.seal(settings, &settings.near_claims, entropy);
        if sealed.len() > MAX_SESSION_BYTES {
            // What a pointer finds is in it twice, to be found quickly.
            let names: Vec<String> = settings.near_claims.iter().filter(|name| !name.starts_with('/')).cloned().collect();
            sealed = self.seal(settings, &names, entropy);
        }
        if sealed.len() > MAX_SESSION_BYTES {
            return Err(self.too_large(sealed.len()));
        }
        cookies.set_session(&sealed, self.login.times.expires_at.since(now).as_secs());
        Ok(())
    }

    fn seal(&self, settings: &SessionSettings, near: &[String], entropy: &mut dyn Entropy) -> String {
        let packed = pack(self.claims.whole(), near, &self.login.client_id);
        // Texts and numbers: nothing in it can fail to become bytes.
        let mut plaintext = postcard::to_allocvec(&(&self.login, packed)).unwrap_or_default();
        if let Some(freshness) = &self.freshness {
            plaintext.append(&mut postcard::to_allocvec(freshness).unwrap_or_default());
        }
        settings.keys.seal(Purpose::Session, &plaintext, entropy)
    }

    /// The same session, seen now: when it is due, so that not every response carries a cookie.
    pub fn touched(&mut self, lifetime: &Lifetime, now: UnixTime) -> bool {
        let Some(idle_timeout) = lifetime.idle_timeout else { return false };
        let due = now.since(self.login.times.seen_at) >= idle_timeout / 4;
        if due {
            self.login.times.seen_at = now;
        }
        due
    }

    /// By which older tokens know it; `None` of a session that never had any.
    pub(super) fn older_id(&self) -> Option<&str> {
        Some(&*self.login.older_id).filter(|id| !id.is_empty())
    }

    /// A name for the session that opens nothing: the host may log it, and tells connections apart by it.
    pub fn handle(&self) -> String {
        ended::text(&self.login.names.session)
    }

    /// Whether the host knows that it has ended. Of one that has just begun: its account, or its session at the provider, ended
    /// while the login was under way.
    pub(crate) fn has_ended(&self, ended: &dyn Ended) -> bool {
        self.login.has_ended(ended)
    }

    /// For the host: this session ends now.
    pub(crate) fn end(&self, now: UnixTime) -> EndedName {
        EndedName::session(&self.login.names.session, now, self.login.times.expires_at)
    }

    /// For the host: the session at the provider ends, where it has a name.
    pub(crate) fn end_provider_session(&self, now: UnixTime, lifetime: &Lifetime) -> Option<EndedName> {
        let name = self.login.names.provider_session.as_ref()?;
        Some(EndedName::since(EndedWhat::ProviderSession, name, now, lifetime))
    }

    /// For the host: every session of this account ends that began before now.
    pub(crate) fn end_account(&self, now: UnixTime, lifetime: &Lifetime) -> EndedName {
        EndedName::since(EndedWhat::Account, &self.login.names.account, now, lifetime)
    }

    pub fn provider(&self) -> &str {
        &self.login.provider
    }

    pub(super) fn expires_at(&self) -> UnixTime {
        self.login.times.expires_at
    }

    /// When the authorization request of its login was made.
    pub(crate) fn requested_at(&self) -> UnixTime {
        self.login.times.requested_at
    }

    pub fn started_at(&self) -> UnixTime {
        self.login.times.started_at
    }

    /// Whoever is logged in, for the policy.
    pub fn account<'b>(&'b self, providers: &'b [Provider]) -> Option<Account<'b>> {
        Provider::find(providers, self.provider()).map(|provider| Account { provider, claims: &self.claims })
    }

    /// When the session ends if nothing more is heard of its user.
    pub fn ends_at(&self, settings: &SessionSettings) -> UnixTime {
        let Lifetime { max_age, idle_timeout } = settings.lifetime;
        // It may have been shortened since.
        let end = self.login.times.expires_at.min(self.login.times.started_at.after(max_age));
        idle_timeout.map_or(end, |timeout| end.min(self.login.times.seen_at.after(timeout)))
    }

    pub fn claims(&self) -> &Claims<'_> {
        &self.claims
    }

    fn too_large(&self, bytes: usize) -> Error {
        Error::SessionTooLarge { what: self.claims.largest().to_owned(), bytes, limit: MAX_SESSION_BYTES }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_are_kept_whatever_they_are(times in any::<[u64; 4]>(), near in any::<[u8; 4]>(), apart in any::<bool>()) {
            let [started_at, requested_at, expires_at, seen_at] =
                if apart { times } else { near.map(|seconds| times[0].wrapping_add(u64::from(seconds))) }.map(UnixTime::from_secs);
            let times = Times { started_at, requested_at, expires_at, seen_at };
            let bytes = postcard::to_allocvec(&times).unwrap();
            prop_assert_eq!(postcard::from_bytes::<Times>(&bytes).unwrap(), times);
        }
    }
}
