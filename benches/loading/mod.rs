//! What it takes to compile the component, and to load what was compiled: once in the life of a release, and at each start.

use std::fs;
use std::path::Path;
use std::time::Instant;

use vestibule_wasmtime::{FilterComponent, Runtime, RuntimeOptions};

const LOADS: usize = 11;
const MIB: u64 = 1024 * 1024;

/// Prints it for the component at `path`. To be called before anything else was compiled.
pub(crate) fn measure(path: &Path, median: impl Fn(&[f64]) -> f64) {
    let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-cache");
    let _ = fs::remove_dir_all(&cache);
    // "5" has the system forget the most that was in use so far (proc_pid_clear_refs(5)).
    if fs::write("/proc/self/clear_refs", "5").is_err() {
        println!("compiling and loading: not measured, the system does not tell");
        return;
    }
    let (before, processor, start) = (memory("VmRSS:"), processor_seconds(), Instant::now());
    let component = load(path, &cache);
    let (seconds, processor) = (start.elapsed().as_secs_f64(), processor_seconds() - processor);
    let more = memory("VmHWM:") - before;
    let compiled: u64 = fs::read_dir(&cache).expect("compiled").filter_map(|file| Some(file.ok()?.metadata().ok()?.len())).sum();
    drop(component);
    let loads: Vec<f64> = (0..LOADS)
        .map(|_| {
            let runtime = Runtime::new(&RuntimeOptions::default()).expect("a runtime");
            let start = Instant::now();
            FilterComponent::from_file(&runtime, path, Some(&cache)).expect("loads");
            start.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    println!("component: {} bytes; compiled: {compiled} bytes", fs::metadata(path).expect("a file").len());
    println!("compiling: {processor:.2} s of the processors, {seconds:.2} s, at most {} MiB more", more / MIB);
    println!("loading what was compiled: {:.1} ms (median of {LOADS})", median(&loads));
}

fn load(path: &Path, cache: &Path) -> FilterComponent {
    let runtime = Runtime::new(&RuntimeOptions::default()).expect("a runtime");
    FilterComponent::from_file(&runtime, path, Some(cache)).expect("dist/vestibule-wide.wasm: run `make build` first")
}

/// In bytes.
fn memory(line: &str) -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("of this system");
    let kib = status.lines().find_map(|given| given.strip_prefix(line)?.trim().strip_suffix(" kB")).expect("a line of it");
    kib.parse::<u64>().expect("a number") * 1024
}

/// In hundredths of a second, as Linux counts.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").expect("of this system");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("the end").split_whitespace().collect();
    fields[11..13].iter().map(|ticks| ticks.parse::<f64>().expect("a number") / 100.0).sum()
}
