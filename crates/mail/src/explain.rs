//! What a delivery status means, in words that need no manual: the one table behind reports, API and console.

use crate::reply::Enhanced;

/// The meaning of an enhanced code: class (0: the same for 4 and 5), subject, detail.
// RFC 3463 section 3, and the codes registered since: RFC 3886, 4468, 4865, 4954, 5248, 6531, 6710, 7293, 7372, 7505, 8689
const MEANINGS: &[(u8, u16, u16, &str)] = &[
    // Address
    (0, 1, 0, "There is a problem with the recipient's address"),
    (4, 1, 1, "The mailbox is not available at the moment"),
    (5, 1, 1, "The mailbox does not exist"),
    (4, 1, 2, "The recipient's domain cannot be reached at the moment"),
    (5, 1, 2, "The recipient's domain does not exist or takes no mail"),
    (0, 1, 3, "The recipient's address is not written correctly"),
    (0, 1, 4, "The recipient's address stands for several mailboxes"),
    (2, 1, 5, "The recipient's address is valid"),
    (0, 1, 6, "The recipient has moved and left no new address"),
    (0, 1, 7, "The sender's address is not written correctly"),
    (4, 1, 8, "The sender's domain could not be checked at the moment"),
    (5, 1, 8, "The sender's domain does not exist or takes no mail"),
    (
        0,
        1,
        9,
        "The message was handed on to a system that reports nothing back",
    ),
    (0, 1, 10, "The recipient's domain takes no mail at all"),
    // Mailbox
    (0, 2, 0, "There is a problem with the recipient's mailbox"),
    (4, 2, 1, "The mailbox takes no mail at the moment"),
    (5, 2, 1, "The mailbox is disabled and takes no mail"),
    (0, 2, 2, "The mailbox is full"),
    (0, 2, 3, "The message is bigger than this mailbox takes"),
    (
        0,
        2,
        4,
        "The mailing list behind the address could not be expanded",
    ),
    // Mail system
    (0, 3, 0, "There is a problem in the receiving mail system"),
    (0, 3, 1, "The receiving mail system has no room left"),
    (4, 3, 2, "The receiving mail system takes no mail at the moment"),
    (5, 3, 2, "The receiving mail system takes no mail"),
    (
        0,
        3,
        3,
        "The receiving mail system lacks something that the message needs",
    ),
    (
        0,
        3,
        4,
        "The message is bigger than the receiving mail system takes",
    ),
    (0, 3, 5, "The receiving mail system is set up wrongly"),
    (0, 3, 6, "The receiving mail system put the message back"),
    // Network and routing
    (0, 4, 0, "There is a problem in the network on the way"),
    (0, 4, 1, "The receiving server does not answer"),
    (0, 4, 2, "The connection to the receiving server broke"),
    (0, 4, 3, "The name servers that know the way do not answer"),
    (0, 4, 4, "There is no usable way to the receiving server"),
    (0, 4, 5, "The receiving mail system is overloaded"),
    (0, 4, 6, "The message went in a circle"),
    (4, 4, 7, "The message has waited for long"),
    (5, 4, 7, "The message waited too long and is not tried again"),
    // Protocol
    (0, 5, 0, "The two servers did not understand each other"),
    (0, 5, 1, "The receiving server refused a command at this point"),
    (0, 5, 2, "The receiving server did not understand a command"),
    (0, 5, 3, "There are too many recipients at once"),
    (
        0,
        5,
        4,
        "The receiving server did not understand a part of a command",
    ),
    (
        0,
        5,
        5,
        "The two servers speak different versions of the protocol",
    ),
    (0, 5, 6, "A sign-in took more room than the server allows"),
    // Content
    (0, 6, 0, "There is a problem with the content of the message"),
    (0, 6, 1, "The receiving server does not take this kind of content"),
    (
        0,
        6,
        2,
        "The content would have to be converted, which is not allowed",
    ),
    (
        0,
        6,
        3,
        "The content would have to be converted, which is not possible",
    ),
    (0, 6, 4, "The content was converted and lost something"),
    (0, 6, 5, "The content could not be converted"),
    (0, 6, 6, "The content of the message could not be fetched"),
    (
        0,
        6,
        7,
        "The receiving server does not take addresses beyond ASCII",
    ),
    (
        0,
        6,
        8,
        "The answer would need characters that the other side does not take",
    ),
    (
        0,
        6,
        9,
        "The headers hold characters that the receiving server does not take",
    ),
    (
        0,
        6,
        10,
        "The content could not be made plain enough for the receiving server",
    ),
    // Security and policy
    (
        0,
        7,
        0,
        "The receiving server refused the message for reasons of security or policy",
    ),
    (
        4,
        7,
        1,
        "The receiving server does not let this sender through at the moment",
    ),
    (
        5,
        7,
        1,
        "The receiving server does not let this message through: its policy, or it looked like spam",
    ),
    (0, 7, 2, "The sender may not write to this mailing list"),
    (0, 7, 3, "The message could not be converted securely"),
    (
        0,
        7,
        4,
        "The receiving server lacks a security feature that the message asks for",
    ),
    (0, 7, 5, "The connection could not be secured"),
    (0, 7, 6, "The encryption that was asked for is not available"),
    (0, 7, 7, "The message changed on its way"),
    (0, 7, 8, "The user name or password was not accepted"),
    (0, 7, 9, "The way of signing in is too weak for this server"),
    (0, 7, 10, "The server asks for encryption"),
    (0, 7, 11, "The server asks for encryption before the sign-in"),
    (0, 7, 12, "The password must be changed before signing in again"),
    (0, 7, 13, "The account is disabled"),
    (0, 7, 14, "The two servers have no trust in one another"),
    (0, 7, 15, "The message has too low a priority for now"),
    (0, 7, 16, "The message is too big for its priority"),
    (0, 7, 17, "The mailbox has changed hands since the sender knew it"),
    (0, 7, 18, "The domain has changed hands since the sender knew it"),
    (
        0,
        7,
        19,
        "The receiving server cannot check since when the mailbox has its owner",
    ),
    (0, 7, 20, "No DKIM signature of the message is valid"),
    (0, 7, 21, "No DKIM signature of the message is acceptable"),
    (0, 7, 22, "No valid DKIM signature belongs to the author's domain"),
    (0, 7, 23, "SPF does not let this server send for the domain"),
    (
        4,
        7,
        24,
        "The SPF record of the sender's domain could not be checked",
    ),
    (5, 7, 24, "The SPF record of the sender's domain is broken"),
    (0, 7, 25, "The sending server has no valid reverse DNS name"),
    (0, 7, 26, "The message passed neither SPF nor DKIM"),
    (
        0,
        7,
        27,
        "The sender's domain takes no mail, so it cannot be answered",
    ),
    (0, 7, 28, "The message is part of a flood of mail"),
    (0, 7, 29, "The chain of ARC seals is not valid"),
    (
        0,
        7,
        30,
        "The message must travel encrypted and the next server does not offer it",
    ),
];

/// The meaning of a reply code that came without an enhanced one; RFC 5321 section 4.2.3.
const CODES: &[(u16, &str)] = &[
    (421, "The receiving server takes no mail at the moment"),
    (450, "The mailbox is not available at the moment"),
    (451, "The receiving server had a problem of its own"),
    (452, "The receiving server has no room at the moment"),
    (454, "The receiving server cannot do what was asked at the moment"),
    (455, "The receiving server cannot do what was asked at the moment"),
    (500, "The receiving server did not understand a command"),
    (501, "The receiving server did not understand a part of a command"),
    (502, "The receiving server did not understand a command"),
    (503, "The receiving server refused a command at this point"),
    (504, "The receiving server did not understand a part of a command"),
    (521, "The recipient's domain takes no mail at all"),
    (530, "The receiving server asks for a sign-in or encryption"),
    (535, "The user name or password was not accepted"),
    (
        550,
        "The mailbox does not exist or the receiving server refuses mail for it",
    ),
    (
        551,
        "The mailbox is elsewhere and the receiving server does not hand mail on",
    ),
    (552, "The mailbox is full or the message is too big"),
    (553, "The address is not one that the receiving server takes"),
    (554, "The receiving server refused the message"),
    (555, "The receiving server did not understand a part of a command"),
    (556, "The recipient's domain takes no mail at all"),
];

/// One sentence, without a final dot, for what a reply code and an enhanced code mean together.
pub fn explain(code: Option<u16>, enhanced: Option<Enhanced>) -> &'static str {
    let exact = enhanced.and_then(|e| meaning(e.class, e.subject, e.detail));
    // A code without a meaning of its own, or x.0.0, says less than the reply code.
    let basic = || {
        code.and_then(|code| CODES.iter().find(|(known, _)| *known == code))
            .map(|(_, text)| *text)
    };
    let group = || enhanced.and_then(|e| meaning(e.class, e.subject, 0));
    let class = enhanced.map_or_else(|| code.unwrap_or(0) / 100, |e| u16::from(e.class));
    exact.or_else(basic).or_else(group).unwrap_or(match class {
        2 => "The receiving server took the message",
        4 => "The receiving server could not take the message at the moment",
        5 => "The receiving server refused the message",
        _ => "The message could not be handed over",
    })
}

fn meaning(class: u8, subject: u16, detail: u16) -> Option<&'static str> {
    if class == 2 && (subject, detail) != (1, 5) {
        return None;
    }
    let known = MEANINGS
        .iter()
        .find(|(c, s, d, _)| (*c == 0 || *c == class) && (*s, *d) == (subject, detail));
    known.map(|(_, _, _, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(code: u16, enhanced: &str) -> &'static str {
        explain(Some(code), Enhanced::parse(enhanced))
    }

    #[test]
    fn the_enhanced_code_speaks_first_then_the_reply_code_then_the_class() {
        assert_eq!(explained(550, "5.1.1"), "The mailbox does not exist");
        assert_eq!(
            explained(450, "4.1.1"),
            "The mailbox is not available at the moment"
        );
        assert_eq!(explained(552, "5.2.2"), "The mailbox is full");
        assert_eq!(
            explained(553, "5.0.0"),
            "The address is not one that the receiving server takes"
        );
        assert_eq!(explained(554, ""), "The receiving server refused the message");
        assert_eq!(
            explained(599, "5.7.99"),
            "The receiving server refused the message for reasons of security or policy"
        );
        assert_eq!(
            explained(499, ""),
            "The receiving server could not take the message at the moment"
        );
        assert_eq!(explained(250, "2.0.0"), "The receiving server took the message");
        assert_eq!(explain(None, None), "The message could not be handed over");
    }

    #[test]
    fn every_subject_of_rfc_3463_has_a_meaning_in_both_classes() {
        for class in [4, 5] {
            for subject in 1..=7 {
                assert!(meaning(class, subject, 0).is_some(), "{class}.{subject}.0");
            }
            for (subject, last) in [(1, 4), (2, 4), (3, 5), (4, 7), (5, 5), (6, 5), (7, 7)] {
                for detail in 1..=last {
                    assert!(
                        meaning(class, subject, detail).is_some(),
                        "{class}.{subject}.{detail}"
                    );
                }
            }
        }
    }

    #[test]
    fn no_entry_hides_another_and_none_ends_with_a_dot() {
        for (nth, (class, subject, detail, text)) in MEANINGS.iter().enumerate() {
            assert!(!text.ends_with('.'), "{text}");
            let hidden = MEANINGS[..nth]
                .iter()
                .any(|(c, s, d, _)| (s, d) == (subject, detail) && (*c == 0 || *class == 0 || c == class));
            assert!(!hidden, "{class}.{subject}.{detail}");
        }
    }
}
