//! What rows say is stored beside their ledger.

use crate::format::artifact::ArtifactEntry;
use crate::format::event::EventKind;
use crate::format::json::Malformed;
use crate::format::row::Row;
use crate::format::session_context::SessionContext;

/// What a row names, each in words and with its entry: artifacts, or the lockfile and the code of a session.
pub fn of_row(row: &Row<'_>) -> Result<Vec<(String, ArtifactEntry)>, Malformed> {
    if row.event == EventKind::Session {
        let context = SessionContext::read(row.context)?;
        let lockfile = context.lockfile().map(|entry| ("lockfile", entry));
        return Ok(lockfile
            .into_iter()
            .chain(context.code())
            .map(|(name, entry)| (format!("a {name}"), entry))
            .collect());
    }
    let artifacts = row.artifacts.pairs()?.into_iter();
    Ok(artifacts
        .map(|(name, json)| (name, ArtifactEntry::read(json)))
        .filter(|(_, entry)| entry.stored)
        .map(|(name, entry)| (format!("the artifact '{name}'"), entry))
        .collect())
}
