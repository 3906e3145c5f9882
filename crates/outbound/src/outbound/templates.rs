//! Templates as the people of an account see and change them.

use accounts::{By, audit, changes};
use store::{Id, Result};

use super::Outbound;
use crate::templates::{self, MOST, Name, Template};

/// What a template says.
#[derive(Clone, Debug, Default)]
pub struct Wording {
    pub subject: String,
    pub text: String,
    pub html: String,
}

/// What came of making a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    Yes(Template),
    /// There is one of this name.
    Exists,
    /// The account has as many as it may.
    Full,
}

impl Outbound {
    pub async fn templates(&self, account: Id) -> Result<Vec<Template>> {
        let db = &self.0.parts.db;
        db.read("list the templates", move |tx| templates::list(tx, account))
            .await
    }

    pub async fn template(&self, account: Id, name: &Name) -> Result<Option<Template>> {
        let name = name.clone();
        let db = &self.0.parts.db;
        db.peek("find a template", move |tx| templates::find(tx, account, &name))
            .await
    }

    pub async fn create_template(&self, account: Id, name: Name, wording: Wording, by: &By) -> Result<Made> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let (line, by) = (parts.ids.next(now), by.clone());
        let new = Template {
            name: name.to_string(),
            subject: wording.subject,
            text: wording.text,
            html: wording.html,
            created_at: now,
            updated_at: now,
        };
        let done = parts.db.write("create a template", move |tx| {
            // One after the other, so that none counts what another is just adding.
            changes::alone(tx)?;
            if templates::count(tx, account)? >= MOST {
                return Ok(Made::Full);
            }
            if !templates::insert(tx, account, &new)? {
                return Ok(Made::Exists);
            }
            audit::note(tx, (line, now), account, &by, "template.created", &new.name, "")?;
            Ok(Made::Yes(new.clone()))
        });
        done.await
    }

    /// Replaces what a template says; none where there is no such template.
    pub async fn change_template(
        &self,
        account: Id,
        name: &Name,
        wording: Wording,
        by: &By,
    ) -> Result<Option<Template>> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let (line, by, name) = (parts.ids.next(now), by.clone(), name.clone());
        let done = parts.db.write("change a template", move |tx| {
            let Some(there) = templates::find(tx, account, &name)? else {
                return Ok(None);
            };
            let Wording { subject, text, html } = wording.clone();
            let changed = Template {
                subject,
                text,
                html,
                updated_at: now,
                ..there
            };
            // Somebody may delete it at this moment.
            if !templates::update(tx, account, &changed)? {
                return Ok(None);
            }
            audit::note(
                tx,
                (line, now),
                account,
                &by,
                "template.changed",
                name.as_str(),
                "",
            )?;
            Ok(Some(changed))
        });
        done.await
    }

    /// False where there is no such template.
    pub async fn delete_template(&self, account: Id, name: &Name, by: &By) -> Result<bool> {
        let parts = &self.0.parts;
        let now = parts.clock.now();
        let (line, by, name) = (parts.ids.next(now), by.clone(), name.clone());
        let done = parts.db.write("delete a template", move |tx| {
            let removed = templates::remove(tx, account, &name)?;
            if removed {
                audit::note(
                    tx,
                    (line, now),
                    account,
                    &by,
                    "template.deleted",
                    name.as_str(),
                    "",
                )?;
            }
            Ok(removed)
        });
        done.await
    }
}
