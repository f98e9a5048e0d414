//! The text of a report: names, indices and numbers in columns.

use std::fmt;

/// How wide a report is at most.
pub(super) const WIDTH: usize = 80;

/// An index in some columns, whole if it fits: without spaces, or the last of its numbers, if need be.
pub(super) fn written(index: &[usize], width: usize) -> String {
    let text = format!("{index:?}");
    if text.len() <= width {
        return text;
    }
    let text = text.replace(' ', "");
    if text.len() <= width {
        return text;
    }
    let mut ends = text.match_indices(',').map(|(at, _)| &text[at + 1..]);
    match ends.find(|end| end.len() + 2 <= width) {
        Some(end) => format!("..{end}"),
        None => shortened(&text, width),
    }
}

/// A name for the table: the end of one that is too long, which tells most.
pub(super) fn shortened(name: &str, width: usize) -> String {
    let len = name.chars().count();
    if len <= width {
        return name.to_string();
    }
    let end: String = name.chars().skip(len + 2 - width).collect();
    format!("..{end}")
}

/// A number in at most 12 columns.
pub(super) fn number(x: f64) -> String {
    format!("{x:.4e}")
}

/// The columns of a table, which with what is between them make up the width of a report.
pub(super) const COLUMNS: [usize; 8] = [12, 3, 9, 12, 12, 7, 7, 10];

/// Which of them is the index.
pub(super) const INDEX: usize = 2;

/// The widths of the columns: the same always, but where an index is longer, it has what the others leave.
pub(super) fn widths(rows: &[[String; 8]]) -> [usize; 8] {
    let longest = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    if longest(INDEX) <= COLUMNS[INDEX] {
        return COLUMNS;
    }
    let mut widths = std::array::from_fn(longest);
    let total: usize = COLUMNS.iter().sum();
    let others: usize = widths.iter().sum::<usize>() - widths[INDEX];
    widths[INDEX] = widths[INDEX].min(total - others);
    widths
}

/// A line of the table.
pub(super) fn line(
    f: &mut fmt::Formatter<'_>,
    cells: &[String; 8],
    widths: &[usize; 8],
) -> fmt::Result {
    let mut line = String::new();
    for (k, (cell, &width)) in cells.iter().zip(widths).enumerate() {
        line += match k {
            0 => "",
            7 => "  ",
            _ => " ",
        };
        // Numbers stand at the right of their columns.
        line += &match k {
            0 | INDEX | 7 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        };
    }
    write!(f, "\n{}", line.trim_end())
}
