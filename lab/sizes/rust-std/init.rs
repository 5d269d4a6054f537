//! /init in Rust, with its standard library: picoinit's contract.
//!
//! All signals are blocked, from the first instruction of `main` on, and one loop takes them from
//! the kernel, one by one.
//!
//! `main` is C's, because Rust's own, before it calls a program's, opens
//! /dev/null on descriptors that are closed, and aborts if it cannot.

#![no_main]

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::fs::File;
use std::io::{Error, Read, Write};
use std::ptr::{null, null_mut};

/// How long processes may take to exit once they were told to, in hundredths of a second; and
/// again once they were killed.
const GRACE: u64 = 500;
/// How many children are reaped before the signals have their turn: else a flood of orphans
/// could keep PID 1 from ever hearing that it is to stop.
const TURN: i32 = 100;
/// How deep mounts may be nested to be unmounted.
const DEPTH: i32 = 16;
/// Where a name from outside ends in a line, if it is longer than that.
const NAME_END: usize = 200;
/// To kill(2): all but PID 1.
const EVERYONE: i32 = -1;
/// To waitpid(3): any child.
const ANYONE: i32 = -1;
/// Exit statuses, as shells have them.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;
/// This and the signal.
const KILLED: i32 = 128;

/// The C library.
mod c {
    use super::*;

    pub type Words = *const *const c_char;

    /// Of 1024 bits.
    #[repr(C)]
    pub struct SigSet(pub [u64; 16]);

    /// struct timespec: seconds, nanoseconds.
    #[repr(C)]
    pub struct Time(pub i64, pub i64);

    #[repr(C)]
    pub struct PollFd(pub c_int, pub i16, pub i16);

    // SAFETY: as in the C library's headers.
    unsafe extern "C" {
        pub static environ: Words;
        pub safe fn getpid() -> c_int;
        pub safe fn fork() -> c_int;
        pub safe fn setsid() -> c_int;
        pub safe fn setpgid(process: c_int, group: c_int) -> c_int;
        pub safe fn tcsetpgrp(descriptor: c_int, group: c_int) -> c_int;
        pub safe fn kill(pid: c_int, signal: c_int) -> c_int;
        pub fn times(used: *mut c_void) -> i64;
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
        pub fn access(path: *const c_char, mode: c_int) -> c_int;
        pub fn mkdir(path: *const c_char, mode: u32) -> c_int;
        pub fn mount(
            source: *const c_char,
            target: *const c_char,
            kind: *const c_char,
            flags: u64,
            data: *const c_char,
        ) -> c_int;
        pub fn umount2(target: *const c_char, flags: c_int) -> c_int;
        pub fn poll(descriptors: *mut PollFd, count: u64, timeout: c_int) -> c_int;
        pub fn signal(signal: c_int, handler: usize) -> usize;
        pub safe fn sigfillset(set: &mut SigSet) -> c_int;
        pub fn sigprocmask(how: c_int, set: &SigSet, old: *mut SigSet) -> c_int;
        pub fn sigtimedwait(set: &SigSet, details: *mut c_void, timeout: Option<&Time>) -> c_int;
    }

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
    pub const SIG_DFL: usize = 0;
    pub const SIGNALS: i32 = 64;
    pub const MS_RDONLY: u64 = 1;
    pub const MS_NOSUID: u64 = 2;
    pub const MS_NODEV: u64 = 4;
    pub const MS_NOEXEC: u64 = 8;
    pub const MS_REMOUNT: u64 = 32;
    pub const UMOUNT_NOFOLLOW: i32 = 8;
    pub const F_OK: i32 = 0;
    pub const O_WRONLY: i32 = 1;
    pub const O_RDWR: i32 = 2;
    pub const O_NOCTTY: i32 = 0o400;
    pub const O_APPEND: i32 = 0o2000;
    pub const O_NONBLOCK: i32 = 0o4000;
    pub const SEEK_CUR: i32 = 1;
    pub const POLLOUT: i16 = 4;
    pub const TIOCSCTTY: u64 = 0x540e;
    pub const WNOHANG: i32 = 1;
    pub const CAD_OFF: i32 = 0;
    pub const RESTART: i32 = 0x0123_4567;
    pub const HALT: i32 = 0xcdef_0123_u32 as i32;
    pub const POWER_OFF: i32 = 0x4321_fedc;
}

/// What has to be remembered.
struct Init {
    /// The program's PID; 0 if it is not running.
    program: i32,
    /// How the program exited; until it has been reaped, as if it had been killed.
    exit_status: i32,
    /// What reboot(2) is to do: the program has exited, or somebody asked PID 1 to stop.
    request: Option<i32>,
}

/// The life of PID 1.
#[unsafe(no_mangle)]
extern "C" fn main(_: c_int, argv: c::Words) -> c_int {
    // From here on, no signal is lost and none interrupts: those that come stay pending until
    // the loop below takes them.
    let mut all = c::SigSet([0; 16]);
    c::sigfillset(&mut all);
    block_signals(&all);
    // Not `!= 1`: where system calls are filtered, even this one may fail.
    if c::getpid() > 1 {
        print("init: must run as PID 1\n");
        return 1;
    }
    // Whoever started this PID 1 may have ignored some.
    for signal in (1..=c::SIGNALS).rev() {
        // SAFETY: no handler.
        unsafe { c::signal(signal, c::SIG_DFL) };
    }
    mount_all();
    open_console();
    catch_ctrl_alt_del();

    let mut init = Init { program: 0, exit_status: KILLED + c::SIGKILL, request: None };
    init.start_program(argv);
    never_wait();

    loop {
        if let Some(command) = init.request {
            init.stop(command, &all);
        }
        // Here PID 1 sleeps.
        let signal = take_signal(&all, None);
        // Whatever came: no flood of other signals can keep PID 1 from reaping.
        init.reap_all();
        match signal {
            None | Some(c::SIGCHLD) => {}
            Some(c::SIGUSR1) => init.request = Some(c::HALT),
            Some(c::SIGUSR2) => init.request = Some(c::POWER_OFF),
            // SIGINT is Ctrl-Alt-Del.
            Some(c::SIGTERM | c::SIGINT) => init.request = Some(c::RESTART),
            Some(other) => {
                if init.program != 0 {
                    c::kill(init.program, other);
                }
            }
        }
    }
}

fn block_signals(set: &c::SigSet) {
    // SAFETY: the old set is not wanted.
    unsafe { c::sigprocmask(c::SIG_SETMASK, set, null_mut()) };
}

/// If there is a /proc already, whoever started PID 1, such as a container engine, has prepared
/// the rest, too.
fn mount_all() {
    // SAFETY: a C string.
    if unsafe { c::access(c"/proc/mounts".as_ptr(), c::F_OK) } == 0 {
        return;
    }
    mount_one(c"proc", c"/proc", c::MS_NODEV, c"");
    mount_one(c"sysfs", c"/sys", c::MS_NODEV, c"");
    mount_one(c"devtmpfs", c"/dev", 0, c"");
    mount_one(c"devpts", c"/dev/pts", 0, c"");
    // Unless it is told otherwise, a tmpfs is open to everyone.
    mount_one(c"tmpfs", c"/run", c::MS_NODEV, c"mode=755");
}

fn mount_one(kind: &CStr, target: &CStr, flags: u64, data: &CStr) {
    let flags = flags | c::MS_NOSUID | c::MS_NOEXEC;
    let (name, path) = (kind.as_ptr(), target.as_ptr());
    // SAFETY: these are C strings.
    let failed = unsafe {
        // It may be there; and if it cannot be made, mount(2) will say so.
        c::mkdir(path, 0o755);
        c::mount(name, path, name, flags, data.as_ptr()) < 0
    };
    // Where PID 1 may not mount, or something is mounted, there is nothing to say of it.
    if failed && !matches!(errno(), c::EPERM | c::EBUSY) {
        cannot("mount", target, errno());
    }
}

/// Opens the console on those of the descriptors 0, 1 and 2 that are closed.
fn open_console() {
    // SAFETY: a C string.
    let open = |path: &CStr| unsafe { c::open(path.as_ptr(), c::O_RDWR | c::O_NOCTTY) };
    loop {
        // open(2) takes the lowest descriptor that is free.
        let mut opened = open(c"/dev/console");
        if opened < 0 {
            opened = open(c"/dev/null");
        }
        if !(0..=2).contains(&opened) {
            c::close(opened);
            return;
        }
    }
}

/// Makes Ctrl-Alt-Del a SIGINT to PID 1. Returns whether it did: only the PID 1 of a whole
/// machine may.
fn catch_ctrl_alt_del() -> bool {
    c::reboot(c::CAD_OFF) == 0
}

/// Opens standard error once more, for PID 1 alone, so that it never waits for a terminal that
/// nobody reads: poll(2) says that such a terminal can be written to as long as it has room for
/// a part of a line. Not if it is a file on a disk, which keeps nobody waiting, and would get an
/// offset of its own.
fn never_wait() {
    if c::lseek(2, 0, c::SEEK_CUR) >= 0 {
        return;
    }
    let flags = c::O_WRONLY | c::O_NONBLOCK | c::O_NOCTTY | c::O_APPEND;
    // SAFETY: a C string.
    let own = unsafe { c::open(c"/proc/self/fd/2".as_ptr(), flags) };
    if own > 2 {
        c::dup2(own, 2);
        c::close(own);
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

/// Turns this process, a child of PID 1, into the program.
fn become_program(argv: c::Words) -> ! {
    // Where PID 1 was started on a terminal, as in a container, the program is to be in its
    // foreground; else it gets a session of its own, and the console with it.
    if c::tcsetpgrp(0, c::getpid()) == 0 {
        c::setpgid(0, 0);
    } else {
        c::setsid();
        // SAFETY: no memory is involved.
        unsafe { c::ioctl(0, c::TIOCSCTTY, 0) };
    }
    block_signals(&c::SigSet([0; 16]));
    // SAFETY: both arrays end with NULL, as the kernel made them.
    unsafe { c::execve(*argv, argv, c::environ) };
    c::_exit(cannot_run(argv, errno()))
}

/// Says why. Returns what counts as the exit status.
fn cannot_run(argv: c::Words, error: i32) -> i32 {
    // SAFETY: at least one word, then NULL.
    cannot("run", unsafe { CStr::from_ptr(*argv) }, error);
    if error == c::ENOENT { NOT_FOUND } else { NOT_EXECUTABLE }
}

impl Init {
    /// Starts the program. If that fails, PID 1 stops as if the program had exited.
    fn start_program(&mut self, argv: c::Words) {
        let otherwise = [c"/etc/rc".as_ptr(), null()];
        let argv = find_program(argv, otherwise.as_ptr());
        match c::fork() {
            0 => become_program(argv),
            ..0 => {
                self.exit_status = cannot_run(argv, errno());
                self.request = Some(c::POWER_OFF);
            }
            child => self.program = child,
        }
    }

    /// Reaps the children that have exited. Returns whether any are left.
    fn reap_all(&mut self) -> bool {
        for _ in 0..TURN {
            let mut status = 0;
            let pid = c::waitpid(ANYONE, &mut status, c::WNOHANG);
            if pid <= 0 {
                return pid == 0;
            }
            let exit_status = match (status & 0x7f, status >> 8 & 0xff) {
                (0, code) => {
                    print(&format!("init: pid {pid} exited with status {code}\n"));
                    code
                }
                (signal, _) => {
                    print(&format!("init: pid {pid} killed by signal {signal}\n"));
                    KILLED + signal
                }
            };
            if pid == self.program {
                *self = Init { program: 0, exit_status, request: Some(c::POWER_OFF) };
            }
        }
        // There may be more. They are next, after the signals that ask PID 1 to stop: of those
        // that are pending, the kernel hands out the one with the lowest number first.
        c::kill(1, c::SIGCHLD);
        true
    }

    /// Stops every process, then the machine. Returns if the machine goes on all the same.
    fn stop(&mut self, command: i32, all: &c::SigSet) {
        self.stop_everyone(all);
        // What is mounted in a container belongs to whoever made it.
        if !catch_ctrl_alt_del() {
            c::_exit(self.exit_status);
        }
        // The disks may take as long as they need, so a child process sees to them, while PID 1
        // goes on listening. And reboot(2) itself exits where the machine cannot be switched
        // off; if PID 1 did, the kernel would panic.
        self.exit_status = 1;
        let child = c::fork();
        if child > 0 {
            self.program = child;
            // Any signal that comes now but SIGCHLD asks PID 1 not to wait for the disks.
            while self.program != 0 && matches!(take_signal(all, None), None | Some(c::SIGCHLD)) {
                self.reap_all();
            }
        } else {
            c::sync();
            unmount_all();
        }
        // The child gets here; and PID 1, if it could have no child, if the child was killed, or
        // if it does not wait any longer. Not if the child has been here.
        if self.exit_status != 0 {
            c::reboot(command);
        }
        if child == 0 {
            c::_exit(0);
        }
        // If the child is still busy, it is nobody's program.
        self.program = 0;
        self.request = None;
    }

    /// Asks every process to exit, waits until all have, and kills those that have not.
    fn stop_everyone(&mut self, all: &c::SigSet) {
        for signal in [c::SIGTERM, c::SIGKILL] {
            c::kill(EVERYONE, signal);
            // A process that was stopped has to be woken to see that it is asked to exit.
            c::kill(EVERYONE, c::SIGCONT);
            let deadline = hundredths().wrapping_add(GRACE);
            while self.reap_all() && hundredths() < deadline {
                take_signal(all, Some(&TENTH));
            }
        }
        // What else was asked for in the meantime is being done.
        while take_signal(all, Some(&NOW)).is_some() {}
    }
}

/// For a look at what is there already.
const NOW: c::Time = c::Time(0, 0);
/// How long PID 1 sleeps at the most while a deadline runs.
const TENTH: c::Time = c::Time(0, 100_000_000);

/// Sleeps until any signal is pending, but no longer than `timeout`, and takes it, the one with
/// the lowest number first.
fn take_signal(all: &c::SigSet, timeout: Option<&c::Time>) -> Option<i32> {
    // SAFETY: no details are wanted.
    let signal = unsafe { c::sigtimedwait(all, null_mut(), timeout) };
    if signal < 0 && errno() != c::EAGAIN {
        // Where the kernel refuses this, PID 1 looks now and then instead of spinning.
        // SAFETY: no descriptors.
        unsafe { c::poll(null_mut(), 0, 100) };
    }
    (signal > 0).then_some(signal)
}

/// Hundredths of a second since some time in the past; the greatest number where the kernel
/// refuses to say. (`Instant::now` would panic.)
fn hundredths() -> u64 {
    // SAFETY: where there is no struct to write to, nothing is written.
    unsafe { c::times(null_mut()) as u64 }
}

/// What cannot be unmounted is made read-only, and so is the root.
fn unmount_all() {
    // At the limit on descriptors, there would be none for the list.
    c::close(0);
    // The list begins with what was mounted first, which cannot go before what is mounted
    // inside it; so each time, the innermost go.
    for _ in 0..DEPTH {
        // As long as the file is open, /proc cannot be unmounted: the next turn needs it.
        let Ok(mut file) = File::open("/proc/mounts") else { return };
        let mut list = Vec::new();
        let _ = file.read_to_end(&mut list);
        // What begins with `/` is a mount point, or unmounting it is an error and no more.
        let words = list.split(|byte| matches!(byte, b' ' | b'\n'));
        for word in words.filter(|word| word.starts_with(b"/")) {
            let Ok(path) = CString::new(unescape(word)) else { continue };
            let path = path.as_ptr();
            // SAFETY: a C string.
            unsafe {
                if c::umount2(path, c::UMOUNT_NOFOLLOW) < 0 {
                    c::mount(path, path, path, c::MS_REMOUNT | c::MS_RDONLY, null());
                }
            }
        }
    }
}

/// A space in a name is written as `\040`, three octal digits.
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

/// Says why something could not be done to a name from outside. What could move the cursor or
/// begin an escape sequence is shown as `?`, and so is all that is not ASCII.
fn cannot(act: &str, name: &CStr, error: i32) {
    let mut line = format!("init: cannot {act} ");
    for byte in name.to_bytes().iter().take(NAME_END - line.len()) {
        line.push(if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' });
    }
    print(&format!("{line}: errno {error}\n"));
}

/// Prints a line by one write(2), so that the lines of several processes never tear. If it would
/// have to wait, because standard error is a pipe that is full or a terminal that was stopped, it
/// prints nothing; nor if nobody reads it any more: write(2) would send a SIGPIPE.
fn print(line: &str) {
    let mut wanted = c::PollFd(2, c::POLLOUT, 0);
    // SAFETY: one descriptor.
    unsafe { c::poll(&mut wanted, 1, 0) };
    if wanted.2 == c::POLLOUT {
        // If it cannot be printed, there is nobody to tell.
        let _ = std::io::stderr().write(line.as_bytes());
    }
}
