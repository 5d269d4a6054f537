//! The book, and with it all of the project's Markdown: whether each link and each quotation is
//! right, and no page forgotten.

mod common;

use common::{ROOT, TempDir};
use std::fs;
use std::path::Path;
use std::process::Command;

/// Runs `picoinit-lab book`. Returns why it failed.
fn book(arguments: &[&str]) -> Result<(), String> {
    let output = common::lab(&["book"]).args(arguments).output().expect("run the lab's tool");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// A project of a few files. In one of them, some words are others.
fn project(file: &str, from: &str, to: &str) -> TempDir {
    let folder = TempDir::new();
    for (name, text) in [
        (
            "README.md",
            "# A project\n\n![Bars](lab/bars.svg)\n\nSee [the lab](lab/README.md#its-pages).\n",
        ),
        (
            "lab/README.md",
            "# The lab\n\n## Its pages\n\n### The first\n\n| page | question |\n|---|---|\n| [01](experiments/01-why.md) | Why? |\n",
        ),
        ("lab/bars.svg", "<svg/>\n"),
        (
            "lab/experiments/01-why.md",
            "# 01. Why?\n\n[Code](../../src/main.rs \"two\"), [a folder](01-why).\n\n```rust\n// src/main.rs\nfn main() {\n    one();\n    ...\n    three();\n```\n",
        ),
        ("lab/experiments/01-why/rc", "#!/bin/sh\n"),
        (
            "lab/book/SUMMARY.md",
            "# Contents\n\n[A project](../../README.md)\n\n- [The lab](../README.md)\n\n# More\n\n- [Words](words.md)\n",
        ),
        (
            "lab/book/words.md",
            "# Words\n\n## PID 1, again\n\n[Here](#pid-1-again), [there](../README.md).\n",
        ),
        ("lab/book/book.toml", ""),
        ("lab/book/book.css", ""),
        ("src/main.rs", "fn main() {\n    one();\n    two();\n    three();\n}\n"),
    ] {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("make a folder");
        let text = if name == file {
            assert!(text.contains(from), "{name} has no {from}");
            text.replace(from, to)
        } else {
            text.into()
        };
        fs::write(path, text).expect("write a file");
    }
    folder
}

/// Stages a project into a folder in it. Returns why that failed.
fn stage(project: &TempDir) -> Result<(), String> {
    let output = project.path().join("build/staged");
    book(&["stage", "--root", &project.path().display().to_string(), &output.display().to_string()])
}

#[test]
fn the_projects_own_pages_are_right() {
    let output = TempDir::new();
    let staged = output.path().join("staged");
    if let Err(said) = book(&["stage", "--root", ROOT, &staged.display().to_string()]) {
        panic!("{said}");
    }
    // What is a page in the repository is one in the book.
    for page in ["index.md", "lab/experiments/index.md", "lab/experiments/07-zombies.md"] {
        let is_there = staged.join("pages").join(page).exists();
        assert_eq!(is_there, page != "lab/experiments/index.md", "{page}");
    }
}

#[test]
fn pages_are_put_together() {
    let project = project("README.md", "See", "Look at");
    stage(&project).expect("stage");
    // What was there before is gone the next time.
    let pages = project.path().join("build/staged/pages");
    fs::write(pages.join("old.md"), "").expect("write a file");
    stage(&project).expect("stage");
    assert!(!pages.join("old.md").exists());

    let read = |name: &str| fs::read_to_string(pages.join(name)).expect(name);
    assert_eq!(
        read("index.md"),
        "# A project\n\n![Bars](lab/bars.svg)\n\nLook at [the lab](lab/index.md#its-pages).\n"
    );
    assert_eq!(read("lab/bars.svg"), "<svg/>\n");
    let page = read("lab/experiments/01-why.md");
    let links = "[Code](../../files/src/main.rs.md \"two\"), [a folder](../../files/lab/experiments/01-why.md).";
    assert!(page.contains(links), "{page}");
    let code = read("files/src/main.rs.md");
    assert!(code.contains("````rust\nfn main() {\n"), "{code}");
    assert!(code.contains("[01. Why?](../../lab/experiments/01-why.md)"), "{code}");
    let folder = read("files/lab/experiments/01-why.md");
    assert!(folder.contains("(../../../files/lab/experiments/01-why/rc.md)"), "{folder}");
    assert_eq!(
        read("SUMMARY.md"),
        "# Contents\n\n[A project](index.md)\n\n- [The lab](lab/index.md)\n\n\
         # The first\n\n- [01. Why?](lab/experiments/01-why.md)\n\n\
         # More\n\n- [Words](lab/book/words.md)\n\n\
         # Files\n\n- [Files that the pages link to](files/index.md)\n\
         \u{20} - [lab/experiments/01-why](files/lab/experiments/01-why.md)\n\
         \u{20} - [lab/experiments/01-why/rc](files/lab/experiments/01-why/rc.md)\n\
         \u{20} - [src/main.rs](files/src/main.rs.md)\n"
    );
}

#[test]
fn a_fault_is_one_line_that_names_page_and_fault() {
    let page = "lab/experiments/01-why.md";
    for (file, from, to, said) in [
        ("README.md", "bars.svg", "bar.svg", "README.md: its link to lab/bar.svg leads nowhere"),
        (
            page,
            "/main.rs \"",
            "/mane.rs \"",
            "01-why.md: its link to ../../src/mane.rs leads nowhere",
        ),
        (page, "../../src", "../../../src", "its link to ../../../src/main.rs leads nowhere"),
        (page, "../../src", "/src", "its link to /src/main.rs leads nowhere"),
        ("README.md", "#its-pages", "#pages", "README.md: its link to lab/README.md#pages names"),
        ("lab/book/words.md", "(#pid-1", "(#pid-2", "words.md: its link to #pid-2-again names"),
        (
            "lab/book/words.md",
            "../README",
            "SUMMARY",
            "its link to SUMMARY.md leads to what is no page",
        ),
        ("lab/book/words.md", "# Words", "Words", "words.md: it has no title"),
        (
            "lab/README.md",
            "| [01]",
            "| no: [01]",
            "lab/README.md: it does not name lab/experiments/01-why.md",
        ),
        (
            "lab/book/SUMMARY.md",
            "- [Words](words.md)",
            "",
            "SUMMARY.md: it does not name lab/book/words.md",
        ),
        (
            "lab/book/SUMMARY.md",
            "- [The lab](../README.md)\n",
            "",
            "SUMMARY.md: it does not name lab/README.md",
        ),
        (
            "lab/book/SUMMARY.md",
            "# More",
            "- [Again](words.md)",
            "SUMMARY.md: it names lab/book/words.md more than once",
        ),
        (
            page,
            "[Code]",
            "Read first: [01](01-why.md).\n\n[Code]",
            "lab/README.md: lab/experiments/01-why.md has to come after 01-why.md",
        ),
        (
            "lab/README.md",
            "### The first",
            "## The first",
            "lab/README.md: lab/experiments/01-why.md is under no theme",
        ),
        // A quotation, and the code that it quotes.
        (page, "    one();", "    un();", "what it quotes is not in src/main.rs: `un();`"),
        (page, "    three();", "    four();", "what it quotes is not in src/main.rs: `four();`"),
        (page, "    ...\n", "", "what it quotes is not in src/main.rs: `three();`"),
        (page, "// src/main.rs", "// src/other.rs", "01-why.md: it quotes src/other.rs: "),
        (page, "// src/main.rs\n", "", "code is quoted as `// FILE.rs` and lines of it"),
        ("src/main.rs", "one", "another", "01-why.md: what it quotes is not in src/main.rs"),
    ] {
        let why = stage(&project(file, from, to)).expect_err(said);
        assert!(why.contains(said) && why.lines().count() == 1, "{file}, {from}: {why}");
    }
    // All at once, a line each.
    let project = project("README.md", "lab/", "lib/");
    let why = stage(&project).expect_err("two links lead nowhere");
    assert!(
        why.lines().count() == 2 && why.lines().all(|line| line.starts_with("picoinit: ")),
        "{why}"
    );
}

#[test]
fn a_quotation_may_be_less_indented() {
    let page = "lab/experiments/01-why.md";
    let lines = "fn main() {\n    one();\n    ...\n    three();";
    assert_eq!(stage(&project(page, lines, "one();\ntwo();")), Ok(()));
    let why = stage(&project(page, lines, "one();\n  two();"));
    assert!(why.is_err_and(|why| why.contains("is not in src/main.rs")));
}

#[test]
fn a_link_of_the_site_that_leads_nowhere_is_found() {
    let site = TempDir::new();
    let check = || book(&["check", &site.path().display().to_string()]);
    assert!(check().is_err_and(|why| why.contains("there is no site")));

    let write = |name: &str, text: &str| fs::write(site.path().join(name), text).expect("write");
    fs::create_dir(site.path().join("lab")).expect("make a folder");
    let right = r##"<h2 id="top"><a href="#top">Top</a></h2> <a href="lab/a.html#one"> <a href="https://example.org/x#y">"##;
    write("index.html", right);
    write(
        "lab/a.html",
        r#"<h2 id="one"> <a href="../index.html"> <img src="../bars.svg"> &quot;href="#,
    );
    write("bars.svg", "");
    assert_eq!(check(), Ok(()));

    for (from, to, said) in [
        ("#top", "#bottom", "index.html: its link to #bottom leads nowhere"),
        ("a.html#one", "a.html#two", "index.html: its link to lab/a.html#two leads nowhere"),
        ("lab/a.html", "lab/b.html", "index.html: its link to lab/b.html#one leads nowhere"),
        ("lab/a.html", "../lab/a.html", "index.html: its link to ../lab/a.html#one leads nowhere"),
    ] {
        write("index.html", &right.replace(from, to));
        assert_eq!(check(), Err(format!("picoinit: {said}\n")));
    }
    write("index.html", right);
    fs::remove_file(site.path().join("bars.svg")).expect("remove a file");
    assert_eq!(
        check(),
        Err("picoinit: lab/a.html: its link to ../bars.svg leads nowhere\n".into())
    );
}

/// Runs lab/mdbook.sh with this as cargo. Returns whether it succeeded, and what it said.
fn mdbook(folder: &TempDir, cargo: &str) -> (bool, String) {
    folder.script("bin/cargo", cargo);
    let path = format!("{}:/usr/bin:/bin", folder.path().join("bin").display());
    let mut script = Command::new(Path::new(ROOT).join("lab/mdbook.sh"));
    let output = script.arg(folder.path().join("mdbook")).arg("1.2.3").env("PATH", path).output();
    let output = output.expect("run lab/mdbook.sh");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn mdbook_is_built_once() {
    let folder = TempDir::new();
    let cargo = r#"for to; do :; done; mkdir "$to/bin"; printf '#!/bin/sh\necho mdbook v1.2.3\n' > "$to/bin/mdbook"; chmod +x "$to/bin/mdbook""#;
    let (is_built, said) = mdbook(&folder, cargo);
    assert!(is_built && said.starts_with("picoinit: building mdBook 1.2.3;"), "{said}");
    assert_eq!(mdbook(&folder, "exit 1"), (true, String::new()));
}

#[test]
fn an_mdbook_that_cannot_be_built_is_one_line() {
    let folder = TempDir::new();
    let (is_built, said) =
        mdbook(&folder, "echo 'error: no network\n\nCaused by: a storm' >&2; exit 101");
    let (_, why) = said.split_once('\n').expect("what it does, and why that failed");
    assert!(!is_built && why.lines().count() == 1, "{said}");
    assert!(why.starts_with("picoinit: mdBook 1.2.3 was not built: no network. "), "{said}");

    // A folder that cannot be made, even by root.
    let folder = TempDir::new();
    fs::write(folder.path().join("mdbook"), "").expect("write a file");
    let (is_built, said) = mdbook(&folder, "exit 1");
    assert!(!is_built && said.lines().count() == 1, "{said}");
    assert!(said.starts_with("picoinit: cannot write to "), "{said}");
}
