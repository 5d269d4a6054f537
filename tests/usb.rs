//! The USB stick: booted as a PC boots it, seen through its screen, and used through its keyboard.

#[path = "common/boot.rs"]
mod boot;
mod common;

use boot::{Session, alone, make, run};
use common::{TempDir, wait_until};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::thread::sleep;
use std::time::Duration;

/// QEMU, as one who watches the screen, presses keys and pulls plugs knows it.
struct Monitor {
    stream: UnixStream,
    answers: BufReader<UnixStream>,
}

impl Monitor {
    fn connect(socket: &str) -> Monitor {
        let stream = UnixStream::connect(socket).expect("connect to QEMU's monitor");
        let answers = BufReader::new(stream.try_clone().expect("dup"));
        let mut monitor = Monitor { stream, answers };
        monitor.execute("qmp_capabilities", "");
        monitor
    }

    /// Has QEMU do something, and waits until it has.
    fn execute(&mut self, command: &str, arguments: &str) {
        let request = format!(r#"{{"execute":"{command}","arguments":{{{arguments}}}}}"#);
        writeln!(self.stream, "{request}").expect("send to QEMU's monitor");
        let mut answer = String::new();
        while !answer.starts_with(r#"{"return""#) {
            assert!(!answer.contains(r#""error""#), "{request}: {answer}");
            answer.clear();
            self.answers.read_line(&mut answer).expect("read from QEMU's monitor");
        }
    }

    /// Types a line, no faster than a person: the keyboard keeps few keys until the PC asks for them.
    fn type_in(&mut self, line: &str) {
        for letter in line.chars().map(String::from).chain(["ret".into()]) {
            self.execute("send-key", &format!(r#""keys":[{{"type":"qcode","data":"{letter}"}}]"#));
            sleep(Duration::from_millis(150));
        }
    }

    /// How many bytes of the screen's pixels are not black.
    fn light(&mut self, folder: &TempDir) -> usize {
        let picture = folder.join("screen.ppm");
        self.execute("screendump", &format!(r#""filename":"{picture}""#));
        let bytes = fs::read(&picture).expect("read the picture");
        assert!(bytes.starts_with(b"P6\n"), "it is a picture");
        bytes[20..].iter().filter(|byte| **byte != 0).count()
    }
}

#[test]
fn a_stick_boots_a_pc_with_a_screen_and_a_keyboard() {
    let _alone = alone();
    let folder = TempDir::new();
    let socket = folder.join("monitor");
    // A PC with no keyboard but the one at its USB port.
    let extra = format!("QEMU_EXTRA=-machine i8042=off -qmp unix:{socket},server=on,wait=off");
    let mut command = make(&["run-usb", "SCREEN=none", &extra]);
    // The kernel that `make test` found is for a machine without USB.
    command.env_remove("KERNEL");
    let mut session = Session::piped(command);
    session.wait_for("Run /init as init process");
    // What the serial port is told is read from the screen.
    for line in [
        "demo: I have a controlling terminal",
        "demo: mounted are / /proc /sys /dev /dev/pts /run",
        "demo: I sent PID 1 a SIGHUP, and it was passed on to me",
        "demo: the orphan: my parent is now PID 1",
        "init: pid ",
        "demo: my work is done; I exit with status 0",
    ] {
        session.wait_for(line);
    }
    let mut monitor = Monitor::connect(&socket);
    let story = monitor.light(&folder);
    assert!(story > 10_000, "the screen is dark: {story}");
    // The PC may not have found its keyboard yet.
    wait_until("the screen is cleared", || {
        monitor.type_in("clear");
        monitor.light(&folder) < story / 4
    });

    // Without a keyboard, nobody hears what is typed.
    monitor.execute("device_del", r#""id":"keyboard""#);
    monitor.type_in("poweroff");
    monitor.execute("device_add", r#""driver":"usb-kbd","id":"another""#);
    let empty = monitor.light(&folder);
    wait_until("the PC hears the new keyboard", || {
        monitor.type_in("dmesg");
        monitor.light(&folder) > empty * 2
    });
    monitor.type_in("poweroff");
    session.wait_for("reboot: Power down");
    let (status, said) = session.end();
    assert_eq!(status, Some(0), "{said}");
}

#[test]
fn a_kernel_that_uefi_cannot_start_is_refused() {
    let folder = TempDir::new();
    let kernel = folder.join("kernel");
    // A stub that is none, so that no other is downloaded.
    folder.script("usb/stub/usr/lib/systemd/boot/efi/linuxx64.efi.stub", "");
    let attempt = |begin: &str| {
        fs::write(&kernel, begin).expect("write a kernel");
        run("lab/usb.sh", &[&folder.join("usb"), "image", &kernel, "/dev/null", ""])
    };
    let refusal = "was built without CONFIG_EFI_STUB, so UEFI cannot start it\n";
    let (status, said) = attempt("another kernel");
    assert_eq!((status, said), (Some(1), format!("picoinit: KERNEL={kernel} {refusal}")));
    let (_, said) = attempt("MZ");
    assert!(!said.contains(refusal), "{said}");
    assert!(!folder.path().join("usb.img").exists(), "an image without a stub");
}
