//! What runs under an init that is measured: a program that makes orphans, or
//! exits as it is told to. It writes what it finds out to a FIFO, line by line.

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, Signal, kill, killpg, signal};
use nix::sys::wait::waitpid;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{ForkResult, Pid, fork, getpgrp, getppid, pause, setpgid};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::process::ExitCode;
use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

/// The environment variable that makes this program the load: the path of the
/// FIFO, what to do, and its numbers, with spaces between. The inits pass the
/// environment on, but not all of them pass arguments.
pub const ORDER: &str = "PICOINIT_LAB_LOAD";

/// How long orphans are made, one at a time; some inits take a second for each.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long many orphans at once may take to be reaped.
const LONG_PATIENCE: Duration = Duration::from_secs(20);

/// The time since the machine started, in nanoseconds.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("the clock");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

/// Does what `order` says.
pub fn run(order: &str) -> ExitCode {
    let started = now();
    let words: Vec<&str> = order.split(' ').collect();
    let mut fifo = OpenOptions::new().write(true).open(words[0]).expect("open the FIFO");
    let number = |index: usize| words[index].parse::<u32>().expect("a number");
    match words[1] {
        "start" => say(&mut fifo, &format!("started {started}")),
        "well-behaved" => {
            let signals = SigSet::from_iter([Signal::SIGTERM]);
            signals.thread_block().expect("block");
            say(&mut fifo, "ready");
            let _ = signals.wait();
            return ExitCode::SUCCESS;
        }
        "stubborn" => {
            // SAFETY: no handler.
            unsafe { signal(Signal::SIGTERM, SigHandler::SigIgn) }.expect("ignore");
            say(&mut fifo, "ready");
        }
        "orphans" => measure(&mut fifo, || one_at_a_time(number(2))),
        "burst" => measure(&mut fifo, || at_once(number(2))),
        "exit" => return ExitCode::from(number(2) as u8),
        "die" => return die(number(2) as i32),
        other => panic!("what is {other}?"),
    }
    loop {
        pause();
    }
}

fn say(fifo: &mut File, line: &str) {
    fifo.write_all(format!("{line}\n").as_bytes()).expect("write to the FIFO");
}

/// Says how long PID 1 ran for the orphans that `load` made, and how many these were.
fn measure(fifo: &mut File, load: impl FnOnce() -> Result<u32, String>) {
    let before = time_of_pid1();
    let made = load();
    // PID 1 may have something left to do after the last.
    sleep(Duration::from_millis(20));
    match made {
        Ok(count) => say(fifo, &format!("time {} {count}", time_of_pid1() - before)),
        Err(error) => say(fifo, &format!("error {error}")),
    }
}

/// How long PID 1 ran so far, in nanoseconds.
fn time_of_pid1() -> u64 {
    let text = fs::read_to_string("/proc/1/schedstat").expect("read /proc/1/schedstat");
    text.split(' ').next().and_then(|word| word.parse().ok()).expect("a number")
}

/// Runs `child` in a child process.
fn spawn(child: impl FnOnce()) -> nix::Result<Pid> {
    // SAFETY: this program has one thread only.
    match unsafe { fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            child();
            // SAFETY: exits.
            unsafe { libc::_exit(0) }
        }
    }
}

/// Whether a process group has a process in it, even if only a zombie.
fn is_there(group: Pid) -> bool {
    killpg(group, None) != Err(Errno::ESRCH)
}

/// Makes up to `count` orphans, each when the last one was reaped, and PID 1 had time to go back to sleep.
fn one_at_a_time(count: u32) -> Result<u32, String> {
    let start = Instant::now();
    let mut made = 0;
    while made < count && start.elapsed() < PATIENCE {
        let parent = spawn(|| {
            let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
            let parent = getpgrp();
            let orphan = spawn(|| {
                while getppid() == parent {
                    yield_now();
                }
            });
            orphan.expect("fork");
        })
        .map_err(|error| format!("fork: {error}"))?;
        waitpid(parent, None).map_err(|error| format!("wait: {error}"))?;
        while is_there(parent) {
            if start.elapsed() > LONG_PATIENCE {
                return Err("an orphan is never reaped".into());
            }
            yield_now();
        }
        // Let PID 1 fall asleep again before the next one comes.
        sleep(Duration::from_micros(300));
        made += 1;
    }
    Ok(made)
}

/// Makes `count` orphans at once: they have exited before they become orphans.
fn at_once(count: u32) -> Result<u32, String> {
    let parent = spawn(|| {
        let _ = setpgid(Pid::from_raw(0), Pid::from_raw(0));
        for _ in 0..count {
            if spawn(|| ()).is_err() {
                // SAFETY: exits.
                unsafe { libc::_exit(1) };
            }
        }
        // The last of them may still run.
        sleep(Duration::from_millis(50));
    })
    .map_err(|error| format!("fork: {error}"))?;
    let status = waitpid(parent, None).map_err(|error| format!("wait: {error}"))?;
    if status != nix::sys::wait::WaitStatus::Exited(parent, 0) {
        return Err(format!(
            "this system does not allow {count} processes at once; see `ulimit -u` and /proc/sys/kernel/pid_max"
        ));
    }
    let start = Instant::now();
    while is_there(parent) {
        if start.elapsed() > LONG_PATIENCE {
            return Err(format!("{count} orphans are not reaped in {} s", LONG_PATIENCE.as_secs()));
        }
        sleep(Duration::from_millis(2));
    }
    Ok(count)
}

/// Is killed by a signal, without leaving a core file.
fn die(number: i32) -> ExitCode {
    let _ = nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_CORE, 0, 0);
    // SAFETY: plain system calls, because the C library keeps some signals to
    // itself; the array is at least as large as a `struct kernel_sigaction`.
    unsafe {
        let default = [0u64; 4];
        libc::syscall(libc::SYS_rt_sigaction, number, &default, 0, 8);
        libc::syscall(libc::SYS_kill, libc::getpid(), number);
    }
    let _ = kill(Pid::this(), Signal::SIGKILL);
    ExitCode::FAILURE
}
