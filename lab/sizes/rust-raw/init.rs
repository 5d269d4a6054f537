//! /init in Rust, with no crate at all: picoinit's contract, on system calls of its own.
//!
//! All signals are blocked, from the first instruction on, and one loop takes them from the
//! kernel, one by one: so there are no handlers, and nothing that they and the rest could share.

#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;
use core::ptr::{NonNull, null};
use core::slice;

/// Numbers of the kernel's, for x86_64.
mod kernel {
    pub const READ: u32 = 0;
    pub const WRITE: u32 = 1;
    pub const OPEN: u32 = 2;
    pub const CLOSE: u32 = 3;
    pub const POLL: u32 = 7;
    pub const LSEEK: u32 = 8;
    pub const RT_SIGACTION: u32 = 13;
    pub const RT_SIGPROCMASK: u32 = 14;
    pub const IOCTL: u32 = 16;
    pub const ACCESS: u32 = 21;
    pub const DUP2: u32 = 33;
    pub const NANOSLEEP: u32 = 35;
    pub const GETPID: u32 = 39;
    pub const FORK: u32 = 57;
    pub const EXECVE: u32 = 59;
    pub const EXIT: u32 = 60;
    pub const WAIT4: u32 = 61;
    pub const KILL: u32 = 62;
    pub const MKDIR: u32 = 83;
    pub const TIMES: u32 = 100;
    pub const SETPGID: u32 = 109;
    pub const SETSID: u32 = 112;
    pub const RT_SIGTIMEDWAIT: u32 = 128;
    pub const SYNC: u32 = 162;
    pub const MOUNT: u32 = 165;
    pub const UMOUNT2: u32 = 166;
    pub const REBOOT: u32 = 169;

    pub const EPERM: i32 = 1;
    pub const ENOENT: i32 = 2;
    pub const EAGAIN: i32 = 11;
    pub const EBUSY: i32 = 16;

    pub const SIGINT: i32 = 2;
    pub const SIGKILL: i32 = 9;
    pub const SIGUSR1: i32 = 10;
    pub const SIGUSR2: i32 = 12;
    pub const SIGTERM: i32 = 15;
    pub const SIGCHLD: i32 = 17;
    pub const SIGCONT: i32 = 18;
    pub const SIG_SETMASK: i32 = 2;
    pub const SIGNALS: i32 = 64;

    pub const MS_RDONLY: u32 = 1;
    pub const MS_NOSUID: u32 = 2;
    pub const MS_NODEV: u32 = 4;
    pub const MS_NOEXEC: u32 = 8;
    pub const MS_REMOUNT: u32 = 32;
    pub const UMOUNT_NOFOLLOW: u32 = 8;

    pub const F_OK: u32 = 0;
    pub const O_RDONLY: u32 = 0;
    pub const O_WRONLY: u32 = 1;
    pub const O_RDWR: u32 = 2;
    pub const O_NOCTTY: u32 = 0o400;
    pub const O_APPEND: u32 = 0o2000;
    pub const O_NONBLOCK: u32 = 0o4000;
    pub const SEEK_CUR: u32 = 1;
    pub const POLLOUT: i16 = 4;
    pub const TIOCSCTTY: u32 = 0x540e;
    pub const TIOCSPGRP: u32 = 0x5410;
    pub const WNOHANG: u32 = 1;

    pub const MAGIC1: u32 = 0xfee1_dead;
    pub const MAGIC2: u32 = 0x2812_1969;
    pub const CAD_OFF: u32 = 0;
    pub const RESTART: u32 = 0x0123_4567;
    pub const HALT: u32 = 0xcdef_0123;
    pub const POWER_OFF: u32 = 0x4321_fedc;
}
use kernel::*;

/// How long processes may take to exit once they were told to, in hundredths of a second; and
/// again once they were killed.
const GRACE: u64 = 500;
/// How many children are reaped before the signals have their turn: else a flood of orphans
/// could keep PID 1 from ever hearing that it is to stop.
const TURN: i32 = 100;
/// How deep mounts may be nested to be unmounted.
const DEPTH: usize = 16;
/// How many bytes a [`Buffer`] has room for: a little less than a page of the stack.
const SIZE: usize = 4000;
/// Where a name from outside ends in a line, if it is longer than that.
const NAME_END: u32 = 200;
/// To kill(2): every process but PID 1.
const ALL: i32 = -1;
/// To wait4(2): any child.
const ANY: i32 = -1;
/// Exit statuses, as shells have them.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;
/// This and the signal.
const KILLED: i32 = 128;

/// What has to be remembered.
struct Init {
    /// The program's PID; 0 if it is not running.
    program: i32,
    /// How the program exited; until it has been reaped, as if it had been killed.
    exit_status: i32,
    /// What reboot(2) is to do: the program has exited, or somebody asked PID 1 to stop. 0 if
    /// not; reboot(2) has a 0, too, but not one that stops anything.
    request: u32,
}

// The first instruction. It calls `main` with the address of what the kernel left on the stack;
// by a call, because then the stack is aligned as the ABI wants it to be where a function begins.
global_asm!(
    ".section .text._start, \"ax\"",
    ".globl _start",
    "_start:",
    "mov rdi, rsp",
    "call {main}",
    main = sym main,
);

/// The life of PID 1. At `stack` are argc, argv, NULL, envp, NULL.
extern "C" fn main(stack: *const usize) -> ! {
    // From here on, no signal is lost and none interrupts: those that come stay pending until
    // the loop below takes them.
    block_signals(!0);
    // Not `!= 1`: where system calls are filtered, even this one may fail.
    if getpid() > 1 {
        say(c"init: must run as PID 1\n", None, 0, 0);
        exit(1);
    }
    // The process that started PID 1 may have ignored some. (0 is no signal; the kernel says so.)
    (0..SIGNALS + 1).rev().for_each(reset_signal);
    mount_all();
    open_console();
    catch_ctrl_alt_del();

    // SAFETY: the address is the kernel's.
    let mut init = unsafe { Init::start_program(stack) };
    never_wait();

    loop {
        if init.request != 0 {
            init.stop();
        }
        // Here PID 1 sleeps.
        let signal = take_signal(None);
        // Whatever signal came: no flood of other signals can keep PID 1 from reaping.
        init.reap_all();
        match signal {
            0 | SIGCHLD => {}
            SIGUSR1 => init.request = HALT,
            SIGUSR2 => init.request = POWER_OFF,
            // SIGINT is Ctrl-Alt-Del.
            SIGTERM | SIGINT => init.request = RESTART,
            other => {
                if init.program != 0 {
                    kill(init.program, other);
                }
            }
        }
    }
}

/// If there is a /proc already, whoever started PID 1, such as a container engine, has prepared
/// the rest, too.
fn mount_all() {
    if exists(c"/proc/mounts") {
        return;
    }
    mount_one(c"proc", c"/proc", MS_NODEV, None);
    mount_one(c"sysfs", c"/sys", MS_NODEV, None);
    mount_one(c"devtmpfs", c"/dev", 0, None);
    mount_one(c"devpts", c"/dev/pts", 0, None);
    // Unless it is told otherwise, a tmpfs is open to everyone.
    mount_one(c"tmpfs", c"/run", MS_NODEV, Some(c"mode=755"));
}

fn mount_one(kind: &'static CStr, target: &'static CStr, flags: u32, data: Option<&'static CStr>) {
    let (kind, target) = (Word::from(kind), Word::from(target));
    // It may be there; and if it cannot be made, mount(2) will say so.
    mkdir(target);
    match -mount(kind, target, flags | MS_NOSUID | MS_NOEXEC, data.map(Word::from)) {
        // Where PID 1 may not mount, or something is mounted, there is nothing to say of it.
        0 | EPERM | EBUSY => {}
        error => say(c"init: cannot mount @: errno #\n", Some(target), error, 0),
    }
}

/// Opens the console on those of the descriptors 0, 1 and 2 that are closed.
fn open_console() {
    loop {
        // open(2) takes the lowest descriptor that is free.
        let mut opened = open(c"/dev/console", O_RDWR | O_NOCTTY);
        if opened < 0 {
            opened = open(c"/dev/null", O_RDWR | O_NOCTTY);
        }
        if !(0..=2).contains(&opened) {
            return close(opened);
        }
    }
}

/// Makes Ctrl-Alt-Del a SIGINT to PID 1. Returns whether it did: only the PID 1 of a whole
/// machine may.
#[inline(always)]
fn catch_ctrl_alt_del() -> bool {
    reboot(CAD_OFF) >= 0
}

/// Opens standard error once more, for PID 1 alone, so that it never waits for a terminal that
/// nobody reads: poll(2) says that such a terminal can be written to as long as it has room for
/// a part of a line. Not if it is a file on a disk, which keeps nobody waiting, and would get an
/// offset of its own.
fn never_wait() {
    if has_offset(2) {
        return;
    }
    let own = open(c"/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND);
    if own > 2 {
        dup2(own, 2);
        close(own);
    }
}

/// The first word of argv that begins with `/`, apart from PID 1's own name.
///
/// # Safety
///
/// `argv` is at least one word, then NULL.
unsafe fn find_program(mut argv: *const Option<Word>) -> Option<*const Word> {
    loop {
        // SAFETY: NULL is still to come.
        unsafe {
            argv = argv.add(1);
            if (*argv)?.bytes().next() == Some(b'/') {
                return Some(argv.cast());
            }
        }
    }
}

/// Turns this process, a child of PID 1, into the program.
///
/// # Safety
///
/// `argv` is at least one word, then NULL; `envp` ends with NULL.
#[inline(always)] // a call that never returns is not inlined by itself
unsafe fn become_program(argv: *const Word, envp: *const Option<Word>) -> ! {
    // Where PID 1 was started on a terminal, as in a container, the program is to be in its
    // foreground; else it gets a session of its own, and the console with it.
    if set_foreground(getpid()) >= 0 {
        lead_process_group();
    } else {
        lead_session();
        take_terminal();
    }
    block_signals(0);
    // SAFETY: the caller's.
    let (path, error) = unsafe { (*argv, execve(argv, envp)) };
    exit(cannot_run(path, error))
}

/// Says why; `error` is an errno, negated. Returns what counts as the exit status.
#[inline(never)]
fn cannot_run(path: Word, error: i32) -> i32 {
    say(c"init: cannot run @: errno #\n", Some(path), -error, 0);
    if error == -ENOENT { NOT_FOUND } else { NOT_EXECUTABLE }
}

impl Init {
    /// Starts the program. If that fails, PID 1 stops as if the program had exited.
    ///
    /// # Safety
    ///
    /// At `stack` are argc, argv, NULL, envp, NULL.
    unsafe fn start_program(stack: *const usize) -> Self {
        let default = [Some(Word::from(c"/etc/rc")), None];
        // SAFETY: the caller's; both arrays are at least one word, then NULL.
        unsafe {
            let argv = stack.add(1).cast::<Option<Word>>();
            let envp = argv.add(*stack + 1);
            let argv = find_program(argv).unwrap_or(default.as_ptr().cast());
            match fork() {
                0 => become_program(argv, envp),
                error if error < 0 => {
                    Self { program: 0, exit_status: cannot_run(*argv, error), request: POWER_OFF }
                }
                program => Self { program, exit_status: KILLED + SIGKILL, request: 0 },
            }
        }
    }

    /// Reaps the children that have exited. Returns whether any are left.
    #[inline(never)]
    fn reap_all(&mut self) -> bool {
        for _ in 0..TURN {
            let (pid, status) = wait();
            if pid <= 0 {
                return pid == 0;
            }
            let (signal, code) = (status & 0x7f, status >> 8 & 0xff);
            let (text, number, exit_status) = match signal {
                0 => (c"init: pid # exited with status #\n", code, code),
                _ => (c"init: pid # killed by signal #\n", signal, KILLED + signal),
            };
            if pid == self.program {
                *self = Init { program: 0, exit_status, request: POWER_OFF };
            }
            say(text, None, pid, number);
        }
        // There may be more. They are next, after the signals that ask PID 1 to stop: of those
        // that are pending, the kernel hands out the one with the lowest number first.
        kill(1, SIGCHLD);
        true
    }

    /// Stops every process, then the machine. Returns if the machine goes on all the same.
    fn stop(&mut self) {
        let command = self.request;
        self.stop_processes();
        // What is mounted in a container belongs to whoever made it.
        if !catch_ctrl_alt_del() {
            exit(self.exit_status);
        }
        // The disks may take as long as they need, so a child process sees to them, while PID 1
        // goes on listening. And reboot(2) itself exits where the machine cannot be switched
        // off; if PID 1 did, the kernel would panic.
        self.exit_status = 1;
        let child = fork();
        if child > 0 {
            self.program = child;
            // Any signal that comes now but SIGCHLD asks PID 1 not to wait for the disks.
            while self.program != 0 && matches!(take_signal(None), 0 | SIGCHLD) {
                self.reap_all();
            }
        } else {
            sync();
            unmount_all();
        }
        // The child gets here; and PID 1, if it could have no child, if the child was killed, or
        // if it does not wait any longer. Not if the child has been here.
        if self.exit_status != 0 {
            reboot(command);
        }
        if child == 0 {
            exit(0);
        }
        // If the child is still busy, it is nobody's program.
        self.program = 0;
        self.request = 0;
    }

    /// Asks every process to exit, waits until all have, and kills those that have not.
    fn stop_processes(&mut self) {
        let mut signal = SIGTERM;
        loop {
            kill(ALL, signal);
            // A process that was stopped has to be woken to see that it is asked to exit.
            kill(ALL, SIGCONT);
            let deadline = hundredths().wrapping_add(GRACE);
            while self.reap_all() && hundredths() < deadline {
                take_signal(Some(&TENTH));
            }
            if signal == SIGKILL {
                break;
            }
            signal = SIGKILL;
        }
        // What else was asked for in the meantime is being done.
        while take_signal(Some(&NOW)) > 0 {}
    }
}

/// What cannot be unmounted is made read-only, and so is the root.
fn unmount_all() {
    // The list begins with what was mounted first, which cannot go before what is mounted
    // inside it; so each time, the innermost go.
    for _ in (0..DEPTH).rev() {
        // The list becomes descriptor 0. At the limit on descriptors, there is no other.
        close(0);
        open(c"/proc/mounts", O_RDONLY);
        let mut word = Buffer::empty();
        loop {
            match next() {
                0 => break,
                b' ' | b'\n' => {
                    // What begins with `/` is a mount point, or unmounting it is an error and
                    // no more. A word that does not fit is too long for a path.
                    if let Some(path) =
                        word.as_word().filter(|path| path.bytes().next() == Some(b'/'))
                        && unmount(path) < 0
                    {
                        mount(path, path, MS_REMOUNT | MS_RDONLY, None);
                    }
                    word = Buffer::empty();
                }
                // A space in a name is written as `\040`, three octal digits.
                b'\\' => word.push((0..3).fold(0, |byte, _| byte << 3 | next() & 7)),
                byte => word.push(byte),
            }
        }
    }
}

/// The next byte of descriptor 0; 0 at the end.
#[inline(never)]
fn next() -> u8 {
    let mut byte = 0;
    read(0, &mut byte);
    byte
}

/// A C string by the address of its first byte, as the kernel takes and passes it. (A `&CStr`
/// carries its length, too.) Whoever makes one answers for it: that the bytes last as long as it
/// does.
#[derive(Clone, Copy)]
#[repr(transparent)]
struct Word(NonNull<c_char>);

impl From<&'static CStr> for Word {
    fn from(string: &'static CStr) -> Self {
        Self(NonNull::from(string).cast())
    }
}

impl Word {
    fn as_ptr(self) -> *const c_char {
        self.0.as_ptr()
    }

    /// Its bytes, without the 0 at the end.
    fn bytes(self) -> impl Iterator<Item = u8> {
        let mut next = self.0;
        core::iter::from_fn(move || {
            // SAFETY: a C string goes on until a 0, which this never passes.
            unsafe {
                let byte = next.read() as u8;
                next = next.add(1);
                (byte != 0).then_some(byte)
            }
        })
    }
}

/// Bytes in a row, on the stack. The length comes first, where instructions reach it with a
/// short distance.
#[repr(C)]
struct Buffer {
    length: u32,
    bytes: [MaybeUninit<u8>; SIZE],
}

impl Buffer {
    const fn empty() -> Self {
        Self { length: 0, bytes: [MaybeUninit::uninit(); SIZE] }
    }

    /// Adds a byte; what does not fit is dropped.
    #[inline(never)]
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length as usize) {
            place.write(byte);
            self.length += 1;
        }
    }

    /// Adds a number in decimal.
    fn push_number(&mut self, number: u32) {
        let (rest, digit) = (number / 10, number % 10);
        if rest > 0 {
            self.push_number(rest);
        }
        self.push(b'0' + digit as u8);
    }

    /// Adds a name from outside. Whatever could move the cursor or begin an escape sequence is
    /// shown as `?`, and so is all that is not ASCII.
    fn push_name(&mut self, name: Option<Word>) {
        let Some(name) = name else { return };
        for byte in name.bytes() {
            if self.length < NAME_END {
                self.push(if matches!(byte, b' '..=b'~') { byte } else { b'?' });
            }
        }
    }

    /// The bytes so far.
    fn as_bytes(&self) -> &[u8] {
        // SAFETY: `push` wrote the first `length` bytes, and never more than there are.
        unsafe { slice::from_raw_parts(self.bytes.as_ptr().cast(), self.length as usize) }
    }

    /// The bytes so far as a C string, if there is room for the 0 at its end.
    fn as_word(&mut self) -> Option<Word> {
        self.bytes.get_mut(self.length as usize)?.write(0);
        Some(Word(NonNull::from(&mut self.bytes).cast()))
    }
}

/// Prints a text to standard error, with `name` in place of an `@`, and a number in place of each
/// `#`. It is one write(2), so that the lines of several processes never tear. If it would have
/// to wait, because that is a pipe that is full or a terminal that was stopped, it prints nothing.
#[inline(never)]
fn say(text: &'static CStr, name: Option<Word>, mut number: i32, next: i32) {
    let mut line = Buffer::empty();
    for byte in Word::from(text).bytes() {
        match byte {
            b'@' => line.push_name(name),
            b'#' => {
                line.push_number(number as u32);
                number = next;
            }
            _ => line.push(byte),
        }
    }
    if is_writable(2) {
        write(2, line.as_bytes());
    }
}

// The system calls: see syscall(2). Those that fail return an errno, negated.

/// Makes a system call: its number, a constant, then up to five arguments, numbers of at most 64
/// bits or addresses. As unsafe as what the call does with these arguments.
macro_rules! syscall {
    ($number:ident $(, $a:expr $(, $b:expr $(, $c:expr $(, $d:expr $(, $e:expr)?)?)?)?)?) => {{
        let returned: isize;
        asm!(
            // Either way the number is in eax; a small one takes two bytes less so.
            ".if {number} < 128", "push {number}", "pop rax", ".else", "mov eax, {number}", ".endif",
            "syscall",
            number = const kernel::$number,
            $(in("rdi") $a, $(in("rsi") $b, $(in("rdx") $c, $(in("r10") $d, $(in("r8") $e,)?)?)?)?)?
            lateout("rax") returned, lateout("rcx") _, lateout("r11") _,
        );
        returned
    }};
}

#[inline(never)]
fn exit(status: i32) -> ! {
    loop {
        // SAFETY: there is no other thread.
        unsafe { syscall!(EXIT, status) };
    }
}

fn getpid() -> i32 {
    // SAFETY: reads and writes no memory.
    unsafe { syscall!(GETPID) as i32 }
}

/// Returns the child's PID to the parent, 0 to the child.
fn fork() -> i32 {
    // SAFETY: the child goes on with a copy of all memory.
    unsafe { syscall!(FORK) as i32 }
}

/// Returns only if it failed.
///
/// # Safety
///
/// Both arrays end with NULL.
unsafe fn execve(argv: *const Word, envp: *const Option<Word>) -> i32 {
    // SAFETY: the caller's.
    unsafe { syscall!(EXECVE, (*argv).as_ptr(), argv, envp) as i32 }
}

/// Reaps a child if one has exited. Returns its PID, or 0, and how it exited.
#[inline(never)]
fn wait() -> (i32, i32) {
    let mut status = 0i32;
    // SAFETY: writes the status, and no struct rusage.
    let pid = unsafe { syscall!(WAIT4, ANY, &raw mut status, WNOHANG, null::<u8>()) };
    (pid as i32, status)
}

fn kill(pid: i32, signal: i32) {
    // SAFETY: reads and writes no memory.
    unsafe { syscall!(KILL, pid, signal) };
}

/// What the kernel wants to be told with each set of signals.
const SET_SIZE: usize = size_of::<u64>();

/// Makes `set` the set of blocked signals.
#[inline(never)]
fn block_signals(set: u64) {
    // SAFETY: reads a set of the size given.
    unsafe { syscall!(RT_SIGPROCMASK, SIG_SETMASK, &raw const set, null::<u8>(), SET_SIZE) };
}

/// Gives a signal its default disposition.
fn reset_signal(signal: i32) {
    // struct sigaction: a handler, flags, a restorer, a set of signals.
    let default = [0u64; 4];
    // SAFETY: reads one of these, with a set of the size given.
    unsafe { syscall!(RT_SIGACTION, signal, &raw const default, null::<u8>(), SET_SIZE) };
}

/// struct timespec: seconds, nanoseconds.
type Time = [i64; 2];
/// For a look at what is pending already.
static NOW: Time = [0, 0];
/// The longest that PID 1 sleeps while a deadline runs.
static TENTH: Time = [0, 100_000_000];

/// Sleeps until any signal is pending, but no longer than `timeout`, and takes it, the one with
/// the lowest number first. Returns 0 if none came.
#[inline(never)]
fn take_signal(timeout: Option<&Time>) -> i32 {
    let all = !0u64;
    let timeout = timeout.map_or(null(), |timeout| &raw const *timeout);
    // SAFETY: reads a set of the size given, and a time.
    let signal = unsafe {
        syscall!(RT_SIGTIMEDWAIT, &raw const all, null::<u8>(), timeout, SET_SIZE) as i32
    };
    if signal > 0 {
        return signal;
    }
    // If the kernel refuses this, PID 1 looks now and then instead of spinning.
    if signal != -EAGAIN {
        // SAFETY: reads a time.
        unsafe { syscall!(NANOSLEEP, &raw const TENTH, null::<u8>()) };
    }
    0
}

/// Hundredths of a second since some time in the past; a number next to the greatest where the
/// kernel refuses to say.
fn hundredths() -> u64 {
    // SAFETY: where there is no struct to write to, nothing is written.
    unsafe { syscall!(TIMES, null::<u8>()) as u64 }
}

#[inline(never)]
fn reboot(command: u32) -> i32 {
    // SAFETY: no command that we have reads memory.
    unsafe { syscall!(REBOOT, MAGIC1, MAGIC2, command) as i32 }
}

fn sync() {
    // SAFETY: reads and writes no memory.
    unsafe { syscall!(SYNC) };
}

fn exists(path: &'static CStr) -> bool {
    // SAFETY: a C string.
    unsafe { syscall!(ACCESS, path.as_ptr(), F_OK) as i32 >= 0 }
}

fn mkdir(path: Word) {
    // SAFETY: a C string.
    unsafe { syscall!(MKDIR, path.as_ptr(), 0o755u32) };
}

fn mount(kind: Word, target: Word, flags: u32, data: Option<Word>) -> i32 {
    let data = data.map_or(null(), Word::as_ptr);
    // SAFETY: C strings, or NULL. The source is a mere name for what PID 1 mounts: the kind.
    unsafe {
        syscall!(MOUNT, kind.as_ptr(), target.as_ptr(), kind.as_ptr(), u64::from(flags), data)
            as i32
    }
}

fn unmount(target: Word) -> i32 {
    // SAFETY: a C string.
    unsafe { syscall!(UMOUNT2, target.as_ptr(), UMOUNT_NOFOLLOW) as i32 }
}

fn open(path: &'static CStr, flags: u32) -> i32 {
    // SAFETY: a C string.
    unsafe { syscall!(OPEN, path.as_ptr(), flags) as i32 }
}

fn close(descriptor: i32) {
    // SAFETY: nobody here uses a descriptor after that.
    unsafe { syscall!(CLOSE, descriptor) };
}

fn dup2(descriptor: i32, copy: i32) {
    // SAFETY: as above.
    unsafe { syscall!(DUP2, descriptor, copy) };
}

fn has_offset(descriptor: i32) -> bool {
    // SAFETY: reads and writes no memory.
    unsafe { syscall!(LSEEK, descriptor, 0usize, SEEK_CUR) >= 0 }
}

fn read(descriptor: i32, byte: &mut u8) {
    // SAFETY: writes this byte, or nothing.
    unsafe { syscall!(READ, descriptor, &raw mut *byte, 1usize) };
}

fn write(descriptor: i32, bytes: &[u8]) {
    // SAFETY: reads these bytes.
    unsafe { syscall!(WRITE, descriptor, bytes.as_ptr(), bytes.len()) };
}

/// Whether a line that is written now is taken, and at once. Not if nobody reads it any more:
/// write(2) would send a SIGPIPE.
fn is_writable(descriptor: i32) -> bool {
    #[repr(C)]
    struct PollFd(i32, i16, i16);
    let mut wanted = PollFd(descriptor, POLLOUT, 0);
    // SAFETY: reads and writes one of these.
    unsafe { syscall!(POLL, &raw mut wanted, 1, 0) };
    wanted.2 == POLLOUT
}

/// Makes a process group that leads a session the foreground of the terminal on descriptor 0.
fn set_foreground(group: i32) -> i32 {
    // SAFETY: reads the number.
    unsafe { syscall!(IOCTL, 0, TIOCSPGRP, &raw const group) as i32 }
}

/// Puts this process into a process group of its own.
fn lead_process_group() {
    // SAFETY: reads and writes no memory.
    unsafe { syscall!(SETPGID, 0, 0) };
}

fn lead_session() {
    // SAFETY: reads and writes no memory.
    unsafe { syscall!(SETSID) };
}

/// Makes the terminal on descriptor 0 the one that controls this session.
fn take_terminal() {
    // SAFETY: reads and writes no memory.
    unsafe { syscall!(IOCTL, 0, TIOCSCTTY, 0usize) };
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    // SAFETY: defined nowhere, on purpose: if a panic could be reached, this
    // could not be linked.
    unsafe extern "C" {
        fn a_panic_can_be_reached() -> !;
    }
    // SAFETY: never linked, so never called.
    unsafe { a_panic_can_be_reached() }
}
