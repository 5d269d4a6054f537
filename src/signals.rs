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
    let action = arch::sigaction(handler, SA_RESTART | SA_SIGINFO, ALL);
    for signal in 1.._NSIG + 1 {
        // SAFETY: the handler shares nothing but atomics with what it interrupts.
        // SIGKILL and SIGSTOP cannot be set, which is as it should be.
        unsafe { sys::sigaction(signal, &action) };
    }
}

/// Runs when a signal arrives, between any two instructions of the rest.
///
/// It never has to wake the reaping loop. All that it does, signalling
/// processes, has them end, and that wakes wait4(2); so no request can come
/// at the wrong moment, and be overlooked.
///
/// The details are the first words of siginfo_t: signal, errno, and a code that
/// is above 0 if the kernel sent it (sigaction(2)): then SIGALRM is the timer's.
extern "C" fn on_signal(signal: i32, details: &[i32; 3]) {
    let shared = Shared::from_stack();
    match signal as u32 {
        SIGUSR1 => teardown::begin(shared, LINUX_REBOOT_CMD_HALT),
        SIGUSR2 => teardown::begin(shared, LINUX_REBOOT_CMD_POWER_OFF),
        SIGTERM | SIGINT => teardown::begin(shared, LINUX_REBOOT_CMD_RESTART),
        SIGALRM if teardown::is_under_way(shared) && details[2] > 0 => {
            teardown::time_is_up(shared);
        }
        other => {
            let program = shared.program.load(Relaxed);
            if program > 0 {
                let _ = sys::kill(program, other);
            }
        }
    }
}
