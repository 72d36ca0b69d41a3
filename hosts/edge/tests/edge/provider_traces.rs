//! How a program that has the development provider in it is known.

use std::path::Path;

/// Texts of its pages and of its cookies.
fn traces() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    // The pages of the login look alike.
    let ours = std::fs::read_to_string(root.join("templates/page.html")).expect("the login's own pages");
    let mut traces = vec!["vestibule-dev-provider-".to_owned()];
    for template in std::fs::read_dir(root.join("dev/provider/templates")).expect("templates") {
        let text = std::fs::read_to_string(template.expect("a template").path()).expect("text");
        // A line without an expression stands in the program as it is.
        let lines = text.lines().map(str::trim).filter(|line| line.len() > 20 && !line.contains('{') && !ours.contains(line));
        traces.extend(lines.map(str::to_owned));
    }
    assert!(traces.len() > 10, "{traces:?}");
    traces
}

/// Those that a program has.
#[allow(dead_code, reason = "one of the two that include this uses it")]
pub fn found_in(program: &Path) -> Vec<String> {
    let program = std::fs::read(program).expect("a program");
    traces().into_iter().filter(|trace| contains(&program, trace)).collect()
}

/// Those that it lacks.
#[allow(dead_code, reason = "one of the two that include this uses it")]
pub fn missing_in(program: &Path) -> Vec<String> {
    let program = std::fs::read(program).expect("a program");
    traces().into_iter().filter(|trace| !contains(&program, trace)).collect()
}

fn contains(program: &[u8], text: &str) -> bool {
    let first = text.as_bytes()[0];
    let starts = program.iter().enumerate().filter(|(_, byte)| **byte == first);
    starts.into_iter().any(|(at, _)| program[at..].starts_with(text.as_bytes()))
}
