//! The list as a sheet of comma-separated values: read with a word about each line, written so that no cell is a formula.

use mail::address::Address;

use super::Suppression;
use crate::csv::{bare, row};

/// Lines of one import.
pub const MOST_LINES: usize = 200_000;
/// Characters of a cell that is shown again.
const SHOWN: usize = 120;
/// Octets of a note.
const NOTE: usize = 200;

/// A line that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Counted from 1.
    pub number: usize,
    /// What stands in the column of addresses, cut for a report.
    pub shown: String,
    /// The address and its note; else what is wrong.
    pub read: Result<(Address, String), String>,
}

/// Every line of a sheet that holds something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sheet {
    pub lines: Vec<Line>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SheetError {
    #[error("a sheet has up to {MOST_LINES} lines; import it in parts")]
    TooLong,
    #[error("a line has up to {MOST_CELLS} cells of up to {MOST_OCTETS} octets")]
    TooWide,
    #[error("a quoted cell is not closed")]
    OpenQuote,
}

/// Far more than any sheet of addresses has: a line of nothing but separators must not fill the memory.
const MOST_CELLS: usize = 100;
const MOST_OCTETS: usize = 4 * 1024;

/// Reads a sheet: with a first line that names its columns (`address` or `email`, and `note`), or without one, and then the
/// first column holds the addresses.
// RFC 4180 section 2, with semicolons and tabs as well, which spreadsheet programs write in some languages.
pub fn read(text: &str) -> Result<Sheet, SheetError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let separator = separator(text);
    let (mut columns, mut lines) = (None, Vec::new());
    // Judged one by one: all the cells of a sheet take far more memory than what is kept of them.
    rows(text, separator, |number, cells| {
        let first = columns.is_none();
        let heading = first.then(|| heading_of(cells)).flatten();
        let places = *columns.get_or_insert(heading.unwrap_or((0, None)));
        if heading.is_none() {
            lines.push(judge(number, cells, places));
        }
    })?;
    Ok(Sheet { lines })
}

/// Where the addresses and the notes stand, in a first line that names its columns.
fn heading_of(first: &[String]) -> Option<(usize, Option<usize>)> {
    let place = |names: &[&str]| {
        first
            .iter()
            .position(|cell| names.contains(&cell.trim().to_lowercase().as_str()))
    };
    let address = place(&["address", "email", "e-mail", "email address", "recipient"])?;
    Some((address, place(&["note"])))
}

fn judge(number: usize, cells: &[String], (address, note): (usize, Option<usize>)) -> Line {
    let cell = |place: usize| {
        cells
            .get(place)
            .map_or_else(String::new, |cell| bare(cell.trim()))
    };
    let text = cell(address);
    let read = if text.is_empty() {
        Err("there is no address".to_owned())
    } else {
        Address::parse(&text)
            .map(|address| (address, cut(&note.map_or_else(String::new, cell), NOTE)))
            .map_err(|error| error.to_string())
    };
    Line {
        number,
        shown: text.chars().filter(|c| !c.is_control()).take(SHOWN).collect(),
        read,
    }
}

/// What the first line is parted by.
fn separator(text: &str) -> char {
    let first = text.lines().next().unwrap_or_default();
    [',', ';', '\t']
        .into_iter()
        .find(|separator| first.contains(*separator))
        .unwrap_or(',')
}

/// Gives the cells of each line that is not empty, with the number of the line that it begins on.
fn rows(text: &str, separator: char, mut give: impl FnMut(usize, &[String])) -> Result<(), SheetError> {
    let mut given = 0;
    let (mut cells, mut cell) = (Vec::new(), String::new());
    let (mut number, mut begun, mut quoted) = (1, 1, false);
    let mut signs = text
        .chars()
        .chain((!text.ends_with('\n')).then_some('\n'))
        .peekable();
    while let Some(sign) = signs.next() {
        match sign {
            '"' if quoted && signs.peek() == Some(&'"') => {
                signs.next();
                cell.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if cell.trim().is_empty() => {
                cell.clear();
                quoted = true;
            }
            _ if cells.len() == MOST_CELLS || cell.len() > MOST_OCTETS => return Err(SheetError::TooWide),
            '\n' if !quoted => {
                cells.push(std::mem::take(&mut cell));
                if cells.iter().any(|cell: &String| !cell.trim().is_empty()) {
                    if given > MOST_LINES {
                        return Err(SheetError::TooLong);
                    }
                    given += 1;
                    give(begun, &cells);
                }
                cells.clear();
                number += 1;
                begun = number;
            }
            sign if sign == separator && !quoted => cells.push(std::mem::take(&mut cell)),
            sign => {
                number += usize::from(sign == '\n');
                cell.push(sign);
            }
        }
    }
    if quoted {
        return Err(SheetError::OpenQuote);
    }
    Ok(())
}

fn cut(text: &str, most: usize) -> String {
    let mut cut = String::new();
    for sign in text.chars().filter(|sign| !sign.is_control()) {
        if cut.len() + sign.len_utf8() > most {
            break;
        }
        cut.push(sign);
    }
    cut
}

/// The first line of an export.
pub fn heading() -> String {
    "address,stream,reason,note,since\r\n".to_owned()
}

/// One line of an export.
pub fn line(one: &Suppression) -> String {
    let since = one.created_at.rfc3339();
    row(&[&one.address, &one.stream, one.why.as_str(), &one.note, &since])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use store::Id;

    use super::*;
    use crate::suppressions::Why;
    use mail::time::Time;

    fn addresses(text: &str) -> Vec<(usize, Result<String, String>)> {
        let sheet = read(text).unwrap();
        sheet
            .lines
            .into_iter()
            .map(|line| {
                (
                    line.number,
                    line.read.map(|(address, note)| format!("{address} {note}")),
                )
            })
            .collect()
    }

    fn entry(address: &str, note: &str) -> Suppression {
        Suppression {
            id: Id::from_bytes([1; 16]),
            stream: String::new(),
            address: address.to_owned(),
            why: Why::Manual,
            note: note.to_owned(),
            message: None,
            created_at: Time::from_secs(1_790_000_000),
        }
    }

    #[test]
    fn the_first_column_holds_the_addresses_unless_a_heading_says_which_does() {
        assert_eq!(
            addresses("a@b.example\r\n\r\nno address\n"),
            [
                (1, Ok("a@b.example ".to_owned())),
                (3, Err("the address has no @".to_owned())),
            ]
        );
        assert_eq!(
            addresses("\u{feff}Name;Email;Note\nAnn;ann@b.example;\"left; in \"\"May\"\"\"\nBob;;\n"),
            [
                (2, Ok("ann@b.example left; in \"May\"".to_owned())),
                (3, Err("there is no address".to_owned())),
            ]
        );
    }

    #[test]
    fn a_line_that_no_sheet_has_is_refused_before_it_fills_the_memory() {
        let cells = |many: usize| format!("a@b.example{}\n", ",".repeat(many));
        assert!(read(&cells(MOST_CELLS - 1)).is_ok());
        assert_eq!(read(&cells(MOST_CELLS)), Err(SheetError::TooWide));
        assert_eq!(read(&"x".repeat(MOST_OCTETS + 2)), Err(SheetError::TooWide));
    }

    #[test]
    fn a_quote_without_an_end_is_refused_and_so_is_an_endless_sheet() {
        assert_eq!(read("a@b.example,\"x\n"), Err(SheetError::OpenQuote));
        assert_eq!(
            read(&"a@b.example\n".repeat(MOST_LINES + 2)),
            Err(SheetError::TooLong)
        );
    }

    #[test]
    fn no_cell_of_an_export_is_a_formula() {
        for text in ["=cmd|'/c calc'!A1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"] {
            let line = line(&entry("a@b.example", text));
            let cell = line.split(',').nth(3).unwrap();
            assert!(cell.starts_with("\"'"), "{line:?}");
        }
        assert!(line(&entry("=x@b.example", "")).starts_with("\"'=x@b.example\","));
    }

    proptest! {
        #[test]
        fn what_is_exported_reads_back(local in "[a-z=+-]{1,12}", note in "[ -~é\u{4e2d}]{0,60}") {
            let entry = entry(&format!("{local}@b.example"), note.trim());
            let sheet = read(&(heading() + &line(&entry))).unwrap();
            let (address, read_note) = sheet.lines[0].read.clone().unwrap();
            prop_assert_eq!(address.to_string(), entry.address);
            // A quote before a formula is what we put there.
            if bare(note.trim()) == note.trim() {
                prop_assert_eq!(read_note, note.trim());
            }
        }

        #[test]
        fn no_sheet_makes_it_panic(text in "(?s).{0,200}") {
            let _ = read(&text);
        }
    }
}
