//! The first row: it is the ledger's own, and says its format and its id.

use crate::format::event::EventKind;
use crate::format::id::{Seq, is_ledger_id};
use crate::format::ledger_context::LedgerContext;
use crate::format::row::Row;

/// The format that this code reads and writes.
pub const FORMAT: i64 = 1;

pub enum First {
    Newer(String),
    Wrong,
}

/// Row 1 is the ledger's own and says its format and its id, in this order; no other row is.
pub fn check_first(row: &Row<'_>) -> std::result::Result<(), First> {
    if (row.event == EventKind::Ledger) != (row.seq == Seq(1)) {
        return Err(First::Wrong);
    }
    if row.seq != Seq(1) {
        return Ok(());
    }
    let context = LedgerContext::read(row.context).map_err(|_| First::Wrong)?;
    match context.format {
        Some(FORMAT) if is_own(row, &context) => Ok(()),
        Some(later) if later > FORMAT => Err(First::Newer(format!(
            "its format is {later}, this version knows {FORMAT}"
        ))),
        _ => Err(First::Wrong),
    }
}

fn is_own(row: &Row<'_>, context: &LedgerContext) -> bool {
    let bare = row.run_id.is_empty() && row.cells()[..3].iter().all(|cell| cell.is_empty());
    let named = context.id.as_deref().is_some_and(is_ledger_id);
    bare && named && LedgerContext::begins_so(row.context)
}
