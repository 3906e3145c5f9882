//! Records as lines of a zone file.

use super::{Kind, Purpose, Record, SendingDomain, Stage};

/// The whole zone file of a domain, with what to know about each record as a comment.
pub fn zone(domain: &SendingDomain) -> String {
    let mut text = format!("; Records of {} for mail sent through Posthouse.\n", domain.name);
    // A logo is for whoever has one, at an address that we do not know.
    for record in domain
        .records
        .iter()
        .filter(|record| record.purpose != Purpose::Bimi)
    {
        text.push_str(&line(record));
        text.push('\n');
    }
    text
}

/// One record. RFC 1035 section 5.1
pub fn line(record: &Record) -> String {
    let remark = match (record.stage, record.verifies) {
        (Stage::Leaving(until), _) => format!("  ; can go after {}", until.rfc3339()),
        (_, false) => "  ; recommended".to_owned(),
        (_, true) => String::new(),
    };
    let value = match record.kind {
        Kind::Txt => strings(&record.value),
        Kind::Cname => format!("{}.", record.value),
    };
    format!("{}. IN {} {value}{remark}", record.name, record.kind.as_str())
}

/// TXT data as quoted strings of at most 255 octets. RFC 1035 section 3.3
pub fn strings(value: &str) -> String {
    let mut text = String::new();
    let mut length = 0;
    for c in value.chars() {
        if length + c.len_utf8() > 255 {
            text.push_str("\" \"");
            length = 0;
        }
        if matches!(c, '"' | '\\') {
            text.push('\\');
        }
        text.push(c);
        length += c.len_utf8();
    }
    format!("\"{text}\"")
}

#[cfg(test)]
mod tests {
    use super::strings;

    #[test]
    fn a_long_record_is_cut_into_strings_that_a_zone_takes() {
        assert_eq!(strings("v=DKIM1; p=abc"), "\"v=DKIM1; p=abc\"");
        assert_eq!(strings("say \"no\""), "\"say \\\"no\\\"\"");
        let long = strings(&"x".repeat(300));
        assert_eq!(long, format!("\"{}\" \"{}\"", "x".repeat(255), "x".repeat(45)));
    }
}
