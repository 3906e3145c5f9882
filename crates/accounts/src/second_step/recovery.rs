//! Recovery codes: ten that open the second step once each, for whoever lost app and passkeys.

use store::{Id, Tx, Value};

use crate::typed_code::TypedCode;

/// Codes of one set.
pub(super) const CODES: usize = 10;
/// Puts a new set in the old one's place. Returns it as it is shown.
pub(super) fn replace(tx: &mut Tx<'_>, login: Id, codes: &[TypedCode]) -> store::Result<Vec<String>> {
    forget(tx, login)?;
    for code in codes {
        tx.run(
            "INSERT INTO recovery_codes (login, code_hash) VALUES ($1, $2)",
            &[(&login).into(), Value::Blob(&code.hash())],
        )?;
    }
    Ok(codes.iter().map(TypedCode::shown).collect())
}

/// Uses a code up. Of two transactions with the same code one wins.
pub(super) fn take(tx: &mut Tx<'_>, login: Id, given: &str) -> store::Result<bool> {
    let Some(code) = TypedCode::read(given) else {
        return Ok(false);
    };
    let taken = tx.execute(
        "DELETE FROM recovery_codes WHERE login = $1 AND code_hash = $2",
        &[(&login).into(), Value::Blob(&code.hash())],
    )?;
    Ok(taken == 1)
}

pub(super) fn left(tx: &mut Tx<'_>, login: Id) -> store::Result<i64> {
    let row = tx.query_opt(
        "SELECT count(*) FROM recovery_codes WHERE login = $1",
        &[(&login).into()],
    )?;
    row.map_or(Ok(0), |row| row.int(0))
}

pub(super) fn forget(tx: &mut Tx<'_>, login: Id) -> store::Result<()> {
    tx.run("DELETE FROM recovery_codes WHERE login = $1", &[(&login).into()])
}
