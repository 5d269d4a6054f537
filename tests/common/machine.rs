//! A machine that is none, for tests of lab/vmrun: it takes QEMU's arguments, unpacks the initramfs,
//! and starts its /init as PID 1 of namespaces of its own. The serial port /dev/ttyS1 is a
//! pseudo-terminal, and its other end is descriptor 8, as lab/vmrun wants it of QEMU.

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::copy;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::process::{Command, exit};
use std::thread;

const START: &str = r#"
set -e
mount -t tmpfs tmpfs /mnt
cd /mnt
# These may be two archives, one behind the other.
unpack() { cpio --extract --quiet --make-directories --no-preserve-owner; }
{ unpack; unpack 2>/dev/null || :; } <"$0"
mkdir -p dev
for name in null zero tty; do : >dev/$name; mount --bind /dev/$name dev/$name; done
: >dev/ttyS1
mount --bind "$1" dev/ttyS1
# Without the environment of the host, and its descriptors.
exec env -i PATH="$PATH:/usr/sbin:/sbin" unshare --pid --fork --kill-child chroot . /init -- /.vmrun/courier 8>&- 9>&-
"#;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let initramfs = arguments.iter().skip_while(|word| *word != "-initrd").nth(1).expect("-initrd");
    let terminal = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).expect("ptmx");
    grantpt(&terminal).expect("grantpt");
    unlockpt(&terminal).expect("unlockpt");
    let name = ptsname_r(&terminal).expect("ptsname");
    // Open and raw from the start: no byte is changed, and none is lost.
    let port = File::options().read(true).write(true).open(&name).expect("open the terminal");
    let mut mode = tcgetattr(&port).expect("tcgetattr");
    cfmakeraw(&mut mode);
    tcsetattr(&port, SetArg::TCSANOW, &mode).expect("tcsetattr");
    // SAFETY: the descriptors are this program's alone.
    let (terminal, host) =
        unsafe { (File::from_raw_fd(terminal.into_raw_fd()), File::from_raw_fd(8)) };
    let other_way = |file: &File| file.try_clone().expect("dup");
    let (mut from_host, mut to_guest) = (other_way(&host), other_way(&terminal));
    thread::spawn(move || copy(&mut from_host, &mut to_guest));
    let (mut from_guest, mut to_host) = (terminal, host);
    thread::spawn(move || copy(&mut from_guest, &mut to_host));
    let status = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "sh", "-c", START, initramfs, &name])
        .status()
        .expect("run unshare");
    exit(status.code().unwrap_or(1));
}
