//! The system calls that rustix keeps to itself (a C library would break if a program made
//! them behind its back; here there is none), and two that it offers with more around them than
//! PID 1 can use.

pub use crate::arch::exit;
use crate::arch::syscall;
use crate::cstr::ThinCStr;
use core::ffi::CStr;
use core::ptr::{null, null_mut};
use linux_raw_sys::errno::EAGAIN;
use linux_raw_sys::general::{AT_FDCWD, SIG_SETMASK, SIGCHLD, kernel_sigaction, kernel_sigset_t};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{BorrowedFd, RawFd};
use rustix::fs::{OFlags, Timespec};
use rustix::process::Signal;

/// openat(2). Returns the lowest descriptor that was free, or a negative errno.
///
/// rustix's own would do, but it could panic: it asserts that the descriptor is not -1, and the
/// compiler cannot know that the kernel never returns that.
#[inline(never)]
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

/// execve(2). Returns only if it failed: ENOENT, EACCES, ENOEXEC, ...
///
/// # Safety
///
/// `argv` and `envp` are arrays that end with NULL.
pub unsafe fn execve(path: ThinCStr, argv: *const ThinCStr, envp: *const Option<ThinCStr>) -> i32 {
    // SAFETY: the caller's, for the arrays.
    unsafe { syscall!(__NR_execve, path.as_ptr(), argv, envp) as i32 }
}

/// What the kernel wants to be told with each set of signals.
const SET_SIZE: usize = size_of::<kernel_sigset_t>();

/// rt_sigprocmask(2): makes `set` the set of blocked signals. It cannot fail.
#[inline(never)]
pub fn block_signals(set: kernel_sigset_t) {
    // SAFETY: reads a set of the size given.
    unsafe { syscall!(__NR_rt_sigprocmask, SIG_SETMASK, &raw const set, null::<u8>(), SET_SIZE) };
}

/// rt_sigaction(2): gives a signal its default disposition. It fails for SIGKILL and SIGSTOP,
/// which have no other.
pub fn reset_signal(signal: u32) {
    // SAFETY: a `kernel_sigaction` that is all zero is SIG_DFL with no flags.
    unsafe {
        let action = core::mem::zeroed::<kernel_sigaction>();
        syscall!(__NR_rt_sigaction, signal, &raw const action, null::<u8>(), SET_SIZE);
    }
}

/// rt_sigtimedwait(2): sleeps until a signal out of `set` is pending, and takes it, the one
/// with the lowest number first; but no longer than `timeout`.
pub fn take_signal(set: kernel_sigset_t, timeout: Option<&Timespec>) -> Option<Signal> {
    let timeout = timeout.map_or(null(), |timeout| &raw const *timeout);
    // SAFETY: reads a set of the size given, and a timespec. What is positive is a signal; no
    // C library has reserved any for itself.
    unsafe {
        let signal =
            syscall!(__NR_rt_sigtimedwait, &raw const set, null::<u8>(), timeout, SET_SIZE);
        if signal < 0 && signal != -(EAGAIN as isize) {
            // Where the kernel refuses this, PID 1 looks now and then instead of spinning.
            poll(null_mut(), 0, &TENTH);
        }
        (signal > 0).then(|| Signal::from_raw_unchecked(signal as i32))
    }
}

/// Whether a line that is written to `file` now is taken, and at once. Not if it is a pipe that is
/// full, or that nobody reads any more (write(2) would send a SIGPIPE), or a terminal that was
/// stopped.
pub fn is_writable(file: BorrowedFd) -> bool {
    let mut wanted = PollFd::from_borrowed_fd(file, PollFlags::OUT);
    // SAFETY: one of them.
    unsafe { poll(&raw mut wanted, 1, &NOW) };
    wanted.revents() == PollFlags::OUT
}

/// ppoll(2).
///
/// # Safety
///
/// There are so many `files`.
unsafe fn poll(files: *mut PollFd, count: usize, timeout: &Timespec) {
    // SAFETY: the caller's; the kernel may write to a timespec, but not to this one.
    unsafe { syscall!(__NR_ppoll, files, count, &raw const *timeout, null::<u8>()) };
}

/// For a look at what is there already.
pub static NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// A tenth of a second: how long PID 1 sleeps at the most while a deadline runs.
pub static TENTH: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// times(2): hundredths of a second since some time in the past; `u64::MAX` or a little less
/// where the kernel refuses to say.
pub fn hundredths() -> u64 {
    // SAFETY: where there is no struct to write to, nothing is written.
    unsafe { syscall!(__NR_times, null::<u8>()) as u64 }
}
