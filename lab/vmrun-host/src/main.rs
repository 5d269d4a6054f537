//! `vmrun-host TIMEOUT LOG MACHINE...`: runs the machine, QEMU or User-mode Linux, and is the
//! other end of src/bin/courier.rs, which describes the frames.
//!
//! The machine finds its two ports to the courier as descriptors 7 and 8, and prints its console
//! to standard output. TIMEOUT is in seconds, 0 is none. LOG is where the console's lines go: a
//! file, `-` for standard error; empty for nowhere, `tail` for nowhere unless something fails.

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, dup2_raw, getpgrp, tcgetpgrp};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, PipeReader, Read, Write, stderr, stdin};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio, exit};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The descriptors of the machine's ports.
const PORTS: [i32; 2] = [7, 8];
/// How long the kernel may take until the courier says something.
const BOOT: Duration = Duration::from_secs(120);
/// How long the machine may take to stop once the program has exited, and once it is asked to.
const STOP: Duration = Duration::from_secs(30);
const QUIT: Duration = Duration::from_secs(5);
/// How much of the console is kept: a panic, with what led to it.
const KEPT: usize = 64 * 1024;

/// What went wrong, as vmrun's exit status.
const CANNOT: i32 = 201;
const PANICKED: i32 = 202;
const TIMED_OUT: i32 = 203;
const MACHINE_FAILED: i32 = 204;
const LOST: i32 = 205;
const UNWRITTEN: i32 = 206;

/// Where frames to the courier go. Several threads answer, and no frame may get into another.
type Port = Arc<Mutex<UnixStream>>;

/// What the threads tell the main one.
enum Event {
    /// The courier sent a frame on this port.
    Frame(usize, u8, Vec<u8>),
    /// What the program printed cannot be written here.
    Unwritten(String),
    /// Nothing more comes from a port.
    Closed,
    /// The machine has exited.
    Exited(io::Result<ExitStatus>),
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [timeout, log, machine @ ..] = arguments.as_slice() else {
        fail(CANNOT, "usage: vmrun-host TIMEOUT LOG MACHINE...")
    };
    let Ok(timeout) = timeout.parse::<u32>().map(u64::from) else {
        fail(CANNOT, &format!("--timeout {timeout}: it is a number of seconds, such as 60"))
    };
    let sink: Option<Box<dyn Write + Send>> = match log.as_str() {
        "" | "tail" => None,
        "-" => Some(Box::new(stderr())),
        path => match File::create(path) {
            Ok(file) => Some(Box::new(file)),
            Err(error) => fail(CANNOT, &format!("--log {path}: {error}")),
        },
    };
    let shows_tail = log == "tail";
    let (events, news) = channel();
    let (mut child, output, ports) = start(machine);
    let console = thread::spawn(move || follow(output, sink));
    let pid = Pid::from_raw(child.id() as i32);
    thread::spawn({
        let events = events.clone();
        move || events.send(Event::Exited(child.wait()))
    });
    for (index, port) in ports.iter().enumerate() {
        let port = port.try_clone().expect("duplicate a descriptor");
        let events = events.clone();
        thread::spawn(move || listen(index, port, &events));
    }
    let ports = ports.into_iter().map(|port| Arc::new(Mutex::new(port))).collect();
    let output = Writer::new(b'o', 1, "standard output", &events);
    let error = Writer::new(b'e', 2, "standard error", &events);
    let mut host = Host { timeout, pid, ports, verdict: None, failure: None };
    let status = host.attend(&news, &output, &error);
    let said = console.join().unwrap_or_default();
    // Without what moves a cursor: the firmware's.
    let said = String::from_utf8_lossy(&said).replace(|c: char| c.is_control() && c != '\n', "");
    // What came is written, even if the machine failed; but a time-out waits for no reader.
    if host.failure.is_none() {
        output.finish();
        error.finish();
    }
    let (code, why) = host.judge(status, &machine[0], &said);
    if let Some(why) = why {
        // What fails here is no fault of the machine.
        if shows_tail && code != UNWRITTEN {
            // That we have asked it to stop, which QEMU says, is no news.
            let is_news = |line: &&str| !line.contains(": terminating on signal ");
            let lines: Vec<&str> = said.lines().filter(is_news).collect();
            let last = &lines[lines.len().saturating_sub(20)..];
            last.iter().for_each(|line| eprintln!("{line}"));
        }
        fail(code, &why);
    }
    exit(code);
}

/// Starts the machine, and returns our ends of its console and its ports.
fn start(machine: &[String]) -> (Child, PipeReader, Vec<UnixStream>) {
    let mut ports = Vec::new();
    let mut theirs = Vec::new();
    for _ in PORTS {
        let (ours, other) = UnixStream::pair().expect("make a pair of sockets");
        // Above those that they are to become.
        let other = fcntl(&other, FcntlArg::F_DUPFD_CLOEXEC(20)).expect("duplicate a socket");
        // SAFETY: the descriptor was made just now.
        theirs.push(unsafe { OwnedFd::from_raw_fd(other) });
        ports.push(ours);
    }
    let mut command = Command::new(&machine[0]);
    // What QEMU says itself is part of the log.
    let (output, writer) = io::pipe().expect("make a pipe");
    command.args(&machine[1..]).stdin(Stdio::null());
    command.stdout(writer.try_clone().expect("duplicate a descriptor")).stderr(writer);
    let numbers: Vec<i32> = theirs.iter().map(AsRawFd::as_raw_fd).collect();
    // SAFETY: system calls only. The descriptors are the new process's own.
    unsafe {
        command.pre_exec(move || {
            for (from, to) in numbers.iter().zip(PORTS) {
                let from = BorrowedFd::borrow_raw(*from);
                let _ = dup2_raw(from, to)?.into_raw_fd();
            }
            // Whatever becomes of us, the machine goes with us.
            Ok(prctl::set_pdeathsig(Signal::SIGTERM)?)
        });
    }
    match command.spawn() {
        Ok(child) => (child, output, ports),
        Err(error) => fail(CANNOT, &format!("cannot run {}: {error}", machine[0])),
    }
}

/// Passes on what the console says, and returns the last of it.
fn follow(mut output: impl Read, mut sink: Option<Box<dyn Write + Send>>) -> Vec<u8> {
    let mut last = VecDeque::new();
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = retry(|| output.read(&mut piece)) {
        let piece = &piece[..length];
        if sink.as_mut().is_some_and(|sink| sink.write_all(piece).is_err()) {
            sink = None;
        }
        last.extend(piece);
        last.drain(..last.len().saturating_sub(KEPT));
    }
    last.into()
}

/// Tells the main thread what comes from a port.
fn listen(index: usize, mut port: UnixStream, events: &Sender<Event>) {
    let mut head = [0; 4];
    while port.read_exact(&mut head).is_ok() {
        let length = u32::from_le_bytes(head) >> 8;
        let mut data = vec![0; length as usize];
        if port.read_exact(&mut data).is_err()
            || events.send(Event::Frame(index, head[0], data)).is_err()
        {
            break;
        }
    }
    let _ = events.send(Event::Closed);
}

/// Sends a frame. If the machine is gone, nobody waits for it.
fn send(port: &Port, letter: u8, data: &[u8]) {
    let head = u32::from(letter) | (data.len() as u32) << 8;
    let mut port = port.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = port.write_all(&[&head.to_le_bytes(), data].concat());
}

/// Answers each request with what standard input has.
fn give_input(requests: &Receiver<(Port, u16)>) {
    let mut room = [0; u16::MAX as usize];
    // SAFETY: nobody else here uses it. (Stdin reads ahead.)
    let mut input = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(0) });
    for (port, most) in requests {
        let room = &mut room[..most.into()];
        // To read a terminal in the background would stop us.
        let is_elsewhere = tcgetpgrp(stdin()).is_ok_and(|group| group != getpgrp());
        let length = if is_elsewhere { 0 } else { retry(|| input.read(room)).unwrap_or(0) };
        send(&port, b'i', &room[..length]);
    }
}

/// A thread that writes one of the program's streams to ours.
struct Writer {
    frames: Sender<(Port, Vec<u8>)>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn new(letter: u8, descriptor: i32, name: &'static str, events: &Sender<Event>) -> Writer {
        let (sender, frames) = channel::<(Port, Vec<u8>)>();
        let events = events.clone();
        let thread = thread::spawn(move || {
            // SAFETY: nobody else here uses it while this runs. (Stdout waits for whole lines.)
            let mut file = std::mem::ManuallyDrop::new(unsafe { File::from_raw_fd(descriptor) });
            for (port, data) in frames {
                let written = file.write_all(&data);
                // A reader that is gone is the program's business; a full disk is not.
                if let Err(error) = &written
                    && error.kind() != ErrorKind::BrokenPipe
                {
                    let _ = events.send(Event::Unwritten(format!("{name}: {error}")));
                }
                send(
                    &port,
                    if written.is_ok() { letter } else { letter.to_ascii_uppercase() },
                    &[],
                );
            }
        });
        Writer { frames: sender, thread }
    }

    fn write(&self, port: Port, data: Vec<u8>) {
        let _ = self.frames.send((port, data));
    }

    /// Waits until everything is written.
    fn finish(self) {
        drop(self.frames);
        let _ = self.thread.join();
    }
}

/// What the main thread knows.
struct Host {
    timeout: u64,
    pid: Pid,
    ports: Vec<Port>,
    /// The program's exit status.
    verdict: Option<u8>,
    /// Why the machine was asked to stop.
    failure: Option<(i32, String)>,
}

impl Host {
    /// Answers the courier until the machine is gone. Returns how it exited.
    fn attend(
        &mut self,
        news: &Receiver<Event>,
        output: &Writer,
        error: &Writer,
    ) -> io::Result<ExitStatus> {
        let (requests, reader) = channel();
        thread::spawn(move || give_input(&reader));
        let start = Instant::now();
        let boot = (
            start + BOOT,
            format!("the kernel did not start the program within {} seconds", BOOT.as_secs()),
        );
        let whole = (
            start + Duration::from_secs(self.timeout),
            format!("the program was still running after {} seconds (--timeout)", self.timeout),
        );
        let mut limit =
            if self.timeout > 0 { [boot, whole.clone()].into_iter().min() } else { Some(boot) };
        let mut has_started = false;
        let mut closed = 0;
        let mut status = None;
        loop {
            let left = limit
                .as_ref()
                .map_or(Duration::MAX, |(when, _)| when.saturating_duration_since(Instant::now()));
            match news.recv_timeout(left) {
                Ok(Event::Frame(port, letter, data)) => {
                    if !has_started {
                        has_started = true;
                        limit = (self.timeout > 0).then(|| whole.clone());
                    }
                    let answer = Arc::clone(&self.ports[port]);
                    match (letter, data.as_slice()) {
                        (b'i', &[low, high]) => {
                            let _ = requests.send((answer, u16::from_le_bytes([low, high])));
                        }
                        (b'o', _) => output.write(answer, data),
                        (b'e', _) => error.write(answer, data),
                        (b'v', [status]) if self.verdict.is_none() && self.failure.is_none() => {
                            self.verdict = Some(*status);
                            send(&answer, b'v', &[]);
                            limit = Some((Instant::now() + STOP, String::new()));
                        }
                        _ => {
                            limit = self.stop(
                                LOST,
                                "what came from the machine is not what the courier sends".into(),
                            );
                        }
                    }
                }
                Ok(Event::Unwritten(why)) => limit = self.stop(UNWRITTEN, why),
                Ok(Event::Closed) => closed += 1,
                Ok(Event::Exited(how)) => status = Some(how),
                Err(RecvTimeoutError::Timeout) if self.failure.is_some() => {
                    let _ = kill(self.pid, Signal::SIGKILL);
                    limit = None;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let (_, why) = limit.take().expect("a limit");
                    limit = self.stop(TIMED_OUT, why);
                }
                Err(RecvTimeoutError::Disconnected) => unreachable!("the main thread has a sender"),
            }
            if closed == self.ports.len()
                && let Some(status) = status.take()
            {
                return status;
            }
        }
    }

    /// Asks the machine to stop, because something failed. Returns when it is to be killed.
    fn stop(&mut self, code: i32, why: String) -> Option<(Instant, String)> {
        self.failure.get_or_insert((code, why));
        let _ = kill(self.pid, Signal::SIGTERM);
        Some((Instant::now() + QUIT, String::new()))
    }

    /// The exit status, and what there is to say.
    fn judge(
        self,
        status: io::Result<ExitStatus>,
        machine: &str,
        said: &str,
    ) -> (i32, Option<String>) {
        const PANIC: &str = "Kernel panic - not syncing";
        if let Some((_, reason)) = said.split_once(PANIC) {
            let reason = reason.lines().next().unwrap_or_default().trim_start_matches([':', ' ']);
            return (PANICKED, Some(format!("the kernel panicked: {reason}")));
        }
        match (self.verdict, self.failure, status) {
            // One that does not stop although the program has exited is switched off.
            (Some(code), _, _) => (code.into(), None),
            (None, Some((code, why)), _) => (code, Some(why)),
            (None, None, Ok(status)) if status.success() => {
                let why =
                    "the machine stopped before the program had exited (did the program stop it?)";
                (LOST, Some(why.into()))
            }
            (None, None, Ok(status)) => {
                let how = match status.signal() {
                    Some(signal) => format!("was killed by signal {signal}"),
                    None => format!("exited with status {}", status.code().unwrap_or_default()),
                };
                let last = said.lines().last().unwrap_or_default();
                (
                    MACHINE_FAILED,
                    Some(format!("{machine} {how} before the program had exited: {last}")),
                )
            }
            (None, None, Err(error)) => (MACHINE_FAILED, Some(format!("{machine}: {error}"))),
        }
    }
}

/// Does it once more if a signal interrupted it.
fn retry<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Says what went wrong, and exits.
fn fail(code: i32, why: &str) -> ! {
    eprintln!("vmrun: {why}");
    exit(code);
}
