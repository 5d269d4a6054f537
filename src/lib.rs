//! picoinit: a complete PID 1 for Linux that a person can read in one sitting.
//!
//! Begin with `src/main.rs`: it tells the life of PID 1 in order. Each duty is one of the
//! modules below; each can be left out of the build, by a feature of its name, so that one can
//! see what breaks without it.

#![no_std]
#![deny(missing_docs)]

pub mod arch;
pub mod console;
pub mod container;
pub mod cstr;
pub mod mounts;
pub mod program;
pub mod reap;
pub mod say;
pub mod signals;
pub mod state;
pub mod sys;
pub mod teardown;

/// What a panic does: in a release build, there is none.
///
/// This calls a function that does not exist. If any panic could be reached, the linker would
/// find the call and refuse to make the program; so a program that links cannot panic. A
/// development build may, and then sleeps: the kernel would panic with it if it exited.
pub fn never_panic() -> ! {
    // SAFETY: defined nowhere, on purpose.
    unsafe extern "C" {
        fn picoinit_a_panic_can_be_reached() -> !;
    }
    while cfg!(debug_assertions) {
        signals::wait(None);
    }
    // SAFETY: never linked, so never called.
    unsafe { picoinit_a_panic_can_be_reached() }
}
