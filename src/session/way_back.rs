//! The way back in `state`: the page that a person was on their way to, sealed.
//!
//! `state` goes to the provider and comes back with the browser, whatever has become of the cookies: pushed out by those of
//! other tabs, expired, or spent. What is sealed here logs nobody in. It leads to a page of the public origin, as any link
//! does, and the provider cannot read it.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;
use serde::{Deserialize, Serialize};

use super::attempt::{ID_BYTES, LIFETIME, SECTION_BYTES, of_section, parts, section};
use super::envelope::{Opened, Purpose};
use super::new_attempt::Wanted;
use super::{CLOCK_DIFFERENCE, SessionSettings};
use crate::entropy::Entropy;
use crate::oidc::provider::Provider;
use crate::time::UnixTime;
use crate::web::return_to;

/// Longest sealed way back in a `state`, in bytes. Load balancers send longer ones to every provider there is.
const MAX_SEALED_BYTES: usize = 960;

/// How long the page is remembered.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);

const DEFLATE_LEVEL: u8 = 6;

/// Where a person was on their way to, and when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WayBack {
    /// Of the attempt, so that it counts for that `state` only.
    id: [u8; ID_BYTES],
    section: [u8; SECTION_BYTES],
    /// Of the attempt among those of its browser.
    number: u32,
    started_at: UnixTime,
    /// The user wanted to choose an account.
    select_account: bool,
    /// Whether the attempt was started in place of one that had been pushed out.
    is_second: bool,
    /// Path, query and fragment, compressed (DEFLATE, RFC 1951); empty where it does not fit.
    page: Vec<u8>,
    /// Who the person may be. Stands as text behind all else, so that a node of an older release reads what a newer one has sealed.
    #[serde(skip)]
    login_hint: String,
}

impl WayBack {
    pub(super) fn new(id: [u8; ID_BYTES], number: u32, wanted: &Wanted<'_>, started_at: UnixTime) -> Self {
        let Wanted { provider, return_to, select_account, login_hint, is_second, .. } = *wanted;
        let page = compress_to_vec(return_to.as_str().as_bytes(), DEFLATE_LEVEL);
        let login_hint = login_hint.unwrap_or_default().to_owned();
        Self { id, section: section(provider), number, started_at, select_account, is_second, page, login_hint }
    }

    pub(super) fn compressed_bytes(&self) -> usize {
        self.page.len()
    }

    /// The same for the attempt of that id, without the page, which is kept elsewhere, or lost.
    #[must_use]
    pub(super) fn without_page(self, id: [u8; ID_BYTES]) -> Self {
        Self { id, page: vec![], ..self }
    }

    /// Whether it leads to a page.
    pub fn has_page(&self) -> bool {
        !self.page.is_empty()
    }

    /// For a `state`; `None` where it would be too long. The page comes before the hint, which only fills in a field.
    pub(super) fn seal(&self, settings: &SessionSettings, entropy: &mut dyn Entropy) -> Option<String> {
        // Numbers and bytes: nothing in it can fail to become bytes.
        let page = postcard::to_allocvec(self).unwrap_or_default();
        let with_hint = [&page, self.login_hint.as_bytes()].concat();
        let contents = if self.login_hint.is_empty() { vec![page] } else { vec![with_hint, page] };
        let mut sealed = contents.iter().map(|content| settings.keys.seal(Purpose::WayBack, content, entropy));
        sealed.find(|sealed| sealed.len() <= MAX_SEALED_BYTES)
    }

    /// The way back that a `state` of ours has in it, for a day.
    pub fn of_state(state: &str, settings: &SessionSettings, now: UnixTime) -> Option<Self> {
        let (id, _, sealed) = parts(state)?;
        let Opened { plaintext, .. } = settings.keys.open(Purpose::WayBack, sealed?)?;
        let (way_back, login_hint) = postcard::take_from_bytes::<Self>(&plaintext).ok()?;
        let way_back = Self { login_hint: std::str::from_utf8(login_hint).ok()?.to_owned(), ..way_back };
        let in_time = now < way_back.started_at.after(REMEMBERED) && way_back.started_at <= now.after(CLOCK_DIFFERENCE);
        (in_time && id == URL_SAFE_NO_PAD.encode(way_back.id)).then_some(way_back)
    }

    /// The provider to ask once more, where the attempt would still count had it not been pushed out.
    pub fn asks_again<'p>(&self, providers: &'p [Provider], now: UnixTime) -> Option<&'p Provider> {
        of_section(providers, &self.section).filter(|_| !self.is_second && now < self.started_at.after(LIFETIME))
    }

    pub(super) fn id(&self) -> [u8; ID_BYTES] {
        self.id
    }

    pub fn number(&self) -> u32 {
        self.number
    }

    pub fn selects_account(&self) -> bool {
        self.select_account
    }

    /// Who the person may be, where there was room for it.
    pub fn login_hint(&self) -> Option<&str> {
        Some(self.login_hint.as_str()).filter(|hint| !hint.is_empty())
    }

    pub fn is_second(&self) -> bool {
        self.is_second
    }

    /// The page, to be parsed again: the public origin may have changed.
    pub fn into_page(self) -> String {
        let page = decompress_to_vec_with_limit(&self.page, return_to::MAX_LENGTH).ok();
        page.and_then(|page| String::from_utf8(page).ok()).unwrap_or_default()
    }
}
