//! What the signal handler has to know.

use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32};

/// The stack of PID 1 begins at a multiple of this many bytes, and is never
/// used deeper than this.
pub const STACK_WINDOW: usize = 64 * 1024;

/// What the signal handler and the code that it interrupts share. At the
/// start, all is 0.
#[repr(C, align(16))]
pub struct Shared {
    /// The PID of the program; 0 if it is not running.
    pub program: AtomicI32,
    /// How the program ended, as wait4(2) tells it.
    pub status: AtomicI32,
    /// The reboot(2) command that ends the teardown; 0 if none is under way.
    pub stopping: AtomicU32,
    /// Whether the teardown has killed everyone.
    pub killed: AtomicBool,
}

impl Shared {
    /// Finds it from inside the signal handler, to which the kernel passes no
    /// more than the signal's number.
    ///
    /// A `static` would be the usual way. It would make a second, writable
    /// segment of the program: 56 bytes of ELF header and a page of memory.
    /// But `_start` put this at the very top of the stack and aligned it, so
    /// that any address on the stack leads here. Linux itself found the task
    /// that runs like this, from its kernel stack (`current_thread_info`, up to 4.8).
    #[inline(always)]
    pub fn from_stack() -> &'static Shared {
        let here = 0u8;
        let top = (&raw const here as usize | (STACK_WINDOW - 1)) + 1;
        // SAFETY: `_start` reserved and zeroed these bytes; they outlive
        // everything, and are shared by atomics only.
        unsafe { &*core::ptr::with_exposed_provenance(top - size_of::<Shared>()) }
    }
}
