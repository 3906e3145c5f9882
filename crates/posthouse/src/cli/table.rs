//! Lists on standard output: columns that line up, or one line that says what to do when there is nothing.

use crate::cli::say::{self, say};

pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    pub fn new(head: &[&str]) -> Self {
        Self {
            rows: vec![head.iter().map(|&name| name.to_owned()).collect()],
        }
    }

    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows
            .push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    pub fn print(&self, empty: &str) {
        if self.rows.len() == 1 {
            say!("{empty}");
            return;
        }
        say::text(format_args!("{}", self.text()));
    }

    fn text(&self) -> String {
        let columns = self.rows[0].len();
        let width = |column: usize| {
            self.rows
                .iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(&widths) {
                line.push_str(cell);
                line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// What others wrote may hold bytes that move a terminal's cursor.
pub fn printable(cell: &str) -> String {
    cell.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_line_up_and_control_characters_are_replaced() {
        let mut table = Table::new(&["A", "LONG"]);
        table.row(["first".to_owned(), "x\u{1b}[2J".to_owned()]);
        assert_eq!(table.text(), "A      LONG\nfirst  x\u{fffd}[2J\n");
    }
}
