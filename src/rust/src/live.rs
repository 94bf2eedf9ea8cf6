//! Values of live runs that are buffered for a moment, in the process that began the run.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::json::MAX_INT;
use fitledger_core::format::run_context::TAKES;
use fitledger_core::format::time::Timestamp;
use fitledger_core::views::live::{By, check_new_artifacts, check_open, resume};
use fitledger_core::views::series::Buffer;

use crate::append_request::{AppendRequest, Entropy, Remarks, with_remarks};
use crate::from_r;
use crate::guard::{Failure, guard};
use crate::r::R;
use crate::view_cache::{RUNS, guard_views};

#[derive(Default)]
struct Buffers {
    process: u32,
    of_run: HashMap<String, Buffer>,
}

static BUFFERS: Mutex<Option<Buffers>> = Mutex::new(None);

/// What a forked child inherits is its parent's to write.
fn buffers() -> MutexGuard<'static, Option<Buffers>> {
    let mut guard = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
    let buffers = guard.get_or_insert_default();
    if buffers.process != std::process::id() {
        buffers.process = std::process::id();
        buffers.of_run.clear();
    }
    guard
}

/// The `log` event that the values buffered for a run make.
pub fn buffered(id: &RunId) -> Option<Event> {
    let guard = buffers();
    let buffer = guard.as_ref()?.of_run.get(id.as_str())?;
    if buffer.is_empty() {
        return None;
    }
    Some(Event {
        run_id: Some(id.clone()),
        metrics: buffer.cell(),
        ..Event::new(EventKind::Log)
    })
}

/// The values buffered for a run are in its ledger, or never can be, since the run has ended. What else failed may be
/// tried again.
pub fn settled(id: &RunId, outcome: &Result<Remarks, Failure>) {
    let mut guard = buffers();
    let buffers = guard.as_mut().expect("there is one");
    match outcome {
        Ok(_) => {
            if let Some(buffer) = buffers.of_run.get_mut(id.as_str()) {
                buffer.clear(Instant::now());
            }
        }
        Err(failure) if failure.class == "ended" => drop(buffers.of_run.remove(id.as_str())),
        Err(_) => {}
    }
}

/// Whether this process has begun or resumed the run, and not ended it.
pub fn is_ours(id: &str) -> bool {
    let guard = buffers();
    let buffers = guard.as_ref().expect("there is one");
    buffers.of_run.contains_key(id)
}

/// Appends events of one run, the last of which says what the others need: that the run begins, or may still change.
pub fn append_to_run(
    request: &AppendRequest,
    entropy: &mut Entropy,
    now: Timestamp,
    mut events: Vec<Event>,
    take_over: bool,
) -> Result<Remarks, Failure> {
    let timed = |events: Vec<Event>| events.into_iter().map(move |event| (now, event));
    let last = events.last_mut().expect("there is an event");
    let id = last.run_id.as_ref().expect("an event of a run").to_string();
    let is_change = match last.kind {
        EventKind::Log => {
            !(last.params.is_empty() && last.metrics.is_empty() && last.artifacts.is_empty())
        }
        kind => matches!(kind, EventKind::Resume | EventKind::End),
    };
    if !is_change {
        return request.append(entropy, timed(events));
    }
    let by = match take_over {
        _ if is_ours(&id) => By::Its,
        true => By::Taker,
        false => By::Another,
    };
    let artifacts = last.artifacts.names();
    let mut runs = RUNS.lend(request.path().to_owned())?;
    request.append_decided(entropy, |read_since| {
        runs.catch_up(read_since)?;
        let last = events.last_mut().expect("there is an event");
        if last.kind == EventKind::Resume {
            if let Some(session) = resume(runs.view(), &id, by)? {
                last.context = std::mem::take(&mut last.context).text(TAKES, &session);
            }
        } else {
            check_open(runs.view(), &id)?;
            if !artifacts.is_empty() {
                check_new_artifacts(runs.view(), &id, &artifacts)?;
            }
        }
        Ok(timed(events))
    })
}

/// Whether a run may be given an artifact of this name: `NULL`, or a failure. For who has its bytes still to store; what
/// counts is how it is when the row is written.
///
/// @noRd
#[extendr]
fn native_check_new_artifact(file: Robj, run_id: Robj, name: Robj) -> Robj {
    guard_views(|| {
        let runs = RUNS.lend(from_r::path(&file)?)?;
        let text = |x: &Robj, arg: &str| R::of(x).string().ok_or_else(|| Failure::argument(arg));
        let (id, name) = (text(&run_id, "run_id")?, text(&name, "name")?);
        check_open(runs.view(), &id)?;
        check_new_artifacts(runs.view(), &id, &[name])?;
        Ok(Robj::from(()))
    })
}

/// From here on, until it is closed, values of the run may be buffered in this process.
///
/// @noRd
#[extendr]
fn native_buffer_open(run_id: Robj) -> Robj {
    guard(|| {
        let id = R::of(&run_id)
            .string()
            .ok_or_else(|| Failure::argument("run_id"))?;
        let mut guard = buffers();
        let buffers = guard.as_mut().expect("there is one");
        buffers
            .of_run
            .entry(id)
            .or_insert_with(|| Buffer::new(Instant::now()));
        Ok(Robj::from(()))
    })
}

/// Buffers the values of a step: 0, or 1 when it is time to write them. 2 where nothing may be
/// buffered, since the run began in another process: write them at once, and close.
///
/// @noRd
#[extendr]
fn native_buffer_push(run_id: Robj, metrics: Robj, step: Robj) -> Robj {
    guard(|| {
        let id = R::of(&run_id)
            .string()
            .ok_or_else(|| Failure::argument("run_id"))?;
        let metrics = from_r::metrics(R::of(&metrics), "metrics")?;
        let step = whole(R::of(&step)).ok_or_else(|| Failure::argument("step"))?;
        let (now, at) = (Instant::now(), Timestamp::now().seconds());
        let mut guard = buffers();
        let buffers = guard.as_mut().expect("there is one");
        let elsewhere = !buffers.of_run.contains_key(&id);
        let buffer = buffers.of_run.entry(id).or_insert_with(|| Buffer::new(now));
        for (name, value) in metrics {
            buffer.push(&name, step, value, at);
        }
        Ok(Robj::from(match elsewhere {
            true => 2,
            false => i32::from(buffer.is_due(now)),
        }))
    })
}

/// Writes what is buffered for a run; `close` ends the buffering.
///
/// @noRd
#[extendr]
fn native_buffer_flush(request: Robj, run_id: Robj, close: Robj) -> Robj {
    guard_views(|| {
        let id = R::of(&run_id).string().and_then(|id| RunId::new(&id));
        let id = id.ok_or_else(|| Failure::argument("run_id"))?;
        let mut remarks = Remarks::default();
        if let Some(event) = buffered(&id) {
            let mut request = AppendRequest::of(&request)?;
            request.create = false;
            let events = vec![event];
            let outcome = append_to_run(
                &request,
                &mut Entropy::new(),
                Timestamp::now(),
                events,
                false,
            );
            settled(&id, &outcome);
            remarks = outcome?;
        }
        if R::of(&close).is_true() {
            let mut guard = buffers();
            guard
                .as_mut()
                .expect("there is one")
                .of_run
                .remove(id.as_str());
        }
        Ok(with_remarks(Robj::from(id.as_str()), remarks))
    })
}

fn whole(step: R) -> Option<i64> {
    match step.ty() {
        SEXPTYPE::INTSXP if step.len() == 1 => Some(i64::from(step.integers()[0])),
        SEXPTYPE::REALSXP if step.len() == 1 => {
            let x = step.doubles()[0];
            (x.fract() == 0.0 && x.abs() <= MAX_INT as f64).then_some(x as i64)
        }
        _ => None,
    }
}

extendr_module! {
    mod live;
    fn native_buffer_open;
    fn native_buffer_push;
    fn native_buffer_flush;
    fn native_check_new_artifact;
}
