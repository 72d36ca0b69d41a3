//! Requests to providers: which may be sent, by the rules of every host, and what their answers teach.
//!
//! An instance that has just started knows the metadata URLs only. Where it depends on the documents whether an address may be
//! asked, they are asked for first, one after the other. Hosts that are written as addresses, and names of this machine, are
//! judged here; what a name is resolved to is the host's to judge.

use std::cell::RefCell;
use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use url::Url;
use vestibule::web::http::{OutboundError, OutboundRequest, OutboundResponse};
use vestibule_enforcement::outbound::documents::MetadataDocuments;
use vestibule_enforcement::outbound::networks::Refused;

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
    match permission(&purpose.loaded().documents, &request.url) {
        Permission::Granted => send(request, purpose),
        Permission::Refused => steps::go_on(purpose, Err(OutboundError::NotAllowed)),
        Permission::DependsOn(documents) => read_next(documents, request, purpose),
    }
}

/// Goes on with the answer to what was sent.
pub(crate) fn answered(waiting: Waiting, answer: Answered) -> Answer {
    let Waiting { sent, purpose, .. } = waiting;
    match sent {
        Sent::Wanted { url, is_get } => {
            if is_get {
                learn(&purpose, &url, &answer);
            }
            steps::go_on(purpose, answer)
        }
        Sent::Document { url, next, wanted } => {
            learn(&purpose, &url, &answer);
            match permission(&purpose.loaded().documents, &wanted.url) {
                Permission::Granted => send(wanted, purpose),
                Permission::Refused => steps::go_on(purpose, Err(OutboundError::NotAllowed)),
                // Each is read once.
                Permission::DependsOn(_) => read_next(next, wanted, purpose),
            }
        }
    }
}

fn learn(purpose: &Purpose, url: &Url, answer: &Answered) {
    if let Ok(OutboundResponse { status: 200, body, .. }) = answer {
        purpose.loaded().documents.learn(url, body, None);
    }
}

enum Permission {
    Granted,
    Refused,
    /// On documents that were not read in this instance.
    DependsOn(Vec<Url>),
}

fn permission(documents: &MetadataDocuments, url: &Url) -> Permission {
    let Some(url) = documents.permitted_url(url.as_str()) else { return Permission::Refused };
    let unread = RefCell::new(Vec::new());
    // Nothing is read while it is asked: so it says at once what it knows, and which documents would tell more.
    let read = |document: Url| {
        documents.done(&document);
        unread.borrow_mut().push(document);
    };
    // The host bounds how often a provider is asked, not this: a document is never one that was asked for a moment ago.
    let clock = RefCell::new(Duration::ZERO);
    let later = || {
        *clock.borrow_mut() += Duration::from_secs(3600);
        *clock.borrow()
    };
    let known = match pin!(documents.permit(&url, later, read)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(known) => known,
        Poll::Pending => None,
    };
    match known {
        Some(networks) if Refused::judge(&url, networks).is_ok() => Permission::Granted,
        Some(_) => Permission::Refused,
        None if unread.borrow().is_empty() => Permission::Refused,
        None => Permission::DependsOn(unread.take()),
    }
}

fn read_next(mut documents: Vec<Url>, wanted: OutboundRequest, purpose: Purpose) -> Answer {
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
    keep(request, Sent::Document { url, next: documents, wanted }, purpose)
}

fn send(request: OutboundRequest, purpose: Purpose) -> Answer {
    let sent = Sent::Wanted { url: request.url.clone(), is_get: request.method == "GET" };
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
