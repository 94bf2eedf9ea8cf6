//! What may still be recorded of a run that has begun.

use crate::error::{Error, Result};
use crate::format::event::EventKind;
use crate::ledger::{Ledger, Position, ReadSince};
use crate::views::fold::fold;
use crate::views::runs::{Part, Run, Runs, Status};

/// The error that nothing can be added to a run any more, if that is so.
pub fn check_open(runs: &Runs, id: &str) -> Result<()> {
    let run = runs.known(id)?;
    match runs.run_ids.is_open(run.row)? {
        true => Ok(()),
        false => Err(ended(run)),
    }
}

/// The same of a run that was open at a position. It still is unless a row since has ended or resumed it: only then, or
/// where the position isn't there any more, are all rows looked at.
pub fn check_still_open(read_since: ReadSince<'_>, position: &Position, id: &str) -> Result<()> {
    match is_untouched(&read_since(position)?, id)? {
        true => Ok(()),
        false => check_open(&fold(&read_since(&Position::origin())?)?, id),
    }
}

fn is_untouched(since: &Ledger, id: &str) -> Result<bool> {
    if since.is_whole() {
        return Ok(false);
    }
    for row in since.rows() {
        let row = row?;
        if row.run_id == id && matches!(row.event, EventKind::End | EventKind::Resume) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Who resumes a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The process that began it, or resumed it last.
    Its,
    Another,
    /// Another one, which has said that it takes the run from its process.
    Taker,
}

/// The session from which a run is taken when it is resumed; none if it has ended or its process is gone. A finished
/// run can't be resumed, and one that reads as running is taken only by who says so.
pub fn resume(runs: &Runs, id: &str, by: By) -> Result<Option<String>> {
    let run = runs.known(id)?;
    runs.load(&[run.row], &[Part::Sessions])?;
    match run.status() {
        Status::Finished => Err(ended(run)),
        Status::Failed | Status::Interrupted => Ok(None),
        Status::Running if by == By::Its || run.is_lost() => Ok(None),
        Status::Running if by == By::Taker => Ok(Some(run.session().id.clone())),
        Status::Running => Err(Error::Running {
            run_id: id.to_owned(),
        }),
    }
}

fn ended(run: Run<'_>) -> Error {
    Error::Ended {
        run_id: run.id().to_owned(),
        how: match run.status() {
            Status::Failed => "has failed",
            Status::Interrupted => "was interrupted",
            Status::Finished | Status::Running => "has finished",
        },
    }
}
