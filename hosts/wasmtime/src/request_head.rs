//! The head of a request, in the form in which it crosses the boundary.

use std::fmt;

use crate::bindings::vestibule::filter::types;

/// The head of a request as the host received it: nothing is normalised, nothing is left out. See `wit/filter.wit` for what
/// each part must be.
#[derive(Clone)]
pub struct RequestHead {
    parts: Vec<u8>,
    ends: Vec<u32>,
    given: types::Given,
}

/// Method, target, authority, the application's server.
const BEFORE_FIELDS: usize = 4;

impl RequestHead {
    /// A head without fields. `path_with_query` is the target in origin form, byte for byte as the application would receive
    /// it; `authority` that of an HTTP/2 or absolute-form request; `application_server` is `Server` in the application's
    /// latest response, where the host keeps it.
    pub fn new(method: &str, path_with_query: &str, authority: Option<&str>, application_server: Option<&str>) -> RequestHead {
        let flag = |given: bool, flag: types::Given| if given { flag } else { types::Given::empty() };
        let given =
            flag(authority.is_some(), types::Given::AUTHORITY) | flag(application_server.is_some(), types::Given::APPLICATION_SERVER);
        // Room for what browsers send, so that it does not grow field by field.
        let mut head = RequestHead { parts: Vec::with_capacity(2048), ends: Vec::with_capacity(64), given };
        for part in [method, path_with_query, authority.unwrap_or_default(), application_server.unwrap_or_default()] {
            head.put(part.as_bytes());
        }
        head
    }

    /// The same head, of a request that was decided on before and is open still: obligation 6 of `wit/filter.wit`.
    #[must_use]
    pub fn judged_again(mut self) -> RequestHead {
        self.given |= types::Given::WAS_FORWARDED;
        self
    }

    /// Adds one field line, name and value as received.
    pub fn push(&mut self, name: &str, value: &[u8]) {
        self.put(name.as_bytes());
        self.put(value);
    }

    /// Name and value of each field line.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &[u8])> {
        (BEFORE_FIELDS..self.ends.len()).step_by(2).map(|index| (self.text(index), self.part(index + 1)))
    }

    /// The method.
    pub fn method(&self) -> &str {
        self.text(0)
    }

    /// The target, path and query.
    pub fn path_with_query(&self) -> &str {
        self.text(1)
    }

    /// The authority, where there was one beside the fields.
    pub fn authority(&self) -> Option<&str> {
        self.given.contains(types::Given::AUTHORITY).then(|| self.text(2))
    }

    /// What the application calls itself, where it is known.
    pub fn application_server(&self) -> Option<&str> {
        self.given.contains(types::Given::APPLICATION_SERVER).then(|| self.text(3))
    }

    fn put(&mut self, part: &[u8]) {
        self.parts.extend_from_slice(part);
        // A head of 4 GiB has no end that can be told; the component refuses it.
        self.ends.push(u32::try_from(self.parts.len()).unwrap_or(u32::MAX));
    }

    /// Of a part that was put in as text.
    fn text(&self, index: usize) -> &str {
        std::str::from_utf8(self.part(index)).unwrap_or_default()
    }

    fn part(&self, index: usize) -> &[u8] {
        let start = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |&end| end as usize);
        let end = self.ends.get(index).map_or(start, |&end| end as usize);
        self.parts.get(start..end).unwrap_or_default()
    }
}

impl From<RequestHead> for types::RequestHead {
    fn from(head: RequestHead) -> Self {
        let RequestHead { parts, ends, given } = head;
        Self { parts, ends, given }
    }
}

/// Cookies and codes are in it: the method and the fields' names are all that is shown.
impl fmt::Debug for RequestHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers().map(|(name, _)| name).collect();
        f.debug_struct("RequestHead").field("method", &self.method()).field("headers", &names).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_where_its_end_says() {
        let mut head = RequestHead::new("GET", "/a?b", None, Some("uvicorn"));
        head.push("host", b"app.example");
        head.push("x-empty", b"");
        assert_eq!((head.method(), head.path_with_query()), ("GET", "/a?b"));
        assert_eq!((head.authority(), head.application_server()), (None, Some("uvicorn")));
        let fields: Vec<_> = head.headers().collect();
        assert_eq!(fields, [("host", &b"app.example"[..]), ("x-empty", b"")]);
        let shown = format!("{head:?}");
        assert!(shown.contains("x-empty") && !shown.contains("app.example"), "{shown}");
    }
}
