//! A message made each recipient's own: the links that stand for one recipient, and the copy that has them.

use std::sync::Arc;

use accounts::{Accounts, AccountsError};
use aws_lc_rs::hmac;
use bytes::Bytes;
use mail::address::{Address, Domain};
use mail::message::{Appending, Field, Head, Own, Wanted, field_names_link, plan};
use mail::time::Time;
use store::Id;

use crate::model::{Fields, Pattern, Unsubscribe, Wants};
use crate::token::{self, About, Purpose};

/// What the local part of an address to unsubscribe by begins with.
const PREFIX: &str = "u-";

/// Where links lead.
#[derive(Clone, Debug)]
pub struct Places {
    /// The address of this installation's site, without a slash at its end.
    pub site: String,
    /// Where mail to unsubscribe comes in; none where nobody receives it.
    pub mail: Option<Domain>,
}

/// The links of one recipient of one message.
pub struct Links<'a> {
    pub unsubscribe: String,
    /// An address that unsubscribes whoever mail to it is about.
    pub mailto: Option<Address>,
    open: String,
    places: &'a Places,
}

impl<'a> Links<'a> {
    /// Those that unsubscribe stand for `reader`. None where the message has more recipients than there are numbers for.
    pub fn of(
        places: &'a Places,
        key: &hmac::Key,
        (about, reader): (About, About),
        now: Time,
    ) -> Option<Self> {
        let token = token::make(key, Purpose::Unsubscribe, reader, now)?;
        let mailto = places
            .mail
            .as_ref()
            .and_then(|domain| Address::parse(&format!("{PREFIX}{token}@{domain}")).ok());
        Some(Self {
            unsubscribe: format!("{}/u/{token}", places.site),
            open: format!(
                "{}/t/o/{}",
                places.site,
                token::make(key, Purpose::Open, about, now)?
            ),
            mailto,
            places,
        })
    }

    /// The fields that mail programs show a button for.
    // RFC 2369 section 3.2, RFC 8058 section 3.1
    fn fields(&self, parts: &Fields) -> String {
        let mut fields = String::new();
        if parts.link {
            fields = format!("List-Unsubscribe: <{}>", self.unsubscribe);
            if let Some(mailto) = &self.mailto {
                fields.push_str(",\r\n\t<mailto:");
                fields.push_str(&mailto.to_string());
                fields.push_str("?subject=unsubscribe>");
            }
            fields.push_str("\r\n");
        }
        // A provider posts to an address that is safe on its way only.
        if parts.post && self.places.site.starts_with("https://") {
            fields.push_str("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n");
        }
        fields
    }
}

/// The token of an address to unsubscribe by; none of any other address.
pub fn token_of(address: &Address) -> Option<&str> {
    let (prefix, token) = address.local().split_at_checked(PREFIX.len())?;
    prefix.eq_ignore_ascii_case(PREFIX).then_some(token)
}

impl Pattern {
    /// Looks through a stored message.
    pub fn of(raw: &[u8], wants: Wants) -> Self {
        let mut fields = Fields::default();
        let mut wanted = Wanted {
            opens: wants.track_opens,
            clicks: wants.track_clicks,
            keeps_names: wants.unsubscribe == Unsubscribe::No,
            ..Wanted::default()
        };
        if let Ok(head) = Head::parse(raw) {
            let own = head.has("list-unsubscribe");
            let named = !wanted.keeps_names && head.all("list-unsubscribe").any(field_names_link);
            if wants.unsubscribe == Unsubscribe::Yes && (!own || named) {
                let language = head.first("content-language").map(Field::decoded);
                wanted.unsubscribe = Some(appending(language.as_deref().unwrap_or_default()));
            }
            // Whoever has a way of his own to unsubscribe keeps it: two fields would be none.
            fields.link = wants.unsubscribe != Unsubscribe::No && !own;
            fields.post = (fields.link || named) && !head.has("list-unsubscribe-post");
        }
        Self::new(plan(raw, &wanted), fields)
    }

    /// `click` makes the address that leads to the target of this place among [`Pattern::targets`].
    fn copy(&self, raw: &[u8], links: &Links<'_>, click: &dyn Fn(usize) -> String) -> Bytes {
        let own = Own {
            unsubscribe: &links.unsubscribe,
            click,
            open: &links.open,
        };
        let fields = links.fields(&self.fields);
        self.plan.apply(fields.as_bytes(), raw, &own).into()
    }
}

/// The words of an appended link, in the language that the message says it is in.
// RFC 3282 section 2
fn appending(language: &str) -> Appending {
    let first = language.trim_start().get(..2).unwrap_or_default();
    let (text, link) = if first.eq_ignore_ascii_case("fr") {
        (
            "Pour ne plus recevoir ces messages :",
            "Ne plus recevoir ces messages",
        )
    } else {
        ("To stop receiving these messages:", "Unsubscribe")
    };
    Appending {
        text: text.to_owned(),
        link: link.to_owned(),
    }
}

/// Makes the copies of one message.
#[derive(Clone, Debug)]
pub struct Copies {
    pattern: Arc<Pattern>,
    /// The number under which each target is stored.
    numbers: Arc<[u16]>,
    key: Arc<hmac::Key>,
    places: Arc<Places>,
    message: Id,
    /// Nobody gets these copies: their links unsubscribe nobody and take nobody back.
    trial: bool,
    at: Time,
}

impl Copies {
    /// `numbers` are those under which the targets of the pattern are stored, all of them.
    pub async fn new(
        (pattern, numbers): (Arc<Pattern>, Arc<[u16]>),
        (accounts, places): (&Accounts, Arc<Places>),
        (message, at): (Id, Time),
    ) -> Result<Self, AccountsError> {
        Ok(Self {
            pattern,
            numbers,
            key: accounts.signing_key().await?,
            places,
            message,
            trial: false,
            at,
        })
    }

    /// Copies that stay here, for their sender to look at: who has only them does not speak for the recipients.
    #[must_use]
    pub fn on_trial(self) -> Self {
        Self { trial: true, ..self }
    }

    /// Where the links lead, by their numbers in a message that is stored with them.
    pub fn targets(&self) -> &[String] {
        self.pattern.targets()
    }

    /// The message as one of its recipients gets it. `raw` is the stored message.
    pub fn of(&self, raw: &Bytes, ordinal: u32) -> Bytes {
        let about = About {
            message: self.message,
            ordinal,
        };
        let reader = About {
            message: if self.trial { Id::NOBODY } else { self.message },
            ordinal,
        };
        let Some(links) = Links::of(&self.places, &self.key, (about, reader), self.at) else {
            return raw.clone();
        };
        let click = |place: usize| {
            // Whoever has a token to open by has one for each link.
            let token = token::make_click(&self.key, about, self.numbers[place], self.at).unwrap_or_default();
            format!("{}/t/c/{token}", self.places.site)
        };
        self.pattern.copy(raw, &links, &click)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_796_000_000);

    fn copy(raw: &str, unsubscribe: Unsubscribe, site: &str, mail: Option<&str>) -> String {
        let places = Places {
            site: site.to_owned(),
            mail: mail.map(|name| Domain::parse(name).unwrap()),
        };
        let copies = Copies {
            pattern: Arc::new(Pattern::of(
                raw.as_bytes(),
                Wants {
                    unsubscribe,
                    ..Wants::default()
                },
            )),
            numbers: Arc::new([]),
            key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, b"key")),
            places: Arc::new(places),
            trial: false,
            message: Id::from_bytes([7; 16]),
            at: NOW,
        };
        let copy = copies.of(&Bytes::copy_from_slice(raw.as_bytes()), 3);
        String::from_utf8(copy.into()).unwrap()
    }

    fn https(raw: &str, unsubscribe: Unsubscribe) -> String {
        copy(raw, unsubscribe, "https://post.example", Some("in.example"))
    }

    /// The link of the recipient that [`copy`] is for.
    fn link() -> String {
        let about = About {
            message: Id::from_bytes([7; 16]),
            ordinal: 3,
        };
        let key = hmac::Key::new(hmac::HMAC_SHA256, b"key");
        token::make(&key, Purpose::Unsubscribe, about, NOW).unwrap()
    }

    #[test]
    fn a_copy_has_the_fields_and_the_link_of_its_recipient() {
        let link = link();
        let field = format!(
            "List-Unsubscribe: <https://post.example/u/{link}>,\r\n\t<mailto:u-{link}@in.example?subject=unsubscribe>\r\n"
        );
        let post = "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n";
        assert_eq!(
            https("Subject: a\r\n\r\nHi.\r\n", Unsubscribe::Yes),
            format!(
                "{field}{post}Subject: a\r\n\r\nHi.\r\n\r\nTo stop receiving these messages:\r\nhttps://post.example/u/{link}\r\n"
            )
        );
        assert_eq!(
            https("Subject: a\r\n\r\n{{unsubscribe_url}}\r\n", Unsubscribe::Named),
            format!("{field}{post}Subject: a\r\n\r\nhttps://post.example/u/{link}\r\n")
        );
        let plain = copy(
            "Subject: a\r\n\r\n{{unsubscribe_url}}\r\n",
            Unsubscribe::Named,
            "http://localhost:8080",
            None,
        );
        assert_eq!(
            plain,
            format!(
                "List-Unsubscribe: <http://localhost:8080/u/{link}>\r\nSubject: a\r\n\r\nhttp://localhost:8080/u/{link}\r\n"
            )
        );
    }

    #[test]
    fn the_words_follow_the_language_of_the_message() {
        let french = https("Content-Language: fr-CH\r\n\r\nSalut.\r\n", Unsubscribe::Yes);
        assert!(
            french.contains("\r\nPour ne plus recevoir ces messages :\r\nhttps://"),
            "{french}"
        );
    }

    #[test]
    fn whoever_brings_a_way_to_unsubscribe_keeps_it_and_only_it() {
        let own = "List-Unsubscribe: <https://own.example/x>\r\n\r\nHi.\r\n";
        assert_eq!(https(own, Unsubscribe::Yes), own);
        let link = link();
        let named = "List-Unsubscribe: <{{unsubscribe_url}}>\r\n\r\nHi {{unsubscribe_url}}.\r\n";
        assert_eq!(
            https(named, Unsubscribe::Named),
            format!(
                "List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\nList-Unsubscribe: <https://post.example/u/{link}>\r\n\r\nHi https://post.example/u/{link}.\r\n"
            )
        );
    }

    #[test]
    fn what_others_signed_and_what_cannot_be_read_gets_the_fields_only() {
        for raw in [
            "DKIM-Signature: v=1; d=other.example\r\nSubject: a\r\n\r\nHi.\r\n".to_owned(),
            "Content-Type: multipart/signed; boundary=b\r\n\r\n--b\r\n\r\nHi.\r\n--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n".to_owned(),
            "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\r\nContent-Transfer-Encoding: base64\r\n\r\nMIIB\r\n".to_owned(),
            "Content-Type: text/html; charset=utf-16\r\n\r\n<p>Hi.\r\n".to_owned(),
            "Content-Type: text/plain\r\nContent-Transfer-Encoding: x-own\r\n\r\nHi.\r\n".to_owned(),
        ] {
            let copy = https(&raw, Unsubscribe::Yes);
            let (fields, rest) = copy.split_at(copy.len() - raw.len());
            assert_eq!(rest, raw);
            assert_eq!(fields.matches("\r\nList-Unsubscribe-Post: ").count(), 1, "{copy}");
        }
    }
}
