//! Every link of the site leads somewhere, in both languages, down to the place in the page.

use std::collections::{BTreeMap, BTreeSet};

use super::{attribute, browser, server, unescaped};
use crate::both_engines;

/// Where a link in the page at `from` leads, without its fragment, and the fragment; none where it leaves the site.
fn resolved(from: &str, link: &str) -> Option<(String, Option<String>)> {
    if link.contains("://") || link.starts_with("mailto:") {
        return None;
    }
    let (path, fragment) = link
        .split_once('#')
        .map_or((link, None), |(path, fragment)| (path, Some(fragment.to_owned())));
    let page = from.split('?').next().unwrap();
    if path.is_empty() {
        return Some((from.to_owned(), fragment));
    }
    if path.starts_with('/') {
        return Some((path.to_owned(), fragment));
    }
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in path.split('/') {
        match part {
            ".." => {
                parts.pop();
            }
            "." => {}
            part => parts.push(part),
        }
    }
    Some((parts.join("/"), fragment))
}

#[test]
fn relative_links_are_followed_as_a_browser_does() {
    let at = |from: &str, link: &str| resolved(from, link).unwrap().0;
    assert_eq!(at("/fr/help/credits", "cc-and-bcc"), "/fr/help/cc-and-bcc");
    assert_eq!(at("/fr/help/credits", "../smtp/#test"), "/fr/smtp/");
    assert_eq!(at("/help/", "/help/credits"), "/help/credits");
    assert_eq!(resolved("/a", "https://example.org/"), None);
}

both_engines! {
    fn every_link_and_every_fragment_leads_somewhere(engine) {
        let server = server(engine);
        let http = browser(&server, "en");
        let mut pages: BTreeMap<String, String> = BTreeMap::new();
        let mut waiting: Vec<String> = ["/", "/en/", "/fr/", "/fr/help/?q=mot+de+passe"]
            .map(str::to_owned)
            .to_vec();
        let mut fragments: BTreeSet<(String, String, String)> = BTreeSet::new();
        while let Some(path) = waiting.pop() {
            if pages.contains_key(&path) {
                continue;
            }
            // The console is drawn by a script, and is only there when it was built.
            if path.starts_with("/app") {
                continue;
            }
            let page = http.get(&path);
            assert!(page.status == 200, "{path} answers {}", page.status);
            let is_page = page
                .header("content-type")
                .is_some_and(|kind| kind.starts_with("text/html"));
            let text = if is_page { page.text } else { String::new() };
            for link in attribute(&text, "href").iter().chain(&attribute(&text, "src")) {
                let link = unescaped(link);
                let Some((to, fragment)) = resolved(&path, &link) else {
                    continue;
                };
                if let Some(fragment) = fragment {
                    fragments.insert((path.clone(), to.clone(), fragment));
                }
                waiting.push(to);
            }
            pages.insert(path, text);
        }
        for (from, to, fragment) in fragments {
            let ids = attribute(&pages[&to], "id");
            assert!(
                ids.contains(&fragment.as_str()),
                "{from} links to {to}#{fragment}, which is not there"
            );
        }
        for (path, text) in &pages {
            let ids = attribute(text, "id");
            let different: BTreeSet<_> = ids.iter().collect();
            assert_eq!(ids.len(), different.len(), "{path} has an id twice");
        }
        let articles = |base: &str| {
            pages
                .keys()
                .filter(|path| path.starts_with(&format!("{base}/help/")))
                .count()
        };
        assert!(
            articles("/en") >= 14 && articles("/en") <= articles("/fr"),
            "{:?}",
            pages.keys()
        );
    }
}
