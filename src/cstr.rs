//! C strings as the kernel passes them.

use core::{ffi::CStr, ffi::c_char, ptr::NonNull, slice::from_raw_parts};

/// A C string by the address of its first byte. The kernel makes argv and envp of these: arrays
/// of `Option<ThinCStr>`, which end with `None`, a NULL. (A `&CStr` carries its length, too.)
/// The code that makes one sees to it that a C string is there, and stays there.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct ThinCStr(pub NonNull<c_char>);

impl ThinCStr {
    /// Its bytes, without the 0 at the end.
    pub fn bytes(self) -> impl Iterator<Item = u8> {
        let mut next = self.0;
        core::iter::from_fn(move || {
            // SAFETY: a C string goes on until a 0, which this never passes.
            unsafe {
                let byte = next.read() as u8;
                next = next.add(1);
                (byte != 0).then_some(byte)
            }
        })
    }

    /// The same for rustix, which asks for a `&CStr` and takes nothing but its address. The
    /// length is never used, so the compiler leaves out the call that finds it: a release would
    /// not link otherwise, because there is no C library that has strlen(3). (A fat `&CStr` all
    /// the way costs 69 bytes, in two registers a string.)
    #[inline(always)]
    pub fn as_c_str<'a>(self) -> &'a CStr {
        unsafe extern "C" {
            fn strlen(string: NonNull<c_char>) -> usize;
        }
        // SAFETY: a C string: so many bytes, and a 0.
        unsafe {
            let length = if cfg!(debug_assertions) { self.bytes().count() } else { strlen(self.0) };
            CStr::from_bytes_with_nul_unchecked(from_raw_parts(self.0.cast().as_ptr(), length + 1))
        }
    }
}

impl From<&CStr> for ThinCStr {
    fn from(string: &CStr) -> Self {
        Self(NonNull::from(string).cast())
    }
}
