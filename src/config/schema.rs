//! The JSON Schema of a configuration file, for editors: draft 2020-12, made of the tables of settings.
//!
//! It refuses nothing that the parser accepts without a warning. It does not know everything that the parser refuses: what
//! depends on several settings, and whether a secret can be guessed.

use serde::Deserialize as _;
use serde_json::{Map, Value, json};

use super::client_options::OURS;
use super::setting::{Absent, ENV, FILE, Form, Key, Setting};
use super::tables;

/// `"30d"`, `"1h 30m"`.
const DURATION: &str = "^\\s*([0-9][0-9.]*\\s*[A-Za-zµ]+\\s*)+$";

/// The schema.
pub fn schema() -> Value {
    let mut auth = object("auth");
    // Streamlit ignores keys that it does not know, and tables of other names are providers.
    auth["additionalProperties"] = json!({ "if": { "type": "object" }, "then": { "$ref": "#/$defs/provider" } });
    let is_unnamed = ["client_id", "client_secret", "server_metadata_url"].map(given);
    auth["allOf"] = json!([
        given("redirect_uri"),
        given("cookie_secret"),
        { "if": { "anyOf": is_unnamed }, "then": { "allOf": needed_of_a_provider() } },
    ]);

    let mut provider = object("auth.<name>");
    provider["additionalProperties"] = true.into();
    provider["allOf"] = json!(needed_of_a_provider());

    let mut vestibule = object("vestibule");
    for table in tables::ALL {
        if let Some(name) = table.path.strip_prefix("vestibule.").filter(|name| !name.contains('.') && *name != "rule") {
            vestibule["properties"][name] = object(table.path);
        }
    }
    vestibule["properties"]["authz"]["allOf"] = json!([given("proxy")]);
    vestibule["properties"]["provider"] = json!({ "type": "object", "additionalProperties": object("vestibule.provider.<name>") });
    vestibule["properties"]["rule"] = json!({ "type": "array", "maxItems": 10_000, "items": object("vestibule.rule") });
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Vestibule",
        "description": "Streamlit's secrets.toml with the login, and the settings of Vestibule. Other sections of the file are not described.",
        "type": "object",
        "properties": { "auth": auth, "vestibule": vestibule },
        "required": ["auth"],
        "$defs": { "provider": provider, "conditions": object("vestibule.rule.require") },
    })
}

/// A table with nothing but its settings, each written, or named by `<key>_env` or `<key>_file`.
fn object(path: &str) -> Value {
    let (mut properties, mut exclusive) = (Map::new(), Map::new());
    let settings = tables::ALL.iter().find(|table| table.path == path).map(|table| table.settings).unwrap_or_default();
    for setting in settings {
        let name = setting.key.name;
        properties.insert(name.to_owned(), described(setting));
        if setting.key.form.is_outside() {
            for (end, what) in [(ENV, "The environment variable with"), (FILE, "The file with")] {
                let text = json!({ "type": "string", "minLength": 1, "description": format!("{what} the value of `{name}`.") });
                properties.insert(format!("{name}{end}"), text);
            }
            let (env, file) = (format!("{name}{ENV}"), format!("{name}{FILE}"));
            exclusive.insert(name.to_owned(), json!({ "not": { "anyOf": [{ "required": [&env] }, { "required": [&file] }] } }));
            exclusive.insert(env, json!({ "not": { "required": [file] } }));
        }
    }
    json!({ "type": "object", "properties": properties, "dependentSchemas": exclusive, "additionalProperties": false })
}

/// That a value is there, in one of its forms.
fn given(name: &str) -> Value {
    json!({ "anyOf": [{ "required": [name] }, { "required": [format!("{name}{ENV}")] }, { "required": [format!("{name}{FILE}")] }] })
}

/// A public client has no secret.
fn needed_of_a_provider() -> [Value; 3] {
    let is_public = |table: &str| {
        let method =
            json!({ "properties": { "token_endpoint_auth_method": { "const": "none" } }, "required": ["token_endpoint_auth_method"] });
        json!({ "properties": { table: method }, "required": [table] })
    };
    let secret = json!({ "anyOf": [given("client_secret"), is_public("client_kwargs"), is_public("authorize_params")] });
    [given("client_id"), secret, given("server_metadata_url")]
}

fn described(setting: &Setting) -> Value {
    let mut schema = value(setting);
    let mut description = without_links(setting.says);
    match setting.absent {
        Absent::Is(toml) => schema["default"] = parsed(toml),
        Absent::Said(markdown) => description.push_str(&format!(" Default: {}.", without_links(markdown))),
        Absent::Nothing | Absent::Required => {}
    }
    schema["description"] = description.into();
    if !setting.is_secret {
        schema["examples"] = json!([parsed(setting.example)]);
    }
    schema
}

fn value(setting: &Setting) -> Value {
    let one_or_more = |item: Value| json!({ "anyOf": [item, { "type": "array", "items": item }] });
    let scalar = || json!({ "type": ["string", "number", "boolean"] });
    let mut text = json!({ "type": "string" });
    if let Some(pattern) = setting.pattern {
        text["pattern"] = pattern.into();
    }
    match setting.key.form {
        Form::Text | Form::Url => text,
        Form::List => one_or_more(text),
        Form::Boolean => json!({ "type": "boolean" }),
        Form::Number(max) => json!({ "type": "integer", "minimum": 0, "maximum": max }),
        Form::Duration => json!({ "type": "string", "pattern": DURATION }),
        Form::Choice(words) => json!({ "enum": words }),
        Form::Choices(words) => one_or_more(json!({ "enum": words })),
        Form::Entries([]) => json!({ "type": "object", "additionalProperties": text }),
        Form::Entries(known) => json!({
            "type": "object",
            "properties": entries(known),
            "propertyNames": { "not": { "enum": OURS } },
            "additionalProperties": scalar(),
        }),
        Form::ValueLists => {
            let values = json!({ "anyOf": [scalar(), { "type": "array", "items": scalar(), "minItems": 1 }] });
            json!({ "type": "object", "additionalProperties": values })
        }
        Form::Table(_) => json!({ "$ref": "#/$defs/conditions" }),
        Form::Tables(_) => json!({ "type": "array", "items": { "$ref": "#/$defs/conditions" }, "minItems": 1 }),
    }
}

/// Parameters of a request are texts in the end: numbers may be written as such.
fn entries(known: &[Key]) -> Map<String, Value> {
    let table = tables::ALL.iter().find(|table| table.path == "auth.client_kwargs");
    let settings = table.into_iter().flat_map(|table| table.settings);
    let settings = settings.filter(|setting| known.iter().any(|key| key.name == setting.key.name));
    let schema = |setting: &Setting| {
        let mut schema = described(setting);
        if let Form::Number(_) = setting.key.form {
            schema["type"] = json!(["integer", "string"]);
            schema["pattern"] = "^[0-9]+$".into();
        }
        schema
    };
    settings.map(|setting| (setting.key.name.to_owned(), schema(setting))).collect()
}

/// A value of TOML as one of JSON.
fn parsed(toml: &str) -> Value {
    toml::de::ValueDeserializer::parse(toml).ok().and_then(|value| Value::deserialize(value).ok()).unwrap_or_default()
}

/// `[text](target)` is `text`.
fn without_links(markdown: &str) -> String {
    let mut parts = markdown.split("](");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if let Some(at) = text.rfind('[') {
            text.remove(at);
        }
        text.push_str(part.split_once(')').map_or(part, |(_, rest)| rest));
    }
    text
}
