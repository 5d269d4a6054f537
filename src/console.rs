//! Duty: see to it that descriptors 0, 1 and 2 are open, and that the program has the console
//! as its controlling terminal.
//!
//! Before PID 1's first instruction, the kernel opens /dev/console on the three, if the root
//! file system has one (`console_on_rootfs` in init/main.c); it warns if not, and starts PID 1
//! all the same.

use crate::sys::open;
use rustix::process::{getpid, ioctl_tiocsctty, setpgid, setsid};
use rustix::stdio::{dup2_stderr, stderr, stdin};
use rustix::{fd::BorrowedFd, fs::OFlags, fs::tell, io::close, termios::tcsetpgrp};

/// Opens the console on those of the descriptors 0, 1 and 2 that are closed; or /dev/null if
/// there is no console, so that no file that a program opens later becomes its standard error
/// by accident.
pub fn open_descriptors() {
    if cfg!(not(feature = "console")) {
        return;
    }
    // Where PID 1 leads a session, it is not to get what it opens as its controlling terminal.
    let flags = OFlags::RDWR | OFlags::NOCTTY;
    loop {
        // open(2) takes the lowest descriptor that is free.
        let mut opened = open(c"/dev/console", flags);
        if opened < 0 {
            opened = open(c"/dev/null", flags);
        }
        if !(0..=2).contains(&opened) {
            // SAFETY: opened just now, or an error, which close(2) refuses.
            return unsafe { close(opened) };
        }
    }
}

/// Gives the program, of which this process is to become one, the terminal: so that Ctrl-C
/// reaches it, and job control works.
#[inline(always)] // it has one caller
pub fn take_control() {
    if cfg!(not(feature = "console")) {
        return;
    }
    // SAFETY: if descriptor 0 is closed, all of these calls say so and do nothing.
    let stdin = unsafe { stdin() };
    // Where PID 1 was started on a terminal, as in a container, this process is to be in its
    // foreground. (The kernel takes a PID that leads no process group yet: `session_of_pgrp` in
    // drivers/tty/tty_jobctrl.c.)
    if tcsetpgrp(stdin, getpid()).is_ok() {
        let _ = setpgid(None, None);
    } else {
        // A session of its own, with the console as its controlling terminal.
        let _ = setsid();
        let _ = ioctl_tiocsctty(stdin);
    }
}

/// Opens standard error once more, for PID 1 alone, so that it never waits for a terminal that
/// nobody reads: poll(2) says that such a terminal can be written to as long as it has room for
/// a part of a line (`n_tty_poll` in drivers/tty/n_tty.c). The program's own descriptor stays
/// as it was.
///
/// If that cannot be done, because it is a socket, the terminal belongs to somebody else or
/// /proc is not there, PID 1 may have to wait.
pub fn never_wait() {
    // SAFETY: if descriptor 2 is closed, the call says so.
    let stderr = unsafe { stderr() };
    // A file on a disk keeps nobody waiting; and opened once more, it would have an offset of
    // its own, at which the program's lines and PID 1's collide.
    if cfg!(not(feature = "console")) || tell(stderr).is_ok() {
        return;
    }
    let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::APPEND;
    let own = open(c"/proc/self/fd/2", flags);
    if own > 2 {
        // SAFETY: opened just now, and used by nobody else.
        unsafe {
            let _ = dup2_stderr(BorrowedFd::borrow_raw(own));
            close(own);
        }
    }
}
