//! riscv64. What a system call does to the registers: syscall(2), and `do_trap_ecall_u` in the
//! kernel's arch/riscv/kernel/traps.c.

use core::arch::asm;
use linux_raw_sys::general::__NR_exit;

/// Defines `_start`, the first instruction of the program. It calls the function that is
/// named, an `extern "C" fn(*const usize) -> !`, with the address of what the kernel left
/// on the stack: argc, argv, NULL, envp, NULL. The kernel has aligned the stack as the ABI
/// wants it to be.
#[macro_export]
macro_rules! first_instruction {
    ($main:path) => {
        core::arch::global_asm!(
            ".section .text._start, \"ax\"",
            ".globl _start",
            "_start:",
            "mv a0, sp",
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
    ($number:ident, $a:expr $(, $b:expr $(, $c:expr $(, $d:expr)?)?)?) => {{
        let returned: isize;
        core::arch::asm!(
            "ecall",
            in("a7") linux_raw_sys::general::$number as usize,
            in("a0") $a, $(in("a1") $b, $(in("a2") $c, $(in("a3") $d,)?)?)?
            lateout("a0") returned,
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
    unsafe {
        asm!("ecall", "unimp", in("a7") __NR_exit as usize, in("a0") status, options(noreturn))
    };
}

// For the ELF header in link.ld: EM_RISCV.
core::arch::global_asm!(".globl elf_machine", ".set elf_machine, 243");
