//! Where the component is.

use std::path::{Path, PathBuf};

/// The component's names beside the program, the preferred one first.
const FILE_NAMES: [&str; 2] = ["vestibule-wide.wasm", "vestibule.wasm"];

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum NoComponent {
    #[error("{0}: there is no component there; run `make build`, which makes dist/vestibule.wasm, or correct --component")]
    NotThere(PathBuf),
    #[error("the program does not know where it is ({0}); name the component with --component")]
    NoProgram(std::io::Error),
}

/// The component's path: the one given, else `vestibule-wide.wasm` or `vestibule.wasm` beside this program.
///
/// # Errors
/// [`NoComponent`] when no file is there.
pub fn find(given: Option<&Path>) -> Result<PathBuf, NoComponent> {
    let paths = match given {
        Some(path) => vec![path.to_owned()],
        None => beside(&std::env::current_exe().map_err(NoComponent::NoProgram)?),
    };
    match paths.iter().find(|path| path.is_file()) {
        Some(path) => Ok(path.clone()),
        None => Err(NoComponent::NotThere(paths.into_iter().next_back().unwrap_or_default())),
    }
}

fn beside(program: &Path) -> Vec<PathBuf> {
    FILE_NAMES.map(|name| program.with_file_name(name)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_with_wide_arithmetic_is_preferred() {
        let names = beside(Path::new("/opt/vestibule/vestibule"));
        assert_eq!(names, [Path::new("/opt/vestibule/vestibule-wide.wasm"), Path::new("/opt/vestibule/vestibule.wasm")]);
    }

    #[test]
    fn a_missing_component_names_the_remedy() {
        let message = find(Some(Path::new("no/such.wasm"))).expect_err("not there").to_string();
        assert!(message.starts_with("no/such.wasm: ") && message.contains("make build"), "{message}");
    }
}
