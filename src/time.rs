//! Time as an argument: the core never reads a clock.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The end of the year 9999: no claim means a later time, and no arithmetic overflows before it.
const LATEST: f64 = 253_402_300_799.0;

/// Seconds since the Unix epoch, leap seconds not counted (RFC 7519 section 2, NumericDate without a fraction).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UnixTime(u64);

impl UnixTime {
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs)
    }

    /// A claim that is a NumericDate (RFC 7519 section 2) between 1970 and 9999, its fraction dropped.
    pub fn from_numeric_date(claim: &Value) -> Option<Self> {
        let seconds = claim.as_f64().filter(|seconds| (0.0..=LATEST).contains(seconds))?;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between 0 and the year 9999")]
        Some(Self(seconds as u64))
    }

    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// Saturates at the end of time instead of wrapping.
    #[must_use]
    pub const fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.as_secs()))
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub const fn since(self, earlier: UnixTime) -> Duration {
        Duration::from_secs(self.0.saturating_sub(earlier.0))
    }
}

/// As RFC 3339 writes it; what comes after the year 9999, as its end.
impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of seconds")]
        let seconds = self.0.min(LATEST as u64);
        humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)).fmt(f)
    }
}
