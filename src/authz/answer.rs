//! From a decision to what the proxy gets.

use super::{Authz, Proxy};
use crate::decision::{Decision, Event, Forward, Outcome};
use crate::error::Error;
use crate::identity::headers::IdentityHeaders;
use crate::session::EndedName;
use crate::web::http::{Header, RequestHead, Response};
use crate::web::proxy_headers;

/// What Envoy removes from the request before it goes on: a list of names (`ext_authz` over HTTP).
const ENVOY_REMOVES: &str = "X-Envoy-Auth-Headers-To-Remove";

/// nginx hands on the first `Set-Cookie` of an answer at most, so each gets a name of its own: this with a number, from 1.
const NUMBERED_SET_COOKIE: &str = "X-Vestibule-Set-Cookie";

/// What a question comes to.
pub(crate) enum Answer {
    /// Status 200: the proxy sends the request on, as it is told.
    Pass(Decision),
    /// What the browser is to get instead.
    Refusal(Decision),
}

/// What a decision has brought about, where it is not the answer: it has happened all the same.
#[derive(Debug, Default)]
pub(crate) struct Unsaid {
    pub(crate) events: Vec<Event>,
    pub(crate) ended_sessions: Vec<EndedName>,
    /// Cookies of a refresh: the refresh token in those that they replace may be spent.
    pub(crate) for_the_browser: Vec<Header>,
}

impl Unsaid {
    /// What is answered instead, with it.
    pub(crate) fn with(mut self, mut refusal: Decision) -> Decision {
        self.events.append(&mut refusal.events);
        self.ended_sessions.append(&mut refusal.ended_sessions);
        if let Outcome::Respond(response) = &mut refusal.outcome {
            response.headers.append(&mut self.for_the_browser);
        }
        Decision { events: self.events, ended_sessions: self.ended_sessions, ..refusal }
    }
}

impl Authz {
    /// The answer to a question about `original`.
    ///
    /// # Errors
    /// What must be said instead: the proxy cannot do what was decided.
    pub(crate) fn answer(
        &self,
        decision: Decision,
        original: &RequestHead,
        identity: &IdentityHeaders,
    ) -> Result<Answer, Box<(Error, Unsaid)>> {
        let Decision { outcome, events, rule, ended_sessions, audited, afterwards } = decision;
        let decision = |outcome, events, ended_sessions| Decision { outcome, events, rule, ended_sessions, audited, afterwards };
        match outcome {
            Outcome::Forward(mut forward) => {
                let for_the_browser = std::mem::take(&mut forward.response_headers);
                match self.allow(forward, original, identity) {
                    Ok(mut response) => {
                        if !for_the_browser.is_empty() {
                            response.headers.extend(self.for_the_browser(for_the_browser));
                        }
                        Ok(Answer::Pass(decision(Outcome::Respond(response), events, ended_sessions)))
                    }
                    Err(error) => Err(Box::new((error, Unsaid { events, ended_sessions, for_the_browser }))),
                }
            }
            // To a proxy this would be a pass; and no question comes with a body.
            Outcome::Respond(Response { status: 200..=299, .. }) | Outcome::NeedBody(_) => {
                Err(Box::new((Error::RouteAsked, Unsaid { events, ended_sessions, for_the_browser: vec![] })))
            }
            Outcome::Respond(_) => Ok(Answer::Refusal(decision(outcome, events, ended_sessions))),
        }
    }

    /// A refusal, as this proxy can hand it on.
    pub(crate) fn refuse(&self, mut decision: Decision) -> Decision {
        if self.proxy == Proxy::Nginx {
            // It asks for the refusal after this, with its page, its events and its rule.
            let response = Response { status: 401, ..Response::default() }.with("cache-control", "no-store");
            decision.outcome = Outcome::Respond(response);
            // A session that has ended is not there any more when it asks.
            if decision.ended_sessions.is_empty() {
                decision.events.clear();
            }
            (decision.rule, decision.audited) = (None, None);
        }
        decision
    }

    fn allow(&self, forward: Forward, original: &RequestHead, identity: &IdentityHeaders) -> Result<Response, Error> {
        let Forward { remove_headers, set_headers, .. } = forward;
        let ours = identity.names();
        let is_known = |name: &str| is(name, "cookie") || ours.iter().any(|known| is(name, known));
        if !set_headers.iter().all(|(name, _)| is_known(name)) {
            return Err(Error::EditNotCarried);
        }
        // The proxy's configuration drops it as well; but if it does not, what it opens has no decisions in it.
        if remove_headers.iter().any(|name| is(name, "upgrade")) {
            return Err(Error::ForeignUpgrade);
        }
        let is_carried = |name: &str| is_known(name) || proxy_headers::is_named(name);
        if self.proxy != Proxy::Envoy
            && let Some(name) = remove_headers.iter().find(|name| !is_carried(name))
        {
            let is_lookalike = identity.has(name) || proxy_headers::is_listed(name);
            return Err(if is_lookalike { Error::LookalikeHeader } else { Error::EditNotCarried });
        }
        let owned = |(name, value): (&str, &[u8])| (name.to_owned(), value.to_vec());
        let (cookies, mut headers): (Vec<Header>, Vec<Header>) = set_headers.iter().map(owned).partition(|(name, _)| is(name, "cookie"));
        // The whole of it each time: an answer without it means that there is none.
        let values: Vec<&[u8]> = match remove_headers.iter().any(|name| is(name, "cookie")) {
            true => cookies.iter().map(|(_, value)| value.as_slice()).collect(),
            false => original.headers.values("cookie").collect(),
        };
        if !values.is_empty() {
            headers.push(("Cookie".to_owned(), values.join(&b"; "[..])));
        }
        if self.proxy == Proxy::Envoy {
            // It removes after it has set.
            let is_set = |name: &str| headers.iter().any(|(set, _)| is(set, name));
            let removed = ours.into_iter().chain(["Cookie"]).chain(remove_headers.iter().map(AsRef::as_ref));
            let mut removed: Vec<_> = removed.filter(|name| !is_set(name)).map(str::to_ascii_lowercase).collect();
            removed.sort();
            removed.dedup();
            headers.push((ENVOY_REMOVES.to_owned(), removed.join(",").into_bytes()));
        }
        Ok(Response { status: 200, headers, ..Response::default() })
    }

    /// What the proxy adds to the application's response: a session that was renewed or refreshed, which no cache may store.
    fn for_the_browser(&self, headers: Vec<Header>) -> Vec<Header> {
        let mut number = 0;
        let numbered = headers.into_iter().map(|(name, value)| {
            if self.proxy == Proxy::Nginx && is(&name, "set-cookie") {
                number += 1;
                return (format!("{NUMBERED_SET_COOKIE}-{number}"), value);
            }
            (name, value)
        });
        numbered.chain([("Cache-Control".to_owned(), b"private, no-store".to_vec())]).collect()
    }
}

fn is(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Source};

    const TOML: &str = "[auth]\nredirect_uri = \"https://app.example/oauth2callback\"\nclient_id = \"a\"\nclient_secret = \"b\"\n\
                        cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\n\
                        server_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n\
                        [vestibule.identity]\nheaders = { department = \"X-Department\" }\n";

    fn answer(proxy: Proxy, outcome: Outcome) -> Result<Response, Error> {
        let config = Config::parse(&Source::new("secrets.toml", TOML)).unwrap();
        let authz = Authz { proxy };
        let decision = Decision { outcome, events: vec![], rule: None, ended_sessions: vec![], audited: None, afterwards: None };
        authz
            .answer(decision, &RequestHead::get("/", "app.example"), &config.identity)
            .map(|answer| match answer {
                Answer::Pass(Decision { outcome: Outcome::Respond(response), .. }) => response,
                Answer::Pass(decision) | Answer::Refusal(decision) => panic!("{decision:?}"),
            })
            .map_err(|refused| refused.0)
    }

    fn forward(remove: &[&str], set: &[&str]) -> Outcome {
        Outcome::Forward(Forward {
            remove_headers: remove.iter().map(|&name| name.to_owned().into()).collect(),
            set_headers: set.iter().map(|&name| (name, "x")).collect(),
            ..Forward::default()
        })
    }

    #[test]
    fn an_edit_that_the_proxy_would_not_make_is_no_pass() {
        for proxy in [Proxy::Envoy, Proxy::Traefik, Proxy::Caddy, Proxy::Nginx] {
            assert_eq!(answer(proxy, forward(&["x-department"], &["X-Department", "x-forwarded-USER"])).unwrap().status, 200);
            assert_eq!(answer(proxy, forward(&[], &["X-Other"])).err(), Some(Error::EditNotCarried), "{proxy:?}");
            assert_eq!(answer(proxy, forward(&["X-Remote-User", "proxy"], &[])).unwrap().status, 200, "{proxy:?}");
            for name in ["x_remote_user", "x-remote-extra-scopes", "x.original.url"] {
                let lookalike = answer(proxy, forward(&[name], &[])).err();
                assert_eq!(lookalike, (proxy != Proxy::Envoy).then_some(Error::LookalikeHeader), "{name} by {proxy:?}");
            }
            let removal = answer(proxy, forward(&["x-other"], &[])).err();
            assert_eq!(removal, (proxy != Proxy::Envoy).then_some(Error::EditNotCarried), "{proxy:?}");
            assert_eq!(answer(proxy, Outcome::NeedBody(1)).err(), Some(Error::RouteAsked), "{proxy:?}");
            let page = Outcome::Respond(Response { status: 200, ..Response::default() });
            assert_eq!(answer(proxy, page).err(), Some(Error::RouteAsked), "{proxy:?}");
        }
    }
}
