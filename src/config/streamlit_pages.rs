//! What rules promise of the pages of a Streamlit app, and cannot hold.
//!
//! The browser asks for the app's files by path once. Every page, its contents and every change of them come over one
//! WebSocket, `_stcore/stream`, and which page that is about the app learns inside of it: whom the rule of that path
//! admits sees every page. So a rule about a page must admit everybody whom the stream admits, or the configuration is
//! refused. Taking the pages' names out of the stream instead would take a reading of Streamlit's messages in every
//! release of it, and a page is named there in several ways (navigation, query, fragments, reconnecting).

use super::section::Section;
use crate::policy::{Access, HostRules, PathSet, Policy, Rule};

/// Where Streamlit has no pages but what they are made of, below these: nobody sees a page by them.
const NO_PAGES: [&[&str]; 5] = [&["_stcore"], &["media"], &["component"], &["static"], &["app", "static"]];

const STREAM: [&str; 2] = ["_stcore", "stream"];

/// `sections` are those of the rules, in order.
pub(super) fn check(sections: &[Section<'_>], policy: &Policy, base_path: &str) {
    let pages = PathSet::below(base_path, &NO_PAGES);
    let stream = PathSet::one(base_path, &STREAM);
    let hosts = policy.by_host();
    // A host on which nobody has the stream shows no page, whatever its rules say.
    let open: Vec<(&HostRules<'_>, Option<&Rule>)> = hosts
        .iter()
        .flat_map(|host| host.deciding(&stream).into_iter().map(move |rule| (host, rule)))
        .filter(|(_, rule)| admits(*rule))
        .collect();
    let mut told = vec![];
    for (host, own) in &open {
        for page in host.deciding(&pages) {
            // The client chooses the host: over another one's stream it gets the same pages.
            let others = open.iter().map(|(_, stream)| *stream);
            let Some(wider) = std::iter::once(*own).chain(others).flatten().find(|stream| !is_held(page, stream)) else { continue };
            let number = page.map(|rule| rule.id.number);
            if !told.contains(&number) {
                told.push(number);
                tell(sections, page, wider, base_path);
            }
        }
    }
}

fn admits(stream: Option<&Rule>) -> bool {
    stream.is_some_and(|rule| rule.access != Access::Denied)
}

fn is_held(page: Option<&Rule>, stream: &Rule) -> bool {
    page.is_some_and(|page| stream.access.is_within(&page.access))
}

fn tell(sections: &[Section<'_>], page: Option<&Rule>, stream: &Rule, base_path: &str) {
    let path = format!("{base_path}/{}", STREAM.join("/"));
    let (rule, problem) = match page {
        Some(page) => (page, format!("cannot be enforced: the app sends its pages over {path}, to which {} admits more users", stream.id)),
        None => (
            stream,
            format!(
                "admits users to {path}, over which the app sends all of its pages, so that the denial of pages that no rule fits cannot be enforced"
            ),
        ),
    };
    let Some(section) = sections.get(rule.id.number - 1) else { return };
    let remedy = "write one rule for the whole app, without `path` and `host`, and let each page look at st.user (docs/streamlit.md)";
    section.findings.fatal(section.at(), &section.path(), problem, remedy);
}

#[cfg(test)]
mod tests;
