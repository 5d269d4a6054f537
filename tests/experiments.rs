//! Runs each experiment of lab/experiments as a reader does, with `make
//! experiment`; and shows with wrong pages that a wrong page fails.

#[path = "common/boot.rs"]
mod boot;
mod common;

use boot::{LIMIT, Session, alone, command, make, missing_in_order, run, type_command};
use common::{ROOT, TempDir, skip};
use libtest_mimic::{Arguments, Trial};
use nix::sys::signal::Signal;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

const FOLDER: &str = "lab/experiments";
const TOOL: &str = "target/x86_64-unknown-linux-gnu/release/picoinit-lab";

/// A test, by its name.
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        vec![$(Trial::test(stringify!($name), || { $name(); Ok(()) })),*]
    };
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let mut tests = tests![
        a_wrong_text_fails,
        a_broken_document_is_refused,
        a_wrong_number_is_refused,
        an_interrupt_leaves_no_process_behind,
        a_reader_at_a_terminal_goes_step_by_step,
        the_kernel_is_quoted_as_it_is,
        a_wrong_quotation_is_found,
        three_turns_run_each_page_once,
        the_table_of_contents_is_complete,
        the_readme_says_what_is_seen_to_break,
    ];
    // One for each file, named after it: cargo test --test experiments -- 03
    let pages = experiments();
    let is_sample = arguments.filter.is_none() && !arguments.include_ignored && !arguments.ignored;
    let mut third = None;
    if is_sample && !arguments.list {
        let turn = take_turn(&Path::new(ROOT).join("build/experiments-turn"));
        let numbers = pages.iter().map(|(number, _)| number.as_str());
        let chosen: Vec<&str> = numbers.filter(|number| is_of_turn(number, turn)).collect();
        println!("\na third of the experiments runs: {}", chosen.join(" "));
        println!("all of them: make experiments-test");
        third = Some(turn);
    }
    for (number, name) in pages {
        // A page that builds kernels is for `make images-test`.
        let is_left_out =
            third.is_some_and(|turn| builds_kernels(&name) || !is_of_turn(&number, turn));
        let run = move || {
            shows_what_its_text_says(&number);
            Ok(())
        };
        tests.push(Trial::test(name, run).with_ignored_flag(is_left_out));
    }
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// Whether a page's commands need a kernel that takes minutes to build.
fn builds_kernels(name: &str) -> bool {
    let page = Path::new(ROOT).join(FOLDER).join(name).with_extension("md");
    let text = fs::read_to_string(page).expect("read a page");
    text.lines().any(|line| line.starts_with("$ ") && line.contains("KERNEL=own"))
}

/// Whether a page is of the third of all that runs in this turn.
fn is_of_turn(number: &str, turn: u64) -> bool {
    number.parse::<u64>().is_ok_and(|number| number % 3 == turn % 3)
}

/// The number of this run. It goes on from the one before on this machine, which `file`
/// has; the first is the number of commits, so that new machines, one for each commit, do
/// not all begin with the same.
fn take_turn(file: &Path) -> u64 {
    let last = fs::read_to_string(file).ok().and_then(|text| text.trim().parse::<u64>().ok());
    let turn = last.map_or_else(commits, |last| last.wrapping_add(1));
    fs::create_dir_all(file.parent().expect("a folder")).expect("make a folder");
    fs::write(file, format!("{turn}\n")).expect("write the turn");
    turn
}

/// How many commits the project has; none if it is no repository.
fn commits() -> u64 {
    let output = command("git").args(["rev-list", "--count", "HEAD"]).output();
    let count = output.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

fn three_turns_run_each_page_once() {
    let folder = TempDir::new();
    let file = folder.path().join("build/turn");
    let pages = experiments();
    let mut runs = vec![0; pages.len()];
    for turn in 0..3 {
        let begin = if turn == 0 { commits() } else { turn_in(&file) + 1 };
        assert_eq!(take_turn(&file), begin);
        for (runs, (number, _)) in runs.iter_mut().zip(&pages) {
            *runs += u32::from(is_of_turn(number, begin));
        }
        let is_complete = runs.iter().all(|runs| *runs == 1);
        assert_eq!(is_complete, turn == 2, "{runs:?} after turn {turn}");
    }
    // What is no number is as good as no file.
    fs::write(&file, "third").expect("write a file");
    assert_eq!(take_turn(&file), commits());
}

fn turn_in(file: &Path) -> u64 {
    let turn = fs::read_to_string(file).expect("read the turn");
    turn.trim().parse().expect("a number")
}

/// The number and the name of each experiment.
fn experiments() -> Vec<(String, String)> {
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(ROOT).join(FOLDER)).expect("list the experiments") {
        let path = entry.expect("list the experiments").path();
        if path.extension().is_some_and(|extension| extension == "md") {
            let name = path.file_stem().and_then(|name| name.to_str()).expect("a name in UTF-8");
            let number = name.split('-').next().unwrap_or_default();
            names.push((number.to_string(), name.to_string()));
        }
    }
    names.sort();
    assert!(!names.is_empty(), "there are none");
    names
}

/// What is wrong with the row of a duty in README.md. Its experiment has to leave the
/// duty out, and then to show what the row quotes.
fn complaint(row: &str) -> Option<String> {
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    let [_, duty, _, _, without, experiment, ..] = cells[..] else {
        return Some("too few columns".into());
    };
    let between = |text: &'static str, cell: &str| -> Option<String> {
        let mut ends = text.chars();
        let (_, rest) = cell.split_once(ends.next()?)?;
        rest.split_once(ends.next()?).map(|(part, _)| part.into())
    };
    let (Some(quoted), Some(page)) = (between("``", without), between("()", experiment)) else {
        return Some(format!("it quotes nothing, or names no experiment: {row}"));
    };
    let text = fs::read_to_string(Path::new(ROOT).join(&page)).expect("read an experiment");
    let command = |line: &&str| line.starts_with("$ ") && line.contains(&format!("WITHOUT={duty}"));
    let mut lines = text.lines().skip_while(|line| !command(line)).skip(1);
    let mut seen = lines.by_ref().take_while(|line| !line.starts_with("```"));
    (!seen.any(|line| line.contains(&quoted)))
        .then(|| format!("{page} does not show, without {duty}: {quoted}"))
}

fn the_readme_says_what_is_seen_to_break() {
    let readme = fs::read_to_string(Path::new(ROOT).join("README.md")).expect("read README.md");
    for duty in ["console", "mounts", "reap", "signals", "spawn", "teardown"] {
        let row = readme.lines().find(|line| line.starts_with(&format!("| {duty} | ")));
        let row = row.unwrap_or_else(|| panic!("README.md has no row for {duty}"));
        assert_eq!(complaint(row), None);
        // Another duty does not break the same thing.
        let other = if duty == "reap" { "signals" } else { "reap" };
        assert!(complaint(&row.replace(&format!("| {duty} |"), &format!("| {other} |"))).is_some());
    }
}

fn shows_what_its_text_says(number: &str) {
    let _alone = alone();
    let (status, said) = Session::piped(make(&["experiment", &format!("N={number}")])).end();
    let verdict = format!("picoinit: experiment {number}: what was seen is what the page says");
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said.lines().last(), Some(&*verdict), "{said}");
}

/// A page as it should be.
const SOUND: &str = r#"# 07. What does the shell say?

Read first: [07](07-shell.md).

A shell says nothing by itself. But it says what it is told to.

## Predict

How many lines?

## Try

```console
$ echo one; echo "it took $$ seconds"
one
it took [..] seconds
$ echo two; seq 9; \
> exit 3
? 3
two
...
9
```

## Why

It was told to.

## In the code

[who starts it](CODE/program.rs "pub unsafe fn start"), after

```c
// SPDX-License-Identifier: GPL-2.0-only
// Linux 6.1, init/main.c, run_init_process
	return kernel_execve(init_filename, argv_init, envp_init);
```

## Exercise

Say something else.

<details>
<summary>Answer</summary>

Such as three:

```console
$ echo three
three
```

</details>
"#;

/// Lets the tool run the sound page with one change. Returns its exit status, and
/// what it prints.
fn run_changed(from: &str, to: &str) -> (Option<i32>, String) {
    let folder = TempDir::new();
    assert!(SOUND.contains(from), "{from}");
    let text = SOUND.replacen(from, to, 1).replace("CODE", &format!("{ROOT}/src"));
    fs::write(folder.path().join("07-shell.md"), text).expect("write a file");
    run_tool(&["experiment", "--folder", folder.name(), "7"])
}

fn run_tool(arguments: &[&str]) -> (Option<i32>, String) {
    build_tool();
    let mut tool = command(TOOL);
    tool.args(arguments);
    Session::piped(tool).end()
}

fn build_tool() {
    let (status, said) = Session::piped(make(&["lab-tool"])).end();
    assert_eq!(status, Some(0), "{said}");
}

fn a_wrong_text_fails() {
    let (status, said) = run_changed("one\n", "one\n");
    assert_eq!(status, Some(0), "{said}");
    assert!(said.ends_with("picoinit: experiment 07: what was seen is what the page says\n"));

    let verdict = "picoinit: experiment 07: what was seen is NOT what the page says: \
                   1 of 3 commands did something else\n";
    for (from, to, listed) in [
        ("\none\n", "\nother\n", "- other\n"),
        ("\none\n", "\none\none more\n", "- one more\n"),
        ("it took [..] seconds", "it took [..] hours", "- it took [..] hours\n"),
        ("? 3\n", "", "the exit status is 3, not 0\n"),
        ("? 3\n", "? 4\n", "the exit status is 3, not 4\n"),
        ("...\n9\n", "...\n10\n", "- 10\n"),
        ("...\n9\n", "", "+ 9\n"),
        ("> exit 3", "> exit 2", "the exit status is 2, not 3\n"),
        // What an answer says is seen is compared, too.
        ("\nthree\n", "\nfour\n", "- four\n"),
    ] {
        let (status, said) = run_changed(from, to);
        assert_eq!(status, Some(1), "{to}: {said}");
        assert!(said.contains(listed), "{to}: {said}");
        assert!(said.ends_with(verdict), "{to}: {said}");
    }
}

fn a_broken_document_is_refused() {
    let answer = &SOUND[SOUND.find("<details>").expect("an answer")..];
    for (from, to, why) in [
        ("# 07. What", "# 08. What", "its title has to be `# 07. ` and a question"),
        ("say?", "say.", "its title has to be `# 07. ` and a question"),
        ("## Why", "## How", "its sections have to be"),
        ("## Exercise", "# Exercise", "it has 2 titles instead of one"),
        (
            "```console\n$ echo one",
            "```console\necho one",
            "a console block has to begin with `$ `",
        ),
        ("A shell says nothing by itself. But it says what it is told to.\n", "", "with a doubt"),
        ("```c\n", "```text\n", "it does not quote the kernel"),
        ("// SPDX-License-Identifier: GPL-2.0-only\n", "", "a quotation has to begin with"),
        ("</details>", "", "its answer has no `</details>`"),
        (answer, "", "its exercise has no answer"),
        ("<summary>Answer</summary>", "<summary>No</summary>", "an answer is between"),
        ("CODE/program.rs", "CODE/nothing.rs", "leads nowhere"),
        ("pub unsafe fn start", "pub unsafe fn stop", "quotes what is not in that file"),
        (r#" "pub unsafe fn start""#, "", "has to quote a line of that file"),
        ("[who starts it](CODE/program.rs", "[who starts it](/etc/passwd", "quotes what is not"),
        (
            r#"[who starts it](CODE/program.rs "pub unsafe fn start")"#,
            "me",
            "it has no link into the code",
        ),
    ] {
        let (status, said) = run_changed(from, to);
        assert_eq!(status, Some(1), "{to}: {said}");
        assert!(said.contains(why) && said.contains("07-shell.md: "), "{to}: {said}");
        assert_eq!(said.lines().count(), 1, "{to}: {said}");
    }
}

/// Presses Enter, each time that one of these is asked for.
fn answer(session: &mut Session, prompts: &[&str]) {
    for prompt in prompts {
        session.wait_for(&format!("\npicoinit: {prompt}"));
        session.type_in("\n");
    }
}

/// Reads the sound page, with one change, at a terminal.
fn read_changed(folder: &TempDir, from: &str, to: &str) -> Session {
    assert!(SOUND.contains(from), "{from}");
    let text = SOUND.replacen(from, to, 1).replace("CODE", &format!("{ROOT}/src"));
    fs::write(folder.path().join("07-shell.md"), text).expect("write a file");
    type_command(&format!("cd '{ROOT}'; {TOOL} experiment --folder {} 7", folder.name()))
}

/// How a reader goes through the sound page up to the answer, and what is seen on the way.
const STEPS: [&str; 7] = [
    "Enter goes on ",
    "Enter runs it ",
    "Enter runs it ",
    "Enter goes on ",
    "Enter goes on ",
    "Enter goes on ",
    "Enter shows the answer ",
];

fn a_reader_at_a_terminal_goes_step_by_step() {
    build_tool();
    let folder = TempDir::new();
    let settings = |said: &str, name| said.split_once(name)?.1.lines().next().map(str::to_owned);
    let is_unharmed = |said: &str| {
        let before = settings(said, "before: ");
        before.is_some() && before == settings(said, "after: ")
    };

    let mut session = read_changed(&folder, "one\n", "one\n");
    answer(&mut session, &STEPS[..1]);
    session.wait_for("Enter runs it ");
    // Nothing is run before the reader wants it.
    assert!(!session.said().contains("\none\n"), "{}", session.said());
    session.type_in("\n");
    session.wait_for("\none");
    answer(&mut session, &STEPS[2..6]);
    session.wait_for("Enter shows the answer ");
    assert!(!session.said().contains("Such as three"), "{}", session.said());
    session.type_in("\n");
    answer(&mut session, &["Enter runs it "]);
    let (status, said) = session.end();
    assert_eq!(status, Some(0), "{said}");
    assert!(is_unharmed(&said), "{said}");
    let order = [
        "Read first: 07.\n\nA shell says nothing",
        "\nPREDICT\n\nHow many lines?\n",
        "\nTRY\n",
        "$ echo one",
        "\nWHY\n\nIt was told to.\n",
        "\nIN THE CODE\n",
        "\n\treturn kernel_execve(init_filename, argv_init, envp_init);\n",
        "\nEXERCISE\n\nSay something else.\n",
        "\nSuch as three:\n",
        "\nthree\n",
        "picoinit: experiment 07: what was seen is what the page says\n",
    ];
    assert_eq!(missing_in_order(&said, &order), None, "{said}");

    // A wrong page is wrong at a terminal, too.
    let mut session = read_changed(&folder, "? 3\n", "");
    answer(&mut session, &STEPS);
    answer(&mut session, &["Enter runs it "]);
    let (status, said) = session.end();
    assert_eq!(status, Some(1), "{said}");

    // Who leaves, wherever, is asked for nothing more.
    for (keys, wanted, words) in [
        ("\x04", Some(0), "\npicoinit: experiment 07: left before its end\n"),
        ("\x03", Some(1), "\npicoinit: interrupted\n"),
    ] {
        for steps in [0, 1, STEPS.len() - 1] {
            let mut session = read_changed(&folder, "one\n", "one\n");
            answer(&mut session, &STEPS[..steps]);
            session.wait_for(STEPS[steps]);
            session.type_in(keys);
            let (status, said) = session.end();
            assert_eq!(status, wanted, "{said}");
            assert!(is_unharmed(&said) && said.contains(words), "{said}");
            assert_eq!(said.matches("Enter ").count(), steps + 2, "{said}");
        }
    }

    // Without a terminal, nobody is asked, and nothing but the commands is shown.
    let (status, said) = run_changed("one\n", "one\n");
    assert_eq!(status, Some(0), "{said}");
    assert!(!said.contains("Enter ") && !said.contains("PREDICT"), "{said}");
}

fn the_kernel_is_quoted_as_it_is() {
    let (status, said) = run("lab/kernel-source.sh", &["build/linux-source"]);
    if status != Some(0) {
        return skip(said.trim());
    }
    let (status, said) = Session::piped(make(&["quotes"])).end();
    assert_eq!(status, Some(0), "{said}");
}

/// A file as it may be in the kernel's source.
const KERNEL: &str = "// SPDX-License-Identifier: GPL-2.0-only
static int deaf(struct task_struct *t);

#define FATAL(sig) \\
	((sig) == SIGKILL)

/* Whether it is thrown away. */
static bool __init
deaf(struct task_struct *t, int sig)
{
	if (is_init(t) && FATAL(sig))
		return true;
#ifdef CONFIG_TRACE
	if (t->traced) {
#endif
		return false;

	return true;
}

static const struct rule rules[] = {
	{ SIGKILL, deaf },
};

SYSCALL_DEFINE2(kill, pid_t, pid, int, sig)
{
	return true;
}
";

/// A page that quotes that file.
const QUOTING: &str = "It is
[`deaf` and `kill` in kernel/signal.c](https://github.com/torvalds/linux/blob/v6.1/kernel/signal.c):

```c
// SPDX-License-Identifier: GPL-2.0-only
// Linux 6.1, kernel/signal.c, deaf
if (is_init(t) && FATAL(sig))
	return true;
...
	return false;

return true;
```

```c
// SPDX-License-Identifier: GPL-2.0-only
// Linux 6.1, kernel/signal.c, rules
	{ SIGKILL, deaf },
```

```c
// SPDX-License-Identifier: GPL-2.0-only
// Linux 6.1, kernel/signal.c, FATAL
...
	((sig) == SIGKILL)
```
";

fn a_wrong_quotation_is_found() {
    build_tool();
    let folder = TempDir::new();
    let page = folder.join("page.md");
    fs::create_dir(folder.path().join("kernel")).expect("make a folder");
    fs::write(folder.join("kernel/signal.c"), KERNEL).expect("write a file");
    let check = |text: String| {
        fs::write(&page, text).expect("write a file");
        run(TOOL, &["quotes", "--source", folder.name(), &page])
    };

    let (status, said) = check(QUOTING.into());
    assert_eq!(status, Some(0), "{said}");
    assert_eq!(said.lines().count(), 4, "{said}");
    assert!(said.contains("kernel/signal.c  rules  page\n"), "{said}");

    for (from, to, line, what) in [
        // A line.
        ("&& FATAL(sig)", "|| FATAL(sig)", 7, "this is not in deaf of kernel/signal.c"),
        ("{ SIGKILL, deaf }", "{SIGKILL, deaf}", 18, "this is not in rules of"),
        ("...\n\treturn false;\n\n", "", 9, "or not at this place: return true;"),
        ("\treturn false;\n\n", "\treturn false;\n", 11, "or not at this place: return true;"),
        ("\n\treturn true;", "\nreturn true;", 8, "or not at this place: return true;"),
        // The function.
        ("signal.c, deaf", "signal.c, kill", 7, "this is not in kill of"),
        ("signal.c, FATAL", "signal.c, rules", 25, "this is not in rules of"),
        ("signal.c, rules", "signal.c, rule", 15, "kernel/signal.c has no rule"),
        ("signal.c, deaf", "signal.c, sig", 4, "kernel/signal.c has no sig"),
        ("`kill` in", "`pid` in", 2, "kernel/signal.c has no pid"),
        // The licence.
        ("GPL-2.0-only", "GPL-2.0", 5, "the licence of kernel/signal.c is GPL-2.0-only"),
        // The path, and the version.
        ("kernel/signal.c, rules", "kernel/signals.c, rules", 15, "has no file kernel/signals.c"),
        ("Linux 6.1, kernel", "Linux 6.6, kernel", 6, "this has to be `// Linux 6.1, path, name`"),
        ("/v6.1/", "/v6.6/", 2, "a link to the kernel has to read"),
        ("/v6.1/kernel/signal.c", "/v6.1/kernel/exit.c", 2, "a link to the kernel has to read"),
        ("`deaf` and `kill` in ", "", 2, "a link to the kernel has to read"),
    ] {
        assert!(QUOTING.contains(from), "{from}");
        let (status, said) = check(QUOTING.replacen(from, to, 1));
        assert_eq!(status, Some(1), "{to}: {said}");
        let begin = format!("picoinit: {page}:{line}: ");
        let complaint = said.lines().next().unwrap_or_default();
        assert!(complaint.starts_with(&begin) && complaint.contains(what), "{to}: {said}");
    }
}

fn a_wrong_number_is_refused() {
    let number = "picoinit: N=77: there is no such experiment; `make experiments` lists them";
    let word = "picoinit: N=first: there is no such experiment; `make experiments` lists them";
    let none =
        "picoinit: which experiment? `make experiments` lists them; then: make experiment N=1";
    for (variables, line) in [(&["N=77"][..], number), (&["N=first"], word), (&[], none)] {
        let (status, said) = Session::piped(make(&[&["experiment"], variables].concat())).end();
        assert_ne!(status, Some(0), "{said}");
        assert_eq!(said.lines().next(), Some(line), "{said}");
    }
}

/// An interrupted experiment leaves no process behind, whether a signal or a terminal's
/// key interrupts it.
fn an_interrupt_leaves_no_process_behind() {
    build_tool();
    let folder = TempDir::new();
    let text = SOUND
        .replacen("echo one;", "sh -c 'sleep 1000 & echo sleeper $!; wait'", 1)
        .replace("CODE", &format!("{ROOT}/src"));
    fs::write(folder.path().join("07-shell.md"), text).expect("write a file");
    let arguments = ["experiment", "--folder", folder.name(), "7"];

    for is_terminal in [false, true] {
        let mut session = if is_terminal {
            Session::on_terminal(&format!("cd '{ROOT}'; exec {TOOL} {}", arguments.join(" ")))
        } else {
            let mut tool = command(TOOL);
            tool.args(arguments);
            Session::piped(tool)
        };
        if is_terminal {
            answer(&mut session, &["Enter goes on ", "Enter runs it "]);
        }
        session.wait_for("\nsleeper ");
        session.wait_for("\n");
        let said = session.said();
        let sleeper = said.lines().find_map(|line| line.strip_prefix("sleeper ")).expect("its PID");
        // A zombie that its new parent has not reaped yet has no command line; nor has,
        // for a moment, a process that begins to execute a program.
        let runs =
            || fs::read(format!("/proc/{sleeper}/cmdline")).is_ok_and(|line| !line.is_empty());
        let deadline = Instant::now() + LIMIT;
        while !runs() {
            assert!(Instant::now() < deadline, "{sleeper} does not run: {said}");
        }
        if is_terminal {
            session.type_in("\x03");
        } else {
            session.signal(Signal::SIGTERM);
        }
        let (status, said) = session.end();
        assert_eq!(status, Some(1), "{said}");
        assert!(said.contains("picoinit: interrupted\n"), "{said}");
        assert!(!runs(), "{sleeper}: {said}");
    }
}

/// lab/README.md names each file, with its question.
fn the_table_of_contents_is_complete() {
    let (status, list) = Session::piped(make(&["experiments"])).end();
    assert_eq!(status, Some(0), "{list}");
    let contents = fs::read_to_string(Path::new(ROOT).join("lab/README.md")).expect("read it");
    let names = experiments();
    assert_eq!(list.lines().count(), names.len(), "{list}");
    for (line, (number, name)) in list.lines().zip(names) {
        let (listed, question) = line.split_once("  ").expect("a number and a question");
        assert_eq!(listed, number);
        let link = format!("[{number}](experiments/{name}.md)");
        let row = contents.lines().find(|row| row.contains(&link));
        let row = row.unwrap_or_else(|| panic!("lab/README.md lacks {link}"));
        assert!(row.contains(question), "lab/README.md says of {number}: {row}");
    }
}
