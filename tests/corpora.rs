//! The corpora of `fuzz/`, gone through once more: what a fuzzer has found interesting keeps its promises.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a step that fails ends its test, and says where")]
#![allow(clippy::print_stdout, reason = "shown of a test that fails")]

#[allow(unreachable_pub, reason = "a library of its own in fuzz/")]
#[path = "../fuzz/src/lib.rs"]
mod fuzz;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn replay(target: &str, run: fn(&[u8])) {
    let folder = corpora().join(target);
    let files = names(&folder);
    assert!(!files.is_empty(), "{} is empty", folder.display());
    for file in files {
        // The last line of a test that fails names the file.
        println!("fuzz/corpus/{target}/{file}");
        run(&fs::read(folder.join(file)).unwrap());
    }
}

macro_rules! replay {
    ($($target:ident),+) => {
        const TARGETS: &[&str] = &[$(stringify!($target)),+];
        $(
            #[test]
            fn $target() {
                replay(stringify!($target), fuzz::$target::run);
            }
        )+
    };
}

replay!(
    callback_query,
    canonical_request,
    configuration,
    cookie_header,
    id_token,
    jwks,
    metadata,
    return_to,
    sealed_cookie,
    steps,
    streamlit,
    token_answer
);

#[test]
fn every_target_has_a_corpus_and_every_corpus_a_target() {
    let targets: BTreeSet<String> = TARGETS.iter().map(|&target| target.to_owned()).collect();
    assert_eq!(names(&corpora()), targets);
    let programs: BTreeSet<String> = TARGETS.iter().map(|target| format!("{target}.rs")).collect();
    assert_eq!(names(&corpora().with_file_name("fuzz_targets")), programs);
}
