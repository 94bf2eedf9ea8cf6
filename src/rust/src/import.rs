//! Importing another ledger.

use extendr_api::prelude::*;
use fitledger_core::Error;
use fitledger_core::views::import::{Bytes, Imported, LeftOut, Source};

use crate::append_request::{AppendRequest, Entropy, Remarks, with_remarks};
use crate::artifacts::progress;
use crate::deferred::DeferredStrings;
use crate::from_r::path;
use crate::guard::guard;
use crate::r::{self, R};
use crate::to_r;

/// Imports another ledger, or says what that would bring: `list(run_ids, rows, sessions, objects, left_out)`, the ids of
/// the runs that came, how many rows, sessions and stored files, and the rows of which something did not.
///
/// @noRd
#[extendr]
fn native_import(request: Robj, from: Robj, dry_run: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        let request = AppendRequest::of(&request)?;
        let (from, target) = (path(&from)?, request.path());
        let mut entropy = Entropy::new();
        let mut progress = progress(&on_progress);
        let source = Source::read(&from, target)?;
        if r::interrupted() {
            return Err(Error::Interrupted.into());
        }
        if R::of(&dry_run).is_true() {
            let plan = source.look(
                target,
                &mut |bytes| entropy.fill(bytes),
                &mut r::interrupted,
            )?;
            let mut bytes = Bytes::between(&from, target, true);
            let random = &mut |bytes: &mut [u8]| entropy.fill(bytes);
            let imported = plan.finish(&mut bytes, random, &mut progress)?;
            return Ok(with_remarks(value(imported), Remarks::default()));
        }
        let stored = source.stored()?;
        if !stored.is_empty() {
            request.begin(&mut entropy)?;
        }
        let mut bytes = Bytes::between(&from, target, false);
        let random = &mut |bytes: &mut [u8]| entropy.fill(bytes);
        // This may take long. What of it rows will name is decided under the lock.
        bytes.bring_ahead(&stored, random, &mut progress)?;
        let (imported, remarks) = request.import(&mut entropy, &source, &mut bytes)?;
        Ok(with_remarks(value(imported), remarks))
    })
}

fn value(imported: Imported) -> Robj {
    let left_out = &imported.left_out;
    let texts = |of: fn(&LeftOut) -> Option<&str>| to_r::strings(left_out.iter().map(of));
    let run_ids: DeferredStrings = imported.run_ids.iter().map(String::as_str).collect();
    list!(
        run_ids = run_ids.into_vector(),
        rows = imported.rows as f64,
        sessions = imported.sessions as f64,
        objects = imported.objects as f64,
        left_out = list!(
            row = to_r::doubles(left_out.iter().map(|it| it.seq.0 as f64)),
            event = texts(|it| Some(&it.event)),
            run_id = texts(|it| it.run_id.as_deref()),
            copied = left_out
                .iter()
                .map(|it| Rbool::from(it.copied))
                .collect::<Logicals>(),
            why = texts(|it| Some(&it.why))
        )
    )
    .into()
}

extendr_module! {
    mod import;
    fn native_import;
}
