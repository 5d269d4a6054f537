//! The functions of the init that need no kernel.

use picoinit::buffer::Buffer;
use picoinit::mounts::next_target;
use picoinit::program::find_program;
use picoinit::reap::{exit_status, signal};
use picoinit::say::Line;
use picoinit::sys::Word;
use std::ffi::{CString, OsStr};
use std::num::NonZero;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::ptr::null;

/// The targets in a list of mounts.
fn targets(list: &str) -> Vec<String> {
    let mut bytes = list.bytes().map_while(NonZero::new);
    let mut targets = Vec::new();
    loop {
        let mut target = Buffer::empty();
        if next_target(|| bytes.next(), &mut target).is_none() {
            return targets;
        }
        targets.push(OsStr::from_bytes(target.as_bytes()).to_string_lossy().into_owned());
    }
}

#[test]
fn finds_targets_in_the_list_of_mounts() {
    assert_eq!(targets(""), [""; 0]);
    let list = "proc /proc proc rw,nosuid 0 0\n/dev/vda / ext4 rw 0 0\n";
    assert_eq!(targets(list), ["/proc", "/"]);
    // A line without an end is no line.
    assert_eq!(targets("proc /proc proc rw 0 0"), [""; 0]);
    assert_eq!(targets("proc /pr"), [""; 0]);
    // The host's own list.
    let host = std::fs::read_to_string("/proc/mounts").expect("read /proc/mounts");
    assert_eq!(targets(&host).len(), host.lines().count());
}

#[test]
fn decodes_escapes_in_the_list_of_mounts() {
    assert_eq!(
        targets("a\\040b /my\\040disk\\011\\012\\134x\\043 c\\040d rw 0 0\n"),
        ["/my disk\t\n\\x#"]
    );
    assert_eq!(targets("a /x\\\\134 b c 0 0\n").len(), 1);
}

#[test]
fn cuts_a_target_that_is_too_long() {
    let list = format!("a /{} b c 0 0\nproc /proc proc rw 0 0\n", "x".repeat(9999));
    assert_eq!(targets(&list)[0].len(), 4096);
    assert_eq!(targets(&list)[1], "/proc");
}

/// The program among these words, and all that follow it.
fn program(words: &[&str]) -> Vec<String> {
    let words: Vec<CString> =
        words.iter().map(|word| CString::new(*word).expect("no NUL")).collect();
    let mut argv: Vec<Word> = words.iter().map(|word| Word(word.as_ptr())).collect();
    argv.push(Word(null()));
    let default = [Word(c"default".as_ptr()), Word(null())];
    // SAFETY: both arrays end with NULL, and the words live on.
    let mut found = unsafe { find_program(argv.as_ptr(), default.as_ptr()) };
    let mut program = Vec::new();
    // SAFETY: as above.
    while let word = unsafe { *found }
        && !word.0.is_null()
    {
        program.push(String::from_utf8(word.bytes().collect()).expect("UTF-8"));
        found = found.wrapping_add(1);
    }
    program
}

#[test]
fn finds_the_program() {
    assert_eq!(program(&["/init"]), ["default"]);
    assert_eq!(program(&["/init", "splash", "", "a/b"]), ["default"]);
    assert_eq!(program(&["/init", "/bin/a"]), ["/bin/a"]);
    assert_eq!(program(&["/init", "splash", "/bin/a", "b", "/c", ""]), ["/bin/a", "b", "/c", ""]);
}

#[test]
fn decodes_every_status_that_wait_can_tell() {
    for status in 0..=0xffff {
        // The standard library's own reading.
        let known = ExitStatus::from_raw(status);
        if let Some(code) = known.code() {
            assert_eq!((signal(status), exit_status(status)), (0, code));
        }
        if let Some(known) = known.signal() {
            assert_eq!((signal(status), exit_status(status)), (known, 128 + known));
        }
    }
}

/// What a line holds in the end.
fn line(write: impl Fn(&mut Line)) -> String {
    let mut line = Line::empty();
    write(&mut line);
    String::from_utf8(line.as_bytes().to_vec()).expect("UTF-8")
}

#[test]
fn writes_numbers_in_decimal() {
    for number in [0, 1, 9, 10, 11, 99, 100, 101, 32768, 4194304, i32::MAX] {
        assert_eq!(line(|line| line.number(number as u32)), number.to_string());
    }
}

#[test]
fn makes_names_from_outside_harmless() {
    for byte in 1..=255u8 {
        let name = CString::new(vec![byte]).expect("no NUL");
        let shown = line(|line| line.name(Word(name.as_ptr())));
        if (b' '..=b'~').contains(&byte) {
            assert_eq!(shown.as_bytes(), [byte]);
        } else {
            assert_eq!(shown, "?");
        }
    }
}

#[test]
fn cuts_what_does_not_fit_into_a_line() {
    let name = CString::new("x".repeat(9999)).expect("no NUL");
    let once = line(|line| line.name(Word(name.as_ptr())));
    assert!(once.len() > 100 && once.len() < 256 - "init: cannot mount : errno 4294967295\n".len());
    let often = line(|line| (0..9).for_each(|_| line.name(Word(name.as_ptr()))));
    assert_eq!(often.len(), 256);
}
