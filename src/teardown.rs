//! Duty: stop every process, leave the disks clean, and stop the machine.

use crate::state::Init;
use crate::{mounts, reap, signals, sys};
use rustix::fs::sync;
use rustix::process::{Pid, Signal, kill_process_group};
use rustix::system::RebootCommand;

/// Stops everyone, then the machine, as `command` says. Returns if the machine goes on all the
/// same; PID 1 may be asked once more.
pub fn stop(init: &mut Init, command: RebootCommand) {
    if cfg!(feature = "teardown") {
        stop_everyone(init);
    }
    // Only the PID 1 of the whole machine may do this, which it has done before. One of a part
    // of it, such as a container, leaves disks and machine to those they belong to.
    if !signals::catch_ctrl_alt_del() {
        sys::exit(init.exit_status);
    }
    // The disks may take as long as they need, so a child process sees to them, while PID 1 goes
    // on listening. And reboot(2) itself exits where the machine cannot be switched off
    // (kernel/reboot.c); if PID 1 did, the kernel would panic.
    init.exit_status = 1;
    let child = sys::fork();
    if child > 0 {
        // Whatever comes now but news of the child asks PID 1 not to wait for the disks.
        init.program = Pid::from_raw(child);
        while reap::reap_all(init) && matches!(signals::wait(None), None | Some(Signal::CHILD)) {}
    } else if cfg!(feature = "teardown") {
        sync();
        mounts::unmount_all();
    }
    // The child gets here; and PID 1, if it could have no child, does not wait for it any longer,
    // or if it was killed, as where no memory is left. Not if the child has been here.
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

/// Asks every process to exit, waits until they have, and kills those that have not.
fn stop_everyone(init: &mut Init) {
    for signal in [Signal::TERM, Signal::KILL] {
        // To kill(2), the process group of PID 1 is everyone but PID 1 itself.
        let _ = kill_process_group(Pid::INIT, signal);
        // A process that was stopped has to be woken to see that it is to exit.
        let _ = kill_process_group(Pid::INIT, Signal::CONT);
        let deadline = sys::hundredths().wrapping_add(init.grace);
        while reap::reap_all(init) && sys::hundredths() < deadline {
            signals::wait(Some(&sys::TENTH));
        }
    }
    // Whatever else was asked for in the meantime: it is being done.
    while signals::wait(Some(&sys::NOW)).is_some() {}
}
