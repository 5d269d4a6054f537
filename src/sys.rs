//! The system calls that rustix keeps to itself (a C library would break if a program made
//! them behind its back; here there is none), and two that it does not offer as PID 1 needs
//! them. Those for signals are in signals.rs.

pub use crate::arch::exit;
use crate::{arch::syscall, cstr::ThinCStr};
use core::ffi::CStr;
use linux_raw_sys::general::{AT_FDCWD, SIGCHLD};
use rustix::{fd::RawFd, fs::OFlags};

/// openat(2). Returns the lowest descriptor that was free, or a negative errno.
///
/// rustix's own would do, but it could panic: it asserts that the descriptor is not -1, and the
/// compiler cannot know that the kernel never returns that.
pub fn open(path: &CStr, flags: OFlags) -> RawFd {
    // SAFETY: a C string.
    unsafe { syscall!(__NR_openat, AT_FDCWD, path.as_ptr(), flags.bits()) as RawFd }
}

/// fork(2), made by clone(2), because newer CPUs have no other. Returns the child's PID to the
/// parent, 0 to the child; or a negative errno: -EAGAIN at a limit on processes, -ENOMEM.
pub fn fork() -> i32 {
    // SAFETY: with no flags but the signal for the parent, nothing is shared with the child,
    // which goes on with a copy of this stack.
    unsafe { syscall!(__NR_clone, SIGCHLD, 0usize) as i32 }
}

/// execve(2). Returns only if it failed, a negative errno: -ENOENT, -EACCES, -ENOEXEC, ...
///
/// # Safety
///
/// `argv` and `envp` are arrays that end with NULL.
pub unsafe fn execve(path: ThinCStr, argv: *const ThinCStr, envp: *const Option<ThinCStr>) -> i32 {
    // SAFETY: the caller's, for the arrays.
    unsafe { syscall!(__NR_execve, path.0.as_ptr(), argv, envp) as i32 }
}

/// times(2): hundredths of a second since some time in the past; `u64::MAX` or a little less
/// where the kernel refuses to say, so that any deadline is over.
pub fn hundredths() -> u64 {
    // SAFETY: where there is no struct to write to, nothing is written.
    unsafe { syscall!(__NR_times, 0usize) as u64 }
}
