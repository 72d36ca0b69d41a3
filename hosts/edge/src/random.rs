//! Randomness for names of requests, reference numbers and `vestibule cookie-secret`: the operating system's.

use rand::TryRng as _;
use rand::rngs::SysRng;
use vestibule::entropy::{self, Entropy};

/// Bytes in a page's nonce.
const NONCE_BYTES: usize = 16;
/// Bytes in a cookie secret: as many as the keys that are derived from it have.
const COOKIE_SECRET_BYTES: usize = 32;

/// Draws from the operating system.
struct System;

impl Entropy for System {
    fn fill(&mut self, bytes: &mut [u8]) {
        if SysRng.try_fill_bytes(bytes).is_err() {
            // Without randomness there is no secret and no session; every modern kernel has it once booted.
            std::process::abort();
        }
    }
}

/// A reference number, shown on an error page and written to the log.
pub fn reference() -> String {
    entropy::reference(&mut System)
}

/// 128 random bits, as 32 hexadecimal digits.
pub fn request_id() -> String {
    let mut bytes = [0; 16];
    System.fill(&mut bytes);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// From 0 to 1, for pauses: where all would do the same at the same moment.
pub fn fraction() -> f64 {
    let mut bytes = [0; 4];
    System.fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

/// What ties a page's own style to its Content-Security-Policy.
pub fn nonce() -> String {
    entropy::token::<NONCE_BYTES>(&mut System)
}

/// A fresh value for `cookie_secret`: 32 random bytes as base64url without padding.
pub fn cookie_secret() -> String {
    entropy::token::<COOKIE_SECRET_BYTES>(&mut System)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_long_and_differ() {
        let (one, other) = (cookie_secret(), cookie_secret());
        // Six bits a character.
        assert_eq!(one.len() * 6 / 8, COOKIE_SECRET_BYTES);
        assert_ne!(one, other);
    }
}
