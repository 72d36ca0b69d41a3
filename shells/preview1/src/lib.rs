//! What the C library under Rust's standard library asks of an operating system, answered without one.
//!
//! Toolchains whose wasi-libc still speaks WASI preview 1 would bring in an adapter, and with it the environment, file
//! system and standard streams as imports of the component. These definitions stand in their place; the link is made
//! without an adapter, so that any other such call fails it. Where wasi-libc speaks preview 2, nobody calls them.
//!
//! Errors are those of preview 1: 8 is `badf`.

//! To be linked into every guest, once: `use vestibule_preview1 as _;`.

#![cfg(target_family = "wasm")]
#![expect(unsafe_code, reason = "the C library's calling convention: pointers into our own memory")]

use bindings::wasi::clocks::wall_clock;

mod bindings {
    wit_bindgen::generate!({
        inline: "package vestibule:preview1; world clock { import wasi:clocks/wall-clock@0.2.6; }",
        path: "wit/deps/clocks",
        generate_all,
    });
}

const SUCCESS: i32 = 0;
const BAD_DESCRIPTOR: i32 = 8;

/// There is no environment: no variables, no bytes.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_environ_sizes_get(count: *mut usize, bytes: *mut usize) -> i32 {
    // SAFETY: both pointers are to local variables of the C library, valid for writes.
    unsafe {
        count.write(0);
        bytes.write(0);
    }
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_environ_get(_environ: *mut *mut u8, _bytes: *mut u8) -> i32 {
    SUCCESS
}

/// Every clock is the wall clock: the one caller is a library that is always told the time.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_clock_time_get(_clock: i32, _precision: i64, time: *mut u64) -> i32 {
    let now = wall_clock::now();
    let nanoseconds = now.seconds.saturating_mul(1_000_000_000).saturating_add(now.nanoseconds.into());
    // SAFETY: the pointer is to a local variable of the C library, valid for writes.
    unsafe { time.write(nanoseconds) };
    SUCCESS
}

/// There are no streams. A panic message has nowhere to go; the trap that follows is the host's to report.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_fd_write(_fd: i32, _vectors: *const u8, _count: usize, _written: *mut usize) -> i32 {
    BAD_DESCRIPTOR
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_proc_exit(_code: i32) -> ! {
    core::arch::wasm32::unreachable()
}
