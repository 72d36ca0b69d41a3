use super::super::{Config, Source};

const STREAM_RULE: &str = "path = \"/_stcore/**\"\n";

fn toml(base: &str, app: &str, rules: &[&str]) -> String {
    let rules: String = rules.iter().map(|rule| format!("[[vestibule.rule]]\n{rule}")).collect();
    format!(
        "[auth]\nredirect_uri = \"https://app.example{base}/oauth2callback\"\n\
         cookie_secret = \"8f0a1d5c7b3e9f2a4c6d8e0f1a2b3c4d5e6f708192a3b4c5\"\nclient_id = \"a\"\nclient_secret = \"b\"\n\
         server_metadata_url = \"https://op.example/.well-known/openid-configuration\"\n\n{app}{rules}"
    )
}

/// Numbers of the rules that are refused.
fn refused(base: &str, rules: &[&str]) -> Vec<String> {
    match Config::parse(&Source::new("secrets.toml", &toml(base, "[vestibule]\napp = \"streamlit\"\n", rules))) {
        Ok(_) => vec![],
        Err(faults) => {
            let fatal: Vec<_> = faults.into_iter().filter(|fault| fault.fatal).collect();
            assert!(fatal.iter().all(|fault| fault.problem.contains(&format!("{base}/_stcore/stream"))), "{fatal:#?}");
            assert!(fatal.iter().all(|fault| fault.remedy.contains("st.user") && fault.line > 0), "{fatal:#?}");
            fatal.into_iter().map(|fault| fault.key.replace("vestibule.rule[", "").replace(']', "")).collect()
        }
    }
}

#[test]
fn a_page_cannot_be_kept_from_whom_the_stream_admits() {
    const ADMINS: &str = "require = { groups = \"admins\" }\n";
    for (rules, expected) in [
        // What the app's documentation would have one write.
        (&["path = \"/Admin/**\"\nrequire = { groups = \"admins\" }\n", ""][..], &["1"][..]),
        (&["path = \"/Admin\"\naccess = \"deny\"\n", ""], &["1"]),
        (&["path = \"/Admin\"\n", "access = \"optional\"\n"], &["1"]),
        (&["path = \"/Admin\"\n", "access = \"public\"\n"], &["1"]),
        (&["path = [\"/favicon.ico\", \"/Admin\"]\nmethods = [\"GET\", \"POST\"]\naccess = \"deny\"\n", ""], &["1"]),
        // Wildcards.
        (&["path = \"/*\"\nrequire = { groups = \"admins\" }\n", ""], &["1"]),
        (&["path = \"/**/Admin\"\nrequire = { groups = \"admins\" }\n", ""], &["1"]),
        (&["path = \"/*/x\"\naccess = \"deny\"\n", ""], &["1"]),
        (&["path = \"/*/stream\"\nrequire = { groups = \"admins\" }\n", "path = \"/**\"\n"], &[]),
        (&["path = \"/**/stream\"\nrequire = { groups = \"admins\" }\n", "path = \"/**\"\n"], &[]),
        // The stream by a rule of its own.
        (&[STREAM_RULE, ADMINS], &["2"]),
        (&["path = \"/_stcore/stream\"\naccess = \"public\"\n", ""], &["2"]),
        (&["path = \"/_stcore/*\"\naccess = \"optional\"\n", "access = \"public\"\n"], &[]),
        // Folders that have the names of pages.
        (&["path = \"/static/**\"\naccess = \"deny\"\n", ""], &["1"]),
        (&["path = \"/media\"\nrequire = { groups = \"admins\" }\n", ""], &["1"]),
        // Several rules, each told; what no rule is for.
        (&["path = \"/A\"\naccess = \"deny\"\n", "path = \"/B\"\nrequire = { groups = \"b\" }\n", ""], &["1", "2"]),
        (&[STREAM_RULE, "path = \"/\"\n"], &["1"]),
        (&["path = [\"/\", \"/_stcore/**\", \"/static/**\"]\n"], &["1"]),
        // Conditions that are not the same.
        (&["path = \"/Admin\"\nrequire = { groups = \"admins\" }\n", "require = { groups = [\"admins\", \"staff\"] }\n"], &["1"]),
        (&["path = \"/Admin\"\nrequire = { groups = \"admins\" }\n", "require = { groups = \"staff\" }\n"], &["1"]),
        (&["path = \"/Admin\"\nrequire = { email = \"a@x.example\" }\n", "require = { email_domain = \"x.example\" }\n"], &["1"]),
        (&["path = \"/Admin\"\nrequire = { roles = \"a\", groups = \"admins\" }\n", ADMINS], &["1"]),
    ] {
        assert_eq!(refused("", rules), expected, "{rules:#?}");
    }
}

#[test]
fn what_the_stream_holds_is_accepted() {
    const ADMINS: &str = "require = { groups = \"admins\" }\n";
    for rules in [
        &[""][..],
        &[ADMINS],
        &["path = \"/**\"\nrequire = { groups = \"admins\" }\n"],
        &["access = \"deny\"\n"],
        // Pages and files for more people than the stream.
        &["path = [\"/static/**\", \"/favicon.png\"]\naccess = \"public\"\n", ADMINS],
        &["path = \"/About\"\naccess = \"optional\"\n", ""],
        &["path = \"/About\"\nrequire = { groups = \"admins\" }\n", "require = { groups = \"admins\", roles = \"a\" }\n"],
        &["path = \"/_stcore/**\"\nrequire = { groups = \"admins\" }\n", ""],
        &["path = \"/_stcore/stream\"\naccess = \"deny\"\n", "path = \"/Admin\"\nrequire = { groups = \"a\" }\n", ""],
        &["path = \"/Admin\"\nrequire = { groups = [\"a\", \"admins\"] }\n", ADMINS],
        &["path = \"/Admin\"\nrequire = { email_domain = \"x.example\" }\n", "require = { email = \"a@x.example\" }\n"],
        // No page at all.
        &["path = \"/_stcore/upload_file/**\"\naccess = \"deny\"\n", ""],
        &["path = [\"/media/*/**\", \"/component/x\", \"/app/static/secret.pdf\", \"/_stcore/health\"]\naccess = \"deny\"\n", ""],
        // Nothing that a page is asked for with.
        &["methods = [\"POST\", \"PUT\"]\naccess = \"deny\"\n", ""],
        // A rule that never decides.
        &["", "path = \"/Admin\"\naccess = \"deny\"\n"],
        &["path = \"/A/**\"\n", "path = \"/A/b\"\naccess = \"deny\"\n", ""],
    ] {
        assert_eq!(refused("", rules), [""; 0], "{rules:#?}");
        let other_app = Config::parse(&Source::new("secrets.toml", &toml("", "", &["path = \"/Admin\"\naccess = \"deny\"\n", ""])));
        assert!(other_app.is_ok(), "rules of any other application are held");
    }
}

#[test]
fn the_base_path_is_where_the_pages_are() {
    for base in ["/base", "/Base.d/a;b", "/a*b"] {
        let admin = format!("path = \"{}/Admin\"\naccess = \"deny\"\n", if base == "/base" { base } else { "/**" });
        assert_eq!(refused(base, &[&admin, ""]), ["1"], "{base}");
        for elsewhere in ["/Admin", "/other/**", "/", "/_stcore/stream"] {
            let elsewhere = format!("path = \"{elsewhere}\"\naccess = \"deny\"\n");
            assert_eq!(refused(base, &[&elsewhere, ""]), [""; 0], "{base} {elsewhere}");
        }
    }
    assert_eq!(refused("/base", &["path = \"/base\"\naccess = \"deny\"\n", ""]), ["1"]);
    assert_eq!(refused("/base", &["path = \"/base/_stcore/x\"\naccess = \"deny\"\n", ""]), [""; 0]);
    assert_eq!(refused("/base", &["path = \"/base/**\"\n"]), [""; 0], "no page is elsewhere");
    assert_eq!(refused("/base", &["path = \"/base/*\"\n", "path = \"/base/_stcore/**\"\n"]), ["2"], "not the first one");
}

#[test]
fn another_host_is_no_way_around() {
    const OWN: &str = "host = \"app.example\"\n";
    const OWN_FOR_ADMINS: &str = "host = \"app.example\"\nrequire = { groups = \"admins\" }\n";
    for (rules, expected) in [
        (&[OWN_FOR_ADMINS, ""][..], &["1"][..]),
        (&["host = \"app.example\"\naccess = \"public\"\n", ""], &["2"]),
        (&["host = \"app.example\"\npath = \"/Admin\"\naccess = \"deny\"\n", ""], &["1"]),
        (&["path = \"/_stcore/**\"\nhost = \"app.example\"\n", "require = { groups = \"admins\" }\n"], &["2"]),
        // The only host, or the same on each.
        (&[OWN], &[]),
        (&[OWN, OWN], &[]),
        (&[OWN, ""], &[]),
        (&["host = \"app.example\"\naccess = \"deny\"\n", ""], &[]),
        (&["host = [\"app.example\"]\nrequire = { groups = \"a\" }\n", "access = \"deny\"\n"], &[]),
    ] {
        assert_eq!(refused("", rules), expected, "{rules:#?}");
    }
}
