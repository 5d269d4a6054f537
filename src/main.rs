//! /init: the life of PID 1, in order.

#![no_std]
#![no_main]

use picoinit::shared::Shared;
use picoinit::{console, mounts, program, reap, say, signals, sys};
use rustix::process::{Pid, getpid};

picoinit::start!(main);

/// Called by the first instruction, with the address of what the kernel left on the
/// stack, and with what the signal handler and the rest have to know of each other.
extern "C" fn main(stack: *const usize, shared: &'static Shared) -> ! {
    if Pid::as_raw(Some(getpid())) > 1 {
        say::print(b"init: must run as PID 1\n");
        sys::exit(1);
    }
    // The terminal that PID 1 may have been started on is to be the program's.
    console::let_go();
    // While nobody is there to answer them, signals wait.
    signals::block_all();
    signals::reset_all();
    mounts::mount_all();
    console::open();
    signals::catch_ctrl_alt_del();

    // SAFETY: the address is the kernel's.
    unsafe { program::start(shared, stack) };
    // The program runs, in a process of its own. Whatever PID 1 prints from now
    // on, it does not wait for somebody to read it.
    console::never_wait();
    signals::listen();
    // Once the program has ended, or a signal asks for it, the teardown ends
    // everyone, and then the machine.
    reap::reap_forever(shared)
}
