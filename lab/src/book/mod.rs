//! The book: what the project's Markdown says, as a site.
//!
//! mdBook makes a site of one folder, and of the pages that its SUMMARY.md names. `stage` writes
//! such a folder: the pages, and a page for each other file that they link to. It refuses pages
//! of which one has a link that leads nowhere, quotes what is not in the code, or is no chapter;
//! so it is a test of the Markdown, too. `check` follows the links of the site that mdBook made.

mod page;
mod site;

use anyhow::{Context, Result, bail, ensure};
use clap::Subcommand;
use page::{Link, Page, check_quotation};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

/// What `book` can be told.
#[derive(Subcommand)]
pub enum Options {
    /// Check the project's Markdown, and write what mdBook makes the site of
    Stage {
        /// The project's folder
        #[arg(long, default_value = ".")]
        root: PathBuf,
        /// The folder to write to
        output: PathBuf,
    },
    /// Check that every link of the site leads somewhere
    Check {
        /// The folder of the site
        site: PathBuf,
    },
}

/// The table of contents.
const SUMMARY: &str = "lab/book/SUMMARY.md";
/// The page whose tables name the experiments in teaching order. In the table of contents, they
/// follow it, each table as a part of the book.
const LAB: &str = "lab/README.md";
/// mdBook's settings, and what the site has on top of its style.
const SETTINGS: [&str; 2] = ["book.toml", "book.css"];
/// The page, in the book alone, of the files that are not Markdown.
const FILES: &str = "files/index.md";

/// Does what it is told to, or says all that is wrong, a line each.
pub fn run(options: &Options) -> Result<()> {
    match options {
        Options::Stage { root, output } => Book::of(root)?.write(root, output),
        Options::Check { site } => site::check(site),
    }
}

/// All Markdown of the project, by its path there.
type Pages = BTreeMap<PathBuf, Page>;

/// What mdBook is to read.
#[derive(Default)]
struct Book {
    texts: BTreeMap<PathBuf, String>,
    pictures: BTreeSet<PathBuf>,
}

impl Book {
    /// Reads the project, if there is nothing wrong with its pages.
    fn of(root: &Path) -> Result<Book> {
        let pages = read_pages(root)?;
        let mut book = Book::default();
        let mut faults = Vec::new();
        // What is not Markdown, and which pages link to it.
        let mut files: BTreeMap<PathBuf, BTreeSet<&Path>> = BTreeMap::new();
        for (path, page) in &pages {
            let mut text = page.text.clone();
            // From the last one on, so that the places of the others stay as they are.
            for link in page.links.iter().rev() {
                match follow(root, &pages, path, link) {
                    Ok((file, _)) if file.extension().is_some_and(|kind| kind == "svg") => {
                        book.pictures.insert(file);
                    }
                    Ok((file, anchor)) => {
                        let target = relative(path, &file) + anchor;
                        text.replace_range(link.place.clone(), &target);
                        if !pages.contains_key(&file) {
                            files.entry(file).or_default().insert(path);
                        }
                    }
                    Err(why) => faults.push(format!("{}: {why}", path.display())),
                }
            }
            for quotation in &page.quotations {
                if let Err(why) = check_quotation(root, quotation) {
                    faults.push(format!("{}: {why:#}", path.display()));
                }
            }
            book.texts.insert(place(path), text);
        }
        faults.extend(book.add_experiments(&pages)?);
        ensure!(faults.is_empty(), faults.join("\npicoinit: "));
        book.add_files(root, &pages, files)?;
        Ok(book)
    }

    /// Adds the experiments to the table of contents. Returns what is wrong with it: each page has
    /// to be there once, after those that it says to read first.
    fn add_experiments(&mut self, pages: &Pages) -> Result<Vec<String>> {
        let lab = pages.get(Path::new(LAB)).with_context(|| format!("there is no {LAB}"))?;
        let contents = self.texts.get_mut(&place(Path::new(SUMMARY)));
        let contents = contents.with_context(|| format!("there is no {SUMMARY}"))?;
        let (mut parts, mut faults) = (String::new(), Vec::new());
        let (mut is_theme, mut read) = (false, BTreeSet::new());
        for line in lab.text.lines() {
            if line.starts_with('#') {
                let theme = line.strip_prefix("### ");
                parts += &theme.map(|theme| format!("\n# {theme}\n\n")).unwrap_or_default();
                is_theme = theme.is_some();
            }
            let target = line.strip_prefix("| [").and_then(|row| row.split(['(', ')']).nth(1));
            let path = target.and_then(|target| join(Path::new(LAB), target));
            if let Some((path, page)) = path.and_then(|path| pages.get_key_value(&path)) {
                parts += &format!("- [{}]({})\n", page.title, place(path).display());
                if !is_theme {
                    faults.push(format!("{LAB}: {} is under no theme", path.display()));
                }
                let first = page.read_first().filter(|first| !read.contains(&join(path, first)));
                faults.extend(
                    first.map(|first| {
                        format!("{LAB}: {} has to come after {first}", path.display())
                    }),
                );
                read.insert(Some(path.clone()));
            }
        }
        let after = format!("({})\n", place(Path::new(LAB)).display());
        let (before, rest) = contents
            .split_once(&after)
            .with_context(|| format!("{SUMMARY}: it does not name {LAB}"))?;
        *contents = format!("{before}{after}{parts}{rest}");

        let chapters = pages.keys().filter(|path| **path != Path::new(SUMMARY));
        faults.extend(chapters.filter_map(|path| {
            let home = if path.starts_with("lab/experiments") { LAB } else { SUMMARY };
            match contents.matches(&format!("({})", place(path).display())).count() {
                0 => Some(format!("{home}: it does not name {}", path.display())),
                1 => None,
                _ => Some(format!("{home}: it names {} more than once", path.display())),
            }
        }));
        Ok(faults)
    }

    /// Adds a page for each file that is not Markdown.
    fn add_files(
        &mut self,
        root: &Path,
        pages: &Pages,
        mut files: BTreeMap<PathBuf, BTreeSet<&Path>>,
    ) -> Result<()> {
        // The page of a folder links to what is in it.
        let folders = files.keys().filter(|file| root.join(file).is_dir());
        for folder in folders.cloned().collect::<Vec<_>>() {
            for file in walk(&root.join(&folder))? {
                // A link to the BusyBox that make adds leads nowhere yet.
                if root.join(&folder).join(&file).is_file() {
                    files.entry(folder.join(file)).or_default();
                }
            }
        }
        let mut names = String::new();
        let mut index = String::from("# Files that the pages link to\n\n");
        for (file, linked_from) in &files {
            let name = file.display();
            names += &format!("  - [{name}]({})\n", place(file).display());
            index += &format!("- [{name}]({})\n", relative(Path::new(FILES), file));
            let mut text = format!("# {name}\n\n");
            let links = linked_from
                .iter()
                .map(|from| format!("[{}]({})", pages[*from].title, relative(file, from)));
            let links = links.collect::<Vec<_>>().join("; ");
            if !links.is_empty() {
                text += &format!("Linked from: {links}\n\n");
            }
            if root.join(file).is_dir() {
                for inner in files.keys().filter(|inner| *inner != file && inner.starts_with(file))
                {
                    text += &format!("- [{}]({})\n", inner.display(), relative(file, inner));
                }
            } else {
                let code = fs::read_to_string(root.join(file)).with_context(|| name.to_string())?;
                text += &format!("````{}\n{code}\n````\n", language(file, &code));
            }
            self.texts.insert(place(file), text);
        }
        let contents = self.texts.entry(place(Path::new(SUMMARY))).or_default();
        *contents += &format!("\n# Files\n\n- [Files that the pages link to]({FILES})\n{names}");
        self.texts.insert(FILES.into(), index);
        Ok(())
    }

    /// Writes it to a folder, in the place of what was there.
    fn write(&self, root: &Path, output: &Path) -> Result<()> {
        if output.exists() {
            fs::remove_dir_all(output)
                .with_context(|| format!("cannot remove {}", output.display()))?;
        }
        let pages = output.join("pages");
        let make = |path: &Path| -> Result<()> {
            let folder = path.parent().unwrap_or(output);
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))
        };
        for (path, text) in &self.texts {
            let path = pages.join(path);
            make(&path)?;
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        let pictures = self.pictures.iter().map(|path| (root.join(path), pages.join(path)));
        let settings =
            SETTINGS.map(|name| (root.join(SUMMARY).with_file_name(name), output.join(name)));
        for (from, to) in pictures.chain(settings) {
            make(&to)?;
            fs::copy(&from, &to)
                .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
        }
        Ok(())
    }
}

/// Reads all Markdown of the project.
fn read_pages(root: &Path) -> Result<Pages> {
    let mut pages = Pages::new();
    for path in walk(root)? {
        if path.extension().is_some_and(|extension| extension == "md") {
            let text = fs::read_to_string(root.join(&path)).map_err(anyhow::Error::from);
            let page = text.and_then(Page::parse).with_context(|| path.display().to_string())?;
            pages.insert(path, page);
        }
    }
    Ok(pages)
}

/// All files in a folder and in the folders in it, but for those that are hidden or were built.
fn walk(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let path = root.join(&folder);
        for entry in fs::read_dir(&path).with_context(|| path.display().to_string())? {
            let entry = entry?;
            let (name, path) = (entry.file_name(), folder.join(entry.file_name()));
            if name.as_encoded_bytes().starts_with(b".") || name == "target" || name == "build" {
                continue;
            } else if entry.file_type()?.is_dir() {
                folders.push(path);
            } else {
                found.push(path);
            }
        }
    }
    Ok(found)
}

/// What a link of a page leads to, by its path in the project; and the name of a heading there,
/// with its `#`, or nothing.
fn follow<'a>(
    root: &Path,
    pages: &Pages,
    page: &Path,
    link: &'a Link,
) -> Result<(PathBuf, &'a str)> {
    let target = &link.target;
    let (path, anchor) = target.split_at(target.find('#').unwrap_or(target.len()));
    let file = if path.is_empty() { Some(page.into()) } else { join(page, path) };
    let Some(file) = file.filter(|file| root.join(file).exists()) else {
        bail!("its link to {target} leads nowhere")
    };
    ensure!(
        file != Path::new(SUMMARY),
        "its link to {target} leads to what is no page of the book"
    );
    // A folder that has a README.md is known by it.
    let readme = file.join("README.md");
    let file = if pages.contains_key(&readme) { readme } else { file };
    if let Some(name) = anchor.strip_prefix('#') {
        let has = pages.get(&file).is_some_and(|page| page.anchors.contains(name));
        ensure!(has, "its link to {target} names a heading that is not there");
    }
    Ok((file, anchor))
}

/// A path as a file names it. None if it leads out of the folder that all paths begin at.
fn join(file: &Path, target: &str) -> Option<PathBuf> {
    let mut path = file.parent()?.to_path_buf();
    for part in Path::new(target).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir if !path.pop() => return None,
            Component::ParentDir | Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// Where the book has a page of the project's, or the page of another file.
fn place(path: &Path) -> PathBuf {
    if path == Path::new(SUMMARY) {
        "SUMMARY.md".into()
    } else if path.ends_with("README.md") {
        path.with_file_name("index.md")
    } else if path.extension().is_some_and(|extension| extension == "md") {
        path.into()
    } else {
        Path::new("files").join(format!("{}.md", path.display()))
    }
}

/// A link in the book, from one page or file to another.
fn relative(from: &Path, to: &Path) -> String {
    let up = place(from).components().count() - 1;
    format!("{}{}", "../".repeat(up), place(to).display())
}

/// The language of a file, as blocks of code name it.
fn language<'a>(path: &'a Path, text: &str) -> &'a str {
    let extension = path.extension().and_then(|extension| extension.to_str());
    match extension {
        Some("rs") => "rust",
        Some("mk") => "makefile",
        Some(other) => other,
        None if path.ends_with("Makefile") => "makefile",
        None if text.starts_with("#!") => "sh",
        None => "text",
    }
}
