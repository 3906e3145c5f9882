//! Mail of our own: links and news about an account, written in its language and sent as all other mail is.

mod letter;

use std::time::Duration;

use accounts::{Accounts, Letter, Principal, Says, SignUpMode, Via};
use bytes::Bytes;
use mail::envelope::{Envelope, Recipient};
use mail::message::Named;
use mail::notify::Notify;
use outbound::{Origin, Outbound, Submission};
use store::{Clock, Db, Id, Ids, Topic};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use self::letter::Writer;

/// A bell may be missed, and a mail may be due without one.
const POLL: Duration = Duration::from_secs(1);
/// How often what is too old is removed.
const TIDY: Duration = Duration::from_mins(10);

/// Writes what the accounts room noted and hands it to the door.
pub struct Notices {
    pub db: Db,
    pub accounts: Accounts,
    pub outbound: Outbound,
    pub clock: Clock,
    pub ids: Ids,
    pub settings: NoticeSettings,
}

/// What an operator configured about mail of our own.
#[derive(Clone, Debug)]
pub struct NoticeSettings {
    /// What the service is called.
    pub name: String,
    /// The name this server goes by.
    pub hostname: String,
    /// What links begin with, without a slash at the end.
    pub public_url: String,
    /// Whom it is from.
    pub from: Named,
}

impl Notices {
    /// Works until told to stop. A mail in hand at that moment comes again at the next start.
    pub async fn run(self, stop: CancellationToken) {
        let writer = Writer::new(&self.settings);
        let mut bell = self.db.bell(Topic::Notices);
        let mut tidied = None;
        loop {
            self.send_due(&writer, &stop).await;
            let now = self.clock.now();
            if tidied.is_none_or(|at| now.since(at) >= TIDY) {
                tidied = Some(now);
                if let Err(error) = self.accounts.tidy().await {
                    warn!(%error, "old links and sign-ups were not removed");
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = bell.rung() => {}
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }

    async fn send_due(&self, writer: &Writer, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let letter = match self.accounts.next_letter().await {
                Ok(Some(letter)) => letter,
                Ok(None) => return,
                Err(error) => {
                    warn!(%error, "mail of our own cannot be looked for");
                    return;
                }
            };
            let id = letter.id;
            if let Err(why) = self.send(writer, &letter).await {
                warn!(%id, why, "a mail of our own was not accepted; it is tried again");
            }
        }
    }

    /// The door first, the note after it: a crash in between sends the mail twice rather than never.
    async fn send(&self, writer: &Writer, letter: &Letter) -> Result<(), String> {
        let mode = self.accounts.sign_up_mode().await;
        let mode = mode.map_err(|error| error.to_string())?.mode;
        if !can_be_used(&letter.says, mode) {
            info!(notice = %letter.id, "a link that nobody may use any more is not mailed");
            let dropped = self.accounts.letter_sent(letter.id).await;
            return dropped.map_err(|error| error.to_string());
        }
        let now = self.clock.now();
        let message_id = format!("{}@{}", self.ids.next(now), self.settings.hostname);
        let body = writer
            .write(letter, now, &message_id)
            .map_err(|error| error.to_string())?;
        let postmaster = self
            .accounts
            .postmaster()
            .await
            .map_err(|error| error.to_string())?;
        let submission = Submission {
            principal: Principal {
                // Without an operator it is nobody's.
                account: postmaster.unwrap_or(Id::from_bytes([0; 16])),
                login: None,
                email: self.settings.from.address.to_string(),
                stamp: 0,
                via: Via::System,
            },
            origin: Origin::notice(),
            envelope: Envelope {
                // RFC 3834 section 3.3: nobody is to answer an automatic mail, least of all automatically.
                reverse_path: None,
                recipients: vec![Recipient {
                    address: letter.to.clone(),
                    notify: Notify::Never,
                    orcpt: None,
                }],
                ret: None,
                envid: None,
            },
            body: Bytes::from(body),
            given: None,
        };
        let accepted = self
            .outbound
            .accept(submission)
            .await
            .map_err(|refused| refused.to_string())?;
        info!(notice = %letter.id, id = %accepted.id, "a mail of our own is on its way");
        if let Err(error) = self.accounts.letter_sent(letter.id).await {
            warn!(notice = %letter.id, %error, "a mail of our own was accepted, which cannot be noted; it is sent once more");
        }
        Ok(())
    }
}

/// Whether the link of this letter can be used.
fn can_be_used(says: &Says, mode: SignUpMode) -> bool {
    match says {
        Says::Confirm { .. } => mode == SignUpMode::Open,
        Says::Invitation { .. } => mode != SignUpMode::Closed,
        Says::HasAccount
        | Says::Reset { .. }
        | Says::UserInvitation { .. }
        | Says::SenderAsked { .. }
        | Says::InvitedElsewhere { .. }
        | Says::PasswordChanged { .. }
        | Says::Credits { .. }
        | Says::SecondStep { .. }
        | Says::Paused { .. }
        | Says::Suspended { .. }
        | Says::Resumed
        | Says::HookBroke { .. }
        | Says::WebhookPaused { .. }
        | Says::DomainMissing { .. }
        | Says::Impersonated { .. }
        | Says::RoleChanged { .. } => true,
    }
}
