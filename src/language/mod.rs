//! The languages of our pages, and which of them a browser asks for.
//!
//! Each language is one file with one value of [`Texts`]: a text that is missing does not compile. What programs read, such
//! as problem documents and the log, is English.

mod accepted;
mod english;
mod french;
mod german;
mod japanese;
mod spanish;
mod texts;

pub use texts::{Around, Notice, Texts, Told};

use crate::web::field_lines::FieldLines;

/// A language that our pages are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    English,
    German,
    French,
    Spanish,
    Japanese,
}

impl Language {
    /// All of them. Where a browser takes any, the first.
    pub const ALL: [Self; 5] = [Self::English, Self::German, Self::French, Self::Spanish, Self::Japanese];

    /// The one that the header `Accept-Language` asks for; English where it asks for none of ours.
    pub fn preferred(headers: &FieldLines) -> Self {
        accepted::preferred(headers.values("accept-language"))
    }

    /// What a person is told whose WebSocket ends with the session: one line of at most 123 bytes.
    pub fn session_ended(self) -> &'static str {
        self.texts().session_ended
    }

    /// Its name in `lang` and `Content-Language` (BCP 47).
    pub fn tag(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::German => "de",
            Self::French => "fr",
            Self::Spanish => "es",
            Self::Japanese => "ja",
        }
    }

    /// Every text of our pages in it.
    pub fn texts(self) -> &'static Texts {
        match self {
            Self::English => &english::TEXTS,
            Self::German => &german::TEXTS,
            Self::French => &french::TEXTS,
            Self::Spanish => &spanish::TEXTS,
            Self::Japanese => &japanese::TEXTS,
        }
    }
}
