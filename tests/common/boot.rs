//! What the tests that boot share with those of the Makefile and of lab/.

#![allow(dead_code)] // each test program uses its part

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
use std::{env, io, mem, thread};

use crate::common::{ROOT, TempDir};

/// How long anything may take before it counts as hung. Long enough for a slow
/// machine that first has to build everything.
pub const LIMIT: Duration = Duration::from_secs(180);

/// Keeps all others who want it waiting until it is dropped, in other test
/// programs too: boots share build/, and two at a time starve each other.
pub fn alone() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("boot.lock");
    let lock = File::create(path).expect("make the lock");
    lock.lock().expect("lock");
    lock
}

/// A root file system to boot: BusyBox, and what a test puts there.
pub struct Tree {
    folder: TempDir,
}

impl Tree {
    /// One whose /etc/rc is this shell script.
    pub fn new(rc: &str) -> Tree {
        // Tests run side by side, but only one of them may download it.
        static DOWNLOAD: Mutex<()> = Mutex::new(());
        let download = DOWNLOAD.lock();
        let busybox = Path::new(ROOT).join("build/busybox/bin/busybox");
        if !busybox.exists() {
            let made = make(&["build/busybox/bin/busybox"]).status();
            assert!(made.expect("run make").success(), "BusyBox cannot be had");
        }
        drop(download);
        let tree = Tree { folder: TempDir::new() };
        fs::create_dir(tree.path().join("bin")).expect("make /bin");
        fs::copy(busybox, tree.path().join("bin/busybox")).expect("copy BusyBox");
        symlink("busybox", tree.path().join("bin/sh")).expect("make /bin/sh");
        tree.script("etc/rc", rc);
        tree
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Adds a shell script.
    pub fn script(&self, name: &str, text: &str) {
        self.folder.script(name, text);
    }

    /// Boots it with `make run` and these variables, as somebody would type them.
    pub fn run(&self, variables: &[&str]) -> Boot {
        let _alone = alone();
        Boot::of(self.start(variables))
    }

    /// Begins to boot it. The caller sees to it that it is [`alone`].
    pub fn start(&self, variables: &[&str]) -> Session {
        let rootfs = format!("ROOTFS={}", self.folder.name());
        let arguments = [&["run", &rootfs, "TIMEOUT=60"], variables].concat();
        Session::piped(make(&arguments))
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // What `make archive` calls what it makes of this tree.
        let name = self.folder.name().replace('/', "_");
        let build = Path::new(ROOT).join("build");
        let _ = fs::remove_dir_all(build.join(format!("{name}.tree")));
        let _ = fs::remove_file(build.join(format!("{name}.cpio")));
    }
}

/// `make` with these arguments, typed by somebody who set no variable before.
pub fn make(arguments: &[&str]) -> Command {
    let mut command = command("make");
    command.args(arguments);
    command
}

/// A command that runs in the project's folder.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(ROOT);
    // `make test` may be running this. KERNEL and ACCEL are what it found out.
    const SET: &str = "MAKEFLAGS MFLAGS MAKELEVEL CPU VM ROOTFS WITHOUT ONLY APPEND QEMU_EXTRA TIMEOUT \
                       DISK PRESS INIT BUSYBOX N V OFF";
    for name in SET.split_whitespace() {
        command.env_remove(name);
    }
    command
}

/// Runs a program to its end, and returns its exit status, and what it said.
/// One that only root is meant to use is found, too.
pub fn run(program: &str, arguments: &[&str]) -> (Option<i32>, String) {
    let path = env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let mut command = command(program);
    command.args(arguments).env("PATH", path);
    Session::piped(command).end()
}

/// Types a command on a terminal; prints its settings before and after.
pub fn type_command(command: &str) -> Session {
    Session::on_terminal(&format!(
        r#"trap : INT
echo "before: $(stty -g)"; {command}; status=$?; echo "after: $(stty -g)"; exit $status"#
    ))
}

/// Whether [`type_command`] left the terminal as it was. The firmware switches
/// its line wrap off, which is no setting, but an escape sequence.
pub fn terminal_is_unharmed(said: &str) -> bool {
    let settings = |name| said.split_once(name)?.1.lines().next();
    let wraps = said.rfind("\x1b[?7l") < said.rfind("\x1b[?7h");
    wraps && settings("before: ").is_some() && settings("before: ") == settings("after: ")
}

/// What became of a boot.
pub struct Boot {
    /// The exit status of make.
    pub status: Option<i32>,
    /// What make and all that it ran said.
    pub said: String,
    /// What the kernel said.
    pub kernel: String,
    /// What everyone else in the machine said.
    pub programs: String,
    log: String,
}

impl Boot {
    /// Waits until it has ended.
    pub fn of(session: Session) -> Boot {
        let (status, said) = session.end();
        let log = fs::read(Path::new(ROOT).join("build/console.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).replace('\r', "");
        let (kernel, programs) = tell_apart(&log);
        Boot { status, said, kernel, programs, log }
    }

    /// All that the console said, as it came.
    pub fn log(&self) -> &str {
        &self.log
    }

    /// Fails, and shows everything, unless `condition` holds.
    #[track_caller]
    pub fn demand(&self, condition: bool, what: &str) {
        assert!(
            condition,
            "not so: {what}\n--- make ended with {:?} and said:\n{}\n--- the console's log:\n{}",
            self.status, self.said, self.log
        );
    }

    /// Demands that a program in the machine printed this line.
    #[track_caller]
    pub fn demand_line(&self, line: &str) {
        let found = self.programs.lines().any(|said| said == line);
        self.demand(found, &format!("the console says: {line}"));
    }

    /// Demands that make fails, and that a line of what it says begins so.
    #[track_caller]
    pub fn demand_failure(&self, line: &str) {
        self.demand(self.status.is_some_and(|status| status != 0), "make fails");
        let found = self.said.lines().any(|said| said.starts_with(line));
        self.demand(found, &format!("make says: {line}"));
    }

    /// Demands that make succeeds.
    #[track_caller]
    pub fn demand_success(&self) {
        self.demand(self.status == Some(0), "make ends with status 0");
    }
}

/// Tells the kernel's lines, `[    1.318198] Run /init`, from the others. They
/// land in the middle of those.
pub fn tell_apart(log: &str) -> (String, String) {
    let (mut kernel, mut programs) = (String::new(), String::new());
    let mut rest = log;
    while let Some(at) = rest.find('[') {
        let (before, after) = rest.split_at(at);
        programs += before;
        let line = after.split_inclusive('\n').next().unwrap_or(after);
        let stamp = line[1..].split(']').next().unwrap_or("").trim_start();
        let is_kernel = stamp.split_once('.').is_some_and(|(seconds, micro)| {
            seconds.parse::<u32>().is_ok() && micro.len() == 6 && micro.parse::<u32>().is_ok()
        });
        let length = if is_kernel { line.len() } else { 1 };
        let (taken, left) = after.split_at(length);
        *(if is_kernel { &mut kernel } else { &mut programs }) += taken;
        rest = left;
    }
    (kernel, programs + rest)
}

/// What is said, in this order, where the demo runs, on whatever machine.
pub const STORY: [&str; 11] = [
    "Run /init as init process",
    "demo: started by PID 1",
    "demo: I have a controlling terminal",
    "demo: mounted are / /proc /sys /dev /dev/pts /run",
    "demo: I sent PID 1 a SIGHUP, and it was passed on to me",
    "demo: the orphan: my parent is now PID 1",
    " exited with status 7",
    "demo: the server: SIGTERM came",
    " exited with status 0",
    "reboot: Power down",
    "picoinit: the program exited with status 0, and the machine is off",
];

/// Looks for `parts` in `text`, each behind the one before. Returns the first
/// that is not there.
pub fn missing_in_order<'a>(text: &str, parts: &[&'a str]) -> Option<&'a str> {
    let mut rest = text;
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return Some(part),
        }
    }
    None
}

/// A command that runs, and what it has said so far.
pub struct Session {
    child: Option<Child>,
    pieces: Receiver<Vec<u8>>,
    said: Vec<u8>,
    /// How much of it [`Session::wait_for`] has gone past.
    heard: usize,
    input: Option<File>,
}

impl Session {
    /// Runs a command with nothing to read.
    pub fn piped(mut command: Command) -> Session {
        let (reader, writer) = io::pipe().expect("pipe");
        command
            .stdin(Stdio::null())
            .stdout(writer.try_clone().expect("dup"))
            .stderr(writer)
            .process_group(0);
        Session::begin(command, reader, None)
    }

    /// Runs a shell script on a terminal of its own.
    pub fn on_terminal(script: &str) -> Session {
        let terminal = openpty(None, None).expect("make a pseudo-terminal");
        let slave = || Stdio::from(terminal.slave.try_clone().expect("dup"));
        let mut command = command("setsid");
        command
            .args(["--ctty", "--wait", "sh", "-c", script])
            .stdin(slave())
            .stdout(slave())
            .stderr(slave());
        let master = File::from(terminal.master);
        let input = master.try_clone().expect("dup");
        drop(terminal.slave);
        Session::begin(command, master, Some(input))
    }

    fn begin(
        mut command: Command,
        mut output: impl Read + Send + 'static,
        input: Option<File>,
    ) -> Session {
        let child = command.spawn().expect("start a command");
        // With it go our copies of its end; otherwise `output` would have no end.
        drop(command);
        let (sender, pieces) = mpsc::channel();
        thread::spawn(move || {
            let mut piece = [0; 4096];
            // A terminal that nobody has open any more gives an error, not an end. If it was closed
            // just now, what was written to it before may come after the error.
            while let Ok(length @ 1..) =
                output.read(&mut piece).or_else(|_| output.read(&mut piece))
            {
                if sender.send(piece[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
        Session { child: Some(child), pieces, said: Vec::new(), heard: 0, input }
    }

    /// What it has said so far.
    pub fn said(&self) -> String {
        String::from_utf8_lossy(&self.said).replace('\r', "")
    }

    /// The same, to the byte.
    pub fn said_bytes(&self) -> &[u8] {
        &self.said
    }

    /// Waits until it says `text`, after what was waited for before.
    #[track_caller]
    pub fn wait_for(&mut self, text: &str) {
        let deadline = Instant::now() + LIMIT;
        let found = |said: &[u8]| said.windows(text.len()).position(|part| part == text.as_bytes());
        loop {
            if let Some(at) = found(&self.said[self.heard..]) {
                self.heard += at + text.len();
                return;
            }
            if let Err(error) = self.hear(deadline) {
                panic!("waited for {text:?}: {error}; so far:\n{}", self.said());
            }
        }
    }

    /// Sends a signal to the command itself, not to what it started.
    pub fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("a child");
        kill(Pid::from_raw(child.id() as i32), signal).expect("send a signal");
    }

    /// Types into its terminal.
    pub fn type_in(&mut self, text: &str) {
        let input = self.input.as_mut().expect("a terminal");
        input.write_all(text.as_bytes()).expect("type");
    }

    /// Waits until it has ended. Returns its exit status, and all that it said.
    #[track_caller]
    pub fn end(mut self) -> (Option<i32>, String) {
        let deadline = Instant::now() + LIMIT;
        loop {
            match self.hear(deadline) {
                Ok(()) => {}
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("does not end; so far:\n{}", self.said()),
            }
        }
        let status = self.child.as_mut().expect("a child").wait().expect("wait");
        self.child = None;
        (status.code(), self.said())
    }

    fn hear(&mut self, deadline: Instant) -> Result<(), RecvTimeoutError> {
        let left = deadline.saturating_duration_since(Instant::now());
        self.said.extend(self.pieces.recv_timeout(left)?);
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // It leads a process group of its own; so QEMU goes with it. User-mode Linux
        // has groups of its own, and is ended by lab/boot.sh, if that gets the time.
        if let Some(mut child) = mem::take(&mut self.child) {
            let group = Pid::from_raw(child.id() as i32);
            let _ = killpg(group, Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(10);
            while self.hear(deadline).is_ok() {}
            let _ = killpg(group, Signal::SIGKILL);
            let _ = child.wait();
        }
    }
}
