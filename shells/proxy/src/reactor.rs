//! Futures over the pollables of `wasi:io`: one call runs one future to its end, and sleeps in the host as long as
//! nothing that it waits for is ready.
//!
//! Every future is polled anew after each sleep, so that nobody has to be woken. Combinators that only poll what was
//! woken (`FuturesUnordered`) are not for this.

use std::cell::RefCell;
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use crate::bindings::wasi::io::poll::{Pollable, poll};

thread_local! {
    /// What the futures wait for that were polled last. Only theirs: a stream must not go before its pollables, and a
    /// future that is done drops both.
    static AWAITED: RefCell<Vec<Weak<Pollable>>> = const { RefCell::new(Vec::new()) };
}

/// Runs a future to its end. May be called by a future that is run.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let of_caller = AWAITED.take();
    let mut context = Context::from_waker(Waker::noop());
    let result = loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            break result;
        }
        let awaited: Vec<_> = AWAITED.take().iter().filter_map(Weak::upgrade).collect();
        let pollables: Vec<_> = awaited.iter().map(Rc::as_ref).collect();
        // A future that waits for nothing can never end: that the host traps on an empty list is right.
        poll(&pollables);
    };
    AWAITED.set(of_caller);
    result
}

/// Waits until a pollable is ready.
pub(crate) fn ready(pollable: Pollable) -> impl Future<Output = ()> {
    Ready(Rc::new(pollable))
}

struct Ready(Rc<Pollable>);

impl Future for Ready {
    type Output = ();

    fn poll(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<()> {
        if self.0.ready() {
            return Poll::Ready(());
        }
        AWAITED.with_borrow_mut(|awaited| awaited.push(Rc::downgrade(&self.0)));
        Poll::Pending
    }
}
