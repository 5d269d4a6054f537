//! /init in Rust, with no crate at all: picoinit's contract, on system calls of its own.
//!
//! All signals stay blocked, and one loop takes them from the kernel, one by
//! one: so there are no handlers, and nothing that they and the rest could share.

#![no_std]
#![no_main]

use core::arch::{asm, global_asm};
use core::ffi::{CStr, c_char};
use core::mem::MaybeUninit;
use core::ptr::null;

/// Numbers of the kernel's, for x86_64.
mod kernel {
    pub const READ: usize = 0;
    pub const WRITE: usize = 1;
    pub const OPEN: usize = 2;
    pub const CLOSE: usize = 3;
    pub const POLL: usize = 7;
    pub const LSEEK: usize = 8;
    pub const RT_SIGACTION: usize = 13;
    pub const RT_SIGPROCMASK: usize = 14;
    pub const IOCTL: usize = 16;
    pub const DUP2: usize = 33;
    pub const GETITIMER: usize = 36;
    pub const ALARM: usize = 37;
    pub const GETPID: usize = 39;
    pub const FORK: usize = 57;
    pub const EXECVE: usize = 59;
    pub const EXIT: usize = 60;
    pub const WAIT4: usize = 61;
    pub const KILL: usize = 62;
    pub const MKDIR: usize = 83;
    pub const SETSID: usize = 112;
    pub const RT_SIGTIMEDWAIT: usize = 128;
    pub const SYNC: usize = 162;
    pub const MOUNT: usize = 165;
    pub const UMOUNT2: usize = 166;
    pub const REBOOT: usize = 169;
    pub const STATX: usize = 332;

    pub const EPERM: i32 = 1;
    pub const ENOENT: i32 = 2;
    pub const ESRCH: i32 = 3;
    pub const EINTR: i32 = 4;
    pub const ECHILD: i32 = 10;

    pub const SIGINT: i32 = 2;
    pub const SIGKILL: i32 = 9;
    pub const SIGUSR1: i32 = 10;
    pub const SIGUSR2: i32 = 12;
    pub const SIGALRM: i32 = 14;
    pub const SIGTERM: i32 = 15;
    pub const SIGCHLD: i32 = 17;
    pub const SIGCONT: i32 = 18;
    pub const SIG_SETMASK: i32 = 2;
    pub const SIGNALS: i32 = 64;
    pub const ITIMER_REAL: i32 = 0;

    pub const MS_RDONLY: u32 = 1;
    pub const MS_NOSUID: u32 = 2;
    pub const MS_NODEV: u32 = 4;
    pub const MS_NOEXEC: u32 = 8;
    pub const MS_REMOUNT: u32 = 32;
    pub const UMOUNT_NOFOLLOW: u32 = 8;

    pub const AT_FDCWD: i32 = -100;
    pub const O_RDONLY: u32 = 0;
    pub const O_WRONLY: u32 = 1;
    pub const O_RDWR: u32 = 2;
    pub const O_NOCTTY: u32 = 0o400;
    pub const O_APPEND: u32 = 0o2000;
    pub const O_NONBLOCK: u32 = 0o4000;
    pub const SEEK_CUR: i32 = 1;
    pub const POLLOUT: i16 = 4;
    pub const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;
    pub const TIOCSCTTY: u32 = 0x540e;
    pub const TIOCNOTTY: u32 = 0x5422;
    pub const WNOHANG: i32 = 1;

    pub const MAGIC1: u32 = 0xfee1_dead;
    pub const MAGIC2: u32 = 0x2812_1969;
    pub const CAD_OFF: u32 = 0;
    pub const RESTART: u32 = 0x0123_4567;
    pub const HALT: u32 = 0xcdef_0123;
    pub const POWER_OFF: u32 = 0x4321_fedc;
}
use kernel::*;

/// How long processes may take to end, in seconds.
const GRACE: i32 = 5;
/// How deep mounts may be nested to be unmounted.
const DEPTH: usize = 16;
/// How many bytes are printed of a name from outside.
const NAME_LIMIT: usize = 160;
/// To kill(2): all but PID 1.
const EVERYONE: i32 = -1;
/// Exit statuses, as shells have them.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// Makes a system call, which returns a negative errno if it fails.
macro_rules! system {
    ($number:expr $(, $a:expr $(, $b:expr $(, $c:expr $(, $d:expr $(, $e:expr)?)?)?)?)?) => {{
        let returned: usize;
        // SAFETY: what each caller passes is what that call takes.
        unsafe {
            asm!(
                "syscall", inlateout("rax") $number => returned,
                $(in("rdi") $a as usize, $(in("rsi") $b as usize, $(in("rdx") $c as usize,
                $(in("r10") $d as usize, $(in("r8") $e as usize,)?)?)?)?)?
                lateout("rcx") _, lateout("r11") _,
            );
        }
        returned as i32
    }};
}

/// A C string, or NULL.
type Word = *const c_char;

/// What has to be remembered.
struct State {
    /// The program's PID; 0 if it is not running.
    program: i32,
    /// How it ended; until it has, "killed".
    exit_status: i32,
    /// The reboot(2) command that ends the teardown; 0 if none is under way.
    stopping: u32,
    /// Whether the teardown has killed everyone.
    killed: bool,
}

global_asm!(
    ".section .text._start, \"ax\"",
    ".globl _start",
    "_start:",
    "mov rdi, rsp",
    "call {init}",
    init = sym init,
);

/// Called with the address of what the kernel left on the stack: argc, argv, NULL, envp.
extern "C" fn init(stack: *const usize) -> ! {
    if system!(GETPID) != 1 {
        let mut line = Line::new(c"init: must run as PID 1");
        line.end();
        exit(1);
    }
    // Where a container was started on a terminal, PID 1 controls it; the program is to.
    system!(IOCTL, 0, TIOCNOTTY);
    block_signals(!0);
    // Whoever started this PID 1 may have ignored some.
    for signal in 1..=SIGNALS {
        let default = [0u64; 4];
        system!(RT_SIGACTION, signal, default.as_ptr(), 0, 8);
    }
    mount(c"proc", c"/proc", MS_NODEV, null());
    mount(c"sysfs", c"/sys", MS_NODEV, null());
    mount(c"devtmpfs", c"/dev", 0, null());
    mount(c"devpts", c"/dev/pts", 0, null());
    mount(c"tmpfs", c"/run", MS_NODEV, c"mode=755".as_ptr());
    open_console();
    reboot(CAD_OFF);

    let default = [c"/etc/rc".as_ptr(), null()];
    // SAFETY: the kernel put argc words and NULL there, and then the environment.
    let (argv, envp) = unsafe {
        let argv = stack.add(1).cast::<Word>();
        (find_program(argv, default.as_ptr()), argv.add(*stack + 1))
    };
    let program = system!(FORK);
    if program == 0 {
        become_program(argv, envp);
    }
    let mut state = State { program, exit_status: 128 + SIGKILL, stopping: 0, killed: false };
    if program < 0 {
        // SAFETY: at least one word, then NULL.
        cannot(c"run ", unsafe { *argv }, program);
        state.exit_status = NOT_EXECUTABLE;
        state.begin_teardown(POWER_OFF);
    }
    never_wait();
    loop {
        state.reap_all();
        state.heed_signal();
    }
}

/// The first word that begins with `/`, with all that follow it.
///
/// # Safety
///
/// `argv` is at least one word, then NULL.
unsafe fn find_program(mut argv: *const Word, default: *const Word) -> *const Word {
    loop {
        // SAFETY: NULL is still to come, and a word has a first byte.
        unsafe {
            argv = argv.add(1);
            if (*argv).is_null() {
                return default;
            }
            if **argv as u8 == b'/' {
                return argv;
            }
        }
    }
}

fn become_program(argv: *const Word, envp: *const Word) -> ! {
    system!(SETSID);
    system!(IOCTL, 0, TIOCSCTTY, 0);
    block_signals(0);
    // SAFETY: at least one word, then NULL.
    let path = unsafe { *argv };
    let error = system!(EXECVE, path, argv, envp);
    cannot(c"run ", path, error);
    exit(if error == -ENOENT { NOT_FOUND } else { NOT_EXECUTABLE })
}

impl State {
    fn reap_all(&mut self) {
        let mut status = 0i32;
        loop {
            let pid = system!(WAIT4, -1isize, &raw mut status, WNOHANG, 0);
            if pid <= 0 {
                if pid == -ECHILD && self.stopping != 0 {
                    self.finish();
                }
                return;
            }
            let (signal, code) = (status & 0x7f, status >> 8 & 0xff);
            let mut line = Line::new(c"init: pid ");
            line.number(pid as u32);
            match signal {
                0 => line.end_with(c" exited with status ", code),
                _ => line.end_with(c" killed by signal ", signal),
            }
            if pid == self.program {
                self.program = 0;
                self.exit_status = if signal == 0 { code } else { 128 + signal };
                self.begin_teardown(POWER_OFF);
            }
        }
    }

    /// Waits for a signal, and does what it asks for.
    fn heed_signal(&mut self) {
        let all = !0u64;
        let signal = system!(RT_SIGTIMEDWAIT, &raw const all, 0, 0, 8);
        if signal < 0 {
            // A kernel that refuses this would have PID 1 spin.
            if signal != -EINTR {
                system!(POLL, 0, 0, -1isize);
            }
            return;
        }
        match signal {
            SIGCHLD => {}
            SIGUSR1 => self.begin_teardown(HALT),
            SIGUSR2 => self.begin_teardown(POWER_OFF),
            SIGTERM | SIGINT => self.begin_teardown(RESTART),
            // Anyone may send it, and then the timer's own is lost, because one that
            // is pending is not sent twice; so the timer itself is asked.
            SIGALRM if self.stopping != 0 => {
                if !alarm_is_over() {
                    return;
                }
                if self.killed {
                    return self.finish();
                }
                self.killed = true;
                press(SIGKILL);
            }
            other => {
                if self.program > 0 {
                    system!(KILL, self.program, other);
                }
            }
        }
    }

    fn begin_teardown(&mut self, command: u32) {
        if self.stopping == 0 {
            self.stopping = command;
            system!(KILL, EVERYONE, SIGTERM);
            // A stopped process has to be woken to see that it is to end.
            press(SIGCONT);
        }
    }

    /// If the machine goes on all the same, so does PID 1.
    fn finish(&mut self) {
        alarm(0);
        // Only the PID 1 of a whole machine may do this. What is mounted in a
        // container belongs to whoever made it.
        if reboot(CAD_OFF) >= 0 {
            system!(SYNC);
            unmount_all();
        }
        if reboot_is_refused(self.stopping) {
            exit(self.exit_status);
        }
        self.stopping = 0;
        self.killed = false;
    }
}

/// Sends everyone a signal, and SIGALRM to PID 1 when it should have been heeded.
fn press(signal: i32) {
    let returned = system!(KILL, EVERYONE, signal);
    if returned < 0 && returned != -ESRCH {
        cannot(c"signal ", c"everyone".as_ptr(), returned);
    }
    // Without a timer there can be no time to wait.
    if alarm(GRACE) < 0 {
        system!(KILL, EVERYONE, SIGKILL);
    }
}

/// Calls reboot(2) in a child process: if the machine cannot be switched off, it
/// ends its caller, and the kernel panics when PID 1 ends.
fn reboot_is_refused(command: u32) -> bool {
    let child = system!(FORK);
    if child > 0 {
        let mut status = 0i32;
        let ended = system!(WAIT4, child as isize, &raw mut status, 0, 0);
        // One that was killed, as where no memory is left, has said nothing.
        if ended == child && status & 0x7f == 0 {
            return status != 0;
        }
    }
    let is_refused = reboot(command) < 0;
    if child == 0 {
        exit(is_refused.into());
    }
    is_refused
}

fn reboot(command: u32) -> i32 {
    system!(REBOOT, MAGIC1, MAGIC2, command)
}

fn exit(status: i32) -> ! {
    system!(EXIT, status);
    loop {}
}

fn block_signals(set: u64) {
    system!(RT_SIGPROCMASK, SIG_SETMASK, &raw const set, 0, 8);
}

/// Sends SIGALRM to PID 1, once, in so many seconds; 0 is never.
fn alarm(seconds: i32) -> i32 {
    system!(ALARM, seconds)
}

/// While the kernel is still busy with a timer that just went off, it says that a
/// microsecond is left.
fn alarm_is_over() -> bool {
    // struct itimerval: an interval, and what is left; each is seconds and microseconds.
    let mut timer = MaybeUninit::<[i64; 4]>::uninit();
    if system!(GETITIMER, ITIMER_REAL, timer.as_mut_ptr()) < 0 {
        return true;
    }
    // SAFETY: the call succeeded, so the kernel wrote it.
    let [_, _, seconds, microseconds] = unsafe { timer.assume_init() };
    seconds == 0 && microseconds < 1000
}

fn open(path: &CStr, flags: u32) -> i32 {
    system!(OPEN, path.as_ptr(), flags, 0)
}

/// Opens the console on those of the descriptors 0, 1 and 2 that are closed.
fn open_console() {
    loop {
        // open(2) takes the lowest descriptor that is free.
        let mut descriptor = open(c"/dev/console", O_RDWR | O_NOCTTY);
        if descriptor < 0 {
            descriptor = open(c"/dev/null", O_RDWR);
        }
        if !(0..=2).contains(&descriptor) {
            system!(CLOSE, descriptor);
            return;
        }
    }
}

/// Opens standard error once more, for PID 1 alone, so that it never waits for a
/// terminal that nobody reads: poll(2) says that such a terminal can be written
/// to as long as it has room for a part of a line. Not if it is a file on a disk,
/// which keeps nobody waiting, and would get an offset of its own.
fn never_wait() {
    if system!(LSEEK, 2, 0, SEEK_CUR) < 0 {
        let own = open(c"/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_APPEND);
        system!(DUP2, own, 2);
        system!(CLOSE, own);
    }
}

/// Mounts a file system, unless something is mounted there already.
fn mount(kind: &CStr, target: &CStr, flags: u32, data: Word) {
    // struct statx: a mask, the block size, the attributes, and more.
    let mut status = MaybeUninit::<[u64; 32]>::uninit();
    let path = target.as_ptr();
    system!(MKDIR, path, 0o755);
    if system!(STATX, AT_FDCWD, path, 0, 0, status.as_mut_ptr()) >= 0 {
        // SAFETY: the call succeeded, so the kernel wrote it.
        let attributes = unsafe { status.as_ptr().cast::<u64>().add(1).read() };
        if attributes & STATX_ATTR_MOUNT_ROOT != 0 {
            return;
        }
    }
    let flags = flags | MS_NOSUID | MS_NOEXEC;
    let returned = system!(MOUNT, kind.as_ptr(), path, kind.as_ptr(), flags, data);
    // In a container that may not mount, there is nothing to say of it.
    if returned < 0 && returned != -EPERM {
        cannot(c"mount ", path, returned);
    }
}

/// What cannot be unmounted is made read-only, and so is the root.
fn unmount_all() {
    // At the limit on descriptors, there would be none for the list.
    system!(CLOSE, 0);
    // The list begins with what was mounted first, which cannot go before what
    // is mounted inside it; so each time, the innermost go.
    for _ in 0..DEPTH {
        let list = open(c"/proc/mounts", O_RDONLY);
        let mut target = Buffer::<4096>::new();
        while next_target(list, &mut target).is_some() {
            let path = target.bytes.as_ptr();
            if system!(UMOUNT2, path, UMOUNT_NOFOLLOW) < 0 {
                system!(MOUNT, path, path, path, MS_REMOUNT | MS_RDONLY, 0);
            }
        }
        system!(CLOSE, list);
    }
}

/// Takes a line of /proc/mounts, `device target type options 0 0`, in which a
/// space in the target is written `\040`. `None` at the end.
fn next_target(list: i32, target: &mut Buffer<4096>) -> Option<()> {
    target.length = 0;
    let mut field = 0;
    loop {
        match next(list)? {
            b'\n' => break,
            b' ' => field += 1,
            _ if field != 1 => {}
            b'\\' => {
                let mut byte = 0;
                for _ in 0..3 {
                    byte = byte << 3 | next(list)? & 7;
                }
                target.push(byte);
            }
            byte => target.push(byte),
        }
    }
    target.push(0);
    Some(())
}

/// The next byte of a file.
fn next(file: i32) -> Option<u8> {
    let mut byte = 0u8;
    system!(READ, file, &raw mut byte, 1);
    (byte != 0).then_some(byte)
}

/// Bytes in a row.
struct Buffer<const SIZE: usize> {
    bytes: [MaybeUninit<u8>; SIZE],
    length: usize,
}

impl<const SIZE: usize> Buffer<SIZE> {
    const fn new() -> Self {
        Buffer { bytes: [MaybeUninit::uninit(); SIZE], length: 0 }
    }

    /// Adds a byte; what does not fit is dropped.
    #[inline(never)]
    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length) {
            place.write(byte);
            self.length += 1;
        }
    }
}

/// One line. It is one write(2), so that the lines of several processes never tear.
struct Line(Buffer<256>);

impl Line {
    fn new(text: &CStr) -> Line {
        let mut line = Line(Buffer::new());
        line.name(text.as_ptr());
        line
    }

    /// Adds a name. What could move the cursor, or is not ASCII, as a question mark.
    fn name(&mut self, mut name: Word) {
        for _ in 0..NAME_LIMIT {
            // SAFETY: a C string goes on until a 0, which this never passes.
            let byte = unsafe { *name } as u8;
            name = name.wrapping_add(1);
            match byte {
                0 => return,
                b' '..=b'~' => self.0.push(byte),
                _ => self.0.push(b'?'),
            }
        }
    }

    fn number(&mut self, number: u32) {
        if number > 9 {
            self.number(number / 10);
        }
        self.0.push(b'0' + (number % 10) as u8);
    }

    fn end_with(&mut self, text: &CStr, number: i32) {
        self.name(text.as_ptr());
        self.number(number as u32);
        self.end();
    }

    /// Prints it, if it is taken at once: PID 1 does not wait for a pipe that is
    /// full, nor earn a SIGPIPE from one that nobody reads any more.
    fn end(&mut self) {
        self.0.push(b'\n');
        #[repr(C)]
        struct PollFd(i32, i16, i16);
        let mut wanted = PollFd(2, POLLOUT, 0);
        system!(POLL, &raw mut wanted, 1, 0);
        if wanted.2 == POLLOUT {
            system!(WRITE, 2, self.0.bytes.as_ptr(), self.0.length);
        }
    }
}

/// Prints `init: cannot mount /proc: errno 2`.
fn cannot(act: &CStr, name: Word, returned: i32) {
    let mut line = Line::new(c"init: cannot ");
    line.name(act.as_ptr());
    line.name(name);
    line.end_with(c": errno ", -returned);
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
