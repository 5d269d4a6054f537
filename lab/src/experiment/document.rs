//! What an experiment's page has to look like.
//!
//! It is Markdown: a title that is its number and a question, a paragraph with a
//! reader's doubt, and the sections of [`SECTIONS`]. The code is quoted there, and the
//! exercise has an answer, folded away. Its blocks of the language `console`, those of
//! the answer as well, say what to type and what is seen then:
//!
//! ```console
//! $ a command
//! > that goes on in a second line
//! ? 1
//! what it prints, if its exit status is 1; without that line, the status has to be 0
//! ```
//!
//! A link to a file of the project has to lead to a file. Its title, which is in
//! quotation marks after the path, has to be text from that file.

use super::kernel::{LICENCE, SOURCE};
use anyhow::{Context, Result, ensure};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};
use std::fs;
use std::mem::take;
use std::path::{Component, Path, PathBuf};

/// The sections that each of them has.
const SECTIONS: [&str; 5] = ["Predict", "Try", "Why", "In the code", "Exercise"];
/// The lines of HTML that it has, around its answer.
const HTML: [&str; 3] = ["<details>", "<summary>Answer</summary>", "</details>"];
/// How a paragraph begins that names the pages to read before.
const BEFORE: &str = "Read first: ";

/// An experiment's page.
pub struct Experiment {
    /// The number its file's name begins with.
    pub number: u32,
    /// The question that it answers.
    pub question: String,
    /// Where it is.
    pub path: PathBuf,
    /// What is below the title, in order.
    pub blocks: Vec<Block>,
}

/// A part of a page.
pub enum Block {
    /// The title of the page.
    Title(String),
    /// The title of a section.
    Section(String),
    /// A paragraph, or a part of a list.
    Text {
        /// What stands before an item: spaces, and a dash or a number.
        lead: String,
        /// Its words, without Markdown's marks.
        text: String,
    },
    /// Lines in another language than `console`.
    Lines {
        /// Which.
        language: String,
        /// They themselves.
        lines: String,
    },
    /// What to do, in order.
    Steps(Vec<Step>),
    /// What follows is the answer to the exercise.
    Answer,
}

/// A command, and what it does.
#[derive(Clone)]
pub struct Step {
    /// What is typed.
    pub command: String,
    /// The exit status it has.
    pub status: i32,
    /// What it prints.
    pub output: String,
}

impl Experiment {
    /// Reads a page, and makes sure that it is complete.
    pub fn read(path: &Path) -> Result<Experiment> {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let number: u32 = name
            .split_once('-')
            .and_then(|(number, _)| number.parse().ok())
            .context("its name has to begin with a number, as in 01-question.md")?;
        let text = fs::read_to_string(path)?;
        let (blocks, code_links) = read_blocks(&text, path)?;

        let titles = blocks.iter().filter(|block| matches!(block, Block::Title(_))).count();
        ensure!(titles == 1, "it has {titles} titles instead of one");
        let question = match &blocks[0] {
            Block::Title(title) => title.strip_prefix(&format!("{number:02}. ")),
            _ => None,
        };
        let question = question
            .filter(|question| question.ends_with('?'))
            .with_context(|| format!("its title has to be `# {number:02}. ` and a question"))?
            .to_owned();
        let sections = blocks.iter().filter_map(|block| match block {
            Block::Section(section) => Some(section.as_str()),
            _ => None,
        });
        let sections: Vec<&str> = sections.collect();
        ensure!(sections == SECTIONS, "its sections have to be {SECTIONS:?}, not {sections:?}");
        let is_steps = |block: &Block| matches!(block, Block::Steps(_));
        ensure!(section(&blocks, "Try").iter().any(is_steps), "it has no command to try");
        ensure!(code_links > 0, "it has no link into the code, in src/ or in the kernel");
        is_complete(&blocks)?;
        Ok(Experiment { number, question, path: path.into(), blocks })
    }

    /// What to do, in order.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        let steps = self.blocks.iter().filter_map(|block| match block {
            Block::Steps(steps) => Some(steps),
            _ => None,
        });
        steps.flatten()
    }
}

/// Makes sure that there are a doubt, a quotation and an answer.
fn is_complete(blocks: &[Block]) -> Result<()> {
    let is_doubt =
        |block: &Block| matches!(block, Block::Text { text, .. } if !text.starts_with(BEFORE));
    let is_section = |block: &Block| matches!(block, Block::Section(_));
    let begin = blocks.split(is_section).next().unwrap_or_default();
    ensure!(begin.iter().any(is_doubt), "it has no paragraph with a doubt under its title");

    let quotations = section(blocks, "In the code").iter().filter_map(|block| match block {
        Block::Lines { language, lines } if language == "c" => Some(lines),
        _ => None,
    });
    let quotations: Vec<&String> = quotations.collect();
    ensure!(!quotations.is_empty(), "it does not quote the kernel: a block of the language c");
    for lines in quotations {
        let first = lines.lines().next().unwrap_or_default();
        ensure!(
            first.starts_with(LICENCE),
            "a quotation has to begin with `{LICENCE}`, not `{first}`"
        );
    }
    let answers = section(blocks, "Exercise").iter().filter(|block| matches!(block, Block::Answer));
    ensure!(answers.count() == 1, "its exercise has no answer in <details>");
    Ok(())
}

/// The blocks of a section.
fn section<'a>(blocks: &'a [Block], name: &str) -> &'a [Block] {
    let mut parts = blocks.split_inclusive(|block| matches!(block, Block::Section(_)));
    // A part ends with the title of the next one.
    let is_before =
        |part: &&[Block]| matches!(part.last(), Some(Block::Section(title)) if title == name);
    parts.find(is_before);
    parts.next().unwrap_or_default()
}

/// Takes a page apart. Returns its blocks, and how many links lead into code.
fn read_blocks(page: &str, path: &Path) -> Result<(Vec<Block>, usize)> {
    let (mut blocks, mut code_links) = (Vec::new(), 0);
    // The text, the link and the code that are being read, and the number of the next item of
    // each list around them.
    let (mut text, mut language) = (String::new(), String::new());
    let (mut target, mut title, mut link_begin) = (String::new(), String::new(), 0);
    let (mut lists, mut lead): (Vec<Option<u64>>, _) = (Vec::new(), String::new());
    let mut html = HTML.iter();
    for event in Parser::new(page) {
        match event {
            Event::Text(part) => text += &part,
            Event::Code(part) => text += &format!("`{part}`"),
            Event::SoftBreak | Event::HardBreak => text += "\n",
            Event::Html(line) => {
                let line = line.trim();
                ensure!(
                    html.next() == Some(&line),
                    "an answer is between `<details>`, `<summary>Answer</summary>` and \
                     `</details>`, each on a line of its own, not `{line}`"
                );
                blocks.extend((line == HTML[1]).then_some(Block::Answer));
            }
            Event::Start(Tag::Link { dest_url, title: quoted, .. }) => {
                code_links += usize::from(follow(path, &dest_url, &quoted)?);
                (target, title, link_begin) = (dest_url.into(), quoted.into(), text.len());
            }
            Event::End(TagEnd::Link) => {
                let more = whereto(path, &target, &title, &text[link_begin..]);
                text += &more;
            }
            Event::Start(Tag::CodeBlock(kind)) => {
                blocks.extend(take_text(&mut lead, &mut text));
                language = match kind {
                    CodeBlockKind::Fenced(name) => name.into(),
                    CodeBlockKind::Indented => String::new(),
                };
            }
            Event::End(TagEnd::CodeBlock) => {
                let lines = take(&mut text);
                blocks.push(match &*language {
                    "console" => Block::Steps(read_steps(&lines)?),
                    _ => Block::Lines { language: take(&mut language), lines },
                });
            }
            Event::End(TagEnd::Heading(HeadingLevel::H1)) => {
                blocks.push(Block::Title(take(&mut text)))
            }
            Event::End(TagEnd::Heading(_)) => blocks.push(Block::Section(take(&mut text))),
            Event::Start(Tag::List(first)) => {
                blocks.extend(take_text(&mut lead, &mut text));
                lists.push(first);
            }
            Event::End(TagEnd::List(_)) => {
                lists.pop();
            }
            Event::Start(Tag::Item) => {
                let indent = "  ".repeat(lists.len() - 1);
                lead = match lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        format!("{indent}{}. ", *number - 1)
                    }
                    _ => format!("{indent}- "),
                };
            }
            Event::End(TagEnd::Paragraph | TagEnd::Item) => {
                blocks.extend(take_text(&mut lead, &mut text));
            }
            _ => {}
        }
    }
    ensure!(html.len().is_multiple_of(HTML.len()), "its answer has no `</details>`");
    Ok((blocks, code_links))
}

/// Makes a block of what was read, if that is anything.
fn take_text(lead: &mut String, text: &mut String) -> Option<Block> {
    let is_empty = text.is_empty();
    (!is_empty).then(|| Block::Text { lead: take(lead), text: take(text) })
}

/// What a link says, beside its text, to a reader who cannot follow it: the path of a file, or
/// if the text has that, the line to look for.
fn whereto(document: &Path, target: &str, title: &str, text: &str) -> String {
    if target.contains("://") || target.ends_with(".md") {
        return String::new();
    }
    let mut path = PathBuf::new();
    for part in document.parent().unwrap_or(Path::new("")).join(target).components() {
        if part != Component::ParentDir || !path.pop() {
            path.push(part);
        }
    }
    let path = path.display().to_string();
    match (text.contains(&path), title) {
        (true, "") => String::new(),
        (true, line) => format!(" (`{line}`)"),
        (false, _) => format!(" ({path})"),
    }
}

/// Makes sure that a link leads somewhere. Returns whether it leads into code
/// that explains something: ours, in src/, or the kernel's.
fn follow(document: &Path, target: &str, title: &str) -> Result<bool> {
    if target.contains("://") {
        return Ok(target.starts_with(SOURCE));
    }
    let folder = document.parent().unwrap_or(Path::new("."));
    let path = folder.join(target);
    ensure!(path.exists(), "its link to {target} leads nowhere");
    let is_ours = target.contains("/src/") && path.is_file();
    ensure!(
        !is_ours || !title.is_empty(),
        "its link to {target} has to quote a line of that file as its title"
    );
    if !title.is_empty() {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {target}"))?;
        ensure!(
            text.contains(title),
            "its link to {target} quotes what is not in that file: {title}"
        );
    }
    Ok(is_ours)
}

/// Takes a block of the language `console` apart.
fn read_steps(block: &str) -> Result<Vec<Step>> {
    let mut steps: Vec<Step> = Vec::new();
    for line in block.lines() {
        if let Some(command) = line.strip_prefix("$ ") {
            steps.push(Step { command: command.into(), status: 0, output: String::new() });
            continue;
        }
        let step = steps.last_mut().context("a console block has to begin with `$ `, a command")?;
        let is_first = step.output.is_empty();
        if let Some(more) = line.strip_prefix("> ").filter(|_| is_first) {
            step.command += "\n";
            step.command += more;
        } else if let Some(status) = line.strip_prefix("? ").filter(|_| is_first) {
            step.status =
                status.parse().with_context(|| format!("`{line}` is not an exit status"))?;
        } else {
            step.output += line;
            step.output += "\n";
        }
    }
    Ok(steps)
}
