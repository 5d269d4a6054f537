//! x86_64. What a system call does to the registers: syscall(2), and
//! `entry_SYSCALL_64` in the kernel's arch/x86/entry/entry_64.S.

use core::arch::asm;
use linux_raw_sys::general::__NR_exit;

/// Defines `_start`, the first instruction of the program. It calls the function that is
/// named, an `extern "C" fn(*const usize) -> !`, with the address of what the kernel left
/// on the stack: argc, argv, NULL, envp, NULL. By a call, because then the stack is
/// aligned as the ABI wants it to be where a function begins.
#[macro_export]
macro_rules! first_instruction {
    ($main:path) => {
        core::arch::global_asm!(
            ".section .text._start, \"ax\"",
            ".globl _start",
            "_start:",
            "mov rdi, rsp",
            "call {main}",
            main = sym $main,
        );
    };
}

/// Makes a system call: its number, a constant, then up to four arguments, numbers of at most 64
/// bits or addresses. What it returns is an `isize`; from -4095 to -1, it is an errno, negated.
///
/// As unsafe as what the call does with these arguments.
macro_rules! syscall {
    ($number:ident $(, $a:expr $(, $b:expr $(, $c:expr $(, $d:expr)?)?)?)?) => {{
        let returned: isize;
        core::arch::asm!(
            // Either way the number is in eax; a small one takes two bytes less so.
            ".if {number} < 128", "push {number}", "pop rax", ".else", "mov eax, {number}", ".endif",
            "syscall",
            number = const linux_raw_sys::general::$number,
            $(in("rdi") $a, $(in("rsi") $b, $(in("rdx") $c, $(in("r10") $d,)?)?)?)?
            lateout("rax") returned, lateout("rcx") _, lateout("r11") _,
        );
        returned
    }};
}
pub(crate) use syscall;

/// _exit(2). If the kernel refuses even that, the process is killed for an instruction that does
/// not exist.
#[inline(never)]
pub fn exit(status: i32) -> ! {
    // SAFETY: there is no other thread.
    unsafe { asm!("syscall", "ud2", in("rax") __NR_exit, in("rdi") status, options(noreturn)) };
}

// For the ELF header in link.ld: EM_X86_64.
core::arch::global_asm!(".globl elf_machine", ".set elf_machine, 62");
