//! Which runs have begun and which may still change: which events have an effect on them, and which come too early or
//! too late.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io;
use std::ops::Range;

use crate::columnar::blocks::{AsJson, BLOCK, LazyJson, Result};
use crate::columnar::index_file::indexed;
use crate::columnar::index_file::{Indexed, Reader, Writer};
use crate::columnar::strings::{StringTable, hash};
use crate::error::{self, Error};
use crate::format::event::EventKind;
use crate::format::id::Seq;
use crate::format::json::Json;
use crate::format::row::{Cell, Row};
use crate::format::run_context::{EndStatus, PARENT, RunContext, SEALED, TAGS};
use crate::format::session_context::SessionContext;
use crate::views::batch::Batch;

/// A row that changed nothing, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct WithoutEffect {
    pub seq: Seq,
    pub why: &'static str,
}

impl WithoutEffect {
    /// Whether the row breaks a rule of the format, and not only one of what events add up to.
    pub fn is_invalid(&self) -> bool {
        self.why == NO_SESSION
    }

    /// Whether the row has an effect, of which what it says besides is no part.
    pub fn is_partly_effective(&self) -> bool {
        self.why == ONLY_REMARKS
    }

    /// Whether it only came too late to change its run: then the tags that it says count all the same.
    pub fn is_late(&self) -> bool {
        [HAS_FINISHED, HAS_ENDED, TAKEN_OVER].contains(&self.why)
    }
}

const REASONS: [&str; 8] = [
    NO_SESSION,
    SESSION_KNOWN,
    HAD_BEGUN,
    HAS_NOT_BEGUN,
    HAS_FINISHED,
    HAS_ENDED,
    TAKEN_OVER,
    ONLY_REMARKS,
];

/// What an event is to the runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It has no effect at all.
    None,
    /// It begins a run, or speaks of it: the run's row.
    OfRun(usize),
    /// It comes too late to change a run, and of what it says only tags count: the run's row.
    TagsOfRun(usize),
    /// It is no event of a run.
    Other,
}

/// The ids of the runs, in the order of their first rows, and those of the sessions that rows may name.
#[derive(Debug, Default)]
pub struct RunIds {
    ids: StringTable,
    sessions: StringTable,
    /// The runs that may still change, by their rows: those that began live and haven't finished.
    open: LazyJson<OpenRuns>,
    /// In the order of the rows.
    pub without_effect: Vec<WithoutEffect>,
    /// The seqs of rows that begin a run and say that it belongs to one that hadn't begun. That they ignore.
    orphans: Vec<u64>,
}

indexed!(RunIds {
    ids,
    sessions,
    open,
    without_effect,
    orphans,
});

/// What may still become of a run that hasn't finished.
#[derive(Debug, Default)]
struct OpenRun {
    /// It failed or was interrupted, and only a `resume` opens it again.
    ended: bool,
    /// The ids of the sessions from which it was taken.
    taken_from: Vec<String>,
}

#[derive(Debug, Default)]
struct OpenRuns(HashMap<u32, OpenRun>);

impl AsJson for OpenRuns {
    fn json(&self) -> Json {
        let json = |(&row, run): (&u32, &OpenRun)| {
            let taken_from = run.taken_from.iter().cloned().map(Json::Str);
            Json::Array(vec![
                Json::Int(i64::from(row)),
                Json::Bool(run.ended),
                Json::Array(taken_from.collect()),
            ])
        };
        Json::Array(self.0.iter().map(json).collect())
    }

    fn of_json(json: Json) -> Option<OpenRuns> {
        let text = |json: Json| json.as_str().map(str::to_owned);
        let run = |json: Json| {
            let [row, ended, taken_from] = <[Json; 3]>::try_from(json.into_array()?).ok()?;
            let taken_from = taken_from.into_array()?.into_iter().map(text);
            let run = OpenRun {
                ended: ended == Json::Bool(true),
                taken_from: taken_from.collect::<Option<_>>()?,
            };
            Some((u32::try_from(row.as_int()?).ok()?, run))
        };
        let runs = json.into_array()?.into_iter().map(run);
        runs.collect::<Option<_>>().map(OpenRuns)
    }
}

const NO_SESSION: &str = "it names a session that no earlier row wrote";
const SESSION_KNOWN: &str = "its session is on record already";

const HAD_BEGUN: &str = "its run had begun already";
const HAS_NOT_BEGUN: &str = "its run has not begun";
const HAS_FINISHED: &str = "its run had finished";
const ONLY_REMARKS: &str = "parameters, metrics and artifacts don't count in a remark on a run";
const HAS_ENDED: &str = "its run had ended, and nobody resumed it";
const TAKEN_OVER: &str = "its run had been taken over";

impl RunIds {
    /// About how many bytes of memory it takes.
    pub fn size(&self) -> usize {
        let open = self.open.loaded().map_or(0, |open| open.0.len());
        self.ids.size() + self.sessions.size() + open * 2 * size_of::<OpenRun>()
    }

    /// The row of a run that has begun.
    pub fn find(&self, id: &str) -> Result<Option<usize>> {
        self.ids.find(id)
    }

    pub fn id(&self, row: usize) -> &str {
        self.ids.get(row)
    }

    /// Brings the ids of some rows into memory.
    pub fn load(&self, rows: &[usize]) -> Result<()> {
        match rows.len() < BLOCK {
            true => rows.iter().try_for_each(|&row| self.ids.load_at(row)),
            false => self.ids.load(),
        }
    }

    /// The row of a run, or the error that there is none.
    pub fn known(&self, id: &str) -> error::Result<usize> {
        /// So many of the last ones are looked through for what may have been meant.
        const MAX_NEAR: usize = 1000;
        if let Some(row) = self.find(id)? {
            return Ok(row);
        }
        let count = self.ids.len();
        let last: Vec<usize> = (count.saturating_sub(MAX_NEAR)..count).collect();
        self.load(&last)?;
        Err(Error::Unknown {
            what: "run",
            name: id.to_owned(),
            known: last
                .into_iter()
                .map(|row| self.id(row).to_owned())
                .collect(),
            hint: String::new(),
        })
    }

    /// Lets rows name a session whose own row is lost.
    pub fn assume_session(&mut self, id: &str) -> Result<()> {
        self.sessions
            .add_new(id.as_bytes(), hash(id.as_bytes()))
            .map(drop)
    }

    pub fn knows_session(&self, id: &str) -> Result<bool> {
        Ok(self.sessions.find(id)?.is_some())
    }

    /// The rows that begin a run and say that it belongs to one that hadn't begun.
    pub fn orphans(&self) -> impl Iterator<Item = Seq> {
        self.orphans.iter().copied().map(Seq)
    }

    /// Whether a row was found to have no effect.
    pub fn is_without_effect(&self, seq: Seq) -> bool {
        let found = self
            .without_effect
            .binary_search_by_key(&seq, |row| row.seq);
        found.is_ok()
    }

    /// Takes an event over, and says what it is to the runs. What a session was stands in the first row of its id, and
    /// every event but a ledger's own names a session that has one.
    pub fn apply(&mut self, row: &Row<'_>) -> Result<Effect> {
        self.effect(row)?.or_else(|why| {
            let seq = row.seq;
            self.without_effect.push(WithoutEffect { seq, why });
            Ok(Effect::None)
        })
    }

    fn effect(&mut self, row: &Row<'_>) -> Result<std::result::Result<Effect, &'static str>> {
        let kind = row.event;
        if matches!(kind, EventKind::Ledger | EventKind::Recovered) {
            return Ok(Ok(Effect::Other));
        }
        if kind == EventKind::Session {
            let id = SessionContext::id_of(row.context).unwrap_or_default();
            let new = self.sessions.add_new(id.as_bytes(), hash(id.as_bytes()))?;
            return Ok(new.map(|_| Effect::Other).ok_or(SESSION_KNOWN));
        }
        let session = RunContext::session_of(row.context).unwrap_or_default();
        if !self.knows_session(&session)? {
            return Ok(Err(NO_SESSION));
        }
        if kind.begins_run() {
            let id = row.run_id.as_bytes();
            // It can't belong to itself.
            let is_orphan = match parent_of(row) {
                Some(parent) => self.find(&parent)?.is_none(),
                None => false,
            };
            let Some(run) = self.begin(id, hash(id))? else {
                return Ok(Err(HAD_BEGUN));
            };
            if is_orphan {
                self.orphans.push(row.seq.0);
            }
            if kind == EventKind::Start {
                let open = &mut self.open.get_mut()?.0;
                open.insert(run as u32, OpenRun::default());
            }
            return Ok(Ok(Effect::OfRun(run)));
        }
        if !kind.continues_run() {
            return Ok(Ok(Effect::Other));
        }
        let Some(run) = self.find(row.run_id)? else {
            return Ok(Err(HAS_NOT_BEGUN));
        };
        if kind.is_remark() && !has_no_values(row) {
            let (seq, why) = (row.seq, ONLY_REMARKS);
            self.without_effect.push(WithoutEffect { seq, why });
        }
        let late = self.go_on(run, row, &session)?;
        if late.is_none() {
            return Ok(Ok(Effect::OfRun(run)));
        }
        // Tags by themselves are no change of what came out, and never come too late.
        if let Some(why) = late.filter(|_| !says_tags_alone(row)) {
            let seq = row.seq;
            self.without_effect.push(WithoutEffect { seq, why });
        }
        Ok(Ok(Effect::TagsOfRun(run)))
    }

    /// Takes over what an event makes of a run that has begun, or says why it comes too late.
    fn go_on(&mut self, run: usize, row: &Row<'_>, session: &str) -> Result<Option<&'static str>> {
        let open = &mut self.open.get_mut()?.0;
        let why = match open.get_mut(&(run as u32)) {
            None => Some(HAS_FINISHED),
            Some(open) if row.event == EventKind::Resume => {
                open.ended = false;
                open.taken_from.retain(|id| id != session);
                open.taken_from
                    .extend(RunContext::takes(row.context).map(Cow::into_owned));
                return Ok(None);
            }
            Some(open) if open.ended => Some(HAS_ENDED),
            Some(open) if open.taken_from.iter().any(|id| id == session) => Some(TAKEN_OVER),
            Some(_) => None,
        };
        match (row.event, why) {
            (kind, _) if kind.is_remark() => Ok(None),
            (EventKind::End, None) => {
                match RunContext::end_status(row.context) {
                    Some(EndStatus::Finished) => drop(open.remove(&(run as u32))),
                    _ => open.entry(run as u32).or_default().ended = true,
                }
                Ok(None)
            }
            (_, why) => Ok(why),
        }
    }

    /// Whether more can be recorded of a run.
    pub fn is_open(&self, run: usize) -> Result<bool> {
        let open = self.open.load()?.0.get(&(run as u32));
        Ok(open.is_some_and(|open| !open.ended))
    }

    /// The row of a run that begins, unless it has already.
    pub fn begin(&mut self, id: &[u8], hash: u64) -> Result<Option<usize>> {
        self.ids.add_new(id, hash)
    }

    /// Begins some runs of a batch; `None` if one has begun already, or names a session that isn't known.
    pub fn begin_all(&mut self, batch: &Batch, rows: Range<usize>) -> Option<()> {
        self.reserve(rows.len()).ok()?;
        let mut known = None;
        for &session in &batch.session[rows.clone()] {
            if known != Some(session) {
                let id = &batch.sessions.at(session).id;
                self.knows_session(id).ok()?.then_some(())?;
                known = Some(session);
            }
        }
        for row in rows {
            let (id, hash) = batch.id(row);
            self.begin(id, hash).ok()??;
        }
        Some(())
    }

    /// Makes room for more runs.
    pub fn reserve(&mut self, more: usize) -> Result<()> {
        self.ids.reserve(more)
    }
}

/// The run to which a row that begins one says that it belongs.
fn parent_of<'a>(row: &Row<'a>) -> Option<Cow<'a, str>> {
    let mentioned = row.context.mentions(PARENT);
    mentioned.then(|| RunContext::parent_of(row.context))?
}

/// Whether a row says no more of a run than its tags.
fn says_tags_alone(row: &Row<'_>) -> bool {
    row.event == EventKind::Log
        && has_no_values(row)
        && row.context.mentions(TAGS)
        && !row.context.mentions(SEALED)
}

fn has_no_values(row: &Row<'_>) -> bool {
    let cells = [row.params, row.metrics, row.artifacts];
    cells.iter().all(|cell: &Cell<'_>| cell.is_empty())
}

impl Indexed for WithoutEffect {
    fn write(&self, to: &mut Writer<'_>) -> io::Result<()> {
        self.seq.0.write(to)?;
        self.why.to_owned().write(to)
    }

    fn read(from: &mut Reader) -> Option<WithoutEffect> {
        let seq = Seq(u64::read(from)?);
        let why = String::read(from)?;
        let mut known = REASONS.into_iter();
        let why = known.find(|known| *known == why)?;
        Some(WithoutEffect { seq, why })
    }
}
