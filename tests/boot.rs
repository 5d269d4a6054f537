//! Boots a real kernel through the front door, `make run`, one machine at a
//! time; and the twins that show that each check can fail.

#[path = "common/boot.rs"]
mod boot;
mod common;

use boot::{
    Boot, Session, Tree, alone, command, make, missing_in_order, run, tell_apart,
    terminal_is_unharmed, type_command,
};
use common::{ROOT, TempDir, skip};
use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{env, fs, thread};

/// What an init that knows no duties does before the program.
const NAIVE: &str = "
/bin/busybox mkdir /proc
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs devtmpfs /dev
";

#[test]
fn lines_of_the_kernel_are_told_from_others() {
    let log =
        "[    0.000000] Linux\ninit: pid 8 [   12.345678] reboot: [x]\nkilled [1] by\n[1.5]\n";
    let (kernel, programs) = tell_apart(log);
    assert_eq!(kernel, "[    0.000000] Linux\n[   12.345678] reboot: [x]\n");
    assert_eq!(programs, "init: pid 8 killed [1] by\n[1.5]\n");
}

#[test]
fn demo_runs_from_the_first_line_to_power_off() {
    let _alone = alone();
    let boot = Boot::of(type_command("make run"));
    boot.demand_success();
    boot.demand(terminal_is_unharmed(&boot.said), "the terminal is as it was");

    let orphan = boot
        .programs
        .lines()
        .find_map(|line| line.strip_prefix("demo: a child of mine exits and leaves PID "))
        .and_then(|rest| rest.strip_suffix(" behind"));
    boot.demand(orphan.is_some(), "the demo names the orphan's PID");
    let reaped = format!("init: pid {} exited with status 7\n", orphan.unwrap_or_default());
    let adopted = "demo: the orphan: my parent is now PID 1\n";
    let story = [
        "demo: I am the program: my PID is ",
        "demo: started by PID 1\n",
        "demo: /proc says that this is Linux ",
        "demo: /sys says that these CPUs are online: 0",
        "demo: mounted are / /proc /sys /dev /dev/pts /run",
        adopted,
        "demo: a server, which stays: PID ",
        "demo: my work is done; I exit with status 0\n",
        "demo: the server: SIGTERM came",
        " exited with status 0\n",
    ];
    // The program does not wait for this, so it may come before the server or after it.
    let orphan = [adopted, &reaped];
    let frame = ["Run /init as init process", "demo: ", "reboot: Power down"];
    let programs = boot.programs.as_str();
    for (text, parts) in [(programs, &story[..]), (programs, &orphan), (boot.log(), &frame)] {
        let missing = missing_in_order(text, parts);
        boot.demand(missing.is_none(), &format!("here, and in this order: {missing:?}"));
        // The check fails if any part is not there, or too late.
        for part in parts {
            assert!(
                missing_in_order(&text.replace(part, ""), parts).is_some(),
                "{part} is not missed"
            );
        }
        let backwards: Vec<&str> = parts.iter().rev().copied().collect();
        assert!(missing_in_order(text, &backwards).is_some());
    }
    boot.demand(!boot.programs.contains("init: cannot"), "nothing goes wrong");
}

#[test]
fn the_demo_shows_each_duty_that_is_missing() {
    let _alone = alone();
    let try_without = |duty: &str| {
        let without = format!("WITHOUT={duty}");
        let variables: &[&str] = if duty.is_empty() { &[] } else { &[&without] };
        let limit = if duty == "spawn" { "TIMEOUT=9" } else { "TIMEOUT=60" };
        Boot::of(Session::piped(make(&[&["try", limit], variables].concat())))
    };
    // How a line begins that is there without the duty alone, and what can follow it.
    let power_off = "reboot: Power down";
    let traces = [
        ("console", "demo: I have no controlling terminal", "demo: "),
        ("mounts", "demo: /proc says nothing, because it is not mounted", "demo: "),
        ("reap", "demo: the orphan has exited, and nobody reaps it: a zombie has PID ", "demo: "),
        ("signals", "demo: I sent PID 1 a SIGHUP, and nothing happened", "demo: "),
        ("spawn", "picoinit: the machine was still running after 9 seconds", ""),
        // The server has no time to save its work.
        ("teardown", " exited with status 0", power_off),
    ];
    let whole = try_without("");
    let shows = |boot: &Boot, begins: &str, next: &str| {
        let mut lines = boot.said.lines().skip_while(|line| !line.contains(begins)).skip(1);
        boot.said.contains(begins) && lines.next().unwrap_or_default().starts_with(next)
    };
    whole.demand(whole.programs.contains(", with work that is not saved yet\n"), "it is not saved");
    for (duty, begins, next) in traces {
        whole.demand(!shows(&whole, begins, next), &format!("not so: {begins}"));
        let without = try_without(duty);
        without.demand(shows(&without, begins, next), begins);
    }
}

#[test]
fn cargo_run_boots() {
    let _alone = alone();
    let mut cargo = command(env!("CARGO"));
    cargo.args(["run", "--release", "--quiet"]);
    let boot = Boot::of(Session::piped(cargo));
    boot.demand_success();
    boot.demand_line("demo: started by PID 1");
    boot.demand(boot.kernel.contains("reboot: Power down"), "it powers off");
}

#[test]
fn runs_without_a_console() {
    // What PID 1's descriptors are is the exit status that the program claims.
    let tree = Tree::new(
        r#"
what() { readlink /proc/1/fd/$1 || echo closed; }
case "$(what 0) $(what 1) $(what 2)" in
"/dev/null /dev/null /dev/null") echo status 0 ;;
"/dev/console /dev/console /dev/console") echo status 1 ;;
"closed closed closed") echo status 2 ;;
*) echo status 3 ;;
esac > $VERDICT
"#,
    );
    // Of two -append, QEMU takes the last. hvc9 is nowhere, so that nothing is
    // /dev/console; earlyprintk shows the kernel's words anyway.
    let no_console =
        r#"QEMU_EXTRA=-append "console=hvc9 earlyprintk=ttyS0,keep panic=-1 VERDICT=/dev/ttyS1""#;

    let boot = tree.run(&[no_console]);
    boot.demand_success();
    boot.demand(boot.kernel.contains("unable to open an initial console"), "there is no console");
    boot.demand(boot.kernel.contains("reboot: Power down"), "it powers off");

    let with_console = tree.run(&[]);
    with_console.demand_failure("picoinit: the program exited with status 1");

    let naive = TempDir::new();
    let init = naive.script("init", &format!("{NAIVE}/etc/rc\n/bin/busybox poweroff -f\n"));
    let left_alone = tree.run(&[no_console, &format!("INIT={init}")]);
    left_alone.demand_failure("picoinit: the program exited with status 2");
}

#[test]
fn says_why_a_program_cannot_be_executed() {
    let tree = Tree::new("echo status 0 > $VERDICT\n");
    fs::write(tree.path().join("etc/words"), "no program\n").expect("write a file");
    for (path, error, status) in [("/does/not/exist", 2, 127), ("/etc/words", 13, 126)] {
        let boot = tree.run(&[&format!("APPEND=-- {path}")]);
        boot.demand_failure("picoinit: no verdict: ");
        boot.demand_line(&format!("init: cannot run {path}: errno {error}"));
        let end = format!(" exited with status {status}");
        boot.demand(boot.programs.lines().any(|line| line.ends_with(&end)), &end);
        boot.demand(boot.kernel.contains("reboot: Power down"), "it powers off");
    }
    let boot = tree.run(&["APPEND=-- /etc/rc"]);
    boot.demand_success();
    boot.demand(!boot.programs.contains("init: cannot run"), "no complaint");
}

#[test]
fn skips_unknown_words_of_the_kernel_command_line() {
    let tree = Tree::new("");
    tree.script(
        "etc/words",
        r#"
for word; do echo "argument <$word>"; done
echo "colour is <$colour>"
tr '\0' ' ' < /proc/1/cmdline
echo
echo status 0 > $VERDICT
"#,
    );
    let boot =
        tree.run(&["APPEND=splash colour=green nosuchword -- /bin/sh /etc/words one two=2 /three"]);
    boot.demand_success();
    // The kernel did pass them on, so there was something to skip.
    boot.demand_line("/init splash nosuchword /bin/sh /etc/words one two=2 /three ");
    let arguments: Vec<&str> =
        boot.programs.lines().filter(|line| line.starts_with("argument")).collect();
    boot.demand(
        arguments == ["argument <one>", "argument <two=2>", "argument </three>"],
        "the program gets its own arguments and no more",
    );
    boot.demand_line("colour is <green>");
}

#[test]
fn skips_random_words_of_the_kernel_command_line() {
    let tree = Tree::new("");
    let script = "echo words $#; echo status 0 > $VERDICT\n";
    tree.script("etc/words", script);
    let rounds = if env::var_os("TORTURE").is_some() { 20 } else { 1 };
    let seed = fastrand::u64(..);
    let mut random = fastrand::Rng::with_seed(seed);
    for _ in 0..rounds {
        // Such as mean nothing to the kernel, to make or to a shell.
        let mut word = || -> String {
            let letters: Vec<char> = "az09/=.-,:;!?*[]{}()<>|&~%^@+éß→\u{7f}".chars().collect();
            let first = ["_", "@", "~", "ß"][random.usize(..4)];
            let rest = (0..random.usize(..40)).map(|_| letters[random.usize(..letters.len())]);
            first.chars().chain(rest).collect()
        };
        let [before, after] = [(); 2].map(|()| (0..10).map(|_| word()).collect::<Vec<_>>());
        let boot = tree.run(&[&format!(
            "APPEND={} -- /bin/sh /etc/words {}",
            before.join(" "),
            after.join(" ")
        )]);
        boot.demand(boot.status == Some(0), &format!("seed {seed}: make ends with status 0"));
        boot.demand_line("words 10");
        boot.demand(!boot.programs.contains("init: cannot"), &format!("seed {seed}: no complaint"));
    }
}

#[test]
fn ctrl_alt_del_ends_the_machine_in_order() {
    let tree = Tree::new(
        r#"
trap 'echo program: SIGTERM came; echo status 0 > $VERDICT; exit 9' TERM
sleep 1000 &
echo program: ready
wait
"#,
    );
    let boot = press_ctrl_alt_del(&tree, &[]);
    boot.demand_success();
    boot.demand_line("program: SIGTERM came");
    boot.demand(boot.programs.contains(" exited with status 9\n"), "the program's end is reported");
    boot.demand(boot.kernel.contains("reboot: Restarting system"), "it restarts");

    // An init that does not ask for the signal: the kernel resets on the spot.
    let naive = TempDir::new();
    let init = naive.script("init", &format!("{NAIVE}/etc/rc\n"));
    let boot = press_ctrl_alt_del(&tree, &[&format!("INIT={init}")]);
    boot.demand_failure("picoinit: no verdict: ");
    boot.demand(!boot.programs.contains("SIGTERM came"), "nobody is told");
    boot.demand(boot.kernel.contains("reboot: Restarting system"), "it restarts");
}

/// What QEMU's monitor is told to press the three keys.
const CTRL_ALT_DEL: &[u8] = b"sendkey ctrl-alt-delete\n";

/// What has QEMU's monitor listen on a socket.
fn monitor(socket: &str) -> String {
    format!("-monitor unix:{socket},server=on,wait=off")
}

/// Boots, and presses Ctrl-Alt-Del on the machine's keyboard once the program is ready.
fn press_ctrl_alt_del(tree: &Tree, variables: &[&str]) -> Boot {
    let _alone = alone();
    let folder = TempDir::new();
    let socket = folder.join("monitor");
    let monitor = format!("QEMU_EXTRA={}", monitor(&socket));
    let mut session = tree.start(&[&[monitor.as_str()], variables].concat());
    session.wait_for("program: ready");
    let mut stream = UnixStream::connect(&socket).expect("connect to QEMU's monitor");
    stream.write_all(CTRL_ALT_DEL).expect("send to QEMU's monitor");
    // The connection stays until the end, so that QEMU reads what was sent.
    let boot = Boot::of(session);
    drop(stream);
    boot
}

#[test]
fn file_systems_end_clean() {
    let tree = Tree::new(
        r#"
depmod
modprobe -a -q virtio_pci virtio_blk crc32c_generic ext4
mkdir -p "/mnt/my disk"
mount -t ext4 /dev/vda "/mnt/my disk"
mkdir "/mnt/my disk/inner"
mount -t ext4 /dev/vdb "/mnt/my disk/inner"
echo outer > "/mnt/my disk/file"
echo inner > "/mnt/my disk/inner/file"
setsid /etc/server &
until [ -e /run/ready ]; do :; done
echo status 0 > $VERDICT
[ ! "$cut" ] || poweroff -n -f
"#,
    );
    // It holds a file open, and writes into it when it is told to end.
    tree.script(
        "etc/server",
        r#"
exec > "/mnt/my disk/server"
trap 'echo saved; kill $!; exit' TERM
sleep 1000 &
: > /run/ready
wait
"#,
    );
    if let Err(why) = add_disk_modules(&tree) {
        return skip(&why);
    }
    // With a journal and without: they differ in how they say that they are clean.
    let folder = TempDir::new();
    let (outer, inner) = (folder.join("outer"), folder.join("inner"));
    let format = || {
        run("mke2fs", &["-q", "-F", "-t", "ext4", &outer, "16M"]);
        run("mke2fs", &["-q", "-F", "-t", "ext4", "-O", "^has_journal", &inner, "16M"]);
    };
    let disks = format!("QEMU_EXTRA={} {}", disk("outer", &outer), disk("inner", &inner));

    format();
    let boot = tree.run(&[&disks]);
    boot.demand_success();
    for image in [&outer, &inner] {
        let faults = faults(image);
        boot.demand(faults.is_empty(), &format!("{image} is clean: {faults}"));
    }
    for (image, file, content) in
        [(&outer, "file", "outer"), (&inner, "file", "inner"), (&outer, "server", "saved")]
    {
        let (_, said) = run("debugfs", &["-R", &format!("cat {file}"), image]);
        let found = said.lines().any(|line| line == content);
        boot.demand(found, &format!("{file} in {image} is whole: {said}"));
    }

    // The same, but the program itself cuts the power.
    format();
    let boot = tree.run(&[&disks, "APPEND=cut=1"]);
    boot.demand_success();
    for image in [&outer, &inner] {
        boot.demand(!faults(image).is_empty(), &format!("{image} is not clean"));
    }
}

/// What gives the machine a disk.
fn disk(id: &str, image: &str) -> String {
    format!("-drive file={image},format=raw,if=none,id={id} -device virtio-blk-pci,drive={id}")
}

#[test]
fn a_further_request_does_not_wait_for_the_disks() {
    // What is written to the inner file system cannot reach the outer one, which is frozen: so
    // sync(2) never returns.
    let tree = Tree::new(
        r#"
depmod
modprobe -a -q virtio_pci virtio_blk crc32c_generic ext4 loop
mkdir -p /mnt/outer /mnt/inner
mount -t ext4 /dev/vda /mnt/outer
dd if=/dev/zero of=/mnt/outer/image bs=1M count=4
mke2fs -F /mnt/outer/image
mount -t ext4 -o loop /mnt/outer/image /mnt/inner
fsfreeze --freeze /mnt/outer
echo never written > /mnt/inner/file
echo status 0 > $VERDICT
"#,
    );
    if let Err(why) = add_disk_modules(&tree) {
        return skip(&why);
    }
    let folder = TempDir::new();
    let (image, socket) = (folder.join("outer"), folder.join("monitor"));
    let extra = format!("QEMU_EXTRA={} {}", disk("outer", &image), monitor(&socket));
    let format = || run("mke2fs", &["-q", "-F", "-t", "ext4", &image, "16M"]);
    let program_is_gone = " exited with status 0";

    format();
    let boot = {
        let _alone = alone();
        let mut session = tree.start(&[&extra]);
        session.wait_for(program_is_gone);
        let mut stream = UnixStream::connect(&socket).expect("connect to QEMU's monitor");
        // A request may come before PID 1 has begun with the disks, and is then met already: so
        // somebody presses the keys again and again, until the machine is off.
        let keys = thread::spawn(move || {
            while stream.write_all(CTRL_ALT_DEL).is_ok() {
                thread::sleep(Duration::from_millis(200));
            }
        });
        let boot = Boot::of(session);
        keys.join().expect("the person at the keyboard");
        boot
    };
    boot.demand_success();
    boot.demand(boot.kernel.contains("reboot: Power down"), "it powers off, as it was going to");

    // Nobody presses any keys.
    format();
    let boot = tree.run(&[&extra, "TIMEOUT=30"]);
    boot.demand_failure("picoinit: hung: ");
    boot.demand(boot.programs.contains(program_is_gone), "the program has exited");
}

/// What is wrong with the ext4 file system in this image: nothing, if it was
/// unmounted.
fn faults(image: &str) -> String {
    let (status, mut faults) = run("e2fsck", &["-f", "-n", image]);
    if status == Some(0) {
        faults.clear();
    }
    let (_, header) = run("dumpe2fs", &["-h", image]);
    let value = |name| {
        let line = header.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {header}")).trim()
    };
    if value("Filesystem state:") != "clean" {
        faults += "its state is not clean";
    }
    if value("Filesystem features:").contains("needs_recovery") {
        faults += "its journal holds what has not reached its place yet";
    }
    faults
}

/// Adds the drivers that are not built in. Says why, if they are not to be had.
fn add_disk_modules(tree: &Tree) -> Result<(), String> {
    let mut command = command("lab/modules.sh");
    let output = command.arg(kernel()).arg(tree.path()).output().expect("run lab/modules.sh");
    match output.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
    }
}

/// The kernel that `make run` boots.
fn kernel() -> PathBuf {
    let named = env::var("KERNEL").unwrap_or_default();
    let (status, said) = run("lab/kernel.sh", &["build/kernel", &named]);
    assert_eq!(status, Some(0), "no kernel: {said}");
    Path::new(ROOT).join(said.lines().last().unwrap_or_default())
}

#[test]
fn make_says_how_a_boot_went_wrong() {
    // Each claims success, which must not help it; but the one that says nothing.
    let lost = Tree::new("");
    lost.run(&[]).demand_failure("picoinit: no verdict: ");

    let folder = TempDir::new();
    let init = folder.script("init", &format!("{NAIVE}echo status 0 > $VERDICT\n"));
    let panicked = lost.run(&[&format!("INIT={init}")]);
    panicked.demand_failure("picoinit: panicked: ");
    panicked.demand(panicked.kernel.contains("Attempted to kill init!"), "it panics");

    let hung = Tree::new("echo status 0 > $VERDICT\nexec sleep 1000\n");
    hung.run(&["TIMEOUT=6"]).demand_failure("picoinit: hung: ");
}

#[test]
fn make_panic_explains_the_panic() {
    let _alone = alone();
    let boot = Boot::of(Session::piped(make(&["panic"])));
    boot.demand_success();
    boot.demand(
        boot.kernel.contains("Kernel panic - not syncing: VFS: Unable to mount root fs"),
        "it panics for want of a root file system",
    );
    let explanation = boot.said.lines().rev().take_while(|line| line.starts_with("picoinit: "));
    boot.demand(explanation.count() == 2, "two lines explain it");
}

const HOW_TO_LEAVE: &str = "hold Ctrl, press A, release both, press X";
const PROMPT: &str = "picoinit# ";

/// Types `make shell` on a terminal, and waits for the prompt.
fn begin_shell() -> Session {
    let mut shell = type_command("make shell");
    // Before the kernel says the first of its many lines, and right before the prompt.
    shell.wait_for(HOW_TO_LEAVE);
    shell.wait_for("Run /init");
    shell.wait_for(HOW_TO_LEAVE);
    shell.wait_for(PROMPT);
    shell
}

/// Waits until `make shell` has exited. It has to succeed, and to leave the
/// terminal as it was.
fn end_shell(shell: Session) -> String {
    let (status, said) = shell.end();
    assert_eq!(status, Some(0), "{said}");
    assert!(terminal_is_unharmed(&said), "{said}");
    said
}

#[test]
fn shell_has_job_control_and_restarts_on_sigterm() {
    let _alone = alone();
    let mut shell = begin_shell();
    // What waits for the event is computed, so that its echo is not mistaken for it.
    shell.type_in("sh -c 'echo run$((6*7)); exec sleep 1000'\r");
    shell.wait_for("run42");
    shell.type_in("\x1a");
    shell.wait_for("Stopped");
    shell.wait_for(PROMPT);
    shell.type_in("kill %1; wait; sh -c 'echo run$((6*8)); exec cat'\r");
    shell.wait_for("run48");
    shell.type_in("\x03");
    shell.wait_for(PROMPT);
    shell.type_in("echo status=$?\r");
    shell.wait_for("status=130");
    let no_terminal = "can't access tty";
    assert!(!shell.said().contains(no_terminal), "{}", shell.said());
    // In a session without terminal, it does complain. (Behind a pipe: setsid(1) does not
    // wait for the shell, and two of them on one terminal would share what is typed.)
    shell.type_in("setsid sh -i < /dev/null 2>&1 | cat\r");
    shell.wait_for(no_terminal);
    shell.wait_for(PROMPT);

    shell.type_in("kill -TERM 1\r");
    shell.wait_for("reboot: Restarting system");
    shell.wait_for(PROMPT);
    shell.type_in("poweroff\r");
    shell.wait_for("reboot: Power down");
    end_shell(shell);
}

#[test]
fn shell_obeys_reboot_and_the_end_of_its_input() {
    let _alone = alone();
    let mut shell = begin_shell();
    shell.type_in("reboot\r");
    shell.wait_for("reboot: Restarting system");
    shell.wait_for(PROMPT);
    shell.type_in("\x04");
    shell.wait_for("reboot: Power down");
    end_shell(shell);
}

#[test]
fn shell_has_a_terminal_with_a_name_and_a_size() {
    let _alone = alone();
    let mut shell = begin_shell();
    shell.type_in("tty; stty size; tty < /dev/null\r");
    // That of the test has no size.
    for answer in ["/dev/ttyS0", "24 80", "not a tty", PROMPT] {
        shell.wait_for(answer);
    }
    // The kernel is quiet now, unless it is told not to be.
    for (level, is_seen) in [("1", false), ("7", true)] {
        let say =
            format!("echo {level} > /proc/sys/kernel/printk; echo said$((6*{level})) > /dev/kmsg");
        shell.type_in(&format!("{say}; sleep 1; echo\r"));
        shell.wait_for(PROMPT);
        let said = format!("] said{}", if is_seen { 42 } else { 6 });
        assert_eq!(shell.said().contains(&said), is_seen, "{}", shell.said());
    }
    shell.type_in("\x04");
    end_shell(shell);
}

#[test]
fn shell_is_left_by_halt() {
    let _alone = alone();
    let mut shell = begin_shell();
    shell.type_in("halt\r");
    shell.wait_for("reboot: System halted");
    let said = end_shell(shell);
    assert!(
        said.contains("picoinit: the kernel has stopped, so the machine is switched off"),
        "{said}"
    );
    assert!(!said.contains("reboot: Power down"), "{said}");
}

#[test]
fn shell_is_left_by_keys() {
    let _alone = alone();
    let mut shell = begin_shell();
    shell.type_in("\x01x");
    let said = end_shell(shell);
    assert!(!said.contains("reboot: "), "{said}");
}

#[test]
fn what_make_prints_can_be_typed() {
    let _alone = alone();
    let (_, commands) = run("make", &["-n", "run", "V=1"]);
    for part in ["cargo build --release", "cpio --null --create", "\nlab/boot.sh verdict 120 "] {
        assert!(commands.contains(part), "{commands}");
    }
    let boot = |commands: &str| run("sh", &["-e", "-c", commands]);
    let (status, said) = boot(&commands);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("demo: started by PID 1"), "{said}");
    // Nothing else does it.
    let (status, said) = boot(&commands.replace("-initrd", "-device"));
    assert_ne!(status, Some(0), "{said}");
}
