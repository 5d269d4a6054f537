//! What runs under PID 1 in the tests.
//!
//! `guest WHAT [ARGUMENT...]`; what it finds out, it adds line by line to the
//! file /out/report, because its descriptors may be closed.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitStatus, wait, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpgrp, getpid, getppid, getsid, pipe, setsid};
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        ["naive", program @ ..] => naive(program),
        ["without-reboot", program @ ..] => without_reboot(program),
        ["look", ..] => look(&arguments),
        ["orphans", count] => orphans(number(count)),
        ["burst", count] => burst(number(count)),
        ["statuses"] => statuses(),
        ["deaths"] => deaths(),
        ["exit", status] => exit(number(status)),
        ["die", signal] => die(number(signal)),
        ["signal-init", signals @ ..] => signal_init(signals),
        ["storm", count] => storm(number(count)),
        ["stubborn"] => stubborn(),
        ["slow"] => slow(),
        ["stopped"] => stopped(),
        ["foreground"] => foreground(),
        ["sleep"] => loop {
            sleep(Duration::MAX);
        },
        other => panic!("guest: what is {other:?}?"),
    }
}

fn number<T: std::str::FromStr>(word: &str) -> T {
    word.parse().unwrap_or_else(|_| panic!("{word} is not a number"))
}

/// Adds a line to the report.
fn report(line: &str) {
    let mut file =
        OpenOptions::new().append(true).create(true).open("/out/report").expect("open /out/report");
    file.write_all(format!("{line}\n").as_bytes()).expect("write /out/report");
}

/// Runs `child` in a child process, which ends with the status that it returns.
fn spawn(child: impl FnOnce() -> i32) -> Pid {
    // SAFETY: this program has one thread only.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Parent { child } => child,
        ForkResult::Child => exit(child()),
    }
}

/// Runs `child` in a process whose parent has ended. Returns its PID.
fn orphan(child: impl FnOnce() -> i32) -> Pid {
    let (reader, writer) = pipe().expect("pipe");
    let parent = spawn(|| {
        let parent = getpid();
        let orphan = spawn(|| {
            while getppid() == parent {
                yield_now();
            }
            child()
        });
        fs::File::from(writer.try_clone().expect("dup"))
            .write_all(&orphan.as_raw().to_ne_bytes())
            .expect("write");
        0
    });
    waitpid(parent, None).expect("wait for the parent");
    drop(writer);
    let mut pid = [0; 4];
    fs::File::from(reader).read_exact(&mut pid).expect("read");
    Pid::from_raw(i32::from_ne_bytes(pid))
}

/// The state of every process but PID 1 and this one: `Z` for a zombie.
fn others() -> Vec<char> {
    let state = |entry: std::io::Result<fs::DirEntry>| {
        let path = entry.ok()?.path();
        let pid: i32 = path.file_name()?.to_str()?.parse().ok()?;
        let stat = fs::read_to_string(path.join("stat")).ok()?;
        let state = stat.rsplit(") ").next()?.chars().next();
        state.filter(|_| pid != 1 && pid != getpid().as_raw())
    };
    let entries = fs::read_dir("/proc").expect("read /proc");
    entries.filter_map(state).collect()
}

/// Waits until nobody else is left, and reports how many zombies there are in
/// the end: 0, or what is left after a time that is ample.
fn report_zombies() {
    let start = Instant::now();
    let mut left = others();
    while !left.is_empty()
        && start.elapsed() < Duration::from_secs(if left.len() < 1000 { 3 } else { 20 })
    {
        sleep(Duration::from_millis(1));
        left = others();
    }
    let zombies = left.iter().filter(|state| **state == 'Z').count();
    report(&format!("zombies {zombies}"));
}

/// An init that does none of the duties: it runs the program, and waits for it
/// alone. The negative twin of every test.
fn naive(program: &[&str]) -> ! {
    let mut child = Command::new(program[0]).args(&program[1..]).spawn().expect("spawn");
    exit(child.wait().expect("wait").code().unwrap_or(1))
}

/// Becomes `program`, to which reboot(2) says that all is well, and does
/// nothing: as a machine that goes on after it was switched off.
fn without_reboot(program: &[&str]) -> ! {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, TargetArch};
    let filter = SeccompFilter::new(
        [(libc::SYS_reboot, vec![])].into(),
        SeccompAction::Allow,
        SeccompAction::Errno(0),
        TargetArch::x86_64,
    );
    let filter: BpfProgram = filter.expect("filter").try_into().expect("compile");
    seccompiler::apply_filter(&filter).expect("apply the filter");
    panic!("{}", Command::new(program[0]).args(&program[1..]).exec())
}

/// Reports what a program finds when it starts.
fn look(arguments: &[String]) {
    report(&format!("arguments {}", arguments.join("|")));
    for (name, value) in std::env::vars() {
        report(&format!("environment {name}={value}"));
    }
    report(&format!("parent {}", getppid()));
    let me = getpid();
    let leads = getsid(None) == Ok(me) && getpgrp() == me;
    report(&format!("leads its session {leads}"));
    let terminal = fs::File::open("/dev/tty").is_ok();
    report(&format!("controlling terminal {terminal}"));
    for descriptor in 0..4 {
        let file = fs::read_link(format!("/proc/self/fd/{descriptor}"));
        report(&format!(
            "descriptor {descriptor} {}",
            file.map_or("closed".into(), |file| file.display().to_string())
        ));
    }
    for line in fs::read_to_string("/proc/self/status").expect("read status").lines() {
        if line.starts_with("Sig") {
            report(&line.replace(":\t", " "));
        }
    }
    for line in fs::read_to_string("/proc/mounts").expect("read mounts").lines() {
        report(&format!("mount {line}"));
    }
}

/// Leaves orphans behind, each as soon as the one before it is gone.
fn orphans(count: usize) {
    for _ in 0..count {
        let pid = orphan(|| 0);
        let start = Instant::now();
        while kill(pid, None) != Err(Errno::ESRCH) && start.elapsed() < Duration::from_millis(200) {
            yield_now();
        }
    }
    report_zombies();
}

/// Leaves many orphans behind at the same time, all of them zombies already.
fn burst(count: usize) {
    let parent = spawn(|| {
        let children: Vec<Pid> = (0..count).map(|_| spawn(|| 0)).collect();
        while others().iter().filter(|state| **state == 'Z').count() < children.len() {
            sleep(Duration::from_millis(5));
        }
        report(&format!("at once {}", children.len()));
        0
    });
    waitpid(parent, None).expect("wait for the parent");
    report_zombies();
}

/// Orphans with every exit status there is.
fn statuses() {
    for status in 0..256 {
        let pid = orphan(move || status);
        report(&format!("init: pid {pid} exited with status {status}"));
    }
    report_zombies();
}

/// Orphans that die of every signal there is.
fn deaths() {
    for signal in 1..=libc::SIGRTMAX() {
        let harmless = [
            libc::SIGCHLD,
            libc::SIGCONT,
            libc::SIGURG,
            libc::SIGWINCH,
            libc::SIGSTOP,
            libc::SIGTSTP,
            libc::SIGTTIN,
            libc::SIGTTOU,
        ];
        // 32 and 33 are the C library's own, but only it may not send them.
        if !harmless.contains(&signal) {
            let pid = orphan(move || die(signal));
            report(&format!("init: pid {pid} killed by signal {signal}"));
        }
    }
    report_zombies();
}

/// Dies of a signal, without leaving a core file.
fn die(signal: i32) -> ! {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain system calls. Rust's runtime and the C library keep some
    // signals from having their way: past them, the kernel is asked directly.
    unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &none);
        let default = [0u64; 4];
        libc::syscall(libc::SYS_rt_sigaction, signal, &default, 0, 8);
        libc::syscall(libc::SYS_kill, libc::getpid(), signal);
    }
    exit(99)
}

/// Blocks all signals, sends some to PID 1, and reports which come back.
fn signal_init(signals: &[&str]) {
    SigSet::all().thread_block().expect("block");
    for signal in signals {
        let signal: i32 = number(signal);
        // SAFETY: plain system calls; a set and a number to write to.
        let came = unsafe {
            libc::kill(1, signal);
            let mut set = std::mem::zeroed();
            libc::sigfillset(&mut set);
            let limit = libc::timespec { tv_sec: 3, tv_nsec: 0 };
            libc::sigtimedwait(&set, std::ptr::null_mut(), &limit)
        };
        report(&format!("sent {signal} got {came}"));
    }
}

/// Sends signals to PID 1 from several processes, while others end.
fn storm(count: usize) {
    SigSet::all().thread_block().expect("block");
    let senders: Vec<Pid> = (0..4)
        .map(|_| {
            spawn(|| {
                for index in 0..count {
                    let kinds = [
                        libc::SIGHUP,
                        libc::SIGWINCH,
                        libc::SIGCHLD,
                        libc::SIGCONT,
                        libc::SIGALRM,
                        libc::SIGPIPE,
                    ];
                    // SAFETY: a plain system call.
                    unsafe { libc::kill(1, kinds[index % kinds.len()]) };
                }
                0
            })
        })
        .collect();
    for status in 0..500 {
        let pid = orphan(move || status % 256);
        report(&format!("init: pid {pid} exited with status {}", status % 256));
    }
    for sender in senders {
        let end = waitpid(sender, None);
        assert!(matches!(end, Ok(WaitStatus::Exited(_, 0))), "{end:?}");
    }
    report_zombies();
}

/// Leaves a process behind that ignores SIGTERM, and ends.
fn stubborn() {
    let (reader, writer) = pipe().expect("pipe");
    spawn(move || {
        setsid().expect("setsid");
        // SAFETY: nothing runs when the signal comes.
        unsafe { nix::sys::signal::signal(Signal::SIGTERM, nix::sys::signal::SigHandler::SigIgn) }
            .expect("signal");
        report(&format!("init: pid {} killed by signal 9", getpid()));
        drop(writer);
        loop {
            sleep(Duration::MAX);
        }
    });
    wait_for_end(reader);
}

/// Leaves a process behind that needs 300 ms to end after SIGTERM, and ends.
fn slow() {
    let (reader, writer) = pipe().expect("pipe");
    let mut term = SigSet::empty();
    term.add(Signal::SIGTERM);
    term.thread_block().expect("block");
    spawn(move || {
        setsid().expect("setsid");
        report(&format!("init: pid {} exited with status 5", getpid()));
        drop(writer);
        term.wait().expect("wait for SIGTERM");
        sleep(Duration::from_millis(300));
        report("saved");
        5
    });
    wait_for_end(reader);
}

/// Leaves a stopped process behind, which ends when SIGTERM and SIGCONT come, and ends.
fn stopped() {
    let pid = spawn(|| {
        setsid().expect("setsid");
        loop {
            sleep(Duration::MAX);
        }
    });
    while getsid(Some(pid)) != Ok(pid) {
        yield_now();
    }
    kill(pid, Signal::SIGSTOP).expect("stop");
    waitpid(pid, Some(nix::sys::wait::WaitPidFlag::WUNTRACED)).expect("wait until it stops");
    report(&format!("init: pid {pid} killed by signal 15"));
}

/// Waits to be ended by Ctrl-C.
fn foreground() {
    println!("waiting for Ctrl-C");
    loop {
        let _ = wait();
        sleep(Duration::MAX);
    }
}

/// Waits until nobody has the other end of a pipe open any more. The writer
/// went to the child: this process has none.
fn wait_for_end(reader: impl Into<fs::File>) {
    let _ = reader.into().read(&mut [0]);
}
