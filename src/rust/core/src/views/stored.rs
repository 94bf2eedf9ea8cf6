//! What rows say is stored beside their ledger.

use std::collections::HashSet;

use crate::error::Result;
use crate::format::artifact::{ArtifactEntry, Preview};
use crate::format::digest::Digest;
use crate::format::event::EventKind;
use crate::format::json::Malformed;
use crate::format::row::Row;
use crate::format::session_context::SessionContext;
use crate::ledger::Ledger;

/// What a row names, each in words and with its entry: artifacts and the pictures of them, or the lockfile and the code
/// of a session.
pub fn of_row(row: &Row<'_>) -> std::result::Result<Vec<(String, ArtifactEntry)>, Malformed> {
    if row.event == EventKind::Session {
        let context = SessionContext::read(row.context)?;
        let lockfile = context.lockfile().map(|entry| ("lockfile", entry));
        return Ok(lockfile
            .into_iter()
            .chain(context.code())
            .map(|(name, entry)| (format!("a {name}"), entry))
            .collect());
    }
    let mut named = Vec::new();
    for (name, json) in row.artifacts.pairs()? {
        let preview = Preview::of(&json);
        let entry = ArtifactEntry::read(json);
        if let Some(Preview::Image(image)) = preview {
            named.push((format!("the preview of the artifact '{name}'"), image));
        }
        if entry.stored {
            named.push((format!("the artifact '{name}'"), entry));
        }
    }
    Ok(named)
}

/// The bytes that some rows name, each once; what a row says so that nobody can read it names none.
pub fn digests<'a>(rows: impl Iterator<Item = Row<'a>>) -> Vec<Digest> {
    let named = rows.filter_map(|row| of_row(&row).ok()).flatten();
    let mut seen = HashSet::new();
    let digests = named.filter_map(|(_, entry)| entry.digest());
    digests.filter(|digest| seen.insert(*digest)).collect()
}

/// All that a ledger names.
pub fn of_ledger(ledger: &Ledger) -> Result<Vec<Digest>> {
    let mut failed = None;
    let rows = ledger
        .rows()
        .map_while(|row| row.map_err(|e| failed = Some(e)).ok());
    let digests = digests(rows);
    failed.map_or(Ok(digests), Err)
}
