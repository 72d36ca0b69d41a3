//! Configurations with one setting each.

use toml::{Table, Value};
use vestibule::config::setting::{Form, Setting};
use vestibule::config::tables;
use vestibule::config::{Config, Fault, Source, references};
use vestibule::secret::Secret;

pub(crate) const SECRET: &str = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5";

const UNNAMED: &str = r#"
[auth]
redirect_uri = "https://app.example.com/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
client_id = "shop"
client_secret = "q7Rz8fKw2mQLbXeR4tY9uVn3"
server_metadata_url = "https://login.example.com/.well-known/openid-configuration"
"#;

const NAMED: &str = r#"
[auth]
redirect_uri = "https://app.example.com/oauth2callback"
cookie_secret = "8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5"
[auth.acme]
client_id = "shop"
client_secret = "q7Rz8fKw2mQLbXeR4tY9uVn3"
server_metadata_url = "https://login.example.com/.well-known/openid-configuration"
"#;

/// A table of settings, and one of its settings.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    pub(crate) path: &'static str,
    pub(crate) setting: &'static Setting,
}

impl Place {
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        tables::ALL.iter().flat_map(|table| table.settings.iter().map(|setting| Self { path: table.path, setting }))
    }

    pub(crate) fn name(self) -> &'static str {
        self.setting.key.name
    }

    /// The parser's name of the key, with something behind it.
    pub(crate) fn key(self, end: &str) -> String {
        let path =
            self.path.replace("auth.<name>", "auth.acme").replace("<name>", "default").replace("vestibule.rule", "vestibule.rule[1]");
        format!("{path}.{}{end}", self.name())
    }

    /// What is accepted, and has nothing of the setting but what it needs.
    pub(crate) fn base(self) -> Table {
        let mut file: Table = if self.path == "auth.<name>" { NAMED } else { UNNAMED }.parse().unwrap();
        let more = match (self.path, self.name()) {
            ("vestibule.authz", _) => "[vestibule]\nmode = \"authz\"\nauthz = { proxy = \"envoy\" }",
            ("vestibule", "mode") => "[vestibule.authz]\nproxy = \"envoy\"",
            ("vestibule.session", "revalidate") => "[vestibule.session]\nrefresh = \"auto\"",
            ("vestibule.session", "on_outage") => "[vestibule.session]\nrefresh = \"auto\"\nrevalidate = \"5m\"",
            ("vestibule.streamlit", _) => "[vestibule]\napp = \"streamlit\"",
            ("vestibule", "insecure_http_hosts") => {
                file["auth"]["server_metadata_url"] = "http://keycloak.auth.svc:8080/.well-known/openid-configuration".into();
                ""
            }
            _ => "",
        };
        file.extend(more.parse::<Table>().unwrap());
        if let ("vestibule", "mode") = (self.path, self.name()) {
            // `authz` alone is a fault: it is completed by the setting itself.
            file["vestibule"].as_table_mut().unwrap().insert("mode".into(), "authz".into());
        }
        file
    }

    /// The table of the setting, made where it is absent.
    pub(crate) fn table(self, file: &mut Table) -> &mut Table {
        let mut table = file;
        for name in self.path.replace("auth.<name>", "auth.acme").replace("<name>", "default").split('.') {
            let entry = table.entry(name).or_insert_with(|| match name {
                "rule" => Value::Array(vec![Value::Table(Table::new())]),
                _ => Value::Table(Table::new()),
            });
            table = match entry {
                Value::Array(items) => items[0].as_table_mut().unwrap(),
                entry => entry.as_table_mut().unwrap(),
            };
        }
        table
    }

    /// The base with a key in the setting's table, in place of the setting itself.
    pub(crate) fn with(self, key: &str, value: Value) -> String {
        let mut file = self.base();
        let table = self.table(&mut file);
        table.remove(self.name());
        table.insert(key.to_owned(), value);
        toml::to_string(&file).unwrap()
    }

    /// The example; of a secret, what the variable could hold.
    pub(crate) fn example(self) -> Value {
        match (self.setting.is_secret, self.setting.key.form) {
            (true, Form::List) => Value::Array(vec![SECRET.into()]),
            (true, _) => SECRET.chars().rev().collect::<String>().into(),
            (false, _) => value(self.setting.example),
        }
    }

    /// The example as it stands in a variable or in a file; `None` for what cannot stand there.
    pub(crate) fn outside(self) -> Option<String> {
        self.setting.key.form.is_outside().then(|| match self.example() {
            Value::String(text) => text,
            Value::Array(items) => items.iter().map(|item| item.as_str().unwrap()).collect::<Vec<_>>().join("\n"),
            other => other.to_string(),
        })
    }
}

pub(crate) fn value(toml: &str) -> Value {
    format!("value = {toml}").parse::<Table>().unwrap_or_else(|error| panic!("{toml}: {error}")).remove("value").unwrap()
}

/// Parses with `outside` for everything that the text refers to.
pub(crate) fn parse(toml: &str, outside: &str) -> Result<Config, Vec<Fault>> {
    let resolved = references(toml).into_iter().map(|reference| (reference, Some(Secret::new(outside)))).collect();
    Config::parse(&Source { resolved, ..Source::new("secrets.toml", toml) })
}

pub(crate) fn fatal(toml: &str) -> Vec<Fault> {
    parse(toml, "").err().into_iter().flatten().filter(|fault| fault.fatal).collect()
}
