//! The JSON Schema against the parser.

use std::path::{Path, PathBuf};

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;
use vestibule::config::schema::schema;
use vestibule::config::setting::Form;

use crate::configurations::{Place, fatal};
use crate::files::{is_current, read, root};

const FILE: &str = "docs/vestibule.schema.json";

struct Schema {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Schema {
    fn new() -> Self {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler.add_resource("file:///schema.json", schema()).unwrap();
        let index = compiler.compile("file:///schema.json", &mut schemas).expect("a schema of draft 2020-12");
        Self { schemas, index }
    }

    fn check(&self, toml: &str) -> Result<(), String> {
        let file: Value = toml::from_str(toml).unwrap_or_else(|error| panic!("{error}\n{toml}"));
        self.schemas.validate(&file, self.index).map_err(|error| format!("{error}\n{toml}"))
    }
}

#[test]
fn the_schema_in_the_documentation_is_current() {
    is_current(FILE, &(serde_json::to_string_pretty(&schema()).unwrap() + "\n"));
}

#[test]
fn every_setting_has_a_description_and_an_example_that_its_schema_accepts() {
    let schema = Schema::new();
    for place in Place::all() {
        assert!(place.setting.says.ends_with('.'), "{}: a sentence", place.key(""));
        let toml = place.with(place.name(), place.example());
        assert!(!toml.is_empty());
        schema.check(&toml).unwrap_or_else(|error| panic!("{}: {error}", place.key("")));
        for end in ["_env", "_file"].into_iter().filter(|_| place.setting.key.form.is_outside() && place.path != "auth.client_kwargs") {
            schema.check(&place.with(&format!("{}{end}", place.name()), "NAME".into())).unwrap();
        }
    }
}

#[test]
fn every_configuration_of_the_examples_is_accepted() {
    let schema = Schema::new();
    let found = files(&root().join("examples"));
    assert!(found.len() >= 10, "{found:?}");
    for path in found {
        let text = std::fs::read_to_string(&path).unwrap();
        schema.check(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

#[test]
fn every_configuration_of_the_documentation_is_accepted() {
    let schema = Schema::new();
    let mut count = 0;
    let pages = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    for page in pages.filter(|path| path.extension().is_some_and(|extension| extension == "md")).chain([root().join("README.md")]) {
        let text = std::fs::read_to_string(&page).unwrap();
        for block in blocks(&text) {
            let is_ours = ["auth", "vestibule"]
                .iter()
                .any(|name| block.lines().any(|line| line.trim_start_matches('[').starts_with(name) && line.starts_with('[')));
            let Ok(mut file) = block.parse::<toml::Table>() else { continue };
            if !is_ours {
                continue;
            }
            count += 1;
            // Pages show the section that they are about.
            let whole: toml::Table =
                "[auth]\nredirect_uri = \"https://app.example.com/oauth2callback\"\ncookie_secret_env = \"COOKIE_SECRET\"\n\
                                      client_id = \"shop\"\nclient_secret_env = \"CLIENT_SECRET\"\n\
                                      server_metadata_url = \"https://login.example.com/.well-known/openid-configuration\"\n"
                    .parse()
                    .unwrap();
            if !file.contains_key("auth") {
                file.insert("auth".into(), whole["auth"].clone());
            }
            schema.check(&toml::to_string(&file).unwrap()).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        }
    }
    assert!(count >= 15, "{count} configurations in docs/");
}

/// Streamlit's four examples, as its documentation has them.
#[test]
fn the_examples_of_streamlit_are_accepted() {
    const SHARED: &str = "[auth]\nredirect_uri = \"http://localhost:8501/oauth2callback\"\ncookie_secret = \"xxx\"\n";
    let client = |url: &str| {
        format!("client_id = \"xxx\"\nclient_secret = \"xxx\"\nserver_metadata_url = \"https://{url}/.well-known/openid-configuration\"\n")
    };
    let microsoft = format!("[auth.microsoft]\n{}", client("login.microsoftonline.com/{tenant}/v2.0"));
    let schema = Schema::new();
    for example in [
        format!("{SHARED}{}", client("accounts.google.com")),
        format!("{SHARED}{microsoft}"),
        format!("{SHARED}{microsoft}[auth.okta]\n{}", client("{subdomain}.okta.com")),
        format!("{SHARED}[auth.auth0]\n{}client_kwargs = {{ \"prompt\" = \"login\" }}\n", client("{account}.{region}.auth0.com")),
        format!("{SHARED}{}[connections.snowflake]\naccount = \"x\"\n", client("accounts.google.com")),
    ] {
        schema.check(&example).unwrap();
    }
}

#[test]
fn what_is_wrong_is_refused_by_schema_and_parser() {
    let schema = Schema::new();
    let both = |toml: &str, what: &str| {
        assert!(!fatal(toml).is_empty(), "the parser accepts {what}:\n{toml}");
        assert!(schema.check(toml).is_err(), "the schema accepts {what}:\n{toml}");
    };
    for place in Place::all() {
        let (name, form) = (place.name(), place.setting.key.form);
        if place.path.starts_with("vestibule") {
            both(&place.with(&format!("{name}x"), "a".into()), "an unknown key");
        }
        if place.path != "auth.client_kwargs" {
            let wrong = if matches!(form, Form::Boolean | Form::Number(_)) { "no-such-value".into() } else { 7.into() };
            both(&place.with(name, wrong), "another type");
        }
        if matches!(form, Form::Choice(_) | Form::Choices(_)) {
            both(&place.with(name, "another".into()), "another word");
        }
        if form.is_outside() && place.path != "auth.client_kwargs" {
            let mut file = place.base();
            place.table(&mut file).insert(name.to_owned(), place.example());
            place.table(&mut file).insert(format!("{name}_env"), "NAME".into());
            both(&toml::to_string(&file).unwrap(), "two forms");
        }
        if place.setting.absent == vestibule::config::setting::Absent::Required {
            let mut file = place.base();
            place.table(&mut file).remove(name);
            both(&toml::to_string(&file).unwrap(), "what lacks a value");
        }
    }
    let base = toml::to_string(&Place::all().next().unwrap().base()).unwrap();
    for wrong in [
        "[vestibule.session]\nmax_age = \"forever\"\n",
        "[vestibule.limits]\nlogins_per_minute = -1\n",
        "[vestibule.limits]\nlogins_per_minute = 60001\n",
        "[vestibule]\nupstream = \"http://127.0.0.1:80/path\"\n",
        "[vestibule]\nlisten = \"everywhere\"\n",
        "[vestibule]\nroutes = \"auth\"\n",
        "[vestibule.cors]\norigins = \"*\"\n",
        "[vestibule.pages]\naccent = \"blue\"\n",
        "[vestibule.provider.default]\ntenants = [\"example.com\"]\n",
        "[[vestibule.rule]]\npath = \"admin\"\n",
        "[[vestibule.rule]]\nmethods = \"get\"\n",
        "[[vestibule.rule]]\nrequire = { email = \"example.com\" }\n",
        "[[vestibule.rule]]\nrequire = { email_domain = \"@example.com\" }\n",
        "[[vestibule.rule]]\nrequire = { claim = { department = [] } }\n",
        "[[vestibule.rule]]\nrequire = { any = [] }\n",
        "[vestibule.rule]\npath = \"/\"\n",
        "[vestibule.provider]\ntitle = \"a\"\n",
        "[vestibule.identity]\nheaders = { department = \"X Department\" }\n",
    ] {
        both(&format!("{base}{wrong}"), "a wrong value");
    }
    for wrong in ["client_kwargs = { state = \"a\" }", "client_kwargs = { scope = \"email\" }", "authorize_params = { max_age = \"long\" }"]
    {
        both(&base.replace("client_id", &format!("{wrong}\nclient_id")), "a wrong parameter");
    }
}

/// Configurations in a folder and below.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.file_name().is_some_and(|name| name == "secrets.toml") {
            found.push(path);
        }
    }
    found
}

/// Code of a page: lines indented by four spaces or more, and paragraphs of them.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = vec![String::new()];
    for line in text.lines() {
        match line.strip_prefix("    ") {
            Some(code) => *blocks.last_mut().unwrap() += &format!("{}\n", code.trim_start()),
            None if line.trim().is_empty() => {
                if let Some(block) = blocks.last_mut().filter(|block| !block.is_empty()) {
                    block.push('\n');
                }
            }
            None => blocks.push(String::new()),
        }
    }
    blocks.retain(|block| !block.trim().is_empty());
    assert!(read("README.md").len() > 1);
    blocks
}
