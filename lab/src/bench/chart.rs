//! peers.svg: the medians as bars, a panel for each metric.

use super::inits::INITS;
use super::metrics::{About, Cell, METRICS, Results};
use super::report::number;
use svg::Document;
use svg::node::element::{Group, Rectangle, Style, Text};

const PANEL: f64 = 460.0;
const MARGIN: f64 = 24.0;
const LABEL: f64 = 96.0;
const ROW: f64 = 19.0;
const BAR: f64 = 13.0;
const HEAD: f64 = 30.0;
const GAP: f64 = 22.0;
/// The longest bar; right of it is room for its number.
const LONGEST: f64 = PANEL - LABEL - 80.0;

/// The page's colours cannot be known, so the chart brings its background
/// along, and is dark where the reader prefers that.
pub const STYLE: &str = "
.page { fill: #ffffff; stroke: #d0d7de }
text { font: 12px system-ui, 'DejaVu Sans', sans-serif; fill: #1f2328 }
.title { font-weight: 600; font-size: 13px }
.bar { fill: #a8b3bf }
.own { fill: #0969da }
.pale { fill: #ffffff; fill-opacity: 0.55 }
text.own { font-weight: 600 }
@media (prefers-color-scheme: dark) {
  .page { fill: #0d1117; stroke: #3d444d }
  text { fill: #e6edf3 }
  .bar { fill: #57606a }
  .own { fill: #4493f8 }
  .pale { fill: #0d1117 }
}";

/// Draws the chart.
pub fn draw(results: &Results) -> String {
    let panels: Vec<&About> = METRICS.iter().filter(|about| !about.title.is_empty()).collect();
    let panel_height = HEAD + ROW * INITS.len() as f64 + GAP;
    let lines = panels.len().div_ceil(2) as f64;
    let (width, height) = (2.0 * PANEL + 3.0 * MARGIN, lines * panel_height + 2.0 * MARGIN - GAP);
    let mut document = Document::new()
        .set("viewBox", (0, 0, width, height))
        .set("width", width)
        .set("height", height)
        .set("role", "img")
        .set("aria-label", "picoinit and its peers as PID 1: medians; shorter bars are better")
        .add(Style::new(STYLE))
        .add(
            Rectangle::new()
                .set("class", "page")
                .set("x", 0.5)
                .set("y", 0.5)
                .set("width", width - 1.0)
                .set("height", height - 1.0)
                .set("rx", 6),
        );
    for (index, about) in panels.into_iter().enumerate() {
        let x = MARGIN + (index % 2) as f64 * (PANEL + MARGIN);
        let y = MARGIN + (index / 2) as f64 * panel_height;
        document =
            document.add(panel(results, about).set("transform", format!("translate({x} {y})")));
    }
    format!("{document}\n")
}

fn panel(results: &Results, about: &About) -> Group {
    let medians = INITS.iter().filter_map(|init| results.cell(init, about.metric).spread());
    let greatest = medians.map(|(median, ..)| median).fold(0.0, f64::max);
    let mut group =
        Group::new().add(Text::new(about.title).set("class", "title").set("x", 0).set("y", 13));
    for (row, init) in INITS.iter().enumerate() {
        let y = HEAD + row as f64 * ROW;
        let own = if row == 0 { "own" } else { "" };
        let label = Text::new(init.name)
            .set("class", own)
            .set("x", LABEL - 8.0)
            .set("y", y + 11.0)
            .set("text-anchor", "end");
        group = group.add(label);
        let cell = results.cell(init, about.metric);
        let (length, text) = match (cell.spread(), cell) {
            (Some((median, ..)), _) => {
                let unit = about.unit;
                // No median, however small, is without a bar; zero is.
                let least = if median > 0.0 { 1.5 } else { 0.0 };
                let length = if greatest > 0.0 { median / greatest * LONGEST } else { 0.0 };
                (length.max(least), number(median, unit))
            }
            (None, Cell::Text(text)) => (0.0, text),
            (None, Cell::Values(_)) => (0.0, String::new()),
        };
        let bar = Rectangle::new()
            .set("class", if row == 0 { "own" } else { "bar" })
            .set("x", LABEL)
            .set("y", y)
            .set("width", format!("{length:.1}"))
            .set("height", BAR)
            .set("rx", 2);
        // What prints a line for each orphan is paler.
        let line = results.calls_for_line(init, about.metric);
        let line = line.map_or(0.0, |line| line / greatest * LONGEST);
        let text = if line > 0.0 { format!("{text}, with its line") } else { text };
        let pale = Rectangle::new()
            .set("class", "pale")
            .set("x", format!("{:.1}", LABEL + length - line))
            .set("y", y)
            .set("width", format!("{line:.1}"))
            .set("height", BAR);
        let text = Text::new(text)
            .set("class", own)
            .set("x", format!("{:.1}", LABEL + length + 6.0))
            .set("y", y + 11.0);
        group = group.add(bar);
        if line > 0.0 {
            group = group.add(pale);
        }
        group = group.add(text);
    }
    group
}
