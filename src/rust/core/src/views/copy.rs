//! Copying rows of one ledger, the source, to the end of another, the target.
//!
//! A row's identity is its hash; a copy's is the hash that its `origin` names, which copies of copies keep. What
//! stands in the target already is not copied again. That a row is a copy it says itself: it is taken for one only if
//! it says the same as the row, too. Numbers mean something within one ledger only, so that what a row
//! says by a number (a version, the promotion that it undoes) counts only if it means the same in both.

use std::borrow::Cow;
use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::sync::LazyLock;

use memchr::memmem::Finder;

use crate::columnar::strings;
use crate::error::{Error, Result};
use crate::format::chain::{self, Head};
use crate::format::digest::{Digest, HEX_LEN};
use crate::format::event::{Event, EventKind};
use crate::format::fast_row;
use crate::format::id::{self, Random, RunId, Seq};
use crate::format::json::{Json, Malformed};
use crate::format::model_context::ModelContext;
use crate::format::object::Object;
use crate::format::origin::LedgerOrigin;
use crate::format::row::{Cell, MAX_ROW_BYTES, Row, write_quoted};
use crate::format::run_context::{ORIGIN, PARENT, RunContext, SEALED, SESSION, TAGS, TAKES};
use crate::format::session_context::SessionContext;
use crate::format::time::Timestamp;
use crate::ledger::{self, Checked, CheckedRow, Draft, Invalid, Ledger, PlainRun};
use crate::platform::memory;
use crate::views::fold::{Fold, Refusal};
use crate::views::registry::Registry;
use crate::views::run_ids::WithoutEffect;

/// Asks now and then whether to give up a pass over many rows.
pub struct Patience<'a> {
    give_up: &'a mut dyn FnMut() -> bool,
    rows: u32,
}

impl<'a> Patience<'a> {
    pub fn new(give_up: &'a mut dyn FnMut() -> bool) -> Patience<'a> {
        Patience { give_up, rows: 0 }
    }

    /// Is told of each row.
    pub fn go_on(&mut self) -> Result<()> {
        /// To ask costs as much as some hundred rows.
        const ROWS: u32 = 10_000;
        self.rows = (self.rows + 1) % ROWS;
        match self.rows == 0 && (self.give_up)() {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    }
}

/// A model, and a stage of it.
type Stage = (String, String);

/// What stands in a ledger, by identity.
#[derive(Debug, Default)]
struct Standing<'l> {
    /// Of the target all of them, whether they have an effect or not, with what is under their hashes; of a row that is
    /// drafted nothing.
    rows: HashMap<Digest, Option<&'l [u8]>>,
    /// The others that say that they are copies of one.
    more_rows: HashMap<Digest, Vec<&'l [u8]>>,
    /// The row that began each run, by the rows of the runs.
    runs: Vec<Digest>,
    sessions: HashMap<String, Digest>,
    /// What the sessions say, by their ids.
    said_of_sessions: HashMap<String, Digest>,
    /// The ids of the sessions.
    session_ids: HashMap<Digest, String>,
    /// The row that made each version of a model.
    versions: HashMap<(String, i64), Digest>,
    promotions: HashMap<Seq, Digest>,
    promotion_seqs: HashMap<Digest, Seq>,
    /// The last promotion to each stage of a model, and, if it is a copy, the one with which that copying would have
    /// ended.
    stages: HashMap<Stage, (Digest, Option<Digest>)>,
    /// The rows that declared each run void since one took that back.
    voids: HashMap<String, Vec<Digest>>,
    all_voids: HashSet<Digest>,
    /// The highest number of a row.
    last: Seq,
    /// What has an effect and what hasn't.
    registry: Registry,
}

impl<'l> Standing<'l> {
    /// What stands in a ledger that was checked.
    fn of(
        ledger: &'l Ledger,
        invalid: &'l [Invalid],
        patience: &mut Patience<'_>,
    ) -> Result<Standing<'l>> {
        let mut standing = Standing::default();
        for row in ledger::checked_rows(ledger, invalid) {
            patience.go_on()?;
            let row = match row? {
                CheckedRow::Plain(run) => {
                    let identity = PlainOrigin::of(run.body()).map(|origin| origin.identity(&run));
                    let begun = identity.filter(|it| standing.begin_plain(&run, *it).is_some());
                    if let Some(identity) = begun {
                        standing.note_row(identity, run.body());
                        continue;
                    }
                    run.row()
                }
                CheckedRow::Row(row) => row,
            };
            let applied = standing.apply(&row);
            applied.map_err(|refusal| refusal.of_row(&row, ledger))?;
        }
        Ok(standing)
    }

    fn apply(&mut self, row: &Row<'l>) -> std::result::Result<(), Refusal> {
        let identity = identity(row)?;
        self.note_row(identity, row.body);
        self.take(row, identity).map(drop)
    }

    fn note_row(&mut self, identity: Digest, body: &'l [u8]) {
        match self.rows.entry(identity) {
            Entry::Vacant(free) => drop(free.insert(Some(body))),
            Entry::Occupied(_) => self.more_rows.entry(identity).or_default().push(body),
        }
    }

    /// The rows with this identity, but for those that are drafted.
    fn rows_of(&self, identity: &Digest) -> Vec<&'l [u8]> {
        let first = self.rows.get(identity).copied().flatten();
        let more = self.more_rows.get(identity).into_iter().flatten().copied();
        first.into_iter().chain(more).collect()
    }

    /// Takes over a run; `None` if it has to be looked at whole.
    fn begin_plain(&mut self, run: &PlainRun<'_>, identity: Digest) -> Option<()> {
        self.sessions.get(run.session)?;
        self.begin(run.id, identity)?;
        self.last = self.last.max(run.seq);
        Some(())
    }

    /// Takes over that a run begins; `None` if it has.
    fn begin(&mut self, id: &str, identity: Digest) -> Option<()> {
        let id = id.as_bytes();
        let run = self.registry.run_ids.begin(id, strings::hash(id)).ok()?;
        run.map(|_| self.note_run(identity))
    }

    fn note_run(&mut self, identity: Digest) {
        memory::reserve(&mut self.runs, 1);
        self.runs.push(identity);
    }

    /// The row that began a run.
    fn run(&self, id: &str) -> Option<Digest> {
        let row = self.registry.run_ids.find(id).ok()??;
        self.runs.get(row).copied()
    }

    /// Takes a row over, or says why it has no effect.
    fn take(
        &mut self,
        row: &Row<'_>,
        identity: Digest,
    ) -> std::result::Result<Option<WithoutEffect>, Refusal> {
        let registry = &mut self.registry;
        let of_runs = registry.run_ids.without_effect.len();
        let of_models = registry.without_effect.len();
        registry.apply(row)?;
        let of_runs = registry.run_ids.without_effect.get(of_runs);
        let found = of_runs.or(registry.without_effect.get(of_models));
        if let Some(found) = found.filter(|found| !found.is_partly_effective()) {
            return Ok(Some(found.clone()));
        }
        self.last = self.last.max(row.seq);
        match row.event {
            EventKind::Session => {
                let id = SessionContext::id_of(row.context);
                let id = id.unwrap_or_default().into_owned();
                self.session_ids.insert(identity, id.clone());
                self.said_of_sessions
                    .insert(id.clone(), said_of_session(row)?);
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
                let context = ModelContext::read(row.context)?;
                if let Some(stage) = stage(&context) {
                    let end = origin(row)?.and_then(|origin| origin.end);
                    self.stages.insert(stage, (identity, end));
                }
            }
            EventKind::Void => {
                self.all_voids.insert(identity);
                let voids = self.voids.entry(row.run_id.to_owned()).or_default();
                match RunContext::read(row.context)?.void {
                    Some(false) => voids.clear(),
                    _ => voids.push(identity),
                }
            }
            kind if kind.begins_run() => self.note_run(identity),
            _ => {}
        }
        Ok(None)
    }
}

fn stage(context: &ModelContext) -> Option<Stage> {
    Some((context.model()?.to_owned(), context.stage()?.to_owned()))
}

/// The row of a ledger that a row is a copy of, if it is one.
fn origin(row: &Row<'_>) -> std::result::Result<Option<LedgerOrigin>, Malformed> {
    if !row.context.mentions(ORIGIN) {
        return Ok(None);
    }
    let context = Json::Object(row.context.pairs()?);
    Ok(context.get(ORIGIN).and_then(LedgerOrigin::read))
}

/// What a run's row says of the row that it is a copy of.
enum PlainOrigin {
    None,
    /// It ends with it, from a byte on.
    AtEnd(usize, LedgerOrigin),
}

impl PlainOrigin {
    /// `None` if the row has to be looked at whole.
    fn of(body: &[u8]) -> Option<PlainOrigin> {
        static WORD: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(ORIGIN));
        if WORD.find(body).is_none() {
            return Some(PlainOrigin::None);
        }
        let (start, origin) = LedgerOrigin::at_end(body)?;
        Some(PlainOrigin::AtEnd(start, origin))
    }

    fn identity(&self, run: &PlainRun<'_>) -> Digest {
        match self {
            PlainOrigin::None => run.hash(),
            PlainOrigin::AtEnd(_, origin) => origin.hash,
        }
    }
}

/// What a session's row says, beside its id and where it came from.
fn said_of_session(row: &Row<'_>) -> std::result::Result<Digest, Malformed> {
    let mut said = Object::new();
    for (key, value) in row.context.pairs()? {
        if ![SessionContext::ID, ORIGIN].contains(&key.as_str()) {
            said = said.json(&key, &value);
        }
    }
    Ok(Digest::of(&[&row.time.text(), said.pairs()]))
}

/// A row of which what is under its hash was kept.
fn with_row<T>(body: &[u8], look: impl FnOnce(&Row<'_>) -> T) -> Option<T> {
    let mut line = Vec::with_capacity(body.len() + 1 + HEX_LEN);
    line.extend_from_slice(body);
    line.push(b',');
    // Its own hash is not asked for.
    line.extend_from_slice(&[b'0'; HEX_LEN]);
    Row::parse(&line).ok().map(|row| look(&row))
}

fn identity(row: &Row<'_>) -> std::result::Result<Digest, Malformed> {
    Ok(origin(row)?.map_or(row.hash, |origin| origin.hash))
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copied {
    Now,
    /// But for the run that its run belongs to.
    WithoutParent,
    /// Its tags alone, since they count although it comes too late for its run: in the source already, or in the
    /// target only, and why there.
    TagsAlone(Option<&'static str>),
    /// It stands in the target, as a row or as a copy.
    Before,
    /// It is copied where another row needs it: a session.
    OnDemand,
    /// It isn't: it has no effect in the source.
    NoEffect(&'static str),
}

/// What stands in the target under the identity of a row of the source.
enum There {
    Nothing,
    Same,
    /// Other rows than a copy of it: the number of the first.
    Other(Seq),
    /// Of what it says its tags alone.
    TagsAlone(Seq),
}

/// Copies rows of a source to the end of a target.
pub struct Copier<'a> {
    /// The id of the source, if that is known.
    source_id: Option<String>,
    source: Standing<'a>,
    target: Standing<'a>,
    /// The source goes on from one row in more than one way, as where copies of it were merged line by line.
    has_branches: bool,
    /// The models of which a branch's row could not be placed: what later ones say by number may mean something else.
    doubtful_models: HashSet<String>,
    /// The sessions of the source that may be copied.
    sessions: HashMap<Digest, SourceSession>,
    /// The numbers that the rows of those have that were copied.
    pub copied_sessions: HashSet<Seq>,
    /// The sessions that were copied for the row which is copied now.
    sessions_of_row: Vec<(Digest, Option<Seq>)>,
    /// Where the rows of promotions begin in the draft, and to which stage each is.
    promotions: Vec<(usize, Stage)>,
    /// The hash of the row before the first of them.
    before_promotions: Digest,
    /// The last promotion to each stage that was copied.
    ends: HashMap<Stage, Digest>,
    /// The session that copies.
    by: &'a str,
    whole: Option<Whole>,
    draft: &'a mut Draft,
}

/// A source that is whole, and another ledger than the target: which version stands in a stage there, its users decide.
struct Whole {
    /// The number of each promotion with which a copying to the target would have ended.
    known_ends: HashMap<Digest, Seq>,
    /// Up to which row promotions to a stage are copied: none, some or all of them.
    copied_up_to: HashMap<Stage, Option<Seq>>,
    /// The last row of each run's course that stands in the target.
    last_there: HashMap<String, Seq>,
}

impl Whole {
    fn of(source: &Checked, target: &Standing<'_>) -> Whole {
        let ends_there = target.stages.values().filter_map(|(_, end)| *end);
        let wanted: HashSet<Digest> = ends_there.collect();
        let (mut known_ends, mut last_there) = (HashMap::new(), HashMap::new());
        // In a new ledger there is nothing to find.
        let lines = source
            .ledger
            .lines()
            .take_while(|_| !target.runs.is_empty());
        for (seq, line) in (1..).map(Seq).zip(lines) {
            let kind = event_of(line);
            let is_wanted = kind == Some(EventKind::Promote) && !wanted.is_empty();
            if !is_wanted && !kind.is_some_and(EventKind::continues_run) {
                continue;
            }
            let Ok(row) = Row::parse(line) else { continue };
            let Ok(identity) = identity(&row) else {
                continue;
            };
            if is_wanted && wanted.contains(&identity) {
                known_ends.insert(identity, seq);
            } else if is_of_course(&row) && target.rows.contains_key(&identity) {
                last_there.insert(row.run_id.to_owned(), seq);
            }
        }
        Whole {
            known_ends,
            copied_up_to: HashMap::new(),
            last_there,
        }
    }
}

fn event_of(line: &[u8]) -> Option<EventKind<'_>> {
    let event = line.split(|&byte| byte == b',').nth(2)?;
    std::str::from_utf8(event).ok().map(EventKind::parse)
}

/// Whether it is a matter of order when a row says what it does of a run that has begun. Tags and remarks count whenever
/// they come.
fn is_of_course(row: &Row<'_>) -> bool {
    match row.event {
        EventKind::Log => {
            let cells = [row.params, row.metrics, row.artifacts];
            cells.iter().any(|cell| !cell.is_empty()) || row.context.mentions(SEALED)
        }
        kind => matches!(kind, EventKind::Resume | EventKind::End),
    }
}

/// What a copied promotion says until it is known with which one the copying ends.
fn unknown_end() -> Digest {
    Digest::of(&[b"not known yet"])
}

#[derive(Clone)]
struct SourceSession {
    time: Timestamp,
    hash: Digest,
    context: Vec<(String, Json)>,
    /// The number of its row, unless that is lost.
    seq: Option<Seq>,
}

/// What a plain run says before its session and after it, beside its number and where it came from.
fn said_of_plain<'r>(body: &'r [u8], session: &str, origin: &PlainOrigin) -> [&'r [u8]; 2] {
    let end = match origin {
        PlainOrigin::AtEnd(start, _) => *start,
        PlainOrigin::None => body.len() - CLOSE.len(),
    };
    let number = body.iter().position(|&byte| byte == b',');
    let start = session.as_ptr() as usize - body.as_ptr() as usize;
    [
        &body[number.unwrap_or_default()..start],
        &body[start + session.len()..end],
    ]
}

/// Why a row isn't copied.
pub type LeftOut = Cow<'static, str>;

/// About how many bytes an origin takes beside what it says.
const ORIGIN_BYTES: usize = 32;

/// How a cell of JSON ends.
const CLOSE: &[u8] = b"}\"";

const UNREADABLE: &str = "its JSON can't be read";
const NEVER: &str = "such a row is never copied";
const RUN_TAKEN: &str = "its run's id names another run there, or none";
const OUT_OF_TURN: &str = "later rows of its run are there already";
const NO_SESSION: &str = "its session is not on record";
const OTHER_VERSION: &str = "a version that it names is another one there, or none";
const VERSION_TAKEN: &str = "the version that it makes is another one there";
const MODEL_IN_DOUBT: &str = "an earlier row of its model could not be placed";
const OTHER_VOID: &str =
    "its run was declared void there for another reason; `restore_run()` takes that back";
const OTHER_PROMOTION: &str = "the promotion that it takes back is not there";
const TOO_LONG: &str = "with its origin it would be too long";

impl<'a> Copier<'a> {
    /// A copier of what stands behind the damage of a ledger, to what is before it, which goes on with the rows of a draft.
    pub fn behind_damage(
        good: &'a Ledger,
        invalid: &'a [Invalid],
        source_id: Option<String>,
        by: &'a str,
        draft: &'a mut Draft,
    ) -> Result<Copier<'a>> {
        // A repair holds the lock.
        let mut never = || false;
        let mut patience = Patience::new(&mut never);
        let target = Standing::of(good, invalid, &mut patience)?;
        let mut copier = Copier::new(target, source_id, by, draft)?;
        // The two have these rows in common.
        copier.source = Standing::of(good, invalid, &mut patience)?;
        Ok(copier)
    }

    /// A copier of another ledger to a target, which goes on with the rows of a draft. All rows of the source are shown to
    /// it, from the first one on; then it is to [`Copier::finish`].
    pub fn between(
        source: &Checked,
        target: &'a Checked,
        by: &'a str,
        draft: &'a mut Draft,
        patience: &mut Patience<'_>,
    ) -> Result<Copier<'a>> {
        let target = Standing::of(&target.ledger, &target.invalid, patience)?;
        let whole = Whole::of(source, &target);
        let mut copier = Copier::new(target, source.ledger.id(), by, draft)?;
        copier.whole = Some(whole);
        Ok(copier)
    }

    fn new(
        mut target: Standing<'a>,
        source_id: Option<String>,
        by: &'a str,
        draft: &'a mut Draft,
    ) -> Result<Copier<'a>> {
        for line in draft.bytes.split(|&byte| byte == b'\n') {
            let Ok(row) = Row::parse(line) else { continue };
            let Ok(identity) = identity(&row) else {
                continue;
            };
            target.rows.entry(identity).or_insert(None);
            drop(target.take(&row, identity));
        }
        Ok(Copier {
            source_id,
            source: Standing::default(),
            target,
            has_branches: false,
            doubtful_models: HashSet::new(),
            sessions: HashMap::new(),
            copied_sessions: HashSet::new(),
            sessions_of_row: Vec::new(),
            promotions: Vec::new(),
            before_promotions: Digest::of(&[]),
            ends: HashMap::new(),
            by,
            whole: None,
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
            hash: identity,
            context: Vec::new(),
            seq: None,
        };
        self.sessions.insert(identity, session);
        self.source.sessions.insert(id.to_owned(), identity);
        Ok(self.source.registry.run_ids.assume_session(id)?)
    }

    /// Copies the next row of the source, if it is a run that needs no look at more than its ids: byte by byte, but for
    /// its number, its session and its origin. `None` if it isn't.
    pub fn copy_plain(
        &mut self,
        run: &PlainRun<'_>,
        random: Random<'_>,
    ) -> Option<std::result::Result<Copied, LeftOut>> {
        let origin = PlainOrigin::of(run.body())?;
        let identity = origin.identity(run);
        if self.target.rows.contains_key(&identity) {
            // What stands there may be something else.
            self.is_copied(run, &origin, &identity)
                .then(|| self.source.begin_plain(run, identity))??;
            return Some(Ok(Copied::Before));
        }
        self.source.begin_plain(run, identity)?;
        if self.target.run(run.id).is_some() {
            return Some(Err(RUN_TAKEN.into()));
        }
        Some(self.write_plain(run, origin, random))
    }

    /// Whether a row that stands in the target is the same, byte by byte, as a copy of a plain run would be.
    fn is_copied(&self, run: &PlainRun<'_>, origin: &PlainOrigin, identity: &Digest) -> bool {
        if let Some(None) = self.target.rows.get(identity) {
            return true;
        }
        let ours = said_of_plain(run.body(), run.session, origin);
        let said = self.source.said_of_sessions.get(run.session);
        self.target.rows_of(identity).into_iter().any(|body| {
            let session = fast_row::ids(body).and_then(|(_, id)| std::str::from_utf8(id).ok());
            let there = session.zip(PlainOrigin::of(body));
            there.is_some_and(|(session, origin)| {
                said_of_plain(body, session, &origin) == ours
                    && self.target.said_of_sessions.get(session) == said
            })
        })
    }

    fn write_plain(
        &mut self,
        run: &PlainRun<'_>,
        origin: PlainOrigin,
        random: Random<'_>,
    ) -> std::result::Result<Copied, LeftOut> {
        let session = self.session(run.session, random)?;
        let [before, after] = said_of_plain(run.body(), run.session, &origin);
        let origin = match origin {
            PlainOrigin::AtEnd(_, origin) => origin,
            PlainOrigin::None => self.new_origin(run.seq, run.hash()),
        };
        let identity = origin.hash;
        let origin = origin.object(self.by, None);
        let origin =
            Object::with_capacity(origin.pairs().len() + ORIGIN_BYTES).object(ORIGIN, &origin);
        let pieces = [before, session.as_bytes(), after, b","];
        let seq = self.draft.head.seq.next();
        let mut line = Vec::with_capacity(run.line.len() + 2 * origin.pairs().len() + HEX_LEN);
        line.extend_from_slice(seq.to_string().as_bytes());
        pieces
            .iter()
            .for_each(|piece| line.extend_from_slice(piece));
        write_quoted(origin.pairs(), &mut line);
        line.extend_from_slice(CLOSE);
        if line.len() + HEX_LEN + 2 > MAX_ROW_BYTES {
            return Err(TOO_LONG.into());
        }
        let sealed = chain::link(&self.draft.head.hash, &line);
        line.push(b',');
        line.extend_from_slice(&sealed.hex());
        line.push(b'\n');
        self.target.begin(run.id, identity);
        self.target.rows.insert(identity, None);
        self.add(Head { seq, hash: sealed }, &line);
        Ok(Copied::Now)
    }

    /// Copies the next row of the source, or says why it is left out.
    pub fn copy(
        &mut self,
        row: &Row<'_>,
        random: Random<'_>,
    ) -> std::result::Result<Copied, LeftOut> {
        let claimed = identity(row).map_err(|_| UNREADABLE)?;
        let kind = row.event.known().ok_or(NEVER)?;
        if matches!(kind, EventKind::Ledger | EventKind::Recovered) {
            return Err(NEVER.into());
        }
        // Numbers that begin again are another branch's: what its rows say of versions by number may be about others.
        self.has_branches |= row.seq <= self.source.last;
        let there = self.look_for(row, &claimed).map_err(|_| UNREADABLE)?;
        // What stands there is another row, for those to come as well.
        let identity = match there {
            There::Other(_) => Digest::of(&[b"no copy: ", &claimed.hex(), &row.hash.hex()]),
            _ => claimed,
        };
        let without_effect = self.source.take(row, identity).map_err(|_| UNREADABLE)?;
        let counts = without_effect
            .as_ref()
            .is_none_or(|found| found.is_late() && row.context.mentions(TAGS));
        match there {
            There::Same if counts => return Ok(Copied::Before),
            There::TagsAlone(_) if counts && without_effect.is_some() => return Ok(Copied::Before),
            There::TagsAlone(seq) if counts => {
                return Err(format!("row {} there is a copy of its tags alone", seq.0).into());
            }
            // A session is copied once more.
            There::Other(seq) if counts && kind != EventKind::Session => {
                let why = "there says that it is a copy of it, and says something else";
                return Err(format!("row {} {why}", seq.0).into());
            }
            _ => {}
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
            return Err(MODEL_IN_DOUBT.into());
        }
        let before = (self.draft.head, self.draft.bytes.len());
        self.sessions_of_row.clear();
        let outcome = match without_effect {
            Some(found) if !counts => Ok(Copied::NoEffect(found.why)),
            Some(_) => self.copy_tags(row, identity, None, random),
            None => self.copy_effective(row, kind, identity, random),
        };
        let is_placed = !matches!(outcome, Err(_) | Ok(Copied::NoEffect(_)));
        if !is_placed {
            self.take_sessions_back(before);
        }
        if let Some(model) = model.filter(|_| self.has_branches && !is_placed) {
            self.doubtful_models.insert(model);
        }
        outcome
    }

    /// Looks for a row of the source in the target.
    fn look_for(
        &mut self,
        row: &Row<'_>,
        claimed: &Digest,
    ) -> std::result::Result<There, Malformed> {
        if row.event == EventKind::Session && self.whole.is_some() {
            return self.look_for_session(row, claimed);
        }
        match self.target.rows.get(claimed) {
            None => return Ok(There::Nothing),
            Some(None) => return Ok(There::Same),
            Some(Some(_)) => {}
        }
        let mut other = There::Same;
        for body in self.target.rows_of(claimed) {
            let found = with_row(body, |there| self.compare(row, there)).transpose()?;
            match found {
                Some(There::Same) => return Ok(There::Same),
                Some(found) if matches!(other, There::Same) => other = found,
                _ => {}
            }
        }
        Ok(other)
    }

    /// The same of a session, whose id there is noted.
    fn look_for_session(
        &mut self,
        row: &Row<'_>,
        claimed: &Digest,
    ) -> std::result::Result<There, Malformed> {
        let said = said_of_session(row)?;
        let mut other = None;
        for body in self.target.rows_of(claimed) {
            let found = with_row(body, |there| {
                let id = SessionContext::id_of(there.context);
                (there.seq, id.unwrap_or_default().into_owned())
            });
            let Some((seq, id)) = found else { continue };
            if self.target.said_of_sessions.get(&id) == Some(&said) {
                self.target.session_ids.insert(*claimed, id);
                return Ok(There::Same);
            }
            other = other.or(Some(seq));
        }
        // The source may have it twice, too.
        let shown = self.sessions.get(claimed).map(|shown| shown.seq);
        let other = other.or(shown.map(Option::unwrap_or_default));
        Ok(other.map_or(There::Nothing, There::Other))
    }

    /// What a row of the target is to one of the source that has its identity.
    fn compare(&self, row: &Row<'_>, there: &Row<'_>) -> std::result::Result<There, Malformed> {
        let [ours, theirs] = [row.context.pairs()?, there.context.pairs()?];
        let get = |pairs: &[(String, Json)], key: &str| {
            let mut pairs = pairs.iter();
            pairs
                .find(|(known, _)| known == key)
                .map(|(_, value)| value.clone())
        };
        let session = |pairs: &[(String, Json)], standing: &Standing<'_>| {
            let id = get(pairs, SESSION)?;
            standing.said_of_sessions.get(id.as_str()?).copied()
        };
        let promotion = |pairs: &[(String, Json)], standing: &Standing<'_>| {
            let seq = get(pairs, ModelContext::UNDOES)?.as_int()?;
            standing.promotions.get(&Seq(seq as u64)).copied()
        };
        let other = Ok(There::Other(there.seq));
        let is_same_event = row.time == there.time && row.run_id == there.run_id;
        // What is behind the damage of a ledger may have lost its session.
        let is_same_session =
            self.whole.is_none() || session(&ours, &self.source) == session(&theirs, &self.target);
        if !is_same_event || !is_same_session {
            return other;
        }
        let is_tags_alone = |row: &Row<'_>, pairs: &[(String, Json)]| {
            let says = |key: &str| [SESSION, TAGS, ORIGIN].contains(&key);
            row.event == EventKind::Log
                && [row.params, row.metrics, row.artifacts]
                    .iter()
                    .all(|cell| cell.is_empty())
                && pairs.iter().all(|(key, _)| says(key))
        };
        let are_tags_alone = [is_tags_alone(row, &ours), is_tags_alone(there, &theirs)];
        if are_tags_alone[0] != are_tags_alone[1] {
            return match get(&ours, TAGS) == get(&theirs, TAGS) {
                true if are_tags_alone[0] => Ok(There::Same),
                true => Ok(There::TagsAlone(there.seq)),
                false => other,
            };
        }
        // Sessions and promotions go by other names there, and a parent may be none.
        let translated = [SESSION, ORIGIN, TAKES, ModelContext::UNDOES, PARENT];
        let rest = |pairs: &[(String, Json)]| -> Vec<(String, Json)> {
            let pairs = pairs.iter();
            let rest = pairs.filter(|(key, _)| !translated.contains(&key.as_str()));
            rest.cloned().collect()
        };
        let is_same_parent = match (get(&ours, PARENT), get(&theirs, PARENT)) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (Some(ours), None) => !ours.as_str().is_some_and(|ours| self.same_run(ours)),
            (None, Some(_)) => get(&ours, ORIGIN).is_some(),
            (None, None) => true,
        };
        let cell = |cell: Cell<'_>| Object::from_text(&cell.text()).map(|it| it.pairs().to_vec());
        let is_same = row.event == there.event
            && is_same_parent
            && promotion(&ours, &self.source) == promotion(&theirs, &self.target)
            && rest(&ours) == rest(&theirs)
            // Values in a remark don't count, and are not copied.
            && (row.event.is_remark()
                || cell(row.params) == cell(there.params)
                    && cell(row.metrics) == cell(there.metrics)
                    && cell(row.artifacts) == cell(there.artifacts));
        match is_same {
            true => Ok(There::Same),
            false => other,
        }
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
                hash: row.hash,
                context,
                seq: Some(row.seq),
            };
            self.sessions.insert(identity, session);
            return Ok(Copied::OnDemand);
        }
        self.check_run(row)?;
        if is_of_course(row) && self.is_out_of_turn(row) {
            return match row.context.mentions(TAGS) {
                true => self.copy_tags(row, identity, Some(OUT_OF_TURN), random),
                false => Err(OUT_OF_TURN.into()),
            };
        }
        self.check_void(row, &context)?;
        let stage = self.check_model(row)?;

        let mut copy = Object::new();
        let mut origin = None;
        let mut copied = Copied::Now;
        for (key, value) in context {
            copy = match (key.as_str(), value) {
                (SESSION, Json::Str(id)) => copy.text(&key, &self.session(&id, random)?),
                // Nothing of a session that isn't on record is there to be taken over.
                (TAKES, Json::Str(id)) if !self.knows_session(&id) => copy,
                (TAKES, Json::Str(id)) => copy.text(&key, &self.session(&id, random)?),
                // A number that no promotion has there might be one's here.
                (ModelContext::UNDOES, Json::Int(seq)) if self.undoes_nothing(seq) => {
                    copy.null(&key)
                }
                (ModelContext::UNDOES, Json::Int(seq)) => copy.int(&key, self.promotion(seq)?),
                (PARENT, Json::Str(parent)) if !self.same_run(&parent) => {
                    // What it names otherwise is ignored in the source, too.
                    let is_parent = parent != row.run_id && self.source.run(&parent).is_some();
                    if kind.begins_run() && is_parent {
                        copied = Copied::WithoutParent;
                    }
                    copy
                }
                (ORIGIN, value) => {
                    origin = Some(value);
                    copy
                }
                (_, value) => copy.json(&key, &value),
            };
        }
        let end = stage.as_ref().filter(|_| self.whole.is_some());
        let end = end.map(|_| unknown_end());
        let origin = self.origin(row.seq, &row.hash, origin, end);
        // Values in a remark don't count, and are not copied.
        let cell = |cell: Cell<'_>| match kind.is_remark() {
            true => Ok(Object::new()),
            false => Object::from_text(&cell.text()).ok_or(UNREADABLE),
        };
        let event = Event {
            kind,
            run_id: RunId::new(row.run_id),
            params: cell(row.params)?,
            metrics: cell(row.metrics)?,
            artifacts: cell(row.artifacts)?,
            context: copy.object(ORIGIN, &origin),
            ..Event::new(kind)
        };
        let before = (self.draft.head.hash, self.draft.bytes.len());
        match self.write(row.time, &event, identity)? {
            None => {
                self.note_promotion(stage, identity, before);
                Ok(copied)
            }
            Some(found) if found.is_late() && row.context.mentions(TAGS) => {
                self.copy_tags(row, identity, Some(found.why), random)
            }
            Some(found) => Err(found.why.into()),
        }
    }

    /// Copies of a row that comes too late for its run what counts all the same.
    fn copy_tags(
        &mut self,
        row: &Row<'_>,
        identity: Digest,
        why: Option<&'static str>,
        random: Random<'_>,
    ) -> std::result::Result<Copied, LeftOut> {
        self.check_run(row)?;
        let context = Json::Object(row.context.pairs().map_err(|_| UNREADABLE)?);
        let without = || match why {
            Some(why) => Err(why.into()),
            None => Ok(Copied::NoEffect("it comes too late for its run")),
        };
        let (Some(tags), Some(session)) = (
            context
                .get(TAGS)
                .filter(|tags| matches!(tags, Json::Object(_))),
            context.get(SESSION).and_then(Json::as_str),
        ) else {
            return without();
        };
        let origin = self.origin(row.seq, &row.hash, context.get(ORIGIN).cloned(), None);
        let event = Event {
            run_id: RunId::new(row.run_id),
            context: Object::new()
                .text(SESSION, &self.session(session, random)?)
                .json(TAGS, tags)
                .object(ORIGIN, &origin),
            ..Event::new(EventKind::Log)
        };
        match self.write(row.time, &event, identity)? {
            None => Ok(Copied::TagsAlone(why)),
            Some(found) => Err(found.why.into()),
        }
    }

    /// Whether a run is the same one in both.
    fn same_run(&self, id: &str) -> bool {
        let there = self.target.run(id);
        there.is_some() && there == self.source.run(id)
    }

    fn check_run(&self, row: &Row<'_>) -> std::result::Result<(), LeftOut> {
        let right = match row.event {
            kind if kind.begins_run() => self.target.run(row.run_id).is_none(),
            _ => row.run_id.is_empty() || self.same_run(row.run_id),
        };
        Ok(right.then_some(()).ok_or(RUN_TAKEN)?)
    }

    /// Who takes back that a run is void has not taken back what others have declared, whom they didn't know of.
    fn check_void(
        &self,
        row: &Row<'_>,
        context: &[(String, Json)],
    ) -> std::result::Result<(), LeftOut> {
        let takes_back = row.event == EventKind::Void && RunContext::takes_void_back(context);
        let there = self.target.voids.get(row.run_id);
        let others = |void: &Digest| !self.source.all_voids.contains(void);
        let is_others = there.is_some_and(|voids| voids.iter().any(others));
        match takes_back && self.whole.is_some() && is_others {
            true => Err(OTHER_VOID.into()),
            false => Ok(()),
        }
    }

    /// Whether later rows of its run's course are there: what was left out since it came too late must not come once the
    /// run was resumed.
    fn is_out_of_turn(&self, row: &Row<'_>) -> bool {
        let whole = self.whole.as_ref();
        let last_there = whole.and_then(|whole| whole.last_there.get(row.run_id));
        last_there.is_some_and(|last| row.seq < *last)
    }

    /// The versions that a row names must be the same in both. That the one which it makes is the next one there shows
    /// when it is written. Of a promotion the stage.
    fn check_model(&mut self, row: &Row<'_>) -> std::result::Result<Option<Stage>, LeftOut> {
        if !row.event.is_of_model() {
            return Ok(None);
        }
        let context = ModelContext::read(row.context).map_err(|_| UNREADABLE)?;
        let model = context.model().unwrap_or_default();
        let versions = [context.version(), context.previous()];
        for version in versions.into_iter().flatten() {
            let version = (model.to_owned(), version);
            let there = self.target.versions.get(&version);
            match row.event {
                EventKind::Register if there.is_some() => return Err(VERSION_TAKEN.into()),
                EventKind::Register => {}
                _ if there.is_some() && there == self.source.versions.get(&version) => {}
                _ => return Err(OTHER_VERSION.into()),
            }
        }
        match stage(&context).filter(|_| row.event == EventKind::Promote) {
            Some(stage) => self.check_stage(row, stage).map(Some),
            None => Ok(None),
        }
    }

    /// A stage that the target has is not moved by copies, but for those with which an earlier copying would have gone on,
    /// had it not been cut short.
    fn check_stage(&mut self, row: &Row<'_>, stage: Stage) -> std::result::Result<Stage, LeftOut> {
        let Some(whole) = &mut self.whole else {
            return Ok(stage);
        };
        let there = self.target.stages.get(&stage);
        let up_to = *whole
            .copied_up_to
            .entry(stage.clone())
            .or_insert(match there {
                None => Some(Seq(u64::MAX)),
                Some((last, Some(end))) if last != end => whole.known_ends.get(end).copied(),
                Some(_) => None,
            });
        if up_to.is_some_and(|up_to| row.seq <= up_to) {
            return Ok(stage);
        }
        let (model, stage) = &stage;
        let current = self.target.registry.model(model);
        let current = current.and_then(|model| model.current(stage));
        let why = format!(
            "the stage `{stage}` of `{model}` stands at version {} there; `promote_model()` moves it",
            current.unwrap_or_default()
        );
        Err(why.into())
    }

    fn note_promotion(
        &mut self,
        stage: Option<Stage>,
        identity: Digest,
        (before, begin): (Digest, usize),
    ) {
        let Some(stage) = stage.filter(|_| self.whole.is_some()) else {
            return;
        };
        if self.promotions.is_empty() {
            self.before_promotions = before;
        }
        self.promotions.push((begin, stage.clone()));
        self.ends.insert(stage, identity);
    }

    /// Says in each copied promotion with which one the copying of those to its stage ends. That is known only now.
    pub fn finish(&mut self) {
        let Some((from, _)) = self.promotions.first() else {
            return;
        };
        let unknown = unknown_end().hex();
        let mut promotions = self.promotions.iter().peekable();
        let before = self.before_promotions;
        self.draft.change_rows(*from, before, |begin, row| {
            let Some((_, stage)) = promotions.next_if(|(at, _)| *at == begin) else {
                return;
            };
            // The origin is the last that a row says.
            let end = memchr::memmem::rfind(row, &unknown).expect("every copied promotion has it");
            row[end..end + HEX_LEN].copy_from_slice(&self.ends[stage].hex());
        });
    }

    fn undoes_nothing(&self, seq: i64) -> bool {
        self.whole.is_some() && !self.source.promotions.contains_key(&Seq(seq as u64))
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
            copy = copy.object(ORIGIN, &self.origin(seq, &session.hash, origin, None));
            self.copied_sessions.insert(seq);
        }
        let event = Event {
            context: copy,
            ..Event::new(EventKind::Session)
        };
        if let Some(found) = self.write(session.time, &event, identity)? {
            return Err(found.why.into());
        }
        self.target.session_ids.insert(identity, fresh.clone());
        self.sessions_of_row.push((identity, session.seq));
        Ok(fresh)
    }

    /// Takes back the sessions that were copied for a row which then was not.
    fn take_sessions_back(&mut self, (head, length): (Head, usize)) {
        for (identity, seq) in self.sessions_of_row.drain(..) {
            self.target.session_ids.remove(&identity);
            self.target.rows.remove(&identity);
            if let Some(seq) = seq {
                self.copied_sessions.remove(&seq);
            }
        }
        self.draft.head = head;
        self.draft.bytes.truncate(length);
    }

    /// Where a row came from: from the source, or, if it was a copy there, from where that says. Another origin, such
    /// as the plain CSV that a run was imported from, stays within it.
    fn origin(&self, seq: Seq, hash: &Digest, old: Option<Json>, end: Option<Digest>) -> Object {
        let (origin, before) = match old.as_ref().and_then(LedgerOrigin::read) {
            Some(origin) => (origin, None),
            None => (self.new_origin(seq, *hash), old),
        };
        let end = match self.whole {
            Some(_) => end,
            // It is the same ledger still.
            None => origin.end,
        };
        LedgerOrigin { end, ..origin }.object(self.by, before.as_ref())
    }

    /// Of a row that is no copy.
    fn new_origin(&self, seq: Seq, hash: Digest) -> LedgerOrigin {
        LedgerOrigin {
            ledger: self.source_id.clone(),
            seq: seq.0 as i64,
            hash,
            end: None,
        }
    }

    /// Writes a row to the draft, unless it has no effect in the target.
    fn write(
        &mut self,
        time: Timestamp,
        event: &Event,
        identity: Digest,
    ) -> std::result::Result<Option<WithoutEffect>, LeftOut> {
        let (mut head, mut line) = (self.draft.head, Vec::new());
        chain::write_row(&mut head, time, event, &mut line).map_err(|_| TOO_LONG)?;
        let row = Row::parse(&line[..line.len() - 1])?;
        let found = self.target.take(&row, identity).map_err(|_| UNREADABLE)?;
        if found.is_none() {
            self.target.rows.insert(identity, None);
            self.add(head, &line);
        }
        Ok(found)
    }

    fn add(&mut self, head: Head, line: &[u8]) {
        self.draft.head = head;
        memory::reserve(&mut self.draft.bytes, line.len());
        self.draft.bytes.extend_from_slice(line);
    }
}
