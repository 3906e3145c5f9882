//! What hooks change of a message.

use bytes::Bytes;
use mail::message::{Head, footed};

use super::facts::Action;
use crate::model::off_the_workers;

/// The message with the fields and the footers that were asked for, and why one of these is not there.
pub async fn edited(raw: Bytes, actions: &[Action]) -> (Bytes, Vec<String>) {
    let mut raw = with_fields(raw, actions);
    let mut log = Vec::new();
    for action in actions {
        let Action::AddFooter(footer) = action else {
            continue;
        };
        let (copy, footer) = (raw.clone(), footer.clone());
        let put = off_the_workers(raw.len(), move || footed(&copy, &footer)).await;
        match put {
            Ok(Ok(with_footer)) => raw = with_footer.into(),
            Ok(Err(fault)) => log.push(format!("no footer: {fault}")),
            Err(_) => log.push("no footer: a mistake of this program".to_owned()),
        }
    }
    (raw, log)
}

/// The message with the fields that were set and added; they stand above all others, in the order asked for.
fn with_fields(raw: Bytes, actions: &[Action]) -> Bytes {
    let mut top = Vec::new();
    let mut set: Vec<&str> = Vec::new();
    for (place, action) in actions.iter().enumerate() {
        match action {
            Action::AddHeader { line, .. } => top.extend_from_slice(line),
            Action::SetHeader { name, line } => {
                set.push(name);
                // The last word about a field counts.
                let again = actions[place + 1..].iter().any(
                    |later| matches!(later, Action::SetHeader { name: other, .. } if other.eq_ignore_ascii_case(name)),
                );
                if !again {
                    top.extend_from_slice(line);
                }
            }
            Action::Tag(_) | Action::Route(_) | Action::AddFooter(_) => {}
        }
    }
    if top.is_empty() {
        return raw;
    }
    let beginning = match Head::parse(&raw) {
        Ok(head) => head.rewritten(&top, |field| set.iter().any(|name| field.is(name))),
        // The door refuses such a message.
        Err(_) => return raw,
    };
    beginning.put_on(raw)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_field_takes_the_place_of_all_of_its_name_and_an_added_one_of_none() {
        let line = |name: &str, value: &str| (name.to_owned(), format!("{name}: {value}\r\n").into_bytes());
        let set = |name, value| {
            let (name, line) = line(name, value);
            Action::SetHeader { name, line }
        };
        let add = |name, value| {
            let (name, line) = line(name, value);
            Action::AddHeader { name, line }
        };
        let raw =
            Bytes::from_static(b"Subject: a\r\nX-T: 1\r\nx-t: 2\r\n folded\r\nX-U: 3\r\n\r\nX-T: body\r\n");
        let actions = [
            set("X-T", "4"),
            add("X-U", "5"),
            set("x-T", "6"),
            Action::Tag("t".into()),
        ];
        assert_eq!(
            with_fields(raw.clone(), &actions),
            &b"X-U: 5\r\nx-T: 6\r\nSubject: a\r\nX-U: 3\r\n\r\nX-T: body\r\n"[..]
        );
        assert_eq!(with_fields(raw.clone(), &[]), raw);
    }
}
