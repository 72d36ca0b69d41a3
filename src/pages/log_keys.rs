//! What leads from an answer of ours to its lines in the log.

use serde_json::{Map, Value};

/// By what the log, the audit and the application have a request whose answer this is. Nothing of it is secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogKeys<'a> {
    /// A number of this answer alone, short enough to be read out ([`crate::entropy::reference`]). `None` where the log has no line
    /// for it.
    pub reference: Option<&'a str>,
    /// The name of the request ([`crate::web::request_id::of`]). `None` where the host has not named it.
    pub request_id: Option<&'a str>,
}

impl<'a> LogKeys<'a> {
    /// Of an answer that is no event of its own.
    pub(crate) fn of_request(request_id: Option<&'a str>) -> Self {
        Self { reference: None, request_id }
    }

    /// As members of a problem document (RFC 9457 section 3.2).
    pub(super) fn extend(self, problem: &mut Map<String, Value>) {
        for (name, value) in [("reference", self.reference), ("request_id", self.request_id)] {
            problem.extend(value.map(|value| (name.to_owned(), value.into())));
        }
    }
}
