//! What PID 1 prints: single lines, each in one write(2), so that the lines of several
//! processes never tear.

use crate::{arch::syscall, cstr::ThinCStr, signals::NOW};
use core::{ffi::CStr, mem::MaybeUninit, ptr::null, slice::from_raw_parts};
use rustix::{event::PollFd, event::PollFlags, io::write};

/// How many bytes a [`Buffer`] has room for: a little less than a page of the stack.
const SIZE: usize = 4000;
/// Where a name from outside ends in a line, if it is longer than that.
const NAME_END: u32 = 200;

/// Bytes in a row, on the stack. The length comes first, where instructions reach it with a
/// short distance.
#[repr(C)]
pub struct Buffer {
    length: u32,
    bytes: [MaybeUninit<u8>; SIZE],
}

impl Buffer {
    /// An empty one. Memory is used only as bytes come.
    pub const fn empty() -> Self {
        Self { length: 0, bytes: [MaybeUninit::uninit(); SIZE] }
    }

    /// Adds a byte; what does not fit is dropped.
    #[inline(never)]
    pub fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.length as usize) {
            place.write(byte);
            self.length += 1;
        }
    }

    /// Adds `text`, with `name` in place of an `@`, and a number in place of each `#`.
    pub fn push_line(&mut self, text: &CStr, name: Option<ThinCStr>, mut number: i32, next: i32) {
        for byte in ThinCStr::from(text).bytes() {
            match byte {
                b'@' => self.push_name(name),
                b'#' => {
                    self.push_number(number as u32);
                    number = next;
                }
                _ => self.push(byte),
            }
        }
    }

    /// Adds a name from outside. Whatever could move the cursor or begin an escape sequence
    /// is shown as `?`, and so is all that is not ASCII.
    fn push_name(&mut self, name: Option<ThinCStr>) {
        name.into_iter().flat_map(ThinCStr::bytes).for_each(|byte| {
            if self.length < NAME_END {
                self.push(if matches!(byte, b' '..=b'~') { byte } else { b'?' });
            }
        });
    }

    /// Adds a number in decimal.
    pub fn push_number(&mut self, number: u32) {
        let (rest, digit) = (number / 10, number % 10);
        if rest > 0 {
            self.push_number(rest);
        }
        self.push(b'0' + digit as u8);
    }

    /// The bytes so far.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: `push` wrote the first `length` bytes, and never more than there are.
        unsafe { from_raw_parts(self.bytes.as_ptr().cast(), self.length as usize) }
    }

    /// The bytes so far as a C string, with a 0 at the end, if there is room for that.
    pub fn as_c_str(&mut self) -> Option<&CStr> {
        self.bytes.get_mut(self.length as usize)?.write(0);
        let (bytes, length) = (self.bytes.as_ptr().cast(), self.length as usize + 1);
        // SAFETY: this 0 comes after what `push` wrote.
        Some(unsafe { CStr::from_bytes_with_nul_unchecked(from_raw_parts(bytes, length)) })
    }
}

/// Prints a line to standard error, as [`Buffer::push_line`] makes it. If it would have to wait,
/// because that is a pipe that is full or a terminal that was stopped, it prints nothing: PID 1
/// has more important things to do.
pub fn say(text: &'static CStr, name: Option<ThinCStr>, number: i32, next: i32) {
    let mut line = Buffer::empty();
    line.push_line(text, name, number, next);
    // SAFETY: if descriptor 2 is closed, both calls say so and do nothing.
    let stderr = unsafe { rustix::stdio::stderr() };
    let mut wanted = PollFd::from_borrowed_fd(stderr, PollFlags::OUT);
    // SAFETY: one of them, and a timespec.
    unsafe { syscall!(__NR_ppoll, &raw mut wanted, 1, &raw const NOW, null::<u8>()) };
    if wanted.revents() == PollFlags::OUT {
        let _ = write(stderr, line.as_bytes());
    }
}
