//! The first row: it is the ledger's own, and says its format and its id.

use crate::format::event::EventKind;
use crate::format::id::{Seq, is_ledger_id};
use crate::format::json::Json;
use crate::format::row::Row;

/// The format that this code reads and writes.
pub const FORMAT: i64 = 1;

pub enum First {
    Newer(String),
    Wrong,
}

/// Row 1 is the ledger's own and says its format; no other row is.
pub fn check_first(row: &Row<'_>) -> std::result::Result<(), First> {
    if (row.event == EventKind::Ledger) != (row.seq == Seq(1)) {
        return Err(First::Wrong);
    }
    if row.seq != Seq(1) {
        return Ok(());
    }
    let context = Json::parse(&row.context.text()).map_err(|_| First::Wrong)?;
    let id = context.get("id").and_then(Json::as_str);
    match context.get("format").and_then(Json::as_int) {
        Some(FORMAT) if id.is_some_and(is_ledger_id) => Ok(()),
        Some(later) if later > FORMAT => Err(First::Newer(format!(
            "its format is {later}, this version knows {FORMAT}"
        ))),
        _ => Err(First::Wrong),
    }
}
