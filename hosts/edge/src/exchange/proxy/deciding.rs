//! From a request to the decision about it: the client and its share, the body where the filter needs it, and what the host answers
//! instead of a decision.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, COOKIE, EXPECT, HOST, UPGRADE};
use memchr::memmem;
use pingora::http::RequestHeader;
use pingora::proxy::Session;
use pingora::{Error, ErrorType, Result};
use tokio::time::timeout;
use vestibule::audit::AuditEvent;
use vestibule::pages::{self, HostFailure, LogKeys};
use vestibule_wasmtime::{Counted, Decision, Forward, Outcome, RequestHead, Response};

use super::peer::{path_of, peer, reader, undecided_request};
use super::{Edge, Exchange};
use crate::audit;
use crate::client::address::Client;
use crate::client::budgets::{Attempt, Spent};
use crate::client::request_id::RequestId;
use crate::client::shares::{Busy, Full, Place, Turn};
use crate::configuration::active::{Active, Generation, Service};
use crate::configuration::decider::Undecided;
use crate::exchange::failure;
use crate::exchange::request_head::{check_length, into_origin_form, request_head, tell_of_body};
use crate::exchange::session_ends::{Ending, to_entry};
use crate::random;
use crate::upstream::application::Upstream;

/// How much longer a piece of a body may take than the whole: that it never is what ends first.
const BODY_MARGIN: Duration = Duration::from_secs(5);

/// The largest body that can be read for the decision and then still be forwarded: what Pingora keeps for retries.
const REPLAYED_BODY_BYTES: usize = 64 * 1024;

/// When it may look better.
const TURN_RETRY: Duration = Duration::from_secs(5);

/// When a store may be back.
const STORE_RETRY_SECONDS: u64 = 5;

/// A decision without its question for the body.
pub(super) enum Decided {
    Forward(Onward),
    Respond(Response),
}

/// A decision to forward, with what it takes. The decider is not kept: its instances would stay as long as an upgraded
/// connection, and there is room for so many only.
pub(super) struct Onward {
    pub(super) forward: Forward,
    /// Of the configuration that has decided.
    pub(super) generation: Generation,
    pub(super) authority: Option<String>,
    /// What the application calls itself, as the filter was told.
    pub(super) server: Option<String>,
    pub(super) upstream: Arc<Upstream>,
    pub(super) public_origin: Arc<str>,
    /// The filter goes by what the application says in `Server`.
    pub(super) notes_server: bool,
    /// The path of Streamlit's WebSocket.
    pub(super) streamlit: Option<Arc<str>>,
}

impl Edge {
    /// Asks for the decision, unless the client has no more of what it costs.
    pub(super) async fn decide(&self, session: &mut Session, exchange: &mut Exchange) -> Result<Decided> {
        let (generation, active) = self.current.load();
        exchange.client = client(session, &active, &exchange.request_id)?;
        exchange.place = Some(self.place(&exchange.client, &active)?);
        check_length(session.req_header())?;
        let authority = into_origin_form(session.req_header_mut())?;
        let path = path_of(session).to_vec();
        let attempt = Attempt { limits: &active.limits, client: exchange.client.address(), path: &path };
        let _turn = match self.admit(attempt).await {
            Ok(turn) => turn,
            Err(spent) => return Ok(Decided::Respond(self.too_many(spent, attempt, session, &exchange.request_id, &active))),
        };
        let admits = || self.store.as_ref().is_none_or(|store| store.state().admits());
        let has_admitted = admits();
        let decided = self.decide_admitted(session, (generation, &active), authority, exchange).await?;
        // Before as well: the list may have come while the decision was made without it.
        if !(has_admitted && admits()) && rests_on_session(&decided, session, &active) {
            let mut response = self.store_unreachable(session, exchange, &active);
            // The provider may have spent the refresh token of the cookies that these replace.
            match decided {
                Decided::Forward(onward) => response.headers.extend(onward.forward.response_headers),
                Decided::Respond(answer) => {
                    let set_cookies = answer.headers.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
                    response.headers.extend(set_cookies);
                }
            }
            return Ok(Decided::Respond(response));
        }
        if let Decided::Respond(Response { counts_as: Some(counted), .. }) = &decided
            && let Err(spent) = self.budgets.count(attempt, *counted)
        {
            return Ok(Decided::Respond(self.too_many(spent, attempt, session, &exchange.request_id, &active)));
        }
        Ok(decided)
    }

    /// A place among the requests in flight. A trusted proxy that does not tell its client has no share: it is everybody.
    fn place(&self, client: &Client, active: &Active) -> Result<Place> {
        let counted = client.address().filter(|address| !active.trusted_proxies.contains(*address));
        self.requests.take(counted).map_err(|full| match full {
            Full::Client => Error::explain(ErrorType::HTTPStatus(429), "this client has too many requests in flight").into_down(),
            Full::All => failure::error(HostFailure::Overloaded, "too many requests are in flight"),
        })
    }

    /// Waits for the client's turn on a route that has limits.
    async fn admit<'a>(&'a self, attempt: Attempt<'_>) -> Result<Option<Turn<'a>>, Spent> {
        self.budgets.admit(attempt)?;
        let Some(counted) = attempt.counted() else { return Ok(None) };
        let turn = self.turns.wait(attempt.client).await.map_err(|Busy| Spent { counted, wait: TURN_RETRY })?;
        // Those before it may have used up what there was.
        self.budgets.admit(attempt)?;
        Ok(Some(turn))
    }

    /// What a client gets that has nothing left. It costs the client nothing: log and audit have one line for it in a minute.
    fn too_many(&self, spent: Spent, attempt: Attempt<'_>, session: &Session, request_id: &RequestId, active: &Active) -> Response {
        let retry_after = spent.retry_after();
        let code = match spent.counted {
            Counted::LoginStart => "login.limited",
            Counted::BadCallback => "callback.limited",
            Counted::BadLogoutToken => "logout.limited",
        };
        let reference = random::reference();
        if let Some(left_out) = self.limited.is_due(code, attempt.client) {
            let event = if spent.counted == Counted::BadLogoutToken { AuditEvent::Refused } else { AuditEvent::LoginFailed };
            let request = undecided_request(session, request_id, attempt.client);
            active.audit.undecided(event, code, audit::Undecided { reference: Some(&reference), ..request });
            let client = attempt.client.map(tracing::field::display);
            let request_id = request_id.as_str();
            let message = "this client has reached its limit of [vestibule.limits]; the log has this once in a minute";
            tracing::info!(code, request_id, client, retry_after, reference, left_out, "{message}");
        }
        let failure = HostFailure::TooManyLogins { retry_after };
        let log_keys = LogKeys { reference: Some(&reference), request_id: Some(request_id.as_str()) };
        let page = pages::host_failure(failure, reader(session), &active.look, log_keys, &random::nonce());
        let mut response = Response::new(page.status, page.body);
        response.headers = page.headers;
        response
    }

    /// Writes that a callback has failed without a decision; of each client once in a minute. Makes the number for its page.
    pub(super) fn audit_failed_callback(&self, session: &Session, exchange: &mut Exchange, active: &Active, code: &'static str) {
        let client = exchange.client.address();
        let reference = exchange.reference.insert(random::reference());
        let request = undecided_request(session, &exchange.request_id, client);
        let request = audit::Undecided { reference: Some(reference), ..request };
        if active.audit.is_callback(request.path) && self.limited.is_due(code, client).is_some() {
            active.audit.undecided(AuditEvent::LoginFailed, code, request);
        }
    }

    /// What a request with a session gets when nobody knows whether that has ended. The log has one line for it in a minute for each
    /// client.
    fn store_unreachable(&self, session: &Session, exchange: &Exchange, active: &Active) -> Response {
        let (client, reference) = (exchange.client.address(), random::reference());
        let code = "store.session_refused";
        if let Some(left_out) = self.limited.is_due(code, client) {
            let (request_id, client) = (exchange.request_id.as_str(), client.map(tracing::field::display));
            let message = "a request with a session is answered 503: it is not known whether the session has ended";
            tracing::warn!(code, request_id, client, reference, left_out, "{message}; the log has this once in a minute for each client");
        }
        let failure = HostFailure::StoreUnreachable { retry_after: STORE_RETRY_SECONDS };
        let log_keys = LogKeys { reference: Some(&reference), request_id: Some(exchange.request_id.as_str()) };
        let page = pages::host_failure(failure, reader(session), &active.look, log_keys, &random::nonce());
        let mut response = Response::new(page.status, page.body);
        response.headers = page.headers;
        response
    }

    /// Asks for the decision, with the body where the filter needs it.
    async fn decide_admitted(
        &self,
        session: &mut Session,
        (generation, active): (Generation, &Active),
        authority: Option<String>,
        exchange: &mut Exchange,
    ) -> Result<Decided> {
        let onward = |forward, authority, server| match &active.service {
            Service::Proxy(upstream) => {
                let (upstream, public_origin) = (upstream.clone(), active.public_origin.clone());
                let (notes_server, streamlit) = (active.application_probe.is_some(), active.streamlit.clone());
                Ok(Decided::Forward(Onward { forward, generation, authority, server, upstream, public_origin, notes_server, streamlit }))
            }
            Service::Authz => Err(failure::error(HostFailure::Filter, "the filter forwards, and there is no application")),
        };
        let server = application_server(active, session.req_header()).await;
        let mut head = request_head(session.req_header(), authority.as_deref(), server.as_deref(), Some(&exchange.request_id))?;
        let has_body = !session.is_body_empty();
        tell_of_body(&mut head, session.req_header(), has_body);
        let limit = match self.ask(active, head, None, exchange).await? {
            Outcome::Forward(forward) => return onward(forward, authority, server),
            Outcome::Respond(response) => return Ok(Decided::Respond(response)),
            Outcome::NeedBody(limit) => limit as usize,
        };
        // Pingora's own patience with a piece of it would end at the same time, and is no answer.
        session.set_read_timeout(Some(self.patience.body + BODY_MARGIN));
        let read = timeout(self.patience.body, read_body(session, limit)).await;
        session.set_read_timeout(Some(self.patience.piece));
        let Ok(body) = read else {
            return Err(Error::explain(ErrorType::ReadTimedout, "the body takes too long").into_down());
        };
        let body = body?;
        exchange.body_was_read = true;
        let body_bytes = body.len();
        let mut head = request_head(session.req_header(), authority.as_deref(), server.as_deref(), Some(&exchange.request_id))?;
        tell_of_body(&mut head, session.req_header(), has_body);
        match self.ask(active, head, Some(body), exchange).await? {
            Outcome::Forward(_) if body_bytes > REPLAYED_BODY_BYTES => {
                Err(failure::error(HostFailure::BodyTooLarge, "a body this long cannot be forwarded after the decision"))
            }
            Outcome::Forward(forward) => onward(forward, authority, server),
            Outcome::Respond(response) => Ok(Decided::Respond(response)),
            Outcome::NeedBody(_) => Err(failure::error(HostFailure::Filter, "the filter asks for the body that it has")),
        }
    }

    async fn ask(&self, active: &Active, head: RequestHead, body: Option<Vec<u8>>, exchange: &mut Exchange) -> Result<Outcome> {
        let decision = active.decider.decide(head, body).await.map_err(|undecided| {
            active.counts.undecided(undecided.reason());
            let failure = match undecided {
                Undecided::Overloaded(_) => HostFailure::Overloaded,
                Undecided::TimedOut(_) | Undecided::Failed(_) => HostFailure::Filter,
            };
            failure::error(failure, &undecided.to_string())
        })?;
        active.counts.decided(&decision);
        let Decision { outcome, mut events, ended_sessions, audited, .. } = decision;
        for event in &mut events {
            // What the request calls itself is somebody's word.
            event.request_id = Some(exchange.request_id.to_string());
            vestibule_wasmtime::log(event);
        }
        let (request_id, client) = (&exchange.request_id, exchange.client.address());
        let reference = events.iter().find_map(|event| event.reference.as_deref());
        exchange.record = active.audit.decided(audited, reference, request_id, client);
        if !ended_sessions.is_empty() {
            active.audit.ended(&ended_sessions, &events, exchange.record.as_deref(), request_id, client);
            let ends = self.session_ends();
            ends.remember(&ended_sessions);
            let told = self.store.as_ref().map(|store| {
                let entries: Vec<_> = ended_sessions.iter().filter_map(to_entry).collect();
                (store, store.tell(&entries))
            });
            exchange.ending = Some(Ending { ends, entries: ended_sessions });
            if let Some((store, told)) = told {
                store.confirmed(told).await;
            }
        }
        Ok(outcome)
    }
}

/// Whether a request is forwarded for a session's sake, here or by the proxy that asks. That one is answered without the session's name:
/// there every permission counts that was asked for with the cookie of one.
fn rests_on_session(decided: &Decided, session: &Session, active: &Active) -> bool {
    match (decided, &active.service) {
        (Decided::Forward(onward), _) => onward.forward.session.is_some(),
        (Decided::Respond(response), Service::Authz) => {
            let cookies = session.req_header().headers.get_all(COOKIE);
            let has_session = || cookies.iter().any(|line| memmem::find(line.as_bytes(), SESSION_COOKIE).is_some());
            (200..300).contains(&response.status) && has_session()
        }
        (Decided::Respond(_), Service::Proxy(_)) => false,
    }
}

/// In the names of all cookies of a session.
const SESSION_COOKIE: &[u8] = b"vestibule_session";

/// What the application says that it is, for a request to upgrade and a filter that goes by it.
async fn application_server(active: &Active, request: &RequestHeader) -> Option<String> {
    let Service::Proxy(upstream) = &active.service else { return None };
    let path = active.application_probe.as_deref().filter(|_| request.headers.contains_key(UPGRADE))?;
    upstream.server.find_out(upstream, path, request.headers.get(HOST)).await
}

/// Who has sent a request.
fn client(session: &Session, active: &Active, request_id: &RequestId) -> Result<Client> {
    let peer = peer(session);
    let headers = &session.req_header().headers;
    if let Service::Authz = active.service {
        check_peer(session, peer, active, request_id)?;
        return Ok(Client::of_question(headers, peer, &active.trusted_proxies));
    }
    match Client::of(headers, peer, &active.trusted_proxies) {
        Ok(client) => Ok(client),
        Err(unclear) => {
            tracing::info!(
                code = "forwarded.unclear",
                request_id = request_id.as_str(),
                peer = peer.map(tracing::field::display),
                "{unclear}; a proxy in vestibule.trusted_proxies must write X-Forwarded-* and Forwarded alike, or remove what it does not write"
            );
            Err(Error::explain(ErrorType::HTTPStatus(400), "the headers of a trusted proxy about the client are unclear").into_down())
        }
    }
}

/// Questions of strangers are not even read. A peer that cannot be told is one.
fn check_peer(session: &Session, peer: Option<IpAddr>, active: &Active, request_id: &RequestId) -> Result<()> {
    if peer.is_some_and(|peer| active.trusted_proxies.contains(peer)) {
        return Ok(());
    }
    active.audit.undecided(AuditEvent::Refused, "authz.peer_refused", undecided_request(session, request_id, peer));
    let address = peer.map_or_else(|| "unknown".to_owned(), |peer| peer.to_string());
    tracing::warn!(
        code = "authz.peer_refused",
        request_id = request_id.as_str(),
        peer = address,
        "a peer that is not a trusted proxy asked; if it is the proxy, add its address to vestibule.authz.trusted_proxies"
    );
    Err(Error::explain(ErrorType::HTTPStatus(403), "the peer is not a trusted proxy").into_down())
}

/// The whole body, of at most `limit` bytes.
async fn read_body(session: &mut Session, limit: usize) -> Result<Vec<u8>> {
    let too_large = || failure::error(HostFailure::BodyTooLarge, "the body is longer than the filter takes");
    let announced = session.get_header(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(too_large());
    }
    // The decision may be to forward after all.
    session.enable_retry_buffering();
    if session.req_header().headers.contains_key(EXPECT) {
        session.write_continue_response().await.map_err(|error| error.into_down())?;
    }
    let mut body = Vec::new();
    while let Some(chunk) = session.downstream_session.read_request_body().await.map_err(|error| error.into_down())? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}
