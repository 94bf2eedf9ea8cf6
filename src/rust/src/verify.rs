//! Verifying, checkpoints and repair.

use extendr_api::prelude::*;
use fitledger_core::views::checkpoint::{self, Checkpoint};
use fitledger_core::views::repair::LeftOut;
use fitledger_core::views::verify;

use crate::append_request::{AppendRequest, Entropy};
use crate::artifacts::progress;
use crate::from_r::path;
use crate::guard::{Failure, guard};
use crate::r::{self, R, path_text};
use crate::to_r;

/// `list(status, anchored, rows, row, byte, why, problems)`; `checkpoint` is `NULL` or its text.
///
/// @noRd
#[extendr]
fn native_verify(file: Robj, checkpoint: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        let path = path(&file)?;
        let checkpoint = match R::of(&checkpoint).string() {
            None => None,
            Some(text) => Some(parse_checkpoint(&text)?),
        };
        let mut progress = progress(&on_progress);
        let report = verify::verify_with(&path, checkpoint.as_ref(), &mut progress)?;
        let number = |x: Option<u64>| x.map_or(Robj::from(Rfloat::na()), |x| Robj::from(x as f64));
        let fault = report.fault.as_ref();
        let problems = &report.problems;
        Ok(list!(
            status = report.status.name(),
            anchored = report.anchored,
            rows = report.rows as f64,
            row = number(fault.map(|fault| fault.row)),
            byte = number(fault.map(|fault| fault.byte)),
            why = fault.map_or(Robj::from(()), |fault| Robj::from(fault.why.as_str())),
            problems = list!(
                row = to_r::doubles(problems.iter().map(|problem| problem.row as f64)),
                kind = to_r::strings(problems.iter().map(|problem| Some(problem.kind))),
                problem = to_r::strings(problems.iter().map(|problem| Some(problem.what.as_str())))
            )
        )
        .into())
    })
}

fn parse_checkpoint(text: &str) -> Result<Checkpoint, Failure> {
    Checkpoint::parse(text).map_err(|bad| Failure {
        class: "argument",
        message: format!(
            "`checkpoint` is not a checkpoint: its line {} must be {}.",
            bad.line, bad.wants
        ),
        hint: "Give the lines that `checkpoint_ledger()` returned; read them from a file with `readLines()`.".into(),
        ..Failure::default()
    })
}

/// The text of a checkpoint of the ledger as it is on disk now.
///
/// @noRd
#[extendr]
fn native_checkpoint(file: Robj) -> Robj {
    guard(|| {
        let path = path(&file)?;
        let checkpoint = checkpoint::take(&path, &mut r::patience(&path))?;
        Ok(Robj::from(checkpoint.to_string()))
    })
}

/// Repairs a ledger: `NULL` when every row holds, else `list(byte, bytes, file, rows, run_ids, left_out)`: where the
/// damage began, how much was set aside and in which file, and what was carried over from behind it.
///
/// @noRd
#[extendr]
fn native_repair(request: Robj) -> Robj {
    guard(|| {
        let request = AppendRequest::of(&request)?;
        let Some(repaired) = request.repair(&mut Entropy::new())? else {
            return Ok(Robj::from(()));
        };
        let (aside, carried) = (repaired.aside, repaired.carried.unwrap_or_default());
        let left_out = &carried.left_out;
        let texts = |of: fn(&LeftOut) -> Option<&str>| to_r::strings(left_out.iter().map(of));
        let seqs = left_out.iter().map(|row| match row.seq {
            Some(seq) => Rfloat::from(seq.0 as f64),
            None => Rfloat::na(),
        });
        Ok(list!(
            byte = aside.offset as f64,
            bytes = aside.length as f64,
            file = path_text(&aside.file),
            rows = carried.rows as f64,
            run_ids = to_r::strings(carried.run_ids.iter().map(|id| Some(id.as_str()))),
            left_out = list!(
                byte = to_r::doubles(left_out.iter().map(|row| row.byte as f64)),
                row = seqs.collect::<Doubles>(),
                event = texts(|row| row.event.as_deref()),
                run_id = texts(|row| row.run_id.as_deref()),
                why = texts(|row| Some(&row.why))
            )
        )
        .into())
    })
}

extendr_module! {
    mod verify;
    fn native_verify;
    fn native_checkpoint;
    fn native_repair;
}
