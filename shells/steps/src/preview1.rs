//! What the C library of `wasm32-wasip1` and the standard library ask of WASI preview 1, answered without it: a host of this module
//! need not have WASI. The link resolves these names to the definitions here; any other call of preview 1 would be an import, and
//! a test reads the imports. The linker also exports them; no host calls them.
//!
//! Errors are those of preview 1: 8 is `badf`.

#![expect(unsafe_code, reason = "the C library's calling convention: pointers into our own memory")]

use crate::host;

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
    // SAFETY: the pointer is to a local variable of the C library, valid for writes.
    unsafe { time.write(host::now().as_secs().saturating_mul(1_000_000_000)) };
    SUCCESS
}

/// There are no streams. A panic message has nowhere to go; the trap that follows is the host's to report.
#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_fd_write(_fd: i32, _vectors: *const u8, _count: usize, _written: *mut usize) -> i32 {
    BAD_DESCRIPTOR
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_random_get(address: *mut u8, bytes: usize) -> i32 {
    // SAFETY: the caller gives a buffer of this length, valid for writes.
    host::fill(unsafe { std::slice::from_raw_parts_mut(address, bytes) });
    SUCCESS
}

#[unsafe(no_mangle)]
extern "C" fn __imported_wasi_snapshot_preview1_proc_exit(_code: i32) -> ! {
    core::arch::wasm32::unreachable()
}
