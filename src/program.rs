//! Duty: start the program that PID 1 is there for.

use crate::shared::Shared;
use crate::sys::Word;
use crate::{say, signals, sys, teardown};
use core::ffi::CStr;
use core::ptr::null;
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::errno::ENOENT;
use linux_raw_sys::general::LINUX_REBOOT_CMD_POWER_OFF;
use rustix::process::{ioctl_tiocsctty, setsid};

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
pub unsafe fn start(shared: &Shared, stack: *const usize) {
    let default = [Word(DEFAULT.as_ptr()), Word(null())];
    // SAFETY: the caller's.
    let (argv, envp) = unsafe {
        let (argc, words) = (*stack, stack.add(1).cast::<Word>());
        let argv = find_program(core::slice::from_raw_parts(words, argc));
        (argv.unwrap_or(&default[0]), words.add(argc + 1))
    };

    let child = sys::fork();
    if child == 0 {
        become_program(argv, envp);
    }
    if child < 0 {
        say::cannot(c"cannot run ", *argv, child);
        shared.status.store(NOT_EXECUTABLE << 8, Relaxed);
        return teardown::begin(shared, LINUX_REBOOT_CMD_POWER_OFF);
    }
    shared.program.store(child, Relaxed);
}

/// Finds the program among the words that PID 1 was started with: the first
/// that begins with `/`, PID 1 itself apart.
///
/// The kernel passes what it did not understand of its command line, such as
/// `splash`, and then what follows `--` there (`unknown_bootoption` and
/// `set_init_arg` in init/main.c).
pub fn find_program(words: &[Word]) -> Option<&Word> {
    words
        .iter()
        .skip(1)
        .find(|word| word.bytes().next() == Some(b'/'))
}

/// Turns this process, a child of PID 1, into the program.
fn become_program(argv: *const Word, envp: *const Word) -> ! {
    // Its own session, and the console as controlling terminal: so that Ctrl-C
    // and job control work. Where descriptor 0 is no terminal, there is none.
    // SAFETY: if descriptor 0 is closed, ioctl(2) says so and does nothing.
    let stdin = unsafe { rustix::stdio::stdin() };
    let _ = setsid();
    let _ = ioctl_tiocsctty(stdin);
    signals::unblock_all();
    // SAFETY: both arrays end with NULL, as the kernel and `start` made them.
    let (path, error) = unsafe { (*argv, sys::execve(*argv, argv, envp)) };
    say::cannot(c"cannot run ", path, error);
    sys::exit(if error == -(ENOENT as i32) {
        NOT_FOUND
    } else {
        NOT_EXECUTABLE
    })
}
