//! The program that `make run` starts under /init. It looks at what PID 1 made ready for it,
//! leaves an orphan and a server behind, and exits. Each duty that PID 1 lacks shows in a line.

#![no_std]
#![no_main]

use core::ffi::CStr;
use picoinit::cstr::ThinCStr;
use picoinit::say::Buffer;
use picoinit::{signals, sys};
use rustix::fd::AsFd;
use rustix::fs::{Mode, OFlags, Timespec, open};
use rustix::io::{read, write};
use rustix::pipe::pipe;
use rustix::process::{
    Pid, Signal, WaitOptions, getpid, getppid, kill_process, setsid, test_kill_process, wait,
};
use rustix::stdio::stdout;
use rustix::thread::sched_yield;

picoinit::first_instruction!(main);

extern "C" fn main(stack: *const usize) -> ! {
    // From now on, signals wait until they are taken.
    signals::block(signals::ALL);
    tell(|line| line.text("I am the program: my PID is ").pid(Some(getpid())));
    tell(|line| line.text("started by PID ").pid(getppid()));
    tell(|line| match open(c"/dev/tty", OFlags::RDWR, Mode::empty()) {
        Ok(_) => line.text("I have a controlling terminal: Ctrl-C would reach me"),
        Err(_) => line.text("I have no controlling terminal: Ctrl-C cannot reach me"),
    });
    tell(|line| {
        line.text("/proc says ").first_line("that this is Linux ", c"/proc/sys/kernel/osrelease")
    });
    tell(|line| {
        line.text("/sys says ")
            .first_line("that these CPUs are online: ", c"/sys/devices/system/cpu/online")
    });
    tell(Line::mounts);
    signal_init();
    leave_orphan();
    leave_server();
    tell(|line| line.text("my work is done; I exit with status 0"));
    // SAFETY: the address is the kernel's.
    unsafe { give_verdict(stack) };
    sys::exit(0)
}

/// Sends PID 1 a signal that is not for PID 1.
fn signal_init() {
    let _ = kill_process(Pid::INIT, Signal::HUP);
    let came = signals::wait(Some(&Timespec { tv_sec: 1, tv_nsec: 0 }));
    tell(|line| match came {
        Some(Signal::HUP) => line.text("I sent PID 1 a SIGHUP, and it was passed on to me"),
        _ => line.text("I sent PID 1 a SIGHUP, and nothing happened"),
    });
}

/// Starts a process whose parent exits before it does, and looks what becomes of it.
fn leave_orphan() {
    let Ok((reader, writer)) = pipe() else { return };
    if sys::fork() == 0 {
        let parent = Some(getpid());
        let child = sys::fork();
        if child != 0 {
            tell(|line| {
                line.text("a child of mine exits and leaves PID ").number(child).text(" behind")
            });
            let _ = write(&writer, &child.to_ne_bytes());
            sys::exit(0);
        }
        while getppid() == parent {
            sched_yield();
        }
        tell(|line| line.text("the orphan: my parent is now PID ").pid(getppid()));
        sys::exit(7);
    }
    let _ = wait(WaitOptions::empty());
    drop(writer);
    let mut orphan = [0; 4];
    let _ = read(&reader, &mut orphan);
    // This comes to an end when the orphan, too, has closed the pipe.
    while next_byte(&reader).is_some() {}
    // It exits at this moment. PID 1 may be a moment behind, but not a second.
    let orphan = i32::from_ne_bytes(orphan);
    let is_zombie = (0..100).all(|_| {
        let is_there = Pid::from_raw(orphan).is_some_and(|pid| test_kill_process(pid).is_ok());
        is_there && {
            signals::wait(Some(&Timespec { tv_sec: 0, tv_nsec: 10_000_000 }));
            true
        }
    });
    if is_zombie {
        tell(|line| {
            line.text("the orphan has exited, and nobody reaps it: a zombie has PID ")
                .number(orphan)
        });
    }
}

/// Starts a process that exits when it is told to, and not before.
fn leave_server() {
    let Ok((reader, writer)) = pipe() else { return };
    if sys::fork() == 0 {
        // When a session leader that has a terminal exits, the kernel sends SIGHUP to all in
        // the terminal's foreground (`disassociate_ctty` in drivers/tty/tty_jobctrl.c). The demo
        // leads one. A server makes a session of its own, so that SIGTERM comes first.
        let _ = setsid();
        tell(|line| {
            line.text("a server, which stays: PID ")
                .pid(Some(getpid()))
                .text(", with work that is not saved yet")
        });
        drop(writer);
        while signals::wait(None) != Some(Signal::TERM) {}
        tell(|line| line.text("the server: SIGTERM came, so I save my work and exit"));
        sys::exit(0);
    }
    drop(writer);
    while next_byte(&reader).is_some() {}
}

/// Writes `status 0` to the file that the environment names in VERDICT, for the program that
/// started the machine: the console is for people, and the kernel writes there, too.
///
/// # Safety
///
/// `stack` is what the kernel passes to `_start`.
unsafe fn give_verdict(stack: *const usize) {
    // SAFETY: the environment follows argc, argv and NULL, and ends with NULL.
    unsafe {
        let envp = stack.add(*stack + 2).cast::<Option<ThinCStr>>();
        let Some(path) = picoinit::container::variable(envp, c"VERDICT=") else { return };
        let flags = OFlags::WRONLY | OFlags::NOCTTY;
        if let Ok(file) = open(path.as_c_str(), flags, Mode::empty()) {
            let _ = write(file, b"status 0\n");
        }
    }
}

/// Prints one line: `demo: `, and what `rest` adds.
fn tell(rest: impl FnOnce(&mut Line) -> &mut Line) {
    let mut line = Line(Buffer::empty());
    rest(line.text("demo: ")).text("\n");
    // SAFETY: if descriptor 1 is closed, write(2) says so and does nothing.
    let _ = write(unsafe { stdout() }, line.0.as_bytes());
}

/// The next byte of a file; `None` at its end, or if it cannot be read.
fn next_byte(file: impl AsFd) -> Option<u8> {
    let mut byte = [0];
    (read(file, &mut byte) == Ok(1)).then_some(byte[0])
}

/// One line in the making.
struct Line(Buffer);

impl Line {
    fn text(&mut self, text: &str) -> &mut Self {
        text.bytes().for_each(|byte| self.0.push(byte));
        self
    }

    fn number(&mut self, number: i32) -> &mut Self {
        self.0.push_number(number as u32);
        self
    }

    fn pid(&mut self, pid: Option<Pid>) -> &mut Self {
        self.number(Pid::as_raw(pid))
    }

    /// Adds `before` and the first line of a file, or that it is not there.
    fn first_line(&mut self, before: &str, path: &CStr) -> &mut Self {
        let Ok(file) = open(path, OFlags::RDONLY, Mode::empty()) else {
            return self.text("nothing, because it is not mounted");
        };
        self.text(before);
        while let Some(byte) = next_byte(&file).filter(|byte| *byte != b'\n') {
            self.0.push(byte);
        }
        self
    }

    /// Adds where something is mounted, with a blank before each: the second word of each line
    /// in /proc/mounts.
    fn mounts(&mut self) -> &mut Self {
        let Ok(list) = open(c"/proc/mounts", OFlags::RDONLY, Mode::empty()) else {
            return self.text("what is mounted, nobody can say: there is no /proc/mounts");
        };
        self.text("mounted are");
        let mut word = 1;
        while let Some(byte) = next_byte(&list) {
            word = match byte {
                b'\n' => 1,
                b' ' => word + 1,
                _ => word,
            };
            if word == 2 {
                self.0.push(byte);
            }
        }
        self
    }
}

/// The demo may panic, unlike the init.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    sys::exit(101)
}
