//! Runs an init as PID 1 of namespaces of its own: some milliseconds each, no
//! root, nothing of the host is touched.

#![allow(dead_code)] // each test program uses its part

use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use std::ffi::OsString;
use std::fs::{self, File};
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, Instant};

mod temp;

pub use temp::TempDir;

/// The folder of the project.
pub const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Says why a test cannot run here. Where everything must run, that is a failure.
pub fn skip(why: &str) {
    assert!(std::env::var_os("CI").is_none(), "cannot be tested: {why}");
    println!("skipped: {why}");
}

/// The init as it is shipped, built now if need be.
pub fn init() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--release"]));
    Path::new(ROOT).join("target/x86_64-unknown-linux-gnu/release/init")
}

/// The init with the feature `container`, built now if need be.
pub fn container_init() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        build(&["--release", "--features", "container", "--target-dir", "target/container"]);
    });
    Path::new(ROOT).join("target/container/x86_64-unknown-linux-gnu/release/init")
}

/// The program in guest.rs, built now if need be.
pub fn guest() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--example", "guest"]));
    Path::new(ROOT).join("target/x86_64-unknown-linux-gnu/debug/examples/guest")
}

/// The program in machine.rs, built now if need be.
pub fn machine() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--example", "machine"]));
    Path::new(ROOT).join("target/x86_64-unknown-linux-gnu/debug/examples/machine")
}

/// The lab's tool, built now if need be, in the project's folder.
pub fn lab(arguments: &[&str]) -> Command {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| build(&["--release", "--package", "picoinit-lab"]));
    let path = "target/x86_64-unknown-linux-gnu/release/picoinit-lab";
    let mut command = Command::new(Path::new(ROOT).join(path));
    command.args(arguments).current_dir(ROOT);
    command
}

/// Has cargo build this.
pub fn build(what: &[&str]) {
    let mut command = Command::new(env!("CARGO"));
    command.args(["build", "--quiet"]).args(what).current_dir(ROOT);
    let status = command.status().expect("run cargo");
    assert!(status.success(), "cargo build {what:?} failed");
}

/// A pseudo-terminal: the end of the person, and the end of the programs.
pub fn terminal() -> (File, OwnedFd) {
    // Tests run in threads: from the start, no other test's process may inherit it.
    let flags = OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    let terminal = posix_openpt(flags).expect("posix_openpt");
    grantpt(&terminal).expect("grantpt");
    unlockpt(&terminal).expect("unlockpt");
    let console = File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NOCTTY)
        .open(ptsname_r(&terminal).expect("ptsname"))
        .expect("open the terminal");
    // SAFETY: the descriptor is this one's alone from here on.
    let terminal = unsafe { File::from_raw_fd(terminal.into_raw_fd()) };
    (terminal, console.into())
}

/// How an init ended, and what was said under it.
pub struct Outcome {
    /// How PID 1 ended.
    pub status: ExitStatus,
    /// What PID 1 and its program printed.
    pub console: String,
    /// What the guest reported, a fact a line.
    pub report: Vec<String>,
    /// What was left in /out.
    pub out: TempDir,
}

impl Outcome {
    /// Gathers it from what was left in the folder that was /out.
    pub fn read(status: ExitStatus, out: TempDir) -> Outcome {
        let read = |name: &str| fs::read(out.path().join(name)).unwrap_or_default();
        let text = |name: &str| String::from_utf8_lossy(&read(name)).into_owned();
        let report = text("report").lines().map(String::from).collect();
        Outcome { status, console: text("console"), report, out }
    }

    /// What the report says after `key` and a space.
    pub fn fact(&self, key: &str) -> &str {
        let fact = |line: &'_ String| line.strip_prefix(key)?.strip_prefix(' ').map(str::len);
        match self
            .report
            .iter()
            .find_map(|line| fact(line).map(|length| &line[line.len() - length..]))
        {
            Some(value) => value,
            None => panic!(
                "the report says nothing about {key}: {:#?}\nconsole:\n{}",
                self.report, self.console
            ),
        }
    }

    /// Whether the console has this line.
    pub fn said(&self, line: &str) -> bool {
        self.console.lines().any(|said| said.trim_end() == line)
    }

    /// Whether PID 1 ended with an exit status, and which.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Whether a signal ended PID 1, and which: 2 is the kernel's way to say
    /// that the namespace was halted or powered off, 1 that it was restarted
    /// (reboot(2)).
    pub fn signal(&self) -> Option<i32> {
        self.status.signal()
    }
}

/// How long it may take before it counts as hung: long enough for a busy machine.
const LIMIT: Duration = Duration::from_secs(180);

/// PID 1 of namespaces of its own, in the making.
pub struct Namespace {
    init: Vec<String>,
    may_reboot: bool,
    prepare: String,
    stdio: Option<OwnedFd>,
    trace: Option<String>,
    words: Vec<OsString>,
    file: Option<PathBuf>,
}

/// What makes the root file system: read-only, the host's programs and
/// libraries; and then becomes PID 1. `$0` is the folder to make it in, `$1`
/// the prepare script, the rest is the command line of PID 1.
const BECOME_INIT: &str = r#"
set -e
root=$0 prepare=$1
shift
mount -t tmpfs tmpfs "$root"
mkdir "$root/dev" "$root/out" "$root/etc" "$root/tmp"
for name in bin sbin lib lib64 usr; do
    if [ -L /$name ]; then cp -P /$name "$root/$name"
    elif [ -d /$name ]; then mkdir "$root/$name"; mount --rbind /$name "$root/$name"; fi
done
for name in null tty; do : > "$root/dev/$name"; mount --rbind /dev/$name "$root/dev/$name"; done
mount --rbind "$OUT" "$root/out"
for name in init guest; do : > "$root/$name"; done
mount --rbind "$INIT" "$root/init"
mount --rbind "$GUEST" "$root/guest"
unset OUT INIT GUEST PWD OLDPWD
exec chroot "$root" /bin/sh -c 'cd /; eval "$0"; exec "$@"' "$prepare" "$@"
"#;

impl Namespace {
    /// The shipped init, which may not reboot: so it ends as in a container.
    pub fn new(arguments: &[&str]) -> Namespace {
        Namespace::with_init(&["/init"], arguments)
    }

    /// The init that does nothing for its program. It has a /proc, so that
    /// the program can look around.
    pub fn naive(arguments: &[&str]) -> Namespace {
        Namespace::with_init(&["/guest", "naive"], arguments)
            .prepare("mkdir /proc && mount -t proc proc /proc")
    }

    /// Another command line for PID 1.
    pub fn with_init(init: &[&str], arguments: &[&str]) -> Namespace {
        let words = init.iter().chain(arguments);
        Namespace {
            init: words.map(|word| word.to_string()).collect(),
            may_reboot: false,
            prepare: String::new(),
            stdio: None,
            trace: None,
            words: Vec::new(),
            file: None,
        }
    }

    /// Has another file be /init.
    pub fn file(mut self, file: PathBuf) -> Self {
        self.file = Some(file);
        self
    }

    /// Lets it call reboot(2), which ends the namespace.
    pub fn may_reboot(mut self) -> Self {
        self.may_reboot = true;
        self
    }

    /// Adds words to the command line of PID 1, of any bytes but 0.
    pub fn words(mut self, words: Vec<OsString>) -> Self {
        self.words = words;
        self
    }

    /// Runs a piece of shell script right before PID 1 takes over.
    pub fn prepare(mut self, script: &str) -> Self {
        self.prepare += script;
        self.prepare += "\n";
        self
    }

    /// Gives it these as descriptors 0, 1 and 2.
    pub fn stdio(mut self, file: OwnedFd) -> Self {
        self.stdio = Some(file);
        self
    }

    /// Writes these system calls, of all processes, into the file `trace` in /out.
    pub fn trace(mut self, calls: &str) -> Self {
        self.trace = Some(calls.into());
        self
    }

    /// Runs it to its end.
    pub fn run(self) -> Outcome {
        let out = TempDir::new();
        let root = TempDir::new();
        let mut command = self.command(root.path(), out.path());
        let start = Instant::now();
        let status = command.status().expect("run unshare");
        let outcome = Outcome::read(status, out);
        assert!(
            start.elapsed() < LIMIT && outcome.code() != Some(125),
            "no end within {LIMIT:?}, or no namespace (unprivileged user namespaces are needed); console:\n{}",
            outcome.console,
        );
        outcome
    }

    /// The command that runs it, for those who want to look while it runs.
    pub fn command(self, root: &Path, out: &Path) -> Command {
        let console = File::create(out.join("console")).expect("make the console's file");
        let mut command = match &self.trace {
            Some(calls) => {
                let mut strace = Command::new("strace");
                strace.args(["-f", "-e", &format!("trace={calls}")]);
                strace.arg("-o").arg(out.join("trace")).arg("timeout");
                strace
            }
            None => Command::new("timeout"),
        };
        command
            .args([
                "--kill-after=1",
                &LIMIT.as_secs().to_string(),
                "unshare",
                "--user",
                "--map-root-user",
            ])
            .args(["--pid", "--fork", "--kill-child", "--mount", "--net", "--ipc"])
            .args(["/bin/sh", "-c", BECOME_INIT])
            .arg(root)
            .arg(&self.prepare);
        if !self.may_reboot {
            command.args(["setpriv", "--bounding-set=-sys_boot"]);
        }
        command
            .args(&self.init)
            .args(&self.words)
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("OUT", out)
            .env("INIT", self.file.clone().unwrap_or_else(init))
            .env("GUEST", guest());
        let stdio = |file: &Option<OwnedFd>| match file {
            Some(file) => Stdio::from(file.try_clone().expect("dup")),
            None => Stdio::from(console.try_clone().expect("dup")),
        };
        let stdin = match &self.stdio {
            Some(file) => Stdio::from(file.try_clone().expect("dup")),
            None => Stdio::null(),
        };
        command.stdin(stdin).stdout(stdio(&self.stdio)).stderr(stdio(&self.stdio));
        command
    }
}

/// Waits until `condition` holds; fails, with what was waited for, after half a minute.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(30), "waited in vain until {what}");
        sleep(Duration::from_millis(5));
    }
}

/// The children of a process, by its PID.
pub fn children(pid: i32) -> Vec<i32> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}

/// How many children a process has.
pub fn children_of(pid: i32) -> usize {
    children(pid).len()
}

/// The host's PID of the PID 1 that the process `ancestor` started, once it runs /init.
pub fn pid1_of(ancestor: u32) -> i32 {
    let mut found = 0;
    wait_until("PID 1 runs", || {
        let mut pids = vec![ancestor as i32];
        while let Some(pid) = pids.pop() {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
            let is_pid1 =
                status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1"));
            if is_pid1 && status.starts_with("Name:\tinit\n") {
                found = pid;
                return true;
            }
            pids.extend(children(pid));
        }
        false
    });
    found
}

/// The system call that a process sleeps in, by its number.
pub fn sleeps_in(pid: i32) -> Option<i64> {
    let call = fs::read_to_string(format!("/proc/{pid}/syscall")).ok()?;
    call.split(' ').next()?.parse().ok()
}

/// How often a process went to sleep, and how many nanoseconds it ran.
pub fn activity_of(pid: i32) -> (u64, u64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("read status");
    let switches = status
        .lines()
        .filter_map(|line| line.split_once("ctxt_switches:")?.1.trim().parse::<u64>().ok())
        .sum();
    (switches, processor_time_of(pid).expect("read schedstat"))
}

/// How many nanoseconds a process ran.
pub fn processor_time_of(pid: i32) -> Option<u64> {
    let schedstat = fs::read_to_string(format!("/proc/{pid}/schedstat")).ok()?;
    schedstat.split(' ').next()?.parse().ok()
}

/// Sends a signal to a process.
pub fn signal(pid: i32, signal: i32) {
    // SAFETY: a plain system call.
    let returned = unsafe { libc::kill(pid, signal) };
    assert_eq!(returned, 0, "kill {pid}");
}
