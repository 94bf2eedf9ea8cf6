//! MLflow's file stores.

use std::collections::HashSet;
use std::path::PathBuf;

use extendr_api::prelude::*;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::objects::Objects;
use fitledger_core::ledger::{LedgerFile, Position};
use fitledger_core::mlflow::import::{self, Imported, Plan};
use fitledger_core::mlflow::place;
use fitledger_core::mlflow::read::{self, Skipped};
use fitledger_core::mlflow::store::StoreFolder;
use fitledger_core::mlflow::write::{self, Export};
use fitledger_core::views::fold::Folded;
use fitledger_core::views::promotion::State;
use fitledger_core::views::table;

use crate::append_request::{AppendRequest, Entropy, with_remarks};
use crate::artifacts::progress;
use crate::from_r::path;
use crate::guard::{Failure, guard};
use crate::query::{rows_of, texts};
use crate::r::R;
use crate::to_r;
use crate::view_cache::{SERIES, Views, guard_views};

/// The store where it really is: what leads to it is for the user to say.
fn open(from: &Robj) -> Result<StoreFolder, Failure> {
    let given = path(from)?;
    let real: PathBuf = given.canonicalize().unwrap_or(given);
    Ok(StoreFolder::open(&real)?)
}

/// Appends what a store has and the ledger hasn't: `list(run_ids, continued, known, versions, stages, left_out)`.
///
/// @noRd
#[extendr]
fn native_import_mlruns(request: Robj, from: Robj, dry_run: Robj, on_progress: Robj) -> Robj {
    guard(|| {
        let store = open(&from)?;
        let request = AppendRequest::of(&request)?;
        let mut progress = progress(&on_progress);
        let mut content = read::read(&store, &mut progress)?;
        let mut imported: Folded<Imported> = Folded::default();
        if request.path().exists() {
            imported.catch_up(&LedgerFile::open(request.path())?)?;
        }
        let (now, mut entropy) = (Timestamp::now(), Entropy::new());
        let mut wanted = HashSet::new();
        for run in &content.runs {
            if imported.view().is_open(run)? {
                wanted.insert(run.id.clone());
            }
        }
        read::check_artifacts(&mut content, &store, &wanted, &mut progress)?;
        if R::of(&dry_run).is_true() {
            content.assume_stored();
            let plan = import::plan(&content, imported.view(), now, &mut |bytes| {
                entropy.fill(bytes)
            })?;
            return Ok(report(&plan, &content.skipped));
        }
        if content.has_artifacts(&wanted) {
            let is_new = !request.path().exists();
            request.begin(&mut entropy)?;
            let stored = read::store_artifacts(
                &mut content,
                &store,
                &wanted,
                &Objects::beside(request.path()),
                &mut |bytes| entropy.fill(bytes),
                &mut progress,
            );
            if stored.is_err() && is_new {
                drop(request.discard_begun(&mut entropy));
            }
            stored?;
        }
        let plan = import::plan(&content, imported.view(), now, &mut |bytes| {
            entropy.fill(bytes)
        })?;
        if plan.events.is_empty() {
            return Ok(report(&plan, &content.skipped));
        }
        drop(plan);
        let mut decided = Plan::default();
        let mut more_entropy = Entropy::new();
        let (_, remarks) = request.append_decided(&mut entropy, |read_since| {
            let position = imported.position().copied();
            imported.take(&read_since(&position.unwrap_or(Position::origin()))?)?;
            let random: &mut dyn FnMut(&mut [u8]) = &mut |bytes| more_entropy.fill(bytes);
            decided = import::plan(&content, imported.view(), now, random)?;
            Ok(std::mem::take(&mut decided.events))
        })?;
        Ok(with_remarks(report(&decided, &content.skipped), remarks))
    })
}

fn report(plan: &Plan, skipped: &[Skipped]) -> Robj {
    let strings = |ids: &[String]| to_r::strings(ids.iter().map(|id| Some(id.as_str())));
    list!(
        run_ids = strings(&plan.run_ids),
        continued = strings(&plan.continued),
        known = plan.known as f64,
        versions = plan.versions as f64,
        stages = plan.stages as f64,
        left_out = left_out(&skipped.iter().chain(&plan.skipped).collect::<Vec<_>>())
    )
    .into()
}

fn left_out(skipped: &[&Skipped]) -> Robj {
    list!(
        what = to_r::strings(skipped.iter().map(|it| Some(it.what))),
        name = to_r::strings(skipped.iter().map(|it| Some(it.name.as_str())))
    )
    .into()
}

/// Writes some runs of a ledger, all that aren't void if `run_ids` is `NULL`, as a store: `list(left_out)`.
///
/// @noRd
#[extendr]
fn native_export_mlruns(file: Robj, to: Robj, run_ids: Robj, on_progress: Robj) -> Robj {
    guard_views(|| {
        let (file, to) = (path(&file)?, path(&to)?);
        let mut progress = progress(&on_progress);
        if let Some(what) = place::in_the_way(&to, &mut progress)? {
            return Err(Failure::exists(&to, what));
        }
        let views = Views::of(file.clone())?;
        let State { runs, registry, .. } = views.state();
        let series = SERIES.lend(file.clone())?;
        let rows = match R::of(&run_ids).is_null() {
            true => table::all_rows(runs, false)?,
            false => rows_of(runs, &texts(R::of(&run_ids))?)?,
        };
        let export = Export {
            runs,
            points: series.view(),
            registry,
            objects: &Objects::beside(&file),
            rows: &rows,
        };
        let skipped = place::place(&to, &mut progress, |folder, progress| {
            write::write(export, folder, progress)
        })?;
        Ok(list!(left_out = left_out(&skipped.iter().collect::<Vec<_>>())).into())
    })
}

extendr_module! {
    mod mlflow;
    fn native_import_mlruns;
    fn native_export_mlruns;
}
