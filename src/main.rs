//! /init: the life of PID 1, in order.

#![no_std]
#![no_main]

use picoinit::{
    console, container, mounts, program, reap, say, signals, state::Init, sys, teardown,
};
use rustix::{process::Pid, process::Signal, process::getpid, system::RebootCommand};

picoinit::first_instruction!(main);

/// The exit status of a program that was killed by SIGKILL, as shells have it.
const KILLED: i32 = 128 + Signal::KILL.as_raw();

/// Called by the first instruction, with the address of what the kernel left on the stack: argc,
/// argv, envp.
extern "C" fn main(stack: *const usize) -> ! {
    // From here on, no signal is lost and none interrupts: signals stay pending until the loop
    // below takes them.
    signals::block(signals::ALL);
    // Not `!= 1`: where system calls are filtered, even this one may fail.
    if Pid::as_raw(Some(getpid())) > 1 {
        say::say(c"init: must run as PID 1\n", None, 0, 0);
        sys::exit(1);
    }
    if cfg!(feature = "signals") {
        signals::reset_all();
        signals::catch_ctrl_alt_del();
    }
    mounts::mount_all();
    console::open_descriptors();

    // All that PID 1 remembers. For processes to exit, it gives them 500 hundredths of a second.
    let mut init = Init { program: None, exit_status: KILLED, is_over: false, grace: 500 };
    // SAFETY: the address is the kernel's.
    unsafe { program::start(&mut init, stack) };
    // The program runs, in a process of its own. From now on, PID 1 does not wait for anybody to
    // read what it prints.
    console::never_wait();

    loop {
        let command = loop {
            // The program has exited, or could not be started.
            if init.is_over {
                break RebootCommand::PowerOff;
            }
            // Here PID 1 sleeps.
            let signal = signals::wait(None);
            // SIGCHLD says that a child has exited. But PID 1 reaps whatever signal came, so that
            // no flood of other signals can keep it from doing so.
            reap::reap_all(&mut init);
            match signal {
                None | Some(Signal::CHILD) => {}
                // An init that was built without this duty does nothing about them.
                Some(_) if cfg!(not(feature = "signals")) => {}
                // In a container, the program answers all of them itself.
                Some(other) if cfg!(feature = "container") => container::pass_on(&mut init, other),
                Some(Signal::USR1) => break RebootCommand::Halt,
                Some(Signal::USR2) => break RebootCommand::PowerOff,
                // SIGINT is Ctrl-Alt-Del.
                Some(Signal::TERM | Signal::INT) => break RebootCommand::Restart,
                Some(other) => signals::pass_on(&init, other),
            }
        };
        // Stops every process, then the machine. If the machine goes on all the same, PID 1 may be
        // asked once more.
        teardown::stop(&mut init, command);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    picoinit::never_panic()
}
