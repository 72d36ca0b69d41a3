//! How hard a secret is to guess: about the length of its shortest description.
//!
//! A secret is put together of pieces, from left to right, each with a price in bits: a word, a year, a run along the
//! alphabet, the digits or the keyboard, a repetition of what was there before (also mirrored, or counted up), or one
//! character. The cheapest way to put all of it together is the estimate. A secret that is the base64 or the hexadecimal
//! form of something is read in that form as well.
//!
//! The prices are close to those of a code, so random text has no much cheaper description than its own bits (Kraft's
//! inequality): of four million times 32 random hexadecimal digits, which have 128 bits, the lowest estimate was 99. So
//! no secret that was made at random is refused, and sentences, dates and patterns are. 32 random decimal digits have 106
//! bits, close to the limit: of 1,700 such secrets one is refused. This is no proof of strength:
//! a pattern that is not known here looks random.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

/// What a secret needs. 2^94 guesses are out of reach, and 128 random bits stay above it.
const ENOUGH: f32 = 94.0;

/// Fewer different bytes than that are a pattern, however long it is.
const MIN_DIFFERENT: usize = 8;

/// The same of decimal digits: three of the ten are missing in one of 800 times 32 random ones, four in one of 60,000.
const MIN_DIFFERENT_DIGITS: usize = 7;

/// Bytes that are looked at. Even prose has reached [`ENOUGH`] by then.
const MAX_BYTES: usize = 128;

/// Words, names and syllables, one a line, sorted: what samples, placeholders and passwords are made of.
const WORDS: &str = include_str!("secret_words.txt");

/// The same with two letters.
const SHORT_WORDS: [&[u8; 2]; 28] = [
    b"am", b"an", b"as", b"at", b"be", b"by", b"db", b"do", b"go", b"he", b"hi", b"id", b"if", b"in", b"is", b"it", b"me", b"my", b"no",
    b"of", b"ok", b"on", b"or", b"so", b"to", b"up", b"us", b"we",
];

/// Numbers that people know: pi, e, the square root of two, Fibonacci's, the powers of two.
const NUMBERS: [&[u8]; 5] = [
    b"314159265358979323846264338327950288419716939937510582097494459230781640628620899",
    b"271828182845904523536028747135266249775724709369995957496696762772407663035354759",
    b"141421356237309504880168872420969807856967187537694807317667973799073247846210703",
    b"1123581321345589144233377610987159725844181676510946177112865746368",
    b"124816326412825651210242048409681921638432768655361310722621445242881048576",
];

/// Digits of [`NUMBERS`] that are no chance.
const MIN_NUMBER: usize = 6;

/// How published values begin: secrets in the documentation of Flask, FastAPI, oauth2-proxy, AWS, Stripe, jwt.io and
/// RFC 7515 (A.1), and the digests (MD5, SHA-1, SHA-256) of the texts that come to mind: none, `test`, `password`, `secret`,
/// `admin`, `123456`, `hello`.
const PUBLISHED: [&str; 31] = [
    // Supabase's.
    "super-secret-jwt-token-with",
    // What Django's generator says of its own.
    "django-insecure-",
    "wJalrXUtnFEMI/K7",
    "sk_test_4eC39HqL",
    "SflKxwRJSMeKKF2Q",
    "AyM1SysPpbyDfgZl",
    "192b9bdd22ab9ed4",
    "09d25e094faa6ca2",
    "OQINaROshtE9TcZk",
    // Once in examples/ of this project.
    "5b0f6d2c8e1a4973",
    "d41d8cd98f00b204",
    "da39a3ee5e6b4b0d",
    "e3b0c44298fc1c14",
    "098f6bcd4621d373",
    "a94a8fe5ccb19ba6",
    "9f86d081884c7d65",
    "5f4dcc3b5aa765d6",
    "5baa61e4c9b93f3f",
    "5e884898da280471",
    "5ebe2294ecd0e0f0",
    "e5e9fa1ba31ecd1a",
    "2bb80d537b1da3e3",
    "21232f297a57a5a7",
    "d033e22ae348aeb5",
    "8c6976e5b5410415",
    "e10adc3949ba59ab",
    "7c4a8d09ca3762af",
    "8d969eef6ecad3c2",
    "5d41402abc4b2a76",
    "aaf4c61ddcc5e8a2",
    "2cf24dba5fb0a30e",
];

/// Prices of pieces, in bits.
const WORD: f32 = 9.0;
const SHORT_WORD: f32 = 6.5;
/// On top of a word: digits and signs in place of letters.
const DISGUISE: f32 = 1.5;
const KNOWN: f32 = 6.0;
const YEAR: f32 = 6.0;
const DATE: f32 = 15.0;
const NUMBER: f32 = 9.0;
const RUN: f32 = 8.0;
const COUNTED: f32 = 6.5;
/// Without the place of what is repeated.
const REPEATED: f32 = 3.0;
const MIRRORED: f32 = 4.0;
const SEPARATOR: f32 = 1.5;
/// For each character of a stretch: a long one is harder to describe, a little.
const LENGTH: f32 = 0.1;
/// Of a character of another script than ASCII's: its first byte, and each further one.
const FOREIGN: (f32, f32) = (5.0, 1.5);
/// Digits and bytes of no text meet by chance more often: on top of every piece of such.
const OF_DIGITS: f32 = 3.5;
/// Of years and dates where there are decimal digits only, on top of that: half of such texts have a year by chance.
const OF_DECIMALS: f32 = 2.0;

/// The longest distance at which something is counted up (`user01user02`).
const MAX_STRIDE: usize = 12;

/// With or without padding, as people copy it.
const LENIENT: GeneralPurposeConfig =
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent).with_decode_allow_trailing_bits(true);
const BASE64: [GeneralPurpose; 2] = [GeneralPurpose::new(&alphabet::STANDARD, LENIENT), GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT)];

/// What people write before a value, to say how it is written.
const WRAPPERS: [&str; 11] =
    ["0x", "base64:", "base64url:", "b64:", "{base64}", "hex:", "sha256:", "sha256-", "base64,", "bearer ", "secret="];

/// Shorter ones are no better known than other text.
pub(super) const MIN_KNOWN: usize = 6;

/// Forms within each other that are read: the base64 of hexadecimal digits, for example.
const MAX_FORMS: usize = 3;

/// Whether somebody who tries what people write, and knows the texts `known`, would find it.
pub(super) fn is_guessable(secret: &str, known: &[&str]) -> bool {
    let lower = secret.to_ascii_lowercase();
    let wrapper = WRAPPERS.iter().find(|wrapper| lower.starts_with(**wrapper));
    let bare = wrapper.map_or(secret, |wrapper| &secret[wrapper.len()..]);
    // Fingerprints are written in pairs of digits.
    let joined: String = bare.chars().filter(|c| !matches!(c, ':' | ' ')).collect();
    let known: Vec<_> = known.iter().map(|text| text.to_ascii_lowercase()).collect();
    is_old_uuid(&lower)
        || is_guessable_text(secret.as_bytes(), &known, MAX_FORMS)
        || (joined != secret && is_guessable_text(joined.as_bytes(), &known, MAX_FORMS))
}

fn is_guessable_text(text: &[u8], known: &[String], forms: usize) -> bool {
    is_published(text)
        || is_too_cheap(text, Form::Typed, known)
        || (forms > 0 && base16ct::mixed::decode_vec(text).is_ok_and(|bytes| is_guessable_form(&bytes, known, forms)))
        || (forms > 0 && BASE64.iter().any(|base64| base64.decode(text).is_ok_and(|bytes| is_guessable_form(&bytes, known, forms))))
}

fn is_guessable_form(bytes: &[u8], known: &[String], forms: usize) -> bool {
    match bytes.iter().all(|&b| is_typed(b)) {
        true => is_guessable_text(bytes.trim_ascii(), known, forms - 1),
        // The lists are of texts: digests stand there in hexadecimal.
        false => is_too_cheap(bytes, Form::Bytes, known) || is_published(base16ct::lower::encode_string(bytes).as_bytes()),
    }
}

fn is_published(text: &[u8]) -> bool {
    PUBLISHED.iter().any(|start| text.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start.as_bytes())))
}

/// A UUID of a version that is not random (RFC 9562 section 5): a clock and a network address, or a name.
fn is_old_uuid(lower: &str) -> bool {
    let bare = lower.strip_prefix("urn:uuid:").unwrap_or(lower).trim_matches(['{', '}']);
    let parts: Vec<_> = bare.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && bare.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()) && !bare[14..].starts_with('4')
}

fn is_too_cheap(text: &[u8], form: Form, known: &[String]) -> bool {
    let is_decimal = form == Form::Typed && text.iter().all(u8::is_ascii_digit);
    different(text) < (if is_decimal { MIN_DIFFERENT_DIGITS } else { MIN_DIFFERENT }) || estimate(text, form, known) < ENOUGH
}

/// What a secret is read as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// Text that somebody has typed.
    Typed,
    /// Any bytes: all are as likely as the others.
    Bytes,
}

/// Whether a decoded byte is likely to be of a text: 16 random bytes all are once in 2^26 times.
fn is_typed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b" -_.,:;!?@'$#&+=*/()".contains(&byte)
}

/// Bits of the cheapest way to put the text together; some number from [`ENOUGH`] on for every text that has as many.
fn estimate(text: &[u8], form: Form, known: &[String]) -> f32 {
    let text = Text::read(&text[..text.len().min(MAX_BYTES)], form, known);
    let length = text.bytes.len();
    let mut prices = [f32::INFINITY; MAX_BYTES + 1];
    prices[0] = 0.0;
    let mut cheap_until = 0;
    for at in 0..length {
        // Every way on from here costs enough already.
        if at > cheap_until {
            return ENOUGH;
        }
        let so_far = prices[at];
        if so_far < ENOUGH {
            text.pieces(at, |piece, bits| {
                let (end, price) = (at + piece, so_far + bits);
                prices[end] = prices[end].min(price);
                if price < ENOUGH {
                    cheap_until = cheap_until.max(end);
                }
            });
        }
    }
    prices[length]
}

fn different(text: &[u8]) -> usize {
    let mut seen = [false; 256];
    text.iter().for_each(|&byte| seen[usize::from(byte)] = true);
    seen.iter().filter(|&&seen| seen).count()
}

/// A text in the readings that pieces are found in. All of one length.
struct Text<'a> {
    bytes: &'a [u8],
    form: Form,
    known: &'a [String],
    small: [u8; MAX_BYTES],
    /// Digits and signs as the letters that they stand for.
    undisguised: [u8; MAX_BYTES],
    /// Where the characters are, along digits and alphabet, and on the keyboard.
    places: [[i16; MAX_BYTES]; 2],
    price: Price,
    /// Digits only, decimal or hexadecimal; or bytes.
    is_number: bool,
    is_decimal: bool,
}

/// Of a character by itself.
enum Price {
    Each(f32),
    Utf8(f32),
}

impl<'a> Text<'a> {
    fn read(bytes: &'a [u8], form: Form, known: &'a [String]) -> Self {
        let is_decimal = form == Form::Typed && bytes.iter().all(u8::is_ascii_digit);
        let is_number = bytes.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b))
            || bytes.iter().all(|b| b.is_ascii_digit() || (b'A'..=b'F').contains(b));
        #[expect(clippy::cast_precision_loss, reason = "at most 128")]
        let variety = (different(bytes) as f32).log2();
        let price = match std::str::from_utf8(bytes) {
            _ if form == Form::Bytes => Price::Each(8.0),
            Ok(_) if is_number && !is_decimal => Price::Each(4.0),
            // Digits that are missing by chance make the others no cheaper.
            Ok(_) if is_decimal && different(bytes) >= MIN_DIFFERENT_DIGITS => Price::Each(std::f32::consts::LOG2_10),
            Ok(text) if text.is_ascii() => Price::Each(variety),
            Ok(_) => Price::Utf8(variety),
            // It was cut off within a character.
            Err(_) => Price::Utf8(variety),
        };
        let (mut small, mut undisguised) = ([0; MAX_BYTES], [0; MAX_BYTES]);
        let mut places = [[0; MAX_BYTES]; 2];
        if form == Form::Bytes {
            small[..bytes.len()].copy_from_slice(bytes);
            places = [small.map(i16::from); 2];
        } else {
            for (at, byte) in bytes.iter().map(u8::to_ascii_lowercase).enumerate() {
                (small[at], undisguised[at]) = (byte, letter(byte));
                (places[0][at], places[1][at]) = (ordinal(byte), key(byte));
            }
        }
        Self { bytes, form, known, small, undisguised, places, price, is_number: is_number || form == Form::Bytes, is_decimal }
    }

    /// Tells the length and the price of every piece that begins here.
    fn pieces(&self, at: usize, mut found: impl FnMut(usize, f32)) {
        let length = self.bytes.len();
        let extra = if self.is_number { OF_DIGITS } else { 0.0 };
        let small = &self.small[..length];
        found(1, self.character(at));
        for text in self.known {
            let length = text.len().min(length - at);
            if length >= MIN_KNOWN && small[at..].starts_with(&text.as_bytes()[..length]) {
                found(length, KNOWN + extra);
            }
        }
        if self.form == Form::Typed {
            let extra_of_time = if self.is_decimal { extra + OF_DECIMALS } else { extra };
            if is_year(&small[at..]) {
                found(4, YEAR + extra_of_time);
            }
            if let Some(length) = date_at(&small[at..]) {
                found(length, DATE + extra_of_time);
            }
            words_at(&self.undisguised[at..length], |word| {
                let bits = if small[at..].starts_with(word) { WORD } else { WORD + DISGUISE };
                if word.len() >= 4 || (bits == WORD && !self.is_number) {
                    found(word.len(), bits + extra);
                }
            });
            if !self.is_number && SHORT_WORDS.iter().any(|word| small[at..].starts_with(&word[..])) {
                found(2, SHORT_WORD);
            }
        }

        // What goes on for a while: any part of it will do, from so many characters on that it is no chance.
        let chance = usize::from(self.is_number);
        #[expect(clippy::cast_precision_loss, reason = "at most 128")]
        let mut stretch = |longest: usize, shortest: usize, bits: f32| {
            (shortest..=longest).for_each(|piece| found(piece, bits + extra + LENGTH * piece as f32));
        };
        stretch(NUMBERS.iter().map(|number| number_at(&small[at..], number)).max().unwrap_or(0), MIN_NUMBER, NUMBER);
        for places in &self.places {
            if at + 2 < length {
                let step = places[at + 1] - places[at];
                if step.abs() <= 1 {
                    let goes_on = |&next: &usize| places[next] - places[next - 1] == step;
                    stretch(2 + (at + 2..length).take_while(goes_on).count(), 3 + chance, RUN);
                }
            }
            for stride in 1..=MAX_STRIDE.min(at / 2) {
                let step = |next: usize| places[next] - places[next - stride];
                let goes_on = |&next: &usize| step(next) == step(next - stride);
                stretch((at..length).take_while(goes_on).count(), 2 + chance, COUNTED);
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "at most 128")]
        let which = (at.max(1) as f32).log2();
        for before in (0..at).filter(|&before| small[before] == small[at]) {
            let repeated = (0..length - at).take_while(|&k| small[before + k] == small[at + k]).count();
            stretch(repeated, 3 + chance, REPEATED + which);
            let mirrored = (0..(length - at).min(before + 1)).take_while(|&k| small[before - k] == small[at + k]).count();
            stretch(mirrored, 3 + chance, MIRRORED + which);
        }
    }

    fn character(&self, at: usize) -> f32 {
        let byte = self.bytes[at];
        let is_word = |at: usize| self.bytes.get(at).is_some_and(u8::is_ascii_alphanumeric);
        let separates = byte.is_ascii() && !byte.is_ascii_alphanumeric() && at > 0 && is_word(at - 1) && is_word(at + 1);
        match self.price {
            Price::Each(bits) | Price::Utf8(bits) if separates && self.form == Form::Typed => bits.min(SEPARATOR),
            Price::Utf8(_) if (0x80..0xc0).contains(&byte) => FOREIGN.1,
            Price::Utf8(_) if byte >= 0xc0 => FOREIGN.0,
            Price::Each(bits) | Price::Utf8(bits) => bits,
        }
    }
}

/// Where the words with each two first letters begin in [`WORDS`], and where the last of them end.
const WORDS_OF_PAIRS: [usize; 26 * 26 + 1] = {
    let words = WORDS.as_bytes();
    let mut starts = [0; 26 * 26 + 1];
    let (mut at, mut filled) = (0, 0);
    while at < words.len() {
        while filled <= (words[at] - b'a') as usize * 26 + (words[at + 1] - b'a') as usize {
            starts[filled] = at;
            filled += 1;
        }
        while words[at] != b'\n' {
            at += 1;
        }
        at += 1;
    }
    while filled < starts.len() {
        starts[filled] = words.len();
        filled += 1;
    }
    starts
};

fn words_at(text: &[u8], found: impl FnMut(&[u8])) {
    let &[first @ b'a'..=b'z', second @ b'a'..=b'z', b'a'..=b'z', ..] = text else { return };
    let pair = usize::from(first - b'a') * 26 + usize::from(second - b'a');
    let words = &WORDS.as_bytes()[WORDS_OF_PAIRS[pair]..WORDS_OF_PAIRS[pair + 1]];
    words.split(|&byte| byte == b'\n').filter(|word| !word.is_empty() && text.starts_with(word)).for_each(found);
}

fn is_year(text: &[u8]) -> bool {
    matches!(text, [b'1', b'9', a, b, ..] | [b'2', b'0', a, b, ..] if a.is_ascii_digit() && b.is_ascii_digit())
}

/// The length of a date that stands here: year, month and day, with the same sign between them or none; or day, month and
/// year.
fn date_at(text: &[u8]) -> Option<usize> {
    let number = |digits: &[u8]| match digits {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9'] => Some((tens - b'0') * 10 + (ones - b'0')),
        _ => None,
    };
    let is_sign = |sign: &&u8| matches!(sign, b'-' | b'.' | b'/' | b'_' | b' ');
    let is_day_of = |month: u8, day: u8| (1..=12).contains(&month) && (1..=31).contains(&day);
    let Some(rest) = text.get(4..).filter(|_| is_year(text)) else {
        let day = number(text.get(..2)?)?;
        let sign = text.get(2).filter(is_sign);
        let (month_at, year_at) = if sign.is_some() { (3, 6) } else { (2, 4) };
        let month = number(text.get(month_at..month_at + 2)?)?;
        let is_date = is_day_of(month, day) && is_year(text.get(year_at..)?) && sign.is_none_or(|sign| text.get(5) == Some(sign));
        return is_date.then_some(year_at + 4);
    };
    let sign = rest.first().filter(is_sign);
    let (month_at, day_at) = if sign.is_some() { (1, 4) } else { (0, 2) };
    let month = number(rest.get(month_at..month_at + 2)?)?;
    let day = number(rest.get(day_at..day_at + 2)?)?;
    let is_date = is_day_of(month, day) && sign.is_none_or(|sign| rest.get(3) == Some(sign));
    is_date.then_some(4 + day_at + 2)
}

/// How many digits of a number stand here, from wherever in it.
fn number_at(text: &[u8], number: &[u8]) -> usize {
    let Some(start) = text.get(..MIN_NUMBER).filter(|start| start.iter().all(u8::is_ascii_digit)) else { return 0 };
    let found = number.windows(MIN_NUMBER).position(|digits| digits == start);
    found.map_or(0, |found| text.iter().zip(&number[found..]).take_while(|(digit, known)| digit == known).count())
}

/// The letter that a digit or a sign looks like.
fn letter(byte: u8) -> u8 {
    match byte {
        b'0' => b'o',
        b'1' | b'!' => b'i',
        b'3' => b'e',
        b'4' | b'@' => b'a',
        b'5' | b'$' => b's',
        b'7' | b'+' => b't',
        b'8' => b'b',
        b'9' => b'g',
        other => other,
    }
}

/// The place along the digits and the alphabet behind them; no other character has a neighbour.
fn ordinal(byte: u8) -> i16 {
    match byte {
        b'0'..=b'9' => i16::from(byte - b'0'),
        b'a'..=b'z' => i16::from(byte - b'a') + 10,
        other => 1000 + 3 * i16::from(other),
    }
}

/// The place on a keyboard, row by row.
fn key(byte: u8) -> i16 {
    const ROWS: [&[u8]; 4] = [b"1234567890-=", b"qwertyuiop[]", b"asdfghjkl;'", b"zxcvbnm,./"];
    let row = (0_i16..).zip(ROWS).find_map(|(row, keys)| Some((row, (0_i16..).zip(keys).find(|(_, key)| **key == byte)?.0)));
    row.map_or(1000 + 3 * i16::from(byte), |(row, column)| row * 32 + column)
}

#[cfg(test)]
mod tests;
