//! What the lab says of the inside of /init (`make disasm`, `make trace`, the
//! table of duties in README.md), against the file itself and against strace.

mod common;

use common::{Namespace, ROOT, TempDir, terminal};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const TARGET: &str = "target/x86_64-unknown-linux-gnu";

/// The lab's tool, the init with symbols, and the demo, built now if need be.
fn lab(arguments: &[&str]) -> Command {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        common::build(&["--release", "--bin", "demo"]);
        common::build(&["--profile", "symbols", "--bin", "init"]);
    });
    common::lab(arguments)
}

/// Runs the lab's tool. Returns what it printed; or, if it failed, why.
fn run(mut command: Command) -> Result<String, String> {
    let output = command.output().expect("run the lab's tool");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

/// Has it look at this file as the init that is shipped.
fn look(arguments: &[&str], init: &Path) -> Result<String, String> {
    let mut command = lab(arguments);
    let symbols = format!("{TARGET}/symbols/init");
    command.arg("--init").arg(init).args(["--symbols", &symbols]);
    run(command)
}

fn disasm() -> String {
    look(&["disasm"], &common::init()).expect("disasm")
}

/// Runs `trace` or `duties`, in a folder of its own.
fn stage(arguments: &[&str]) -> Result<String, String> {
    let scratch = TempDir::new();
    let program = format!("{TARGET}/release/demo");
    let folder = scratch.path().to_str().expect("a path in UTF-8");
    let stage = ["--program", &program, "--scratch", folder];
    look(&[arguments, &stage].concat(), &common::init())
}

/// The numbers of a table at the end of a text: the name of the row, and its last number.
fn table(text: &str, heading: &str) -> BTreeMap<String, usize> {
    let (_, rest) = text.split_once(heading).unwrap_or_else(|| panic!("no {heading} in {text}"));
    let rows = rest.lines().skip(2).take_while(|line| !line.trim().is_empty());
    rows.filter_map(|row| {
        let (name, number) = row.trim().rsplit_once(' ')?;
        let name = name.split("  ").next().unwrap_or(name);
        Some((name.trim().to_string(), number.parse().ok()?))
    })
    .collect()
}

/// Demands that a table's rows have its last one as their sum, and returns that.
#[track_caller]
fn sum(table: &BTreeMap<String, usize>) -> usize {
    let mut rows = table.clone();
    let together = rows.remove("together").expect("a sum");
    assert_eq!(rows.values().sum::<usize>(), together, "{table:?}");
    together
}

/// The modules that say of themselves that they are a duty.
fn duties() -> Vec<String> {
    let files = fs::read_dir(Path::new(ROOT).join("src")).expect("list src");
    let mut duties = Vec::new();
    for path in files.map(|entry| entry.expect("list src").path()) {
        let text = fs::read_to_string(&path).unwrap_or_default();
        if text.starts_with("//! Duty:") {
            duties.push(path.file_stem().expect("a name").to_string_lossy().into_owned());
        }
    }
    assert!(duties.len() > 3, "{duties:?}");
    duties
}

/// The bytes that a listing shows, in order: what stands between the address
/// and two spaces.
fn bytes_shown(listing: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in listing.lines() {
        let Some((address, rest)) = line.strip_prefix("  ").and_then(|line| line.split_once("  "))
        else {
            continue;
        };
        if address.len() == 6 && address.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            let shown = rest.split("  ").next().unwrap_or_default();
            let byte = |digits| u8::from_str_radix(digits, 16).expect("a byte");
            bytes.extend(shown.split_whitespace().map(byte));
        }
    }
    bytes
}

#[test]
fn disasm_shows_every_byte_of_the_release() {
    let file = fs::read(common::init()).expect("the init");
    let listing = disasm();
    assert!(bytes_shown(&listing) == file, "{listing}");
    for heading in ["Bytes by function", "Bytes by duty"] {
        assert_eq!(sum(&table(&listing, heading)), file.len(), "{listing}");
    }
    let by_duty = table(&listing, "Bytes by duty");
    for duty in duties() {
        assert!(by_duty.get(&duty).is_some_and(|bytes| *bytes > 0), "{duty}: {by_duty:?}");
    }
    assert!(!listing.contains("(padding)"), "every byte is for something: {listing}");
    let calls: Vec<&str> = listing
        .lines()
        .filter(|line| line.split(';').next().is_some_and(|code| code.trim().ends_with(" syscall")))
        .collect();
    assert!(calls.len() > 10);
    let nameless: Vec<&&str> = calls.iter().filter(|call| !call.ends_with("(2)")).collect();
    assert!(nameless.is_empty(), "{nameless:#?}");

    // Without one of its lines, the listing would not pass.
    assert!(bytes_shown(&listing.replacen(calls[0], "", 1)) != file);
}

#[test]
fn disasm_says_what_objdump_says() {
    // First, because it builds what objdump looks at.
    let listing = disasm();
    let objdump = Command::new("objdump")
        .args(["--disassemble", "--no-show-raw-insn", "-M", "intel"])
        .arg(format!("{TARGET}/symbols/init"))
        .current_dir(ROOT)
        .output();
    let said = String::from_utf8(objdump.expect("run objdump").stdout).expect("UTF-8");
    // The addresses of what has this mnemonic.
    let addresses = |text: &str, mnemonic: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| {
            line.split(';')
                .next()
                .is_some_and(|code| code.split_whitespace().any(|word| word == mnemonic))
        });
        let address = |line: &str| line.split_whitespace().next().map(|at| at.replace(':', ""));
        lines.filter_map(address).collect()
    };
    for mnemonic in ["syscall", "call", "ret"] {
        let found = addresses(&listing, mnemonic);
        assert!(!found.is_empty());
        assert_eq!(found, addresses(&said, mnemonic), "{mnemonic}");
    }
}

#[test]
fn another_init_than_the_one_with_symbols_is_refused() {
    let folder = TempDir::new();
    let mut file = fs::read(common::init()).expect("the init");
    let last = file.len() - 1;
    file[last] ^= 1;
    let changed = folder.path().join("init");
    fs::write(&changed, &file).expect("write a file");
    for init in [changed, common::container_init(), PathBuf::from("/bin/true")] {
        let why = look(&["disasm"], &init).expect_err("it is another");
        assert!(why.contains("is not what the build with symbols is"), "{why}");
        assert_eq!(why.lines().count(), 1, "{why}");
    }
    // Nor is one without symbols.
    let mut command = lab(&["disasm"]);
    command.arg("--init").arg(common::init()).arg("--symbols").arg(common::init());
    let why = run(command).expect_err("there are no symbols");
    assert!(why.contains("no section image"), "{why}");
}

/// The calls of a trace: the process, the duty, and the name of the call. A line is
/// one, or as many as it says.
fn calls(trace: &str) -> Vec<(i32, String, String)> {
    let end = trace.split("\n\n").next().expect("a table");
    let line = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let line = line.replace("(closure)", "");
        let (before, _) = line.split_once('(')?;
        let name = before.split_whitespace().next_back()?;
        let call = (words[0].parse().ok()?, words[1].to_string(), name.to_string());
        let times = match words.as_slice() {
            [.., times, "times)"] => times.strip_prefix('(')?.parse().ok()?,
            _ => 1,
        };
        Some(vec![call; times])
    };
    end.lines()
        .skip(1)
        .flat_map(|text| line(text).unwrap_or_else(|| panic!("no call: {text}")))
        .collect()
}

/// The names of the calls that the init makes, as strace sees it: those of PID 1,
/// those of its children until they execute a program or end; and all that strace said.
fn strace() -> (Vec<String>, Vec<String>, String) {
    let (_terminal, console) = terminal();
    let namespace = Namespace::new(&["/out/demo"])
        .may_reboot()
        .trace("all")
        .prepare(": > /dev/console")
        .stdio(console);
    let (root, out) = (TempDir::new(), TempDir::new());
    fs::copy(Path::new(ROOT).join(TARGET).join("release/demo"), out.path().join("demo"))
        .expect("copy the demo");
    namespace.command(root.path(), out.path()).status().expect("run strace");
    let trace = fs::read_to_string(out.path().join("trace")).expect("read the trace");

    let lines: Vec<(&str, &str)> = trace
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(pid, line)| (pid, line.trim_start()))
        .filter(|(_, line)| !line.starts_with("<...") && !line.starts_with(['-', '+']))
        .collect();
    let name = |line: &str| line.split('(').next().unwrap_or_default().to_string();
    let start = |(_, line): &(&str, &str)| line.starts_with("execve(\"/init\"");
    let (pid1, _) = *lines.iter().find(|line| start(line)).unwrap_or_else(|| panic!("{trace}"));
    let after = lines.iter().skip_while(|line| !start(line)).skip(1);
    let of_pid1 =
        after.clone().filter(|(pid, _)| *pid == pid1).map(|(_, line)| name(line)).collect();

    // Who was forked by PID 1 is who executes the program, and who calls reboot(2).
    let mut of_children = Vec::new();
    let mut seen = vec![pid1];
    for (pid, _) in after.clone() {
        if seen.contains(pid) {
            continue;
        }
        seen.push(pid);
        let own: Vec<String> =
            after.clone().filter(|(other, _)| other == pid).map(|(_, line)| name(line)).collect();
        let end = own.iter().position(|name| name == "execve" || name == "reboot");
        of_children.extend(end.map(|end| own[..=end].to_vec()).unwrap_or_default());
    }
    (of_pid1, of_children, trace)
}

/// How often each call is made. Children may exit one by one or at once: so the order may differ,
/// and how often PID 1 wakes up and looks for them.
fn counts(names: Vec<String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for name in names
        .into_iter()
        .filter(|name| !["rt_sigtimedwait", "times", "wait4"].contains(&name.as_str()))
    {
        *counts.entry(name).or_default() += 1;
    }
    counts
}

#[test]
fn trace_shows_the_calls_that_strace_shows() {
    let trace = stage(&["trace", "--as-container"]).expect("trace");
    let calls = calls(&trace);
    let names = |of_pid1: bool| -> Vec<String> {
        let calls = calls.iter().filter(|(pid, ..)| (*pid == 1) == of_pid1);
        calls.map(|(.., name)| name.clone()).collect()
    };
    let (pid1, children, said) = strace();
    assert!(pid1.len() > 100 && children.len() > 3, "{pid1:?} {children:?}");
    assert_eq!(counts(names(true)), counts(pid1), "{trace}\n{said}");
    assert_eq!(counts(names(false)), counts(children), "{trace}\n{said}");

    let by_duty = table(&trace, "System calls by duty:");
    assert_eq!(sum(&by_duty), calls.len(), "{trace}");
    // A call whose arguments nobody knows is shown with all six.
    let unknown = trace.lines().find(|line| line.matches(", 0x").count() >= 5);
    assert_eq!(unknown, None);
    let modules = duties();
    for (_, duty, name) in &calls {
        let is_known =
            modules.contains(duty) || (duty, name.as_str()) == (&"main".into(), "getpid");
        assert!(is_known, "{name} is for {duty}");
    }
    for duty in modules {
        assert!(by_duty.get(&duty).is_some_and(|count| *count > 0), "{duty}: {by_duty:?}");
    }
}

#[test]
fn trace_goes_on_to_power_off_as_on_a_machine() {
    let on_machine = stage(&["trace"]).expect("trace");
    let in_container = stage(&["trace", "--as-container"]).expect("trace");
    let count =
        |trace: &str, name: &str| calls(trace).iter().filter(|(.., call)| call == name).count();
    assert_eq!((count(&on_machine, "sync"), count(&in_container, "sync")), (1, 0));
    assert!(count(&on_machine, "umount2") > 0 && count(&in_container, "umount2") == 0);
    let last = |trace: &str| {
        let (pid, _, name) = calls(trace).last().cloned().expect("a call");
        (pid == 1, name)
    };
    assert_eq!(last(&on_machine), (false, "reboot".into()), "{on_machine}");
    assert_eq!(last(&in_container), (true, "exit".into()), "{in_container}");
    for trace in [&on_machine, &in_container] {
        assert!(trace.contains("exited with status 7"), "an orphan is reaped: {trace}");
        assert!(!trace.contains("cannot "), "nothing goes wrong: {trace}");
    }
}

#[test]
fn trace_has_an_end_whatever_the_program_is() {
    let scratch = TempDir::new();
    let folder = scratch.path().to_str().expect("a path in UTF-8");
    let trace =
        |program| look(&["trace", "--program", program, "--scratch", folder], &common::init());
    // Without its loader, it cannot be executed.
    let said = trace("/bin/sleep").expect("trace");
    assert!(said.contains("init: cannot run /etc/rc: errno 2"), "{said}");
    assert!(said.contains("-1 ENOENT"), "{said}");

    let why = trace("/no/such/program").expect_err("there is none");
    assert!(why.contains("/no/such/program") && why.lines().count() == 1, "{why}");
    // What was mounted is gone, and with it what was in there.
    assert_eq!(fs::read_dir(folder).expect("list a folder").count(), 0);
}

#[test]
fn the_table_of_duties_is_up_to_date() {
    let readme = Path::new(ROOT).join("README.md");
    let text = fs::read_to_string(&readme).expect("read README.md");
    let check =
        |path: &Path| stage(&["duties", "--check", "--readme", path.to_str().expect("UTF-8")]);
    if let Err(why) = check(&readme) {
        panic!("{why}");
    }

    // One number more in one row, and it is seen, and mended.
    let folder = TempDir::new();
    let copy = folder.path().join("README.md");
    let row = text.lines().find(|line| line.contains("[src/reap.rs](src/reap.rs)"));
    let row = row.expect("a row for reap");
    fs::write(&copy, text.replace(row, &row.replacen("| ", "| x", 1).replace("wait4", "wait5")))
        .expect("write a file");
    let why = check(&copy).expect_err("it is stale");
    assert!(why.contains("is out of date; make readme") && why.contains("wait5"), "{why}");
    stage(&["duties", "--readme", copy.to_str().expect("UTF-8")]).expect("write it");
    let mended = fs::read_to_string(&copy).expect("read it");
    assert!(!mended.contains("wait5") && mended.contains("wait4"), "{mended}");
    // What is not measured is left alone.
    assert!(mended.contains("| x[src/reap.rs]"), "{mended}");

    // A file that the table forgets.
    fs::write(&copy, text.replace("](src/say.rs), ", "](src/main.rs), ")).expect("write a file");
    let why = check(&copy).expect_err("a file is missing");
    assert!(why.contains("it has to name each one of"), "{why}");
}

#[test]
fn duties_are_data_too() {
    let file = fs::read(common::init()).expect("the init");
    let data = stage(&["duties"]).expect("duties");
    let rows: Vec<Vec<&str>> =
        data.lines().skip(1).map(|line| line.split('\t').collect()).collect();
    let bytes: usize = rows.iter().map(|row| row[1].parse::<usize>().expect("a number")).sum();
    assert_eq!(bytes, file.len(), "{data}");
    for duty in duties() {
        let name = format!("src/{duty}.rs");
        assert!(rows.iter().any(|row| row[0] == name && !row[3].is_empty()), "{name}: {data}");
    }
}
