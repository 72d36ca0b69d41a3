//! An account that is logged out everywhere, before a filter that knows which sessions are of it.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use vestibule_edge::configuration::decider::{Decider, Undecided};
use vestibule_wasmtime::{Decision, EndedName, EndedWhat, Outcome, RequestHead};

use crate::application::Application;
use crate::lifetimes::{PATIENCE, ask, begin, ends, goes_on, is_echoed, now, session_of, socket_ends_with_its_session, status, upgrade};
use crate::scripted::{ScriptedEdge, alice_in, answer};

/// A session is `<account>-<number>`, by a header. `/end/<account>` ends an account; `/late` is decided on when it is released.
#[derive(Clone, Default)]
struct Accounts {
    ended: Arc<Mutex<BTreeSet<String>>>,
    late: Arc<Mutex<Option<Arc<Semaphore>>>>,
}

impl Accounts {
    fn end(&self, account: &str) -> EndedName {
        self.ended.lock().expect("whole").insert(account.to_owned());
        EndedName::new("AAAAAAAAAAAAAAAAAAAAAA", EndedWhat::Account, now(), now() + 3600)
    }
}

#[async_trait]
impl Decider for Accounts {
    async fn decide(&self, head: RequestHead, _: Option<Vec<u8>>) -> Result<Decision, Undecided> {
        if let Some(account) = head.path_with_query().strip_prefix("/end/") {
            let mut decision = Decision::new(answer(200, "ended"));
            decision.ended_sessions.push(self.end(account));
            return Ok(decision);
        }
        let session = session_of(&head);
        let account = session.as_deref().and_then(|session| session.split('-').next()).unwrap_or_default();
        let has_ended = self.ended.lock().expect("whole").contains(account);
        let late = self.late.lock().expect("whole").take();
        if let Some(late) = late {
            late.acquire().await.expect("released").forget();
        }
        Ok(Decision::new(if has_ended { answer(401, "ended") } else { Outcome::Forward(alice_in(session)) }))
    }
}

#[tokio::test]
async fn every_connection_of_an_account_ends_and_no_other() {
    for is_told_elsewhere in [false, true] {
        let (app, accounts) = (Application::start().await, Accounts::default());
        let edge = ScriptedEdge::start_deciding(Box::new(accounts.clone()), &app.url()).await;
        let (mut socket, mut other) = (upgrade(&edge, "alice-1").await, upgrade(&edge, "bob-1").await);
        let mut events = begin(&edge, "/events", "alice-2", "tick").await;
        let mut bystander = begin(&edge, "/events", "", "tick").await;
        if is_told_elsewhere {
            edge.ends.end(&[accounts.end("alice")]);
        } else {
            assert_eq!(status(&edge, "/end/alice", "").await, 200);
        }
        let began = Instant::now();
        socket_ends_with_its_session(&mut socket).await;
        ends(&mut events).await;
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        assert_eq!(status(&edge, "/", "alice-3").await, 401);
        assert!(is_echoed(&mut other).await);
        goes_on(&app, &mut bystander).await;
        // Another round, with those that have been judged.
        assert_eq!(status(&edge, "/end/bob", "").await, 200);
        socket_ends_with_its_session(&mut other).await;
        goes_on(&app, &mut bystander).await;
    }
}

#[tokio::test]
async fn what_was_decided_before_an_end_and_begins_after_it_ends_as_well() {
    let (app, accounts) = (Application::start().await, Accounts::default());
    let edge = ScriptedEdge::start_deciding(Box::new(accounts.clone()), &app.url()).await;
    let late = Arc::new(Semaphore::new(0));
    *accounts.late.lock().expect("whole") = Some(late.clone());
    let mut events = ask(&edge, "/events", "alice-1").await;
    let is_undecided = || accounts.late.lock().expect("whole").is_some();
    timeout(PATIENCE, async {
        while is_undecided() {
            tokio::task::yield_now().await
        }
    })
    .await
    .expect("it is being decided on");
    edge.ends.end(&[accounts.end("alice")]);
    late.add_permits(1);
    ends(&mut events).await;
}
