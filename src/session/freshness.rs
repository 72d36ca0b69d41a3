//! How fresh a session is: when its access token is due, and when the provider was last asked about the account.
//!
//! It stands behind the claims in the session's content, where `[vestibule.session]` has `refresh`: a request that is not due
//! compares times, and opens nothing for it. A session that was sealed without it has had no access token whose end is known, and was
//! validated when it began.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::ExposeTokens;
use crate::time::UnixTime;

/// Between two requests for one session, whatever lifetime a provider states.
const MIN_INTERVAL: Duration = Duration::from_secs(10);

/// After a failure. Meanwhile the provider is not asked about this session.
const PAUSE: Duration = Duration::from_secs(10);

/// Between the provider's last answer about an account and a refresh that a script asks for.
const SCRIPT_INTERVAL: Duration = Duration::from_secs(60);

/// `refresh` and what belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefreshSettings {
    /// How often the provider is asked about an account although no token is due.
    pub revalidate: Option<Duration>,
    pub on_outage: OnOutage,
}

/// What becomes of requests when a provider cannot be asked, and the access token is over, or the last answer is twice as old as
/// `revalidate` allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnOutage {
    /// They go on, without an access token that is over.
    Continue,
    /// 503.
    Refuse,
}

/// What a token response says of its tokens' time.
#[derive(Clone, Copy, Debug)]
pub struct FreshTokens {
    /// The access token's, where it is stated.
    pub lifetime: Option<Duration>,
    pub issued_at: UnixTime,
}

/// Whether the provider is to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    No,
    /// The access token has less than a tenth of its life left.
    Soon,
    /// The access token is over.
    AccessToken,
    /// The account is to be validated.
    Validation,
}

/// The order of the fields is that of the format (postcard); new ones go to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Freshness {
    /// When the provider last answered for the account.
    validated_at: UnixTime,
    access_token: Option<AccessTokenTimes>,
    /// After a failure; until then nobody is asked.
    retry_at: Option<UnixTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct AccessTokenTimes {
    refresh_at: UnixTime,
    expires_at: UnixTime,
}

impl Freshness {
    pub(super) fn new(FreshTokens { lifetime, issued_at }: FreshTokens) -> Self {
        let access_token = lifetime.map(|lifetime| AccessTokenTimes {
            refresh_at: issued_at.after((lifetime - lifetime / 10).max(MIN_INTERVAL)),
            expires_at: issued_at.after(lifetime),
        });
        Self { validated_at: issued_at, access_token, retry_at: None }
    }

    /// Of a session that was sealed without.
    pub(super) fn of_older(started_at: UnixTime) -> Self {
        Self { validated_at: started_at, access_token: None, retry_at: None }
    }

    /// The same with other tokens, of an account about which nothing was learned.
    #[must_use]
    pub(super) fn without_validation(self, tokens: FreshTokens, now: UnixTime) -> Self {
        Self { validated_at: self.validated_at, retry_at: Some(now.after(PAUSE)), ..Self::new(tokens) }
    }

    /// The same after a failure.
    #[must_use]
    pub(super) fn postponed(self, now: UnixTime) -> Self {
        Self { retry_at: Some(now.after(PAUSE)), ..self }
    }

    /// `exposed`: the tokens that the application receives.
    pub(super) fn due(&self, settings: &RefreshSettings, exposed: ExposeTokens, now: UnixTime) -> Due {
        // A time further away is of a clock that has been set back since.
        let is_pause = self.retry_at.is_some_and(|at| now < at && at <= now.after(PAUSE));
        let is_old = settings.revalidate.is_some_and(|interval| now.since(self.validated_at) >= interval);
        match self.access_token.filter(|_| exposed.id || exposed.access) {
            _ if is_pause => Due::No,
            _ if is_old => Due::Validation,
            Some(times) if now >= times.expires_at.max(times.refresh_at) => Due::AccessToken,
            Some(times) if now >= times.refresh_at => Due::Soon,
            _ => Due::No,
        }
    }

    /// Until a script may have the provider asked.
    pub(super) fn pause_before_refresh(&self, now: UnixTime) -> Option<Duration> {
        let ends = [Some(self.validated_at.after(SCRIPT_INTERVAL)), self.retry_at];
        let pauses = ends.into_iter().flatten().map(|end| end.since(now));
        // A longer one is of a clock that has been set back since.
        pauses.filter(|pause| !pause.is_zero() && *pause <= SCRIPT_INTERVAL).max()
    }

    pub(super) fn is_access_token_over(&self, now: UnixTime) -> bool {
        self.access_token.is_some_and(|times| now >= times.expires_at)
    }

    /// Whether a request has to do with what the provider could not be asked about for long.
    pub(super) fn is_overdue(&self, settings: &RefreshSettings, exposed: ExposeTokens, now: UnixTime) -> bool {
        let is_unvalidated = settings.revalidate.is_some_and(|interval| now.since(self.validated_at) >= interval.saturating_mul(2));
        is_unvalidated || ((exposed.id || exposed.access) && self.is_access_token_over(now))
    }
}

#[cfg(test)]
#[path = "freshness/tests.rs"]
mod effects;

#[cfg(test)]
mod tests {
    use super::*;

    const START: u64 = 1_700_000_000;

    fn at(secs: u64) -> UnixTime {
        UnixTime::from_secs(START + secs)
    }

    fn freshness(lifetime: Option<u64>, now: UnixTime) -> Freshness {
        Freshness::new(FreshTokens { lifetime: lifetime.map(Duration::from_secs), issued_at: now })
    }

    fn settings(revalidate: Option<u64>) -> RefreshSettings {
        RefreshSettings { revalidate: revalidate.map(Duration::from_secs), on_outage: OnOutage::Continue }
    }

    #[test]
    fn a_tenth_of_its_life_before_the_end_an_access_token_is_due() {
        let fresh = freshness(Some(3600), at(0));
        for (now, expected) in [(0, Due::No), (3239, Due::No), (3240, Due::Soon), (3599, Due::Soon), (3600, Due::AccessToken)] {
            assert_eq!(fresh.due(&settings(None), ExposeTokens::ACCESS, at(now)), expected, "{now}");
            assert_eq!(fresh.due(&settings(None), ExposeTokens::default(), at(now)), Due::No, "nobody sees it: {now}");
            assert_eq!(fresh.is_access_token_over(at(now)), now >= 3600);
            assert_eq!(fresh.is_overdue(&settings(None), ExposeTokens::ACCESS, at(now)), now >= 3600);
        }
        let short = freshness(Some(1), at(0));
        assert_eq!(short.due(&settings(None), ExposeTokens::ACCESS, at(9)), Due::No, "no provider is asked all the time");
        assert!(short.is_access_token_over(at(9)));
        assert_eq!(short.due(&settings(None), ExposeTokens::ACCESS, at(10)), Due::AccessToken);
        let unknown = freshness(None, at(0));
        assert_eq!(unknown.due(&settings(None), ExposeTokens::ACCESS, at(1_000_000_000)), Due::No);
        assert!(!unknown.is_access_token_over(at(1_000_000_000)));
    }

    #[test]
    fn an_account_is_validated_at_its_interval() {
        let fresh = freshness(None, at(0));
        for (now, expected) in [(299, Due::No), (300, Due::Validation), (1_000_000, Due::Validation)] {
            assert_eq!(fresh.due(&settings(Some(300)), ExposeTokens::default(), at(now)), expected, "{now}");
        }
        assert!(!fresh.is_overdue(&settings(Some(300)), ExposeTokens::default(), at(599)));
        assert!(fresh.is_overdue(&settings(Some(300)), ExposeTokens::default(), at(600)));
        let again = fresh.without_validation(FreshTokens { lifetime: None, issued_at: at(300) }, at(300));
        assert_eq!(again.due(&settings(Some(300)), ExposeTokens::default(), at(310)), Due::Validation);
    }

    #[test]
    fn after_a_failure_there_is_a_pause() {
        let failed = freshness(Some(100), at(0)).postponed(at(95));
        for (now, expected) in [(95, Due::No), (104, Due::No), (105, Due::AccessToken)] {
            assert_eq!(failed.due(&settings(Some(90)), ExposeTokens::ACCESS, at(now)) != Due::No, expected != Due::No, "{now}");
        }
        assert!(failed.is_overdue(&settings(None), ExposeTokens::ACCESS, at(100)), "also during the pause");
        let postponed_far = freshness(Some(5), at(0)).postponed(at(1_000_000));
        assert_eq!(postponed_far.due(&settings(None), ExposeTokens::ACCESS, at(50)), Due::AccessToken, "the clock was set back");
    }

    #[test]
    fn a_script_waits_for_a_minute_after_an_answer_and_for_the_pause_after_a_failure() {
        let wait = |freshness: Freshness, now| freshness.pause_before_refresh(at(now)).map(|pause| pause.as_secs());
        let fresh = freshness(Some(10), at(0));
        for (now, expected) in [(0, Some(60)), (1, Some(59)), (59, Some(1)), (60, None), (1_000_000, None)] {
            assert_eq!(wait(fresh, now), expected, "{now}");
        }
        assert_eq!(wait(fresh.postponed(at(100)), 100), Some(10));
        assert_eq!(wait(fresh.postponed(at(100)), 110), None);
        assert_eq!(wait(fresh.postponed(at(55)), 57), Some(8), "the longer one");
        let tokens_only = fresh.without_validation(FreshTokens { lifetime: None, issued_at: at(100) }, at(100));
        assert_eq!((wait(tokens_only, 100), wait(tokens_only, 110)), (Some(10), None), "nothing was learned of the account");
        assert_eq!(wait(freshness(None, at(1000)), 0), None, "the clock was set back");
    }

    /// Every release reads what this one has sealed.
    #[test]
    fn the_form_stays() {
        let times = AccessTokenTimes { refresh_at: at(0), expires_at: at(400) };
        let fresh = Freshness { validated_at: at(0), access_token: Some(times), retry_at: None };
        let bytes = [0x80, 0xe2, 0xcf, 0xaa, 0x06, 0x01, 0x80, 0xe2, 0xcf, 0xaa, 0x06, 0x90, 0xe5, 0xcf, 0xaa, 0x06, 0x00];
        assert_eq!(postcard::to_allocvec(&fresh).unwrap(), bytes);
        assert_eq!(postcard::from_bytes::<Freshness>(&[&bytes[..], b"later"].concat()).unwrap(), fresh);
    }
}
