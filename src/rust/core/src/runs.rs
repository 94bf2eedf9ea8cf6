//! Runs: what the events of a ledger add up to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::error::Result;
use crate::follow::{self, Fold};
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

/// A run as it stands after the last event that speaks of it.
#[derive(Debug, Clone)]
pub struct Run {
    pub id: String,
    pub began: Timestamp,
    pub ended: Option<Timestamp>,
    pub status: Status,
    pub void: bool,
    /// The parameter's place in [`Runs::params`], and its value.
    pub params: Vec<(usize, Value)>,
    /// The metric's place in [`Runs::metrics`], and its value; of a series the last.
    pub metrics: Vec<(usize, Value)>,
    pub tags: Vec<(String, Value)>,
    pub seed: Option<Value>,
    /// Name and entry of each artifact.
    pub artifacts: Vec<(String, Json)>,
    /// Name and entry of each data version.
    pub data: Vec<(String, Json)>,
    /// The function call that the run is about, if it was one.
    pub call: Option<Json>,
    /// Where the run came from, if it was copied from elsewhere.
    pub origin: Option<Json>,
    /// How often its sealed metrics were shown.
    pub looks: u32,
    /// The session in which it began or was resumed.
    pub session: String,
    /// The session in which it last said something.
    pub last_session: String,
    sealed: Vec<(String, Value)>,
}

impl Run {
    /// Why nobody should rest on the run, if there is a reason.
    pub fn unfit(&self) -> Option<&'static str> {
        match self.status {
            _ if self.void => Some("was declared void"),
            Status::Failed => Some("has failed"),
            Status::Interrupted => Some("was interrupted"),
            _ => None,
        }
    }

    /// Metrics that were sealed, whether or not they have been revealed since.
    pub fn sealed(&self) -> &[(String, Value)] {
        &self.sealed
    }

    /// Metrics that nobody is to see yet.
    pub fn hidden(&self) -> &[(String, Value)] {
        if self.looks == 0 { &self.sealed } else { &[] }
    }
}

/// The names of parameters or metrics, in the order in which they first appear.
#[derive(Debug, Default)]
pub struct Names {
    names: Vec<String>,
    places: HashMap<String, usize>,
}

impl Names {
    fn place(&mut self, name: &str) -> usize {
        if let Some(&place) = self.places.get(name) {
            return place;
        }
        let place = self.names.len();
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }

    pub fn contains(&self, name: &str) -> bool {
        self.places.contains_key(name)
    }

    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Values with their names in place of their places.
    pub fn named(&self, values: &[(usize, Value)]) -> Vec<(String, Value)> {
        let named = values.iter();
        named
            .map(|(place, value)| (self.names[*place].clone(), value.clone()))
            .collect()
    }
}

/// All runs of a ledger, in the order of their first rows.
#[derive(Debug, Default)]
pub struct Runs {
    pub runs: Vec<Run>,
    pub params: Names,
    pub metrics: Names,
    pub without_effect: Vec<WithoutEffect>,
    /// The context of each session.
    pub sessions: HashMap<String, Json>,
    places: HashMap<String, usize>,
}

impl Runs {
    pub fn fold(ledger: &Ledger) -> Result<Runs> {
        follow::fold(ledger)
    }

    /// The place of a run in [`Runs::runs`].
    pub fn place(&self, id: &str) -> Option<usize> {
        self.places.get(id).copied()
    }

    pub fn get(&self, id: &str) -> Option<&Run> {
        self.places.get(id).map(|&place| &self.runs[place])
    }

    /// Whether a running run's process is provably gone.
    pub fn is_lost(&self, run: &Run) -> bool {
        let session = self.sessions.get(&run.session);
        run.status == Status::Running && session.is_some_and(is_gone)
    }

    fn begin(&mut self, row: &Row<'_>) -> std::result::Result<(), Malformed> {
        let place = self.runs.len();
        match self.places.entry(row.run_id.to_owned()) {
            Entry::Occupied(_) => {
                let why = "its run had begun already";
                self.without_effect
                    .push(WithoutEffect { seq: row.seq, why });
                return Ok(());
            }
            Entry::Vacant(entry) => entry.insert(place),
        };
        let context = Json::Object(row.context.pairs()?);
        self.runs.push(Run {
            id: row.run_id.to_owned(),
            began: row.time,
            ended: None,
            status: if row.event == "run" {
                Status::Finished
            } else {
                Status::Running
            },
            void: false,
            params: Vec::new(),
            metrics: Vec::new(),
            tags: Vec::new(),
            seed: None,
            artifacts: Vec::new(),
            data: Vec::new(),
            call: None,
            origin: context.get("origin").cloned(),
            looks: 0,
            session: session(&context),
            last_session: String::new(),
            sealed: Vec::new(),
        });
        self.record(place, row, context)
    }

    /// Takes over what a row says of parameters, metrics and the rest: the last value wins.
    fn record(
        &mut self,
        place: usize,
        row: &Row<'_>,
        context: Json,
    ) -> std::result::Result<(), Malformed> {
        let run = &mut self.runs[place];
        if matches!(row.event, "run" | "start" | "resume" | "log" | "end") {
            run.last_session = session(&context);
        }
        for (key, json) in row.params.pairs()? {
            let name = self.params.place(value::unescape_key(&key));
            set(&mut run.params, name, Value::from_json(&json));
        }
        for (name, value) in metrics(row.metrics)? {
            set(&mut run.metrics, self.metrics.place(&name), value);
        }
        for (name, artifact) in row.artifacts.pairs()? {
            set(
                &mut run.artifacts,
                value::unescape_key(&name).to_owned(),
                artifact,
            );
        }
        if let Some(seed) = context.get("seed") {
            run.seed = Some(Value::from_json(seed));
        }
        if let Some(call) = context.get("call") {
            run.call = Some(call.clone());
        }
        for (key, json) in object(context.get("tags")) {
            set(
                &mut run.tags,
                value::unescape_key(key).to_owned(),
                Value::from_json(json),
            );
        }
        for (name, json) in object(context.get("data")) {
            let name = value::unescape_key(name).to_owned();
            set(&mut run.data, name, json.clone());
        }
        for (key, json) in object(context.get("sealed")) {
            set(
                &mut run.sealed,
                value::unescape_key(key).to_owned(),
                Value::from_json(json),
            );
        }
        if run.looks > 0 {
            for (name, value) in &run.sealed {
                set(&mut run.metrics, self.metrics.place(name), value.clone());
            }
        }
        Ok(())
    }
}

impl Fold for Runs {
    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<(), Malformed> {
        match row.event {
            "session" => {
                let context = Json::Object(row.context.pairs()?);
                if let Some(id) = context.get("id").and_then(Json::as_str) {
                    self.sessions.insert(id.to_owned(), context);
                }
                return Ok(());
            }
            "run" | "start" => return self.begin(row),
            "resume" | "log" | "end" | "note" | "void" | "reveal" => {}
            _ => return Ok(()),
        }
        let Some(&place) = self.places.get(row.run_id) else {
            self.without_effect.push(WithoutEffect {
                seq: row.seq,
                why: "its run has not begun",
            });
            return Ok(());
        };
        let run = &mut self.runs[place];
        let context = Json::Object(row.context.pairs()?);
        match row.event {
            "resume" => {
                run.status = Status::Running;
                run.ended = None;
                run.session = session(&context);
            }
            "end" => {
                run.ended = Some(row.time);
                run.status = match context.get("status").and_then(Json::as_str) {
                    Some("failed") => Status::Failed,
                    Some("interrupted") => Status::Interrupted,
                    _ => Status::Finished,
                };
            }
            "void" => run.void = context.get("void").and_then(Json::as_bool).unwrap_or(true),
            "reveal" => run.looks += 1,
            _ => {}
        }
        self.record(place, row, context)
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

fn session(context: &Json) -> String {
    let id = context.get("session").and_then(Json::as_str);
    id.unwrap_or_default().to_owned()
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
