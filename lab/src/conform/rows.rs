//! The rows of the contract, and how each is checked.

use super::{Bench, End, Finish, Row, Setup};
use crate::bench::jail::{Run, bind};
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::ptrace;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, pthread_sigmask, signal};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, close, dup2_stderr, dup2_stdin, dup2_stdout, pipe2, setsid};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, SeccompRule, TargetArch};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

/// All rows, in the order of an init's life.
pub const ROWS: &[Row] = &[
    Row { name: "pid", demand: "started with another PID than 1, says so and exits", check: pid },
    Row { name: "mounts", demand: "mounts /proc, /sys, /dev/pts, /run", check: mounts },
    Row { name: "mounted", demand: "where /proc is mounted, mounts nothing", check: mounted },
    Row { name: "no-mount", demand: "says that a mount fails, and carries on", check: no_mount },
    Row {
        name: "descriptors",
        demand: "opens descriptors 0, 1, 2 if they are closed",
        check: descriptors,
    },
    Row { name: "terminal", demand: "the console is the program's terminal", check: terminal },
    Row { name: "program", demand: "finds the program among its arguments", check: program },
    Row { name: "inheritance", demand: "the program gets a clean start", check: inheritance },
    Row {
        name: "cannot-run",
        demand: "says why the program cannot be executed",
        check: cannot_run,
    },
    Row {
        name: "no-process",
        demand: "survives when no process can be started",
        check: no_process,
    },
    Row { name: "reports", demand: "a line for each process that exits", check: reports },
    Row { name: "orphans", demand: "reaps thousands that exit at once", check: orphans },
    Row { name: "storm", demand: "loses none in a storm of signals", check: storm },
    Row {
        name: "full-pipe",
        demand: "carries on when its lines go into a full pipe",
        check: full_pipe,
    },
    Row {
        name: "closed-pipe",
        demand: "carries on when the pipe has no reader left",
        check: closed_pipe,
    },
    Row {
        name: "deaf-terminal",
        demand: "carries on with a terminal that nobody reads",
        check: deaf_terminal,
    },
    Row { name: "names", demand: "prints names from outside harmlessly", check: names },
    Row {
        name: "requests",
        demand: "halts, powers off, restarts as it is asked to",
        check: requests,
    },
    Row { name: "passes-on", demand: "passes other signals on", check: passes_on },
    Row { name: "patience", demand: "stopping, gives every process time to exit", check: patience },
    Row { name: "prompt", demand: "waits no longer than it has to", check: prompt },
    Row { name: "kill", demand: "kills processes that do not exit", check: kills },
    Row {
        name: "alarms",
        demand: "kills them even if SIGALRM comes again and again",
        check: alarms,
    },
    Row {
        name: "unreapable",
        demand: "gives up on a process that cannot be reaped",
        check: unreapable,
    },
    Row { name: "unmounts", demand: "leaves file systems clean", check: unmounts },
    Row { name: "twice", demand: "asked twice at once, stops once, and properly", check: twice },
    Row {
        name: "frozen-disk",
        demand: "asked again, does not wait for the disks",
        check: frozen_disk,
    },
    Row { name: "power-off", demand: "powers off when the program exits", check: power_off },
    Row {
        name: "survives",
        demand: "carries on if the machine is not switched off",
        check: survives,
    },
    Row {
        name: "container",
        demand: "as a part of a machine, leaves the machine alone",
        check: container,
    },
    Row { name: "status", demand: "in a container, exits as the program did", check: status },
    Row { name: "idle", demand: "never wakes up while nothing happens", check: idle },
];

/// A piece of shell script as the program.
fn shell(script: &str) -> Setup {
    Setup::new(&["/bin/sh", "-c", script])
}

fn write(path: PathBuf, text: &str, mode: u32) -> Result<()> {
    fs::write(&path, text).with_context(|| path.display().to_string())?;
    fs::set_permissions(&path, fs::Permissions::from_mode(mode)).context("chmod")
}

/// Mounts a file system on a folder that is made.
fn mount_on(root: &Path, kind: &str, source: &str, target: &str) -> Result<()> {
    let path = root.join(target);
    fs::create_dir_all(&path).with_context(|| path.display().to_string())?;
    mount(Some(source), &path, Some(kind), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("mount {kind}"))
}

fn close_all() -> Result<()> {
    (0..3).try_for_each(|descriptor| close(descriptor).context("close"))
}

/// Has reboot(2) say that all is well, and do nothing.
fn pretend_to_reboot() -> Result<()> {
    filter([(libc::SYS_reboot, vec![])].into(), 0)
}

/// Has system calls return an error.
fn filter(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: u32) -> Result<()> {
    let (otherwise, answer) = (SeccompAction::Allow, SeccompAction::Errno(errno));
    let filter = SeccompFilter::new(rules, otherwise, answer, TargetArch::x86_64)?;
    let filter: BpfProgram = filter.try_into()?;
    seccompiler::apply_filter(&filter).context("seccomp")
}

fn pid(bench: &Bench) -> Result<()> {
    let script = "/init > /out/stdout 2> /out/stderr; echo \"status $?\" > /out/report";
    let run = Setup::command(&["/bin/sh", "-c", script]).start(bench)?;
    run.until("it exits", || run.out("report").ends_with('\n'))?;
    let said = run.out("stderr");
    ensure!(said == "init: must run as PID 1\n", "it says {said:?}");
    let (stdout, status) = (run.out("stdout"), run.out("report"));
    ensure!(stdout.is_empty(), "it says on its standard output: {stdout:?}");
    ensure!(status == "status 1\n", "it exits with {status}");
    let outcome = Setup::new(&["/guest", "exit", "0"]).run(bench)?;
    ensure!(!outcome.console.contains("must run as PID 1"), "it says so as PID 1, too");
    Ok(())
}

fn mounts(bench: &Bench) -> Result<()> {
    let outcome = Setup::new(&["/guest", "look"]).run(bench)?;
    outcome.fact("parent")?;
    let wanted: [(&str, &[&str]); 4] = [
        ("proc /proc proc ", &["rw", "nosuid", "nodev", "noexec"]),
        ("sysfs /sys sysfs ", &["rw", "nosuid", "nodev", "noexec"]),
        ("devpts /dev/pts devpts ", &["rw", "nosuid", "noexec"]),
        ("tmpfs /run tmpfs ", &["rw", "nosuid", "nodev", "noexec", "mode=755"]),
    ];
    for (start, flags) in wanted {
        let start = format!("mount {start}");
        let mounted = outcome.report.iter().find_map(|line| line.strip_prefix(start.as_str()));
        let (target, kind) = (start.split(' ').nth(2), start.split(' ').nth(3));
        let (target, kind) = (target.unwrap_or_default(), kind.unwrap_or_default());
        let mounted = mounted
            .with_context(|| format!("no {kind} is on {target}; console: {}", outcome.console))?;
        let options: Vec<&str> = mounted.split([',', ' ']).collect();
        for flag in flags {
            ensure!(options.contains(flag), "{target} is not {flag}: {mounted}");
        }
    }
    Ok(())
}

fn mounted(bench: &Bench) -> Result<()> {
    let setup = Setup::new(&["/guest", "look"]).prepare(|root| {
        mount_on(root, "proc", "mine", "proc")?;
        mount_on(root, "tmpfs", "mine", "run")?;
        mount_on(root, "tmpfs", "mine", "dev")
    });
    let outcome = setup.run(bench)?;
    outcome.fact("parent")?;
    for target in ["/proc", "/run", "/dev"] {
        let here = |line: &&String| {
            let mut words = line.split(' ');
            words.next() == Some("mount") && words.nth(1) == Some(target)
        };
        let mounts: Vec<&String> = outcome.report.iter().filter(here).collect();
        ensure!(
            mounts.len() == 1 && mounts[0].starts_with("mount mine "),
            "on {target}: {mounts:?}"
        );
    }
    let console = &outcome.console;
    ensure!(!console.contains("cannot mount"), "it says: {console}");
    // An engine may leave something out on purpose.
    let outcome = Setup::new(&["/guest", "look"])
        .prepare(|root| mount_on(root, "proc", "mine", "proc"))
        .run(bench)?;
    outcome.fact("parent")?;
    for target in ["/sys", "/dev/pts", "/run"] {
        let line = |line: &&String| line.starts_with("mount ") && line.contains(target);
        let mounted = outcome.report.iter().find(line);
        ensure!(mounted.is_none(), "there is a /proc, but it mounts {target}: {mounted:?}");
    }
    Ok(())
}

fn no_mount(bench: &Bench) -> Result<()> {
    let setup =
        Setup::new(&["/guest", "look"]).prepare(|root| write(root.join("sys"), "a file", 0o644));
    let outcome = setup.run(bench)?;
    outcome.expect_line("init: cannot mount /sys: errno 20")?;
    let has_run = outcome.report.iter().any(|line| line.starts_with("mount tmpfs /run "));
    ensure!(has_run, "/run, which comes after /sys, is not mounted");
    outcome.expect_end(End::Status(0))
}

/// The first shell does nothing but wait, so its descriptors are as it got
/// them. A Rust program would open the closed ones before its main function.
const LOOK_AT_DESCRIPTORS: [&str; 4] = [
    "/bin/sh",
    "-c",
    "/bin/sh -c \"$0\"; exit",
    "for n in 0 1 2 3; do
        link=$(readlink /proc/$PPID/fd/$n || echo closed)
        echo \"descriptor $n $link\" >> /out/report
    done",
];

fn descriptors(bench: &Bench) -> Result<()> {
    let look = |what: &str, wanted: [&str; 4], prepare: fn(&Path) -> Result<()>| {
        let outcome = Setup::new(&LOOK_AT_DESCRIPTORS).prepare(prepare).run(bench)?;
        for (number, wanted) in wanted.iter().enumerate() {
            outcome.expect(&format!("descriptor {number}"), wanted).context(what.to_string())?;
        }
        anyhow::Ok(())
    };
    let null = "/dev/null";
    look("all closed, no console", [null, null, null, "closed"], |_| close_all())?;
    let console = "/dev/console";
    look("all closed, a console", [console, console, console, "closed"], |root| {
        write(root.join("dev/console"), "", 0o600)?;
        close_all()
    })?;
    look("one closed", [console, null, console, "closed"], |root| {
        write(root.join("dev/console"), "", 0o600)?;
        dup2_stdout(File::open("/dev/null")?)?;
        close(0)?;
        Ok(close(2)?)
    })?;
    look("no /dev/console, no /dev/null", ["closed"; 4], |root| {
        mount_on(root, "tmpfs", "empty", "dev")?;
        close_all()
    })
}

/// A pseudo-terminal: the side of the person, and the path of the other side.
fn pseudo_terminal() -> Result<(PtyMaster, PathBuf)> {
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let terminal = posix_openpt(flags).context("posix_openpt")?;
    grantpt(&terminal).context("grantpt")?;
    unlockpt(&terminal).context("unlockpt")?;
    let path = ptsname_r(&terminal).context("ptsname")?;
    Ok((terminal, path.into()))
}

/// Makes a terminal /dev/console.
fn make_console(root: &Path, terminal: &Path) -> Result<()> {
    let console = root.join("dev/console");
    write(console.clone(), "", 0o600)?;
    bind(terminal, &console)
}

/// With this, PID 1 finds a terminal as /dev/console, and no descriptor open.
fn on_terminal(setup: Setup, path: PathBuf) -> Setup {
    setup.prepare(move |root| {
        make_console(root, &path)?;
        close_all()
    })
}

/// With this, the terminal is on all descriptors, too, and PID 1 leads the session
/// that it controls: so container engines start it with `-t`.
fn in_control(setup: Setup, path: PathBuf) -> Setup {
    setup.prepare(move |root| {
        make_console(root, &path)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags(libc::O_NOCTTY);
        let terminal = options.open(&path).with_context(|| path.display().to_string())?;
        setsid().context("setsid")?;
        // SAFETY: no memory is involved.
        let returned = unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSCTTY, 0) };
        Errno::result(returned).context("take the terminal")?;
        dup2_stdin(&terminal).context("dup2")?;
        dup2_stdout(&terminal).context("dup2")?;
        dup2_stderr(&terminal).context("dup2")
    })
}

fn terminal(bench: &Bench) -> Result<()> {
    terminal_of(bench, on_terminal).context("PID 1 without a terminal of its own")?;
    terminal_of(bench, in_control).context("PID 1 that controls the terminal")?;

    // Where the console is no terminal, the program has none, but it leads a session.
    let outcome = Setup::new(&["/guest", "look"]).run(bench)?;
    outcome.expect("controlling terminal", "false")?;
    outcome.expect("leads its session", "true")
}

/// Demands that the program has the terminal, and that Ctrl-C there reaches it.
fn terminal_of(bench: &Bench, with_terminal: fn(Setup, PathBuf) -> Setup) -> Result<()> {
    let (_terminal, path) = pseudo_terminal()?;
    let outcome = with_terminal(Setup::new(&["/guest", "look"]), path).run(bench)?;
    outcome.expect("controlling terminal", "true")?;

    let (mut terminal, path) = pseudo_terminal()?;
    let mut run = with_terminal(Setup::new(&["/guest", "foreground"]), path).start(bench)?;
    let mut said = String::new();
    while !said.contains("waiting for Ctrl-C") {
        let mut descriptors = [PollFd::new(terminal.as_fd(), PollFlags::POLLIN)];
        let is_there = poll(&mut descriptors, PollTimeout::from(10_000u16)).context("poll")?;
        let mut bytes = [0; 256];
        let length = if is_there > 0 { terminal.read(&mut bytes).unwrap_or(0) } else { 0 };
        ensure!(length > 0, "the program's line does not arrive at the terminal: {said:?}");
        said += &String::from_utf8_lossy(&bytes[..length]);
    }
    run.check_executed()?;
    terminal.write_all(b"\x03").context("type Ctrl-C")?;
    run.outcome(Duration::from_secs(10)).context("Ctrl-C")?.expect_end(End::Status(128 + 2))
}

fn program(bench: &Bench) -> Result<()> {
    let words = ["splash", "foo.bar", "/guest", "look", "/a", "b c", ""];
    Setup::new(&words).run(bench)?.expect("arguments", "/guest|look|/a|b c|")?;
    Setup::new(&["/guest", "look"]).run(bench)?.expect("arguments", "/guest|look")?;
    let outcome = Setup::new(&["quiet"])
        .prepare(|root| write(root.join("etc/rc"), "#!/bin/sh\necho \"rc $#\"; exit 9\n", 0o755))
        .run(bench)?;
    outcome.expect_line("rc 0").context("with no program named, and an /etc/rc")?;
    outcome.expect_end(End::Status(9))?;
    let outcome = Setup::new(&["quiet"]).run(bench)?;
    outcome.expect_line("init: cannot run /etc/rc: errno 2")
}

fn inheritance(bench: &Bench) -> Result<()> {
    let setup = Setup::new(&["/guest", "look"]).environment("COLOUR=light blue");
    let outcome = setup.run(bench)?;
    let has = outcome.report.contains(&"environment COLOUR=light blue".into());
    ensure!(has, "the environment does not arrive");
    outcome.expect("parent", "1")?;
    // The process that started PID 1 left some signals ignored, and some blocked.
    let ignored = [Signal::SIGHUP, Signal::SIGPIPE, Signal::SIGCHLD, Signal::SIGUSR1];
    // Not by a program in Rust, whose runtime ignores SIGPIPE, nor by a shell, which unblocks signals.
    let outcome = Setup::new(&["/bin/cat", "/proc/self/status"])
        .prepare(move |_| {
            for ignored in ignored {
                // SAFETY: no handler.
                unsafe { signal(ignored, SigHandler::SigIgn) }.context("ignore")?;
            }
            let blocked = SigSet::from_iter([Signal::SIGTERM, Signal::SIGUSR2]);
            pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&blocked), None).context("block")
        })
        .run(bench)?;
    for set in ["SigBlk", "SigIgn"] {
        let line =
            outcome.console.lines().find_map(|line| line.strip_prefix(set)?.strip_prefix(":\t"));
        let seen = line.with_context(|| format!("nothing runs; console: {}", outcome.console))?;
        ensure!(seen == "0000000000000000", "{set} of the program is {seen}");
    }
    Ok(())
}

fn cannot_run(bench: &Bench) -> Result<()> {
    let cases: [(&str, &str, i32, i32, u32); 3] = [
        ("missing", "/missing", 2, 127, 0),
        ("not executable", "/etc/data", 13, 126, 0o644),
        ("not a program", "/etc/data", 8, 126, 0o755),
    ];
    for (what, path, errno, status, mode) in cases {
        let outcome = Setup::new(&[path])
            .prepare(
                move |root| {
                    if mode > 0 { write(root.join("etc/data"), "text", mode) } else { Ok(()) }
                },
            )
            .run(bench)?;
        outcome.expect_line(&format!("init: cannot run {path}: errno {errno}")).context(what)?;
        outcome.expect_end(End::Status(status)).context(what)?;
    }
    Ok(())
}

fn no_process(bench: &Bench) -> Result<()> {
    let calls = [libc::SYS_fork, libc::SYS_vfork, libc::SYS_clone, libc::SYS_clone3];
    let outcome = Setup::new(&["/guest", "exit", "0"])
        .prepare(move |_| filter(calls.map(|call| (call, vec![])).into(), libc::EAGAIN as u32))
        .run(bench)?;
    outcome.expect_line("init: cannot run /guest: errno 11")?;
    outcome.expect_end(End::Status(126))
}

fn reports(bench: &Bench) -> Result<()> {
    for what in ["statuses", "deaths"] {
        let outcome = Setup::new(&["/guest", what]).run(bench)?;
        outcome.expect("zombies", "0").context(what)?;
        outcome.expect_announced().context(what)?;
    }
    Ok(())
}

/// Keeps other processes of this program that want it waiting until it is dropped. Thousands of
/// processes at once leave too few PIDs for thousands more: a machine may have only 32,768
/// (proc(5), pid_max).
fn many_processes() -> Result<File> {
    let program = File::open("/proc/self/exe").context("open this program")?;
    program.lock().context("lock this program")?;
    Ok(program)
}

fn orphans(bench: &Bench) -> Result<()> {
    let turn = many_processes()?;
    let outcome = Setup::new(&["/guest", "burst", "5000"]).run(bench)?;
    drop(turn);
    outcome.expect("at once", "5000")?;
    outcome.expect("zombies", "0")?;
    let end = " exited with status 0";
    let lines = outcome.console.lines().filter(|line| line.ends_with(end)).count();
    ensure!(lines >= 5000, "{lines} lines for 5000 orphans");
    let outcome = Setup::new(&["/guest", "orphans", "20"]).run(bench)?;
    outcome.expect("zombies", "0").context("one at a time")
}

fn storm(bench: &Bench) -> Result<()> {
    let outcome = Setup::new(&["/guest", "storm", "5000"]).run(bench)?;
    outcome.expect("zombies", "0")?;
    outcome.expect_announced()
}

fn full_pipe(bench: &Bench) -> Result<()> {
    let (_reader, writer) = pipe2(OFlag::O_CLOEXEC).context("make a pipe")?;
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).context("fcntl")?;
    let mut file = File::from(writer.try_clone().context("dup")?);
    while file.write(b"a line that nobody takes\n").is_ok() {}
    while file.write(b"x").is_ok() {}
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::empty())).context("fcntl")?;
    let setup = Setup::new(&["/guest", "orphans", "20"]).prepare(move |root| {
        // Something to say before the program is started, too: a mount fails.
        write(root.join("sys"), "a file", 0o644)?;
        dup2_stderr(&writer).context("dup2")
    });
    let outcome = setup.start(bench)?.outcome(Duration::from_secs(20))?;
    outcome.expect("zombies", "0")?;
    outcome.expect_end(End::Status(0))
}

fn closed_pipe(bench: &Bench) -> Result<()> {
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).context("make a pipe")?;
    drop(reader);
    // A process that writes to it gets a SIGPIPE. PID 1 must not pass its own on to the
    // program, here a shell, which would be killed by it.
    let setup =
        shell("/guest orphans 20; exit 5").prepare(move |_| dup2_stderr(&writer).context("dup2"));
    let outcome = setup.start(bench)?.outcome(Duration::from_secs(20))?;
    outcome.expect_end(End::Status(5))?;
    outcome.expect("zombies", "0")
}

fn deaf_terminal(bench: &Bench) -> Result<()> {
    // The lines fill it until there is only room for a part of one. Then poll(2) says
    // that it can be written to, and write(2) waits until somebody reads it.
    let (_terminal, path) = pseudo_terminal()?;
    let setup = on_terminal(Setup::new(&["/guest", "burst", "3000"]), path);
    let _turn = many_processes()?;
    let outcome = setup
        .start(bench)?
        .outcome(Duration::from_secs(20))
        .context("nobody reads the terminal")?;
    outcome.expect("zombies", "0")?;
    outcome.expect_end(End::Status(0))
}

fn names(bench: &Bench) -> Result<()> {
    let outcome = Setup::new(&["/\u{1b}[2J\nü\u{7f}x"]).run(bench)?;
    outcome.expect_line("init: cannot run /?[2J????x: errno 2")?;
    let outcome = Setup::new(&[&format!("/{}", "y".repeat(5000))]).run(bench)?;
    let line = outcome.console.lines().find(|line| line.contains("cannot run")).unwrap_or_default();
    let start = line.starts_with("init: cannot run /yyyy");
    ensure!(start && line.ends_with("yyyy: errno 36"), "a long name is printed as {line:?}");
    Ok(())
}

/// The calls of reboot(2): who made it, and the command.
fn reboots(trace: &str) -> Vec<(i32, String)> {
    let call = |line: &str| {
        let pid = line.split_whitespace().next()?.parse().ok()?;
        let command = line.split_once("LINUX_REBOOT_CMD_")?.1;
        let end = command.find(|c: char| c != '_' && !c.is_ascii_uppercase())?;
        Some((pid, command[..end].to_string()))
    };
    trace.lines().filter_map(call).collect()
}

/// With this, PID 1 believes that it is the machine's own: reboot(2) says that all is well, and
/// does nothing.
fn as_machine(setup: Setup, calls: &str) -> Setup {
    setup.strace(calls).prepare(|_| pretend_to_reboot())
}

/// Waits until the machine would stop in this way.
fn until_asked(run: &Run, command: &str) -> Result<()> {
    run.until(&format!("reboot(2) is asked for {command}"), || {
        reboots(&run.trace()).iter().any(|(_, asked)| asked == command)
    })
}

fn requests(bench: &Bench) -> Result<()> {
    for (signal, command) in
        [("USR1", "HALT"), ("USR2", "POWER_OFF"), ("TERM", "RESTART"), ("INT", "RESTART")]
    {
        let what = || format!("after SIG{signal}");
        let script = format!("kill -{signal} 1; exec /guest sleep");
        let run = as_machine(shell(&script), "reboot").start(bench)?;
        let pid = run.pid().as_raw();
        until_asked(&run, command).with_context(what)?;
        let (trace, console) = (run.trace(), run.console());
        let reboots = reboots(&trace);
        ensure!(
            reboots.first() == Some(&(pid, "CAD_OFF".into())),
            "Ctrl-Alt-Del is not made a signal: {trace}"
        );
        let last = reboots.last().context("no call")?;
        ensure!(last.1 == command, "SIG{signal}: reboot(2) is asked for {}", last.1);
        ensure!(last.0 != pid, "SIG{signal}: reboot(2) is called by PID 1, not by a child");
        ensure!(
            console.contains(" killed by signal 15"),
            "SIG{signal}: no line for the program: {console}"
        );
        let outcome = shell(&script).run(bench).with_context(what)?;
        outcome.expect_end(End::Status(128 + 15)).with_context(what)?;
    }
    Ok(())
}

fn passes_on(bench: &Bench) -> Result<()> {
    // Not those that stop the machine (2, 10, 12, 15), nor those that PID 1
    // cannot have (9, 19), or does not pass on (17, SIGCHLD), nor what C libraries keep to themselves (32 to 34).
    let signals = "1 3 4 5 6 7 8 11 13 14 16 18 20 21 22 23 24 25 26 27 28 29 30 31 35 50 64";
    let words: Vec<&str> =
        ["/guest", "signal-init"].into_iter().chain(signals.split(' ')).collect();
    let outcome = Setup::new(&words).run(bench).or_else(|_| {
        // If the init passes nothing on, the program waits 3 s for each signal.
        Setup::new(&words[..4]).run(bench)
    })?;
    let sent = outcome.report.iter().filter_map(|line| line.strip_prefix("sent "));
    let wrong: Vec<&str> = sent
        .clone()
        .filter(|line| line.split_once(" got ").is_none_or(|(sent, got)| sent != got))
        .collect();
    ensure!(wrong.is_empty(), "sent {}", wrong.join(", sent "));
    let count = sent.count();
    ensure!(count == words.len() - 2, "{count} of {} signals came", words.len() - 2);
    Ok(())
}

fn patience(bench: &Bench) -> Result<()> {
    let outcome = Setup::new(&["/guest", "slow"]).run(bench)?;
    let saved = outcome.report.contains(&"saved".into());
    ensure!(saved, "a process that needs 300 ms to exit after SIGTERM did not get them");
    outcome.expect_announced().context("a slow process")?;
    let outcome = Setup::new(&["/guest", "stopped"]).run(bench)?;
    outcome.expect_announced().context("a stopped process")?;
    outcome.expect_end(End::Status(0))
}

fn prompt(bench: &Bench) -> Result<()> {
    // Less than the grace time, more than anything else takes.
    let limit = Duration::from_secs(3);
    Setup::new(&["/guest", "exit", "0"]).start(bench)?.outcome(limit)?;
    Setup::new(&["/guest", "slow"]).start(bench)?.outcome(limit).context("a slow process")?;
    Ok(())
}

fn kills(bench: &Bench) -> Result<()> {
    let outcome = Setup::new(&["/guest", "stubborn"]).run(bench)?;
    outcome.expect_announced()?;
    outcome.expect_end(End::Status(0))
}

fn alarms(bench: &Bench) -> Result<()> {
    let run = Setup::new(&["/guest", "send-alarms"]).start(bench)?;
    run.until("a program that is told to exit, and sends SIGALRM, has saved its work", || {
        run.out("report") == "saved\n"
    })?;
    // A signal that is pending is not sent twice: if PID 1 has a timer of its own and cannot take
    // the program's signal before that goes off, at the end of the grace time, the timer's is lost.
    run.signal(Signal::SIGSTOP)?;
    sleep(Duration::from_secs(6));
    run.signal(Signal::SIGCONT)?;
    run.outcome(super::PATIENCE)?.expect_end(End::Status(128 + 9))
}

/// A process that this one traces: the kernel has its parent wait until this one has
/// reaped it (`wait_consider_task` in kernel/exit.c). When this is dropped, it is killed and reaped.
struct Traced(Pid);

impl Traced {
    fn child_of(parent: Pid) -> Result<Traced> {
        let tasks = format!("/proc/{parent}/task");
        for task in fs::read_dir(&tasks).context(tasks)? {
            let path = task.context("a thread of PID 1")?.path().join("children");
            let children = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            if let Some(child) = children.split_whitespace().next() {
                let child = Pid::from_raw(child.parse().context("a PID")?);
                ptrace::seize(child, ptrace::Options::empty()).context("ptrace")?;
                return Ok(Traced(child));
            }
        }
        bail!("PID 1 has no child")
    }
}

impl Drop for Traced {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGKILL);
        while matches!(
            waitpid(self.0, None),
            Ok(WaitStatus::Stopped(..) | WaitStatus::PtraceEvent(..))
        ) {}
    }
}

fn unreapable(bench: &Bench) -> Result<()> {
    let run = shell("echo ready > /out/report; exec sleep 1000").start(bench)?;
    run.until("the program starts", || run.out("report") == "ready\n")?;
    let program = Traced::child_of(run.pid())?;
    run.signal(Signal::SIGTERM)?;
    // It has no memory any more, then, and still cannot be gone before all of its
    // namespace are (zap_pid_ns_processes in kernel/pid_namespace.c).
    let executable = format!("/proc/{}/exe", run.pid());
    run.until("it exits without its program", || fs::read_link(&executable).is_err())?;
    drop(program);
    run.outcome(super::PATIENCE)?.expect_end(End::Status(128 + 9))
}

fn unmounts(bench: &Bench) -> Result<()> {
    // A PID 1 that may switch Ctrl-Alt-Del off has the machine to itself.
    let script =
        "mkdir -p /mnt/one && mount -t tmpfs tmpfs /mnt/one && mkdir '/mnt/one/two words' &&
        mount -t tmpfs tmpfs '/mnt/one/two words'; echo mounted $? > /out/report";
    let setup = |is_own: bool| {
        shell(script).strace("umount2,mount,sync,reboot").prepare(move |root| {
            // Cannot be unmounted: PID 1 itself has a file open there.
            mount_on(root, "tmpfs", "tmpfs", "busy")?;
            write(root.join("busy/file"), "", 0o644)?;
            dup2_stdout(File::open(root.join("busy/file")).context("open a file")?)?;
            if is_own { pretend_to_reboot() } else { Ok(()) }
        })
    };
    let run = setup(true).start(bench)?;
    until_asked(&run, "POWER_OFF")?;
    ensure!(run.out("report") == "mounted 0\n", "it mounts nothing: {}", run.console());
    let trace = &run.trace();
    let end = trace.find("LINUX_REBOOT_CMD_POWER_OFF").context("reboot(2) is not called")?;
    let position = |what: &str, line: &dyn Fn(&str) -> bool| {
        let found = trace.lines().find(|text| line(text));
        let found = found.with_context(|| what.to_string())?;
        let position = found.as_ptr() as usize - trace.as_ptr() as usize;
        ensure!(position < end, "{what} before reboot(2)");
        anyhow::Ok(position)
    };
    let unmounted = |target: &str| {
        let start = format!("umount2(\"{target}\"");
        let line = |line: &str| line.contains(&start) && line.ends_with("= 0");
        position(&format!("{target} is not unmounted"), &line)
    };
    let sync = position("sync(2) is not called", &|line| line.contains(" sync("))?;
    let (outer, inner) = (unmounted("/mnt/one")?, unmounted("/mnt/one/two words")?);
    ensure!(sync < inner && inner < outer, "the order is wrong: {trace}");
    position("what is busy is not made read-only", &|line| {
        let is_remount = line.contains("MS_RDONLY") && line.contains("MS_REMOUNT");
        line.contains("\"/busy\", ") && is_remount && line.ends_with("= 0")
    })?;
    // To unmount the root is to make it read-only (do_umount in the kernel's fs/namespace.c).
    position("the root is not made read-only", &|line| {
        let is_remount = line.contains("MS_RDONLY") && line.contains("MS_REMOUNT");
        let is_root = line.contains("umount2(\"/\", ") || line.contains("\"/\", ") && is_remount;
        is_root && line.ends_with("= 0")
    })?;
    let outcome = setup(false).run(bench)?;
    ensure!(!outcome.trace.contains("umount2("), "it unmounts what belongs to a container");
    Ok(())
}

fn twice(bench: &Bench) -> Result<()> {
    let script = "echo ready > /out/report; exec /guest sleep";
    let run = as_machine(shell(script), "sync,reboot").start(bench)?;
    run.until("the program starts", || run.out("report") == "ready\n")?;
    // Both are there before PID 1 can take the first.
    run.signal(Signal::SIGSTOP)?;
    run.signal(Signal::SIGUSR2)?;
    run.signal(Signal::SIGTERM)?;
    run.signal(Signal::SIGCONT)?;
    run.until("reboot(2) is called", || reboots(&run.trace()).len() > 2)?;
    let trace = run.trace();
    let (sync, reboot) = (trace.find(" sync("), trace.rfind("reboot(").context("no call")?);
    ensure!(sync.is_some_and(|sync| sync < reboot), "no sync(2) before reboot(2): {trace}");
    let reboots = reboots(&trace);
    let last = reboots.last().context("no call")?;
    ensure!(last.0 != run.pid().as_raw(), "PID 1 did not wait for the disks: {trace}");
    Ok(())
}

fn frozen_disk(bench: &Bench) -> Result<()> {
    // sync(2) takes longer than anybody waits here, as on a file system that is frozen.
    let run = as_machine(Setup::new(&["/guest", "exit", "0"]), "sync,reboot")
        .delay("sync", 600)
        .start(bench)?;
    run.until("the disks are synced", || run.trace().contains(" sync("))?;
    sleep(Duration::from_millis(500));
    let asked =
        || reboots(&run.trace()).into_iter().filter(|(_, asked)| asked != "CAD_OFF").count();
    ensure!(asked() == 0, "it does not wait for the disks at all: {}", run.trace());
    run.signal(Signal::SIGINT)?;
    run.until("it stops the machine without the disks", || asked() > 0)
}

fn power_off(bench: &Bench) -> Result<()> {
    let run = as_machine(Setup::new(&["/guest", "exit", "3"]), "reboot").start(bench)?;
    until_asked(&run, "POWER_OFF")?;
    let trace = run.trace();
    let reboots = reboots(&trace);
    let (caller, command) = reboots.last().context("no call")?;
    ensure!(command == "POWER_OFF", "reboot(2) is asked for {command}");
    ensure!(*caller != run.pid().as_raw(), "reboot(2) is called by PID 1, not by a child");
    Ok(())
}

fn container(bench: &Bench) -> Result<()> {
    // With CAP_SYS_BOOT, as in a container with every privilege, reboot(2) would have a signal
    // kill PID 1 (`reboot_pid_ns` in kernel/pid_namespace.c), and the status would be lost.
    let outcome =
        Setup::new(&["/guest", "exit", "3"]).may_reboot().strace("sync,reboot").run(bench)?;
    outcome.expect_end(End::Status(3))?;
    ensure!(!outcome.trace.contains(" sync("), "it syncs the disks of a whole machine");
    let outcome = shell("kill -USR2 1; exec /guest sleep").may_reboot().run(bench)?;
    outcome.expect_end(End::Status(128 + 15))
}

fn survives(bench: &Bench) -> Result<()> {
    // The machine "was switched off", and is still there: PID 1 waits, and
    // obeys when it is told once more.
    let run = as_machine(Setup::new(&["/guest", "exit", "4"]), "reboot").start(bench)?;
    let asked =
        |command: &str| reboots(&run.trace()).iter().filter(|(_, asked)| asked == command).count();
    until_asked(&run, "POWER_OFF")?;
    sleep(Duration::from_millis(500));
    let before = activity(&run).context("it exited when the machine was not switched off")?;
    sleep(Duration::from_secs(1));
    let after = activity(&run).context("it exited when the machine was not switched off")?;
    ensure!(before == after, "it spins: it woke up {} times in 1 s", after.0 - before.0);
    run.signal(Signal::SIGTERM)?;
    until_asked(&run, "RESTART")?;
    ensure!(
        asked("POWER_OFF") == 1,
        "it calls reboot(2) to power off {} times",
        asked("POWER_OFF")
    );
    Ok(())
}

fn status(bench: &Bench) -> Result<()> {
    for status in [0, 1, 3, 42, 127, 128, 254, 255] {
        let outcome = Setup::new(&["/guest", "exit", &status.to_string()]).run(bench)?;
        outcome.expect_end(End::Status(status))?;
    }
    for signal in [1, 6, 9, 11, 15, 31, 34, 64] {
        let outcome = Setup::new(&["/guest", "die", &signal.to_string()]).run(bench)?;
        outcome.expect_end(End::Status(128 + signal))?;
    }
    Ok(())
}

fn idle(bench: &Bench) -> Result<()> {
    let run = shell("echo ready > /out/report; exec sleep 1000").start(bench)?;
    run.until("the program starts", || run.out("report") == "ready\n")?;
    sleep(Duration::from_secs(1));
    let gone = "it exited while its program slept";
    let before = activity(&run).context(gone)?;
    sleep(Duration::from_secs(3));
    let after = activity(&run).context(gone)?;
    ensure!(
        before == after,
        "in 3 s, it woke up {} times, for {} ns",
        after.0 - before.0,
        after.1 - before.1
    );
    Ok(())
}

/// How often the threads of PID 1 went to sleep, and how many nanoseconds they ran.
fn activity(run: &crate::bench::jail::Run) -> Option<(u64, u64)> {
    let mut sum = (0, 0);
    for thread in fs::read_dir(format!("/proc/{}/task", run.pid())).ok()? {
        let path = thread.ok()?.path();
        let status = fs::read_to_string(path.join("status")).ok()?;
        if status.contains("State:\tZ") {
            return None;
        }
        let number = |line: &str| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok();
        sum.0 += status.lines().filter_map(number).sum::<u64>();
        let times = fs::read_to_string(path.join("schedstat")).ok()?;
        sum.1 += times.split(' ').next()?.parse::<u64>().ok()?;
    }
    Some(sum)
}
