//! The proxy: what happens to one request between the peer and the application.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, COOKIE, EXPECT, HOST, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Method, StatusCode, Version};
use memchr::memmem;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use tokio::time::timeout;
use vestibule::audit::AuditEvent;
use vestibule::language::Language;
use vestibule::pages::{self, HostFailure};
use vestibule::web::field_lines::FieldLines;
use vestibule_enforcement::edits::NOT_FOR_CACHES;
use vestibule_wasmtime::{Counted, Decision, Forward, Outcome, RequestHead, Response};

use crate::audit::{self, Record};
use crate::client::address::Client;
use crate::client::budgets::{Attempt, Budgets, Spent};
use crate::client::request_id::RequestId;
use crate::client::seldom::Seldom;
use crate::client::shares::{Busy, Full, Place, Shares, Turn, Turns};
use crate::configuration::active::{Active, Current, Generation, Service};
use crate::configuration::decider::Undecided;
use crate::configuration::ended_sessions::EndedSessions;
use crate::exchange::counted::{self, CountedUpgrade};
use crate::exchange::ending;
use crate::exchange::failure::{self, Shown};
use crate::exchange::judge;
use crate::exchange::open_exchanges::{OpenExchange, OpenExchanges, Question};
use crate::exchange::request_head::{check_length, into_origin_form, request_head};
use crate::exchange::session_ends::{Ending, SessionEnds, to_entry};
use crate::listen::limits::ConnectionLimits;
use crate::listen::request_bytes::RequestBytes;
use crate::metrics::Metrics;
use crate::observe::log;
use crate::random;
use crate::store::Keeper;
use crate::upgrade::farewell::Farewell;
use crate::upgrade::link::Link;
use crate::upgrade::resumption::{Openers, Opening};
use crate::upstream::application::{Candidate, Upstream};
use crate::upstream::forwarding;

/// The largest body that can be read for the decision and then still be forwarded: what Pingora keeps for retries.
const REPLAYED_BODY_BYTES: usize = 64 * 1024;

/// What is read of a body for nothing, so that the page that answers it arrives: closing on unread bytes resets the
/// connection, and browsers then show that instead.
const LINGER_BYTES: usize = 1024 * 1024;
const LINGER_TIME: Duration = Duration::from_secs(1);

/// Of the 32 exchanges that may wait for one provider (`OutboundOptions`), one client's callbacks and logins take an eighth.
const TURNS: usize = 4;
/// A class that logs in at once.
const WAITING_TURNS: usize = 64;
/// As long as a provider may take for one answer.
const TURN_PATIENCE: Duration = Duration::from_secs(10);
/// When it may look better.
const TURN_RETRY: Duration = Duration::from_secs(5);

/// When a store may be back.
const STORE_RETRY_SECONDS: u64 = 5;

/// The edge, as Pingora calls it.
pub struct Edge {
    current: Current,
    tls: bool,
    patience: Patience,
    open: Arc<OpenExchanges>,
    /// Asked by the filter, told here.
    ended: Arc<EndedSessions>,
    /// Of what has ended on other nodes, and on this one before it was started.
    store: Option<Arc<Keeper>>,
    openers: Arc<Openers>,
    budgets: Budgets,
    /// Requests in flight.
    requests: Arc<Shares>,
    /// Decisions on the routes that have limits: those may wait for a provider.
    turns: Turns,
    metrics: Arc<Metrics>,
    /// Clients that have reached a limit.
    limited: Seldom,
}

/// How long a peer may take.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// To send a whole body that the decision waits for.
    pub body: Duration,
    /// To send the next piece of a body that is forwarded, over HTTP/1.1.
    pub piece: Duration,
    /// The same over HTTP/2, where a piece that the application is slow to take looks like one that does not come.
    pub piece_of_stream: Duration,
    /// To take the next piece of a response.
    pub write: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let (short, long) = (Duration::from_secs(30), Duration::from_secs(120));
        Self { body: short, piece: short, piece_of_stream: long, write: long }
    }
}

/// One request's state.
pub struct Exchange {
    started: Instant,
    request_id: RequestId,
    /// The path, kept for the log: without the query, which can hold a code.
    path: String,
    client: Client,
    /// Held until the request is over.
    place: Option<Place>,
    /// Set exactly when the decision was to forward.
    onward: Option<Onward>,
    /// The number of connections to the application that could not be made.
    failed_connections: usize,
    attempt: Option<UpstreamAttempt>,
    disposition: log::Disposition,
    /// The body was read for the decision.
    body_was_read: bool,
    /// Held from the decision to forward until the end of the response is in sight, or of the connection that it became.
    open: Option<OpenExchange>,
    /// An upgrade of a Streamlit page, whose session is still to be learnt.
    opening: Option<Opening>,
    /// An upgraded connection.
    farewell: Option<Farewell>,
    /// The same, counted.
    upgrade: Option<CountedUpgrade>,
    /// What the audit says of the decision.
    record: Option<Arc<Record>>,
    /// Takes effect when the response has been sent: a browser that is told first connects again with the old cookies.
    ending: Option<Ending>,
}

/// A decision to forward, with what it takes. The decider is not kept: its instances would stay as long as an upgraded
/// connection, and there is room for so many only.
struct Onward {
    forward: Forward,
    /// Of the configuration that has decided.
    generation: Generation,
    authority: Option<String>,
    /// What the application calls itself, as the filter was told.
    server: Option<String>,
    upstream: Arc<Upstream>,
    public_origin: Arc<str>,
    /// The filter goes by what the application says in `Server`.
    notes_server: bool,
    /// The path of Streamlit's WebSocket.
    streamlit: Option<Arc<str>>,
}

/// The connection to the application that was tried last.
struct UpstreamAttempt {
    address: usize,
    has_more_addresses: bool,
    link: Option<Arc<Link>>,
}

impl Edge {
    /// An edge that listens with TLS or without.
    pub fn new(current: Current, tls: bool) -> Self {
        let (patience, open, openers, ended) = (Patience::default(), Arc::default(), Arc::default(), Arc::default());
        let ConnectionLimits { all, each, .. } = ConnectionLimits::default();
        let turns = Turns::new(TURNS, WAITING_TURNS, TURN_PATIENCE);
        let (budgets, requests, metrics) = (Budgets::new(), Shares::new(all, each), Metrics::new(None));
        Self { current, tls, patience, open, ended, store: None, openers, budgets, requests, turns, metrics, limited: Seldom::default() }
    }

    /// The same with other places for requests in flight.
    #[must_use]
    pub fn with_requests(self, requests: Arc<Shares>) -> Self {
        Self { requests, ..self }
    }

    /// The same, telling of sessions that have ended.
    #[must_use]
    pub fn with_ended(self, ended: Arc<EndedSessions>) -> Self {
        Self { ended, ..self }
    }

    /// The same, counting here.
    #[must_use]
    pub fn with_metrics(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// What is in force at any moment.
    pub fn current(&self) -> Current {
        self.current.clone()
    }

    /// For what ends elsewhere.
    pub fn session_ends(&self) -> SessionEnds {
        SessionEnds::new(self.ended.clone(), self.open.clone(), self.current.clone())
    }

    /// Judges what is open whenever it is due; to be driven as long as the edge serves.
    pub fn judge(&self) -> impl Future<Output = ()> + Send + use<> {
        judge::judge(self.open.clone(), self.current.clone())
    }

    /// The same with a store, which is told of what ends here, and whose state says whether requests with a session are forwarded.
    #[must_use]
    pub fn with_store(self, store: Arc<Keeper>) -> Self {
        Self { store: Some(store), ..self }
    }

    /// The same with other patience with its peers.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Asks for the decision, unless the client has no more of what it costs.
    async fn decide(&self, session: &mut Session, exchange: &mut Exchange) -> Result<Decided> {
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
        let decided = self.decide_admitted(session, (generation, &active), authority, exchange).await?;
        if self.store.as_ref().is_some_and(|store| !store.state().admits()) && rests_on_session(&decided, session, &active) {
            return Ok(Decided::Respond(self.store_unreachable(session, exchange, &active)));
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
        };
        let reference = random::reference();
        if let Some(left_out) = self.limited.is_due(code, attempt.client) {
            active.audit.undecided(AuditEvent::LoginFailed, code, undecided_request(session, request_id, attempt.client));
            let client = attempt.client.map(tracing::field::display);
            let request_id = request_id.as_str();
            let message = "this client has reached its limit of [vestibule.limits]; the log has this once in a minute";
            tracing::info!(code, request_id, client, retry_after, reference, left_out, "{message}");
        }
        let page =
            pages::host_failure(HostFailure::TooManyLogins { retry_after }, reader(session), &active.look, &reference, &random::nonce());
        let mut response = Response::new(page.status, page.body);
        response.headers = page.headers;
        response
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
        let page = pages::host_failure(failure, reader(session), &active.look, &reference, &random::nonce());
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
        let head = request_head(session.req_header(), authority.as_deref(), server.as_deref())?;
        let limit = match self.ask(active, head, None, exchange).await? {
            Outcome::Forward(forward) => return onward(forward, authority, server),
            Outcome::Respond(response) => return Ok(Decided::Respond(response)),
            Outcome::NeedBody(limit) => limit as usize,
        };
        let Ok(body) = timeout(self.patience.body, read_body(session, limit)).await else {
            return Err(Error::explain(ErrorType::ReadTimedout, "the body takes too long").into_down());
        };
        let body = body?;
        exchange.body_was_read = true;
        let body_bytes = body.len();
        let head = request_head(session.req_header(), authority.as_deref(), server.as_deref())?;
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
        exchange.record = active.audit.decided(audited, &exchange.request_id, exchange.client.address());
        if !ended_sessions.is_empty() {
            let ends = self.session_ends();
            ends.remember(&ended_sessions);
            if let Some(store) = &self.store {
                store.tell(&ended_sessions.iter().filter_map(to_entry).collect::<Vec<_>>());
            }
            exchange.ending = Some(Ending { ends, entries: ended_sessions });
        }
        Ok(outcome)
    }

    /// Ties the exchange with the application to its session and to the configuration.
    fn begin(&self, session: &Session, onward: &Onward) -> Result<OpenExchange> {
        let closer = ending::closer().ok_or_else(undecided)?;
        let asks_for_upgrade = session.req_header().headers.contains_key(UPGRADE);
        if asks_for_upgrade {
            closer.mark_upgrade();
        }
        let Onward { forward, generation, authority, server, upstream, .. } = onward;
        let question = Question {
            head: session.req_header().clone(),
            authority: authority.clone(),
            server: server.clone(),
            peer: peer(session),
            session: forward.session.as_deref().map(Arc::from),
            upstream: upstream.clone(),
        };
        let open = self.open.begin(question, *generation, forward.expires_at, closer);
        self.current.note_admission(*generation);
        if asks_for_upgrade && open.session_has_ended { Err(session_ended()) } else { Ok(open) }
    }
}

impl Edge {
    /// Over HTTP/2, which Pingora reads without an end of its patience.
    fn expect_body(&self, session: &Session, is_whole: bool) {
        if session.is_http2()
            && let Some(closer) = ending::closer()
        {
            closer.expect_body((!is_whole).then(|| tokio::time::Instant::now() + self.patience.piece_of_stream));
        }
    }
}

/// A decision without its question for the body.
enum Decided {
    Forward(Onward),
    Respond(Response),
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
    let told = Client::of(&session.req_header().headers, peer, &active.trusted_proxies);
    match (&active.service, told) {
        (Service::Proxy(_), Ok(client)) => Ok(client),
        (Service::Proxy(_), Err(unclear)) => {
            tracing::info!(
                code = "forwarded.unclear",
                request_id = request_id.as_str(),
                peer = peer.map(tracing::field::display),
                "{unclear}; a proxy in vestibule.trusted_proxies must write X-Forwarded-* and Forwarded alike, or remove what it does not write"
            );
            Err(Error::explain(ErrorType::HTTPStatus(400), "what a trusted proxy says of the client is unclear").into_down())
        }
        // Questions hold whatever clients send, and nothing but the client's budget goes by this.
        (Service::Authz, told) => {
            check_peer(session, peer, active, request_id)?;
            Ok(told.unwrap_or_else(|_| Client::from_peer(peer)))
        }
    }
}

/// The person who looks at the answer, if one does.
fn reader(session: &Session) -> Option<Language> {
    pages::reader(&vestibule::web::http::RequestHead { headers: fields(session), ..Default::default() })
}

/// The request's header fields, as pages go by them.
fn fields(session: &Session) -> FieldLines {
    session.req_header().headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect()
}

/// Who is at the other end of the connection.
fn peer(session: &Session) -> Option<IpAddr> {
    session.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip())
}

/// For the audit: a request that is answered without a decision.
fn undecided_request<'a>(session: &'a Session, request_id: &'a RequestId, client: Option<IpAddr>) -> audit::Undecided<'a> {
    let request = session.req_header();
    audit::Undecided { request_id, client, method: request.method.as_str(), path: request.uri.path() }
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
        "a peer that may not ask; if it is the proxy, add its address to vestibule.authz.trusted_proxies"
    );
    Err(Error::explain(ErrorType::HTTPStatus(403), "the peer is none of the trusted proxies").into_down())
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
        session.write_continue_response().await?;
    }
    let mut body = Vec::new();
    while let Some(chunk) = session.downstream_session.read_request_body().await? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn undecided() -> Box<Error> {
    failure::error(HostFailure::Filter, "a request without a decision to forward it")
}

/// The next request comes without the session's cookies.
fn session_ended() -> Box<Error> {
    Error::explain(ErrorType::HTTPStatus(403), "a connection or response without an end, for a session that has just ended").into_down()
}

/// Whether the end of a response is in sight: it has a length, or no body. `response` as it came from the application.
fn has_end(session: &Session, response: &ResponseHeader) -> bool {
    let length = || response.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    session.req_header().method == Method::HEAD
        || matches!(response.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
        // RFC 9112 section 6.3: with `Transfer-Encoding` the length means nothing.
        || (!response.headers.contains_key(TRANSFER_ENCODING) && length().is_some())
}

/// Sends a response that does not come from the application.
async fn send(session: &mut Session, mut head: ResponseHeader, body: Vec<u8>) -> Result<()> {
    let is_head = session.req_header().method == Method::HEAD;
    if is_head {
        // RFC 9110 section 8.6: the length would have to be that of the answer to GET, which nobody has made.
        head.remove_header(&CONTENT_LENGTH);
    }
    let empty = is_head || body.is_empty();
    close_unless_whole(session);
    session.write_response_header(Box::new(head), empty).await?;
    if !empty {
        session.write_response_body(Some(Bytes::from(body)), true).await?;
    }
    Ok(())
}

/// Before an answer: the connection ends with it when there is more of the request to read.
fn close_unless_whole(session: &mut Session) {
    if !session.is_body_done() {
        session.set_keepalive(None);
    }
}

/// A status without a page. Pingora's own would say which server this is.
async fn send_status(session: &mut Session, status: u16) -> Result<()> {
    let headers = [("Cache-Control".to_owned(), NOT_FOR_CACHES.as_bytes().to_vec())];
    send(session, forwarding::own_response(status, &headers, 0)?, Vec::new()).await
}

/// As it is decided on, without the query.
fn path_of(session: &Session) -> &[u8] {
    let target = session.req_header().raw_path();
    target.split(|&byte| byte == b'?').next().unwrap_or(target)
}

/// Whether a request asks for what is passed on: `websocket`, alone and in one line.
fn asks_for_websocket(session: &Session) -> bool {
    session.is_upgrade_req() && names_websocket(&session.req_header().headers)
}

/// Whether `Upgrade` is `websocket`, alone and in one line.
fn names_websocket(headers: &HeaderMap) -> bool {
    let mut lines = headers.get_all(UPGRADE).iter();
    lines.next().is_some_and(|protocol| protocol.as_bytes().trim_ascii().eq_ignore_ascii_case(b"websocket")) && lines.next().is_none()
}

/// Tells the browser why its WebSocket ends, and waits for its answer: closing on unread bytes resets the connection, and what
/// was said is lost. [`ending::run`] does not wait for ever.
async fn close_websocket(session: &mut Session, farewell: &mut Farewell) {
    let reason = Language::preferred(&fields(session)).session_ended();
    let is_upgraded = session.response_written().is_some_and(|response| response.status == StatusCode::SWITCHING_PROTOCOLS);
    let Some(frame) = farewell.close_frame(reason).filter(|_| is_upgraded) else { return };
    if session.downstream_session.write_response_body(frame, false).await.is_err() {
        return;
    }
    while !farewell.is_answered() {
        let Ok(Some(piece)) = session.downstream_session.read_request_body().await else { return };
        farewell.look(Some(&piece));
    }
}

/// Reads what the peer still sends, within bounds.
async fn linger(session: &mut Session) {
    let reading = async {
        let mut left = LINGER_BYTES;
        while let Ok(Some(chunk)) = session.downstream_session.read_request_body().await {
            left = left.saturating_sub(chunk.len());
            if left == 0 {
                return;
            }
        }
    };
    // Who has more to send than fits has to do without the page.
    let _ = timeout(LINGER_TIME, reading).await;
}

#[async_trait]
impl ProxyHttp for Edge {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange {
            started: Instant::now(),
            request_id: RequestId::unique(),
            path: String::new(),
            client: Client::default(),
            place: None,
            onward: None,
            failed_connections: 0,
            attempt: None,
            disposition: log::Disposition::Failed,
            body_was_read: false,
            open: None,
            opening: None,
            farewell: None,
            record: None,
            upgrade: None,
            ending: None,
        }
    }

    /// No module: responses pass as they are.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        exchange.path = session.req_header().uri.path().to_owned();
        let (_, active) = self.current.load();
        if let Some(told) = RequestId::told(&session.req_header().headers, peer(session), &active.trusted_proxies) {
            exchange.request_id = told;
        }
        if let Some(closer) = ending::closer() {
            closer.name(exchange.request_id.clone());
        }
        if session.req_header().method == Method::CONNECT {
            return Err(Error::explain(ErrorType::HTTPStatus(405), "this is no proxy to other places").into_down());
        }
        if session.req_header().version == Version::HTTP_10 {
            // RFC 9110 section 10.1.1: it expects nothing, and section 15.2: it knows no interim response.
            session.req_header_mut().remove_header(&EXPECT);
            session.set_ignore_info_resp(true);
        }
        // Pingora would close after an interim response too: the body comes after it. `close_unless_whole` does it for answers.
        session.set_close_on_response_before_downstream_finish(false);
        session.set_write_timeout(Some(self.patience.write));
        session.set_read_timeout(Some(self.patience.piece));
        match self.decide(session, exchange).await? {
            Decided::Forward(onward) => {
                // Before its end can come.
                if let (Some(closer), Some(record)) = (ending::closer(), exchange.record.take()) {
                    closer.record(record);
                }
                exchange.open = Some(self.begin(session, &onward)?);
                if onward.streamlit.as_deref().is_some_and(|stream| asks_for_websocket(session) && path_of(session) == stream.as_bytes()) {
                    exchange.opening = self.openers.opening(session.req_header(), onward.forward.session.as_deref());
                }
                exchange.onward = Some(onward);
                exchange.disposition = log::Disposition::Forwarded;
                let is_whole = session.is_body_done();
                self.expect_body(session, is_whole);
                Ok(false)
            }
            Decided::Respond(response) => {
                let head = forwarding::own_response(response.status, &response.headers, response.body.len())?;
                exchange.disposition = log::Disposition::Answered;
                send(session, head, response.body).await?;
                // Clients and proxies that are still sending may drop the response when the connection, or the stream, ends.
                if !session.is_body_done() && !session.req_header().headers.contains_key(EXPECT) {
                    linger(session).await;
                }
                Ok(true)
            }
        }
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end_of_stream: bool,
        exchange: &mut Exchange,
    ) -> Result<()> {
        if let Some(farewell) = &mut exchange.farewell {
            farewell.look(body.as_ref());
        }
        self.expect_body(session, end_of_stream);
        Ok(())
    }

    async fn upstream_peer(&self, session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        let onward = exchange.onward.as_ref().ok_or_else(undecided)?;
        match onward.upstream.peer(exchange.failed_connections, asks_for_websocket(session)).await {
            Ok(Candidate { peer, index, is_last, link }) => {
                exchange.attempt = Some(UpstreamAttempt { address: index, has_more_addresses: !is_last, link });
                Ok(Box::new(peer))
            }
            Err(error) => Err(failure::error(HostFailure::UpstreamUnreachable, &error.to_string())),
        }
    }

    async fn upstream_request_filter(&self, session: &mut Session, request: &mut RequestHeader, exchange: &mut Exchange) -> Result<()> {
        let onward = exchange.onward.as_ref().ok_or_else(undecided)?;
        if exchange.body_was_read {
            // `100 Continue` has been sent already.
            request.remove_header(&EXPECT);
        }
        if !asks_for_websocket(session) {
            // Pingora takes two lines for one, and the filter removes one of what was two.
            request.remove_header(&UPGRADE);
            request.remove_header(&CONNECTION);
        }
        let received = forwarding::Received { client: &exchange.client, tls: self.tls, public_origin: &onward.public_origin };
        forwarding::edit_request(request, &onward.forward, received)?;
        exchange.request_id.edit(request)?;
        exchange.opening.as_ref().map_or(Ok(()), |opening| opening.edit(request))
    }

    async fn response_filter(&self, session: &mut Session, response: &mut ResponseHeader, exchange: &mut Exchange) -> Result<()> {
        let onward = exchange.onward.as_ref().ok_or_else(undecided)?;
        let forward = &onward.forward;
        if onward.notes_server {
            onward.upstream.server.note(response);
        }
        let upgraded = response.status == StatusCode::SWITCHING_PROTOCOLS;
        let is_answer = upgraded || !response.status.is_informational();
        let ends = !upgraded && has_end(session, response);
        if upgraded && !(asks_for_websocket(session) && names_websocket(&response.headers)) {
            // RFC 9110 sections 7.8 and 15.2.2.
            return Err(Error::explain(ErrorType::InvalidHTTPHeader, "a 101 to another protocol than was asked for").into_up());
        }
        if !upgraded {
            forwarding::end_hop(response);
            // RFC 9110 section 2.5: the version is that of who sends, not of the application.
            response.set_version(Version::HTTP_11);
        }
        if response.status == StatusCode::NO_CONTENT || (response.status.is_informational() && !upgraded) {
            // RFC 9110 section 8.6, RFC 9112 section 6.1: they have no body, and say nothing of one.
            response.remove_header(&CONTENT_LENGTH);
            response.remove_header(&TRANSFER_ENCODING);
        }
        if session.req_header().version == Version::HTTP_10 {
            // RFC 9112 section 6.1: it knows no `Transfer-Encoding`; its responses end with the connection.
            response.remove_header(&TRANSFER_ENCODING);
            if !ends {
                session.set_keepalive(None);
            }
        }
        let link = exchange.attempt.as_ref().and_then(|attempt| attempt.link.as_ref());
        if is_answer && let Some(link) = link {
            link.answer();
        }
        if upgraded {
            // An upgraded connection may be silent for long.
            session.set_read_timeout(None);
            if let Some(stream) = session.stream() {
                RequestBytes::upgrade(stream);
            }
            if let (Some(link), Some(closer)) = (link, ending::closer()) {
                closer.has_upgraded(link.clone());
                exchange.upgrade = Some(counted::upgrade(&self.metrics, closer));
                exchange.farewell = Some(Farewell::new(link.clone()));
            }
            if let Some(opening) = &mut exchange.opening {
                opening.begin(response);
            }
        }
        if is_answer {
            close_unless_whole(session);
            match &exchange.open {
                _ if ends => exchange.open = None,
                Some(open) if open.session_has_ended => return Err(session_ended()),
                Some(open) => open.has_begun(),
                None => {}
            }
            forwarding::edit_response(response, &forward.response_headers)?;
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        _session: &mut Session,
        body: &mut Option<Bytes>,
        _end_of_stream: bool,
        exchange: &mut Exchange,
    ) -> Result<Option<Duration>> {
        if let Some(opening) = &mut exchange.opening {
            opening.look(body.as_ref());
        }
        if let Some(farewell) = &mut exchange.farewell {
            farewell.pass_to_browser(body);
        }
        Ok(None)
    }

    fn fail_to_connect(&self, _session: &mut Session, _peer: &HttpPeer, exchange: &mut Exchange, mut error: Box<Error>) -> Box<Error> {
        exchange.failed_connections += 1;
        if let (Some(attempt), Some(onward)) = (&exchange.attempt, &exchange.onward) {
            onward.upstream.avoid(attempt.address);
            // Nothing was sent yet: another address of the same name may do, `127.0.0.1` after `::1` for example.
            error.set_retry(attempt.has_more_addresses);
        }
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
        // Where it is the browser's side that has failed, a frame may be half written.
        let is_given_up = *error.esource() == ErrorSource::Upstream;
        if let Some(farewell) = exchange.farewell.as_mut().filter(|farewell| is_given_up && farewell.is_due()) {
            // No failure: the connection to the application was given up for it.
            close_websocket(session, farewell).await;
            return FailToProxy { error_code: 0, can_reuse_downstream: false };
        }
        let reference = random::reference();
        log::failure(error, &exchange.request_id, &exchange.path, &reference);
        // Who closes a tab with an event stream or a WebSocket in it has had their answer.
        let is_left = failure::shown(error) == Shown::Nothing && session.response_written().is_some();
        if !is_left {
            exchange.disposition = log::Disposition::Failed;
        }
        let mut sent = 0;
        if session.response_written().is_none() {
            // The connection is closed after this, and its peer is to know.
            session.set_keepalive(None);
            let result = match failure::shown(error) {
                Shown::Page(failure) => {
                    let (_, active) = self.current.load();
                    let page = pages::host_failure(failure, reader(session), &active.look, &reference, &random::nonce());
                    sent = page.status;
                    // A session that was renewed on the way is not lost with the application's answer.
                    let renewed = exchange.onward.as_ref().map_or(&[][..], |onward| &onward.forward.response_headers);
                    match forwarding::own_response(page.status, &page.headers, page.body.len())
                        .and_then(|mut head| forwarding::edit_response(&mut head, renewed).map(|()| head))
                    {
                        Ok(head) => send(session, head, page.body).await,
                        Err(_) => send_status(session, 500).await,
                    }
                }
                Shown::Status(status) => {
                    sent = status;
                    send_status(session, status).await
                }
                Shown::Nothing => Ok(()),
            };
            if result.is_err() {
                sent = 0;
            } else if *error.esource() != ErrorSource::Downstream {
                linger(session).await;
            }
        }
        FailToProxy { error_code: sent, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, exchange: &mut Exchange) {
        let status = session.response_written().map_or(0, |response| response.status.as_u16());
        counted::request(&self.metrics, exchange.disposition, status);
        log::request(&log::RequestRecord {
            request_id: &exchange.request_id,
            method: session.req_header().method.as_str(),
            path: &exchange.path,
            status,
            duration: exchange.started.elapsed(),
            disposition: exchange.disposition,
        });
    }

    /// Pingora's own summary holds the query, and a query can hold a code.
    fn request_summary(&self, session: &Session, exchange: &Exchange) -> String {
        format!("{} {}", session.req_header().method, exchange.path)
    }

    fn suppress_error_log(&self, _session: &Session, _exchange: &Exchange, _error: &Error) -> bool {
        // `fail_to_proxy` has written it, with its reference number.
        true
    }

    fn suppress_proxy_warn_log(&self, _session: &Session, _exchange: &Exchange, _error: &Error, _context: ProxyWarnLogContext) -> bool {
        true
    }
}
