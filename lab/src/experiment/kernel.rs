//! What pages say of the kernel's source, checked against that source.
//!
//! A page quotes it in a block of code. The first line is the licence, as the file has it;
//! the second says where the lines stand:
//!
//! ```c
//! // SPDX-License-Identifier: GPL-2.0-only
//! // Linux 6.1, kernel/signal.c, sig_task_ignored
//!     if (unlikely(is_global_init(t) && sig_kernel_only(sig)))
//!         return true;
//! ...
//! ```
//!
//! Indentation that all lines have in common may be left out; three dots stand for lines
//! that were. The text of a link to the kernel says what the link leads to:
//! `` [`sig_task_ignored` in kernel/signal.c](https://github.com/...) ``.

use anyhow::{Context, Result, ensure};
use clap::Args;
use pulldown_cmark::{Event, Parser, Tag, TagEnd};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which pages to check, and against what.
#[derive(Args)]
pub struct Options {
    /// The kernel's source, or as much of it as the pages name
    #[arg(long, value_name = "FOLDER")]
    source: PathBuf,
    /// The whole of it, packed, from which to unpack what is missing there
    #[arg(long, value_name = "TAR")]
    archive: Option<PathBuf>,
    /// Pages, in Markdown
    pages: Vec<PathBuf>,
}

/// How a block of code that quotes the kernel begins.
pub const LICENCE: &str = "// SPDX-License-Identifier: ";
const VERSION: &str = "// Linux 6.1, ";
/// The line that stands for lines left out.
const LEFT_OUT: &str = "...";
/// Where the kernel's source can be seen, and where links to it have to lead: to the
/// version that is quoted.
pub const SOURCE: &str = "https://github.com/torvalds/linux/";
const LINKED: &str = "https://github.com/torvalds/linux/blob/v6.1/";

/// Something in the kernel's source that a page names or quotes.
struct Claim {
    /// The line of the page.
    line: usize,
    /// The file.
    path: String,
    /// What is there: a function, say.
    name: String,
    quotation: Option<Quotation>,
}

struct Quotation {
    licence: String,
    lines: Vec<String>,
}

/// What is wrong in which line of a page.
struct Mistake {
    line: usize,
    what: String,
}

/// Checks the pages. Prints what of the kernel they name, and which of them do.
pub fn run(options: &Options) -> Result<()> {
    let mut found = Vec::new();
    for page in &options.pages {
        let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
        found.extend(claims(&text).into_iter().map(|claim| (page, claim)));
    }
    if let Some(archive) = &options.archive {
        let claims = found.iter().filter_map(|(_, claim)| claim.as_ref().ok());
        unpack(archive, &options.source, claims.map(|claim| &*claim.path).collect())?;
    }
    let (mut index, mut wrong) = (BTreeMap::<_, BTreeSet<_>>::new(), 0);
    for (page, claim) in found {
        match claim.and_then(|claim| claim.check(&options.source)) {
            Ok(claim) => {
                let page = page.file_stem().unwrap_or_default().to_string_lossy();
                index.entry((claim.path, claim.name)).or_default().insert(page);
            }
            Err(Mistake { line, what }) => {
                eprintln!("picoinit: {}:{line}: {what}", page.display());
                wrong += 1;
            }
        }
    }
    ensure!(wrong == 0, "{wrong} times, the source of Linux 6.1 is not what a page says");
    for ((path, name), pages) in index {
        println!("{path}  {name}  {}", Vec::from_iter(pages).join(" "));
    }
    Ok(())
}

/// Unpacks these files of the archive, unless all are there.
fn unpack(archive: &Path, folder: &Path, paths: BTreeSet<&str>) -> Result<()> {
    if paths.iter().all(|path| folder.join(path).is_file()) {
        return Ok(());
    }
    eprintln!(
        "picoinit: unpacking what is quoted of the kernel's source; this takes half a minute"
    );
    fs::create_dir_all(folder)?;
    // It fails if the archive lacks one, after it has unpacked the others. Which page
    // names that one is said later.
    let mut tar = Command::new("tar");
    tar.arg("-xf").arg(archive).arg("-C").arg(folder).args(["--strip-components=1", "--wildcards"]);
    let output = tar.args(paths.iter().map(|path| format!("*/{path}"))).output();
    let output = output.context("cannot run tar")?;
    ensure!(
        paths.iter().any(|path| folder.join(path).is_file()),
        "tar cannot unpack {}: {}",
        archive.display(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}

/// What a page names or quotes, in order.
fn claims(text: &str) -> Vec<Result<Claim, Mistake>> {
    let mut claims = Vec::new();
    // The target of the link and the text of the link or block that is being read, and
    // the code in that text.
    let (mut target, mut heard, mut names) = (String::new(), String::new(), Vec::new());
    for (event, place) in Parser::new(text).into_offset_iter() {
        let line = text[..place.start].matches('\n').count() + 1;
        match event {
            Event::Start(Tag::CodeBlock(_)) => heard.clear(),
            Event::Start(Tag::Link { dest_url, .. }) => {
                target = dest_url.into_string();
                heard.clear();
                names.clear();
            }
            Event::Code(part) => {
                heard += &part;
                names.push(part.into_string());
            }
            Event::Text(part) => heard += &part,
            Event::End(TagEnd::CodeBlock) if heard.starts_with(LICENCE) => {
                claims.push(quotation(line, &heard));
            }
            Event::End(TagEnd::Link) if target.starts_with(SOURCE) => {
                claims.extend(link(line, &target, &heard, &names));
            }
            _ => {}
        }
    }
    claims
}

/// Takes a block apart that begins in this line.
fn quotation(line: usize, block: &str) -> Result<Claim, Mistake> {
    let mut lines = block.lines().map(str::to_owned);
    let licence = lines.next().unwrap_or_default();
    let place = lines.next().unwrap_or_default();
    let mut parts = place.strip_prefix(VERSION).unwrap_or_default().split(", ");
    let (Some(path), Some(name), None) = (parts.next(), parts.next(), parts.next()) else {
        let what = format!("this has to be `{VERSION}path, name`: {place}");
        return Err(Mistake { line: line + 2, what });
    };
    let quotation = Some(Quotation { licence, lines: lines.collect() });
    Ok(Claim { line, path: path.into(), name: name.into(), quotation })
}

/// Takes a link apart: one claim for each name in its text.
fn link(line: usize, target: &str, text: &str, names: &[String]) -> Vec<Result<Claim, Mistake>> {
    let path = target.strip_prefix(LINKED).unwrap_or_default();
    if path.is_empty() || names.is_empty() || !text.ends_with(&format!(" in {path}")) {
        let what = format!(
            "a link to the kernel has to read [`name` in path]({LINKED}path), not [{text}]({target})"
        );
        return vec![Err(Mistake { line, what })];
    }
    let claim =
        |name: &String| Ok(Claim { line, path: path.into(), name: name.into(), quotation: None });
    names.iter().map(claim).collect()
}

impl Claim {
    /// Makes sure that it is right.
    fn check(self, source: &Path) -> Result<Claim, Mistake> {
        let Claim { line, path, name, .. } = &self;
        let mistake = |line, what| Err(Mistake { line, what });
        let Ok(bytes) = fs::read(source.join(path)) else {
            return mistake(*line, format!("Linux 6.1 has no file {path}"));
        };
        let text = String::from_utf8_lossy(&bytes);
        let text: Vec<&str> = text.lines().collect();
        let places = if path.ends_with(".c") || path.ends_with(".h") {
            definitions(&text, name)
        } else {
            // Another language: any place in the file.
            Vec::from_iter(text.iter().any(|line| has_word(line, name)).then_some(0..text.len()))
        };
        if places.is_empty() {
            return mistake(*line, format!("{path} has no {name}"));
        }
        let Some(Quotation { licence, lines }) = &self.quotation else {
            return Ok(self);
        };
        let wanted = text.iter().find_map(|line| identifier(line)).unwrap_or("none");
        if identifier(licence) != Some(wanted) {
            return mistake(line + 1, format!("the licence of {path} is {wanted}"));
        }
        // How far the best of all ways to read it gets.
        let best = places.into_iter().map(|place| matching(&text[place], lines)).max();
        let best = best.unwrap_or_default();
        match lines.get(best) {
            None => Ok(self),
            Some(wrong) => {
                let wrong = wrong.trim();
                let what =
                    format!("this is not in {name} of {path}, or not at this place: {wrong}");
                mistake(line + 3 + best, what)
            }
        }
    }
}

/// The licence that a line of a file names.
fn identifier(line: &str) -> Option<&str> {
    let (_, licence) = line.split_once("SPDX-License-Identifier:")?;
    Some(licence.trim_end_matches("*/").trim())
}

/// How many lines of a quotation are those of the text, whatever indentation they lack.
pub fn matching(text: &[&str], quoted: &[String]) -> usize {
    let first = quoted.iter().find(|line| line.trim() != LEFT_OUT).map_or("", |line| line);
    let indents: BTreeSet<&str> = text
        .iter()
        .filter_map(|line| line.strip_suffix(first))
        .filter(|indent| indent.trim().is_empty())
        .collect();
    indents
        .into_iter()
        .map(|indent| matching_below(text, quoted, indent))
        .max()
        .unwrap_or_else(|| quoted.iter().take_while(|line| line.trim() == LEFT_OUT).count())
}

/// The same, where they lack this indentation.
fn matching_below(text: &[&str], quoted: &[String], indent: &str) -> usize {
    let same = |line: &str, quoted: &str| match line.strip_prefix(indent) {
        Some(line) => line == quoted,
        None => line.is_empty() && quoted.is_empty(),
    };
    let (mut at, mut done) = (0, 0);
    for part in quoted.split(|line| line.trim() == LEFT_OUT) {
        let length = |start: usize| {
            text[start..].iter().zip(part).take_while(|(line, quoted)| same(line, quoted)).count()
        };
        match (at..=text.len()).find(|start| length(*start) == part.len()) {
            Some(start) => at = start + part.len(),
            None => return done + (at..text.len()).map(length).max().unwrap_or(0),
        }
        done += part.len() + 1;
    }
    quoted.len()
}

/// Where C code defines a function, a type, a table or a macro of this name: as the kernel
/// is written, what is outside of a definition begins in the first column, and so does the
/// brace that closes one.
fn definitions(text: &[&str], name: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    // The first line of what precedes the definition without a blank line: a comment.
    let (mut at, mut begin) = (0, 0);
    while at < text.len() {
        let line = text[at];
        let start = at;
        at += 1;
        if line.starts_with('#') {
            while text[at - 1].ends_with('\\') && at < text.len() {
                at += 1;
            }
            if is_macro(line, name) {
                found.push(begin..at);
            }
        } else if line.starts_with("/*") {
            while !text[at - 1].trim_end().ends_with("*/") && at < text.len() {
                at += 1;
            }
            continue;
        } else if line.starts_with(|first: char| first.is_alphabetic() || first == '_') {
            let (head, end) = definition(text, start);
            at = end;
            if defines(&head, name) {
                found.push(begin..at);
            }
        }
        begin = at;
    }
    // Macros may be defined in the midst of a function, too.
    let inner = text.iter().enumerate().filter(|(_, line)| is_macro(line.trim_start(), name));
    found.extend(inner.map(|(at, _)| at..at + 1));
    found
}

/// What stands before the body of the definition that begins in line `start`, and where the
/// definition ends.
fn definition(text: &[&str], start: usize) -> (String, usize) {
    let mut head = String::new();
    for (at, line) in text.iter().enumerate().skip(start) {
        let code = line.split("/*").next().unwrap_or(line).trim_end();
        let (before, body) = code.split_once('{').unzip();
        head += before.unwrap_or(code);
        head += " ";
        let is_begun = body.is_some_and(|body| !body.contains('}'));
        if is_begun {
            let is_closed = |line: &&str| line.starts_with('}');
            let rest = text[at + 1..].iter().position(is_closed);
            return (head, rest.map_or(text.len(), |rest| at + rest + 2));
        }
        let next = text.get(at + 1).unwrap_or(&"");
        if body.is_some() || code.ends_with(';') || next.trim().is_empty() {
            return (head, at + 1);
        }
    }
    (head, text.len())
}

/// Whether a line defines a macro of this name.
fn is_macro(line: &str, name: &str) -> bool {
    let defined = line.strip_prefix('#').and_then(|line| line.trim_start().strip_prefix("define"));
    defined.is_some_and(|defined| words(defined).next().is_some_and(|(_, word)| word == name))
}

/// Whether what stands before a body defines this name: neither as a type nor as a parameter,
/// unless of a macro such as SYSCALL_DEFINE4(reboot, ...).
fn defines(head: &str, name: &str) -> bool {
    let head = head.split(" = ").next().unwrap_or(head);
    let (mut depth, mut done, mut last) = (0, 0, "");
    for (at, word) in words(head) {
        let between = &head[done..at];
        done = at + word.len();
        depth += between.matches('(').count();
        depth -= between.matches(')').count().min(depth);
        let next = head[done..].trim_start();
        let fits = if matches!(last, "struct" | "union" | "enum") {
            next.is_empty() || next == ";"
        } else {
            // What may follow it is an attribute, such as __initdata.
            depth == 0 && (next.is_empty() || next.starts_with(['(', '[', '=', ';', ',', '_']))
        };
        let is_named_by_macro = between == "(" && depth == 1 && last == last.to_uppercase();
        if word == name && (fits || is_named_by_macro) {
            return true;
        }
        last = word;
    }
    false
}

fn has_word(text: &str, name: &str) -> bool {
    words(text).any(|(_, word)| word == name) || text.split_whitespace().any(|word| word == name)
}

/// The words of code, and where each begins.
fn words(code: &str) -> impl Iterator<Item = (usize, &str)> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let words = code.split(move |letter| !is_part(letter)).filter(|word| !word.is_empty());
    words.map(move |word| (word.as_ptr() as usize - code.as_ptr() as usize, word))
}
