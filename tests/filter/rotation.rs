//! A provider changes its keys, or moves an endpoint, while many logins come back at once: none of them fails, in whatever
//! order requests and answers pass each other, and nobody asks for what is known.

use std::cell::Cell;
use std::rc::Rc;

use proptest::prelude::*;
use serde_json::json;
use vestibule::decision::{Decision, Outcome};
use vestibule::filter::{Step, Surroundings, Waiting};
use vestibule::session::{Claimed, NothingEnded};
use vestibule::time::UnixTime;
use vestibule::web::http::{OutboundError, OutboundRequest, OutboundResponse, RequestHead};

use crate::rig::{self, Browser, CONFIG, ISSUER, Rig, SigningKey};

const AT_ONCE: usize = 20;

/// How the old key and the new one are named.
#[derive(Clone, Copy, Debug)]
enum Names {
    New,
    TheSame,
    None,
    /// The tokens name a key, and the key set has no names.
    OfTokensOnly,
}

/// What is known of the provider's keys before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Nothing,
    Fresh,
    Expired,
    /// And a login has asked already; the provider has answered, and that answer is on its way.
    ExpiredAndAsked,
}

/// A login that comes back.
enum Callback {
    Arriving(RequestHead),
    Asking(OutboundRequest, Waiting),
    Answered(Result<OutboundResponse, OutboundError>, Waiting, bool),
    Over(Decision),
}

/// Many callbacks, of which one goes on by one step at a time.
struct Crowd {
    rig: Rig,
    callbacks: Vec<Callback>,
    /// Whether an answer of after the change has arrived.
    is_known: bool,
    /// Requests, by the end of their path, that were made after that.
    needless: usize,
    watched: &'static str,
    has_changed: bool,
}

impl Crowd {
    fn new(rig: Rig, watched: &'static str) -> Crowd {
        Crowd { rig, callbacks: vec![], is_known: false, needless: 0, watched, has_changed: false }
    }

    /// Logins up to the provider and back, where the filter has not seen them yet.
    fn bring(&mut self, logins: usize) {
        for _ in 0..logins {
            let mut browser = Browser::default();
            let location = browser.start(&mut self.rig, "/reports");
            let callback = self.rig.provider.authorize(&location, "alice");
            self.callbacks.push(Callback::Arriving(browser.head(&callback)));
        }
    }

    fn go_on(&mut self, index: usize) {
        let rig = &mut self.rig;
        let now = UnixTime::from_secs(rig.now);
        let mut around = Surroundings { cache: &mut rig.cache, now, entropy: &mut rig.entropy, ended: &NothingEnded };
        let before = std::mem::replace(&mut self.callbacks[index], Callback::Arriving(RequestHead::get("/", rig::HOST)));
        let step = match before {
            Callback::Arriving(head) => rig.filter.begin(head, None, &mut around),
            Callback::Asking(request, waiting) => {
                let answer = rig.provider.answer(&request, rig.now);
                let is_current = self.has_changed && request.url.path().ends_with(self.watched);
                rig.sent.push(request);
                self.callbacks[index] = Callback::Answered(answer, waiting, is_current);
                return;
            }
            Callback::Answered(answer, waiting, is_current) => {
                self.is_known |= is_current;
                waiting.resume(answer, &rig.filter, &mut around)
            }
            Callback::Over(_) => panic!("it is over"),
        };
        let step = match step {
            Step::Look(_, waiting) => {
                let mut around = Surroundings { cache: &mut rig.cache, now, entropy: &mut rig.entropy, ended: &NothingEnded };
                waiting.resume(Claimed::Granted, &rig.filter, &mut around)
            }
            step => step,
        };
        self.callbacks[index] = match step {
            Step::Done(decision) => Callback::Over(decision),
            Step::Fetch(request, waiting) => {
                self.needless += usize::from(self.is_known && request.url.path().ends_with(self.watched));
                Callback::Asking(request, waiting)
            }
            Step::Look(..) => panic!("there is one claim in a login"),
        };
    }

    /// Every callback to its end, in the order that `order` says; now and then a second passes.
    fn run(&mut self, order: &[u8]) {
        for turn in order.iter().cycle() {
            let under_way: Vec<_> =
                (0..self.callbacks.len()).filter(|index| !matches!(self.callbacks[*index], Callback::Over(_))).collect();
            if under_way.is_empty() {
                return;
            }
            self.rig.now += u64::from(turn % 32 == 0);
            self.go_on(under_way[usize::from(*turn) % under_way.len()]);
        }
    }

    /// What has become of those that did not log in.
    fn failures(&self) -> Vec<String> {
        let failure = |callback: &Callback| match callback {
            Callback::Over(Decision { outcome: Outcome::Respond(response), .. }) if response.header("location") == Some("/reports") => None,
            Callback::Over(decision) => Some(format!("{:?}", decision.events)),
            _ => Some("it is not over".to_owned()),
        };
        self.callbacks.iter().filter_map(failure).collect()
    }
}

fn name_keys(rig: &mut Rig, names: Names, is_new: bool) {
    rig.provider.key = SigningKey::ed25519(if is_new { 2 } else { 1 });
    rig.provider.kid = match names {
        Names::New => Some(if is_new { "new" } else { "old" }.to_owned()),
        Names::TheSame | Names::OfTokensOnly => Some("key-1".to_owned()),
        Names::None => None,
    };
    if let Names::OfTokensOnly = names {
        rig.provider.edit_jwks = Some(Box::new(|jwks| drop(jwks["keys"][0].as_object_mut().unwrap().remove("kid"))));
    }
}

/// Callbacks at once after a rotation of the keys, which the first `lagging` answers do not have yet.
fn rotate(names: Names, known: Known, lagging: usize, order: &[u8]) -> Crowd {
    let mut crowd = Crowd::new(Rig::new(CONFIG), "/jwks");
    name_keys(&mut crowd.rig, names, false);
    if known != Known::Nothing {
        let response = Browser::default().log_in(&mut crowd.rig, "/reports", "alice");
        assert_eq!(response.header("location"), Some("/reports"));
    }
    if [Known::Expired, Known::ExpiredAndAsked].contains(&known) {
        crowd.rig.now += 60 * 60;
    }
    if known == Known::ExpiredAndAsked {
        crowd.bring(1);
        // The filter asks for tokens, gets them, asks for keys.
        (0..4).for_each(|_| crowd.go_on(0));
        assert!(matches!(&crowd.callbacks[0], Callback::Answered(..)));
    }
    crowd.bring(AT_ONCE);
    let old = json!({ "keys": [{ "kid": "old", "kty": "OKP", "crv": "Ed25519", "x": crowd.rig.provider.key.public_jwk()["x"] }] });
    name_keys(&mut crowd.rig, names, true);
    if lagging > 0 {
        let asked = Rc::new(Cell::new(0));
        crowd.rig.provider.edit_jwks = Some(Box::new(move |jwks| {
            if asked.replace(asked.get() + 1) < lagging {
                *jwks = old.clone();
            }
        }));
    }
    crowd.has_changed = true;
    crowd.run(order);
    crowd
}

fn names() -> impl Strategy<Value = Names> {
    prop_oneof![Just(Names::New), Just(Names::TheSame), Just(Names::None), Just(Names::OfTokensOnly)]
}

fn known() -> impl Strategy<Value = Known> {
    prop_oneof![Just(Known::Nothing), Just(Known::Fresh), Just(Known::Expired), Just(Known::ExpiredAndAsked)]
}

fn order() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 16..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn no_login_fails_for_keys_that_change_and_none_asks_for_what_another_has_got(names in names(), known in known(), order in order()) {
        let crowd = rotate(names, known, 0, &order);
        prop_assert_eq!(crowd.failures(), Vec::<String>::new());
        prop_assert_eq!(crowd.needless, 0);
    }

    #[test]
    fn no_login_fails_for_keys_that_are_published_one_answer_later(known in known(), order in order()) {
        let crowd = rotate(Names::New, known, 1, &order);
        prop_assert_eq!(crowd.failures(), Vec::<String>::new());
    }

    #[test]
    fn no_login_fails_for_an_endpoint_that_moves(order in order(), endpoint in 0..3_usize) {
        let (name, old, new) = [
            ("token_endpoint", "/token", "/v2/token2"),
            ("jwks_uri", "/jwks", "/v2/keys2"),
            ("userinfo_endpoint", "/userinfo", "/v2/me"),
        ][endpoint];
        let config = format!("{CONFIG}[vestibule.provider.default]\nuserinfo = true\n");
        let mut crowd = Crowd::new(Rig::new(&config), "/openid-configuration");
        crowd.bring(AT_ONCE);
        crowd.rig.provider.edit_metadata = Some(Box::new(move |metadata| metadata[name] = format!("{ISSUER}{new}").into()));
        crowd.rig.provider.instead = vec![(old, 410, b"gone".to_vec())];
        crowd.has_changed = true;
        crowd.run(&order);
        prop_assert_eq!(crowd.failures(), Vec::<String>::new());
        prop_assert_eq!(crowd.needless, 0);
    }
}
