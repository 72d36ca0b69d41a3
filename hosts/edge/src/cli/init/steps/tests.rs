#![allow(clippy::unwrap_used, reason = "a step that fails ends its test, and says where")]

use std::fmt::Write as _;
use std::path::Path;

use clap::ValueEnum as _;

use super::*;

const PAGES: &str = "../../docs/providers";
const BEGIN: &str = "<!-- steps; made by `UPDATE=1 cargo test -p vestibule-edge --lib steps` -->\n";
const END: &str = "<!-- steps: end -->";

/// The steps, and what rules need beside them.
fn documented(kind: Kind) -> String {
    let mut text = "\n".to_owned();
    for (step, number) in steps(kind).iter().zip(1..) {
        writeln!(text, "{number}. {}", step.replace("{redirect_uri}", "`redirect_uri`")).unwrap();
    }
    let groups = Who::Group { names: vec![], claim: None };
    for (rules, who) in [("groups", groups), ("addresses", Who::Email(vec![]))] {
        if let Some(hint) = hint(kind, &who) {
            writeln!(text, "\nFor rules on {rules}: {hint}").unwrap();
        }
    }
    text.push('\n');
    text
}

#[test]
fn the_documentation_has_the_steps_of_every_provider() {
    for kind in Kind::value_variants() {
        let name = kind.to_possible_value().unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(PAGES).join(format!("{}.md", name.get_name()));
        let page = std::fs::read_to_string(&path).unwrap();
        let (before, rest) = page.split_once(BEGIN).unwrap();
        let (found, after) = rest.split_once(END).unwrap();
        let expected = documented(*kind);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&path, format!("{before}{BEGIN}{expected}{END}{after}")).unwrap();
        } else {
            assert!(found == expected, "{} is stale: run `UPDATE=1 cargo test -p vestibule-edge --lib steps`", path.display());
        }
    }
}

/// Vestibule sends the browser to the provider's logout page with this address to return to, which must be registered where the
/// provider has a list of its own for it.
#[test]
fn the_address_after_a_logout_is_registered_where_the_provider_has_a_list_for_it() {
    for (kind, list) in [
        (Kind::Okta, "Sign-out redirect URIs"),
        (Kind::Auth0, "Allowed Logout URLs"),
        (Kind::Keycloak, "Valid post logout redirect URIs"),
        (Kind::Cognito, "Allowed sign-out URLs"),
        (Kind::Zitadel, "post logout URIs"),
    ] {
        assert!(steps(kind).iter().any(|step| step.contains("{redirect_uri}") && step.contains(list)), "{kind:?}");
    }
}

#[test]
fn every_provider_is_told_the_redirect_uri_once() {
    for kind in Kind::value_variants() {
        assert_eq!(steps(*kind).iter().filter(|step| step.contains("{redirect_uri}")).count(), 1, "{kind:?}");
    }
}
