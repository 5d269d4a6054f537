//! Runs a program as PID 1 of namespaces of its own. Nothing of the host is touched.

use super::{inits, load};
use anyhow::{Context, Result, bail, ensure};
use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, clone, unshare};
use nix::sys::personality::{self, Persona};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{SigHandler, Signal, kill, signal};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{
    Pid, chdir, chroot, dup2_stderr, dup2_stdin, dup2_stdout, execve, getgid, getuid, mkfifo,
    pipe2, pivot_root,
};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{Read, Write};
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};
use syscalls::Sysno;

/// What is mounted for PID 1, as container engines do it; /proc comes on top.
const MOUNTS: [&str; 4] = ["sys", "dev", "dev/pts", "run"];

const NONE: Option<&str> = None;

/// A root file system, in a user, mount, network and IPC namespace of its own.
pub struct Jail {
    root: PathBuf,
    runs: Cell<u32>,
}

/// Moves this process to a user, mount, network and IPC namespace of its own, in
/// which it is root, and what it mounts is for nobody else to see.
pub fn enter_namespaces() -> Result<()> {
    let (user, group) = (getuid(), getgid());
    let flags = CloneFlags::CLONE_NEWUSER
        | CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWIPC;
    unshare(flags).context(
        "no user namespace for us: allow it with `sysctl kernel.apparmor_restrict_unprivileged_userns=0` \
         (Ubuntu) or `sysctl kernel.unprivileged_userns_clone=1` (Debian)",
    )?;
    fs::write("/proc/self/setgroups", "deny").context("/proc/self/setgroups")?;
    fs::write("/proc/self/uid_map", format!("0 {user} 1")).context("/proc/self/uid_map")?;
    fs::write("/proc/self/gid_map", format!("0 {group} 1")).context("/proc/self/gid_map")?;

    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(NONE, "/", NONE, private, NONE).context("make mounts private")?;
    Ok(())
}

/// How a PID 1 is started.
#[derive(Clone, Default)]
pub struct Launch {
    /// Its command line.
    pub command: Vec<String>,
    /// What the load does: see [`load::ORDER`].
    pub load: String,
    /// Whether reboot(2) shuts the namespace down; else it is refused, as in a container.
    pub may_reboot: bool,
    /// Whether PID 1 finds nothing mounted.
    pub bare: bool,
    /// Whether addresses are the same each time.
    pub fixed_addresses: bool,
    /// Whether PID 1 has a root file system of its own, see [`Jail::fresh_root`],
    /// and prints to a file: see [`Run::console`].
    pub fresh: bool,
    /// Further words of its environment, as `NAME=value`.
    pub environment: Vec<String>,
    /// What else is done before it starts, with its root file system.
    pub prepare: Option<Rc<Prepare>>,
    /// The system calls, of it and of all its descendants, that strace(1) writes down.
    pub strace: Option<String>,
    /// Which of them takes longer, as strace's `inject` has it.
    pub delay: Option<String>,
}

/// What is done, in the process that becomes PID 1, before it starts.
pub type Prepare = dyn Fn(&Path) -> Result<()>;

impl Jail {
    /// Moves this process to namespaces of its own, and makes a root file
    /// system there, mounted on the folder `root`.
    pub fn build(root: &Path) -> Result<Jail> {
        enter_namespaces()?;
        fs::create_dir_all(root).with_context(|| root.display().to_string())?;
        let tmpfs = |path: &Path| {
            mount(Some("tmpfs"), path, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
                .with_context(|| format!("mount tmpfs on {}", path.display()))
        };
        tmpfs(root)?;
        for name in ["proc", "sys", "dev", "run", "etc", "tmp", "out", "inits"] {
            fs::create_dir(root.join(name)).with_context(|| format!("make /{name}"))?;
        }
        for name in ["bin", "sbin", "lib", "lib64", "usr"] {
            let (host, here) = (Path::new("/").join(name), root.join(name));
            if let Ok(target) = fs::read_link(&host) {
                symlink(target, here).with_context(|| format!("link /{name}"))?;
            } else if host.is_dir() {
                fs::create_dir(&here).with_context(|| format!("make /{name}"))?;
                bind(&host, &here)?;
            }
        }
        mount(Some("sysfs"), &root.join("sys"), Some("sysfs"), MsFlags::empty(), NONE)
            .context("mount sysfs")?;
        tmpfs(&root.join("dev"))?;
        File::create(root.join("dev/null")).context("make /dev/null")?;
        bind(Path::new("/dev/null"), &root.join("dev/null"))?;
        fs::create_dir(root.join("dev/pts")).context("make /dev/pts")?;
        mount(Some("devpts"), &root.join("dev/pts"), Some("devpts"), MsFlags::empty(), NONE)
            .context("mount devpts")?;

        inits::name_program(root, "/load")?;
        let jail = Jail { root: root.into(), runs: Cell::new(0) };
        let this = std::env::current_exe().context("find this program")?;
        jail.install(&this, "load")?;
        Ok(jail)
    }

    /// Copies a program into the root file system.
    pub fn install(&self, program: &Path, name: &str) -> Result<()> {
        let to = self.root.join(name);
        fs::copy(program, &to).with_context(|| program.display().to_string())?;
        fs::set_permissions(&to, Permissions::from_mode(0o755)).with_context(|| name.to_string())
    }

    /// Starts a PID 1. `prepare` sees its PID before the first instruction.
    fn start_with(&self, launch: &Launch, prepare: impl FnOnce(Pid) -> Result<()>) -> Result<Run> {
        let number = self.runs.replace(self.runs.get() + 1);
        let path = self.root.join(format!("out/{number}"));
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).context("make a FIFO")?;
        let fifo = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path)
            .context("open the FIFO")?;
        let c_string = |text: &str| CString::new(text).context("a null byte");
        let command =
            launch.command.iter().map(|word| c_string(word)).collect::<Result<Vec<_>>>()?;
        let mut environment = vec![
            c_string("PATH=/usr/sbin:/usr/bin:/sbin:/bin")?,
            c_string(&format!("{}=/out/{number} {}", load::ORDER, launch.load))?,
        ];
        if launch.fresh {
            environment.truncate(1);
            fs::create_dir(path.with_extension("out")).context("make /out")?;
        }
        for word in &launch.environment {
            environment.push(c_string(word)?);
        }

        let (go, mut started) = {
            let (go, started) = pipe2(nix::fcntl::OFlag::O_CLOEXEC).context("make a pipe")?;
            (File::from(go), Some(File::from(started)))
        };
        let mut stack = vec![0; 1 << 20];
        let child = || {
            let mut say = &fifo;
            let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
            // If this pipe has no other end any more, the parent exited before it was asked to say so.
            drop(started.take());
            if !matches!((&go).read(&mut [0]), Ok(1)) {
                return 1;
            }
            let outcome = self.enter(launch, &path).and_then(|()| {
                let _ = writeln!(say, "executed {}", load::now());
                execve(&command[0], &command, &environment).context("cannot be executed")
            });
            let Err(error) = outcome;
            let _ = writeln!(say, "error {}: {error:#}", launch.command[0]);
            1
        };
        let flags = CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS;
        // SAFETY: this program has one thread only, and the child gets a copy of its memory.
        let pid = unsafe { clone(Box::new(child), &mut stack, flags, Some(libc::SIGCHLD)) }
            .context("start a process in a PID namespace of its own")?;
        // SAFETY: a plain system call; if it succeeds, the descriptor is ours.
        let pidfd = unsafe {
            let pidfd = libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0);
            Errno::result(pidfd).map(|pidfd| OwnedFd::from_raw_fd(pidfd as i32))
        };
        let pidfd = pidfd.context("open a pidfd")?;
        let started = started.take().context("the pipe is gone")?;
        let run = Run {
            pid,
            pidfd,
            fifo,
            started,
            path,
            said: String::new(),
            has_ended: false,
            strace: None,
        };
        prepare(pid)?;
        (&run.started).write_all(&[1]).context("start PID 1")?;
        Ok(run)
    }

    /// Starts a PID 1.
    pub fn start(&self, launch: &Launch) -> Result<Run> {
        let mut strace = None;
        let mut run = self.start_with(launch, |pid| {
            if let Some(calls) = &launch.strace {
                let file = self.root.join(format!("out/{}.trace", self.runs.get() - 1));
                strace = Some(attach_strace(pid, calls, launch.delay.as_deref(), &file)?);
            }
            Ok(())
        })?;
        run.strace = strace;
        Ok(run)
    }

    /// Mounts a root file system for one PID 1 alone, with only what the kernel
    /// or a container engine would leave to an init: no folder to mount anything on.
    /// `out` becomes /out.
    fn fresh_root(&self, out: &Path) -> Result<PathBuf> {
        let root = self.root.join("tmp");
        mount(Some("tmpfs"), &root, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
            .context("mount a root file system")?;
        for name in ["dev", "etc", "out"] {
            fs::create_dir(root.join(name)).with_context(|| format!("make /{name}"))?;
        }
        for name in ["bin", "sbin", "lib", "lib64", "usr"] {
            let (from, to) = (self.root.join(name), root.join(name));
            if let Ok(target) = fs::read_link(&from) {
                symlink(target, to).with_context(|| format!("link /{name}"))?;
            } else if from.is_dir() {
                fs::create_dir(&to).with_context(|| format!("make /{name}"))?;
                bind(&from, &to)?;
            }
        }
        for name in ["null", "tty"] {
            File::create(root.join("dev").join(name)).with_context(|| format!("make {name}"))?;
            bind(&Path::new("/dev").join(name), &root.join("dev").join(name))?;
        }
        bind(out, &root.join("out"))?;
        // Copies: what is mounted here, an init may make read-only for all.
        for name in ["init", "guest"] {
            fs::copy(self.root.join(name), root.join(name))
                .with_context(|| format!("copy /{name}"))?;
        }
        Ok(root)
    }

    /// What the new process does before it executes PID 1's program. `path` is its FIFO.
    fn enter(&self, launch: &Launch, path: &Path) -> Result<()> {
        let fresh =
            if launch.fresh { Some(self.fresh_root(&path.with_extension("out"))?) } else { None };
        let root = fresh.as_ref().unwrap_or(&self.root);
        if launch.fresh {
            // Nothing is mounted there yet.
        } else if launch.bare {
            for name in MOUNTS.iter().rev().filter(|name| **name != "run") {
                umount2(&root.join(name), MntFlags::MNT_DETACH)
                    .with_context(|| format!("unmount {name}"))?;
            }
        } else {
            mount(Some("proc"), &root.join("proc"), Some("proc"), MsFlags::empty(), NONE)
                .context("mount proc")?;
            mount(Some("tmpfs"), &root.join("run"), Some("tmpfs"), MsFlags::empty(), NONE)
                .context("mount tmpfs")?;
            inits::let_runit_stop(root)?;
        }
        let null =
            OpenOptions::new().read(true).write(true).open("/dev/null").context("/dev/null")?;
        let console = path.with_extension("console");
        let console = if launch.fresh {
            OpenOptions::new().append(true).create(true).open(console).context("make a console")?
        } else {
            null.try_clone().context("dup")?
        };
        dup2_stdin(&null).context("dup2")?;
        dup2_stdout(&console).context("dup2")?;
        dup2_stderr(&console).context("dup2")?;
        if launch.fresh {
            // Nothing is ignored yet. The C library keeps two signals to itself, so
            // the kernel is asked directly: one who was started by posix_spawn(3) ignores them.
            let default = [0u64; 4];
            for number in 1..=libc::SIGRTMAX() {
                // SAFETY: reads a struct of the kernel's layout; no handler is set.
                unsafe { libc::syscall(libc::SYS_rt_sigaction, number, &default, 0, 8) };
            }
        }
        if let Some(prepare) = &launch.prepare {
            prepare(root)?;
        }
        chdir(root).context("chdir")?;
        if launch.fresh || launch.bare {
            // A new /proc or /sys may be mounted only where the host's is still in sight.
            chroot(".").context("chroot")?;
        } else {
            pivot_root(".", ".").context("pivot_root")?;
            umount2(".", MntFlags::MNT_DETACH).context("unmount the host's root")?;
        }
        if !launch.fresh {
            // A Rust program ignores SIGPIPE; what it starts is not to inherit that.
            // SAFETY: no handler.
            unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.context("signal")?;
            nix::unistd::setsid().context("setsid")?;
        }
        if launch.fresh {
            // Nor is it to inherit what whoever started this program left open.
            // SAFETY: a plain system call.
            let returned =
                unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) };
            Errno::result(returned).context("close_range")?;
        }
        if !launch.may_reboot {
            const CAP_SYS_BOOT: i32 = 22;
            // SAFETY: a plain system call.
            let returned = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, CAP_SYS_BOOT, 0, 0, 0) };
            Errno::result(returned).context("drop CAP_SYS_BOOT")?;
        }
        if launch.fixed_addresses {
            let persona = personality::get().context("personality")?;
            personality::set(persona | Persona::ADDR_NO_RANDOMIZE).context("personality")?;
        }
        Ok(())
    }

    /// Starts a PID 1, and counts its system calls, and only its, until the
    /// load has said what it has to. Returns that, too.
    pub fn trace(
        &self,
        launch: &Launch,
        patience: Duration,
    ) -> Result<(String, BTreeMap<Sysno, u64>)> {
        let mut run = self.start_with(launch, |pid| {
            let options = Options::PTRACE_O_TRACESYSGOOD
                | Options::PTRACE_O_TRACEEXEC
                | Options::PTRACE_O_EXITKILL;
            ptrace::seize(pid, options).context("ptrace")
        })?;
        let pid = run.pid;
        // Only the thread that traces may wait, so another one listens, and stops it.
        let outcome = thread::scope(|scope| {
            let listener = scope.spawn(|| {
                let said = run.hear("time", patience);
                let _ = kill(pid, Signal::SIGKILL);
                said
            });
            let counts = count_calls(pid);
            (listener.join().expect("the listener"), counts)
        });
        run.has_ended = true;
        Ok((outcome.0?, outcome.1?))
    }
}

/// Mounts what is mounted at `from` at `to`, too.
pub fn bind(from: &Path, to: &Path) -> Result<()> {
    mount(Some(from), to, NONE, MsFlags::MS_BIND | MsFlags::MS_REC, NONE)
        .with_context(|| format!("mount {}", from.display()))
}

/// Has strace(1) write down these system calls of a process and of its descendants.
fn attach_strace(pid: Pid, calls: &str, delay: Option<&str>, file: &Path) -> Result<Child> {
    let mut strace = Command::new("strace");
    strace.args(delay.map(|delay| format!("--inject={delay}")));
    strace.args(["-f", "-s", "512", "-e", &format!("trace={calls}"), "-p", &pid.to_string(), "-o"]);
    strace.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut strace = strace.spawn().context("strace, which has to be installed")?;
    let start = Instant::now();
    let is_attached = || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        status.contains("TracerPid:") && !status.contains("TracerPid:\t0\n")
    };
    while !is_attached() {
        let ended = strace.try_wait().context("wait for strace")?;
        if ended.is_some() || start.elapsed() > Duration::from_secs(10) {
            let _ = strace.kill();
            bail!("strace may not trace a process here");
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(strace)
}

/// Counts the system calls of a traced process until it exits.
fn count_calls(pid: Pid) -> Result<BTreeMap<Sysno, u64>> {
    let mut counts = BTreeMap::new();
    loop {
        let signal = match waitpid(pid, None).context("wait for PID 1")? {
            WaitStatus::PtraceSyscall(_) => {
                if let Ok(info) = ptrace::syscall_info(pid)
                    && info.op == libc::PTRACE_SYSCALL_INFO_ENTRY
                {
                    // SAFETY: `op` says which of the union's members is there.
                    let number = unsafe { info.u.entry.nr };
                    if let Some(call) = Sysno::new(number as usize) {
                        *counts.entry(call).or_default() += 1;
                    }
                }
                None
            }
            WaitStatus::Stopped(_, signal) => Some(signal),
            WaitStatus::Exited(..) | WaitStatus::Signaled(..) => return Ok(counts),
            _ => None,
        };
        // It may have been killed in the meantime; then the next wait says so.
        let _ = ptrace::syscall(pid, signal);
    }
}

/// A PID 1 that was started. It is killed when this goes.
pub struct Run {
    pid: Pid,
    pidfd: OwnedFd,
    fifo: File,
    /// A pipe that nobody reads any more once PID 1's program has been executed.
    started: File,
    path: PathBuf,
    said: String,
    has_ended: bool,
    strace: Option<Child>,
}

impl Run {
    /// The host's PID of it.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits until execve(2) has closed what is not to outlive it, which it does once it can
    /// fail no more, right before the first instruction. Busily, so as not to be late.
    pub fn wait_for_exec(&self, patience: Duration) -> Result<()> {
        let deadline = Instant::now() + patience;
        let mut pipe = [PollFd::new(self.started.as_fd(), PollFlags::empty())];
        while poll(&mut pipe, PollTimeout::ZERO).context("poll")? == 0 {
            ensure!(Instant::now() < deadline, "PID 1 is not executed");
        }
        Ok(())
    }

    /// Waits until the load says a line that begins with `key`; returns the rest of it.
    pub fn hear(&mut self, key: &str, patience: Duration) -> Result<String> {
        let deadline = Instant::now() + patience;
        loop {
            while let Some(end) = self.said.find('\n') {
                let line: String = self.said.drain(..=end).collect();
                if let Some(error) = line.strip_prefix("error ") {
                    bail!("{}", error.trim_end());
                }
                if let Some(rest) = line.trim_end().strip_prefix(key) {
                    return Ok(rest.trim_start().into());
                }
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let mut descriptors = [
                PollFd::new(self.fifo.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN),
            ];
            poll(&mut descriptors, timeout(left)).context("poll")?;
            let ended = descriptors[1].any() == Some(true);
            let mut bytes = [0; 512];
            match self.fifo.read(&mut bytes) {
                Ok(length) => self.said += &String::from_utf8_lossy(&bytes[..length]),
                Err(_) if ended => bail!("PID 1 exited too soon"),
                Err(_) => ensure!(!left.is_zero(), "nothing happened for {} s", patience.as_secs()),
            }
        }
    }

    /// What PID 1 and its program printed so far; only of one with a fresh root.
    pub fn console(&self) -> String {
        self.read(&self.path.with_extension("console"))
    }

    /// What was written to a file in /out so far; only of one with a fresh root.
    pub fn out(&self, name: &str) -> String {
        self.read(&self.path.with_extension("out").join(name))
    }

    /// What strace(1) wrote down so far.
    pub fn trace(&self) -> String {
        self.read(&self.path.with_extension("trace"))
    }

    fn read(&self, path: &Path) -> String {
        String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
    }

    /// Says so if PID 1 could not even be executed.
    pub fn check_executed(&mut self) -> Result<()> {
        let mut bytes = [0; 512];
        while let Ok(length @ 1..) = self.fifo.read(&mut bytes) {
            self.said += &String::from_utf8_lossy(&bytes[..length]);
        }
        match self.said.lines().find_map(|line| line.strip_prefix("error ")) {
            Some(error) => bail!("{error}"),
            None => Ok(()),
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill(self.pid, signal).context("kill PID 1")
    }

    /// Waits until it has exited or was killed; returns how, if it did so in time.
    pub fn end(&mut self, patience: Duration) -> Result<Option<WaitStatus>> {
        let mut descriptors = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
        if poll(&mut descriptors, timeout(patience)).context("poll")? == 0 {
            return Ok(None);
        }
        let status = waitpid(self.pid, None).context("wait for PID 1")?;
        self.has_ended = true;
        if let Some(mut strace) = self.strace.take() {
            // It exits by itself, once all that it traced have.
            strace.wait().context("wait for strace")?;
        }
        Ok(Some(status))
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.has_ended {
            let _ = kill(self.pid, Signal::SIGKILL);
        }
        // Before the wait: what strace delays cannot exit, not even killed.
        if let Some(mut strace) = self.strace.take() {
            let _ = strace.kill();
            let _ = strace.wait();
        }
        if !self.has_ended {
            let _ = waitpid(self.pid, None);
        }
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(self.path.with_extension("console"));
        let _ = fs::remove_file(self.path.with_extension("trace"));
        let _ = fs::remove_dir_all(self.path.with_extension("out"));
    }
}

fn timeout(time: Duration) -> PollTimeout {
    PollTimeout::try_from(time + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
}
