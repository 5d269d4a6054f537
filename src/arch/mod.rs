//! What differs by CPU: the first instruction, and the instruction that makes a system
//! call. To port picoinit, write one more file like x86_64.rs.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
mod cpu;
pub use cpu::exit;
pub(crate) use cpu::syscall;
