//! Duty: stop every process, leave the disks clean, and stop the machine.

use crate::{mounts, reap, signals, state::Init, sys};
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::{fs::sync, system::RebootCommand};

/// Stops every process, then the machine, as `command` says. Returns if the machine goes on all
/// the same; PID 1 may be asked once more.
pub fn stop(init: &mut Init, command: RebootCommand) {
    if cfg!(feature = "teardown") {
        stop_processes(init);
    }
    // Only the PID 1 of the whole machine is allowed to do this, which it has done before. The
    // PID 1 of a part of it, such as a container, leaves disks and machine to their owner.
    if !signals::catch_ctrl_alt_del() {
        sys::exit(init.exit_status);
    }
    // The disks may take as long as they need, so a child process sees to them, while PID 1 goes
    // on listening. And reboot(2) itself exits where the machine cannot be switched off
    // (kernel/reboot.c); if PID 1 did, the kernel would panic.
    init.exit_status = 1;
    let child = sys::fork();
    if child > 0 {
        // Any signal that comes now but SIGCHLD asks PID 1 not to wait for the disks.
        init.program = Pid::from_raw(child);
        while matches!(signals::wait(None), None | Some(Signal::CHILD)) {
            reap::reap_all(init);
            if init.program.is_none() {
                break;
            }
        }
    } else if cfg!(feature = "teardown") {
        sync();
        mounts::unmount_all();
    }
    // The child gets here; and PID 1, if it could have no child, if the child was killed, as where
    // no memory is left, or if it does not wait any longer. Not if the child has been here.
    if init.exit_status != 0 {
        signals::reboot(command);
    }
    if child == 0 {
        sys::exit(0);
    }
    // If the child is still busy, it is nobody's program.
    init.program = None;
    init.request = None;
}

/// Asks every process to exit, waits until all have, and kills those that have not.
fn stop_processes(init: &mut Init) {
    let mut signal = Signal::TERM;
    loop {
        // To kill(2), the process group of PID 1 is every process but PID 1 itself.
        let _ = kill_process_group(Pid::INIT, signal);
        // A process that was stopped has to be woken to see that it is asked to exit.
        let _ = kill_process_group(Pid::INIT, Signal::CONT);
        let deadline = sys::hundredths().wrapping_add(init.grace);
        while reap::reap_all(init) && sys::hundredths() < deadline {
            signals::wait(Some(&signals::TENTH));
        }
        if signal == Signal::KILL {
            break;
        }
        signal = Signal::KILL;
    }
    // What else was asked for in the meantime is being done.
    while signals::wait(Some(&signals::NOW)).is_some() {}
}
