//! Whether the links of a site lead somewhere.

use anyhow::{Context, Result, ensure};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Makes sure of it, for all pages in a folder.
pub fn check(site: &Path) -> Result<()> {
    let mut pages = BTreeMap::new();
    for path in super::walk(site)? {
        let text = match path.extension() {
            Some(extension) if extension == "html" => {
                fs::read_to_string(site.join(&path)).with_context(|| path.display().to_string())?
            }
            _ => String::new(),
        };
        pages.insert(path, text);
    }
    ensure!(pages.contains_key(Path::new("index.html")), "{}: there is no site", site.display());
    let names: BTreeMap<&Path, BTreeSet<&str>> = pages
        .iter()
        .map(|(path, text)| (&**path, values(text, "id").into_iter().collect()))
        .collect();

    let mut faults = BTreeSet::new();
    for (path, text) in &pages {
        for link in [values(text, "href"), values(text, "src")].concat() {
            let (target, anchor) = link.split_once('#').unwrap_or((link, ""));
            if target.contains(':') {
                continue;
            }
            let target =
                if target.is_empty() { Some(path.clone()) } else { super::join(path, target) };
            let leads = target
                .and_then(|target| names.get(&*target))
                .is_some_and(|names| anchor.is_empty() || names.contains(anchor));
            if !leads {
                faults.insert(format!("{}: its link to {link} leads nowhere", path.display()));
            }
        }
    }
    ensure!(faults.is_empty(), faults.into_iter().collect::<Vec<_>>().join("\npicoinit: "));
    Ok(())
}

/// The values of an attribute in a page. (In what a page shows, quotation marks are escaped.)
fn values<'a>(page: &'a str, attribute: &str) -> Vec<&'a str> {
    let begin = format!(" {attribute}=\"");
    page.match_indices(&begin)
        .map(|(at, begin)| &page[at + begin.len()..])
        .filter_map(|rest| rest.split_once('"').map(|(value, _)| value))
        .collect()
}
