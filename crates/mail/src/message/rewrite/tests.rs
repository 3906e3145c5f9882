use proptest::prelude::*;

use super::*;
use crate::message::content;

const UNSUBSCRIBE: &str = "https://post.example/u/abc";
const OPEN: &str = "https://post.example/t/o/abc";

fn click(number: usize) -> String {
    format!("https://post.example/t/c/abc{number}")
}

fn appending() -> Appending {
    Appending {
        text: "To stop receiving these messages:".to_owned(),
        link: "Unsubscribe".to_owned(),
    }
}

fn everything() -> Wanted {
    Wanted {
        unsubscribe: Some(appending()),
        clicks: true,
        opens: true,
        ..Wanted::default()
    }
}

fn marketing() -> Wanted {
    Wanted {
        unsubscribe: Some(appending()),
        ..Wanted::default()
    }
}

fn clicks() -> Wanted {
    Wanted {
        clicks: true,
        ..Wanted::default()
    }
}

fn applied(raw: &[u8], wanted: &Wanted) -> Vec<u8> {
    let own = Own {
        unsubscribe: UNSUBSCRIBE,
        click: &click,
        open: OPEN,
    };
    plan(raw, wanted).apply(b"", raw, &own)
}

fn text(raw: &str, wanted: &Wanted) -> String {
    String::from_utf8(applied(raw.as_bytes(), wanted)).expect("it was UTF-8")
}

fn html(body: &str) -> String {
    format!("Content-Type: text/html; charset=utf-8\r\n\r\n{body}")
}

#[test]
fn a_named_link_is_exchanged_in_every_writing_and_nothing_else_is() {
    for (body, expected) in [
        (
            "Stop: {{unsubscribe_url}}.\r\n",
            format!("Stop: {UNSUBSCRIBE}.\r\n"),
        ),
        (
            "{{ unsubscribe_url }}{{unsubscribe_url}}",
            format!("{UNSUBSCRIBE}{UNSUBSCRIBE}"),
        ),
        (
            "{{unsubscribe_url} {unsubscribe_url}} unsubscribe_url",
            "{{unsubscribe_url} {unsubscribe_url}} unsubscribe_url".to_owned(),
        ),
        (
            "{{name}} {{  unsubscribe_url}}\r\n",
            format!("{{{{name}}}} {UNSUBSCRIBE}\r\n"),
        ),
    ] {
        let raw = format!("Subject: {{{{unsubscribe_url}}}}\r\n\r\n{body}");
        let expected = format!("Subject: {{{{unsubscribe_url}}}}\r\n\r\n{expected}");
        assert_eq!(text(&raw, &Wanted::default()), expected);
    }
    let editor =
        html("<a href=\"%7B%7Bunsubscribe_url%7d%7d\">x</a><!--[if mso]>{{unsubscribe_url}}<![endif]-->");
    assert_eq!(
        text(&editor, &everything()),
        html(&format!(
            "<a href=\"{UNSUBSCRIBE}\">x</a><!--[if mso]>{UNSUBSCRIBE}<![endif]--><img src=\"{OPEN}\" alt=\"\" width=\"1\" height=\"1\" border=\"0\">"
        ))
    );
}

#[test]
fn a_sender_names_the_link_in_the_list_field_as_well() {
    let raw = "List-Unsubscribe: <{{unsubscribe_url}}>,\r\n <mailto:stop@a.example>\r\nX: {{unsubscribe_url}}\r\n\r\nHi {{unsubscribe_url}}.\r\n";
    let expected = format!(
        "List-Unsubscribe: <{UNSUBSCRIBE}>,\r\n <mailto:stop@a.example>\r\nX: {{{{unsubscribe_url}}}}\r\n\r\nHi {UNSUBSCRIBE}.\r\n"
    );
    assert_eq!(text(raw, &Wanted::default()), expected);
    let long = format!(
        "List-Unsubscribe: <{{{{unsubscribe_url}}}}>, <{}>\r\n\r\nHi.\r\n",
        "x".repeat(900)
    );
    assert_eq!(
        text(&long, &marketing()).matches(UNSUBSCRIBE).count(),
        1,
        "a line has its limit"
    );
}

#[test]
fn a_name_stays_where_no_link_is_wanted_and_what_else_is_wanted_is_done() {
    let raw = html("{{unsubscribe_url}} <a href=\"https://a.example\">x</a>");
    let wanted = Wanted {
        keeps_names: true,
        ..clicks()
    };
    assert_eq!(
        text(&raw, &wanted),
        html(&format!("{{{{unsubscribe_url}}}} <a href=\"{}\">x</a>", click(0)))
    );
    let field = format!("List-Unsubscribe: <{{{{unsubscribe_url}}}}>\r\nDKIM-Signature: x\r\n{raw}");
    assert_eq!(text(&field, &wanted), field);
}

#[test]
fn whether_a_message_names_the_link_is_seen_without_wanting_anything() {
    assert!(names_link(b"\r\n{{ unsubscribe_url }}"));
    assert!(names_link(b"List-Unsubscribe: <{{unsubscribe_url}}>\r\n\r\n"));
    assert!(names_link(
        b"Content-Transfer-Encoding: base64\r\n\r\ne3t1bnN1YnNjcmliZV91cmx9fSBjYWbDqQ0K\r\n"
    ));
    assert!(!names_link(
        b"Subject: {{unsubscribe_url}}\r\n\r\nunsubscribe_url"
    ));
}

#[test]
fn a_name_is_found_through_quoted_printable_and_base64() {
    let quoted = "Content-Transfer-Encoding: quoted-printable\r\n\r\nStop =\r\nhere: {{unsub=\r\nscribe_url}} caf=C3=A9\r\n";
    let out = applied(quoted.as_bytes(), &Wanted::default());
    assert!(out.ends_with(b" caf=C3=A9\r\n"));
    assert_eq!(
        content(&out).text.as_deref(),
        Some(format!("Stop here: {UNSUBSCRIBE} café\r\n").as_str())
    );
    let base64 = "Content-Transfer-Encoding: Base64\r\n\r\ne3t1bnN1YnNjcmliZV91cmx9fSBjYWbDqQ0K\r\n\r\n";
    let out = applied(base64.as_bytes(), &Wanted::default());
    assert!(out.ends_with(b"\r\n\r\n"));
    assert_eq!(
        content(&out).text.as_deref(),
        Some(format!("{UNSUBSCRIBE} café\r\n").as_str())
    );
}

#[test]
fn links_lead_past_us_once_each_and_keep_their_targets() {
    let raw = html(
        "<a href='https://a.example/?x=1&amp;y'>1</a> <a href=https://b.example>2</a> <a href=\"https://a.example/?x=1&y\">3</a> <a href=\"mailto:a@b.example\">4</a>",
    );
    assert_eq!(
        plan(raw.as_bytes(), &clicks()).targets(),
        ["https://a.example/?x=1&y", "https://b.example"]
    );
    assert_eq!(
        text(&raw, &clicks()),
        html(&format!(
            "<a href='{0}'>1</a> <a href={1}>2</a> <a href=\"{0}\">3</a> <a href=\"mailto:a@b.example\">4</a>",
            click(0),
            click(1)
        ))
    );
}

#[test]
fn the_link_is_appended_where_none_is_named_in_text_and_html_and_not_twice() {
    let raw = "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n--b\r\n\
        Content-Type: text/html\r\n\r\n<html><body><p>Hello</p></body></html>\r\n--b--\r\n";
    let out = text(raw, &marketing());
    assert_eq!(
        out,
        format!(
            "Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\n\r\nHello\r\n\r\nTo stop receiving these messages:\r\n{UNSUBSCRIBE}\r\n\r\n--b\r\n\
             Content-Type: text/html\r\n\r\n<html><body><p>Hello</p>\r\n<p style=\"font-size:12px;text-align:center\"><a href=\"{UNSUBSCRIBE}\">Unsubscribe</a></p>\r\n</body></html>\r\n--b--\r\n"
        )
    );
    let named = raw.replace("<p>Hello</p>", "<p>{{unsubscribe_url}}</p>");
    let out = text(&named, &marketing());
    assert_eq!(
        out.matches(UNSUBSCRIBE).count(),
        2,
        "one in the text, one in the HTML: {out}"
    );
}

#[test]
fn attachments_enclosed_messages_and_what_others_signed_stay_as_they_are() {
    let link = "<a href=\"https://a.example\">{{unsubscribe_url}}</a>";
    for raw in [
        format!("Content-Type: text/html\r\nContent-Disposition: attachment\r\n\r\n{link}"),
        format!("Content-Type: text/html; name=a.html\r\n\r\n{link}"),
        format!("Content-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\n{link}"),
        format!(
            "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n{link}\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
        ),
        format!(
            "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: text/html\r\n\r\n{link}\r\n--c--\r\n--b--\r\n"
        ),
        format!("Content-Type: text/html; charset=iso-2022-jp\r\n\r\n{link}"),
        format!("Content-Type: text/html\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n{link}"),
        "Content-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nPGE+!!\r\n".to_owned(),
    ] {
        assert_eq!(text(&raw, &everything()), raw);
    }
    let signed = format!("DKIM-Signature: v=1; d=other.example\r\nContent-Type: text/html\r\n\r\n{link}");
    assert_eq!(
        text(&signed, &everything()),
        signed.replace("{{unsubscribe_url}}", UNSUBSCRIBE),
        "only what the sender asks for by name"
    );
}

#[test]
fn a_line_that_would_become_too_long_is_broken_inside_its_tag() {
    let long = format!(
        "<p>{}</p><a class=\"x\" href=\"https://a.example\">y</a>",
        "x".repeat(940)
    );
    let out = text(&html(&long), &clicks());
    assert!(out.lines().all(|line| line.len() <= LONGEST_LINE));
    assert!(out.contains(&format!("\r\nhref=\"{}\"", click(0))), "{out}");
    let quoted = format!(
        "Content-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<a href=3D\"https://a.exa=\r\nmple/{}\">y</a>\r\n",
        "x=\r\n".repeat(40)
    );
    let out = text(&quoted, &everything());
    assert!(out.lines().all(|line| line.len() <= 76), "{out}");
}

#[test]
fn what_names_nothing_and_wants_nothing_is_not_taken_apart() {
    let raw = html("<a href=\"https://a.example\">x</a>");
    assert!(plan(raw.as_bytes(), &Wanted::default()).is_empty());
    assert!(plan(b"", &everything()).targets().is_empty());
}

#[test]
fn a_message_with_more_places_than_anybody_writes_goes_out_as_it_is() {
    let raw = html(&"{{unsubscribe_url}} ".repeat(MAX_EDITS + 1));
    assert_eq!(text(&raw, &everything()), raw);
}

/// The text in each of the encodings.
fn encoded(body: &str, encoding: usize) -> Vec<u8> {
    let mut raw = format!(
        "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: {}\r\n\r\n",
        ["8bit", "quoted-printable", "base64"][encoding]
    )
    .into_bytes();
    match encoding {
        0 => raw.extend_from_slice(body.as_bytes()),
        1 => quote_into(&mut raw, body.as_bytes(), b""),
        _ => base64_into(&mut raw, body.as_bytes()),
    }
    raw
}

proptest! {
    #[test]
    fn whoever_puts_the_targets_back_has_the_text_that_was_sent(
        body in "(<a href=\"https://[a-z]{1,9}\\.example/[a-z]{0,30}\">|</a>|<p>|é|\r\n|[ -;?-~]{0,30}|<b class='x'>){0,30}",
        encoding in 0_usize..3,
    ) {
        prop_assume!(!body.contains("unsubscribe_url"));
        let raw = encoded(&body, encoding);
        let plan = plan(&raw, &clicks());
        let out = applied(&raw, &clicks());
        let mut shown = content(&out).html.unwrap_or_default();
        // From the highest number, so that none is the beginning of another.
        for (number, target) in plan.targets().iter().enumerate().rev() {
            shown = shown.replace(&click(number), target);
        }
        prop_assert_eq!(shown, content(&raw).html.unwrap_or_default());
    }

    #[test]
    fn any_message_is_planned_and_applied_without_panic(
        raw in "(Content-Type: multipart/mixed; boundary=b\r\n|Content-Type: text/html\r\n|Content-Transfer-Encoding: (base64|quoted-printable)\r\n|\r\n|--b\r\n|--b--\r\n|--b|=|=3D|<a href=|\"https://a.example\"|>|PGEgaHJlZj0=|\\{\\{|unsubscribe_url|\\}\\}|</body>|\\PC){0,50}"
    ) {
        let out = applied(raw.as_bytes(), &everything());
        let again = applied(raw.as_bytes(), &everything());
        prop_assert_eq!(&out, &again);
        if plan(raw.as_bytes(), &everything()).is_empty() {
            prop_assert_eq!(out, raw.as_bytes());
        }
    }
}
