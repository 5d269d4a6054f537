//! Duty: start the program that PID 1 is there for.

use crate::{console, container, cstr::ThinCStr, say::say, signals, state::Init, sys};
use rustix::{io::Errno, process::Pid, system::RebootCommand};

/// The exit status of a program that is not there, as shells have it.
const NOT_FOUND: i32 = 127;
/// The exit status of a program that is there and cannot be executed.
const NOT_EXECUTABLE: i32 = 126;

/// Starts the program in a child process. If that fails, PID 1 has no purpose, and stops as if
/// the program had exited.
///
/// # Safety
///
/// `stack` is what the kernel passes to `_start`: the address of argc, then argv, NULL, envp,
/// NULL.
pub unsafe fn start(init: &mut Init, stack: *const usize) {
    if cfg!(not(feature = "spawn")) {
        return;
    }
    let default = [Some(ThinCStr::from(c"/etc/rc")), None];
    // SAFETY: the caller's.
    let (argv, envp) = unsafe { (stack.add(1).cast(), stack.add(*stack + 2).cast()) };
    let found = if cfg!(feature = "container") {
        // SAFETY: as above.
        unsafe { container::prepare(init, argv, envp) }
    } else {
        // SAFETY: as above.
        unsafe { find(argv) }.or(Some(default.as_ptr().cast()))
    };
    let Some(argv) = found else { return give_up(init, 1) };
    match sys::fork() {
        // SAFETY: both arrays are as the kernel made them, or as `default`.
        0 => unsafe { become_program(argv, envp) },
        // SAFETY: there is one word at least.
        error if error < 0 => give_up(init, cannot_run(unsafe { *argv }, error)),
        child => init.program = Pid::from_raw(child),
    }
}

/// Finds the program among the words that PID 1 was started with: the first that begins with
/// `/`, apart from PID 1's own name. All that follow it are its arguments.
///
/// The kernel passes what it did not understand of its command line, such as `splash`, and then
/// what follows `--` there (`unknown_bootoption` and `set_init_arg` in init/main.c).
///
/// # Safety
///
/// `argv` is at least one word, then NULL.
pub unsafe fn find(mut argv: *const Option<ThinCStr>) -> Option<*const ThinCStr> {
    loop {
        // SAFETY: NULL is still to come.
        unsafe {
            argv = argv.add(1);
            if (*argv)?.bytes().next() == Some(b'/') {
                return Some(argv.cast());
            }
        }
    }
}

/// Turns this process, a child of PID 1, into the program.
///
/// # Safety
///
/// `argv` is at least one word, then NULL; `envp` ends with NULL.
#[inline(always)] // a call that never returns is not inlined by itself
unsafe fn become_program(argv: *const ThinCStr, envp: *const Option<ThinCStr>) -> ! {
    console::take_control();
    signals::block(signals::NONE);
    let execute = if cfg!(feature = "container") { container::execvpe } else { sys::execve };
    // SAFETY: the caller's.
    unsafe { sys::exit(cannot_run(*argv, execute(*argv, argv, envp))) }
}

/// Says why the program cannot be executed: `error` is an errno, negated. Returns what counts as
/// its exit status.
fn cannot_run(path: ThinCStr, error: i32) -> i32 {
    say(c"init: cannot run @: errno #\n", Some(path), -error, 0);
    if error == -Errno::NOENT.raw_os_error() { NOT_FOUND } else { NOT_EXECUTABLE }
}

/// There is no program: stops as if it had exited.
fn give_up(init: &mut Init, exit_status: i32) {
    init.exit_status = exit_status;
    init.request = Some(RebootCommand::PowerOff);
}
