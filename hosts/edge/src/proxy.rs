//! The proxy: what happens to one request between the peer and the application.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use bytes::Bytes;
use http::header::EXPECT;
use http::{Method, StatusCode};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;
use pingora::{Error, Result};
use vestibule::pages::{self, HostFailure};
use vestibule_wasmtime::{Decision, Forward, Outcome, RequestHead, Response};

use crate::active::{Active, Current};
use crate::connection;
use crate::decider::Undecided;
use crate::failure::{self, Answer};
use crate::forwarded::Arrival;
use crate::forwarding;
use crate::log;
use crate::random;
use crate::request_head::{into_origin_form, request_head};
use crate::upstream::Candidate;

/// The largest body that can be read for the decision and then still be forwarded: what Pingora keeps for retries.
const REPLAYED_BODY_BYTES: usize = 64 * 1024;

/// The edge, as Pingora calls it.
pub struct Edge {
    current: Current,
    tls: bool,
}

/// One request's state.
pub struct Exchange {
    active: Arc<Active>,
    started: Instant,
    /// The path, kept for the log: without the query, which can hold a code.
    path: String,
    /// Set exactly when the decision was to forward.
    forward: Option<Forward>,
    /// The number of connections to the application that were tried.
    attempts: usize,
    has_more_addresses: bool,
    outcome: log::Outcome,
    /// The body was read for the decision.
    body_was_read: bool,
}

impl Edge {
    /// An edge that listens with TLS or without.
    pub fn new(current: Current, tls: bool) -> Self {
        Self { current, tls }
    }

    /// Asks for the decision, with the body where the filter needs it.
    async fn decide(&self, session: &mut Session, exchange: &mut Exchange) -> Result<Decided> {
        let authority = into_origin_form(session.req_header_mut())?;
        let head = request_head(session.req_header(), authority.clone())?;
        let limit = match ask(exchange, head, None).await?.outcome {
            Outcome::Forward(forward) => return Ok(Decided::Forward(forward)),
            Outcome::Respond(response) => return Ok(Decided::Respond(response)),
            Outcome::NeedBody(limit) => limit as usize,
        };
        let body = read_body(session, limit).await?;
        exchange.body_was_read = true;
        let body_bytes = body.len();
        let head = request_head(session.req_header(), authority)?;
        match ask(exchange, head, Some(body)).await?.outcome {
            Outcome::Forward(_) if body_bytes > REPLAYED_BODY_BYTES => {
                Err(failure::error(HostFailure::BodyTooLarge, "a body this long cannot be forwarded after the decision"))
            }
            Outcome::Forward(forward) => Ok(Decided::Forward(forward)),
            Outcome::Respond(response) => Ok(Decided::Respond(response)),
            Outcome::NeedBody(_) => Err(failure::error(HostFailure::Filter, "the filter asks for the body that it has")),
        }
    }

    fn arrival<'a>(&self, session: &Session, exchange: &'a Exchange) -> Arrival<'a> {
        let peer = session.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip());
        Arrival { peer, tls: self.tls, public_origin: &exchange.active.public_origin }
    }
}

/// A decision without its question for the body.
enum Decided {
    Forward(Forward),
    Respond(Response),
}

async fn ask(exchange: &Exchange, head: RequestHead, body: Option<Vec<u8>>) -> Result<Decision> {
    let decision = exchange.active.decider.decide(head, body).await.map_err(|undecided| {
        let failure = match undecided {
            Undecided::Overloaded(_) => HostFailure::Overloaded,
            Undecided::Failed(_) => HostFailure::Filter,
        };
        failure::error(failure, &undecided.to_string())
    })?;
    decision.events.iter().for_each(vestibule_wasmtime::log);
    Ok(decision)
}

/// The whole body, of at most `limit` bytes.
async fn read_body(session: &mut Session, limit: usize) -> Result<Vec<u8>> {
    let too_large = || failure::error(HostFailure::BodyTooLarge, "the body is longer than the filter takes");
    let announced = session.get_header(http::header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
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

/// Sends a response that does not come from the application.
async fn send(session: &mut Session, mut head: ResponseHeader, body: Vec<u8>) -> Result<()> {
    let is_head = session.req_header().method == Method::HEAD;
    if is_head {
        // RFC 9110 section 8.6: the length would have to be that of the answer to GET, which nobody has made.
        head.remove_header(&http::header::CONTENT_LENGTH);
    }
    let empty = is_head || body.is_empty();
    session.write_response_header(Box::new(head), empty).await?;
    if !empty {
        session.write_response_body(Some(Bytes::from(body)), true).await?;
    }
    Ok(())
}

#[async_trait]
impl ProxyHttp for Edge {
    type CTX = Exchange;

    fn new_ctx(&self) -> Exchange {
        Exchange {
            active: self.current.load_full(),
            started: Instant::now(),
            path: String::new(),
            forward: None,
            attempts: 0,
            has_more_addresses: false,
            outcome: log::Outcome::Failed,
            body_was_read: false,
        }
    }

    /// No module: responses pass as they are.
    fn init_downstream_modules(&self, _modules: &mut HttpModules) {}

    async fn request_filter(&self, session: &mut Session, exchange: &mut Exchange) -> Result<bool> {
        exchange.path = session.req_header().uri.path().to_owned();
        match self.decide(session, exchange).await? {
            Decided::Forward(forward) => {
                exchange.forward = Some(forward);
                exchange.outcome = log::Outcome::Forwarded;
                Ok(false)
            }
            Decided::Respond(response) => {
                let head = forwarding::own_response(response.status, &response.headers, response.body.len())?;
                exchange.outcome = log::Outcome::Answered;
                send(session, head, response.body).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, exchange: &mut Exchange) -> Result<Box<HttpPeer>> {
        let attempt = exchange.attempts;
        exchange.attempts += 1;
        match exchange.active.upstream.peer(attempt, session.is_upgrade_req()).await {
            Ok(Candidate { peer, is_last }) => {
                exchange.has_more_addresses = !is_last;
                Ok(Box::new(peer))
            }
            Err(error) => Err(failure::error(HostFailure::UpstreamUnreachable, &error.to_string())),
        }
    }

    async fn upstream_request_filter(&self, session: &mut Session, request: &mut RequestHeader, exchange: &mut Exchange) -> Result<()> {
        let Some(forward) = &exchange.forward else {
            return Err(failure::error(HostFailure::Filter, "a request without a decision to forward it"));
        };
        if exchange.body_was_read {
            // `100 Continue` has been sent already.
            request.remove_header(&EXPECT);
        }
        forwarding::edit_request(request, forward, self.arrival(session, exchange))
    }

    async fn response_filter(&self, session: &mut Session, response: &mut ResponseHeader, exchange: &mut Exchange) -> Result<()> {
        let Some(forward) = &exchange.forward else { return Ok(()) };
        let upgraded = response.status == StatusCode::SWITCHING_PROTOCOLS;
        if upgraded {
            // An upgraded connection may be silent for long.
            session.set_read_timeout(None);
            if let Some(expires_at) = forward.expires_at {
                connection::close_at(expires_at);
            }
        }
        if upgraded || !response.status.is_informational() {
            forwarding::edit_response(response, &forward.response_headers)?;
        }
        Ok(())
    }

    fn fail_to_connect(&self, _session: &mut Session, _peer: &HttpPeer, exchange: &mut Exchange, mut error: Box<Error>) -> Box<Error> {
        // Nothing was sent yet: another address of the same name may do, `127.0.0.1` after `::1` for example.
        error.set_retry(exchange.has_more_addresses);
        error
    }

    async fn fail_to_proxy(&self, session: &mut Session, error: &Error, exchange: &mut Exchange) -> FailToProxy {
        let reference = random::reference();
        log::failure(error, &exchange.path, &reference);
        exchange.outcome = log::Outcome::Failed;
        let mut sent = 0;
        if session.response_written().is_none() {
            let result = match failure::answer(error) {
                Answer::Page(failure) => {
                    let page = pages::host_failure(failure, &reference, &random::nonce());
                    sent = page.status;
                    // A session that was renewed on the way is not lost with the application's answer.
                    let renewed = exchange.forward.as_ref().map_or(&[][..], |forward| &forward.response_headers);
                    match forwarding::own_response(page.status, &page.headers, page.body.len())
                        .and_then(|mut head| forwarding::edit_response(&mut head, renewed).map(|()| head))
                    {
                        Ok(head) => send(session, head, page.body).await,
                        Err(_) => session.respond_error(500).await,
                    }
                }
                Answer::Status(status) => {
                    sent = status;
                    session.respond_error(status).await
                }
                Answer::Nothing => Ok(()),
            };
            if result.is_err() {
                sent = 0;
            }
        }
        FailToProxy { error_code: sent, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, _error: Option<&Error>, exchange: &mut Exchange) {
        log::access(&log::Access {
            method: session.req_header().method.as_str(),
            path: &exchange.path,
            status: session.response_written().map_or(0, |response| response.status.as_u16()),
            duration: exchange.started.elapsed(),
            outcome: exchange.outcome,
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
