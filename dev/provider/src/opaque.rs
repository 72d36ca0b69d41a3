//! Values nobody can guess: codes, access tokens, sign-on identifiers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// 256 random bits, base64url: 43 characters that need no escaping anywhere.
pub(crate) fn opaque() -> String {
    URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}
