//! Who may pass: the rules of `[[vestibule.rule]]`.
//!
//! The first rule whose path, method and host fit a request decides on it; what no rule fits is denied. Our own routes
//! (`route.rs`) are no rule's business: without them nobody could log in. Without any rule there is no policy, and
//! `login` decides for everything.
//!
//! **What is compared.** Rules see a request through these steps, in this order; what breaks one is answered 400. They
//! come on top of those of [`crate::web::http`]. Nothing is rewritten: the application receives what was judged, byte for
//! byte.
//!
//! 1. Only method, `Host` and path take part. The query does not, nor does any other header (`X-Forwarded-Uri`,
//!    `X-Forwarded-Host`, `User-Agent`), whoever sends it.
//! 2. `HEAD` is judged as `GET`, which it is an answer's head of. Where a rule names methods, a request that would have
//!    the application take it for another method (`X-HTTP-Method-Override` and the like) is refused.
//! 3. Where a rule names hosts, the authority must be a host and port to the WHATWG URL parser. Compared is its host:
//!    lower case, without the port and without a dot at its end. A request for a host that no rule names gets what is public,
//!    and nothing else, unless all requests are asked for the same.
//! 4. The path is cut at `/`. One `/` at the end is none of its segments, so that `/app/` is `/app`. Any other empty
//!    segment is refused: `//app` is `/app` to some servers and a host of that name to others.
//! 5. There are at most [`MAX_SEGMENTS`] segments.
//! 6. Each is percent-decoded, once. It must be UTF-8 (no overlong form of a `/` then), without an escape left in it
//!    (`%2561` is `a` to who decodes twice).
//! 7. Segments are compared whole and exactly, case included, with those of the patterns ([`PathPattern`]).
//! 8. Servers differ in what they read: in case, in Unicode's equivalent and compatible forms, in characters that are not seen,
//!    in what follows a `;`, in dots and spaces at a segment's end (`spelling.rs`), in where a segment is split, the path ends or a
//!    segment is left out (`reading.rs`), in the case of the method. The path is read in each of these ways. In each, the rules that
//!    are looked at in turn are those that fit *to some server* (by canonical names, the pattern's own among them), up to the first
//!    that fits *to every one* (as both are written). When one of all these asks for something else than another, the request is
//!    refused: there is no spelling of a path that comes under one rule here and is another page to the application.
//!
//! Step 8 is left out only where it comes to the same: when neither the request nor any pattern has another form. Where
//! every request is asked for the same (one rule without `path`, for example), a request that breaks a step is judged like
//! the others.
//!
//! Not undone is what an application makes of a path beyond that, such as dropping `.json` or accents, short names of Windows
//! (`ADMINI~1`), letters of other scripts that a code page takes for Latin ones, or a path in a query (`?url=`): end the list with
//! a rule that asks for the most.

mod condition;
mod explain;
mod index;
mod path;
mod reach;
mod reading;
mod spelling;
mod target;

pub use condition::Condition;
pub use explain::{Answer, Explained, explain};
pub use path::{NotAPattern, PathPattern};
pub use reach::{HostRules, PathSet};
pub use target::MAX_SEGMENTS;

use crate::account::Account;
use crate::web::construct::{Construct, Obstacle};
use crate::web::http::{Malformed, Request};
use index::Index;
use path::Fit;
use reading::Name;
use target::Target;

/// Whether a protected application can be seen without a login.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Login {
    Required,
    Optional,
}

/// What a rule asks of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Access {
    /// Nothing. The application is told of nobody, also when somebody is logged in: no session is looked at.
    Public,
    /// Nothing. The application is told who is logged in, if somebody is.
    Optional,
    /// A login; and where there is a condition, one of an account that meets it.
    Required(Option<Condition>),
    /// Nobody may pass.
    Denied,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    pub id: RuleId,
    /// Any of these; empty: every path.
    pub paths: Vec<PathPattern>,
    /// Any of these; empty: every method.
    pub methods: Vec<String>,
    /// Any of these; empty: every host.
    pub hosts: Vec<String>,
    pub access: Access,
}

/// Where a rule stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuleId {
    /// In the order of the file, from 1.
    pub number: usize,
    /// Of the file, from 1.
    pub line: u32,
}

/// All rules, in order.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
    index: Index,
    names_methods: bool,
    names_hosts: bool,
    /// Those that rules name. A request for another is let through by public rules only: the rules that name a host are not for it,
    /// and those behind them were not written for it.
    hosts: Vec<String>,
    /// Whether every pattern has canonical names only.
    is_plain: bool,
    /// The rule that takes what the rules before it leave, where all of them ask for the same: how a path is read decides
    /// nothing then.
    same_for_all: Option<RuleId>,
}

/// What is asked of a request, and who asks it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ruling<'a> {
    /// `None` where there are no rules, or none fits.
    pub rule: Option<RuleId>,
    pub access: &'a Access,
}

/// What becomes of a request, as far as the rules go.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As whoever is logged in, or as nobody.
    Pass,
    LoginRequired,
    Denied,
}

/// A request that a rule has denied.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct Denied {
    pub rule: Option<RuleId>,
    /// The account that lacks the right, by the name that its owner knows it by; `None` when nobody has it.
    pub account: Option<String>,
}

impl Policy {
    /// `None` of no rules: there is no policy then.
    pub fn new(rules: Vec<Rule>) -> Option<Self> {
        let names_methods = rules.iter().any(|rule| !rule.methods.is_empty());
        let names_hosts = rules.iter().any(|rule| !rule.hosts.is_empty());
        let mut hosts: Vec<_> = rules.iter().flat_map(|rule| rule.hosts.iter().cloned()).collect();
        hosts.sort();
        hosts.dedup();
        let is_plain = rules.iter().flat_map(|rule| &rule.paths).all(PathPattern::is_plain);
        let same_for_all =
            rules.iter().take_while(|rule| rule.access == rules[0].access).find(|rule| rule.is_for_everything()).map(|rule| rule.id);
        let index = Index::new(&rules);
        (!rules.is_empty()).then_some(Self { rules, index, names_methods, names_hosts, hosts, is_plain, same_for_all })
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// Names of the claims, and JSON pointers to them, that rules look at, as sessions hold them near.
    pub fn claims(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().flat_map(|rule| match &rule.access {
            Access::Required(Some(condition)) => condition.claims(),
            Access::Public | Access::Optional | Access::Required(None) | Access::Denied => vec![],
        })
    }

    /// The ruling on a request.
    ///
    /// # Errors
    /// [`Malformed`] when the request does not have one reading, by the steps of this module, and the reading decides.
    pub fn ruling(&self, request: &Request<'_>) -> Result<Ruling<'_>, Malformed> {
        match (self.ruling_by_reading(request), self.same_for_all) {
            (Err(_), Some(rule)) => Ok(Ruling { rule: Some(rule), access: &self.rules[0].access }),
            (read, _) => read,
        }
    }

    fn ruling_by_reading(&self, request: &Request<'_>) -> Result<Ruling<'_>, Malformed> {
        if self.names_methods && target::overrides_method(request) {
            return Err(Malformed::MethodOverride);
        }
        let target = Target::parse(request, self.names_hosts)?;
        // This is looked at with every request: most have one form, and so have most patterns.
        if self.is_plain && target.is_plain() {
            return Ok(self.as_written(&target));
        }
        match self.rulings(&target)? {
            (_, Some((_, obstacle))) => Err(Malformed::Ambiguous(obstacle)),
            (written, None) => Ok(written),
        }
    }

    /// What decides on a request as it is written, where its names are canonical ones.
    fn as_written(&self, target: &Target<'_>) -> Ruling<'_> {
        let first = target.segments.first().map(AsRef::as_ref);
        let mut candidates = self.index.candidates(first).filter_map(|place| self.rules.get(place));
        self.ruling_of(candidates.find(|rule| rule.misfit(target).is_none()), target)
    }

    /// What decides on a request as it is written, and what decides to some server and asks for something else, with the reason.
    fn rulings(&self, target: &Target<'_>) -> Result<(Ruling<'_>, Option<(Ruling<'_>, Obstacle)>), Malformed> {
        let readings = target.readings()?;
        let method = target.folded_method();
        let mut written = None;
        for reading in &readings {
            let possible = self.possible(target, &method, &reading.names);
            // The first reading's last: the one that fits as the request is written.
            let written = *written.get_or_insert_with(|| possible.last().copied().unwrap_or_else(|| self.ruling_of(None, target)));
            if let Some(other) = possible.into_iter().find(|other| !written.is_like(other)) {
                let obstacle = match reading.by {
                    Some(step) => Obstacle::whole(step),
                    None => self.difference(target, &method, &reading.names, &other),
                };
                return Ok((written, Some((other, obstacle))));
            }
        }
        Ok((written.unwrap_or_else(|| self.ruling_of(None, target)), None))
    }

    /// What of a request has another spelling to some server, so that another rule can decide. Of several segments, that one
    /// without which one rule would decide.
    fn difference(&self, target: &Target<'_>, method: &str, names: &[Name<'_>], other: &Ruling<'_>) -> Obstacle {
        let is_clear = |method: &str, names: &[Name<'_>]| {
            let possible = self.possible(target, method, names);
            possible.windows(2).all(|pair| pair[0].is_like(&pair[1]))
        };
        if method != target.method && is_clear(target.method, names) {
            return Obstacle::whole(Construct::MethodCase);
        }
        let differing: Vec<_> = names.iter().enumerate().filter(|(_, name)| name.written != Some(&*name.canonical)).collect();
        let is_to_blame = |index: usize| {
            let mut plain = names.to_vec();
            plain[index].written = Some(&*names[index].canonical);
            is_clear(method, &plain)
        };
        let found = differing.iter().find(|(index, _)| is_to_blame(*index)).or(differing.first());
        match found.and_then(|(index, name)| Some((*index, name.written?))) {
            Some((index, written)) => Obstacle::at(spelling::difference(written), index),
            // The rule is spelled in another way than the request.
            None => {
                let patterns = other.rule.and_then(|rule| self.rules.get(rule.number - 1)).into_iter().flat_map(|rule| &rule.paths);
                let respelled = patterns.filter(|path| path.fit(names) == Fit::Perhaps).find_map(PathPattern::respelled_segment);
                Obstacle::whole(respelled.map_or(Construct::Characters, spelling::difference))
            }
        }
    }

    /// What can decide on a request that is read in this way, to one server or another; last what does to a server that changes
    /// nothing.
    fn possible(&self, target: &Target<'_>, method: &str, names: &[Name<'_>]) -> Vec<Ruling<'_>> {
        let mut possible = vec![];
        let first = names.first().map(|name| &*name.canonical);
        for rule in self.index.candidates(first).filter_map(|place| self.rules.get(place)) {
            let fit = rule.fit(target, method, names);
            if fit != Fit::Never {
                possible.push(self.ruling_of(Some(rule), target));
            }
            if fit == Fit::Certainly {
                return possible;
            }
        }
        possible.push(self.ruling_of(None, target));
        possible
    }

    /// What the rule that decides comes to for the host.
    fn ruling_of<'s>(&'s self, rule: Option<&'s Rule>, target: &Target<'_>) -> Ruling<'s> {
        let is_public_only = self.admits_to_public_only(target.host.as_deref());
        match rule.filter(|rule| !is_public_only || rule.access == Access::Public) {
            Some(rule) => Ruling { rule: Some(rule.id), access: &rule.access },
            None => Ruling { rule: None, access: &Access::Denied },
        }
    }

    /// Whether requests for a host get public pages only. A host that decides nothing is no reason.
    fn admits_to_public_only(&self, host: Option<&str>) -> bool {
        let is_named = || host.is_some_and(|host| self.hosts.iter().any(|named| named == host));
        self.names_hosts && self.same_for_all.is_none() && !is_named()
    }

    /// What decides on a request as it is written, and as some server reads it.
    fn readings(&self, request: &Request<'_>) -> Result<[Ruling<'_>; 2], Malformed> {
        let target = Target::parse(request, self.names_hosts)?;
        let (written, other) = self.rulings(&target)?;
        Ok([written, other.map_or(written, |(other, _)| other)])
    }

    /// Of each rule, what of the request it is not for, as it is written.
    fn misfits(&self, request: &Request<'_>) -> Result<Vec<Option<&'static str>>, Malformed> {
        let target = Target::parse(request, self.names_hosts)?;
        Ok(self.rules.iter().map(|rule| rule.misfit(&target)).collect())
    }
}

/// Who may pass: by rules, or by `login` where there are none.
#[derive(Debug)]
pub struct Admission {
    pub login: Login,
    pub policy: Option<Policy>,
}

impl Admission {
    /// How many rules there are.
    pub fn rules(&self) -> usize {
        self.policy.as_ref().map_or(0, |policy| policy.rules.len())
    }

    /// The ruling on a request.
    ///
    /// # Errors
    /// As [`Policy::ruling`].
    pub fn ruling(&self, request: &Request<'_>) -> Result<Ruling<'_>, Malformed> {
        const ANY_LOGIN: &Access = &Access::Required(None);
        match (&self.policy, self.login) {
            (Some(policy), _) => policy.ruling(request),
            (None, Login::Required) => Ok(Ruling { rule: None, access: ANY_LOGIN }),
            (None, Login::Optional) => Ok(Ruling { rule: None, access: &Access::Optional }),
        }
    }
}

impl Ruling<'_> {
    /// What it comes to for this account, or for nobody.
    pub fn verdict(&self, account: Option<&Account<'_>>) -> Verdict {
        match (self.access, account) {
            (Access::Public | Access::Optional, _) | (Access::Required(None), Some(_)) => Verdict::Pass,
            (Access::Required(Some(condition)), Some(account)) if condition.is_met(account) => Verdict::Pass,
            (Access::Required(_), None) => Verdict::LoginRequired,
            (Access::Required(_), Some(_)) | (Access::Denied, _) => Verdict::Denied,
        }
    }

    /// Whether the same is asked for.
    fn is_like(&self, other: &Self) -> bool {
        self.rule == other.rule || self.access == other.access
    }

    /// The refusal of an account that another one would not get, or of everybody.
    pub fn denied(&self, account: Option<&Account<'_>>) -> Denied {
        let may_anybody = *self.access != Access::Denied;
        Denied { rule: self.rule, account: account.filter(|_| may_anybody).map(Account::label) }
    }
}

impl Rule {
    /// Whether the rule is for a target whose path is read in this way. `method`: without regard to case.
    fn fit(&self, target: &Target<'_>, method: &str, names: &[Name<'_>]) -> Fit {
        let has = |items: &[String], item: &str| items.is_empty() || items.iter().any(|one| one == item);
        let is_for_host = self.hosts.is_empty() || target.host.as_ref().is_some_and(|host| self.hosts.contains(host));
        if !is_for_host || !has(&self.methods, target.method) && !has(&self.methods, method) {
            return Fit::Never;
        }
        let path = self.paths.iter().map(|path| path.fit(names)).max();
        let by_method = if has(&self.methods, target.method) && has(&self.methods, method) { Fit::Certainly } else { Fit::Perhaps };
        path.unwrap_or(Fit::Certainly).min(by_method)
    }

    /// What of the target the rule is not for as it is written; `None`: it is for all of it.
    fn misfit(&self, target: &Target<'_>) -> Option<&'static str> {
        if !self.paths.is_empty() && !self.paths.iter().any(|path| path.fits(&target.segments)) {
            Some("path")
        } else if !self.methods.is_empty() && !self.methods.iter().any(|method| method == target.method) {
            Some("method")
        } else if !self.hosts.is_empty() && !target.host.as_ref().is_some_and(|host| self.hosts.contains(host)) {
            Some("host")
        } else {
            None
        }
    }

    /// Whether it is for every request.
    pub fn is_for_everything(&self) -> bool {
        let every_path = self.paths.is_empty() || self.paths.iter().any(PathPattern::is_everything);
        every_path && self.methods.is_empty() && self.hosts.is_empty()
    }

    /// Whether one of `earlier` fits whatever this rule fits, by what they say: not every such rule is found.
    pub fn is_shadowed_by<'a>(&self, earlier: &'a [Rule]) -> Option<&'a Rule> {
        self.taken_by(earlier, PathPattern::covers)
    }

    /// The same by canonical names: of a request that this rule fits, one of `earlier` fits another spelling.
    pub fn is_respelled_by<'a>(&self, earlier: &'a [Rule]) -> Option<&'a Rule> {
        self.taken_by(earlier, PathPattern::covers_respelled)
    }

    fn taken_by<'a>(&self, earlier: &'a [Rule], covers: fn(&PathPattern, &PathPattern) -> bool) -> Option<&'a Rule> {
        let within =
            |ours: &[String], theirs: &[String]| theirs.is_empty() || (!ours.is_empty() && ours.iter().all(|item| theirs.contains(item)));
        let wider = || earlier.iter().filter(|rule| within(&self.methods, &rule.methods) && within(&self.hosts, &rule.hosts));
        let is_for = |rule: &Rule, path: &PathPattern| rule.paths.is_empty() || rule.paths.iter().any(|wide| covers(wide, path));
        let everything = PathPattern::at_or_below("");
        let paths = if self.paths.is_empty() { std::slice::from_ref(&everything) } else { &self.paths };
        let mut last = None;
        for path in paths {
            let by = wider().find(|rule| is_for(rule, path))?;
            last = last.max(Some(by.id.number));
        }
        earlier.iter().find(|rule| Some(rule.id.number) == last)
    }
}

impl std::fmt::Display for RuleId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "rule {} (line {})", self.number, self.line)
    }
}

/// For the log: without the account's name.
impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.rule, &self.account) {
            (Some(rule), Some(_)) => write!(f, "{rule} does not admit this account"),
            (Some(rule), None) => write!(f, "{rule} admits nobody"),
            (None, _) => f.write_str("no rule fits this request"),
        }
    }
}
