//! lab/vmrun: whatever a program reads, prints and exits with, it is the same as on the host.
//!
//! What the kernel has no part in is tried with common/machine.rs in the place of QEMU, where a
//! run takes a fifth of a second; the rest with a real machine, one at a time.

#[path = "common/boot.rs"]
mod boot;
mod common;

use boot::{LIMIT, alone, command, type_command};
use common::{ROOT, TempDir, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::env::consts::ARCH;
use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Command, Output, Stdio};
use std::thread;
use std::time::Instant;

/// What vmrun's own exit statuses mean.
const CANNOT: i32 = 201;
const PANICKED: i32 = 202;
const TIMED_OUT: i32 = 203;
const MACHINE_FAILED: i32 = 204;
const LOST: i32 = 205;
const UNWRITTEN: i32 = 206;

/// vmrun with a machine that is none.
fn vmrun(arguments: &[&str]) -> Command {
    let mut command = real(arguments);
    command.env("QEMU", common::machine()).env("ACCEL", "tcg");
    command
}

/// vmrun.
fn real(arguments: &[&str]) -> Command {
    let mut command = command("lab/vmrun");
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Cargo sets it for this test; to vmrun it says that it runs the tests of a package.
    command.env_remove("CARGO_MANIFEST_DIR");
    command
}

/// Runs a command, which is given this to read. Returns how it exited, and what it printed.
fn run(mut command: Command, input: &[u8]) -> (Option<i32>, Vec<u8>, String) {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("start vmrun");
    let mut pipe = child.stdin.take().expect("a pipe");
    let output = thread::scope(|scope| {
        // A program that does not read all of it is none of our business.
        scope.spawn(move || pipe.write_all(input));
        child.wait_with_output().expect("wait")
    });
    let Output { status, stdout, stderr } = output;
    (status.code(), stdout, String::from_utf8_lossy(&stderr).into_owned())
}

/// Runs a shell script in the guest.
fn shell(script: &str) -> (Option<i32>, String, String) {
    let (status, output, error) = run(vmrun(&["sh", "-c", script]), b"");
    (status, String::from_utf8_lossy(&output).into_owned(), error)
}

/// Demands that vmrun exits with this status, and says nothing but one line, which has `parts` in it.
#[track_caller]
fn demand_refusal(mut command: Command, status: i32, parts: &[&str]) {
    let output = command.output().expect("run vmrun");
    let said = String::from_utf8_lossy(&output.stderr);
    let is_one = said.lines().count() == 1 && said.starts_with("vmrun: ");
    assert!(
        is_one && parts.iter().all(|part| said.contains(part)),
        "not one line with {parts:?}: {said}"
    );
    assert_eq!(output.status.code(), Some(status), "{said}");
    assert!(output.stdout.is_empty());
}

fn random(length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    fastrand::Rng::with_seed(14).fill(&mut bytes);
    bytes
}

#[test]
fn streams_are_carried_byte_by_byte_and_apart() {
    let bytes = random(10_000_000);
    let arguments = ["--add", "/bin/cat", "sh", "-c", "echo begin >&2; cat; echo end >&2; exit 3"];
    let (status, output, error) = run(vmrun(&arguments), &bytes);
    assert_eq!((status, error.as_str()), (Some(3), "begin\nend\n"));
    assert!(output == bytes, "{} bytes came back", output.len());
    // One byte less would be noticed.
    let (_, output, _) = run(vmrun(&["cat"]), &bytes[1..100_000]);
    assert_eq!(output, &bytes[1..100_000]);
}

#[test]
fn statuses_and_deaths_are_the_programs() {
    assert_eq!(shell("exit 0"), (Some(0), String::new(), String::new()));
    assert_eq!(shell("exit 201"), (Some(CANNOT), String::new(), String::new()));
    assert_eq!(shell("kill -9 $$").0, Some(137));
    // All of them, without packing each time.
    let folder = TempDir::new();
    let archive = pack_shell(&folder, "read what; eval \"$what\"");
    let host = Path::new(ROOT).join("target/x86_64-unknown-linux-gnu/release/vmrun-host");
    let outcome = |what: String| {
        let mut command = Command::new(&host);
        command.args(["0", "tail"]).arg(common::machine()).args(["-initrd", &archive]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let (status, _, error) = run(command, what.as_bytes());
        assert_eq!(error, "", "{what}");
        status.expect("an exit status")
    };
    for status in 0..256 {
        assert_eq!(outcome(format!("exit {status}\n")), status);
    }
    // Those by which a process dies, up to the last of the real-time signals.
    let harmless = [Signal::SIGCHLD, Signal::SIGCONT, Signal::SIGURG, Signal::SIGWINCH];
    let stops = [Signal::SIGSTOP, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU];
    let survived = harmless.map(|signal| signal as i32);
    for signal in (1..=64).filter(|signal| !stops.iter().any(|stop| *stop as i32 == *signal)) {
        let expected = if survived.contains(&signal) { 9 } else { 128 + signal };
        assert_eq!(outcome(format!("kill -{signal} $$; exit 9\n")), expected);
    }
}

/// Packs a shell that is to run this script. Returns the path of the archive.
fn pack_shell(folder: &TempDir, script: &str) -> String {
    let errand = format!("s/dev/ttyS1\0d/\0x/bin/sh\0ash\0a-c\0a{script}\0");
    fs::write(folder.path().join("errand"), errand).expect("write the errand");
    let libraries = Command::new("ldd").arg("/bin/sh").output().expect("run ldd").stdout;
    let libraries = String::from_utf8(libraries).expect("text");
    let libraries = libraries.split_whitespace().filter(|word| word.starts_with('/'));
    let release = "target/x86_64-unknown-linux-gnu/release";
    let mut list = format!(
        "{release}/init\t/init\n{release}/courier\t/.vmrun/courier\n{}\t/.vmrun/errand\n/bin/sh\t/bin/sh\n",
        folder.join("errand")
    );
    libraries.for_each(|library| list += &format!("{library}\t{library}\n"));
    fs::write(folder.path().join("list"), list).expect("write the list");
    let mut command = command("lab/vmrun-pack.sh");
    let output = command.args([folder.join("list"), folder.join("cache")]).output().expect("pack");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = String::from_utf8(output.stdout).expect("a path");
    Path::new(ROOT).join(path.trim_end()).to_str().expect("a path in UTF-8").into()
}

#[test]
fn arguments_arrive_as_they_are() {
    let many = "x".repeat(100_000);
    let words =
        ["", " ", "a b", "'\"\\$HOME*", "two\nlines\n", "--add", "-q", &many, "", "\u{e4}\u{1}"];
    let print = ["sh", "-c", r#"for word; do printf '%s\0' "$word"; done"#, "zero"];
    let (status, output, error) = run(vmrun(&[&print[..], &words].concat()), b"");
    assert_eq!((status, error.as_str()), (Some(0), ""));
    let expected: Vec<u8> =
        words.iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
    assert!(output == expected, "{}", String::from_utf8_lossy(&output));
    // A program that is named so, and no option.
    demand_refusal(vmrun(&["--", "--add"]), CANNOT, &["--add", "no such program"]);
}

#[test]
fn the_environment_is_what_was_asked_for() {
    let mut command =
        vmrun(&["--env", "A=b c\nd", "--env", "PASSED", "--env", "PATH=/x", "/usr/bin/env", "-0"]);
    command.env("PASSED", "on").env("SECRET", "not for the guest").env("TERM", "dumb");
    let (status, output, error) = run(command, b"");
    assert_eq!((status, error.as_str()), (Some(0), ""));
    let mut variables: Vec<&str> =
        std::str::from_utf8(&output).expect("text").split_terminator('\0').collect();
    variables.sort_unstable();
    assert_eq!(variables, ["A=b c\nd", "HOME=/root", "PASSED=on", "PATH=/x", "TERM=dumb"]);
    demand_refusal(vmrun(&["--env", "NOT_SET", "true"]), CANNOT, &["NOT_SET", "not set"]);
}

#[test]
fn folder_and_files_are_where_they_are_wanted() {
    let folder = TempDir::new();
    fs::create_dir(folder.path().join("sub")).expect("mkdir");
    fs::write(folder.path().join("sub/two words"), "content").expect("write");
    std::os::unix::fs::symlink("two words", folder.path().join("sub/link")).expect("symlink");
    let added = format!("{}:/data", folder.name());
    let script = "pwd; read line <link; echo $line; [ -h link ] && [ ! -e /data/none ]";
    let arguments = ["--add", &added, "--cwd", "/../data/none/../sub", "sh", "-c", script];
    let (status, output, error) = run(vmrun(&arguments), b"");
    assert_eq!(
        (status, output.as_slice(), error.as_str()),
        (Some(0), &b"/data/sub\ncontent\n"[..], "")
    );
    // What was packed is packed again if it changed.
    fs::write(folder.path().join("sub/two words"), "changed").expect("write");
    assert_eq!(run(vmrun(&arguments), b"").1, b"/data/sub\nchanged\n");
    demand_refusal(vmrun(&["--add", "/none:/x", "true"]), CANNOT, &["/none", "no such file"]);
}

#[test]
fn a_script_has_its_interpreter() {
    let folder = TempDir::new();
    let plain = folder.script("plain", "echo $0 $1; exit 5");
    let (status, output, error) = run(vmrun(&[&plain, "x"]), b"");
    let path = folder.path().join("plain");
    assert_eq!((status, error.as_str()), (Some(5), ""));
    assert_eq!(String::from_utf8_lossy(&output), format!("{} x\n", path.display()));
    fs::write(&path, "#!/usr/bin/env -S sh -u\necho by env\n").expect("write");
    assert_eq!(run(vmrun(&[&plain]), b"").1, b"by env\n");
    fs::write(&path, "#!/bin/none\n").expect("write");
    demand_refusal(vmrun(&[&plain]), CANNOT, &["plain wants /bin/none", "no such program"]);
}

#[test]
fn what_cannot_be_run_is_said_in_one_line() {
    demand_refusal(vmrun(&["/none"]), CANNOT, &["/none", "no such program"]);
    demand_refusal(vmrun(&["none-such"]), CANNOT, &["none-such", "no such program"]);
    demand_refusal(vmrun(&[]), CANNOT, &["which program", "--help"]);
    demand_refusal(vmrun(&["--none", "true"]), CANNOT, &["--none", "--help"]);
    demand_refusal(vmrun(&["--mem"]), CANNOT, &["--mem", "--help"]);
    demand_refusal(vmrun(&["--timeout", "soon", "true"]), CANNOT, &["--timeout soon", "seconds"]);
    demand_refusal(vmrun(&["--modules", "none_such", "true"]), CANNOT, &["none_such"]);
    demand_refusal(vmrun(&["--mem", "98", "true"]), CANNOT, &["--mem 98", "MB at least"]);
    demand_refusal(vmrun(&["--log", "/none/x", "true"]), CANNOT, &["--log /none/x"]);
    demand_refusal(vmrun(&["--disk", "/none", "true"]), CANNOT, &["--disk /none", "no such file"]);
    demand_refusal(vmrun(&["--disk", "/tmp", "true"]), CANNOT, &["--disk /tmp", "not a regular"]);
    demand_refusal(vmrun(&["--kernel", "", "true"]), CANNOT, &["--kernel", "value is missing"]);
    demand_refusal(vmrun(&["--cwd", "x", "true"]), CANNOT, &["--cwd x", "begins with /"]);
    demand_refusal(vmrun(&["--mem", "much", "true"]), CANNOT, &["--mem much"]);
    let forever = u64::MAX.to_string();
    demand_refusal(vmrun(&["--timeout", &forever, "true"]), CANNOT, &[&forever, "seconds"]);

    let folder = TempDir::short();
    // A folder on the PATH is no program.
    fs::create_dir(folder.path().join("none-such")).expect("mkdir");
    let mut search = vmrun(&["none-such"]);
    let path = std::env::var("PATH").expect("a PATH");
    search.env("PATH", format!("{}:{path}", folder.path().display()));
    demand_refusal(search, CANNOT, &["none-such", "no such program"]);

    let file = folder.script("x", "");
    fs::write(folder.path().join("x"), "neither ELF nor script").expect("write");
    // The kernel says so, and vmrun as a shell does.
    demand_refusal(vmrun(&[&file]), 126, &[&file, "errno 8"]);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o100)).expect("chmod");
    if unsafe { libc::geteuid() } == 0 {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let mut command = command("setpriv");
        command.args(["--reuid=65534", "--clear-groups", "lab/vmrun", &file]);
        demand_refusal(command, CANNOT, &[&file, "cannot be"]);
    } else {
        demand_refusal(vmrun(&[&file]), CANNOT, &[&file, "cannot be read"]);
    }
}

#[test]
fn a_missing_library_is_named() {
    let folder = TempDir::new();
    let mut program = fs::read("/usr/bin/env").expect("read");
    let name = b"libc.so.6\0";
    let Some(at) = program.windows(name.len()).position(|bytes| bytes == name) else {
        return skip("/usr/bin/env is static");
    };
    program[at + 3] = b'q';
    let path = PathBuf::from(folder.script("program", ""));
    fs::write(&path, program).expect("write");
    demand_refusal(
        vmrun(&[path.to_str().expect("text")]),
        CANNOT,
        &["libq.so.6", "LD_LIBRARY_PATH"],
    );
}

#[test]
fn a_program_for_another_cpu_needs_a_loader_and_a_machine() {
    let folder = TempDir::new();
    let mut program = fs::read("/usr/bin/env").expect("read");
    let loader = "/lib64/ld-linux-x86-64.so.2";
    let Some(at) = program.windows(loader.len()).position(|part| part == loader.as_bytes()) else {
        return skip("/usr/bin/env has another loader");
    };
    let other = loader.replace("x86", "q86");
    program[at..at + loader.len()].copy_from_slice(other.as_bytes());
    // This machine's kernel runs programs for i386, too, but ldd(1) does not know this one.
    program[18] = 3;
    let path = folder.script("program", "");
    fs::write(&path, &program).expect("write");
    demand_refusal(vmrun(&[&path]), CANNOT, &[&other, "--add"]);
    // With one, as a file or in a folder, the kernel is asked, and refuses it.
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("lib64")).expect("make a folder");
    fs::copy(loader, root.join(&other[1..])).expect("copy");
    let root = root.to_str().expect("a path in UTF-8");
    for add in [format!("{loader}:{other}"), format!("{root}/lib64:/lib64/"), format!("{root}:/")] {
        let (status, _, error) = run(vmrun(&["--add", &add, &path]), b"");
        assert_eq!(status, Some(126), "{add}: {error}");
    }
    // It may be data.
    assert_eq!(run(vmrun(&["--add", &path, "true"]), b"").0, Some(0));
    program[18] = 8;
    fs::write(&path, program).expect("write");
    demand_refusal(vmrun(&[&path]), CANNOT, &["none of the CPUs", "aarch64"]);
}

#[test]
fn a_reader_that_is_gone_ends_the_program_as_it_would_here() {
    let mut command = vmrun(&["yes"]);
    let mut child = command.stderr(Stdio::null()).spawn().expect("start vmrun");
    let mut start = [0; 4];
    child.stdout.take().expect("a pipe").read_exact(&mut start).expect("read");
    assert_eq!(&start, b"y\ny\n");
    assert_eq!(child.wait().expect("wait").code(), Some(128 + Signal::SIGPIPE as i32));
}

#[test]
fn what_cannot_be_written_is_no_success() {
    let full = || fs::File::options().write(true).open("/dev/full").expect("open /dev/full");
    let mut command = vmrun(&["sh", "-c", "echo lost"]);
    command.stdout(full());
    demand_refusal(command, UNWRITTEN, &["standard output", "No space left"]);
    // What it does not print cannot be lost.
    let mut command = vmrun(&["sh", "-c", "echo kept >&2; exit 4"]);
    command.stdout(full());
    let output = command.output().expect("run");
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(4), &b"kept\n"[..]));
}

#[test]
fn the_program_finds_what_it_expects() {
    // It leads neither its process group nor its session, which has no terminal.
    let script = "
        read pid name state parent group session terminal rest </proc/$$/stat
        [ $pid != $group ] && [ $group = $session ] && echo terminal $terminal
        echo out >/dev/stdout; echo err >/dev/stderr; read line </dev/stdin; echo $line
        : >/dev/shm/x && [ -k /dev/shm ] && [ -k /var/tmp ] && echo shared
        while IFS=: read name x id rest; do echo $name $id; done </etc/passwd";
    let (status, output, error) = run(vmrun(&["sh", "-c", script]), b"in\n");
    assert_eq!((status, error.as_str()), (Some(0), "err\n"));
    let expected = "terminal 0\nout\nin\nshared\nroot 0\nnobody 65534\n";
    assert_eq!(String::from_utf8_lossy(&output), expected);
}

#[test]
fn what_the_program_leaves_behind_holds_nothing_up() {
    let begin = Instant::now();
    let leaves = [
        "--add",
        "/bin/sleep",
        "--add",
        "/usr/bin/yes",
        "sh",
        "-c",
        "sleep 1000 & yes >&2 & echo done",
    ];
    let (status, output, _) = run(vmrun(&leaves), b"");
    assert_eq!((status, output.as_slice()), (Some(0), &b"done\n"[..]));
    assert!(begin.elapsed() < LIMIT);
}

#[test]
fn input_may_be_closed_or_never_read() {
    let mut command = command("sh");
    command.args(["-c", "exec lab/vmrun sh -c 'read x; echo $?' <&-"]);
    command.env("QEMU", common::machine()).env("ACCEL", "tcg").env_remove("CARGO_MANIFEST_DIR");
    assert_eq!(command.output().expect("run").stdout, b"1\n");
    let (status, output, _) = run(vmrun(&["sh", "-c", "exec <&-; echo deaf"]), &random(1_000_000));
    assert_eq!((status, output.as_slice()), (Some(0), &b"deaf\n"[..]));
    // As long as nobody writes, the program waits; nothing else does.
    let (reader, writer) = io::pipe().expect("pipe");
    let output = vmrun(&["sh", "-c", "echo at once"]).stdin(reader).output().expect("run");
    assert_eq!(output.stdout, b"at once\n");
    drop(writer);
}

/// Whether there is a kernel; it is downloaded if need be.
fn kernel() -> Option<PathBuf> {
    let mut command = command("lab/kernel.sh");
    command.arg("build/kernel").arg(std::env::var("KERNEL").unwrap_or_default());
    let output = command.output().expect("run kernel.sh");
    if !output.status.success() {
        skip(&String::from_utf8_lossy(&output.stderr));
        return None;
    }
    Some(Path::new(ROOT).join(String::from_utf8_lossy(&output.stdout).trim_end()))
}

/// A word for a machine's command line by which this test knows it.
fn mark(what: &str) -> String {
    format!("mark={what}-{}", process::id())
}

/// The command lines of the machines that run with this on theirs.
fn machines(mark: &str) -> Vec<(i32, String)> {
    let processes = fs::read_dir("/proc").expect("list /proc").filter_map(Result::ok);
    let line = |process: fs::DirEntry| {
        let id = process.file_name().to_str()?.parse().ok()?;
        Some((
            id,
            String::from_utf8_lossy(&fs::read(process.path().join("cmdline")).ok()?)
                .replace('\0', " "),
        ))
    };
    let is_machine = |line: &str| line.starts_with("qemu") && line.contains(mark);
    processes.filter_map(line).filter(|(_, line)| is_machine(line)).collect()
}

/// Waits until there is such a machine, or none.
#[track_caller]
fn wait_for_machine(mark: &str, wanted: bool) -> Vec<(i32, String)> {
    let deadline = Instant::now() + LIMIT;
    loop {
        let found = machines(mark);
        if found.is_empty() != wanted {
            return found;
        }
        assert!(Instant::now() < deadline, "machines with {mark}: {found:?}");
        thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn a_bare_kernel_runs_it() {
    if kernel().is_none() {
        return;
    }
    let _alone = alone();
    let folder = TempDir::new();
    let (disk, log) = (folder.join("disk"), folder.join("log"));
    fs::write(folder.path().join("disk"), [b'd'; 1 << 20]).expect("write");
    let bytes = random(10_000_000);
    let script = "
        echo for the console >/dev/console
        echo for the log >/dev/kmsg
        yes flood | head -c 200000 >/dev/console
        head -c 3 /dev/vda >&2
        printf written >/dev/vda
        while read name rest; do case $name in loop) echo \" $name\" >&2 ;; esac; done </proc/modules
        while read card to by rest; do echo $card $to $by >&2; done </proc/net/route
        cat
        # Of the ten million bytes, few went over the serial port, which takes sixteen at a time.
        while read irq times rest; do
            case $irq in 3:) [ $times -lt 5000 ] || echo $times interrupts >&2 ;; esac
        done </proc/interrupts
        exit 77";
    let add = ["--add", "/bin/cat", "--add", "/usr/bin/head", "--add", "/usr/bin/yes"];
    let options =
        ["--disk", &disk, "--log", &log, "--net", "--modules", "loop", "sh", "-c", script];
    let (status, output, error) = run(real(&[&add[..], &options].concat()), &bytes);
    let log = fs::read_to_string(Path::new(ROOT).join(&log)).expect("a log");
    assert_eq!(status, Some(77), "{error}{log}");
    assert!(output == bytes, "{} bytes came back", output.len());
    assert_eq!(
        error,
        "ddd loop\nIface Destination Gateway\neth0 00000000 0202000A\neth0 0002000A 00000000\n"
    );
    assert!(fs::read(folder.path().join("disk")).expect("read").starts_with(b"writtend"));
    for line in [
        "for the console",
        "for the log",
        "flood\r\nflood\r\n",
        "exited with status",
        "Linux version",
    ] {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn a_kernel_without_modules_has_a_serial_port() {
    let Some(kernel) = kernel() else { return };
    let _alone = alone();
    let folder = TempDir::new();
    // Its modules are beside it in a package, but not beside this.
    fs::copy(kernel, folder.path().join("bzImage")).expect("copy");
    let kernel = folder.join("bzImage");
    let bytes = random(20_000);
    let script = "cat; [ ! -e /dev/vport0p1 ] || echo built in >&2";
    let arguments = ["--kernel", &kernel, "--add", "/bin/cat", "sh", "-c", script];
    let (status, output, error) = run(real(&arguments), &bytes);
    if error == "built in\n" {
        return skip(
            "this kernel has virtio's drivers built in, so there is nothing to do without",
        );
    }
    assert_eq!((status, error.as_str()), (Some(0), ""));
    assert!(output == bytes, "{} bytes came back", output.len());
    demand_refusal(
        real(&["--kernel", "Cargo.toml", "true"]),
        CANNOT,
        &["Cargo.toml", "not a Linux kernel"],
    );
}

#[test]
fn a_machine_with_one_serial_port_has_virtios() {
    if kernel().is_none() {
        return;
    }
    let _alone = alone();
    // Without the firmware's order of ports, the first is the console.
    let one = "pnpacpi=off 8250.nr_uarts=1";
    let script = "[ -e /dev/vport0p1 ] && exit 8";
    let (status, output, error) = run(real(&["--append", one, "sh", "-c", script]), b"");
    assert_eq!((status, error.as_str(), output.as_slice()), (Some(8), "", &b""[..]));
}

#[test]
fn a_program_may_hide_what_the_courier_needs() {
    if kernel().is_none() {
        return;
    }
    let _alone = alone();
    let programs = ["/bin/mount", "/bin/cat", "/usr/bin/head", "/usr/bin/yes"];
    let add = programs.map(|program| ["--add", program]);
    // By then, the second port is still to be opened, and its modules to be loaded. When `cat` has
    // printed more than a pipe and a frame hold, they have been.
    for hidden in ["/dev", "/lib/modules"] {
        let script = format!(
            "yes | head -c 100000 >/tmp/much; mount -t tmpfs none {hidden} || exit 1
            cat /tmp/much; [ -e /sys/class/virtio-ports/vport0p1 ] || [ {hidden} != /dev ]"
        );
        let (status, output, error) = run(
            real(&[add.as_flattened(), &["--timeout", "60", "sh", "-c", &script]].concat()),
            b"",
        );
        assert_eq!((status, error.as_str()), (Some(0), ""), "{hidden}");
        assert!(output == "y\n".repeat(50_000).as_bytes(), "{hidden}: {} bytes came", output.len());
    }
}

#[test]
fn a_kernel_that_was_built_anew_is_the_one_that_boots() {
    let Some(kernel) = kernel() else { return };
    let folder = TempDir::new();
    let ours = folder.join("bzImage");
    let machine = || {
        let mut command = command("lab/vmrun-machine.sh");
        command.args([&folder.join("cache"), ARCH, "qemu", &ours, "256", "1"]).env("ACCEL", "tcg");
        let output = command.output().expect("run vmrun-machine.sh");
        let words = String::from_utf8_lossy(&output.stdout).into_owned();
        let mut rest = words.lines().skip_while(|word| *word != "-kernel");
        Path::new(ROOT).join(rest.nth(1).expect("a kernel"))
    };
    let whole = fs::read(kernel).expect("read the kernel");
    fs::write(&ours, &whole).expect("write");
    let first = machine();
    assert_eq!(machine(), first);
    // The same name, the next commit.
    fs::write(&ours, [&whole[..], b"more"].concat()).expect("write");
    let second = machine();
    assert!(first == Path::new(&ours) || second != first, "{}", second.display());
    // What was decompressed before had to make room.
    if second != Path::new(&ours) {
        fs::remove_file(&second).expect("remove it");
    }
    assert!(machine().exists());
}

#[test]
fn what_fails_is_told_apart() {
    if kernel().is_none() {
        return;
    }
    let _alone = alone();
    let mark = mark("fails");
    let failure = |arguments: &[&str]| {
        let marked = [&["--append", &mark], arguments].concat();
        let (status, output, error) = run(real(&marked), b"");
        assert_eq!(output, b"so far\n", "{error}");
        (status, error)
    };
    let dies = |how: &str| format!("echo so far; {how}; read forever </dev/zero");
    let (status, error) = failure(&["-q", "sh", "-c", &dies("echo c >/proc/sysrq-trigger")]);
    assert_eq!(
        (status, error.as_str()),
        (Some(PANICKED), "vmrun: the kernel panicked: sysrq triggered crash\n")
    );
    // Without -q, what led to it is shown.
    let (status, error) = failure(&["sh", "-c", &dies("echo b >/proc/sysrq-trigger")]);
    assert_eq!(status, Some(LOST), "{error}");
    assert!(error.ends_with(
        "\nvmrun: the machine stopped before the program had exited (did the program stop it?)\n"
    ));
    assert!(error.contains("sysrq: Resetting"), "{error}");
    let endless = ["--timeout", "8", "sh", "-c", "echo so far; while :; do :; done"];
    let says = "vmrun: the program was still running after 8 seconds (--timeout)\n";
    let (status, error) = failure(&[&["-q"][..], &endless].concat());
    assert_eq!(status, Some(TIMED_OUT));
    assert_eq!(error, says);
    // Without -q, there may be lines of the kernel before it, but none of QEMU about our signal.
    let (status, error) = failure(&endless);
    assert_eq!(status, Some(TIMED_OUT));
    let is_told = error.ends_with(says) && !error.contains("terminating on signal");
    assert!(is_told && !error.starts_with('\n'), "{error}");
    assert!(machines(&mark).is_empty(), "{:?}", machines(&mark));
}

#[test]
fn no_machine_is_left_behind() {
    if kernel().is_none() {
        return;
    }
    let _alone = alone();
    // A kill that reaches only vmrun.
    let temporary = TempDir::new();
    let real = |arguments: &[&str]| {
        let mut command = real(arguments);
        command.env("TMPDIR", temporary.path());
        command
    };
    let [killed, machine, typed] = ["killed", "machine", "typed"].map(mark);
    let endless = ["--append", &killed, "sh", "-c", "echo ready; while :; do :; done"];
    let mut child = real(&endless).spawn().expect("start vmrun");
    let mut ready = [0; 6];
    child.stdout.take().expect("a pipe").read_exact(&mut ready).expect("read");
    wait_for_machine(&killed, true);
    kill(Pid::from_raw(child.id() as i32), Signal::SIGKILL).expect("kill");
    child.wait().expect("wait");
    wait_for_machine(&killed, false);

    // QEMU killed by somebody else.
    let endless = ["-q", "--append", &machine, "sh", "-c", "while :; do :; done"];
    let child = real(&endless).spawn().expect("start vmrun");
    let machines = wait_for_machine(&machine, true);
    kill(Pid::from_raw(machines[0].0), Signal::SIGKILL).expect("kill");
    let output = child.wait_with_output().expect("wait");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(MACHINE_FAILED), "{said}");
    assert!(said.contains("was killed by signal 9") && said.lines().count() == 1, "{said}");

    // Ctrl-C on a terminal, which a program in the guest reads.
    let mut session = type_command(&format!(
        "TMPDIR={} lab/vmrun --append {typed} sh -c 'read line; echo got $line; read line'",
        temporary.name()
    ));
    session.type_in("a line\n");
    session.wait_for("got a line");
    session.type_in("\x03");
    let (_, said) = session.end();
    assert!(boot::terminal_is_unharmed(&(said.clone() + "\x1b[?7h")), "{said}");
    wait_for_machine(&typed, false);
    let left = fs::read_dir(temporary.path()).expect("list");
    assert_eq!(left.count(), 0, "files of runs are left");
}

#[test]
fn runs_at_the_same_time_are_apart() {
    if kernel().is_none() {
        return;
    }
    let _alone = alone();
    // Packed and booted at once; more than these would starve each other on two cores.
    let children = ["one", "two"].map(|word| {
        // For so little, no module is loaded.
        let script = "read line; echo $0 $line; read module </proc/modules || exit ${#0}";
        let mut command = real(&["sh", "-c", script, word]);
        let mut child = command.stdin(Stdio::piped()).spawn().expect("start vmrun");
        writeln!(child.stdin.take().expect("a pipe"), "for {word}").expect("write");
        (word, child)
    });
    for (word, child) in children {
        let output = child.wait_with_output().expect("wait");
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{word} for {word}\n"));
        assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    }
    // Without a kernel, twenty.
    let children: Vec<_> = (0..20)
        .map(|number| vmrun(&["sh", "-c", "exit $0", &number.to_string()]).spawn())
        .collect();
    for (number, child) in children.into_iter().enumerate() {
        let output = child.expect("start vmrun").wait_with_output().expect("wait");
        assert_eq!(
            output.status.code(),
            Some(number as i32),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn user_mode_linux_runs_it() {
    let _alone = alone();
    let output = command("lab/uml-kernel.sh").arg("build/uml").output().expect("run uml-kernel.sh");
    if !output.status.success() {
        return skip(&String::from_utf8_lossy(&output.stderr));
    }
    let bytes = random(300_000);
    let mut command =
        real(&["--vm", "uml", "--add", "/bin/cat", "sh", "-c", "echo error >&2; cat; exit 9"]);
    command.env_remove("KERNEL");
    let (status, output, error) = run(command, &bytes);
    assert_eq!((status, error.as_str()), (Some(9), "error\n"));
    assert!(output == bytes, "{} bytes came back", output.len());
    let mut command = real(&["--vm", "uml", "-q", "sh", "-c", "echo c >/proc/sysrq-trigger"]);
    command.env_remove("KERNEL");
    demand_refusal(command, PANICKED, &["the kernel panicked: sysrq triggered crash"]);
}

#[test]
fn cargo_runs_the_tests_of_a_crate_in_it() {
    if kernel().is_none() {
        return;
    }
    let _alone = alone();
    // Whoever has no list of crates at hand cannot build it.
    let mut command = command("sh");
    command.args(["-c", "cd lab/vmrun-example && exec cargo test"]).env_remove("CARGO_TARGET_DIR");
    let output = command.output().expect("run cargo");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("test result: ok. 9 passed; 0 failed; 0 ignored;"), "{said}");
    assert!(said.contains("test src/lib.rs - parameter (line 5) ... ok"), "{said}");
}
