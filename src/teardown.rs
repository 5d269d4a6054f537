//! Duty: end every process, then the machine.

#[cfg(feature = "container")]
use crate::container::grace;
use crate::shared::Shared;
use crate::sys::Word;
use crate::{mounts, reap, say, signals, sys};
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::errno::ESRCH;
use linux_raw_sys::general::{LINUX_REBOOT_CMD_CAD_OFF, SIGCONT, SIGKILL, SIGTERM};

/// How long processes may take to end, in seconds, once they were told to; and
/// again once they were killed, so that one that hangs in the kernel does not
/// hold up the rest for ever.
pub const GRACE: i32 = 5;

/// Everyone but PID 1, to kill(2).
const EVERYONE: i32 = -1;
/// What kill(2) returns if there is no one else.
const NOBODY: i32 = -(ESRCH as i32);

/// Whether a teardown has begun.
pub fn is_under_way(shared: &Shared) -> bool {
    shared.stopping.load(Relaxed) != 0
}

/// Tells everyone to end. The reaping loop goes on, and calls [`finish`] once
/// nobody is left. `command` is what reboot(2) is to do then; the first call decides.
pub fn begin(shared: &Shared, command: u32) {
    if is_under_way(shared) {
        return;
    }
    if cfg!(feature = "teardown") {
        sys::kill(EVERYONE, SIGTERM);
        // A stopped process has to be woken to see that it is to end.
        press(shared, SIGCONT);
    }
    // From now on, a SIGALRM has the timer asked whether it is over: so it is set before.
    shared.stopping.store(command, Relaxed);
    if cfg!(not(feature = "teardown")) {
        finish(shared);
    }
}

/// Called at a SIGALRM. When the time of the teardown runs out, first everyone is
/// killed, then left behind.
///
/// Anyone may send that signal, and then the timer's own is lost, because one that
/// is pending is not sent twice (signal(7)); so each time, the timer itself is asked.
pub fn on_alarm(shared: &Shared) {
    if !sys::alarm_is_over() {
        return;
    }
    if shared.killed.load(Relaxed) {
        return finish(shared);
    }
    shared.killed.store(true, Relaxed);
    press(shared, SIGKILL);
}

#[cfg(not(feature = "container"))]
fn grace(_: &Shared) -> i32 {
    GRACE
}

/// Sends everyone a signal, and SIGALRM to PID 1 when it should have been heeded.
fn press(shared: &Shared, signal: u32) {
    let returned = sys::kill(EVERYONE, signal);
    if !matches!(returned, 0 | NOBODY) {
        say::cannot(c"signal ", Word(c"everyone".as_ptr()), returned);
    }
    // Without a timer there can be no time to wait.
    if sys::alarm(grace(shared)) < 0 {
        sys::kill(EVERYONE, SIGKILL);
    }
}

/// Ends the machine. If it goes on all the same, so does PID 1, and may be
/// told to stop once more.
pub fn finish(shared: &Shared) {
    signals::block_all();
    sys::alarm(0);

    clean_up();

    if reboot_is_refused(shared.stopping.load(Relaxed)) {
        sys::exit(shared.exit_status.load(Relaxed));
    }

    shared.stopping.store(0, Relaxed);
    shared.killed.store(false, Relaxed);
    signals::listen();
}

/// Leaves all file systems clean, if this is the PID 1 of the whole machine. A
/// container's may not make Ctrl-Alt-Del a signal, as this does once more; and
/// what is mounted there belongs to whoever made the container.
#[inline(always)] // it has one caller
fn clean_up() {
    duty!("teardown");
    if sys::reboot(LINUX_REBOOT_CMD_CAD_OFF) == 0 {
        rustix::fs::sync();
        mounts::unmount_all();
    }
}

/// Calls reboot(2) in a child process, if there can be one. Where the machine
/// cannot be switched off, the call ends its caller (kernel/reboot.c), and the
/// kernel panics when PID 1 ends (`do_exit` in kernel/exit.c).
fn reboot_is_refused(command: u32) -> bool {
    let child = sys::fork();
    if child > 0 {
        let (ended, status) = sys::wait(child);
        // One that was killed, as where no memory is left, has said nothing.
        if ended == child && reap::signal(status) == 0 {
            return status != 0;
        }
    }
    let is_refused = sys::reboot(command) < 0;
    if child == 0 {
        sys::exit(is_refused.into());
    }
    is_refused
}
