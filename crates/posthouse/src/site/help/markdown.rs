//! Markdown to HTML that obeys nothing but Markdown, and to the plain text that search looks through.

use std::collections::HashSet;

use pulldown_cmark::{CowStr, Event, HeadingLevel, Options, Parser, Tag, TagEnd, html};

use crate::site::lang::Lang;
use crate::site::words::typeset;

/// A text in both forms.
#[derive(Debug, Default)]
pub struct Rendered {
    pub html: String,
    pub headings: String,
    pub plain: String,
}

/// HTML in the source is shown, not obeyed; headings can be linked to; what is wide scrolls in its own frame.
pub fn html(source: &str, lang: Lang) -> Rendered {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH;
    let mut events: Vec<Event> = Vec::new();
    let mut rendered = Rendered::default();
    let mut taken = HashSet::new();
    let mut heading: Option<(usize, String)> = None;
    let mut in_code = false;
    for event in Parser::new_ext(source, options) {
        match event {
            Event::Html(text) | Event::InlineHtml(text) => events.push(Event::Text(text)),
            Event::Text(text) => {
                rendered.plain.push_str(&text);
                if let Some((_, name)) = &mut heading {
                    name.push_str(&text);
                }
                let text = if in_code {
                    text
                } else {
                    typeset(lang, &text).into()
                };
                events.push(Event::Text(text));
            }
            Event::Code(text) => {
                rendered.plain.push_str(&text);
                if let Some((_, name)) = &mut heading {
                    name.push_str(&text);
                }
                events.push(Event::Code(text));
            }
            Event::Start(Tag::Heading { .. }) => {
                heading = Some((events.len(), String::new()));
                events.push(event);
            }
            Event::End(TagEnd::Heading(level)) => {
                if let Some((at, name)) = heading.take() {
                    events[at] = Event::Start(named(level, &name, &mut taken));
                    rendered.headings.push_str(&name);
                    rendered.headings.push('\n');
                }
                rendered.plain.push('\n');
                events.push(event);
            }
            Event::Start(Tag::CodeBlock(_)) => {
                in_code = true;
                events.push(Event::Html("<pre tabindex=\"0\"><code>".into()));
            }
            Event::End(TagEnd::CodeBlock) => {
                in_code = false;
                rendered.plain.push('\n');
                events.push(Event::Html("</code></pre>\n".into()));
            }
            Event::Start(Tag::Table(_)) => {
                events.push(Event::Html("<div class=\"scroll\" tabindex=\"0\">".into()));
                events.push(event);
            }
            Event::End(TagEnd::Table) => {
                events.push(event);
                events.push(Event::Html("</div>\n".into()));
            }
            Event::End(_) | Event::SoftBreak | Event::HardBreak => {
                rendered.plain.push(' ');
                events.push(event);
            }
            other => events.push(other),
        }
    }
    html::push_html(&mut rendered.html, events.into_iter());
    rendered
}

/// A heading with an id made of its words.
fn named<'a>(level: HeadingLevel, name: &str, taken: &mut HashSet<String>) -> Tag<'a> {
    let stem = slug(name);
    let mut id = stem.clone();
    let mut count = 1;
    while !taken.insert(id.clone()) {
        count += 1;
        id = format!("{stem}-{count}");
    }
    Tag::Heading {
        level,
        id: Some(CowStr::from(id)),
        classes: Vec::new(),
        attrs: Vec::new(),
    }
}

fn slug(name: &str) -> String {
    let folded = super::search::fold(name);
    let words: Vec<&str> = folded
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    words.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_is_shown_and_not_obeyed() {
        let page = html(
            "<script>alert(1)</script>\n\nA <b onclick=x>word</b> & `<code>`",
            Lang::En,
        );
        assert!(
            !page.html.contains("<script") && !page.html.contains("<b "),
            "{}",
            page.html
        );
        assert!(page.html.contains("&lt;script&gt;"), "{}", page.html);
    }

    #[test]
    fn headings_can_be_linked_to_and_no_two_have_one_name() {
        let page = html("## Déjà vu ?\n\n## Deja vu\n", Lang::Fr);
        assert!(page.html.contains("<h2 id=\"deja-vu\">"), "{}", page.html);
        assert!(page.html.contains("<h2 id=\"deja-vu-2\">"), "{}", page.html);
    }

    #[test]
    fn code_stays_as_it_is_written() {
        let page = html("a ? b\n\n```sh\nif a ; then\n```\n", Lang::Fr);
        assert!(page.html.contains("if a ; then"), "{}", page.html);
        assert!(page.html.contains("a\u{202f}? b"), "{}", page.html);
    }
}
