//! What it takes to verify a signature: compiled natively and for WebAssembly, run by `scripts/bench-signatures.sh`. Prints
//! algorithm and nanoseconds, the median of some rounds.

#![expect(clippy::expect_used, reason = "a step that fails ends the program")]
#![expect(clippy::print_stdout, reason = "what was measured")]

use std::time::Instant;

use jwt_simple::prelude::*;

const ROUNDS: usize = 21;
const VERIFICATIONS: u32 = 20;

fn main() {
    let key = RS256KeyPair::generate(2048).expect("a key");
    let (token, public) = (key.sign(claims()).expect("signed"), key.public_key());
    measure("RS256", || public.verify_token::<NoCustomClaims>(&token, None).is_ok());
    let key = ES256KeyPair::generate();
    let (token, public) = (key.sign(claims()).expect("signed"), key.public_key());
    measure("ES256", || public.verify_token::<NoCustomClaims>(&token, None).is_ok());
    let key = Ed25519KeyPair::generate();
    let (token, public) = (key.sign(claims()).expect("signed"), key.public_key());
    measure("EdDSA", || public.verify_token::<NoCustomClaims>(&token, None).is_ok());
}

fn claims() -> JWTClaims<NoCustomClaims> {
    Claims::create(Duration::from_hours(1)).with_issuer("https://provider.test").with_subject("8f3c1a52-77de-4b0e-9c3a-2d1f0b6e5a49")
}

fn measure(algorithm: &str, verify: impl Fn() -> bool) {
    let mut rounds: Vec<u128> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            assert!((0..VERIFICATIONS).all(|_| verify()), "{algorithm}");
            start.elapsed().as_nanos() / u128::from(VERIFICATIONS)
        })
        .collect();
    rounds.sort_unstable();
    println!("{algorithm} {}", rounds[ROUNDS / 2]);
}
