//! /init: the life of PID 1, in order.

#![no_std]
#![no_main]

use picoinit::{Init, console, container, mounts, program, reap, say, signals, sys, teardown};
use rustix::process::{Pid, Signal, getpid};
use rustix::system::RebootCommand;

picoinit::first_instruction!(main);

/// Called by the first instruction, with the address of what the kernel left on the stack: argc,
/// argv, envp.
extern "C" fn main(stack: *const usize) -> ! {
    // From here on, no signal is lost and none interrupts: those that come stay pending until
    // the loop below takes them.
    signals::block_all();
    // Not `!= 1`: where system calls are filtered, even this one may fail.
    if Pid::as_raw(Some(getpid())) > 1 {
        say::say(c"init: must run as PID 1\n", None, 0, 0);
        sys::exit(1);
    }
    signals::reset_all();
    mounts::mount_all();
    console::open_descriptors();
    if cfg!(feature = "signals") {
        signals::catch_ctrl_alt_del();
    }

    let mut init = Init::new();
    // SAFETY: the address is the kernel's.
    unsafe { program::start(&mut init, stack) };
    // The program runs, in a process of its own. Whatever PID 1 prints from now on, it does not
    // wait for somebody to read it.
    console::never_wait();

    loop {
        // The program has exited, or somebody asked PID 1 to stop.
        if let Some(command) = init.request {
            teardown::stop(&mut init, command);
        }
        // Here PID 1 sleeps.
        let signal = signals::wait(None);
        // SIGCHLD says that a child has exited. But PID 1 reaps whatever came, so that no flood
        // of other signals can keep it from doing so.
        reap::reap_all(&mut init);
        match signal {
            None | Some(Signal::CHILD) => {}
            // In a container, the program answers all of them itself.
            Some(other) if cfg!(feature = "container") => container::pass_on(&mut init, other),
            Some(Signal::USR1) => init.request = Some(RebootCommand::Halt),
            Some(Signal::USR2) => init.request = Some(RebootCommand::PowerOff),
            // SIGINT is Ctrl-Alt-Del.
            Some(Signal::TERM | Signal::INT) => init.request = Some(RebootCommand::Restart),
            Some(other) => signals::pass_on(&init, other),
        }
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    picoinit::never_panic()
}
