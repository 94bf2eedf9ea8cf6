//! How much of a ledger a page shows: which runs, and whether it says of people and machines.

use std::collections::HashSet;

use crate::format::artifact;
use crate::format::event::EventKind;
use crate::format::json::{Json, Malformed};
use crate::format::object::Object;
use crate::format::row::{Cell, Row, cell_text};
use crate::format::run_context;
use crate::format::session_context::SessionContext;

/// All of a ledger by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extent {
    /// The ids of the runs that are shown; `None` for all.
    pub runs: Option<HashSet<String>>,
    /// Nothing of people and machines is.
    pub without_context: bool,
}

/// What a row says of a run that may name people, machines or paths: the call with the versions of packages, where the
/// row came from, and the error by which the run failed.
const OF_SURROUNDINGS: [&str; 3] = [
    run_context::CALL,
    run_context::ORIGIN,
    run_context::CONDITION,
];

impl Extent {
    /// Whether a row speaks of a run that isn't shown.
    pub(super) fn leaves_out(&self, row: &Row<'_>) -> bool {
        let runs = self.runs.as_ref();
        let of_run = row.event.begins_run() || row.event.continues_run();
        of_run && runs.is_some_and(|runs| !runs.contains(row.run_id))
    }
}

/// The artifacts and the context of a row as if nothing of people and machines were on record.
pub(super) fn bare_cells(row: &Row<'_>) -> Result<[Vec<u8>; 2], Malformed> {
    let mut context = row.context.pairs()?;
    match row.event {
        EventKind::Session => context.retain(|(key, _)| key == SessionContext::ID),
        _ => context.retain(|(key, _)| !OF_SURROUNDINGS.contains(&key.as_str())),
    }
    for (key, sets) in &mut context {
        if let (run_context::DATA, Json::Object(sets)) = (key.as_str(), sets) {
            sets.iter_mut().for_each(|(_, set)| cut_path(set));
        }
    }
    let mut artifacts = row.artifacts.pairs()?;
    artifacts.iter_mut().for_each(|(_, entry)| cut_path(entry));
    Ok([artifacts, context].map(|pairs| cell_text(&Object::from(&Json::Object(pairs)))))
}

/// The row with these cells.
pub(super) fn with_cells<'a>(row: &Row<'a>, [artifacts, context]: &'a [Vec<u8>; 2]) -> Row<'a> {
    Row {
        artifacts: Cell::of(artifacts),
        context: Cell::of(context),
        ..row.clone()
    }
}

/// Leaves of a file's path its name.
fn cut_path(entry: &mut Json) {
    let Json::Object(pairs) = entry else { return };
    for (key, value) in pairs {
        if let (artifact::FILE, Json::Str(path)) = (key.as_str(), value) {
            let name = path.rsplit(['/', '\\']).next();
            *path = name.unwrap_or_default().to_owned();
        }
    }
}
