//! Copying rows of one ledger, the source, to the end of another, the target.
//!
//! A row's identity is its hash; a copy's is the hash that its `origin` names, which copies of copies keep. What
//! stands in the target already is not copied again. Numbers mean something within one ledger only, so that what a row
//! says by a number (a version, the promotion that it undoes) counts only if it means the same in both.

use std::collections::{HashMap, HashSet};

use crate::error::Result;
use crate::format::chain;
use crate::format::digest::Digest;
use crate::format::event::{Event, EventKind};
use crate::format::id::{self, Random, RunId, Seq};
use crate::format::json::{Json, Malformed};
use crate::format::model_context::ModelContext;
use crate::format::object::Object;
use crate::format::origin::LedgerOrigin;
use crate::format::row::{Cell, Row};
use crate::format::run_context::{ORIGIN, PARENT, SESSION, TAKES};
use crate::format::session_context::SessionContext;
use crate::format::time::Timestamp;
use crate::ledger::{Draft, Ledger};
use crate::platform::memory;
use crate::views::fold::{self, Fold, Refusal};
use crate::views::registry::Registry;

/// What stands in a ledger, by identity.
#[derive(Debug, Default)]
struct Standing {
    rows: HashSet<Digest>,
    /// The row that began each run.
    runs: HashMap<String, Digest>,
    sessions: HashMap<String, Digest>,
    /// The ids of the sessions.
    session_ids: HashMap<Digest, String>,
    /// The row that made each version of a model.
    versions: HashMap<(String, i64), Digest>,
    promotions: HashMap<Seq, Digest>,
    promotion_seqs: HashMap<Digest, Seq>,
    /// The highest number of a row.
    last: Seq,
    /// What has an effect and what hasn't.
    registry: Registry,
}

impl Fold for Standing {
    fn size(&self) -> usize {
        self.registry.size() + self.rows.len() * size_of::<Digest>()
    }

    fn apply(&mut self, row: &Row<'_>) -> std::result::Result<(), Refusal> {
        self.take(row).map(drop)
    }
}

impl Standing {
    /// Takes a row over, or says why it has no effect.
    fn take(&mut self, row: &Row<'_>) -> std::result::Result<Option<&'static str>, Refusal> {
        let identity = identity(row)?;
        let registry = &mut self.registry;
        let of_runs = registry.run_ids.without_effect.len();
        let of_models = registry.without_effect.len();
        registry.apply(row)?;
        let of_runs = registry.run_ids.without_effect.get(of_runs);
        if let Some(found) = of_runs.or(registry.without_effect.get(of_models)) {
            return Ok(Some(found.why));
        }
        self.rows.insert(identity);
        self.last = self.last.max(row.seq);
        match row.event {
            EventKind::Session => {
                let id = SessionContext::id_of(row.context);
                let id = id.unwrap_or_default().into_owned();
                self.session_ids.insert(identity, id.clone());
                self.sessions.insert(id, identity);
            }
            EventKind::Register => {
                let context = ModelContext::read(row.context)?;
                if let (Some(model), Some(version)) = (context.model(), context.version()) {
                    let version = (model.to_owned(), version);
                    self.versions.insert(version, identity);
                }
            }
            EventKind::Promote => {
                self.promotions.insert(row.seq, identity);
                self.promotion_seqs.insert(identity, row.seq);
            }
            kind if kind.begins_run() => {
                self.runs.insert(row.run_id.to_owned(), identity);
            }
            _ => {}
        }
        Ok(None)
    }
}

fn identity(row: &Row<'_>) -> std::result::Result<Digest, Malformed> {
    if !row.context.mentions(ORIGIN) {
        return Ok(row.hash);
    }
    let context = Json::Object(row.context.pairs()?);
    let origin = context.get(ORIGIN).and_then(LedgerOrigin::read);
    Ok(origin.map_or(row.hash, |origin| origin.hash))
}

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Copied {
    Now,
    /// It stands in the target, as a row or as a copy.
    Before,
    /// It is copied where another row needs it: a session.
    OnDemand,
}

/// Copies rows of a source to the end of a target.
pub struct Copier<'a> {
    /// The id of the source, if that is known.
    source_id: Option<String>,
    source: Standing,
    target: Standing,
    /// The source goes on from one row in more than one way, as where copies of it were merged line by line.
    has_branches: bool,
    /// The models of which a branch's row could not be placed: what later ones say by number may mean something else.
    doubtful_models: HashSet<String>,
    /// The sessions of the source that may be copied.
    sessions: HashMap<Digest, SourceSession>,
    /// The session that copies.
    by: &'a str,
    draft: &'a mut Draft,
}

#[derive(Clone)]
struct SourceSession {
    time: Timestamp,
    context: Vec<(String, Json)>,
    /// The number of its row, unless that is lost.
    seq: Option<Seq>,
}

/// Why a row isn't copied.
pub type LeftOut = &'static str;

const UNREADABLE: LeftOut = "its JSON can't be read";
const NEVER: LeftOut = "such a row is never copied";
const RUN_TAKEN: LeftOut = "its run's id names another run there, or none";
const NO_SESSION: LeftOut = "its session is not on record";
const OTHER_VERSION: LeftOut = "a version that it names is another one there, or none";
const MODEL_IN_DOUBT: LeftOut = "an earlier row of its model could not be placed";
const OTHER_PROMOTION: LeftOut = "the promotion that it takes back is not there";
const TOO_LONG: LeftOut = "with its origin it would be too long";

impl<'a> Copier<'a> {
    /// A copier to a target, which goes on with the rows of a draft. The rows of the source are shown to it from the
    /// first one on, but for those that the source and the target have in common, if they are two ways on from one
    /// ledger.
    pub fn new(
        target: &Ledger,
        in_common: Option<&Ledger>,
        source_id: Option<String>,
        by: &'a str,
        draft: &'a mut Draft,
    ) -> Result<Copier<'a>> {
        let mut standing: Standing = fold::fold(target)?;
        for line in draft.bytes.split(|&byte| byte == b'\n') {
            if let Ok(row) = Row::parse(line) {
                drop(standing.take(&row));
            }
        }
        Ok(Copier {
            source_id,
            source: match in_common {
                Some(in_common) => fold::fold(in_common)?,
                None => Standing::default(),
            },
            target: standing,
            has_branches: false,
            doubtful_models: HashSet::new(),
            sessions: HashMap::new(),
            by,
            draft,
        })
    }

    /// Whether rows of the source may name a session.
    pub fn knows_session(&self, id: &str) -> bool {
        self.source.sessions.contains_key(id)
    }

    /// Lets rows name a session whose own row is lost. It is copied without what that said.
    pub fn assume_session(&mut self, id: &str, named_by: &Row<'_>) -> Result<()> {
        let identity = Digest::of(&[b"a session whose row is lost: ", id.as_bytes()]);
        let session = SourceSession {
            time: named_by.time,
            context: Vec::new(),
            seq: None,
        };
        self.sessions.insert(identity, session);
        self.source.sessions.insert(id.to_owned(), identity);
        Ok(self.source.registry.run_ids.assume_session(id)?)
    }

    /// Copies the next row of the source, or says why it is left out.
    pub fn copy(
        &mut self,
        row: &Row<'_>,
        random: Random<'_>,
    ) -> std::result::Result<Copied, LeftOut> {
        let identity = identity(row).map_err(|_| UNREADABLE)?;
        let kind = row.event.known().ok_or(NEVER)?;
        if matches!(kind, EventKind::Ledger | EventKind::Recovered) {
            return Err(NEVER);
        }
        // Numbers that begin again are another branch's: what its rows say of versions by number may be about others.
        self.has_branches |= row.seq <= self.source.last;
        let without_effect = self.source.take(row).map_err(|_| UNREADABLE)?;
        if without_effect.is_none() && self.target.rows.contains(&identity) {
            return Ok(Copied::Before);
        }
        let model = match kind.is_of_model() {
            true => ModelContext::read(row.context)
                .map_err(|_| UNREADABLE)?
                .model()
                .map(str::to_owned),
            false => None,
        };
        if model
            .as_ref()
            .is_some_and(|model| self.doubtful_models.contains(model))
        {
            return Err(MODEL_IN_DOUBT);
        }
        let outcome = match without_effect {
            Some(why) => Err(why),
            None => self.copy_effective(row, kind, identity, random),
        };
        if let Some(model) = model.filter(|_| self.has_branches && outcome.is_err()) {
            self.doubtful_models.insert(model);
        }
        outcome
    }

    fn copy_effective(
        &mut self,
        row: &Row<'_>,
        kind: EventKind<'static>,
        identity: Digest,
        random: Random<'_>,
    ) -> std::result::Result<Copied, LeftOut> {
        let context = row.context.pairs().map_err(|_| UNREADABLE)?;
        if kind == EventKind::Session {
            let session = SourceSession {
                time: row.time,
                context,
                seq: Some(row.seq),
            };
            self.sessions.insert(identity, session);
            return Ok(Copied::OnDemand);
        }
        self.check_run(row)?;
        self.check_versions(row)?;

        let mut copy = Object::new();
        let mut origin = None;
        for (key, value) in context {
            copy = match (key.as_str(), value) {
                (SESSION | TAKES, Json::Str(id)) => copy.text(&key, &self.session(&id, random)?),
                (ModelContext::UNDOES, Json::Int(seq)) => copy.int(&key, self.promotion(seq)?),
                (PARENT, Json::Str(parent)) if !self.same_run(&parent) => copy,
                (ORIGIN, value) => {
                    origin = Some(value);
                    copy
                }
                (_, value) => copy.json(&key, &value),
            };
        }
        let origin = self.origin(row.seq, &row.hash, origin);
        let cell = |cell: Cell<'_>| Object::from_text(&cell.text()).ok_or(UNREADABLE);
        let event = Event {
            kind,
            run_id: RunId::new(row.run_id),
            params: cell(row.params)?,
            metrics: cell(row.metrics)?,
            artifacts: cell(row.artifacts)?,
            context: copy.object(ORIGIN, &origin),
        };
        self.write(row.time, &event)?;
        Ok(Copied::Now)
    }

    /// Whether a run is the same one in both.
    fn same_run(&self, id: &str) -> bool {
        let there = self.target.runs.get(id);
        there.is_some() && there == self.source.runs.get(id)
    }

    fn check_run(&self, row: &Row<'_>) -> std::result::Result<(), LeftOut> {
        let right = match row.event {
            kind if kind.begins_run() => !self.target.runs.contains_key(row.run_id),
            _ => row.run_id.is_empty() || self.same_run(row.run_id),
        };
        right.then_some(()).ok_or(RUN_TAKEN)
    }

    /// The versions that a row names must be the same in both. That the one which it makes is the next one there shows
    /// when it is written.
    fn check_versions(&self, row: &Row<'_>) -> std::result::Result<(), LeftOut> {
        if !row.event.is_of_model() || row.event == EventKind::Register {
            return Ok(());
        }
        let context = ModelContext::read(row.context).map_err(|_| UNREADABLE)?;
        let model = context.model().unwrap_or_default();
        for version in [context.version(), context.previous()]
            .into_iter()
            .flatten()
        {
            let version = (model.to_owned(), version);
            let there = self.target.versions.get(&version);
            if there.is_none() || there != self.source.versions.get(&version) {
                return Err(OTHER_VERSION);
            }
        }
        Ok(())
    }

    /// The number in the target of a promotion of the source.
    fn promotion(&self, seq: i64) -> std::result::Result<i64, LeftOut> {
        let identity = self.source.promotions.get(&Seq(seq as u64));
        let there = identity.and_then(|identity| self.target.promotion_seqs.get(identity));
        Ok(there.ok_or(OTHER_PROMOTION)?.0 as i64)
    }

    /// The id of a session in the target, to which it is copied now if it isn't there.
    fn session(&mut self, id: &str, random: Random<'_>) -> std::result::Result<String, LeftOut> {
        let identity = *self.source.sessions.get(id).ok_or(NO_SESSION)?;
        if let Some(there) = self.target.session_ids.get(&identity) {
            return Ok(there.clone());
        }
        let session = self.sessions.get(&identity).ok_or(NO_SESSION)?.clone();
        let fresh: String = id::short_id(random).collect();
        let mut copy = SessionContext::object(&fresh, &Object::new(), None, &[]);
        let mut origin = None;
        for (key, value) in session.context {
            match key.as_str() {
                SessionContext::ID => {}
                ORIGIN => origin = Some(value),
                _ => copy = copy.json(&key, &value),
            }
        }
        if let Some(seq) = session.seq {
            copy = copy.object(ORIGIN, &self.origin(seq, &identity, origin));
        }
        let event = Event {
            context: copy,
            ..Event::new(EventKind::Session)
        };
        self.write(session.time, &event)?;
        self.target.session_ids.insert(identity, fresh.clone());
        Ok(fresh)
    }

    /// Where a row came from: from the source, or, if it was a copy there, from where that says. Another origin, such
    /// as the plain CSV that a run was imported from, stays within it.
    fn origin(&self, seq: Seq, hash: &Digest, old: Option<Json>) -> Object {
        let (origin, before) = match old.as_ref().and_then(LedgerOrigin::read) {
            Some(origin) => (origin, None),
            None => {
                let ledger = self.source_id.clone();
                let (seq, hash) = (seq.0 as i64, *hash);
                (LedgerOrigin { ledger, seq, hash }, old)
            }
        };
        origin.object(self.by, before.as_ref())
    }

    /// Writes a row to the draft, if it has an effect in the target.
    fn write(&mut self, time: Timestamp, event: &Event) -> std::result::Result<(), LeftOut> {
        let (mut head, mut line) = (self.draft.head, Vec::new());
        chain::write_row(&mut head, time, event, &mut line).map_err(|_| TOO_LONG)?;
        let row = Row::parse(&line[..line.len() - 1])?;
        if let Some(why) = self.target.take(&row).map_err(|_| UNREADABLE)? {
            return Err(why);
        }
        self.draft.head = head;
        memory::reserve(&mut self.draft.bytes, line.len());
        self.draft.bytes.extend_from_slice(&line);
        Ok(())
    }
}
