//! What benchmarks ask about: claims in the shape of those that large providers send (many short members, GUIDs, long
//! issuers; nothing that repeats), in a request as a browser sends it.

use serde_json::{Map, Value, json};
use vestibule::web::http::RequestHead;

/// What a session is opened with in a benchmark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Google's, about 0.6 KB.
    Google,
    /// Entra's with a few optional claims and groups, about 1 KB.
    Entra,
    /// Okta's with a profile and groups by name, about 2 KB.
    Okta,
    /// Entra's with 190 groups, about 8 KB.
    ManyGroups,
}

impl Shape {
    pub(crate) const ALL: [Shape; 4] = [Shape::Google, Shape::Entra, Shape::Okta, Shape::ManyGroups];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Shape::Google => "Google",
            Shape::Entra => "Entra",
            Shape::Okta => "Okta",
            Shape::ManyGroups => "Entra, 190 groups",
        }
    }

    /// Adds to what every ID token has.
    pub(crate) fn add_to(self, claims: &mut Map<String, Value>) {
        let more = match self {
            Shape::Google => google(),
            Shape::Entra => entra(6),
            Shape::Okta => okta(),
            Shape::ManyGroups => entra(190),
        };
        claims.extend(more.as_object().cloned().unwrap_or_default());
    }
}

fn google() -> Value {
    json!({
        "email": "ada.lovelace@analytical-engines.example", "email_verified": true, "hd": "analytical-engines.example",
        "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace",
        "picture": "https://lh3.googleusercontent.example/a/ACg8ocJq0eYkP1v6mZ3xT9wB5nR7dF2hL4sK8uQ6iO1jV3cXyE=s96-c",
    })
}

fn entra(groups: u128) -> Value {
    json!({
        "ver": "2.0", "tid": guid(1), "oid": guid(2), "uti": "Xk3yq0bTlkS2ZJ9hQ7wLAA", "rh": "1.AXEA3dP1s0x9uE2yQeGz0q5rTkq5hG3mZy9BpXn0vWc.",
        "sid": "004c3f1e-9d27-4f0b-a1c6-55e1b2d7c9a3", "email": "ada.lovelace@analytical-engines.example", "xms_edov": true,
        "name": "Ada Lovelace (Engines, London)", "preferred_username": "ada.lovelace@analytical-engines.example",
        "login_hint": "O.CiQwMDRjM2YxZS05ZDI3LTRmMGItYTFjNi01NWUxYjJkN2M5YTMSJGRlYjc1N2VhLTQ2MjktNGVmYi1iYjY1LWU0MDA2Mzk0ZDRjYhoobWFydGlu",
        "groups": (0..groups).map(|number| guid(1000 + number)).collect::<Vec<_>>(), "roles": ["Report.Reader", "Report.Writer"],
        "ctry": "GB", "tenant_region_scope": "EU", "department": "Engines",
    })
}

fn okta() -> Value {
    let groups: Vec<_> =
        (0..24).map(|number| format!("eng-{}-{}", ["platform", "data", "field", "release"][number % 4], 100 + 7 * number)).collect();
    json!({
        "ver": 1, "idp": "00o1n8sbwArJ7OQRw406", "amr": ["pwd", "mfa", "otp"], "email": "ada.lovelace@analytical-engines.example",
        "email_verified": true, "name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "nickname": "ada", "locale": "en_GB",
        "preferred_username": "ada.lovelace@analytical-engines.example", "zoneinfo": "Europe/London", "updated_at": 1_767_225_600,
        "address": { "street_address": "12 St James's Square", "locality": "London", "postal_code": "SW1Y 4JH", "country": "GB" },
        "phone_number": "+44 20 7946 0123", "employeeNumber": "A-18151210", "costCenter": "4711", "division": "Engines", "manager": "Charles Babbage",
        "organization": "Analytical Engines Ltd", "title": "Principal Engineer", "userType": "Employee", "groups": groups,
        "entitlements": ["reports.read", "reports.write", "dashboards.read", "dashboards.share", "exports.create", "alerts.read", "alerts.write"],
    })
}

/// Digits that do not repeat, in the form of a GUID.
fn guid(number: u128) -> String {
    let digits = format!("{:032x}", (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// What an application and its analytics leave in a browser.
pub(crate) const APPLICATION_COOKIES: [(&str, &str); 4] = [
    ("_ga", "GA1.1.1723456789.1764150000"),
    ("_ga_4T7K2LQX9Z", "GS2.1.s1764150000$o3$g1$t1764151234$j60$l0$h0"),
    ("csrftoken", "mV7qT3bX9wLk2ZcR8nYp5sDf1gHj4vQe6uIoAaBtWxEyKzMr"),
    ("theme", "dark"),
];

/// With the fields that Chromium sends beside `Host`, `Accept` and `Cookie`.
pub(crate) fn as_a_browser_sends_it(head: RequestHead) -> RequestHead {
    head.with("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/156.0.0.0 Safari/537.36")
        .with("accept-language", "en-GB,en;q=0.9")
        .with("accept-encoding", "gzip, deflate, br")
        .with("sec-fetch-mode", "navigate")
        .with("sec-fetch-dest", "document")
        .with("sec-fetch-site", "same-origin")
}
