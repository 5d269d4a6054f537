//! What differs by CPU: the first instruction, and the instruction that makes a system
//! call. To port picoinit, write one more file like these, and name it here.

#[cfg_attr(target_arch = "x86_64", path = "x86_64.rs")]
#[cfg_attr(target_arch = "x86", path = "i686.rs")]
#[cfg_attr(target_arch = "aarch64", path = "aarch64.rs")]
#[cfg_attr(target_arch = "riscv64", path = "riscv64.rs")]
mod cpu;
pub use cpu::exit;
pub(crate) use cpu::syscall;
