//! The parser reads what the tables describe, as they describe it.

use std::collections::BTreeSet;

use toml::Value;
use vestibule::config::Config;
use vestibule::config::setting::{Absent, Form};
use vestibule::config::tables;

use crate::configurations::{Place, fatal, parse, value};

#[test]
fn every_setting_is_accepted_with_its_example() {
    for place in Place::all() {
        let toml = place.with(place.name(), place.example());
        let faults = fatal(&toml);
        assert!(faults.is_empty(), "{}: {faults:?}\n{toml}", place.key(""));
    }
}

/// A key that the parser did not read would not be refused for its type.
#[test]
fn every_setting_is_read_in_its_form() {
    for place in Place::all().filter(|place| place.path != "auth.client_kwargs") {
        let wrong = match place.setting.key.form {
            Form::Boolean | Form::Number(_) => Value::from("no-such-value"),
            _ => Value::from(7),
        };
        let faults = fatal(&place.with(place.name(), wrong));
        assert!(faults.iter().any(|fault| fault.key == place.key("")), "{}: {faults:?}", place.key(""));
    }
}

#[test]
fn every_word_of_a_choice_is_accepted_and_no_other() {
    for place in Place::all() {
        let (Form::Choice(words) | Form::Choices(words)) = place.setting.key.form else { continue };
        let is_refused = |word: &str| {
            let faults = fatal(&place.with(place.name(), word.into()));
            // Some words need other settings, which the fault then names.
            faults.iter().any(|fault| {
                fault.key == place.key("") && (fault.problem.contains(&format!("`{word}`")) || fault.problem.contains("supported"))
            })
        };
        for word in words {
            assert!(!is_refused(word), "{} = {word}", place.key(""));
        }
        assert!(is_refused("another"), "{}", place.key(""));
    }
}

#[test]
fn a_number_has_the_bound_of_its_table() {
    for place in Place::all().filter(|place| place.path != "auth.client_kwargs") {
        let Form::Number(max) = place.setting.key.form else { continue };
        assert!(fatal(&place.with(place.name(), Value::from(i64::from(max)))).is_empty());
        assert_eq!(fatal(&place.with(place.name(), Value::from(i64::from(max) + 1))).len(), 1);
    }
}

#[test]
fn a_default_is_what_the_absent_key_means() {
    for place in Place::all() {
        let Absent::Is(default) = place.setting.absent else { continue };
        let mut absent = place.base();
        place.table(&mut absent).remove(place.name());
        let (absent, written) = (toml::to_string(&absent).unwrap(), place.with(place.name(), value(default)));
        if place.name() == "mode" {
            assert!(
                fatal(&written).iter().all(|fault| fault.problem.contains("without mode = \"authz\"")),
                "the base has a section for it"
            );
            continue;
        }
        let found = [&absent, &written].map(|toml| format!("{:?}", parse(toml, "").expect("accepted")));
        let without_parameters = |text: &str| text.replace("(\"response_mode\", \"query\")", "");
        assert_eq!(without_parameters(&found[0]), without_parameters(&found[1]), "{}", place.key(""));
        // The example is something else, so that the comparison can fail.
        if place.setting.example != default {
            let example = parse(&place.with(place.name(), place.example()), "").map(|config| format!("{config:?}"));
            assert!(example.is_ok_and(|example| example != found[0]), "{}", place.key(""));
        }
    }
}

#[test]
fn what_is_required_is_missed() {
    for place in Place::all().filter(|place| place.setting.absent == Absent::Required) {
        let mut file = place.base();
        place.table(&mut file).remove(place.name());
        let faults = fatal(&toml::to_string(&file).unwrap());
        assert!(
            faults.iter().any(|fault| fault.key == place.key("") && fault.problem.contains("missing")),
            "{}: {faults:?}",
            place.key("")
        );
    }
}

/// In every table, every name that is a setting somewhere: the parser knows it where the tables have it, and only there.
#[test]
fn the_parser_knows_no_setting_that_the_tables_do_not_have() {
    let names: BTreeSet<_> = Place::all().map(Place::name).chain(["provider", "rule", "session"]).collect();
    for table in tables::ALL.iter().filter(|table| !["auth.client_kwargs", "vestibule"].contains(&table.path)) {
        let place = Place { path: table.path, setting: &table.settings[0] };
        for name in &names {
            let is_described = table.settings.iter().any(|setting| setting.key.name == *name);
            let mut file = place.base();
            place.table(&mut file).insert((*name).to_owned(), Value::from(7));
            let found = parse(&toml::to_string(&file).unwrap(), "");
            let faults = found.map_or_else(|faults| faults, |config| config.warnings);
            let key = place.key("").strip_suffix(place.name()).unwrap().to_owned() + name;
            let is_unknown = faults.iter().any(|fault| fault.key == key && fault.problem.starts_with("unknown key"));
            assert_eq!(is_unknown, !is_described, "{key}: {faults:?}");
        }
    }
}

#[test]
fn a_misspelt_key_is_told_its_name() {
    for place in Place::all().filter(|place| place.path.starts_with("vestibule")) {
        for end in ["", "_env", "_file"] {
            let misspelt = format!("{}x{end}", place.name());
            let faults = fatal(&place.with(&misspelt, "a".into()));
            let told = faults.iter().find(|fault| fault.problem == "unknown key" && fault.key.ends_with(&misspelt));
            let meant =
                if place.setting.key.form.is_outside() { format!("`{}{end}`", place.name()) } else { format!("`{}`", place.name()) };
            let told = told.unwrap_or_else(|| panic!("{misspelt}: {faults:?}"));
            assert!(told.remedy.contains(&meant) || !place.setting.key.form.is_outside(), "{misspelt}: {told}");
        }
    }
}

/// All of it but the warnings and the key of the store, which say how it is written. A secret is not shown, so that its use is compared where it is tested.
fn debug(mut config: Config) -> String {
    config.warnings.clear();
    if let Some(store) = &mut config.store {
        store.key.clear();
    }
    format!("{config:?}")
}

#[test]
fn every_value_can_be_outside() {
    for place in Place::all().filter(|place| place.path != "auth.client_kwargs") {
        let written = debug(parse(&place.with(place.name(), place.example()), "").expect("accepted"));
        for end in ["_env", "_file"] {
            let key = format!("{}{end}", place.name());
            let toml = place.with(&key, "NAME".into());
            let Some(outside) = place.outside() else {
                let faults = fatal(&toml);
                assert!(faults.iter().any(|fault| fault.problem == "unknown key") || place.path.starts_with("auth"), "{key}: {faults:?}");
                continue;
            };
            let named = parse(&toml, &outside).unwrap_or_else(|faults| panic!("{key}: {faults:?}"));
            assert_eq!(debug(named), written, "{key}");
        }
    }
}

#[test]
fn a_value_outside_that_is_not_there_is_a_fault_of_its_key() {
    for place in Place::all().filter(|place| place.path != "auth.client_kwargs" && place.setting.key.form.is_outside()) {
        for (end, problem) in [("_env", "the environment variable `NAME` is not set"), ("_file", "the file `NAME` cannot be read")] {
            let toml = place.with(&format!("{}{end}", place.name()), "NAME".into());
            let faults =
                vestibule::config::Config::parse(&vestibule::config::Source::new("secrets.toml", &toml)).expect_err("nothing is there");
            let faults: Vec<_> = faults.into_iter().filter(|fault| fault.fatal).collect();
            assert!(faults.iter().any(|fault| fault.key == place.key(end) && fault.problem == problem), "{}: {faults:?}", place.key(end));
            assert!(faults.iter().all(|fault| !fault.problem.contains("missing")), "{}: {faults:?}", place.key(end));
        }
    }
}

#[test]
fn two_forms_of_one_value_are_a_fault() {
    for place in Place::all().filter(|place| place.path != "auth.client_kwargs" && place.setting.key.form.is_outside()) {
        for (one, other) in [("", "_env"), ("", "_file"), ("_env", "_file")] {
            let mut file = place.base();
            let table = place.table(&mut file);
            table.insert(format!("{}{other}", place.name()), "NAME".into());
            table.insert(format!("{}{one}", place.name()), if one.is_empty() { place.example() } else { "OTHER".into() });
            let faults = parse(&toml::to_string(&file).unwrap(), &place.outside().unwrap()).expect_err("two of them");
            assert!(
                faults.iter().any(|fault| fault.fatal && fault.problem.starts_with("stands beside")),
                "{}: {faults:?}",
                place.key(other)
            );
        }
    }
}

/// The wrong key may name a file of secrets.
#[test]
fn no_message_shows_a_value_from_outside() {
    // A mark, and the forms of values that parsers understand: these are told of in other spellings.
    const MARKS: [&str; 2] = ["s3cr3tmark", "73915268"];
    const FORMS: [&str; 22] = [
        "{}",
        "S3CR3TMark",
        "{}\n{}2",
        " {} ",
        "{}.example",
        "S3CR3TMARK.Example",
        "{}.example:443",
        "https://{}.example",
        "https://{}.EXAMPLE/",
        "HTTPS://{}.Example:443/{}?{}#{}",
        "http://{}.example",
        "http://{}.EXAMPLE/oauth2callback",
        "https://{}.EXAMPLE/oauth2callback",
        "https://{}.example/.well-known/openid-configuration",
        "https://{}.auth0.com/.well-known/openid-configuration",
        "https://login.microsoftonline.com/{}.example/v2.0/.well-known/openid-configuration",
        "https://user:{}@a.example/",
        "/{}",
        "/{}/**",
        "*{}*",
        "{}@bücher-{}.example",
        "file:/{}/{}.jsonl",
    ];
    const NUMBERS: [&str; 4] = ["{}", "-{}", "{}s", "{}.5"];
    let check = |place: Place, end: &str, outside: &str, mark: &str| {
        let toml = place.with(&format!("{}{end}", place.name()), "NAME".into());
        // With a rule, whose messages tell of other settings.
        let ruled = if toml.contains("rule") { toml.clone() } else { format!("{toml}\n[[vestibule.rule]]\nhost = \"other.example\"\n") };
        for toml in [toml, ruled] {
            let found = parse(&toml, outside);
            let faults = found.map_or_else(|faults| faults, |config| config.warnings);
            for fault in faults {
                let told = fault.to_string();
                assert!(!told.to_lowercase().contains(mark), "{} = {outside:?}: {told}", place.key(end));
                assert!(!told.contains("xn--b"), "{} = {outside:?}: {told}", place.key(end));
            }
        }
    };
    let mut count = 0;
    for place in Place::all().filter(|place| place.path != "auth.client_kwargs" && place.setting.key.form.is_outside()) {
        for end in ["_env", "_file"] {
            for (mark, forms) in [(MARKS[0], FORMS.as_slice()), (MARKS[1], NUMBERS.as_slice())] {
                for form in forms {
                    check(place, end, &form.replace("{}", mark), mark);
                    count += 1;
                }
            }
        }
    }
    assert!(count > 2000, "{count}");
}
