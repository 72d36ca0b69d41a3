//! `[vestibule.pages]`: what pages show of the application.

use super::Outside;
use super::section::{Placed, Section};
use crate::branding::accent::{Accent, CARDS, MIN_CONTRAST};
use crate::branding::logo::{Logo, NotALogo};
use crate::branding::support::Support;
use crate::branding::{Branding, is_line};

/// The section.
pub(super) const PAGES: &str = "pages";

/// Names a file.
pub(super) const LOGO_FILE: &str = "logo_file";

const LOGO: &str = "logo";

/// Longest name, in characters: one line of a page.
const MAX_NAME: usize = 60;

/// Faults are told.
pub(super) fn read(section: &Section<'_>, outside: &Outside<'_>) -> Branding {
    let branding = Branding {
        name: read_name(section),
        logo: read_logo(section, outside),
        accent: read_accent(section),
        support: read_support(section),
    };
    section.finish_strict();
    branding
}

fn read_name(section: &Section<'_>) -> Option<String> {
    let text = section.string("name")?;
    if !is_line(&text.value, MAX_NAME) {
        let problem = format!("is not one line of 1 to {MAX_NAME} characters");
        section.findings.fatal(text.at, &text.key, problem, "write what people call the application, \"Sales reports\" for example");
        return None;
    }
    Some(text.value.trim().to_owned())
}

fn read_logo(section: &Section<'_>, outside: &Outside<'_>) -> Option<Logo> {
    let written = section.string(LOGO);
    let is_written = written.is_some();
    let written = written.and_then(|text| parsed(section, &text, Logo::parse(&text.value)));
    let (path, text) = match outside.file(section, LOGO_FILE) {
        Some(file) => file,
        None => return written,
    };
    if is_written {
        section.findings.fatal(path.at, &path.key, "stands beside `logo`", "keep one of them");
    }
    parsed(section, &path, Logo::from_file(text.expose()))
}

fn parsed(section: &Section<'_>, text: &Placed<String>, logo: Result<Logo, NotALogo>) -> Option<Logo> {
    logo.map_err(|error| {
        let remedy = match error {
            NotALogo::TooLarge => "make the image smaller, 128 pixels wide for example",
            NotALogo::Namespace => "add it to the element svg",
            _ => "write \"data:image/png;base64,…\" (PNG, SVG, WebP or JPEG), or name a file that holds that, or an SVG, in logo_file",
        };
        section.findings.fatal(text.at, &text.key, error.to_string(), remedy);
    })
    .ok()
}

fn read_accent(section: &Section<'_>) -> Option<Accent> {
    let text = section.string("accent")?;
    let accent = Accent::parse(&text.value);
    match accent {
        None => section.findings.fatal(
            text.at,
            &text.key,
            format!("`{}` is not a colour", text.value),
            "write \"#0a58ca\" or \"#06c\" for example",
        ),
        Some(accent) => {
            for (scheme, card) in CARDS.into_iter().filter(|(_, card)| !accent.stands_out(*card)) {
                let contrast = accent.contrast(card);
                let problem = format!(
                    "has a contrast of {contrast:.1} with the {scheme} page, and {MIN_CONTRAST:.0} is needed: buttons get a grey edge there"
                );
                let shade = if scheme == "light" { "darker" } else { "lighter" };
                section.findings.warning(text.at, &text.key, problem, format!("write a {shade} shade"));
            }
        }
    }
    accent
}

fn read_support(section: &Section<'_>) -> Option<Support> {
    let text = section.string("support")?;
    let support = Support::parse(&text.value);
    if let Err(error) = support {
        let remedy = "write a line with an e-mail address or an https URL in it, \"Help: help@example.com\" for example";
        section.findings.fatal(text.at, &text.key, error.to_string(), remedy);
    }
    support.ok()
}
