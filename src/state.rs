//! What PID 1 remembers. It is on the stack of `main`, and handed on as `&mut`.

use rustix::process::{Pid, Signal};
use rustix::system::RebootCommand;

/// What PID 1 remembers.
pub struct Init {
    /// The PID of the program, until it has been reaped.
    pub program: Option<Pid>,
    /// What PID 1 exits with, if it has only a part of the machine: how the program exited.
    /// Until it has been reaped, as if it had been killed: it may be stuck in the kernel, and then
    /// PID 1 gives it up.
    pub exit_status: i32,
    /// What reboot(2) is to do: the program has exited, or somebody asked PID 1 to stop.
    pub request: Option<RebootCommand>,
    /// How long processes may take to exit once they were told to, in hundredths of a second;
    /// and again once they were killed.
    pub grace: u64,
}

impl Init {
    /// At the start.
    #[expect(clippy::new_without_default, reason = "nobody asks for a default")]
    pub fn new() -> Self {
        let exit_status = 128 + Signal::KILL.as_raw();
        Self { program: None, exit_status, request: None, grace: 500 }
    }
}
