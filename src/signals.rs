//! Duty: take signals.
//!
//! The kernel protects PID 1: a signal that somebody sends and that PID 1 neither handles nor
//! waits for does nothing to it, not even SIGKILL, unless that comes from outside its PID
//! namespace (`SIGNAL_UNKILLABLE` in `sig_task_ignored`, kernel/signal.c). So whatever is to
//! stop the machine has to be taken here.
//!
//! There are no handlers: all signals are blocked, so that they stay pending until PID 1 asks
//! for the next one. Nothing ever interrupts it.

use crate::state::Init;
use crate::sys;
use linux_raw_sys::general::{_NSIG, SIGCHLD, kernel_sigset_t};
use rustix::fs::Timespec;
use rustix::process::{Signal, kill_process};
use rustix::system::RebootCommand;

/// The signals that PID 1 takes: all. Without this duty, only the one that says that a child
/// has exited.
const TAKEN: kernel_sigset_t =
    kernel_sigset_t { sig: [if cfg!(feature = "signals") { !0 } else { 1 << (SIGCHLD - 1) }] };

/// Blocks them: from now on none is lost, they wait for [`wait`].
pub fn block_all() {
    sys::block_signals(TAKEN);
}

/// Blocks none: how a program expects to be started.
#[inline(always)] // it has one caller
pub fn unblock_all() {
    sys::block_signals(kernel_sigset_t { sig: [0] });
}

/// Gives every signal its default disposition. Whoever started PID 1 may have ignored some,
/// which the program would inherit; and while SIGCHLD is ignored, nobody learns how a child
/// exited.
pub fn reset_all() {
    if cfg!(feature = "signals") {
        (1.._NSIG + 1).rev().for_each(sys::reset_signal);
    }
}

/// Makes Ctrl-Alt-Del a SIGINT to PID 1, instead of an instant reset (reboot(2)). The kernel
/// lets only the PID 1 of the whole machine do so, not one of a PID namespace
/// (`reboot_pid_ns` in kernel/pid_namespace.c). Returns whether it did.
#[inline(always)]
pub fn catch_ctrl_alt_del() -> bool {
    reboot(RebootCommand::CadOff)
}

/// reboot
#[inline(never)]
pub fn reboot(command: RebootCommand) -> bool {
    rustix::system::reboot(command).is_ok()
}

/// Passes a signal on to the program, if it is running.
pub fn pass_on(init: &Init, signal: Signal) {
    if let Some(program) = init.program {
        let _ = kill_process(program, signal);
    }
}

/// Sleeps until a signal comes, but no longer than `timeout`, and takes it.
pub fn wait(timeout: Option<&Timespec>) -> Option<Signal> {
    sys::take_signal(TAKEN, timeout)
}
