//! The refresh token of a session, in a cookie of its own: only a request that refreshes opens it. It is sealed for the session,
//! by its name, and is never shown: neither to the browser nor to the application.
//!
//! **Content.** The token as a text, in postcard (version 3 of the envelope). On its way to the cookie, [`Onward`], sealed as another
//! thing of the session.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::SessionSettings;
use super::envelope::Purpose;
use super::jar::{CookieJar, CookieWriter, MAX_REFRESH_TOKEN_BYTES};
use super::login_session::Session;
use crate::deflate::{compress, decompress};
use crate::entropy::Entropy;
use crate::error::Error;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::web::return_to;

/// How long after the login the token may come into its cookie.
const ON_ITS_WAY: Duration = Duration::from_secs(2 * 60);

/// A token that the next request brings, and the page that the login leads to.
#[derive(Serialize, Deserialize)]
struct Onward<'a> {
    #[serde(borrow)]
    token: Cow<'a, str>,
    /// Path, query and fragment, compressed (DEFLATE, RFC 1951); `None` where it was too long to be kept.
    page: Option<Vec<u8>>,
}

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
        let plaintext = Zeroizing::new(postcard::to_allocvec(self.0.expose()).unwrap_or_default());
        let sealed = settings.keys.seal_for(&session.handle(), Purpose::RefreshToken, &plaintext, entropy);
        if sealed.len() > MAX_REFRESH_TOKEN_BYTES {
            cookies.delete_refresh_token();
            return Err(Error::SessionTooLarge { what: "the refresh token".into(), bytes: sealed.len(), limit: MAX_REFRESH_TOKEN_BYTES });
        }
        cookies.set_refresh_token(&sealed, session.expires_at().since(now).as_secs());
        Ok(())
    }

    /// For an address that the browser is sent to next: an answer that sets the session has no room for the token. It opens for
    /// the session only, and the address is of no use to anybody else.
    pub fn seal_onward(&self, page: Option<&str>, session: &Session<'_>, settings: &SessionSettings, entropy: &mut dyn Entropy) -> String {
        let page = page.map(|page| compress(page.as_bytes(), b""));
        let onward = Onward { token: self.0.expose().into(), page };
        // A text and bytes: nothing in it can fail to become bytes.
        let plaintext = Zeroizing::new(postcard::to_allocvec(&onward).unwrap_or_default());
        settings.keys.seal_for(&owner_of_onward(session), Purpose::RefreshToken, &plaintext, entropy)
    }

    /// What [`Self::seal_onward`] has sealed, and the page, to be parsed again: for this session, shortly after its login.
    pub fn open_onward(sealed: &str, session: &Session<'_>, settings: &SessionSettings, now: UnixTime) -> Option<(Self, Option<String>)> {
        let opened = settings.keys.open_for(&owner_of_onward(session), Purpose::RefreshToken, sealed)?;
        let Onward { token, page } = postcard::from_bytes(&opened.plaintext).ok()?;
        let text = |page: Vec<u8>| String::from_utf8(decompress(&page, b"", return_to::MAX_LENGTH)?).ok();
        let is_in_time = now < session.started_at().after(ON_ITS_WAY);
        is_in_time.then(|| (Self(Secret::new(token)), page.and_then(text)))
    }
}

/// No name of a session has a slash.
fn owner_of_onward(session: &Session<'_>) -> String {
    format!("{}/onward", session.handle())
}
