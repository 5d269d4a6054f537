//! Everything that differs by CPU: the first instruction, how a system call
//! is made, and how a signal handler returns.
//!
//! To port picoinit, write one more module like [`x86_64`] and give it the
//! same six names.

#[cfg(target_arch = "x86_64")]
pub use x86_64::*;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("src/arch.rs has no module for this CPU yet");

/// x86_64: see syscall(2) for the registers, `arch/x86/entry/entry_64.S` in
/// the kernel for what becomes of them.
#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use core::arch::{asm, global_asm};
    use core::ffi::c_ulong;
    use linux_raw_sys::general::{SA_RESTORER, kernel_sigaction, kernel_sigset_t};

    /// Defines `_start`, the first instruction of the program, which calls
    /// `extern "C" fn(*const usize, &'static Shared) -> !`: with the address of
    /// what the kernel left on the stack (argc, argv, NULL, envp, NULL, auxv),
    /// and with [`Shared`](crate::shared::Shared), all zero, which it puts below
    /// that, and below it the mark by which the signal handler finds it.
    #[macro_export]
    macro_rules! start {
        ($main:path) => {
            core::arch::global_asm!(
                ".section .text._start, \"ax\"",
                ".globl _start",
                "_start:",
                "mov rdi, rsp",
                "push 0",
                "push 0",
                "mov rsi, rsp",
                "push rsi",
                "not qword ptr [rsp]",
                "push 0", // with this, the stack is aligned as the ABI wants it
                "call {main}", // at a call
                main = sym $main,
            );

            $crate::panic_handler!();
        };
    }

    /// Makes system call `number`. Returns what the kernel returned: from
    /// -4095 to -1 it is a negated errno.
    ///
    /// # Safety
    ///
    /// As unsafe as what the system call does with these arguments.
    #[inline(always)]
    pub unsafe fn syscall3(number: u32, a: usize, b: usize, c: usize) -> isize {
        let result;
        // SAFETY: the kernel overwrites rax, rcx and r11, and the memory that
        // the caller vouches for.
        unsafe {
            asm!("syscall", inlateout("rax") number as isize => result,
                in("rdi") a, in("rsi") b, in("rdx") c,
                lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        result
    }

    /// As [`syscall3`], with five arguments.
    ///
    /// # Safety
    ///
    /// As unsafe as what the system call does with these arguments.
    #[inline(always)]
    pub unsafe fn syscall5(number: u32, a: usize, b: usize, c: usize, d: usize, e: usize) -> isize {
        let result;
        // SAFETY: as for syscall3.
        unsafe {
            asm!("syscall", inlateout("rax") number as isize => result,
                in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d, in("r8") e,
                lateout("rcx") _, lateout("r11") _, options(nostack));
        }
        result
    }

    // Where a signal handler returns to. The kernel wants to be given this
    // address on x86_64; other CPUs find theirs in the vDSO.
    global_asm!(
        ".section .text.signal_return, \"ax\"",
        "picoinit_signal_return:",
        "push {rt_sigreturn}",
        "pop rax",
        "syscall",
        rt_sigreturn = const linux_raw_sys::general::__NR_rt_sigreturn,
    );

    // For the ELF header in link.ld: EM_X86_64.
    global_asm!(".globl elf_machine", ".set elf_machine, 62");

    unsafe extern "C" {
        fn picoinit_signal_return();
    }

    /// The kernel's `struct sigaction` for `handler`, as rt_sigaction(2) takes it.
    #[inline(always)]
    pub fn sigaction(
        handler: Option<unsafe extern "C" fn(i32)>,
        flags: u32,
        mask: kernel_sigset_t,
    ) -> kernel_sigaction {
        kernel_sigaction {
            sa_handler_kernel: handler,
            sa_flags: c_ulong::from(flags | SA_RESTORER),
            sa_restorer: Some(picoinit_signal_return),
            sa_mask: mask,
        }
    }
}
