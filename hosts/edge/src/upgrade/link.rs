//! The connection to the application that one upgrade is for, in the hands of those who have a part in it.
//!
//! It ends with its session in two steps. After [`Link::end`] nothing reaches the application: what is written to the socket is
//! dropped. As soon as what the application has sent so far ends with a frame, the link is hung up: reading fails, and
//! Pingora gives the connection up.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Waker};

#[derive(Debug, Default)]
pub struct Link {
    /// The application has answered.
    answered: AtomicBool,
    /// What has passed of the application's bytes ends in the middle of a frame.
    is_within: AtomicBool,
    ended: AtomicBool,
    hung_up: AtomicBool,
    /// The task that waits for the application.
    reader: Mutex<Option<Waker>>,
}

impl Link {
    /// The application has answered the request.
    pub fn answer(&self) {
        self.answered.store(true, Ordering::Relaxed);
    }

    pub fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// The session has ended.
    pub fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.hang_up_if_due();
    }

    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Whether what has passed of the application's bytes ends in the middle of a frame.
    pub fn note(&self, is_within: bool) {
        self.is_within.store(is_within, Ordering::SeqCst);
        self.hang_up_if_due();
    }

    /// Whether nothing more is read of the application's. If not, the task is woken when that changes.
    pub fn is_hung_up(&self, context: &Context<'_>) -> bool {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        let is_hung_up = self.hung_up.load(Ordering::SeqCst);
        if !is_hung_up && !reader.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *reader = Some(context.waker().clone());
        }
        is_hung_up
    }

    fn hang_up_if_due(&self) {
        if self.has_ended() && !self.is_within.load(Ordering::SeqCst) {
            let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
            self.hung_up.store(true, Ordering::SeqCst);
            if let Some(waker) = reader.take() {
                waker.wake();
            }
        }
    }
}
