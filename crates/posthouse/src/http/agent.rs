//! What a browser calls itself, by the names that its user knows it and its system by.

/// The first of these that a user agent names is the browser; those that pretend to be others stand before them.
const BROWSERS: [(&str, &str); 8] = [
    ("Edg", "Edge"),
    ("OPR/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
];

const SYSTEMS: [(&str, &str); 7] = [
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
];

/// Who a client says it is, by names that need no translation.
#[derive(Debug, PartialEq, Eq)]
pub struct Agent {
    /// `Firefox`; of a program its name; empty where it says nothing.
    pub name: String,
    /// `Windows`, where it says so.
    pub system: Option<&'static str>,
}

pub fn named(agent: &str) -> Agent {
    let first = |names: &[(&str, &'static str)]| {
        names
            .iter()
            .find(|(sign, _)| agent.contains(sign))
            .map(|(_, name)| *name)
    };
    let system = first(&SYSTEMS);
    let name = match (first(&BROWSERS), system) {
        (Some(browser), _) => browser.to_owned(),
        (None, Some(_)) => String::new(),
        (None, None) => {
            let program = agent.split(['/', ' ']).next().unwrap_or_default();
            program.chars().take(40).collect()
        }
    };
    Agent { name, system }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browsers_go_by_the_names_that_people_know() {
        for (agent, (name, system)) in [
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64; rv:145.0) Gecko/20100101 Firefox/145.0",
                ("Firefox", Some("Windows")),
            ),
            (
                "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36 Edg/142.0.0.0",
                ("Edge", Some("Windows")),
            ),
            (
                "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15",
                ("Safari", Some("macOS")),
            ),
            (
                "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) CriOS/142.0 Mobile/15E148 Safari/604.1",
                ("Chrome", Some("iPhone")),
            ),
            (
                "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36",
                ("Chrome", Some("Android")),
            ),
            ("curl/8.5.0", ("curl", None)),
            ("Something (Linux)", ("", Some("Linux"))),
            ("", ("", None)),
        ] {
            let name = name.to_owned();
            assert_eq!(named(agent), Agent { name, system });
        }
    }
}
