//! Duty: start the program that PID 1 is there for.

#[cfg(feature = "container")]
use crate::container::{execvpe as execve, find_program};
use crate::shared::Shared;
use crate::sys::Word;
#[cfg(not(feature = "container"))]
use crate::sys::execve;
use crate::{console, reap, say, signals, sys, teardown};
use core::ffi::CStr;
use core::ptr::null;
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::errno::ENOENT;
use linux_raw_sys::general::{LINUX_REBOOT_CMD_POWER_OFF, SIGKILL};

/// What runs when no program is named.
const DEFAULT: &CStr = c"/etc/rc";

/// The exit status of a program that is not there, as shells have it.
const NOT_FOUND: i32 = 127;
/// The exit status of a program that is there and cannot be executed.
const NOT_EXECUTABLE: i32 = 126;

/// Starts the program in a child process. If that cannot be done, PID 1 has
/// nothing to live for, and ends the machine as if the program had ended.
///
/// # Safety
///
/// `stack` is what the kernel passes to `_start`: the address of argc, then
/// argv, NULL, envp, NULL.
#[inline(always)] // it has one caller
pub unsafe fn start(shared: &Shared, stack: *const usize) {
    duty!("spawn");
    let default = [Word(DEFAULT.as_ptr()), Word(null())];
    // SAFETY: the caller's.
    let (argv, envp) = unsafe {
        let argv = stack.add(1).cast::<Word>();
        (find_program(argv, default.as_ptr()), argv.add(*stack + 1))
    };

    #[cfg(feature = "container")]
    // SAFETY: the environment is as the kernel made it.
    unsafe {
        crate::container::read_grace(shared, envp)
    };

    let child = sys::fork();
    if child == 0 {
        become_program(argv, envp);
    }
    shared.program.store(child, Relaxed);
    // Until it is reaped, it counts as killed: the teardown may have to leave it
    // behind, hanging in the kernel.
    shared.exit_status.store(reap::exit_status(SIGKILL as i32), Relaxed);
    if child < 0 {
        // SAFETY: at least one word, then NULL.
        say::cannot(c"run ", unsafe { *argv }, child);
        shared.exit_status.store(NOT_EXECUTABLE, Relaxed);
        teardown::begin(shared, LINUX_REBOOT_CMD_POWER_OFF);
    }
}

/// Finds the program among the words that PID 1 was started with: the first
/// that begins with `/`, apart from PID 1's own name, and all that follow it.
/// If there is none, it is `default`.
///
/// The kernel passes what it did not understand of its command line, such as
/// `splash`, and then what follows `--` there (`unknown_bootoption` and
/// `set_init_arg` in init/main.c).
///
/// # Safety
///
/// `argv` is at least one word, then NULL.
#[cfg(not(feature = "container"))]
pub unsafe fn find_program(mut argv: *const Word, default: *const Word) -> *const Word {
    loop {
        // SAFETY: NULL is still to come, and a word has a first byte.
        unsafe {
            argv = argv.add(1);
            if (*argv).0.is_null() {
                return default;
            }
            if *(*argv).0 as u8 == b'/' {
                return argv;
            }
        }
    }
}

/// Turns this process, a child of PID 1, into the program.
#[inline(always)] // as reap_forever
fn become_program(argv: *const Word, envp: *const Word) -> ! {
    console::take_control();
    signals::unblock_all();
    // SAFETY: both arrays end with NULL, as the kernel and `start` made them.
    let (path, error) = unsafe { (*argv, execve(*argv, argv, envp)) };
    say::cannot(c"run ", path, error);
    sys::exit(if error == -(ENOENT as i32) { NOT_FOUND } else { NOT_EXECUTABLE })
}
