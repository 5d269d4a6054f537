//! What differs by CPU: the first instruction, and the instruction that makes a system
//! call. To port picoinit, write one more file like x86_64.rs.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::exit;
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::syscall;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("src/arch has no file for this CPU yet");
