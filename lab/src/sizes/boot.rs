//! How long an init takes in a real boot, from the kernel's `Run /init` to the
//! first line of its program.

use super::measure::archive;
use anyhow::{Context, Result, bail, ensure};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use std::fs;
use std::io::Read;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the kernel says right before it executes /init.
const RUN: &str = "Run /init as init process";
/// What the program says first.
const FIRST_LINE: &str = "demo: I am the program";
/// How long a boot may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A machine to boot.
pub struct Machine {
    /// QEMU, and what makes the machine; not the initramfs, nor the console.
    pub command: Vec<String>,
    /// The program that runs under the init.
    pub program: PathBuf,
    /// Where the initramfs is made.
    pub scratch: PathBuf,
}

/// A child process that is killed when this goes.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Machine {
    /// Boots once with an init. Returns the time in milliseconds.
    pub fn boot(&self, init: &Path) -> Result<f64> {
        let initramfs = self.scratch.join("boot.cpio");
        let packed = archive(&[(init, "init"), (&self.program, "bin/demo")], &self.scratch)?;
        fs::write(&initramfs, packed).context("write the initramfs")?;
        let (qemu, arguments) = self.command.split_first().context("no QEMU is named")?;
        let mut command = Command::new(qemu);
        command.args(arguments).arg("-initrd").arg(&initramfs).args([
            "-append",
            "console=ttyS0 panic=-1 -- /bin/demo",
            "-serial",
            "stdio",
            "-no-reboot",
        ]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        // SAFETY: a plain system call.
        unsafe {
            command.pre_exec(|| Ok(nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?));
        }
        let mut machine = Killed(command.spawn().with_context(|| qemu.to_string())?);
        let mut console = machine.0.stdout.take().context("no console")?;

        let start = Instant::now();
        let mut said = String::new();
        let (mut run, mut first) = (None, None);
        loop {
            let left = PATIENCE.saturating_sub(start.elapsed());
            let mut descriptors = [PollFd::new(console.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            if left.is_zero() || poll(&mut descriptors, timeout).context("poll")? == 0 {
                bail!(
                    "the machine still runs after {} s: {}",
                    PATIENCE.as_secs(),
                    last_line(&said)
                );
            }
            let mut bytes = [0; 4096];
            let length = console.read(&mut bytes).context("read the console")?;
            if length == 0 {
                break;
            }
            said += &String::from_utf8_lossy(&bytes[..length]);
            let now = Instant::now();
            if run.is_none() && said.contains(RUN) {
                run = Some(now);
            }
            if first.is_none() && said.contains(FIRST_LINE) {
                first = Some(now);
            }
        }
        let panic = said.lines().find(|line| line.contains("Kernel panic"));
        ensure!(panic.is_none(), "{}", panic.unwrap_or_default().trim());
        let run = run.with_context(|| format!("/init was never run: {}", last_line(&said)))?;
        let first =
            first.with_context(|| format!("its program never ran: {}", last_line(&said)))?;
        ensure!(said.contains("reboot: Power down"), "the machine was not switched off");
        Ok((first - run).as_secs_f64() * 1e3)
    }
}

fn last_line(said: &str) -> &str {
    said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("it printed nothing")
}
