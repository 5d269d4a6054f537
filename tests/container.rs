//! PID 1 of a container: the shipped init under bubblewrap and runc, and what
//! the feature `container` adds, under podman too.

mod common;

use common::{Namespace, TempDir};
use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// What a container's PID 1 printed, and how it ended.
struct Ended {
    status: Option<i32>,
    console: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        let console = [output.stdout, output.stderr].concat();
        Ended {
            status: output.status.code(),
            console: String::from_utf8_lossy(&console).into_owned(),
        }
    }
}

/// Runs `init` as PID 1 of a container that bubblewrap makes.
fn bubblewrap(init: &Path, words: &[&str]) -> Ended {
    let output = Command::new("timeout")
        .args([
            "--kill-after=1",
            "60",
            "bwrap",
            "--unshare-all",
            "--cap-drop",
            "ALL",
            "--as-pid-1",
            "--die-with-parent",
        ])
        .args([
            "--ro-bind",
            "/",
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--tmpfs",
            "/run",
            "--tmpfs",
            "/tmp",
        ])
        .arg("--ro-bind")
        .args([common::guest().as_path(), Path::new("/run/guest")])
        .arg("--ro-bind")
        .args([init, Path::new("/run/init")])
        .arg("/run/init")
        .args(words)
        .output();
    output.expect("run bwrap").into()
}

/// The same, by runc; on a terminal if there is one.
fn runc(init: &Path, words: &[&str], terminal: Option<OwnedFd>) -> Ended {
    static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let bundle = TempDir::new();
    let root = bundle.path().join("rootfs");
    for folder in ["proc", "dev", "sys", "run", "bin"] {
        fs::create_dir_all(root.join(folder)).expect("make a folder");
    }
    fs::copy(init, root.join("init")).expect("copy the init");
    let busybox = Path::new(common::ROOT).join("build/busybox/bin/busybox");
    fs::copy(busybox, root.join("bin/sh")).expect("copy BusyBox: make build/busybox/bin/busybox");
    let words: Vec<String> =
        ["/init"].iter().chain(words).map(|word| format!("{word:?}")).collect();
    let namespaces =
        ["pid", "ipc", "uts", "mount", "network"].map(|kind| format!(r#"{{"type": "{kind}"}}"#));
    let config = format!(
        r#"{{"ociVersion": "1.0.2", "root": {{"path": "rootfs"}}, "hostname": "c",
            "process": {{"terminal": {}, "user": {{"uid": 0, "gid": 0}}, "cwd": "/", "args": [{}], "env": ["PATH=/bin"]}},
            "mounts": [{{"destination": "/proc", "type": "proc", "source": "proc"}},
                {{"destination": "/dev", "type": "tmpfs", "source": "tmpfs"}},
                {{"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["newinstance"]}},
                {{"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["ro"]}},
                {{"destination": "/run", "type": "tmpfs", "source": "mine"}}],
            "linux": {{"namespaces": [{}]}}}}"#,
        terminal.is_some(),
        words.join(", "),
        namespaces.join(", "),
    );
    fs::write(bundle.path().join("config.json"), config).expect("write config.json");
    let mut command = Command::new("timeout");
    command
        // In the background, it could not set the terminal.
        .args(["--foreground", "--kill-after=1", "60", "runc", "--root"])
        .arg(bundle.path().join("state"))
        .args(["run", "--bundle"])
        .arg(bundle.path())
        .arg(format!("picoinit-{}-{number}", std::process::id()));
    if let Some(terminal) = terminal {
        let stdio = || Stdio::from(terminal.try_clone().expect("dup"));
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        drop(terminal);
        let status = command.status().expect("run runc");
        return Ended { status: status.code(), console: String::new() };
    }
    command.output().expect("run runc").into()
}

/// What podman says and how it ends, with its own init replaced by ours. It puts a
/// `--` before the program.
fn podman(words: &[&str]) -> Ended {
    let folder = TempDir::short();
    let root = folder.path().join("rootfs");
    for name in ["proc", "dev", "sys", "run", "bin", "etc", "tmp"] {
        fs::create_dir_all(root.join(name)).expect("make a folder");
    }
    let busybox = Path::new(common::ROOT).join("build/busybox/bin/busybox");
    fs::copy(busybox, root.join("bin/sh")).expect("copy BusyBox: make build/busybox/bin/busybox");
    // Its own limits may be above those that root has here.
    let settings = folder.path().join("containers.conf");
    fs::write(&settings, "[containers]\ndefault_ulimits = []\n").expect("write containers.conf");
    let output = Command::new("timeout")
        .args(["--kill-after=1", "60", "podman", "--runtime=runc", "--cgroup-manager=cgroupfs"])
        .args(["--storage-driver=vfs", "--events-backend=none", "--root"])
        .arg(folder.path().join("storage"))
        .arg("--runroot")
        .arg(folder.path().join("state"))
        .args(["run", "--rm", "--network=none", "--log-driver=none"])
        .args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000", "--init", "--init-path"])
        .arg(common::container_init())
        .arg("--rootfs")
        .arg(&root)
        .args(words)
        .env("CONTAINERS_CONF", settings)
        .output();
    output.expect("run podman").into()
}

/// runc without root needs more than this test can see to.
fn can_run_runc() -> bool {
    // SAFETY: a plain system call.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        common::skip("runc needs root");
    }
    is_root
}

#[test]
fn exit_statuses_are_passed_on() {
    for status in [0, 1, 42, 127, 255] {
        let ended = bubblewrap(&common::init(), &["/bin/sh", "-c", &format!("exit {status}")]);
        assert_eq!(ended.status, Some(status), "{}", ended.console);
    }
    let killed = ["/bin/sh", "-c", "kill -KILL $$"];
    let ended = bubblewrap(&common::init(), &killed);
    assert_eq!(ended.status, Some(128 + 9), "{}", ended.console);
    let twin = bubblewrap(&common::guest(), &[&["naive"], &killed[..]].concat());
    assert_eq!(twin.status, Some(1), "{}", twin.console);
    if can_run_runc() {
        for status in [0, 1, 42, 127, 255] {
            let ended = runc(&common::init(), &["/bin/sh", "-c", &format!("exit {status}")], None);
            assert_eq!(ended.status, Some(status), "{}", ended.console);
        }
    }
}

#[test]
fn sigterm_stops_everyone() {
    // The program would end by itself, with another status, but much later.
    let script = "sleep 50 & kill -TERM 1; sleep 50; exit 1";
    let ended = bubblewrap(&common::init(), &["/bin/sh", "-c", script]);
    assert_eq!(ended.status, Some(128 + 15), "{}", ended.console);
    let killed = ended.console.lines().filter(|line| line.ends_with("killed by signal 15")).count();
    // The program and the one in the background; a third one may have begun.
    assert!(killed >= 2, "{}", ended.console);
    let script = "kill -TERM 1; exit 1";
    let twin = bubblewrap(&common::guest(), &["naive", "/bin/sh", "-c", script]);
    assert_eq!(twin.status, Some(1), "{}", twin.console);
}

#[test]
fn the_program_has_the_terminal_of_the_container() {
    if !can_run_runc() {
        return;
    }
    // Whether it is alone in its process group, and that in the foreground of a terminal.
    let script = "read -r pid name state parent group session terminal foreground rest < /proc/self/stat;
        [ $group = $$ ] && [ $foreground = $$ ] && [ $terminal != 0 ] && : < /dev/tty && exit 7; exit 8";
    let run = |words: &[&str]| {
        let (mut terminal, console) = common::terminal();
        let reader = std::thread::spawn(move || {
            let mut said = Vec::new();
            // On a terminal that nobody has open any more, reading fails.
            let _ = terminal.read_to_end(&mut said);
            String::from_utf8_lossy(&said).into_owned()
        });
        let ended = runc(&common::init(), words, Some(console));
        Ended { console: reader.join().expect("the reader"), ..ended }
    };
    let ended = run(&["/bin/sh", "-c", script]);
    assert_eq!(ended.status, Some(7), "{}", ended.console);
    // One that the program starts leads no group; and where no terminal is, there is none to have.
    let twin = run(&["/bin/sh", "-c", "sh -c \"$0\"; exit $?", script]);
    assert_eq!(twin.status, Some(8), "{}", twin.console);
    let twin = runc(&common::init(), &["/bin/sh", "-c", script], None);
    assert_eq!(twin.status, Some(8), "{}", twin.console);
}

#[test]
fn nothing_is_said_of_what_a_container_may_not_do() {
    let ended = bubblewrap(&common::init(), &["/bin/sh", "-c", "exit 3"]);
    assert_eq!(ended.console, "init: pid 2 exited with status 3\n");
    if can_run_runc() {
        let ended = runc(&common::init(), &["/bin/sh", "-c", "exit 3"], None);
        let lines: Vec<&str> = ended.console.lines().collect();
        assert!(
            lines.len() == 1 && lines[0].ends_with(" exited with status 3"),
            "{}",
            ended.console
        );
    }
    // Something else that fails is said.
    let outcome = Namespace::new(&["/guest", "exit", "3"]).prepare("echo > /run").run();
    assert!(outcome.said("init: cannot mount /run: errno 20"), "{}", outcome.console);
}

#[test]
fn the_mounts_of_the_container_stay_as_they_are() {
    // What is mounted before PID 1 has started, and while it stops.
    let look = "cat /proc/mounts > /out/before";
    let program = "trap '' TERM; cat /proc/mounts > /out/while; kill -TERM 1; sleep 1; cat /proc/mounts > /out/after";
    let mounts = "for d in proc dev dev/pts sys run; do mkdir -p /$d; done;
        mount -t proc proc /proc; mount -t sysfs -o ro sysfs /sys; mount -t tmpfs dev /dev; mkdir /dev/pts;
        mount -t devpts devpts /dev/pts; mount -t tmpfs mine /run";
    let outcome = Namespace::new(&["/bin/sh", "-c", program]).prepare(mounts).prepare(look).run();
    let read = |name: &str| fs::read_to_string(outcome.out.path().join(name)).expect("read");
    assert_eq!(read("before"), read("while"));
    assert_eq!(read("before"), read("after"));
    // Where there is no /proc, it is seen to mount.
    let outcome = Namespace::new(&["/bin/sh", "-c", program])
        .prepare("mkdir /proc; mount -t proc proc /proc")
        .prepare(look)
        .prepare("umount /proc")
        .run();
    let read = |name: &str| fs::read_to_string(outcome.out.path().join(name)).expect("read");
    assert_ne!(read("before"), read("while"));
}

#[test]
fn the_feature_takes_two_dashes_and_looks_names_up() {
    let run = |words: &[&str]| bubblewrap(&common::container_init(), words);
    assert_eq!(run(&["--", "sh", "-c", "exit 7"]).status, Some(7));
    assert_eq!(run(&["sh", "-c", "exit 8"]).status, Some(8));
    assert_eq!(run(&["--", "/bin/sh", "-c", "exit 9"]).status, Some(9));
    let missing = run(&["--", "no-such-program"]);
    assert_eq!(missing.status, Some(127));
    assert!(
        missing.console.contains("init: cannot run no-such-program: errno 2"),
        "{}",
        missing.console
    );
    // Without the feature, such words are the kernel's, and passed over.
    let plain = bubblewrap(&common::init(), &["--", "sh", "-c", "exit 7"]);
    assert_eq!(plain.status, Some(127), "{}", plain.console);
}

#[test]
fn podman_takes_it_for_its_init() {
    if !can_run_runc() {
        return;
    }
    for status in [0, 7, 255] {
        let script = format!("cat /proc/1/cmdline; exit {status}");
        let ended = podman(&["sh", "-c", &script]);
        assert_eq!(ended.status, Some(status), "{}", ended.console);
        // PID 1 is what podman calls an init, and the program's words are its arguments.
        assert!(ended.console.contains("init\0--\0sh\0-c\0"), "{:?}", ended.console);
    }
    let ended = podman(&["/bin/sh", "-c", "kill -TERM 1; sleep 50; exit 1"]);
    assert_eq!(ended.status, Some(128 + 15), "{}", ended.console);
    assert_eq!(podman(&["no-such-program"]).status, Some(127));
}

#[test]
fn the_feature_searches_all_of_path() {
    let run = |path: &str| {
        let prepare = format!(
            "mkdir /a /b; echo text > /a/tool; printf '#!/bin/sh\\nexit 6\\n' > /b/tool; chmod 755 /b/tool; PATH={path}"
        );
        Namespace::new(&["--", "tool"])
            .file(common::container_init())
            .prepare(&prepare)
            .run()
            .code()
    };
    // The rest of the words are the host's, which this needs to get so far.
    let host = ":/usr/bin:/bin:/usr/sbin:/sbin";
    assert_eq!(run(&format!("/b{host}")), Some(6));
    assert_eq!(
        run(&format!("/missing:/a:/b{host}")),
        Some(6),
        "what may not be executed is passed over"
    );
    assert_eq!(run(&format!("/a{host}")), Some(126), "but it was there");
    assert_eq!(run(&format!("/missing{host}")), Some(127));
}

#[test]
fn the_feature_has_a_grace_time_of_ones_own() {
    // How long a process that ignores SIGTERM was given, in hundredths of a second.
    let given = |grace: &str| {
        let prepare = format!("export PICOINIT_GRACE={grace}");
        let namespace = Namespace::new(&["/guest", "stubborn"]).file(common::container_init());
        let outcome = namespace.prepare(&prepare).trace("kill,times").run();
        let trace = fs::read_to_string(outcome.out.path().join("trace")).expect("read the trace");
        let killed = trace.find("kill(-1, SIGKILL)").unwrap_or_else(|| panic!("{trace}"));
        let told = trace.find("kill(-1, SIGTERM)").unwrap_or_else(|| panic!("{trace}"));
        let times = trace[told..killed].lines().filter_map(|line| line.split_once("times(NULL) "));
        let times: Vec<u64> = times
            .filter_map(|(_, time)| time.trim_start_matches([' ', '=']).parse().ok())
            .collect();
        times.last().expect("a time") - times[0]
    };
    assert!((200..500).contains(&given("2")));
    for other in ["", "0", "x", "99999", "-1"] {
        assert!(given(other) >= 500, "{other}");
    }
}

/// The init with the feature as PID 1 of a namespace, and a shell script as its program.
fn program(script: &str) -> Namespace {
    Namespace::new(&["--", "/bin/sh", "-c", script]).file(common::container_init())
}

#[test]
fn the_feature_passes_every_signal_on_and_to_the_program_alone() {
    for signal in ["HUP", "INT", "USR1", "USR2", "TERM", "WINCH"] {
        // The other process would be killed by most of them, or say so.
        let script = format!(
            "(trap 'echo other > /out/other; exit' HUP INT USR1 USR2 TERM WINCH; : > /out/ready;
                while :; do sleep 0.01; done) &
            until [ -e /out/ready ]; do sleep 0.01; done
            trap 'echo program; [ ! -e /out/other ] && kill -9 $! && exit 7' {signal}
            kill -{signal} 1; while :; do sleep 0.01; done"
        );
        let outcome = program(&script).run();
        assert_eq!((outcome.code(), outcome.console.as_str()), (Some(7), "program\n"), "{signal}");
        // The plain init stops everyone at the first four of these, and at no other.
    }
    let outcome =
        Namespace::new(&["/bin/sh", "-c", "trap 'exit 7' USR1; kill -USR1 1; sleep 5"]).run();
    assert_eq!(outcome.code(), Some(128 + 15), "{}", outcome.console);
}

#[test]
fn the_feature_stops_the_others_when_the_grace_time_is_over() {
    let script =
        "trap 'echo told' TERM; (trap 'echo other; exit' TERM; while :; do sleep 0.01; done) &
        kill -TERM 1; while :; do sleep 0.01; done";
    let outcome = program(script).prepare("export PICOINIT_GRACE=1").run();
    assert_eq!(outcome.code(), Some(128 + 9), "{}", outcome.console);
    // Told by itself, then along with all others.
    let said = outcome.console.lines().filter(|line| ["told", "other"].contains(line));
    let mut lines: Vec<&str> = said.collect();
    assert_eq!(lines.first(), Some(&"told"), "{}", outcome.console);
    lines.sort_unstable();
    assert_eq!(lines, ["other", "told", "told"]);
}

#[test]
fn the_feature_prints_nothing_but_errors() {
    let outcome = program("(exit 3) & sh -c 'kill -9 $$' 2> /dev/null & wait; exit 5").run();
    assert_eq!((outcome.code(), outcome.console.as_str()), (Some(5), ""));
    for words in [&[][..], &["--"]] {
        let outcome = Namespace::new(words).file(common::container_init()).run();
        assert_eq!(outcome.code(), Some(1));
        assert_eq!(outcome.console, "init: usage: init [--] PROGRAM [ARGUMENT...]\n");
    }
}

#[test]
fn the_program_has_the_terminal_where_somebody_else_leads_the_session() {
    // As in `unshare -pf` in a terminal: the session is another process's, outside of the
    // namespace. What the program prints, and how PID 1 exits at Ctrl-C.
    for init in [common::init(), common::container_init()] {
        let (mut terminal, console) = common::terminal();
        let script = "read -r pid name state parent group session terminal foreground rest < /proc/self/stat;
            [ $group = $$ ] && [ $foreground = $$ ] && echo in the foreground; exec sleep 50";
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]).arg(&init);
        command.args(["/bin/sh", "-c", script]);
        let stdio = || Stdio::from(console.try_clone().expect("dup"));
        command.stdin(stdio()).stdout(stdio()).stderr(stdio());
        // SAFETY: two system calls.
        unsafe {
            std::os::unix::process::CommandExt::pre_exec(&mut command, || {
                nix::unistd::setsid()?;
                nix::errno::Errno::result(libc::ioctl(0, libc::TIOCSCTTY, 0))?;
                Ok(())
            })
        };
        let mut child = command.spawn().expect("spawn unshare");
        drop((command, console));
        let mut said = String::new();
        while !said.contains('\n') {
            let mut bytes = [0; 256];
            let length = terminal.read(&mut bytes).expect("read the terminal");
            said += &String::from_utf8_lossy(&bytes[..length]);
        }
        assert!(said.starts_with("in the foreground"), "{said}");
        std::io::Write::write_all(&mut terminal, b"\x03").expect("type Ctrl-C");
        assert_eq!(child.wait().expect("wait").code(), Some(128 + 2), "{said}");
    }
}

#[test]
fn a_container_with_every_privilege_keeps_its_run_and_the_status() {
    if !can_run_runc() {
        return;
    }
    for (init, start) in
        [(common::init(), &["/bin/sh"][..]), (common::container_init(), &["--", "sh"])]
    {
        // bubblewrap drops no capability of root's, unless it is told to.
        let script = "cat /run/filled; exit 42";
        let folder = TempDir::new();
        fs::write(folder.path().join("filled"), "by the engine\n").expect("write a file");
        fs::copy(&init, folder.path().join("init")).expect("copy the init");
        let output = Command::new("bwrap")
            .args(["--unshare-pid", "--unshare-ipc", "--as-pid-1", "--die-with-parent"])
            .args(["--cap-add", "ALL", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev"])
            .arg("--bind")
            .args([folder.path(), Path::new("/run")])
            .arg("/run/init")
            .args(start)
            .args(["-c", script])
            .output();
        let ended = Ended::from(output.expect("run bwrap"));
        assert_eq!(ended.status, Some(42), "{}", ended.console);
        assert!(ended.console.starts_with("by the engine\n"), "{}", ended.console);
    }
}

#[test]
fn its_page_says_what_the_feature_costs() {
    let size = |path: &Path| fs::metadata(path).expect("an init").len();
    let cost = size(&common::container_init()) - size(&common::init());
    let page = Path::new(common::ROOT).join("lab/CONTAINER.md");
    let page = fs::read_to_string(page).expect("read lab/CONTAINER.md");
    let says = format!("`--features container` adds {cost} bytes");
    assert!(page.contains(&says), "lab/CONTAINER.md has to say: {says}");
}
