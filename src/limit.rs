//! What is counted for each client, so that nobody can have a host ask or send people to a provider without end.
//!
//! 1. A login that starts counts, whatever request has started it: a visit of `/.vestibule/login`, or a page that asks for one.
//! 2. A callback that is refused counts, for whatever reason: most have cost the provider a request by then. What is no
//!    visit of the callback (an image, another method) costs nothing.
//! 3. A logout token without the signature of its provider counts: verifying it may have cost the provider a request.
//! 4. Nothing else counts: no request with a session, no callback that ends well.
//!
//! The core says what an answer counts as. A host counts, for it knows its clients: see `limit` in `wit/filter.wit`.

/// What an answer counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// The browser is sent to the provider.
    LoginStart,
    /// A callback that was refused.
    BadCallback,
    /// A logout token without the signature of its provider.
    BadLogoutToken,
}

/// How often one client may have such an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limit {
    pub counted: Counted,
    /// At once, and again in every minute. Not zero.
    pub per_minute: u32,
    /// The route that has such answers: who has none left is not let to it.
    pub path: String,
}

/// How many are allowed in a minute; zero: any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PerMinute {
    pub logins: u32,
    pub bad_callbacks: u32,
}

/// Many people may be behind one address. 120 logins: four school classes that begin at once, two more people in every
/// second. 20 callbacks: only what has gone wrong counts, and a page that is loaded again goes wrong once.
impl Default for PerMinute {
    fn default() -> Self {
        Self { logins: 120, bad_callbacks: 20 }
    }
}
