//! A page of Markdown.

use crate::experiment::kernel::matching;
use anyhow::{Context, Result, bail};
use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, Parser, Tag, TagEnd};
use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::Path;

/// What there is to know of a page.
pub struct Page {
    /// All of it.
    pub text: String,
    /// Its first heading.
    pub title: String,
    /// By which names its headings can be linked to.
    pub anchors: BTreeSet<String>,
    /// Its links into the project, pictures among them, in order.
    pub links: Vec<Link>,
    /// Its blocks in the language rust, which quote the project's code.
    pub quotations: Vec<String>,
}

/// A link.
pub struct Link {
    /// Where it leads, as it is written.
    pub target: String,
    /// Where that stands in the page.
    pub place: Range<usize>,
}

impl Page {
    /// Takes a page apart.
    pub fn parse(text: String) -> Result<Page> {
        let (mut title, mut anchors) = (None, BTreeSet::new());
        let (mut links, mut quotations) = (Vec::new(), Vec::new());
        // The text of the heading or the block that is being read.
        let mut heard = String::new();
        let mut is_quotation = false;
        for (event, range) in Parser::new(&text).into_offset_iter() {
            match event {
                Event::Start(Tag::Heading { .. }) => heard.clear(),
                Event::Start(Tag::CodeBlock(kind)) => {
                    is_quotation = matches!(kind, CodeBlockKind::Fenced(name) if &*name == "rust");
                    heard.clear();
                }
                Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. })
                    if !dest_url.contains(':') =>
                {
                    links.push(Link::find(&text, range, &dest_url)?);
                }
                Event::Text(part) | Event::Code(part) => heard += &part,
                Event::End(TagEnd::CodeBlock) if is_quotation => quotations.push(heard.clone()),
                Event::End(TagEnd::Heading(level)) => {
                    let name = anchor(&heard);
                    let mut names = (1..).map(|number| format!("{name}-{number}"));
                    let mut unique = name.clone();
                    while !anchors.insert(unique.clone()) {
                        unique = names.next().expect("numbers");
                    }
                    if level == HeadingLevel::H1 {
                        title.get_or_insert(heard.clone());
                    }
                }
                _ => {}
            }
        }
        let title = title.context("it has no title")?;
        links.sort_by_key(|link: &Link| link.place.start);
        Ok(Page { title, anchors, links, quotations, text })
    }

    /// Where those links lead that are on its line `Read first: `.
    pub fn read_first(&self) -> impl Iterator<Item = &str> {
        let begin = self.text.find("\nRead first: ").map_or(self.text.len(), |at| at + 1);
        let end = self.text[begin..].find('\n').map_or(self.text.len(), |length| begin + length);
        let named = self.links.iter().filter(move |link| (begin..end).contains(&link.place.start));
        named.map(|link| &*link.target)
    }
}

impl Link {
    /// The link that takes up a part of the text, and leads to `target`.
    fn find(text: &str, part: Range<usize>, target: &str) -> Result<Link> {
        // In a link on a picture, that of the picture comes first.
        let at = text[part.clone()].rfind(&format!("]({target}"));
        let at = at.with_context(|| format!("write the link to {target} as [text](target)"))?;
        let begin = part.start + at + "](".len();
        Ok(Link { target: target.into(), place: begin..begin + target.len() })
    }
}

/// The name of a heading in links, as GitHub and mdBook make it.
fn anchor(heading: &str) -> String {
    let lower = heading.to_lowercase();
    let kept = lower.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// Makes sure that a block quotes the code. Its first line is a comment that names the file. The
/// lines after it stand in that file; a line `...` is for lines left out, and all lines may be
/// less indented.
pub fn check_quotation(root: &Path, block: &str) -> Result<()> {
    let (first, lines) = block.split_once('\n').context("a block of Rust is empty")?;
    let name = first.strip_prefix("// ").filter(|name| name.ends_with(".rs"));
    let name = name.with_context(|| {
        format!("code is quoted as `// FILE.rs` and lines of it, not as `{first}`")
    })?;
    let code = fs::read_to_string(root.join(name)).with_context(|| format!("it quotes {name}"))?;
    let code: Vec<&str> = code.lines().collect();
    let lines: Vec<String> = lines.lines().map(str::to_owned).collect();
    match lines.get(matching(&code, &lines)) {
        Some(line) => bail!("what it quotes is not in {name}: `{}`", line.trim()),
        None => Ok(()),
    }
}
