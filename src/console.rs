//! Duty: see to it that descriptors 0, 1 and 2 are open, and that the program
//! has the console as its controlling terminal.
//!
//! The kernel opens them for PID 1 if the root file system has a
//! /dev/console before the first instruction (`console_on_rootfs` in
//! init/main.c); it says `unable to open an initial console` if not, and
//! starts PID 1 all the same.

use crate::sys::{self, Word};
use crate::syscall;
use linux_raw_sys::general::{__NR_ioctl, O_APPEND, O_NOCTTY, O_NONBLOCK, O_RDWR, O_WRONLY};
use linux_raw_sys::ioctl::TIOCNOTTY;
use rustix::process::{ioctl_tiocsctty, setsid};

/// Gives up the terminal that PID 1 may control (TIOCNOTTY in ioctl_tty(2)), as
/// it does where a container was started on one, so that the program can have it.
///
/// This sends PID 1 a SIGHUP, which does nothing as long as it is not blocked.
pub fn let_go() {
    duty!("console");
    // SAFETY: no memory is involved.
    unsafe { syscall!(__NR_ioctl, 0, TIOCNOTTY) };
}

/// For reading and writing. PID 1 leads a session in some containers, and is not
/// to get what it opens as its controlling terminal.
const FLAGS: u32 = O_RDWR | O_NOCTTY;

/// Opens the console on those of the descriptors 0, 1 and 2 that are closed;
/// or /dev/null if there is no console, so that no file that a program opens
/// later becomes its standard error by accident.
pub fn open() {
    duty!("console");
    loop {
        // open(2) takes the lowest descriptor that is free.
        let mut descriptor = sys::open(Word(c"/dev/console".as_ptr()), FLAGS);
        if descriptor < 0 {
            descriptor = sys::open(Word(c"/dev/null".as_ptr()), FLAGS);
        }
        if !(0..=2).contains(&descriptor) {
            return sys::close(descriptor);
        }
    }
}

/// Begins a session of its own, with the console as its controlling terminal: so
/// that Ctrl-C and job control work. Where descriptor 0 is no terminal, there is none.
#[inline(always)] // it has one caller
pub fn take_control() {
    duty!("console");
    // SAFETY: if descriptor 0 is closed, ioctl(2) says so and does nothing.
    let stdin = unsafe { rustix::stdio::stdin() };
    let _ = setsid();
    let _ = ioctl_tiocsctty(stdin);
}

/// Opens standard error once more, for PID 1 alone, so that it never waits for
/// a terminal that nobody reads: poll(2) says that such a terminal can be
/// written to as long as it has room for a part of a line (`n_tty_poll` in
/// drivers/tty/n_tty.c). The program's own descriptor stays as it was.
///
/// If that cannot be done, because it is a socket, the terminal belongs to
/// somebody else or /proc is not there, PID 1 may have to wait.
pub fn never_wait() {
    duty!("console");
    // A file on a disk keeps nobody waiting; and opened once more, it would have
    // an offset of its own, at which the program's lines and PID 1's collide.
    if !sys::has_offset(2) {
        let path = Word(c"/proc/self/fd/2".as_ptr());
        let own = sys::open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND);
        sys::duplicate(own, 2);
        sys::close(own);
    }
}
