//! What only containers need, with `--features container`: a `--` before the
//! program, a program that is looked up in PATH, and a grace time of one's own.

use crate::buffer::Buffer;
use crate::shared::Shared;
use crate::sys::{self, Word};
use crate::teardown::GRACE;
use core::ffi::CStr;
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::errno::{EACCES, ENOENT};

/// The program is the first word after PID 1's own name, or the one after that
/// if the first is `--`. If there is none, it is `default`.
///
/// # Safety
///
/// `argv` is at least one word, then NULL.
pub unsafe fn find_program(argv: *const Word, default: *const Word) -> *const Word {
    // SAFETY: a word that is not NULL is followed by another, or by NULL.
    unsafe {
        let mut program = argv.add(1);
        if !(*program).0.is_null() && (*program).bytes().eq(*b"--") {
            program = program.add(1);
        }
        if (*program).0.is_null() { default } else { program }
    }
}

/// execve(2); a name without `/` is looked up in the PATH of the environment
/// (execvp(3)). Returns only if it failed.
///
/// # Safety
///
/// `argv` and `envp` are arrays of C strings that end with NULL.
pub unsafe fn execvpe(name: Word, argv: *const Word, envp: *const Word) -> i32 {
    if name.bytes().any(|byte| byte == b'/') {
        // SAFETY: the caller's.
        return unsafe { sys::execve(name, argv, envp) };
    }
    // SAFETY: the caller's.
    let Some(path) = (unsafe { variable(envp, c"PATH=") }) else {
        return -(ENOENT as i32);
    };
    let mut error = -(ENOENT as i32);
    let mut folders = path.bytes();
    let mut is_last = false;
    while !is_last {
        let mut file = Buffer::<4096>::empty();
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
        // SAFETY: the caller's.
        let returned = unsafe { sys::execve(file.as_word(), argv, envp) };
        // What is there and may not be executed says more than what is not there.
        if returned == -(EACCES as i32) {
            error = returned;
        }
    }
    error
}

/// Sets the grace time: PICOINIT_GRACE in the environment, in seconds, if it is
/// a number from 1 to 65535; else the usual.
///
/// # Safety
///
/// `envp` is an array of C strings that ends with NULL.
pub unsafe fn read_grace(shared: &Shared, envp: *const Word) {
    // SAFETY: the caller's.
    let value = unsafe { variable(envp, c"PICOINIT_GRACE=") };
    let seconds = value.and_then(|value| {
        let digits = value.bytes().map(|byte| byte.wrapping_sub(b'0'));
        digits.into_iter().try_fold(0u16, |seconds, digit| match digit {
            0..=9 => seconds.checked_mul(10)?.checked_add(digit.into()),
            _ => None,
        })
    });
    let seconds = seconds.filter(|seconds| *seconds > 0);
    shared.grace.store(seconds.unwrap_or(GRACE as u16), Relaxed);
}

/// The grace time, in seconds.
pub fn grace(shared: &Shared) -> i32 {
    shared.grace.load(Relaxed).into()
}

/// What follows `name`, which ends with `=`, in the environment.
///
/// # Safety
///
/// `envp` is an array of C strings that ends with NULL.
unsafe fn variable(mut envp: *const Word, name: &CStr) -> Option<Word> {
    // SAFETY: the caller's; a string that begins with the name goes on after it.
    unsafe {
        while !(*envp).0.is_null() {
            let name = name.to_bytes();
            if (*envp).bytes().take(name.len()).eq(name.iter().copied()) {
                return Some(Word((*envp).0.add(name.len())));
            }
            envp = envp.add(1);
        }
    }
    None
}
