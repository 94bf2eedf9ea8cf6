//! The session of the rows: the row that says with what they were made, where it isn't on record yet.

use std::path::Path;

use crate::error::Result;
use crate::format::artifact::ArtifactEntry;
use crate::format::digest::Digest;
use crate::format::event::{Event, EventKind};
use crate::format::id::{self, Random};
use crate::format::session_context::SessionContext;
use crate::ledger::append::draft::Draft;
use crate::ledger::append::memory::{Known, WrittenSession};
use crate::ledger::append::request::Append;
use crate::ledger::objects::Objects;

/// The session that rows are of.
pub(in crate::ledger) struct Entered {
    pub id: String,
    /// The row that the draft begins it with, if it isn't on record.
    pub fresh: Option<WrittenSession>,
    /// What it should name and doesn't, with the reason.
    pub not_recorded: Option<String>,
}

/// Goes on with the session on record if its context is the same, else begins one.
pub(super) fn enter(
    ledger: &Path,
    known: &Known,
    how: &mut Append<'_>,
    draft: &mut Draft,
) -> Result<Entered> {
    match &known.session {
        Some(session) if session.version == how.session.version => Ok(Entered {
            id: session.id.clone(),
            fresh: None,
            not_recorded: None,
        }),
        _ => begin(ledger, how, draft),
    }
}

/// Drafts what [`enter`] will, if all can be stored that the session names, and gives the session's id. Nothing is stored.
pub(super) fn foresee(
    known: Option<&Known>,
    how: &mut Append<'_>,
    draft: &mut Draft,
) -> Result<String> {
    let known = known.and_then(|known| known.session.as_ref());
    if let Some(session) = known.filter(|session| session.version == how.session.version) {
        return Ok(session.id.clone());
    }
    let entry = |bytes: &[u8]| ArtifactEntry::of_bytes(Digest::of(&[bytes]), bytes.len() as u64);
    let id: String = id::short_id(how.random).collect();
    let lockfile = how.session.lockfile.map(entry);
    let code = how.session.code.iter();
    let code: Vec<_> = code.map(|(name, bytes)| (*name, entry(bytes))).collect();
    draft.add(how.now, &event(&id, how, lockfile.as_ref(), &code))?;
    Ok(id)
}

fn event(
    id: &str,
    how: &Append<'_>,
    lockfile: Option<&ArtifactEntry>,
    code: &[(&'static str, ArtifactEntry)],
) -> Event {
    Event {
        context: SessionContext::object(id, how.session.context, lockfile, code),
        ..Event::new(EventKind::Session)
    }
}

/// Begins a session with a row of its own.
pub(in crate::ledger) fn begin(
    ledger: &Path,
    how: &mut Append<'_>,
    draft: &mut Draft,
) -> Result<Entered> {
    let id: String = id::short_id(how.random).collect();
    // Without them the session still says which packages there were, and what hash the code has, so
    // that what can't be stored is a warning.
    let mut missing = Vec::new();
    let mut stored = |what: &str, bytes: &[u8]| {
        let stored = store(ledger, bytes, how.random);
        let note = |e| missing.push(format!("{what} is not on record: {e}"));
        stored.map_err(note).ok()
    };
    let lockfile = how.session.lockfile;
    let lockfile = lockfile.and_then(|bytes| stored("The environment's lockfile", bytes));
    let mut code = Vec::new();
    for (name, bytes) in how.session.code {
        let entry = stored(&format!("The text of the {name}"), bytes);
        code.extend(entry.map(|entry| (*name, entry)));
    }
    draft.add(how.now, &event(&id, how, lockfile.as_ref(), &code))?;
    let fresh = WrittenSession {
        version: how.session.version,
        id: id.clone(),
    };
    Ok(Entered {
        id,
        fresh: Some(fresh),
        not_recorded: (!missing.is_empty()).then(|| missing.join("\n")),
    })
}

/// Stores what a session that is about to be written names.
fn store(ledger: &Path, mut bytes: &[u8], random: Random<'_>) -> Result<ArtifactEntry> {
    let stored = Objects::beside(ledger).put(&mut bytes, random, &mut |_| false)?;
    Ok(ArtifactEntry::of_bytes(stored.digest, stored.size))
}
