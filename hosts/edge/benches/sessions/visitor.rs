//! People with their browsers: each logs in, visits, logs out, and tries what the old cookies are worth.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::answer::{Answer, Cookies, Kind, ask, consent};
use crate::end::End;
use crate::report::Report;
use crate::site::Site;

/// Of a hundred visits, so many end the session, and so many are of a session that has ended.
const ENDS: u32 = 4;
const OLD_COOKIES: u32 = 10;

/// A login that begins within the allowance for clocks after the end of an account's sessions counts as older.
const ALLOWANCE: Duration = Duration::from_secs(7);

/// How many sessions that have ended are tried again.
const MOST_ENDED: usize = 50;

/// The browsers that one task plays.
pub(crate) struct Visitor {
    browsers: Vec<Browser>,
    ended: Vec<Ended>,
    site: Arc<Site>,
    report: Arc<Report>,
}

struct Browser {
    person: usize,
    cookies: Cookies,
    /// `None` while the session lives; otherwise when the person may log in again.
    away_until: Option<Instant>,
}

#[derive(Clone)]
struct Ended {
    person: usize,
    cookies: Cookies,
    how: End,
    at: Instant,
}

impl Visitor {
    pub(crate) fn all(first: usize, step: usize, sessions: usize, site: &Arc<Site>, report: &Arc<Report>) -> Self {
        let browser = |person| Browser { person, cookies: Cookies::default(), away_until: None };
        let browsers = (first..sessions).step_by(step).map(browser).collect();
        Self { browsers, ended: Vec::new(), site: Arc::clone(site), report: Arc::clone(report) }
    }

    pub(crate) async fn log_in_all(&mut self) {
        for which in 0..self.browsers.len() {
            self.log_in(which).await;
        }
    }

    pub(crate) async fn visit_until(mut self, until: Instant, pause: Duration) {
        while Instant::now() < until && !self.browsers.is_empty() {
            let which = rand::random_range(0..self.browsers.len());
            match (self.browsers[which].away_until, rand::random_range(0..100)) {
                (Some(away_until), _) if Instant::now() < away_until => {}
                (Some(_), _) => self.log_in(which).await,
                (None, 0..ENDS) => self.end(which).await,
                (None, ENDS..=99) => self.visit(which).await,
                (None, _) => unreachable!("it is less than a hundred"),
            }
            if rand::random_range(0..100) < OLD_COOKIES && !self.ended.is_empty() {
                let old = self.ended[rand::random_range(0..self.ended.len())].clone();
                self.try_again(&old).await;
            }
            sleep(pause).await;
        }
    }

    async fn log_in(&mut self, which: usize) {
        let browser = &mut self.browsers[which];
        let person = browser.person;
        browser.cookies.forget();
        // A node that goes away in the middle of a login costs the login, and nothing else.
        for node in [person % 2, 1 - person % 2] {
            if login(&self.site, node, person, &mut browser.cookies).await {
                browser.away_until = None;
                return self.report.login();
            }
            browser.cookies.forget();
        }
        browser.away_until = Some(Instant::now());
        self.report.fault(format!("person {person} cannot log in"));
    }

    async fn visit(&mut self, which: usize) {
        let browser = &mut self.browsers[which];
        let person = browser.person;
        // The balancer sends a browser to one node, as docs/refresh.md asks for, and to the other while that one is away.
        let mut answer = None;
        for (tried, node) in [person % 2, 1 - person % 2].into_iter().enumerate() {
            answer = ask(&self.site, node, person, &mut browser.cookies, "/", Kind::Script).await;
            if answer.is_some() {
                self.report.visit(tried > 0);
                break;
            }
        }
        match answer {
            Some(Answer { is_of_the_application: true, .. }) => {}
            Some(Answer { status, .. }) => {
                self.report.fault(format!("the session of person {person} is lost: {status}"));
                browser.away_until = Some(Instant::now());
            }
            None => self.report.fault(format!("no node answers person {person}")),
        }
    }

    async fn end(&mut self, which: usize) {
        let browser = &mut self.browsers[which];
        let (person, how, node) = (browser.person, End::any(), browser.person % 2);
        let old = browser.cookies.clone();
        if !how.happens(&self.site, node, person, &mut browser.cookies).await {
            // The node may have ended it before it went away.
            browser.away_until = Some(Instant::now() + ALLOWANCE);
            return;
        }
        self.report.end(how);
        let at = Instant::now();
        browser.away_until = Some(if how.is_of_the_account() { at + ALLOWANCE } else { at });
        let ended = Ended { person, cookies: old, how, at };
        self.other_node_learns(&ended, 1 - node).await;
        if self.ended.len() == MOST_ENDED {
            self.ended.swap_remove(rand::random_range(0..MOST_ENDED));
        }
        self.ended.push(ended);
    }

    /// Asks the other node until it refuses, or until it should have.
    async fn other_node_learns(&self, ended: &Ended, node: usize) {
        while self.site.known_everywhere(ended.at).is_some_and(|known| Instant::now() < known) {
            let answer = ask(&self.site, node, ended.person, &mut ended.cookies.clone(), "/", Kind::Script).await;
            if answer.is_some_and(|answer| !answer.is_of_the_application) {
                return self.report.learned(ended.at.elapsed());
            }
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// What the cookies of a session that has ended are worth, at any node.
    async fn try_again(&self, ended: &Ended) {
        let is_over = self.site.known_everywhere(ended.at).is_some_and(|known| known < Instant::now());
        if !is_over {
            return;
        }
        let node = rand::random_range(0..2);
        let asked = Instant::now();
        let answer = ask(&self.site, node, ended.person, &mut ended.cookies.clone(), "/", Kind::Script).await;
        self.report.late();
        if answer.is_some_and(|answer| answer.is_of_the_application) {
            let after = asked - ended.at;
            self.report.fault(format!("node {node} forwards a session that has ended {after:.1?} before, by {:?}", ended.how));
        }
    }
}

/// Whether somebody has a session afterwards.
async fn login(site: &Site, node: usize, person: usize, cookies: &mut Cookies) -> bool {
    let asked = ask(site, node, person, cookies, "/", Kind::Navigation).await;
    let Some(authorize) = asked.and_then(|answer| answer.location) else { return false };
    let Some(callback) = consent(site, authorize, person).await else { return false };
    let target = format!("{}?{}", callback.path(), callback.query().unwrap_or_default());
    if ask(site, node, person, cookies, &target, Kind::Navigation).await.is_none() {
        return false;
    }
    let page = ask(site, node, person, cookies, "/", Kind::Navigation).await;
    page.is_some_and(|page| page.is_of_the_application)
}
