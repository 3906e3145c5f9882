//! Comma-separated values as spreadsheet programs take them, no cell of which they take for a formula.

/// What makes a spreadsheet program take a cell for a formula.
const FORMULA: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// One line of a sheet.
// RFC 4180 section 2
pub fn row(cells: &[&str]) -> String {
    let cells: Vec<String> = cells.iter().map(|text| cell(text)).collect();
    cells.join(",") + "\r\n"
}

fn cell(text: &str) -> String {
    let mut safe = String::with_capacity(text.len() + 2);
    // Where a semicolon or a tab is the separator, as it is in some languages, a cell may begin behind one.
    let mut begins = true;
    for sign in text.chars() {
        if begins && FORMULA.contains(&sign) {
            safe.push('\'');
        }
        safe.push(sign);
        begins = matches!(sign, ';' | '\t');
    }
    if safe.contains(['"', ',', ';', '\n', '\r', '\'']) || safe.trim() != safe {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}

/// A cell that was read, without the quotes that [`row`] puts before what looks like a formula.
pub fn bare(cell: &str) -> String {
    let mut bare = String::with_capacity(cell.len());
    let mut begins = true;
    let mut signs = cell.chars().peekable();
    while let Some(sign) = signs.next() {
        let quotes = begins && sign == '\'' && signs.peek().is_some_and(|next| FORMULA.contains(next));
        if quotes {
            begins = false;
        } else {
            bare.push(sign);
            begins = matches!(sign, ';' | '\t');
        }
    }
    bare
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_cell_is_quoted_where_it_has_to_be_and_is_no_formula() {
        assert_eq!(
            row(&["a", "b,c", "d\"e", " f"]),
            "a,\"b,c\",\"d\"\"e\",\" f\"\r\n"
        );
        assert_eq!(row(&["=1+1", "@x"]), "\"'=1+1\",\"'@x\"\r\n");
        assert_eq!(row(&["x;=1+1;y", "a\t-1"]), "\"x;'=1+1;y\",\"a\t'-1\"\r\n");
    }

    proptest! {
        #[test]
        fn no_cell_begins_as_a_formula_and_each_is_read_as_it_was(text in ".{0,40}") {
            let written = cell(&text);
            let quoted = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let read = quoted.map_or_else(|| written.clone(), |inner| inner.replace("\"\"", "\""));
            // As a spreadsheet program reads it: a quote that the text itself begins with is a part of it.
            prop_assert!(!read.starts_with(FORMULA));
            // What has a quote before a formula's sign itself is read without the quote.
            if bare(&text) == text {
                prop_assert_eq!(bare(&read), text);
            }
        }
    }
}
