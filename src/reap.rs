//! Duty: reap.
//!
//! When a process ends, the kernel keeps its exit status until the parent asks
//! for it: until then the process is a zombie, and holds its PID. When a
//! parent ends, PID 1 becomes the parent of its children, the orphans
//! (`find_new_reaper` in kernel/exit.c). If PID 1 did not ask, zombies would
//! pile up until no PID is left.

use crate::say::Line;
use crate::shared::Shared;
use crate::{signals, sys, teardown};
use core::sync::atomic::Ordering::Relaxed;
use linux_raw_sys::errno::ECHILD;
use linux_raw_sys::general::LINUX_REBOOT_CMD_POWER_OFF;

/// Reaps children as they end, for ever. One wait4(2) for each: it sleeps, it
/// tells who ended, and signals interrupt it.
#[inline(always)] // A call that never returns is not inlined by itself, even where it is the only one.
pub fn reap_forever(shared: &Shared) -> ! {
    loop {
        // An init that waits for its own program alone is one that does not reap.
        let whom = if cfg!(feature = "reap") { sys::ANYONE } else { shared.program.load(Relaxed) };
        let (pid, status) = sys::wait(whom);
        if pid > 0 {
            report(pid, status);
            if pid == shared.program.load(Relaxed) {
                shared.program.store(0, Relaxed);
                shared.exit_status.store(exit_status(status), Relaxed);
                teardown::begin(shared, LINUX_REBOOT_CMD_POWER_OFF);
            }
        } else if pid == -(ECHILD as i32) && teardown::is_under_way(shared) {
            // Every orphan is PID 1's, so all that began here has ended. Who entered
            // a container from outside was told to end, too, but is not waited for.
            teardown::finish(shared);
        } else {
            signals::sleep_until_child_ends();
        }
    }
}

/// Prints `init: pid 57 exited with status 3` or `init: pid 57 killed by signal 9`.
fn report(pid: i32, status: i32) {
    let mut line = Line::empty();
    line.text(c"init: pid ");
    line.number(pid as u32);
    match signal(status) {
        0 => line.end(c" exited with status ", exit_status(status)),
        signal => line.end(c" killed by signal ", signal),
    }
}

/// The signal that killed a process; 0 if it exited. `status` is what wait4(2) says.
pub fn signal(status: i32) -> i32 {
    status & 0x7f
}

/// The status that a process exited with; or, as shells have it, 128 and the
/// signal that killed it.
pub fn exit_status(status: i32) -> i32 {
    match signal(status) {
        0 => status >> 8 & 0xff,
        signal => 128 + signal,
    }
}
