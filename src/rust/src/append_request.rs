//! What to append to: a ledger, the session of its rows, and how durable they are to be.

use std::borrow::Cow;
use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, PoisonError};
use std::time::Instant;

use extendr_api::prelude::*;
use extendr_ffi::SEXPTYPE;
use fitledger_core::Error;
use fitledger_core::format::digest::Digest;
use fitledger_core::format::event::Event;
use fitledger_core::format::id::{self, RunId};
use fitledger_core::format::object::Object;
use fitledger_core::format::run_context::RunContext;
use fitledger_core::format::session_context::SessionContext;
use fitledger_core::format::time::Timestamp;
use fitledger_core::ledger::mirror::{self, DraftStore, Drafts};
use fitledger_core::ledger::{
    self, Append, FileStore, Memory, Position, ReadSince, Repaired, Session,
};
use fitledger_core::platform::memory;
use fitledger_core::platform::per_process::PerProcess;
use fitledger_core::platform::sys::{self, FileId};
use fitledger_core::views::import::{Bytes, Imported, Source};
use fitledger_core::views::repair::{self, Carried};
use fitledger_core::views::stored;

use crate::guard::Failure;
use crate::r::{self, R, Text};
use crate::to_r;

static LENDING: PerProcess<Lending> = PerProcess::new(Lending::inherited);

/// What this process knows of its ledgers. Each is lent to the thread that writes there, R's or one that writes what is
/// buffered: what one ledger keeps waiting holds up no other. Values that are taken from a buffer are taken while
/// their ledger is lent, so that nobody ends their run in between.
#[derive(Default)]
struct Lending {
    memory: Memory,
    lent: Vec<Place>,
    returned: Arc<Condvar>,
}

/// A path, and the file there, which may have other paths.
#[derive(Clone, PartialEq)]
struct Place {
    path: PathBuf,
    file: Option<FileId>,
}

impl Lending {
    /// What a forked child has of it: who writes in the parent doesn't in the child.
    fn inherited(self) -> Lending {
        Lending {
            memory: self.memory.inherited(),
            ..Lending::default()
        }
    }

    fn is_lent(&self, place: &Place) -> bool {
        let mut lent = self.lent.iter();
        lent.any(|other| {
            other.path == place.path || other.file.is_some() && other.file == place.file
        })
    }
}

/// What is known of a ledger, as long as this thread has it.
struct Lent {
    place: Place,
    memory: Memory,
}

impl Lent {
    /// Waits until no other thread has it.
    fn of(path: &Path) -> Lent {
        let place = Place {
            path: path.to_owned(),
            file: sys::path_id(path).ok(),
        };
        let mut lending = LENDING.lock();
        while lending.is_lent(&place) {
            let returned = lending.returned.clone();
            lending = returned
                .wait(lending)
                .unwrap_or_else(PoisonError::into_inner);
        }
        lending.lent.push(place.clone());
        let memory = lending.memory.lend(path);
        Lent { place, memory }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut lending = LENDING.lock();
        let memory = std::mem::take(&mut self.memory);
        lending.memory.take_back(&self.place.path, memory);
        lending.lent.retain(|place| *place != self.place);
        lending.returned.notify_all();
    }
}

thread_local! {
    /// Whether this thread has it.
    static IS_WRITING: Cell<bool> = const { Cell::new(false) };
}

/// Random bytes of the system's: as many as one run needs, then some hundred at a time.
pub struct Entropy {
    bytes: [u8; 256],
    fetched: usize,
    used: usize,
}

impl Entropy {
    pub fn new() -> Entropy {
        Entropy {
            bytes: [0; 256],
            fetched: 0,
            used: 0,
        }
    }

    pub fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.used == self.fetched {
                self.fetched = match self.fetched {
                    0 => 32,
                    _ => self.bytes.len(),
                };
                let fresh = &mut self.bytes[..self.fetched];
                sys::random(fresh).expect("the system has random bytes");
                self.used = 0;
            }
            *byte = self.bytes[self.used];
            self.used += 1;
        }
    }
}

/// The ledger to append to, the session of the rows, and whether to wait for the disk:
/// `list(file, version, context, lockfile, code, sync, allow_network, is_mirror)`, the context as JSON, the code
/// `NULL` or as `native_code()` gives it. To a mirror nothing is appended: the rows are drafted, for R to send.
#[derive(Clone)]
pub struct AppendRequest {
    path: PathBuf,
    version: u64,
    context: Object,
    lockfile: Option<Cow<'static, str>>,
    code: Vec<(&'static str, &'static [u8])>,
    /// Whether to wait for the disk.
    pub sync: bool,
    allow_network: bool,
    /// Whether to begin a ledger where there is none.
    pub create: bool,
    /// Where rows are drafted, if the file is a mirror.
    drafts: Option<Drafts>,
}

impl AppendRequest {
    /// Unwinds where there isn't even room for the little that every write takes.
    pub fn of(request: &Robj) -> Result<AppendRequest, Failure> {
        memory::ensure(0);
        let list = R::of(request);
        if list.ty() != SEXPTYPE::VECSXP || list.len() != 8 {
            return Err(Failure::argument("request"));
        }
        let file = list
            .element(0)
            .path()
            .ok_or_else(|| Failure::argument("file"))?;
        let text = |x: R| match (x.ty(), x.len()) {
            (SEXPTYPE::STRSXP, 1) => match x.borrowed_text(0) {
                Text::Is(text) => Some(text),
                _ => None,
            },
            _ => None,
        };
        let version = list.element(1);
        if version.ty() != SEXPTYPE::REALSXP || version.len() != 1 {
            return Err(Failure::argument("version"));
        }
        Ok(AppendRequest {
            path: file,
            version: version.doubles()[0] as u64,
            context: text(list.element(2))
                .and_then(|context| Object::from_text(context.as_bytes()))
                .ok_or_else(|| Failure::argument("context"))?,
            lockfile: text(list.element(3)),
            code: code(list.element(4)),
            sync: list.element(5).is_true(),
            allow_network: list.element(6).is_true(),
            create: true,
            drafts: list.element(7).is_true().then(Drafts::default),
        })
    }

    /// The same for a later call, when what R has lent may be gone. The code is stored by the call at hand, as the session
    /// is that it belongs to.
    pub fn kept(&self) -> AppendRequest {
        let lockfile = self.lockfile.clone();
        AppendRequest {
            lockfile: lockfile.map(|text| Cow::Owned(text.into_owned())),
            code: Vec::new(),
            create: false,
            ..self.clone()
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether rows are drafted only.
    pub fn is_draft(&self) -> bool {
        self.drafts.is_some()
    }

    /// Appends, and gives what somebody should be told.
    pub fn append(
        &self,
        entropy: &mut Entropy,
        events: impl IntoIterator<Item = (Timestamp, Event)>,
    ) -> Result<Remarks, Failure> {
        let (_, remarks) = self.append_decided(entropy, |_| Ok(events))?;
        Ok(remarks)
    }

    /// Appends what is decided under the lock; the position after it, too. `decide` must not touch R.
    pub fn append_decided<E: IntoIterator<Item = (Timestamp, Event)>>(
        &self,
        entropy: &mut Entropy,
        decide: impl FnOnce(ReadSince<'_>) -> fitledger_core::Result<E>,
    ) -> Result<(Position, Remarks), Failure> {
        self.check_begun()?;
        let mut give_up = r::patience(&self.path);
        let path = &self.path;
        let is_decided = Cell::new(false);
        let written = self.with_memory(entropy, &mut give_up, |memory, how| {
            let Some(drafts) = &self.drafts else {
                let open = || self.open();
                let position = ledger::append_decided(open, path, memory, how, decide)?;
                return Ok((position, Remarks::of(memory)));
            };
            let open = || DraftStore::open(path, drafts);
            let decide = |read_since: ReadSince<'_>| {
                decide(&|position| {
                    is_decided.set(true);
                    read_since(position)
                })
            };
            let position = memory.drafting(path, |memory| {
                ledger::append_decided(open, path, memory, how, decide)
            })?;
            Ok((position, Remarks::of(memory)))
        });
        let (position, mut remarks) = written?;
        remarks.draft = self.draft(is_decided.get());
        Ok((position, remarks))
    }

    /// The failure that a ledger in a database has no row yet, for R's side to begin it and to make the call again.
    fn check_begun(&self) -> Result<(), Failure> {
        match self.is_draft() && self.create && !self.path.exists() {
            true => Err(Failure {
                class: "not_begun",
                ..Failure::from(Error::NotFound {
                    path: self.path.clone(),
                })
            }),
            false => Ok(()),
        }
    }

    /// What was drafted, if anything was.
    fn draft(&self, is_decided: bool) -> Option<RowsToSend> {
        let drafts = self.drafts.as_ref()?;
        let rows = std::mem::take(&mut *drafts.lock().unwrap_or_else(PoisonError::into_inner));
        (!rows.is_empty()).then_some(RowsToSend { rows, is_decided })
    }

    /// The same without R, which isn't asked whether to go on. What there is to tell, the next call tells. The thread
    /// waits since some time, though it gives up in between.
    pub fn append_apart<E: IntoIterator<Item = (Timestamp, Event)>>(
        &self,
        since: Instant,
        give_up: &mut dyn FnMut() -> bool,
        decide: impl FnOnce(ReadSince<'_>) -> fitledger_core::Result<E>,
    ) -> fitledger_core::Result<()> {
        self.with_memory(&mut Entropy::new(), give_up, |memory, how| {
            how.since = since;
            let open = || self.open();
            ledger::append_decided(open, &self.path, memory, how, decide).map(drop)
        })
    }

    /// Begins the ledger if there is none. One in a database is begun by its first row.
    pub fn begin(&self, entropy: &mut Entropy) -> Result<(), Failure> {
        if self.is_draft() {
            return Ok(());
        }
        let mut give_up = r::patience(&self.path);
        Ok(self.with_memory(entropy, &mut give_up, |memory, how| {
            ledger::begin(|| self.open(), &self.path, memory, how)
        })?)
    }

    /// Removes the ledger that was begun if nothing was appended since. A mirror stays.
    pub fn discard_begun(&self, entropy: &mut Entropy) -> Result<(), Failure> {
        if self.is_draft() {
            return Ok(());
        }
        let mut give_up = || false;
        Ok(self.with_memory(entropy, &mut give_up, |memory, how| {
            ledger::discard_begun(&self.path, memory, how)
        })?)
    }

    /// Repairs the ledger.
    pub fn repair(&self, entropy: &mut Entropy) -> Result<Option<Repaired<Carried>>, Failure> {
        let mut give_up = r::patience(&self.path);
        Ok(self.with_memory(entropy, &mut give_up, |memory, how| {
            repair::repair(&self.path, memory, how)
        })?)
    }

    /// Imports another ledger.
    pub fn import(
        &self,
        entropy: &mut Entropy,
        source: &Source,
        bytes: &mut Bytes,
    ) -> Result<(Imported, Remarks), Failure> {
        self.check_begun()?;
        let mut give_up = r::patience(&self.path);
        let path = &self.path;
        let written = self.with_memory(entropy, &mut give_up, |memory, how| {
            let imported = match &self.drafts {
                None => source.import(
                    || self.open(),
                    path,
                    memory,
                    how,
                    bytes,
                    &mut r::interrupted,
                )?,
                Some(drafts) => memory.drafting(path, |memory| {
                    let open = || DraftStore::open(path, drafts);
                    source.import(open, path, memory, how, bytes, &mut r::interrupted)
                })?,
            };
            Ok((imported, Remarks::of(memory)))
        });
        let (imported, mut remarks) = written?;
        remarks.draft = self.draft(true);
        Ok((imported, remarks))
    }

    fn open(&self) -> std::io::Result<FileStore> {
        match self.create {
            true => FileStore::open(&self.path),
            false => FileStore::open_existing(&self.path),
        }
    }

    fn with_memory<T>(
        &self,
        entropy: &mut Entropy,
        give_up: &mut dyn FnMut() -> bool,
        write: impl FnOnce(&mut Memory, &mut Append<'_>) -> fitledger_core::Result<T>,
    ) -> fitledger_core::Result<T> {
        let mut how = Append {
            session: Session {
                version: self.version,
                context: &self.context,
                lockfile: self.lockfile.as_deref().map(str::as_bytes),
                code: &self.code,
            },
            sync: self.sync,
            now: Timestamp::now(),
            random: &mut |bytes| entropy.fill(bytes),
            since: Instant::now(),
            give_up,
        };
        let Some(_writing) = Writing::begin() else {
            // While we wait for the ledger's lock R may run an event that logs too: it starts afresh.
            let mut memory = Memory::default();
            memory.allow_network = self.allow_network;
            return write(&mut memory, &mut how);
        };
        let mut lent = Lent::of(&self.path);
        lent.memory.allow_network = self.allow_network;
        write(&mut lent.memory, &mut how)
    }
}

/// This thread writes, until it is dropped.
struct Writing;

impl Writing {
    /// `None` if it does already.
    fn begin() -> Option<Writing> {
        (!IS_WRITING.replace(true)).then_some(Writing)
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        IS_WRITING.set(false);
    }
}

/// What was drafted last on top of a mirror stands where the ledger is kept.
pub fn appended(mirror: &Path) {
    if let Some(_writing) = Writing::begin() {
        LENDING.lock().memory.appended(mirror);
    }
}

/// A mirror's rows were checked up to a position.
pub fn looked_through(mirror: &Path, position: Position) {
    if let Some(_writing) = Writing::begin() {
        LENDING.lock().memory.looked_through(mirror, position);
    }
}

/// The run that this process began last in a ledger.
pub fn last_run(path: &Path) -> Option<RunId> {
    LENDING.lock().memory.last_run(path).cloned()
}

/// The ledger in which this process began a run last, if it is this one.
pub fn began_last(run: &RunId) -> Option<PathBuf> {
    LENDING.lock().memory.began_last(run).map(Path::to_owned)
}

/// What of the code is to be kept, each under its name.
fn code(kept: R) -> Vec<(&'static str, &'static [u8])> {
    if kept.ty() != SEXPTYPE::VECSXP || kept.len() != SessionContext::KEPT.len() {
        return Vec::new();
    }
    let names = SessionContext::KEPT.into_iter().enumerate();
    let kept = names.map(|(i, name)| (name, kept.element(i)));
    kept.filter(|(_, bytes)| bytes.ty() == SEXPTYPE::RAWSXP)
        .map(|(name, bytes)| (name, bytes.bytes()))
        .collect()
}

/// Rows that were drafted on top of a mirror, to be appended where the ledger is kept.
struct RowsToSend {
    rows: Vec<u8>,
    /// Whether they rest on what the rows before them say, and have to follow the very last of those.
    is_decided: bool,
}

impl RowsToSend {
    /// `list(request, cells, rows, after, is_decided, objects)`: a random name of this append; the cells as the database takes
    /// them; the rows as they stand in the file if they follow the mirror's last row, and its number; the hashes of the stored
    /// bytes that they name.
    fn into_robj(self) -> Robj {
        let cells = String::from_utf8(mirror::cells(&self.rows)).expect("rows are UTF-8");
        let objects = stored::digests(mirror::drafted(&self.rows));
        let objects: Vec<String> = objects.iter().map(Digest::to_string).collect();
        let first = mirror::drafted(&self.rows).next();
        let after = first.map_or(0, |row| row.seq.0 - 1);
        let request = id::ledger_id(&mut |bytes| Entropy::new().fill(bytes));
        list!(
            request = request,
            cells = cells,
            rows = to_r::bytes(&self.rows),
            after = after as f64,
            is_decided = self.is_decided,
            objects = objects
        )
        .into()
    }
}

/// What somebody should be told of an append.
#[derive(Default)]
pub struct Remarks {
    network: Option<String>,
    not_recorded: Option<String>,
    notice: Option<String>,
    draft: Option<RowsToSend>,
}

impl Remarks {
    fn of(memory: &mut Memory) -> Remarks {
        Remarks {
            network: memory.take_network(),
            not_recorded: memory.take_not_recorded(),
            notice: memory.take_notice(),
            draft: None,
        }
    }

    /// The session of the row that was drafted last.
    pub fn drafted_session(&self) -> Option<String> {
        let row = mirror::drafted(&self.draft.as_ref()?.rows).last()?;
        RunContext::session_of(row.context).map(Cow::into_owned)
    }
}

/// A value that R's side hands on after it has told them, and sent what was drafted.
pub fn with_remarks(mut value: Robj, remarks: Remarks) -> Robj {
    let remarks = [
        ("network", remarks.network.map(Robj::from)),
        ("not_recorded", remarks.not_recorded.map(Robj::from)),
        ("notice", remarks.notice.map(Robj::from)),
        ("draft", remarks.draft.map(RowsToSend::into_robj)),
    ];
    for (name, remark) in remarks {
        if let Some(remark) = remark {
            value
                .set_attrib(name, remark)
                .expect("a vector takes an attribute");
        }
    }
    value
}
