//! Names that providers give: often GUIDs, which take less than half the room as numbers.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use uuid::fmt::Hyphenated;

/// One GUID, in bytes.
pub(super) const GUID_BYTES: usize = 16;

/// The id of a client.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) enum Id<'a> {
    #[serde(borrow)]
    Text(Cow<'a, str>),
    /// As [`guid`] reads it.
    Guid([u8; GUID_BYTES]),
}

impl<'a> Id<'a> {
    pub(crate) fn new(text: Cow<'a, str>) -> Self {
        match guid(&text) {
            Some(guid) => Self::Guid(guid),
            None => Self::Text(text),
        }
    }

    /// Shows the text.
    pub(crate) fn with_text<T>(&self, show: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::Text(text) => show(text),
            Self::Guid(guid) => with_guid(guid, show),
        }
    }
}

/// A GUID in lower case with hyphens, as RFC 9562 section 4 writes it.
pub(super) fn guid(text: &str) -> Option<[u8; GUID_BYTES]> {
    let guid = Uuid::try_parse(text).ok()?;
    (guid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == text).then_some(guid.into_bytes())
}

/// Shows the text of a GUID.
pub(crate) fn with_guid<T>(guid: &[u8; GUID_BYTES], show: impl FnOnce(&str) -> T) -> T {
    show(Uuid::from_bytes_ref(guid).hyphenated().encode_lower(&mut [0; Hyphenated::LENGTH]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_a_number_and_every_text_is_shown_as_it_was() {
        for (text, is_guid) in [
            ("6cb04018-a3f5-46a7-b995-940c78f5aef3", true),
            ("6CB04018-A3F5-46A7-B995-940C78F5AEF3", false),
            ("6cb04018a3f546a7b995940c78f5aef3", false),
            ("{6cb04018-a3f5-46a7-b995-940c78f5aef3}", false),
            ("urn:uuid:6cb04018-a3f5-46a7-b995-940c78f5aef3", false),
            ("client-1", false),
            ("", false),
        ] {
            let id = Id::new(text.into());
            assert_eq!(matches!(id, Id::Guid(_)), is_guid, "{text}");
            assert!(id.with_text(|shown| shown == text), "{text}");
        }
    }
}
