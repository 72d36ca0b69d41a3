//! Where login attempts are kept in a browser: a few cookies, whose names are fixed.
//!
//! Tabs that start a login at the same moment do not see each other's cookies. Were each to have a cookie of its own name, twenty
//! tabs of a restored window would make a `Cookie` line that servers refuse. So there are [`SHORT`] names, and one for an attempt
//! with a long page: a later attempt takes the place of an earlier one, whose `state` leads back ([`super::WayBack`]).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::attempt::ID_BYTES;

/// How many attempts of ordinary size a browser has at most. With a session of 50 groups, its tokens and a long page, that is
/// less than the 8 KiB that servers take for a line (`tests/filter/cookie_sizes.rs`).
const SHORT: usize = 8;

/// Their names, and that of the attempt with a long page.
const NAMES: [&str; SHORT + 1] = ["0", "1", "2", "3", "4", "5", "6", "7", "p"];

/// One of these cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(usize);

impl Slot {
    pub(super) const WITH_LONG_PAGE: Self = Self(SHORT);

    /// For an attempt of ordinary size: the first free one from `turn` on; else the last of `taken`, which is the oldest.
    pub(super) fn choose(turn: usize, taken: &[Self]) -> Self {
        let mut all = (0..SHORT).map(|step| Self(turn.wrapping_add(step) % SHORT));
        let free = all.find(|slot| !taken.contains(slot));
        let oldest = || taken.iter().rev().copied().find(|slot| *slot != Self::WITH_LONG_PAGE);
        free.or_else(oldest).unwrap_or(Self(0))
    }

    /// The one whose cookie has that name, behind what all have in common.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        NAMES.iter().position(|known| *known == name).map(Self)
    }

    /// The one of the attempt with that id, as `state` has it.
    pub(super) fn of_id(id: &str) -> Option<Self> {
        let id: [u8; ID_BYTES] = URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()?;
        Some(Self::of(&id))
    }

    pub(super) fn of(id: &[u8; ID_BYTES]) -> Self {
        Self(usize::from(id[0]) % NAMES.len())
    }

    /// An id of this slot: its first byte has the remainder that says so.
    pub(super) fn mark(self, mut id: [u8; ID_BYTES]) -> [u8; ID_BYTES] {
        let many = u8::MAX as usize / NAMES.len();
        let first = usize::from(id[0]) % many * NAMES.len() + self.0;
        id[0] = u8::try_from(first).unwrap_or_default();
        id
    }

    pub(super) fn name(self) -> &'static str {
        NAMES.get(self.0).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_where_its_attempt_is() {
        for first in 0..=u8::MAX {
            for slot in (0..NAMES.len()).map(Slot) {
                let id = URL_SAFE_NO_PAD.encode(slot.mark([first, 1, 2, 3, 4, 255]));
                assert_eq!((Slot::of_id(&id), Slot::of_name(slot.name())), (Some(slot), Some(slot)));
            }
        }
        for id in ["", "0", "AAAAAAA", "AAAAAAAAA", "AAAAAAA=", "AAAAAA A"] {
            assert_eq!(Slot::of_id(id), None, "{id}");
        }
        assert_eq!(Slot::of_name("8"), None);
    }

    #[test]
    fn a_free_slot_is_taken_and_the_oldest_where_there_is_none() {
        let all: Vec<_> = (0..SHORT).map(Slot).collect();
        for turn in [0, 1, SHORT - 1, SHORT, 300, usize::MAX] {
            assert_eq!(Slot::choose(turn, &[]), Slot(turn % SHORT));
            for free in &all {
                let taken: Vec<_> = all.iter().copied().filter(|slot| slot != free).collect();
                assert_eq!(Slot::choose(turn, &taken), *free);
            }
            assert_eq!(Slot::choose(turn, &[&all[1..], &[Slot(0), Slot::WITH_LONG_PAGE]].concat()), Slot(0));
        }
    }
}
