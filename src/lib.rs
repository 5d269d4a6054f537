//! picoinit: the smallest complete PID 1 for Linux that a person can read in one sitting.
//!
//! Begin with `src/main.rs`: it tells the life of PID 1 in order. Each duty is
//! one of the modules below.

#![no_std]
#![deny(missing_docs)]

/// Defines what a panic does: in a release build there is none.
///
/// The handler calls a function that does not exist. If any panic could be
/// reached, the linker would find the call, and refuse to make the program; as
/// it does not refuse, PID 1 cannot panic. A development build may, and then
/// sleeps: the kernel would panic with it if it ended.
#[macro_export]
macro_rules! panic_handler {
    () => {
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo) -> ! {
            // SAFETY: defined nowhere, on purpose.
            unsafe extern "C" {
                fn picoinit_a_panic_can_be_reached() -> !;
            }
            while cfg!(debug_assertions) {
                $crate::signals::sleep_until_child_ends();
            }
            // SAFETY: never linked, so never called.
            unsafe { picoinit_a_panic_can_be_reached() }
        }
    };
}

/// Ends a function at once if its duty was left out of the build: each is a
/// feature of the crate, so that one can see what breaks without it.
macro_rules! duty {
    ($name:literal) => {
        if cfg!(not(feature = $name)) {
            return;
        }
    };
}

pub mod arch;
pub mod buffer;
pub mod console;
#[cfg(feature = "container")]
pub mod container;
pub mod mounts;
pub mod program;
pub mod reap;
pub mod say;
pub mod shared;
pub mod signals;
pub mod sys;
pub mod teardown;
