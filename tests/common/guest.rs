//! What runs under PID 1 in the tests.
//!
//! `guest WHAT [ARGUMENT...]`; what it finds out, it adds line by line to the
//! file /out/report, because its descriptors may be closed.

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, wait, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpgrp, getpid, getppid, getsid, pipe, setsid};
use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, exit};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

/// Does what the words of the command line say.
pub fn main() {
    let arguments: Vec<String> =
        std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = arguments.iter().skip(1).map(String::as_str).collect();
    match words.as_slice() {
        // Started as /init.
        ["/guest", program @ ..] => fragile(program),
        ["naive", program @ ..] => naive(program),
        ["power-off"] => {
            panic!("{:?}", nix::sys::reboot::reboot(nix::sys::reboot::RebootMode::RB_POWER_OFF))
        }
        ["without-reboot", program @ ..] => without_reboot(program),
        ["watched", socket, call, program @ ..] => watched(number(socket), call, program),
        ["exec-nothing", program] => exec_nothing(program),
        ["random-environment", seed, program @ ..] => random_environment(number(seed), program),
        ["stop-init"] => stop_init(),
        ["outlive-stop"] => outlive_stop(),
        ["leave"] => leave(),
        ["look", ..] => look(&arguments),
        ["orphans", count] => orphans(number(count)),
        ["burst", count] => burst(number(count)),
        ["statuses"] => statuses(),
        ["deaths"] => deaths(),
        ["exit", status, ..] => exit(number(status)),
        ["die", signal] => die(number(signal)),
        ["signal-init", signals @ ..] => signal_init(signals),
        ["storm", count] => storm(number(count)),
        ["stubborn"] => stubborn(),
        ["send-alarms"] => send_alarms(),
        ["slow"] => slow(),
        ["stopped"] => stopped(),
        ["foreground"] => foreground(),
        ["sleep"] => loop {
            sleep(Duration::MAX);
        },
        ["nap"] => {
            sleep(Duration::from_secs(3));
            exit(9)
        }
        ["after-go", rest @ ..] => after_go(rest),
        ["bursts", count, times] => (0..number(times)).for_each(|_| burst(number(count))),
        ["bomb", limit, total, kind] => bomb(number(limit), number(total), *kind == "stubborn"),
        ["all-signals", count] => all_signals(number(count)),
        ["stop-in-storm", signal, patience] => stop_in_storm(number(signal), number(patience)),
        ["disturbed"] => disturbed(),
        ["alarm-flood", patience] => alarm_flood(number(patience)),
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
/// the end: 0, or what is left when neither the number of processes nor that of
/// pending signals has changed for 3 s. A busy machine is slow, but goes on.
fn report_zombies() {
    let look = || {
        let status = fs::read_to_string("/proc/self/status").expect("read status");
        let pending = status.lines().find(|line| line.starts_with("SigQ:")).map(str::to_owned);
        (others(), pending)
    };
    let (mut last, mut since) = (look(), Instant::now());
    while !last.0.is_empty() && since.elapsed() < Duration::from_secs(3) {
        sleep(Duration::from_millis(1));
        let now = look();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    let zombies = last.0.iter().filter(|state| **state == 'Z').count();
    report(&format!("zombies {zombies}"));
}

/// An init that does none of the duties: it runs the program, and waits for it
/// alone. The negative twin of every test.
fn naive(program: &[&str]) -> ! {
    let mut child = Command::new(program[0]).args(&program[1..]).spawn().expect("spawn");
    exit(child.wait().expect("wait").code().unwrap_or(1))
}

/// An init that works as long as nothing fails: it asks for children without
/// sleeping, gives up where it gets no answer, and does not know of signals.
fn fragile(program: &[&str]) -> ! {
    let child = Command::new("/guest").args(program).spawn().expect("spawn").id() as i32;
    let mut failures = 0;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, status)) if pid.as_raw() == child => exit(status),
            Ok(_) => {}
            Err(_) if failures < 2000 => failures += 1,
            Err(_) => exit(1),
        }
    }
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

/// Becomes `program`, after it sent over `socket` a descriptor by which another
/// process can answer for the kernel when a certain system call is made, or
/// any: seccomp_unotify(2).
fn watched(socket: i32, call: &str, program: &[&str]) -> ! {
    use libc::{BPF_ABS, BPF_JEQ, BPF_JMP, BPF_K, BPF_LD, BPF_RET, BPF_W};
    use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
    // The first word that a filter sees is the call's number.
    let load = (BPF_LD | BPF_W | BPF_ABS) as u16;
    let equal = (BPF_JMP | BPF_JEQ | BPF_K) as u16;
    let answer = (BPF_RET | BPF_K) as u16;
    // SAFETY: these only fill in a struct.
    let mut filter = unsafe {
        [
            libc::BPF_STMT(load, 0),
            // The descriptor has to be sent before anybody can answer.
            libc::BPF_JUMP(equal, libc::SYS_sendmsg as u32, 2, 0),
            libc::BPF_JUMP(equal, if call == "all" { 0 } else { number(call) }, 0, 1),
            libc::BPF_STMT(answer, libc::SECCOMP_RET_USER_NOTIF),
            libc::BPF_STMT(answer, libc::SECCOMP_RET_ALLOW),
        ]
    };
    if call == "all" {
        filter[2] = filter[3];
    }
    let program_of_filter =
        libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
    // SAFETY: plain system calls; the filter outlives them.
    let listener = unsafe {
        libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
        let flags =
            libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, flags, &program_of_filter)
            as i32
    };
    assert!(listener >= 0, "seccomp: {}", Errno::last());
    let (descriptors, bytes) = ([listener], [std::io::IoSlice::new(b"x")]);
    sendmsg::<()>(
        socket,
        &bytes,
        &[ControlMessage::ScmRights(&descriptors)],
        MsgFlags::empty(),
        None,
    )
    .expect("sendmsg");
    // SAFETY: nobody uses it any more.
    unsafe { libc::close(socket) };
    panic!("{}", Command::new(program[0]).args(&program[1..]).exec())
}

/// Becomes `program`, with no argument at all, not even its name.
fn exec_nothing(program: &str) -> ! {
    let program = std::ffi::CString::new(program).expect("no NUL");
    let none: [*const libc::c_char; 1] = [std::ptr::null()];
    // SAFETY: a C string, and two arrays that end with NULL.
    unsafe { libc::execve(program.as_ptr(), none.as_ptr(), none.as_ptr()) };
    panic!("execve: {}", Errno::last())
}

/// Becomes `program`, with an environment of random bytes, some after the names
/// that PID 1 may look for.
fn random_environment(seed: u64, program: &[&str]) -> ! {
    let mut random = fastrand::Rng::with_seed(seed);
    let environment: Vec<CString> = (0..random.usize(..30))
        .map(|_| {
            let name = ["", "PATH=", "PICOINIT_GRACE=", "PATH", "="][random.usize(..5)];
            let length = if random.u8(..8) == 0 { random.usize(..9000) } else { random.usize(..8) };
            let byte = |_| if random.bool() { random.u8(1..) } else { b":/=09"[random.usize(..5)] };
            let value: Vec<u8> = (0..length).map(byte).collect();
            CString::new([name.as_bytes(), &value].concat()).expect("no NUL")
        })
        .collect();
    let words: Vec<CString> =
        program.iter().map(|word| CString::new(*word).expect("no NUL")).collect();
    panic!("execve: {:?}", nix::unistd::execve(&words[0], &words, &environment))
}

/// Leaves orphans behind, and a process that waits to be ended.
fn leave_some() {
    for status in [0, 7, 255] {
        let pid = orphan(move || status);
        report(&format!("init: pid {pid} exited with status {status}"));
    }
    let pid = orphan(|| die(9));
    report(&format!("init: pid {pid} killed by signal 9"));
    report_zombies();
    spawn(|| {
        let _ = setsid();
        loop {
            sleep(Duration::MAX);
        }
    });
}

/// Leaves some processes behind, tells PID 1 to stop, and ends with status 9
/// if that does not help.
fn stop_init() {
    leave_some();
    kill(Pid::from_raw(1), Signal::SIGTERM).expect("kill");
    sleep(Duration::from_secs(2));
    exit(9);
}

/// Tells PID 1 to stop, and ends once PID 1 sleeps again: one that answers has
/// ended this program by then.
fn outlive_stop() {
    let pid1 = Pid::from_raw(1);
    kill(pid1, Signal::SIGUSR2).expect("kill");
    kill(pid1, Signal::SIGTERM).expect("kill");
    let status = |name: &str| {
        let status = fs::read_to_string("/proc/1/status").expect("read status");
        let line = status.lines().find(|line| line.starts_with(name)).expect(name);
        line[name.len()..].trim().to_owned()
    };
    while status("ShdPnd:").contains(|digit| digit != '0') {
        yield_now();
    }
    while !status("State:").starts_with('S') {
        yield_now();
    }
    exit(5);
}

/// Leaves some processes behind, and ends.
fn leave() {
    leave_some();
    exit(3);
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

/// Tells PID 1 to stop, and sends it SIGALRM again and again; does not end by
/// itself, but needs 300 ms to save its work.
fn send_alarms() {
    disregard(libc::SIGTERM);
    disregard(libc::SIGALRM);
    kill(Pid::from_raw(1), Signal::SIGUSR2).expect("kill");
    for milliseconds in 0.. {
        if milliseconds == 300 {
            report("saved");
        }
        kill(Pid::from_raw(1), Signal::SIGALRM).expect("kill");
        sleep(Duration::from_millis(1));
    }
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

/// Floods PID 1 with SIGALRM, and tells it to stop. Nobody here heeds SIGTERM.
/// Ends with status 9 if nothing comes of it.
fn alarm_flood(patience: u64) {
    disregard(libc::SIGTERM);
    disregard(libc::SIGALRM);
    for _ in 0..2 {
        spawn(|| {
            loop {
                // SAFETY: a plain system call.
                unsafe { libc::kill(1, libc::SIGALRM) };
            }
        });
    }
    // SAFETY: a plain system call.
    unsafe { libc::kill(1, libc::SIGUSR2) };
    sleep(Duration::from_secs(patience));
    exit(9)
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

/// Says that it is there, waits until somebody makes /out/go, and is then
/// what the rest of the words say.
fn after_go(rest: &[&str]) {
    report("ready");
    while !fs::exists("/out/go").expect("look for /out/go") {
        sleep(Duration::from_millis(1));
    }
    panic!("{}", Command::new("/guest").args(rest).exec());
}

/// How many orphans a second a fork bomb leaves behind, about.
const FALLOUT: usize = 3000;

/// A fork bomb. It needs no limit of the kernel's to be safe: no more than
/// `limit` of it live at the same time, and `total` are ever born. As soon as
/// there are `limit`, each has a child now and then, and ends.
fn bomb(limit: usize, total: usize, is_stubborn: bool) {
    // SAFETY: memory that all of them share, zeroed, and never unmapped.
    let counts = unsafe {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        let page = libc::mmap(std::ptr::null_mut(), 4096, protection, flags, -1, 0);
        assert_ne!(page, libc::MAP_FAILED, "mmap: {}", Errno::last());
        &*page.cast::<[AtomicUsize; 2]>()
    };
    let [live, born] = counts;
    let life = Duration::from_millis((1000 * limit / FALLOUT) as u64);
    spawn(|| {
        // Those whose parent lives leave no zombie.
        disregard(libc::SIGCHLD);
        if is_stubborn {
            disregard(libc::SIGTERM);
        }
        loop {
            let is_full = live.fetch_add(1, Relaxed) >= limit;
            if is_full {
                live.fetch_sub(1, Relaxed);
                sleep(life);
            }
            if born.fetch_add(1, Relaxed) >= total {
                sleep(life);
                continue;
            }
            // SAFETY: this program has one thread only.
            let is_parent = !matches!(unsafe { fork() }.expect("fork"), ForkResult::Child);
            if is_parent && is_full {
                return 0;
            }
        }
    });
    loop {
        sleep(Duration::MAX);
    }
}

/// Ignores a signal, even one that the C library keeps to itself.
fn disregard(signal: i32) {
    let ignore = [libc::SIG_IGN as u64, 0, 0, 0];
    // SAFETY: a plain system call; no handler is set.
    unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, &ignore, 0, 8) };
}

/// All signals but those that tell PID 1 to stop. SIGKILL and SIGSTOP are
/// among them: from inside its namespace, they do nothing to it.
fn harmless_to_init() -> Vec<i32> {
    let stop = [libc::SIGINT, libc::SIGTERM, libc::SIGUSR1, libc::SIGUSR2];
    (1..=64).filter(|signal| !stop.contains(signal)).collect()
}

/// Sends all kinds of signals to PID 1, which passes them on to this program,
/// while orphans die. Reports how each of them ends.
fn all_signals(count: usize) {
    const SENDERS: usize = 4;
    let kinds = harmless_to_init();
    // Whatever waits for somebody who has it blocked is taken from what the user may have.
    kinds.iter().filter(|kind| **kind != libc::SIGCHLD).for_each(|kind| disregard(*kind));
    let mut senders: Vec<Pid> = (0..SENDERS)
        .map(|_| {
            spawn(|| {
                for index in 0..count / SENDERS {
                    // SAFETY: a plain system call.
                    unsafe { libc::kill(1, kinds[index % kinds.len()]) };
                }
                0
            })
        })
        .collect();
    let mut orphans = 0;
    while !senders.is_empty() || orphans < 256 {
        let status = orphans % 256;
        let pid = orphan(move || status);
        report(&format!("init: pid {pid} exited with status {status}"));
        orphans += 1;
        senders.retain(|sender| match waitpid(*sender, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => true,
            end => {
                assert!(matches!(end, Ok(WaitStatus::Exited(_, 0))), "{end:?}");
                false
            }
        });
    }
    // The kernel keeps real-time signals in a queue, some 100,000 of them, and
    // PID 1 answers them all before it goes on.
    report_zombies();
}

/// Tells PID 1 to stop in the middle of a storm of signals and of orphans.
/// Ends with status 9 if nothing comes of it.
fn stop_in_storm(signal: i32, patience: u64) {
    let kinds = harmless_to_init();
    kinds.iter().filter(|kind| **kind != libc::SIGCHLD).for_each(|kind| disregard(*kind));
    for sender in 0..2 {
        spawn(|| {
            for index in sender.. {
                // SAFETY: a plain system call.
                unsafe { libc::kill(1, kinds[index % kinds.len()]) };
            }
            0
        });
    }
    spawn(|| {
        loop {
            orphan(|| 0);
        }
    });
    for _ in 0..20 {
        orphan(|| 0);
    }
    // SAFETY: a plain system call.
    unsafe { libc::kill(1, signal) };
    sleep(Duration::from_secs(patience));
    exit(9)
}

/// Leaves a process behind that needs 300 ms to end after SIGTERM, and in this
/// time sends SIGALRM to PID 1; and ends.
fn disturbed() {
    orphan(|| 0);
    report_zombies();
    let (reader, writer) = pipe().expect("pipe");
    let mut term = SigSet::empty();
    term.add(Signal::SIGTERM);
    term.thread_block().expect("block");
    spawn(move || {
        setsid().expect("setsid");
        report(&format!("init: pid {} exited with status 5", getpid()));
        drop(writer);
        term.wait().expect("wait for SIGTERM");
        for _ in 0..3 {
            kill(Pid::from_raw(1), Signal::SIGALRM).expect("kill");
            sleep(Duration::from_millis(100));
        }
        report("saved");
        5
    });
    wait_for_end(reader);
}
