//! i686. What a system call does to the registers: syscall(2), and `entry_INT80_32` in the
//! kernel's arch/x86/entry/entry_32.S.

use core::arch::asm;
use linux_raw_sys::general::__NR_exit;

/// Defines `_start`, the first instruction of the program. It calls the function that is
/// named, an `extern "C" fn(*const usize) -> !`, with the address of what the kernel left
/// on the stack: argc, argv, NULL, envp, NULL. The address goes there, too, and keeps it aligned.
#[macro_export]
macro_rules! first_instruction {
    ($main:path) => {
        core::arch::global_asm!(
            ".section .text._start, \"ax\"",
            ".globl _start",
            "_start:",
            "mov eax, esp",
            "sub esp, 12",
            "push eax",
            "call {main}",
            main = sym $main,
        );
    };
}

/// Makes a system call: its number, a constant, then up to four arguments, numbers of at most 32
/// bits or addresses. What it returns is an `isize`; from -4095 to -1, it is an errno, negated.
/// As unsafe as what the call does with these arguments.
macro_rules! syscall {
    // rustix's times are of 64 bits here, too; Linux takes such since 5.1.
    (__NR_ppoll, $($rest:tt)*) => { $crate::arch::syscall!(__NR_ppoll_time64, $($rest)*) };
    (__NR_rt_sigtimedwait, $($rest:tt)*) => {
        $crate::arch::syscall!(__NR_rt_sigtimedwait_time64, $($rest)*)
    };
    // The compiler keeps esi, where the fourth argument belongs, for itself.
    ($number:ident, $a:expr, $b:expr, $c:expr, $d:expr) => {
        $crate::arch::syscall!("xchg esi, edi", $number, $a, $b, $c, in("edi") $d)
    };
    ($number:ident, $($few:expr),*) => { $crate::arch::syscall!("", $number, $($few),*) };
    ($swap:literal, $number:ident, $a:expr $(, $b:expr $(, $c:expr $(, in("edi") $d:expr)?)?)?) => {{
        let returned: isize;
        core::arch::asm!(
            $swap, "int 0x80", $swap,
            inlateout("eax") linux_raw_sys::general::$number as isize => returned,
            in("ebx") $a, $(in("ecx") $b, $(in("edx") $c, $(in("edi") $d,)?)?)?
        );
        returned
    }};
}
pub(crate) use syscall;

/// _exit(2). If the kernel refuses even that, an instruction that does not exist kills the process.
#[inline(never)]
pub fn exit(status: i32) -> ! {
    // SAFETY: there is no other thread.
    unsafe { asm!("int 0x80", "ud2", in("eax") __NR_exit, in("ebx") status, options(noreturn)) };
}

// For the ELF header in link32.ld: EM_386.
core::arch::global_asm!(".globl elf_machine", ".set elf_machine, 3");
