//! The system calls that rustix does not offer in public (those that a C
//! library keeps to itself, because it would break if a program used them
//! behind its back: there is none here to break), or offers only with more
//! around them than PID 1 can use.
//!
//! They return what the kernel returns: a negative number is an errno, negated.

pub use crate::arch::exit;
use crate::syscall;
use core::ffi::c_char;
use core::mem::MaybeUninit;
use core::num::NonZero;
use linux_raw_sys::general::*;

/// A C string by the address of its first byte, as the kernel passes them; or
/// NULL, which ends an array of them. Whoever makes one answers for it: that the
/// bytes last as long as it does, and end with a 0.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Word(pub *const c_char);

impl Word {
    /// The bytes, without the 0 at the end. Not for NULL.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        let mut next = self.0;
        core::iter::from_fn(move || {
            // SAFETY: a C string goes on until a 0, which this never passes.
            let byte = unsafe { *next } as u8;
            next = next.wrapping_add(1);
            (byte != 0).then_some(byte)
        })
    }
}

/// fork(2). Returns the child's PID to the parent, and 0 to the child; or
/// -EAGAIN at a limit on processes, -ENOMEM.
pub fn fork() -> i32 {
    // SAFETY: nothing is shared with the child, and there is one thread only.
    unsafe { syscall!(__NR_fork) }
}

/// execve(2). Returns only if it failed: -ENOENT, -EACCES, -ENOEXEC, ...
///
/// # Safety
///
/// `argv` and `envp` are arrays of C strings that end with NULL.
pub unsafe fn execve(path: Word, argv: *const Word, envp: *const Word) -> i32 {
    // SAFETY: the caller's, for the arrays; a Word is a C string.
    unsafe { syscall!(__NR_execve, path.0, argv, envp) }
}

/// Any child, to `wait`.
pub const ANYONE: i32 = -1;

/// wait4(2) for a child, until there is one to reap.
/// Returns its PID, or -ECHILD if there is no such child at all; and its status word.
#[inline(never)]
pub fn wait(pid: i32) -> (i32, i32) {
    let mut status = 0i32;
    // SAFETY: `status` is an int to write to; no resource usage is asked for.
    (unsafe { syscall!(__NR_wait4, pid as isize, &raw mut status, 0, 0) }, status)
}

/// kill(2); a `pid` of -1 is everyone but PID 1 itself. Returns 0, or -ESRCH
/// if there is nobody.
pub fn kill(pid: i32, signal: u32) -> i32 {
    // SAFETY: no memory is involved.
    unsafe { syscall!(__NR_kill, pid, signal) }
}

/// rt_sigprocmask(2): makes `set` the set of blocked signals. It cannot fail.
pub fn block_signals(set: kernel_sigset_t) {
    // SAFETY: reads a set of the size given.
    unsafe { syscall!(__NR_rt_sigprocmask, SIG_SETMASK, &raw const set, 0, size_of_val(&set)) };
}

/// rt_sigaction(2). It fails for SIGKILL and SIGSTOP, and for them only.
///
/// # Safety
///
/// The handler in `action` may run from now on, between any two instructions.
pub unsafe fn sigaction(signal: u32, action: &kernel_sigaction) {
    let size = size_of::<kernel_sigset_t>();
    // SAFETY: reads a struct of the kernel's layout; the caller's, for the handler.
    unsafe { syscall!(__NR_rt_sigaction, signal, &raw const *action, 0, size) };
}

/// rt_sigsuspend(2): sleeps until a handler has run, with `set` blocked in the
/// meantime. Returns -EINTR.
pub fn suspend(set: kernel_sigset_t) -> i32 {
    // SAFETY: reads a set of the size given.
    unsafe { syscall!(__NR_rt_sigsuspend, &raw const set, size_of_val(&set)) }
}

/// pause(2): sleeps until a handler has run.
pub fn pause() {
    // SAFETY: no memory is involved.
    unsafe { syscall!(__NR_pause) };
}

/// alarm(2): sends SIGALRM to this process once, in `seconds`; 0 is never.
/// Returns how many seconds were left of the one before. It cannot fail, but
/// where system calls are filtered, anything can.
pub fn alarm(seconds: i32) -> i32 {
    // SAFETY: no memory is involved.
    unsafe { syscall!(__NR_alarm, seconds) }
}

/// getitimer(2): whether `alarm` went off, or was never set. While the kernel is
/// still busy with a timer that just did, it says that a microsecond is left.
pub fn alarm_is_over() -> bool {
    let mut timer = MaybeUninit::<__kernel_old_itimerval>::uninit();
    // SAFETY: one struct to write, and it was written, if the call did not fail.
    let left = unsafe {
        if syscall!(__NR_getitimer, ITIMER_REAL, timer.as_mut_ptr()) < 0 {
            return true;
        }
        timer.assume_init().it_value
    };
    left.tv_sec == 0 && left.tv_usec < 1000
}

/// reboot(2). Returns 0; or -EPERM if this process may not, or -EINVAL in a
/// PID namespace, if `command` is for a whole machine.
#[inline(never)]
pub fn reboot(command: u32) -> i32 {
    // SAFETY: no memory is involved.
    unsafe { syscall!(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2, command) }
}

/// open(2). Returns the lowest descriptor that is free, or -ENOENT, -ENODEV, ...
pub fn open(path: Word, flags: u32) -> i32 {
    // SAFETY: a Word is a C string.
    unsafe { syscall!(__NR_open, path.0, flags) }
}

/// read(2) of one byte of text; `None` at the end, or if it fails.
pub fn read_byte(descriptor: i32) -> Option<NonZero<u8>> {
    let mut byte = 0u8;
    // SAFETY: writes at most one byte.
    unsafe { syscall!(__NR_read, descriptor, &raw mut byte, 1) };
    NonZero::new(byte)
}

/// poll(2): whether a line that is written to `descriptor` now is taken, and at
/// once. Not if it is a pipe that is full, or that nobody reads any more (write(2)
/// would send a SIGPIPE), a terminal that was stopped, or if a signal comes in the middle.
pub fn is_writable(descriptor: i32) -> bool {
    let mut wanted = pollfd { fd: descriptor, events: POLLOUT as i16, revents: 0 };
    // SAFETY: one struct pollfd to read and write.
    unsafe { syscall!(__NR_poll, &raw mut wanted, 1, 0) };
    wanted.revents == wanted.events
}

/// lseek(2): whether `descriptor` has an offset, as a file on a disk; a
/// terminal, a pipe and a socket have none. One of 2 GiB or more may be overlooked.
pub fn has_offset(descriptor: i32) -> bool {
    // SAFETY: no memory is involved.
    unsafe { syscall!(__NR_lseek, descriptor, 0, SEEK_CUR) >= 0 }
}

/// dup2(2): makes `copy` the same as `descriptor`. Does nothing if that is not open.
pub fn duplicate(descriptor: i32, copy: i32) {
    // SAFETY: no memory is involved.
    unsafe { syscall!(__NR_dup2, descriptor, copy) };
}

/// close(2).
pub fn close(descriptor: i32) {
    // SAFETY: no memory is involved.
    unsafe { syscall!(__NR_close, descriptor) };
}

/// mount(2). The source is a mere name for these file systems: `kind` again.
/// Returns 0; or -ENOENT, -ENODEV if the kernel has no such file system, ...
pub fn mount(kind: Word, target: Word, flags: u32, data: Word) -> i32 {
    // SAFETY: a Word is a C string.
    unsafe { syscall!(__NR_mount, kind.0, target.0, kind.0, flags, data.0) }
}

/// umount2(2). Returns 0, or -EBUSY if it is in use.
pub fn unmount(path: Word) -> i32 {
    // SAFETY: a Word is a C string.
    unsafe { syscall!(__NR_umount2, path.0, UMOUNT_NOFOLLOW) }
}
