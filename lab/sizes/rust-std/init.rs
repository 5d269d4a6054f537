//! /init in Rust, with its standard library: picoinit's contract.
//!
//! All signals stay blocked, and one loop takes them from the kernel, one by one.
//!
//! `main` is C's, because Rust's own, before it calls a program's, opens
//! /dev/null on descriptors that are closed, and aborts if it cannot.

#![no_main]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fs;
use std::io::{Error, Write};
use std::mem::zeroed;
use std::ptr::{null, null_mut};

/// How long processes may take to end, in seconds.
const GRACE: u32 = 5;
/// How many bytes are printed of a name from outside.
const NAME_LIMIT: usize = 160;
/// To kill(2): all but PID 1.
const EVERYONE: i32 = -1;
/// Exit statuses, as shells have them.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// The C library.
mod c {
    use super::*;

    pub type Words = *const *const c_char;

    /// Of 1024 bits.
    #[repr(C)]
    pub struct SigSet(pub [u64; 16]);

    /// struct itimerval: an interval, and what is left; each is seconds and microseconds.
    #[repr(C)]
    pub struct Timer(pub [i64; 4]);

    #[repr(C)]
    pub struct PollFd(pub c_int, pub i16, pub i16);

    // SAFETY: as in the C library's headers.
    unsafe extern "C" {
        pub static environ: Words;
        pub safe fn getpid() -> c_int;
        pub safe fn fork() -> c_int;
        pub safe fn setsid() -> c_int;
        pub safe fn kill(pid: c_int, signal: c_int) -> c_int;
        pub safe fn alarm(seconds: u32) -> u32;
        pub safe fn getitimer(which: c_int, timer: &mut Timer) -> c_int;
        pub safe fn pause() -> c_int;
        pub safe fn sync();
        pub safe fn reboot(command: c_int) -> c_int;
        pub safe fn lseek(descriptor: c_int, offset: i64, whence: c_int) -> i64;
        pub safe fn dup2(descriptor: c_int, copy: c_int) -> c_int;
        pub safe fn close(descriptor: c_int) -> c_int;
        pub safe fn _exit(status: c_int) -> !;
        pub fn execve(path: *const c_char, argv: Words, envp: Words) -> c_int;
        pub safe fn waitpid(pid: c_int, status: &mut c_int, options: c_int) -> c_int;
        pub fn ioctl(descriptor: c_int, request: u64, ...) -> c_int;
        pub fn open(path: *const c_char, flags: c_int, ...) -> c_int;
        pub fn mkdir(path: *const c_char, mode: u32) -> c_int;
        pub fn mount(
            source: *const c_char,
            target: *const c_char,
            kind: *const c_char,
            flags: u64,
            data: *const c_char,
        ) -> c_int;
        pub fn umount2(target: *const c_char, flags: c_int) -> c_int;
        pub fn syscall(number: i64, ...) -> i64;
        pub safe fn poll(descriptors: &mut PollFd, count: u64, timeout: c_int) -> c_int;
        pub fn signal(signal: c_int, handler: usize) -> usize;
        pub safe fn sigfillset(set: &mut SigSet) -> c_int;
        pub fn sigprocmask(how: c_int, set: &SigSet, old: *mut SigSet) -> c_int;
        pub fn sigwaitinfo(set: &SigSet, details: *mut c_void) -> c_int;
    }

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
    pub const SIG_DFL: usize = 0;
    pub const SIGNALS: i32 = 64;
    pub const ITIMER_REAL: i32 = 0;
    pub const MS_RDONLY: u64 = 1;
    pub const MS_NOSUID: u64 = 2;
    pub const MS_NODEV: u64 = 4;
    pub const MS_NOEXEC: u64 = 8;
    pub const MS_REMOUNT: u64 = 32;
    pub const UMOUNT_NOFOLLOW: i32 = 8;
    pub const SYS_STATX: i64 = 332;
    pub const AT_FDCWD: i32 = -100;
    pub const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;
    pub const O_WRONLY: i32 = 1;
    pub const O_RDWR: i32 = 2;
    pub const O_NOCTTY: i32 = 0o400;
    pub const O_APPEND: i32 = 0o2000;
    pub const O_NONBLOCK: i32 = 0o4000;
    pub const SEEK_CUR: i32 = 1;
    pub const POLLOUT: i16 = 4;
    pub const TIOCSCTTY: u64 = 0x540e;
    pub const TIOCNOTTY: u64 = 0x5422;
    pub const WNOHANG: i32 = 1;
    pub const CAD_OFF: i32 = 0;
    pub const RESTART: i32 = 0x0123_4567;
    pub const HALT: i32 = 0xcdef_0123_u32 as i32;
    pub const POWER_OFF: i32 = 0x4321_fedc;
}

/// What has to be remembered.
struct State {
    /// The program's PID; 0 if it is not running.
    program: i32,
    /// How it ended; until it has, "killed".
    exit_status: i32,
    /// The reboot(2) command that ends the teardown, if one is under way.
    stopping: Option<i32>,
    /// Whether the teardown has killed everyone.
    killed: bool,
}

#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, argv: c::Words) -> c_int {
    if c::getpid() != 1 {
        print("must run as PID 1");
        return 1;
    }
    // Where a container was started on a terminal, PID 1 controls it; the program is to.
    // SAFETY: no memory is involved.
    unsafe { c::ioctl(0, c::TIOCNOTTY) };
    let mut all = c::SigSet([0; 16]);
    c::sigfillset(&mut all);
    // SAFETY: the old set is not wanted.
    unsafe { c::sigprocmask(c::SIG_SETMASK, &all, null_mut()) };
    // Whoever started this PID 1 may have ignored some.
    for signal in 1..=c::SIGNALS {
        // SAFETY: no handler.
        unsafe { c::signal(signal, c::SIG_DFL) };
    }
    mount(c"proc", c"/proc", c::MS_NODEV, null());
    mount(c"sysfs", c"/sys", c::MS_NODEV, null());
    mount(c"devtmpfs", c"/dev", 0, null());
    mount(c"devpts", c"/dev/pts", 0, null());
    mount(c"tmpfs", c"/run", c::MS_NODEV, c"mode=755".as_ptr());
    open_console();
    c::reboot(c::CAD_OFF);

    let otherwise = [c"/etc/rc".as_ptr(), null()];
    let argv = find_program(argv, otherwise.as_ptr());
    let mut state = State {
        program: c::fork(),
        exit_status: 128 + c::SIGKILL,
        stopping: None,
        killed: false,
    };
    if state.program == 0 {
        become_program(argv);
    }
    if state.program < 0 {
        // SAFETY: at least one word, then NULL.
        cannot("run", unsafe { CStr::from_ptr(*argv) }, errno());
        state.exit_status = NOT_EXECUTABLE;
        state.begin_teardown(c::POWER_OFF);
    }
    never_wait();
    loop {
        state.reap_all();
        state.heed_signal(&all);
    }
}

/// The first word that begins with `/`, with all that follow it.
fn find_program(mut argv: c::Words, otherwise: c::Words) -> c::Words {
    loop {
        // SAFETY: argv is PID 1's own name, then words, then NULL.
        unsafe {
            argv = argv.add(1);
            if (*argv).is_null() {
                return otherwise;
            }
            if **argv as u8 == b'/' {
                return argv;
            }
        }
    }
}

fn become_program(argv: c::Words) -> ! {
    let none = c::SigSet([0; 16]);
    c::setsid();
    // SAFETY: both arrays end with NULL, as the kernel made them.
    let path = unsafe {
        c::ioctl(0, c::TIOCSCTTY, 0);
        c::sigprocmask(c::SIG_SETMASK, &none, null_mut());
        c::execve(*argv, argv, c::environ);
        CStr::from_ptr(*argv)
    };
    let error = errno();
    cannot("run", path, error);
    c::_exit(if error == c::ENOENT { NOT_FOUND } else { NOT_EXECUTABLE })
}

impl State {
    fn reap_all(&mut self) {
        loop {
            let mut status = 0;
            let pid = c::waitpid(-1, &mut status, c::WNOHANG);
            if pid < 0 && errno() == c::ECHILD && self.stopping.is_some() {
                self.finish();
            }
            if pid <= 0 {
                return;
            }
            let (signal, code) = (status & 0x7f, status >> 8 & 0xff);
            match signal {
                0 => print(&format!("pid {pid} exited with status {code}")),
                _ => print(&format!("pid {pid} killed by signal {signal}")),
            }
            if pid == self.program {
                self.program = 0;
                self.exit_status = if signal == 0 { code } else { 128 + signal };
                self.begin_teardown(c::POWER_OFF);
            }
        }
    }

    /// Waits for a signal, and does what it asks for.
    fn heed_signal(&mut self, all: &c::SigSet) {
        // SAFETY: no details are wanted.
        match unsafe { c::sigwaitinfo(all, null_mut()) } {
            ..0 => {
                // A kernel that refuses this would have PID 1 spin.
                if errno() != c::EINTR {
                    c::pause();
                }
            }
            c::SIGCHLD => {}
            c::SIGUSR1 => self.begin_teardown(c::HALT),
            c::SIGUSR2 => self.begin_teardown(c::POWER_OFF),
            c::SIGTERM | c::SIGINT => self.begin_teardown(c::RESTART),
            // Anyone may send it, and then the timer's own is lost, because one that
            // is pending is not sent twice; so the timer itself is asked.
            c::SIGALRM if self.stopping.is_some() => {
                if !alarm_is_over() {
                    return;
                }
                if self.killed {
                    return self.finish();
                }
                self.killed = true;
                press(c::SIGKILL);
            }
            other => {
                if self.program > 0 {
                    c::kill(self.program, other);
                }
            }
        }
    }

    fn begin_teardown(&mut self, command: i32) {
        if self.stopping.is_none() {
            self.stopping = Some(command);
            c::kill(EVERYONE, c::SIGTERM);
            // A stopped process has to be woken to see that it is to end.
            press(c::SIGCONT);
        }
    }

    /// If the machine goes on all the same, so does PID 1.
    fn finish(&mut self) {
        c::alarm(0);
        // Only the PID 1 of a whole machine may do this. What is mounted in a
        // container belongs to whoever made it.
        if c::reboot(c::CAD_OFF) == 0 {
            c::sync();
            unmount_all();
        }
        if self.stopping.is_some_and(reboot_is_refused) {
            c::_exit(self.exit_status);
        }
        self.stopping = None;
        self.killed = false;
    }
}

/// Sends everyone a signal, and SIGALRM to PID 1 when it should have been heeded.
fn press(signal: i32) {
    if c::kill(EVERYONE, signal) < 0 && errno() != c::ESRCH {
        cannot("signal", c"everyone", errno());
    }
    c::alarm(GRACE);
}

/// While the kernel is still busy with a timer that just went off, it says that a
/// microsecond is left.
fn alarm_is_over() -> bool {
    let mut timer = c::Timer([0; 4]);
    let failed = c::getitimer(c::ITIMER_REAL, &mut timer) < 0;
    let [_, _, seconds, microseconds] = timer.0;
    failed || seconds == 0 && microseconds < 1000
}

/// Calls reboot(2) in a child process: if the machine cannot be switched off, it
/// ends its caller, and the kernel panics when PID 1 ends.
fn reboot_is_refused(command: i32) -> bool {
    let child = c::fork();
    if child > 0 {
        let mut status = 0;
        let ended = c::waitpid(child, &mut status, 0);
        // One that was killed, as where no memory is left, has said nothing.
        if ended == child && status & 0x7f == 0 {
            return status != 0;
        }
    }
    let is_refused = c::reboot(command) < 0;
    if child == 0 {
        c::_exit(is_refused.into());
    }
    is_refused
}

/// Opens the console on those of the descriptors 0, 1 and 2 that are closed.
fn open_console() {
    // SAFETY: a C string.
    let open = |path: &CStr| unsafe { c::open(path.as_ptr(), c::O_RDWR | c::O_NOCTTY) };
    loop {
        // open(2) takes the lowest descriptor that is free.
        let mut descriptor = open(c"/dev/console");
        if descriptor < 0 {
            descriptor = open(c"/dev/null");
        }
        if !(0..=2).contains(&descriptor) {
            c::close(descriptor);
            return;
        }
    }
}

/// Opens standard error once more, for PID 1 alone, so that it never waits for a
/// terminal that nobody reads: poll(2) says that such a terminal can be written
/// to as long as it has room for a part of a line. Not if it is a file on a disk,
/// which keeps nobody waiting, and would get an offset of its own.
fn never_wait() {
    if c::lseek(2, 0, c::SEEK_CUR) < 0 {
        let flags = c::O_WRONLY | c::O_NONBLOCK | c::O_NOCTTY | c::O_APPEND;
        // SAFETY: a C string.
        let own = unsafe { c::open(c"/proc/self/fd/2".as_ptr(), flags) };
        c::dup2(own, 2);
        c::close(own);
    }
}

/// Mounts a file system, unless something is mounted there already.
fn mount(kind: &CStr, target: &CStr, flags: u64, data: *const c_char) {
    let flags = flags | c::MS_NOSUID | c::MS_NOEXEC;
    let (name, path) = (kind.as_ptr(), target.as_ptr());
    // SAFETY: these are C strings; `status` is as large as a struct statx.
    let failed = unsafe {
        c::mkdir(path, 0o755);
        let mut status: [u64; 32] = zeroed();
        let found = c::syscall(c::SYS_STATX, c::AT_FDCWD, path, 0, 0, status.as_mut_ptr());
        if found == 0 && status[1] & c::STATX_ATTR_MOUNT_ROOT != 0 {
            return;
        }
        c::mount(name, path, name, flags, data) < 0
    };
    // In a container that may not mount, there is nothing to say of it.
    if failed && errno() != c::EPERM {
        cannot("mount", target, errno());
    }
}

/// What cannot be unmounted is made read-only, and so is the root.
fn unmount_all() {
    // At the limit on descriptors, there would be none for the list.
    c::close(0);
    let list = fs::read("/proc/mounts").unwrap_or_default();
    // What was mounted last, and so may lie inside something else, goes first.
    for line in list.split(|byte| *byte == b'\n').rev() {
        let Some(target) = line.split(|byte| *byte == b' ').nth(1) else { continue };
        let mut target = unescape(target);
        target.push(0);
        let path = target.as_ptr().cast();
        // SAFETY: it ends with a 0.
        unsafe {
            if c::umount2(path, c::UMOUNT_NOFOLLOW) < 0 {
                c::mount(path, path, path, c::MS_REMOUNT | c::MS_RDONLY, null());
            }
        }
    }
}

/// In /proc/mounts, a space in a name is written `\040`.
fn unescape(mut name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    loop {
        match name {
            [b'\\', a, b, c, rest @ ..] => {
                plain.push((a & 7) << 6 | (b & 7) << 3 | c & 7);
                name = rest;
            }
            [byte, rest @ ..] => {
                plain.push(*byte);
                name = rest;
            }
            [] => return plain,
        }
    }
}

fn errno() -> i32 {
    Error::last_os_error().raw_os_error().unwrap_or(0)
}

/// Prints a line by one write(2), so that the lines of several processes never
/// tear; if it is taken at once: PID 1 does not wait for a pipe that is full, nor
/// earn a SIGPIPE from one that nobody reads any more.
fn print(line: &str) {
    let mut wanted = c::PollFd(2, c::POLLOUT, 0);
    c::poll(&mut wanted, 1, 0);
    if wanted.2 == c::POLLOUT {
        // If it cannot be printed, there is nobody to tell.
        let _ = std::io::stderr().write(format!("init: {line}\n").as_bytes());
    }
}

/// Says why something could not be done to a name from outside. What could move
/// the cursor, or is not ASCII, is shown as a question mark.
fn cannot(act: &str, name: &CStr, error: i32) {
    let harmless = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' };
    let name: String = name.to_bytes().iter().take(NAME_LIMIT).map(harmless).collect();
    print(&format!("cannot {act} {name}: errno {error}"));
}
