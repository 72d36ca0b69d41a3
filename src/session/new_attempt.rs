//! A login that begins: what goes to the provider, and into the browser.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::SessionSettings;
use super::attempt::{FORM, ID_BYTES, Kept, Page, REMEMBERED, Rest, SECTION_BYTES, Secrets, Seed, dictionary, section};
use super::envelope::Purpose;
use super::jar::{CookieJar, CookieWriter, MAX_ATTEMPT_BYTES};
use super::pending::{MAX_PENDING_BYTES, PendingAttempts};
use super::slot::Slot;
use super::way_back::WayBack;
use crate::deflate::compress;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::oidc::metadata::ProviderMetadata;
use crate::oidc::provider::Provider;
use crate::secret::Secret;
use crate::time::UnixTime;
use crate::web::return_to::ReturnTo;

/// Longest page, in bytes after compression, that is kept in the cookie although `state` has it.
const MAX_SHORT_PAGE: usize = 120;

/// Cookies that one answer deletes, each about 110 bytes of it, so that its head stays within 3.5 KiB. The rest is deleted by the next
/// answers, and expires.
const MAX_DELETIONS: usize = 8;
const MAX_DELETIONS_BESIDE_A_LONG_ONE: usize = 2;
/// A cookie beside which there is no room for more, in bytes.
const LONG_BYTES: usize = 1_000;

/// What a login is asked for.
pub struct Wanted<'a> {
    pub provider: &'a Provider,
    pub metadata: ProviderMetadata,
    pub return_to: &'a ReturnTo,
    /// Whether that is not the page that the person was on their way to: there was no room for it.
    pub has_lost_its_page: bool,
    /// Whether the request has a `prompt` that can be left out where the provider does not know it.
    pub has_optional_prompt: bool,
    /// Whether the user wants to choose an account.
    pub select_account: bool,
    /// Who the person may be.
    pub login_hint: Option<&'a str>,
    /// Whether the attempt before it was pushed out of this browser.
    pub is_second: bool,
}

/// Where a login begins.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub jar: &'a CookieJar,
    /// Id of an attempt in the jar that the same answer deletes, unless another one takes its slot.
    pub spent: Option<&'a str>,
    /// Where to look for a free slot first ([`crate::oidc::cache::ProviderCache::turn`]).
    pub turn: usize,
    pub settings: &'a SessionSettings,
    pub providers: &'a [Provider],
    pub now: UnixTime,
}

/// A login attempt that is not in the browser yet.
pub struct NewAttempt<'a> {
    wanted: Wanted<'a>,
    place: Place<'a>,
    others: PendingAttempts<'a>,
    number: u32,
    id: [u8; ID_BYTES],
    slot: Slot,
    section: [u8; SECTION_BYTES],
    seed: Seed,
    secrets: Secrets,
    /// With the way back behind it.
    state: Secret,
    page: Page,
}

impl<'a> NewAttempt<'a> {
    pub fn start(wanted: Wanted<'a>, place: Place<'a>, entropy: &mut dyn Entropy) -> Self {
        let Place { jar, spent, turn, settings, providers, now } = place;
        let others = PendingAttempts::of(jar, settings, providers, now).without(spent);
        let number = others.next_number();
        let mut id = [0; ID_BYTES];
        entropy.fill(&mut id);
        let (seed, section) = (Seed::draw(entropy), section(wanted.provider));
        let short = Slot::choose(turn, &others.slots());
        let way_back = WayBack::new(short.mark(id), number, &wanted, now);
        let is_short = way_back.compressed_bytes() <= MAX_SHORT_PAGE;
        let with_page = if wanted.has_lost_its_page { None } else { way_back.seal(settings, entropy) };
        let page = match &with_page {
            _ if wanted.has_lost_its_page => Page::Lost,
            Some(_) if is_short => Page::Both,
            Some(_) => Page::State,
            None => Page::Cookie,
        };
        let slot = if page == Page::Cookie { Slot::WITH_LONG_PAGE } else { short };
        // It takes no room from those that stay.
        let others = others.without_slot(slot);
        let id = slot.mark(id);
        let sealed = with_page.or_else(|| way_back.without_page(id).seal(settings, entropy));
        let secrets = seed.secrets(sealed.as_deref());
        let mut state = format!("{}.{}", URL_SAFE_NO_PAD.encode(id), secrets.state.expose());
        state.extend(sealed.iter().flat_map(|sealed| [".", sealed]));
        Self { wanted, place, others, number, id, slot, section, seed, secrets, state: Secret::new(state), page }
    }

    /// Puts the attempt into the browser, and takes out what has become useless: expired and unreadable ones, and the
    /// oldest beyond [`MAX_PENDING_BYTES`]. A page that is too long to be remembered beside all else is forgotten.
    ///
    /// # Errors
    /// [`Error::SessionTooLarge`] when it exceeds [`MAX_ATTEMPT_BYTES`] even so: browsers would drop it without a word.
    pub fn write(&self, cookies: &mut CookieWriter<'_>, entropy: &mut dyn Entropy) -> Result<(), Error> {
        let page = if matches!(self.page, Page::Both | Page::Cookie) { self.wanted.return_to.as_str() } else { "" };
        let mut sealed = self.seal(page, self.page, entropy);
        if sealed.len() > MAX_ATTEMPT_BYTES && self.page == Page::Cookie {
            // A page is worth more than a place in it.
            let (without_fragment, _) = page.split_once('#').unwrap_or_default();
            sealed = self.seal(without_fragment, Page::Cookie, entropy);
            if without_fragment.is_empty() || sealed.len() > MAX_ATTEMPT_BYTES {
                sealed = self.seal("", Page::Lost, entropy);
            }
        }
        if sealed.len() > MAX_ATTEMPT_BYTES {
            let what = format!("the metadata of provider `{}`", self.wanted.provider.name);
            return Err(Error::SessionTooLarge { what, bytes: sealed.len(), limit: MAX_ATTEMPT_BYTES });
        }
        let room = MAX_PENDING_BYTES.saturating_sub(self.place.jar.attempt_bytes(self.slot.name(), &sealed));
        // An unreadable one that is overwritten is not deleted as well.
        let stale = self.others.stale(room).filter(|name| *name != self.slot.name());
        let most = if sealed.len() > LONG_BYTES { MAX_DELETIONS_BESIDE_A_LONG_ONE } else { MAX_DELETIONS };
        stale.take(most).for_each(|name| cookies.delete_attempt(name));
        cookies.set_attempt(self.slot.name(), &sealed, REMEMBERED.as_secs());
        Ok(())
    }

    pub fn state(&self) -> &Secret {
        &self.state
    }

    pub fn nonce(&self) -> &Secret {
        &self.secrets.nonce
    }

    pub fn code_verifier(&self) -> &Secret {
        &self.secrets.code_verifier
    }

    fn seal(&self, return_to: &str, page: Page, entropy: &mut dyn Entropy) -> String {
        // Texts, truths and URLs: nothing in it can fail to become bytes.
        let rest = Rest { metadata: self.wanted.metadata.clone(), return_to: return_to.to_owned() };
        let rest = postcard::to_allocvec(&rest).unwrap_or_default();
        let kept = Kept {
            form: FORM,
            id: self.id,
            seed: *self.seed.0,
            number: self.number,
            started_at: self.place.now,
            section: self.section,
            has_optional_prompt: self.wanted.has_optional_prompt,
            page,
            rest: &compress(&rest, &dictionary(self.wanted.provider)),
        };
        let plaintext = Zeroizing::new(postcard::to_allocvec(&kept).unwrap_or_default());
        self.place.settings.keys.seal(Purpose::LoginAttempt, &plaintext, entropy)
    }
}
