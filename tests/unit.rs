//! The functions of the init that need no kernel.

use picoinit::cstr::ThinCStr;
use picoinit::mounts::for_each_word;
use picoinit::say::Buffer;
use picoinit::{container, program};
use std::ffi::{CStr, CString};

/// The words in a list of mounts.
fn words(list: &str) -> Vec<String> {
    let mut bytes = list.bytes();
    let mut words = Vec::new();
    for_each_word(
        || bytes.next().unwrap_or(0),
        |word| words.push(word.to_string_lossy().into_owned()),
    );
    words
}

#[test]
fn finds_words_in_the_list_of_mounts() {
    assert_eq!(words(""), [""; 0]);
    let list = "proc /proc proc 0\n/dev/vda / ext4 rw\n";
    assert_eq!(words(list), ["proc", "/proc", "proc", "0", "/dev/vda", "/", "ext4", "rw"]);
    // A word that does not come to its end is no word, and nothing comes after a 0.
    assert_eq!(words("proc /pr"), ["proc"]);
    assert_eq!(words("a /b c\n\0d /e f\n"), ["a", "/b", "c"]);
    // The host's own list has a mount point on each line.
    let host = std::fs::read_to_string("/proc/mounts").expect("read /proc/mounts");
    let points = host.lines().filter_map(|line| line.split(' ').nth(1));
    let found = words(&host);
    assert!(points.clone().count() > 0);
    for point in points.filter(|point| !point.contains('\\')) {
        assert!(found.contains(&point.into()), "{point} is not in {found:?}");
    }
}

#[test]
fn decodes_escapes_in_the_list_of_mounts() {
    assert_eq!(
        words("a\\040b /my\\040disk\\011\\012\\134x\\043 c\\040/d rw\n"),
        ["a b", "/my disk\t\n\\x#", "c /d", "rw"]
    );
    // The kernel escapes no other control character.
    assert_eq!(words("a /my\rdisk\u{1} b\n"), ["a", "/my\rdisk\u{1}", "b"]);
}

#[test]
fn leaves_out_a_path_that_is_too_long() {
    let list = |length: usize| format!("a /{} b\n", "x".repeat(length));
    assert_eq!(words(&list(3998))[1].len(), 3999);
    assert_eq!(words(&list(3999)), ["a", "b"]);
    assert_eq!(words(&list(9999)), ["a", "b"]);
}

/// The program among these words, and all that follow it.
fn found(
    find: unsafe fn(*const Option<ThinCStr>) -> Option<*const ThinCStr>,
    words: &[&str],
) -> Option<Vec<String>> {
    let words: Vec<CString> =
        words.iter().map(|word| CString::new(*word).expect("no NUL")).collect();
    let mut argv: Vec<Option<ThinCStr>> =
        words.iter().map(|word| Some(ThinCStr::from(word.as_c_str()))).collect();
    argv.push(None);
    // SAFETY: an array that ends with NULL, of words that live on.
    let mut word = unsafe { find(argv.as_ptr()) }?.cast::<Option<ThinCStr>>();
    let mut program = Vec::new();
    // SAFETY: as above.
    while let Some(found) = unsafe { *word } {
        program.push(String::from_utf8(found.bytes().collect()).expect("UTF-8"));
        word = word.wrapping_add(1);
    }
    Some(program)
}

#[test]
fn finds_the_program() {
    let found = |words: &[&str]| found(program::find, words).unwrap_or_default();
    assert_eq!(found(&["/init"]), [""; 0]);
    assert_eq!(found(&["/init", "splash", "", "a/b"]), [""; 0]);
    assert_eq!(found(&["/init", "/bin/a"]), ["/bin/a"]);
    assert_eq!(found(&["/init", "splash", "/bin/a", "b", "/c", ""]), ["/bin/a", "b", "/c", ""]);
}

#[test]
fn finds_the_program_of_a_container() {
    let found = |words: &[&str]| found(container::find, words).unwrap_or_default();
    assert_eq!(found(&["init"]), [""; 0]);
    assert_eq!(found(&["init", "--"]), [""; 0]);
    assert_eq!(found(&["init", "sh", "-c", "x"]), ["sh", "-c", "x"]);
    assert_eq!(found(&["init", "--", "sh", "--", "x"]), ["sh", "--", "x"]);
    // Nothing but `--` itself is taken for it.
    assert_eq!(found(&["init", "---", "x"]), ["---", "x"]);
    assert_eq!(found(&["init", "-", "x"]), ["-", "x"]);
}

#[test]
fn reads_the_grace_time() {
    let grace = |value: &str| {
        let words = [c"A=1".into(), CString::new(format!("PICOINIT_GRACE={value}")).unwrap()];
        let mut envp: Vec<Option<ThinCStr>> =
            words.iter().map(|word: &CString| Some(ThinCStr::from(word.as_c_str()))).collect();
        envp.push(None);
        // SAFETY: an array that ends with NULL, of words that live on.
        unsafe { container::grace(envp.as_ptr()) }
    };
    assert_eq!(grace("1"), Some(100));
    assert_eq!(grace("65535"), Some(6_553_500));
    for wrong in ["", "0", "65536", "70000", "-1", "1.5", "1s", " 1", "x"] {
        assert_eq!(grace(wrong), None, "{wrong:?}");
    }
}

/// What a line holds.
fn line(text: &'static CStr, name: &CStr, numbers: [i32; 2]) -> String {
    let mut line = Buffer::empty();
    line.push_line(text, Some(name.into()), numbers[0], numbers[1]);
    String::from_utf8(line.as_bytes().to_vec()).expect("UTF-8")
}

#[test]
fn makes_lines() {
    assert_eq!(line(c"a @ b # c # d\n", c"name", [7, 8]), "a name b 7 c 8 d\n");
    assert_eq!(line(c"plain\n", c"name", [7, 8]), "plain\n");
    // What looks like a place for something in a name is none.
    assert_eq!(line(c"@ #", c"#@", [7, 8]), "#@ 7");
}

#[test]
fn writes_numbers_in_decimal() {
    for number in [0, 1, 9, 10, 11, 99, 100, 101, 32768, 4194304, i32::MAX] {
        assert_eq!(line(c"#", c"", [number, 0]), number.to_string());
    }
}

#[test]
fn makes_names_from_outside_harmless() {
    for byte in 1..=255u8 {
        let name = CString::new(vec![byte]).expect("no NUL");
        let shown = line(c"@", &name, [0, 0]);
        if (b' '..=b'~').contains(&byte) {
            assert_eq!(shown.as_bytes(), [byte]);
        } else {
            assert_eq!(shown, "?");
        }
    }
}

#[test]
fn cuts_a_name_that_is_too_long() {
    let name = CString::new("x".repeat(9999)).expect("no NUL");
    assert_eq!(line(c"a @: #\n", &name, [7, 8]), format!("a {}: 7\n", "x".repeat(198)));
}

#[test]
fn drops_what_does_not_fit_into_a_buffer() {
    let mut buffer = Buffer::empty();
    (0..9999).for_each(|_| buffer.push(b'x'));
    assert_eq!(buffer.as_bytes(), [b'x'; 4000]);
    // There is no room for a 0.
    assert_eq!(buffer.as_c_str(), None);
    let mut buffer = Buffer::empty();
    (0..3999).for_each(|_| buffer.push(b'x'));
    assert_eq!(buffer.as_c_str().expect("room").count_bytes(), 3999);
}
