//! Duty: mount the file systems that programs take for granted.
//!
//! The kernel gives PID 1 an almost empty root. /proc and /sys are how
//! programs ask the kernel things, /dev is how they reach devices.

use crate::buffer::Buffer;
use crate::say;
use crate::sys::{self, Word};
use core::ffi::CStr;
use core::num::NonZero;
use core::ptr::null;
use linux_raw_sys::errno::EPERM;
use linux_raw_sys::general::{MS_NODEV, MS_NOEXEC, MS_NOSUID, MS_RDONLY, MS_REMOUNT, O_RDONLY};
use rustix::fs::{AtFlags, CWD, Mode, StatxAttributes, StatxFlags, mkdir, statx};

/// Mounts everything, in this order: /dev/pts lies in /dev.
pub fn mount_all() {
    duty!("mounts");
    mount(c"proc", c"/proc", MS_NODEV, None);
    mount(c"sysfs", c"/sys", MS_NODEV, None);
    mount(c"devtmpfs", c"/dev", 0, None);
    mount(c"devpts", c"/dev/pts", 0, None);
    // Unless it is told otherwise, a tmpfs is open to everyone.
    mount(c"tmpfs", c"/run", MS_NODEV, Some(c"mode=755"));
}

/// Mounts one file system, unless something is mounted there already.
/// Nothing on these is ever to be executed.
fn mount(kind: &'static CStr, target: &'static CStr, flags: u32, data: Option<&'static CStr>) {
    // It may be there; and if it cannot be made, mount(2) will say so.
    let _ = mkdir(target, Mode::from_raw_mode(0o755));
    if is_mount_point(target) {
        return;
    }
    let flags = flags | MS_NOSUID | MS_NOEXEC;
    let target = Word(target.as_ptr());
    let data = Word(data.map_or(null(), CStr::as_ptr));
    let returned = sys::mount(Word(kind.as_ptr()), target, flags, data);
    // In a container that may not mount, there is nothing to say of it.
    if returned < 0 && returned != -(EPERM as i32) {
        say::cannot(c"mount ", target, returned);
    }
}

/// Whether something is mounted on `path`: statx(2), since Linux 5.8. An older
/// kernel never says so, and answers EBUSY to most mounts that are there already.
fn is_mount_point(path: &CStr) -> bool {
    statx(CWD, path, AtFlags::empty(), StatxFlags::empty())
        .is_ok_and(|status| status.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// How deep mounts may be nested in each other to be unmounted at the end.
const DEPTH: usize = 16;

/// Unmounts everything, so that nothing written is lost. What cannot be
/// unmounted is made read-only, which serves as well; so is the root.
#[inline(never)] // Smaller: nothing else saves so many registers.
pub fn unmount_all() {
    // At the limit on descriptors, there would be none for the list.
    sys::close(0);
    // The list begins with what was mounted first, but that cannot go before
    // what is mounted inside it; so each time, the innermost go.
    for _ in 0..DEPTH {
        let list = sys::open(Word(c"/proc/mounts".as_ptr()), O_RDONLY);
        loop {
            let mut target = Buffer::empty();
            if next_target(|| sys::read_byte(list), &mut target).is_none() {
                break;
            }
            let target = target.as_word();
            if sys::unmount(target) < 0 {
                sys::mount(target, target, MS_REMOUNT | MS_RDONLY, Word(null()));
            }
        }
        sys::close(list);
    }
}

/// Takes a line from /proc/mounts, `device target type options 0 0`, and adds
/// its target to `target`; a space in it is written `\040` there (proc_mounts(5)).
/// Returns `None` at the end of the list.
pub fn next_target(
    mut next: impl FnMut() -> Option<NonZero<u8>>,
    target: &mut Buffer<4096>,
) -> Option<()> {
    let mut field = 0;
    loop {
        match next()?.get() {
            b'\n' => return Some(()),
            b' ' => field += 1,
            _ if field != 1 => {}
            b'\\' => {
                let mut byte = 0;
                for _ in 0..3 {
                    byte = byte << 3 | next()?.get() & 7;
                }
                target.push(byte);
            }
            byte => target.push(byte),
        }
    }
}
