//! The login attempts that a browser has, and the room for them.
//!
//! They share [`MAX_PENDING_BYTES`], and a few slots ([`super::slot`]). The oldest makes room, by a number and not by its second. A page that `state` leads back to
//! ([`super::WayBack`]) is kept in a cookie only where it is short: an answer without a `state` may ask for it.

use super::SessionSettings;
use super::attempt::{ID_BYTES, Kept, LIFETIME, LoginAttempt, Page, of_section};
use super::envelope::Purpose;
use super::jar::CookieJar;
use super::slot::Slot;
use super::way_back::WayBack;
use crate::oidc::provider::Provider;
use crate::time::UnixTime;

/// What all login attempts of one browser may take of its `Cookie` line, in bytes, when they begin one after another. With a
/// session of ordinary size that is less than the 8 KiB that servers take for a line.
pub const MAX_PENDING_BYTES: usize = 3 * 1024;

/// How many that log nobody in any more are kept for a page that is nowhere else.
const MAX_REMEMBERED: usize = 2;

/// The attempts that a browser has.
pub struct PendingAttempts<'j> {
    unreadable: Vec<&'j str>,
    /// Those on their way before those that are only remembered, the newest first.
    readable: Vec<Pending<'j>>,
    /// The highest number.
    highest: Option<u32>,
}

struct Pending<'j> {
    slot: Slot,
    id: [u8; ID_BYTES],
    sealed: &'j str,
    /// Of its cookie.
    bytes: usize,
    number: u32,
    is_expired: bool,
    page: Page,
}

impl<'j> PendingAttempts<'j> {
    pub fn of(jar: &'j CookieJar, settings: &SessionSettings, providers: &[Provider], now: UnixTime) -> Self {
        let (mut unreadable, mut readable) = (vec![], vec![]);
        for (name, sealed) in jar.attempts() {
            let opened = settings.keys.open(Purpose::LoginAttempt, sealed);
            let kept = opened.as_ref().and_then(|opened| Kept::read(&opened.plaintext, now));
            match kept.filter(|kept| of_section(providers, &kept.section).is_some()).zip(Slot::of_name(name)) {
                Some((Kept { id, number, started_at, page, .. }, slot)) => {
                    let is_expired = now >= started_at.after(LIFETIME);
                    readable.push(Pending { slot, id, sealed, bytes: jar.attempt_bytes(name, sealed), number, is_expired, page });
                }
                None => unreadable.push(name),
            }
        }
        readable.sort_by_key(|one| (one.is_expired, std::cmp::Reverse(one.number), one.slot.name()));
        let highest = readable.iter().map(|one| one.number).max();
        Self { unreadable, readable, highest }
    }

    /// The same without the attempt that the answer to this request deletes: it takes no room, and is deleted once. Its number
    /// stays taken.
    #[must_use]
    pub fn without(mut self, spent: Option<&str>) -> Self {
        let spent = spent.and_then(Slot::of_id);
        self.readable.retain(|one| Some(one.slot) != spent);
        self
    }

    /// The same without the attempt that a new one overwrites.
    #[must_use]
    pub(super) fn without_slot(mut self, slot: Slot) -> Self {
        self.readable.retain(|one| one.slot != slot);
        self
    }

    /// Those that are of no use to anybody after a login: all but a few that are still on their way, or remembered. For
    /// [`CookieWriter::delete_attempt`](super::CookieWriter::delete_attempt).
    pub fn of_no_use(&self) -> Vec<String> {
        self.stale(MAX_PENDING_BYTES).map(str::to_owned).collect()
    }

    /// Whether the attempt of that way back may have made room for those that are here: for newer ones, or for one that is in its
    /// place, and may have begun without seeing it.
    pub fn may_have_pushed_out(&self, way_back: &WayBack) -> bool {
        let (id, number) = (way_back.id(), way_back.number());
        let is_in_its_place = |one: &Pending<'_>| one.slot == Slot::of(&id) && one.id != id;
        self.readable.iter().any(|one| !one.is_expired && (one.number > number || is_in_its_place(one)))
    }

    /// Those on their way, the newest first.
    pub fn open(&self, settings: &SessionSettings, providers: &[Provider], now: UnixTime) -> Vec<LoginAttempt> {
        let open = |one: &Pending<'_>| LoginAttempt::open(LIFETIME, one.sealed, None, settings, providers, now);
        self.readable.iter().filter_map(open).collect()
    }

    /// Higher than that of every attempt that is here.
    pub(super) fn next_number(&self) -> u32 {
        self.highest.map_or(0, |number| number.saturating_add(1))
    }

    /// The slots that are taken, that of the oldest last.
    pub(super) fn slots(&self) -> Vec<Slot> {
        self.readable.iter().map(|one| one.slot).collect()
    }

    /// Names of those that are to go, so that what stays has `room`: unreadable ones; expired ones with nothing to remember, or
    /// beyond the newest [`MAX_REMEMBERED`]; then the oldest.
    pub(super) fn stale(&self, room: usize) -> impl Iterator<Item = &'j str> {
        let (mut left, mut remembered) = (room, 0);
        let beyond = self.readable.iter().filter(move |one| {
            let is_remembered = one.is_expired && one.page == Page::Cookie;
            remembered += usize::from(is_remembered);
            let is_of_use = !one.is_expired || (is_remembered && remembered <= MAX_REMEMBERED);
            match left.checked_sub(one.bytes).filter(|_| is_of_use) {
                Some(rest) => {
                    left = rest;
                    false
                }
                None => {
                    // No older one stays in its place.
                    left = if is_of_use { 0 } else { left };
                    true
                }
            }
        });
        self.unreadable.iter().copied().chain(beyond.map(|one| one.slot.name()))
    }
}
