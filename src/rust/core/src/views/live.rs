//! What may still be recorded of a run that has begun.

use crate::error::{Ending, Error, Result};
use crate::format::event::EventKind;
use crate::format::series;
use crate::ledger::{Position, ReadSince};
use crate::views::runs::{Part, Run, Runs, Status};

/// A run of this process's, and up to where in its ledger nobody else has ended it or gone on with it.
#[derive(Debug)]
pub struct Watch {
    id: String,
    looked: Position,
    /// When something was reported of it last in the rows that came since, by whomever, in seconds since 1970.
    reported: Option<f64>,
    /// How it was found to have ended, or to be another process's.
    ended: Option<Ending>,
}

impl Watch {
    /// Of a run that was open when the ledger had got to a position.
    pub fn new(id: String, looked: Position) -> Watch {
        let (reported, ended) = (None, None);
        Watch {
            id,
            looked,
            reported,
            ended,
        }
    }

    /// The error that nothing can be added to the run any more, if somebody else has seen to that; else when something was
    /// reported of it last since it is watched, in seconds since 1970. What is to count as later must not be reported before.
    pub fn check_open(&mut self, read_since: ReadSince<'_>) -> Result<Option<f64>> {
        let outcome = match self.ended {
            Some(how) => Err(Error::Ended {
                run_id: self.id.clone(),
                how,
            }),
            None => self.look(read_since),
        };
        if let Err(Error::Ended { how, .. }) = outcome {
            self.ended = Some(how);
        }
        outcome.map(|()| self.reported)
    }

    fn look(&mut self, read_since: ReadSince<'_>) -> Result<()> {
        let appended = read_since(&self.looked)?;
        if appended.is_whole() {
            // It is another file than it was.
            let runs = Runs::fold(&appended)?;
            check_open(&runs, &self.id)?;
            self.reported = last_report(&runs, &self.id)?;
            return Ok(());
        }
        let mut rows = appended.rows();
        for row in rows.by_ref() {
            let row = row?;
            match row.event {
                _ if row.run_id != self.id => {}
                EventKind::Resume => {
                    return Err(taken_over(&self.id));
                }
                // Whether it counts depends on what came before.
                EventKind::End => {
                    check_open(&Runs::fold(&read_since(&Position::origin())?)?, &self.id)?;
                }
                EventKind::Log => {
                    let times = series::reported_in(row.metrics, row.time);
                    self.reported = times
                        .into_iter()
                        .chain(self.reported)
                        .max_by(f64::total_cmp);
                }
                _ => {}
            }
        }
        self.looked = rows.position();
        Ok(())
    }
}

/// A run that has begun in this ledger, or the error that the file isn't the one it was.
pub fn begun<'a>(runs: &'a Runs, id: &str) -> Result<Run<'a>> {
    runs.known(id).map_err(|e| match e {
        Error::Unknown { .. } => Error::RunGone {
            run_id: id.to_owned(),
        },
        e => e,
    })
}

/// The error that nothing can be added to a run any more, if that is so.
pub fn check_open(runs: &Runs, id: &str) -> Result<()> {
    let run = begun(runs, id)?;
    match runs.run_ids.is_open(run.row)? {
        true => Ok(()),
        false => Err(ended(run)),
    }
}

/// When a value of a run was reported last, in seconds since 1970.
pub fn last_report(runs: &Runs, id: &str) -> Result<Option<f64>> {
    Ok(runs.last_report(begun(runs, id)?.row)?)
}

/// Whether one of some sessions is the one that a run was begun in, or resumed in last.
pub fn is_of_session(runs: &Runs, id: &str, sessions: &[String]) -> Result<bool> {
    let run = runs.known(id)?;
    runs.load(&[run.row], &[Part::Sessions])?;
    Ok(sessions.contains(&run.session().id))
}

/// The error that another process has resumed a run since it was begun, or resumed, in one of some sessions.
pub fn check_session(runs: &Runs, id: &str, sessions: &[String]) -> Result<()> {
    match is_of_session(runs, id, sessions)? {
        true => Ok(()),
        false => Err(taken_over(id)),
    }
}

/// The error that a run has an artifact of one of these names already, if that is so.
pub fn check_new_artifacts(runs: &Runs, id: &str, names: &[String]) -> Result<()> {
    let run = runs.known(id)?;
    if names.is_empty() {
        return Ok(());
    }
    runs.load(&[run.row], &[Part::Extras])?;
    let taken = |name: &&String| run.artifacts().iter().any(|(known, _)| known == *name);
    match names.iter().find(taken) {
        None => Ok(()),
        Some(name) => Err(Error::Argument {
            arg: "name",
            why: format!("The run `{id}` has an artifact `{name}` already"),
            hint: "Nothing was logged. Give this one a name of its own.".into(),
        }),
    }
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

fn taken_over(id: &str) -> Error {
    Error::Ended {
        run_id: id.to_owned(),
        how: Ending::TakenOver,
    }
}

fn ended(run: Run<'_>) -> Error {
    Error::Ended {
        run_id: run.id().to_owned(),
        how: match run.status() {
            Status::Failed => Ending::Failed,
            Status::Interrupted => Ending::Interrupted,
            Status::Finished | Status::Running => Ending::Finished,
        },
    }
}
