//! Duty: answer signals.
//!
//! The kernel protects PID 1: a signal that it has no handler for does
//! nothing to it, not even SIGKILL, unless that comes from outside its PID
//! namespace (`SIGNAL_UNKILLABLE`, pid_namespaces(7)).
//! So whatever is to stop the machine has to be handled here.
//!
//! | signal | what it asks for |
//! |---|---|
//! | SIGUSR1 | halt |
//! | SIGUSR2 | power off |
//! | SIGTERM, and SIGINT from Ctrl-Alt-Del | restart |
//! | any other | to be passed on to the program |

use crate::arch;
use crate::shared::Shared;
use crate::sys;
use crate::teardown;
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::errno::EINTR;
use linux_raw_sys::general::*;

const NONE: kernel_sigset_t = kernel_sigset_t { sig: [0] };
const ALL: kernel_sigset_t = kernel_sigset_t { sig: [!0] };
const CHILD: kernel_sigset_t = kernel_sigset_t { sig: [1 << (SIGCHLD - 1)] };

/// Blocks every signal: those that come stay pending, none is lost.
pub fn block_all() {
    duty!("signals");
    sys::block_signals(ALL);
}

/// Blocks none.
#[inline(always)] // it has one caller
pub fn unblock_all() {
    duty!("signals");
    sys::block_signals(NONE);
}

/// Gives every signal its default disposition: whoever started this PID 1 may
/// have ignored some, and ignoring SIGCHLD would mean that children reap themselves.
pub fn reset_all() {
    duty!("signals");
    set_all(None);
}

/// From now on, signals are answered, those first that came in the meantime.
pub fn listen() {
    duty!("signals");
    set_all(Some(on_signal));
    // To handle SIGCHLD would only double the work of wait4(2). Blocked, the
    // signal stays pending, and ends `sleep_until_child_ends`.
    sys::block_signals(CHILD);
}

/// Sleeps until a child has ended or a signal has been answered.
pub fn sleep_until_child_ends() {
    // A kernel that refuses this would have PID 1 spin.
    if sys::suspend(NONE) != -(EINTR as i32) {
        sys::pause();
    }
}

/// Makes Ctrl-Alt-Del a signal, SIGINT, instead of an instant reset (reboot(2)).
pub fn catch_ctrl_alt_del() {
    duty!("signals");
    sys::reboot(LINUX_REBOOT_CMD_CAD_OFF);
}

fn set_all(handler: Option<arch::Handler>) {
    // With all signals blocked while it runs, the handler is never interrupted by itself.
    let action = arch::sigaction(handler, SA_RESTART, ALL);
    for signal in 1.._NSIG + 1 {
        // SAFETY: the handler shares nothing but atomics with what it interrupts.
        // SIGKILL and SIGSTOP cannot be set, which is as it should be.
        unsafe { sys::sigaction(signal, &action) };
    }
}

/// Runs when a signal arrives, between any two instructions of the rest.
///
/// It does not have to wake the reaping loop: all that it does, signalling
/// processes, has them end, and that wakes wait4(2). If nobody is left who could
/// end, and the loop was about to sleep, the timer of the teardown wakes it.
extern "C" fn on_signal(signal: i32) {
    let shared = Shared::from_stack();
    match signal as u32 {
        SIGUSR1 => teardown::begin(shared, LINUX_REBOOT_CMD_HALT),
        SIGUSR2 => teardown::begin(shared, LINUX_REBOOT_CMD_POWER_OFF),
        SIGTERM | SIGINT => teardown::begin(shared, LINUX_REBOOT_CMD_RESTART),
        SIGALRM if teardown::is_under_way(shared) => teardown::on_alarm(shared),
        other => {
            let program = shared.program.load(Relaxed);
            if program > 0 {
                let _ = sys::kill(program, other);
            }
        }
    }
}
