//! PID 1 under load, and where everything is scarce: it goes on reaping, and
//! stops when it is told to.
//!
//! What runs here is a sample; TORTURE=1 is for the whole. Nothing here harms
//! the machine: what floods it with processes bounds itself, or has a machine
//! of its own, which QEMU makes.

#[path = "common/boot.rs"]
mod boot;
mod common;

use boot::{Boot, Session, Tree};
use common::{Namespace, Outcome, TempDir, pid1_of, signal, sleeps_in, terminal, wait_until};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::process::Child;
use std::{env, mem};

/// How much of something: the sample, or the whole.
fn amount(sample: usize, whole: usize) -> usize {
    if env::var("TORTURE").is_ok_and(|torture| torture == "1") { whole } else { sample }
}

/// Whether the console has every line that the guest announced, once, and no
/// zombie was left.
fn lost_none(outcome: &Outcome) -> bool {
    let mut said: Vec<&str> = outcome.console.lines().collect();
    let mut announced: Vec<&str> = outcome
        .report
        .iter()
        .map(String::as_str)
        .filter(|line| line.starts_with("init: "))
        .collect();
    // A PID may be used again, and then a line may be said twice.
    said.sort_unstable();
    announced.sort_unstable();
    let mut said = said.into_iter();
    !announced.is_empty()
        && announced.iter().all(|line| said.any(|other| other == *line))
        && outcome.fact("zombies") == "0"
}

/// How many lines say that a process exited with status 0.
fn successes(outcome: &Outcome) -> usize {
    outcome.console.lines().filter(|line| line.ends_with(" exited with status 0")).count()
}

#[track_caller]
fn demand(condition: bool, outcome: &Outcome) {
    let tail = |text: &str| {
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    };
    assert!(
        condition,
        "{:?}; the end of the report:\n{}\nthe end of the console:\n{}",
        outcome.status,
        tail(&outcome.report.join("\n")),
        tail(&outcome.console)
    );
}

#[test]
fn reaps_orphans_one_at_a_time() {
    let count = amount(2_000, 100_000);
    // A namespace has a minute.
    let part = count.min(10_000);
    for _ in 0..count / part {
        let outcome = Namespace::new(&["/guest", "orphans", &part.to_string()]).run();
        demand(outcome.fact("zombies") == "0", &outcome);
        // The program's own end is one more.
        demand(successes(&outcome) == part + 1, &outcome);
    }
    let twin = Namespace::naive(&["/guest", "orphans", "5"]).run();
    demand(twin.fact("zombies") == "5", &twin);
}

#[test]
fn reaps_orphans_in_bursts() {
    let (count, times) = (amount(1_000, 10_000), amount(3, 10));
    let words = ["/guest", "bursts", &count.to_string(), &times.to_string()];
    let outcome = Namespace::new(&words).run();
    let clean = outcome.report.iter().filter(|line| *line == "zombies 0").count();
    demand(clean == times, &outcome);
    demand(successes(&outcome) == count * times + 1, &outcome);
    let twin = Namespace::naive(&["/guest", "bursts", "50", "2"]).run();
    demand(twin.report.contains(&"zombies 100".into()), &twin);
}

/// A namespace that runs while the test looks at it.
struct Running {
    child: Child,
    out: TempDir,
    _root: TempDir,
}

impl Running {
    fn start(namespace: Namespace) -> Running {
        Running::start_in(TempDir::new(), namespace)
    }

    fn start_in(out: TempDir, namespace: Namespace) -> Running {
        let root = TempDir::new();
        let child = namespace.command(root.path(), out.path()).spawn().expect("spawn");
        Running { child, out, _root: root }
    }

    fn report(&self) -> String {
        fs::read_to_string(self.out.path().join("report")).unwrap_or_default()
    }

    /// Lets the program go on that waits for it.
    fn go(&self) {
        File::create(self.out.path().join("go")).expect("make /out/go");
    }

    fn end(mut self) -> Outcome {
        let status = self.child.wait().expect("wait");
        Outcome::read(status, mem::replace(&mut self.out, TempDir::new()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // With PID 1 goes all of its namespace, and then those who wait for it.
            // They can be found as long as `timeout` is there, who started them.
            for pid in inhabitants(self.child.id()) {
                // SAFETY: a plain system call.
                unsafe { libc::kill(pid, libc::SIGKILL) };
            }
            let _ = self.child.wait();
        }
    }
}

/// The host's PIDs of all processes in PID namespaces that `ancestor` made.
fn inhabitants(ancestor: u32) -> Vec<i32> {
    let namespace = |pid: i32| fs::read_link(format!("/proc/{pid}/ns/pid_for_children")).ok();
    // Two generations further down is unshare, which has its own PID outside.
    let mut makers = vec![ancestor as i32];
    let mut made = None;
    while let Some(pid) = makers.pop() {
        let outside = fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        if outside.is_some() && namespace(pid) != outside {
            made = namespace(pid);
            break;
        }
        makers.extend(common::children(pid));
    }
    let Some(made) = made else { return Vec::new() };
    let all = fs::read_dir("/proc").expect("read /proc");
    all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|one| one == made))
        .collect()
}

#[test]
fn ends_a_fork_bomb() {
    let limit = amount(300, 2_000);
    let mut total = 20_000;
    let full = |running: &Running| inhabitants(running.child.id()).len() > limit * 3 / 4;
    for kind in ["mild", "stubborn"] {
        let words = ["/guest", "bomb", &limit.to_string(), &total.to_string(), kind];
        // It stays when all is over, so that there is somebody to look at.
        let init = ["/guest", "without-reboot", "/init"];
        let running = Running::start(Namespace::with_init(&init, &words));
        wait_until("the bomb goes off", || full(&running));
        let pid1 = pid1_of(running.child.id());
        signal(pid1, libc::SIGUSR2);
        wait_until("nobody is left", || {
            inhabitants(running.child.id()) == [pid1]
                && sleeps_in(pid1) == Some(libc::SYS_rt_sigtimedwait)
        });
        signal(pid1, libc::SIGKILL);
        let outcome = running.end();
        let deadly = if kind == "mild" { "15" } else { "9" };
        let killed = format!(" killed by signal {deadly}");
        demand(outcome.console.lines().any(|line| line.ends_with(&killed)), &outcome);
    }
    // An init that knows no signals does not end it. Nobody reaps there, so no
    // more than live at the same time may be born.
    total = limit;
    let words = ["/guest", "bomb", &limit.to_string(), &total.to_string(), "mild"];
    let running = Running::start(Namespace::naive(&words));
    wait_until("the bomb goes off", || full(&running));
    let pids = inhabitants(running.child.id());
    signal(pids[0], libc::SIGUSR2);
    assert!(full(&running));
    // But this test does.
    drop(running);
    for pid in pids {
        assert!(!fs::exists(format!("/proc/{pid}")).expect("look"), "{pid} is left");
    }
}

#[test]
fn loses_no_child_in_a_storm_of_all_signals() {
    for _ in 0..amount(1, 20) {
        let outcome = Namespace::new(&["/guest", "all-signals", "50000"]).run();
        demand(outcome.code() == Some(0) && lost_none(&outcome), &outcome);
    }
    let twin = Namespace::naive(&["/guest", "all-signals", "1000"]).run();
    demand(!lost_none(&twin), &twin);
}

#[test]
fn loses_no_stop_request_in_a_storm() {
    let stop = |init: &[&str], signal: i32, patience: &str| {
        let words = ["/guest", "stop-in-storm", &signal.to_string(), patience];
        Namespace::with_init(init, &words).prepare("mkdir /proc && mount -t proc proc /proc").run()
    };
    for _ in 0..amount(5, 100) {
        for signal in [libc::SIGUSR1, libc::SIGUSR2, libc::SIGTERM, libc::SIGINT] {
            let outcome = stop(&["/init"], signal, "20");
            demand(outcome.code() == Some(128 + libc::SIGTERM), &outcome);
        }
    }
    let twin = stop(&["/guest", "naive"], libc::SIGUSR2, "1");
    demand(twin.code() == Some(9), &twin);
}

#[test]
fn ends_whoever_floods_it_with_alarms() {
    let flood = |init: &[&str], patience: &str| {
        Namespace::with_init(init, &["/guest", "alarm-flood", patience]).run()
    };
    for _ in 0..amount(1, 20) {
        let outcome = flood(&["/init"], "40");
        demand(outcome.code() == Some(128 + libc::SIGKILL), &outcome);
    }
    let twin = flood(&["/guest", "naive"], "1");
    demand(twin.code() == Some(9), &twin);
}

#[test]
fn gives_time_to_end_whatever_signals_come() {
    let run = |init: fn(&[&str]) -> Namespace| init(&["/guest", "disturbed"]).run();
    let saved = |outcome: &Outcome| outcome.report.contains(&"saved".into());
    let outcome = run(Namespace::new);
    demand(saved(&outcome), &outcome);
    let twin = run(Namespace::naive);
    demand(!saved(&twin), &twin);
}

/// Starts a program under PID 1 with these descriptors 0, 1 and 2, and waits
/// until it is ready; then it does `words`.
fn with_console(console: &impl AsFd, words: &[&str]) -> Running {
    let console = console.as_fd().try_clone_to_owned().expect("dup");
    let words = [&["/guest", "after-go"], words].concat();
    let running = Running::start(Namespace::new(&words).stdio(console));
    wait_until("the program is ready", || running.report().contains("ready"));
    running
}

/// Lets orphans end under a PID 1 that can say nothing. It has to reap them
/// all the same, and to stop when it is told to.
#[track_caller]
fn demand_deaf_ears_do_not_matter(console: &impl AsFd) {
    let count = amount(1_000, 20_000).to_string();
    let running = with_console(console, &["orphans", &count]);
    running.go();
    let outcome = running.end();
    demand(outcome.code() == Some(0) && outcome.fact("zombies") == "0", &outcome);

    let running = with_console(console, &["sleep"]);
    signal(pid1_of(running.child.id()), libc::SIGUSR2);
    let outcome = running.end();
    demand(outcome.code() == Some(128 + libc::SIGTERM), &outcome);
}

/// Writes until no more is taken.
fn fill(file: &impl AsFd) {
    let file = File::from(file.as_fd().try_clone_to_owned().expect("dup"));
    set_blocking(&file, false);
    for length in [4096, 1] {
        let junk = vec![b'x'; length];
        loop {
            match (&file).write(&junk) {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => panic!("fill: {error}"),
            }
        }
    }
    // The descriptor of PID 1 is the same file, and shares this.
    set_blocking(&file, true);
}

fn set_blocking(file: &File, is_blocking: bool) {
    // SAFETY: plain system calls.
    let returned = unsafe {
        let flags = libc::fcntl(file.as_raw_fd(), libc::F_GETFL);
        let others = flags & !libc::O_NONBLOCK;
        let flags = if is_blocking { others } else { others | libc::O_NONBLOCK };
        libc::fcntl(file.as_raw_fd(), libc::F_SETFL, flags)
    };
    assert_eq!(returned, 0, "fcntl");
}

#[test]
fn goes_on_with_a_full_pipe_as_console() {
    let (_reader, writer) = io::pipe().expect("pipe");
    // First it gets full by what PID 1 says.
    let writer = OwnedFd::from(writer);
    demand_deaf_ears_do_not_matter(&writer);
    fill(&writer);
    demand_deaf_ears_do_not_matter(&writer);
}

#[test]
fn goes_on_with_a_closed_pipe_as_console() {
    let (reader, writer) = io::pipe().expect("pipe");
    drop(reader);
    let writer = OwnedFd::from(writer);
    demand_deaf_ears_do_not_matter(&writer);
    // The SIGPIPE that PID 1 earns is not for the program, which would die of it.
    // When the second orphan is reaped, that for the first has been answered.
    let script = format!("orphan() {{ {ORPHAN} }}; orphan; orphan; exit 5");
    let outcome = Namespace::new(&["/bin/sh", "-c", &script]).stdio(writer).run();
    demand(outcome.code() == Some(5), &outcome);
}

#[test]
fn goes_on_with_a_terminal_that_nobody_reads() {
    let (_person, console) = terminal();
    demand_deaf_ears_do_not_matter(&console);
}

#[test]
fn goes_on_with_a_stopped_terminal() {
    let (mut person, console) = terminal();
    person.write_all(b"\x13").expect("type Ctrl-S");
    wait_until("the terminal is stopped", || !is_writable(&console));
    demand_deaf_ears_do_not_matter(&console);
    assert!(!is_writable(&console), "it is still stopped");
    // It is not when nobody stops it.
    let (_person, console) = terminal();
    assert!(is_writable(&console));
}

fn is_writable(file: &OwnedFd) -> bool {
    let mut wanted = libc::pollfd { fd: file.as_raw_fd(), events: libc::POLLOUT, revents: 0 };
    // SAFETY: one struct to read and write.
    unsafe { libc::poll(&mut wanted, 1, 0) > 0 }
}

#[test]
fn an_init_that_waits_for_its_console_does_not_reap() {
    // The twin of those above: it says who ended, and waits until that is taken.
    let (reader, writer) = io::pipe().expect("pipe");
    fill(&writer);
    let init = r#"mkdir /proc; mount -t proc proc /proc; "$@" & echo started >&2; wait"#;
    let init = ["/bin/sh", "-c", init, "sh"];
    let namespace = Namespace::with_init(&init, &["/guest", "orphans", "5"]);
    let running = Running::start(namespace.stdio(writer.into()));
    wait_until("zombies are left", || running.report().contains("zombies 5"));
    // Nor is anything taken of what unshare(1) then says of an init that was killed.
    drop(reader);
}

/// A script that leaves an orphan, and goes on as soon as that was reaped.
const ORPHAN: &str = "
ulimit -S -n 64
rm -f /out/gate
mkfifo /out/gate
( (read line < /out/gate; exit 3) & echo $! > /out/orphan)
: > /out/gate
read orphan < /out/orphan
while kill -0 $orphan 2> /dev/null; do :; done
";

/// Sets the limit on descriptors of a process: it may open only those below.
fn limit_descriptors(pid: i32, count: u64) {
    let limit = libc::rlimit { rlim_cur: count, rlim_max: count };
    // SAFETY: a struct to read.
    let returned = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &limit, std::ptr::null_mut()) };
    assert_eq!(returned, 0, "prlimit: {}", io::Error::last_os_error());
}

#[test]
fn needs_no_more_than_three_descriptors() {
    // Three from the start; BusyBox is the program, because a program that is
    // linked dynamically needs one more to find its libraries.
    let tree = Tree::new("");
    let busybox = tree.path().join("bin/busybox");
    for closed in ["", "exec 0<&- 1>&- 2>&-;"] {
        let out = TempDir::new();
        fs::copy(&busybox, out.path().join("busybox")).expect("copy BusyBox");
        let init = ["/bin/sh", "-c", &format!("{closed} ulimit -S -n 3; exec /init \"$@\""), "sh"];
        let namespace =
            Namespace::with_init(&init, &["/out/busybox", "sh", "-c", &format!("{ORPHAN} exit 5")]);
        let outcome = Running::start_in(out, namespace).end();
        demand(outcome.code() == Some(5), &outcome);
        if closed.is_empty() {
            demand(outcome.console.contains(" exited with status 3\n"), &outcome);
        }
    }
}

#[test]
fn unmounts_with_no_more_than_three_descriptors() {
    let unmounted = |init: &[&str], limit: u64| {
        let words = ["/guest", "after-go", "exit", "4"];
        let running = Running::start(Namespace::with_init(init, &words).trace("umount2,reboot"));
        wait_until("the program is ready", || running.report().contains("ready"));
        let pid1 = pid1_of(running.child.id());
        limit_descriptors(pid1, limit);
        running.go();
        let trace = || fs::read_to_string(running.out.path().join("trace")).unwrap_or_default();
        wait_until("the machine is switched off", || trace().contains("CMD_POWER_OFF) "));
        let is_unmounted = trace().contains("umount2(\"/run\", ");
        signal(pid1, libc::SIGKILL);
        is_unmounted
    };
    let init = ["/guest", "without-reboot", "/init"];
    assert!(unmounted(&init, 64), "with 64 descriptors");
    assert!(unmounted(&init, 3), "with 3 descriptors");
}

#[test]
fn goes_on_where_the_file_system_is_full() {
    // What PID 1 says goes to a file on it; and no folder can be made.
    let full = "
mkdir /full
mount -t tmpfs -o size=4k full /full
mount -t tmpfs -o remount,nr_inodes=200 tmpfs /
number=0
while touch /tmp/$number; do number=$((number + 1)); done 2>/dev/null
echo inodes are used up >> /out/report
exec > /full/console 2>&1
";
    let script = "cat /full/console > /out/said; exit 5";
    let outcome = Namespace::new(&["/bin/sh", "-c", script]).prepare(full).run();
    demand(outcome.code() == Some(5), &outcome);
    demand(outcome.report == ["inodes are used up"], &outcome);
    let said = fs::read_to_string(outcome.out.path().join("said")).expect("read what it said");
    assert!(said.contains("init: cannot mount /proc: errno 2\n"), "{said}");
    // There is room for some hundred lines.
    let roomy = "
mkdir /full
mount -t tmpfs -o size=4k full /full
exec > /full/console 2>&1
";
    for (prepare, is_cut) in [(roomy, true), ("", false)] {
        let words = ["/guest", "orphans", "1000"];
        let outcome = Namespace::new(&words).prepare(prepare).run();
        demand(outcome.code() == Some(0) && outcome.fact("zombies") == "0", &outcome);
        demand(outcome.console.is_empty() == is_cut, &outcome);
    }
}

#[test]
fn goes_on_where_the_root_is_read_only() {
    let protect =
        "mount -t tmpfs -o remount,ro tmpfs /; touch /file || echo read-only >> /out/report";
    // The folders may be there, or not.
    for (folders, complains) in [("mkdir /proc /sys /dev/pts /run;", false), ("", true)] {
        let prepare = format!("{folders} {protect}");
        let outcome =
            Namespace::new(&["/bin/sh", "-c", &format!("{ORPHAN} exit 5")]).prepare(&prepare).run();
        demand(outcome.report == ["read-only"], &outcome);
        demand(outcome.code() == Some(5), &outcome);
        demand(outcome.console.contains(" exited with status 3\n"), &outcome);
        demand(outcome.said("init: cannot mount /run: errno 2") == complains, &outcome);
    }
}

/// An init that runs /etc/rc, and then does nothing.
fn idle_init(folder: &TempDir) -> String {
    let path = folder.path().join("init");
    let script = "#!/bin/busybox sh
/bin/busybox mkdir /proc /run
/bin/busybox mount -t proc proc /proc
/bin/busybox mount -t devtmpfs devtmpfs /dev
/bin/busybox setsid /etc/rc &
exec /bin/busybox sleep 1000
";
    fs::write(&path, script).expect("write a script");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("chmod");
    format!("INIT={}", path.display())
}

#[test]
fn reaps_orphans_up_to_the_limit_of_pids() {
    // In a machine of its own, whose PIDs may run out. What looks around does
    // so without a process. The last field but one of /proc/loadavg is how many
    // there are, those included that nobody reaped.
    let (limit, rounds) = (amount(600, 2_000), amount(2, 3));
    let tree = Tree::new(&format!(
        r#"
there_are() {{ read a b c processes d < /proc/loadavg; processes=${{processes#*/}}; }}
there_are
before=$processes
mkfifo /run/gate
round=0
while [ $round -lt {rounds} ]; do
    echo {limit} > /proc/sys/kernel/pid_max
    # The shell ends when it cannot fork. Its children wait until nobody has
    # the pipe open for writing any more, and so end at the same time.
    (exec 4<> /run/gate; while :; do (exec 4>&-; read end) < /run/gate & done) 2>> /run/errors
    echo 32768 > /proc/sys/kernel/pid_max
    read now rest < /proc/uptime
    end=$((${{now%.*}} + ${{patience:-30}}))
    there_are
    while [ $processes -gt $((before + 5)) ] && [ ${{now%.*}} -lt $end ]; do
        there_are
        read now rest < /proc/uptime
    done
    echo "left: $((processes > before + 5 ? processes - before : 0))"
    round=$((round + 1))
    [ $processes -le $((before + 5)) ] || break
done
while read line; do echo "$line"; done < /run/errors
echo status 0 > $VERDICT
# An init that does not end the machine when this ends leaves it to us.
exec poweroff -f
"#
    ));
    let boot = tree.run(&["TIMEOUT=150", "MEM=1024"]);
    boot.demand_success();
    let count = |what: &str| boot.programs.lines().filter(|line| line.contains(what)).count();
    boot.demand(count("can't fork") == rounds, "the PIDs run out, each time");
    boot.demand(count("left: 0") == rounds, "none is left, each time");
    let reaped = count("init: pid ");
    boot.demand(reaped > rounds * (limit - 400), &format!("all are reaped, not {reaped}"));

    let folder = TempDir::new();
    let twin = tree.run(&[&idle_init(&folder), "APPEND=patience=3"]);
    twin.demand_success();
    twin.demand(!twin.programs.contains("left: 0"), "they are left");
}

#[test]
fn survives_where_memory_is_exhausted() {
    // An orphan takes all there is, twice; then the program itself does.
    let tree = Tree::new(
        r#"
for round in 1 2; do
    (tail /dev/zero & echo $! > /run/eater)
    read eater < /run/eater
    while [ -e /proc/$eater ]; do sleep 0.1; done
    echo "program: $eater is gone"
done
echo status 0 > $VERDICT
exec tail /dev/zero
"#,
    );
    let boot = tree.run(&["MEM=128"]);
    boot.demand_success();
    let eaters = boot.programs.lines().filter_map(|line| line.strip_prefix("program: "));
    let eaters: Vec<&str> = eaters.filter_map(|line| line.strip_suffix(" is gone")).collect();
    boot.demand(eaters.len() == 2, "two orphans are killed");
    for eater in eaters {
        boot.demand_line(&format!("init: pid {eater} killed by signal 9"));
    }
    let kills = boot.kernel.matches("Out of memory: Killed process").count();
    boot.demand(kills == 3, &format!("the kernel killed for want of memory: {kills}"));
    let reported = boot.programs.matches(" killed by signal 9\n").count();
    boot.demand(reported == 3, "PID 1 reports all of them");
    boot.demand(!boot.kernel.contains("(init)"), "PID 1 is spared");
    boot.demand(boot.kernel.contains("reboot: Power down"), "the machine ends in order");
    // With memory for all, nobody is killed.
    let tree = Tree::new("head -c 1000000 /dev/zero | tail -c 1\necho status 0 > $VERDICT\n");
    let boot = tree.run(&["MEM=128"]);
    boot.demand_success();
    boot.demand(!boot.programs.contains(" killed by signal 9\n"), "nobody is killed");
}

#[test]
fn needs_no_more_memory_than_the_kernel() {
    // Wherever the kernel gets as far as starting PID 1, the demo runs to its
    // end. So look for the least memory with which the kernel does.
    let step = amount(16, 4);
    let (mut too_little, mut enough) = (32, 256);
    let demo = |memory: usize| {
        let _alone = boot::alone();
        Boot::of(Session::piped(boot::make(&["run", &format!("MEM={memory}"), "TIMEOUT=60"])))
    };
    while enough - too_little > step {
        let memory = (enough + too_little) / 2;
        let boot = demo(memory);
        if boot.kernel.contains("Run /init as init process") {
            boot.demand_success();
            boot.demand_line("demo: my work is done; I exit with status 0");
            enough = memory;
        } else {
            boot.demand_failure("picoinit: no verdict: ");
            too_little = memory;
        }
    }
    println!(
        "the kernel and the init run with {enough} MB; with {too_little} MB, the kernel does not start"
    );
}
