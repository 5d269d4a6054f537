//! How a system call is written: `mount("proc", "/proc", "proc", 0xe, NULL) = 0`.

use nix::errno::Errno;
use nix::sys::signal::Signal;
use std::fs::File;
use std::os::unix::fs::FileExt;
use syscalls::Sysno;

/// What an argument is.
#[derive(Clone, Copy)]
enum Kind {
    /// A number.
    Number,
    /// A set of flags, or a number that means no amount.
    Flags,
    /// The address of a C string.
    Text,
    /// The address of bytes to write; the next argument says how many.
    Bytes,
    /// The address of an array of C strings.
    Words,
    /// The address of something else.
    Address,
    /// A signal.
    Signal,
}

use Kind::{Address, Bytes, Flags, Number, Signal as Sig, Text, Words};

/// The arguments of the calls that the init makes, as its man pages have them.
const SIGNATURES: &[(Sysno, &[Kind])] = &[
    (Sysno::access, &[Text, Number]),
    (Sysno::clone, &[Flags, Address]),
    (Sysno::close, &[Number]),
    (Sysno::dup2, &[Number, Number]),
    (Sysno::execve, &[Text, Words, Address]),
    (Sysno::exit, &[Number]),
    (Sysno::faccessat, &[Number, Text, Number]),
    (Sysno::fork, &[]),
    (Sysno::getpid, &[]),
    (Sysno::ioctl, &[Number, Flags]),
    (Sysno::kill, &[Number, Sig]),
    (Sysno::lseek, &[Number, Number, Number]),
    (Sysno::mkdir, &[Text, Flags]),
    (Sysno::mkdirat, &[Number, Text, Flags]),
    (Sysno::mount, &[Text, Text, Text, Flags, Text]),
    (Sysno::nanosleep, &[Address, Address]),
    (Sysno::open, &[Text, Flags]),
    (Sysno::openat, &[Number, Text, Flags]),
    (Sysno::poll, &[Address, Number, Number]),
    (Sysno::ppoll, &[Address, Number, Address, Address]),
    (Sysno::read, &[Number, Address, Number]),
    (Sysno::reboot, &[Flags, Flags, Flags]),
    (Sysno::rt_sigaction, &[Sig, Address, Address, Number]),
    (Sysno::rt_sigprocmask, &[Number, Address, Address, Number]),
    (Sysno::rt_sigtimedwait, &[Address, Address, Address, Number]),
    (Sysno::setpgid, &[Number, Number]),
    (Sysno::setsid, &[]),
    (Sysno::statx, &[Number, Text, Flags, Flags, Address]),
    (Sysno::sync, &[]),
    (Sysno::times, &[Address]),
    (Sysno::umount2, &[Text, Flags]),
    (Sysno::wait4, &[Number, Address, Number, Address]),
    (Sysno::write, &[Number, Bytes, Number]),
];

/// Writes a call, before it is made. Strings are read from the memory of its maker.
pub fn describe(call: Sysno, arguments: &[u64; 6], memory: &File) -> String {
    let signature = SIGNATURES.iter().find(|(known, _)| *known == call);
    let kinds = signature.map_or(&[Flags; 6][..], |(_, kinds)| kinds);
    let written: Vec<String> = kinds
        .iter()
        .enumerate()
        .map(|(index, kind)| argument(*kind, arguments, index, memory))
        .collect();
    format!("{}({})", call.name(), written.join(", "))
}

fn argument(kind: Kind, arguments: &[u64; 6], index: usize, memory: &File) -> String {
    let value = arguments[index];
    match kind {
        Number if value as i32 == nix::libc::AT_FDCWD => "AT_FDCWD".into(),
        // They are C's ints; what is above the lower half does not count.
        Number => (value as i32).to_string(),
        Flags => format!("{:#x}", value as u32),
        Sig => match Signal::try_from(value as i32) {
            Ok(signal) => signal.as_str().into(),
            Err(_) => (value as i32).to_string(),
        },
        Text | Bytes | Words | Address if value == 0 => "NULL".into(),
        Text => quoted(&string(memory, value)),
        Bytes => {
            let mut bytes = vec![0; arguments.get(index + 1).map_or(0, |length| *length as usize)];
            let _ = memory.read_exact_at(&mut bytes, value);
            quoted(&bytes)
        }
        Words => {
            let mut words = Vec::new();
            let mut word = [0; 8];
            while memory.read_exact_at(&mut word, value + 8 * words.len() as u64).is_ok()
                && word != [0; 8]
            {
                words.push(quoted(&string(memory, u64::from_le_bytes(word))));
            }
            format!("[{}]", words.join(", "))
        }
        Address => format!("{value:#x}"),
    }
}

/// The C string at an address.
fn string(memory: &File, address: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut byte = [0];
    while memory.read_exact_at(&mut byte, address + bytes.len() as u64).is_ok() && byte != [0] {
        bytes.push(byte[0]);
    }
    bytes
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", bytes.escape_ascii())
}

/// Writes what a call returned.
pub fn result(returned: u64) -> String {
    match returned as i64 {
        // What the kernel keeps to itself: the call is made once more.
        -516..=-512 => "? (interrupted by a signal)".into(),
        error @ -4095..=-1 => format!("-1 {:?}", Errno::from_raw(-error as i32)),
        value => (value as i32).to_string(),
    }
}
