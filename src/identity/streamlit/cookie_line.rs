//! How signed cookies are put into `Cookie` lines that Streamlit's server takes.

use super::CookieForm;
use crate::secret::Secret;
use crate::time::UnixTime;

/// The longest value of a `Cookie` line. uvicorn's WebSocket library takes lines of 8,192 bytes, name and line end
/// included; on one more byte the handshake hangs for ever.
const MAX_LINE_BYTES: usize = 8_182;

/// The longest line of any other header for the same server, with name, colon, space and line end.
pub(super) const MAX_FIELD_BYTES: usize = 8_192;

/// More chunks than a whole head has room for.
const MAX_CHUNKS: usize = 16;

/// The cookie `name` as `name=value`; in chunks where it would not fit into a line: then the cookie holds `chunks-N`,
/// and `name_1` to `name_N` hold slices of the text, each signed under its own name.
pub(super) fn pairs(form: CookieForm, secret: &Secret, name: &str, text: &str, at: UnixTime) -> Vec<Vec<u8>> {
    let pair = |name: &str, text: &str| format!("{name}={}", form.sign(secret, name, text, at)).into_bytes();
    let whole = pair(name, text);
    if form == CookieForm::Tornado || whole.len() <= MAX_LINE_BYTES {
        // Tornado takes a head of 64 KiB in whatever lines, and up to Streamlit 1.52 knows no chunks.
        return vec![whole];
    }
    let chunked = (2..=MAX_CHUNKS).map(|number| {
        // The text is ASCII, so any byte is a boundary.
        let slices = text.as_bytes().chunks(text.len().div_ceil(number)).map(String::from_utf8_lossy);
        let chunks: Vec<_> = slices.zip(1..).map(|(slice, index)| pair(&format!("{name}_{index}"), &slice)).collect();
        [vec![pair(name, &format!("chunks-{}", chunks.len()))], chunks].concat()
    });
    // A text that not even so many hold is too large for the head, which is looked at later.
    chunked.into_iter().find(|pairs| pairs.iter().all(|pair| pair.len() <= MAX_LINE_BYTES)).unwrap_or_else(|| vec![whole])
}

/// One line for Tornado, which joins several with commas. For Starlette as few as hold all pairs, in their order.
pub(super) fn lines(form: CookieForm, pairs: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    const BETWEEN: &[u8] = b"; ";
    let mut lines: Vec<Vec<u8>> = vec![];
    for pair in pairs {
        match lines.last_mut() {
            Some(line) if form == CookieForm::Tornado || line.len() + BETWEEN.len() + pair.len() <= MAX_LINE_BYTES => {
                line.extend_from_slice(BETWEEN);
                line.extend_from_slice(&pair);
            }
            _ => lines.push(pair),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: UnixTime = UnixTime::from_secs(1_700_000_000);

    fn made(form: CookieForm, text: &str) -> Vec<String> {
        let pairs = pairs(form, &Secret::new("reference-cookie-secret-0123456789abcdef"), "_streamlit_user", text, AT);
        pairs.into_iter().map(|pair| String::from_utf8(pair).unwrap()).collect()
    }

    /// Letters that do not get shorter.
    fn noise(length: usize) -> String {
        let mut state = 1_u64;
        let mut letter = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            char::from(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[(state >> 58) as usize])
        };
        (0..length).map(|_| letter()).collect()
    }

    #[test]
    fn what_fits_into_a_line_is_one_cookie() {
        assert_eq!(made(CookieForm::Itsdangerous, "{}").len(), 1);
        assert_eq!(made(CookieForm::Tornado, &noise(30_000)).len(), 1, "up to 1.52 it knows no chunks");
    }

    #[test]
    fn a_longer_one_is_cut_so_that_every_chunk_fits() {
        for length in [8_100, 8_182, 9_000, 20_000, 40_000] {
            let text = noise(length);
            let cookies = made(CookieForm::Itsdangerous, &text);
            let names: Vec<_> = cookies.iter().map(|pair| pair.split('=').next().unwrap()).collect();
            assert!(cookies.iter().all(|pair| pair.len() <= MAX_LINE_BYTES), "{length}");
            let number = cookies.len() - 1;
            let count = made(CookieForm::Itsdangerous, &format!("chunks-{number}"));
            assert_eq!(cookies[0], count[0], "{length}");
            let expected: Vec<_> = (1..=number).map(|index| format!("_streamlit_user_{index}")).collect();
            assert_eq!(names[1..], expected, "{length}");
        }
    }

    #[test]
    fn lines_of_starlette_are_as_long_as_they_may_be_and_no_longer() {
        let pairs = || vec![vec![b'a'; MAX_LINE_BYTES - 3], vec![b'b'; 1], vec![b'c'; 1], vec![b'd'; MAX_LINE_BYTES]];
        let lengths = |form| lines(form, pairs()).iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(CookieForm::Itsdangerous), [MAX_LINE_BYTES, 1, MAX_LINE_BYTES]);
        assert_eq!(lengths(CookieForm::Tornado), [2 * MAX_LINE_BYTES + 5]);
        assert!(lines(CookieForm::Tornado, vec![]).is_empty());
    }
}
