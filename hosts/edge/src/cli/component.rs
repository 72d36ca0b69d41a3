//! Where the component is.

use std::path::{Path, PathBuf};

/// The component's name beside the program.
const FILE_NAME: &str = "vestibule.wasm";

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum NoComponent {
    #[error("{0}: there is no component there; run `make build`, which makes dist/vestibule.wasm, or correct --component")]
    NotThere(PathBuf),
    #[error("the program does not know where it is ({0}); name the component with --component")]
    NoProgram(std::io::Error),
}

/// The component's path: the one given, else `vestibule.wasm` beside this program.
///
/// # Errors
/// [`NoComponent`] when no file is there.
pub fn find(given: Option<&Path>) -> Result<PathBuf, NoComponent> {
    let path = match given {
        Some(path) => path.to_owned(),
        None => std::env::current_exe().map_err(NoComponent::NoProgram)?.with_file_name(FILE_NAME),
    };
    if path.is_file() { Ok(path) } else { Err(NoComponent::NotThere(path)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_component_names_the_remedy() {
        let message = find(Some(Path::new("no/such.wasm"))).expect_err("not there").to_string();
        assert!(message.starts_with("no/such.wasm: ") && message.contains("make build"), "{message}");
    }
}
