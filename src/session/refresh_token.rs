//! The refresh token of a session, in a cookie of its own: only a request that refreshes opens it. It is sealed for the session,
//! by its name, and is never shown: neither to the browser nor to the application.
//!
//! **Content.** The token as a text, in postcard (version 3 of the envelope).

use std::borrow::Cow;

use super::SessionSettings;
use super::envelope::Purpose;
use super::jar::{CookieJar, CookieWriter, MAX_REFRESH_TOKEN_BYTES};
use super::login_session::Session;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::secret::Secret;
use crate::time::UnixTime;

/// The refresh token of one session.
#[derive(Debug)]
pub struct RefreshToken(pub Secret);

impl RefreshToken {
    /// That of this session, and of no other.
    pub fn open(jar: &CookieJar, session: &Session<'_>, settings: &SessionSettings) -> Option<Self> {
        let opened = settings.keys.open_for(&session.handle(), Purpose::RefreshToken, &jar.refresh_token()?)?;
        let text: Cow<'_, str> = postcard::from_bytes(&opened.plaintext).ok()?;
        Some(Self(Secret::new(text)))
    }

    /// Seals the token into cookies, or says that it is too large for that and leaves none behind.
    ///
    /// # Errors
    /// [`Error::SessionTooLarge`] when it exceeds [`MAX_REFRESH_TOKEN_BYTES`].
    pub fn write(
        &self,
        session: &Session<'_>,
        cookies: &mut CookieWriter<'_>,
        settings: &SessionSettings,
        now: UnixTime,
        entropy: &mut dyn Entropy,
    ) -> Result<(), Error> {
        // A text: it cannot fail to become bytes.
        let plaintext = zeroize::Zeroizing::new(postcard::to_allocvec(self.0.expose()).unwrap_or_default());
        let sealed = settings.keys.seal_for(&session.handle(), Purpose::RefreshToken, &plaintext, entropy);
        if sealed.len() > MAX_REFRESH_TOKEN_BYTES {
            cookies.delete_refresh_token();
            return Err(Error::SessionTooLarge { what: "the refresh token".into(), bytes: sealed.len(), limit: MAX_REFRESH_TOKEN_BYTES });
        }
        cookies.set_refresh_token(&sealed, session.expires_at().since(now).as_secs());
        Ok(())
    }
}
