//! What PID 1 prints: single lines, each in one write(2), so that the lines of
//! several processes never tear.

use crate::buffer::Buffer;
use crate::sys::{self, Word};
use core::ffi::CStr;

/// How much is printed of a name from outside, in bytes.
const NAME_LIMIT: usize = 160;

/// One line in the making.
pub struct Line(Buffer<256>);

impl Line {
    /// An empty line.
    pub const fn empty() -> Line {
        Line(Buffer::empty())
    }

    /// Adds text of our own.
    pub fn text(&mut self, text: &'static CStr) {
        self.name(Word(text.as_ptr()));
    }

    /// Adds a name from outside. Whatever could move the cursor or begin an
    /// escape sequence is shown as `?`, and so is all that is not ASCII.
    pub fn name(&mut self, name: Word) {
        for byte in name.bytes().take(NAME_LIMIT) {
            self.0.push(if matches!(byte, b' '..=b'~') { byte } else { b'?' });
        }
    }

    /// Adds a number in decimal.
    pub fn number(&mut self, number: u32) {
        let (rest, digit) = (number / 10, number % 10);
        if rest > 0 {
            self.number(rest);
        }
        self.0.push(b'0' + digit as u8);
    }

    /// The line so far.
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Ends the line with `text` and a number, and prints it.
    pub fn end(&mut self, text: &'static CStr, number: i32) {
        self.text(text);
        self.number(number as u32);
        self.0.push(b'\n');
        print(self.as_bytes());
    }
}

/// Prints a whole line to standard error, if it is taken at once: PID 1 has more
/// important things to do than to wait for a pipe that is full, or a terminal
/// that was stopped. If it cannot be printed, there is nobody to tell.
pub fn print(line: &[u8]) {
    // SAFETY: if descriptor 2 is closed, write(2) says so and does nothing.
    let stderr = unsafe { rustix::stdio::stderr() };
    if sys::is_writable(2) {
        let _ = rustix::io::write(stderr, line);
    }
}

/// Prints `init: cannot mount /proc: errno 2`. `returned` is what a system
/// call returned; for the number see errno(3), or type `errno -l`.
pub fn cannot(act: &'static CStr, path: Word, returned: i32) {
    let mut line = Line::empty();
    line.text(c"init: cannot ");
    line.text(act);
    line.name(path);
    line.end(c": errno ", -returned);
}
