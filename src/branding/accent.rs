//! The colour of buttons, and whether what stands on and around it can be seen (WCAG 2.2).

use std::fmt;

/// A colour, 8 bits each of red, green and blue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Accent {
    rgb: [u8; 3],
}

/// What buttons stand on, in `templates/page.html`: `--card`, light and dark.
pub(crate) const CARDS: [(&str, Accent); 2] = [("light", Accent { rgb: [0xff; 3] }), ("dark", Accent { rgb: [0x16, 0x1b, 0x22] })];

const BLACK: Accent = Accent { rgb: [0; 3] };
const WHITE: Accent = Accent { rgb: [0xff; 3] };

/// Between a button and what it stands on (WCAG 2.2, success criterion 1.4.11).
pub(crate) const MIN_CONTRAST: f64 = 3.0;

impl Accent {
    /// `#rgb` or `#rrggbb`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        let number = u32::from_str_radix(digits, 16).ok()?;
        let [_, red, green, blue] = number.to_be_bytes();
        match digits.len() {
            6 => Some(Self { rgb: [red, green, blue] }),
            // Each digit stands for itself twice.
            3 => Some(Self { rgb: [green & 0xf, blue >> 4, blue & 0xf].map(|digit| digit * 0x11) }),
            _ => None,
        }
    }

    /// Black or white, whichever can be read better on it. One of them always has a contrast of 4.5 and more.
    pub(crate) fn text(self) -> Self {
        if self.contrast(BLACK) >= self.contrast(WHITE) { BLACK } else { WHITE }
    }

    /// Whether it can be told from what buttons stand on.
    pub(crate) fn stands_out(self, card: Self) -> bool {
        self.contrast(card) >= MIN_CONTRAST
    }

    /// The nearest shade that can be told from every card.
    pub(crate) fn standing_out(self) -> Self {
        const STEPS: u16 = 64;
        // What is too light gets darker, what is too dark lighter.
        let other = self.text();
        let mixed = |step: u16| {
            let channel = |place: usize| {
                let mixed = (u16::from(self.rgb[place]) * (STEPS - step) + u16::from(other.rgb[place]) * step) / STEPS;
                u8::try_from(mixed).unwrap_or(u8::MAX)
            };
            Self { rgb: [channel(0), channel(1), channel(2)] }
        };
        let mut shades = (0..=STEPS).map(mixed);
        shades.find(|shade| CARDS.iter().all(|(_, card)| shade.stands_out(*card))).unwrap_or(self)
    }

    /// From 1, none, to 21, black on white.
    pub(crate) fn contrast(self, other: Self) -> f64 {
        let (one, other) = (self.luminance() + 0.05, other.luminance() + 0.05);
        one.max(other) / one.min(other)
    }

    /// Relative luminance, as WCAG defines it.
    fn luminance(self) -> f64 {
        let linear = self.rgb.map(|channel| {
            let share = f64::from(channel) / 255.0;
            if share <= 0.04045 { share / 12.92 } else { ((share + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
}

/// `#rrggbb`.
impl fmt::Display for Accent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.rgb;
        write!(f, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn accent(text: &str) -> Accent {
        Accent::parse(text).unwrap()
    }

    #[test]
    fn colours_are_three_or_six_digits() {
        for (text, colour) in [("#fff", "#ffffff"), ("#A0b", "#aa00bb"), ("#012345", "#012345"), ("#ABCDEF", "#abcdef")] {
            assert_eq!(accent(text).to_string(), colour);
        }
        for text in
            ["", "#", "fff", "#ffff", "#fffff", "#fffffff", "#ffffffff", "#ggg", "#+ff", " #fff", "#fff ", "red", "#f\u{e9}", "#ff;}*{"]
        {
            assert_eq!(Accent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        for (one, other, contrast) in [("#fff", "#000", 21.0), ("#fff", "#777", 4.48), ("#fff", "#0a58ca", 6.44), ("#abc", "#abc", 1.0)] {
            let found = accent(one).contrast(accent(other));
            assert!((found - contrast).abs() < 0.01, "{one} {other}: {found}");
        }
        assert_eq!(accent("#ffdd00").text(), BLACK);
        assert_eq!(accent("#003366").text(), WHITE);
    }

    #[test]
    fn the_cards_are_those_of_the_template() {
        let template = include_str!("../../templates/page.html");
        assert!(template.contains("--card: #fff;") && template.contains(&format!("--card: {};", CARDS[1].1)));
    }

    proptest! {
        #[test]
        fn text_on_any_colour_can_be_read(red: u8, green: u8, blue: u8) {
            let accent = Accent { rgb: [red, green, blue] };
            prop_assert!(accent.contrast(accent.text()) >= 4.5);
            prop_assert_eq!(Accent::parse(&accent.to_string()), Some(accent));
            let shade = accent.standing_out();
            prop_assert!(CARDS.iter().all(|(_, card)| shade.stands_out(*card)), "{} {}", accent, shade);
            prop_assert_eq!(shade.standing_out(), shade);
        }
    }
}
