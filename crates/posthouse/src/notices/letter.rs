//! The text of a mail of our own: words and frame from `site/mail`, values from what happened, headers from the composer.

use std::collections::BTreeMap;

use accounts::credits::Left;
use accounts::{Cause, ChangedBy, Letter, Says, StepChange, percent};
use mail::message::{ComposeError, Draft, Named, compose};
use mail::time::Time;
use minijinja::{Environment, UndefinedBehavior, Value, context};
use serde::Deserialize;

use super::NoticeSettings;
use crate::site::{Lang, grouped};

const WORDS: [(&str, &str); 2] = [
    ("en", include_str!("../../../../site/mail/en.toml")),
    ("fr", include_str!("../../../../site/mail/fr.toml")),
];
const TEXT: &str = include_str!("../../../../site/mail/letter.txt");
const HTML: &str = include_str!("../../../../site/mail/letter.html");

/// What one mail says, in one language.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    subject: String,
    text: String,
    action: String,
    after: String,
    otherwise: String,
    why: String,
}

/// The words of one language.
#[derive(Deserialize)]
struct Words {
    sender: String,
    origin: String,
    #[serde(flatten)]
    said: BTreeMap<String, Said>,
}

/// Why a mail could not be written.
#[derive(Debug, thiserror::Error)]
pub enum LetterError {
    #[error("its text cannot be made: {0}")]
    Template(#[from] minijinja::Error),
    #[error("its header cannot be made: {0}")]
    Compose(#[from] ComposeError),
}

pub struct Writer {
    env: Environment<'static>,
    words: BTreeMap<&'static str, Words>,
    settings: NoticeSettings,
}

impl Writer {
    pub fn new(settings: &NoticeSettings) -> Self {
        let mut env = Environment::new();
        env.set_undefined_behavior(UndefinedBehavior::Strict);
        // By its name the HTML part is escaped and the text part is not.
        for (name, source) in [("letter.txt", TEXT), ("letter.html", HTML)] {
            env.add_template(name, source)
                .expect("a test reads every template");
        }
        let words = WORDS.map(|(lang, text)| {
            let words = toml::from_str(text).expect("a test reads every language");
            (lang, words)
        });
        Self {
            env,
            words: BTreeMap::from(words),
            settings: settings.clone(),
        }
    }

    /// The whole message.
    pub fn write(&self, letter: &Letter, now: Time, message_id: &str) -> Result<Vec<u8>, LetterError> {
        let (lang, words) = self
            .words
            .get_key_value(letter.language.as_str())
            .or_else(|| self.words.first_key_value())
            .expect("there are words");
        let said = &words.said[kind(&letter.says)];
        let requester = letter.requester.as_ref();
        // A client that hides behind a proxy has no address worth naming.
        let ip = requester.map(|it| it.ip).filter(|ip| !ip.is_unspecified());
        let (left, mark) = match letter.says {
            Says::Credits { left, mark, .. } => (left, mark),
            _ => (0, 0),
        };
        let (role, by) = match &letter.says {
            Says::RoleChanged { role, by } => (role.as_str(), by.as_deref()),
            _ => ("", None),
        };
        let number = |n: i64| grouped(Lang::of_code(lang).unwrap_or(Lang::En), n.unsigned_abs());
        let facts = context! {
            host => &self.settings.hostname,
            name => &self.settings.name,
            at => shown(letter.at),
            ip => ip.map(|ip| ip.to_string()).unwrap_or_default(),
            agent => requester.map(accounts::Requester::agent).unwrap_or_default(),
            left => number(left),
            mark => number(mark),
            inviter => inviter(&letter.says),
            place => webhook(&letter.says),
            domain => domain(&letter.says),
            role,
            by,
            ..state_facts(&letter.says)
        };
        let origin = self.env.render_str(&words.origin, &facts)?;
        let facts = context! { origin => origin, ..facts };
        let say = |text: &str| self.env.render_str(text, &facts);
        let subject = say(&said.subject)?;
        let values = context! {
            lang => *lang,
            subject => &subject,
            text => say(&said.text)?,
            action => say(&said.action)?,
            url => self.url(&letter.says),
            after => say(&said.after)?,
            otherwise => say(&said.otherwise)?,
            why => say(&said.why)?,
        };
        let from = Named {
            name: say(&words.sender)?,
            address: self.settings.from.address.clone(),
        };
        let to = [Named {
            name: String::new(),
            address: letter.to.clone(),
        }];
        let draft = Draft {
            from: &from,
            to: &to,
            cc: &[],
            reply_to: None,
            subject: &subject,
            text: Some(&self.env.get_template("letter.txt")?.render(&values)?),
            html: Some(&self.env.get_template("letter.html")?.render(&values)?),
            // RFC 3834 section 5
            headers: &[("Auto-Submitted", "auto-generated")],
            attachments: &[],
        };
        Ok(compose(&draft, now, message_id)?)
    }

    /// The one link.
    fn url(&self, says: &Says) -> String {
        let base = &self.settings.public_url;
        match says {
            Says::Confirm { token } => format!("{base}/sign-up/confirm?token={token}"),
            Says::HasAccount | Says::InvitedElsewhere { .. } => format!("{base}/login"),
            Says::Reset { token } => format!("{base}/password/reset?token={token}"),
            Says::Invitation { token } => format!("{base}/sign-up?invitation={token}"),
            Says::UserInvitation { token, .. } => format!("{base}/join?token={token}"),
            Says::SenderAsked { token, .. } => format!("{base}/sender?token={token}"),
            Says::PasswordChanged { .. } => format!("{base}/password/forgot"),
            Says::Credits { .. } => format!("{base}/app/account/credits"),
            Says::SecondStep { .. } => format!("{base}/app/account/security"),
            Says::Paused {
                account: Some((id, _)),
                ..
            } => format!("{base}/app/accounts/{id}"),
            Says::Paused { account: None, .. } => format!("{base}/help/account-paused"),
            Says::Suspended { .. } | Says::Resumed | Says::RoleChanged { .. } => format!("{base}/app/"),
            Says::HookBroke { .. } => format!("{base}/app/hooks"),
            Says::WebhookPaused { .. } => format!("{base}/app/webhooks"),
            Says::DomainMissing { .. } => format!("{base}/app/domains"),
            Says::Impersonated { .. } => format!("{base}/app/account/audit"),
        }
    }
}

/// Its part of the words.
fn kind(says: &Says) -> &'static str {
    match says {
        Says::Confirm { .. } => "confirm",
        Says::HasAccount => "has_account",
        Says::Reset { .. } => "reset",
        Says::Invitation { .. } => "invitation",
        Says::UserInvitation { .. } => "user_invitation",
        Says::SenderAsked { .. } => "sender_asked",
        Says::InvitedElsewhere { .. } => "invited_elsewhere",
        Says::PasswordChanged { by } => match by {
            ChangedBy::Owner => "changed_by_owner",
            ChangedBy::Link => "changed_by_link",
            ChangedBy::Operator => "changed_by_operator",
        },
        Says::Credits { few, .. } => match few {
            Left::Fifth => "credits_fifth",
            Left::Twentieth => "credits_twentieth",
            Left::Nothing => "credits_nothing",
        },
        Says::SecondStep { change } => match change {
            StepChange::On => "second_step_on",
            StepChange::Off => "second_step_off",
            StepChange::OffByOperator => "second_step_lifted",
            StepChange::AppReplaced => "app_replaced",
            StepChange::PasskeyAdded => "passkey_added",
            StepChange::PasskeyRemoved => "passkey_removed",
            StepChange::RecoveryNew => "recovery_new",
            StepChange::RecoveryUsed => "recovery_used",
            StepChange::CodesGuessed => "codes_guessed",
        },
        Says::Paused { account: None, .. } => "paused",
        Says::Paused { .. } => "paused_operator",
        Says::Suspended { .. } => "suspended",
        Says::Resumed => "resumed",
        Says::HookBroke { open: true, .. } => "hook_broke_open",
        Says::HookBroke { open: false, .. } => "hook_broke_closed",
        Says::WebhookPaused { gone: true, .. } => "webhook_gone",
        Says::WebhookPaused { gone: false, .. } => "webhook_failing",
        Says::DomainMissing { .. } => "domain_missing",
        Says::Impersonated { .. } => "impersonated",
        Says::RoleChanged { .. } => "role_changed",
    }
}

/// What a mail about the state of an account names.
fn state_facts(says: &Says) -> Value {
    let (reason, account) = match says {
        Says::Suspended { reason } | Says::Impersonated { reason } => (reason.as_str(), ""),
        Says::HookBroke { fault, .. } => (fault.as_str(), ""),
        Says::Paused {
            account: Some((_, name)),
            ..
        } => ("", name.as_str()),
        _ => ("", ""),
    };
    let Says::Paused {
        pause, owner_decides, ..
    } = says
    else {
        return context! { reason, account };
    };
    context! {
        reason,
        account,
        complaints => pause.cause == Cause::Complaints,
        failed => pause.failed,
        of => pause.of,
        most => percent(pause.most),
        owner_decides,
    }
}

/// Where the webhook goes that the mail is about, or what the hook is called.
fn webhook(says: &Says) -> &str {
    match says {
        Says::HookBroke { name, .. } => name,
        Says::WebhookPaused { place, .. } => place,
        _ => "",
    }
}

/// The domain that the mail is about.
fn domain(says: &Says) -> &str {
    match says {
        Says::DomainMissing { name } => name,
        _ => "",
    }
}

/// The address of who invited.
fn inviter(says: &Says) -> &str {
    match says {
        Says::UserInvitation { by, .. } | Says::InvitedElsewhere { by } | Says::SenderAsked { by, .. } => by,
        _ => "",
    }
}

/// `2026-11-25 18:04 UTC`
fn shown(at: Time) -> String {
    let text = at.rfc3339();
    match (text.get(..10), text.get(11..16)) {
        (Some(day), Some(time)) => format!("{day} {time} UTC"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use accounts::Requester;
    use mail::address::Address;
    use mail::message::{Head, content};
    use store::Id;

    use super::*;

    fn writer() -> Writer {
        Writer::new(&NoticeSettings {
            name: "Relay & Sons".to_owned(),
            hostname: "mail.example.com".to_owned(),
            public_url: "https://mail.example.com".to_owned(),
            from: Named::parse("postmaster@mail.example.com").unwrap(),
        })
    }

    fn every_kind() -> Vec<Says> {
        let credits = |few, left| Says::Credits {
            few,
            left,
            mark: 12_000,
        };
        let token = "A".repeat(44);
        let steps = [
            StepChange::On,
            StepChange::Off,
            StepChange::OffByOperator,
            StepChange::AppReplaced,
            StepChange::PasskeyAdded,
            StepChange::PasskeyRemoved,
            StepChange::RecoveryNew,
            StepChange::RecoveryUsed,
            StepChange::CodesGuessed,
        ];
        let steps = steps.map(|change| Says::SecondStep { change });
        let others = [
            Says::Confirm { token: token.clone() },
            Says::HasAccount,
            Says::Reset { token: token.clone() },
            Says::Invitation { token: token.clone() },
            Says::UserInvitation {
                token: token.clone(),
                by: "owner@example.org".to_owned(),
                role: accounts::Role::Viewer,
            },
            Says::SenderAsked {
                token,
                by: "owner@example.org".to_owned(),
            },
            Says::InvitedElsewhere {
                by: "owner@example.org".to_owned(),
            },
            Says::PasswordChanged { by: ChangedBy::Owner },
            Says::PasswordChanged { by: ChangedBy::Link },
            Says::PasswordChanged {
                by: ChangedBy::Operator,
            },
            credits(Left::Fifth, 2_400),
            credits(Left::Twentieth, 600),
            credits(Left::Nothing, 0),
            paused(None),
            paused(Some(("01".to_owned(), "eve@example.org".to_owned()))),
            Says::Suspended {
                reason: "Write to us.".to_owned(),
            },
            Says::Resumed,
            Says::HookBroke {
                name: "No mail to our competitors".to_owned(),
                fault: "line 3: attempt to index nil".to_owned(),
                open: true,
            },
            Says::HookBroke {
                name: "No mail to our competitors".to_owned(),
                fault: "line 3: attempt to index nil".to_owned(),
                open: false,
            },
            Says::WebhookPaused {
                place: "hooks.example.org:8443".to_owned(),
                gone: true,
            },
            Says::WebhookPaused {
                place: "hooks.example.org:8443".to_owned(),
                gone: false,
            },
            Says::DomainMissing {
                name: "shop.example".to_owned(),
            },
            Says::Impersonated {
                reason: "Mail waits.".to_owned(),
            },
            Says::RoleChanged {
                role: accounts::Role::Admin,
                by: None,
            },
            Says::RoleChanged {
                role: accounts::Role::Viewer,
                by: Some("owner@example.org".to_owned()),
            },
        ];
        [others.as_slice(), steps.as_slice()].concat()
    }

    fn paused(account: Option<(String, String)>) -> Says {
        let json = r#"{"cause":"bounces","failed":61,"of":700,"most":800,"at":0}"#;
        Says::Paused {
            pause: serde_json::from_str(json).unwrap(),
            account,
            owner_decides: false,
        }
    }

    #[test]
    fn a_mail_about_a_pause_says_how_many_of_how_many_and_who_decides() {
        for (says, words) in [
            (
                paused(None),
                ["61 of the last 700 recipients", "8 %", "the operator"],
            ),
            (
                paused(Some(("01".to_owned(), "eve@example.org".to_owned()))),
                [
                    "eve@example.org",
                    "61 of the last 700 recipients",
                    "/app/accounts/01",
                ],
            ),
            (
                Says::Suspended {
                    reason: "Write to us.".to_owned(),
                },
                ["suspended", "Write to us.", "/app/"],
            ),
        ] {
            let shown = content(&written(&letter("en", says, "")));
            let text = shown.text.unwrap().replace("\r\n", " ").replace('\n', " ");
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        }
    }

    fn letter(language: &str, says: Says, agent: &str) -> Letter {
        Letter {
            id: Id::from_bytes([7; 16]),
            to: Address::parse("alice@example.org").unwrap(),
            language: language.to_owned(),
            at: Time::parse_rfc3339("2026-11-25T18:04:30Z").unwrap(),
            requester: Some(Requester::new(IpAddr::from([192, 0, 2, 7]), agent)),
            says,
        }
    }

    fn written(letter: &Letter) -> Vec<u8> {
        let now = Time::from_secs(1_795_000_000);
        writer().write(letter, now, "1@mail.example.com").unwrap()
    }

    #[test]
    fn every_mail_has_a_text_an_html_part_one_link_and_a_reason_in_both_languages() {
        let writer = writer();
        for (lang, _) in WORDS {
            for says in every_kind() {
                let raw = written(&letter(lang, says.clone(), "Firefox"));
                let shown = content(&raw);
                let (text, html) = (shown.text.unwrap(), shown.html.unwrap());
                let url = writer.url(&says);
                assert_eq!(text.matches("https://").count(), 1, "{text}");
                assert_eq!(html.matches("https://").count(), 1, "{html}");
                assert!(text.contains(&url) && html.contains(&url), "{html}");
                assert!(!text.contains("{{") && !text.contains("\n\n\n"), "{text}");
                let invited = matches!(says, Says::Invitation { .. }) || text.contains("owner@example.org");
                let named = invited || text.contains("2026-11-25 18:04 UTC");
                assert!(named && text.contains("mail.example.com"), "{text}");
            }
        }
        let few = Says::Credits {
            few: Left::Fifth,
            left: 2_400,
            mark: 12_000,
        };
        let raw = written(&letter("fr", few, ""));
        let subject = Head::parse(&raw).unwrap().subject();
        assert_eq!(
            subject.as_deref(),
            Some("Crédits restants sur mail.example.com : 2\u{202f}400 sur 12\u{202f}000")
        );
        assert_eq!(
            Head::parse(&written(&letter("fr", Says::HasAccount, "")))
                .unwrap()
                .subject()
                .as_deref(),
            Some("Vous avez déjà un compte sur mail.example.com")
        );
        let head = written(&letter("xx", Says::HasAccount, ""));
        let head = Head::parse(&head).unwrap();
        assert!(head.subject().unwrap().starts_with("You have an account"));
        assert_eq!(head.first("auto-submitted").unwrap().decoded(), "auto-generated");
    }

    #[test]
    fn what_a_browser_calls_itself_becomes_neither_a_header_nor_html() {
        let agent = "x\r\nBcc: eve@example.org\r\n\r\n<script>alert(1)</script>{{ host }}";
        let raw = written(&letter("en", Says::HasAccount, agent));
        let head = Head::parse(&raw).unwrap();
        assert!(!head.has("bcc"));
        assert_eq!(head.all("to").count(), 1);
        assert_eq!(
            head.first("from").unwrap().decoded(),
            "\"Relay & Sons\" <postmaster@mail.example.com>"
        );
        let shown = content(&raw);
        let (text, html) = (shown.text.unwrap(), shown.html.unwrap());
        assert!(
            !html.contains("<script>") && html.contains("&lt;script&gt;"),
            "{html}"
        );
        assert!(text.contains("<script>alert(1)</script>{{ host }}"), "{text}");
    }
}
