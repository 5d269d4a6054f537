//! What the signal handler has to know.

#[cfg(feature = "container")]
use core::sync::atomic::AtomicU16;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32};

/// What the signal handler and the code that it interrupts share. At the
/// start, all is 0.
#[repr(C, align(16))]
pub struct Shared {
    /// The PID of the program; 0 if it is not running.
    pub program: AtomicI32,
    /// What PID 1 exits with if it has to: how the program ended; until it
    /// has, as if it had been killed.
    pub exit_status: AtomicI32,
    /// The reboot(2) command that ends the teardown; 0 if none is under way.
    pub stopping: AtomicU32,
    /// Whether the teardown has killed everyone.
    pub killed: AtomicBool,
    /// How long the teardown lets processes take, in seconds.
    #[cfg(feature = "container")]
    pub grace: AtomicU16,
}

// As much as `_start` makes room for.
const _: () = assert!(size_of::<Shared>() == 16);

impl Shared {
    /// Finds it from inside the signal handler, to which the kernel passes
    /// nothing of ours.
    ///
    /// A `static` would be the usual way. It would make a second, writable
    /// segment of the program: 56 bytes of ELF header and a page of memory.
    /// But the handler runs on the same stack, further down; so it looks
    /// upwards for the mark that `_start` put below this: a word that is the
    /// negative of the address after it, which no other word can be by chance.
    #[inline(always)]
    pub fn from_stack() -> &'static Shared {
        let here = 0usize;
        // What is above was put there outside Rust: an address, no pointer into `here`.
        let address = (&raw const here).expose_provenance();
        let mut place = core::ptr::with_exposed_provenance::<usize>(address);
        // SAFETY: the mark is further up on the stack, and after it is what
        // `_start` zeroed, which outlives everything and is shared by atomics only.
        unsafe {
            loop {
                let word = place.read_volatile();
                place = place.wrapping_add(1);
                if word.wrapping_add(place.addr()) == 0 {
                    return &*place.cast();
                }
            }
        }
    }
}
