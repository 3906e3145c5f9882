//! Who runs a mail host: the domain that its name stands in.

/// Parts of a name under which registries of countries sell names, as in `example.co.uk`.
const SECOND_LEVELS: [&str; 9] = ["ac", "co", "com", "edu", "gov", "ne", "net", "or", "org"];

/// `google.com` for `gmail-smtp-in.l.google.com`; none where it is no name.
pub(super) fn of_host(host: &str) -> Option<String> {
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let labels: Vec<&str> = host.split('.').collect();
    let [.., second, first] = labels.as_slice() else {
        return None;
    };
    if first.starts_with(|c: char| c.is_ascii_digit()) || host.contains(':') {
        return None;
    }
    let many = if first.len() == 2 && SECOND_LEVELS.contains(second) && labels.len() > 2 {
        3
    } else {
        2
    };
    Some(labels[labels.len() - many..].join("."))
}

#[cfg(test)]
mod tests {
    use super::of_host;

    #[test]
    fn hosts_of_one_provider_are_one() {
        let of = |host| of_host(host).unwrap();
        assert_eq!(of("gmail-smtp-in.l.google.com"), "google.com");
        assert_eq!(of("ALT1.aspmx.l.Google.com."), "google.com");
        assert_eq!(of("mx1.example.co.uk"), "example.co.uk");
        assert_eq!(of("mail.co.uk"), "mail.co.uk");
        assert_eq!(of("example.org"), "example.org");
        for none in ["localhost", "192.0.2.7", "2001:db8::1", ""] {
            assert_eq!(of_host(none), None, "{none}");
        }
    }
}
