//! The event that says which state one recipient came to.

use mail::time::Time;
use store::events::{self, Event};
use store::{Id, Result, Tx};

use crate::model::{RecipientKey, State};

/// Appends it; `data` is what there is to say beside the state.
pub(super) fn happened(
    tx: &mut Tx<'_>,
    (account, (message, ordinal)): (Id, RecipientKey),
    state: State,
    data: &serde_json::Value,
    now: Time,
) -> Result<()> {
    events::append(
        tx,
        &Event {
            at: now,
            account,
            message: Some(message),
            ordinal: Some(i64::from(ordinal)),
            kind: state.as_str(),
            data: &data.to_string(),
        },
    )
}
