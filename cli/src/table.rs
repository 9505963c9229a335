//! Columns for people.

use std::io::{self, Write};

/// Writes rows under a header, columns two spaces apart and as wide as their widest cell.
pub(crate) fn write<const N: usize>(out: &mut impl Write, header: [&str; N], rows: &[[String; N]]) -> io::Result<()> {
    let header = [header.map(str::to_string)];
    for line in aligned(header.iter().chain(rows)) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Rows as lines, columns two spaces apart and as wide as their widest cell.
pub(crate) fn aligned<'r, const N: usize>(
    rows: impl IntoIterator<Item = &'r [String; N], IntoIter: Clone>,
) -> impl Iterator<Item = String> {
    let rows = rows.into_iter();
    let mut widths = [0; N];
    for row in rows.clone() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    rows.map(move |row| {
        let padded: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        padded.join("  ").trim_end().to_string()
    })
}
