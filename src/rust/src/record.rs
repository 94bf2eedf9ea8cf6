//! What is on record of runs, whole: one run, artifacts, notes.

use extendr_api::prelude::*;
use fitledger_core::format::json::Json;
use fitledger_core::format::run_context::Condition;
use fitledger_core::format::session_context::SessionContext;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger::objects::Objects;
use fitledger_core::views::runs::{ALL_PARTS, Note, Part, Run, Runs};

use crate::from_r::path;
use crate::guard::Failure;
use crate::query::texts;
use crate::r::{R, path_text};
use crate::to_r;
use crate::view_cache::{RUNS, guard_views};

/// What is on record of a run but for series, artifacts and notes: `list(run_id, name, status, began, ended, experiment,
/// parent, children, params, metrics, sealed, looks, seed, stream, data, tags, call, error, void_reason, voids, session)`.
///
/// @noRd
#[extendr]
fn native_read_run(file: Robj, run_id: Robj) -> Robj {
    guard_views(|| {
        let cached = RUNS.lend(path(&file)?)?;
        let runs = cached.view();
        let row = runs
            .known(&R::of(&run_id).string().unwrap_or_default())?
            .row;
        runs.load(&[row], &ALL_PARTS)?;
        let run = runs.at(row);
        let text = |text: Option<&str>| text.map_or(Robj::from(()), Robj::from);
        let instant = |time: Option<Timestamp>| match time {
            Some(time) => to_r::instants(std::iter::once(time.seconds())),
            None => Robj::from(()),
        };
        let named = |values| to_r::value(&Value::NamedList(values));
        let json = |json: Option<&Json>| {
            json.map_or(Robj::from(()), |json| to_r::value(&Value::from_json(json)))
        };
        let sealed: Vec<String> = run.hidden().into_iter().map(|(name, _)| name).collect();
        let data = run.data().iter();
        let data = data.map(|(name, version)| (name.clone(), Value::from_json(&version.json())));
        let session = run.last_session().context.as_ref();
        // An object may stand for a value that has no names.
        let call = run.call().map(|call| Value::from_json(call.json()));
        let call = call.filter(|call| matches!(call, Value::NamedList(_)));
        Ok(list!(
            run_id = run.id(),
            name = text(run.name()),
            status = run.status_name(run.is_lost()),
            began = instant(Some(run.began())),
            ended = instant(run.ended()),
            experiment = text(run.experiment()),
            parent = text(run.parent().map(Run::id)),
            children = runs.children(row)?,
            params = named(run.params()),
            metrics = named(run.metrics()),
            sealed = sealed,
            looks = run.looks() as i32,
            seed = run.seed().map_or(Robj::from(()), |seed| to_r::value(&seed)),
            stream = run.stream().map_or(Robj::from(()), Robj::from),
            data = named(data.collect()),
            tags = named(run.tags()),
            call = call.map_or(Robj::from(()), |call| to_r::value(&call)),
            error = run.condition().map_or(Robj::from(()), condition),
            void_reason = text(run.void_reason()),
            voids = voids(run),
            session = json(session.map(SessionContext::in_form).as_ref())
        )
        .into())
    })
}

fn condition(condition: &Condition) -> Robj {
    list!(
        message = condition.message().unwrap_or_default(),
        class = condition.classes(),
        calls = condition.calls()
    )
    .into()
}

/// The user of the session in which a remark on a run was made.
fn user_of<'a>(run: Run<'a>, note: &Note) -> Option<&'a str> {
    run.session_of(note).context.as_ref()?.user()
}

fn voids(run: Run<'_>) -> Robj {
    let voids = run.voids();
    let reasons = || voids.iter().map(|void| &void.reason);
    list!(
        time = to_r::instants(reasons().map(|reason| reason.time.seconds())),
        user = to_r::strings(reasons().map(|reason| user_of(run, reason))),
        void = voids.iter().map(|void| void.is_void).collect::<Vec<bool>>(),
        reason = to_r::strings(reasons().map(|reason| Some(reason.text.as_str())))
    )
    .into()
}

/// The rows of some runs, or of all.
fn chosen(runs: &Runs, run_ids: &Robj) -> Result<Vec<usize>, Failure> {
    if R::of(run_ids).is_null() {
        return Ok((0..runs.len()).collect());
    }
    let ids = texts(R::of(run_ids))?;
    let rows = ids.iter().map(|id| Ok(runs.known(id)?.row));
    rows.collect()
}

/// The artifacts of some runs, `NULL` for all: `list(run_id, artifact, file, size, sha256, stored, path)`.
///
/// @noRd
#[extendr]
fn native_read_artifacts(file: Robj, run_ids: Robj) -> Robj {
    guard_views(|| {
        let file = path(&file)?;
        let objects = Objects::beside(&file);
        let cached = RUNS.lend(file)?;
        let runs = cached.view();
        let rows = chosen(runs, &run_ids)?;
        runs.load(&rows, &[Part::Extras])?;
        let of_run = |&row: &usize| {
            let run = runs.at(row);
            run.artifacts()
                .iter()
                .map(move |(name, entry)| (run, name, entry))
        };
        let all: Vec<_> = rows.iter().flat_map(of_run).collect();
        let paths: Vec<Option<String>> = all
            .iter()
            .map(|(_, _, entry)| match entry.stored {
                true => Some(path_text(&objects.path(&entry.digest()?))),
                false => entry.file.clone(),
            })
            .collect();
        let sizes = all.iter().map(|(_, _, entry)| entry.size);
        Ok(list!(
            run_id = to_r::strings(all.iter().map(|(run, ..)| Some(run.id()))),
            artifact = to_r::strings(all.iter().map(|(_, name, _)| Some(name.as_str()))),
            file = to_r::strings(all.iter().map(|(.., entry)| entry.file.as_deref())),
            size = to_r::doubles(sizes.map(|size| size.map_or(f64::NAN, |size| size as f64))),
            sha256 = to_r::strings(all.iter().map(|(.., entry)| entry.sha256.as_deref())),
            stored = all
                .iter()
                .map(|(.., entry)| entry.stored)
                .collect::<Vec<bool>>(),
            path = to_r::strings(paths.iter().map(Option::as_deref))
        )
        .into())
    })
}

/// The notes on some runs, `NULL` for all: `list(run_id, time, user, text)`.
///
/// @noRd
#[extendr]
fn native_read_notes(file: Robj, run_ids: Robj) -> Robj {
    guard_views(|| {
        let cached = RUNS.lend(path(&file)?)?;
        let runs = cached.view();
        let rows = chosen(runs, &run_ids)?;
        runs.load(&rows, &[Part::Sessions, Part::Extras])?;
        let of_run = |&row: &usize| {
            let run = runs.at(row);
            run.notes().iter().map(move |note| (run, note))
        };
        let all: Vec<_> = rows.iter().flat_map(of_run).collect();
        let users = all.iter().map(|(run, note)| user_of(*run, note));
        Ok(list!(
            run_id = to_r::strings(all.iter().map(|(run, _)| Some(run.id()))),
            time = to_r::instants(all.iter().map(|(_, note)| note.time.seconds())),
            user = to_r::strings(users),
            text = to_r::strings(all.iter().map(|(_, note)| Some(note.text.as_str())))
        )
        .into())
    })
}

extendr_module! {
    mod record;
    fn native_read_run;
    fn native_read_artifacts;
    fn native_read_notes;
}
