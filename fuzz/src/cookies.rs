//! Cookies as the most liberal of servers reads them, which is not how the core does.

use vestibule::web::http::Header;

/// Name and value of everything that a server could take for a cookie, if it reads UTF-8.
pub fn read_as_utf8(headers: &[Header]) -> Vec<(String, String)> {
    read(headers, |bytes| String::from_utf8_lossy(bytes).into_owned())
}

/// The same, if it reads Latin-1 as Python's servers do.
pub fn read_as_latin1(headers: &[Header]) -> Vec<(String, String)> {
    read(headers, |bytes| bytes.iter().map(|&byte| char::from(byte)).collect())
}

pub fn is_vestibules(name: &str) -> bool {
    name.strip_prefix("__Host-").unwrap_or(name).starts_with("vestibule_")
}

/// Whether Streamlit takes who the user is from a cookie of this name.
pub fn is_streamlits(name: &str) -> bool {
    let is_chunk =
        |rest: &str| rest.strip_prefix('_').is_some_and(|index| index.parse::<u8>().is_ok_and(|number| number.to_string() == index));
    let is_own = |own: &str| name.strip_prefix(own).is_some_and(|rest| rest.is_empty() || is_chunk(rest));
    ["_streamlit_user", "_streamlit_user_tokens"].into_iter().any(is_own)
}

fn read(headers: &[Header], decode: impl Fn(&[u8]) -> String) -> Vec<(String, String)> {
    let lines = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cookie"));
    let pairs = lines.flat_map(|(_, value)| value.split(|&byte| byte == b';')).map(decode);
    let cut = |pair: String| {
        let (name, value) = pair.split_once('=').unwrap_or((&pair, ""));
        (trim(name).to_owned(), trim(value).to_owned())
    };
    pairs.map(cut).collect()
}

/// Without what Python, browsers and Unicode call white space.
fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_whitespace() || c.is_ascii_control())
}
