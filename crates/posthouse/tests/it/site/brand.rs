//! What the operator makes of the site: name, colour, logo, texts and articles of their own.

use std::path::Path;

use super::{attribute, browser, quoted, set_up};
use crate::both_engines;
use crate::harness::Posthouse;

const SVG: &str = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
const ARTICLE: &str = "+++\ntitle = \"Office hours\"\nsummary = \"When we are there.\"\ncategory = \"service\"\norder = 1\n+++\n\n\
    We answer at {{ site.host }} until **five**.\n";

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(&path, text).unwrap();
    quoted(&path)
}

both_engines! {
    fn the_operators_name_colour_logo_and_texts_are_shown(engine) {
        let setup = Posthouse::on(engine);
        let home = setup.home().to_owned();
        let terms = write(&home, "terms.md", "# Our terms\n\nBe <b>kind</b>.\n");
        let logo = write(&home, "logo.svg", SVG);
        write(&home, "help/en/office-hours.md", ARTICLE);
        let help = quoted(&home.join("help"));
        let setup = setup
            .set("site.name", "\"Post & Co\"")
            .set("site.accent", "\"#ffee00\"")
            .set("site.logo", &logo)
            .set("site.terms", &terms)
            .set("site.help_dir", &help);
        let server = set_up(setup.start());
        let http = browser(&server, "en");
        let page = http.get("/").expect(200).text;
        assert!(page.contains("Post &amp; Co"), "{page}");
        let logo = attribute(&page, "src")[0];
        let picture = http.get(logo).expect(200);
        assert_eq!(picture.text, SVG);
        assert_eq!(picture.header("content-type"), Some("image/svg+xml"));
        assert_eq!(picture.header("x-content-type-options"), Some("nosniff"));
        let csp = picture.header("content-security-policy").unwrap();
        assert!(
            csp.contains("sandbox") && csp.contains("default-src 'none'"),
            "{csp}"
        );
        let style = attribute(&page, "href")
            .into_iter()
            .find(|path| path.starts_with("/site/style-"))
            .unwrap();
        let style = http.get(style).expect(200).text;
        assert!(
            style.contains("--accent: #ffee00") && !style.contains("#0f766e"),
            "{style}"
        );
        let terms = http.get("/terms").expect(200).text;
        assert!(
            terms.contains("Our terms") && terms.contains("&lt;b&gt;kind"),
            "{terms}"
        );
        assert!(
            http.get("/privacy")
                .expect(200)
                .text
                .contains("has not published")
        );
        for base in ["/en", "/fr"] {
            let overview = http.get(&format!("{base}/help/")).expect(200).text;
            assert!(overview.contains("Office hours"), "{overview}");
            let article = http.get(&format!("{base}/help/office-hours")).expect(200).text;
            assert!(
                article.contains("mail.example.com until <strong>five</strong>"),
                "{article}"
            );
            assert!(article.contains("<article lang=\"en\">"), "{article}");
        }
    }

    fn what_cannot_be_shown_stops_the_start_with_its_key_and_file(engine) {
        let broken = ARTICLE.replace("site.host", "site.hots");
        let lonely = ARTICLE.replace("order = 1", "order = 1\nrelated = [\"nowhere\"]");
        let big = format!("<svg>{}</svg>", " ".repeat(60_000));
        for (key, name, text, said) in [
            ("site.logo", "logo.svg", None, "No such file"),
            (
                "site.logo",
                "logo.jpg",
                Some("\u{fffd}JFIF"),
                "neither a PNG nor an SVG",
            ),
            ("site.logo", "logo.svg", Some(big.as_str()), "may have"),
            ("site.terms", "terms.md", Some(" \n"), "is empty"),
            ("site.privacy", "privacy.md", None, "No such file"),
            (
                "site.help_dir",
                "help/fr/a.md",
                Some(broken.as_str()),
                "cannot be filled in",
            ),
            ("site.help_dir", "help/en/a.md", Some("# No front"), "+++"),
            ("site.help_dir", "help/en/A b.md", Some(ARTICLE), "small letters"),
            (
                "site.help_dir",
                "help/en/a.md",
                Some(lonely.as_str()),
                "no such article",
            ),
        ] {
            let setup = Posthouse::on(engine);
            let home = setup.home().to_owned();
            if let Some(text) = text {
                write(&home, name, text);
            }
            let value = if key == "site.help_dir" {
                home.join("help")
            } else {
                home.join(name)
            };
            let (code, complaint) = setup.set(key, &quoted(&value)).start_refused();
            assert_eq!(code, 1, "{complaint}");
            assert!(complaint.contains(key), "{name}: {complaint}");
            assert!(complaint.contains(said), "{name}: {complaint}");
        }
        let (_, complaint) = Posthouse::on(engine)
            .set("site.accent", "\"teal\"")
            .start_refused();
        assert!(
            complaint.contains("site.accent is \"teal\"; expected a colour"),
            "{complaint}"
        );
    }
}
