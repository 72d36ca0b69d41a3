//! `[vestibule.pages]`: what pages show of the application.

use super::section::{Placed, Section};
use super::setting::{Form, Key, Setting, keys};
use crate::branding::accent::{Accent, CARDS, MIN_CONTRAST};
use crate::branding::logo::{Logo, NotALogo};
use crate::branding::support::Support;
use crate::branding::{Branding, is_line};

/// The section.
pub(super) const PAGES: &str = "pages";

const LOGO: &str = "logo";

/// Longest name, in characters: one line of a page.
const MAX_NAME: usize = 60;

pub(super) const SETTINGS: [Setting; 4] = [
    Setting::new(
        "name",
        Form::Text,
        "The name of the application, on every page and in its title: one line of at most 60 characters.",
        "\"Sales reports\"",
    ),
    Setting::new(
        LOGO,
        Form::Text,
        "An image as a `data:` URI: PNG, SVG, WebP or JPEG, at most 16 KiB. A file, `logo_file`, holds such a URI or an SVG.",
        "\"data:image/png;base64,iVBORw0KGgo=\"",
    ),
    Setting::new("accent", Form::Text, "The colour of the main button: `\"#rgb\"` or `\"#rrggbb\"`.", "\"#1a73e8\"")
        .or_said("blue")
        .pattern("^#([0-9A-Fa-f]{3}|[0-9A-Fa-f]{6})$"),
    Setting::new(
        "support",
        Form::Text,
        "One line of at most 200 characters, at the end of every page. E-mail addresses and https URLs in it become links.",
        "\"Help: it@example.com\"",
    ),
];

pub(super) static KEYS: [Key; 4] = keys(&SETTINGS);

/// Faults are told.
pub(super) fn read(section: &Section<'_>) -> Branding {
    let branding =
        Branding { name: read_name(section), logo: read_logo(section), accent: read_accent(section), support: read_support(section) };
    section.finish_strict();
    branding
}

fn read_name(section: &Section<'_>) -> Option<String> {
    let text = section.string("name")?;
    if !is_line(&text.value, MAX_NAME) {
        let problem = format!("is not one line of 1 to {MAX_NAME} characters");
        section.findings.fatal(text.at, &text.key, problem, "write the name of the application, \"Sales reports\" for example");
        return None;
    }
    Some(text.value.trim().to_owned())
}

fn read_logo(section: &Section<'_>) -> Option<Logo> {
    let text = section.string(LOGO)?;
    // A file may hold an SVG as it is.
    let logo = if section.has_file(LOGO) { Logo::from_file(&text.value) } else { Logo::parse(&text.value) };
    parsed(section, &text, logo)
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
            "write \"#1a73e8\" or \"#06c\" for example",
        ),
        Some(accent) => {
            for (scheme, card) in CARDS.into_iter().filter(|(_, card)| !accent.stands_out(*card)) {
                let contrast = accent.contrast(card);
                let problem = format!(
                    "has a contrast of {contrast:.1} with the {scheme} page, and {MIN_CONTRAST:.0} is needed: buttons get a grey edge there"
                );
                let remedy = match section.findings.is_hidden(&text.key) {
                    true => "write a colour between light and dark".to_owned(),
                    false => format!("write \"{}\", which can be seen on both pages", accent.standing_out()),
                };
                section.findings.warning(text.at, &text.key, problem, remedy);
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

#[cfg(test)]
mod tests {
    use crate::config::{Config, Reference, Source, references};
    use crate::secret::Secret;

    const AUTH: &str = "[auth]\nredirect_uri = \"https://app.example/oauth2callback\"\nclient_id = \"a\"\nclient_secret = \"b\"\n\
                        cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\n\
                        server_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n[vestibule.pages]\n";

    fn parse(pages: &str, file: Option<&str>) -> Result<Config, Vec<String>> {
        let toml = format!("{AUTH}{pages}");
        let resolved = references(&toml).into_iter().map(|reference| (reference, file.map(Secret::new))).collect();
        let parsed = Config::parse(&Source { resolved, ..Source::new("secrets.toml", &toml) });
        parsed.map_err(|faults| faults.iter().filter(|fault| fault.fatal).map(ToString::to_string).collect())
    }

    #[test]
    fn a_fault_names_its_key_and_what_to_write() {
        for (pages, file, fault) in [
            ("names = \"a\"", None, "vestibule.pages.names: unknown key; did you mean `name`?"),
            ("colour = \"#fff\"", None, "vestibule.pages.colour: unknown key; "),
            ("name = 1", None, "vestibule.pages.name: is of type integer, not a string in quotes"),
            ("name = \" \"", None, "vestibule.pages.name: is not one line of 1 to 60 characters"),
            ("name = \"a\\nb\"", None, "vestibule.pages.name: is not one line"),
            ("accent = \"blue\"", None, "vestibule.pages.accent: `blue` is not a colour; write \"#1a73e8\""),
            ("support = \"http://help.example\"", None, "vestibule.pages.support: has an http address, "),
            ("logo = \"logo.png\"", None, "vestibule.pages.logo: is not a data: URI; write \"data:image/png;base64,…\""),
            ("logo_file = \"logo.svg\"", None, "vestibule.pages.logo_file: the file `logo.svg` cannot be read"),
            ("logo_file = \"logo.svg\"", Some("s3cret"), "vestibule.pages.logo_file: is not a data: URI"),
            ("logo_file = \"logo.svg\"", Some("<svg/>"), "vestibule.pages.logo_file: is an SVG without xmlns"),
            (
                "logo_file = \"logo.svg\"\nlogo = \"data:image/png;base64,iVBORw0KGgo=\"",
                Some("data:image/png;base64,iVBORw0KGgo="),
                "vestibule.pages.logo_file: stands beside `logo`; keep one of them",
            ),
        ] {
            let faults = parse(pages, file).unwrap_err();
            assert!(faults.len() == 1 && faults[0].contains(fault), "{pages}: {faults:?}");
            assert!(!faults[0].contains("s3cret"), "{faults:?}");
        }
    }

    #[test]
    fn a_file_holds_an_svg_or_a_data_uri() {
        let named = format!("{AUTH}logo_file = \"logo.svg\"\n");
        assert_eq!(references(&named), [Reference::File("logo.svg".into())]);
        for (text, media_type) in
            [("<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n", "image/svg+xml"), ("data:image/png;base64,\niVBOR\nw0KGgo=\n", "image/png")]
        {
            let config = parse("logo_file = \"logo.svg\"", Some(text)).unwrap();
            assert!(config.branding.logo.unwrap().uri().starts_with(&format!("data:{media_type};base64,")));
        }
    }

    #[test]
    fn an_accent_that_does_not_stand_out_is_a_warning() {
        for (accent, warned) in
            [("#1a73e8", None), ("#d22", None), ("#fd0", Some("light")), ("#0a58ca", Some("dark")), ("#000", Some("dark"))]
        {
            let config = parse(&format!("accent = \"{accent}\""), None).unwrap();
            let problems: Vec<_> =
                config.warnings.iter().filter(|fault| fault.key == "vestibule.pages.accent").map(ToString::to_string).collect();
            assert_eq!(problems.len(), usize::from(warned.is_some()), "{accent}: {problems:?}");
            assert!(
                problems.iter().zip(warned).all(|(problem, scheme)| problem.contains(&format!("with the {scheme} page"))),
                "{problems:?}"
            );
        }
    }
}
