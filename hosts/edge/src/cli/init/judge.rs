//! What the core says of the answers, before anything is written. An answer is judged as soon as it is given, so that none is refused
//! after the others: the file is made of it, of those before it, and of samples for the rest.

use std::path::Path;

use anyhow::bail;
use url::Url;
use vestibule_wasmtime::{Configuration, ConfigurationFile, Resolved};

use crate::cli::init::answers::{Answers, Client, ClientSecret, Who};
use crate::cli::init::arguments::App;
use crate::cli::init::document::document;
use crate::cli::init::provider::Kind;
use crate::cli::serve::DEFAULT_PORT;
use crate::configuration::native;
use crate::configuration::reload::everybody_reads;
use crate::random;

/// Judges answers for the file at a path.
pub(super) struct Judge<'a> {
    path: &'a Path,
    cookie_secret: String,
    /// The values that the file refers to, once the client secret is known.
    resolved: Vec<Resolved>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(path: &'a Path) -> Self {
        Self { path, cookie_secret: random::cookie_secret(), resolved: vec![] }
    }

    /// The text of the file.
    ///
    /// # Errors
    /// The answers cannot be written as a file.
    pub(super) fn text(&self, answers: &Answers) -> Result<String, String> {
        document(answers, &self.cookie_secret)
    }

    /// Whether the core reads the file without a fault and without a warning. The values that it refers to are those that
    /// [`Self::whole`] has read.
    ///
    /// # Errors
    /// Every fault and warning.
    pub(super) fn answers(&self, answers: &Answers) -> Result<(), String> {
        let mut configuration = Configuration::new("", self.text(answers)?);
        configuration.resolved.clone_from(&self.resolved);
        configuration.port = Some(DEFAULT_PORT);
        told(configuration)
    }

    /// The same, with the values read that the file refers to. Returns its text.
    ///
    /// # Errors
    /// Every fault and warning; something cannot be read.
    pub(super) async fn whole(&mut self, answers: &Answers) -> anyhow::Result<String> {
        let text = self.text(answers).map_err(anyhow::Error::msg)?;
        let configuration = native::complete(self.path, text.clone(), DEFAULT_PORT).await?;
        // The file itself is new, or has the permissions that it had.
        let readable = ConfigurationFile::readable_by_everybody(self.path, &configuration);
        let readable: Vec<_> = readable.iter().filter(|file| *file != self.path).map(|file| everybody_reads(file)).collect();
        self.resolved.clone_from(&configuration.resolved);
        told(configuration).map_err(anyhow::Error::msg)?;
        if !readable.is_empty() {
            bail!("{}", readable.join("\n"));
        }
        Ok(text)
    }
}

/// # Errors
/// Every fault and warning, one per line.
fn told(configuration: Configuration) -> Result<(), String> {
    let faults = match native::judge(configuration) {
        Ok(config) => config.warnings,
        Err(faults) => faults,
    };
    let lines: Vec<_> = faults.iter().map(|fault| format!("{}: {}; {}", fault.key, fault.problem, fault.remedy)).collect();
    if lines.is_empty() { Ok(()) } else { Err(lines.join("\n")) }
}

/// Answers that are in order, in which each that is given takes the place of a sample.
pub(super) fn samples() -> Result<Answers, String> {
    let issuer = Url::parse("https://login.example.com").map_err(|error| error.to_string())?;
    Ok(Answers {
        client: Client {
            kind: Kind::Other,
            issuer,
            project: None,
            logout_url: None,
            id: "shop".to_owned(),
            secret: ClientSecret::Written(random::cookie_secret()),
        },
        redirect_uri: "https://app.example.com/oauth2callback".to_owned(),
        app: App::Other,
        upstream: "http://127.0.0.1:8080".to_owned(),
        who: Who::Email(vec!["alice@example.com".to_owned()]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_samples_are_in_order() {
        let judge = Judge::new(Path::new("secrets.toml"));
        assert_eq!(judge.answers(&samples().expect("samples")), Ok(()));
    }

    #[test]
    fn each_answer_is_refused_by_itself() {
        let judge = Judge::new(Path::new("secrets.toml"));
        let told = |change: &dyn Fn(&mut Answers)| {
            let mut answers = samples().expect("samples");
            change(&mut answers);
            judge.answers(&answers).expect_err("refused")
        };
        let google = |answers: &mut Answers| {
            answers.client.kind = Kind::Google;
            answers.client.issuer = Url::parse("https://accounts.google.com").expect("a URL");
        };
        assert!(told(&|answers| answers.client.id = "your-client-id".to_owned()).starts_with("auth.client_id: is a sample"));
        assert!(
            told(&|answers| answers.client.secret = ClientSecret::Written("xxx".to_owned())).starts_with("auth.client_secret: is a sample")
        );
        assert!(told(&|answers| answers.who = Who::Email(vec!["alice".to_owned()])).contains("is not an e-mail address"));
        for who in [|| Who::Everybody, || Who::EmailDomain(vec!["gmail.com".to_owned()])] {
            let told = told(&|answers| {
                google(answers);
                answers.who = who();
            });
            assert!(told.contains("admits every account at accounts.google.com"), "{told}");
        }
    }
}
