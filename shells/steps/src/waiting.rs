//! What waits for a provider's answer, each under a number that the host gives back with it.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use url::Url;
use vestibule::filter;
use vestibule::oidc::revocation::Revocation;
use vestibule::time::UnixTime;
use vestibule::web::http::OutboundRequest;
use vestibule_enforcement::outbound::networks::{Network, Networks};

use crate::configuration::Loaded;
use crate::host;
use crate::messages::Event;
use crate::steps::Arrived;

/// As many as may wait in one instance, which bounds its memory: each holds the head of a request, at most 64 KiB of fields, and
/// what the flow knows.
const MAX_WAITING: usize = 128;

/// Of these, as many as nobody waits for (revocations): they must not keep decisions from an instance.
const MAX_AFTERWARDS: usize = 16;

/// No host waits so long for an answer: the time of a request to a provider is six times shorter. When there is no room, what has
/// waited longer is given up.
const LONGEST: Duration = Duration::from_secs(60);

/// A request that is under way.
pub(crate) struct Waiting {
    pub(crate) sent: Sent,
    pub(crate) purpose: Purpose,
    since: UnixTime,
}

/// What was asked for.
pub(crate) enum Sent {
    /// What the core wants.
    Wanted {
        request: OutboundRequest,
        /// Where its host may be.
        networks: Networks,
        /// The host has an address that is elsewhere.
        is_elsewhere: bool,
    },
    /// A provider's metadata, to learn whether what the core wants may be asked; and the documents that can be read next.
    Document {
        url: Url,
        next: Vec<Url>,
        wanted: OutboundRequest,
        /// It was refused on these, and may be asked if there are more.
        refused_on: Option<Networks>,
    },
}

/// What for.
#[expect(clippy::large_enum_variant, reason = "nearly all are decisions")]
pub(crate) enum Purpose {
    Decision {
        arrived: Rc<Arrived>,
        waiting: filter::Waiting,
    },
    /// What nobody waits for, and what there is to say of it so far.
    Afterwards {
        loaded: Rc<Loaded>,
        revocation: Revocation,
        said: Vec<Event>,
    },
}

impl Purpose {
    pub(crate) fn loaded(&self) -> &Rc<Loaded> {
        match self {
            Self::Decision { arrived, .. } => &arrived.loaded,
            Self::Afterwards { loaded, .. } => loaded,
        }
    }
}

struct Slab {
    waiting: BTreeMap<u32, Waiting>,
    next: u32,
}

thread_local! {
    static SLAB: RefCell<Slab> = const { RefCell::new(Slab { waiting: BTreeMap::new(), next: 1 }) };
}

/// Keeps it, and names it.
///
/// # Errors
/// There is no room for one more: given back as it is.
pub(crate) fn keep(sent: Sent, purpose: Purpose) -> Result<u32, Box<Purpose>> {
    let now = host::now();
    SLAB.with_borrow_mut(|slab| {
        if slab.waiting.len() >= MAX_WAITING {
            slab.waiting.retain(|_, waiting| now.since(waiting.since) < LONGEST);
        }
        let afterwards = || slab.waiting.values().filter(|waiting| matches!(waiting.purpose, Purpose::Afterwards { .. })).count();
        let is_full = match purpose {
            Purpose::Decision { .. } => slab.waiting.len() >= MAX_WAITING,
            Purpose::Afterwards { .. } => slab.waiting.len() >= MAX_WAITING || afterwards() >= MAX_AFTERWARDS,
        };
        if is_full {
            return Err(Box::new(purpose));
        }
        // No number is given twice while the first waits, whatever is loaded.
        while slab.waiting.contains_key(&slab.next) {
            slab.next = slab.next.wrapping_add(1);
        }
        let id = slab.next;
        slab.next = slab.next.wrapping_add(1);
        slab.waiting.insert(id, Waiting { sent, purpose, since: now });
        Ok(id)
    })
}

/// Whether what has this number may be asked at this address. Metadata may be anywhere, for the configuration names it.
pub(crate) fn admits(id: u32, address: IpAddr) -> bool {
    SLAB.with_borrow_mut(|slab| match slab.waiting.get_mut(&id).map(|waiting| &mut waiting.sent) {
        Some(Sent::Wanted { networks, is_elsewhere, .. }) => {
            let is_admitted = networks.contains(Network::of(address));
            *is_elsewhere |= !is_admitted;
            is_admitted
        }
        Some(Sent::Document { .. }) => true,
        None => false,
    })
}

/// What has this number, which is free then.
pub(crate) fn take(id: u32) -> Option<Waiting> {
    SLAB.with_borrow_mut(|slab| slab.waiting.remove(&id))
}
