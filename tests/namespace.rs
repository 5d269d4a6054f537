//! PID 1 of namespaces: what each duty does; and, under an init that does not
//! do it, that the check can fail.

mod common;

use common::{Namespace, Outcome};
use std::fs::File;
use std::io::{Read, Write};
use std::process::Command;

/// Runs the same under the shipped init and under the one that does nothing,
/// and demands that `check` tells them apart.
fn compare(make: impl Fn(fn(&[&str]) -> Namespace) -> Namespace, check: impl Fn(&Outcome) -> bool) {
    let outcome = make(Namespace::new).run();
    assert!(check(&outcome), "report: {:#?}\nconsole:\n{}", outcome.report, outcome.console);
    let twin = make(Namespace::naive).run();
    assert!(!check(&twin), "the check cannot fail: {:#?}\nconsole:\n{}", twin.report, twin.console);
}

/// Whether the console has every line that the guest announced, once.
fn all_announced(outcome: &Outcome) -> bool {
    let announced: Vec<&String> =
        outcome.report.iter().filter(|line| line.starts_with("init: ")).collect();
    let said = |line: &str| outcome.console.lines().filter(|said| *said == line).count();
    !announced.is_empty() && announced.iter().all(|line| said(line) == 1)
}

#[test]
fn refuses_to_run_as_another_pid() {
    let outcome = Command::new(common::init()).output().expect("run init");
    assert_eq!(outcome.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&outcome.stderr), "init: must run as PID 1\n");
    assert_eq!(outcome.stdout, b"");
    // As PID 1, it does not say so.
    assert!(!Namespace::new(&["/guest", "exit", "0"]).run().said("init: must run as PID 1"));
}

#[test]
fn mounts_what_programs_need() {
    compare(
        |with| with(&["/guest", "look"]),
        |outcome| {
            let mounted = |start: &str, flags: &str| {
                outcome
                    .report
                    .iter()
                    .any(|line| line.starts_with(&format!("mount {start} rw,{flags}relatime")))
            };
            mounted("proc /proc proc", "nosuid,nodev,noexec,")
                && mounted("sysfs /sys sysfs", "nosuid,nodev,noexec,")
                && mounted("devpts /dev/pts devpts", "nosuid,noexec,")
                && mounted("tmpfs /run tmpfs", "nosuid,nodev,noexec,")
                && outcome
                    .report
                    .iter()
                    .any(|line| line.starts_with("mount tmpfs /run") && line.contains(",mode=755"))
        },
    );
}

#[test]
fn leaves_alone_what_is_mounted_already() {
    let mounts = |outcome: &Outcome, target: &str| {
        let ours =
            |line: &&String| line.starts_with("mount ") && line.split(' ').nth(2) == Some(target);
        outcome.report.iter().filter(ours).count()
    };
    let prepare = "mkdir /run; mount -t tmpfs mine /run; mkdir /proc; mount -t proc proc /proc; mount -t tmpfs mine /dev";
    let outcome = Namespace::new(&["/guest", "look"]).prepare(prepare).run();
    assert_eq!(mounts(&outcome, "/run"), 1);
    assert_eq!(mounts(&outcome, "/proc"), 1);
    assert!(outcome.report.iter().any(|line| line.starts_with("mount mine /run tmpfs")));
    assert!(!outcome.console.contains("cannot mount"), "{}", outcome.console);
    // Whoever mounted /proc may have left something out on purpose.
    let prepare = "mkdir /run /proc; mount -t proc proc /proc";
    let outcome = Namespace::new(&["/guest", "look"]).prepare(prepare).run();
    assert_eq!([mounts(&outcome, "/proc"), mounts(&outcome, "/run")], [1, 0]);
    // Where nothing is mounted, it mounts; and says so if it cannot.
    let outcome = Namespace::new(&["/guest", "look"]).prepare("echo > /sys").run();
    assert!(outcome.said("init: cannot mount /sys: errno 20"), "{}", outcome.console);
    assert!(outcome.report.iter().any(|line| line.starts_with("mount tmpfs /run tmpfs")));
    assert_eq!(outcome.code(), Some(0), "the boot goes on");
}

#[test]
fn says_nothing_of_what_it_may_not_mount() {
    // Without CAP_SYS_ADMIN, it may not mount anything; and what is mounted already is not
    // mounted once more.
    let init = ["/usr/bin/setpriv", "--bounding-set=-sys_admin", "/init"];
    let may_not = Namespace::with_init(&init, &["/guest", "exit", "5"]);
    let is_mounted =
        Namespace::new(&["/guest", "exit", "5"]).prepare("mkdir /sys; mount -t sysfs sysfs /sys");
    for namespace in [may_not, is_mounted] {
        let outcome = namespace.run();
        assert!(!outcome.console.contains("cannot mount"), "{}", outcome.console);
        assert_eq!(outcome.code(), Some(5), "{}", outcome.console);
    }
    // It did try: where mkdir(2) fails, there is no place to mount anything on.
    let outcome = Namespace::with_init(&init, &["/guest", "exit", "5"])
        .prepare("mount -t tmpfs -o remount,ro tmpfs /")
        .run();
    assert!(outcome.said("init: cannot mount /proc: errno 2"), "{}", outcome.console);
}

#[test]
fn shares_a_file_as_console_with_the_program() {
    // Each writes where the other stopped, and not over it.
    let script = "for each in 1 2 3; do /guest orphans 1; echo after; done";
    let count = |outcome: &Outcome, is_it: fn(&str) -> bool| {
        outcome.console.lines().filter(|line| is_it(line)).count()
    };
    compare(
        |with| with(&["/bin/sh", "-c", script]),
        |outcome| {
            count(outcome, |line| line == "after") == 3
                && count(outcome, |line| {
                    line.starts_with("init: pid ") && line.ends_with(" exited with status 0")
                }) == 4
        },
    );
}

/// A program that reports where its descriptors lead. Not the guest: Rust's
/// runtime opens those that are closed.
const LOOK_AT_DESCRIPTORS: &[&str] = &[
    "/bin/sh",
    "-c",
    // The first shell does nothing but wait: so its descriptors are as it got them.
    "/bin/sh -c \"$0\"; exit",
    "for n in 0 1 2 3; do
        link=$(readlink /proc/$PPID/fd/$n || echo closed)
        echo \"descriptor $n $link\" >> /out/report
    done",
];

#[test]
fn opens_missing_descriptors() {
    let look = |prepare: &str| {
        let outcome = Namespace::new(LOOK_AT_DESCRIPTORS).prepare(prepare).run();
        assert_eq!(outcome.code(), Some(0));
        [0, 1, 2, 3].map(|number| outcome.fact(&format!("descriptor {number}")).to_string())
    };
    // Whoever runs the tests may have left 3 open.
    let all_closed = "exec 0<&- 1>&- 2>&- 3<&-";
    // No console: the place is taken, so that nothing else gets it.
    assert_eq!(look(all_closed), ["/dev/null", "/dev/null", "/dev/null", "closed"]);
    // A console.
    let console = format!("echo > /dev/console; {all_closed}");
    assert_eq!(look(&console), ["/dev/console", "/dev/console", "/dev/console", "closed"]);
    // What is open is left alone.
    let [first, second, third, fourth] = look("echo > /dev/console; exec 0<&- 2>&- 3<&-");
    assert_eq!([first, third, fourth], ["/dev/console", "/dev/console", "closed"]);
    assert!(second.ends_with("/console") && second != "/dev/console");
    // No console and no /dev/null is no reason to die.
    let nothing = format!("mount -t tmpfs empty /dev; {all_closed}");
    assert_eq!(look(&nothing), ["closed", "closed", "closed", "closed"]);
    // Under an init that opens nothing, they are closed.
    let shell = ["/bin/sh", "-c", "mkdir /proc; mount -t proc proc /proc; \"$@\"; exit", "sh"];
    let outcome = Namespace::with_init(&shell, LOOK_AT_DESCRIPTORS).prepare(all_closed).run();
    assert_eq!(outcome.fact("descriptor 0"), "closed");
}

#[test]
fn gives_the_program_a_controlling_terminal() {
    compare(
        |with| {
            let (terminal, console) = common::terminal();
            // The other end stays open for as long as it is needed.
            std::mem::forget(terminal);
            with(&["/guest", "look"]).stdio(console)
        },
        |outcome| {
            outcome.fact("controlling terminal") == "true"
                && outcome.fact("leads its session") == "true"
        },
    );
    // Where there is no terminal, there is none.
    let outcome = Namespace::new(&["/guest", "look"]).run();
    assert_eq!(outcome.fact("controlling terminal"), "false");
    assert_eq!(outcome.fact("leads its session"), "true");
}

#[test]
fn ctrl_c_on_the_console_reaches_the_program() {
    let (mut terminal, console) = common::terminal();
    let (out, root) = (common::TempDir::new(), common::TempDir::new());
    let namespace = Namespace::new(&["/guest", "foreground"]).stdio(console);
    let mut command = namespace.command(root.path(), out.path());
    let mut child = command.spawn().expect("spawn");
    drop(command);
    let mut said = String::new();
    let mut read_until = |what: &str, terminal: &mut File| {
        let mut chunk = [0; 256];
        while !said.contains(what) {
            match terminal.read(&mut chunk) {
                Ok(1..) => said += &String::from_utf8_lossy(&chunk),
                _ => panic!("the console ended without {what}: {said}"),
            }
        }
    };
    read_until("waiting for Ctrl-C", &mut terminal);
    terminal.write_all(b"\x03").expect("type Ctrl-C");
    let status = child.wait().expect("wait");
    assert_eq!(status.code(), Some(128 + 2), "PID 1 passes on that SIGINT killed the program");
}

#[test]
fn finds_the_program_among_the_words() {
    let arguments = |init: &[&str], words: &[&str]| {
        Namespace::with_init(init, words).run().fact("arguments").to_string()
    };
    assert_eq!(
        arguments(&["/init"], &["splash", "foo.bar", "/guest", "look", "/a", "b c", ""]),
        "/guest|look|/a|b c|"
    );
    assert_eq!(arguments(&["/init"], &["/guest", "look"]), "/guest|look");
    // A path as the name of PID 1 itself is not the program.
    assert_eq!(
        arguments(&["/bin/sh", "-c", "exec /init \"$@\"", "/x"], &["/guest", "look"]),
        "/guest|look"
    );
}

#[test]
fn runs_etc_rc_if_no_program_is_named() {
    let rc = |script: &str| format!("printf '#!/bin/sh\n{script}\n' > /etc/rc; chmod 755 /etc/rc");
    let outcome = Namespace::new(&["quiet"]).prepare(&rc("echo \"rc $#\"; exit 9")).run();
    assert!(outcome.said("rc 0"), "{}", outcome.console);
    assert_eq!(outcome.code(), Some(9));
    let outcome = Namespace::new(&["quiet"]).run();
    assert!(outcome.said("init: cannot run /etc/rc: errno 2"), "{}", outcome.console);
}

#[test]
fn hands_the_environment_on_and_nothing_blocked_or_ignored() {
    // Whoever started PID 1 left some signals ignored.
    let prepare = "export COLOUR='light blue'; trap '' HUP PIPE CHLD USR1";
    compare(
        |with| with(&["/guest", "look"]).prepare(prepare),
        |outcome| {
            // Rust's own runtime ignores SIGPIPE: bit 12.
            outcome.fact("SigBlk") == "0000000000000000"
                && outcome.fact("SigIgn") == "0000000000001000"
        },
    );
    let outcome = Namespace::new(&["/guest", "look"]).prepare(prepare).run();
    assert!(
        outcome.report.contains(&"environment COLOUR=light blue".into()),
        "{:#?}",
        outcome.report
    );
    assert_eq!(outcome.fact("parent"), "1");
}

#[test]
fn says_why_a_program_cannot_be_executed() {
    let run = |program: &str, prepare: &str| Namespace::new(&[program]).prepare(prepare).run();
    let outcome = run("/missing", "");
    assert!(outcome.said("init: cannot run /missing: errno 2"), "{}", outcome.console);
    assert_eq!(outcome.code(), Some(127));
    let outcome = run("/etc/data", "echo text > /etc/data");
    assert!(outcome.said("init: cannot run /etc/data: errno 13"), "{}", outcome.console);
    assert_eq!(outcome.code(), Some(126));
    let outcome = run("/etc/data", "echo text > /etc/data; chmod 755 /etc/data");
    assert!(outcome.said("init: cannot run /etc/data: errno 8"), "{}", outcome.console);
    assert_eq!(outcome.code(), Some(126));
    // What can be executed ends with a status of its own.
    let outcome = Namespace::new(&["/guest", "exit", "7"]).run();
    assert!(!outcome.console.contains("cannot run"));
    assert_eq!(outcome.code(), Some(7));
}

#[test]
fn prints_names_from_outside_harmlessly() {
    let outcome = Namespace::new(&["/\u{1b}[2J\nü\u{7f}x"]).run();
    assert!(outcome.said("init: cannot run /?[2J????x: errno 2"), "{}", outcome.console);
    let long = format!("/{}", "y".repeat(5000));
    let outcome = Namespace::new(&[&long]).run();
    let line = outcome.console.lines().find(|line| line.contains("cannot run")).expect("a line");
    assert!(
        line.starts_with("init: cannot run /yyyy") && line.ends_with("yyyy: errno 36"),
        "{line}"
    );
}

#[test]
fn exits_with_the_programs_status_where_reboot_is_refused() {
    for status in [0, 1, 3, 42, 127, 128, 254, 255] {
        let outcome = Namespace::new(&["/guest", "exit", &status.to_string()]).run();
        assert_eq!(outcome.code(), Some(status));
    }
    for signal in [1, 6, 9, 11, 15, 31, 34, 64] {
        let outcome = Namespace::new(&["/guest", "die", &signal.to_string()]).run();
        assert_eq!(outcome.code(), Some(128 + signal), "{}", outcome.console);
    }
}

#[test]
fn reaps_orphans_one_at_a_time() {
    compare(|with| with(&["/guest", "orphans", "20"]), |outcome| outcome.fact("zombies") == "0");
}

#[test]
fn reaps_20000_orphans_at_once() {
    let outcome = Namespace::new(&["/guest", "burst", "20000"]).run();
    assert_eq!(outcome.fact("at once"), "20000");
    assert_eq!(outcome.fact("zombies"), "0");
    assert!(
        outcome.console.lines().filter(|line| line.ends_with("exited with status 0")).count()
            >= 20000
    );
    let twin = Namespace::naive(&["/guest", "burst", "50"]).run();
    assert_eq!(twin.fact("zombies"), "50");
}

#[test]
fn reports_every_exit_status() {
    compare(
        |with| with(&["/guest", "statuses"]),
        |outcome| all_announced(outcome) && outcome.fact("zombies") == "0",
    );
}

#[test]
fn reports_every_deadly_signal() {
    compare(
        |with| with(&["/guest", "deaths"]),
        |outcome| all_announced(outcome) && outcome.fact("zombies") == "0",
    );
}

#[test]
fn loses_no_child_in_a_storm_of_signals() {
    compare(
        |with| with(&["/guest", "storm", "5000"]),
        |outcome| all_announced(outcome) && outcome.fact("zombies") == "0",
    );
}

/// Whether every signal that was sent to PID 1 came back to the program.
fn all_passed_on(outcome: &Outcome) -> bool {
    let passed = |line: &&str| line.split_once(" got ").map(|(sent, got)| sent == got);
    let sent = outcome.report.iter().filter_map(|line| line.strip_prefix("sent "));
    let results: Vec<Option<bool>> = sent.map(|line| passed(&line)).collect();
    !results.is_empty() && results.iter().all(|result| *result == Some(true))
}

#[test]
fn passes_other_signals_on() {
    // Not those that stop the machine (2, 10, 12, 15), nor those that PID 1
    // cannot have (9, 19) or does not pass on (17, SIGCHLD).
    let signals = "1 3 4 5 6 7 8 11 13 14 16 18 20 21 22 23 24 25 26 27 28 29 30 31 34 50 64";
    let arguments: Vec<&str> = "/guest signal-init".split(' ').chain(signals.split(' ')).collect();
    let outcome = Namespace::new(&arguments).run();
    assert!(all_passed_on(&outcome), "{:#?}", outcome.report);
    // One is enough to see that others do not do it.
    let twin = Namespace::naive(&["/guest", "signal-init", "1"]).run();
    assert!(!all_passed_on(&twin), "{:#?}", twin.report);
}

#[test]
fn stops_when_it_is_told_to() {
    for signal in ["USR1", "USR2", "TERM", "INT"] {
        let script = format!("kill -{signal} 1; exec /guest sleep");
        let outcome = Namespace::new(&["/bin/sh", "-c", &script]).run();
        assert_eq!(outcome.code(), Some(128 + 15), "{signal}: {}", outcome.console);
        assert!(outcome.console.contains(" killed by signal 15"), "{signal}: {}", outcome.console);
    }
    // An init that takes no signals does not even notice.
    let outcome = Namespace::naive(&["/bin/sh", "-c", "kill -USR2 1; kill -TERM 1; exit 5"])
        .may_reboot()
        .run();
    assert_eq!(outcome.code(), Some(5));
}

#[test]
fn leaves_alone_a_machine_of_which_it_is_a_part() {
    // With CAP_SYS_BOOT, as in a container with every privilege, reboot(2) would have a signal
    // kill PID 1 (`reboot_pid_ns` in kernel/pid_namespace.c), and the status would be lost.
    let outcome = Namespace::new(&["/guest", "exit", "3"]).may_reboot().run();
    assert_eq!((outcome.code(), outcome.signal()), (Some(3), None));
    // An init that does call it.
    let outcome = Namespace::with_init(&["/guest", "power-off"], &[]).may_reboot().run();
    assert_eq!((outcome.code(), outcome.signal()), (None, Some(2)));
}

#[test]
fn asks_for_what_it_was_told() {
    // The program, and what reboot(2) is asked for in the end.
    let told = |signal: &str| format!("kill -{signal} 1; exec /guest sleep");
    for (script, command) in [
        (told("USR1"), "HALT"),
        (told("USR2"), "POWER_OFF"),
        (told("TERM"), "RESTART"),
        (told("INT"), "RESTART"),
        ("exit 3".into(), "POWER_OFF"),
    ] {
        let machine = Machine::start(&["/bin/sh", "-c", &script]);
        common::wait_until(command, || machine.asked(command) == 1);
        let trace = machine.trace();
        let calls: Vec<&str> =
            trace.lines().filter(|line| line.contains("LINUX_REBOOT_CMD")).collect();
        assert!(calls.last().is_some_and(|call| call.contains(command)), "{script}: {trace}");
        // PID 1 itself asks for Ctrl-Alt-Del only: the rest would end it on some machines.
        let pid = |call: &str| call.split(' ').next().map(str::to_string);
        assert!(calls[0].contains("CMD_CAD_OFF"), "{trace}");
        assert_ne!(pid(calls[0]), pid(calls[calls.len() - 1]), "{trace}");
    }
}

/// A PID 1 that believes that it is the machine's own: reboot(2) says that all is well, and does
/// nothing.
struct Machine {
    out: common::TempDir,
    _root: common::TempDir,
    child: std::process::Child,
    pid1: i32,
}

impl Machine {
    fn start(program: &[&str]) -> Machine {
        let (out, root) = (common::TempDir::new(), common::TempDir::new());
        let init = ["/guest", "without-reboot", "/init"];
        let namespace = Namespace::with_init(&init, program).trace("reboot");
        let child = namespace.command(root.path(), out.path()).spawn().expect("spawn");
        let pid1 = common::pid1_of(child.id());
        Machine { out, _root: root, child, pid1 }
    }

    fn trace(&self) -> String {
        std::fs::read_to_string(self.out.path().join("trace")).unwrap_or_default()
    }

    /// How often reboot(2) was asked for this.
    fn asked(&self, command: &str) -> usize {
        self.trace().matches(&format!("CMD_{command}) ")).count()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        common::signal(self.pid1, libc::SIGKILL);
        let _ = self.child.wait();
    }
}

#[test]
fn kills_processes_that_do_not_exit() {
    compare(|with| with(&["/guest", "stubborn"]), all_announced);
}

#[test]
fn gives_time_to_exit() {
    compare(
        |with| with(&["/guest", "slow"]),
        |outcome| all_announced(outcome) && outcome.report.contains(&"saved".into()),
    );
}

#[test]
fn wakes_stopped_processes() {
    compare(|with| with(&["/guest", "stopped"]), all_announced);
}

#[test]
fn goes_on_when_the_machine_does() {
    // The machine "was switched off", and is still there: PID 1 waits, and
    // obeys when it is told once more.
    let machine = Machine::start(&["/guest", "exit", "4"]);
    let idle = || common::sleeps_in(machine.pid1) == Some(libc::SYS_rt_sigtimedwait);
    common::wait_until("it switches the machine off", || machine.asked("POWER_OFF") == 1 && idle());
    common::signal(machine.pid1, libc::SIGTERM);
    common::wait_until("it restarts the machine", || machine.asked("RESTART") == 1 && idle());
    // An init that exits with its program is not there any more.
    let twin = ["/guest", "without-reboot", "/guest", "naive"];
    let outcome = Namespace::with_init(&twin, &["/guest", "exit", "4"]).run();
    assert_eq!(outcome.code(), Some(4));
}
