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
    let text = if text.starts_with(FORMULA) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains(['"', ',', '\n', '\r', '\'']) || text.trim() != text {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

/// A cell that was read, without the quote that [`row`] puts before what looks like a formula.
pub fn bare(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if rest.starts_with(FORMULA) => rest,
        _ => cell,
    }
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
    }

    proptest! {
        #[test]
        fn no_cell_begins_as_a_formula_and_each_is_read_as_it_was(text in ".{0,40}") {
            let written = cell(&text);
            prop_assert!(!written.trim_start_matches('"').starts_with(FORMULA));
            let quoted = written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let read = quoted.map_or_else(|| written.clone(), |inner| inner.replace("\"\"", "\""));
            // What begins with a quote and a formula's sign itself is read without the quote.
            if !text.starts_with('\'') {
                prop_assert_eq!(bare(&read), text.as_str());
            }
        }
    }
}
