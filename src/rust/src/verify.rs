//! Verifying, checkpoints and repair.

use extendr_api::prelude::*;
use fitledger_core::format::object::Object;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::{self, Append, Session};
use fitledger_core::views::checkpoint::{self, Checkpoint};
use fitledger_core::views::verify;

use crate::append_request::Entropy;
use crate::from_r::path;
use crate::guard::{Failure, guard};
use crate::r::{self, R};
use crate::to_r;

/// `list(status, anchored, rows, row, byte, why, problems)`; `checkpoint` is `NULL` or its text.
///
/// @noRd
#[extendr]
fn native_verify(file: Robj, checkpoint: Robj) -> Robj {
    guard(|| {
        let path = path(&file)?;
        let checkpoint = match R::of(&checkpoint).string() {
            None => None,
            Some(text) => Some(parse_checkpoint(&text)?),
        };
        let report = verify::verify(&path, checkpoint.as_ref())?;
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

/// Sets damage aside: `list(byte, bytes)`, or `NULL` when every row holds.
///
/// @noRd
#[extendr]
fn native_repair(file: Robj) -> Robj {
    guard(|| {
        let path = path(&file)?;
        let mut entropy = Entropy::new();
        let mut how = Append {
            session: Session {
                version: 0,
                context: &Object::new(),
                lockfile: None,
            },
            sync: true,
            now: Timestamp::now(),
            random: &mut |bytes| entropy.fill(bytes),
            give_up: &mut r::patience(&path),
        };
        Ok(match ledger::repair(&path, &mut how)? {
            None => Robj::from(()),
            Some(aside) => list!(byte = aside.at as f64, bytes = aside.bytes as f64).into(),
        })
    })
}

extendr_module! {
    mod verify;
    fn native_verify;
    fn native_checkpoint;
    fn native_repair;
}
