//! What pages show of the application: its name, its logo, its colour, and where to find help.
//!
//! Each is parsed once, from the configuration, into what may stand on a page: no value brings markup, a script, a style or an
//! address of its own along.

pub(crate) mod accent;
pub(crate) mod logo;
pub(crate) mod support;

use accent::Accent;
use logo::Logo;
use support::Support;

/// What `[vestibule.pages]` says. Without it, pages are plain.
#[derive(Clone, Debug, Default)]
pub struct Branding {
    pub name: Option<String>,
    pub logo: Option<Logo>,
    pub accent: Option<Accent>,
    pub support: Option<Support>,
}

/// Whether a text is one line that shows as it is written: not empty, within `max_characters`, without control characters and
/// without those that turn the direction of what follows.
pub(crate) fn is_line(text: &str, max_characters: usize) -> bool {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !text.trim().is_empty() && text.chars().count() <= max_characters && !text.chars().any(|c| c.is_control() || turns(c))
}
