//! The proxy: what happens to one request between the peer and the application.

mod answer;
mod deciding;
mod peer;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_LENGTH, EXPECT, TRANSFER_ENCODING, UPGRADE};
use http::{Method, StatusCode, Version};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, ErrorSource, ErrorType, Result};
use vestibule::pages::{self, HostFailure, LogKeys};

use self::answer::{close_unless_whole, close_websocket, linger, send, send_status};
use self::deciding::{Decided, Onward};
use self::peer::{asks_for_websocket, names_websocket, path_of, peer, reader};
use crate::audit::Record;
use crate::client::address::Client;
use crate::client::budgets::Budgets;
use crate::client::request_id::RequestId;
use crate::client::seldom::Seldom;
use crate::client::shares::{Place, Shares, Turns};
use crate::configuration::active::Current;
use crate::configuration::ended_sessions::EndedSessions;
use crate::exchange::counted::{self, CountedUpgrade};
use crate::exchange::ending;
use crate::exchange::failure::{self, Shown};
use crate::exchange::judge;
use crate::exchange::open_exchanges::{OpenExchange, OpenExchanges, Question};
use crate::exchange::session_ends::{Ending, SessionEnds};
use crate::listen::limits::ConnectionLimits;
use crate::listen::request_bytes::RequestBytes;
use crate::metrics::Metrics;
use crate::observe::log;
use crate::random;
use crate::store::Keeper;
use crate::upgrade::farewell::Farewell;
use crate::upgrade::link::Link;
use crate::upgrade::resumption::{Openers, Opening};
use crate::upstream::application::Candidate;
use crate::upstream::forwarding;

/// Of the 32 exchanges with one provider that may be under way at once (`OutboundOptions`), one client's callbacks and logins take an eighth.
pub(crate) const TURNS: usize = 4;
/// A class that logs in at once.
pub(crate) const WAITING_TURNS: usize = 64;
/// As long as a provider may take for one answer.
pub(crate) const TURN_PATIENCE: Duration = Duration::from_secs(10);

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
    /// The number for the page that tells of a failure, if the audit has it already.
    reference: Option<String>,
    /// Takes effect when the response has been sent: a browser that is told first connects again with the old cookies.
    ending: Option<Ending>,
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

    /// Over HTTP/2, which Pingora reads without an end of its patience.
    fn expect_body(&self, session: &Session, is_whole: bool) {
        if session.is_http2()
            && let Some(closer) = ending::closer()
        {
            closer.expect_body((!is_whole).then(|| tokio::time::Instant::now() + self.patience.piece_of_stream));
        }
    }
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
            reference: None,
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
            return Err(Error::explain(ErrorType::HTTPStatus(405), "CONNECT: Vestibule forwards to the application only").into_down());
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
        let decided = self.decide(session, exchange).await;
        // What the peer broke, or was refused, is no failure of a login.
        if let Err(error) = &decided
            && let Shown::Page(failure) = failure::shown(error)
        {
            self.audit_failed_callback(session, exchange, &active, failure.code());
        }
        match decided? {
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
                send(session, head, response.body).await.map_err(|error| error.into_down())?;
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
        let reference = exchange.reference.take().unwrap_or_else(random::reference);
        log::failure(error, &exchange.request_id, &exchange.path, &reference);
        // Who closes a tab with an event stream or a WebSocket in it has had their answer; who closes one that still loads wants none.
        match (failure::shown(error), session.response_written()) {
            (Shown::Nothing, Some(_)) => {}
            (Shown::Nothing, None) => exchange.disposition = log::Disposition::Closed,
            _ => exchange.disposition = log::Disposition::Failed,
        }
        let mut sent = 0;
        if session.response_written().is_none() {
            // The connection is closed after this, and its peer is to know.
            session.set_keepalive(None);
            let result = match failure::shown(error) {
                Shown::Page(failure) => {
                    let (_, active) = self.current.load();
                    let log_keys = LogKeys { reference: Some(&reference), request_id: Some(exchange.request_id.as_str()) };
                    let page = pages::host_failure(failure, reader(session), &active.look, log_keys, &random::nonce());
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
