//! picoinit: the smallest complete PID 1 for Linux that a person can read in one sitting.
//!
//! Begin with `src/main.rs`: it tells the life of PID 1 in order. Each duty is
//! one of the modules below.

#![no_std]
#![deny(missing_docs)]

/// Defines what a panic does: in a release build there is none.
///
/// The handler calls a function that does not exist. If any panic can be
/// reached, the linker finds the call and refuses to make the program; if it
/// does not refuse, that is the proof that PID 1 cannot panic.
#[macro_export]
macro_rules! panic_handler {
    () => {
        #[panic_handler]
        fn panic(_: &core::panic::PanicInfo) -> ! {
            #[cfg(not(debug_assertions))]
            {
                unsafe extern "C" {
                    fn picoinit_a_panic_can_be_reached() -> !;
                }
                // SAFETY: never linked, so never called.
                unsafe { picoinit_a_panic_can_be_reached() }
            }
            #[cfg(debug_assertions)]
            {
                loop {
                    $crate::signals::sleep_until_child_ends();
                }
            }
        }
    };
}

pub mod arch;
pub mod buffer;
pub mod console;
pub mod mounts;
pub mod program;
pub mod reap;
pub mod say;
pub mod shared;
pub mod signals;
pub mod sys;
pub mod teardown;
