//! Requests to providers: which may be sent, by the rules of every host, and what their answers teach.
//!
//! An instance that has just started knows the metadata URLs only. Where it depends on the documents whether an address may be
//! asked, they are asked for first, one after the other. Hosts that are written as addresses, and names of this machine, are
//! judged here. A host that resolves names asks for each address ([`waiting::admits`]), and says which one has answered.

use std::cell::RefCell;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use url::Url;
use vestibule::web::http::{OutboundError, OutboundRequest, OutboundResponse};
use vestibule_enforcement::outbound::documents::MetadataDocuments;
use vestibule_enforcement::outbound::networks::{Network, Networks, Refused};

use crate::messages::{Answer, Base64, Fetch, Latin1};
use crate::steps::{self, Answered};
use crate::waiting::{self, Purpose, Sent, Waiting};

/// Some providers (GitHub) answer 403 to a request that does not name its client.
const USER_AGENT: &str = concat!("vestibule/", env!("CARGO_PKG_VERSION"));

/// What a metadata document may have, in bytes, and how long its reading may take: as the core has it.
const METADATA_BYTES: u32 = 256 << 10;
const METADATA_MILLISECONDS: u32 = 10_000;

/// Has the host send what the core wants, or what must be known first.
pub(crate) fn ask(request: OutboundRequest, purpose: Purpose) -> Answer {
    match permission(&purpose.loaded().documents, &request.url, None) {
        Permission::Granted(networks) => send(request, networks, purpose),
        Permission::Refused => steps::go_on(purpose, Err(OutboundError::NotAllowed)),
        Permission::DependsOn(documents) => read_next(documents, request, None, purpose),
    }
}

/// Goes on with the answer to what was sent, from an address in `network`.
pub(crate) fn answered(waiting: Waiting, answer: Answered, network: Option<Network>) -> Answer {
    let Waiting { sent, purpose, .. } = waiting;
    match sent {
        // The document that permits this address may be one that was not read in this instance.
        Sent::Wanted { request, networks, is_elsewhere: true } if matches!(answer, Err(OutboundError::NotAllowed)) => {
            match permission(&purpose.loaded().documents, &request.url, Some(networks)) {
                Permission::Granted(more) => send(request, more, purpose),
                Permission::Refused => steps::go_on(purpose, answer),
                Permission::DependsOn(documents) => read_next(documents, request, Some(networks), purpose),
            }
        }
        Sent::Wanted { request, .. } => {
            if request.method == "GET" {
                learn(&purpose, &request.url, &answer, network);
            }
            steps::go_on(purpose, answer)
        }
        Sent::Document { url, next, wanted, refused_on } => {
            learn(&purpose, &url, &answer, network);
            match permission(&purpose.loaded().documents, &wanted.url, refused_on) {
                Permission::Granted(networks) => send(wanted, networks, purpose),
                Permission::Refused => steps::go_on(purpose, Err(OutboundError::NotAllowed)),
                // Each is read once.
                Permission::DependsOn(_) => read_next(next, wanted, refused_on, purpose),
            }
        }
    }
}

fn learn(purpose: &Purpose, url: &Url, answer: &Answered, network: Option<Network>) {
    if let Ok(OutboundResponse { status: 200, body, .. }) = answer {
        purpose.loaded().documents.learn(url, body, network);
    }
}

enum Permission {
    /// On these networks.
    Granted(Networks),
    Refused,
    /// On documents that were not read in this instance.
    DependsOn(Vec<Url>),
}

/// Whether a URL may be asked; one that was refused on some networks, on others.
fn permission(documents: &MetadataDocuments, url: &Url, refused_on: Option<Networks>) -> Permission {
    let Some(url) = documents.permitted_url(url.as_str()) else { return Permission::Refused };
    let unread = RefCell::new(Vec::new());
    // Nothing is read while it is asked: so it says at once what it knows, and which documents would tell more.
    let read = |document: Url| {
        documents.done(&document);
        unread.borrow_mut().push(document);
    };
    // How often a provider is asked is for the host to bound, if anything does: a document is never one that was asked for a moment ago.
    let clock = RefCell::new(Duration::ZERO);
    let later = || {
        *clock.borrow_mut() += Duration::from_secs(3600);
        *clock.borrow()
    };
    let known = match refused_on {
        None => at_once(documents.permit(&url, later, read)),
        Some(networks) => at_once(documents.permit_more(&url, networks, later, read)),
    };
    match known {
        Some(networks) if Refused::judge(&url, networks).is_ok() => Permission::Granted(networks),
        Some(_) => Permission::Refused,
        None if unread.borrow().is_empty() => Permission::Refused,
        None => Permission::DependsOn(unread.take()),
    }
}

/// What a future has that need not wait.
fn at_once(future: impl Future<Output = Option<Networks>>) -> Option<Networks> {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(known) => known,
        Poll::Pending => None,
    }
}

fn read_next(mut documents: Vec<Url>, wanted: OutboundRequest, refused_on: Option<Networks>, purpose: Purpose) -> Answer {
    let Some(url) = documents.pop() else { return steps::go_on(purpose, Err(OutboundError::NotAllowed)) };
    let headers = [("accept", "application/json"), ("accept-encoding", "identity")];
    let request = OutboundRequest {
        method: "GET",
        url: url.clone(),
        headers: headers.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).into(),
        body: vec![],
        max_response_bytes: METADATA_BYTES,
        timeout_ms: METADATA_MILLISECONDS,
        shared_for_ms: None,
    };
    keep(request, Sent::Document { url, next: documents, wanted, refused_on }, purpose)
}

fn send(request: OutboundRequest, networks: Networks, purpose: Purpose) -> Answer {
    let sent = Sent::Wanted { request: request.clone(), networks, is_elsewhere: false };
    keep(request, sent, purpose)
}

fn keep(request: OutboundRequest, sent: Sent, purpose: Purpose) -> Answer {
    let id = match waiting::keep(sent, purpose) {
        Ok(id) => id,
        Err(purpose) => return steps::give_up(request, *purpose),
    };
    let OutboundRequest { method, url, headers, body, max_response_bytes, timeout_ms, shared_for_ms } = request;
    let named = [("user-agent".to_owned(), USER_AGENT.as_bytes().to_vec())];
    let headers = headers.into_iter().chain(named).map(|(name, value)| (name, Latin1(value))).collect();
    let body = Base64(body);
    Answer::Fetch(Fetch { id, method, url: url.into(), headers, body, max_response_bytes, timeout_ms, shared_for_ms })
}
