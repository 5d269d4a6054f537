//! Bytes in a row, on the stack.

use crate::sys::Word;
use core::mem::MaybeUninit;

/// Up to `SIZE` bytes. The length comes first, where instructions reach it with a
/// short distance.
#[repr(C)]
pub struct Buffer<const SIZE: usize> {
    length: u32,
    bytes: [MaybeUninit<u8>; SIZE],
}

impl<const SIZE: usize> Buffer<SIZE> {
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

    /// As a C string. If the buffer is full, there is no room for the 0; at 4096
    /// bytes, that is PATH_MAX, and the kernel refuses such a path itself.
    pub fn as_word(&mut self) -> Word {
        self.push(0);
        Word(self.bytes.as_ptr().cast())
    }

    /// The bytes so far.
    pub fn as_bytes(&self) -> &[u8] {
        // SAFETY: `push` wrote the first `length` bytes, and never more than there are.
        unsafe { core::slice::from_raw_parts(self.bytes.as_ptr().cast(), self.length as usize) }
    }
}
