//! Everything that differs by CPU: the first instruction, how a system call
//! is made, and how a signal handler returns.
//!
//! To port picoinit, write one more module like [`x86_64`], and give it the same
//! six names. And see to src/sys.rs: newer CPUs lack the oldest system calls
//! (open, poll, dup2, pause, alarm, fork), and have only what succeeded them.

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
    use core::mem::transmute;
    use linux_raw_sys::general::{
        __NR_exit, __kernel_sighandler_t, SA_RESTORER, kernel_sigaction, kernel_sigset_t,
    };

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
                "neg qword ptr [rsp]",
                "push 0", // with this, the stack is aligned as the ABI wants it
                "call {main}", // at a call
                main = sym $main,
            );

            $crate::panic_handler!();
        };
    }

    /// Makes a system call: its number, then its arguments, each a number or an
    /// address. What it returns is an i32.
    ///
    /// As unsafe as what the call does with these arguments. The compiler is
    /// not told that the stack stays as it is, because then constants could not
    /// be pushed and popped, which is the shortest way to load them.
    #[macro_export]
    macro_rules! syscall {
        ($number:expr $(, $a:expr $(, $b:expr $(, $c:expr $(, $d:expr $(, $e:expr)?)?)?)?)?) => {{
            let returned: usize;
            core::arch::asm!(
                "syscall", inlateout("rax") $number as usize => returned,
                $(in("rdi") $a as usize, $(in("rsi") $b as usize, $(in("rdx") $c as usize,
                $(in("r10") $d as usize, $(in("r8") $e as usize,)?)?)?)?)?
                lateout("rcx") _, lateout("r11") _,
            );
            returned as i32
        }};
    }

    /// _exit(2).
    pub fn exit(status: i32) -> ! {
        // SAFETY: ends the only thread of this process; if the kernel refuses
        // even that, by the ud2 that the compiler puts where nothing can come.
        unsafe {
            asm!("syscall", in("rax") __NR_exit, in("rdi") status, options(noreturn));
        }
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

    // SAFETY: defined above; only its address is taken.
    unsafe extern "C" {
        fn picoinit_signal_return();
    }

    /// A signal handler.
    pub type Handler = extern "C" fn(i32);

    /// The kernel's `struct sigaction` for `handler`, as rt_sigaction(2) takes it.
    #[inline(always)]
    pub fn sigaction(
        handler: Option<Handler>,
        flags: u32,
        mask: kernel_sigset_t,
    ) -> kernel_sigaction {
        kernel_sigaction {
            // SAFETY: the kernel passes what a Handler takes, and more.
            sa_handler_kernel: unsafe {
                transmute::<Option<Handler>, __kernel_sighandler_t>(handler)
            },
            sa_flags: c_ulong::from(flags | SA_RESTORER),
            sa_restorer: Some(picoinit_signal_return),
            sa_mask: mask,
        }
    }
}
