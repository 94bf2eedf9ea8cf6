//! What this process knows of live runs: values that are buffered for a moment, in the process that began the run, and
//! up to where a run is known to be open.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::json::MAX_INT;
use fitledger_core::format::run_context::TAKES;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::Position;
use fitledger_core::views::live::{By, check_open, check_still_open, resume};
use fitledger_core::views::series::Buffer;

use crate::append_request::{AppendRequest, Entropy, Remarks, with_remarks};
use crate::from_r;
use crate::guard::{Failure, guard};
use crate::r::R;
use crate::view_cache::{RUNS, guard_views};

#[derive(Default)]
struct LiveRuns {
    process: u32,
    buffers: HashMap<String, Buffer>,
    /// Where the last row stands that this process wrote of a run, which was open then. The row's hash names all rows
    /// before it, so this holds in whichever file the row stands.
    open_at: HashMap<String, Position>,
}

impl LiveRuns {
    fn forget(&mut self, id: &str) {
        self.buffers.remove(id);
        self.open_at.remove(id);
    }
}

static LIVE_RUNS: LazyLock<Mutex<LiveRuns>> = LazyLock::new(Mutex::default);

/// What a forked child inherits is its parent's to write.
fn live_runs() -> MutexGuard<'static, LiveRuns> {
    let mut runs = LIVE_RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    if runs.process != std::process::id() {
        *runs = LiveRuns {
            process: std::process::id(),
            ..LiveRuns::default()
        };
    }
    runs
}

/// The `log` event that the values buffered for a run make.
pub fn buffered(id: &RunId) -> Option<Event> {
    let runs = live_runs();
    let buffer = runs.buffers.get(id.as_str())?;
    if buffer.is_empty() {
        return None;
    }
    Some(Event {
        run_id: Some(id.clone()),
        metrics: buffer.cell(),
        ..Event::new(EventKind::Log)
    })
}

/// Appends events of one run, the last of which says what the others need: that the run begins, or may still change.
pub fn append_to_run(
    request: &AppendRequest,
    entropy: &mut Entropy,
    now: Timestamp,
    events: Vec<Event>,
    take_over: bool,
) -> Result<Remarks, Failure> {
    let last = events.last().expect("there is an event");
    let id = last.run_id.as_ref().expect("an event of a run").to_string();
    let kind = last.kind;
    let is_change = match kind {
        EventKind::Log => {
            !(last.params.is_empty() && last.metrics.is_empty() && last.artifacts.is_empty())
        }
        kind => matches!(kind, EventKind::Resume | EventKind::End),
    };
    let timed = |events: Vec<Event>| events.into_iter().map(move |event| (now, event));
    if kind == EventKind::Run {
        return request.append(entropy, timed(events));
    }
    let outcome = match is_change {
        true => append_change(request, entropy, &id, events, timed, take_over),
        false => request.append_decided(entropy, |_| Ok(timed(events))),
    };
    let mut live = live_runs();
    match &outcome {
        Ok((position, _)) => {
            if let Some(buffer) = live.buffers.get_mut(&id) {
                buffer.clear(Instant::now());
            }
            if kind == EventKind::End {
                live.open_at.remove(&id);
            } else if is_change || kind == EventKind::Start {
                live.open_at.insert(id, *position);
            }
        }
        // What is buffered never can be in the ledger. What else failed may be tried again.
        Err(failure) if failure.class == "ended" => live.forget(&id),
        Err(_) => {}
    }
    outcome.map(|(_, remarks)| remarks)
}

/// Appends what a run that isn't open refuses.
fn append_change<E: IntoIterator<Item = (Timestamp, Event)>>(
    request: &AppendRequest,
    entropy: &mut Entropy,
    id: &str,
    mut events: Vec<Event>,
    timed: impl FnOnce(Vec<Event>) -> E,
    take_over: bool,
) -> Result<(Position, Remarks), Failure> {
    let is_resumed = events.last().expect("there is an event").kind == EventKind::Resume;
    let (is_ours, open_at) = {
        let live = live_runs();
        (live.buffers.contains_key(id), live.open_at.get(id).copied())
    };
    if let Some(position) = open_at.filter(|_| !is_resumed) {
        return request.append_decided(entropy, |read_since| {
            check_still_open(read_since, &position, id)?;
            Ok(timed(events))
        });
    }
    let by = match take_over {
        _ if is_ours => By::Its,
        true => By::Taker,
        false => By::Another,
    };
    let mut runs = RUNS.lend(request.path().to_owned())?;
    request.append_decided(entropy, |read_since| {
        runs.catch_up(read_since)?;
        if !is_resumed {
            check_open(runs.view(), id)?;
        } else if let Some(session) = resume(runs.view(), id, by)? {
            let last = events.last_mut().expect("there is an event");
            last.context = std::mem::take(&mut last.context).text(TAKES, &session);
        }
        Ok(timed(events))
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
        let mut runs = live_runs();
        runs.buffers
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
        let mut runs = live_runs();
        let elsewhere = !runs.buffers.contains_key(&id);
        let buffer = runs.buffers.entry(id).or_insert_with(|| Buffer::new(now));
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
            let (mut entropy, now) = (Entropy::new(), Timestamp::now());
            remarks = append_to_run(&request, &mut entropy, now, vec![event], false)?;
        }
        if R::of(&close).is_true() {
            live_runs().buffers.remove(id.as_str());
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
}
