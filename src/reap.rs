//! Duty: reap.
//!
//! When a process exits, the kernel keeps its exit status until the parent asks for it: until
//! then the process is a zombie, and holds its PID. When a parent exits, PID 1 becomes the
//! parent of its children, the orphans (`find_new_reaper` in kernel/exit.c). If PID 1 did not
//! ask, zombies would pile up until no PID is left.

use crate::{say::say, state::Init};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, wait, waitpid};
use rustix::system::RebootCommand;

/// How many children are reaped before the signals have their turn: else a flood of orphans
/// could keep PID 1 from ever hearing that it is to stop.
const TURN: i32 = 100;

/// Reaps the children that have exited, and says how each did. Returns whether any are left.
pub fn reap_all(init: &mut Init) -> bool {
    for _ in 0..TURN {
        // An init that waits for its own program alone is one that does not reap.
        let waited = if cfg!(feature = "reap") {
            wait(WaitOptions::NOHANG)
        } else {
            waitpid(init.program, WaitOptions::NOHANG)
        };
        // None has exited, or there is none.
        let Ok(Some((pid, status))) = waited else { return waited.is_ok() };
        let (text, number, exit_status) = match status.exit_status() {
            Some(status) => (c"init: pid # exited with status #\n", status, status),
            None => {
                let signal = status.as_raw() & 0x7f;
                (c"init: pid # killed by signal #\n", signal, 128 + signal) // as shells have it
            }
        };
        // A container's program has the terminal to itself.
        if cfg!(not(feature = "container")) {
            say(text, None, pid.as_raw_nonzero().get(), number);
        }
        if Some(pid) == init.program {
            init.program = None;
            init.exit_status = exit_status;
            init.request = Some(RebootCommand::PowerOff);
        }
    }
    // There may be more. They are next, after the signals that ask PID 1 to stop: of those that
    // are pending, the kernel hands out the one with the lowest number first.
    let _ = kill_process(Pid::INIT, Signal::CHILD);
    true
}
