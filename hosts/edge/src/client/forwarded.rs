//! The form of `Forwarded` (RFC 7239 section 4), read strictly: a list that could be cut in two ways is none.

/// What one proxy tells.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Element {
    /// `for`: a node, which may be hidden.
    pub(super) node: Option<String>,
    pub(super) proto: Option<String>,
    pub(super) host: Option<String>,
}

/// The elements of one line; `None` when it is not of the form. A colon and brackets are read without quotes too, as some
/// proxies write them: they separate nothing.
pub(super) fn parse(line: &str) -> Option<Vec<Element>> {
    let mut elements = Vec::new();
    let mut rest = line;
    loop {
        let (element, after) = element(rest)?;
        elements.extend(element);
        match after.strip_prefix(',') {
            Some(next) => rest = next,
            None => return after.is_empty().then_some(elements),
        }
    }
}

/// The first element, and what stands from its end on. An empty one is none (RFC 9110 section 5.6.1.2).
fn element(mut rest: &str) -> Option<(Option<Element>, &str)> {
    let mut seen: Vec<String> = Vec::new();
    let mut element = Element::default();
    loop {
        rest = skip_space(rest);
        if !rest.is_empty() && !rest.starts_with([',', ';']) {
            let (name, after) = rest.split_once('=')?;
            let name = Some(name).filter(|name| !name.is_empty() && name.bytes().all(is_token))?.to_ascii_lowercase();
            let (value, after) = value(after)?;
            // Each parameter at most once (section 4).
            if seen.contains(&name) {
                return None;
            }
            match name.as_str() {
                "for" => element.node = Some(value),
                "proto" => element.proto = Some(value),
                "host" => element.host = Some(value),
                _ => {}
            }
            seen.push(name);
            rest = skip_space(after);
        }
        match rest.strip_prefix(';') {
            Some(next) => rest = next,
            None if rest.is_empty() || rest.starts_with(',') => return Some(((!seen.is_empty()).then_some(element), rest)),
            None => return None,
        }
    }
}

/// A token or a quoted string (RFC 9110 section 5.6.4), and what stands behind it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.bytes().position(|b| !is_token(b) && !b":[]".contains(&b)).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

fn skip_space(text: &str) -> &str {
    text.trim_start_matches([' ', '\t'])
}

/// RFC 9110 section 5.6.2.
fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(node: Option<&str>, proto: Option<&str>, host: Option<&str>) -> Element {
        Element { node: node.map(str::to_owned), proto: proto.map(str::to_owned), host: host.map(str::to_owned) }
    }

    #[test]
    fn elements_are_read_as_the_standard_writes_them() {
        // The examples of RFC 7239 section 4 first.
        for (line, elements) in [
            ("for=\"_gazonk\"", vec![element(Some("_gazonk"), None, None)]),
            ("For=\"[2001:db8:cafe::17]:4711\"", vec![element(Some("[2001:db8:cafe::17]:4711"), None, None)]),
            ("for=192.0.2.60;proto=http;by=203.0.113.43", vec![element(Some("192.0.2.60"), Some("http"), None)]),
            (
                "for=192.0.2.43, for=198.51.100.17",
                vec![element(Some("192.0.2.43"), None, None), element(Some("198.51.100.17"), None, None)],
            ),
            ("for=192.0.2.1:80;host=[::1]:80", vec![element(Some("192.0.2.1:80"), None, Some("[::1]:80"))]),
            (" ; for=unknown ;\tHOST=\"a\\\"b\" ; , ,", vec![element(Some("unknown"), None, Some("a\"b"))]),
            ("for=\"a,b;c\";x=1", vec![element(Some("a,b;c"), None, None)]),
            ("", vec![]),
            (",", vec![]),
        ] {
            assert_eq!(parse(line), Some(elements), "{line}");
        }
    }

    #[test]
    fn what_could_be_cut_in_two_ways_is_none() {
        for line in [
            "for",
            "for=",
            "=a",
            "for=a b",
            "for=\"a\"b",
            "for=\"a",
            "for=\"a\\",
            "for=\"a, for=b\", for=\"c",
            "for=\"a, for=\"[::1]\"",
            "for=\"a\\\", for=b",
            "for=a;for=b",
            "for=a;FOR=b",
            "for=a;;proto=http;proto=http",
            "for =a",
            "for= a",
            "f(r=a",
            "for=a=b",
            "for=a, b",
            "for='a;b\"",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}
