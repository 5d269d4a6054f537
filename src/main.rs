//! /init: the life of PID 1, in order.

#![no_std]
#![no_main]

use picoinit::shared::Shared;
use picoinit::{console, mounts, program, reap, say, signals, sys};
use rustix::process::{Pid, getpid};

picoinit::start!(main);

/// Called by the first instruction, with the address of what the kernel left on the stack.
extern "C" fn main(stack: *const usize, shared: &'static Shared) -> ! {
    if Pid::as_raw(Some(getpid())) > 1 {
        say::print(b"init: must run as PID 1\n");
        sys::exit(1);
    }
    console::let_go();
    signals::block_all();
    signals::reset_all();
    mounts::mount_all();
    console::open();
    signals::catch_ctrl_alt_del();

    // SAFETY: the address is the kernel's.
    unsafe { program::start(shared, stack) };
    console::never_wait();
    signals::listen();
    reap::reap_forever(shared)
}
