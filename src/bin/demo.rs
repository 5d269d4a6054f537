//! The program that `make run` starts under /init. It looks at what PID 1 made
//! ready for it, leaves an orphan and a server behind, and ends.

#![no_std]
#![no_main]

use core::ffi::CStr;
use linux_raw_sys::general::{
    __NR_pipe2, __NR_rt_sigtimedwait, O_NOCTTY, O_RDONLY, O_WRONLY, SIGTERM, kernel_sigset_t,
};
use picoinit::buffer::Buffer;
use picoinit::mounts::next_target;
use picoinit::shared::Shared;
use picoinit::signals;
use picoinit::sys::{self, Word};
use picoinit::syscall;
use rustix::fd::BorrowedFd;
use rustix::process::{Pid, getpid, getppid, setsid};
use rustix::thread::sched_yield;

picoinit::start!(main);

extern "C" fn main(stack: *const usize, _: &'static Shared) -> ! {
    tell("I am the program: my PID is ", |line| line.pid(Some(getpid())));
    tell("started by PID ", |line| line.pid(getppid()));
    tell("/proc says that this is Linux ", |line| line.file(c"/proc/sys/kernel/osrelease"));
    tell("/sys says that these CPUs are online: ", |line| {
        line.file(c"/sys/devices/system/cpu/online")
    });
    tell("mounted are", Line::mounts);
    leave_orphan();
    leave_server();
    tell("I have done my work, and end with status 0", |_| {});
    // SAFETY: the address is the kernel's.
    unsafe { give_verdict(stack) };
    sys::exit(0)
}

/// Starts a process whose parent ends before it does.
fn leave_orphan() {
    let (reader, writer) = pipe();
    if sys::fork() == 0 {
        let parent = Some(getpid());
        let child = sys::fork();
        if child != 0 {
            tell("a child of mine leaves PID ", |line| line.number(child));
            sys::exit(0);
        }
        while getppid() == parent {
            sched_yield();
        }
        tell("the orphan: my parent is now PID ", |line| line.pid(getppid()));
        sys::exit(7);
    }
    sys::wait(sys::ANYONE);
    // The end of the file comes when the orphan, too, has closed the pipe.
    sys::close(writer);
    while sys::read_byte(reader).is_some() {}
    sys::close(reader);
}

/// Starts a process that ends when it is told to, and not before.
fn leave_server() {
    let (reader, writer) = pipe();
    if sys::fork() == 0 {
        let _ = setsid();
        signals::block_all();
        tell("a server, which stays: PID ", |line| line.pid(Some(getpid())));
        sys::close(writer);
        wait_for_signal(kernel_sigset_t { sig: [1 << (SIGTERM - 1)] });
        tell("the server: SIGTERM came, so I save my work and end", |_| {});
        sys::exit(0);
    }
    sys::close(writer);
    while sys::read_byte(reader).is_some() {}
    sys::close(reader);
}

/// rt_sigtimedwait(2) without a time limit: sleeps until one of `set`, which
/// is blocked, is pending, and takes it; or until a handler has run: -EINTR.
fn wait_for_signal(set: kernel_sigset_t) -> i32 {
    // SAFETY: reads a set of the size given; no details are asked for.
    unsafe { syscall!(__NR_rt_sigtimedwait, &raw const set, 0, 0, size_of_val(&set)) }
}

/// pipe(2). Returns the end to read from and the end to write to; both are -1
/// if there is no pipe.
fn pipe() -> (i32, i32) {
    let mut ends = [-1i32; 2];
    // SAFETY: writes two ints.
    unsafe { syscall!(__NR_pipe2, &raw mut ends, 0) };
    (ends[0], ends[1])
}

/// Writes `status 0` to the file that the environment names in VERDICT, for
/// whoever started the machine: the console is for people, and the kernel
/// writes there too.
///
/// # Safety
///
/// `stack` is what the kernel passes to `_start`.
unsafe fn give_verdict(stack: *const usize) {
    let name = "VERDICT=";
    // SAFETY: the environment follows argc, argv and NULL, and ends with NULL.
    unsafe {
        let mut word = stack.add(*stack + 2).cast::<Word>();
        while !(*word).0.is_null() {
            if (*word).bytes().take(name.len()).eq(name.bytes()) {
                let path = Word((*word).0.add(name.len()));
                let file = sys::open(path, O_WRONLY | O_NOCTTY);
                if file >= 0 {
                    let _ = rustix::io::write(BorrowedFd::borrow_raw(file), b"status 0\n");
                    sys::close(file);
                }
            }
            word = word.add(1);
        }
    }
}

/// Prints one line: `demo: `, `text`, and what `rest` adds.
fn tell(text: &str, rest: impl FnOnce(&mut Line)) {
    let mut line = Line(Buffer::empty());
    line.text("demo: ");
    line.text(text);
    rest(&mut line);
    line.0.push(b'\n');
    // SAFETY: if descriptor 1 is closed, write(2) says so and does nothing.
    let stdout = unsafe { rustix::stdio::stdout() };
    let _ = rustix::io::write(stdout, line.0.as_bytes());
}

/// One line in the making.
struct Line(Buffer<512>);

impl Line {
    fn text(&mut self, text: &str) {
        text.bytes().for_each(|byte| self.0.push(byte));
    }

    fn pid(&mut self, pid: Option<Pid>) {
        self.number(Pid::as_raw(pid));
    }

    fn number(&mut self, number: i32) {
        if number > 9 {
            self.number(number / 10);
        }
        self.0.push(b'0' + (number % 10) as u8);
    }

    /// Adds the first line of a file.
    fn file(&mut self, path: &CStr) {
        let file = sys::open(Word(path.as_ptr()), O_RDONLY);
        while let Some(byte) = sys::read_byte(file) {
            if byte.get() != b'\n' {
                self.0.push(byte.get());
            }
        }
        sys::close(file);
    }

    /// Adds where something is mounted, with a blank before each.
    fn mounts(&mut self) {
        let list = sys::open(Word(c"/proc/mounts".as_ptr()), O_RDONLY);
        let mut target = Buffer::empty();
        while next_target(|| sys::read_byte(list), &mut target).is_some() {
            self.0.push(b' ');
            target.as_bytes().iter().for_each(|&byte| self.0.push(byte));
            target = Buffer::empty();
        }
        sys::close(list);
    }
}
