//! Boots User-mode Linux through the front door, `make run VM=uml`: what
//! boot.rs shows of QEMU holds for it, too.

#[path = "common/boot.rs"]
mod boot;
mod common;

use boot::{
    Boot, LIMIT, Session, Tree, alone, make, missing_in_order, run, terminal_is_unharmed,
    type_command,
};
use common::{TempDir, skip};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

/// `make test` may have found a kernel for QEMU.
const UML: [&str; 2] = ["VM=uml", "KERNEL="];

/// Whether there is a User-mode Linux; it is downloaded if need be.
fn is_there() -> bool {
    let _alone = alone();
    let (status, said) = run("lab/uml-kernel.sh", &["build/uml"]);
    if status != Some(0) {
        skip(&said);
    }
    status == Some(0)
}

/// The command lines of the machines that run with `mark` on theirs.
fn machines(mark: &str) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("list /proc");
    processes
        .filter_map(|process| fs::read(process.ok()?.path().join("cmdline")).ok())
        .map(|line| String::from_utf8_lossy(&line).replace('\0', " "))
        .filter(|line| line.contains(" uml_dir=") && line.contains(mark))
        .collect()
}

/// The folder of the machine that has `mark` on its command line.
fn folder_of(mark: &str) -> String {
    let machines = machines(mark);
    let folder =
        machines.first().and_then(|line| line.split(" uml_dir=").nth(1)?.split(' ').next());
    let folder = folder.unwrap_or_else(|| panic!("no machine runs with {mark}")).to_string();
    assert!(Path::new(&folder).is_dir(), "{folder}");
    folder
}

/// Waits until no process and no file of a machine is left.
#[track_caller]
fn demand_nothing_left(mark: &str, folder: &str) {
    let deadline = Instant::now() + LIMIT;
    while !machines(mark).is_empty() {
        assert!(Instant::now() < deadline, "left: {:?}", machines(mark));
        sleep(Duration::from_millis(10));
    }
    assert!(!Path::new(folder).exists(), "{folder} is left");
}

#[test]
fn demo_runs_from_the_first_line_to_power_off() {
    if !is_there() {
        return;
    }
    let _alone = alone();
    let boot = Boot::of(type_command("make run VM=uml KERNEL="));
    boot.demand_success();
    let settings = |name| boot.said.split_once(name)?.1.lines().next();
    boot.demand(
        settings("before: ").is_some() && settings("before: ") == settings("after: "),
        "the terminal is as it was",
    );
    let story = [
        "demo: started by PID 1\n",
        "demo: /proc says that this is Linux ",
        "demo: mounted are / /proc /sys /dev /dev/pts /run",
        "demo: the orphan: my parent is now PID 1\n",
        "demo: a server, which stays: PID ",
        "demo: the server: SIGTERM came",
        " exited with status 0\n",
    ];
    let missing = missing_in_order(&boot.programs, &story);
    boot.demand(missing.is_none(), &format!("in order: {missing:?}"));
    boot.demand(boot.programs.contains(" exited with status 7\n"), "the orphan is reaped");
    boot.demand(!boot.programs.contains("init: cannot"), "nothing goes wrong");
    boot.demand(boot.kernel.contains("reboot: System halted"), "it is switched off");
    boot.demand(boot.said.contains(boot.log().trim_end()), "the log is what the console said");
}

#[test]
fn make_says_how_a_boot_went_wrong() {
    if !is_there() {
        return;
    }
    // All claim success, but the first two.
    let lost = Tree::new("");
    lost.run(&UML).demand_failure("picoinit: no verdict: ");
    let status = Tree::new("echo status 3 > $VERDICT\n");
    status.run(&UML).demand_failure("picoinit: the program exited with status 3");

    let folder = TempDir::new();
    let naive = "/bin/busybox mount -t devtmpfs devtmpfs /dev\necho status 0 > $VERDICT\n";
    let init = folder.script("init", naive);
    let panicked = lost.run(&[&UML[..], &[&format!("INIT={init}")]].concat());
    panicked.demand_failure("picoinit: panicked: ");
    panicked.demand(panicked.kernel.contains("Attempted to kill init!"), "it panics");

    let hung = Tree::new("echo status 0 > $VERDICT\nexec sleep 1000\n");
    let mark = format!("mark={}", hung.path().display());
    let append = format!("APPEND={mark}");
    hung.run(&[&UML[..], &["TIMEOUT=6", &append]].concat()).demand_failure("picoinit: hung: ");
    demand_nothing_left(&mark, "");

    // It would start again for ever.
    let restarts = Tree::new("echo status 0 > $VERDICT\nkill -TERM 1\nexec sleep 1000\n");
    let boot = restarts.run(&UML);
    boot.demand_success();
    boot.demand(boot.kernel.contains("reboot: Restarting system"), "it restarts");
    boot.demand(boot.log().matches("Run /init").count() == 1, "it does not start again");
}

#[test]
fn the_kernel_command_line_arrives_as_it_is() {
    if !is_there() {
        return;
    }
    let tree = Tree::new("");
    tree.script(
        "etc/words",
        r#"
for word; do echo "argument <$word>"; done
echo "colour is <$colour>"
echo status 0 > $VERDICT
"#,
    );
    // User-mode Linux has options of its own, which are not for PID 1's words to set.
    let append =
        r#"APPEND=splash colour=green -- /bin/sh /etc/words --version mem=1M "two  words" *"#;
    let boot = tree.run(&[&UML[..], &[append]].concat());
    boot.demand_success();
    let arguments: Vec<&str> =
        boot.programs.lines().filter(|line| line.starts_with("argument")).collect();
    let expected = ["<--version>", "<mem=1M>", "<two  words>", "<*>"];
    boot.demand(
        arguments == expected.map(|word| format!("argument {word}")),
        "the program gets its arguments",
    );
    boot.demand_line("colour is <green>");

    // But before `--`, they are.
    let boot = tree.run(&[&UML[..], &["APPEND=--version"]].concat());
    boot.demand_failure("picoinit: no verdict: ");
    boot.demand(boot.kernel.is_empty(), "no kernel runs");
}

#[test]
fn make_panic_explains_the_panic() {
    if !is_there() {
        return;
    }
    let _alone = alone();
    let boot = Boot::of(Session::piped(make(&[&["panic"], &UML[..]].concat())));
    boot.demand_success();
    boot.demand(
        boot.kernel.contains("Kernel panic - not syncing: VFS: Unable to mount root fs"),
        "it panics for want of a root file system",
    );
    let explanation = boot.said.lines().rev().take_while(|line| line.starts_with("picoinit: "));
    boot.demand(explanation.count() == 2, "two lines explain it");
}

#[test]
fn other_programs_and_bad_input_are_refused() {
    let _alone = alone();
    for (variables, complaint) in [
        (&["VM=vmware"][..], "picoinit: VM=vmware: it is one of: qemu uml"),
        (&["VM=uml", "CPUS=2"], "picoinit: CPUS=2: with VM=uml, there is one processor"),
        (
            &["VM=uml", "KERNEL=/no/such/file"],
            "picoinit: KERNEL=/no/such/file: there is no such file",
        ),
        (&["VM=uml", "KERNEL=/bin/true"], "picoinit: KERNEL=/bin/true is not User-mode Linux"),
        (&["VM=uml", "KERNEL=src"], "picoinit: KERNEL=src is not User-mode Linux"),
    ] {
        for target in ["run", "shell", "panic", "archive"] {
            let (status, said) = Session::piped(make(&[&[target], variables].concat())).end();
            assert_ne!(status, Some(0), "{variables:?}: {said}");
            let lines: Vec<_> = said.lines().filter(|line| !line.starts_with("make: ")).collect();
            assert!(lines.len() == 1 && lines[0].starts_with(complaint), "{variables:?}: {said}");
        }
    }
}

#[test]
fn a_machine_without_the_package_gets_a_clear_line() {
    let folder = TempDir::new();
    // A PATH without apt-get.
    folder.script("dirname", "exec /usr/bin/dirname \"$@\"\n");
    let mut command = boot::command("/bin/sh");
    command.args(["lab/uml-kernel.sh", &folder.join("uml")]).env("PATH", folder.path());
    let (status, said) = Session::piped(command).end();
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("picoinit: VM=uml: no User-mode Linux to be had."), "{said}");
    assert!(said.lines().all(|line| line.starts_with("picoinit: ")), "{said}");
}

#[test]
fn interrupted_it_leaves_nothing_behind() {
    if !is_there() {
        return;
    }
    let _alone = alone();
    let tree = Tree::new("echo program: ready\nsleep 1000 &\nexec sleep 1000\n");
    let mark = format!("mark={}", tree.path().display());
    let rootfs = tree.path().display().to_string();
    let mut session =
        type_command(&format!("make run VM=uml KERNEL= ROOTFS={rootfs} APPEND={mark}"));
    session.wait_for("program: ready");
    let folder = folder_of(&mark);
    // The kernel, what serves it, and its processes.
    assert!(machines(&mark).len() > 2, "{:?}", machines(&mark));
    session.type_in("\x03");
    let (status, said) = session.end();
    assert_ne!(status, Some(0), "{said}");
    demand_nothing_left(&mark, &folder);
}

const PROMPT: &str = "picoinit# ";
const HOW_TO_LEAVE: &str = "at any time, in another terminal: kill ";

/// Types `make shell VM=uml` on a terminal, and waits for the prompt.
fn begin_shell(mark: &str) -> Session {
    let mut shell = type_command(&format!("make shell VM=uml KERNEL= APPEND={mark}"));
    shell.wait_for(HOW_TO_LEAVE);
    shell.wait_for(PROMPT);
    shell
}

/// Waits until it has exited. It has to leave the terminal as it was, and nothing else.
fn end_shell(shell: Session, mark: &str, folder: &str) -> (Option<i32>, String) {
    let (status, said) = shell.end();
    assert!(terminal_is_unharmed(&said), "{said}");
    demand_nothing_left(mark, folder);
    (status, said)
}

#[test]
fn shell_has_job_control_and_obeys_reboot_and_poweroff() {
    if !is_there() {
        return;
    }
    let _alone = alone();
    let mark = "mark=jobs";
    let mut shell = begin_shell(mark);
    let folder = folder_of(mark);
    // Each line begins at the left edge: those of the kernel, and those of programs.
    let bytes = shell.said_bytes();
    let straight = |lines: &[&[u8]]| lines.iter().rev().skip(1).all(|line| line.ends_with(b"\r"));
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    assert!(lines.len() > 50 && straight(&lines), "{}", shell.said());
    assert!(!straight(&[b"one", b"two"]));
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

    shell.type_in("reboot\r");
    shell.wait_for("reboot: Restarting system");
    shell.wait_for("Run /init");
    shell.wait_for(PROMPT);
    shell.type_in("poweroff\r");
    shell.wait_for("reboot: System halted");
    let (status, said) = end_shell(shell, mark, &folder);
    assert_eq!(status, Some(0), "{said}");
}

#[test]
fn shell_ends_by_halt_at_the_end_of_input_and_when_it_is_killed() {
    if !is_there() {
        return;
    }
    let _alone = alone();
    let mark = "mark=ends";
    for end in ["halt\r", "\x04"] {
        let mut shell = begin_shell(mark);
        let folder = folder_of(mark);
        shell.type_in(end);
        shell.wait_for("reboot: System halted");
        let (status, said) = end_shell(shell, mark, &folder);
        assert_eq!(status, Some(0), "{end:?}: {said}");
    }

    let shell = begin_shell(mark);
    let folder = folder_of(mark);
    let said = shell.said();
    let pid = said.split_once(HOW_TO_LEAVE).and_then(|(_, rest)| rest.lines().next());
    let pid = Pid::from_raw(pid.and_then(|pid| pid.parse().ok()).expect("a PID"));
    kill(pid, Signal::SIGTERM).expect("send a signal");
    let (status, said) = end_shell(shell, mark, &folder);
    assert_eq!(status, Some(0), "{said}");
    assert!(said.contains("picoinit: the machine was stopped from outside\n"), "{said}");
    assert!(!said.contains("reboot: System halted"), "{said}");
}
