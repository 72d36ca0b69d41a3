//! Randomness as an argument: the core never draws any.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// A source of cryptographically secure random bytes, given by the shell.
pub trait Entropy {
    fn fill(&mut self, bytes: &mut [u8]);
}

/// `BYTES` random bytes as base64url without padding: fit for `state`, `nonce` and `code_verifier`.
pub fn token<const BYTES: usize>(entropy: &mut dyn Entropy) -> String {
    let mut bytes = [0; BYTES];
    entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A number for a person to read out: ten characters, none of which look alike.
pub fn reference(entropy: &mut dyn Entropy) -> String {
    const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    let mut bytes = [0; 10];
    entropy.fill(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

/// Predictable bytes, for tests and examples only: whoever uses it elsewhere has no secrets.
#[derive(Debug, Default)]
pub struct Fixed(u64);

impl Entropy for Fixed {
    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            // The step of SplitMix64: different on every call, the same in every run.
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            chunk.copy_from_slice(&(mixed ^ (mixed >> 31)).to_le_bytes()[..chunk.len()]);
        }
    }
}
