//! The program that `lab/vmrun` has /init start: it runs somebody's program, and carries what that
//! reads and prints between its pipes and a port of the machine; in the end, its exit status.
//!
//! On the port, both sides send frames: a letter, three bytes with the length of what follows
//! (little-endian), and that many bytes. Nobody sends a second frame of the same letter before the
//! first is answered. So neither side ever gets more than it has room for, and all output is written
//! when the machine stops.
//!
//! There are two ports. The first is serial, and no driver has to be loaded for it. The second is
//! virtio's: faster, but its drivers take 0.2 s to load. The courier changes to it after LITTLE
//! bytes, if it can. Without a serial port, virtio's is the first, and there is no second. The host
//! answers on the port on which it was asked.
//!
//! | courier sends | host answers |
//! |---|---|
//! | `i`: two bytes (little-endian), how much input the program can be given | `i`: here it is. If it is empty, there is no more |
//! | `o`, `e`: what it printed to standard output, error | the same letter: it is written. `O`, `E`: nobody reads it |
//! | `v`: one byte, its exit status as shells have it | `v`: heard |

#![no_std]
#![no_main]

use core::ffi::CStr;
use core::ptr::null_mut;
use core::slice::from_raw_parts_mut;
use picoinit::cstr::ThinCStr;
use picoinit::say::say;
use picoinit::{signals, sys};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::OwnedFd;
use rustix::fs::{
    Access, Mode, OFlags, Timespec, access, chmod, fcntl_setfl, fstat, inotify, mkdir, open,
    symlink,
};
use rustix::io::{Errno, Result, ioctl_fionread, read, write};
use rustix::ioctl::{Setter, ioctl};
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};
use rustix::net::{AddressFamily, SocketType, socket};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, WaitOptions, chdir, pidfd_open, setsid, waitpid};
use rustix::stdio::{dup2_stderr, dup2_stdin, dup2_stdout};
use rustix::system::finit_module;
use rustix::termios::{OptionalActions, isatty, tcgetattr, tcsetattr};
use rustix::thread::sched_yield;

picoinit::first_instruction!(main);

/// How much one frame carries: with its head, as much as virtio_console takes in one write(2).
const MOST: usize = 32 * 1024 - HEAD;
const HEAD: usize = 4;
/// How much input is asked for on a serial port, where what the kernel has no room for is lost:
/// half of N_TTY_BUF_SIZE in drivers/tty/n_tty.c. (User-mode Linux stalls if it has to throttle.)
const MOST_TO_SERIAL: usize = 2048;
/// How many bytes go over the first port, both ways, before the second is opened: an emulated serial
/// port carries them in the time that it takes to load virtio's drivers.
const LITTLE: usize = 8192;

const PORT: OFlags = OFlags::RDWR.union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// As shells have it: the program is there and cannot be executed, or is not there.
const NOT_EXECUTABLE: i32 = 126;
const NOT_FOUND: i32 = 127;

/// How long the courier sleeps before it looks at virtio's port again; lab/vmrun.md says why.
const AGAIN: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

extern "C" fn main(_: *const usize) -> ! {
    // No signal stops the courier before its work is done, not even PID 1's.
    signals::block(signals::ALL);
    furnish_dev();
    let done = Errand::read().and_then(|errand| carry(&errand, &mut Ports::open(&errand)?));
    if let Err(error) = done {
        let number = error.raw_os_error();
        say(c"vmrun: the courier cannot do its work: errno #\n", None, number, 0);
    }
    // PID 1 powers off.
    sys::exit(0)
}

/// Runs the program, and carries until it has exited and all that it printed is written.
fn carry(errand: &Errand, ports: &mut Ports) -> Result<()> {
    let (program_input, input) = pipe_with(PipeFlags::CLOEXEC)?;
    let (output, program_output) = pipe_with(PipeFlags::CLOEXEC)?;
    let (error, program_error) = pipe_with(PipeFlags::CLOEXEC)?;
    // The program may read as slowly as it likes.
    fcntl_setfl(&input, OFlags::NONBLOCK)?;
    let program = match sys::fork() {
        0 => {
            drop((input, output, error));
            sys::exit(lead_session(errand, program_input, program_output, program_error))
        }
        child => Pid::from_raw(child).ok_or(Errno::AGAIN)?,
    };
    drop((program_input, program_output, program_error));
    let end_of_program = pidfd_open(program, PidfdFlags::empty())?;

    let frame = memory(HEAD + MOST)?;
    let mut input = Some(input);
    let input_frame = memory(MOST)?;
    // What the program has not been given yet.
    let mut waiting = 0..0;
    let mut streams = [Stream::new(b'o', output), Stream::new(b'e', error)];
    let mut status = None;
    ports.ask_for_input(frame, 0)?;
    while status.is_none() || streams.iter().any(Stream::is_busy) {
        let [output, error] = &streams;
        let room = input.as_ref().filter(|_| !waiting.is_empty());
        let running = Some(&end_of_program).filter(|_| status.is_none());
        let first = &ports.first;
        let mut files = [
            PollFd::new(first, PollFlags::IN),
            watch(first, ports.second.as_ref(), PollFlags::IN),
            watch(first, running, PollFlags::IN),
            watch(first, room, PollFlags::OUT),
            watch(first, output.to_read(), PollFlags::IN),
            watch(first, error.to_read(), PollFlags::IN),
        ];
        poll(&mut files, Some(&AGAIN))?;
        let [first_answered, second_answered, exited, has_room, prints @ ..] =
            files.map(|file| !file.revents().is_empty());

        for (stream, prints) in streams.iter_mut().zip(prints) {
            if prints && stream.to_read().is_some() {
                stream.send(ports, frame)?;
            }
        }
        if exited && status.is_none() {
            status = Some(reap(program)?);
            streams.iter_mut().for_each(Stream::take_what_is_left);
            input = None;
        }
        if has_room && let Some(pipe) = &input {
            match write(pipe, &input_frame[waiting.clone()]) {
                Ok(length) => waiting.start += length,
                Err(Errno::AGAIN) => {}
                // The program does not read any more.
                Err(_) => input = None,
            }
            if waiting.is_empty() {
                ports.ask_for_input(frame, waiting.end)?;
            }
        }
        let answering = [
            Some(&ports.first).filter(|_| first_answered),
            ports.second.as_ref().filter(|_| second_answered),
        ];
        for port in answering.into_iter().flatten() {
            match receive(port, input_frame)? {
                (b'i', 0) => input = None,
                (b'i', length) if input.is_some() => waiting = 0..length,
                (letter, _) => streams.iter_mut().for_each(|stream| stream.hear(letter)),
            }
        }
    }
    frame[HEAD] = status.unwrap_or_default() as u8;
    ports.send(frame, b'v', 1)?;
    while receive(ports.best(), input_frame)?.0 != b'v' {}
    Ok(())
}

/// Leads a session without a terminal, and starts the program in it. Returns its exit status.
///
/// The program leads nothing. So it can make a session of its own; and a terminal that it opens does
/// not become its controlling terminal, the end of which would kill it (SIGHUP).
fn lead_session(errand: &Errand, input: OwnedFd, output: OwnedFd, error: OwnedFd) -> i32 {
    let _ = setsid();
    match sys::fork() {
        0 => {
            let _ = dup2_stdin(input);
            let _ = dup2_stdout(output);
            let _ = dup2_stderr(error);
            errand.become_program()
        }
        child => {
            drop((input, output, error));
            Pid::from_raw(child).and_then(|child| reap(child).ok()).unwrap_or(NOT_EXECUTABLE)
        }
    }
}

/// Waits for a child. Returns its exit status as shells have it.
fn reap(child: Pid) -> Result<i32> {
    let (_, how) = waitpid(Some(child), WaitOptions::empty())?.ok_or(Errno::CHILD)?;
    how.exit_status().or(how.terminating_signal().map(|signal| 128 + signal)).ok_or(Errno::CHILD)
}

/// Makes what programs expect in /dev, and the kernel does not put there. The courier stays in /dev,
/// because the program may mount something over it before the second port is opened.
fn furnish_dev() {
    let _ = chdir(c"/dev");
    let _ = symlink(c"/proc/self/fd", c"fd");
    let _ = symlink(c"fd/0", c"stdin");
    let _ = symlink(c"fd/1", c"stdout");
    let _ = symlink(c"fd/2", c"stderr");
    // For shm_open(3).
    let _ = mkdir(c"shm", Mode::from_raw_mode(0o1777));
    let _ = chmod(c"shm", Mode::from_raw_mode(0o1777)); // whatever the umask is
}

/// An entry for poll(2). Without a file, it is the port's, and asks for nothing.
fn watch<'a>(port: &'a OwnedFd, file: Option<&'a OwnedFd>, events: PollFlags) -> PollFd<'a> {
    match file {
        Some(file) => PollFd::new(file, events),
        None => PollFd::new(port, PollFlags::empty()),
    }
}

/// What the program prints to one of its descriptors.
struct Stream {
    letter: u8,
    /// None, if there is nothing more to come from it.
    pipe: Option<OwnedFd>,
    /// A frame is sent, and not answered yet.
    is_sent: bool,
    /// How much more is to be carried.
    left: usize,
}

impl Stream {
    fn new(letter: u8, pipe: OwnedFd) -> Stream {
        Stream { letter, pipe: Some(pipe), is_sent: false, left: usize::MAX }
    }

    fn is_busy(&self) -> bool {
        self.is_sent || self.pipe.is_some()
    }

    /// The pipe, if the next frame may be sent.
    fn to_read(&self) -> Option<&OwnedFd> {
        self.pipe.as_ref().filter(|_| !self.is_sent)
    }

    /// Sends what is in the pipe, which is not empty, or has no writer any more.
    fn send(&mut self, ports: &mut Ports, frame: &mut [u8]) -> Result<()> {
        let Some(pipe) = &self.pipe else { return Ok(()) };
        let length = read(pipe, &mut frame[HEAD..])?;
        self.left = self.left.saturating_sub(length);
        if length > 0 {
            ports.send(frame, self.letter, length)?;
            self.is_sent = true;
        }
        if length == 0 || self.left == 0 {
            self.pipe = None;
        }
        Ok(())
    }

    /// The program has exited. Whoever it left behind may print for ever: what is in the pipe now is
    /// carried, and no more.
    fn take_what_is_left(&mut self) {
        let Some(pipe) = &self.pipe else { return };
        self.left = ioctl_fionread(pipe).unwrap_or(0) as usize;
        if self.left == 0 {
            self.pipe = None;
        }
    }

    /// Hears the host's answer, if it is to this stream.
    fn hear(&mut self, letter: u8) {
        if letter.eq_ignore_ascii_case(&self.letter) {
            self.is_sent = false;
            if letter != self.letter {
                // The program gets SIGPIPE, as if it had printed to whoever is gone.
                self.pipe = None;
            }
        }
    }
}

/// The ways to the host.
struct Ports<'a> {
    errand: &'a Errand,
    first: OwnedFd,
    second: Option<OwnedFd>,
    /// How many bytes more go over the first. None once the second has been looked for.
    left: Option<usize>,
}

impl Ports<'_> {
    fn open(errand: &Errand) -> Result<Ports<'_>> {
        match open_serial(errand) {
            Ok(first) => Ok(Ports { errand, first, second: None, left: Some(LITTLE) }),
            Err(_) => Ok(Ports { errand, first: open_virtio(errand)?, second: None, left: None }),
        }
    }

    /// The port on which the next frame is sent.
    fn best(&self) -> &OwnedFd {
        self.second.as_ref().unwrap_or(&self.first)
    }

    /// Counts what goes over the first port; if that is too much, opens the second.
    fn count(&mut self, length: usize) {
        let Some(left) = self.left else { return };
        self.left = left.checked_sub(length);
        if self.left.is_none() {
            self.second = open_virtio(self.errand).ok();
        }
    }

    /// Sends a frame, of which everything but the head is there.
    fn send(&mut self, frame: &mut [u8], letter: u8, length: usize) -> Result<()> {
        // A new port is written to at once: until the host has opened its end, a read would say
        // that the host is gone.
        self.count(length);
        let head = u32::from(letter) | (length as u32) << 8;
        for (place, byte) in frame.iter_mut().zip(head.to_le_bytes()) {
            *place = byte;
        }
        let mut rest = &frame[..HEAD + length];
        while !rest.is_empty() {
            rest = &rest[write(self.best(), rest)?..];
        }
        Ok(())
    }

    /// Tells the host how much it may send. The program has all that was sent last, so many bytes.
    fn ask_for_input(&mut self, frame: &mut [u8], given: usize) -> Result<()> {
        self.count(given);
        let most = if isatty(self.best()) { MOST_TO_SERIAL } else { MOST };
        [frame[HEAD], frame[HEAD + 1]] = (most as u16).to_le_bytes();
        self.send(frame, b'i', 2)
    }
}

/// Waits for a frame. Returns its letter, and how much it carries.
fn receive(port: &OwnedFd, carried: &mut [u8]) -> Result<(u8, usize)> {
    let mut head = [0; HEAD];
    fill(port, &mut head)?;
    let length = (u32::from_le_bytes(head) >> 8) as usize;
    fill(port, carried.get_mut(..length).ok_or(Errno::PROTO)?)?;
    Ok((head[0], length))
}

fn fill(port: &OwnedFd, mut room: &mut [u8]) -> Result<()> {
    while !room.is_empty() {
        let mut files = [PollFd::new(port, PollFlags::IN)];
        while poll(&mut files, Some(&AGAIN))? == 0 {}
        match read(port, &mut *room)? {
            0 => return Err(Errno::PIPE),
            length => room = &mut room[length..],
        }
    }
    Ok(())
}

fn open_serial(errand: &Errand) -> Result<OwnedFd> {
    let (_, path) = errand.of(b's').next().ok_or(Errno::NODEV)?;
    let port = open(path, PORT, Mode::empty())?;
    // A kernel may have a name for a port that the machine, or the driver, does not have: EIO.
    let mut mode = tcgetattr(&port)?;
    mode.make_raw();
    tcsetattr(&port, OptionalActions::Now, &mode)?;
    Ok(port)
}

fn open_virtio(errand: &Errand) -> Result<OwnedFd> {
    for module in errand.of(b'p') {
        load(module)?;
    }
    access(c"/sys/bus/virtio/drivers/virtio_console/virtio0", Access::EXISTS)?;
    // The device appears when the driver has talked to the host.
    let news = inotify::init(inotify::CreateFlags::CLOEXEC)?;
    inotify::add_watch(&news, c".", inotify::WatchFlags::CREATE)?;
    loop {
        match open(c"vport0p1", PORT, Mode::empty()) {
            Err(Errno::NOENT) => drop(read(&news, &mut [0; 512])?),
            // It is there, but its driver has not listed it yet (`add_port` in the kernel's
            // drivers/char/virtio_console.c).
            Err(Errno::NXIO) => sched_yield(),
            port => return port,
        }
    }
}

/// Loads a kernel module, if it is not there already.
fn load((_, path): (ThinCStr, &CStr)) -> Result<()> {
    let file = open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    match finit_module(file, c"", 0) {
        Err(Errno::EXIST) => Ok(()),
        loaded => loaded,
    }
}

/// Brings the network up, as far as there is one: the loopback device, and the card of QEMU's user
/// network, which has these addresses (netdevice(7), rtnetlink(7) without netlink).
fn open_network() {
    const UP: u8 = 1;
    let Ok(socket) = socket(AddressFamily::INET, SocketType::DGRAM, None) else { return };
    let interface = |name: &[u8], value: &[u8]| {
        let mut request = [0; 40];
        request.iter_mut().zip(name).for_each(|(place, byte)| *place = *byte);
        request[16..].iter_mut().zip(value).for_each(|(place, byte)| *place = *byte);
        request
    };
    let mut route = [0; 120];
    // Everything else, through the host: family and address of destination, gateway and mask.
    [route[8], route[24], route[40]] = [2; 3];
    [route[28], route[30], route[31]] = [10, 2, 2];
    route[56] = UP | 2;
    // SAFETY: the calls read a `struct ifreq` or a `struct rtentry`, which are so long.
    unsafe {
        let _ = ioctl(&socket, Setter::<0x8914, _>::new(interface(b"lo", &[UP])));
        let address = interface(b"eth0", &[2, 0, 0, 0, 10, 0, 2, 15]);
        if ioctl(&socket, Setter::<0x8916, _>::new(address)).is_ok() {
            let mask = interface(b"eth0", &[2, 0, 0, 0, 255, 255, 255, 0]);
            let _ = ioctl(&socket, Setter::<0x891c, _>::new(mask));
            let _ = ioctl(&socket, Setter::<0x8914, _>::new(interface(b"eth0", &[UP])));
            let _ = ioctl(&socket, Setter::<0x890b, _>::new(route));
        }
    }
}

/// What is to be done: strings, each with a letter before it that says what it is. They come from
/// a file, because the kernel's command line is too short, and splits words.
struct Errand {
    strings: *mut u8,
    length: usize,
}

impl Errand {
    fn read() -> Result<Errand> {
        let file = open(c"/.vmrun/errand", OFlags::RDONLY, Mode::empty())?;
        let length = fstat(&file)?.st_size as usize;
        // SAFETY: at an address that the kernel chooses. Nobody else knows the file.
        let strings = unsafe {
            mmap(null_mut(), length, ProtFlags::READ, MapFlags::PRIVATE, file, 0)?.cast()
        };
        Ok(Errand { strings, length })
    }

    /// The strings with this letter, as addresses and as texts.
    fn of(&self, letter: u8) -> impl Iterator<Item = (ThinCStr, &CStr)> {
        // SAFETY: so many bytes are mapped.
        let strings = unsafe { from_raw_parts_mut(self.strings, self.length) };
        strings.split_inclusive(|byte| *byte == 0).filter_map(move |string| {
            let text = CStr::from_bytes_with_nul(string.strip_prefix(&[letter])?).ok()?;
            Some((ThinCStr::of(text), text))
        })
    }

    /// The strings with this letter as execve(2) wants them.
    fn array(&self, letter: u8) -> Result<*const Option<ThinCStr>> {
        let words = size_of::<Option<ThinCStr>>() * (self.of(letter).count() + 1);
        // Memory comes as zeros, which is what is to follow the last one.
        let array = memory(words)?.as_mut_ptr().cast::<Option<ThinCStr>>();
        for (index, (string, _)) in self.of(letter).enumerate() {
            // SAFETY: there is room for as many.
            unsafe { array.add(index).write(Some(string)) };
        }
        Ok(array)
    }

    /// Turns this process into the program. Returns, if that fails, what counts as its exit status.
    fn become_program(&self) -> i32 {
        for module in self.of(b'm') {
            if let Err(error) = load(module) {
                let number = error.raw_os_error();
                say(c"vmrun: cannot load the module @: errno #\n", Some(module.0), number, 0);
                return NOT_EXECUTABLE;
            }
        }
        open_network();
        for folder in self.of(b'd') {
            if let Err(error) = chdir(folder.1) {
                let number = error.raw_os_error();
                say(c"vmrun: cannot go to the folder @: errno #\n", Some(folder.0), number, 0);
                return NOT_EXECUTABLE;
            }
        }
        signals::block(signals::NONE);
        let Some((path, _)) = self.of(b'x').next() else { return NOT_FOUND };
        let (Ok(argv), Ok(envp)) = (self.array(b'a'), self.array(b'e')) else {
            return NOT_EXECUTABLE;
        };
        // SAFETY: both arrays end with NULL.
        let error = unsafe { -sys::execve(path, argv.cast(), envp) };
        say(c"vmrun: cannot run @: errno #\n", Some(path), error, 0);
        if error == Errno::NOENT.raw_os_error() { NOT_FOUND } else { NOT_EXECUTABLE }
    }
}

/// Memory, all zeros.
fn memory(length: usize) -> Result<&'static mut [u8]> {
    let (access, kind) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
    // SAFETY: at an address that the kernel chooses, for nobody else, and never unmapped.
    unsafe {
        let start = mmap_anonymous(null_mut(), length, access, kind)?;
        Ok(from_raw_parts_mut(start.cast(), length))
    }
}

/// On some CPUs, the compiler calls these two where it writes a few instructions on others. They
/// write byte by byte, and volatile, because any other loop would become a call of the function that
/// it stands in.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8 {
    for index in 0..length {
        // SAFETY: whoever calls it has so many bytes at both addresses.
        unsafe { to.add(index).write_volatile(*from.add(index)) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8 {
    for index in 0..length {
        // SAFETY: whoever calls it has so many bytes there.
        unsafe { to.add(index).write_volatile(byte as u8) };
    }
    to
}

/// It may panic, unlike the init.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    sys::exit(101)
}
