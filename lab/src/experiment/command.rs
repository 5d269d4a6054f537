//! Runs a command as somebody would type it, and listens.

use anyhow::{Context, Result, bail, ensure};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use std::io::{BufRead, BufReader};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio, exit};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};
use std::sync::{Once, mpsc};
use std::time::{Duration, Instant};
use std::{env, io, thread};

/// What a command did.
pub struct Seen {
    /// Its exit status, or 128 and the signal that killed it.
    pub status: i32,
    /// What it printed, without escape sequences.
    pub text: String,
}

/// How long a silence lasts before we say that the command still runs.
const SILENCE: Duration = Duration::from_secs(3);

/// Variables of make that belong to the page. If the reader has set one of them, the
/// commands would do something else.
const OF_THE_TEXT: [&str; 14] = [
    "APPEND",
    "DISK",
    "INIT",
    "MAKEFLAGS",
    "MAKELEVEL",
    "MAKEOVERRIDES",
    "MFLAGS",
    "N",
    "ONLY",
    "PRESS",
    "QEMU_EXTRA",
    "ROOTFS",
    "VM",
    "WITHOUT",
];

/// The process group of the command that runs; 0 if none does.
static GROUP: AtomicI32 = AtomicI32::new(0);
static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// Whether the reader is waited for.
static IS_WAITING: AtomicBool = AtomicBool::new(false);

/// Runs a shell command in a process group of its own, and prints what it says
/// as it comes. If this program is told to stop, it first stops the command, and all
/// that the command started.
pub fn run(command: &str) -> Result<Seen> {
    handle_interrupts();
    let (reader, writer) = io::pipe()?;
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    shell.process_group(0);
    // Some programs that an experiment needs are meant for root, but work for everyone.
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    shell.env("PATH", path);
    for name in OF_THE_TEXT {
        shell.env_remove(name);
    }
    let mut child = shell.spawn().context("cannot run sh")?;
    // This closes our copies of the pipe's writing end; otherwise reading would never end.
    drop(shell);
    GROUP.store(child.id() as i32, SeqCst);
    if INTERRUPTED.load(SeqCst) {
        end_group();
    }

    let (sender, lines) = mpsc::channel();
    let listener = thread::spawn(move || -> io::Result<()> {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let clean = anstream::adapter::strip_bytes(&line).into_vec();
            // The console of a machine ends its lines in its own way.
            let text = String::from_utf8_lossy(&clean).replace('\r', "");
            let _ = sender.send(text);
            line.clear();
        }
        Ok(())
    });
    let begin = Instant::now();
    let mut text = String::new();
    loop {
        match lines.recv_timeout(SILENCE) {
            Ok(line) => {
                print!("{line}");
                text += &line;
            }
            Err(mpsc::RecvTimeoutError::Timeout) => {
                eprintln!("picoinit: (still running after {} s)", begin.elapsed().as_secs());
            }
            Err(mpsc::RecvTimeoutError::Disconnected) => break,
        }
    }
    listener.join().expect("a thread that does not panic").context("cannot read what it says")?;
    let status = child.wait()?;
    GROUP.store(0, SeqCst);
    if INTERRUPTED.load(SeqCst) {
        bail!("interrupted");
    }
    if !text.is_empty() && !text.ends_with('\n') {
        println!();
        text += "\n";
    }
    let status = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    Ok(Seen { status, text })
}

/// Waits for the reader. If this program is told to stop meanwhile, it does.
pub fn wait_for_reader<T>(wait: impl FnOnce() -> T) -> Result<T> {
    handle_interrupts();
    IS_WAITING.store(true, SeqCst);
    ensure!(!INTERRUPTED.load(SeqCst), "interrupted");
    let outcome = wait();
    IS_WAITING.store(false, SeqCst);
    Ok(outcome)
}

fn handle_interrupts() {
    static HANDLER: Once = Once::new();
    HANDLER.call_once(|| {
        let set = ctrlc::set_handler(|| {
            INTERRUPTED.store(true, SeqCst);
            end_group();
            // The terminal is not read from in a way that could be interrupted.
            if IS_WAITING.load(SeqCst) {
                eprintln!("\npicoinit: interrupted");
                exit(1);
            }
        });
        set.expect("the only handler");
    });
}

fn end_group() {
    let group = GROUP.load(SeqCst);
    if group > 0 {
        // It may have exited just now.
        let _ = killpg(Pid::from_raw(group), Signal::SIGTERM);
    }
}
