//! Every system call that PID 1 makes, from its first instruction to power
//! off, and which line of the source it is for.
//!
//! PID 1 runs in namespaces of its own, one instruction at a time. So its calls and
//! returns are seen, and with them the function on whose behalf a system call is made.

mod calls;

use crate::bench::jail::enter_namespaces;
use crate::binary::{Binary, Build, Owner, Place, Source};
use anyhow::{Context, Result, ensure};
use clap::Args;
use comfy_table::{CellAlignment, Table, presets::NOTHING};
use iced_x86::{Decoder, DecoderOptions, Mnemonic};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::libc;
use nix::mount::{MsFlags, mount};
use nix::pty::openpty;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::ptrace::{self, Event, Options as Follow};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, alarm, setsid};
use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File, Permissions};
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chroot, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use syscalls::Sysno;

/// What `trace` can be told.
#[derive(Args)]
pub struct Options {
    #[command(flatten)]
    stage: Stage,
    /// Have the namespace refuse what it refuses to a container, so that
    /// nothing is unmounted at the end
    #[arg(long)]
    as_container: bool,
}

/// Where and with what the init is run.
#[derive(Args)]
pub struct Stage {
    /// Which init
    #[command(flatten)]
    pub build: Build,
    /// The program that it runs, linked statically
    #[arg(long)]
    program: PathBuf,
    /// A folder to mount file systems on, which other processes do not see
    #[arg(long)]
    scratch: PathBuf,
}

/// How long PID 1 may take, in seconds.
const PATIENCE: u32 = 60;

/// The ABI's argument of reboot(2) that asks for Ctrl-Alt-Del as a signal.
const CAD_OFF: u64 = 0;

/// A system call that the init's code made.
pub struct Call {
    /// Who made it, as the namespace numbers processes.
    pub pid: i32,
    /// Which it is.
    pub name: Sysno,
    /// What it belongs to.
    pub owner: Owner,
    /// The line of the source that is its reason.
    pub place: Place,
    /// The function that has the instruction.
    pub function: String,
    text: String,
    result: Option<String>,
}

/// Runs the init, and prints what it called.
pub fn run(options: &Options) -> Result<()> {
    let (source, binary) = options.stage.build.read()?;
    let trace = trace(&options.stage, &source, &binary, options.as_container)?;
    let text = report(&trace.calls, options.as_container)?;
    match io::stdout().lock().write_all(text.as_bytes()) {
        // The reader, such as head(1), has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {}
        outcome => outcome.context("standard output")?,
    }
    trace.demand_end()
}

/// What the init called.
pub struct Trace {
    /// All calls, in order.
    pub calls: Vec<Call>,
    has_ended: bool,
}

impl Trace {
    /// Fails if it was still running when there was no time left.
    pub fn demand_end(&self) -> Result<()> {
        ensure!(self.has_ended, "PID 1 still ran after {PATIENCE} seconds, and was killed");
        Ok(())
    }
}

/// Runs the init until it is gone. Returns the calls that it made, and the calls of
/// its children as long as they execute its code.
pub fn trace(stage: &Stage, source: &Source, binary: &Binary, as_container: bool) -> Result<Trace> {
    // The console is a terminal, as in `make run`. It has room for what is said there.
    let console = openpty(None, None).context("make a pseudo-terminal")?;
    for end in [&console.master, &console.slave] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).context("fcntl")?;
    }
    let pid = start(stage, console.slave)?;
    // A signal that interrupts the wait. (A thread that looks at the clock cannot
    // be started any more: children go to another PID namespace.)
    let handler = SigAction::new(SigHandler::Handler(on_alarm), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing.
    unsafe { sigaction(Signal::SIGALRM, &handler) }.context("sigaction")?;
    alarm::set(PATIENCE);
    let mut tracer = Tracer::new(binary, source, pid, as_container);
    let has_ended = tracer.run()?;
    alarm::cancel();
    Ok(Trace { calls: tracer.calls, has_ended })
}

extern "C" fn on_alarm(_: i32) {}

/// Makes a root file system as bare as that of `make run`, and starts the init
/// there, which stops before its first instruction.
fn start(stage: &Stage, console: OwnedFd) -> Result<Pid> {
    let root = &stage.scratch;
    fs::create_dir_all(root).with_context(|| root.display().to_string())?;
    enter_namespaces()?;
    mount(Some("tmpfs"), root, Some("tmpfs"), MsFlags::empty(), Some("mode=755"))
        .with_context(|| format!("mount tmpfs on {}", root.display()))?;
    let install = |from: &Path, name: &str| -> Result<()> {
        let to = root.join(name);
        fs::copy(from, &to).with_context(|| from.display().to_string())?;
        fs::set_permissions(&to, Permissions::from_mode(0o755)).with_context(|| name.to_string())
    };
    for name in ["bin", "dev", "etc"] {
        fs::create_dir(root.join(name)).with_context(|| format!("make /{name}"))?;
    }
    install(&stage.build.init, "init")?;
    install(&stage.program, "bin/program")?;
    // The kernel's own initramfs has one, too.
    File::create(root.join("dev/console")).context("make /dev/console")?;
    symlink("/bin/program", root.join("etc/rc")).context("link /etc/rc")?;

    unshare(CloneFlags::CLONE_NEWPID).context("a PID namespace")?;
    let mut command = Command::new("/init");
    command.env_clear().env("HOME", "/").env("TERM", "linux");
    let stdio = || console.try_clone().map(Stdio::from).context("dup");
    command.stdin(stdio()?).stdout(stdio()?).stderr(stdio()?);
    let root = root.clone();
    let become_pid1 = move || {
        set_pdeathsig(Signal::SIGKILL)?;
        setsid()?;
        // The mounts of the host are out of reach from here on: what it unmounts are its own.
        chroot(&root)?;
        std::env::set_current_dir("/")?;
        Ok(ptrace::traceme()?)
    };
    // SAFETY: this program has one thread only, so the child can do what it likes.
    let child = unsafe { command.pre_exec(become_pid1) }.spawn().context("start /init")?;
    Ok(Pid::from_raw(child.id() as i32))
}

/// A process that executes the init's code.
#[derive(Default)]
struct Tracee {
    /// What the namespace calls it.
    pid: i32,
    /// The calls of functions that have not returned: the stack pointer right
    /// after, and the address of the instruction.
    stack: Vec<(u64, u64)>,
    /// The address of the last instruction, if it was a call of a function.
    calling: Option<u64>,
    /// The system call that it is making, by its place in the list.
    making: Option<usize>,
}

struct Tracer<'a> {
    binary: &'a Binary,
    source: &'a Source,
    first: Pid,
    as_container: bool,
    tracees: HashMap<Pid, Tracee>,
    /// A child that waits to call reboot(2).
    last: Option<Pid>,
    places: HashMap<u64, Vec<Place>>,
    calls: Vec<Call>,
}

impl<'a> Tracer<'a> {
    fn new(binary: &'a Binary, source: &'a Source, first: Pid, as_container: bool) -> Self {
        let (tracees, places, calls) = (HashMap::new(), HashMap::new(), Vec::new());
        Tracer { binary, source, first, as_container, tracees, last: None, places, calls }
    }

    /// Until PID 1 is gone; returns whether that happened in time.
    fn run(&mut self) -> Result<bool> {
        let status = waitpid(self.first, None).context("wait for PID 1")?;
        ensure!(matches!(status, WaitStatus::Stopped(_, Signal::SIGTRAP)), "PID 1: {status:?}");
        let options =
            Follow::PTRACE_O_EXITKILL | Follow::PTRACE_O_TRACEFORK | Follow::PTRACE_O_TRACEEXEC;
        ptrace::setoptions(self.first, options).context("ptrace")?;
        self.tracees.insert(self.first, Tracee { pid: 1, ..Tracee::default() });
        self.step(self.first, None)?;
        loop {
            let status = match waitpid(None, Some(WaitPidFlag::__WALL)) {
                Err(Errno::EINTR) => {
                    kill(self.first, Signal::SIGKILL).context("kill PID 1")?;
                    return Ok(false);
                }
                outcome => outcome.context("wait for PID 1")?,
            };
            match status {
                WaitStatus::Stopped(pid, Signal::SIGTRAP) => {
                    self.after_instruction(pid)?;
                    self.step(pid, None)?;
                }
                // That is how a child begins.
                WaitStatus::Stopped(pid, Signal::SIGSTOP) => {
                    self.adopt(pid)?;
                    self.step(pid, None)?;
                }
                WaitStatus::Stopped(pid, signal) => {
                    self.after_instruction(pid)?;
                    self.step(pid, Some(signal))?;
                }
                WaitStatus::PtraceEvent(pid, _, event)
                    if event == Event::PTRACE_EVENT_EXEC as i32 =>
                {
                    self.returned(pid, "0".into());
                    self.tracees.remove(&pid);
                    ptrace::detach(pid, None).context("let the program go")?;
                }
                WaitStatus::PtraceEvent(pid, ..) => {
                    let child = ptrace::getevent(pid).context("ask for the child")?;
                    self.adopt(Pid::from_raw(child as i32))?;
                    // The system call has not returned yet.
                    step_on(pid, None)?;
                }
                WaitStatus::Exited(pid, _) | WaitStatus::Signaled(pid, ..) => {
                    self.tracees.remove(&pid);
                    if pid == self.first {
                        return Ok(true);
                    }
                }
                _ => {}
            }
        }
    }

    /// A child of PID 1, with the stack that it got a copy of. Called twice.
    fn adopt(&mut self, pid: Pid) -> Result<()> {
        if !self.tracees.contains_key(&pid) {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let inner = status.lines().find_map(|line| {
                line.strip_prefix("NSpid:")?.split('\t').next_back()?.parse().ok()
            });
            let stack = self.tracees.get(&self.first).context("PID 1")?.stack.clone();
            let tracee = Tracee { pid: inner.unwrap_or_default(), stack, ..Tracee::default() };
            self.tracees.insert(pid, tracee);
        }
        Ok(())
    }

    /// Looks at the next instruction of a process, and has it executed.
    fn step(&mut self, pid: Pid, signal: Option<Signal>) -> Result<()> {
        // It may have been killed in the meantime; then the next wait says so.
        let Ok(registers) = ptrace::getregs(pid) else { return Ok(()) };
        let address = registers.rip;
        let end = self.binary.base + self.binary.image.len() as u64;
        ensure!((self.binary.base..end).contains(&address), "{address:#x} is not in the init");
        let code = &self.binary.image[(address - self.binary.base) as usize..];
        let instruction = Decoder::with_ip(64, code, address, DecoderOptions::NONE).decode();
        // A signal comes before the instruction, which so is not executed now.
        if signal.is_none() {
            match instruction.mnemonic() {
                Mnemonic::Call => self.tracee(pid)?.calling = Some(address),
                // The last thing that a function does may be a call, without return.
                Mnemonic::Jmp if self.is_call(address, instruction.near_branch_target()) => {
                    self.tracee(pid)?.calling = Some(address);
                }
                Mnemonic::Syscall => {
                    // The call stops PID 1 wherever it is. So that it is in the same place each
                    // time, the caller waits until PID 1 waits.
                    let ends_all = registers.rax == Sysno::reboot as u64 && pid != self.first;
                    if ends_all && !self.first_waits() {
                        self.last = Some(pid);
                        return Ok(());
                    }
                    self.before_call(pid, &registers)?;
                }
                _ => {}
            }
        }
        step_on(pid, signal)?;
        match self.last.take_if(|last| *last != pid) {
            Some(last) if self.first_waits() => self.step(last, None),
            last => {
                self.last = self.last.or(last);
                Ok(())
            }
        }
    }

    /// Whether PID 1 waits for a signal, which tells it of a child.
    fn first_waits(&self) -> bool {
        let making = self.tracees.get(&self.first).and_then(|tracee| tracee.making);
        making.is_some_and(|index| self.calls[index].name == Sysno::rt_sigtimedwait)
    }

    /// Whether a jump goes to the beginning of another function.
    fn is_call(&self, from: u64, to: u64) -> bool {
        let start = |address| self.binary.function(address).map(|function| function.start);
        start(to) == Some(to) && start(from) != Some(to)
    }

    fn tracee(&mut self, pid: Pid) -> Result<&mut Tracee> {
        self.tracees.get_mut(&pid).with_context(|| format!("process {pid} is unknown"))
    }

    /// Keeps the stack of calls, and takes down what a system call returned.
    fn after_instruction(&mut self, pid: Pid) -> Result<()> {
        let Ok(mut registers) = ptrace::getregs(pid) else { return Ok(()) };
        let tracee = self.tracee(pid)?;
        let stack_pointer = registers.rsp;
        if let Some(address) = tracee.calling.take() {
            tracee.stack.push((stack_pointer, address));
        }
        while tracee.stack.last().is_some_and(|(place, _)| *place < stack_pointer) {
            tracee.stack.pop();
        }
        let Some(index) = tracee.making else { return Ok(()) };
        let is_cad_off = self.calls[index].name == Sysno::reboot && registers.rdx == CAD_OFF;
        let mut result = calls::result(registers.rax);
        if is_cad_off && !self.as_container {
            // Only the machine's own PID 1 may do this; see what it does then.
            result = format!("0 (made up: {result})");
            registers.rax = 0;
            ptrace::setregs(pid, registers).context("ptrace")?;
        }
        self.returned(pid, result);
        Ok(())
    }

    fn returned(&mut self, pid: Pid, result: String) {
        if let Some(index) = self.tracees.get_mut(&pid).and_then(|tracee| tracee.making.take()) {
            self.calls[index].result = Some(result);
        }
    }

    /// Takes down a system call that is about to be made.
    fn before_call(&mut self, pid: Pid, registers: &libc::user_regs_struct) -> Result<()> {
        let number = registers.rax;
        let name = Sysno::new(number as usize).with_context(|| format!("system call {number}?"))?;
        let r = registers;
        let arguments = [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9];
        let memory = File::open(format!("/proc/{pid}/mem")).context("read the memory of PID 1")?;
        let text = calls::describe(name, &arguments, &memory);

        let tracee = self.tracee(pid)?;
        let inner = tracee.pid;
        let callers = tracee.stack.iter().rev().map(|(_, address)| *address);
        let addresses: Vec<u64> = [registers.rip].into_iter().chain(callers).collect();
        let mut places = Vec::new();
        for address in addresses {
            if !self.places.contains_key(&address) {
                let found = self.binary.places(self.source, address)?;
                self.places.insert(address, found);
            }
            places.extend(self.places[&address].iter().cloned());
        }
        let (owner, place) = self
            .source
            .owner(&places)
            .with_context(|| format!("{text} belongs to no file in src/"))?;
        let (owner, place) = (owner, place.clone());
        let own = places.iter().find(|place| place.module().is_some());
        let function = own.map(|place| place.function.clone()).unwrap_or_default();
        self.tracee(pid)?.making = Some(self.calls.len());
        self.calls.push(Call { pid: inner, name, owner, place, function, text, result: None });
        Ok(())
    }
}

fn step_on(pid: Pid, signal: Option<Signal>) -> Result<()> {
    match ptrace::step(pid, signal) {
        // It may have been killed in the meantime; then the next wait says so.
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(error).context("ptrace"),
    }
}

/// How many calls each owner made: PID 1, and its children.
pub fn calls_by_owner(calls: &[Call]) -> BTreeMap<Owner, (usize, usize)> {
    let mut counts = BTreeMap::new();
    for call in calls {
        let (pid1, children): &mut (usize, usize) = counts.entry(call.owner.clone()).or_default();
        *(if call.pid == 1 { pid1 } else { children }) += 1;
    }
    counts
}

/// One line a call, or for those in a row that do not differ; and the table of them.
fn report(calls: &[Call], as_container: bool) -> Result<String> {
    let mut lines = Table::new();
    lines.load_style(NOTHING);
    lines.set_header(["PID", "duty", "line and function", "call"]);
    let mut rows: Vec<([String; 4], usize)> = Vec::new();
    for call in calls {
        let way = if call.function == call.place.function {
            String::new()
        } else {
            format!(" > {}", call.function)
        };
        let result = call.result.as_deref().unwrap_or("?");
        let row = [
            call.pid.to_string(),
            call.owner.to_string(),
            format!("{}{way}", call.place),
            format!("{} = {result}", call.text),
        ];
        match rows.last_mut() {
            Some((last, times)) if *last == row => *times += 1,
            _ => rows.push((row, 1)),
        }
    }
    for (mut row, times) in rows {
        if times > 1 {
            row[3] += &format!(" ({times} times)");
        }
        lines.add_row(row);
    }
    let mut counts = Table::new();
    counts.load_style(NOTHING);
    counts.set_header(["duty", "PID 1", "its children", "together"]);
    let by_owner = calls_by_owner(calls);
    for (owner, (pid1, children)) in &by_owner {
        let numbers = [*pid1, *children, pid1 + children].map(|count| count.to_string());
        counts.add_row([vec![owner.to_string()], numbers.to_vec()].concat());
    }
    let sums =
        by_owner.values().fold((0, 0), |sums, (pid1, children)| (sums.0 + pid1, sums.1 + children));
    ensure!(sums.0 + sums.1 == calls.len(), "the table's sum is not the number of calls");
    let numbers = [sums.0, sums.1, calls.len()].map(|count| count.to_string());
    counts.add_row([vec!["together".to_string()], numbers.to_vec()].concat());
    for column in 1..4 {
        counts.column_mut(column).context("a column")?.set_cell_alignment(CellAlignment::Right);
    }
    let namespace = if as_container {
        "A namespace refuses devtmpfs, and reboot(2) with LINUX_REBOOT_CMD_CAD_OFF. So nothing is unmounted."
    } else {
        "A namespace refuses devtmpfs, and reboot(2) with LINUX_REBOOT_CMD_CAD_OFF. The answer to the latter is made up here, so that PID 1 unmounts everything, as it does on a machine."
    };
    Ok(format!(
        "{lines}\n\n`?` as a result: the call did not return. The children are the processes that PID 1 forks, until they execute the program or exit.\n{namespace}\n\nSystem calls by duty:\n\n{counts}\n"
    ))
}
