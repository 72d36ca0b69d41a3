//! Other spellings of a page, all of which the most liberal server takes for the same. Written from what servers do with
//! paths, and without the code under test: `tests/filter/policy.rs` of the core uses it as well.

use vestibule::web::http::RequestHead;

/// What a request asks for.
#[derive(Clone, Debug)]
pub struct Page {
    pub method: String,
    pub host: String,
    /// Decoded; none is empty.
    pub segments: Vec<String>,
}

/// Texts that are one to servers that ignore case, to file systems that ignore Unicode's equivalences, or to both.
const SAME: [&[&str]; 16] = [
    &["a", "A", "ａ", "Ａ", "ᵃ"],
    &["k", "K", "\u{212a}", "ｋ"],
    &["s", "S", "\u{17f}", "ｓ"],
    &["i", "I", "\u{131}", "\u{130}", "i\u{307}"],
    &["ss", "ß", "\u{1e9e}", "SS"],
    &["fi", "\u{fb01}", "FI"],
    &["σ", "ς", "Σ"],
    &["é", "e\u{301}", "É", "E\u{301}"],
    &["å", "a\u{30a}", "\u{212b}", "\u{c5}"],
    &["\u{1fb4}", "α\u{301}\u{345}", "ά\u{3b9}"],
    &["가", "\u{1100}\u{1161}"],
    &["が", "か\u{3099}"],
    &[".", "\u{ff0e}", "\u{2024}"],
    &[" ", "\u{a0}", "\u{3000}"],
    &["mhz", "㎒"],
    &["1", "¹", "①", "１"],
];

/// Not seen: left out by HFS+.
const UNSEEN: [char; 5] = ['\u{200d}', '\u{ad}', '\u{fe0f}', '\u{feff}', '\u{200e}'];

/// Segments that are none to servers which drop parameters, or dots and spaces at the end.
const NOTHING: [&str; 5] = [";x", "...", " ", "\u{200b}", "....;v=1"];

/// Behind a name, these make no difference to some server.
const BEHIND: [&str; 8] = [".", " ", "..", ". .", ";", ";v=1", "\u{a0}", "\u{37e}x"];

/// `choose` says which of so many.
pub fn respell(page: &Page, mut choose: impl FnMut(usize) -> usize) -> RequestHead {
    let mut path = String::new();
    let last = page.segments.len().saturating_sub(1);
    for (index, segment) in page.segments.iter().enumerate() {
        if choose(8) == 1 {
            append(&mut path, NOTHING[choose(NOTHING.len())], &mut choose);
        }
        let mut name = segment.clone();
        for _ in 0..choose(4) {
            name = renamed(&name, &mut choose);
        }
        if choose(3) == 1 {
            name.push_str(BEHIND[choose(BEHIND.len())]);
        } else if choose(16) == 1 && name.is_ascii() && !name.contains(':') {
            name.push_str("::$DATA");
        }
        if index == last && choose(6) == 1 {
            name.push_str(["?", "#x", "\u{ff1f}"][choose(3)]);
            append(&mut path, &name, &mut choose);
            if choose(2) == 1 {
                append(&mut path, "more", &mut choose);
            }
        } else {
            append(&mut path, &name, &mut choose);
        }
    }
    if path.is_empty() || choose(4) == 1 {
        path.push('/');
    }
    if choose(6) == 1 {
        path.push_str("?x=/../y");
    }
    RequestHead { method: method(&page.method, &mut choose), ..RequestHead::get(&path, &host(&page.host, &mut choose)) }
}

fn renamed(name: &str, choose: &mut impl FnMut(usize) -> usize) -> String {
    match choose(4) {
        0 => name.to_uppercase(),
        1 => name.to_lowercase(),
        2 => {
            let same = SAME[choose(SAME.len())];
            let (from, to) = (same[choose(same.len())], same[choose(same.len())]);
            name.replace(from, to)
        }
        _ => {
            let mut characters: Vec<char> = name.chars().collect();
            characters.insert(choose(characters.len() + 1), UNSEEN[choose(UNSEEN.len())]);
            characters.into_iter().collect()
        }
    }
}

fn append(path: &mut String, segment: &str, choose: &mut impl FnMut(usize) -> usize) {
    // Some servers split at an encoded separator, the most liberal one at any.
    let is_first = path.is_empty();
    path.push_str(if is_first || choose(12) != 1 { "/" } else { ["%2F", "%2f", "%5C", "%5c"][choose(4)] });
    for byte in segment.bytes() {
        let is_free = byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@".contains(&byte);
        match (is_free, choose(4)) {
            (true, 0..=2) => path.push(char::from(byte)),
            (_, 3) => path.push_str(&format!("%{byte:02x}")),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
}

fn method(method: &str, choose: &mut impl FnMut(usize) -> usize) -> String {
    let same = if matches!(method, "GET" | "HEAD") { ["GET", "HEAD"][choose(2)] } else { method };
    if choose(4) == 1 { same.to_ascii_lowercase() } else { same.to_owned() }
}

fn host(host: &str, choose: &mut impl FnMut(usize) -> usize) -> String {
    let mut written = String::new();
    for c in host.chars() {
        match choose(8) {
            1 => written.extend(c.to_uppercase()),
            2 if c.is_ascii_alphanumeric() => written.push_str(&format!("%{:02x}", u32::from(c))),
            _ => written.push(c),
        }
    }
    written + ["", "", ".", ":8443", ".:80", ".."][choose(6)]
}
