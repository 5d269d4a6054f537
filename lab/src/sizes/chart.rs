//! sizes.svg: the sizes of the files as bars, on a log scale.

use super::{Kind, Row};
use crate::bench::chart::STYLE;
use crate::bench::report::thousands;
use svg::Document;
use svg::node::element::{Line, Rectangle, Style, Text};

const WIDTH: f64 = 860.0;
const MARGIN: f64 = 24.0;
const LABEL: f64 = 190.0;
const HEAD: f64 = 62.0;
const ROW: f64 = 22.0;
const BAR: f64 = 15.0;
/// Right of the longest bar is room for its number, and what is said of it.
const LONGEST: f64 = WIDTH - 2.0 * MARGIN - LABEL - 190.0;
/// Where the scale begins, as a power of ten: no program is smaller than 100 bytes.
const FIRST: f64 = 2.0;

const OWN_STYLE: &str = "
.other { fill: none; stroke: #8c959f; stroke-width: 1.5; stroke-dasharray: 3 2 }
.grid { stroke: #d0d7de; stroke-width: 1 }
.small { font-size: 11px; fill: #656d76 }
.number { paint-order: stroke; stroke: #ffffff; stroke-width: 4px }
@media (prefers-color-scheme: dark) {
  .grid { stroke: #3d444d }
  .number { stroke: #0d1117 }
  .small { fill: #9198a1 }
}";

/// Draws the chart.
pub fn draw(rows: &[Row]) -> String {
    let rows: Vec<&Row> = rows.iter().filter(|row| row.program.is_ok()).collect();
    let height = HEAD + ROW * rows.len() as f64 + 2.0 * MARGIN;
    let greatest = rows.iter().map(|row| row.bytes.file).max().unwrap_or(1) as f64;
    let scale = LONGEST / (greatest.log10() - FIRST);
    let place = |bytes: f64| (bytes.log10() - FIRST).max(0.0) * scale;
    let left = MARGIN + LABEL;
    let mut document = Document::new()
        .set("viewBox", (0, 0, WIDTH, height))
        .set("width", WIDTH)
        .set("height", height)
        .set("role", "img")
        .set("aria-label", "The size of PID 1 in many languages, in bytes, on a log scale")
        .add(Style::new(format!("{STYLE}{OWN_STYLE}")))
        .add(
            Rectangle::new()
                .set("class", "page")
                .set("x", 0.5)
                .set("y", 0.5)
                .set("width", WIDTH - 1.0)
                .set("height", height - 1.0)
                .set("rx", 6),
        )
        .add(
            Text::new("The same PID 1 in many languages: bytes of the file, log scale")
                .set("class", "title")
                .set("x", MARGIN)
                .set("y", MARGIN + 10.0),
        )
        .add(
            Text::new("Dashed: off the shelf, does a different job. The fraction: how many rows of the contract are kept, if not all.")
                .set("class", "small")
                .set("x", MARGIN)
                .set("y", MARGIN + 28.0),
        );
    let (top, bottom) = (HEAD + 4.0, height - MARGIN - 14.0);
    for power in 3..=greatest.log10() as i32 {
        let x = left + place(10f64.powi(power));
        let label = match power {
            3 => "1 kB".to_string(),
            4 => "10 kB".into(),
            5 => "100 kB".into(),
            6 => "1 MB".into(),
            _ => format!("10^{power}"),
        };
        document = document
            .add(
                Line::new()
                    .set("class", "grid")
                    .set("x1", format!("{x:.1}"))
                    .set("x2", format!("{x:.1}"))
                    .set("y1", top)
                    .set("y2", bottom),
            )
            .add(
                Text::new(label)
                    .set("class", "small")
                    .set("x", format!("{x:.1}"))
                    .set("y", bottom + 14.0)
                    .set("text-anchor", "middle"),
            );
    }
    for (index, row) in rows.iter().enumerate() {
        let y = HEAD + 8.0 + index as f64 * ROW;
        let text_class = if matches!(row.kind, Kind::Own | Kind::Compared) { "own" } else { "" };
        let bar_class = match row.kind {
            Kind::Own | Kind::Compared => "own",
            Kind::Twin => "bar",
            Kind::Shelf => "other",
        };
        let length = place(row.bytes.file as f64);
        let mut number = thousands(row.bytes.file as f64);
        if row.is_dynamic {
            number += " and libraries";
        }
        if let Some((passed, all)) = row.contract
            && passed < all
        {
            number += &format!("  ({passed}/{all})");
        }
        document = document
            .add(
                Text::new(row.name.clone())
                    .set("class", text_class)
                    .set("x", left - 8.0)
                    .set("y", y + 12.0)
                    .set("text-anchor", "end"),
            )
            .add(
                Rectangle::new()
                    .set("class", bar_class)
                    .set("x", left)
                    .set("y", y)
                    .set("width", format!("{length:.1}"))
                    .set("height", BAR)
                    .set("rx", 2),
            )
            .add(
                Text::new(number)
                    .set("class", format!("number {text_class}").trim_end())
                    .set("x", format!("{:.1}", left + length + 6.0))
                    .set("y", y + 12.0),
            );
    }
    format!("{document}\n")
}
