//! Runs: what the events of a ledger add up to.

use std::collections::HashMap;
use std::path::Path;

use crate::bulk::{self, BulkFold};
use crate::columns::{Column, Columns};
use crate::error::Result;
use crate::follow::{self, Fold, Follow};
use crate::ids::{Ids, hash};
use crate::json::{Json, Malformed};
use crate::ledger::Ledger;
use crate::record::{Cell, Row, WithoutEffect};
use crate::sys;
use crate::time::Timestamp;
use crate::value::{self, Value};

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
            Status::Finished => "finished",
            Status::Failed => "failed",
            Status::Interrupted => "interrupted",
        }
    }
}

/// All runs of a ledger, in the order of their first rows, each as it stands after the last event
/// that speaks of it.
#[derive(Debug, Default)]
pub struct Runs {
    ids: Ids,
    began: Vec<Timestamp>,
    status: Vec<Status>,
    /// The place of the session in which each began or was resumed.
    session: Vec<u32>,
    pub params: Columns,
    /// Of a series the last value.
    pub metrics: Columns,
    pub seeds: Column,
    more: HashMap<u32, More>,
    sessions: Sessions,
    pub without_effect: Vec<WithoutEffect>,
}

/// What few runs have.
#[derive(Debug, Default, Clone)]
struct More {
    ended: Option<Timestamp>,
    void: bool,
    tags: Vec<(String, Value)>,
    artifacts: Vec<(String, Json)>,
    data: Vec<(String, Json)>,
    call: Option<Json>,
    origin: Option<Json>,
    looks: u32,
    last_session: Option<u32>,
    sealed: Vec<(String, Value)>,
}

static NOTHING: std::sync::LazyLock<More> = std::sync::LazyLock::new(More::default);

/// A run.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    runs: &'a Runs,
    /// Its place among all of them.
    pub place: usize,
}

impl<'a> Run<'a> {
    pub fn id(self) -> &'a str {
        self.runs.ids.get(self.place)
    }

    pub fn began(self) -> Timestamp {
        self.runs.began[self.place]
    }

    pub fn ended(self) -> Option<Timestamp> {
        self.more().ended
    }

    pub fn status(self) -> Status {
        self.runs.status[self.place]
    }

    pub fn is_void(self) -> bool {
        self.more().void
    }

    pub fn params(self) -> Vec<(String, Value)> {
        self.runs.params.row(self.place)
    }

    pub fn metrics(self) -> Vec<(String, Value)> {
        self.runs.metrics.row(self.place)
    }

    pub fn seed(self) -> Option<Value> {
        self.runs.seeds.get(self.place)
    }

    pub fn tags(self) -> &'a [(String, Value)] {
        &self.more().tags
    }

    /// Name and entry of each artifact.
    pub fn artifacts(self) -> &'a [(String, Json)] {
        &self.more().artifacts
    }

    /// Name and entry of each data version.
    pub fn data(self) -> &'a [(String, Json)] {
        &self.more().data
    }

    /// The function call that the run is about, if it was one.
    pub fn call(self) -> Option<&'a Json> {
        self.more().call.as_ref()
    }

    /// Where the run came from, if it was copied from elsewhere.
    pub fn origin(self) -> Option<&'a Json> {
        self.more().origin.as_ref()
    }

    /// How often its sealed metrics were shown.
    pub fn looks(self) -> u32 {
        self.more().looks
    }

    /// The session in which it began or was resumed.
    pub fn session(self) -> &'a Session {
        self.runs.sessions.get(self.runs.session[self.place])
    }

    /// The session in which it last said something.
    pub fn last_session(self) -> &'a Session {
        let last = self.more().last_session;
        self.runs
            .sessions
            .get(last.unwrap_or(self.runs.session[self.place]))
    }

    /// Metrics that were sealed, whether or not they have been revealed since.
    pub fn sealed(self) -> &'a [(String, Value)] {
        &self.more().sealed
    }

    /// Metrics that nobody is to see yet.
    pub fn hidden(self) -> &'a [(String, Value)] {
        if self.looks() == 0 {
            self.sealed()
        } else {
            &[]
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

    /// Whether a running run's process is provably gone.
    pub fn is_lost(self) -> bool {
        self.status() == Status::Running && self.session().context.as_ref().is_some_and(is_gone)
    }

    fn more(self) -> &'a More {
        let more = self.runs.more.get(&(self.place as u32));
        more.unwrap_or(&NOTHING)
    }
}

/// With what runs were made. A row may name a session that isn't there; it has no context.
#[derive(Debug, Default)]
pub struct Session {
    pub id: String,
    pub context: Option<Json>,
}

#[derive(Debug, Default)]
struct Sessions {
    list: Vec<Session>,
    places: HashMap<String, u32>,
}

impl Sessions {
    fn get(&self, place: u32) -> &Session {
        &self.list[place as usize]
    }

    fn place(&mut self, id: &str) -> u32 {
        if let Some(&place) = self.places.get(id) {
            return place;
        }
        let place = self.list.len() as u32;
        self.list.push(Session {
            id: id.to_owned(),
            context: None,
        });
        self.places.insert(id.to_owned(), place);
        place
    }
}

impl Runs {
    /// The runs of a ledger's file.
    pub fn read(path: &Path) -> Result<Runs> {
        Ok(bulk::read(path)?.into_view())
    }

    /// Folds the events in their order.
    pub fn fold(ledger: &Ledger) -> Result<Runs> {
        follow::fold(ledger)
    }

    pub fn len(&self) -> usize {
        self.began.len()
    }

    pub fn is_empty(&self) -> bool {
        self.began.is_empty()
    }

    pub fn at(&self, place: usize) -> Run<'_> {
        Run { runs: self, place }
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Run<'_>> + ExactSizeIterator {
        (0..self.len()).map(|place| self.at(place))
    }

    pub fn get(&self, id: &str) -> Option<Run<'_>> {
        self.ids.place(id).map(|place| self.at(place))
    }

    /// The places of the runs that are not void.
    pub fn valid(&self) -> Vec<usize> {
        let void = |place: &usize| {
            let more = self.more.get(&(*place as u32));
            more.is_some_and(|more| more.void)
        };
        (0..self.len())
            .filter(|place| self.more.is_empty() || !void(place))
            .collect()
    }

    fn begin(&mut self, row: &Row<'_>) -> std::result::Result<(), Malformed> {
        let id = row.run_id.as_bytes();
        let Some(place) = self.ids.add(id, hash(id)) else {
            self.without_effect.push(WithoutEffect {
                seq: row.seq,
                why: "its run had begun already",
            });
            return Ok(());
        };
        let context = Json::Object(row.context.pairs()?);
        self.began.push(row.time);
        self.status.push(match row.event {
            "run" => Status::Finished,
            _ => Status::Running,
        });
        let session = self.sessions.place(session(&context));
        self.session.push(session);
        if let Some(origin) = context.get("origin") {
            self.more(place).origin = Some(origin.clone());
        }
        self.record(place, row, &context)
    }

    fn more(&mut self, place: usize) -> &mut More {
        self.more.entry(place as u32).or_default()
    }

    /// Takes over what a row says of parameters, metrics and the rest: the last value wins.
    fn record(
        &mut self,
        place: usize,
        row: &Row<'_>,
        context: &Json,
    ) -> std::result::Result<(), Malformed> {
        if matches!(row.event, "resume" | "log" | "end") {
            let session = self.sessions.place(session(context));
            self.more(place).last_session = Some(session);
        }
        for (key, json) in row.params.pairs()? {
            let name = value::unescape_key(&key);
            self.params.set(name, place, Value::from_json(&json));
        }
        for (name, value) in metrics(row.metrics)? {
            self.metrics.set(&name, place, value);
        }
        for (name, artifact) in row.artifacts.pairs()? {
            let name = value::unescape_key(&name).to_owned();
            set(&mut self.more(place).artifacts, name, artifact);
        }
        if let Some(seed) = context.get("seed") {
            self.seeds.set(place, Value::from_json(seed));
        }
        if let Some(call) = context.get("call") {
            self.more(place).call = Some(call.clone());
        }
        for (key, json) in object(context.get("tags")) {
            let name = value::unescape_key(key).to_owned();
            set(&mut self.more(place).tags, name, Value::from_json(json));
        }
        for (name, json) in object(context.get("data")) {
            let name = value::unescape_key(name).to_owned();
            set(&mut self.more(place).data, name, json.clone());
        }
        for (key, json) in object(context.get("sealed")) {
            let name = value::unescape_key(key).to_owned();
            set(&mut self.more(place).sealed, name, Value::from_json(json));
        }
        if self.at(place).looks() > 0 {
            for (name, value) in self.at(place).sealed().to_vec() {
                self.metrics.set(&name, place, value);
            }
        }
        Ok(())
    }
}

impl Fold for Runs {
    fn size(&self) -> usize {
        const A_RUN: usize = 64;
        self.ids.size()
            + A_RUN * self.len()
            + self.params.size()
            + self.metrics.size()
            + size_of::<More>() * 2 * self.more.len()
    }

    fn read(path: &Path) -> Result<Follow<Runs>> {
        bulk::read(path)
    }

    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<(), Malformed> {
        match row.event {
            "session" => {
                let context = Json::Object(row.context.pairs()?);
                if let Some(id) = context.get("id").and_then(Json::as_str) {
                    let place = self.sessions.place(id);
                    self.sessions.list[place as usize].context = Some(context);
                }
                return Ok(());
            }
            "run" | "start" => return self.begin(row),
            "resume" | "log" | "end" | "note" | "void" | "reveal" => {}
            _ => return Ok(()),
        }
        let Some(place) = self.ids.place(row.run_id) else {
            self.without_effect.push(WithoutEffect {
                seq: row.seq,
                why: "its run has not begun",
            });
            return Ok(());
        };
        let context = Json::Object(row.context.pairs()?);
        match row.event {
            "resume" => {
                self.status[place] = Status::Running;
                self.more(place).ended = None;
                self.session[place] = self.sessions.place(session(&context));
            }
            "end" => {
                self.more(place).ended = Some(row.time);
                self.status[place] = match context.get("status").and_then(Json::as_str) {
                    Some("failed") => Status::Failed,
                    Some("interrupted") => Status::Interrupted,
                    _ => Status::Finished,
                };
            }
            "void" => {
                let void = context.get("void").and_then(Json::as_bool).unwrap_or(true);
                self.more(place).void = void;
            }
            "reveal" => self.more(place).looks += 1,
            _ => {}
        }
        self.record(place, row, &context)
    }
}

/// Finished runs that were read together, and that may or may not be new.
#[derive(Debug, Default)]
pub struct Batch {
    ids: Vec<u8>,
    ends: Vec<usize>,
    hashes: Vec<u64>,
    began: Vec<Timestamp>,
    session: Vec<u32>,
    sessions: Sessions,
    pub params: Columns,
    pub metrics: Columns,
    pub seeds: Column,
}

impl Batch {
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub fn session(&mut self, id: &str) -> u32 {
        self.sessions.place(id)
    }

    /// Ends the run whose values have been set.
    pub fn finish(&mut self, id: &[u8], began: Timestamp, session: u32) {
        self.ids.extend_from_slice(id);
        self.ends.push(self.ids.len());
        self.hashes.push(hash(id));
        self.began.push(began);
        self.session.push(session);
    }

    /// Forgets values of a run that wasn't ended.
    pub fn drop_unfinished(&mut self) {
        let length = self.len();
        self.params.truncate(length);
        self.metrics.truncate(length);
        self.seeds.truncate(length);
    }

    /// The id of a run, and its hash.
    pub fn id(&self, place: usize) -> (&[u8], u64) {
        let start = if place == 0 { 0 } else { self.ends[place - 1] };
        (&self.ids[start..self.ends[place]], self.hashes[place])
    }
}

impl BulkFold for Runs {
    /// A run that has begun already is a matter for the generic way.
    fn add(&mut self, batch: &Batch, places: std::ops::Range<usize>) -> Option<()> {
        let to = self.len();
        self.ids.reserve(places.len());
        for place in places.clone() {
            let (id, hash) = batch.id(place);
            self.ids.add(id, hash)?;
        }
        self.began.extend_from_slice(&batch.began[places.clone()]);
        self.status.resize(to + places.len(), Status::Finished);
        let mut sessions: Vec<Option<u32>> = vec![None; batch.sessions.list.len()];
        for &session in &batch.session[places.clone()] {
            let place = match sessions[session as usize] {
                Some(place) => place,
                None => {
                    let place = self.sessions.place(&batch.sessions.get(session).id);
                    sessions[session as usize] = Some(place);
                    place
                }
            };
            self.session.push(place);
        }
        self.params.append(to, &batch.params, places.clone());
        self.metrics.append(to, &batch.metrics, places.clone());
        self.seeds.append(to, &batch.seeds, places);
        Some(())
    }
}

fn metrics(cell: Cell<'_>) -> std::result::Result<Vec<(String, Value)>, Malformed> {
    let last_value = |(key, json): (String, Json)| {
        let last = match json.get("value") {
            Some(Json::Array(series)) => series.last().map(Value::from_json),
            _ => Some(Value::from_json(&json)),
        };
        last.map(|value| (value::unescape_key(&key).to_owned(), value))
    };
    Ok(cell.pairs()?.into_iter().filter_map(last_value).collect())
}

/// The process of a session is gone if it ran where we would see it, and we don't.
fn is_gone(session: &Json) -> bool {
    let text = |key| session.get(key).and_then(Json::as_str);
    let number = |key| session.get(key).and_then(Json::as_int);
    match (
        text("host"),
        text("boot"),
        text("pids"),
        number("pid"),
        number("started"),
    ) {
        (Some(host), Some(boot), Some(pids), Some(pid), Some(started)) => {
            sys::host().as_deref() == Some(host) && sys::is_gone(boot, pids, pid, started)
        }
        _ => false,
    }
}

fn session(context: &Json) -> &str {
    let id = context.get("session").and_then(Json::as_str);
    id.unwrap_or_default()
}

fn object(json: Option<&Json>) -> &[(String, Json)] {
    match json {
        Some(Json::Object(pairs)) => pairs,
        _ => &[],
    }
}

/// Sets the value of a key that may have one already. Runs have few keys or set each once.
fn set<K: PartialEq, V>(pairs: &mut Vec<(K, V)>, key: K, value: V) {
    match pairs.iter_mut().find(|(known, _)| *known == key) {
        Some((_, old)) => *old = value,
        None => pairs.push((key, value)),
    }
}
