//! Live runs of this process: values that are buffered for a moment, and the threads that write them.
//!
//! A value is in the ledger within half a second, whatever R does meanwhile, and whatever other ledgers wait for. So each
//! has a thread that writes what is due; it never touches R, is there only while there is something to write, and is not
//! there in a forked child. There nothing is buffered, since a child may end without a word.

use std::collections::HashMap;
use std::ffi::OsString;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::Error;
use fitledger_core::error::Ending;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::json::MAX_INT;
use fitledger_core::format::run_context::TAKES;
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::Value;
use fitledger_core::ledger::{Position, ReadSince};
use fitledger_core::platform::per_process::PerProcess;
use fitledger_core::platform::sys::{self, FileId};
use fitledger_core::platform::threads;
use fitledger_core::views::live::{
    By, Watch, begun, check_new_artifacts, check_open, check_session, is_of_session, last_report,
    resume,
};
use fitledger_core::views::series::Buffer;

use crate::append_request::{AppendRequest, Entropy, Remarks, began_last, with_remarks};
use crate::from_r;
use crate::guard::{Failure, guard};
use crate::r::{R, Text, path_text};
use crate::view_cache::{RUNS, guard_views};

/// So long a thread waits for a ledger's lock before it lets R's calls write …
const PATIENCE: Duration = Duration::from_millis(50);
/// … and so long it leaves the ledger to others then.
const PAUSE: Duration = Duration::from_millis(10);

/// The process in which the package was loaded, and not one that was forked from it.
static HOME: AtomicU32 = AtomicU32::new(0);

/// What a forked child has of its parent's it leaves where it is: handles of threads that it hasn't can't even be let go.
static LIVE: PerProcess<LiveRuns> = PerProcess::new(|of_the_parent| {
    std::mem::forget(of_the_parent);
    LiveRuns::default()
});

/// The runs that this process has begun or resumed and not ended.
#[derive(Default)]
struct LiveRuns {
    /// Mostly one of an id: that of a run which was imported stands in several ledgers.
    by_id: HashMap<RunId, Vec<LiveRun>>,
    /// The threads that write, by their ledgers.
    writers: HashMap<OsString, Writer>,
    is_stopping: bool,
    wake: Arc<Condvar>,
}

struct Writer {
    thread: JoinHandle<()>,
    /// Whether it will see what is buffered.
    is_there: bool,
}

struct LiveRun {
    request: AppendRequest,
    /// The ledger, should its path lead nowhere by now.
    file: Option<FileId>,
    watch: Arc<Mutex<Watch>>,
    /// Of a ledger in a database, where rows of others may come between the drafted ones and what they were drafted on: the
    /// sessions in which this process has begun or resumed it.
    sessions: Vec<String>,
    buffer: Buffer,
    /// When something was reported last, in seconds since 1970.
    reported: f64,
    /// The thread couldn't write: a call of R's is to try, and to say why.
    is_refused: bool,
}

impl LiveRuns {
    /// From here on, until it ends, values of a run may be buffered in this process, unless that is a forked child.
    /// `reported`: when something was reported of it last, in seconds since 1970.
    fn begin(
        &mut self,
        id: RunId,
        request: &AppendRequest,
        reported: Option<f64>,
        position: Position,
        remarks: &Remarks,
    ) {
        if HOME.load(Ordering::Relaxed) == std::process::id() {
            let known = self.remove(&id, request.path());
            let reported = reported.unwrap_or(f64::NEG_INFINITY);
            let (mut sessions, buffer, reported) = match known {
                Some(run) => (run.sessions, run.buffer, run.reported.max(reported)),
                None => (Vec::new(), Buffer::default(), reported),
            };
            sessions.extend(remarks.drafted_session());
            let run = LiveRun {
                request: request.kept(),
                file: sys::path_id(request.path()).ok(),
                watch: Arc::new(Mutex::new(Watch::new(id.to_string(), position))),
                sessions,
                buffer,
                reported,
                is_refused: false,
            };
            self.by_id.entry(id).or_default().push(run);
        }
    }

    /// The run of an id in a ledger.
    fn find(&mut self, id: &RunId, ledger: &Path) -> Option<&mut LiveRun> {
        let mut runs = self.by_id.get_mut(id)?.iter_mut();
        runs.find(|run| run.is_in(ledger))
    }

    fn remove(&mut self, id: &RunId, ledger: &Path) -> Option<LiveRun> {
        let runs = self.by_id.get_mut(id)?;
        let place = runs.iter().position(|run| run.is_in(ledger))?;
        let run = runs.swap_remove(place);
        if runs.is_empty() {
            self.by_id.remove(id);
        }
        Some(run)
    }

    fn iter(&self) -> impl Iterator<Item = (&RunId, &LiveRun)> {
        let by_id = self.by_id.iter();
        by_id.flat_map(|(id, runs)| runs.iter().map(move |run| (id, run)))
    }

    /// Sees to it that a ledger's thread is there, if it can be had.
    fn has_writer(&mut self, ledger: &Path) -> bool {
        let known = self.writers.get(ledger.as_os_str());
        // One that unwound has left without saying so.
        if known.is_some_and(|writer| writer.is_there && !writer.thread.is_finished()) {
            return true;
        }
        if let Some(ended) = self.writers.remove(ledger.as_os_str()) {
            drop(ended.thread.join());
        }
        let path = ledger.to_owned();
        let Ok(thread) = threads::spawn(move || write_due(&path)) else {
            return false;
        };
        let is_there = true;
        let writer = Writer { thread, is_there };
        self.writers.insert(ledger.into(), writer);
        true
    }

    /// The next thing that a ledger's thread has to do, and when.
    fn next(&self, ledger: &Path) -> Option<(Instant, RunId, AppendRequest)> {
        let is_there = |run: &LiveRun| run.request.path().as_os_str() == ledger.as_os_str();
        let waiting = self
            .iter()
            .filter(|(_, run)| !run.is_refused && is_there(run));
        let due = waiting.filter_map(|(id, run)| Some((run.buffer.due()?, id, run)));
        let (at, id, run) = due.min_by_key(|(at, ..)| *at)?;
        (!self.is_stopping).then(|| (at, id.clone(), run.request.clone()))
    }
}

impl LiveRun {
    /// The time of what is reported at `now`, in seconds since 1970: not before what was reported already, so that the last
    /// value counts as the last also where the clock was set back.
    fn report_at(&mut self, now: f64) -> f64 {
        self.reported = self.reported.max(now);
        self.reported
    }

    /// Whether it is the one of this ledger, also where the file was renamed meanwhile. Of runs with the same id only: a file
    /// that is gone may have left its number to another's.
    fn is_in(&self, ledger: &Path) -> bool {
        let path = self.request.path();
        self.is_at(ledger)
            || !path.exists() && self.file.is_some() && self.file == sys::path_id(ledger).ok()
    }

    /// Whether its path leads to this ledger, by whatever other path.
    fn is_at(&self, ledger: &Path) -> bool {
        let path = self.request.path();
        // As text: to compare paths part by part costs each step more than the rest of the look.
        path.as_os_str() == ledger.as_os_str()
            || sys::path_id(ledger)
                .is_ok_and(|ledger| sys::path_id(path).is_ok_and(|path| path == ledger))
    }
}

/// Whether a run of a ledger is one of this process's.
fn is_ours(id: &RunId, ledger: &Path) -> bool {
    LIVE.lock().find(id, ledger).is_some()
}

/// Whether it is, and nobody else has gone on with it.
fn is_still_ours(id: &RunId, ledger: &Path, read_since: ReadSince<'_>) -> bool {
    check_watched(id, ledger, read_since).is_some_and(|is_open| is_open.is_ok())
}

/// In which sessions this process has begun or resumed a run of a ledger in a database.
fn own_sessions(id: &RunId, ledger: &Path) -> Vec<String> {
    let mut live = LIVE.lock();
    live.find(id, ledger)
        .map(|run| run.sessions.clone())
        .unwrap_or_default()
}

/// Whether one of them is open, and when something was reported of it last. It may take a while to read what came since,
/// in which others go on.
fn check_watched(
    id: &RunId,
    ledger: &Path,
    read_since: ReadSince<'_>,
) -> Option<fitledger_core::Result<Option<f64>>> {
    let watch = LIVE.lock().find(id, ledger)?.watch.clone();
    let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
    Some(watch.check_open(read_since))
}

/// Appends an event of a run, which gets an id if it begins.
///
/// What changes a run is refused unless the run is open, as it is under the lock, and the values that are buffered for
/// it are written before. `take_over` is for a `resume`: whether a running run may be taken from its process.
pub fn append(
    request: &AppendRequest,
    entropy: &mut Entropy,
    now: Timestamp,
    event: Event,
    take_over: bool,
) -> Result<Remarks, Failure> {
    append_with(request, entropy, now, event, None, take_over)
}

/// The same of an event that has `points` for its metrics.
fn append_with(
    request: &AppendRequest,
    entropy: &mut Entropy,
    now: Timestamp,
    mut event: Event,
    points: Option<Buffer>,
    take_over: bool,
) -> Result<Remarks, Failure> {
    let id = event.run_id.clone().expect("an event of a run");
    let is_change = match event.kind {
        EventKind::Log => {
            let has_values = !(event.params.is_empty() && event.metrics.is_empty());
            has_values || points.is_some() || !event.artifacts.is_empty()
        }
        kind => matches!(kind, EventKind::Resume | EventKind::End),
    };
    let artifacts = event.artifacts.names();
    let metrics_since = |reported: Option<f64>| {
        points.map(|mut points| {
            points.not_before(reported.unwrap_or(f64::NEG_INFINITY));
            points.cell()
        })
    };
    match event.kind {
        EventKind::Start => {
            let (position, remarks) = request.append_decided(entropy, |_| Ok([(now, event)]))?;
            LIVE.lock().begin(id, request, None, position, &remarks);
            Ok(remarks)
        }
        EventKind::Run => request.append(entropy, [(now, event)]),
        _ if !is_change => {
            let mut runs = RUNS.lend(request.path().to_owned())?;
            let written = request.append_decided(entropy, |read_since| {
                runs.catch_up(read_since)?;
                begun(runs.view(), id.as_str())?;
                Ok([(now, event)])
            });
            written.map(|(_, remarks)| remarks)
        }
        EventKind::Resume => {
            let mut runs = RUNS.lend(request.path().to_owned())?;
            let mut reported = None;
            let (position, remarks) = request.append_decided(entropy, |read_since| {
                runs.catch_up(read_since)?;
                let sessions = own_sessions(&id, request.path());
                let is_ours = match sessions.is_empty() {
                    true => is_still_ours(&id, request.path(), read_since),
                    false => is_of_session(runs.view(), id.as_str(), &sessions)?,
                };
                let by = match take_over {
                    _ if is_ours => By::Its,
                    true => By::Taker,
                    false => By::Another,
                };
                if let Some(session) = resume(runs.view(), id.as_str(), by)? {
                    event.context = event.context.text(TAKES, &session);
                }
                reported = last_report(runs.view(), id.as_str())?;
                Ok([(now, event)])
            })?;
            LIVE.lock().begin(id, request, reported, position, &remarks);
            Ok(remarks)
        }
        // Of a run in a database nothing is held back.
        kind if !request.is_draft() && is_ours(&id, request.path()) => {
            let mut runs = match artifacts.is_empty() {
                true => None,
                false => Some(RUNS.lend(request.path().to_owned())?),
            };
            let mut taken = Taken::of(&id, request.path());
            let outcome = request.append_decided(entropy, |read_since| {
                if let Some(runs) = &mut runs {
                    runs.catch_up(read_since)?;
                    check_new_artifacts(runs.view(), id.as_str(), &artifacts)?;
                }
                let buffered = taken.take(read_since)?;
                let mut live = LIVE.lock();
                let run = live.find(&id, request.path());
                let reported = run.map(|run| run.report_at(now.seconds()));
                if let Some(metrics) = metrics_since(reported) {
                    event.metrics = metrics;
                }
                Ok(buffered.into_iter().chain([(now, event)]))
            });
            let written = match kind {
                EventKind::End => Written::Last,
                _ => Written::Yes,
            };
            outcome_of(taken, outcome, written).map(|(_, remarks)| remarks)
        }
        _ => {
            let mut runs = RUNS.lend(request.path().to_owned())?;
            let written = request.append_decided(entropy, |read_since| {
                runs.catch_up(read_since)?;
                check_open(runs.view(), id.as_str())?;
                let sessions = own_sessions(&id, request.path());
                if !sessions.is_empty() {
                    check_session(runs.view(), id.as_str(), &sessions)?;
                }
                check_new_artifacts(runs.view(), id.as_str(), &artifacts)?;
                if let Some(metrics) = metrics_since(last_report(runs.view(), id.as_str())?) {
                    event.metrics = metrics;
                }
                Ok([(now, event)])
            });
            written.map(|(_, remarks)| remarks)
        }
    }
}

/// Values that were taken from a run's buffer, until it is known whether they are in the ledger.
struct Taken {
    id: RunId,
    ledger: PathBuf,
    values: Buffer,
}

enum Written {
    Yes,
    /// And nothing is to follow.
    Last,
    /// They never can be: the run has ended, or is another process's. So it stays for every call that follows.
    Never,
    Not,
}

impl Written {
    fn of_class(class: &str) -> Written {
        match class {
            // The rows stand, though maybe not on disk.
            "durability_unknown" => Written::Yes,
            "ended" => Written::Never,
            _ => Written::Not,
        }
    }
}

impl Taken {
    fn of(id: &RunId, ledger: &Path) -> Taken {
        Taken {
            id: id.clone(),
            ledger: ledger.to_owned(),
            values: Buffer::default(),
        }
    }

    /// Takes what is buffered for a run that is open: the `log` event that it makes, if there is something.
    fn take(
        &mut self,
        read_since: ReadSince<'_>,
    ) -> fitledger_core::Result<Option<(Timestamp, Event)>> {
        // An event of R's may have ended it while we waited for the lock.
        let has_ended = || Error::Ended {
            run_id: self.id.to_string(),
            how: Ending::Finished,
        };
        let reported =
            check_watched(&self.id, &self.ledger, read_since).ok_or_else(has_ended)??;
        let mut live = LIVE.lock();
        let run = live.find(&self.id, &self.ledger).ok_or_else(has_ended)?;
        // Others report to it, too. What waits here is older than what they have reported since, unless their clock is ahead:
        // then it can only be told by its row that it came later.
        let now = Timestamp::now();
        let ahead = reported.filter(|&reported| reported > now.seconds());
        let earliest = ahead.unwrap_or(f64::NEG_INFINITY);
        run.report_at(earliest);
        if run.buffer.due().is_none() {
            return Ok(None);
        }
        self.values = std::mem::take(&mut run.buffer);
        self.values.not_before(earliest);
        let event = Event {
            run_id: Some(self.id.clone()),
            metrics: self.values.cell(),
            ..Event::new(EventKind::Log)
        };
        Ok(Some((now, event)))
    }

    /// How many values that waited are gone for good.
    fn settle(mut self, written: Written) -> usize {
        let mut gone = 0;
        if !matches!(written, Written::Not) {
            self.values = Buffer::default();
        }
        match written {
            Written::Not => {}
            Written::Yes => {
                if let Some(run) = LIVE.lock().find(&self.id, &self.ledger) {
                    run.is_refused = false;
                }
            }
            Written::Never => {
                if let Some(run) = LIVE.lock().find(&self.id, &self.ledger) {
                    gone = std::mem::take(&mut run.buffer).len();
                }
            }
            Written::Last => drop(LIVE.lock().remove(&self.id, &self.ledger)),
        }
        gone
    }
}

/// The outcome of a call that was to write what a run's buffer has, too, and what becomes of that where it did.
fn outcome_of<T>(
    taken: Taken,
    outcome: Result<T, Failure>,
    written: Written,
) -> Result<T, Failure> {
    match outcome {
        Ok(it) => {
            taken.settle(written);
            Ok(it)
        }
        Err(mut failure) => {
            let gone = taken.settle(Written::of_class(failure.class));
            if gone > 0 {
                let values = if gone == 1 { "value" } else { "values" };
                failure.message += &format!(
                    " {gone} {values} that this process reported before, and that waited to be written, can't be recorded any more."
                );
            }
            Err(failure)
        }
    }
}

/// What isn't written goes back to its buffer, also where a call stops halfway.
impl Drop for Taken {
    fn drop(&mut self) {
        if self.values.due().is_some() {
            if let Some(run) = LIVE.lock().find(&self.id, &self.ledger) {
                run.buffer.put_back(std::mem::take(&mut self.values));
            }
        }
    }
}

/// Writes what is due in a ledger, and ends when there is nothing.
fn write_due(ledger: &Path) {
    let mut live = LIVE.lock();
    // Since when it can't, because it is busy.
    let mut busy_since = None;
    while let Some((at, id, request)) = live.next(ledger) {
        let now = Instant::now();
        if at > now {
            live = wait(live, at - now);
            continue;
        }
        drop(live);
        let since = busy_since.unwrap_or(now);
        let is_busy = write(&id, &request, since);
        busy_since = is_busy.then_some(since);
        live = LIVE.lock();
        if is_busy {
            live = wait(live, PAUSE);
        }
    }
    if let Some(writer) = live.writers.get_mut(ledger.as_os_str()) {
        writer.is_there = false;
    }
}

fn wait(live: MutexGuard<'static, LiveRuns>, time: Duration) -> MutexGuard<'static, LiveRuns> {
    let wake = live.wake.clone();
    let waited = wake.wait_timeout(live, time);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// Writes what is buffered for a run, without R. Whether another process writes to the ledger, and it has to wait, as it
/// does since some time.
fn write(id: &RunId, request: &AppendRequest, since: Instant) -> bool {
    let began = Instant::now();
    let mut taken = Taken::of(id, request.path());
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut give_up = || began.elapsed() >= PATIENCE;
        request.append_apart(since, &mut give_up, |read_since| taken.take(read_since))
    }));
    let is_busy = matches!(outcome, Ok(Err(Error::Interrupted)));
    let is_refused = !is_busy && !matches!(outcome, Ok(Ok(())));
    let written = match outcome {
        Ok(Ok(())) => Written::Yes,
        Ok(Err(Error::DurabilityUnknown { .. })) => Written::Yes,
        // That the run has ended is for R's next call to say.
        _ => Written::Not,
    };
    taken.settle(written);
    if let Some(run) = LIVE.lock().find(id, request.path()) {
        run.is_refused = is_refused;
    }
    is_busy
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

/// Buffers the values of a step, which the thread will write: 0. Where nothing was buffered 1, since the call itself has to write
/// them, or 2, since the step is none.
///
/// @noRd
#[extendr]
fn native_buffer_push(run: Robj, metrics: Robj, step: Robj) -> Robj {
    guard(|| {
        const KEPT: i32 = 0;
        const TO_WRITE: i32 = 1;
        const NO_STEP: i32 = 2;
        let Some(step) = whole(R::of(&step)) else {
            return Ok(Robj::from(NO_STEP));
        };
        let run = R::of(&run);
        let file = run.named("file").ok_or_else(|| Failure::argument("file"))?;
        let Some(ledger) = file.borrowed_string() else {
            // It is in a database.
            return Ok(Robj::from(TO_WRITE));
        };
        let id = run.named("run_id").and_then(R::borrowed_string);
        let id = id.and_then(|id| RunId::new(&id));
        let id = id.ok_or_else(|| Failure::argument("run_id"))?;
        let metrics = from_r::metrics(R::of(&metrics), "metrics")?;
        let (now, at) = (Instant::now(), Timestamp::now().seconds());
        let is_kept = push(Path::new(&*ledger), &id, metrics, step, at, now);
        Ok(Robj::from(if is_kept { KEPT } else { TO_WRITE }))
    })
}

/// Buffers values, if the run is one of this process's and its thread can be relied upon to write them. What has to be written
/// at once isn't buffered: should that fail, the call has failed, and its values aren't to follow later.
fn push(
    ledger: &Path,
    id: &RunId,
    metrics: Vec<(String, Value)>,
    step: i64,
    at: f64,
    now: Instant,
) -> bool {
    let mut live = LIVE.lock();
    let ready = live.find(id, ledger);
    let ready = ready.filter(|run| !run.is_refused && !run.buffer.is_full());
    let Some(ledger) = ready.map(|run| run.request.path().to_owned()) else {
        return false;
    };
    if !live.has_writer(&ledger) {
        return false;
    }
    let run = live.find(id, &ledger).expect("it was there");
    let at = run.report_at(at);
    for (name, value) in metrics {
        run.buffer.push(&name, step, value, at, now);
    }
    true
}

/// The ledger of a run that this process began, which another one doesn't know: `NULL` where there is none, or the
/// failure that it isn't there either.
///
/// @noRd
#[extendr]
fn native_began_in(run_id: Robj) -> Robj {
    guard_views(|| {
        let id = R::of(&run_id).string();
        let id = id.ok_or_else(|| Failure::argument("run_id"))?;
        let Some(id) = RunId::new(&id) else {
            return Ok(Robj::from(()));
        };
        let live = LIVE.lock();
        let run = live.by_id.get(&id).and_then(|runs| runs.first());
        let ledger = run.map(|run| run.request.path().to_owned());
        drop(live);
        let Some(ledger) = ledger.or_else(|| began_last(&id)) else {
            return Ok(Robj::from(()));
        };
        begun(RUNS.lend(ledger.clone())?.view(), id.as_str())?;
        Ok(Robj::from(path_text(&ledger)))
    })
}

/// Writes the values of a step of a run of any process, without waiting for the disk.
///
/// @noRd
#[extendr]
fn native_log_step(request: Robj, run_id: Robj, metrics: Robj, step: Robj) -> Robj {
    guard_views(|| {
        let step = whole(R::of(&step)).ok_or_else(|| Failure::argument("step"))?;
        let values = from_r::metrics(R::of(&metrics), "metrics")?;
        let points = values.into_iter().map(|(name, value)| (name, step, value));
        log_points(&request, &run_id, points)
    })
}

/// Writes points of series of a run of any process, `metric`, `step` and `value` of each, without waiting for the disk.
///
/// @noRd
#[extendr]
fn native_log_points(request: Robj, run_id: Robj, metric: Robj, step: Robj, value: Robj) -> Robj {
    guard_views(|| {
        let (metric, step) = (R::of(&metric), R::of(&step));
        let values = from_r::Atomic::of_numbers(R::of(&value), "value")?;
        let are_points = metric.ty() == SEXPTYPE::STRSXP && step.ty() == SEXPTYPE::REALSXP;
        if !are_points || step.len() != metric.len() || R::of(&value).len() != metric.len() {
            return Err(Failure::argument("metric"));
        }
        let point = |i: usize| {
            let Text::Is(name) = metric.text(i) else {
                return Err(Failure::argument("metric"));
            };
            let step = whole_number(step.doubles()[i]);
            let step = step.ok_or_else(|| Failure::argument("step"))?;
            Ok((name, step, values.metric(i, "value")?))
        };
        let points: Result<Vec<_>, Failure> = (0..metric.len()).map(point).collect();
        log_points(&request, &run_id, points?)
    })
}

fn log_points(
    request: &Robj,
    run_id: &Robj,
    points: impl IntoIterator<Item = (String, i64, Value)>,
) -> Result<Robj, Failure> {
    let (now, at) = (Timestamp::now(), Instant::now());
    let mut values = Buffer::default();
    for (name, step, value) in points {
        values.push(&name, step, value, now.seconds(), at);
    }
    let event = Event {
        run_id: Some(run_id_of(run_id)?),
        ..Event::new(EventKind::Log)
    };
    let mut request = AppendRequest::of(request)?;
    request.create = false;
    request.sync = false;
    let mut entropy = Entropy::new();
    let remarks = append_with(&request, &mut entropy, now, event, Some(values), false)?;
    Ok(with_remarks(Robj::from(true), remarks))
}

/// Writes what is buffered for a run.
///
/// @noRd
#[extendr]
fn native_buffer_write(file: Robj, run_id: Robj) -> Robj {
    guard(|| {
        let (ledger, id) = (from_r::path(&file)?, run_id_of(&run_id)?);
        let request = LIVE
            .lock()
            .find(&id, &ledger)
            .map(|run| run.request.clone());
        let Some(request) = request else {
            return Ok(Robj::from(()));
        };
        let mut taken = Taken::of(&id, &ledger);
        let outcome =
            request.append_decided(&mut Entropy::new(), |read_since| taken.take(read_since));
        let (_, remarks) = outcome_of(taken, outcome, Written::Yes)?;
        Ok(with_remarks(Robj::from(true), remarks))
    })
}

/// The runs of a ledger, or of all if it is `NULL`, for which something is buffered: `list(run_id, file)`.
///
/// @noRd
#[extendr]
fn native_buffered(file: Robj) -> Robj {
    guard(|| {
        let ledger = match R::of(&file).is_null() {
            true => None,
            false => Some(from_r::path(&file)?),
        };
        let is_meant = |run: &LiveRun| ledger.as_ref().is_none_or(|ledger| run.is_at(ledger));
        let buffered: Vec<(String, PathBuf)> = {
            let live = LIVE.lock();
            let buffered = live.iter().filter(|(_, run)| run.buffer.due().is_some());
            buffered
                .filter(|(_, run)| is_meant(run))
                .map(|(id, run)| (id.to_string(), run.request.path().to_owned()))
                .collect()
        };
        // Nothing of R's runs while the lock is held.
        let (ids, files): (Vec<String>, Vec<PathBuf>) = buffered.into_iter().unzip();
        let files: Vec<String> = files.iter().map(|file| path_text(file)).collect();
        Ok(list!(run_id = ids, file = files).into())
    })
}

/// Ends the threads that write what is buffered: the package is about to go.
///
/// @noRd
#[extendr]
fn native_stop_writing() -> Robj {
    guard(|| {
        let writers = {
            let mut live = LIVE.lock();
            live.is_stopping = true;
            live.wake.notify_all();
            std::mem::take(&mut live.writers)
        };
        for writer in writers.into_values() {
            drop(writer.thread.join());
        }
        LIVE.lock().is_stopping = false;
        Ok(Robj::from(()))
    })
}

/// Notes in which process the package was loaded, and sees to its standard streams, whose numbers connections to databases
/// must not get either.
///
/// @noRd
#[extendr]
fn native_prepare_process() -> Robj {
    guard(|| {
        HOME.store(std::process::id(), Ordering::Relaxed);
        // Where this fails a ledger is opened with an error.
        drop(sys::occupy_standard_streams());
        Ok(Robj::from(()))
    })
}

fn run_id_of(run_id: &Robj) -> Result<RunId, Failure> {
    let id = R::of(run_id).borrowed_string();
    let id = id.and_then(|id| RunId::new(&id));
    id.ok_or_else(|| Failure::argument("run_id"))
}

/// A step, unless it has a class, which may mean another number.
fn whole(step: R) -> Option<i64> {
    /// R's missing integer.
    const NA: i64 = i32::MIN as i64;
    if step.len() != 1 || step.has_class() {
        return None;
    }
    match step.ty() {
        SEXPTYPE::INTSXP => Some(i64::from(step.integers()[0])).filter(|&step| step != NA),
        SEXPTYPE::REALSXP => whole_number(step.doubles()[0]),
        _ => None,
    }
}

fn whole_number(x: f64) -> Option<i64> {
    (x.fract() == 0.0 && x.abs() <= MAX_INT as f64).then_some(x as i64)
}

extendr_module! {
    mod live;
    fn native_buffer_push;
    fn native_buffer_write;
    fn native_log_step;
    fn native_log_points;
    fn native_buffered;
    fn native_stop_writing;
    fn native_prepare_process;
    fn native_check_new_artifact;
    fn native_began_in;
}
