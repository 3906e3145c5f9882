//! What event hooks say while a message is begun and its recipients are named.

use std::sync::Arc;

use accounts::{AccountsError, Principal};
use mail::address::Address;
use mail::smtp::server::Verdict;
use outbound::hooks::{Asked, Facts, Stage};
use tracing::info;

use super::connection::Connection;

impl Connection {
    pub(super) async fn hooks_at_mail(&mut self, from: Option<&Address>) -> Result<Verdict, AccountsError> {
        Arc::make_mut(&mut self.named).clear();
        let Some(who) = self.principal.clone() else {
            return Ok(Verdict::Accept);
        };
        let hooks = self.shared.outbound.hooks();
        let Some(asked) = hooks.at(&who, Stage::Mail).await? else {
            return Ok(Verdict::Accept);
        };
        let origin = self.origin(&who, false).await?;
        let mut facts = Facts::begin(&who, &origin, from);
        let said = hooks.ask(&who, &asked, &mut facts, &mut hooks.together()).await;
        Ok(self.said(&who, said))
    }

    pub(super) async fn hooks_at_rcpt(&mut self, recipient: &Address) -> Result<Verdict, AccountsError> {
        let Some(who) = self.principal.clone() else {
            return Ok(Verdict::Accept);
        };
        let hooks = self.shared.outbound.hooks();
        let Some(asked) = hooks.at(&who, Stage::Rcpt).await? else {
            return Ok(Verdict::Accept);
        };
        let origin = self.origin(&who, false).await?;
        let facts = Facts::begin(&who, &origin, self.sender.as_ref());
        let mut facts = facts.recipient(recipient, Arc::clone(&self.named));
        let said = hooks.ask(&who, &asked, &mut facts, &mut hooks.together()).await;
        drop(facts);
        let verdict = self.said(&who, said);
        if matches!(verdict, Verdict::Accept) {
            Arc::make_mut(&mut self.named).push(recipient.to_string());
        }
        Ok(verdict)
    }

    fn said(&self, who: &Principal, said: Asked) -> Verdict {
        match said.refusal {
            None => Verdict::Accept,
            Some(reply) => {
                info!(connection = self.id, account = %who.account, %reply, "a hook refused");
                Verdict::Refuse(reply)
            }
        }
    }
}
