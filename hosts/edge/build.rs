//! Says where the program finds, while it is linked, the component that it is to carry: a folder with the files `component`,
//! `code` and `seal`, which `vestibule carry` writes. Only the program itself depends on their content, so that a new component
//! costs a link; here it is enough that they are there. Empty ones make a program that carries none.
//!
//! The folder is `carried` in the profile's folder below `target/`, or what `VESTIBULE_CARRIED` names. A release build with nothing to
//! carry has a warning, unless `VESTIBULE_CARRY` is `later`: the scripts build a program first to compile the component with it.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::{env, process};

const FILES: [&str; 3] = ["component", "code", "seal"];

fn main() {
    // The demo has it from here: cargo takes a file that is not there for one that has changed.
    if Path::new("build.rs").exists() {
        println!("cargo::rerun-if-changed=build.rs");
    }
    println!("cargo::rerun-if-env-changed=VESTIBULE_CARRIED");
    let Some(folder) = folder() else { fail("there is no OUT_DIR: cargo runs this") };
    match FILES.iter().try_for_each(|file| make(&folder, file)) {
        Ok(()) => {
            println!("cargo::rustc-env=VESTIBULE_CARRIED={}", folder.display());
            warn_of_nothing(&folder.join("component"));
        }
        Err(error) => fail(&format!("{}: {error}", folder.display())),
    }
}

fn folder() -> Option<PathBuf> {
    match env::var_os("VESTIBULE_CARRIED") {
        Some(folder) => Some(env::current_dir().ok()?.join(folder)),
        // target/PROFILE/build/PACKAGE/out
        None => Some(Path::new(&env::var_os("OUT_DIR")?).ancestors().nth(3)?.join("carried")),
    }
}

/// What the package has of it, else nothing; a file that is there stays.
fn make(folder: &Path, file: &str) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let packaged = fs::read(Path::new("carried").join(file)).unwrap_or_default();
    match OpenOptions::new().write(true).create_new(true).open(folder.join(file)) {
        Ok(mut made) => made.write_all(&packaged),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// What `cargo install` makes would be of no use, and say so at its first start only.
fn warn_of_nothing(component: &Path) {
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|set| set == value);
    let is_empty = fs::metadata(component).is_ok_and(|file| file.len() == 0);
    if is_empty && is("PROFILE", "release") && is("CARGO_PKG_NAME", "vestibule-edge") && !is("VESTIBULE_CARRY", "later") {
        println!("cargo::warning=this program carries no component, and starts with --component only: run `make build`, then build again");
        // Said as long as it is true.
        println!("cargo::rerun-if-changed={}", component.display());
    }
}

fn fail(reason: &str) -> ! {
    println!("cargo::error={reason}");
    process::exit(1)
}
