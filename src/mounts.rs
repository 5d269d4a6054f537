//! Duty: mount the file systems that programs take for granted.
//!
//! The kernel gives PID 1 an almost empty root. /proc and /sys are how programs ask the kernel
//! things, /dev is how they reach devices.

use crate::{cstr::ThinCStr, say::Buffer, say::say, sys::open};
use core::ffi::CStr;
use rustix::fs::{Access, Mode, OFlags, access, mkdir};
use rustix::io::{Errno, close, read};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use rustix::stdio::stdin;

/// Mounts everything, in this order: /dev/pts lies in /dev. But if there is a /proc already,
/// whoever started PID 1, such as a container engine, has prepared the rest, too.
pub fn mount_all() {
    if cfg!(not(feature = "mounts")) || access(c"/proc/mounts", Access::EXISTS).is_ok() {
        return;
    }
    mount_one(c"proc", c"/proc", MountFlags::NODEV, c"");
    mount_one(c"sysfs", c"/sys", MountFlags::NODEV, c"");
    mount_one(c"devtmpfs", c"/dev", MountFlags::empty(), c"");
    mount_one(c"devpts", c"/dev/pts", MountFlags::empty(), c"");
    // Unless it is told otherwise, a tmpfs is open to everyone.
    mount_one(c"tmpfs", c"/run", MountFlags::NODEV, c"mode=755");
}

/// Mounts one file system. Nothing on these is ever to be executed.
fn mount_one(kind: &'static CStr, path: &'static CStr, flags: MountFlags, data: &'static CStr) {
    let (kind, path, data) = (ThinCStr::of(kind), ThinCStr::of(path), ThinCStr::of(data));
    // It may be there; and if it cannot be made, mount(2) will say so.
    let _ = mkdir(path.as_c_str(), Mode::from_raw_mode(0o755));
    let flags = flags | MountFlags::NOSUID | MountFlags::NOEXEC;
    // The source is a mere name for these: the same again.
    match mount(kind.as_c_str(), path.as_c_str(), kind.as_c_str(), flags, data.as_c_str()) {
        // Where PID 1 may not mount, or something is mounted, there is nothing to say of it.
        Ok(()) | Err(Errno::PERM | Errno::BUSY) => {}
        Err(error) => say(c"init: cannot mount @: errno #\n", Some(path), error.raw_os_error(), 0),
    }
}

/// How deep mounts may be nested in each other to be unmounted at the end.
const DEPTH: usize = 16;

/// Unmounts everything, so that nothing written is lost. What cannot be unmounted, such as the
/// root, is made read-only, which serves as well.
pub fn unmount_all() {
    // A file system that has another mounted on it is in use, and comes first in the list: so
    // each turn takes at least one level.
    (0..DEPTH).for_each(|_| unmount_unused());
}

/// Unmounts what is not in use.
#[inline(never)] // its buffer would take up memory from the start
fn unmount_unused() {
    // The list becomes descriptor 0: at the limit on descriptors, there is no other.
    // SAFETY: nobody here uses what it was before.
    unsafe { close(0) };
    open(c"/proc/mounts", OFlags::RDONLY);
    for_each_word(next_byte, |word| {
        if unmount(word, UnmountFlags::NOFOLLOW).is_err() {
            let _ = mount_remount(word, MountFlags::RDONLY, c"");
        }
    });
}

/// The next byte of descriptor 0; 0 at the end of the file, and if it cannot be read.
fn next_byte() -> u8 {
    let mut byte = [0];
    // SAFETY: if the descriptor is closed, the call says so.
    let _ = read(unsafe { stdin() }, &mut byte);
    byte[0]
}

/// Calls `visit` for every word of /proc/mounts, up to a byte that is 0. The mount points are the
/// second words of its lines; to unmount one of the others is an error, and no more.
pub fn for_each_word(mut next: impl FnMut() -> u8, mut visit: impl FnMut(&CStr)) {
    let mut word = Buffer::empty();
    loop {
        match next() {
            0 => return,
            b' ' | b'\n' => {
                // A word that does not fit is too long for a path.
                if let Some(word) = word.as_c_str() {
                    visit(word);
                }
                word = Buffer::empty();
            }
            // A space in a name is written as `\040`, three octal digits.
            b'\\' => word.push((0..3).fold(0, |byte, _| byte << 3 | next() & 7)),
            byte => word.push(byte),
        }
    }
}
