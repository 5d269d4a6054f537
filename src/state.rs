//! What PID 1 remembers. It is on the stack of `main`, and handed on as `&mut`.

use rustix::{process::Pid, system::RebootCommand};

/// What PID 1 remembers.
pub struct Init {
    /// The PID of the program, until it has been reaped.
    pub program: Option<Pid>,
    /// What PID 1 exits with, if it has only a part of the machine: how the program exited.
    /// Until it has been reaped, as if it had been killed: it may be stuck in the kernel, and then
    /// PID 1 gives it up.
    pub exit_status: i32,
    /// What reboot(2) is to do, if the program has exited.
    pub request: Option<RebootCommand>,
    /// How long processes may take to exit once they were told to, in hundredths of a second;
    /// and again once they were killed.
    pub grace: u64,
}
