//! Duty: see to it that descriptors 0, 1 and 2 are open.
//!
//! The kernel opens them for PID 1 if the root file system has a
//! /dev/console before the first instruction (`console_on_rootfs` in
//! init/main.c); it says `unable to open an initial console` if not, and
//! starts PID 1 all the same.

use crate::sys::{self, Word};
use crate::syscall;
use linux_raw_sys::general::{__NR_ioctl, O_RDWR};
use linux_raw_sys::ioctl::TIOCNOTTY;

/// Gives up the terminal that PID 1 may control (TIOCNOTTY in ioctl_tty(2)), as
/// it does where a container was started on one, so that the program can have it.
///
/// This sends PID 1 a SIGHUP, which does nothing as long as it is not blocked.
pub fn let_go() {
    // SAFETY: no memory is involved.
    unsafe { syscall!(__NR_ioctl, 0, TIOCNOTTY) };
}

/// Opens the console on those of the descriptors 0, 1 and 2 that are closed;
/// or /dev/null if there is no console, so that no file that a program opens
/// later becomes its standard error by accident.
pub fn open() {
    loop {
        // open(2) takes the lowest descriptor that is free.
        let mut descriptor = sys::open(Word(c"/dev/console".as_ptr()), O_RDWR);
        if descriptor < 0 {
            descriptor = sys::open(Word(c"/dev/null".as_ptr()), O_RDWR);
        }
        if !(0..=2).contains(&descriptor) {
            return sys::close(descriptor);
        }
    }
}
