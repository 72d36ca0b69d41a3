//! `vestibule`: the edge proxy and the operator's tool. All of it is in the library; here is what it is linked with.

use std::process::ExitCode;

/// What many connections have left behind goes back to the system within seconds, by jemalloc's own thread. With musl, which that
/// thread does not support, it goes back as soon as something else is allocated.
#[cfg(all(feature = "jemalloc", unix))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"))]
    static_glibc::resolve_without_modules();
    vestibule_edge::cli::program::run(&vestibule_edge::carried!())
}

/// Of the program that is linked with glibc statically.
#[cfg(all(target_os = "linux", target_env = "gnu", target_feature = "crt-static"))]
#[expect(unsafe_code, reason = "a function of glibc; see SAFETY")]
mod static_glibc {
    use std::ffi::{c_char, c_int};

    unsafe extern "C" {
        /// glibc, `nss/nsswitch.h`.
        fn __nss_configure_lookup(database: *const c_char, services: *const c_char) -> c_int;
    }

    /// Names are looked up in `/etc/hosts`, then by DNS. `/etc/nsswitch.conf` can name further services, each a shared object of the
    /// system: glibc would load it, and the system's own glibc with it, into a program that has another one.
    pub(super) fn resolve_without_modules() {
        // SAFETY: two C strings that live for ever; no other thread runs yet. The result says whether glibc knows the database
        // `hosts`, which every glibc does.
        unsafe { __nss_configure_lookup(c"hosts".as_ptr(), c"files dns".as_ptr()) };
    }
}
