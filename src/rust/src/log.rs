//! Appending runs.

use std::sync::mpsc;
use std::thread;

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::format::event::{Event, EventKind};
use fitledger_core::format::id::RunId;
use fitledger_core::format::object::Object;
use fitledger_core::format::run_context::{
    EXPERIMENT, NAME, PARENT, SEALED, SEED, TAGS, stream_text,
};
use fitledger_core::format::time::Timestamp;
use fitledger_core::format::value::{Value, write_key};
use fitledger_core::platform::memory;

use crate::append_request::{AppendRequest, Entropy, Remarks, with_remarks};
use crate::deferred::DeferredStrings;
use crate::from_r::{self, AsVector, Atomic};
use crate::guard::{Failure, guard};
use crate::live;
use crate::r::{self, R};
use crate::to_r;
use crate::view_cache::guard_views;

/// Appends one event of a run, after the values that are buffered for it; the run's id.
///
/// `row` is `list(event, run_id, params, metrics, artifacts, about, tags, sealed, more, take_over)`. A `run` or `start`
/// without an id gets one; `about` is what it is called and belongs to, and its seed: a named list, in the order of
/// [`ABOUT`]. Parameters, metrics, artifacts and the end of a run are refused unless the run is open, as it is under the
/// lock. `take_over` is for a `resume`: whether a running run may be taken from its process.
///
/// @noRd
#[extendr]
fn native_log_event(request: Robj, row: Robj) -> Robj {
    guard_views(|| {
        let cells = R::of(&row)
            .cells()
            .ok_or_else(|| Failure::argument("row"))?;
        let [
            event,
            run_id,
            params,
            metrics,
            artifacts,
            about,
            tags,
            sealed,
            more,
            take_over,
        ] = cells;
        let params = from_r::object(&from_r::pairs(params, "params")?);
        let metrics = from_r::object(&from_r::metrics(metrics, "metrics")?);
        let artifacts = Object::from(&from_r::own_json(artifacts)?);
        let about = from_r::pairs(about, "about")?;
        let tags = from_r::pairs(tags, "tags")?;
        let sealed = from_r::metrics(sealed, "sealed")?;
        let more = Object::from(&from_r::own_json(more)?);
        let context = context(&about, &tags, &sealed, &more);
        let kind = event_kind(event).ok_or_else(|| Failure::argument("event"))?;
        let mut request = AppendRequest::of(&request)?;
        request.create = kind.begins_run();

        let (now, mut entropy) = (Timestamp::now(), Entropy::new());
        let id = match run_id.is_null() {
            false => {
                let id = run_id.string().and_then(|id| RunId::new(&id));
                id.ok_or_else(|| Failure::argument("run_id"))?
            }
            true => RunId::generate(now, &mut |bytes| entropy.fill(bytes)),
        };
        let event = Event {
            run_id: Some(id.clone()),
            params,
            metrics,
            artifacts,
            context,
            ..Event::new(kind)
        };
        let take_over = take_over.is_true();
        let remarks = live::append(&request, &mut entropy, now, event, take_over)?;
        Ok(with_remarks(Robj::from(id.as_str()), remarks))
    })
}

/// Appends the same remark on each of some runs, in one write: tags, a note, that they are void or aren't.
///
/// @noRd
#[extendr]
fn native_remark(request: Robj, event: Robj, run_ids: Robj, tags: Robj, more: Robj) -> Robj {
    guard(|| {
        let tags = from_r::pairs(R::of(&tags), "tags")?;
        let more = Object::from(&from_r::own_json(R::of(&more))?);
        let context = context(&[], &tags, &[], &more);
        let kind = event_kind(R::of(&event)).ok_or_else(|| Failure::argument("event"))?;
        let run_ids = R::of(&run_ids);
        if run_ids.ty() != SEXPTYPE::STRSXP {
            return Err(Failure::argument("run_ids"));
        }
        let now = Timestamp::now();
        let remark = |i: usize| {
            let id = match run_ids.text(i) {
                r::Text::Is(id) => RunId::new(&id),
                _ => None,
            };
            let event = Event {
                run_id: Some(id.ok_or_else(|| Failure::argument("run_ids"))?),
                context: context.clone(),
                ..Event::new(kind)
            };
            Ok((now, event))
        };
        let remarks: Result<Vec<_>, Failure> = (0..run_ids.len()).map(remark).collect();
        let mut request = AppendRequest::of(&request)?;
        request.create = false;
        let remarks = request.append(&mut Entropy::new(), remarks?)?;
        Ok(with_remarks(Robj::from(true), remarks))
    })
}

/// An event of a run.
fn event_kind(event: R) -> Option<EventKind<'static>> {
    let name = event.string()?;
    [
        EventKind::Run,
        EventKind::Start,
        EventKind::Resume,
        EventKind::Log,
        EventKind::End,
        EventKind::Note,
        EventKind::Void,
        EventKind::Reveal,
    ]
    .into_iter()
    .find(|kind| kind.name() == name)
}

/// What is said of a run about itself, in the order in which it stands in a row.
const ABOUT: [&str; 4] = [NAME, EXPERIMENT, PARENT, SEED];

type Pairs = [(String, Value)];

/// What an event says beside parameters and metrics: of the run, its tags, sealed metrics, and pairs of the format's own.
fn context(about: &Pairs, tags: &Pairs, sealed: &Pairs, more: &Object) -> Object {
    let mut context: Object = from_r::object(about);
    if !tags.is_empty() {
        context = context.object(TAGS, &from_r::object(tags));
    }
    if !sealed.is_empty() {
        context = context.object(SEALED, &from_r::object(sealed));
    }
    context.extend(more)
}

/// What the rows of many runs say beside parameters and metrics: the same of each, or what a column says.
struct Contexts {
    about: Vec<(String, Value)>,
    tags: Vec<(String, Value)>,
    more: Object,
    /// Of some of [`ABOUT`], under their names.
    about_columns: Columns,
    tag_columns: Columns,
    sealed: Columns,
}

impl Contexts {
    fn needs_r(&self, row: usize) -> Result<bool, Failure> {
        Ok(self.about_columns.needs_r(row, false)?
            | self.tag_columns.needs_r(row, false)?
            | self.sealed.needs_r(row, true)?)
    }

    fn context(&self, row: usize) -> Result<Object, Failure> {
        let mut about = Vec::new();
        for name in ABOUT {
            let same = self.about.iter().filter(|(known, _)| known == name);
            about.extend(same.cloned());
            about.extend(self.about_columns.named(name, row)?);
        }
        // What is missing isn't said.
        about.retain(|(_, value)| !matches!(value, Value::Na(_)));
        let mut tags = self.tags.clone();
        for name in &self.tag_columns.names {
            tags.extend(self.tag_columns.named(name, row)?);
        }
        let mut context = context(&about, &tags, &[], &Object::new());
        if !self.sealed.columns.is_empty() {
            context = context.object(SEALED, &self.sealed.cell(row, true)?);
        }
        Ok(context.extend(&self.more))
    }
}

fn in_row(row: usize, failure: Failure) -> Failure {
    Failure {
        message: format!("Row {}: {}", row + 1, failure.message),
        ..failure
    }
}

/// The state of R's random stream, an integer vector, as a text.
///
/// @noRd
#[extendr]
fn native_stream_text(state: Robj) -> Robj {
    guard(|| match R::of(&state).ty() {
        SEXPTYPE::INTSXP => Ok(Robj::from(stream_text(R::of(&state).integers()))),
        _ => Err(Failure::argument("state")),
    })
}

/// Whether a value can be recorded: `NULL`, or the failure that says why not.
///
/// @noRd
#[extendr]
fn native_refusal(x: Robj, arg_path: Robj) -> Robj {
    guard(|| {
        let arg_path = R::of(&arg_path).string().unwrap_or_default();
        let value = from_r::value(R::of(&x), &arg_path, 1)?;
        from_r::check_fits(&value, &arg_path)?;
        Ok(Robj::from(()))
    })
}

/// The number that is recorded of a metric, or the failure that says why none is.
///
/// @noRd
#[extendr]
fn native_metric(x: Robj, arg_path: Robj) -> Robj {
    guard(|| {
        let arg_path = R::of(&arg_path).string().unwrap_or_default();
        let number = from_r::metric(R::of(&x), &arg_path)?;
        Ok(to_r::value(&number))
    })
}

/// Puts another function at the head of a call, in place.
///
/// @noRd
#[extendr]
fn native_set_call_head(call: Robj, head: Robj) -> Robj {
    guard(|| {
        if R::of(&call).ty() != SEXPTYPE::LANGSXP {
            return Err(Failure::argument("call"));
        }
        R::of(&call).set_head(R::of(&head));
        Ok(Robj::from(()))
    })
}

/// Columns of a data frame that become the cells of many runs.
pub struct Columns {
    keys: Vec<Vec<u8>>,
    names: Vec<String>,
    columns: Vec<Column>,
}

enum Column {
    Atomic(Atomic),
    List(R),
}

impl Columns {
    /// `vector` says how a column that is one is read.
    pub fn of(frame: R, what: &str, rows: usize, vector: AsVector) -> Result<Columns, Failure> {
        let mut out = Columns {
            keys: Vec::new(),
            names: Vec::new(),
            columns: Vec::new(),
        };
        for i in 0..frame.len() {
            let name = frame.names().map(|names| names.text(i));
            let Some(r::Text::Is(name)) = name else {
                return Err(Failure::argument(what));
            };
            let mut key = Vec::new();
            write_key(&name, &mut key);
            let column = frame.element(i);
            out.columns.push(match column.ty() {
                SEXPTYPE::VECSXP if column.classes().is_empty() => Column::List(column),
                _ => Column::Atomic(vector(column, &name)?),
            });
            if column.len() != rows {
                return Err(from_r::wrong_length(column, &name, rows));
            }
            out.keys.push(key);
            out.names.push(name);
        }
        Ok(out)
    }

    /// Whether a row can't be read without R; a failure if it can't be recorded.
    fn needs_r(&self, row: usize, metric: bool) -> Result<bool, Failure> {
        let mut needs_r = false;
        for (column, name) in self.columns.iter().zip(&self.names) {
            needs_r |= match column {
                Column::Atomic(vector) => vector
                    .needs_r(row, metric, name)
                    .map_err(|failure| in_row(row, failure))?,
                Column::List(_) => true,
            };
        }
        Ok(needs_r)
    }

    pub fn cell(&self, row: usize, metric: bool) -> Result<Object, Failure> {
        let mut cell = Object::with_capacity(40 * self.columns.len());
        for (i, column) in self.columns.iter().enumerate() {
            let name = &self.names[i];
            let value = match column {
                Column::Atomic(vector) if metric => vector.metric(row, name),
                Column::List(list) if metric => from_r::metric(list.element(row), name),
                _ => self.value(i, row),
            };
            let value = value.map_err(|failure| in_row(row, failure))?;
            cell.add_written(&self.keys[i], &value);
        }
        Ok(cell)
    }

    /// The value of a column, with its name, if there is one of that.
    fn named(&self, name: &str, row: usize) -> Result<Option<(String, Value)>, Failure> {
        let column = self.names.iter().position(|known| known == name);
        let value = column.map(|column| self.value(column, row)).transpose();
        let value = value.map_err(|failure| in_row(row, failure))?;
        Ok(value.map(|value| (name.to_owned(), value)))
    }

    fn value(&self, column: usize, row: usize) -> Result<Value, Failure> {
        let name = &self.names[column];
        match &self.columns[column] {
            Column::Atomic(vector) => vector.get(row, name),
            Column::List(list) => from_r::value(list.element(row), name, 0),
        }
    }
}

/// Logs each row of two data frames as a finished run, in one write; the ids.
///
/// `about` and `tags` are said of each; `columns` is `list(about, tags)`, data frames of what is said of one alone.
///
/// @noRd
#[extendr]
#[allow(clippy::too_many_arguments, reason = "the cells of a row")]
fn native_log_runs(
    request: Robj,
    params: Robj,
    metrics: Robj,
    sealed: Robj,
    rows: Robj,
    about: Robj,
    tags: Robj,
    columns: Robj,
    more: Robj,
) -> Robj {
    guard(|| {
        let rows = R::of(&rows);
        let rows = match rows.ty() {
            SEXPTYPE::INTSXP if rows.len() == 1 => rows.integers()[0] as usize,
            _ => return Err(Failure::argument("rows")),
        };
        let values = |frame, what| Columns::of(frame, what, rows, Atomic::of);
        let numbers = |frame, what| Columns::of(frame, what, rows, Atomic::of_numbers);
        let params = values(R::of(&params), "params")?;
        let metrics = numbers(R::of(&metrics), "metrics")?;
        let contexts = Contexts {
            about: from_r::pairs(R::of(&about), "about")?,
            tags: from_r::pairs(R::of(&tags), "tags")?,
            more: Object::from(&from_r::own_json(R::of(&more))?),
            about_columns: values(R::of(&columns).element(0), "columns")?,
            tag_columns: values(R::of(&columns).element(1), "columns")?,
            sealed: numbers(R::of(&sealed), "sealed")?,
        };
        let varies = [
            &contexts.about_columns,
            &contexts.tag_columns,
            &contexts.sealed,
        ];
        let shared = match varies.iter().all(|columns| columns.columns.is_empty()) {
            true => Some(contexts.context(0)?),
            false => None,
        };
        let request = AppendRequest::of(&request)?;
        // Each id; of all else there is little at a time.
        memory::ensure(64 * rows);

        let now = Timestamp::now();
        let mut ids = DeferredStrings::default();
        let mut entropy = Entropy::new();
        let run = |row: usize| {
            let id = RunId::generate(now, &mut |bytes| entropy.fill(bytes));
            ids.push(id.as_str());
            let event = Event {
                run_id: Some(id),
                params: params.cell(row, false)?,
                metrics: metrics.cell(row, true)?,
                context: match &shared {
                    Some(shared) => shared.clone(),
                    None => contexts.context(row)?,
                },
                ..Event::new(EventKind::Run)
            };
            Ok((now, event))
        };
        let is_without_r = || -> Result<bool, Failure> {
            for row in 0..rows {
                let needs_r = params.needs_r(row, false)?
                    | metrics.needs_r(row, true)?
                    | contexts.needs_r(row)?;
                if needs_r {
                    return Ok(false);
                }
            }
            Ok(true)
        };
        let mut more_entropy = Entropy::new();
        let remarks = if rows > AHEAD && is_without_r()? {
            made_ahead(rows, run, |events| {
                request.append(&mut more_entropy, events)
            })?
        } else {
            // R must not run while the ledger is locked.
            let events = collect(rows, run)?;
            match events.is_empty() {
                true => Remarks::default(),
                false => request.append(&mut more_entropy, events)?,
            }
        };
        Ok(with_remarks(ids.into_vector(), remarks))
    })
}

/// All events at once.
pub fn collect<T>(
    rows: usize,
    mut make: impl FnMut(usize) -> Result<T, Failure>,
) -> Result<Vec<T>, Failure> {
    let mut events = Vec::new();
    for row in 0..rows {
        if row % AHEAD == 0 {
            memory::ensure(0);
        }
        memory::reserve(&mut events, 1);
        events.push(make(row)?);
    }
    Ok(events)
}

/// Why no event fails to be made ahead.
const CHECKED: &str = "each row was checked";

/// How many events are made at a time while those before them are written. Fewer are not worth a thread.
const AHEAD: usize = 2048;

/// Makes events on a thread of their own, if there is one to be had, while `write` takes them.
fn made_ahead<T, M: FnMut(usize) -> Result<(Timestamp, Event), Failure>>(
    rows: usize,
    make: M,
    write: impl FnOnce(&mut dyn Iterator<Item = (Timestamp, Event)>) -> T,
) -> T {
    struct Sent<T>(T);
    // SAFETY: what is sent reads vectors that are in memory, without R, and this thread waits for it.
    unsafe impl<T> Send for Sent<T> {}
    impl<T> Sent<T> {
        fn get(self) -> T {
            self.0
        }
    }
    thread::scope(|scope| {
        let (sender, receiver) = mpsc::sync_channel(2);
        // A thread that isn't to be had must leave the work here.
        let (hand_over, work) = mpsc::channel::<Sent<M>>();
        let made = thread::Builder::new().spawn_scoped(scope, move || {
            let Ok(make) = work.recv() else {
                return;
            };
            let mut make = make.get();
            for first in (0..rows).step_by(AHEAD) {
                let mut packed = Packed::default();
                for row in first..rows.min(first + AHEAD) {
                    packed.push(make(row).expect(CHECKED));
                }
                if sender.send(packed).is_err() {
                    return;
                }
            }
        });
        if made.is_err() {
            let mut make = make;
            return write(&mut (0..rows).map(|row| make(row).expect(CHECKED)));
        }
        drop(hand_over.send(Sent(make)));
        let mut events = receiver.into_iter().flat_map(Packed::unpack);
        // Fewer events than rows are no end: what would be written must not be.
        write(&mut (0..rows).map(|_| events.next().expect("an event for each row")))
    })
}

/// Finished runs in one piece of memory: to free on one thread what another one has made is slow.
#[derive(Default)]
struct Packed {
    bytes: Vec<u8>,
    /// The time of each, and where its id and its cells end.
    events: Vec<(Timestamp, [usize; 4])>,
}

impl Packed {
    fn push(&mut self, (time, event): (Timestamp, Event)) {
        let id = event.run_id.as_ref().map_or("", RunId::as_str);
        let parts = [
            id.as_bytes(),
            event.params.pairs(),
            event.metrics.pairs(),
            event.context.pairs(),
        ];
        let ends = parts.map(|part| {
            self.bytes.extend_from_slice(part);
            self.bytes.len()
        });
        self.events.push((time, ends));
    }

    fn unpack(self) -> impl Iterator<Item = (Timestamp, Event)> {
        let mut start = 0;
        self.events.into_iter().map(move |(time, ends)| {
            let [id, params, metrics, context] = ends.map(|end| {
                let part = &self.bytes[start..end];
                start = end;
                part.to_vec()
            });
            let event = Event {
                run_id: Some(
                    String::from_utf8(id)
                        .ok()
                        .and_then(|id| RunId::new(&id))
                        .expect("a run's id"),
                ),
                params: Object::of_pairs(params),
                metrics: Object::of_pairs(metrics),
                context: Object::of_pairs(context),
                ..Event::new(EventKind::Run)
            };
            (time, event)
        })
    }
}

extendr_module! {
    mod log;
    fn native_log_event;
    fn native_remark;
    fn native_log_runs;
    fn native_stream_text;
    fn native_refusal;
    fn native_metric;
    fn native_set_call_head;
}
