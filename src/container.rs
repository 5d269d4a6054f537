//! What only containers need, with the feature `container`: a `--` before the program, a program
//! that is looked up in PATH, a grace time from the environment, and a program that answers all
//! signals itself.

use crate::cstr::ThinCStr;
use crate::say::{Buffer, say};
use crate::state::Init;
use crate::{reap, signals, sys};
use core::ffi::CStr;
use rustix::io::Errno;
use rustix::process::Signal;

/// Finds the program: the first word after PID 1's own name, or the one after that if the first
/// is `--`. All that follow it are its arguments.
///
/// # Safety
///
/// `argv` is at least one word, then NULL.
pub unsafe fn find(argv: *const Option<ThinCStr>) -> Option<*const ThinCStr> {
    // SAFETY: a word that is not NULL is followed by another, or by NULL.
    unsafe {
        let mut program = argv.add(1);
        if (*program)?.bytes().eq(*b"--") {
            program = program.add(1);
        }
        (*program).map(|_| program.cast())
    }
}

/// Finds the program, or says how to name one; and reads the grace time.
///
/// # Safety
///
/// `argv` is at least one word, then NULL; `envp` ends with NULL.
pub unsafe fn prepare(
    init: &mut Init,
    argv: *const Option<ThinCStr>,
    envp: *const Option<ThinCStr>,
) -> Option<*const ThinCStr> {
    // SAFETY: the caller's.
    let (program, grace) = unsafe { (find(argv), grace(envp)) };
    init.grace = grace.unwrap_or(init.grace);
    if program.is_none() {
        say(c"init: usage: init [--] PROGRAM [ARGUMENT...]\n", None, 0, 0);
    }
    program
}

/// Passes a signal on to the program. SIGTERM also begins its grace time, in which signals are
/// passed on as before; then every process is stopped.
pub fn pass_on(init: &mut Init, signal: Signal) {
    signals::pass_on(init, signal);
    if signal != Signal::TERM {
        return;
    }
    let deadline = sys::hundredths().wrapping_add(init.grace);
    while init.program.is_some() && sys::hundredths() < deadline {
        let signal = signals::wait(Some(&signals::TENTH));
        reap::reap_all(init);
        if let Some(signal) = signal.filter(|signal| *signal != Signal::CHILD) {
            signals::pass_on(init, signal);
        }
    }
    init.is_over = true;
}

/// execve(2); a name without `/` is looked up in the PATH of the environment, as execvp(3) does
/// it. Returns only if it failed.
///
/// # Safety
///
/// `argv` is at least one word, then NULL; `envp` ends with NULL.
pub unsafe fn execvpe(name: ThinCStr, argv: *const ThinCStr, envp: *const Option<ThinCStr>) -> i32 {
    if name.bytes().any(|byte| byte == b'/') {
        // SAFETY: the caller's.
        return unsafe { sys::execve(name, argv, envp) };
    }
    let mut error = -Errno::NOENT.raw_os_error();
    // SAFETY: the caller's.
    let Some(path) = (unsafe { variable(envp, c"PATH=") }) else {
        return error;
    };
    let mut folders = path.bytes();
    let mut is_last = false;
    while !is_last {
        let mut file = Buffer::empty();
        loop {
            match folders.next() {
                Some(b':') => break,
                Some(byte) => file.push(byte),
                None => {
                    is_last = true;
                    break;
                }
            }
        }
        file.push(b'/');
        name.bytes().for_each(|byte| file.push(byte));
        // What does not fit is too long for a path.
        let Some(file) = file.as_c_str() else { continue };
        // SAFETY: the caller's, for the arrays.
        let returned = unsafe { sys::execve(ThinCStr::of(file), argv, envp) };
        // What is there and may not be executed says more than what is not there.
        if returned == -Errno::ACCESS.raw_os_error() {
            error = returned;
        }
    }
    error
}

/// The grace time, in hundredths of a second: PICOINIT_GRACE in the environment, in seconds, if
/// it is a number from 1 to 65535.
///
/// # Safety
///
/// `envp` is an array that ends with NULL.
pub unsafe fn grace(envp: *const Option<ThinCStr>) -> Option<u64> {
    // SAFETY: the caller's.
    let value = unsafe { variable(envp, c"PICOINIT_GRACE=") }?;
    let digits = value.bytes().map(|byte| byte.wrapping_sub(b'0'));
    let seconds = digits.into_iter().try_fold(0u16, |seconds, digit| match digit {
        0..=9 => seconds.checked_mul(10)?.checked_add(digit.into()),
        _ => None,
    })?;
    (seconds > 0).then(|| u64::from(seconds) * 100)
}

/// What follows `name`, which ends with `=`, in the environment.
///
/// # Safety
///
/// `envp` is an array that ends with NULL.
pub unsafe fn variable(mut envp: *const Option<ThinCStr>, name: &CStr) -> Option<ThinCStr> {
    // SAFETY: the caller's; a string that begins with the name goes on after it.
    unsafe {
        while let Some(word) = *envp {
            let name = name.to_bytes();
            if word.bytes().take(name.len()).eq(name.iter().copied()) {
                return Some(ThinCStr(word.0.add(name.len())));
            }
            envp = envp.add(1);
        }
    }
    None
}
