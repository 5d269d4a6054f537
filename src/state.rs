//! What PID 1 remembers. It is on the stack of `main`, and handed on as `&mut`.

use rustix::process::Pid;

/// What PID 1 remembers.
#[repr(C)] // in this order, what is used most is reached by the shortest instructions
pub struct Init {
    /// What PID 1 exits with, if it has only a part of the machine: how the program exited.
    /// Until it has been reaped, as if it had been killed: it may be stuck in the kernel, and then
    /// PID 1 gives it up.
    pub exit_status: i32,
    /// The PID of the program, until it has been reaped.
    pub program: Option<Pid>,
    /// Whether PID 1 is to power off: the program has exited, or could not be started.
    pub is_over: bool,
    /// How long processes may take to exit once they were told to, in hundredths of a second;
    /// and again once they were killed.
    pub grace: u64,
}
