//! Many requests on an access token that is over, at a provider that issues a refresh token for one use and revokes what belongs
//! to one that is used twice: it is asked once, all of them come to its tokens, and the session goes on. In whatever order requests
//! and answers pass each other, and whichever answers the browser drops.

use std::collections::HashMap;

use proptest::prelude::*;
use vestibule::decision::{Decision, Forward, Outcome};
use vestibule::filter::{Step, Surroundings, Waiting};
use vestibule::session::NothingEnded;
use vestibule::time::UnixTime;
use vestibule::web::http::{OutboundError, OutboundRequest, OutboundResponse, RequestHead};

use crate::rig::{Browser, CONFIG, RefreshTokens, Rig};

/// Of a page.
const AT_ONCE: usize = 30;

/// Of the access tokens, in seconds.
const LIFETIME: u64 = 300;

type Answer = Result<OutboundResponse, OutboundError>;

/// A request on its way.
enum Visit {
    Arriving(RequestHead),
    Asking(OutboundRequest, Waiting),
    Answered(Answer, Waiting),
    Over(Decision),
}

/// A host that answers equal requests with one exchange, as `wit/filter.wit` has it.
#[derive(Default)]
struct Host {
    shared: HashMap<Vec<u8>, (Answer, u64)>,
}

impl Host {
    fn answer(&mut self, rig: &mut Rig, request: &OutboundRequest) -> Answer {
        let Some(milliseconds) = request.shared_for_ms else { return rig.provider.answer(request, rig.now) };
        let key = format!("{} {} {:?} ", request.method, request.url, request.headers).into_bytes();
        let key = [key, request.body.clone()].concat();
        let until = u64::from(milliseconds) / 1000;
        match self.shared.get(&key).filter(|(_, at)| rig.now < at + until) {
            Some((answer, at)) => {
                let age = (rig.now - at).to_string().into_bytes();
                answer.clone().map(|mut answer| {
                    answer.headers.push(("age".into(), age));
                    answer
                })
            }
            None => {
                let answer = rig.provider.answer(request, rig.now);
                rig.sent.push(request.clone());
                self.shared.insert(key, (answer.clone(), rig.now));
                answer
            }
        }
    }
}

/// One step of one request.
fn go_on(visit: Visit, rig: &mut Rig, host: &mut Host) -> Visit {
    let now = UnixTime::from_secs(rig.now);
    let step = match visit {
        Visit::Asking(request, waiting) => return Visit::Answered(host.answer(rig, &request), waiting),
        Visit::Over(decision) => return Visit::Over(decision),
        Visit::Arriving(head) => {
            let mut around = Surroundings { cache: &mut rig.cache, now, entropy: &mut rig.entropy, ended: &NothingEnded };
            rig.filter.begin(head, None, &mut around)
        }
        Visit::Answered(answer, waiting) => {
            let mut around = Surroundings { cache: &mut rig.cache, now, entropy: &mut rig.entropy, ended: &NothingEnded };
            waiting.resume(answer, &rig.filter, &mut around)
        }
    };
    match step {
        Step::Done(decision) => Visit::Over(decision),
        Step::Fetch(request, waiting) => Visit::Asking(request, waiting),
        Step::Look(request, _) => panic!("no refresh asks for {request:?}"),
    }
}

/// Numbers that any order can be made of.
struct Order(u64);

impl Order {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

fn access_token(forward: &Forward) -> String {
    let found = forward.set_headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-access-token"));
    String::from_utf8(found.expect("an access token").1.to_vec()).unwrap()
}

/// A page of thirty requests with the cookies that the browser has: some of it before others, in any order. What is forwarded for
/// each, in the order in which the answers come.
fn page(browser: &Browser, rig: &mut Rig, host: &mut Host, order: &mut Order) -> Vec<Forward> {
    let mut visits: Vec<_> = (0..AT_ONCE).map(|_| Visit::Arriving(browser.head("/"))).collect();
    let mut forwards = vec![];
    while !visits.is_empty() {
        let visit = visits.swap_remove(order.below(visits.len()));
        match go_on(visit, rig, host) {
            Visit::Over(Decision { outcome: Outcome::Forward(forward), .. }) => forwards.push(forward),
            Visit::Over(decision) => panic!("the session is lost: {decision:?}"),
            visit => visits.push(visit),
        }
        // An answer takes up to a few seconds in all.
        rig.now += u64::from(order.below(40) == 0);
    }
    forwards
}

fn logged_in() -> (Rig, Browser) {
    let exposing = CONFIG.replace("client_secret", "expose_tokens = \"access\"\nclient_secret");
    let mut rig = Rig::new(&format!("{exposing}[vestibule.session]\nrefresh = \"auto\"\nmax_age = \"365d\"\n"));
    rig.provider.refresh_tokens = Some(RefreshTokens::default());
    let mut browser = Browser::default();
    assert_eq!(browser.log_in(&mut rig, "/", "alice").status, 302);
    rig.sent.clear();
    (rig, browser)
}

/// So many expiries, one after the other.
fn expire(times: usize, has_id_token: bool, seed: u64) {
    let ((mut rig, mut browser), mut host, mut order) = (logged_in(), Host::default(), Order(seed | 1));
    rig.provider.refresh_tokens.as_mut().unwrap().has_id_token = has_id_token;
    for round in 1..=times {
        // Before its end, at it, or long after it.
        rig.now += [LIFETIME - 20, LIFETIME, 10 * LIFETIME][order.below(3)];
        let expected = format!("access-token-{}", round + 1);
        // A browser may drop every answer, and come again soon.
        if order.below(4) == 0 {
            let forwards = page(&browser, &mut rig, &mut host, &mut order);
            assert!(forwards.iter().all(|forward| access_token(forward) == expected), "round {round}");
            rig.now += order.below(20) as u64;
        }
        let forwards = page(&browser, &mut rig, &mut host, &mut order);
        assert!(forwards.iter().all(|forward| access_token(forward) == expected), "round {round}");
        // It keeps the cookies of some.
        let (first, dropped) = (order.below(forwards.len()), order.below(3));
        for (index, forward) in forwards.iter().enumerate() {
            if index == first || order.below(3) >= dropped {
                browser.take(&forward.response_headers);
            }
        }
        assert_eq!(rig.sent.len(), round, "one request for each expiry");
        assert!(!rig.provider.refresh_tokens.as_ref().unwrap().is_any_revoked(), "round {round}");
    }
    assert_eq!(rig.provider.refresh_tokens.as_ref().unwrap().refreshed, times);
}

/// `VESTIBULE_EXPIRIES=1000` takes minutes.
#[test]
fn expiries_with_thirty_requests_each_lose_no_session() {
    let times = std::env::var("VESTIBULE_EXPIRIES").ok().and_then(|times| times.parse().ok()).unwrap_or(40);
    // Without a signature each, which takes the longest in a test.
    expire(times, false, 0x9e37_79b9_7f4a_7c15);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

    #[test]
    fn requests_and_answers_may_pass_each_other_in_any_order(seed in any::<u64>()) {
        expire(3, true, seed);
    }
}

/// An answer that the browser had dropped is as old as it is when it comes again.
#[test]
fn tokens_that_come_later_are_over_when_they_are() {
    let ((mut rig, mut browser), mut host, mut order) = (logged_in(), Host::default(), Order(1));
    rig.now += LIFETIME;
    let issued_at = rig.now;
    page(&browser, &mut rig, &mut host, &mut order);
    rig.now = issued_at + 50;
    let forwards = page(&browser, &mut rig, &mut host, &mut order);
    browser.take(&forwards[0].response_headers);
    for (after, asked) in [(269, 1), (270, 2)] {
        rig.now = issued_at + after;
        let answered = go_on(go_on(Visit::Arriving(browser.head("/")), &mut rig, &mut host), &mut rig, &mut host);
        assert!(matches!(answered, Visit::Over(_)) == (asked == 1), "{after}");
        assert_eq!(rig.sent.len(), asked, "{after}");
    }
}

/// What the host's part is for: without it, the same page loses the session at such a provider.
#[test]
fn without_sharing_a_provider_takes_the_second_use_for_theft() {
    let (mut rig, browser) = logged_in();
    rig.now += LIFETIME;
    for _ in 0..2 {
        rig.decide(&browser.head("/"), None);
    }
    assert!(rig.provider.refresh_tokens.as_ref().unwrap().is_any_revoked());
}
