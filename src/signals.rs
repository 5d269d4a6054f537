//! Duty: take signals.
//!
//! The kernel protects PID 1: a signal that a process sends and that PID 1 neither handles nor
//! waits for does nothing to it, not even SIGKILL, unless it comes from outside its PID
//! namespace (`SIGNAL_UNKILLABLE` in `sig_task_ignored`, kernel/signal.c). So a signal that is
//! meant to stop the machine has to be taken here.
//!
//! There are no handlers: all signals are blocked, so that they stay pending until PID 1 asks
//! for the next one. Nothing ever interrupts it.

use crate::{arch::syscall, state::Init};
use core::{mem::zeroed, ptr::from_ref, ptr::null};
use linux_raw_sys::errno::EAGAIN;
use linux_raw_sys::general::{_NSIG, SIG_SETMASK, kernel_sigaction, kernel_sigset_t};
use rustix::process::{Signal, kill_process};
use rustix::{fs::Timespec, system::RebootCommand, thread::nanosleep};

/// No signal.
pub const NONE: kernel_sigset_t = kernel_sigset_t { sig: [0; _] };

/// Every signal.
pub const ALL: kernel_sigset_t = kernel_sigset_t { sig: [!0; _] };

/// The size of a set of signals, which the kernel wants to be told with each.
const SET_SIZE: usize = size_of::<kernel_sigset_t>();

/// For a look at what is pending already.
pub static NOW: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };

/// A tenth of a second: the longest that PID 1 sleeps while a deadline runs.
pub static TENTH: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Makes `set` the set of blocked signals (rt_sigprocmask(2), which cannot fail). Those that are
/// blocked are not lost: they wait for [`wait`].
#[inline(never)]
pub fn block(set: kernel_sigset_t) {
    // SAFETY: reads a set of the size given.
    unsafe { syscall!(__NR_rt_sigprocmask, SIG_SETMASK, &raw const set, null::<u8>(), SET_SIZE) };
}

/// Gives every signal its default disposition (rt_sigaction(2)). The process that started PID 1
/// may have ignored some, which the program would inherit; and while SIGCHLD is ignored, nobody
/// learns how a child exited.
pub fn reset_all() {
    // SAFETY: a `kernel_sigaction` that is all zero is SIG_DFL with no flags.
    let action: kernel_sigaction = unsafe { zeroed() };
    // It fails for 0, which is no signal, and for SIGKILL and SIGSTOP, which have no other.
    for signal in (0.._NSIG + 1).rev() {
        // SAFETY: reads the action.
        unsafe { syscall!(__NR_rt_sigaction, signal, &raw const action, null::<u8>(), SET_SIZE) };
    }
}

/// Makes Ctrl-Alt-Del a SIGINT to PID 1, instead of an instant reset (reboot(2)). The kernel
/// lets only the PID 1 of the whole machine do so, not one of a PID namespace
/// (`reboot_pid_ns` in kernel/pid_namespace.c). Returns whether it did.
#[inline(always)]
pub fn catch_ctrl_alt_del() -> bool {
    reboot(RebootCommand::CadOff)
}

/// reboot(2). Returns whether the kernel did as it was told.
pub fn reboot(command: RebootCommand) -> bool {
    rustix::system::reboot(command).is_ok()
}

/// Passes a signal on to the program, if it is running.
pub fn pass_on(init: &Init, signal: Signal) {
    if let Some(program) = init.program {
        let _ = kill_process(program, signal);
    }
}

/// Sleeps until a signal is pending, but no longer than `timeout`, and takes it: of several, the
/// one with the lowest number (rt_sigtimedwait(2)).
pub fn wait(timeout: Option<&Timespec>) -> Option<Signal> {
    let (set, timeout) = (ALL, timeout.map_or(null(), from_ref));
    // SAFETY: reads a set of the size given, and a timespec.
    let signal = unsafe {
        syscall!(__NR_rt_sigtimedwait, &raw const set, null::<u8>(), timeout, SET_SIZE) as i32
    };
    if signal > 0 {
        // SAFETY: the kernel's, and no C library has reserved any for itself.
        return Some(unsafe { Signal::from_raw_unchecked(signal) });
    }
    // If the kernel refuses this, PID 1 looks now and then instead of spinning.
    if signal != -(EAGAIN as i32) {
        let _ = nanosleep(&TENTH);
    }
    None
}
