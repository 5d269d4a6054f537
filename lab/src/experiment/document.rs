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
use anyhow::{Context, Result, bail, ensure};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};
use std::fs;
use std::path::{Path, PathBuf};

/// The sections that each of them has.
const SECTIONS: [&str; 5] = ["Predict", "Try", "Why", "In the code", "Exercise"];
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
    /// What to do, in order.
    pub steps: Vec<Step>,
}

/// A command, and what it does.
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
        let number = name
            .split_once('-')
            .and_then(|(number, _)| number.parse().ok())
            .context("its name has to begin with a number, as in 01-question.md")?;
        let text = fs::read_to_string(path)?;

        let (mut titles, mut sections, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        let (mut code_links, mut quotations) = (0, 0);
        let (mut has_doubt, mut is_tried) = (false, false);
        let mut answer = Answer::Missing;
        // The text of the heading, paragraph or block that is being read.
        let mut heard = String::new();
        let mut language = String::new();
        for event in Parser::new(&text) {
            match event {
                Event::Start(Tag::Heading { .. } | Tag::Paragraph) => heard.clear(),
                Event::Start(Tag::CodeBlock(kind)) => {
                    language = match kind {
                        CodeBlockKind::Fenced(name) => name.into_string(),
                        CodeBlockKind::Indented => String::new(),
                    };
                    heard.clear();
                }
                Event::Html(part) => answer = answer.after(&part)?,
                Event::Start(Tag::Link { dest_url, title, .. }) => {
                    code_links += usize::from(follow(path, &dest_url, &title)?);
                }
                Event::Text(part) | Event::Code(part) => heard += &part,
                Event::End(TagEnd::Heading(HeadingLevel::H1)) => titles.push(heard.clone()),
                Event::End(TagEnd::Heading(HeadingLevel::H2)) => sections.push(heard.clone()),
                Event::End(TagEnd::Paragraph) if sections.is_empty() => {
                    has_doubt |= !heard.starts_with(BEFORE);
                }
                Event::End(TagEnd::CodeBlock) => match &*language {
                    "console" => {
                        steps.extend(read_steps(&heard)?);
                        is_tried |= sections.last().is_some_and(|section| section == "Try");
                    }
                    "c" if sections.last().is_some_and(|section| section == "In the code") => {
                        let first = heard.lines().next().unwrap_or_default();
                        ensure!(
                            first.starts_with(LICENCE),
                            "a quotation has to begin with `{LICENCE}`, not `{first}`"
                        );
                        quotations += 1;
                    }
                    _ => {}
                },
                _ => {}
            }
        }

        let [title] = &titles[..] else {
            bail!("it has {} titles instead of one", titles.len());
        };
        let question = title
            .strip_prefix(&format!("{number:02}. "))
            .filter(|question| question.ends_with('?'))
            .with_context(|| format!("its title has to be `# {number:02}. ` and a question"))?;
        // A page of the first edition.
        let is_old = sections == SECTIONS[1..];
        ensure!(
            is_old || sections == SECTIONS,
            "its sections have to be {SECTIONS:?}, not {sections:?}"
        );
        ensure!(is_tried, "it has no command to try");
        ensure!(code_links > 0, "it has no link into the code, in src/ or in the kernel");
        if !is_old {
            ensure!(has_doubt, "it has no paragraph with a doubt under its title");
            ensure!(quotations > 0, "it does not quote the kernel: a block of the language c");
            ensure!(answer == Answer::Complete, "its exercise has no answer in <details>");
        }
        Ok(Experiment { number, question: question.into(), path: path.into(), steps })
    }
}

/// How far the answer to the exercise has been read.
#[derive(PartialEq)]
enum Answer {
    Missing,
    Begun,
    Complete,
}

impl Answer {
    /// What is so after a line of HTML, of which a page has no other.
    fn after(self, line: &str) -> Result<Answer> {
        Ok(match (self, line.trim()) {
            (Answer::Missing, "<details>") => Answer::Begun,
            (Answer::Begun, "<summary>Answer</summary>") => Answer::Begun,
            (Answer::Begun, "</details>") => Answer::Complete,
            (_, other) => bail!(
                "an answer is between `<details>`, `<summary>Answer</summary>` and `</details>`, \
                 each on a line of its own, not `{other}`"
            ),
        })
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
