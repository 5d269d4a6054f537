//! The conformance test of the lab, and the twins of lab/sizes: each passes all
//! rows; and for each row, a twin that was broken in one place fails it.

mod common;

use common::{ROOT, TempDir};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Mutex;
use std::thread;

/// A twin, as its build script describes it.
struct Twin {
    folder: String,
    title: String,
    version: String,
}

/// The twins that can be built here: all that they need is installed.
fn twins() -> Vec<Twin> {
    let folders = fs::read_dir(Path::new(ROOT).join("lab/sizes")).expect("read lab/sizes");
    let twin = |entry: std::io::Result<fs::DirEntry>| {
        let folder = entry.expect("an entry").path();
        let script = fs::read_to_string(folder.join("build.sh")).ok()?;
        let field = |key: &str| {
            let line = script.lines().find_map(|line| line.strip_prefix(&format!("# {key}: ")));
            line.unwrap_or_else(|| panic!("{}: no {key}", folder.display())).to_string()
        };
        let needs = field("needs");
        let missing: Vec<&str> = needs.split(' ').filter(|need| !is_there(need)).collect();
        if !missing.is_empty() {
            println!("{} is not checked: needs {}", field("title"), missing.join(", "));
            return None;
        }
        let folder = folder.file_name()?.to_string_lossy().into_owned();
        Some(Twin { folder, title: field("title"), version: field("version") })
    };
    folders.filter_map(twin).collect()
}

/// Whether a command is installed; or, as `rust-target:NAME`, a target of rustc's.
fn is_there(need: &str) -> bool {
    let test = match need.strip_prefix("rust-target:") {
        Some(target) => format!("test -d \"$(rustc --print target-libdir --target {target})\""),
        None => format!("command -v {need} >/dev/null"),
    };
    shell(&test).status().expect("run sh").success()
}

/// A command of the shell's, which finds the compilers that `make sizes` finds, and
/// is not told what cargo tells programs about itself.
fn shell(command: &str) -> Command {
    let mut shell = Command::new("sh");
    let path = std::env::var("PATH").unwrap_or_default();
    shell.args(["-c", command]).env("PATH", format!("{path}:{ROOT}/build/zig/ziglang"));
    shell.env_remove("RUSTFLAGS");
    shell
}

/// Runs the lab's tool.
fn lab(arguments: &[&str]) -> Output {
    common::lab(arguments).output().expect("run the lab's tool")
}

/// What came of checking an init.
struct Checked {
    is_right: bool,
    /// Whether a row was kept; by name.
    rows: BTreeMap<String, bool>,
    said: String,
}

impl Checked {
    fn failed(&self) -> Vec<&str> {
        self.rows.iter().filter(|(_, kept)| !**kept).map(|(name, _)| name.as_str()).collect()
    }
}

fn conform(init: &Path, more: &[&str]) -> Checked {
    let scratch = TempDir::new();
    let path = |path: &Path| path.to_str().expect("a path in UTF-8").to_string();
    let (init, scratch) = (path(init), path(scratch.path()));
    let output = lab(&[&["conform", &init, "--scratch", &scratch], more].concat());
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    let row = |line: &str| {
        let mut words = line.split_whitespace();
        let kept = match words.next()? {
            "pass" => true,
            "FAIL" => false,
            _ => return None,
        };
        Some((words.next()?.to_string(), kept))
    };
    let rows = stdout.lines().filter_map(row).collect();
    Checked { is_right: output.status.success(), rows, said: stdout + &stderr }
}

/// Builds a twin as its own script does it; `source` is what to take it from.
fn build(source: &Path, twin: &str, into: &Path) -> PathBuf {
    let program = into.join(twin);
    let mut script = shell("exec sh build.sh \"$0\"");
    script.arg(&program).current_dir(source.join("lab/sizes").join(twin));
    let output = script.output().expect("run build.sh");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !said.contains("warning"), "{twin}: {said}");
    program
}

/// Does something for each of these, some at a time: most of it is waiting.
fn for_each<T: Send>(items: Vec<T>, work: impl Fn(T) + Sync) {
    let items = Mutex::new(items);
    let next = || items.lock().expect("nobody panicked").pop();
    thread::scope(|scope| {
        let worker = || {
            while let Some(item) = next() {
                work(item)
            }
        };
        let workers: Vec<_> = (0..8).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().for_each(|worker| worker.join().expect("a worker"));
    });
}

#[test]
fn all_keep_the_contract() {
    let folder = TempDir::new();
    let (folder, results) = (folder.path(), results());
    let twins = twins().into_iter().map(|twin| {
        // One that could not be built there is to keep them all.
        let not_kept = results.get(&twin.title).and_then(|(_, cell)| cell.split_once("not: "));
        let failed = not_kept.map(|(_, rows)| rows.split(", ").collect());
        (build(Path::new(ROOT), &twin.folder, folder), failed.unwrap_or_default())
    });
    for_each(twins.chain([(common::init(), vec![])]).collect(), |(init, failed)| {
        let checked = conform(&init, &[]);
        assert_eq!(checked.failed(), failed, "{}:\n{}", init.display(), checked.said);
        assert_eq!(checked.is_right, failed.is_empty());
        assert_eq!(checked.rows.len(), FAULTS.len(), "rows: {}", checked.said);
    });
}

/// A row; and what to replace by what in the twin in C, so that it fails this row.
type Fault = (&'static str, &'static [(&'static str, &'static str)]);

const FAULTS: [Fault; 32] = [
    ("pid", &[("getpid() > PID_1", "getpid() < PID_1")]),
    ("mounts", &[("flags | MS_NOSUID | MS_NOEXEC", "flags | MS_NOEXEC")]),
    ("mounted", &[("access(\"/proc/mounts\", F_OK) >= 0", "access(\"/none\", F_OK) >= 0")]),
    (
        "no-mount",
        &[("say(\"init: cannot mount @: errno #\\n\", target, -returned, 0)", "(void)target")],
    ),
    (
        "descriptors",
        &[("    open_descriptors();\n", "    if (*stack == 0)\n        open_descriptors();\n")],
    ),
    ("terminal", &[("sys3(__NR_ioctl, 0, TIOCSCTTY, 0);", "")]),
    ("program", &[("while (**argv != '/');", "while (0);")]),
    ("inheritance", &[("    block_signals(0);\n", "")]),
    ("cannot-run", &[("returned == -ENOENT ? NOT_FOUND : NOT_EXECUTABLE", "NOT_FOUND")]),
    ("no-process", &[("= cannot_run(child, *argv);", "= NOT_EXECUTABLE;")]),
    ("reports", &[("status >> 8 & 0xff", "status >> 8 & 0x7f")]),
    (
        "orphans",
        &[(
            "        say(text, 0, pid, number);",
            "        if (pid % 100) say(text, 0, pid, number);",
        )],
    ),
    ("storm", &[("turn < TURN", "turn < 1"), ("    kill(PID_1, SIGCHLD);\n", "")]),
    ("full-pipe", &[("if (wanted.revents == POLLOUT)", "if (wanted.fd)")]),
    ("closed-pipe", &[("if (wanted.revents == POLLOUT)", "if (wanted.revents & POLLOUT)")]),
    ("deaf-terminal", &[("O_WRONLY | O_NONBLOCK", "O_WRONLY")]),
    ("names", &[("*name >= ' ' && *name <= '~' ? *name : '?'", "*name")]),
    ("requests", &[("LINUX_REBOOT_CMD_HALT", "LINUX_REBOOT_CMD_POWER_OFF")]),
    ("passes-on", &[("signal > 0 && signal != SIGCHLD", "signal > SIGHUP && signal != SIGCHLD")]),
    ("patience", &[("int signal = SIGTERM;", "int signal = SIGKILL;")]),
    ("prompt", &[("return pid; /*", "return 0; /*")]),
    ("kill", &[("signal == SIGKILL", "signal == SIGTERM")]),
    // One of them, and the grace time has no end.
    (
        "alarms",
        &[(
            "        take_signal(&tenth);\n",
            "        if (take_signal(&tenth) == SIGALRM)\n            deadline = -1ul;\n",
        )],
    ),
    ("unreapable", &[("state.exit_status = KILLED + SIGKILL", "state.exit_status = 0")]),
    ("unmounts", &[("DEPTH = 16,", "DEPTH = 1, ")]),
    ("twice", &[("{0}) > 0)", "{0}) > SIGNALS)")]),
    ("frozen-disk", &[("(0)) < 0 || signal == SIGCHLD)", "(0)) || 1)")]),
    ("power-off", &[("int signal, child = fork();", "int signal, child = -1;")]),
    ("survives", &[("    state->program = 0;\n    state->request = 0;\n", "    exit(0);\n")]),
    (
        "container",
        &[(
            "if (reboot(LINUX_REBOOT_CMD_CAD_OFF) < 0)",
            "if (reboot(LINUX_REBOOT_CMD_CAD_OFF) < 0 && reboot(command) < 0)",
        )],
    ),
    ("status", &[("exit_status = KILLED + number", "exit_status = number")]),
    (
        "idle",
        &[(
            "        int signal = take_signal(0);\n",
            "        int signal = take_signal(&tenth);\n",
        )],
    ),
];

#[test]
fn each_row_can_fail() {
    let source = Path::new(ROOT);
    let init = source.join("lab/sizes/c-freestanding/init.c");
    let init = fs::read_to_string(init).expect("read init.c");
    for_each(FAULTS.into(), |(row, changes)| {
        let folder = TempDir::new();
        let mut broken = init.clone();
        for (old, new) in changes {
            assert_eq!(broken.matches(old).count(), 1, "{row}: {old:?} is there once");
            broken = broken.replace(old, new);
        }
        let twin = folder.path().join("lab/sizes/c-freestanding");
        fs::create_dir_all(&twin).expect("make a folder");
        fs::create_dir(folder.path().join("src")).expect("make a folder");
        let copy = |name: &str| {
            fs::copy(source.join(name), folder.path().join(name)).expect("copy");
        };
        copy("src/link.ld");
        copy("lab/sizes/c-freestanding/build.sh");
        fs::write(twin.join("init.c"), broken).expect("write init.c");
        let program = build(folder.path(), "c-freestanding", folder.path());
        // What two of the faults do depends on when signals come, so they may take a few tries.
        let checked = (0..20).map(|_| conform(&program, &["--only", row]));
        let checked = checked.into_iter().find(|checked| !checked.is_right);
        let checked = checked.unwrap_or_else(|| panic!("{row} cannot fail"));
        assert_eq!(checked.failed(), [row], "{}", checked.said);
        // It may fail if the user says so.
        if row == "names" {
            let checked =
                conform(&program, &["--only", "names", "pid", "--allow-missing", "names"]);
            assert!(checked.is_right, "{}", checked.said);
            assert_eq!(checked.failed(), ["names"]);
        }
    });
}

#[test]
fn an_init_without_a_duty_fails_the_rows_of_that_duty() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--release", "--target-dir", "target/duties-test"]);
    cargo.args(["--no-default-features", "--features", "console,mounts,reap,spawn,teardown"]);
    assert!(cargo.current_dir(ROOT).status().expect("run cargo").success(), "cargo build failed");
    let init = Path::new(ROOT).join("target/duties-test/x86_64-unknown-linux-gnu/release/init");
    // The tool waits for half a minute before it says that a row fails.
    let rows = [["pid", "mounts", "passes-on"], ["program", "names", "requests"]];
    for_each(rows.into(), |rows| {
        let checked = conform(&init, &[&["--only"][..], &rows].concat());
        assert!(!checked.is_right);
        assert_eq!(checked.failed(), [rows[2]], "{}", checked.said);
    });
}

#[test]
fn a_naive_init_fails_almost_all() {
    let folder = TempDir::new();
    let (source, program) = (folder.path().join("naive.c"), folder.path().join("naive"));
    let text = "#include <unistd.h>
        #include <sys/wait.h>
        int main(int argc, char **argv) {
            int status;
            if (argc > 1 && fork() == 0) { execv(argv[1], argv + 1); _exit(1); }
            wait(&status);
            return WEXITSTATUS(status);
        }";
    fs::write(&source, text).expect("write naive.c");
    let mut gcc = Command::new("gcc");
    let built = gcc.args(["-static", "-o"]).arg(&program).arg(&source).status();
    assert!(built.expect("run gcc").success(), "gcc failed");
    let rows = "pid mounts mounted descriptors program cannot-run names prompt status";
    let rows: Vec<&str> = ["--only"].into_iter().chain(rows.split(' ')).collect();
    let checked = conform(&program, &rows);
    assert!(!checked.is_right);
    let wanted = ["cannot-run", "descriptors", "mounts", "names", "pid", "program", "status"];
    assert_eq!(checked.failed(), wanted, "{}", checked.said);
}

#[test]
fn bad_input_is_named() {
    let folder = TempDir::new();
    let text = folder.path().join("text");
    fs::write(&text, "text").expect("write");
    let data = folder.path().join("data");
    fs::write(&data, "text").expect("write");
    fs::set_permissions(&data, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let cases = [
        (folder.path().join("missing"), "No such file"),
        (folder.path().to_path_buf(), "not a file"),
        (text, "not executable; try: chmod 755"),
        (data, "not a program"),
    ];
    let init = common::init();
    for (path, complaint) in cases {
        let path = path.to_str().expect("a path in UTF-8");
        let out = folder.path().join("out");
        let out = out.to_str().expect("a path in UTF-8");
        let init = init.to_str().expect("a path in UTF-8");
        let sizes = [
            ["sizes", "--init", init, "--twins", "lab/sizes", "--packages", out],
            ["--program", init, "--scratch", out, "--output", out, "--compare"],
        ];
        for arguments in
            [&["conform", path][..], &[&sizes.concat()[..], &[path, "--", "true"]].concat()]
        {
            let output = lab(arguments);
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!output.status.success());
            assert!(said.contains(path) && said.contains(complaint), "{said}");
            assert_eq!(said.lines().count(), 1, "{said}");
        }
        assert!(!Path::new(out).exists(), "nothing is half done");
    }
}

/// The rungs of a ladder: by name, the bytes.
fn rungs(text: &str) -> BTreeMap<String, u64> {
    let rung = |line: &str| {
        let mut cells = line.strip_prefix("| ")?.split(" | ").map(str::trim);
        Some((cells.next()?.to_string(), cells.next()?.replace(',', "").parse().ok()?))
    };
    text.lines().filter_map(rung).collect()
}

#[test]
fn the_ladder_is_true() {
    let folder = TempDir::new();
    let path = folder.path().to_str().expect("a path in UTF-8");
    let init = common::init();
    let init = init.to_str().expect("a path in UTF-8");
    let to = ["--scratch", path, "--output", path];
    let output = lab(&[&["ladder", "--init", init, "--twins", "lab/sizes"][..], &to].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let now = rungs(&String::from_utf8_lossy(&output.stdout));
    let committed = Path::new(ROOT).join("lab/sizes/LADDER.md");
    let committed = rungs(&fs::read_to_string(committed).expect("read LADDER.md"));
    assert!(now.len() > 10 && now.keys().eq(committed.keys()), "{:?}", committed.keys());
    for (rung, bytes) in committed {
        // Another linker or C library makes a little difference; none to picoinit.
        let tolerance = if rung.contains("picoinit") { 0 } else { bytes / 20 };
        let now = now[&rung];
        assert!(
            now.abs_diff(bytes) <= tolerance,
            "{rung}: {now} bytes, not {bytes}: `make ladder`"
        );
    }
}

#[test]
fn the_costs_are_true() {
    let folder = TempDir::new();
    let path = folder.path().to_str().expect("a path in UTF-8");
    let init = common::init();
    let init = init.to_str().expect("a path in UTF-8");
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "symbols", "--bin", "init"])
        .current_dir(ROOT)
        .status();
    assert!(built.expect("run cargo").success());
    let symbols = "target/x86_64-unknown-linux-gnu/symbols/init";
    let duties = ["console", "mounts", "reap", "signals", "spawn", "teardown"];
    let costs = |duties: &[&str]| {
        let to = ["--scratch", path, "--output", path];
        lab(&[&["costs", "--init", init, "--symbols", symbols][..], &to, duties].concat())
    };
    let output = costs(&duties);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for name in ["COSTS.md", "costs.svg"] {
        let read = |folder: &Path| fs::read_to_string(folder.join(name)).expect("read it");
        let (now, committed) = (read(folder.path()), read(&Path::new(ROOT).join("lab/sizes")));
        assert!(now == committed, "{name} is out of date: `make costs` writes it anew:\n{now}");
    }
    // A duty that there is not cannot be left out.
    let output = costs(&["console", "tea"]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("tea"));
}

/// The rows of the committed table: by name, the file's bytes and the last column.
fn results() -> BTreeMap<String, (u64, String)> {
    let path = Path::new(ROOT).join("lab/sizes/RESULTS.md");
    let text = fs::read_to_string(path).expect("read RESULTS.md");
    let row = |line: &str| {
        let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        let bytes = cells.get(1)?.replace(',', "").parse().ok()?;
        Some((cells[0].trim_matches('*').to_string(), (bytes, cells.get(9)?.to_string())))
    };
    text.lines().filter_map(row).collect()
}

/// Whether so many bytes are close enough to what C takes.
fn is_close(bytes: u64, to_c: u64) -> bool {
    bytes * 100 <= to_c * 115
}

#[test]
fn the_init_is_close_to_careful_c() {
    let results = results();
    let bytes = |title: &str| results[title].0;
    let (init, c) = (bytes("picoinit"), bytes("C, freestanding, gcc"));
    println!("picoinit: {init} bytes, C: {c}");
    assert!(is_close(init, c), "picoinit has {init} bytes, C {c}");
    // The same in Rust with the standard library is not.
    assert!(!is_close(bytes("Rust, std, glibc, static"), c));
}

#[test]
fn the_table_is_true() {
    let results = results();
    let size = |path: &Path| fs::metadata(path).expect("a program").len();
    let (bytes, contract) = &results["picoinit"];
    assert_eq!(
        *bytes,
        size(&common::init()),
        "picoinit in RESULTS.md: `make sizes` writes it anew"
    );
    assert_eq!(*contract, format!("all {}", FAULTS.len()));
    let text = fs::read_to_string(Path::new(ROOT).join("lab/sizes/RESULTS.md"));
    let text = text.expect("read RESULTS.md");
    let folder = TempDir::new();
    for twin in twins() {
        let title = &twin.title;
        let Some((bytes, contract)) = results.get(title) else {
            println!("{title}: not in RESULTS.md");
            continue;
        };
        let (all, some) = (format!("all {}", FAULTS.len()), format!(" of {}, not: ", FAULTS.len()));
        assert!(*contract == all || contract.contains(&some), "{title}: {contract}");
        let version = shell(&twin.version).output().expect("run sh").stdout;
        let version = String::from_utf8_lossy(&version);
        let version = version.lines().next().unwrap_or_default().trim();
        if !text.lines().any(|line| line == format!("- {title}: {version}")) {
            println!("{title}: built by another version, {version}: no size to compare with");
            continue;
        }
        // Another version of the linker or of a C library makes a little difference.
        let now = size(&build(Path::new(ROOT), &twin.folder, folder.path()));
        assert!(now.abs_diff(*bytes) * 20 <= *bytes, "{title}: {now} bytes, not {bytes}");
    }
}

#[test]
fn what_an_init_does_is_told_in_words() {
    let folder = TempDir::new();
    let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let init = format!("{ROOT}/target/x86_64-unknown-linux-gnu/release/init");
    let (table, scratch) = (path("tables/INITS.md"), path("scratch"));
    let words = ["inits", "--init", &init, "--packages", "none", "--output", &table];
    let only = ["--scratch", &scratch, "--only", "picoinit", "none of the duties"];
    let output = lab(&[&words[..], &only].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let table = fs::read_to_string(&table).expect("a table");
    let row = |name: &str| {
        let start = format!("| {name} | ");
        let row = table.lines().find_map(|line| line.strip_prefix(&start)?.strip_suffix(" |"));
        row.unwrap_or_else(|| panic!("no row of {name}: {table}")).split(" | ").collect()
    };
    let (ours, naive): (Vec<&str>, Vec<&str>) = (row("picoinit"), row("none of the duties"));
    let wanted =
        ["exits with 3", "exits with 137", "reaps them", "program, child, daemon; exits with 0"];
    assert_eq!(ours[..4], wanted);
    assert!(ours[4].starts_with("exits with 137 after "), "{}", ours[4]);
    assert_eq!(ours[5..], ["passes it on", "it gets SIGTERM"]);
    // A PID 1 without duties is seen to have none.
    let lacking =
        ["leaves 200 zombies", "nobody; carries on", "carries on", "keeps it", "it gets SIGKILL"];
    assert_eq!(naive[2..], lacking);
}
