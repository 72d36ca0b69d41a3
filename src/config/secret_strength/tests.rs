use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use super::*;
use crate::entropy::{Entropy as _, Fixed};

/// How often each way to make a secret is tried. Native, an estimate takes some ten microseconds.
const SAMPLES: usize = 20_000;

fn hex(bytes: &[u8]) -> String {
    base16ct::lower::encode_string(bytes)
}

fn uuid(bytes: &[u8]) -> String {
    let mut bytes = bytes.to_vec();
    (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x40, bytes[8] & 0x3f | 0x80);
    let text = hex(&bytes);
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}

fn letters_and_digits(bytes: &[u8]) -> String {
    const ALL: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    bytes.iter().map(|byte| char::from(ALL[usize::from(*byte) % ALL.len()])).collect()
}

/// `openssl rand -hex` and `-base64`, Python's `secrets`, `uuidgen`, `vestibule cookie-secret`, password managers.
#[test]
fn nothing_that_is_made_at_random_is_refused() {
    let mut entropy = Fixed::default();
    let mut random = |bytes: usize| {
        let mut drawn = vec![0; bytes];
        entropy.fill(&mut drawn);
        drawn
    };
    type Written = fn(&[u8]) -> String;
    let ways: [(&str, usize, Written); 17] = [
        ("Laravel's form", 32, |bytes| format!("base64:{}", STANDARD.encode(bytes))),
        ("a fingerprint's form", 32, |bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")),
        ("the base64 of hexadecimal digits", 32, |bytes| STANDARD.encode(hex(bytes))),
        ("32 hexadecimal digits", 16, hex),
        ("in capitals", 16, |bytes| hex(bytes).to_uppercase()),
        ("48", 24, hex),
        ("64", 32, hex),
        ("base64 of 24 bytes", 24, |bytes| STANDARD.encode(bytes)),
        ("of 32", 32, |bytes| STANDARD.encode(bytes)),
        ("of 33", 33, |bytes| STANDARD.encode(bytes)),
        ("without padding", 32, |bytes| STANDARD_NO_PAD.encode(bytes)),
        ("base64url", 32, |bytes| URL_SAFE_NO_PAD.encode(bytes)),
        ("padded", 32, |bytes| URL_SAFE.encode(bytes)),
        ("one UUID", 16, uuid),
        ("two", 32, |bytes| format!("{}{}", uuid(&bytes[..16]), uuid(&bytes[16..]))),
        ("two, without hyphens", 32, |bytes| format!("{}{}", uuid(&bytes[..16]), uuid(&bytes[16..])).replace('-', "")),
        ("letters and digits", 32, letters_and_digits),
    ];
    for (way, bytes, make) in ways {
        for _ in 0..SAMPLES {
            let secret = make(&random(bytes));
            assert!(!is_guessable(&secret, &[]), "{way}: {secret}");
        }
    }
}

/// 32 decimal digits have 106 bits, so that a few of them are refused by chance.
#[test]
fn of_a_thousand_random_numbers_one_at_most_is_refused() {
    let mut entropy = Fixed::default();
    for digits in [32, 40] {
        let refused = (0..SAMPLES).filter(|_| {
            let mut drawn = vec![0; digits * 8];
            entropy.fill(&mut drawn);
            let digit =
                |bytes: &[u8]| char::from_digit(bytes.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % 10), 10).unwrap();
            is_guessable(&drawn.chunks(8).map(digit).collect::<String>(), &[])
        });
        let refused = refused.count();
        assert!(refused <= SAMPLES / 1000, "{refused} of {SAMPLES} with {digits} digits");
    }
}

#[test]
fn what_people_write_is_refused() {
    for secret in [
        "my-super-secret-cookie-secret-key-2024",
        "0123456789abcdef0123456789abcdef",
        "aaaaaaaaBBBBBBBBcccccccc11111111",
        "abcdefghijklmnopqrstuvwxyz123456",
        "passwordpasswordpassword12345678",
        "thisisaverysecretcookiesecretkey",
        "zyxwvutsrqponmlkjihgfedcba987654",
        "qwertyuiopasdfghjklzxcvbnm123456",
        "1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9",
        "!QAZ2wsx#EDC4rfv%TGB6yhn&UJM8ik,",
        "1a2b3c4d5e6f7g8h9i0j1a2b3c4d5e6f",
        "a1b2c3d4e5f6a7b8c9d0e1f2a3b4c5d6",
        "0a1b2c3d4e5f60718293a4b5c6d7e8f9",
        "f0e1d2c3b4a5968778695a4b3c2d1e0f",
        "13579bdf02468ace13579bdf02468ace",
        "00112233445566778899aabbccddeeff",
        "abc1abc2abc3abc4abc5abc6abc7abc8",
        "abc123def456ghi789jkl012mno345pq",
        "aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789",
        "deadbeefcafebabedeadbeefcafebabe",
        "badc0ffee0ddf00dbadc0ffee0ddf00d",
        "00000000-0000-0000-0000-000000000000",
        "12345678-1234-1234-1234-123456789abc",
        "31415926535897932384626433832795",
        "11235813213455891442333776109871597258",
        "2468101214161820222426283032343638",
        "2024-01-01-2024-12-31-2025-01-01-2025",
        "ertyuiopqw-sdfghjklas-1953-01-02-1950.01.02",
        "1987/03/14-1989/11/29-2013/06/05-2016/08/31",
        "20240101202401022024010320240104",
        "24121987310119902302195817062003",
        "24.12.1987-31.01.1990-23.02.1958-17.06.2003",
        "19871990195820031969197419662011",
        "01701234567017012345680170123456901701234570",
        "10000100011000210003100041000510006",
        "98765432109876543210987654321098",
        "January2024February2024March2024",
        "P@ssw0rdP@ssw0rdP@ssw0rdP@ssw0rd",
        "S3cr3tC00k13K3yF0rStr3aml1tApp2024!",
        "correct-horse-battery-staple-2024",
        "the quick brown fox jumps over the lazy dog",
        "tobeornottobethatisthequestion!!",
        "ThisIsMyVeryLongAndSecurePassphrase2024",
        "ilovemydogandmycatverymuchindeed",
        "REPLACE_ME_WITH_A_RANDOM_STRING_",
        "insert-your-random-secret-here-please",
        "your-256-bit-secret-your-256-bit-secret",
        "a-string-secret-at-least-256-bits-long",
        "ThisTokenIsNotSoSecretChangeItNow",
        "acme-corp-streamlit-dashboard-prod-2025-secret",
        "john.smith@example.com-john.smith@example.com",
        "EinSehrGeheimesPasswortFuerDieFirma",
        "asdkjfhaskjdfhaksjdhfkajshdfkjas",
        "\u{8fd9}\u{662f}\u{4e00}\u{4e2a}\u{975e}\u{5e38}\u{79d8}\u{5bc6}\u{7684}\u{5bc6}\u{94a5}",
        // Documentation of Flask, FastAPI, oauth2-proxy.
        "192b9bdd22ab9ed4d12e236c78afcb9a393ec15f71bbf5dc987d54727823bcbf",
        "09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7",
        "OQINaROshtE9TcZkNAm-5Zs2Pv3xaWytBmc5W7sPX7w=",
        "5b0f6d2c8e1a49738d42f0c9a7be6135e8c7d21f94a06b3e",
        // In another form.
        "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "dGhpcyBpcyBhIHZlcnkgc2VjcmV0IGNvb2tpZSBzZWNyZXQ=",
        "7468697320697320612076657279207365637265742073656372",
        "base64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "0x000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
        "00:01:02:03:04:05:06:07:08:09:0a:0b:0c:0d:0e:0f:10:11:12:13:14:15",
        "MDAwMTAyMDMwNDA1MDYwNzA4MDkwYTBiMGMwZDBlMGYxMDExMTIxMzE0MTUxNg==",
        "ZEdocGN5QnBjeUJoSUhabGNua2djMlZqY21WMElHTnZiMnRwWlNCelpXTnlaWFE9",
        "sha256:5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8",
        "XohImNooBHFR0OVvjcYpJ3NgPQ1qq73WKhHvch0VQtg=",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "super-secret-jwt-token-with-at-least-32-characters-long",
        "urn:uuid:6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "{6ba7b810-9dad-11d1-80b4-00c04fd430c8}",
        "b64:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=",
        "django-insecure-#8kz!m2v@q0w7x_r$3t5y^u9i&o1p*a4s6d",
        // Versions 1 and 3 of a UUID, and 7.
        "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
        "5df41881-3aed-3515-88a7-2f4a814cf09e",
        "017F22E2-79B0-7CC3-98C4-DC0C0C07398F",
        // Documentation of AWS, Stripe, jwt.io, RFC 7515.
        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "sk_test_4eC39HqLyjWDarjtT1zdp7dc",
        "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
    ] {
        assert!(is_guessable(secret, &[]), "{secret}: {} bits", estimate(secret.as_bytes(), Form::Typed, &[]));
    }
}

#[test]
fn digests_of_what_comes_to_mind_are_refused() {
    for word in ["", "test", "password", "secret", "admin", "123456", "hello"] {
        for digest in [hex(&Sha1::digest(word)), hex(&Sha256::digest(word)), hex(&Sha256::digest(word)).to_uppercase()] {
            assert!(is_guessable(&digest, &[]), "{word}: {digest}");
        }
    }
    for md5 in ["5f4dcc3b5aa765d61d8327deb882cf99", "d41d8cd98f00b204e9800998ecf8427e"] {
        assert!(is_guessable(md5, &[]), "{md5}");
    }
}

#[test]
fn what_others_know_makes_no_secret() {
    let id = "9e107d9d-372b-4b68-a1d8-1d3542a419d6";
    let client_secret = "q7Rz8fKw2mQLbXeR4tY9uVn3JcH6aPd5";
    let known = [id, client_secret, "op.example"];
    for secret in [
        id.to_owned(),
        id.to_uppercase(),
        client_secret.to_owned(),
        format!("{client_secret}1"),
        format!(" {client_secret} "),
        format!("{id}{client_secret}"),
        format!("{client_secret}-2024-op.example"),
        STANDARD.encode(client_secret),
        hex(client_secret.as_bytes()),
        client_secret.repeat(5),
    ] {
        assert!(is_guessable(&secret, &known), "{secret}");
    }
    let random = "x3Vq9LkT0bZpW7sYfGhD2nRjE5uMcA8i";
    assert!(!is_guessable(&format!("{id}-{random}"), &known) && !is_guessable(random, &known));
}

#[test]
fn few_different_bytes_are_refused_however_many_there_are() {
    let mut entropy = Fixed::default();
    for different in 1..MIN_DIFFERENT {
        let mut bytes = [0; 400];
        entropy.fill(&mut bytes);
        let secret: String = bytes.iter().map(|byte| char::from(b"q8Zk3mV"[usize::from(*byte) % different])).collect();
        assert!(is_guessable(&secret, &[]), "{secret}");
    }
}

#[test]
fn a_long_secret_is_looked_at_to_its_limit_and_no_further() {
    for secret in ["a".repeat(100_000), "secret-".repeat(50_000), "0123456789".repeat(50_000)] {
        assert!(is_guessable(&secret, &[]));
    }
    assert!(!is_guessable(&format!("{}8f0Kw2mQz7LbXe4RtY9uVn3JcH6s", "password".repeat(4)), &[]), "what stands behind a word counts");
}

#[test]
fn the_words_are_sorted_and_can_be_found() {
    let words: Vec<_> = WORDS.lines().collect();
    assert!(words.is_sorted() && WORDS.ends_with('\n'));
    for word in words {
        assert!(word.len() >= 3 && word.bytes().all(|b| b.is_ascii_lowercase()), "{word}");
        let mut found = false;
        words_at(word.as_bytes(), |here| found |= here == word.as_bytes());
        assert!(found, "{word}");
    }
}

fn word() -> impl Strategy<Value = String> {
    let words: Vec<&str> = WORDS.lines().filter(|word| word.len() >= 4).collect();
    (select(words), 0..4_u8).prop_map(|(word, form)| match form {
        0 => word.to_owned(),
        1 => word.to_uppercase(),
        2 => word[..1].to_uppercase() + &word[1..],
        _ => word.replace('o', "0").replace('e', "3").replace('s', "$"),
    })
}

/// A piece of something that goes on by itself.
fn sequence() -> impl Strategy<Value = String> {
    let rows =
        ["0123456789", "9876543210", "abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba", "qwertyuiop", "asdfghjkl", "zxcvbnm"];
    (select(rows.to_vec()), 0..4_usize, 4..12_usize).prop_map(|(row, start, length)| row.chars().cycle().skip(start).take(length).collect())
}

/// Things that are put together to a secret by hand.
fn chunk() -> impl Strategy<Value = String> {
    let date =
        (1950..2050_u16, 1..13_u8, 1..29_u8, select(vec!["", "-", "."])).prop_map(|(y, m, d, dot)| format!("{y}{dot}{m:02}{dot}{d:02}"));
    let run = ("[a-zA-Z0-9]", 4..16_usize).prop_map(|(character, times)| character.repeat(times));
    prop_oneof![4 => word(), 2 => sequence(), 1 => date, 1 => run]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn few_chunks_in_any_order_are_refused(chunks in vec(chunk(), 1..5), separator in select(vec!["", "-", "_", " ", "."])) {
        let secret = chunks.join(separator);
        prop_assert!(is_guessable(&secret, &[]), "{secret}: {}", estimate(secret.as_bytes(), Form::Typed, &[]));
        prop_assert!(is_guessable(&STANDARD.encode(&secret), &[]) && is_guessable(&URL_SAFE_NO_PAD.encode(&secret), &[]) && is_guessable(&hex(secret.as_bytes()), &[]));
    }

    #[test]
    fn dates_and_years_in_digits_alone_are_refused(dates in vec((1950..2050_u16, 1..13_u8, 1..29_u8), 8), form in 0..3_u8) {
        let secret: String = dates.iter().map(|(y, m, d)| match form {
            0 => format!("{y}{m:02}{d:02}"),
            1 => format!("{d:02}{m:02}{y}"),
            _ => y.to_string(),
        }).collect();
        prop_assert!(is_guessable(&secret[..32], &[]), "{secret}: {}", estimate(secret.as_bytes(), Form::Typed, &[]));
    }

    #[test]
    fn a_short_text_is_not_made_better_by_repeating_it(seed in "[!-~]{1,9}", times in 4..16_usize, form in 0..3_u8) {
        let mirrored: String = seed.chars().chain(seed.chars().rev()).collect();
        let secret = match form {
            0 => seed.repeat(times),
            1 => mirrored.repeat(times),
            _ => (0..times).map(|number| format!("{}{number}", &seed[..seed.len().min(5)])).collect(),
        };
        prop_assert!(is_guessable(&secret, &[]), "{secret}: {}", estimate(secret.as_bytes(), Form::Typed, &[]));
    }

    #[test]
    fn random_bits_are_enough_wherever_they_stand(random in vec(any::<u8>(), 24), chunks in vec(chunk(), 0..3), first in any::<bool>()) {
        // Proptest likes bytes that are no chance.
        let random = URL_SAFE_NO_PAD.encode(&Sha256::digest(random)[..24]);
        let known = chunks.join("-");
        let secret = if first { format!("{random}-{known}") } else { format!("{known}-{random}") };
        prop_assume!(secret.len() <= MAX_BYTES);
        prop_assert!(!is_guessable(&secret, &[]), "{secret}: {}", estimate(secret.as_bytes(), Form::Typed, &[]));
    }

    #[test]
    fn any_text_is_judged(text in any::<String>()) {
        is_guessable(&text, &[]);
    }
}
