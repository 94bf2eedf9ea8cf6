//! Runs: what the events of a ledger add up to.

use std::collections::HashMap;
use std::hash::Hash;

use crate::columnar::blocks::{AsJson, Blocks, Fixed, LazyJson, Result};
use crate::columnar::cells::Tag;
use crate::columnar::columns::{Column, Columns};
use crate::columnar::index_file::indexed;
use crate::error;
use crate::format::artifact::ArtifactEntry;
use crate::format::data_version::DataVersion;
use crate::format::event::EventKind;
use crate::format::json::Json;
use crate::format::row::Row;
use crate::format::run_context::{Call, Condition, EndStatus, RunContext, stream_state};
use crate::format::series;
use crate::format::session_context::SessionContext;
use crate::format::time::Timestamp;
use crate::format::value::{self, Value};
use crate::ledger::{Ledger, LedgerFile};
use crate::platform::{memory, sys};
use crate::views::batch::Batch;
use crate::views::fold::{self, Fold, Folded, Refusal};
use crate::views::parallel_read::{self, BulkFold};
use crate::views::run_ids::{Effect, RunIds};
use crate::views::sessions::{Session, Sessions};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It began, or was resumed, and no end is on record: its process may be gone.
    Running,
    Finished,
    Failed,
    Interrupted,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Finished => EndStatus::Finished.name(),
            Status::Failed => EndStatus::Failed.name(),
            Status::Interrupted => EndStatus::Interrupted.name(),
        }
    }
}

const STATUSES: [Status; 4] = [
    Status::Running,
    Status::Finished,
    Status::Failed,
    Status::Interrupted,
];

impl Fixed for Status {
    const SIZE: usize = 1;

    fn encode(self, out: &mut Vec<u8>) {
        out.push(self as u8);
    }

    fn decode(bytes: &[u8]) -> Option<Status> {
        STATUSES.get(usize::from(*bytes.first()?)).copied()
    }
}

/// All runs of a ledger, in the order of their first rows, each as it stands after the last event
/// that speaks of it.
#[derive(Debug, Default)]
pub struct Runs {
    pub run_ids: RunIds,
    began: Blocks<Timestamp>,
    status: Blocks<Status>,
    void: Blocks<bool>,
    /// How many of them are.
    void_count: u64,
    /// The number of the session in which each began or was resumed.
    session: Blocks<u32>,
    /// The number of the one in which it last said something, if that may be another.
    last_session: Column,
    /// All of them, of the runs that several sessions speak of.
    several_sessions: LazyJson<SessionsByRun>,
    /// Those that have said more of a run since it began or was resumed in another: workers, forked children.
    helping_sessions: LazyJson<SessionsByRun>,
    /// In microseconds, of those that ended after they had begun.
    ended: Column,
    pub params: Columns,
    /// Of a series the last value.
    pub metrics: Columns,
    /// Of series that are still written, when that value was reported, in seconds since 1970.
    reported: Columns,
    pub tags: Columns,
    names: Column,
    experiments: Column,
    /// The rows of the runs that they belong to.
    parents: Column,
    pub seeds: Column,
    /// How often the sealed metrics were shown.
    looks: Column,
    /// The rows of those that have sealed some.
    sealed: Vec<u64>,
    extras: LazyJson<ExtrasByRun>,
    sessions: LazyJson<Sessions>,
}

indexed!(Runs {
    run_ids,
    began,
    status,
    void,
    void_count,
    session,
    last_session,
    several_sessions,
    helping_sessions,
    ended,
    params,
    metrics,
    reported,
    tags,
    names,
    experiments,
    parents,
    seeds,
    looks,
    sealed,
    extras,
    sessions,
});

/// What few runs have.
#[derive(Debug, Default, Clone)]
struct RunExtras {
    artifacts: Vec<(String, ArtifactEntry)>,
    data: Vec<(String, DataVersion)>,
    call: Option<Call>,
    origin: Option<Json>,
    sealed: Vec<(String, Json)>,
    notes: Vec<Note>,
    voids: Vec<Void>,
    /// Why it failed.
    condition: Option<Condition>,
    /// As the format writes it.
    stream: Option<String>,
}

/// That a run was declared void, or that this was taken back, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Void {
    pub is_void: bool,
    pub reason: Note,
}

/// A remark on a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Note {
    pub time: Timestamp,
    /// The number of the session that made it.
    session: u32,
    pub text: String,
}

impl Note {
    /// About how many bytes of memory it takes.
    fn size(&self) -> usize {
        size_of::<Note>() + self.text.len()
    }

    fn json(&self) -> Json {
        Json::Array(vec![
            Json::Int(self.time.micros()),
            Json::Int(i64::from(self.session)),
            Json::Str(self.text.clone()),
        ])
    }

    fn of_json(json: Json) -> Option<Note> {
        let [time, session, text] = <[Json; 3]>::try_from(json.into_array()?).ok()?;
        Some(Note {
            time: Timestamp::from_micros(time.as_int()?)?,
            session: u32::try_from(session.as_int()?).ok()?,
            text: text.as_str()?.to_owned(),
        })
    }
}

impl Void {
    fn json(&self) -> Json {
        Json::Array(vec![Json::Bool(self.is_void), self.reason.json()])
    }

    fn of_json(json: Json) -> Option<Void> {
        let [is_void, reason] = <[Json; 2]>::try_from(json.into_array()?).ok()?;
        Some(Void {
            is_void: is_void.as_bool()?,
            reason: Note::of_json(reason)?,
        })
    }
}

static EMPTY: std::sync::LazyLock<RunExtras> = std::sync::LazyLock::new(RunExtras::default);

impl RunExtras {
    /// About how many bytes of memory it takes.
    fn size(&self) -> usize {
        let values = self.sealed.iter();
        let values = values.map(|(name, json)| name.len() + json.size());
        let artifacts = self.artifacts.iter();
        let artifacts = artifacts.map(|(name, entry)| name.len() + entry.memory());
        let data = self.data.iter();
        let data = data.map(|(name, version)| name.len() + version.memory());
        let named: usize = values
            .chain(artifacts)
            .chain(data)
            .map(|size| 64 + size)
            .sum();
        let call = self.call.as_ref().map(Call::json);
        let condition = self.condition.as_ref().map(Condition::json);
        let one = call.into_iter().chain(&self.origin).chain(condition);
        let notes = self.notes.iter().map(Note::size).sum::<usize>();
        let voids = self.voids.iter().map(|void| void.reason.size());
        let notes = notes + voids.sum::<usize>();
        let texts = self.stream.as_ref().map_or(0, String::len);
        2 * size_of::<RunExtras>() + named + notes + texts + one.map(Json::size).sum::<usize>()
    }
}

/// By the rows of the runs.
type ExtrasByRun = HashMap<u32, RunExtras>;

impl AsJson for ExtrasByRun {
    fn json(&self) -> Json {
        let one = |json: Option<&Json>| json.cloned().unwrap_or(Json::Null);
        fn named<T>(items: &[(String, T)], json: fn(&T) -> Json) -> Json {
            let pairs = items.iter().map(|(name, item)| (name.clone(), json(item)));
            Json::Object(pairs.collect())
        }
        let json = |(&row, extras): (&u32, &RunExtras)| {
            Json::Array(vec![
                Json::Int(i64::from(row)),
                named(&extras.artifacts, ArtifactEntry::json),
                named(&extras.data, DataVersion::json),
                one(extras.call.as_ref().map(Call::json)),
                one(extras.origin.as_ref()),
                Json::Object(extras.sealed.clone()),
                Json::Array(extras.notes.iter().map(Note::json).collect()),
                Json::Array(extras.voids.iter().map(Void::json).collect()),
                one(extras.condition.as_ref().map(Condition::json)),
                one(extras.stream.clone().map(Json::Str).as_ref()),
            ])
        };
        Json::Array(self.iter().map(json).collect())
    }

    fn of_json(json: Json) -> Option<ExtrasByRun> {
        let one = |json| (json != Json::Null).then_some(json);
        fn named<T>(json: Json, read: fn(Json) -> T) -> Option<Vec<(String, T)>> {
            let pairs = json.into_object()?.into_iter();
            Some(pairs.map(|(name, json)| (name, read(json))).collect())
        }
        let extras = |json: Json| {
            let [
                row,
                artifacts,
                data,
                call,
                origin,
                sealed,
                notes,
                voids,
                condition,
                stream,
            ] = <[Json; 10]>::try_from(json.into_array()?).ok()?;
            let notes = notes.into_array()?.into_iter().map(Note::of_json);
            let voids = voids.into_array()?.into_iter().map(Void::of_json);
            let extras = RunExtras {
                artifacts: named(artifacts, ArtifactEntry::read)?,
                data: named(data, DataVersion::read)?,
                call: one(call).map(Call::from_json),
                origin: one(origin),
                sealed: sealed.into_object()?,
                notes: notes.collect::<Option<_>>()?,
                voids: voids.collect::<Option<_>>()?,
                condition: one(condition).map(Condition::from_json),
                stream: stream.as_str().map(str::to_owned),
            };
            Some((u32::try_from(row.as_int()?).ok()?, extras))
        };
        json.into_array()?.into_iter().map(extras).collect()
    }
}

/// The numbers of sessions in the order in which they first speak of a run, by the rows of the runs.
#[derive(Debug, Default)]
struct SessionsByRun(HashMap<u32, Vec<u32>>);

impl AsJson for SessionsByRun {
    fn json(&self) -> Json {
        let number = |&number: &u32| Json::Int(i64::from(number));
        let json = |(row, sessions): (&u32, &Vec<u32>)| {
            Json::Array(std::iter::once(row).chain(sessions).map(number).collect())
        };
        Json::Array(self.0.iter().map(json).collect())
    }

    fn of_json(json: Json) -> Option<SessionsByRun> {
        let number = |json: &Json| u32::try_from(json.as_int()?).ok();
        let one = |json: Json| {
            let numbers: Option<Vec<u32>> = json.into_array()?.iter().map(number).collect();
            let mut sessions = numbers?;
            (sessions.len() > 1).then(|| (sessions.remove(0), sessions))
        };
        let by_run: Option<_> = json.into_array()?.into_iter().map(one).collect();
        by_run.map(SessionsByRun)
    }
}

/// What of runs a question may be about, beside their ids, times, status and how often they were revealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Parameters and metrics.
    Values,
    Sessions,
    /// Names, experiments, seeds, tags, and what few runs have: artifacts, data, calls, origins, sealed metrics, notes, why they failed or are void.
    Extras,
}

/// All there is.
pub const ALL_PARTS: [Part; 3] = [Part::Values, Part::Sessions, Part::Extras];

/// A run, as far as it is in memory: [`Runs::load`] sees to that where the runs come from an index.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    runs: &'a Runs,
    /// Its number among all of them, from 0 on: that of its row in every column.
    pub row: usize,
}

impl<'a> Run<'a> {
    pub fn id(self) -> &'a str {
        self.runs.run_ids.id(self.row)
    }

    pub fn began(self) -> Timestamp {
        self.runs.began.get(self.row).expect("a run's row")
    }

    pub fn ended(self) -> Option<Timestamp> {
        let ended = &self.runs.ended;
        match ended.tag(self.row) {
            Tag::Integer64 => Timestamp::from_micros(ended.bits(self.row) as i64),
            _ => None,
        }
    }

    pub fn status(self) -> Status {
        self.runs.status.get(self.row).expect("a run's row")
    }

    pub fn is_void(self) -> bool {
        self.runs.void.get(self.row).expect("a run's row")
    }

    pub fn params(self) -> Vec<(String, Value)> {
        self.runs.params.row(self.row)
    }

    /// The first of its parameters that is called so and is a text.
    pub fn param_text(self, names: &[&str]) -> Option<&'a str> {
        let columns = self.runs.params.iter();
        let mut named = columns.filter(|column| names.contains(&column.name.as_str()));
        named.find_map(|column| match column.tag(self.row) {
            Tag::Text => Some(column.texts.get(column.bits(self.row) as usize)),
            _ => None,
        })
    }

    pub fn metrics(self) -> Vec<(String, Value)> {
        self.runs.metrics.row(self.row)
    }

    pub fn name(self) -> Option<&'a str> {
        text(&self.runs.names, self.row)
    }

    /// What it is a part of, together with other runs.
    pub fn experiment(self) -> Option<&'a str> {
        text(&self.runs.experiments, self.row)
    }

    /// The run that it belongs to, in memory as far as this one is.
    pub fn parent(self) -> Option<Run<'a>> {
        let parents = &self.runs.parents;
        let is_there = parents.tag(self.row) == Tag::Int;
        is_there.then(|| self.runs.at(parents.bits(self.row) as usize))
    }

    /// What was remarked on it, in its order.
    pub fn notes(self) -> &'a [Note] {
        &self.extras().notes
    }

    /// The session in which a note on it was made.
    pub fn session_of(self, note: &Note) -> &'a Session {
        self.runs.sessions.get().at(note.session)
    }

    /// Why it is void, if it is.
    pub fn void_reason(self) -> Option<&'a str> {
        let last = self.voids().last().filter(|void| void.is_void)?;
        Some(&*last.reason.text).filter(|reason| !reason.is_empty())
    }

    /// How often it was declared void, and that taken back, in its order.
    pub fn voids(self) -> &'a [Void] {
        &self.extras().voids
    }

    /// Why it failed, if it did.
    pub fn condition(self) -> Option<&'a Condition> {
        let condition = self.extras().condition.as_ref();
        condition.filter(|_| self.status() == Status::Failed)
    }

    /// The state of R's random stream before it, if it drew from that without a seed.
    pub fn stream(self) -> Option<Vec<i32>> {
        stream_state(self.extras().stream.as_deref()?)
    }

    pub fn seed(self) -> Option<Value> {
        self.runs.seeds.get(self.row)
    }

    pub fn tags(self) -> Vec<(String, Value)> {
        self.runs.tags.row(self.row)
    }

    /// Name and entry of each artifact.
    pub fn artifacts(self) -> &'a [(String, ArtifactEntry)] {
        &self.extras().artifacts
    }

    /// Name and entry of each data version.
    pub fn data(self) -> &'a [(String, DataVersion)] {
        &self.extras().data
    }

    /// The function call that the run is about, if it was one.
    pub fn call(self) -> Option<&'a Call> {
        self.extras().call.as_ref()
    }

    /// Where the run came from, if it was copied from elsewhere.
    pub fn origin(self) -> Option<&'a Json> {
        self.extras().origin.as_ref()
    }

    /// How often its sealed metrics were shown.
    pub fn looks(self) -> u32 {
        self.runs.looks.bits(self.row) as u32
    }

    /// The session in which it began or was resumed.
    pub fn session(self) -> &'a Session {
        let number = self.runs.session.get(self.row).expect("a run's row");
        self.runs.sessions.get().at(number)
    }

    /// The session in which it last said something.
    pub fn last_session(self) -> &'a Session {
        let last = &self.runs.last_session;
        match last.tag(self.row) {
            Tag::Int => self.runs.sessions.get().at(last.bits(self.row) as u32),
            _ => self.session(),
        }
    }

    /// All sessions that speak of it, in the order in which they first do.
    pub fn sessions(self) -> Vec<&'a Session> {
        let sessions = self.runs.sessions.get();
        match self.runs.several_sessions.get().0.get(&(self.row as u32)) {
            Some(several) => several.iter().map(|&number| sessions.at(number)).collect(),
            None => vec![self.session()],
        }
    }

    /// Metrics that were sealed, whether or not they have been revealed since.
    pub fn sealed(self) -> Vec<(String, Value)> {
        values(&self.extras().sealed)
    }

    /// Metrics that nobody is to see yet.
    pub fn hidden(self) -> Vec<(String, Value)> {
        if self.looks() == 0 {
            self.sealed()
        } else {
            Vec::new()
        }
    }

    /// Why nobody should rest on the run, if there is a reason.
    pub fn unfit(self) -> Option<&'static str> {
        match self.status() {
            _ if self.is_void() => Some("was declared void"),
            Status::Failed => Some("has failed"),
            Status::Interrupted => Some("was interrupted"),
            _ => None,
        }
    }

    /// Its status in the words of a reader, given whether the run is lost.
    pub fn status_name(self, is_lost: bool) -> &'static str {
        match self.is_void() {
            true => "void",
            false if is_lost => "lost",
            false => self.status().name(),
        }
    }

    /// Whether a running run's process is provably gone, and each that has helped it.
    pub fn is_lost(self) -> bool {
        self.is_lost_by(|session| session.context.as_ref())
    }

    /// The same, where the contexts of sessions stand elsewhere.
    pub fn is_lost_by(self, context: impl Fn(&'a Session) -> Option<&'a SessionContext>) -> bool {
        let sessions = self.runs.sessions.get();
        let helping = self.runs.helping_sessions.get().0.get(&(self.row as u32));
        let helping = helping.into_iter().flatten();
        let mut all = helping
            .map(|&number| sessions.at(number))
            .chain([self.session()]);
        self.status() == Status::Running && all.all(|session| context(session).is_some_and(is_gone))
    }

    /// Whether it is of one session, and has nothing on record but values, tags and how it went; no name either, and it
    /// belongs to nothing.
    pub fn is_plain(self) -> bool {
        let row = self.row as u32;
        let runs = self.runs;
        let names = [&runs.names, &runs.experiments, &runs.parents];
        names
            .iter()
            .all(|column| column.tag(self.row) == Tag::Absent)
            && !runs.extras.get().contains_key(&row)
            && !runs.several_sessions.get().0.contains_key(&row)
    }

    fn extras(self) -> &'a RunExtras {
        let extras = self.runs.extras.get().get(&(self.row as u32));
        extras.unwrap_or(&EMPTY)
    }
}

impl Runs {
    /// Folds the events in their order.
    pub fn fold(ledger: &Ledger) -> error::Result<Runs> {
        fold::fold(ledger)
    }

    pub fn len(&self) -> usize {
        self.began.len()
    }

    pub fn is_empty(&self) -> bool {
        self.began.is_empty()
    }

    pub fn at(&self, row: usize) -> Run<'_> {
        Run { runs: self, row }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Run<'_>> + ExactSizeIterator {
        (0..self.len()).map(|row| self.at(row))
    }

    /// The run of an id, in memory but for its [`Part`]s.
    pub fn get(&self, id: &str) -> Result<Option<Run<'_>>> {
        self.get_with(id, &[])
    }

    /// The run of an id, in memory with these parts.
    pub fn get_with(&self, id: &str, parts: &[Part]) -> Result<Option<Run<'_>>> {
        let Some(row) = self.run_ids.find(id)? else {
            return Ok(None);
        };
        self.load(&[row], parts)?;
        Ok(Some(self.at(row)))
    }

    /// Brings runs into memory, with these parts of them: what reads them can't fail.
    pub fn load(&self, rows: &[usize], parts: &[Part]) -> Result<()> {
        self.run_ids.load(rows)?;
        self.began.load_rows(rows)?;
        self.status.load_rows(rows)?;
        self.void.load_rows(rows)?;
        self.ended.load(rows)?;
        self.looks.load(rows)?;
        self.parents.load(rows)?;
        // To name a parent takes its id.
        let parents = rows.iter().filter_map(|&row| self.at(row).parent());
        let parents: Vec<usize> = parents.map(|parent| parent.row).collect();
        self.run_ids.load(&parents)?;
        for part in parts {
            match part {
                Part::Values => {
                    self.params.load(rows)?;
                    self.metrics.load(rows)?;
                }
                Part::Sessions => {
                    self.session.load_rows(rows)?;
                    self.last_session.load(rows)?;
                    self.several_sessions.load()?;
                    self.helping_sessions.load()?;
                    self.sessions.load()?;
                }
                Part::Extras => {
                    self.names.load(rows)?;
                    self.experiments.load(rows)?;
                    self.seeds.load(rows)?;
                    self.tags.load(rows)?;
                    self.extras.load()?;
                }
            }
        }
        Ok(())
    }

    /// The same, or the error that there is none.
    pub fn known(&self, id: &str) -> error::Result<Run<'_>> {
        let row = self.run_ids.known(id)?;
        self.load(&[row], &[])?;
        Ok(self.at(row))
    }

    /// When a value of a run was reported last, in seconds since 1970. What is to count as later must not be reported before.
    pub fn last_report(&self, run: usize) -> Result<Option<f64>> {
        self.reported.load(&[run])?;
        let times = self.reported.iter().filter_map(|times| times.get(run));
        let seconds = times.filter_map(|time| match time {
            Value::Double(seconds) => Some(seconds),
            _ => None,
        });
        Ok(seconds.max_by(f64::total_cmp))
    }

    /// The ids of the runs that belong to a run, in their order.
    pub fn children(&self, parent: usize) -> Result<Vec<&str>> {
        self.parents.load_cells()?;
        let is_child = |row: &usize| {
            self.parents.tag(*row) == Tag::Int && self.parents.bits(*row) == parent as u64
        };
        let rows: Vec<usize> = (parent + 1..self.len()).filter(is_child).collect();
        self.run_ids.load(&rows)?;
        Ok(rows.into_iter().map(|row| self.run_ids.id(row)).collect())
    }

    /// The rows of the runs that are not void.
    pub fn valid(&self) -> Result<Vec<usize>> {
        self.void.load()?;
        memory::ensure(2 * self.len() * size_of::<usize>());
        let rows = self.void.iter().enumerate();
        Ok(rows
            .filter_map(|(row, void)| (!void).then_some(row))
            .collect())
    }

    /// How many runs are void.
    pub fn count_void(&self) -> usize {
        self.void_count as usize
    }

    /// The status of the runs of a block and whether they are void, which are brought into memory.
    pub fn load_states(&self, block: usize) -> Result<(&[Status], &[bool])> {
        Ok((self.status.load_block(block)?, self.void.load_block(block)?))
    }

    /// The sessions, in the order in which rows first name them.
    pub fn sessions(&self) -> impl Iterator<Item = &Session> {
        self.sessions.get().list.iter()
    }

    /// The runs that have sealed metrics, with these in memory.
    pub fn with_sealed(&self) -> Result<impl Iterator<Item = Run<'_>>> {
        let rows: Vec<usize> = self.sealed.iter().map(|&row| row as usize).collect();
        if !rows.is_empty() {
            self.load(&rows, &[Part::Extras])?;
        }
        Ok(rows.into_iter().map(|row| self.at(row)))
    }

    fn add_session(&mut self, row: &Row<'_>) -> std::result::Result<(), Refusal> {
        let context = SessionContext::read(row.context)?;
        if let Some(id) = context.id() {
            let sessions = self.sessions.get_mut()?;
            let number = sessions.find_or_add(id) as usize;
            sessions.list[number].context = Some(context);
        }
        Ok(())
    }

    fn begin(&mut self, run: usize, row: &Row<'_>) -> std::result::Result<(), Refusal> {
        let context = RunContext::read(row.context)?;
        self.began.push(row.time)?;
        self.status.push(match row.event {
            EventKind::Run => Status::Finished,
            _ => Status::Running,
        })?;
        self.void.push(false)?;
        let session = self.sessions.get_mut()?.find_or_add(&context.session);
        self.session.push(session)?;
        if context.origin.is_some() {
            self.extras(run)?.origin.clone_from(&context.origin);
        }
        if let Some(name) = &context.name {
            self.names.set_text(run, name)?;
        }
        if let Some(experiment) = &context.experiment {
            self.experiments.set_text(run, experiment)?;
        }
        if let Some(parent) = &context.parent {
            // Only an earlier one can be: so nothing belongs to itself.
            if let Some(parent) = self.run_ids.find(parent)?.filter(|&parent| parent < run) {
                self.parents.put(run, Tag::Int, parent as u64)?;
            }
        }
        self.record(run, row, context)
    }

    fn note(&mut self, row: &Row<'_>, context: &RunContext, text: String) -> Result<Note> {
        let session = self.sessions.get_mut()?.find_or_add(&context.session);
        Ok(Note {
            time: row.time,
            session,
            text,
        })
    }

    fn set_tags(&mut self, run: usize, tags: Vec<(String, Json)>) -> Result<()> {
        for (name, json) in tags {
            self.tags.set(&name, run, Value::from_json(&json))?;
        }
        Ok(())
    }

    fn extras(&mut self, run: usize) -> Result<&mut RunExtras> {
        Ok(self.extras.get_mut()?.entry(run as u32).or_default())
    }

    /// Takes over that a session speaks of a run.
    fn speak(&mut self, run: usize, session: u32) -> Result<()> {
        self.session.load_rows(&[run])?;
        self.last_session.load(&[run])?;
        let first = self.session.get(run).expect("a run's row");
        let last = match self.last_session.tag(run) {
            Tag::Int => self.last_session.bits(run) as u32,
            _ => first,
        };
        if session != last {
            let several = &mut self.several_sessions.get_mut()?.0;
            let known = several.entry(run as u32).or_insert_with(|| vec![first]);
            if !known.contains(&session) {
                known.push(session);
            }
        }
        if session != first {
            let helping = &mut self.helping_sessions.get_mut()?.0;
            let known = helping.entry(run as u32).or_default();
            if !known.contains(&session) {
                known.push(session);
            }
        }
        self.last_session.put(run, Tag::Int, u64::from(session))
    }

    /// Whether a value of a metric comes after the one that is known, and takes over when it was reported. A point
    /// may be written after others that were reported later, in other processes.
    fn is_later(
        &mut self,
        run: usize,
        row: Timestamp,
        name: &str,
        at: Option<f64>,
    ) -> Result<bool> {
        let index = self.reported.find_or_add(name);
        let column = self.reported.at(index);
        column.load(&[run])?;
        let known = column.get(run);
        if let (Some(at), Some(Value::Double(known))) = (at, known) {
            if at < known {
                return Ok(false);
            }
        }
        column.set(run, Value::Double(at.unwrap_or(row.seconds())))?;
        Ok(true)
    }

    /// Takes over what a row says of parameters, metrics and the rest: the last value wins.
    fn record(
        &mut self,
        run: usize,
        row: &Row<'_>,
        context: RunContext,
    ) -> std::result::Result<(), Refusal> {
        if matches!(
            row.event,
            EventKind::Resume | EventKind::Log | EventKind::End
        ) {
            let session = self.sessions.get_mut()?.find_or_add(&context.session);
            self.speak(run, session)?;
        }
        for (key, json) in row.params.pairs()? {
            let name = value::unescape_key(&key);
            self.params.set(name, run, Value::from_json(&json))?;
        }
        for (key, json) in row.metrics.pairs()? {
            let name = value::unescape_key(&key);
            let Some((value, at)) = series::last_reported(&json) else {
                continue;
            };
            if row.event == EventKind::Run || self.is_later(run, row.time, name, at)? {
                self.metrics.set(name, run, value)?;
            }
        }
        let artifacts = row.artifacts.pairs()?.into_iter().map(|(name, artifact)| {
            let name = value::unescape_key(&name).to_owned();
            (name, ArtifactEntry::read(artifact))
        });
        if !row.artifacts.is_empty() {
            set_all(&mut self.extras(run)?.artifacts, artifacts.collect());
        }
        if let Some(seed) = &context.seed {
            self.seeds.set(run, Value::from_json(seed))?;
        }
        if !context.data.is_empty() {
            set_all(&mut self.extras(run)?.data, context.data);
        }
        if context.call.is_some() {
            self.extras(run)?.call = context.call;
        }
        if context.stream.is_some() {
            self.extras(run)?.stream = context.stream;
        }
        self.set_tags(run, context.tags)?;
        if !context.sealed.is_empty() {
            let sealed = &mut self.extras(run)?.sealed;
            let is_first = sealed.is_empty();
            set_all(sealed, context.sealed);
            if is_first {
                self.sealed.push(run as u64);
            }
        }
        Ok(self.show_revealed(run)?)
    }

    /// Sealed metrics are like others once they have been revealed.
    fn show_revealed(&mut self, run: usize) -> Result<()> {
        if self.looks.load_bits(run)? > 0 {
            self.extras.load()?;
            for (name, value) in self.at(run).sealed() {
                self.metrics.set(&name, run, value)?;
            }
        }
        Ok(())
    }
}

impl Fold for Runs {
    fn size(&self) -> usize {
        self.run_ids.size()
            + self.began.size()
            + self.status.size()
            + self.void.size()
            + self.session.size()
            + self.params.size()
            + self.metrics.size()
            + self.reported.size()
            + self.tags.size()
            + [
                &self.names,
                &self.experiments,
                &self.parents,
                &self.seeds,
                &self.ended,
                &self.last_session,
                &self.looks,
            ]
            .map(Column::size)
            .iter()
            .sum::<usize>()
            + self
                .extras
                .loaded()
                .map_or(0, |extras| extras.values().map(RunExtras::size).sum())
            + self.sessions.loaded().map_or(0, Sessions::size)
            + self
                .several_sessions
                .loaded()
                .map_or(0, |several| 256 * several.0.len())
    }

    fn read(file: &LedgerFile) -> error::Result<Folded<Runs>> {
        parallel_read::read(file)
    }

    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<(), Refusal> {
        let run = match self.run_ids.apply(row)? {
            Effect::OfRun(run) => run,
            Effect::TagsOfRun(run) => {
                let tags = RunContext::read(row.context)?.tags;
                return Ok(self.set_tags(run, tags)?);
            }
            Effect::Other if row.event == EventKind::Session => return self.add_session(row),
            Effect::Other | Effect::None => return Ok(()),
        };
        if row.event.begins_run() {
            return self.begin(run, row);
        }
        let context = RunContext::read(row.context)?;
        match row.event {
            EventKind::Resume => {
                self.status.set(run, Status::Running)?;
                self.ended.put(run, Tag::Absent, 0)?;
                self.extras(run)?.condition = None;
                let session = self.sessions.get_mut()?.find_or_add(&context.session);
                self.speak(run, session)?;
                self.session.set(run, session)?;
                self.helping_sessions.get_mut()?.0.remove(&(run as u32));
            }
            EventKind::End => {
                let ended = row.time.micros() as u64;
                self.ended.put(run, Tag::Integer64, ended)?;
                let status = match context.status {
                    Some(EndStatus::Finished) => Status::Finished,
                    Some(EndStatus::Failed) => Status::Failed,
                    // One that this version doesn't know is no claim that the run finished.
                    Some(EndStatus::Interrupted) | None => Status::Interrupted,
                };
                self.status.set(run, status)?;
                if context.condition.is_some() {
                    self.extras(run)?.condition = context.condition.clone();
                }
            }
            EventKind::Note => {
                if let Some(text) = context.text.clone() {
                    let note = self.note(row, &context, text)?;
                    self.extras(run)?.notes.push(note);
                }
            }
            EventKind::Void => {
                let is_void = context.void.unwrap_or(true);
                let was_void = self.void.load_at(run)?.unwrap_or(false);
                self.void_count = self.void_count + u64::from(is_void) - u64::from(was_void);
                self.void.set(run, is_void)?;
                let text = context.reason.clone().unwrap_or_default();
                let reason = self.note(row, &context, text)?;
                self.extras(run)?.voids.push(Void { is_void, reason });
            }
            EventKind::Reveal => {
                let looks = self.looks.load_bits(run)? + 1;
                self.looks.put(run, Tag::Int, looks)?;
                self.show_revealed(run)?;
            }
            _ => {}
        }
        match row.event.is_remark() {
            true => Ok(self.set_tags(run, context.tags)?),
            false => self.record(run, row, context),
        }
    }
}

impl BulkFold for Runs {
    /// A run that has begun already, or of a session that isn't known, is a matter for the generic way.
    fn add(&mut self, batch: &Batch, rows: std::ops::Range<usize>) -> Option<()> {
        let to = self.len();
        self.run_ids.begin_all(batch, rows.clone())?;
        self.began.extend(&batch.began[rows.clone()]).ok()?;
        let length = to + rows.len();
        self.status.resize(length, Status::Finished).ok()?;
        self.void.resize(length, false).ok()?;
        let mut sessions: Vec<Option<u32>> = vec![None; batch.sessions.list.len()];
        for &session in &batch.session[rows.clone()] {
            let number = match sessions[session as usize] {
                Some(number) => number,
                None => {
                    let id = &batch.sessions.at(session).id;
                    let number = self.sessions.get_mut().ok()?.find_or_add(id);
                    sessions[session as usize] = Some(number);
                    number
                }
            };
            self.session.push(number).ok()?;
        }
        let (params, metrics) = (&batch.params, &batch.metrics);
        self.params.append(to, params, rows.clone()).ok()?;
        self.metrics.append(to, metrics, rows.clone()).ok()?;
        let (names, experiments) = (&batch.names, &batch.experiments);
        self.names.append(to, names, rows.clone()).ok()?;
        self.experiments
            .append(to, experiments, rows.clone())
            .ok()?;
        self.seeds.append(to, &batch.seeds, rows).ok()
    }
}

/// The text of a column in a row.
fn text(column: &Column, row: usize) -> Option<&str> {
    match column.tag(row) {
        Tag::Text => Some(column.texts.get(column.bits(row) as usize)),
        _ => None,
    }
}

/// The process of a session is gone if it ran where we would see it, and we don't.
fn is_gone(session: &SessionContext) -> bool {
    session.process().is_some_and(|process| {
        sys::host().as_deref() == Some(process.host)
            && sys::is_gone(process.boot, process.pids, process.pid, process.started)
    })
}

fn values(pairs: &[(String, Json)]) -> Vec<(String, Value)> {
    let value = |(name, json): &(String, Json)| (name.clone(), Value::from_json(json));
    pairs.iter().map(value).collect()
}

/// Sets the values of keys that may have one already.
fn set_all<K: Clone + Eq + Hash, V>(pairs: &mut Vec<(K, V)>, new: Vec<(K, V)>) {
    /// For so many a look through those that are there is quicker than a table of them.
    const FEW: usize = 16;
    let mut places = HashMap::new();
    let is_many = new.len() > FEW;
    if is_many {
        let known = pairs.iter().enumerate();
        places.extend(known.map(|(place, (key, _))| (key.clone(), place)));
    }
    for (key, value) in new {
        let place = match is_many {
            true => *places.entry(key.clone()).or_insert(pairs.len()),
            false => {
                let place = pairs.iter().position(|(known, _)| *known == key);
                place.unwrap_or(pairs.len())
            }
        };
        match pairs.get_mut(place) {
            Some((_, old)) => *old = value,
            None => pairs.push((key, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_keys_are_set_as_few_are() {
        let keys = |from: usize, to: usize| (from..to).map(|key| format!("k{key}"));
        let mut at_once = Vec::new();
        set_all(&mut at_once, keys(0, 100).map(|key| (key, 1)).collect());
        let new: Vec<_> = keys(50, 150).chain(keys(60, 61)).zip(2..).collect();
        let mut one_by_one = at_once.clone();
        for pair in new.clone() {
            set_all(&mut one_by_one, vec![pair]);
        }
        set_all(&mut at_once, new);
        assert_eq!(at_once, one_by_one);
        assert_eq!(at_once.len(), 150);
        assert_eq!(at_once[60], ("k60".to_owned(), 102));
    }
}
