//! Sessions of Streamlit's by who opened them, so that nobody else resumes one ([`vestibule::identity::streamlit::resumption`]).
//!
//! Kept in memory: a page that reconnects through another edge, or after a restart, gets a new session, as it would
//! after a restart of Streamlit.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::HeaderValue;
use http::header::{COOKIE, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL};
use lru::LruCache;
use pingora::Result;
use pingora::http::{RequestHeader, ResponseHeader};
use vestibule::identity::streamlit::resumption::{self, Opener};

use crate::upgrade::new_session::{Read, Reader};

/// Sessions that are remembered, the latest: some megabytes. Whoever opens more makes others begin anew, no more.
const MAX_SESSIONS: NonZeroUsize = NonZeroUsize::new(50_000).expect("not zero");

/// All of one edge's.
pub struct Openers(Mutex<LruCache<String, Opener>>);

impl Default for Openers {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(MAX_SESSIONS)))
    }
}

/// One upgrade, from the decision until Streamlit has said which session it is.
pub struct Opening {
    all: Arc<Openers>,
    opener: Opener,
    /// What the request would resume, when it was the same who opened that.
    resumes: Option<String>,
    reader: Option<Reader>,
}

impl Openers {
    /// What a request for an upgrade opens, as the browser sent it; `session` is the handle of the decision. `None` for
    /// somebody who could not be told from others when asking again.
    pub fn opening(self: &Arc<Self>, request: &RequestHeader, session: Option<&str>) -> Option<Opening> {
        let lines = |name| request.headers.get_all(name).iter().map(HeaderValue::as_bytes);
        let opener = Opener::of(session, lines(COOKIE))?;
        let resumes = resumption::resumed(lines(SEC_WEBSOCKET_PROTOCOL)).filter(|id| self.opened(id, &opener));
        Some(Opening { all: self.clone(), opener, resumes, reader: None })
    }

    fn opened(&self, id: &str, opener: &Opener) -> bool {
        self.lock().get(id).is_some_and(|first| first.is(opener))
    }

    /// Streamlit gives an id to one page only, so that the first opener is the only one.
    fn remember(&self, id: String, opener: Opener) {
        self.lock().get_or_insert(id, || opener);
    }

    /// What is in there is whole at every moment, a panic elsewhere or not.
    fn lock(&self) -> std::sync::MutexGuard<'_, LruCache<String, Opener>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Opening {
    /// Puts back what the filter took out, for the one who may resume.
    ///
    /// # Errors
    /// None that is known: both parts were header values before.
    pub fn edit(&self, request: &mut RequestHeader) -> Result<()> {
        let kept = request.headers.get(SEC_WEBSOCKET_PROTOCOL).map(HeaderValue::as_bytes);
        let (Some(kept), Some(id)) = (kept, &self.resumes) else { return Ok(()) };
        let list = resumption::restored(kept, id);
        request.insert_header(SEC_WEBSOCKET_PROTOCOL, list)
    }

    /// The application has switched protocols.
    pub fn begin(&mut self, response: &ResponseHeader) {
        // With an extension, compression for example, the messages cannot be read.
        self.reader = (!response.headers.contains_key(SEC_WEBSOCKET_EXTENSIONS)).then(Reader::default);
    }

    /// Looks at what the application sends, until the session is known.
    pub fn look(&mut self, bytes: Option<&Bytes>) {
        let (Some(reader), Some(bytes)) = (&mut self.reader, bytes) else { return };
        match reader.read(bytes) {
            Read::More => return,
            Read::Id(id) => self.all.remember(id, self.opener.clone()),
            Read::Nothing => {}
        }
        self.reader = None;
    }
}
