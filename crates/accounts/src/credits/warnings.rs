//! Mail about credits that run out: at a fifth, at a twentieth and at nothing of what the last grant made it, each once.

use std::time::Duration;

use mail::time::Time;
use serde::{Deserialize, Serialize};
use store::{Id, Ids, Tx};

use crate::notices::{self, Matter};

/// How little is left of what was there behind the last grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Left {
    /// At most 20 %.
    Fifth,
    /// At most 5 %.
    Twentieth,
    Nothing,
}

impl Left {
    /// Of `left` credits where there were `mark`; `None` while nobody needs to care.
    pub fn of(left: i64, mark: i64) -> Option<Self> {
        if left <= 0 {
            Some(Self::Nothing)
        } else if left.saturating_mul(20) <= mark {
            Some(Self::Twentieth)
        } else if left.saturating_mul(5) <= mark {
            Some(Self::Fifth)
        } else {
            None
        }
    }

    /// As it is stored; 0 stands for no warning.
    pub(crate) const fn step(self) -> i64 {
        match self {
            Self::Fifth => 1,
            Self::Twentieth => 2,
            Self::Nothing => 3,
        }
    }
}

/// An account's credits behind a change.
#[derive(Clone, Copy)]
pub(super) struct Balance {
    pub(super) left: i64,
    pub(super) mark: i64,
    /// The step that its people were last told of.
    pub(super) warned: i64,
}

/// Notes a mail to each owner and admin of the account where a change brought its balance below a step that they do not know of.
/// It belongs into the transaction of that change: no node says it again, and no crash forgets it.
pub(super) fn note(
    tx: &mut Tx<'_>,
    ids: &Ids,
    account: Id,
    balance: Balance,
    now: Time,
) -> store::Result<()> {
    let Balance { left, mark, warned } = balance;
    let Some(few) = Left::of(left, mark).filter(|few| few.step() > warned) else {
        return Ok(());
    };
    tx.run(
        "UPDATE accounts SET credit_warned = $2 WHERE id = $1",
        &[(&account).into(), few.step().into()],
    )?;
    let matter = Matter::Credits {
        account: account.to_string(),
        few,
        left,
        mark,
    };
    for row in tx.query(
        "SELECT email FROM logins WHERE account = $1 AND role IN ('owner', 'admin')",
        &[(&account).into()],
    )? {
        notices::note(tx, ids.next(now), &row.text(0)?, &matter, (now, Duration::ZERO))?;
    }
    Ok(())
}

/// Whether a mail about this is still true: not where a grant came since, nor where another mail says that it got worse.
pub(crate) fn still_true(tx: &mut Tx<'_>, account: Id, few: Left) -> store::Result<bool> {
    let row = tx.query_opt(
        "SELECT credit_warned FROM accounts WHERE id = $1",
        &[(&account).into()],
    )?;
    row.map_or(Ok(false), |row| Ok(row.int(0)? == few.step()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_credits_have_three_steps() {
        let of = |left| Left::of(left, 500);
        assert_eq!((of(500), of(101)), (None, None));
        assert_eq!((of(100), of(26)), (Some(Left::Fifth), Some(Left::Fifth)));
        assert_eq!((of(25), of(1)), (Some(Left::Twentieth), Some(Left::Twentieth)));
        assert_eq!(of(0), Some(Left::Nothing));
        assert_eq!(Left::of(1, 1), None);
        assert_eq!(Left::of(0, 0), Some(Left::Nothing));
        assert!(Left::Fifth < Left::Twentieth && Left::Twentieth < Left::Nothing);
    }
}
