//! One line of the audit.

use std::net::IpAddr;
use std::time::SystemTime;

use serde::Serialize;
use vestibule::audit::AuditEvent;

/// The fields of a line, in their order. What is not known is left out.
#[derive(Clone, Serialize)]
pub(super) struct Line<'a> {
    /// RFC 3339, in UTC, with milliseconds.
    pub(super) time: String,
    pub(super) event: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<IpAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) provider: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) method: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) path: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) rule: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<&'a str>,
    /// The number on the page or in the problem document that the client got.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reference: Option<&'a str>,
    /// Which sessions have ended, where that is more than `session`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) extent: Option<&'static str>,
    /// How many lines are missing here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) lost: Option<u64>,
}

impl Line<'_> {
    /// A line with nothing but its time and its event.
    pub(super) fn of(event: AuditEvent, time: SystemTime) -> Self {
        Self {
            // A clock before 1970 is a machine without one; formatting panics beyond what RFC 3339 can write.
            time: humantime::format_rfc3339_millis(time.max(SystemTime::UNIX_EPOCH)).to_string(),
            event: event.as_str(),
            request_id: None,
            client: None,
            provider: None,
            subject: None,
            email: None,
            session: None,
            method: None,
            path: None,
            rule: None,
            code: None,
            reference: None,
            extent: None,
            lost: None,
        }
    }

    /// As it is written, without the end of the line.
    pub(super) fn json(&self) -> String {
        // Texts and numbers: nothing in it can fail to become JSON.
        serde_json::to_string(self).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_has_what_is_known_in_its_order() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        assert_eq!(Line::of(AuditEvent::Started, time).json(), r#"{"time":"2023-11-14T22:13:20.123Z","event":"started"}"#);
        let line =
            Line { client: "2001:db8::7".parse().ok(), rule: Some(3), code: Some("policy.denied"), ..Line::of(AuditEvent::Refused, time) };
        assert_eq!(
            line.json(),
            r#"{"time":"2023-11-14T22:13:20.123Z","event":"refused","client":"2001:db8::7","rule":3,"code":"policy.denied"}"#
        );
        assert!(Line::of(AuditEvent::Started, SystemTime::UNIX_EPOCH - Duration::from_secs(9)).json().contains("1970-01-01T00:00:00.000Z"));
    }

    proptest! {
        #[test]
        fn no_value_begins_a_line_or_a_field(subject in any::<String>(), path in any::<String>()) {
            let line = Line { subject: Some(&subject), path: Some(&path), ..Line::of(AuditEvent::Login, SystemTime::now()) }.json();
            prop_assert!(!line.contains(['\n', '\r']));
            let read: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            prop_assert_eq!(read.as_object().map(serde_json::Map::len), Some(4));
            prop_assert_eq!((read["subject"].as_str(), read["path"].as_str()), (Some(&*subject), Some(&*path)));
            prop_assert_eq!(read["event"].as_str(), Some("login"));
        }
    }
}
