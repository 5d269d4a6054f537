//! PID 1 never dies: every system call that it makes fails, with every error
//! that the call's man page names and some that it does not; always, or once.
//!
//! The kernel hands each call to the test (seccomp_unotify(2)), which answers
//! for those that /init makes, and lets all others pass: its program, and the
//! orphans, never notice.
//!
//! Without TORTURE=1, a sample is tried.

#![allow(non_upper_case_globals)] // the system calls in patterns

mod common;

use common::{Namespace, Outcome, TempDir};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixCredentials, recvmsg,
    setsockopt, socketpair, sockopt::PassCred,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{IoSliceMut, Read};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// What becomes of the system calls of /init with a certain number.
#[derive(Clone, Copy, Debug)]
struct Fault {
    call: i64,
    /// The error; or 0 for none, but a SIGTERM to PID 1 before the call is made.
    errno: i32,
    /// Which of them fails, counted from 1; 0 is all.
    which: usize,
}

/// How often /init made each system call, by its number.
type Calls = BTreeMap<i64, usize>;

/// Every error that the man page of a call names, as far as PID 1 can meet it.
fn errors_of(call: i64) -> Vec<i32> {
    use libc::*;
    let named: &[i32] = match call {
        SYS_rt_sigprocmask | SYS_rt_sigaction => &[EFAULT, EINVAL],
        SYS_getpid | SYS_exit | SYS_sync | SYS_setsid => &[EPERM],
        SYS_mkdirat => &[
            EACCES,
            EDQUOT,
            EEXIST,
            EINVAL,
            ELOOP,
            EMLINK,
            ENAMETOOLONG,
            ENOENT,
            ENOSPC,
            ENOTDIR,
            EROFS,
        ],
        SYS_access => &[EACCES, EFAULT, EINVAL, EIO, ELOOP, ENAMETOOLONG, ENOENT, ENOTDIR],
        SYS_mount => &[
            EACCES,
            EBUSY,
            EFAULT,
            EINVAL,
            ELOOP,
            EMFILE,
            ENAMETOOLONG,
            ENODEV,
            ENOENT,
            ENOTBLK,
            ENOTDIR,
            ENXIO,
            EROFS,
        ],
        SYS_umount2 => &[EAGAIN, EBUSY, EFAULT, EINVAL, ENAMETOOLONG, ENOENT],
        SYS_openat => &[
            EACCES,
            EBADF,
            EBUSY,
            EFAULT,
            EINVAL,
            EISDIR,
            ELOOP,
            EMFILE,
            ENAMETOOLONG,
            ENFILE,
            ENODEV,
            ENOENT,
            ENOSPC,
            ENOTDIR,
            ENXIO,
            EOVERFLOW,
            EROFS,
            ETXTBSY,
            EWOULDBLOCK,
        ],
        SYS_close => &[EBADF, EIO, ENOSPC, EDQUOT],
        SYS_read => &[EAGAIN, EBADF, EFAULT, EINVAL, EIO, EISDIR],
        SYS_reboot => &[EFAULT, EINVAL],
        SYS_clone => &[EAGAIN],
        SYS_lseek => &[EBADF, EINVAL, ENXIO, EOVERFLOW, ESPIPE],
        SYS_dup2 => &[EBADF, EBUSY, EMFILE],
        SYS_ioctl => &[EBADF, EFAULT, EINVAL, ENOTTY],
        SYS_execve => &[
            E2BIG,
            EACCES,
            EAGAIN,
            EFAULT,
            EINVAL,
            EIO,
            EISDIR,
            ELIBBAD,
            ELOOP,
            EMFILE,
            ENAMETOOLONG,
            ENFILE,
            ENOENT,
            ENOEXEC,
            ENOTDIR,
            ETXTBSY,
        ],
        SYS_wait4 => &[EAGAIN, ECHILD, EINVAL, ESRCH],
        SYS_rt_sigtimedwait => &[EAGAIN, EFAULT, EINVAL],
        SYS_kill => &[EINVAL, ESRCH],
        SYS_ppoll => &[EFAULT, EINVAL],
        SYS_times => &[EFAULT],
        SYS_write => &[EAGAIN, EBADF, EDQUOT, EFAULT, EFBIG, EINVAL, EIO, ENOSPC, EPIPE],
        // A new one gets at least those below.
        _ => &[],
    };
    let mut errors = [named, &[ENOSYS, EINTR, ENOMEM, EPERM]].concat();
    errors.dedup();
    errors
}

/// Answers the kernel's questions until nobody is left to ask, and counts the
/// calls of /init.
fn supervise(
    init: &Path,
    pid1: i32,
    listener: &OwnedFd,
    scenario: Scenario,
    fault: Option<Fault>,
) -> Calls {
    let init = fs::metadata(init).expect("the init").ino();
    let mut calls = Calls::new();
    loop {
        let mut ready = libc::pollfd { fd: listener.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: one struct pollfd.
        unsafe { libc::poll(&mut ready, 1, -1) };
        if ready.revents & libc::POLLIN == 0 {
            return calls;
        }
        // SAFETY: the structs are those that the two requests take, and zero is a value of each.
        let (mut asked, mut answer) =
            unsafe { std::mem::zeroed::<(libc::seccomp_notif, libc::seccomp_notif_resp)>() };
        // SAFETY: as above.
        if unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, &mut asked) }
            < 0
        {
            continue;
        }
        let call = i64::from(asked.data.nr);
        let program = fs::metadata(format!("/proc/{}/exe", asked.pid));
        answer.id = asked.id;
        answer.flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
        if program.is_ok_and(|program| program.ino() == init) {
            let count = calls.entry(call).or_default();
            *count += 1;
            if scenario.has_machine && call == libc::SYS_reboot {
                answer.flags = 0;
            }
            if let Some(fault) = fault
                && fault.call == call
                && (fault.which == 0 || fault.which == *count)
            {
                if fault.errno == 0 {
                    kill(pid1, libc::SIGTERM);
                } else {
                    answer.flags = 0;
                    answer.error = -fault.errno;
                }
            }
        }
        // SAFETY: as above.
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &mut answer) };
    }
}

/// What is tried.
#[derive(Clone, Copy, Debug)]
struct Scenario {
    /// What PID 1's program does.
    program: &'static str,
    /// The exit status of PID 1, if nothing fails and nobody kills it.
    status: Option<i32>,
    /// Whether reboot(2) says yes, and does nothing: as on a machine of its
    /// own that cannot be switched off. Then PID 1 unmounts everything, and in
    /// the end sleeps, until it is killed.
    has_machine: bool,
    /// Whether its console is a pipe, and not a file on a disk.
    is_piped: bool,
}

/// Leaves orphans behind, then tells PID 1 to stop.
const STOPPED: Scenario =
    Scenario { program: "stop-init", status: Some(128 + 15), has_machine: false, is_piped: true };
/// Leaves orphans behind, then ends.
const ENDED: Scenario =
    Scenario { program: "leave", status: Some(3), has_machine: false, is_piped: false };
/// The same, on a machine.
const SWITCHED_OFF: Scenario =
    Scenario { program: "leave", status: None, has_machine: true, is_piped: true };

/// Leaves one behind that sends SIGALRM while it ends.
const DISTURBED: Scenario =
    Scenario { program: "disturbed", status: Some(0), has_machine: false, is_piped: true };

/// Exits by itself after a while, with status 9, if nobody stops it.
const WAITING: Scenario =
    Scenario { program: "nap", status: Some(9), has_machine: false, is_piped: true };

/// What was seen.
struct Seen {
    outcome: Outcome,
    calls: Calls,
    /// PID 1's.
    processor_time: Duration,
}

/// Runs a scenario under an init, with a fault or without.
fn run(init: &Path, scenario: Scenario, fault: Option<Fault>) -> Seen {
    let start = Instant::now();
    let (out, root) = (TempDir::new(), TempDir::new());
    let (ours, theirs) =
        socketpair(AddressFamily::Unix, SockType::Stream, None, SockFlag::SOCK_CLOEXEC)
            .expect("socketpair");
    setsockopt(&ours, PassCred, &true).expect("setsockopt");
    let descriptor = theirs.as_raw_fd();
    let only = fault.filter(|_| !scenario.has_machine);
    let which = only.map_or("all".to_string(), |fault| fault.call.to_string());
    let watched = ["/guest", "watched", &descriptor.to_string(), &which, "/init"];
    let mut namespace = Namespace::with_init(&watched, &["/guest", scenario.program])
        .file(init.to_path_buf())
        // The program looks around in /proc, whatever becomes of PID 1's own attempt.
        .prepare("mkdir /proc && mount -t proc proc /proc");
    let mut console = None;
    if scenario.is_piped {
        let (reader, writer) = std::io::pipe().expect("pipe");
        namespace = namespace.stdio(writer.into());
        console = Some(reader);
    }
    let mut command = namespace.command(root.path(), out.path());
    // SAFETY: one plain system call.
    unsafe {
        command.pre_exec(move || {
            libc::fcntl(descriptor, libc::F_SETFD, 0);
            Ok(())
        });
    }
    let mut child = command.spawn().expect("spawn");
    drop((theirs, command));
    let (listener, pid1) = receive(&ours);
    let (mut processor_time, mut is_told) = (0, false);
    let (calls, status) = thread::scope(|scope| {
        let supervisor = scope.spawn(|| supervise(init, pid1, &listener, scenario, fault));
        let status = loop {
            if let Some(status) = child.try_wait().expect("wait") {
                break status;
            }
            if let Some(time) = common::processor_time_of(pid1) {
                processor_time = time;
            }
            // Where PID 1 could not learn that its program has ended, it waits to be told.
            let is_late = start.elapsed() > Duration::from_secs(6);
            if is_late
                && !is_told
                && scenario.program == ENDED.program
                && common::children_of(pid1) > 0
            {
                is_told = true;
                kill(pid1, libc::SIGTERM);
            }
            let is_asleep = common::sleeps_in(pid1) == Some(libc::SYS_rt_sigtimedwait)
                && common::children_of(pid1) == 0;
            // Where signals cannot be blocked, it may wait for ever.
            let may_hang = scenario.has_machine
                || fault.is_some_and(|fault| fault.call == libc::SYS_rt_sigprocmask);
            let is_over = scenario.has_machine && is_asleep;
            if is_over || may_hang && start.elapsed() > Duration::from_secs(25) {
                kill(pid1, libc::SIGKILL);
            }
            thread::sleep(Duration::from_millis(5));
        };
        (supervisor.join().expect("the supervisor"), status)
    });
    let mut outcome = Outcome::read(status, out);
    if let Some(mut console) = console {
        // All that was said waits in the pipe; with `command`, our end of it is gone.
        console.read_to_string(&mut outcome.console).expect("read the console");
    }
    Seen { outcome, calls, processor_time: Duration::from_nanos(processor_time) }
}

/// Sends a signal to a process, if it is still there.
fn kill(pid: i32, signal: i32) {
    // SAFETY: a plain system call.
    unsafe { libc::kill(pid, signal) };
}

/// Takes the descriptor that a process sends, and the PID of that process.
fn receive(socket: &OwnedFd) -> (OwnedFd, i32) {
    let mut byte = [0];
    let mut bytes = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!([i32; 1], UnixCredentials);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut bytes, Some(&mut space), flags);
    let (mut received, mut pid) = (None, None);
    for message in message.expect("recvmsg").cmsgs().expect("control messages") {
        match message {
            ControlMessageOwned::ScmRights(descriptors) => received = descriptors.first().copied(),
            ControlMessageOwned::ScmCredentials(credentials) => pid = Some(credentials.pid()),
            other => panic!("{other:?}"),
        }
    }
    // SAFETY: it is new, and this one's alone.
    let listener = unsafe { OwnedFd::from_raw_fd(received.expect("a descriptor")) };
    (listener, pid.expect("a PID"))
}

/// What is wrong with what was seen.
fn complaints(scenario: Scenario, fault: Fault, seen: &Seen) -> Vec<String> {
    use libc::*;
    let mut complaints = Vec::new();
    let mut demand = |holds: bool, what: String| {
        if !holds {
            complaints.push(what);
        }
    };
    let (outcome, call, always) = (&seen.outcome, fault.call, fault.which == 0);
    demand(
        seen.processor_time < Duration::from_millis(500),
        format!("it ran for {:?}", seen.processor_time),
    );
    let failures = seen.calls.get(&call).copied().unwrap_or(0);
    demand(!always || failures < 1000, format!("it made the call {failures} times"));

    // How PID 1 may end, besides the way that it ends without a fault.
    let starts = !(call == SYS_clone || call == SYS_execve)
        || outcome.report.iter().any(|line| line.starts_with("zombies"));
    let others: &[Option<i32>] = match call {
        // The program was not started, which is said.
        SYS_clone | SYS_execve if !starts => &[Some(126), Some(127)],
        // How the program ended cannot be known, nor that it did: it counts as killed.
        SYS_wait4 => &[Some(128 + 9)],
        // Nobody hears that they are to stop, or is told: the program ends by itself.
        SYS_rt_sigaction | SYS_rt_sigtimedwait | SYS_kill => &[Some(9), Some(128 + 9)],
        // Where signals cannot be blocked, those that come while PID 1 is busy are lost, SIGCHLD
        // too: it may wait until this test kills it, of which unshare(1) makes a 1.
        SYS_rt_sigprocmask => &[Some(1), Some(9), Some(128 + 9)],
        // Without a clock, nobody is given time.
        SYS_times => &[Some(128 + 9)],
        // By an instruction that does not exist.
        SYS_exit => &[None, Some(128 + 4)],
        _ => &[],
    };
    let code = outcome.code();
    demand(
        code == scenario.status || others.contains(&code) || scenario.status.is_none(),
        format!("it ended with {}", outcome.status),
    );

    if starts && call != SYS_rt_sigprocmask {
        if !(call == SYS_wait4 && always) {
            demand(
                outcome.report.iter().any(|line| line == "zombies 0"),
                "orphans were not reaped".into(),
            );
        }
        // Without ppoll(2), a line is dropped rather than waited for. Without a clock, processes
        // are killed before they can do what they announced.
        if ![SYS_write, SYS_wait4, SYS_ppoll, SYS_times].contains(&call) {
            for line in outcome.report.iter().filter(|line| line.starts_with("init: ")) {
                demand(outcome.said(line), format!("it did not say: {line}"));
            }
        }
    }
    // What PID 1 has to say of it.
    let says = match call {
        SYS_clone | SYS_execve if !starts => Some("init: cannot run /guest".to_string()),
        _ => None,
    };
    if let Some(says) = says {
        let says = format!("{says}: errno {}", fault.errno);
        demand(outcome.said(&says), format!("it did not say: {says}"));
    }
    complaints
}

/// Tries all of these, several at a time, and fails with all that is wrong.
fn try_all(tries: &[(Scenario, Fault)]) {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut wrong = Vec::new();
        while let Some(&(scenario, fault)) = tries.get(next.fetch_add(1, Ordering::Relaxed)) {
            let seen = run(&common::init(), scenario, Some(fault));
            for complaint in complaints(scenario, fault, &seen) {
                let Outcome { console, report, .. } = &seen.outcome;
                wrong.push(format!("{scenario:?} {fault:?}: {complaint}\n{report:#?}\n{console}"));
            }
        }
        wrong
    };
    let wrong: Vec<String> = thread::scope(|scope| {
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(work)).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("a worker")).collect()
    });
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), tries.len(), wrong.join("\n"));
    let count = |of: fn(&Fault) -> i64| {
        tries.iter().map(|(_, fault)| of(fault)).collect::<BTreeSet<_>>().len()
    };
    let (calls, errors) = (count(|fault| fault.call), count(|fault| fault.errno.into()));
    println!("{} faults (calls: {calls}, errors: {errors}): all survived", tries.len());
}

/// The system calls that /init makes, and how often, in each scenario.
fn calls() -> Vec<(Scenario, Calls)> {
    let mut calls: [(Scenario, Calls); 4] =
        [STOPPED, ENDED, SWITCHED_OFF, DISTURBED].map(|scenario| {
            let seen = run(&common::init(), scenario, None);
            let no_fault = Fault { call: -1, errno: 0, which: 1 };
            assert_eq!(complaints(scenario, no_fault, &seen), [""; 0], "{}", seen.outcome.console);
            assert!(scenario.status.is_none() || seen.outcome.code() == scenario.status);
            (scenario, seen.calls)
        });
    // The last one is there for what the others do not make.
    let [others @ .., (_, last)] = &mut calls;
    last.retain(|call, _| !others.iter().any(|(_, calls)| calls.contains_key(call)));
    calls.into()
}

/// The names of all system calls that are in the binary, made or not.
fn calls_of_the_binary() -> BTreeSet<String> {
    let disasm = Command::new("make").args(["-s", "disasm"]).current_dir(common::ROOT).output();
    let listing = String::from_utf8(disasm.expect("run make").stdout).expect("UTF-8");
    let name = |line: &str| Some(line.strip_suffix("(2)")?.rsplit("; ").next()?.to_string());
    listing.lines().filter_map(name).collect()
}

/// The name of a system call, by its number.
fn name_of(call: i64) -> String {
    let call = usize::try_from(call).ok().and_then(syscalls::Sysno::new);
    call.expect("a system call").name().to_string()
}

/// Whether everything is to be tried, and not a sample.
fn torture() -> bool {
    std::env::var_os("TORTURE").is_some()
}

#[test]
fn every_system_call_fails_always() {
    let mut tries = Vec::new();
    let mut kinds = BTreeSet::new();
    for (scenario, calls) in calls() {
        for (index, call) in calls.into_keys().enumerate() {
            let errors = errors_of(call);
            // The sample: one error for each call and scenario, not the same for all.
            let sample = errors[(index * 7 + scenario.program.len()) % errors.len()];
            kinds.insert(call);
            for errno in errors {
                if torture() || errno == sample {
                    tries.push((scenario, Fault { call, errno, which: 0 }));
                }
            }
        }
    }
    println!("{} system calls", kinds.len());
    let mut expected = calls_of_the_binary();
    // Not made in these scenarios (nanosleep only where another call is refused); and PID 1 looks
    // at the result of none of them.
    for call in ["mkdirat", "setpgid", "nanosleep"] {
        assert!(expected.remove(call), "{call}");
    }
    let tried: BTreeSet<String> = kinds.iter().map(|call| name_of(*call)).collect();
    assert_eq!(tried, expected);
    try_all(&tries);
}

#[test]
fn every_system_call_fails_once() {
    let mut tries = Vec::new();
    for (scenario, calls) in calls() {
        for (index, (call, count)) in calls.into_iter().enumerate() {
            for which in 1..=count {
                // A loop over all signals makes many alike.
                let is_sample = which == index % count + 1;
                for errno in errors_of(call) {
                    if torture() && which <= 16 || is_sample && errno == libc::EINTR {
                        tries.push((scenario, Fault { call, errno, which }));
                    }
                }
            }
        }
    }
    try_all(&tries);
}

#[test]
fn no_stop_request_is_lost_however_early() {
    use libc::*;
    let stop_at = |call: i64| {
        let fault = Fault { call, errno: 0, which: 1 };
        let seen = run(&common::init(), WAITING, Some(fault));
        assert!(seen.calls.contains_key(&call), "{} is not made", name_of(call));
        seen.outcome.code()
    };
    // All that PID 1 and its child do until the program runs and PID 1 waits.
    for call in [
        SYS_getpid,
        SYS_rt_sigaction,
        SYS_access,
        SYS_openat,
        SYS_reboot,
        SYS_clone,
        SYS_setsid,
        SYS_ioctl,
        SYS_execve,
        SYS_lseek,
        SYS_dup2,
        SYS_close,
        SYS_rt_sigtimedwait,
    ] {
        assert_eq!(stop_at(call), Some(128 + SIGTERM), "at {}", name_of(call));
    }
    // Only one that comes before the signals are blocked.
    assert_eq!(stop_at(SYS_rt_sigprocmask), WAITING.status);
}

#[test]
fn an_init_that_does_not_survive_is_noticed() {
    let folder = TempDir::new();
    let init = folder.path().join("init");
    fs::copy(common::guest(), &init).expect("copy the guest");
    let demand = |fault: Fault, expected: &[&str]| {
        let seen = run(&init, STOPPED, Some(fault));
        let complaints = complaints(STOPPED, fault, &seen);
        for what in expected {
            assert!(
                complaints.iter().any(|complaint| complaint.starts_with(what)),
                "{what}: {complaints:#?}"
            );
        }
    };
    let once = Fault { call: libc::SYS_getpid, errno: libc::EINVAL, which: 1 };
    demand(once, &["it ended with"]);
    let always = Fault { call: libc::SYS_wait4, errno: libc::EINTR, which: 0 };
    demand(always, &["it made the call", "it ended with"]);
    // One that waits for its own program alone.
    let outcome = Namespace::naive(&["/guest", STOPPED.program]).run();
    let seen = Seen { outcome, calls: Calls::new(), processor_time: Duration::ZERO };
    let nothing = Fault { call: libc::SYS_getpid, errno: libc::EPERM, which: 1 };
    assert!(complaints(STOPPED, nothing, &seen).contains(&"orphans were not reaped".into()));
}
