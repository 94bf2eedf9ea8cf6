//! The session of the rows: the row that says with what they were made, where it isn't on record yet.

use std::path::Path;

use crate::error::Result;
use crate::format::artifact::ArtifactEntry;
use crate::format::event::{Event, EventKind};
use crate::format::id;
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
    pub warning: Option<String>,
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
            warning: None,
        }),
        _ => begin(ledger, how, draft),
    }
}

/// Begins a session with a row of its own.
pub(in crate::ledger) fn begin(
    ledger: &Path,
    how: &mut Append<'_>,
    draft: &mut Draft,
) -> Result<Entered> {
    let id: String = id::short_id(how.random).collect();
    let (lockfile, warning) = match store_lockfile(ledger, how) {
        Ok(lockfile) => (lockfile, None),
        Err(warning) => (None, Some(warning)),
    };
    let event = Event {
        context: SessionContext::object(&id, how.session.context, lockfile.as_ref()),
        ..Event::new(EventKind::Session)
    };
    draft.add(how.now, &event)?;
    let fresh = WrittenSession {
        version: how.session.version,
        id: id.clone(),
    };
    Ok(Entered {
        id,
        fresh: Some(fresh),
        warning,
    })
}

/// Stores the lockfile of a session that is about to be written. Without it the session still says
/// which packages there were, so that is a warning.
fn store_lockfile(
    ledger: &Path,
    how: &mut Append<'_>,
) -> std::result::Result<Option<ArtifactEntry>, String> {
    let Some(mut text) = how.session.lockfile else {
        return Ok(None);
    };
    let stored = Objects::beside(ledger).put(&mut text, how.random, &mut |_| false);
    match stored {
        Ok(stored) => Ok(Some(ArtifactEntry::of_bytes(stored.digest, stored.size))),
        Err(e) => Err(format!("The environment's lockfile is not on record: {e}")),
    }
}
